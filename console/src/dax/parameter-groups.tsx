import {
  CreateParameterGroupCommand,
  DeleteParameterGroupCommand,
  DescribeParameterGroupsCommand,
  DescribeParametersCommand,
  type Parameter,
  type ParameterGroup,
  UpdateParameterGroupCommand,
} from "@aws-sdk/client-dax";
import { useCollection } from "@cloudscape-design/collection-hooks";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { Dialog } from "../dialog";
import { useDraft } from "../drafts";
import { useLoaded, useAction } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";

/** How long clusters of DAX keep what they have read: groups of parameters, and those of the one that is chosen. */
export default function ParameterGroups() {
  const { clients } = useSession();
  const tell = useTell();
  const found = useLoaded(
    async (signal) => {
      const answer = await clients.dax.send(new DescribeParameterGroupsCommand({}), { abortSignal: signal });
      return answer.ParameterGroups ?? [];
    },
    [clients],
  );
  const { items, collectionProps } = useCollection(found.value ?? [], {
    sorting: {},
    selection: { trackBy: "ParameterGroupName" },
  });
  const [open, setOpen] = useState<"create" | "delete">();
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const chosen = collectionProps.selectedItems?.[0]?.ParameterGroupName;
  const done = () => {
    setOpen(undefined);
    void found.refresh();
    tell("success", texts.saved);
  };
  return (
    <SpaceBetween size="l">
      <Refusal error={found.error} retry={found.refresh} />
      <Table<ParameterGroup>
        {...collectionProps}
        items={items}
        trackBy="ParameterGroupName"
        variant="full-page"
        selectionType="single"
        empty={<Box textAlign="center">{texts.iam.empty}</Box>}
        ariaLabels={{
          selectionGroupLabel: texts.dax.groups,
          itemSelectionLabel: (_, one) => `${texts.iam.choose}: ${one.ParameterGroupName}`,
        }}
        header={
          <Header
            variant="h1"
            counter={`(${found.value?.length ?? 0})`}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button disabled={chosen === undefined} onClick={() => setOpen("delete")}>
                  {texts.delete}
                </Button>
                <Button variant="primary" onClick={() => setOpen("create")}>
                  {texts.dax.createGroup}
                </Button>
              </SpaceBetween>
            }
          >
            {texts.dax.groups}
          </Header>
        }
        columnDefinitions={[
          {
            id: "name",
            header: texts.iam.name,
            isRowHeader: true,
            sortingField: "ParameterGroupName",
            cell: (one) => one.ParameterGroupName,
          },
          { id: "description", header: texts.dax.description, cell: (one) => one.Description || texts.none },
        ]}
      />
      {chosen !== undefined && <Parameters key={chosen} group={chosen} />}
      {open === "create" && (
        <Dialog
          title={texts.dax.createGroup}
          submit={texts.dax.createGroup}
          disabled={!name}
          dismiss={() => setOpen(undefined)}
          act={async () => {
            const input = { ParameterGroupName: name, ...(description ? { Description: description } : {}) };
            await clients.dax.send(new CreateParameterGroupCommand(input));
            done();
          }}
        >
          <FormField label={texts.dax.groupName}>
            <Input value={name} onChange={({ detail }) => setName(detail.value)} />
          </FormField>
          <FormField label={texts.dax.description}>
            <Input value={description} onChange={({ detail }) => setDescription(detail.value)} />
          </FormField>
        </Dialog>
      )}
      {open === "delete" && chosen !== undefined && (
        <Dialog
          title={texts.dax.deleteGroup}
          submit={texts.delete}
          dismiss={() => setOpen(undefined)}
          act={async () => {
            await clients.dax.send(new DeleteParameterGroupCommand({ ParameterGroupName: chosen }));
            done();
          }}
        >
          <Alert type="warning">{chosen}</Alert>
        </Dialog>
      )}
    </SpaceBetween>
  );
}

function Parameters({ group }: { group: string }) {
  const { clients } = useSession();
  const tell = useTell();
  const found = useLoaded(
    async (signal) => {
      const command = new DescribeParametersCommand({ ParameterGroupName: group });
      return (await clients.dax.send(command, { abortSignal: signal })).Parameters ?? [];
    },
    [clients, group],
  );
  const stored = Object.fromEntries(
    (found.value ?? []).map(({ ParameterName = "", ParameterValue = "" }) => [ParameterName, ParameterValue]),
  );
  const draft = useDraft(stored);
  const saving = useAction(async () => {
    const changed = Object.entries(draft.value).filter(([name, value]) => value !== stored[name]);
    await clients.dax.send(
      new UpdateParameterGroupCommand({
        ParameterGroupName: group,
        ParameterNameValues: changed.map(([ParameterName, ParameterValue]) => ({ ParameterName, ParameterValue })),
      }),
    );
    tell("success", texts.saved);
    await found.refresh();
    draft.saved(draft.value);
  });
  return (
    <>
      <Refusal error={found.error ?? saving.error} />
      <Table<Parameter>
        items={found.value ?? []}
        trackBy="ParameterName"
        wrapLines
        header={
          <Header
            variant="h2"
            actions={
              <Button
                disabled={!draft.isChanged}
                loading={saving.running}
                onClick={() => void saving.start()}
              >
                {texts.save}
              </Button>
            }
          >
            {texts.dax.parametersOf(group)}
          </Header>
        }
        columnDefinitions={[
          { id: "name", header: texts.iam.name, isRowHeader: true, cell: ({ ParameterName }) => ParameterName },
          {
            id: "value",
            header: texts.dax.value,
            cell: ({ ParameterName = "", ParameterValue = "", IsModifiable }) =>
              IsModifiable === "FALSE" ? (
                ParameterValue
              ) : (
                <Input
                  ariaLabel={`${texts.dax.value}: ${ParameterName}`}
                  value={draft.value[ParameterName] ?? ParameterValue}
                  onChange={({ detail }) => draft.change({ ...draft.value, [ParameterName]: detail.value })}
                />
              ),
          },
          { id: "about", header: texts.dax.description, cell: ({ Description }) => Description },
        ]}
      />
    </>
  );
}
