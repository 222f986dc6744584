import {
  type ContextEntry,
  type ContextKeyTypeEnum,
  type EvaluationResult,
  GetContextKeysForCustomPolicyCommand,
  GetContextKeysForPrincipalPolicyCommand,
  SimulateCustomPolicyCommand,
  SimulatePrincipalPolicyCommand,
} from "@aws-sdk/client-iam";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Table from "@cloudscape-design/components/table";
import Textarea from "@cloudscape-design/components/textarea";
import { type FormEvent, useState } from "react";
import { useAction, useLoaded } from "../loading";
import { Refusal } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import { DocumentField, EMPTY_POLICY } from "./document-field";
import { KINDS } from "./kinds";

const CUSTOM = "custom";
const TYPES: ContextKeyTypeEnum[] = ["string", "stringList", "numeric", "boolean", "date", "ip"];
const DECISIONS = { allowed: "success", explicitDeny: "error", implicitDeny: "warning" } as const;

interface ContextRow {
  name: string;
  type: ContextKeyTypeEnum;
  values: string;
}

/** The words of a text, between white space and commas. */
const words = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);

const entries = (rows: ContextRow[]): ContextEntry[] =>
  rows
    .filter(({ name }) => name)
    .map(({ name, type, values }) => ({
      ContextKeyName: name,
      ContextKeyType: type,
      ContextKeyValues: type.endsWith("List") ? values.split(",").map((one) => one.trim()) : [values],
    }));

/** Tries policies on actions and resources, without doing anything. */
export default function Simulator() {
  const { clients } = useSession();
  const [source, setSource] = useState(CUSTOM);
  const [document, setDocument] = useState(EMPTY_POLICY);
  const [actions, setActions] = useState("dynamodb:GetItem\ndynamodb:PutItem");
  const [resources, setResources] = useState("");
  const [caller, setCaller] = useState("");
  const [resourcePolicy, setResourcePolicy] = useState("");
  const [context, setContext] = useState<ContextRow[]>([]);
  const [results, setResults] = useState<EvaluationResult[]>();
  const entities = useLoaded(
    async (signal) => {
      const found = await Promise.all(Object.values(KINDS).map((kind) => kind.list(clients.iam, signal)));
      return Object.values(KINDS).flatMap((kind, number) =>
        (found[number] ?? []).map(({ name, arn }) => ({ value: arn, label: name, description: arn, tags: [kind.id] })),
      );
    },
    [clients],
  );
  const options = [{ value: CUSTOM, label: texts.simulator.custom }, ...(entities.value ?? [])];
  const simulating = useAction(async () => {
    const common = {
      ActionNames: words(actions),
      ...(resources.trim() ? { ResourceArns: words(resources) } : {}),
      ...(resourcePolicy.trim() ? { ResourcePolicy: resourcePolicy } : {}),
      ...(caller.trim() ? { CallerArn: caller.trim() } : {}),
      ContextEntries: entries(context),
    };
    const found: EvaluationResult[] = [];
    let marker: string | undefined;
    do {
      const page = await (source === CUSTOM
        ? clients.iam.send(
            new SimulateCustomPolicyCommand({ ...common, PolicyInputList: [document], Marker: marker }),
          )
        : clients.iam.send(
            new SimulatePrincipalPolicyCommand({ ...common, PolicySourceArn: source, Marker: marker }),
          ));
      found.push(...(page.EvaluationResults ?? []));
      marker = page.IsTruncated ? page.Marker : undefined;
    } while (marker !== undefined);
    setResults(found);
  });
  const finding = useAction(async () => {
    const answer = await (source === CUSTOM
      ? clients.iam.send(new GetContextKeysForCustomPolicyCommand({ PolicyInputList: [document] }))
      : clients.iam.send(new GetContextKeysForPrincipalPolicyCommand({ PolicySourceArn: source })));
    // Rows may have been typed meanwhile.
    setContext((rows) => {
      const names = (answer.ContextKeyNames ?? []).filter((name) => !rows.some((row) => row.name === name));
      return [...rows, ...names.map((name): ContextRow => ({ name, type: "string", values: "" }))];
    });
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!simulating.running && words(actions).length > 0) {
      void simulating.start();
    }
  };
  return (
    <ContentLayout
      header={
        <Header variant="h1" description={texts.simulator.about}>
          {texts.simulator.title}
        </Header>
      }
    >
      <SpaceBetween size="l">
        <form onSubmit={submit}>
          <Container
            footer={
              <Button variant="primary" loading={simulating.running} disabled={words(actions).length === 0}>
                {texts.simulator.run}
              </Button>
            }
          >
            <SpaceBetween size="l">
              <Refusal error={entities.error} />
              <FormField label={texts.simulator.source}>
                <Select
                  filteringType="auto"
                  virtualScroll
                  options={options}
                  selectedOption={options.find((one) => one.value === source) ?? null}
                  onChange={({ detail }) => setSource(detail.selectedOption.value ?? CUSTOM)}
                />
              </FormField>
              {source === CUSTOM && <DocumentField value={document} change={setDocument} />}
              <ColumnLayout columns={2}>
                <FormField label={texts.simulator.actions} constraintText={texts.simulator.lines}>
                  <Textarea
                    rows={4}
                    spellcheck={false}
                    value={actions}
                    onChange={({ detail }) => setActions(detail.value)}
                  />
                </FormField>
                <FormField label={texts.simulator.resources} constraintText={texts.simulator.noResources}>
                  <Textarea
                    rows={4}
                    spellcheck={false}
                    value={resources}
                    onChange={({ detail }) => setResources(detail.value)}
                  />
                </FormField>
              </ColumnLayout>
              <ContextRows rows={context} change={setContext} find={() => void finding.start()} finds={finding.running} />
              <Refusal error={finding.error} />
              <ExpandableSection headerText={texts.simulator.more}>
                <SpaceBetween size="m">
                  <FormField label={texts.simulator.caller} constraintText={texts.simulator.callerAbout}>
                    <Input value={caller} onChange={({ detail }) => setCaller(detail.value)} />
                  </FormField>
                  <DocumentField
                    kind="resource"
                    label={texts.simulator.resourcePolicy}
                    value={resourcePolicy}
                    change={setResourcePolicy}
                  />
                </SpaceBetween>
              </ExpandableSection>
            </SpaceBetween>
          </Container>
        </form>
        <Refusal error={simulating.error} />
        {results && <Results results={results} />}
      </SpaceBetween>
    </ContentLayout>
  );
}

