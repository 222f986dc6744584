import {
  CreateAliasCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  type KeyMetadata,
  type KMSClient,
  ListKeysCommand,
} from "@aws-sdk/client-kms";
import { useCollection } from "@cloudscape-design/collection-hooks";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import Link from "@cloudscape-design/components/link";
import Pagination from "@cloudscape-design/components/pagination";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useEffect, useState } from "react";
import { useNavigate } from "react-router-dom";
import { Dialog } from "../dialog";
import { useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { Status } from "../tables/status";
import { texts } from "../texts";
import { aliasesOf } from "./aliases";

const PAGE = 20;
const ALIAS = "alias/";

interface Row {
  id: string;
  aliases: string;
}

async function rowsOf(client: KMSClient, signal: AbortSignal): Promise<Row[]> {
  const aliases = await aliasesOf(client, undefined, signal);
  const ids: string[] = [];
  let after: string | undefined;
  do {
    const page = await client.send(new ListKeysCommand({ Marker: after }), { abortSignal: signal });
    ids.push(...(page.Keys ?? []).map(({ KeyId = "" }) => KeyId));
    after = page.Truncated ? page.NextMarker : undefined;
  } while (after !== undefined);
  return ids.map((id) => ({
    id,
    aliases: aliases
      .filter(({ TargetKeyId }) => TargetKeyId === id)
      .map(({ AliasName = "" }) => AliasName)
      .join(", "),
  }));
}

/** The keys of KMS in the region. Only those of the page that is shown are described. */
export default function Keys() {
  const { clients } = useSession();
  const navigate = useNavigate();
  const tell = useTell();
  const found = useLoaded((signal) => rowsOf(clients.kms, signal), [clients]);
  const [described, setDescribed] = useState<Record<string, KeyMetadata>>({});
  const [creates, setCreates] = useState(false);
  const [alias, setAlias] = useState("");
  const [description, setDescription] = useState("");
  const { items, filterProps, paginationProps, collectionProps } = useCollection(found.value ?? [], {
    filtering: { fields: ["id", "aliases"], empty: texts.kms.empty, noMatch: texts.kms.empty },
    pagination: { pageSize: PAGE },
    sorting: {},
  });
  const visible = items.map(({ id }) => id).join(" ");
  useEffect(() => {
    const abort = new AbortController();
    const wanted = visible ? visible.split(" ") : [];
    const asked = wanted.map((KeyId) =>
      clients.kms.send(new DescribeKeyCommand({ KeyId }), { abortSignal: abort.signal }),
    );
    void Promise.allSettled(asked).then((answers) => {
      if (!abort.signal.aborted) {
        const keys = answers.flatMap((one) =>
          one.status === "fulfilled" && one.value.KeyMetadata ? [one.value.KeyMetadata] : [],
        );
        setDescribed((before) => ({ ...before, ...Object.fromEntries(keys.map((key) => [key.KeyId ?? "", key])) }));
      }
    });
    return () => abort.abort();
    // With the list, its keys are described again.
  }, [visible, clients, found.value]);
  return (
    <>
      <Refusal error={found.error} retry={found.refresh} />
      <Table<Row>
        {...collectionProps}
        items={items}
        trackBy="id"
        variant="full-page"
        loading={found.loading && found.value === undefined}
        loadingText={texts.loading}
        filter={<TextFilter {...filterProps} filteringPlaceholder={texts.kms.find} filteringAriaLabel={texts.kms.find} />}
        pagination={<Pagination {...paginationProps} />}
        header={
          <Header
            variant="h1"
            counter={`(${found.value?.length ?? 0})`}
            description={texts.kms.about}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button iconName="refresh" ariaLabel={texts.refresh} onClick={found.refresh} />
                <Button variant="primary" onClick={() => setCreates(true)}>
                  {texts.kms.create}
                </Button>
              </SpaceBetween>
            }
          >
            {texts.kms.keys}
          </Header>
        }
        columnDefinitions={[
          {
            id: "id",
            header: texts.kms.id,
            sortingField: "id",
            isRowHeader: true,
            cell: ({ id }) => <Link href={`#/kms/keys/${encodeURIComponent(id)}`}>{id}</Link>,
          },
          {
            id: "aliases",
            header: texts.kms.aliases,
            sortingField: "aliases",
            cell: ({ aliases }) => aliases || texts.none,
          },
          {
            id: "state",
            header: texts.list.status,
            cell: ({ id }) => described[id] && <KeyState state={described[id].KeyState} />,
          },
          { id: "manager", header: texts.kms.manager, cell: ({ id }) => described[id]?.KeyManager },
          { id: "description", header: texts.kms.description, cell: ({ id }) => described[id]?.Description },
        ]}
      />
      {creates && (
        <Dialog
          title={texts.kms.create}
          submit={texts.kms.create}
          dismiss={() => setCreates(false)}
          act={async () => {
            const answer = await clients.kms.send(new CreateKeyCommand({ Description: description }));
            const id = answer.KeyMetadata?.KeyId ?? "";
            tell("success", texts.kms.created(id));
            if (alias) {
              await clients.kms.send(new CreateAliasCommand({ AliasName: withPrefix(alias), TargetKeyId: id }));
            }
            navigate(`/kms/keys/${encodeURIComponent(id)}`);
          }}
        >
          <Box>{texts.kms.createAbout}</Box>
          <FormField label={texts.kms.alias} constraintText={texts.kms.aliasAbout}>
            <Input value={alias} onChange={({ detail }) => setAlias(detail.value)} />
          </FormField>
          <FormField label={texts.kms.description}>
            <Input value={description} onChange={({ detail }) => setDescription(detail.value)} />
          </FormField>
        </Dialog>
      )}
    </>
  );
}

/** An alias as KMS has it. */
export const withPrefix = (alias: string): string => (alias.startsWith(ALIAS) ? alias : ALIAS + alias);

const STATES: Record<string, string> = {
  Enabled: "ENABLED",
  Disabled: "DISABLED",
  PendingDeletion: "PENDING_DELETION",
  PendingImport: "PENDING_IMPORT",
};

export function KeyState({ state }: { state: string | undefined }) {
  return <Status status={state === undefined ? undefined : (STATES[state] ?? state.toUpperCase())} />;
}
