/** The capacity of a table and of each global index, and what of it is warm, as UpdateTable changes them. */
import {
  type DynamoDBClient,
  type GlobalSecondaryIndexUpdate,
  type OnDemandThroughput,
  type TableDescription,
  UpdateTableCommand,
  type UpdateTableCommandInput,
  type WarmThroughput,
} from "@aws-sdk/client-dynamodb";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { useAction } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import { type Capacity, CapacityFields, CapacityMode, NO_MOST, provisioned, WarmFields } from "./capacity-fields";
import { capacityOf, isOnDemand, untilActive } from "./descriptions";
import type { TabProps } from "./details";

type Change = Omit<UpdateTableCommandInput, "TableName">;
type Capacities = Record<string, Capacity>;
const TABLE = "";
/** In a record of capacities, what an index's name is for the table itself. */

const indexesOf = (table: TableDescription) => table.GlobalSecondaryIndexes ?? [];

function capacitiesOf(table: TableDescription): Capacities {
  const indexes = indexesOf(table).map((index) => [index.IndexName ?? "", capacityOf(index)] as const);
  return { [TABLE]: capacityOf(table), ...Object.fromEntries(indexes) };
}

function warmthOf(table: TableDescription): Capacities {
  const all = [[TABLE, table] as const, ...indexesOf(table).map((index) => [index.IndexName ?? "", index] as const)];
  return Object.fromEntries(
    all.map(([name, { WarmThroughput: warm, ...of }]) => [
      name,
      {
        ...capacityOf(of),
        warmRead: String(warm?.ReadUnitsPerSecond ?? ""),
        warmWrite: String(warm?.WriteUnitsPerSecond ?? ""),
      },
    ]),
  );
}

/** Changes when the table has another capacity than a form began with. */
export const capacityKey = (table: TableDescription): string => JSON.stringify([isOnDemand(table), capacitiesOf(table)]);
export const warmKey = (table: TableDescription): string => JSON.stringify(warmthOf(table));

/** The maximums that differ; one that was taken away is sent as such. */
function changedMaximums(now: Capacity, wanted: Capacity): OnDemandThroughput | undefined {
  const number = (text: string) => (text ? Number(text) : NO_MOST);
  const changed = {
    ...(now.mostRead === wanted.mostRead ? {} : { MaxReadRequestUnits: number(wanted.mostRead) }),
    ...(now.mostWrite === wanted.mostWrite ? {} : { MaxWriteRequestUnits: number(wanted.mostWrite) }),
  };
  return Object.keys(changed).length ? changed : undefined;
}

function changedWarmth(now: Capacity, wanted: Capacity): WarmThroughput | undefined {
  const changed = {
    ...(now.warmRead === wanted.warmRead ? {} : { ReadUnitsPerSecond: Number(wanted.warmRead) }),
    ...(now.warmWrite === wanted.warmWrite ? {} : { WriteUnitsPerSecond: Number(wanted.warmWrite) }),
  };
  return Object.keys(changed).length ? changed : undefined;
}

/** What UpdateTable is asked, one request after the other: it makes only some changes together. */
function capacityChanges(table: TableDescription, onDemand: boolean, wanted: Capacities): Change[] {
  const now = capacitiesOf(table);
  const switches = onDemand !== isOnDemand(table);
  const names = Object.keys(now).filter((name) => name !== TABLE);
  const update = (name: string, members: object): GlobalSecondaryIndexUpdate => ({
    Update: { IndexName: name, ...members },
  });
  const of = (capacities: Capacities, name: string) => capacities[name] as Capacity;
  if (onDemand) {
    const before = switches ? { ...of(now, TABLE), mostRead: "", mostWrite: "" } : of(now, TABLE);
    const most = changedMaximums(before, of(wanted, TABLE));
    const indexes = names.flatMap((name) => {
      const changed = changedMaximums(of(now, name), of(wanted, name));
      return changed ? [update(name, { OnDemandThroughput: changed })] : [];
    });
    return [
      ...(switches ? [{ BillingMode: "PAY_PER_REQUEST" as const, ...(most ? { OnDemandThroughput: most } : {}) }] : []),
      ...(!switches && most ? [{ OnDemandThroughput: most }] : []),
      ...(indexes.length ? [{ GlobalSecondaryIndexUpdates: indexes }] : []),
    ];
  }
  const differs = (name: string) =>
    switches || of(now, name).read !== of(wanted, name).read || of(now, name).write !== of(wanted, name).write;
  const indexes = names
    .filter(differs)
    .map((name) => update(name, { ProvisionedThroughput: provisioned(of(wanted, name)) }));
  const change = {
    ...(switches ? { BillingMode: "PROVISIONED" as const } : {}),
    ...(differs(TABLE) ? { ProvisionedThroughput: provisioned(of(wanted, TABLE)) } : {}),
    ...(indexes.length ? { GlobalSecondaryIndexUpdates: indexes } : {}),
  };
  return Object.keys(change).length ? [change] : [];
}

