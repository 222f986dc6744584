// Asks DAX what stands in each line of the input: {"operation": "getItem", "request": {...}}, in DynamoDB's JSON.
// Prints a line for each: {"answer": {...}}, or {"error": {"name": ..., "message": ..., "reasons": [...]}}.

import { createInterface } from "node:readline";
import { Dax } from "@amazon-dax-sdk/client-dax";

const credentials = { accessKeyId: process.env.AWS_ACCESS_KEY_ID, secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY };
const dax = new Dax({ endpoint: process.env.DAX_ENDPOINT, region: process.env.AWS_REGION, credentials });

// A request as the client takes it: with bytes where JSON has base64.
function taken(value, name) {
  if (name === "B" && typeof value === "string") return Buffer.from(value, "base64");
  if (name === "BS" && Array.isArray(value)) return value.map((one) => Buffer.from(one, "base64"));
  if (Array.isArray(value)) return value.map((one) => taken(one));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([member, one]) => [member, taken(one, member)]));
}

// An answer as JSON has it.
function given(value) {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof Set || Array.isArray(value)) return [...value].map(given);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([member, one]) => [member, given(one)]));
}

for await (const line of createInterface({ input: process.stdin })) {
  const { operation, request } = JSON.parse(line);
  let outcome;
  try {
    const { $metadata, ...answer } = await dax[operation](taken(request));
    outcome = { answer: given(answer) };
  } catch (error) {
    const reasons = given(error.CancellationReasons ?? error.cancellationReasons ?? null);
    outcome = { error: { name: error.code ?? error.name, message: error.message, reasons } };
  }
  console.log(JSON.stringify(outcome));
}
process.exit(0);
