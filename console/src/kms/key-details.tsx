import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  DeleteAliasCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  DisableKeyRotationCommand,
  EnableKeyCommand,
  EnableKeyRotationCommand,
  GetKeyPolicyCommand,
  GetKeyRotationStatusCommand,
  type GrantListEntry,
  type KeyMetadata,
  ListGrantsCommand,
  PutKeyPolicyCommand,
  RevokeGrantCommand,
  ScheduleKeyDeletionCommand,
} from "@aws-sdk/client-kms";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { useParams } from "react-router-dom";
import { Dialog } from "../dialog";
import { useDraft } from "../drafts";
import { indented } from "../iam/document-field";
import { DocumentSetting, expectUnchanged } from "../iam/document-setting";
import { useAction, useLoaded } from "../loading";
import { Refusal } from "../notices";
import { useSession } from "../session";
import { Setting } from "../setting";
import { texts } from "../texts";
import { aliasesOf } from "./aliases";
import { KeyState, withPrefix } from "./keys";

const LEAST_DAYS = 7;
const POLICY = "default";
/** The name of the one policy that a key has. */
const TURNS: Record<string, string> = { Enabled: texts.kms.disable, PendingDeletion: texts.kms.cancelDeletion };
/** What the button does to a key in a state; it enables one in any other. */

export default function KeyDetails() {
  const { id = "" } = useParams();
  const { clients } = useSession();
  const found = useLoaded(
    async (signal): Promise<KeyMetadata | undefined> =>
      (await clients.kms.send(new DescribeKeyCommand({ KeyId: id }), { abortSignal: signal })).KeyMetadata,
    [clients, id],
  );
  const key = found.value;
  const isOwn = key?.KeyManager === "CUSTOMER";
  return (
    <ContentLayout header={<Header variant="h1">{id}</Header>}>
      <SpaceBetween size="l">
        <Refusal error={found.error} retry={found.refresh} />
        {key && (
          <SpaceBetween size="l">
            <General metadata={key} refresh={found.refresh} />
            <Aliases id={key.KeyId ?? id} />
            {isOwn && key.KeyState !== "PendingDeletion" && <Rotation id={key.KeyId ?? id} />}
            <KeyPolicy id={key.KeyId ?? id} isOwn={isOwn} />
            <Grants id={key.KeyId ?? id} />
          </SpaceBetween>
        )}
      </SpaceBetween>
    </ContentLayout>
  );
}

function General({ metadata, refresh }: { metadata: KeyMetadata; refresh: () => Promise<void> }) {
  const { clients } = useSession();
  const { KeyId, KeyState: state } = metadata;
  const [deletes, setDeletes] = useState(false);
  const [days, setDays] = useState("30");
  const turn = async () => {
    await (state === "PendingDeletion"
      ? clients.kms.send(new CancelKeyDeletionCommand({ KeyId }))
      : state === "Enabled"
        ? clients.kms.send(new DisableKeyCommand({ KeyId }))
        : clients.kms.send(new EnableKeyCommand({ KeyId })));
  };
  const isOwn = metadata.KeyManager === "CUSTOMER";
  return (
    <Setting
      title={texts.details.general}
      action={isOwn ? (TURNS[state ?? ""] ?? texts.kms.enable) : undefined}
      act={turn}
      refresh={refresh}
      before={
        isOwn && (
          <Button disabled={state === "PendingDeletion"} onClick={() => setDeletes(true)}>
            {texts.kms.schedule}
          </Button>
        )
      }
    >
      <KeyValuePairs
        columns={3}
        items={[
          { label: texts.iam.arn, value: metadata.Arn },
          { label: texts.list.status, value: <KeyState state={state} /> },
          { label: texts.iam.created, value: metadata.CreationDate?.toLocaleString() ?? texts.none },
          { label: texts.kms.description, value: metadata.Description || texts.none },
          { label: texts.kms.origin, value: metadata.Origin },
          { label: texts.kms.deletion, value: metadata.DeletionDate?.toLocaleString() ?? texts.none },
        ]}
      />
      {deletes && (
        <Dialog
          title={texts.kms.schedule}
          submit={texts.kms.schedule}
          dismiss={() => setDeletes(false)}
          act={async () => {
            await clients.kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: Number(days) }));
            setDeletes(false);
            void refresh();
          }}
        >
          <Alert type="warning">{texts.kms.deleteWarning}</Alert>
          <FormField label={texts.kms.days} constraintText={texts.kms.daysAbout(LEAST_DAYS)}>
            <Input type="number" value={days} onChange={({ detail }) => setDays(detail.value)} />
          </FormField>
        </Dialog>
      )}
    </Setting>
  );
}

