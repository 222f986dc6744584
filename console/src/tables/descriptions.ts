/** What pages want to know of a table's description. */
import {
  DescribeTableCommand,
  type DynamoDBClient,
  type KeySchemaElement,
  ListTablesCommand,
  type TableDescription,
} from "@aws-sdk/client-dynamodb";
import type { StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import { texts } from "../texts";

export type ScalarType = "S" | "N" | "B";
export interface Key {
  name: string;
  type: ScalarType;
}

const CHANGING = 1000;
/** Milliseconds after which the description of a table that changes is asked for again. */

export async function tableNames(client: DynamoDBClient, signal?: AbortSignal): Promise<string[]> {
  const names: string[] = [];
  let after: string | undefined;
  do {
    const page = await client.send(new ListTablesCommand({ ExclusiveStartTableName: after }), { abortSignal: signal });
    names.push(...(page.TableNames ?? []));
    after = page.LastEvaluatedTableName;
  } while (after !== undefined);
  return names;
}

export async function describe(client: DynamoDBClient, name: string, signal?: AbortSignal): Promise<TableDescription> {
  const answer = await client.send(new DescribeTableCommand({ TableName: name }), { abortSignal: signal });
  return answer.Table ?? {};
}

/** The keys of a kind, in their order. */
export function keys(table: TableDescription, schema: KeySchemaElement[] | undefined, kind: "HASH" | "RANGE"): Key[] {
  return (schema ?? [])
    .filter((element) => element.KeyType === kind)
    .map(({ AttributeName: name = "" }) => ({
      name,
      type: (table.AttributeDefinitions ?? []).find((one) => one.AttributeName === name)?.AttributeType ?? "S",
    }));
}

export function shownKeys(found: Key[]): string {
  return found.map(({ name, type }) => `${name} (${texts.types[type]})`).join(", ") || texts.none;
}

export function isChanging(table: TableDescription): boolean {
  const statuses = [
    table.TableStatus,
    ...(table.GlobalSecondaryIndexes ?? []).map((index) => index.IndexStatus),
    ...(table.Replicas ?? []).map((replica) => replica.ReplicaStatus),
  ];
  return statuses.some((status) => status !== "ACTIVE" && status !== undefined && !status.endsWith("ED"));
}

export function pollWhileChanging(table: TableDescription): number | undefined {
  return isChanging(table) ? CHANGING : undefined;
}

export function isOnDemand(table: TableDescription): boolean {
  return table.BillingModeSummary?.BillingMode === "PAY_PER_REQUEST";
}

export function shownMode(table: TableDescription): string {
  return isOnDemand(table) ? texts.create.onDemand : texts.create.provisioned;
}

const SETTLED = new Set(["ACTIVE", "ENABLED", "AVAILABLE", "COMPLETED"]);

export function shownStatus(status: string | undefined): { type: StatusIndicatorProps.Type; text: string } {
  const text = status === undefined ? texts.none : status[0] + status.slice(1).toLowerCase().replaceAll("_", " ");
  if (status !== undefined && SETTLED.has(status)) {
    return { type: "success", text };
  }
  if (status === undefined || status === "DISABLED") {
    return { type: "stopped", text };
  }
  return { type: status.includes("FAILED") || status.startsWith("INACC") ? "error" : "in-progress", text };
}

export function shownBytes(bytes: number | undefined): string {
  const units = ["bytes", "kilobytes", "megabytes", "gigabytes", "terabytes"];
  let size = bytes ?? 0;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit ? size.toFixed(1) : size} ${units[unit]}`;
}
