/** The key that encrypts a table, as a form has it: DynamoDB's own, KMS's for DynamoDB, or one of the account. */
import type { SSEDescription, SSESpecification } from "@aws-sdk/client-dynamodb";
import { DescribeKeyCommand, type KMSClient, ListKeysCommand } from "@aws-sdk/client-kms";
import Autosuggest from "@cloudscape-design/components/autosuggest";
import FormField from "@cloudscape-design/components/form-field";
import RadioGroup from "@cloudscape-design/components/radio-group";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { aliasesOf } from "../kms/aliases";
import { useLoaded } from "../loading";
import { Refusal } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";

export type Owner = "dynamodb" | "aws" | "customer";
export interface Encryption {
  owner: Owner;
  /** An ARN, an ID or an alias of a customer's key. */
  key: string;
}

export const USUAL_ENCRYPTION: Encryption = { owner: "dynamodb", key: "" };
const AWS_ALIAS = "alias/aws/";
const DYNAMODB_ALIAS = "alias/aws/dynamodb";

/** What a request says of it. */
export function specification({ owner, key }: Encryption): SSESpecification {
  if (owner === "dynamodb") {
    return { Enabled: false };
  }
  return { Enabled: true, SSEType: "KMS", ...(owner === "customer" ? { KMSMasterKeyId: key } : {}) };
}

/** The members of a request that makes a table: none for what every table has. */
export function encryptionMembers(encryption: Encryption) {
  return encryption.owner === "dynamodb" ? {} : { SSESpecification: specification(encryption) };
}

/** The encryption of a table as it is described. Who may not look at the key still sees which one it is. */
export async function encryptionOf(
  client: KMSClient,
  described: SSEDescription | undefined,
  signal: AbortSignal,
): Promise<Encryption> {
  const key = described?.KMSMasterKeyArn;
  if (!key) {
    return USUAL_ENCRYPTION;
  }
  if (key.endsWith(DYNAMODB_ALIAS)) {
    return { owner: "aws", key: "" };
  }
  const manager = await client.send(new DescribeKeyCommand({ KeyId: key }), { abortSignal: signal }).then(
    ({ KeyMetadata }) => KeyMetadata?.KeyManager,
    () => undefined,
  );
  return manager === "AWS" ? { owner: "aws", key: "" } : { owner: "customer", key };
}

interface KnownKey {
  arn: string;
  aliases: string[];
}

/** The keys of the region with their aliases. */
async function knownKeys(client: KMSClient, signal: AbortSignal): Promise<KnownKey[]> {
  const aliases = await aliasesOf(client, undefined, signal);
  const found: KnownKey[] = [];
  let after: string | undefined;
  do {
    const page = await client.send(new ListKeysCommand({ Marker: after }), { abortSignal: signal });
    for (const { KeyId = "", KeyArn = "" } of page.Keys ?? []) {
      const own = aliases.filter(({ TargetKeyId }) => TargetKeyId === KeyId).map(({ AliasName = "" }) => AliasName);
      found.push({ arn: KeyArn, aliases: own });
    }
    after = page.Truncated ? page.NextMarker : undefined;
  } while (after !== undefined);
  return found;
}

const isAwsKey = ({ aliases }: KnownKey): boolean => aliases.some((name) => name.startsWith(AWS_ALIAS));

export function EncryptionFields({ value, change }: { value: Encryption; change: (value: Encryption) => void }) {
  return (
    <SpaceBetween size="m">
      <RadioGroup
        ariaLabel={texts.encryption.title}
        value={value.owner}
        onChange={({ detail }) => change({ ...value, owner: detail.value as Owner })}
        items={(["dynamodb", "aws", "customer"] as const).map((owner) => ({
          value: owner,
          label: texts.encryption.owners[owner],
          description: texts.encryption.ownersAbout[owner],
        }))}
      />
      {value.owner === "customer" && <KeyPicker value={value.key} change={(key) => change({ ...value, key })} />}
    </SpaceBetween>
  );
}

/** A key of the account, in the chosen Region or in another one. */
export function KeyPicker(props: { value: string; change: (value: string) => void; region?: string }) {
  const { value, change } = props;
  const { clientsOf, region: chosen } = useSession();
  const region = props.region ?? chosen;
  const found = useLoaded((signal) => knownKeys(clientsOf(region).kms, signal), [clientsOf, region]);
  const own = (found.value ?? []).filter((key) => !isAwsKey(key));
  return (
    <SpaceBetween size="s">
      <Refusal error={found.error} retry={found.refresh} />
      <FormField label={texts.encryption.key} constraintText={texts.encryption.keyAbout}>
        <Autosuggest
          value={value}
          onChange={({ detail }) => change(detail.value)}
          enteredTextLabel={(text) => texts.encryption.typed(text)}
          placeholder={texts.encryption.choose}
          empty={texts.kms.empty}
          statusType={found.loading ? "loading" : "finished"}
          loadingText={texts.loading}
          options={own.map(({ arn, aliases }) => ({ value: arn, label: aliases.join(", ") || arn, description: arn }))}
        />
      </FormField>
    </SpaceBetween>
  );
}
