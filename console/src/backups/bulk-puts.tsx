import {
  type BulkOperationDescription,
  type BulkOperationPerformanceTier,
  CancelBulkOperationCommand,
  DescribeBulkOperationCommand,
  type DynamoDBClient,
  type InputCompressionType,
  ListBulkOperationsCommand,
  type OutputTypeEnum,
  StartBulkPutItemsCommand,
} from "@aws-sdk/client-dynamodb";
import Button from "@cloudscape-design/components/button";
import Checkbox from "@cloudscape-design/components/checkbox";
import ContentLayout from "@cloudscape-design/components/content-layout";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { Dialog } from "../dialog";
import { useAction, useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { shownBytes } from "../tables/descriptions";
import { texts } from "../texts";
import { TableChoice } from "./table-choice";
import {
  bucketOf,
  Choice,
  COMPRESSIONS,
  describedAll,
  EXPORT_FORMATS,
  FileEncryptionFields,
  fileEncryptionOf,
  lastOf,
  NO_ENCRYPTION,
  NO_PLACE,
  place,
  PlaceFields,
  pollWhile,
  prefixOf,
  TransferStatus,
  TransferTable,
} from "./transfers";

const TIERS = ["STANDARD", "ACCELERATED"] as const satisfies readonly BulkOperationPerformanceTier[];
const REPORTS = ["ERROR", "CONDITION_CHECK_FAILURE"] as const satisfies readonly OutputTypeEnum[];

async function operationsOf(client: DynamoDBClient, signal: AbortSignal): Promise<BulkOperationDescription[]> {
  return describedAll(
    async (NextToken) => {
      const page = await client.send(new ListBulkOperationsCommand({ NextToken }), { abortSignal: signal });
      const listed = page.BulkOperationsSummaryList ?? [];
      return { arns: listed.map(({ BulkOperationArn = "" }) => BulkOperationArn), after: page.NextToken };
    },
    async (BulkOperationArn) => {
      const answer = await client.send(new DescribeBulkOperationCommand({ BulkOperationArn }), { abortSignal: signal });
      return answer.BulkOperationDescription ?? {};
    },
  );
}

const tableOf = ({ TableDetails: tables }: BulkOperationDescription): string => tables?.[0]?.TableName ?? "";

/** The bulk puts of the last 90 days, newest first. */
export default function BulkPuts() {
  const { clients } = useSession();
  const found = useLoaded(
    (signal) => operationsOf(clients.dynamodb, signal),
    [clients],
    (all) => pollWhile(all.map(({ BulkOperationStatus }) => BulkOperationStatus)),
  );
  const [starts, setStarts] = useState(false);
  const [chosenArn, setChosenArn] = useState<string>();
  const chosen = found.value?.find(({ BulkOperationArn }) => BulkOperationArn === chosenArn);
  const cancelling = useAction(async () => {
    await clients.dynamodb.send(new CancelBulkOperationCommand({ BulkOperationArn: chosenArn }));
    await found.refresh();
  });
  return (
    <ContentLayout header={<Header variant="h1">{texts.bulk.title}</Header>}>
      <SpaceBetween size="l">
        <Refusal error={cancelling.error} />
        <TransferTable<BulkOperationDescription>
          found={found}
          trackBy="BulkOperationArn"
          texts={texts.bulk}
          selection={{
            label: (one) => `${texts.bulk.name}: ${lastOf(one.BulkOperationArn)}`,
            selected: chosen ? [chosen] : [],
            select: ([one]) => setChosenArn(one?.BulkOperationArn),
          }}
          actions={
            <>
              <Button
                disabled={chosen?.BulkOperationStatus !== "IN_PROGRESS"}
                loading={cancelling.running}
                onClick={() => void cancelling.start()}
              >
                {texts.bulk.cancel}
              </Button>
              <Button variant="primary" onClick={() => setStarts(true)}>
                {texts.bulk.start}
              </Button>
            </>
          }
          columns={[
            { id: "table", header: texts.backup.table, isRowHeader: true, cell: tableOf },
            { id: "id", header: texts.bulk.name, cell: ({ BulkOperationArn }) => lastOf(BulkOperationArn) },
            {
              id: "status",
              header: texts.list.status,
              cell: ({ BulkOperationStatus, FailureCode, FailureMessage }) => (
                <TransferStatus status={BulkOperationStatus} code={FailureCode} message={FailureMessage} />
              ),
            },
            {
              id: "source",
              header: texts.imports.source,
              cell: ({ InputS3Configuration: of }) => place(of?.S3Bucket, of?.S3KeyPrefix),
            },
            {
              id: "report",
              header: texts.bulk.report,
              cell: ({ OutputS3Configuration: of }) => place(of?.S3Bucket, of?.S3KeyPrefix),
            },
            { id: "processed", header: texts.imports.processed, cell: ({ ProcessedItemCount }) => ProcessedItemCount },
            { id: "failed", header: texts.imports.errors, cell: ({ FailedItemCount }) => FailedItemCount },
            {
              id: "size",
              header: texts.list.size,
              cell: ({ ProcessedInputBytes: size, TotalInputBytes: total }) =>
                total === undefined ? shownBytes(size) : texts.bulk.of(shownBytes(size), shownBytes(total)),
            },
            { id: "started", header: texts.imports.started, cell: ({ StartTime }) => StartTime?.toLocaleString() },
            { id: "ended", header: texts.imports.ended, cell: ({ EndTime }) => EndTime?.toLocaleString() ?? texts.none },
          ]}
        />
        {starts && (
          <Start
            dismiss={() => setStarts(false)}
            done={() => {
              setStarts(false);
              void found.refresh();
            }}
          />
        )}
      </SpaceBetween>
    </ContentLayout>
  );
}

function Start({ dismiss, done }: { dismiss: () => void; done: () => void }) {
  const { clients } = useSession();
  const tell = useTell();
  const [table, setTable] = useState<string>();
  const [source, setSource] = useState(NO_PLACE);
  const [format, setFormat] = useState<(typeof EXPORT_FORMATS)[number]>("DYNAMODB_JSON");
  const [compression, setCompression] = useState<InputCompressionType>("NONE");
  const [output, setOutput] = useState(NO_PLACE);
  const [encryption, setEncryption] = useState(NO_ENCRYPTION);
  const [reports, setReports] = useState<OutputTypeEnum[]>([...REPORTS]);
  const [most, setMost] = useState("");
  const [tier, setTier] = useState<BulkOperationPerformanceTier>("STANDARD");
  return (
    <Dialog
      title={texts.bulk.start}
      submit={texts.bulk.start}
      disabled={!table || !source.bucket || !output.bucket || reports.length === 0}
      dismiss={dismiss}
      act={async () => {
        await clients.dynamodb.send(
          new StartBulkPutItemsCommand({
            TableName: table,
            InputS3Configuration: {
              ...bucketOf(source),
              ...prefixOf(source),
              InputFormat: format,
              InputCompressionType: compression,
            },
            OutputS3Configuration: {
              ...bucketOf(output),
              ...prefixOf(output),
              ...fileEncryptionOf(encryption),
              OutputType: reports,
            },
            PerformanceTier: tier,
            ...(most ? { MaxWriteRequestUnits: Number(most) } : {}),
          }),
        );
        tell("success", texts.bulk.begun);
        done();
      }}
    >
      <TableChoice value={table} change={setTable} />
      <PlaceFields
        of={texts.imports.sourceBucket}
        about={texts.imports.prefixAbout}
        value={source}
        change={setSource}
      />
      <Choice
        label={texts.imports.compression}
        values={COMPRESSIONS}
        shown={texts.imports.compressions}
        value={compression}
        change={setCompression}
      />
      <Choice
        label={texts.exports.format}
        values={EXPORT_FORMATS}
        shown={texts.imports.formats}
        value={format}
        change={setFormat}
      />
      <PlaceFields of={texts.bulk.reportBucket} value={output} change={setOutput} />
      <FileEncryptionFields value={encryption} change={setEncryption} />
      <FormField label={texts.bulk.reports}>
        <SpaceBetween size="xs">
          {REPORTS.map((kind) => (
            <Checkbox
              key={kind}
              checked={reports.includes(kind)}
              onChange={({ detail }) =>
                setReports(REPORTS.filter((one) => (one === kind ? detail.checked : reports.includes(one))))
              }
            >
              {texts.bulk.reportKinds[kind]}
            </Checkbox>
          ))}
        </SpaceBetween>
      </FormField>
      <Choice label={texts.bulk.tier} values={TIERS} shown={texts.bulk.tiers} value={tier} change={setTier} />
      <FormField label={texts.bulk.most} constraintText={texts.bulk.mostAbout}>
        <Input type="number" value={most} onChange={({ detail }) => setMost(detail.value)} />
      </FormField>
    </Dialog>
  );
}
