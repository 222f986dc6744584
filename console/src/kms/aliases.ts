import { type AliasListEntry, type KMSClient, ListAliasesCommand } from "@aws-sdk/client-kms";

/** The aliases of the account, or of one key. */
export async function aliasesOf(client: KMSClient, key?: string, signal?: AbortSignal): Promise<AliasListEntry[]> {
  const found: AliasListEntry[] = [];
  let after: string | undefined;
  do {
    const page = await client.send(new ListAliasesCommand({ KeyId: key, Marker: after }), { abortSignal: signal });
    found.push(...(page.Aliases ?? []));
    after = page.Truncated ? page.NextMarker : undefined;
  } while (after !== undefined);
  return found;
}
