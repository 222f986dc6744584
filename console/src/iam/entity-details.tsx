import {
  AddUserToGroupCommand,
  GetGroupCommand,
  ListGroupsForUserCommand,
  RemoveUserFromGroupCommand,
  UpdateAssumeRolePolicyCommand,
} from "@aws-sdk/client-iam";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import Link from "@cloudscape-design/components/link";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { Navigate, useParams } from "react-router-dom";
import { useAction, useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import { AccessKeys } from "./access-keys";
import { ConsolePassword } from "./console-password";
import { Dialog } from "../dialog";
import { useDraft } from "../drafts";
import { DocumentField, EMPTY_POLICY } from "./document-field";
import { DocumentSetting, expectUnchanged } from "./document-setting";
import { type Attached, type Entity, type Kind, KINDS, ROLES } from "./kinds";
import { policiesOf } from "./policies";

interface Parts {
  kind: Kind;
  name: string;
}

export default function EntityDetails() {
  const { kind: id = "", name = "" } = useParams();
  const { clients } = useSession();
  const kind = KINDS[id];
  const found = useLoaded(
    async (signal) => (kind === undefined ? undefined : kind.get(clients.iam, name, signal)),
    [clients, kind, name],
  );
  if (kind === undefined) {
    return <Navigate to="/iam/users" replace />;
  }
  const entity = found.value;
  return (
    <ContentLayout header={<Header variant="h1">{name}</Header>}>
      <SpaceBetween size="l">
        <Refusal error={found.error} retry={found.refresh} />
        {entity && (
          <SpaceBetween size="l">
            <Container>
              <KeyValuePairs
                columns={3}
                items={[
                  { label: texts.iam.arn, value: entity.arn },
                  { label: texts.iam.path, value: entity.path },
                  { label: texts.iam.created, value: entity.created?.toLocaleString() ?? texts.none },
                ]}
              />
            </Container>
            <AttachedPolicies kind={kind} name={name} />
            <InlinePolicies kind={kind} name={name} />
            {kind.id === "users" && <ConsolePassword user={name} />}
            {kind.id === "users" && <AccessKeys user={name} />}
            {kind.id !== "roles" && <Memberships kind={kind} name={name} />}
            {kind.id === "roles" && <Trust role={entity} refresh={found.refresh} />}
          </SpaceBetween>
        )}
      </SpaceBetween>
    </ContentLayout>
  );
}

function AttachedPolicies({ kind, name }: Parts) {
  const { clients } = useSession();
  const found = useLoaded(() => kind.attached(clients.iam, name), [clients, kind, name]);
  const all = useLoaded((signal) => policiesOf(clients.iam, "All", signal), [clients]);
  const [attaches, setAttaches] = useState(false);
  const [arn, setArn] = useState<string>();
  const detaching = useAction(async (one: Attached) => {
    await kind.detach(clients.iam, name, one.arn);
    await found.refresh();
  });
  const options = (all.value ?? []).map(({ PolicyName = "", Arn = "" }) => ({ value: Arn, label: PolicyName }));
  return (
    <>
      <Refusal error={found.error ?? all.error ?? detaching.error} />
      <Table<Attached>
        items={found.value ?? []}
        trackBy="arn"
        empty={<Box textAlign="center">{texts.iam.empty}</Box>}
        columnDefinitions={[
          {
            id: "name",
            header: texts.iam.policyName,
            isRowHeader: true,
            cell: (one) => <Link href={`#/iam/policies/${encodeURIComponent(one.arn)}`}>{one.name}</Link>,
          },
          { id: "arn", header: texts.iam.arn, cell: (one) => one.arn },
          {
            id: "detach",
            header: texts.actions,
            cell: (one) => (
              <Button
                variant="inline-link"
                ariaLabel={`${texts.iam.detach} ${one.name}`}
                onClick={() => void detaching.start(one)}
              >
                {texts.iam.detach}
              </Button>
            ),
          },
        ]}
        header={
          <Header
            variant="h2"
            counter={`(${found.value?.length ?? 0})`}
            actions={<Button onClick={() => setAttaches(true)}>{texts.iam.attach}</Button>}
          >
            {texts.iam.attached}
          </Header>
        }
      />
      {attaches && (
        <Dialog
          title={texts.iam.attach}
          submit={texts.iam.attach}
          disabled={arn === undefined}
          dismiss={() => setAttaches(false)}
          act={async () => {
            await kind.attach(clients.iam, name, arn ?? "");
            setAttaches(false);
            found.refresh();
          }}
        >
          <FormField label={texts.iam.policyName}>
            <Select
              filteringType="auto"
              virtualScroll
              placeholder={texts.iam.choose}
              options={options}
              selectedOption={options.find((one) => one.value === arn) ?? null}
              onChange={({ detail }) => setArn(detail.selectedOption.value)}
            />
          </FormField>
        </Dialog>
      )}
    </>
  );
}

function InlinePolicies({ kind, name }: Parts) {
  const { clients } = useSession();
  const tell = useTell();
  const found = useLoaded(() => kind.inline(clients.iam, name), [clients, kind, name]);
  const [policy, setPolicy] = useState("");
  const [document, setDocument] = useState(EMPTY_POLICY);
  /** The document from which an edit began. */
  const [begun, setBegun] = useState("");
  const [open, setOpen] = useState<"new" | "edit">();
  const acting = useAction(async (of: string, removes: boolean) => {
    if (removes) {
      await kind.removeInline(clients.iam, name, of);
      await found.refresh();
    } else {
      const stored = await kind.document(clients.iam, name, of);
      setBegun(stored);
      setDocument(stored);
      setPolicy(of);
      setOpen("edit");
    }
  });
  /** PutUserPolicy writes over whatever is there. Somebody who has been warned may save once more. */
  const expectAsBegun = async () => {
    const stored = (await kind.inline(clients.iam, name)).includes(policy)
      ? await kind.document(clients.iam, name, policy)
      : "";
    if (open === "new" && stored) {
      throw new Error(texts.iam.inlineExists(policy));
    }
    if (open === "edit" && stored !== begun) {
      setBegun(stored);
      throw new Error(texts.document.overtakenOnce);
    }
  };
  return (
    <>
      <Refusal error={found.error ?? acting.error} />
      <Table<string>
        items={found.value ?? []}
        empty={<Box textAlign="center">{texts.iam.empty}</Box>}
        columnDefinitions={[
          { id: "name", header: texts.iam.policyName, isRowHeader: true, cell: (one) => one },
          {
            id: "actions",
            header: texts.actions,
            cell: (one) => (
              <SpaceBetween direction="horizontal" size="s">
                <Button
                  variant="inline-link"
                  ariaLabel={`${texts.iam.edit} ${one}`}
                  onClick={() => void acting.start(one, false)}
                >
                  {texts.iam.edit}
                </Button>
                <Button
                  variant="inline-link"
                  ariaLabel={`${texts.delete} ${one}`}
                  onClick={() => void acting.start(one, true)}
                >
                  {texts.delete}
                </Button>
              </SpaceBetween>
            ),
          },
        ]}
        header={
          <Header
            variant="h2"
            counter={`(${found.value?.length ?? 0})`}
            actions={
              <Button
                loading={acting.running}
                onClick={() => {
                  setPolicy("");
                  setDocument(EMPTY_POLICY);
                  setOpen("new");
                }}
              >
                {texts.iam.addInline}
              </Button>
            }
          >
            {texts.iam.inline}
          </Header>
        }
      />
      {open && (
        <Dialog
          title={open === "new" ? texts.iam.addInline : policy}
          submit={texts.save}
          disabled={!policy}
          dismiss={() => setOpen(undefined)}
          act={async () => {
            await expectAsBegun();
            await kind.put(clients.iam, name, policy, document);
            tell("success", texts.saved);
            setOpen(undefined);
            found.refresh();
          }}
        >
          <FormField label={texts.iam.policyName}>
            <Input value={policy} disabled={open === "edit"} onChange={({ detail }) => setPolicy(detail.value)} />
          </FormField>
          <DocumentField value={document} change={setDocument} />
        </Dialog>
      )}
    </>
  );
}

/** The groups of a user, or the users of a group. */
function Memberships({ kind, name }: Parts) {
  const { clients } = useSession();
  const isGroup = kind.id === "groups";
  const other = KINDS[isGroup ? "users" : "groups"] as Kind;
  const found = useLoaded(async () => {
    if (isGroup) {
      const { Users } = await clients.iam.send(new GetGroupCommand({ GroupName: name }));
      return (Users ?? []).map(({ UserName = "" }) => UserName);
    }
    const { Groups } = await clients.iam.send(new ListGroupsForUserCommand({ UserName: name }));
    return (Groups ?? []).map(({ GroupName = "" }) => GroupName);
  }, [clients, name, isGroup]);
  const all = useLoaded((signal) => other.list(clients.iam, signal), [clients, other]);
  const [chosen, setChosen] = useState<string>();
  const pair = (one: string) =>
    isGroup ? { GroupName: name, UserName: one } : { GroupName: one, UserName: name };
  const acting = useAction(async (one: string, removes: boolean) => {
    await clients.iam.send(
      removes ? new RemoveUserFromGroupCommand(pair(one)) : new AddUserToGroupCommand(pair(one)),
    );
    setChosen((before) => (!removes && before === one ? undefined : before));
    await found.refresh();
  });
  const options = (all.value ?? [])
    .filter((one) => !found.value?.includes(one.name))
    .map((one) => ({ value: one.name, label: one.name }));
  const title = isGroup ? texts.iam.members : texts.iam.memberOf;
  return (
    <>
      <Refusal error={found.error ?? all.error ?? acting.error} />
      <Table<string>
        items={found.value ?? []}
        empty={<Box textAlign="center">{texts.iam.empty}</Box>}
        columnDefinitions={[
          {
            id: "name",
            header: texts.iam.name,
            isRowHeader: true,
            cell: (one) => <Link href={`#/iam/${other.id}/${encodeURIComponent(one)}`}>{one}</Link>,
          },
          {
            id: "remove",
            header: texts.actions,
            cell: (one) => (
              <Button
                variant="inline-link"
                ariaLabel={`${texts.create.remove} ${one}`}
                onClick={() => void acting.start(one, true)}
              >
                {texts.create.remove}
              </Button>
            ),
          },
        ]}
        header={
          <Header
            variant="h2"
            counter={`(${found.value?.length ?? 0})`}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Select
                  ariaLabel={title}
                  placeholder={texts.iam.choose}
                  options={options}
                  selectedOption={options.find((one) => one.value === chosen) ?? null}
                  onChange={({ detail }) => setChosen(detail.selectedOption.value)}
                />
                <Button
                  disabled={!chosen}
                  loading={acting.running}
                  onClick={() => void acting.start(chosen ?? "", false)}
                >
                  {isGroup ? texts.iam.addMember : texts.iam.addToGroup}
                </Button>
              </SpaceBetween>
            }
          >
            {title}
          </Header>
        }
      />
    </>
  );
}

function Trust({ role, refresh }: { role: Entity; refresh: () => Promise<void> }) {
  const { clients } = useSession();
  const trust = role.trust ?? "";
  const draft = useDraft({ text: trust, revision: trust });
  const save = async () => {
    const { trust: stored = "" } = await ROLES.get(clients.iam, role.name);
    expectUnchanged(draft, stored);
    const input = { RoleName: role.name, PolicyDocument: draft.value.text };
    await clients.iam.send(new UpdateAssumeRolePolicyCommand(input));
  };
  return (
    <DocumentSetting
      title={texts.iam.trust}
      about={texts.iam.trustAbout}
      kind="trust"
      isLoaded
      draft={draft}
      save={save}
      refresh={refresh}
    />
  );
}
