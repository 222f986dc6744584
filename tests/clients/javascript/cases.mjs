// What an application in JavaScript asks of DynamoDB, with Amazon's SDK. Each case has a table of its own.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import {
  ConditionalCheckFailedException,
  DynamoDB,
  DynamoDBServiceException,
  ResourceNotFoundException,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";

const client = new DynamoDB({ maxAttempts: 1 });

// Creates a table with a partition key p and a sort key s, and gives it to `use`; drops it afterwards.
async function withTable(use, settings = {}) {
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
    ...settings,
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
