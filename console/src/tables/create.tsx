import { type CreateTableCommandInput, CreateTableCommand, type StreamViewType, type TableClass } from "@aws-sdk/client-dynamodb";
import Button from "@cloudscape-design/components/button";
import Checkbox from "@cloudscape-design/components/checkbox";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Form from "@cloudscape-design/components/form";
import Header from "@cloudscape-design/components/header";
import RadioGroup from "@cloudscape-design/components/radio-group";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type FormEvent, useState } from "react";
import { useNavigate } from "react-router-dom";
import { DocumentField } from "../iam/document-field";
import { useAction } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import { warmMembers } from "./capacity-fields";
import { definitionOf } from "./index-form";
import { ClassChoice } from "./table-class";
import {
  CapacityForm,
  EncryptionForm,
  findings,
  IndexesForm,
  NameAndKeys,
  NEW_TABLE,
  SettingsChoice,
  type NewTable,
  tableParameters,
} from "./table-form";
import { type TagRow, TagRows, tagsOf } from "./tags";

/** What only CreateTable takes. */
interface Further {
  tableClass: TableClass;
  isProtected: boolean;
  stream: string;
  policy: string;
}

const NO_STREAM = "";
const USUAL: Further = { tableClass: "STANDARD", isProtected: false, stream: NO_STREAM, policy: "" };

function request(table: NewTable, further: Further, tags: TagRow[]): CreateTableCommandInput {
  const local = table.custom ? table.indexes.filter((index) => index.local) : [];
  return {
    ...(tableParameters(table) as CreateTableCommandInput),
    ...(local.length ? { LocalSecondaryIndexes: local.map((index) => definitionOf(index, table.partition)) } : {}),
    ...(table.custom
      ? {
          ...warmMembers(table.capacity),
          TableClass: further.tableClass,
          DeletionProtectionEnabled: further.isProtected,
          ...(further.stream === NO_STREAM
            ? {}
            : { StreamSpecification: { StreamEnabled: true, StreamViewType: further.stream as StreamViewType } }),
          ...(further.policy.trim() ? { ResourcePolicy: further.policy } : {}),
        }
      : {}),
    ...(tags.length ? { Tags: tagsOf(tags) } : {}),
  };
}

export default function CreateTable() {
  const { clients } = useSession();
  const navigate = useNavigate();
  const tell = useTell();
  const [table, setTable] = useState(NEW_TABLE);
  const [further, setFurther] = useState(USUAL);
  const [tags, setTags] = useState<TagRow[]>([]);
  const [tried, setTried] = useState(false);
  const found = findings(table);
  const creating = useAction(async () => {
    await clients.dynamodb.send(new CreateTableCommand(request(table, further, tags)));
    tell("success", texts.create.working(table.name));
    navigate("/dynamodb/tables");
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (!found && !creating.running) {
      void creating.start();
    }
  };
  const form = { table, change: setTable };
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
            <NameAndKeys {...form} found={tried ? found : undefined} />
            <SettingsChoice {...form} />
            {table.custom && (
              <SpaceBetween size="l">
                <Container header={<Header variant="h2">{texts.create.tableClass}</Header>}>
                  <ClassChoice
                    value={further.tableClass}
                    change={(tableClass) => setFurther({ ...further, tableClass })}
                  />
                </Container>
                <CapacityForm {...form} isWarm />
                <IndexesForm {...form} local />
                <EncryptionForm {...form} />
                <FurtherForm further={further} change={setFurther} />
              </SpaceBetween>
            )}
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

function FurtherForm({ further, change }: { further: Further; change: (further: Further) => void }) {
  return (
    <SpaceBetween size="l">
      <Container header={<Header variant="h2">{texts.create.stream}</Header>}>
        <RadioGroup
          ariaLabel={texts.create.stream}
          value={further.stream}
          onChange={({ detail }) => change({ ...further, stream: detail.value })}
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
          value={further.policy}
          change={(policy) => change({ ...further, policy })}
        />
      </Container>
      <Container header={<Header variant="h2">{texts.settings.protection}</Header>}>
        <Checkbox
          checked={further.isProtected}
          onChange={({ detail }) => change({ ...further, isProtected: detail.checked })}
        >
          {texts.create.deletionProtection}
        </Checkbox>
      </Container>
    </SpaceBetween>
  );
}
