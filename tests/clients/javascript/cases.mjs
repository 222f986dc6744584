// What an application in JavaScript asks of DynamoDB, with Amazon's SDK. Each case has a table of its own.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import {
  ConditionalCheckFailedException,
  DynamoDB,
  DynamoDBServiceException,
  paginateQuery,
  ResourceNotFoundException,
  TransactionCanceledException,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import { DynamoDBStreams } from "@aws-sdk/client-dynamodb-streams";
import {
  InvalidParameterException,
  paginateGetResources,
  ResourceGroupsTaggingAPI,
} from "@aws-sdk/client-resource-groups-tagging-api";
import { STS, STSServiceException } from "@aws-sdk/client-sts";
import { DynamoDBDocument, paginateScan } from "@aws-sdk/lib-dynamodb";

const client = new DynamoDB({ maxAttempts: 1 });
const streams = new DynamoDBStreams({ maxAttempts: 1 });
const identities = new STS({ maxAttempts: 1 });
const tagging = new ResourceGroupsTaggingAPI({ maxAttempts: 1 });
const documents = DynamoDBDocument.from(client);

// Creates a table with a partition key p and a sort key s, and gives it to `use`; drops it afterwards.
async function withTable(use) {
  const TableName = `javascript-${randomUUID()}`;
  await client.createTable({
    TableName,
    AttributeDefinitions: [
      { AttributeName: "p", AttributeType: "S" },
      { AttributeName: "s", AttributeType: "N" },
    ],
    KeySchema: [
      { AttributeName: "p", KeyType: "HASH" },
      { AttributeName: "s", KeyType: "RANGE" },
    ],
    BillingMode: "PAY_PER_REQUEST",
    StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" },
  });
  await waitUntilTableExists({ client, maxWaitTime: 60, minDelay: 1 }, { TableName });
  await use(TableName);
  await client.deleteTable({ TableName });
  await waitUntilTableNotExists({ client, maxWaitTime: 60, minDelay: 1 }, { TableName });
}

const key = (p, s) => ({ p: { S: p }, s: { N: `${s}` } });

// Every attribute type, in the form of the wire.
const EVERY_TYPE = {
  ...key("every type", 1),
  text: { S: "Gödel, Escher, Bach 🎼" },
  number: { N: "12345678901234567890123456789012345678" },
  bytes: { B: new Uint8Array([0, 127, 255]) },
  texts: { SS: ["a", "b"] },
  numbers: { NS: ["-1.5", "2"] },
  binaries: { BS: [new Uint8Array([1]), new Uint8Array([2, 3])] },
  map: { M: { inner: { L: [{ S: "deep" }, { BOOL: false }] } } },
  list: { L: [{ N: "1" }, { NULL: true }] },
  yes: { BOOL: true },
  nothing: { NULL: true },
};