function Aliases({ id }: { id: string }) {
  const { clients } = useSession();
  const found = useLoaded((signal) => aliasesOf(clients.kms, id, signal), [clients, id]);
  const [alias, setAlias] = useState("");
  const acting = useAction(async (name: string, removes: boolean) => {
    await (removes
      ? clients.kms.send(new DeleteAliasCommand({ AliasName: name }))
      : clients.kms.send(new CreateAliasCommand({ AliasName: withPrefix(name), TargetKeyId: id })));
    setAlias((typed) => (!removes && typed === name ? "" : typed));
    await found.refresh();
  });
  return (
    <>
      <Refusal error={found.error ?? acting.error} />
      <Table
        items={found.value ?? []}
        trackBy="AliasName"
        empty={<Box textAlign="center">{texts.iam.empty}</Box>}
        header={
          <Header
            variant="h2"
            counter={`(${found.value?.length ?? 0})`}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Input
                  ariaLabel={texts.kms.newAlias}
                  placeholder={texts.kms.aliasExample}
                  value={alias}
                  onChange={({ detail }) => setAlias(detail.value)}
                />
                <Button disabled={!alias} loading={acting.running} onClick={() => void acting.start(alias, false)}>
                  {texts.kms.addAlias}
                </Button>
              </SpaceBetween>
            }
          >
            {texts.kms.aliases}
          </Header>
        }
        columnDefinitions={[
          { id: "name", header: texts.iam.name, isRowHeader: true, cell: ({ AliasName }) => AliasName },
          {
            id: "remove",
            header: texts.actions,
            cell: ({ AliasName = "" }) => (
              <Button
                variant="inline-link"
                ariaLabel={`${texts.delete} ${AliasName}`}
                onClick={() => void acting.start(AliasName, true)}
              >
                {texts.delete}
              </Button>
            ),
          },
        ]}
      />
    </>
  );
}

function Rotation({ id }: { id: string }) {
  const { clients } = useSession();
  const found = useLoaded(
    (signal) => clients.kms.send(new GetKeyRotationStatusCommand({ KeyId: id }), { abortSignal: signal }),
    [clients, id],
  );
  const isOn = found.value?.KeyRotationEnabled === true;
  const turn = async () => {
    await (isOn
      ? clients.kms.send(new DisableKeyRotationCommand({ KeyId: id }))
      : clients.kms.send(new EnableKeyRotationCommand({ KeyId: id })));
  };
  return (
    <Setting
      title={texts.kms.rotation}
      about={texts.kms.rotationAbout}
      action={isOn ? texts.kms.rotationOff : texts.kms.rotationOn}
      disabled={found.value === undefined}
      act={turn}
      refresh={found.refresh}
      error={found.error}
    >
      <KeyValuePairs
        columns={3}
        items={[
          { label: texts.kms.rotation, value: isOn ? texts.streams.on : texts.streams.off },
          { label: texts.kms.period, value: found.value?.RotationPeriodInDays ?? texts.none },
          { label: texts.kms.next, value: found.value?.NextRotationDate?.toLocaleString() ?? texts.none },
        ]}
      />
    </Setting>
  );
}

function KeyPolicy({ id, isOwn }: { id: string; isOwn: boolean }) {
  const { clients } = useSession();
  const load = async (signal?: AbortSignal) => {
    const command = new GetKeyPolicyCommand({ KeyId: id, PolicyName: POLICY });
    return (await clients.kms.send(command, { abortSignal: signal })).Policy ?? "";
  };
  const found = useLoaded(load, [clients, id]);
  const draft = useDraft({ text: indented(found.value ?? ""), revision: found.value ?? "" });
  const save = async () => {
    expectUnchanged(draft, await load());
    await clients.kms.send(new PutKeyPolicyCommand({ KeyId: id, PolicyName: POLICY, Policy: draft.value.text }));
  };
  return (
    <DocumentSetting
      title={texts.kms.policy}
      about={texts.kms.policyAbout}
      kind="resource"
      isFixed={!isOwn}
      isLoaded={found.value !== undefined}
      draft={draft}
      save={save}
      refresh={found.refresh}
      error={found.error}
    />
  );
}

function Grants({ id }: { id: string }) {
  const { clients } = useSession();
  const found = useLoaded(
    async (signal) => {
      const grants: GrantListEntry[] = [];
      let after: string | undefined;
      do {
        const command = new ListGrantsCommand({ KeyId: id, Marker: after });
        const page = await clients.kms.send(command, { abortSignal: signal });
        grants.push(...(page.Grants ?? []));
        after = page.Truncated ? page.NextMarker : undefined;
      } while (after !== undefined);
      return grants;
    },
    [clients, id],
  );
  const revoking = useAction(async (GrantId: string) => {
    await clients.kms.send(new RevokeGrantCommand({ KeyId: id, GrantId }));
    await found.refresh();
  });
  return (
    <>
      <Refusal error={found.error ?? revoking.error} />
      <Table<GrantListEntry>
        items={found.value ?? []}
        trackBy="GrantId"
        wrapLines
        empty={<Box textAlign="center">{texts.iam.empty}</Box>}
        header={
          <Header variant="h2" counter={`(${found.value?.length ?? 0})`}>
            {texts.kms.grants}
          </Header>
        }
        columnDefinitions={[
          { id: "id", header: texts.iam.name, isRowHeader: true, cell: ({ Name, GrantId }) => Name ?? GrantId },
          { id: "who", header: texts.kms.grantee, cell: ({ GranteePrincipal }) => GranteePrincipal },
          { id: "what", header: texts.kms.operations, cell: ({ Operations }) => Operations?.join(", ") },
          {
            id: "revoke",
            header: texts.actions,
            cell: ({ GrantId = "" }) => (
              <Button
                variant="inline-link"
                ariaLabel={`${texts.kms.revoke} ${GrantId}`}
                onClick={() => void revoking.start(GrantId)}
              >
                {texts.kms.revoke}
              </Button>
            ),
          },
        ]}
      />
    </>
  );
}
