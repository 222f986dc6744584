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
import { type Capacity, USUAL_CAPACITY } from "./capacity-fields";

export type ScalarType = "S" | "N" | "B";
export interface Key {
  name: string;
  type: ScalarType;
}

export const CHANGING = 1000;
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

/** Statuses in which nothing goes on: they change when somebody does something. */
const KINDS: Record<string, StatusIndicatorProps.Type> = {
  ACTIVE: "success",
  ENABLED: "success",
  AVAILABLE: "success",
  COMPLETED: "success",
  COMPLETED_WITH_ERRORS: "warning",
  DISABLED: "stopped",
  CANCELLED: "stopped",
  ARCHIVED: "stopped",
  FAILED: "error",
  CREATION_FAILED: "error",
  REGION_DISABLED: "error",
  INACCESSIBLE_ENCRYPTION_CREDENTIALS: "error",
  REPLICATION_NOT_AUTHORIZED: "error",
};

export const isSettled = (status: string | undefined): boolean => status === undefined || status in KINDS;

export function isChanging(table: TableDescription): boolean {
  const statuses = [
    table.TableStatus,
    table.SSEDescription?.Status,
    ...(table.GlobalSecondaryIndexes ?? []).map((index) => index.IndexStatus),
    ...(table.Replicas ?? []).map((replica) => replica.ReplicaStatus),
  ];
  return !statuses.every(isSettled);
}

export function pollWhileChanging(table: TableDescription): number | undefined {
  return isChanging(table) ? CHANGING : undefined;
}

const WAIT = 250;
const MOST_WAITS = 240;
/** A minute, in milliseconds and their number. */

/** Wait until a table can be changed again. */
export async function untilActive(client: DynamoDBClient, name: string): Promise<void> {
  for (let waits = 0; waits < MOST_WAITS; waits += 1) {
    if ((await describe(client, name)).TableStatus === "ACTIVE") {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, WAIT));
  }
}

export function isOnDemand(table: TableDescription): boolean {
  return table.BillingModeSummary?.BillingMode === "PAY_PER_REQUEST";
}

export function shownMode(table: TableDescription): string {
  return isOnDemand(table) ? texts.create.onDemand : texts.create.provisioned;
}

type Throughputs = Pick<TableDescription, "ProvisionedThroughput" | "OnDemandThroughput" | "WarmThroughput">;

/** The throughput of a table or an index that is there, for a form. */
export function capacityOf(described: Throughputs): Capacity {
  const { ProvisionedThroughput: units, OnDemandThroughput: most } = described;
  const text = (number: number | undefined) => (number && number > 0 ? String(number) : "");
  return {
    read: text(units?.ReadCapacityUnits) || USUAL_CAPACITY.read,
    write: text(units?.WriteCapacityUnits) || USUAL_CAPACITY.write,
    mostRead: text(most?.MaxReadRequestUnits),
    mostWrite: text(most?.MaxWriteRequestUnits),
    warmRead: "",
    warmWrite: "",
  };
}

export function shownCapacity(described: Throughputs, onDemand: boolean): string {
  const { read, write, mostRead, mostWrite } = capacityOf(described);
  return onDemand
    ? texts.details.maximums(mostRead || texts.details.unlimited, mostWrite || texts.details.unlimited)
    : texts.details.units(read, write);
}

export function shownWarm({ WarmThroughput: warm }: { WarmThroughput?: TableDescription["WarmThroughput"] }): string {
  return warm ? texts.details.units(String(warm.ReadUnitsPerSecond), String(warm.WriteUnitsPerSecond)) : texts.none;
}

export function shownStatus(status: string | undefined): { type: StatusIndicatorProps.Type; text: string } {
  const text = status === undefined ? texts.none : status[0] + status.slice(1).toLowerCase().replaceAll("_", " ");
  return { type: status === undefined ? "stopped" : (KINDS[status] ?? "in-progress"), text };
}

export function shownBytes(bytes: number | undefined): string {
  let size = bytes ?? 0;
  if (size < 1024) {
    return texts.bytes(size);
  }
  let unit = 0;
  size /= 1024;
  while (size >= 1024 && unit < texts.sizes.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size.toFixed(1)} ${texts.sizes[unit]}`;
}
