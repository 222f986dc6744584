import {
  DescribeImportCommand,
  type DynamoDBClient,
  type ImportTableDescription,
  ListImportsCommand,
} from "@aws-sdk/client-dynamodb";
import Button from "@cloudscape-design/components/button";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useNavigate } from "react-router-dom";
import { useLoaded } from "../loading";
import { useSession } from "../session";
import { shownBytes } from "../tables/descriptions";
import { texts } from "../texts";
import {
  describedAll,
  lastOf,
  newestFirst,
  place,
  pollWhile,
  tableOf,
  TransferStatus,
  TransferTable,
} from "./transfers";

async function importsOf(client: DynamoDBClient, signal: AbortSignal): Promise<ImportTableDescription[]> {
  const found = await describedAll(
    async (NextToken) => {
      const page = await client.send(new ListImportsCommand({ NextToken }), { abortSignal: signal });
      return { arns: (page.ImportSummaryList ?? []).map(({ ImportArn = "" }) => ImportArn), after: page.NextToken };
    },
    async (ImportArn) => {
      const answer = await client.send(new DescribeImportCommand({ ImportArn }), { abortSignal: signal });
      return answer.ImportTableDescription ?? {};
    },
  );
  return newestFirst(found);
}

/** The imports of the last 90 days, newest first. */
export default function Imports() {
  const { clients } = useSession();
  const navigate = useNavigate();
  const found = useLoaded(
    (signal) => importsOf(clients.dynamodb, signal),
    [clients],
    (all) => pollWhile(all.map(({ ImportStatus }) => ImportStatus)),
  );
  return (
    <ContentLayout header={<Header variant="h1">{texts.imports.title}</Header>}>
      <SpaceBetween size="l">
        <TransferTable<ImportTableDescription>
          found={found}
          trackBy="ImportArn"
          texts={texts.imports}
          actions={
            <Button variant="primary" onClick={() => navigate("/dynamodb/import-table")}>
              {texts.imports.create}
            </Button>
          }
          columns={[
            {
              id: "table",
              header: texts.backup.table,
              isRowHeader: true,
              cell: ({ TableArn }) => (
                <Link href={`#/dynamodb/tables/${encodeURIComponent(tableOf(TableArn))}`}>{tableOf(TableArn)}</Link>
              ),
            },
            { id: "id", header: texts.imports.name, cell: ({ ImportArn }) => lastOf(ImportArn) },
            {
              id: "status",
              header: texts.list.status,
              cell: ({ ImportStatus, FailureCode, FailureMessage }) => (
                <TransferStatus status={ImportStatus} code={FailureCode} message={FailureMessage} />
              ),
            },
            { id: "source", header: texts.imports.source, cell: ({ S3BucketSource: of }) => place(of?.S3Bucket, of?.S3KeyPrefix) },
            {
              id: "format",
              header: texts.exports.format,
              cell: ({ InputFormat, InputCompressionType }) =>
                [InputFormat, InputCompressionType === "NONE" ? undefined : InputCompressionType].filter(Boolean).join(", "),
            },
            { id: "processed", header: texts.imports.processed, cell: ({ ProcessedItemCount }) => ProcessedItemCount },
            { id: "imported", header: texts.imports.imported, cell: ({ ImportedItemCount }) => ImportedItemCount },
            { id: "errors", header: texts.imports.errors, cell: ({ ErrorCount }) => ErrorCount },
            { id: "size", header: texts.list.size, cell: ({ ProcessedSizeBytes }) => shownBytes(ProcessedSizeBytes) },
            { id: "started", header: texts.imports.started, cell: ({ StartTime }) => StartTime?.toLocaleString() },
            { id: "ended", header: texts.imports.ended, cell: ({ EndTime }) => EndTime?.toLocaleString() ?? texts.none },
          ]}
        />
      </SpaceBetween>
    </ContentLayout>
  );
}
