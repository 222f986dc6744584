import { useCollection } from "@cloudscape-design/collection-hooks";
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import Link from "@cloudscape-design/components/link";
import Pagination from "@cloudscape-design/components/pagination";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useState } from "react";
import { Navigate, useParams } from "react-router-dom";
import { useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import { Dialog } from "../dialog";
import { DocumentField } from "./document-field";
import { type Entity, type Kind, KINDS, removeWhole } from "./kinds";

const PAGE = 20;

/** All users, groups or roles of the account. */
export default function Entities() {
  const kind = KINDS[useParams().kind ?? ""];
  return kind === undefined ? <Navigate to="/iam/users" replace /> : <EntityList key={kind.id} kind={kind} />;
}

function EntityList({ kind }: { kind: Kind }) {
  const { clients, account } = useSession();
  const tell = useTell();
  const found = useLoaded((signal) => kind.list(clients.iam, signal), [clients, kind]);
  const [open, setOpen] = useState<"create" | "delete">();
  const [name, setName] = useState("");
  const [trust, setTrust] = useState(() => trustOf(account));
  const { items, filterProps, paginationProps, collectionProps, actions } = useCollection(found.value ?? [], {
    filtering: { fields: ["name"], empty: texts.iam.empty, noMatch: texts.iam.empty },
    pagination: { pageSize: PAGE },
    sorting: {},
    selection: { trackBy: "arn" },
  });
  const [chosen] = collectionProps.selectedItems ?? [];
  const close = () => setOpen(undefined);
  const done = (said: string) => {
    tell("success", said);
    actions.setSelectedItems([]);
    setName("");
    close();
    found.refresh();
  };
  return (
    <>
      <Refusal error={found.error} retry={found.refresh} />
      <Table<Entity>
        {...collectionProps}
        items={items}
        trackBy="arn"
        variant="full-page"
        selectionType="single"
        loading={found.loading && found.value === undefined}
        loadingText={texts.loading}
        filter={
          <TextFilter {...filterProps} filteringPlaceholder={texts.iam.find} filteringAriaLabel={texts.iam.find} />
        }
        pagination={<Pagination {...paginationProps} />}
        ariaLabels={{
          selectionGroupLabel: kind.title,
          itemSelectionLabel: (_, entity) => `${texts.iam.name}: ${entity.name}`,
        }}
        header={
          <Header
            variant="h1"
            counter={`(${found.value?.length ?? 0})`}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button iconName="refresh" ariaLabel={texts.refresh} onClick={found.refresh} />
                <Button disabled={!chosen} onClick={() => setOpen("delete")}>
                  {texts.delete}
                </Button>
                <Button variant="primary" onClick={() => setOpen("create")}>
                  {texts.iam.create(kind.one)}
                </Button>
              </SpaceBetween>
            }
          >
            {kind.title}
          </Header>
        }
        columnDefinitions={[
          {
            id: "name",
            header: texts.iam.name,
            sortingField: "name",
            isRowHeader: true,
            cell: (entity) => <Link href={`#/iam/${kind.id}/${encodeURIComponent(entity.name)}`}>{entity.name}</Link>,
          },
          { id: "path", header: texts.iam.path, sortingField: "path", cell: ({ path }) => path },
          { id: "arn", header: texts.iam.arn, cell: ({ arn }) => arn },
          {
            id: "created",
            header: texts.iam.created,
            sortingField: "created",
            cell: ({ created }) => created?.toLocaleString(),
          },
        ]}
      />
      {open === "create" && (
        <Dialog
          title={texts.iam.create(kind.one)}
          submit={texts.iam.create(kind.one)}
          disabled={!name}
          dismiss={close}
          act={async () => {
            await kind.create(clients.iam, name, trust);
            done(texts.iam.done(kind.one, name));
          }}
        >
          <FormField label={texts.iam.name}>
            <Input value={name} onChange={({ detail }) => setName(detail.value)} />
          </FormField>
          {kind.id === "roles" && <DocumentField kind="trust" label={texts.iam.trust} value={trust} change={setTrust} />}
        </Dialog>
      )}
      {open === "delete" && chosen && (
        <Dialog
          title={texts.iam.delete(kind.one)}
          submit={texts.delete}
          dismiss={close}
          act={async () => {
            await removeWhole(clients.iam, kind, chosen.name);
            done(texts.iam.gone(kind.one, chosen.name));
          }}
        >
          <Alert type="warning">{texts.iam.deleteWarning}</Alert>
        </Dialog>
      )}
    </>
  );
}

function trustOf(account: string): string {
  const principal = { AWS: `arn:aws:iam::${account}:root` };
  const statement = { Effect: "Allow", Principal: principal, Action: "sts:AssumeRole" };
  return JSON.stringify({ Version: "2012-10-17", Statement: [statement] }, null, 2);
}
