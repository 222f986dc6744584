import { type CreateTableCommandInput, CreateTableCommand, type StreamViewType, type TableClass } from "@aws-sdk/client-dynamodb";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Checkbox from "@cloudscape-design/components/checkbox";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import RadioGroup from "@cloudscape-design/components/radio-group";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Tiles from "@cloudscape-design/components/tiles";
import { type FormEvent, useState } from "react";
import { useNavigate } from "react-router-dom";
import { DocumentField } from "../iam/document-field";
import { useAction } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import type { Key } from "./descriptions";
import { definitionOf, definitions, IndexForm, keySchema, type NewIndex, newIndex, throughput } from "./index-form";
import { KeyInput } from "./key-input";
import { type TagRow, TagRows, tagsOf } from "./tags";

const NAME = /^[a-zA-Z0-9_.-]{3,255}$/;
const UNITS = "5";

interface Settings {
  custom: boolean;
  tableClass: TableClass;
  onDemand: boolean;
  read: string;
  write: string;
  indexes: NewIndex[];
  isProtected: boolean;
  mostRead: string;
  mostWrite: string;
  stream: string;
  policy: string;
}

const NO_STREAM = "";

const DEFAULTS: Settings = {
  custom: false,
  tableClass: "STANDARD",
  onDemand: true,
  read: UNITS,
  write: UNITS,
  indexes: [],
  isProtected: false,
  mostRead: "",
  mostWrite: "",
  stream: NO_STREAM,
  policy: "",
};

function request(name: string, partition: Key, sort: Key, settings: Settings, tags: TagRow[]): CreateTableCommandInput {
  const { onDemand, read, write, indexes } = settings.custom ? settings : DEFAULTS;
  const capacity = onDemand ? {} : { ProvisionedThroughput: throughput(read, write) };
  const local = indexes.filter((index) => index.local);
  const global = indexes.filter((index) => !index.local);
  const keys = [
    partition,
    sort,
    ...global.flatMap((index) => index.partition),
    ...indexes.flatMap((index) => index.sort),
  ];
  const most = {
    ...(settings.mostRead ? { MaxReadRequestUnits: Number(settings.mostRead) } : {}),
    ...(settings.mostWrite ? { MaxWriteRequestUnits: Number(settings.mostWrite) } : {}),
  };
  return {
    TableName: name,
    KeySchema: keySchema([partition], [sort]),
    AttributeDefinitions: definitions(keys),
    BillingMode: onDemand ? "PAY_PER_REQUEST" : "PROVISIONED",
    ...capacity,
    ...(local.length ? { LocalSecondaryIndexes: local.map((index) => definitionOf(index, partition)) } : {}),
    ...(global.length
      ? { GlobalSecondaryIndexes: global.map((index) => ({ ...definitionOf(index, partition), ...capacity })) }
      : {}),
    ...(settings.custom
      ? {
          TableClass: settings.tableClass,
          DeletionProtectionEnabled: settings.isProtected,
          ...(onDemand && Object.keys(most).length ? { OnDemandThroughput: most } : {}),
          ...(settings.stream === NO_STREAM
            ? {}
            : { StreamSpecification: { StreamEnabled: true, StreamViewType: settings.stream as StreamViewType } }),
          ...(settings.policy.trim() ? { ResourcePolicy: settings.policy } : {}),
        }
      : {}),
    ...(tags.length ? { Tags: tagsOf(tags) } : {}),
  };
}

export default function CreateTable() {
  const { clients } = useSession();
  const navigate = useNavigate();
  const tell = useTell();
  const [name, setName] = useState("");
  const [partition, setPartition] = useState<Key>({ name: "", type: "S" });
  const [sort, setSort] = useState<Key>({ name: "", type: "S" });
  const [settings, setSettings] = useState(DEFAULTS);
  const [tags, setTags] = useState<TagRow[]>([]);
  const [tried, setTried] = useState(false);
  const wrongName = NAME.test(name) ? undefined : texts.create.nameWrong;
  const wrongKey = partition.name ? undefined : texts.required;
  const creating = useAction(async () => {
    await clients.dynamodb.send(new CreateTableCommand(request(name, partition, sort, settings, tags)));
    tell("success", texts.create.working(name));
    navigate("/dynamodb/tables");
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (!wrongName && !wrongKey) {
      void creating.start();
    }
  };
  return (
    <ContentLayout header={<Header variant="h1">{texts.createTable}</Header>}>
      <form onSubmit={submit}>
        <Form
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button variant="link" formAction="none" onClick={() => navigate("/dynamodb/tables")}>
                {texts.cancel}
              </Button>
              <Button variant="primary" loading={creating.running}>
                {texts.createTable}
              </Button>
            </SpaceBetween>
          }
        >
          <SpaceBetween size="l">
            <Refusal error={creating.error} />
            <Container
              header={
                <Header variant="h2" description={texts.create.detailsAbout}>
                  {texts.create.details}
                </Header>
              }
            >
              <SpaceBetween size="l">
                <FormField
                  label={texts.create.name}
                  constraintText={texts.create.nameAbout}
                  errorText={tried && wrongName}
                >
                  <Input value={name} onChange={({ detail }) => setName(detail.value)} />
                </FormField>
                <KeyInput
                  label={texts.create.partitionKey}
                  about={texts.create.partitionKeyAbout}
                  value={partition}
                  error={tried ? wrongKey : undefined}
                  change={setPartition}
                />
                <KeyInput
                  label={texts.create.sortKey}
                  about={texts.create.sortKeyAbout}
                  value={sort}
                  change={setSort}
                />
              </SpaceBetween>
            </Container>
            <Container header={<Header variant="h2">{texts.create.settings}</Header>}>
              <Tiles
                ariaLabel={texts.create.settings}
                value={settings.custom ? "custom" : "default"}
                onChange={({ detail }) => setSettings({ ...settings, custom: detail.value === "custom" })}
                items={[
                  { value: "default", label: texts.create.defaults, description: texts.create.defaultsAbout },
                  { value: "custom", label: texts.create.custom, description: texts.create.customAbout },
                ]}
              />
            </Container>
            {settings.custom && <Custom settings={settings} change={setSettings} />}
            <Container
              header={
                <Header variant="h2" description={texts.create.tagsAbout}>
                  {texts.create.tags}
                </Header>
              }
            >
              <TagRows rows={tags} change={setTags} />
            </Container>
          </SpaceBetween>
        </Form>
      </form>
    </ContentLayout>
  );
}

