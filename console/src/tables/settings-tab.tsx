import {
  DescribeTimeToLiveCommand,
  ListTagsOfResourceCommand,
  type Tag,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateTableCommand,
  UpdateTimeToLiveCommand,
} from "@aws-sdk/client-dynamodb";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useEffect, useState } from "react";
import { useAction, useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import type { TabProps } from "./details";
import { CapacitySettings, capacityKey, WarmSettings, warmKey } from "./capacity-settings";
import { type Encryption, EncryptionFields, encryptionOf, specification, USUAL_ENCRYPTION } from "./encryption";
import { Status } from "./status";
import { ClassChoice } from "./table-class";
import { type TagRow, TagRows, tagsOf } from "./tags";

export function SettingsTab(props: TabProps) {
  return (
    <SpaceBetween size="l">
      <CapacitySettings key={capacityKey(props.table)} {...props} />
      <WarmSettings key={warmKey(props.table)} {...props} />
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
  const tell = useTell();
  const now = table.TableClassSummary?.TableClass ?? "STANDARD";
  const [wanted, setWanted] = useState(now);
  const saving = useAction(async () => {
    await clients.dynamodb.send(new UpdateTableCommand({ TableName: table.TableName, TableClass: wanted }));
    tell("success", texts.saved);
    refresh();
  });
  return (
    <Container
      header={
        <Header
          variant="h2"
          actions={
            <Button disabled={wanted === now} loading={saving.running} onClick={() => void saving.start()}>
              {texts.settings.save(texts.create.tableClass)}
            </Button>
          }
        >
          {texts.create.tableClass}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Refusal error={saving.error} />
        <ClassChoice value={wanted} change={setWanted} />
      </SpaceBetween>
    </Container>
  );
}

function EncryptionSettings({ table, refresh }: TabProps) {
  const { clients } = useSession();
  const tell = useTell();
  const arn = table.SSEDescription?.KMSMasterKeyArn;
  const found = useLoaded((signal) => encryptionOf(clients.kms, table.SSEDescription, signal), [clients, arn]);
  const [changed, setChanged] = useState<Encryption>();
  const now = found.value ?? USUAL_ENCRYPTION;
  const wanted = changed ?? now;
  const isSame = wanted.owner === now.owner && (wanted.owner !== "customer" || wanted.key === now.key);
  const saving = useAction(async () => {
    await clients.dynamodb.send(
      new UpdateTableCommand({ TableName: table.TableName, SSESpecification: specification(wanted) }),
    );
    tell("success", texts.saved);
    setChanged(undefined);
    refresh();
  });
  return (
    <Container
      header={
        <Header
          variant="h2"
          description={texts.encryption.about}
          actions={
            <Button
              disabled={isSame || found.loading || (wanted.owner === "customer" && !wanted.key)}
              loading={saving.running}
              onClick={() => void saving.start()}
            >
              {texts.settings.save(texts.encryption.title)}
            </Button>
          }
        >
          {texts.encryption.title}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Refusal error={saving.error} />
        <KeyValuePairs
          columns={2}
          items={[
            { label: texts.list.status, value: <Status status={table.SSEDescription?.Status ?? "ENABLED"} /> },
            { label: texts.encryption.arn, value: arn ?? texts.encryption.owners.dynamodb },
          ]}
        />
        <EncryptionFields value={wanted} change={setChanged} />
      </SpaceBetween>
    </Container>
  );
}

function TimeToLive({ table }: TabProps) {
  const { clients } = useSession();
  const tell = useTell();
  const [attribute, setAttribute] = useState("");
  const found = useLoaded(
    async (signal) => {
      const input = { TableName: table.TableName };
      const answer = await clients.dynamodb.send(new DescribeTimeToLiveCommand(input), { abortSignal: signal });
      return answer.TimeToLiveDescription ?? {};
    },
    [clients, table.TableName],
  );
  const status = found.value?.TimeToLiveStatus;
  const isOn = status === "ENABLED";
  const turning = useAction(async () => {
    const name = isOn ? found.value?.AttributeName : attribute;
    await clients.dynamodb.send(
      new UpdateTimeToLiveCommand({
        TableName: table.TableName,
        TimeToLiveSpecification: { Enabled: !isOn, AttributeName: name },
      }),
    );
    tell("success", texts.saved);
    found.refresh();
  });
  return (
    <Container
      header={
        <Header
          variant="h2"
          description={texts.settings.ttlAbout}
          actions={
            <Button
              loading={turning.running}
              disabled={!isOn && !attribute}
              onClick={() => void turning.start()}
            >
              {isOn ? texts.settings.turnOff : texts.settings.turnOn}
            </Button>
          }
        >
          {texts.settings.ttl}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Refusal error={found.error ?? turning.error} />
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
      </SpaceBetween>
    </Container>
  );
}

function Protection({ table, refresh }: TabProps) {
  const { clients } = useSession();
  const tell = useTell();
  const isOn = table.DeletionProtectionEnabled === true;
  const turning = useAction(async () => {
    await clients.dynamodb.send(
      new UpdateTableCommand({ TableName: table.TableName, DeletionProtectionEnabled: !isOn }),
    );
    tell("success", texts.saved);
    refresh();
  });
  return (
    <Container
      header={
        <Header
          variant="h2"
          description={texts.settings.protectionAbout}
          actions={
            <Button loading={turning.running} onClick={() => void turning.start()}>
              {isOn ? texts.settings.turnOff : texts.settings.turnOn}
            </Button>
          }
        >
          {texts.settings.protection}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Refusal error={turning.error} />
        <Status status={isOn ? "ENABLED" : "DISABLED"} />
      </SpaceBetween>
    </Container>
  );
}

function Tags({ table }: TabProps) {
  const { clients } = useSession();
  const tell = useTell();
  const arn = table.TableArn ?? "";
  const [rows, setRows] = useState<TagRow[]>([]);
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
      return tags.map(({ Key = "", Value = "" }) => ({ key: Key, value: Value }));
    },
    [clients, arn],
  );
  useEffect(() => {
    if (found.value) {
      setRows(found.value);
    }
  }, [found.value]);
  const saving = useAction(async () => {
    const gone = (found.value ?? []).map(({ key }) => key).filter((key) => !rows.some((row) => row.key === key));
    if (gone.length) {
      await clients.dynamodb.send(new UntagResourceCommand({ ResourceArn: arn, TagKeys: gone }));
    }
    if (rows.length) {
      await clients.dynamodb.send(new TagResourceCommand({ ResourceArn: arn, Tags: tagsOf(rows) }));
    }
    tell("success", texts.saved);
    found.refresh();
  });
  return (
    <Container
      header={
        <Header
          variant="h2"
          description={texts.create.tagsAbout}
          actions={
            <Button loading={saving.running} onClick={() => void saving.start()}>
              {texts.save}
            </Button>
          }
        >
          {texts.settings.tags}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Refusal error={found.error ?? saving.error} />
        <TagRows rows={rows} change={setRows} />
      </SpaceBetween>
    </Container>
  );
}