function ContextRows(props: { rows: ContextRow[]; change: (rows: ContextRow[]) => void; find: () => void; finds: boolean }) {
  const { rows, change } = props;
  const set = (number: number, part: Partial<ContextRow>) =>
    change(rows.map((row, other) => (other === number ? { ...row, ...part } : row)));
  return (
    <SpaceBetween size="s">
      <Box variant="h3">{texts.simulator.context}</Box>
      {rows.map((row, number) => (
        // Rows have no other name than their place: names may be the same while they are typed.
        // eslint-disable-next-line react/no-array-index-key
        <ColumnLayout key={number} columns={4}>
          <Input
            ariaLabel={`${texts.simulator.key} ${number + 1}`}
            placeholder={texts.simulator.keyExample}
            value={row.name}
            onChange={({ detail }) => set(number, { name: detail.value })}
          />
          <Select
            ariaLabel={`${texts.simulator.type} ${number + 1}`}
            options={TYPES.map((value) => ({ value }))}
            selectedOption={{ value: row.type }}
            onChange={({ detail }) => set(number, { type: detail.selectedOption.value as ContextKeyTypeEnum })}
          />
          <Input
            ariaLabel={`${texts.simulator.value} ${number + 1}`}
            value={row.values}
            onChange={({ detail }) => set(number, { values: detail.value })}
          />
          <Button
            formAction="none"
            ariaLabel={`${texts.create.remove} ${number + 1}`}
            onClick={() => change(rows.filter((_, other) => other !== number))}
          >
            {texts.create.remove}
          </Button>
        </ColumnLayout>
      ))}
      <SpaceBetween direction="horizontal" size="xs">
        <Button formAction="none" onClick={() => change([...rows, { name: "", type: "string", values: "" }])}>
          {texts.simulator.add}
        </Button>
        <Button formAction="none" loading={props.finds} onClick={props.find}>
          {texts.simulator.find}
        </Button>
      </SpaceBetween>
    </SpaceBetween>
  );
}

function Results({ results }: { results: EvaluationResult[] }) {
  return (
    <Table<EvaluationResult>
      items={results}
      wrapLines
      empty={<Box textAlign="center">{texts.iam.empty}</Box>}
      header={
        <Header variant="h2" counter={`(${results.length})`}>
          {texts.simulator.results}
        </Header>
      }
      columnDefinitions={[
        { id: "action", header: texts.denied.action, isRowHeader: true, cell: (one) => one.EvalActionName },
        { id: "resource", header: texts.denied.resource, cell: (one) => one.EvalResourceName ?? "*" },
        {
          id: "decision",
          header: texts.simulator.decision,
          cell: ({ EvalDecision = "implicitDeny" }) => (
            <StatusIndicator type={DECISIONS[EvalDecision as keyof typeof DECISIONS]}>
              {texts.simulator.decisions[EvalDecision] ?? EvalDecision}
            </StatusIndicator>
          ),
        },
        {
          id: "matched",
          header: texts.simulator.matched,
          cell: (one) =>
            one.MatchedStatements?.map(({ SourcePolicyId, StartPosition }) =>
              texts.simulator.statement(SourcePolicyId ?? "", StartPosition?.Line ?? 0),
            ).join(", ") || texts.none,
        },
        {
          id: "missing",
          header: texts.simulator.missing,
          cell: (one) => one.MissingContextValues?.join(", ") || texts.none,
        },
      ]}
    />
  );
}
