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
import { type Draft, useDraft } from "../drafts";
import { useSession } from "../session";
import { Setting } from "../setting";
import { texts } from "../texts";
import { type Capacity, CapacityFields, CapacityMode, NO_MOST, provisioned, WarmFields } from "./capacity-fields";
import { capacityOf, describe, isOnDemand, untilActive } from "./descriptions";
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

/** What is warm, and nothing else: another capacity makes no other form of this. */
function warmthOf(table: TableDescription): Capacities {
  const all = [[TABLE, table] as const, ...indexesOf(table).map((index) => [index.IndexName ?? "", index] as const)];
  return Object.fromEntries(
    all.map(([name, { WarmThroughput: warm }]) => [
      name,
      {
        ...capacityOf({}),
        warmRead: String(warm?.ReadUnitsPerSecond ?? ""),
        warmWrite: String(warm?.WriteUnitsPerSecond ?? ""),
      },
    ]),
  );
}

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

async function make(client: DynamoDBClient, name: string, changes: Change[]): Promise<void> {
  for (const [number, change] of changes.entries()) {
    if (number > 0) {
      await untilActive(client, name);
    }
    await client.send(new UpdateTableCommand({ TableName: name, ...change }));
  }
}

interface Form {
  onDemand: boolean;
  of: Capacities;
}

const formOf = (table: TableDescription): Form => ({ onDemand: isOnDemand(table), of: capacitiesOf(table) });

/** A form that is saved in steps. They are chosen by what the table has then, not by what it had when it was loaded. */
function Changes<T>(
  props: TabProps & {
    title: string;
    about: string;
    draft: Draft<T>;
    changes: (table: TableDescription, draft: Draft<T>) => Change[];
    children: React.ReactNode;
  },
) {
  const { table, refresh, title, about, draft, changes, children } = props;
  const { clients } = useSession();
  const name = table.TableName ?? "";
  return (
    <Setting
      title={title}
      about={about}
      action={texts.settings.save(title)}
      disabled={changes(table, draft).length === 0}
      act={async () => make(clients.dynamodb, name, changes(await describe(clients.dynamodb, name), draft))}
      refresh={refresh}
      draft={draft}
    >
      {children}
    </Setting>
  );
}

export function CapacitySettings(props: TabProps) {
  const draft = useDraft(formOf(props.table));
  const { onDemand, of } = draft.value;
  return (
    <Changes
      {...props}
      title={texts.settings.capacity}
      about={texts.settings.capacityAbout}
      draft={draft}
      changes={(table, { over }) => {
        const wanted = over(formOf(table));
        return capacityChanges(table, wanted.onDemand, wanted.of);
      }}
    >
      <CapacityMode
        label={texts.settings.capacity}
        onDemand={onDemand}
        change={(changed) => draft.change({ ...draft.value, onDemand: changed })}
      />
      {Object.entries(of).map(([name, capacity]) => (
        <CapacityFields
          key={name}
          of={name}
          onDemand={onDemand}
          value={capacity}
          change={(changed) => draft.change({ onDemand, of: { ...of, [name]: changed } })}
        />
      ))}
    </Changes>
  );
}

export function WarmSettings(props: TabProps) {
  const draft = useDraft(warmthOf(props.table));
  return (
    <Changes
      {...props}
      title={texts.create.warm}
      about={texts.settings.warmAbout}
      draft={draft}
      changes={(table, { over }) => warmChanges(table, over(warmthOf(table)))}
    >
      {Object.entries(draft.value).map(([name, capacity]) => (
        <WarmFields
          key={name}
          of={name}
          value={capacity}
          change={(changed) => draft.change({ ...draft.value, [name]: changed })}
        />
      ))}
    </Changes>
  );
}
