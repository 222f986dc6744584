/** What imports, exports and bulk puts have in common: where they read or write, how they ended, and their table. */
import type { ExportFormat, InputCompressionType, S3SseAlgorithm } from "@aws-sdk/client-dynamodb";
import { useCollection } from "@cloudscape-design/collection-hooks";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import Pagination from "@cloudscape-design/components/pagination";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import type { ReactNode } from "react";
import type { Loaded } from "../loading";
import { Refusal } from "../notices";
import { isSettled } from "../tables/descriptions";
import { Status } from "../tables/status";
import { texts } from "../texts";

const PAGE = 20;
const POLL = 1000;

/** What `describe` returns of each transfer in a list that has pages. */
export async function describedAll<T>(
  list: (after: string | undefined) => Promise<{ arns: string[]; after?: string }>,
  describe: (arn: string) => Promise<T>,
): Promise<T[]> {
  const arns: string[] = [];
  let after: string | undefined;
  do {
    const page = await list(after);
    arns.push(...page.arns);
    after = page.after;
  } while (after !== undefined);
  return Promise.all(arns.map(describe));
}

export function newestFirst<T extends { StartTime?: Date }>(transfers: T[]): T[] {
  const time = ({ StartTime }: T) => StartTime?.getTime() ?? 0;
  return transfers.sort((one, other) => time(other) - time(one));
}

/** After how long a list is loaded again: while one of these is not settled. */
export const pollWhile = (statuses: (string | undefined)[]): number | undefined =>
  statuses.every(isSettled) ? undefined : POLL;

/** The name of the table that an ARN belongs to. */
export const tableOf = (arn = ""): string => arn.split("/")[1] ?? "";
export const lastOf = (arn = ""): string => arn.slice(arn.lastIndexOf("/") + 1);
export const place = (bucket?: string, prefix?: string): string => [bucket, prefix].filter(Boolean).join("/");

export function TransferStatus(props: { status?: string; code?: string; message?: string }) {
  const why = [props.code, props.message].filter(Boolean).join(": ");
  return (
    <>
      <Status status={props.status} /> {why}
    </>
  );
}

/** The table of transfers, with its header and what went wrong when they were loaded. */
export function TransferTable<T>(props: {
  found: Loaded<T[]>;
  trackBy: keyof T & string;
  texts: { title: string; about: string; empty: string };
  /** The buttons beside the one that loads them again. */
  actions: ReactNode;
  columns: TableProps.ColumnDefinition<T>[];
  selection?: { label: (item: T) => string; selected: T[]; select: (items: T[]) => void };
}) {
  const { found, selection } = props;
  const all = found.value ?? [];
  const { items, paginationProps, collectionProps } = useCollection(all, {
    pagination: { pageSize: PAGE },
    filtering: { empty: <Box textAlign="center">{props.texts.empty}</Box> },
  });
  return (
    <>
      <Refusal error={found.error} retry={found.refresh} />
      <Table<T>
        {...collectionProps}
        items={items}
        trackBy={props.trackBy}
        loading={found.loading && found.value === undefined}
        loadingText={texts.loading}
        wrapLines
        columnDefinitions={props.columns}
        header={
          <Header
            variant="h2"
            counter={`(${all.length})`}
            description={props.texts.about}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button
                  iconName="refresh"
                  ariaLabel={`${texts.refresh}: ${props.texts.title}`}
                  onClick={found.refresh}
                />
                {props.actions}
              </SpaceBetween>
            }
          >
            {props.texts.title}
          </Header>
        }
        pagination={<Pagination {...paginationProps} />}
        {...(selection
          ? {
              selectionType: "single" as const,
              selectedItems: selection.selected,
              onSelectionChange: ({ detail }: { detail: TableProps.SelectionChangeDetail<T> }) =>
                selection.select(detail.selectedItems),
              ariaLabels: {
                selectionGroupLabel: texts.list.select,
                itemSelectionLabel: (_: unknown, item: T) => selection.label(item),
              },
            }
          : {})}
      />
    </>
  );
}

/** A bucket of the settings and where in it. */
export interface Place {
  bucket: string;
  prefix: string;
  /** The account that the bucket must belong to. */
  owner: string;
}
export const NO_PLACE: Place = { bucket: "", prefix: "", owner: "" };
/** Where a request reads or writes. */
export const bucketOf = ({ bucket, owner }: Place) => ({ S3Bucket: bucket, ...(owner ? { S3BucketOwner: owner } : {}) });
export const prefixOf = ({ prefix }: Place) => (prefix ? { S3KeyPrefix: prefix } : {});

export function PlaceFields(props: {
  of: string;
  value: Place;
  change: (value: Place) => void;
  about?: string;
  error?: string;
}) {
  const { of, value, change, about, error } = props;
  return (
    <SpaceBetween size="m">
      <FormField label={of} constraintText={texts.exports.bucketAbout} errorText={error}>
        <Input value={value.bucket} onChange={({ detail }) => change({ ...value, bucket: detail.value })} />
      </FormField>
      <FormField label={`${of}: ${texts.exports.prefix}`} constraintText={about}>
        <Input value={value.prefix} onChange={({ detail }) => change({ ...value, prefix: detail.value })} />
      </FormField>
      <FormField label={`${of}: ${texts.exports.owner}`} constraintText={texts.exports.ownerAbout}>
        <Input value={value.owner} onChange={({ detail }) => change({ ...value, owner: detail.value })} />
      </FormField>
    </SpaceBetween>
  );
}

/** One of a few values. */
export function Choice<T extends string>(props: {
  label: string;
  values: readonly T[];
  shown?: Record<string, string>;
  value: T;
  change: (value: T) => void;
}) {
  const options = props.values.map((value) => ({ value, label: props.shown?.[value] ?? value }));
  return (
    <FormField label={props.label}>
      <Select
        options={options}
        selectedOption={options.find(({ value }) => value === props.value) ?? null}
        onChange={({ detail }) => props.change(detail.selectedOption.value as T)}
      />
    </FormField>
  );
}

/** How the objects that are written are encrypted; "" for what the bucket does by itself. */
export interface FileEncryption {
  algorithm: "" | S3SseAlgorithm;
  key: string;
}
export const NO_ENCRYPTION: FileEncryption = { algorithm: "", key: "" };
const ALGORITHMS = ["", "AES256", "KMS"] as const satisfies readonly FileEncryption["algorithm"][];

export const fileEncryptionOf = ({ algorithm, key }: FileEncryption) => ({
  ...(algorithm ? { S3SseAlgorithm: algorithm } : {}),
  ...(algorithm === "KMS" && key ? { S3SseKmsKeyId: key } : {}),
});

export function FileEncryptionFields(props: { value: FileEncryption; change: (value: FileEncryption) => void }) {
  const { value, change } = props;
  return (
    <SpaceBetween size="m">
      <Choice
        label={texts.exports.encryption}
        values={ALGORITHMS}
        shown={texts.exports.encryptions}
        value={value.algorithm}
        change={(algorithm) => change({ ...value, algorithm })}
      />
      {value.algorithm === "KMS" && (
        <FormField label={texts.exports.key}>
          <Input value={value.key} onChange={({ detail }) => change({ ...value, key: detail.value })} />
        </FormField>
      )}
    </SpaceBetween>
  );
}

export const COMPRESSIONS = ["NONE", "GZIP", "ZSTD"] as const satisfies readonly InputCompressionType[];
export const EXPORT_FORMATS = ["DYNAMODB_JSON", "ION"] as const satisfies readonly ExportFormat[];
