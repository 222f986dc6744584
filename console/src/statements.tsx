import { ExecuteStatementCommand } from "@aws-sdk/client-dynamodb";
import { useCollection } from "@cloudscape-design/collection-hooks";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import Pagination from "@cloudscape-design/components/pagination";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { type FormEvent, type KeyboardEvent, useMemo, useState } from "react";
import { attribute, comparing, csv, dynamodbJson, type Item, shown } from "./attributes/values";
import { download } from "./download";
import { Editor } from "./editor/editor";
import { partiqlFindings, refusalFinding } from "./editor/partiql-findings";
import { useAction } from "./loading";
import { Refusal, useTell } from "./notices";
import { useSession } from "./session";
import { texts } from "./texts";

const HISTORY = "jedlik.statements";
const MOST_KEPT = 20;
const PAGE = 50;
const [WIDTH, MIN_WIDTH] = [220, 80];
const SHOWN = 300;
/** Characters of a cell. */

interface Ran {
  statement: string;
  /** When, in milliseconds since the epoch. */
  at: number;
  failed?: boolean;
}

/** The statements that were run, newest first; an earlier version kept their texts alone. */
function kept(): Ran[] {
  const found = JSON.parse(localStorage.getItem(HISTORY) ?? "[]") as (Ran | string)[];
  return found.map((one) => (typeof one === "string" ? { statement: one, at: 0 } : one));
}

interface Row {
  id: number;
  item: Item;
}

export default function Statements() {
  const { clients } = useSession();
  const tell = useTell();
  const [statement, setStatement] = useState("");
  const [history, setHistory] = useState(kept);
  const [items, setItems] = useState<Item[]>([]);
  const [units, setUnits] = useState(0);
  // The rest of the results, of the statement that they are of: the text may be another one by now.
  const [rest, setRest] = useState<{ statement: string; token: string }>();
  const [refused, setRefused] = useState<{ statement: string; message: string }>();
  const keep = (ran: Ran[]) => {
    localStorage.setItem(HISTORY, JSON.stringify(ran));
    setHistory(ran);
  };
  const note = (failed: boolean) => {
    // Another window may have kept some since.
    const others = kept().filter((one) => one.statement !== statement);
    keep([{ statement, at: Date.now(), ...(failed ? { failed } : {}) }, ...others].slice(0, MOST_KEPT));
  };
  const running = useAction(async (after?: { statement: string; token: string }) => {
    const ran = after?.statement ?? statement;
    try {
      const page = await clients.dynamodb.send(
        new ExecuteStatementCommand({ Statement: ran, NextToken: after?.token, ReturnConsumedCapacity: "TOTAL" }),
      );
      const found = page.Items ?? [];
      setRefused(undefined);
      setItems((before) => (after ? [...before, ...found] : found));
      setUnits((before) => (after ? before : 0) + (page.ConsumedCapacity?.CapacityUnits ?? 0));
      setRest(page.NextToken === undefined ? undefined : { statement: ran, token: page.NextToken });
      if (!after) {
        note(false);
      }
      if (found.length === 0 && !after) {
        tell("success", texts.statements.done);
      }
    } catch (error) {
      if (error instanceof Error) {
        setRefused({ statement: ran, message: error.message });
        if (!after) {
          note(true);
        }
      }
      throw error;
    }
  });
  const findings = useMemo(() => {
    const found = partiqlFindings(statement);
    const isRefused = refused?.statement === statement;
    return isRefused ? [refusalFinding(statement, refused.message), ...found.filter(({ type }) => type === "error")] : found;
  }, [statement, refused]);
  const names = useMemo(() => [...new Set(items.flatMap((item) => Object.keys(item)))], [items]);
  const rows = useMemo(() => items.map((item, id): Row => ({ id, item })), [items]);
  const collection = useCollection(rows, { pagination: { pageSize: PAGE }, sorting: {} });
  const run = () => {
    if (statement.trim() && !running.running) {
      void running.start();
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    run();
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      run();
    }
  };
  return (
    <ContentLayout header={<Header variant="h1">{texts.statements.title}</Header>}>
      <SpaceBetween size="l">
        <form onSubmit={submit} onKeyDown={press}>
          <Container
            footer={
              <Button variant="primary" loading={running.running} disabled={!statement.trim()}>
                {texts.statements.run}
              </Button>
            }
          >
            <Editor
              label={texts.statements.statement}
              about={`${texts.statements.example} - ${texts.statements.keys}`}
              language="partiql"
              value={statement}
              change={setStatement}
              findings={findings}
              rows={6}
            />
          </Container>
        </form>
        <Refusal error={running.error} />
        <Table<Row>
          {...collection.collectionProps}
          items={collection.items}
          trackBy={({ id }) => String(id)}
          resizableColumns
          empty={<Box textAlign="center">{texts.explore.empty}</Box>}
          columnDefinitions={names.map((name) => ({
            id: name,
            header: name,
            isRowHeader: name === names[0],
            width: WIDTH,
            minWidth: MIN_WIDTH,
            sortingComparator: comparing(name),
            cell: ({ item }: Row) => shown(attribute(item, name)).slice(0, SHOWN),
          }))}
          pagination={<Pagination {...collection.paginationProps} />}
          header={
            <Header
              variant="h2"
              counter={`(${items.length})`}
              description={texts.statements.units(units)}
              actions={
                <ButtonDropdown
                  disabled={items.length === 0}
                  items={[
                    { id: "csv", text: texts.explore.csv },
                    { id: "json", text: texts.explore.json },
                  ]}
                  onItemClick={({ detail }) =>
                    detail.id === "csv"
                      ? download("results.csv", "text/csv", csv(items, names))
                      : download("results.json", "application/json", `[${items.map(dynamodbJson).join(",\n")}]\n`)
                  }
                >
                  {texts.actions}
                </ButtonDropdown>
              }
            >
              {texts.statements.results}
            </Header>
          }
          footer={
            rest && (
              <Box textAlign="center">
                <Button loading={running.running} onClick={() => void running.start(rest)}>
                  {texts.statements.next}
                </Button>
              </Box>
            )
          }
        />
        <Container
          header={
            <Header
              variant="h2"
              actions={
                <Button disabled={history.length === 0} onClick={() => keep([])}>
                  {texts.statements.clear}
                </Button>
              }
            >
              {texts.statements.history}
            </Header>
          }
        >
          {history.length === 0 && <Box>{texts.statements.historyEmpty}</Box>}
          <SpaceBetween size="xs">
            {history.map((one) => (
              <div key={one.statement}>
                <Link onFollow={() => setStatement(one.statement)}>{one.statement}</Link>
                <Box variant="small" color="text-body-secondary" margin={{ left: "s" }}>
                  {one.at ? new Date(one.at).toLocaleString() : ""} {one.failed ? texts.statements.failed : ""}
                </Box>
              </div>
            ))}
          </SpaceBetween>
        </Container>
      </SpaceBetween>
    </ContentLayout>
  );
}
