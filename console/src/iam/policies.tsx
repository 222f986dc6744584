import {
  CreatePolicyCommand,
  DeletePolicyCommand,
  type IAMClient,
  ListPoliciesCommand,
  type Policy,
} from "@aws-sdk/client-iam";
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
import { useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import { Dialog } from "../dialog";
import { DocumentField, EMPTY_POLICY } from "./document-field";
import { every } from "./kinds";

const PAGE = 20;
const AWS = "arn:aws:iam::aws:";

export const isAws = (policy: Policy): boolean => policy.Arn?.startsWith(AWS) === true;

export function policiesOf(client: IAMClient, scope: "All" | "Local", signal: AbortSignal): Promise<Policy[]> {
  return every(
    (Marker) => client.send(new ListPoliciesCommand({ Scope: scope, Marker }), { abortSignal: signal }),
    (page) => page.Policies,
  );
}

/** The account's managed policies, and AWS's. */
export default function Policies() {
  const { clients } = useSession();
  const tell = useTell();
  const found = useLoaded((signal) => policiesOf(clients.iam, "All", signal), [clients]);
  const [open, setOpen] = useState<"create" | "delete">();
  const [name, setName] = useState("");
  const [document, setDocument] = useState(EMPTY_POLICY);
  const { items, filterProps, paginationProps, collectionProps, actions } = useCollection(found.value ?? [], {
    filtering: { fields: ["PolicyName"], empty: texts.iam.empty, noMatch: texts.iam.empty },
    pagination: { pageSize: PAGE },
    sorting: {},
    selection: { trackBy: "Arn" },
  });
  const [chosen] = collectionProps.selectedItems ?? [];
  const done = (said: string) => {
    tell("success", said);
    actions.setSelectedItems([]);
    setOpen(undefined);
    setName("");
    found.refresh();
  };
  return (
    <>
      <Refusal error={found.error} retry={found.refresh} />
      <Table<Policy>
        {...collectionProps}
        items={items}
        trackBy="Arn"
        variant="full-page"
        selectionType="single"
        isItemDisabled={isAws}
        loading={found.loading && found.value === undefined}
        loadingText={texts.loading}
        filter={
          <TextFilter {...filterProps} filteringPlaceholder={texts.iam.find} filteringAriaLabel={texts.iam.find} />
        }
        pagination={<Pagination {...paginationProps} />}
        ariaLabels={{
          selectionGroupLabel: texts.iam.policies,
          itemSelectionLabel: (_, { PolicyName }) => `${texts.iam.policyName}: ${PolicyName}`,
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
                  {texts.iam.create(texts.iam.policy)}
                </Button>
              </SpaceBetween>
            }
          >
            {texts.iam.policies}
          </Header>
        }
        columnDefinitions={[
          {
            id: "name",
            header: texts.iam.policyName,
            sortingField: "PolicyName",
            isRowHeader: true,
            cell: ({ PolicyName, Arn = "" }) => (
              <Link href={`#/iam/policies/${encodeURIComponent(Arn)}`}>{PolicyName}</Link>
            ),
          },
          { id: "type", header: texts.iam.type, cell: (one) => (isAws(one) ? texts.iam.aws : texts.iam.customer) },
          {
            id: "attachments",
            header: texts.iam.attachments,
            sortingField: "AttachmentCount",
            cell: ({ AttachmentCount }) => AttachmentCount,
          },
        ]}
      />
      {open === "create" && (
        <Dialog
          title={texts.iam.create(texts.iam.policy)}
          submit={texts.iam.create(texts.iam.policy)}
          disabled={!name}
          dismiss={() => setOpen(undefined)}
          act={async () => {
            await clients.iam.send(new CreatePolicyCommand({ PolicyName: name, PolicyDocument: document }));
            done(texts.iam.done(texts.iam.policy, name));
          }}
        >
          <FormField label={texts.iam.policyName}>
            <Input value={name} onChange={({ detail }) => setName(detail.value)} />
          </FormField>
          <DocumentField value={document} change={setDocument} />
        </Dialog>
      )}
      {open === "delete" && chosen && (
        <Dialog
          title={texts.iam.delete(texts.iam.policy)}
          submit={texts.delete}
          dismiss={() => setOpen(undefined)}
          act={async () => {
            await clients.iam.send(new DeletePolicyCommand({ PolicyArn: chosen.Arn }));
            done(texts.iam.gone(texts.iam.policy, chosen.PolicyName ?? ""));
          }}
        >
          <Alert type="warning">{chosen.PolicyName}</Alert>
        </Dialog>
      )}
    </>
  );
}
