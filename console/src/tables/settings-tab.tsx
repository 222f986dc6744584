import {
  DescribeTimeToLiveCommand,
  ListTagsOfResourceCommand,
  type Tag,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateTableCommand,
  type UpdateTableCommandInput,
  UpdateTimeToLiveCommand,
} from "@aws-sdk/client-dynamodb";
import Button from "@cloudscape-design/components/button";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import Container from "@cloudscape-design/components/container";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import RadioGroup from "@cloudscape-design/components/radio-group";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useEffect, useState } from "react";
import { useAction, useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import type { TabProps } from "./details";
import { isOnDemand } from "./descriptions";
import { throughput } from "./index-form";
import { Status } from "./status";
import { type TagRow, TagRows, tagsOf } from "./tags";

export function SettingsTab(props: TabProps) {
  return (
    <SpaceBetween size="l">
      <Capacity {...props} />
      <TimeToLive {...props} />
      <Protection {...props} />
      <Tags {...props} />
    </SpaceBetween>
  );
}

function Capacity({ table, refresh }: TabProps) {
  const { clients } = useSession();
  const tell = useTell();
  const now = table.ProvisionedThroughput;
  const [onDemand, setOnDemand] = useState(isOnDemand(table));
  const [read, setRead] = useState(String(now?.ReadCapacityUnits || 5));
  const [write, setWrite] = useState(String(now?.WriteCapacityUnits || 5));
  const saving = useAction(async () => {
    const capacity = throughput(read, write);
    const indexes = (table.GlobalSecondaryIndexes ?? []).map(({ IndexName, ProvisionedThroughput: of }) => ({
      Update: {
        IndexName,
        ProvisionedThroughput: of?.ReadCapacityUnits
          ? { ReadCapacityUnits: of.ReadCapacityUnits, WriteCapacityUnits: of.WriteCapacityUnits }
          : capacity,
      },
    }));
    const input: UpdateTableCommandInput = onDemand
      ? { TableName: table.TableName, BillingMode: "PAY_PER_REQUEST" }
      : {
          TableName: table.TableName,
          BillingMode: "PROVISIONED",
          ProvisionedThroughput: capacity,
          ...(isOnDemand(table) && indexes.length ? { GlobalSecondaryIndexUpdates: indexes } : {}),
        };
    await clients.dynamodb.send(new UpdateTableCommand(input));
    tell("success", texts.saved);
    refresh();
  });
  return (
    <Container
      header={
        <Header
          variant="h2"
          actions={
            <Button loading={saving.running} onClick={() => void saving.start()}>
              {texts.save}
            </Button>
          }
        >
          {texts.settings.capacity}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Refusal error={saving.error} />
        <RadioGroup
          ariaLabel={texts.settings.capacity}
          value={onDemand ? "on-demand" : "provisioned"}
          onChange={({ detail }) => setOnDemand(detail.value === "on-demand")}
          items={[
            { value: "on-demand", label: texts.create.onDemand, description: texts.create.onDemandAbout },
            { value: "provisioned", label: texts.create.provisioned, description: texts.create.provisionedAbout },
          ]}
        />
        {!onDemand && (
          <ColumnLayout columns={2}>
            <FormField label={texts.create.read}>
              <Input type="number" value={read} onChange={({ detail }) => setRead(detail.value)} />
            </FormField>
            <FormField label={texts.create.write}>
              <Input type="number" value={write} onChange={({ detail }) => setWrite(detail.value)} />
            </FormField>
          </ColumnLayout>
        )}
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
