// Does the named cases with the DAX client, each of which asks the table itself the same, over HTTP, and compares.
// Prints a JSON line for each case.

import assert from "node:assert/strict";
import { Dax } from "@amazon-dax-sdk/client-dax";
import { DaxDocument } from "@amazon-dax-sdk/lib-dax";
import { DynamoDB } from "@aws-sdk/client-dynamodb";

const credentials = { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY };
const region = process.env.AWS_REGION;
const dynamodb = new DynamoDB({ region, credentials, maxAttempts: 1 });
const endpoint = process.env.DAX_ENDPOINT;
const dax = new Dax({ endpoint, region, credentials });

const TABLES = ["songs", "words"];
const TWIN = "-twin";

async function createTables() {
  for (const suffix of ["", TWIN]) {
    await dynamodb.createTable({
      TableName: "songs" + suffix,
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: [
        { AttributeName: "p", KeyType: "HASH" },
        { AttributeName: "n", KeyType: "RANGE" },
      ],
      AttributeDefinitions: [
        { AttributeName: "p", AttributeType: "S" },
        { AttributeName: "n", AttributeType: "N" },
        { AttributeName: "g", AttributeType: "S" },
      ],
      GlobalSecondaryIndexes: [
        {
          IndexName: "by-g",
          KeySchema: [
            { AttributeName: "g", KeyType: "HASH" },
            { AttributeName: "n", KeyType: "RANGE" },
          ],
          Projection: { ProjectionType: "ALL" },
        },
      ],
    });
    await dynamodb.createTable({
      TableName: "words" + suffix,
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: [{ AttributeName: "p", KeyType: "HASH" }],
      AttributeDefinitions: [{ AttributeName: "p", AttributeType: "S" }],
    });
  }
}

// The answer to a request, which must be the table's own: members, items, errors.
async function same(operation, request) {
  const ours = await outcome(dax, operation, request);
  const theirs = await outcome(dynamodb, operation, renamed(request, (name) => name + TWIN));
  const plain = renamed(theirs, (name) => name.replace(TWIN, ""));
  assert.deepEqual(sorted(ours), sorted(plain));
  return ours;
}

async function outcome(client, operation, request) {
  try {
    const { $metadata, ...answer } = await client[operation](request);
    return answer;
  } catch (error) {
    if (client !== dax) return { error: `${error.name}: ${error.message}` };
    return { error: error.message }; // DAX's client has the name in its text.
  }
}

// A request or an answer with other names of tables.
function renamed(value, change) {
  if (Array.isArray(value)) return value.map((one) => renamed(one, change));
  if (value instanceof Uint8Array || value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      TABLES.includes(name.replace(TWIN, "")) ? change(name) : name,
      name === "TableName" ? change(member) : renamed(member, change),
    ]),
  );
}

