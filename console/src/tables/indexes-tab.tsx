import { type GlobalSecondaryIndexDescription, UpdateTableCommand } from "@aws-sdk/client-dynamodb";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import { useState } from "react";
import { Dialog } from "../dialog";
import { useAction } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import type { TabProps } from "./details";
import { capacityMembers, USUAL_CAPACITY, warmMembers } from "./capacity-fields";
import { capacityOf, isOnDemand, keys, shownBytes, shownCapacity, shownKeys, shownWarm } from "./descriptions";
import { definitionOf, definitions, IndexForm, newIndex } from "./index-form";
import { Status } from "./status";

const OF_GLOBAL = new Set(["status", "capacity", "warm"]);
/** Columns of what a local index has from its table. */
type Index = GlobalSecondaryIndexDescription;
/** A local one has some of its members. */

export function IndexesTab({ table, refresh }: TabProps) {
  const { clients } = useSession();
  const tell = useTell();
  const [selected, setSelected] = useState<Index[]>([]);
  const [creates, setCreates] = useState(false);
  // An index that is gone is no longer selected.
  const chosen = (table.GlobalSecondaryIndexes ?? []).filter(({ IndexName }) => IndexName === selected[0]?.IndexName);
  const deleting = useAction(async () => {
    for (const index of chosen) {
      await clients.dynamodb.send(
        new UpdateTableCommand({
          TableName: table.TableName,
          GlobalSecondaryIndexUpdates: [{ Delete: { IndexName: index.IndexName } }],
        }),
      );
      tell("success", texts.indexes.deleted(index.IndexName ?? ""));
    }
    await refresh();
  });
  const columns: TableProps.ColumnDefinition<Index>[] = [
    { id: "name", header: texts.list.name, isRowHeader: true, cell: (index) => index.IndexName },
    {
      id: "status",
      header: texts.list.status,
      cell: (index) =>
        "IndexStatus" in index ? (
          <>
            <Status status={index.IndexStatus} /> {index.Backfilling && texts.indexes.backfilling}
          </>
        ) : (
          texts.none
        ),
    },
    {
      id: "partition",
      header: texts.list.partitionKey,
      cell: (index) => shownKeys(keys(table, index.KeySchema, "HASH")),
    },
    { id: "sort", header: texts.list.sortKey, cell: (index) => shownKeys(keys(table, index.KeySchema, "RANGE")) },
    {
      id: "projection",
      header: texts.create.projection,
      cell: ({ Projection }) =>
        [Projection?.ProjectionType, ...(Projection?.NonKeyAttributes ?? [])].join(", ").replaceAll("_", " "),
    },
    {
      id: "capacity",
      header: texts.indexes.capacity,
      cell: (index) => shownCapacity(index, isOnDemand(table)),
    },
    { id: "warm", header: texts.create.warm, cell: (index) => shownWarm(index) },
    { id: "size", header: texts.list.size, cell: (index) => shownBytes(index.IndexSizeBytes) },
    { id: "items", header: texts.list.items, cell: (index) => index.ItemCount },
  ];
  const empty = <Box textAlign="center">{texts.indexes.empty}</Box>;
  return (
    <SpaceBetween size="l">
      <Refusal error={deleting.error} />
      <Table<Index>
        trackBy="IndexName"
        selectionType="single"
        selectedItems={chosen}
        onSelectionChange={({ detail }) => setSelected(detail.selectedItems)}
        items={table.GlobalSecondaryIndexes ?? []}
        columnDefinitions={columns}
        empty={empty}
        ariaLabels={{
          selectionGroupLabel: texts.indexes.globalTitle,
          itemSelectionLabel: (_, index) => `${texts.create.indexName}: ${index.IndexName}`,
        }}
        header={
          <Header
            variant="h2"
            counter={`(${table.GlobalSecondaryIndexes?.length ?? 0})`}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button
                  disabled={!chosen.length}
                  loading={deleting.running}
                  onClick={() => void deleting.start()}
                >
                  {texts.delete}
                </Button>
                <Button variant="primary" onClick={() => setCreates(true)}>
                  {texts.indexes.create}
                </Button>
              </SpaceBetween>
            }
          >
            {texts.indexes.globalTitle}
          </Header>
        }
      />
      <Table<Index>
        items={table.LocalSecondaryIndexes ?? []}
        columnDefinitions={columns.filter(({ id = "" }) => !OF_GLOBAL.has(id))}
        empty={empty}
        header={
          <Header variant="h2" counter={`(${table.LocalSecondaryIndexes?.length ?? 0})`}>
            {texts.indexes.localTitle}
          </Header>
        }
      />
      {creates && (
        <CreateIndex
          table={table}
          dismiss={() => setCreates(false)}
          done={() => {
            setCreates(false);
            void refresh();
          }}
        />
      )}
    </SpaceBetween>
  );
}

function CreateIndex({ table, dismiss, done }: { table: TabProps["table"]; dismiss: () => void; done: () => void }) {
  const { clients } = useSession();
  const tell = useTell();
  const [index, setIndex] = useState(() => newIndex(false));
  const create = async () => {
    const known = keys(table, table.KeySchema, "HASH").concat(keys(table, table.KeySchema, "RANGE"));
    await clients.dynamodb.send(
      new UpdateTableCommand({
        TableName: table.TableName,
        AttributeDefinitions: definitions([...known, ...index.partition, ...index.sort]),
        GlobalSecondaryIndexUpdates: [
          {
            Create: {
              ...definitionOf(index, { name: "", type: "S" }),
              ...capacityMembers(index.capacity ?? capacityOf(table), isOnDemand(table)),
              ...warmMembers(index.capacity ?? USUAL_CAPACITY),
            },
          },
        ],
      }),
    );
    tell("success", texts.indexes.created(index.name));
    done();
  };
  return (
    <Dialog
      title={texts.indexes.create}
      submit={texts.indexes.create}
      disabled={!index.name || !index.partition[0]?.name}
      dismiss={dismiss}
      act={create}
    >
      <IndexForm index={index} onDemand={isOnDemand(table)} change={setIndex} />
    </Dialog>
  );
}
