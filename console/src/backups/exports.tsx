import {
  DescribeExportCommand,
  type DynamoDBClient,
  type ExportDescription,
  type ExportFormat,
  ExportTableToPointInTimeCommand,
  type ExportType,
  type ExportViewType,
  ListExportsCommand,
  type TableDescription,
} from "@aws-sdk/client-dynamodb";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { TableProps } from "@cloudscape-design/components/table";
import { useState } from "react";
import { Dialog } from "../dialog";
import { FilterRows } from "../items/filter-rows";
import { type Condition, expression, Placeholders } from "../items/filters";
import { useLoaded } from "../loading";
import { useTell } from "../notices";
import { useSession } from "../session";
import { describe, shownBytes } from "../tables/descriptions";
import { texts } from "../texts";
import { Moment, momentOf, NO_MOMENT } from "./moment";
import { TableChoice } from "./table-choice";
import {
  bucketOf,
  Choice,
  describedAll,
  EXPORT_FORMATS,
  FileEncryptionFields,
  fileEncryptionOf,
  lastOf,
  newestFirst,
  NO_ENCRYPTION,
  NO_PLACE,
  place,
  PlaceFields,
  pollWhile,
  tableOf,
  TransferStatus,
  TransferTable,
} from "./transfers";

const TYPES = ["FULL_EXPORT", "INCREMENTAL_EXPORT"] as const satisfies readonly ExportType[];
const VIEWS = ["NEW_AND_OLD_IMAGES", "NEW_IMAGE"] as const satisfies readonly ExportViewType[];

async function exportsOf(client: DynamoDBClient, table: string | undefined, signal: AbortSignal) {
  const found = await describedAll(
    async (NextToken) => {
      const command = new ListExportsCommand({ TableArn: table, NextToken });
      const page = await client.send(command, { abortSignal: signal });
      return { arns: (page.ExportSummaries ?? []).map(({ ExportArn = "" }) => ExportArn), after: page.NextToken };
    },
    async (ExportArn) => {
      const answer = await client.send(new DescribeExportCommand({ ExportArn }), { abortSignal: signal });
      return answer.ExportDescription ?? {};
    },
  );
  return newestFirst(found);
}

const COLUMNS: TableProps.ColumnDefinition<ExportDescription>[] = [
  { id: "arn", header: texts.exports.name, isRowHeader: true, cell: ({ ExportArn }) => lastOf(ExportArn) },
  { id: "table", header: texts.backup.table, cell: ({ TableArn }) => tableOf(TableArn) },
  {
    id: "status",
    header: texts.list.status,
    cell: ({ ExportStatus, FailureCode, FailureMessage }) => (
      <TransferStatus status={ExportStatus} code={FailureCode} message={FailureMessage} />
    ),
  },
  { id: "type", header: texts.exports.type, cell: ({ ExportType: type }) => texts.exports.types[type ?? "FULL_EXPORT"] },
  {
    id: "time",
    header: texts.exports.time,
    cell: ({ ExportTime, IncrementalExportSpecification: range }) =>
      range
        ? texts.exports.range(range.ExportFromTime?.toLocaleString(), range.ExportToTime?.toLocaleString())
        : ExportTime?.toLocaleString(),
  },
  { id: "bucket", header: texts.exports.bucket, cell: ({ S3Bucket, S3Prefix }) => place(S3Bucket, S3Prefix) },
  { id: "format", header: texts.exports.format, cell: ({ ExportFormat: format }) => format },
  { id: "items", header: texts.list.items, cell: ({ ItemCount }) => ItemCount },
  { id: "size", header: texts.list.size, cell: ({ BilledSizeBytes }) => shownBytes(BilledSizeBytes) },
  { id: "manifest", header: texts.exports.manifest, cell: ({ ExportManifest }) => ExportManifest ?? texts.none },
];

/** The exports of a table to buckets, or of all tables, newest first. */
export function Exports({ table }: { table?: TableDescription }) {
  const { clients } = useSession();
  const [exports, setExports] = useState(false);
  const found = useLoaded(
    (signal) => exportsOf(clients.dynamodb, table?.TableArn, signal),
    [clients, table?.TableArn],
    (all) => pollWhile(all.map(({ ExportStatus }) => ExportStatus)),
  );
  return (
    <>
      <TransferTable<ExportDescription>
        found={found}
        trackBy="ExportArn"
        texts={texts.exports}
        actions={<Button onClick={() => setExports(true)}>{texts.exports.create}</Button>}
        columns={table ? COLUMNS.filter(({ id }) => id !== "table") : COLUMNS}
      />
      {exports && (
        <Export
          table={table}
          dismiss={() => setExports(false)}
          done={() => {
            setExports(false);
            void found.refresh();
          }}
        />
      )}
    </>
  );
}

