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
import { Refusal } from "../notices";
import { useSession } from "../session";
import { isSettled, shownBytes } from "../tables/descriptions";
import { texts } from "../texts";
import { lastOf, place, tableOf, TransferStatus, TransferTable } from "./transfers";

const POLL = 1000;

async function importsOf(client: DynamoDBClient, signal: AbortSignal): Promise<ImportTableDescription[]> {
  const arns: string[] = [];
  let after: string | undefined;
  do {
    const page = await client.send(new ListImportsCommand({ NextToken: after }), { abortSignal: signal });
    arns.push(...(page.ImportSummaryList ?? []).map(({ ImportArn = "" }) => ImportArn));
    after = page.NextToken;
  } while (after !== undefined);
  const described = arns.map(async (ImportArn): Promise<ImportTableDescription> => {
    const answer = await client.send(new DescribeImportCommand({ ImportArn }), { abortSignal: signal });
    return answer.ImportTableDescription ?? {};
  });
  const time = ({ StartTime }: ImportTableDescription) => StartTime?.getTime() ?? 0;
  return (await Promise.all(described)).sort((one, other) => time(other) - time(one));
}

/** The imports of the last 90 days, newest first. */
export default function Imports() {
  const { clients } = useSession();
  const navigate = useNavigate();
  const found = useLoaded(
    (signal) => importsOf(clients.dynamodb, signal),
    [clients],
    (all) => (all.every(({ ImportStatus }) => isSettled(ImportStatus)) ? undefined : POLL),
  );
  return (
    <ContentLayout header={<Header variant="h1">{texts.imports.title}</Header>}>
      <SpaceBetween size="l">
        <Refusal error={found.error} retry={found.refresh} />
        <TransferTable<ImportTableDescription>
          items={found.value ?? []}
          loading={found.loading && found.value === undefined}
          trackBy="ImportArn"
          empty={texts.imports.empty}
          header={(counter) => (
            <Header
              variant="h2"
              counter={counter}
              description={texts.imports.about}
              actions={
                <SpaceBetween direction="horizontal" size="xs">
                  <Button iconName="refresh" ariaLabel={texts.refresh} onClick={found.refresh} />
                  <Button variant="primary" onClick={() => navigate("/dynamodb/import-table")}>
                    {texts.imports.create}
                  </Button>
                </SpaceBetween>
              }
            >
              {texts.imports.title}
            </Header>
          )}
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
