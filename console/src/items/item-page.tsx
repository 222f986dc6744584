import {
  GetItemCommand,
  PutItemCommand,
  type TableDescription,
  UpdateItemCommand,
  type UpdateItemCommandInput,
} from "@aws-sdk/client-dynamodb";
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import SegmentedControl from "@cloudscape-design/components/segmented-control";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import Textarea from "@cloudscape-design/components/textarea";
import Toggle from "@cloudscape-design/components/toggle";
import { useState } from "react";
import { useNavigate, useParams, useSearchParams } from "react-router-dom";
import { AddField, FieldEditor } from "../attributes/field-editor";
import { type Field, fieldsOf, itemOf, newField } from "../attributes/fields";
import { attribute, attributesOf, dynamodbJson, fromDynamodbJson, fromPlainJson, type Item, jsonReplacer, plainObject, shown } from "../attributes/values";
import { useAction, useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { describe, type Key, keys } from "../tables/descriptions";
import { texts } from "../texts";
import { Placeholders } from "./filters";
import { keyOf, type Mode } from "./item-link";

const LEAST_ROWS = 16;

interface Opened {
  table: TableDescription;
  item: Item | undefined;
}

export default function ItemPage() {
  const { name = "" } = useParams();
  const [query] = useSearchParams();
  const { clients } = useSession();
  const mode = (query.get("mode") ?? "create") as Mode;
  const key = query.get("key");
  const opened = useLoaded<Opened>(
    async (signal) => {
      const table = await describe(clients.dynamodb, name, signal);
      const wanted = keyOf(key);
      if (wanted === undefined) {
        return { table, item: undefined };
      }
      const input = { TableName: name, Key: wanted, ConsistentRead: true };
      const { Item: item } = await clients.dynamodb.send(new GetItemCommand(input), { abortSignal: signal });
      if (item === undefined) {
        throw new Error(texts.item.gone);
      }
      return { table, item };
    },
    [clients, name, key],
  );
  const [turn, setTurn] = useState(0);
  const title = mode === "edit" ? texts.item.editTitle : texts.item.createTitle;
  return (
    <ContentLayout
      header={
        <Header variant="h1" description={texts.item.about}>
          {title}
        </Header>
      }
    >
      <Refusal error={opened.error} retry={opened.refresh} />
      {opened.loading && <Spinner size="large" />}
      {!opened.loading && opened.error === undefined && opened.value && (
        <Editor
          key={turn}
          mode={mode}
          opened={opened.value}
          reload={() => {
            void opened.refresh();
            setTurn(turn + 1);
          }}
        />
      )}
    </ContentLayout>
  );
}

/** The fields of a new item: its key, empty. */
function emptyKey(key: Key[]): Field[] {
  return key.map(({ name, type }) => newField(type, name));
}

/** The key's fields first. */
function ordered(fields: Field[], key: Key[]): Field[] {
  const first = key.flatMap(({ name }) => fields.filter((field) => field.name === name));
  return [...first, ...fields.filter((field) => !first.includes(field))];
}

const MOST_COMPARED = 100;
/** Attributes of a condition: an expression may have 300 operators, and a request must stay small. */

/** What makes an item of another, attribute by attribute, if nobody has changed it meanwhile: what somebody else has
 * added stays, and what somebody else has changed is not written over. */
function update(table: string, key: string[], before: Item, after: Item): UpdateItemCommandInput {
  const placeholders = new Placeholders();
  const text = (item: Item, name: string) => JSON.stringify(attribute(item, name), jsonReplacer);
  const same = (name: string) => text(before, name) === text(after, name);
  const named = (item: Item) => attributesOf(item).filter(([name]) => !key.includes(name));
  const added = Object.keys(after).filter((name) => !Object.hasOwn(before, name));
  const put = named(after)
    .filter(([name]) => !same(name))
    .map(([name, value]) => `${placeholders.name(name)} = ${placeholders.value(value)}`);
  const gone = named(before)
    .filter(([name]) => !Object.hasOwn(after, name))
    .map(([name]) => placeholders.name(name));
  // What this changes comes first: it must be compared, however many attributes there are.
  const unchanged = attributesOf(before)
    .sort(([one], [other]) => Number(same(one)) - Number(same(other)))
    .slice(0, MOST_COMPARED)
    .map(([name, value]) => `${placeholders.name(name)} = ${placeholders.value(value)}`);
  const absent = added.map((name) => `attribute_not_exists(${placeholders.name(name)})`);
  const expression = [put.length ? `SET ${put.join(", ")}` : "", gone.length ? `REMOVE ${gone.join(", ")}` : ""];
  return {
    TableName: table,
    Key: Object.fromEntries(attributesOf(before).filter(([name]) => key.includes(name))),
    ...(put.length || gone.length ? { UpdateExpression: expression.filter(Boolean).join(" ") } : {}),
    ConditionExpression: [...unchanged, ...absent].join(" AND "),
    ...placeholders.members,
  };
}

function Editor({ mode, opened, reload }: { mode: Mode; opened: Opened; reload: () => void }) {
  const { clients } = useSession();
  const navigate = useNavigate();
  const tell = useTell();
  const { table, item: before } = opened;
  const name = table.TableName ?? "";
  const key = [...keys(table, table.KeySchema, "HASH"), ...keys(table, table.KeySchema, "RANGE")];
  const [fields, setFields] = useState(() => (before ? ordered(fieldsOf(before), key) : emptyKey(key)));
  const [asJson, setAsJson] = useState(false);
  const [typed, setTyped] = useState(true);
  const [text, setText] = useState("");
  const [like, setLike] = useState<Item>({});
  /** What the text was made of: it has the types that plain JSON lacks. */
  const [formError, setFormError] = useState<string>();
  const [conflict, setConflict] = useState<"exists" | "changed">();
  const keyNames = key.map((one) => one.name);
  const back = `/dynamodb/items/${encodeURIComponent(name)}`;

  const write = (item: Item, withTypes: boolean) => {
    setLike(item);
    setText(withTypes ? dynamodbJson(item) : plainObject(item, "", "  "));
  };
  const read = (withTypes: boolean) => (withTypes ? fromDynamodbJson(text) : fromPlainJson(text, like));
  const attempt = (act: () => void) => {
    try {
      act();
      setFormError(undefined);
    } catch (error) {
      setFormError(error instanceof Error ? error.message : String(error));
    }
  };
  const showJson = (wanted: boolean) =>
    attempt(() => {
      if (wanted) {
        write(itemOf(fields), typed);
      } else {
        setFields(ordered(fieldsOf(read(typed)), key));
      }
      setAsJson(wanted);
    });
  const showTypes = (wanted: boolean) =>
    attempt(() => {
      write(read(typed), wanted);
      setTyped(wanted);
    });

  const saving = useAction(async (item: Item) => {
    setConflict(undefined);
    const isSameKey = before && keyNames.every((one) => shown(attribute(item, one)) === shown(attribute(before, one)));
    const replaces = mode === "edit" && isSameKey;
    try {
      if (replaces) {
        await clients.dynamodb.send(new UpdateItemCommand(update(name, keyNames, before, item)));
      } else {
        const isNew = {
          ConditionExpression: "attribute_not_exists(#k)",
          ExpressionAttributeNames: { "#k": keyNames[0] ?? "" },
        };
        await clients.dynamodb.send(new PutItemCommand({ TableName: name, Item: item, ...isNew }));
      }
    } catch (error) {
      if (error instanceof Error && error.name === "ConditionalCheckFailedException") {
        setConflict(replaces ? "changed" : "exists");
        return;
      }
      throw error;
    }
    tell("success", mode === "edit" ? texts.item.savedItem : texts.item.created);
    navigate(back);
  });
  const submit = () =>
    attempt(() => {
      const item = asJson ? read(typed) : itemOf(fields);
      void saving.start(item);
    });
  const put = (field: Field) => setFields(fields.map((one) => (one.id === field.id ? field : one)));
  return (
    <Form
      errorText={formError}
      actions={
        <SpaceBetween direction="horizontal" size="xs">
          <Button variant="link" onClick={() => navigate(back)}>
            {texts.cancel}
          </Button>
          <Button variant="primary" loading={saving.running} onClick={submit}>
            {mode === "edit" ? texts.item.saveChanges : texts.item.create}
          </Button>
        </SpaceBetween>
      }
    >
      <SpaceBetween size="l">
        <Refusal error={saving.error} />
        {conflict && (
          <Alert
            type="warning"
            action={conflict === "changed" && <Button onClick={reload}>{texts.item.reload}</Button>}
          >
            {conflict === "changed" ? texts.item.changed : texts.item.exists}
          </Alert>
        )}
        <Container
          header={
            <Header
              variant="h2"
              actions={
                <SpaceBetween direction="horizontal" size="xs" alignItems="center">
                  {asJson && (
                    <Toggle checked={typed} onChange={({ detail }) => showTypes(detail.checked)}>
                      {texts.item.dynamodbJson}
                    </Toggle>
                  )}
                  <SegmentedControl
                    label={texts.item.attributes}
                    selectedId={asJson ? "json" : "form"}
                    onChange={({ detail }) => showJson(detail.selectedId === "json")}
                    options={[
                      { id: "form", text: texts.item.form },
                      { id: "json", text: texts.item.json },
                    ]}
                  />
                  {!asJson && (
                    <AddField
                      text={texts.item.addAttribute}
                      add={(type) => setFields([...fields, newField(type, texts.item.newName)])}
                    />
                  )}
                </SpaceBetween>
              }
            >
              {texts.item.attributes}
            </Header>
          }
        >
          {asJson ? (
            <FormField label={texts.item.json} description={typed ? undefined : texts.item.plainAbout} stretch>
              <Textarea
                value={text}
                spellcheck={false}
                rows={Math.max(LEAST_ROWS, text.split("\n").length)}
                onChange={({ detail }) => setText(detail.value)}
              />
            </FormField>
          ) : (
            <SpaceBetween size="s">
              {fields.map((field) => {
                const place = keyNames.indexOf(field.name);
                const isKey = place >= 0;
                return (
                  <FieldEditor
                    key={field.id}
                    field={field}
                    label={isKey ? `${field.name} - ${place ? texts.item.sortKey : texts.item.partitionKey}` : undefined}
                    fixed={isKey}
                    locked={isKey && mode === "edit"}
                    change={put}
                    remove={isKey ? undefined : () => setFields(fields.filter((one) => one !== field))}
                  />
                );
              })}
            </SpaceBetween>
          )}
        </Container>
      </SpaceBetween>
    </Form>
  );
}