const CASES = {
  async tables() {
    await withTable(async (TableName) => {
      const { Table } = await client.describeTable({ TableName });
      assert.equal(Table.TableStatus, "ACTIVE");
      assert.ok(Table.CreationDateTime instanceof Date);
      assert.ok((await client.listTables({})).TableNames.includes(TableName));
    });
    await assert.rejects(client.describeTable({ TableName: "no-such-table" }), ResourceNotFoundException);
  },

  async items() {
    await withTable(async (TableName) => {
      await client.putItem({ TableName, Item: EVERY_TYPE });
      const got = await client.getItem({ TableName, Key: key("every type", 1), ConsistentRead: true });
      assert.deepEqual(got.Item, EVERY_TYPE);
      const absent = await client.getItem({ TableName, Key: key("every type", 2) });
      assert.equal(absent.Item, undefined);
      await client.deleteItem({ TableName, Key: key("every type", 1) });
      assert.equal((await client.getItem({ TableName, Key: key("every type", 1) })).Item, undefined);
    });
  },

  async conditions() {
    await withTable(async (TableName) => {
      await client.putItem({ TableName, Item: { ...key("a", 1), v: { S: "first" } } });
      const again = client.putItem({
        TableName,
        Item: key("a", 1),
        ConditionExpression: "attribute_not_exists(p)",
        ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      });
      await assert.rejects(again, (error) => {
        assert.ok(error instanceof ConditionalCheckFailedException);
        assert.equal(error.message, "The conditional request failed");
        assert.deepEqual(error.Item, { ...key("a", 1), v: { S: "first" } });
        return true;
      });
    });
  },

  async updates() {
    await withTable(async (TableName) => {
      const { Attributes } = await documents.update({
        TableName,
        Key: { p: "a", s: 1 },
        UpdateExpression: "SET #v = :v ADD hits :one",
        ExpressionAttributeNames: { "#v": "value" },
        ExpressionAttributeValues: { ":v": { deep: ["new", true] }, ":one": 1 },
        ReturnValues: "ALL_NEW",
      });
      assert.deepEqual(Attributes, { p: "a", s: 1, value: { deep: ["new", true] }, hits: 1 });
    });
  },

  async queries() {
    await withTable(async (TableName) => {
      for (let n = 0; n < 7; n++) await client.putItem({ TableName, Item: key("a", n) });
      const request = {
        TableName,
        Limit: 3,
        KeyConditionExpression: "p = :p",
        ExpressionAttributeValues: { ":p": { S: "a" } },
        ScanIndexForward: false,
      };
      const pages = [];
      for await (const page of paginateQuery({ client }, request)) pages.push(page.Items);
      assert.equal(pages.length, 3);
      assert.deepEqual(pages.flat(), [6, 5, 4, 3, 2, 1, 0].map((n) => key("a", n)));
    });
  },

  async scans() {
    await withTable(async (TableName) => {
      for (let n = 0; n < 5; n++) await documents.put({ TableName, Item: { p: `${n}`, s: n } });
      const request = {
        TableName,
        Limit: 2,
        FilterExpression: "s >= :two",
        ExpressionAttributeValues: { ":two": 2 },
      };
      const found = [];
      for await (const page of paginateScan({ client: documents }, request)) found.push(...page.Items);
      assert.deepEqual(found.map((item) => item.s).sort(), [2, 3, 4]);
    });
  },

  async batches() {
    await withTable(async (TableName) => {
      const keys = Array.from({ length: 25 }, (_, n) => key("a", n));
      const written = await client.batchWriteItem({
        RequestItems: { [TableName]: keys.map((Item) => ({ PutRequest: { Item } })) },
      });
      assert.deepEqual(written.UnprocessedItems, {});
      const got = await client.batchGetItem({ RequestItems: { [TableName]: { Keys: keys } } });
      assert.equal(got.Responses[TableName].length, 25);
      assert.deepEqual(got.UnprocessedKeys, {});
    });
  },

  async transactions() {
    await withTable(async (TableName) => {
      const put = (p) => ({
        Put: { TableName, Item: key(p, 1), ConditionExpression: "attribute_not_exists(p)" },
      });
      await client.putItem({ TableName, Item: key("there", 1) });
      await assert.rejects(client.transactWriteItems({ TransactItems: [put("new"), put("there")] }), (error) => {
        assert.ok(error instanceof TransactionCanceledException);
        assert.deepEqual(error.CancellationReasons.map((reason) => reason.Code), ["None", "ConditionalCheckFailed"]);
        return true;
      });
      const remove = { Delete: { TableName, Key: key("there", 1) } };
      await client.transactWriteItems({ TransactItems: [put("new"), remove] });
      const { Responses } = await client.transactGetItems({
        TransactItems: ["new", "there"].map((p) => ({ Get: { TableName, Key: key(p, 1) } })),
      });
      assert.deepEqual(Responses.map((response) => response.Item), [key("new", 1), undefined]);
    });
  },

  async partiql() {
    await withTable(async (TableName) => {
      await client.executeStatement({
        Statement: `INSERT INTO "${TableName}" VALUE {'p': ?, 's': 1, 'v': 'x'}`,
        Parameters: [{ S: "a" }],
      });
      const { Items } = await documents.executeStatement({
        Statement: `SELECT v FROM "${TableName}" WHERE p = ?`,
        Parameters: ["a"],
      });
      assert.deepEqual(Items, [{ v: "x" }]);
    });
  },

  async streams() {
    await withTable(async (TableName) => {
      await client.putItem({ TableName, Item: key("a", 1) });
      const StreamArn = (await client.describeTable({ TableName })).Table.LatestStreamArn;
      const { StreamDescription } = await streams.describeStream({ StreamArn });
      const records = [];
      for (const { ShardId } of StreamDescription.Shards) {
        const request = { StreamArn, ShardId, ShardIteratorType: "TRIM_HORIZON" };
        const { ShardIterator } = await streams.getShardIterator(request);
        records.push(...(await streams.getRecords({ ShardIterator })).Records);
      }
      assert.deepEqual(records.map((record) => record.eventName), ["INSERT"]);
      assert.deepEqual(records[0].dynamodb.NewImage, key("a", 1));
    });
  },

  async ttl() {
    await withTable(async (TableName) => {
      const TimeToLiveSpecification = { AttributeName: "expires", Enabled: true };
      await client.updateTimeToLive({ TableName, TimeToLiveSpecification });
      const { TimeToLiveDescription } = await client.describeTimeToLive({ TableName });
      assert.equal(TimeToLiveDescription.AttributeName, "expires");
    });
  },

  async identity() {
    const { Account, Arn, UserId } = await identities.getCallerIdentity({});
    assert.deepEqual([Account, Arn, UserId], ["000000000000", "arn:aws:iam::000000000000:root", "000000000000"]);
    const AccessKeyId = process.env.AWS_ACCESS_KEY_ID;
    if (AccessKeyId.length >= 16) assert.equal((await identities.getAccessKeyInfo({ AccessKeyId })).Account, Account);
    await assert.rejects(identities.getAccessKeyInfo({ AccessKeyId: "short" }), (error) => {
      assert.ok(error instanceof STSServiceException);
      assert.equal(error.name, "ValidationError");
      return true;
    });
  },

  async tags() {
    await withTable(async (TableName) => {
      const { TableArn } = (await client.describeTable({ TableName })).Table;
      const ResourceARNList = [TableArn, `${TableArn}-nowhere`];
      const { FailedResourcesMap } = await tagging.tagResources({ ResourceARNList, Tags: { [TableName]: "a" } });
      assert.deepEqual(Object.keys(FailedResourcesMap), [`${TableArn}-nowhere`]);
      assert.equal(FailedResourcesMap[`${TableArn}-nowhere`].ErrorCode, "ResourceNotFoundException");
      const TagFilters = [{ Key: TableName, Values: ["a", "b"] }];
      const found = [];
      for await (const page of paginateGetResources({ client: tagging, pageSize: 1 }, { TagFilters })) {
        found.push(...page.ResourceTagMappingList);
      }
      assert.deepEqual(found, [{ ResourceARN: TableArn, Tags: [{ Key: TableName, Value: "a" }] }]);
      assert.ok((await tagging.getTagKeys({})).TagKeys.includes(TableName));
      assert.deepEqual((await tagging.getTagValues({ Key: TableName })).TagValues, ["a"]);
      await tagging.untagResources({ ResourceARNList: [TableArn], TagKeys: [TableName] });
      assert.deepEqual((await tagging.getTagValues({ Key: TableName })).TagValues, []);
    });
    await assert.rejects(tagging.getResources({ ResourcesPerPage: 101 }), InvalidParameterException);
  },

  // Runs with a secret that is not the server's.
  async wrong_secret() {
    await assert.rejects(client.listTables({}), (error) => {
      assert.ok(error instanceof DynamoDBServiceException);
      assert.equal(error.name, "InvalidSignatureException");
      assert.equal(error.$metadata.httpStatusCode, 400);
      return true;
    });
  },
};

for (const name of process.argv.slice(2)) {
  let failure = null;
  try {
    await CASES[name]();
  } catch (error) {
    failure = error.stack;
  }
  console.log(JSON.stringify({ case: name, failure }));
}
