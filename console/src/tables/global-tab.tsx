import { type ReplicaDescription, UpdateTableCommand } from "@aws-sdk/client-dynamodb";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { Dialog } from "../dialog";
import { useAction, useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import type { TabProps } from "./details";
import { untilActive } from "./descriptions";
import { Disassociation } from "./disassociation";
import { encryptionOf, KeyPicker } from "./encryption";
import { EditReplica, overrides, OwnFields, ownOf, shownReads } from "./replica-settings";
import { Status } from "./status";

export function GlobalTab({ table, refresh }: TabProps) {
  const { clients, region } = useSession();
  const tell = useTell();
  const [selected, setSelected] = useState<ReplicaDescription[]>([]);
  const [creates, setCreates] = useState(false);
  const [edits, setEdits] = useState(false);
  const replicas = table.Replicas ?? [];
  // A replica that is gone is no longer selected.
  const chosen = replicas.filter(({ RegionName }) => RegionName === selected[0]?.RegionName);
  const [edited] = edits ? chosen : [];
  const deleting = useAction(async () => {
    for (const replica of chosen) {
      await clients.dynamodb.send(
        new UpdateTableCommand({
          TableName: table.TableName,
          ReplicaUpdates: [{ Delete: { RegionName: replica.RegionName } }],
        }),
      );
      tell("success", texts.global.deleted(replica.RegionName ?? ""));
    }
    await refresh();
  });
  return (
    <SpaceBetween size="l">
      <Refusal error={deleting.error} />
      <Table<ReplicaDescription>
        trackBy="RegionName"
        selectionType="single"
        selectedItems={chosen}
        isItemDisabled={(replica) => replica.RegionName === region}
        onSelectionChange={({ detail }) => setSelected(detail.selectedItems)}
        items={replicas}
        empty={<Box textAlign="center">{texts.global.empty}</Box>}
        columnDefinitions={[
          {
            id: "region",
            header: texts.global.region,
            isRowHeader: true,
            cell: ({ RegionName }) => (RegionName === region ? `${RegionName} (${texts.global.thisTable})` : RegionName),
          },
          {
            id: "status",
            header: texts.global.status,
            cell: ({ ReplicaStatus }) => <Status status={ReplicaStatus} />,
          },
          {
            id: "class",
            header: texts.create.tableClass,
            cell: (replica) =>
              ownOf(table, replica).tableClass === "STANDARD" ? texts.create.standard : texts.create.infrequent,
          },
          { id: "reads", header: texts.global.reads, cell: (replica) => shownReads(table, replica) },
          { id: "key", header: texts.global.key, cell: ({ KMSMasterKeyId }) => KMSMasterKeyId ?? texts.none },
        ]}
        ariaLabels={{
          selectionGroupLabel: texts.global.title,
          itemSelectionLabel: (_, replica) => `${texts.global.region}: ${replica.RegionName}`,
        }}
        header={
          <Header
            variant="h2"
            counter={`(${replicas.length})`}
            description={texts.global.about}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button
                  disabled={!chosen.length}
                  loading={deleting.running}
                  onClick={() => void deleting.start()}
                >
                  {texts.delete}
                </Button>
                <Button disabled={!chosen.length} onClick={() => setEdits(true)}>
                  {texts.global.edit}
                </Button>
                <Button variant="primary" onClick={() => setCreates(true)}>
                  {texts.global.create}
                </Button>
              </SpaceBetween>
            }
          >
            {texts.global.title}
          </Header>
        }
      />
      {table.DisassociationProtectionEnabled !== undefined && <Disassociation table={table} refresh={refresh} />}
      {edited && (
        <EditReplica
          table={table}
          replica={edited}
          dismiss={() => setEdits(false)}
          done={() => {
            setEdits(false);
            void refresh();
          }}
        />
      )}
      {creates && (
        <CreateReplica
          table={table}
          dismiss={() => setCreates(false)}
          done={() => {
            setCreates(false);
            void refresh();
          }}
        />
      )}
    </SpaceBetween>
  );
}

function CreateReplica({ table, dismiss, done }: { table: TabProps["table"]; dismiss: () => void; done: () => void }) {
  const { clients, region, server } = useSession();
  const tell = useTell();
  const taken = new Set([region, ...(table.Replicas ?? []).map((replica) => replica.RegionName)]);
  const options = server.regions.filter((one) => !taken.has(one)).map((value) => ({ value, label: value }));
  const [chosen, setChosen] = useState<string>();
  const [usual] = useState(() => ownOf(table, undefined));
  const [own, setOwn] = useState(usual);
  const [key, setKey] = useState("");
  const arn = table.SSEDescription?.KMSMasterKeyArn;
  const found = useLoaded((signal) => encryptionOf(clients.kms, table.SSEDescription, signal), [clients, arn]);
  const needsKey = found.value?.owner === "customer";
  const hasStream = table.StreamSpecification?.StreamViewType === "NEW_AND_OLD_IMAGES";
  const create = async () => {
    const name = table.TableName ?? "";
    if (!table.StreamSpecification?.StreamEnabled) {
      await clients.dynamodb.send(
        new UpdateTableCommand({
          TableName: name,
          StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" },
        }),
      );
      await untilActive(clients.dynamodb, name);
    }
    await clients.dynamodb.send(
      new UpdateTableCommand({
        TableName: name,
        ReplicaUpdates: [
          {
            Create: {
              RegionName: chosen,
              ...overrides(table, usual, own),
              ...(needsKey ? { KMSMasterKeyId: key } : {}),
            },
          },
        ],
      }),
    );
    tell("success", texts.global.created(chosen ?? ""));
    done();
  };
  return (
    <Dialog
      title={texts.global.create}
      submit={texts.global.create}
      disabled={chosen === undefined || found.value === undefined || (needsKey && !key)}
      dismiss={dismiss}
      act={create}
    >
      <FormField label={texts.global.region} description={texts.global.regionAbout}>
        <Select
          placeholder={texts.global.choose}
          filteringType="auto"
          options={options}
          selectedOption={options.find((one) => one.value === chosen) ?? null}
          onChange={({ detail }) => {
            setChosen(detail.selectedOption.value);
            setKey("");
          }}
        />
      </FormField>
      {needsKey && chosen !== undefined && (
        <SpaceBetween size="xs">
          <KeyPicker key={chosen} region={chosen} value={key} change={setKey} />
          <Box color="text-body-secondary">{texts.global.keyAbout}</Box>
        </SpaceBetween>
      )}
      <ExpandableSection headerText={texts.global.further}>
        <OwnFields table={table} value={own} change={setOwn} />
      </ExpandableSection>
      {!hasStream && <Box color="text-body-secondary">{texts.global.needsStream}</Box>}
    </Dialog>
  );
}