function warmChanges(table: TableDescription, wanted: Capacities): Change[] {
  const now = warmthOf(table);
  const changed = (name: string) => changedWarmth(now[name] as Capacity, wanted[name] as Capacity);
  const own = changed(TABLE);
  const indexes = Object.keys(now).flatMap((name) => {
    const units = name === TABLE ? undefined : changed(name);
    return units ? [{ Update: { IndexName: name, WarmThroughput: units } }] : [];
  });
  return [
    ...(own ? [{ WarmThroughput: own }] : []),
    ...(indexes.length ? [{ GlobalSecondaryIndexUpdates: indexes }] : []),
  ];
}

async function make(client: DynamoDBClient, name: string | undefined, changes: Change[]): Promise<void> {
  for (const [number, change] of changes.entries()) {
    if (number > 0) {
      await untilActive(client, name ?? "");
    }
    await client.send(new UpdateTableCommand({ TableName: name, ...change }));
  }
}

function Changes(props: TabProps & { title: string; about: string; changes: Change[]; children: React.ReactNode }) {
  const { table, refresh, title, about, changes, children } = props;
  const { clients } = useSession();
  const tell = useTell();
  const saving = useAction(async () => {
    try {
      await make(clients.dynamodb, table.TableName, changes);
      tell("success", texts.saved);
    } finally {
      refresh();
    }
  });
  return (
    <Container
      header={
        <Header
          variant="h2"
          description={about}
          actions={
            <Button disabled={!changes.length} loading={saving.running} onClick={() => void saving.start()}>
              {texts.settings.save(title)}
            </Button>
          }
        >
          {title}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Refusal error={saving.error} />
        {children}
      </SpaceBetween>
    </Container>
  );
}

export function CapacitySettings(props: TabProps) {
  const { table } = props;
  const [onDemand, setOnDemand] = useState(isOnDemand(table));
  const [wanted, setWanted] = useState(() => capacitiesOf(table));
  return (
    <Changes
      {...props}
      title={texts.settings.capacity}
      about={texts.settings.capacityAbout}
      changes={capacityChanges(table, onDemand, wanted)}
    >
      <CapacityMode label={texts.settings.capacity} onDemand={onDemand} change={setOnDemand} />
      {Object.entries(wanted).map(([name, capacity]) => (
        <CapacityFields
          key={name}
          of={name}
          onDemand={onDemand}
          value={capacity}
          change={(changed) => setWanted({ ...wanted, [name]: changed })}
        />
      ))}
    </Changes>
  );
}

export function WarmSettings(props: TabProps) {
  const [wanted, setWanted] = useState(() => warmthOf(props.table));
  return (
    <Changes
      {...props}
      title={texts.create.warm}
      about={texts.settings.warmAbout}
      changes={warmChanges(props.table, wanted)}
    >
      {Object.entries(wanted).map(([name, capacity]) => (
        <WarmFields
          key={name}
          of={name}
          value={capacity}
          change={(changed) => setWanted({ ...wanted, [name]: changed })}
        />
      ))}
    </Changes>
  );
}
