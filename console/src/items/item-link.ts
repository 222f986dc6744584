/** The address of an item's page: the key is part of it, as DynamoDB's JSON. */
import { fromDynamodbJson, type Item, jsonReplacer } from "../attributes/values";

export type Mode = "create" | "edit" | "duplicate";

export function itemPath(table: string, mode: Mode, key?: Item): string {
  const query = new URLSearchParams({ mode });
  if (key) {
    query.set("key", JSON.stringify(key, jsonReplacer));
  }
  return `/dynamodb/item/${encodeURIComponent(table)}?${query.toString()}`;
}

/** Throws SyntaxError for a key that is none. */
export function keyOf(text: string | null): Item | undefined {
  return text === null ? undefined : fromDynamodbJson(text);
}
