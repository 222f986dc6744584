import {
  DescribeTimeToLiveCommand,
  ListTagsOfResourceCommand,
  type Tag,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateTableCommand,
  UpdateTimeToLiveCommand,
} from "@aws-sdk/client-dynamodb";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { useDraft } from "../drafts";
import { useLoaded } from "../loading";
import { useSession } from "../session";
import { Setting } from "../setting";
import { texts } from "../texts";
import { CapacitySettings, WarmSettings } from "./capacity-settings";
import { CHANGING, isSettled } from "./descriptions";
import type { TabProps } from "./details";
import { EncryptionFields, encryptionOf, specification, USUAL_ENCRYPTION } from "./encryption";
import { Status } from "./status";
import { ClassChoice } from "./table-class";
import { type TagRow, TagRows, tagsOf } from "./tags";

export function SettingsTab(props: TabProps) {
  return (
    <SpaceBetween size="l">
      <CapacitySettings {...props} />
      <WarmSettings {...props} />
      <Class {...props} />
      <EncryptionSettings {...props} />
      <TimeToLive {...props} />
      <Protection {...props} />
      <Tags {...props} />
    </SpaceBetween>
  );
}

function Class({ table, refresh }: TabProps) {
  const { clients } = useSession();
  const draft = useDraft(table.TableClassSummary?.TableClass ?? "STANDARD");
  const change = { TableName: table.TableName, TableClass: draft.value };
  return (
    <Setting
      title={texts.create.tableClass}
      action={texts.settings.save(texts.create.tableClass)}
      disabled={!draft.isChanged}
      act={() => clients.dynamodb.send(new UpdateTableCommand(change))}
      refresh={refresh}
      draft={draft}
    >
      <ClassChoice value={draft.value} change={draft.change} />
    </Setting>
  );
}

function EncryptionSettings({ table, refresh }: TabProps) {
  const { clients } = useSession();
  const arn = table.SSEDescription?.KMSMasterKeyArn;
  const found = useLoaded((signal) => encryptionOf(clients.kms, table.SSEDescription, signal), [clients, arn]);
  const stored = found.value ?? USUAL_ENCRYPTION;
  const draft = useDraft(stored);
  const { owner, key } = draft.value;
  const isSame = owner === stored.owner && (owner !== "customer" || key === stored.key);
  const change = { TableName: table.TableName, SSESpecification: specification(draft.value) };
  return (
    <Setting
      title={texts.encryption.title}
      about={texts.encryption.about}
      action={texts.settings.save(texts.encryption.title)}
      disabled={isSame || found.value === undefined || (owner === "customer" && !key)}
      act={() => clients.dynamodb.send(new UpdateTableCommand(change))}
      refresh={refresh}
      draft={draft}
      error={found.error}
    >
      <KeyValuePairs
        columns={2}
        items={[
          { label: texts.list.status, value: <Status status={table.SSEDescription?.Status ?? "ENABLED"} /> },
          { label: texts.encryption.arn, value: arn ?? texts.encryption.owners.dynamodb },
        ]}
      />
      <EncryptionFields value={draft.value} change={draft.change} />
    </Setting>
  );
}

function TimeToLive({ table }: TabProps) {
  const { clients } = useSession();
  const [attribute, setAttribute] = useState("");
  const found = useLoaded(
    async (signal) => {
      const input = { TableName: table.TableName };
      const answer = await clients.dynamodb.send(new DescribeTimeToLiveCommand(input), { abortSignal: signal });
      return answer.TimeToLiveDescription ?? {};
    },
    [clients, table.TableName],
    ({ TimeToLiveStatus }) => (isSettled(TimeToLiveStatus) ? undefined : CHANGING),
  );
  const status = found.value?.TimeToLiveStatus;
  const isOn = status === "ENABLED";
  const name = isOn ? found.value?.AttributeName : attribute;
  const change = { TableName: table.TableName, TimeToLiveSpecification: { Enabled: !isOn, AttributeName: name } };
  return (
    <Setting
      title={texts.settings.ttl}
      about={texts.settings.ttlAbout}
      action={isOn ? texts.settings.turnOff : texts.settings.turnOn}
      disabled={found.value === undefined || !name}
      act={() => clients.dynamodb.send(new UpdateTimeToLiveCommand(change))}
      refresh={found.refresh}
      error={found.error}
    >
      <KeyValuePairs
        columns={2}
        items={[
          { label: texts.list.status, value: <Status status={status} /> },
          { label: texts.settings.attribute, value: found.value?.AttributeName ?? texts.none },
        ]}
      />
      {!isOn && (
        <FormField label={texts.settings.attribute}>
          <Input value={attribute} onChange={({ detail }) => setAttribute(detail.value)} />
        </FormField>
      )}
    </Setting>
  );
}

function Protection({ table, refresh }: TabProps) {
  const { clients } = useSession();
  const isOn = table.DeletionProtectionEnabled === true;
  const change = { TableName: table.TableName, DeletionProtectionEnabled: !isOn };
  return (
    <Setting
      title={texts.settings.protection}
      about={texts.settings.protectionAbout}
      action={isOn ? texts.settings.turnOff : texts.settings.turnOn}
      act={() => clients.dynamodb.send(new UpdateTableCommand(change))}
      refresh={refresh}
    >
      <Status status={isOn ? "ENABLED" : "DISABLED"} />
    </Setting>
  );
}

/** The tags of a table. Only what was changed here is sent: tags that somebody else has changed stay. */
function Tags({ table }: TabProps) {
  const { clients } = useSession();
  const arn = table.TableArn ?? "";
  const found = useLoaded(
    async (signal) => {
      const tags: Tag[] = [];
      let after: string | undefined;
      do {
        const input = { ResourceArn: arn, NextToken: after };
        const page = await clients.dynamodb.send(new ListTagsOfResourceCommand(input), { abortSignal: signal });
        tags.push(...(page.Tags ?? []));
        after = page.NextToken;
      } while (after !== undefined);
      return tags.map(({ Key = "", Value = "" }): TagRow => ({ key: Key, value: Value }));
    },
    [clients, arn],
  );
  const draft = useDraft(found.value ?? []);
  const { value: rows, base } = draft;
  const save = async () => {
    const gone = base.map(({ key }) => key).filter((key) => !rows.some((row) => row.key === key));
    const put = rows.filter((row) => !base.some(({ key, value }) => key === row.key && value === row.value));
    if (gone.length) {
      await clients.dynamodb.send(new UntagResourceCommand({ ResourceArn: arn, TagKeys: gone }));
    }
    if (put.length) {
      await clients.dynamodb.send(new TagResourceCommand({ ResourceArn: arn, Tags: tagsOf(put) }));
    }
  };
  return (
    <Setting
      title={texts.settings.tags}
      about={texts.create.tagsAbout}
      action={texts.save}
      disabled={found.value === undefined || !draft.isChanged}
      act={save}
      refresh={found.refresh}
      draft={draft}
      error={found.error}
    >
      <TagRows rows={rows} change={draft.change} />
    </Setting>
  );
}
