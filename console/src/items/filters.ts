/** From a form to the expressions of Scan and Query. */
import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import { scalar } from "../attributes/values";
import type { Key } from "../tables/descriptions";

export type ScalarOf = "S" | "N" | "B" | "BOOL" | "NULL";
export const SCALARS: ScalarOf[] = ["S", "N", "B", "BOOL", "NULL"];
export const FILTERS = [
  "=",
  "<>",
  "<=",
  "<",
  ">=",
  ">",
  "between",
  "attribute_exists",
  "attribute_not_exists",
  "contains",
  "not_contains",
  "begins_with",
];
export const SORT_CONDITIONS = ["=", "<=", "<", ">=", ">", "between", "begins_with"];

export interface Condition {
  id: number;
  name: string;
  type: ScalarOf;
  operator: string;
  first: string;
  second: string;
}

export const takesNoValue = (operator: string): boolean => operator.startsWith("attribute_");

/** Names and values that expressions stand for, as they are needed. */
export class Placeholders {
  readonly names: Record<string, string> = {};
  readonly values: Record<string, AttributeValue> = {};

  name(name: string): string {
    const known = Object.entries(this.names).find(([, one]) => one === name);
    const short = known?.[0] ?? `#n${Object.keys(this.names).length}`;
    this.names[short] = name;
    return short;
  }

  value(value: AttributeValue): string {
    const short = `:v${Object.keys(this.values).length}`;
    this.values[short] = value;
    return short;
  }

  /** The members of a request; none that is empty. */
  get members() {
    return {
      ...(Object.keys(this.names).length ? { ExpressionAttributeNames: this.names } : {}),
      ...(Object.keys(this.values).length ? { ExpressionAttributeValues: this.values } : {}),
    };
  }
}

/** Throws an error for a value that is not Base64. */
export function expression(condition: Omit<Condition, "id">, placeholders: Placeholders): string {
  const { operator, type } = condition;
  const name = placeholders.name(condition.name);
  const value = (text: string) => placeholders.value(scalar(type, text));
  if (takesNoValue(operator)) {
    return `${operator}(${name})`;
  }
  if (operator === "between") {
    return `${name} BETWEEN ${value(condition.first)} AND ${value(condition.second)}`;
  }
  if (operator === "not_contains") {
    return `NOT contains(${name}, ${value(condition.first)})`;
  }
  if (operator === "contains" || operator === "begins_with") {
    return `${operator}(${name}, ${value(condition.first)})`;
  }
  return `${name} ${operator} ${value(condition.first)}`;
}

export interface SortCondition {
  operator: string;
  first: string;
  second: string;
}

export interface KeyCondition {
  partitions: string[];
  /** One for each attribute of the sort key; one without a value is left out. */
  sorts: (SortCondition | undefined)[];
}

export const NO_SORT: SortCondition = { operator: "=", first: "", second: "" };

/** The condition on the keys of a table or an index. */
export function keyExpression(
  partition: Key[],
  sort: Key[],
  condition: KeyCondition,
  placeholders: Placeholders,
): string {
  const parts = partition.map((key, number) => {
    const first = condition.partitions[number] ?? "";
    return expression({ ...key, operator: "=", first, second: "" }, placeholders);
  });
  for (const [number, key] of sort.entries()) {
    const { operator, first, second } = condition.sorts[number] ?? NO_SORT;
    if (first) {
      parts.push(expression({ ...key, operator, first, second }, placeholders));
    }
  }
  return parts.join(" AND ");
}