function Custom({ settings, change }: { settings: Settings; change: (settings: Settings) => void }) {
  const put = (index: NewIndex) =>
    change({ ...settings, indexes: settings.indexes.map((one) => (one.id === index.id ? index : one)) });
  const add = (local: boolean) => change({ ...settings, indexes: [...settings.indexes, newIndex(local)] });
  return (
    <>
      <Container header={<Header variant="h2">{texts.create.tableClass}</Header>}>
        <RadioGroup
          ariaLabel={texts.create.tableClass}
          value={settings.tableClass}
          onChange={({ detail }) => change({ ...settings, tableClass: detail.value as TableClass })}
          items={[
            { value: "STANDARD", label: texts.create.standard },
            { value: "STANDARD_INFREQUENT_ACCESS", label: texts.create.infrequent },
          ]}
        />
      </Container>
      <Container header={<Header variant="h2">{texts.create.capacity}</Header>}>
        <SpaceBetween size="l">
          <RadioGroup
            ariaLabel={texts.create.capacity}
            value={settings.onDemand ? "on-demand" : "provisioned"}
            onChange={({ detail }) => change({ ...settings, onDemand: detail.value === "on-demand" })}
            items={[
              { value: "on-demand", label: texts.create.onDemand, description: texts.create.onDemandAbout },
              { value: "provisioned", label: texts.create.provisioned, description: texts.create.provisionedAbout },
            ]}
          />
          {settings.onDemand && (
            <ColumnLayout columns={2}>
              <FormField label={`${texts.create.read}: ${texts.create.maximum}`} constraintText={texts.create.maximumAbout}>
                <Input
                  type="number"
                  value={settings.mostRead}
                  onChange={({ detail }) => change({ ...settings, mostRead: detail.value })}
                />
              </FormField>
              <FormField label={`${texts.create.write}: ${texts.create.maximum}`} constraintText={texts.create.maximumAbout}>
                <Input
                  type="number"
                  value={settings.mostWrite}
                  onChange={({ detail }) => change({ ...settings, mostWrite: detail.value })}
                />
              </FormField>
            </ColumnLayout>
          )}
          {!settings.onDemand && (
            <ColumnLayout columns={2}>
              <FormField label={texts.create.read}>
                <Input
                  type="number"
                  value={settings.read}
                  onChange={({ detail }) => change({ ...settings, read: detail.value })}
                />
              </FormField>
              <FormField label={texts.create.write}>
                <Input
                  type="number"
                  value={settings.write}
                  onChange={({ detail }) => change({ ...settings, write: detail.value })}
                />
              </FormField>
            </ColumnLayout>
          )}
        </SpaceBetween>
      </Container>
      <Container
        header={
          <Header
            variant="h2"
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button formAction="none" onClick={() => add(true)}>
                  {texts.create.addLocal}
                </Button>
                <Button formAction="none" onClick={() => add(false)}>
                  {texts.create.addGlobal}
                </Button>
              </SpaceBetween>
            }
          >
            {texts.create.indexes}
          </Header>
        }
      >
        {settings.indexes.length === 0 && <Box>{texts.create.noIndexes}</Box>}
        {settings.indexes.map((index) => (
          <ExpandableSection
            key={index.id}
            defaultExpanded
            headerText={`${index.local ? texts.create.local : texts.create.global}: ${index.name}`}
            headerActions={
              <Button
                formAction="none"
                onClick={() =>
                  change({ ...settings, indexes: settings.indexes.filter((one) => one.id !== index.id) })
                }
              >
                {texts.create.remove}
              </Button>
            }
            variant="container"
          >
            <IndexForm index={index} change={put} />
          </ExpandableSection>
        ))}
      </Container>
      <Container header={<Header variant="h2">{texts.create.stream}</Header>}>
        <RadioGroup
          ariaLabel={texts.create.stream}
          value={settings.stream}
          onChange={({ detail }) => change({ ...settings, stream: detail.value })}
          items={[
            { value: NO_STREAM, label: texts.create.streamOff },
            ...Object.entries(texts.streams.views).map(([value, label]) => ({ value, label })),
          ]}
        />
      </Container>
      <Container
        header={
          <Header variant="h2" description={texts.create.policyAbout}>
            {texts.permissions.table}
          </Header>
        }
      >
        <DocumentField
          kind="resource"
          label={texts.iam.document}
          value={settings.policy}
          change={(policy) => change({ ...settings, policy })}
        />
      </Container>
      <Container header={<Header variant="h2">{texts.settings.protection}</Header>}>
        <Checkbox
          checked={settings.isProtected}
          onChange={({ detail }) => change({ ...settings, isProtected: detail.checked })}
        >
          {texts.create.deletionProtection}
        </Checkbox>
      </Container>
    </>
  );
}
