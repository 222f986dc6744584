import {
  DeleteItemCommand,
  QueryCommand,
  type QueryCommandInput,
  type QueryCommandOutput,
  ScanCommand,
  type ScanCommandInput,
  type ScanCommandOutput,
  type TableDescription,
} from "@aws-sdk/client-dynamodb";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Checkbox from "@cloudscape-design/components/checkbox";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FormField from "@cloudscape-design/components/form-field";
import Grid from "@cloudscape-design/components/grid";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type FormEvent, useEffect, useMemo, useRef, useState } from "react";
import { useNavigate, useParams } from "react-router-dom";
import type { Item } from "../attributes/values";
import { Dialog } from "../dialog";
import { useAction, useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { describe, keys, tableNames } from "../tables/descriptions";
import { texts } from "../texts";
import { ConditionValue, FilterRows, operatorOptions } from "./filter-rows";
import {
  type Condition,
  expression,
  type KeyCondition,
  keyExpression,
  NO_SORT,
  Placeholders,
  SORT_CONDITIONS,
  type SortCondition,
} from "./filters";
import { Results } from "./results";

const LIMIT = 300;
/** Items that a page of results asks for. */
const NOTHING: KeyCondition = { partitions: [], sorts: [] };
const SORT_OPERATORS = operatorOptions(SORT_CONDITIONS);

export default function Explore() {
  const { name } = useParams();
  const { clients } = useSession();
  const navigate = useNavigate();
  const names = useLoaded((signal) => tableNames(clients.dynamodb, signal), [clients]);
  const table = useLoaded(
    async (signal) => (name === undefined ? undefined : describe(clients.dynamodb, name, signal)),
    [clients, name],
  );
  const options = (names.value ?? []).map((value) => ({ value, label: value }));
  return (
    <ContentLayout header={<Header variant="h1">{name ?? texts.exploreItems}</Header>}>
      <SpaceBetween size="l">
        <Select
          ariaLabel={texts.explore.choose}
          placeholder={texts.explore.choose}
          filteringType="auto"
          virtualScroll
          statusType={names.loading ? "loading" : "finished"}
          options={options}
          selectedOption={options.find((one) => one.value === name) ?? null}
          onChange={({ detail }) =>
            navigate(`/dynamodb/items/${encodeURIComponent(detail.selectedOption.value ?? "")}`)
          }
        />
        <Refusal error={names.error ?? table.error} retry={table.refresh} />
        {table.value?.TableName === name && table.value && <Search key={name} table={table.value} />}
      </SpaceBetween>
    </ContentLayout>
  );
}

/** A scan or query as it was asked, with what the form had then. */
type Asked = { isQuery: true; input: QueryCommandInput } | { isQuery: false; input: ScanCommandInput };

interface Found {
  items: Item[];
  scanned: number;
  units: number;
  after: Item | undefined;
  /** What it is the answer to: the form may have changed since. */
  of?: Asked;
}

function Search({ table }: { table: TableDescription }) {
  const { clients } = useSession();
  const tell = useTell();
  const name = table.TableName ?? "";
  const [isQuery, setIsQuery] = useState(false);
  const [indexName, setIndexName] = useState<string>();
  const [condition, setCondition] = useState<KeyCondition>(NOTHING);
  const [descending, setDescending] = useState(false);
  const [filters, setFilters] = useState<Condition[]>([]);
  const [found, setFound] = useState<Found>({ items: [], scanned: 0, units: 0, after: undefined });
  const [asksToDelete, setAsksToDelete] = useState<Item[]>([]);
  const indexes = [...(table.GlobalSecondaryIndexes ?? []), ...(table.LocalSecondaryIndexes ?? [])];
  const schema = indexes.find((index) => index.IndexName === indexName)?.KeySchema ?? table.KeySchema;
  const partition = keys(table, schema, "HASH");
  const sort = keys(table, schema, "RANGE");
  const keyNames = useMemo(
    () => [...keys(table, table.KeySchema, "HASH"), ...keys(table, table.KeySchema, "RANGE")].map((key) => key.name),
    [table],
  );
  const sources = [
    { value: "", label: texts.explore.table(name) },
    ...indexes.map(({ IndexName = "" }) => ({ value: IndexName, label: texts.explore.index(IndexName) })),
  ];
  const ask = (): Asked => {
    const placeholders = new Placeholders();
    const condition_ = isQuery ? keyExpression(partition, sort, condition, placeholders) : undefined;
    const filter = filters.map((one) => expression(one, placeholders)).join(" AND ");
    const input = {
      TableName: name,
      ...(indexName ? { IndexName: indexName } : {}),
      ...(filter ? { FilterExpression: filter } : {}),
      ...placeholders.members,
      Limit: LIMIT,
      ReturnConsumedCapacity: "TOTAL" as const,
    };
    return isQuery
      ? { isQuery, input: { ...input, KeyConditionExpression: condition_, ScanIndexForward: !descending } }
      : { isQuery, input };
  };
  const turns = useRef(0);
  // With `asked`, once more what the items shown were asked with, from `after` on.
  const running = useAction(async (asked?: Asked, after?: Item) => {
    const turn = (turns.current += 1);
    const of = asked ?? ask();
    const from = after ? { ExclusiveStartKey: after } : {};
    const page: ScanCommandOutput | QueryCommandOutput = of.isQuery
      ? await clients.dynamodb.send(new QueryCommand({ ...of.input, ...from }))
      : await clients.dynamodb.send(new ScanCommand({ ...of.input, ...from }));
    if (turn !== turns.current) {
      return; // Something else was asked for since.
    }
    setFound((before) => {
      const earlier = after ? before : { items: [], scanned: 0, units: 0 };
      return {
        items: [...earlier.items, ...(page.Items ?? [])],
        scanned: earlier.scanned + (page.ScannedCount ?? 0),
        units: earlier.units + (page.ConsumedCapacity?.CapacityUnits ?? 0),
        after: page.LastEvaluatedKey,
        of,
      };
    });
  });
  const start = useRef(running.start);
  start.current = running.start;
  useEffect(() => {
    void start.current();
  }, []);
  const run = (event: FormEvent) => {
    event.preventDefault();
    void running.start();
  };
  return (
    <SpaceBetween size="l">
      <form onSubmit={run}>
        <Container
          header={<Header variant="h2">{texts.explore.scanOrQuery}</Header>}
          footer={
            <SpaceBetween direction="horizontal" size="xs">
              <Button variant="primary" loading={running.running}>
                {texts.explore.run}
              </Button>
              <Button
                formAction="none"
                onClick={() => {
                  setCondition(NOTHING);
                  setFilters([]);
                  setDescending(false);
                }}
              >
                {texts.explore.reset}
              </Button>
            </SpaceBetween>
          }
        >
          <SpaceBetween size="l">
            <Grid gridDefinition={[{ colspan: { default: 12, xs: 4 } }, { colspan: { default: 12, xs: 8 } }]}>
              <SegmentedControl
                label={texts.explore.scanOrQuery}
                selectedId={isQuery ? "query" : "scan"}
                onChange={({ detail }) => setIsQuery(detail.selectedId === "query")}
                options={[
                  { id: "scan", text: texts.explore.scan },
                  { id: "query", text: texts.explore.query },
                ]}
              />
              <Select
                ariaLabel={texts.explore.from}
                options={sources}
                selectedOption={sources.find((one) => one.value === (indexName ?? "")) ?? null}
                onChange={({ detail }) => {
                  setIndexName(detail.selectedOption.value || undefined);
                  setCondition(NOTHING);
                }}
              />
            </Grid>
            {isQuery && (
              <SpaceBetween size="s">
                {partition.map((key, number) => (
                  <FormField key={key.name} label={texts.explore.partitionKey(key.name)}>
                    <Input
                      value={condition.partitions[number] ?? ""}
                      onChange={({ detail }) => {
                        const partitions = [...condition.partitions];
                        partitions[number] = detail.value;
                        setCondition({ ...condition, partitions });
                      }}
                    />
                  </FormField>
                ))}
                {sort.map((key, number) => {
                  const { operator, first, second } = condition.sorts[number] ?? NO_SORT;
                  const put = (changed: Partial<SortCondition>) => {
                    const sorts = [...condition.sorts];
                    sorts[number] = { operator, first, second, ...changed };
                    setCondition({ ...condition, sorts });
                  };
                  return (
                    <FormField key={key.name} label={texts.explore.sortKey(key.name)}>
                      <SpaceBetween direction="horizontal" size="xs">
                        <Select
                          ariaLabel={texts.explore.condition}
                          options={SORT_OPERATORS}
                          selectedOption={SORT_OPERATORS.find((one) => one.value === operator) ?? null}
                          onChange={({ detail }) => put({ operator: detail.selectedOption.value ?? "=" })}
                        />
                        <ConditionValue
                          operator={operator}
                          first={first}
                          second={second}
                          label={texts.explore.sortKey(key.name)}
                          change={(one, other) => put({ first: one, second: other })}
                        />
                      </SpaceBetween>
                    </FormField>
                  );
                })}
                {sort.length > 0 && (
                  <Checkbox checked={descending} onChange={({ detail }) => setDescending(detail.checked)}>
                    {texts.explore.descending}
                  </Checkbox>
                )}
              </SpaceBetween>
            )}
            <div>
              <Box variant="h3">{texts.explore.filters}</Box>
              <FilterRows filters={filters} change={setFilters} />
            </div>
          </SpaceBetween>
        </Container>
      </form>
      <Refusal error={running.error} />
      <Results
        table={name}
        keyNames={keyNames}
        items={found.items}
        summary={texts.explore.summary(found.items.length, found.scanned, found.units)}
        loading={running.running}
        more={found.after && (() => void running.start(found.of, found.after))}
        deletes={setAsksToDelete}
      />
      {asksToDelete.length > 0 && (
        <DeleteItems
          table={name}
          chosen={asksToDelete}
          dismiss={() => setAsksToDelete([])}
          done={() => {
            tell("success", texts.explore.deleted(asksToDelete.length));
            setAsksToDelete([]);
            void running.start(found.of);
          }}
        />
      )}
    </SpaceBetween>
  );
}

function DeleteItems(props: { table: string; chosen: Item[]; dismiss: () => void; done: () => void }) {
  const { clients } = useSession();
  return (
    <Dialog
      title={texts.explore.deleteTitle(props.chosen.length)}
      submit={texts.delete}
      dismiss={props.dismiss}
      act={async () => {
        for (const key of props.chosen) {
          await clients.dynamodb.send(new DeleteItemCommand({ TableName: props.table, Key: key }));
        }
        props.done();
      }}
    >
      <Alert type="warning">{texts.explore.deleteWarning(props.chosen.length)}</Alert>
    </Dialog>
  );
}
