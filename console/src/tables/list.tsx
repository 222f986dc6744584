import { DeleteTableCommand, ResourceNotFoundException, type TableDescription } from "@aws-sdk/client-dynamodb";
import { useCollection } from "@cloudscape-design/collection-hooks";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import CollectionPreferences from "@cloudscape-design/components/collection-preferences";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import Pagination from "@cloudscape-design/components/pagination";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useEffect, useMemo, useRef, useState } from "react";
import { useNavigate } from "react-router-dom";
import { useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import { ConfirmedDelete } from "./confirmed-delete";
import { describe, isChanging, keys, shownBytes, shownKeys, shownMode, tableNames } from "./descriptions";
import { Status } from "./status";

const PAGE = 20;
const CHANGING = 1000;
const SIZES = [10, 20, 50, 100];
const PREFERENCES = "jedlik.tables";
const FAVOURITES = "jedlik.favourites";

interface Preferences {
  pageSize: number;
  hidden: string[];
}

function storedPreferences(): Preferences {
  const found = localStorage.getItem(PREFERENCES);
  return found === null ? { pageSize: PAGE, hidden: [] } : (JSON.parse(found) as Preferences);
}

interface Row {
  name: string;
  table: TableDescription | undefined;
}

function useFavourites(): [Set<string>, (name: string) => void] {
  const [favourites, setFavourites] = useState(
    () => new Set<string>(JSON.parse(localStorage.getItem(FAVOURITES) ?? "[]") as string[]),
  );
  const turn = (name: string) =>
    setFavourites((before) => {
      const after = new Set(before);
      if (!after.delete(name)) {
        after.add(name);
      }
      localStorage.setItem(FAVOURITES, JSON.stringify([...after]));
      return after;
    });
  return [favourites, turn];
}

const isGone = (error: unknown): boolean => error instanceof ResourceNotFoundException;

/** All tables of the region. Only the tables of the page that is shown are described. */
export default function TableList() {
  const { clients } = useSession();
  const navigate = useNavigate();
  const tell = useTell();
  const names = useLoaded((signal) => tableNames(clients.dynamodb, signal), [clients]);
  const [described, setDescribed] = useState<Record<string, TableDescription>>({});
  const [asksToDelete, setAsksToDelete] = useState<string[]>([]);
  const [favourites, turnFavourite] = useFavourites();
  const [preferences, setPreferences] = useState(storedPreferences);
  const rows: Row[] = useMemo(() => {
    const all = (names.value ?? []).map((name) => ({ name, table: described[name] }));
    return all.sort((one, other) => Number(favourites.has(other.name)) - Number(favourites.has(one.name)));
  }, [names.value, described, favourites]);
  const { items, filterProps, paginationProps, collectionProps, actions, filteredItemsCount } = useCollection(rows, {
    filtering: {
      fields: ["name"],
      empty: <Nothing title={texts.list.empty} about={texts.list.emptyAbout} />,
      noMatch: (
        <SpaceBetween size="m" alignItems="center">
          <Nothing title={texts.list.noMatch} />
          <Button onClick={() => actions.setFiltering("")}>{texts.list.clear}</Button>
        </SpaceBetween>
      ),
    },
    pagination: { pageSize: preferences.pageSize },
    sorting: {},
    selection: { keepSelection: true, trackBy: "name" },
  });
  // Tables that are gone are no longer selected.
  const present = useMemo(() => new Set(names.value), [names.value]);
  const selected = (collectionProps.selectedItems ?? []).filter(({ name }) => present.has(name));
  const visible = items.map(({ name }) => name).join(" ");
  const [turn, setTurn] = useState(0);
  const refresh = () => {
    setTurn((number) => number + 1);
    void names.refresh();
  };
  const refreshNames = useRef(names.refresh);
  refreshNames.current = names.refresh;
  useEffect(() => {
    const abort = new AbortController();
    let timer: number | undefined;
    const wanted = visible ? visible.split(" ") : [];
    void Promise.allSettled(wanted.map((name) => describe(clients.dynamodb, name, abort.signal))).then((found) => {
      if (abort.signal.aborted) {
        return;
      }
      const tables = found.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      setDescribed((before) => ({
        ...before,
        ...Object.fromEntries(tables.map((table) => [table.TableName ?? "", table])),
      }));
      if (found.some((one) => one.status === "rejected" && isGone(one.reason))) {
        void refreshNames.current();
      } else if (tables.some(isChanging)) {
        // The names are not listed again: there may be a hundred pages of them.
        timer = window.setTimeout(() => setTurn((number) => number + 1), CHANGING);
      }
    });
    return () => {
      abort.abort();
      window.clearTimeout(timer);
    };
  }, [visible, turn, clients]);
  const columns: TableProps.ColumnDefinition<Row>[] = [
    {
      id: "favourite",
      header: texts.list.favourite,
      cell: ({ name }) => (
        <Button
          variant="inline-icon"
          iconName={favourites.has(name) ? "star-filled" : "star"}
          ariaLabel={`${favourites.has(name) ? texts.list.isFavourite : texts.list.noFavourite}: ${name}`}
          onClick={() => turnFavourite(name)}
        />
      ),
    },
    {
      id: "name",
      header: texts.list.name,
      sortingField: "name",
      isRowHeader: true,
      cell: ({ name }) => <Link href={`#/dynamodb/tables/${encodeURIComponent(name)}`}>{name}</Link>,
    },
    { id: "status", header: texts.list.status, cell: ({ table }) => table && <Status status={table.TableStatus} /> },
    {
      id: "partitionKey",
      header: texts.list.partitionKey,
      cell: ({ table }) => table && shownKeys(keys(table, table.KeySchema, "HASH")),
    },
    {
      id: "sortKey",
      header: texts.list.sortKey,
      cell: ({ table }) => table && shownKeys(keys(table, table.KeySchema, "RANGE")),
    },
    {
      id: "indexes",
      header: texts.list.indexes,
      cell: ({ table }) =>
        table && (table.GlobalSecondaryIndexes?.length ?? 0) + (table.LocalSecondaryIndexes?.length ?? 0),
    },
    {
      id: "replicas",
      header: texts.list.replicas,
      cell: ({ table }) => table && (table.Replicas?.map((replica) => replica.RegionName).join(", ") || texts.none),
    },
    {
      id: "protection",
      header: texts.list.deletionProtection,
      cell: ({ table }) => table && (table.DeletionProtectionEnabled ? texts.streams.on : texts.streams.off),
    },
    { id: "mode", header: texts.list.mode, cell: ({ table }) => table && shownMode(table) },
    { id: "size", header: texts.list.size, cell: ({ table }) => table && shownBytes(table.TableSizeBytes) },
    { id: "items", header: texts.list.items, cell: ({ table }) => table && table.ItemCount },
  ];
  return (
    <>
      <Refusal error={names.error} retry={refresh} />
      <Table<Row>
        {...collectionProps}
        selectedItems={selected}
        items={items}
        trackBy="name"
        variant="full-page"
        stickyHeader
        selectionType="multi"
        loading={names.loading && names.value === undefined}
        loadingText={texts.loading}
        columnDefinitions={columns}
        columnDisplay={columns.map(({ id = "" }) => ({ id, visible: !preferences.hidden.includes(id) }))}
        preferences={
          <CollectionPreferences
            title={texts.explore.preferences}
            confirmLabel={texts.save}
            cancelLabel={texts.cancel}
            preferences={{
              pageSize: preferences.pageSize,
              contentDisplay: columns.map(({ id = "" }) => ({ id, visible: !preferences.hidden.includes(id) })),
            }}
            pageSizePreference={{
              title: texts.list.pageSize,
              options: SIZES.map((value) => ({ value, label: texts.list.tables(value) })),
            }}
            contentDisplayPreference={{
              title: texts.list.columns,
              options: columns.map(({ id = "", header }) => ({
                id,
                label: String(header),
                alwaysVisible: id === "name",
              })),
            }}
            onConfirm={({ detail }) => {
              const hidden = (detail.contentDisplay ?? []).filter((one) => !one.visible).map(({ id }) => id);
              const chosen = { pageSize: detail.pageSize ?? PAGE, hidden };
              localStorage.setItem(PREFERENCES, JSON.stringify(chosen));
              setPreferences(chosen);
            }}
          />
        }
        ariaLabels={{
          selectionGroupLabel: texts.tables,
          allItemsSelectionLabel: () => texts.list.selectAll,
          itemSelectionLabel: (_, { name }) => `${texts.list.select}: ${name}`,
        }}
        filter={
          <TextFilter
            {...filterProps}
            filteringPlaceholder={texts.list.search}
            filteringAriaLabel={texts.list.search}
            countText={`${filteredItemsCount ?? 0}`}
          />
        }
        pagination={<Pagination {...paginationProps} />}
        header={
          <Header
            variant="h1"
            counter={`(${names.value?.length ?? 0})`}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button iconName="refresh" ariaLabel={texts.refresh} onClick={refresh} />
                <ButtonDropdown
                  items={[
                    { id: "view", text: texts.list.view, disabled: selected.length !== 1 },
                    { id: "explore", text: texts.exploreItems, disabled: selected.length !== 1 },
                  ]}
                  onItemClick={({ detail }) => {
                    const name = encodeURIComponent(selected[0]?.name ?? "");
                    navigate(detail.id === "view" ? `/dynamodb/tables/${name}` : `/dynamodb/items/${name}`);
                  }}
                >
                  {texts.actions}
                </ButtonDropdown>
                <Button disabled={!selected.length} onClick={() => setAsksToDelete(selected.map(({ name }) => name))}>
                  {texts.delete}
                </Button>
                <Button variant="primary" onClick={() => navigate("/dynamodb/create-table")}>
                  {texts.createTable}
                </Button>
              </SpaceBetween>
            }
          >
            {texts.tables}
          </Header>
        }
      />
      {asksToDelete.length > 0 && (
        <ConfirmedDelete
          names={asksToDelete}
          dismiss={() => setAsksToDelete([])}
          remove={async (name) => {
            await clients.dynamodb.send(new DeleteTableCommand({ TableName: name }));
          }}
          done={() => {
            // Once for all: each notice has the whole page laid out again.
            tell("success", texts.deleteTables.done(asksToDelete));
            actions.setSelectedItems([]);
            setAsksToDelete([]);
            refresh();
          }}
        />
      )}
    </>
  );
}

function Nothing({ title, about }: { title: string; about?: string }) {
  return (
    <Box textAlign="center">
      <Box variant="strong">{title}</Box>
      {about && <Box color="text-body-secondary">{about}</Box>}
    </Box>
  );
}