/** The items and attributes that are exported, as the request has them. */
function filterOf(filters: Condition[], attributes: string) {
  const placeholders = new Placeholders();
  const filter = filters.map((one) => expression(one, placeholders)).join(" AND ");
  const names = attributes.split(",").map((name) => name.trim());
  const projection = names.filter(Boolean).map((name) => placeholders.name(name));
  if (!filter && !projection.length) {
    return {};
  }
  return {
    FilterSpecification: {
      ...(filter ? { FilterExpression: filter } : {}),
      ...(projection.length ? { ProjectionExpression: projection.join(", ") } : {}),
      ...placeholders.members,
    },
  };
}

function Export(props: { table: TableDescription | undefined; dismiss: () => void; done: () => void }) {
  const { clients } = useSession();
  const tell = useTell();
  const [name, setName] = useState(props.table?.TableName);
  const [output, setOutput] = useState(NO_PLACE);
  const [format, setFormat] = useState<ExportFormat>("DYNAMODB_JSON");
  const [type, setType] = useState<ExportType>("FULL_EXPORT");
  const [at, setAt] = useState(NO_MOMENT);
  const [from, setFrom] = useState(NO_MOMENT);
  const [to, setTo] = useState(NO_MOMENT);
  const [view, setView] = useState<ExportViewType>("NEW_AND_OLD_IMAGES");
  const [filters, setFilters] = useState<Condition[]>([]);
  const [attributes, setAttributes] = useState("");
  const [encryption, setEncryption] = useState(NO_ENCRYPTION);
  const isFull = type === "FULL_EXPORT";
  const [moment, begin, end] = [momentOf(at), momentOf(from), momentOf(to)];
  const isComplete = isFull ? moment !== "incomplete" : begin instanceof Date && end !== "incomplete";
  return (
    <Dialog
      title={texts.exports.create}
      submit={texts.exports.create}
      disabled={!name || !output.bucket || !isComplete}
      size="large"
      dismiss={props.dismiss}
      act={async () => {
        const arn = props.table?.TableArn ?? (await describe(clients.dynamodb, name ?? "")).TableArn;
        const range = {
          ...(begin instanceof Date ? { ExportFromTime: begin } : {}),
          ...(end instanceof Date ? { ExportToTime: end } : {}),
          ExportViewType: view,
        };
        await clients.dynamodb.send(
          new ExportTableToPointInTimeCommand({
            TableArn: arn,
            ...bucketOf(output),
            ExportFormat: format,
            ExportType: type,
            ...(output.prefix ? { S3Prefix: output.prefix } : {}),
            ...(isFull && moment instanceof Date ? { ExportTime: moment } : {}),
            ...(isFull ? {} : { IncrementalExportSpecification: range }),
            ...filterOf(filters, attributes),
            ...fileEncryptionOf(encryption),
          }),
        );
        tell("success", texts.exports.started);
        props.done();
      }}
    >
      <Box>{texts.exports.needs}</Box>
      {!props.table && <TableChoice value={name} change={setName} />}
      <PlaceFields of={texts.exports.bucket} value={output} change={setOutput} />
      <Choice label={texts.exports.format} values={EXPORT_FORMATS} shown={texts.imports.formats} value={format} change={setFormat} />
      <Choice label={texts.exports.type} values={TYPES} shown={texts.exports.types} value={type} change={setType} />
      {isFull ? (
        <Moment value={at} change={setAt} />
      ) : (
        <SpaceBetween size="m">
          <Moment label={texts.exports.from} about={texts.exports.fromAbout} value={from} change={setFrom} />
          <Moment label={texts.exports.to} about={texts.exports.toAbout} value={to} change={setTo} />
          <Choice label={texts.exports.view} values={VIEWS} shown={texts.streams.views} value={view} change={setView} />
        </SpaceBetween>
      )}
      <ExpandableSection headerText={texts.exports.further}>
        <SpaceBetween size="m">
          <FormField label={texts.explore.filters} stretch>
            <FilterRows filters={filters} change={setFilters} />
          </FormField>
          <FormField label={texts.exports.attributes} constraintText={texts.exports.attributesAbout}>
            <Input value={attributes} onChange={({ detail }) => setAttributes(detail.value)} />
          </FormField>
          <FileEncryptionFields value={encryption} change={setEncryption} />
        </SpaceBetween>
      </ExpandableSection>
    </Dialog>
  );
}