// Sets, and capacities of tables, in order; without members that are empty.
function sorted(value) {
  if (Array.isArray(value)) {
    const members = value.map(sorted);
    const named = members.length > 0 && members.every((one) => one && one.TableName);
    return named ? members.sort((a, b) => a.TableName.localeCompare(b.TableName)) : members;
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(
    entries.map(([name, member]) => [
      name,
      ["SS", "NS", "BS"].includes(name) ? [...member].map((one) => JSON.stringify(one)).sort() : sorted(member),
    ]),
  );
}

const ITEM = {
  text: { S: "žluťoučký" },
  whole: { N: "-7" },
  part: { N: "-1.5" },
  tiny: { N: "0.00012" },
  long: { N: "12345678901234567890" },
  bytes: { B: Buffer.from([0, 255]) },
  yes: { BOOL: true },
  none: { NULL: true },
  list: { L: [{ N: "1" }, { M: { a: { S: "q" } } }, { NULL: true }] },
  map: { M: { x: { L: [{ S: "0" }, { S: "1" }] }, y: { M: {} } } },
  texts: { SS: ["b", "a"] },
  numbers: { NS: ["1", "2.5"] },
};

const CASES = {
  async items() {
    const key = { p: { S: "ключ" } };
    await same("putItem", { TableName: "words", Item: { ...key, ...ITEM }, ReturnConsumedCapacity: "TOTAL" });
    const filled = await same("getItem", { TableName: "words", Key: key });
    assert.equal(Object.keys(filled.Item).length, 13);
    assert.deepEqual(await same("getItem", { TableName: "words", Key: key }), filled);
    await same("getItem", { TableName: "words", Key: key, ConsistentRead: true, ReturnConsumedCapacity: "TOTAL" });
    for (const ProjectionExpression of ["whole", "#l[1].a, #m.x[1], whole", "#l[0], #l[2], nope"]) {
      const ExpressionAttributeNames = { "#l": "list", "#m": "map" };
      for (const name of Object.keys(ExpressionAttributeNames)) {
        if (!ProjectionExpression.includes(name)) delete ExpressionAttributeNames[name];
      }
      const names = Object.keys(ExpressionAttributeNames).length ? { ExpressionAttributeNames } : {};
      await same("getItem", { TableName: "words", Key: key, ProjectionExpression, ...names });
    }
    const song = { p: { S: "a" }, n: { N: "-0.25" } };
    await same("putItem", { TableName: "songs", Item: { ...song, v: { N: "1" } } });
    await same("getItem", { TableName: "songs", Key: song });
    await same("deleteItem", { TableName: "words", Key: key, ReturnValues: "ALL_OLD" });
    assert.equal((await same("getItem", { TableName: "words", Key: key })).Item, undefined);
  },

  async updates() {
    const Key = { p: { S: "updated" } };
    for (const ReturnValues of ["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"]) {
      await same("putItem", { TableName: "words", Item: { ...Key, ...ITEM } });
      await same("updateItem", {
        TableName: "words",
        Key,
        UpdateExpression: "SET whole = whole + :n, #new = if_not_exists(#new, :s) REMOVE #m.x[0] ADD texts :t",
        ConditionExpression: "attribute_exists(p) AND (whole < :n OR size(texts) = :n)",
        ExpressionAttributeNames: { "#new": "new", "#m": "map" },
        ExpressionAttributeValues: { ":n": { N: "1" }, ":s": { S: "x" }, ":t": { SS: ["c"] } },
        ReturnValues,
      });
      await same("getItem", { TableName: "words", Key });
    }
  },

  async conditions() {
    const Item = { p: { S: "conditional" }, v: { N: "1.50" } };
    await same("putItem", { TableName: "words", Item });
    const refused = await same("putItem", {
      TableName: "words",
      Item,
      ConditionExpression: "attribute_not_exists(p) OR v IN (:a, :b)",
      ExpressionAttributeValues: { ":a": { N: "2" }, ":b": { N: "3" } },
    });
    assert.match(refused.error, /^ConditionalCheckFailedException: /);
    await same("deleteItem", {
      TableName: "words",
      Key: { p: Item.p },
      ConditionExpression: "NOT v BETWEEN :a AND :b",
      ExpressionAttributeValues: { ":a": { N: "2" }, ":b": { N: "3" } },
    });
  },

  async queries() {
    await fill();
    const ofQ = { TableName: "songs", KeyConditionExpression: "p = :p", ExpressionAttributeValues: { ":p": { S: "q" } } };
    await same("query", ofQ);
    await same("query", { ...ofQ, Select: "COUNT" });
    await same("query", { ...ofQ, ProjectionExpression: "v, n", ReturnConsumedCapacity: "TOTAL" });
    let page = await same("query", { ...ofQ, Limit: 2, ScanIndexForward: false });
    await same("query", { ...ofQ, Limit: 2, ScanIndexForward: false, ExclusiveStartKey: page.LastEvaluatedKey });
    const ofG = {
      TableName: "songs",
      IndexName: "by-g",
      KeyConditionExpression: "g = :g AND n BETWEEN :a AND :b",
      ExpressionAttributeValues: { ":g": { S: "g1" }, ":a": { N: "0.25" }, ":b": { N: "9" } },
      Limit: 2,
    };
    page = await same("query", ofG);
    assert.ok(page.LastEvaluatedKey);
    await same("query", { ...ofG, ExclusiveStartKey: page.LastEvaluatedKey });
    await same("query", { ...ofQ, FilterExpression: "v > :v AND begins_with(g, :g)",
      ExpressionAttributeValues: { ":p": { S: "q" }, ":v": { N: "1" }, ":g": { S: "g" } } });
  },

  async scans() {
    await fill();
    await same("scan", { TableName: "songs", ProjectionExpression: "v", TotalSegments: 2, Segment: 1 });
    await same("scan", { TableName: "songs", FilterExpression: "v > :v", ExpressionAttributeValues: { ":v": { N: "4" } } });
    const page = await same("scan", { TableName: "songs", IndexName: "by-g", Limit: 1 });
    await same("scan", { TableName: "songs", IndexName: "by-g", Limit: 1, ExclusiveStartKey: page.LastEvaluatedKey });
  },

  async batches() {
    await fill();
    await same("putItem", { TableName: "words", Item: { p: { S: "batched" }, ...ITEM } });
    const Keys = ["0.5", "99", "2"].map((n) => ({ p: { S: "q" }, n: { N: n } }));
    const RequestItems = {
      songs: { Keys },
      words: { Keys: [{ p: { S: "batched" } }, { p: { S: "absent" } }], ProjectionExpression: "whole, p" },
    };
    await same("batchGetItem", { RequestItems });
    await same("batchGetItem", { RequestItems });
    const writes = [{ DeleteRequest: { Key: Keys[0] } }, { PutRequest: { Item: Keys[1] } }];
    await same("batchWriteItem", { RequestItems: { songs: writes }, ReturnConsumedCapacity: "TOTAL" });
    await same("batchGetItem", { RequestItems: { songs: { Keys } } });
  },

  async transactions() {
    const one = { p: { S: "first" } };
    const two = { p: { S: "moved" }, n: { N: "1" } };
    const Put = { TableName: "words", Item: { ...one, v: { N: "1" } } };
    const Update = {
      TableName: "songs",
      Key: two,
      UpdateExpression: "SET v = :v",
      ExpressionAttributeValues: { ":v": { N: "1" } },
    };
    const ConditionCheck = { TableName: "words", Key: { p: { S: "no" } }, ConditionExpression: "attribute_not_exists(p)" };
    await same("transactWriteItems", {
      TransactItems: [{ Put }, { Update }, { ConditionCheck }],
      ReturnConsumedCapacity: "TOTAL",
    });
    const TransactItems = [
      { Get: { TableName: "words", Key: one } },
      { Get: { TableName: "songs", Key: two, ProjectionExpression: "v" } },
      { Get: { TableName: "words", Key: { p: { S: "no" } } } },
    ];
    await same("transactGetItems", { TransactItems, ReturnConsumedCapacity: "TOTAL" });
    const cancelled = await same("transactWriteItems", {
      TransactItems: [
        { Put: { ...Put, ConditionExpression: "attribute_not_exists(p)", ReturnValuesOnConditionCheckFailure: "ALL_OLD" } },
        { Delete: { TableName: "songs", Key: two } },
      ],
    });
    assert.match(cancelled.error, /^TransactionCanceledException: /);
  },

  async errors() {
    const missing = await outcome(dax, "getItem", { TableName: "absent", Key: { p: { S: "x" } } });
    assert.match(missing.error, /^ResourceNotFoundException: /);
    const Item = { p: { S: "large" }, v: { S: "x".repeat(410_000) } };
    const large = await same("putItem", { TableName: "words", Item });
    assert.match(large.error, /^ValidationException: /);
  },

  async document() {
    const document = new DaxDocument({ endpoint, region, credentials });
    const Item = { p: "document", v: [1, 2.5, { a: "b" }], s: new Set(["x"]) };
    await document.put({ TableName: "words", Item });
    assert.deepEqual((await document.get({ TableName: "words", Key: { p: "document" } })).Item, Item);
    const found = await document.query({
      TableName: "words",
      KeyConditionExpression: "p = :p",
      ExpressionAttributeValues: { ":p": "document" },
    });
    assert.equal(found.Count, 1);
  },
};

async function fill() {
  const songs = Array.from({ length: 8 }, (_, number) => ({
    PutRequest: {
      Item: { p: { S: "q" }, n: { N: `${number / 2}` }, g: { S: `g${number % 2}` }, v: { N: `${number}` } },
    },
  }));
  await same("batchWriteItem", { RequestItems: { songs } });
}

await createTables();
for (const name of process.argv.slice(2)) {
  let failure = null;
  try {
    await CASES[name]();
  } catch (error) {
    failure = `${error.stack ?? error}`;
  }
  console.log(JSON.stringify({ case: name, failure }));
}
process.exit(0);
