/** What a replica has of its own: its table class, and the read capacity of it and of each of its global indexes. */
import {
  type ReplicaDescription,
  type TableClass,
  type TableDescription,
  UpdateTableCommand,
} from "@aws-sdk/client-dynamodb";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { Dialog } from "../dialog";
import { useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import { NO_MOST } from "./capacity-fields";
import { isOnDemand } from "./descriptions";
import { ClassChoice } from "./table-class";

type Overrides = Pick<ReplicaDescription, "ProvisionedThroughputOverride" | "OnDemandThroughputOverride">;
type Throughputs = Pick<TableDescription, "ProvisionedThroughput" | "OnDemandThroughput">;

export interface Own {
  tableClass: TableClass;
  /** Texts of input fields by the index's name; an empty one is for what the table has. */
  reads: Record<string, string>;
}
const TABLE = "";
/** In a record of reads, what an index's name is for the table itself. */

const indexesOf = (table: TableDescription) => table.GlobalSecondaryIndexes ?? [];

function readOf({ ProvisionedThroughputOverride: units, OnDemandThroughputOverride: most }: Overrides = {}): string {
  return String(units?.ReadCapacityUnits ?? most?.MaxReadRequestUnits ?? "");
}

/** What a replica has, or a new one would have, of its own. */
export function ownOf(table: TableDescription, replica: ReplicaDescription | undefined): Own {
  const described = (name: string) => replica?.GlobalSecondaryIndexes?.find(({ IndexName }) => IndexName === name);
  const indexes = indexesOf(table).map(({ IndexName = "" }) => [IndexName, readOf(described(IndexName))]);
  const summary = replica ? replica.ReplicaTableClassSummary : table.TableClassSummary;
  return {
    tableClass: summary?.TableClass ?? "STANDARD",
    reads: { [TABLE]: readOf(replica), ...Object.fromEntries(indexes) },
  };
}

/** The read capacity of each that has its own, for people. */
export function shownReads(table: TableDescription, replica: ReplicaDescription): string {
  const own = Object.entries(ownOf(table, replica).reads).filter(([, units]) => units);
  return own.map(([name, units]) => texts.global.ownRead(name, units)).join(", ") || texts.global.asTable;
}

function override(units: string, { ProvisionedThroughput: provisioned, OnDemandThroughput: most }: Throughputs, onDemand: boolean) {
  return onDemand
    ? { OnDemandThroughputOverride: { MaxReadRequestUnits: Number(units || (most?.MaxReadRequestUnits ?? NO_MOST)) } }
    : { ProvisionedThroughputOverride: { ReadCapacityUnits: Number(units || provisioned?.ReadCapacityUnits) } };
}

/** The members of a request that make of what a replica has what is wanted. */
export function overrides(table: TableDescription, now: Own, wanted: Own) {
  const onDemand = isOnDemand(table);
  const changed = (name: string, of: Throughputs) =>
    now.reads[name] === wanted.reads[name] ? {} : override(wanted.reads[name] ?? "", of, onDemand);
  const indexes = indexesOf(table)
    .map((index) => ({ IndexName: index.IndexName, ...changed(index.IndexName ?? "", index) }))
    .filter((members) => Object.keys(members).length > 1);
  return {
    ...changed(TABLE, table),
    ...(indexes.length ? { GlobalSecondaryIndexes: indexes } : {}),
    ...(now.tableClass === wanted.tableClass ? {} : { TableClassOverride: wanted.tableClass }),
  };
}

export function OwnFields(props: { table: TableDescription; value: Own; change: (value: Own) => void }) {
  const { table, value, change } = props;
  const onDemand = isOnDemand(table);
  const label = onDemand ? texts.global.mostRead : texts.create.read;
  return (
    <SpaceBetween size="m">
      <FormField label={texts.create.tableClass}>
        <ClassChoice value={value.tableClass} change={(tableClass) => change({ ...value, tableClass })} />
      </FormField>
      {Object.entries(value.reads).map(([name, units]) => (
        <FormField
          key={name}
          label={name ? `${name}: ${label}` : label}
          constraintText={onDemand ? texts.global.mostReadAbout : texts.global.readAbout}
        >
          <Input
            type="number"
            value={units}
            onChange={({ detail }) => change({ ...value, reads: { ...value.reads, [name]: detail.value } })}
          />
        </FormField>
      ))}
    </SpaceBetween>
  );
}

export function EditReplica(props: {
  table: TableDescription;
  replica: ReplicaDescription;
  dismiss: () => void;
  done: () => void;
}) {
  const { table, replica } = props;
  const { clients } = useSession();
  const tell = useTell();
  const [now] = useState(() => ownOf(table, replica));
  const [wanted, setWanted] = useState(now);
  const members = overrides(table, now, wanted);
  return (
    <Dialog
      title={texts.global.editTitle(replica.RegionName ?? "")}
      submit={texts.save}
      disabled={Object.keys(members).length === 0}
      dismiss={props.dismiss}
      act={async () => {
        const update = { RegionName: replica.RegionName, ...members };
        await clients.dynamodb.send(
          new UpdateTableCommand({ TableName: table.TableName, ReplicaUpdates: [{ Update: update }] }),
        );
        tell("success", texts.saved);
        props.done();
      }}
    >
      <OwnFields table={table} value={wanted} change={setWanted} />
    </Dialog>
  );
}
