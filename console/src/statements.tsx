import { ExecuteStatementCommand } from "@aws-sdk/client-dynamodb";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import Textarea from "@cloudscape-design/components/textarea";
import { type FormEvent, useState } from "react";
import { type Item, shown } from "./attributes/values";
import { useAction } from "./loading";
import { Refusal, useTell } from "./notices";
import { useSession } from "./session";
import { texts } from "./texts";

const HISTORY = "jedlik.statements";
const MOST_KEPT = 20;

function kept(): string[] {
  return JSON.parse(localStorage.getItem(HISTORY) ?? "[]") as string[];
}

export default function Statements() {
  const { clients } = useSession();
  const tell = useTell();
  const [statement, setStatement] = useState("");
  const [history, setHistory] = useState(kept);
  const [items, setItems] = useState<Item[]>([]);
  const [token, setToken] = useState<string>();
  const running = useAction(async (after?: string) => {
    const page = await clients.dynamodb.send(new ExecuteStatementCommand({ Statement: statement, NextToken: after }));
    const found = page.Items ?? [];
    setItems((before) => (after ? [...before, ...found] : found));
    setToken(page.NextToken);
    const used = [statement, ...history.filter((one) => one !== statement)].slice(0, MOST_KEPT);
    localStorage.setItem(HISTORY, JSON.stringify(used));
    setHistory(used);
    if (found.length === 0) {
      tell("success", texts.statements.done);
    }
  });
  const names = [...new Set(items.flatMap((item) => Object.keys(item)))];
  const run = (event: FormEvent) => {
    event.preventDefault();
    void running.start();
  };
  return (
    <ContentLayout header={<Header variant="h1">{texts.statements.title}</Header>}>
      <SpaceBetween size="l">
        <form onSubmit={run}>
          <Container
            footer={
              <Button variant="primary" loading={running.running} disabled={!statement.trim()}>
                {texts.statements.run}
              </Button>
            }
          >
            <FormField label={texts.statements.statement} constraintText={texts.statements.example} stretch>
              <Textarea
                value={statement}
                rows={6}
                spellcheck={false}
                onChange={({ detail }) => setStatement(detail.value)}
              />
            </FormField>
          </Container>
        </form>
        <Refusal error={running.error} />
        <Table<Item>
          items={items}
          empty={<Box textAlign="center">{texts.explore.empty}</Box>}
          columnDefinitions={names.map((name) => ({
            id: name,
            header: name,
            isRowHeader: name === names[0],
            cell: (item) => shown(item[name]),
          }))}
          header={
            <Header variant="h2" counter={`(${items.length})`}>
              {texts.statements.results}
            </Header>
          }
          footer={
            token && (
              <Box textAlign="center">
                <Button loading={running.running} onClick={() => void running.start(token)}>
                  {texts.statements.next}
                </Button>
              </Box>
            )
          }
        />
        <Container header={<Header variant="h2">{texts.statements.history}</Header>}>
          {history.length === 0 && <Box>{texts.statements.historyEmpty}</Box>}
          <SpaceBetween size="xs">
            {history.map((one) => (
              <Link key={one} onFollow={() => setStatement(one)}>
                {one}
              </Link>
            ))}
          </SpaceBetween>
        </Container>
      </SpaceBetween>
    </ContentLayout>
  );
}
