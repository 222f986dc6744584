// Puts, gets and queries a plain document through lib-dax. Prints the JSON line of the case.

import assert from "node:assert/strict";
import { DaxDocument } from "@amazon-dax-sdk/lib-dax";

const credentials = { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY };
const document = new DaxDocument({ endpoint: process.env.DAX_ENDPOINT, region: process.env.AWS_REGION, credentials });
const TableName = "p-s";

let failure = null;
try {
  const Item = { p: "document", v: [1, 2.5, { a: "b" }], s: new Set(["x"]) };
  await document.put({ TableName, Item });
  assert.deepEqual((await document.get({ TableName, Key: { p: "document" } })).Item, Item);
  const found = await document.query({
    TableName,
    KeyConditionExpression: "p = :p",
    ExpressionAttributeValues: { ":p": "document" },
  });
  assert.equal(found.Count, 1);
} catch (error) {
  failure = `${error.stack ?? error}`;
}
console.log(JSON.stringify({ case: process.argv[2], failure }));
process.exit(0);
