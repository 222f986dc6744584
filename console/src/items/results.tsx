import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import CollectionPreferences from "@cloudscape-design/components/collection-preferences";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import Pagination from "@cloudscape-design/components/pagination";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import { useCollection } from "@cloudscape-design/collection-hooks";
import { useMemo, useState } from "react";
import { useNavigate } from "react-router-dom";
import { attribute, comparing, csv, dynamodbJson, type Item, shown } from "../attributes/values";
import { download } from "../download";
import { texts } from "../texts";
import { itemPath } from "./item-link";

const SIZES = [10, 25, 50, 100, 300];
const SHOWN = 300;
/** Characters of a cell. */
const [FIRST_WIDTH, WIDTH, MIN_WIDTH] = [260, 200, 80];
/** Pixels of columns, which can be pulled wider. */
const PREFERENCES = "jedlik.columns";

export interface Preferences {
  pageSize: number;
  hidden: string[];
}

interface Row {
  id: string;
  item: Item;
}

function stored(table: string): Preferences {
  const found = localStorage.getItem(`${PREFERENCES}.${table}`);
  return found === null ? { pageSize: 25, hidden: [] } : (JSON.parse(found) as Preferences);
}

/** The items that a scan or query returned, in a table with a column for each attribute. */
export function Results(props: {
  table: string;
  keyNames: string[];
  items: Item[];
  summary: string;
  loading: boolean;
  more: (() => void) | undefined;
  deletes: (keys: Item[]) => void;
}) {
  const { table, keyNames, items, summary, loading, more, deletes } = props;
  const navigate = useNavigate();
  const [preferences, setPreferences] = useState(() => stored(table));
  const names = useMemo(() => {
    const found = new Set(items.flatMap((item) => Object.keys(item)));
    return [...keyNames, ...[...found].filter((name) => !keyNames.includes(name)).sort()];
  }, [items, keyNames]);
  const keyOf = (item: Item): Item =>
    Object.fromEntries(keyNames.flatMap((name) => {
        const value = attribute(item, name);
        return value ? [[name, value]] : [];
      }));
  const rows: Row[] = useMemo(
    () => items.map((item) => ({ id: dynamodbJson(keyOf(item)), item })),
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [items, keyNames],
  );
  const collection = useCollection(rows, {
    pagination: { pageSize: preferences.pageSize },
    sorting: {},
    selection: { keepSelection: true, trackBy: "id" },
  });
  // Items that were deleted meanwhile are no longer selected.
  const present = useMemo(() => new Set(rows.map(({ id }) => id)), [rows]);
  const selectedRows = (collection.collectionProps.selectedItems ?? []).filter(({ id }) => present.has(id));
  const selected = selectedRows.map(({ item }) => keyOf(item));
  const columns: TableProps.ColumnDefinition<Row>[] = names.map((name, number) => ({
    id: name,
    header: keyNames.includes(name)
      ? number === 0
        ? texts.explore.partitionKey(name)
        : texts.explore.sortKey(name)
      : name,
    sortingComparator: comparing(name),
    isRowHeader: number === 0,
    width: number === 0 ? FIRST_WIDTH : WIDTH,
    minWidth: MIN_WIDTH,
    cell: ({ item }) => {
      const text = shown(attribute(item, name)).slice(0, SHOWN);
      return number === 0 ? (
        <Link href={`#${itemPath(table, "edit", keyOf(item))}`}>{text || '""'}</Link>
      ) : (
        text
      );
    },
  }));
  const visible = columns.filter(({ id }) => !preferences.hidden.includes(id ?? ""));
  return (
    <Table<Row>
      {...collection.collectionProps}
      selectedItems={selectedRows}
      items={collection.items}
      trackBy="id"
      loading={loading && items.length === 0}
      loadingText={texts.loading}
      selectionType="multi"
      resizableColumns
      columnDefinitions={visible}
      ariaLabels={{
        selectionGroupLabel: texts.explore.items,
        allItemsSelectionLabel: () => texts.explore.selectAll,
        itemSelectionLabel: (_, { id }) => `${texts.explore.select}: ${id}`,
      }}
      empty={
        <Box textAlign="center">
          <Box variant="strong">{texts.explore.empty}</Box>
          <Box color="text-body-secondary">{texts.explore.emptyAbout}</Box>
        </Box>
      }
      pagination={<Pagination {...collection.paginationProps} />}
      preferences={
        <CollectionPreferences
          title={texts.explore.preferences}
          confirmLabel={texts.save}
          cancelLabel={texts.cancel}
          preferences={{
            pageSize: preferences.pageSize,
            contentDisplay: names.map((id) => ({ id, visible: !preferences.hidden.includes(id) })),
          }}
          pageSizePreference={{
            title: texts.explore.pageSize,
            options: SIZES.map((value) => ({ value, label: texts.explore.results(value) })),
          }}
          contentDisplayPreference={{
            title: texts.explore.columns,
            options: names.map((id) => ({ id, label: id, alwaysVisible: keyNames.includes(id) })),
          }}
          onConfirm={({ detail }) => {
            const hidden = (detail.contentDisplay ?? []).filter((one) => !one.visible).map(({ id }) => id);
            const chosen = { pageSize: detail.pageSize ?? preferences.pageSize, hidden };
            localStorage.setItem(`${PREFERENCES}.${table}`, JSON.stringify(chosen));
            setPreferences(chosen);
          }}
        />
      }
      header={
        <Header
          variant="h2"
          counter={`(${items.length})`}
          description={summary}
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <ButtonDropdown
                items={[
                  { id: "edit", text: texts.explore.editItem, disabled: selected.length !== 1 },
                  { id: "duplicate", text: texts.explore.duplicateItem, disabled: selected.length !== 1 },
                  { id: "delete", text: texts.explore.deleteItems, disabled: selected.length === 0 },
                  { id: "csv", text: texts.explore.csv, disabled: items.length === 0 },
                  { id: "json", text: texts.explore.json, disabled: items.length === 0 },
                  { id: "create", text: texts.explore.createItem },
                ]}
                onItemClick={({ detail }) => {
                  switch (detail.id) {
                    case "delete":
                      return deletes(selected);
                    case "csv":
                      return download(`${table}.csv`, "text/csv", csv(items, names));
                    case "json":
                      return download(`${table}.json`, "application/json", `[${items.map(dynamodbJson).join(",\n")}]\n`);
                    case "create":
                      return navigate(itemPath(table, "create"));
                    default:
                      return navigate(itemPath(table, detail.id as "edit" | "duplicate", selected[0]));
                  }
                }}
              >
                {texts.actions}
              </ButtonDropdown>
              <Button variant="primary" onClick={() => navigate(itemPath(table, "create"))}>
                {texts.explore.createItem}
              </Button>
            </SpaceBetween>
          }
        >
          {texts.explore.items}
        </Header>
      }
      footer={
        more && (
          <Box textAlign="center">
            <Button loading={loading} onClick={more}>
              {texts.explore.more}
            </Button>
          </Box>
        )
      }
    />
  );
}
