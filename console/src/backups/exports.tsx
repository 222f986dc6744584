import {
  DescribeExportCommand,
  type ExportDescription,
  type ExportFormat,
  ExportTableToPointInTimeCommand,
  ListExportsCommand,
  type TableDescription,
} from "@aws-sdk/client-dynamodb";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { Dialog } from "../dialog";
import { useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { shownBytes } from "../tables/descriptions";
import { Status } from "../tables/status";
import { texts } from "../texts";
import { Moment, momentOf } from "./moment";

const POLL = 1000;
const FORMATS: ExportFormat[] = ["DYNAMODB_JSON", "ION"];

/** The exports of a table to buckets, newest first. */
export function Exports({ table }: { table: TableDescription }) {
  const { clients } = useSession();
  const [exports, setExports] = useState(false);
  const found = useLoaded(
    async (signal) => {
      const arns: string[] = [];
      let after: string | undefined;
      do {
        const command = new ListExportsCommand({ TableArn: table.TableArn, NextToken: after });
        const page = await clients.dynamodb.send(command, { abortSignal: signal });
        arns.push(...(page.ExportSummaries ?? []).map(({ ExportArn = "" }) => ExportArn));
        after = page.NextToken;
      } while (after !== undefined);
      const described = arns.map(async (ExportArn): Promise<ExportDescription> => {
        const answer = await clients.dynamodb.send(new DescribeExportCommand({ ExportArn }), { abortSignal: signal });
        return answer.ExportDescription ?? {};
      });
      const time = ({ ExportTime }: ExportDescription) => ExportTime?.getTime() ?? 0;
      return (await Promise.all(described)).sort((one, other) => time(other) - time(one));
    },
    [clients, table.TableArn],
    (all) => (all.some(({ ExportStatus }) => ExportStatus === "IN_PROGRESS") ? POLL : undefined),
  );
  return (
    <>
      <Refusal error={found.error} retry={found.refresh} />
      <Table<ExportDescription>
        items={found.value ?? []}
        trackBy="ExportArn"
        wrapLines
        empty={<Box textAlign="center">{texts.exports.empty}</Box>}
        header={
          <Header
            variant="h2"
            counter={`(${found.value?.length ?? 0})`}
            description={texts.exports.about}
            actions={<Button onClick={() => setExports(true)}>{texts.exports.create}</Button>}
          >
            {texts.exports.title}
          </Header>
        }
        columnDefinitions={[
          {
            id: "arn",
            header: texts.exports.name,
            isRowHeader: true,
            cell: ({ ExportArn = "" }) => ExportArn.slice(ExportArn.lastIndexOf("/") + 1),
          },
          {
            id: "status",
            header: texts.list.status,
            cell: ({ ExportStatus, FailureMessage }) => (
              <>
                <Status status={ExportStatus} /> {FailureMessage}
              </>
            ),
          },
          { id: "time", header: texts.exports.time, cell: ({ ExportTime }) => ExportTime?.toLocaleString() },
          {
            id: "bucket",
            header: texts.exports.bucket,
            cell: ({ S3Bucket, S3Prefix }) => [S3Bucket, S3Prefix].filter(Boolean).join("/"),
          },
          { id: "format", header: texts.exports.format, cell: ({ ExportFormat }) => ExportFormat },
          { id: "items", header: texts.list.items, cell: ({ ItemCount }) => ItemCount },
          { id: "size", header: texts.list.size, cell: ({ BilledSizeBytes }) => shownBytes(BilledSizeBytes) },
        ]}
      />
      {exports && (
        <Export
          table={table}
          dismiss={() => setExports(false)}
          done={() => {
            setExports(false);
            found.refresh();
          }}
        />
      )}
    </>
  );
}

function Export(props: { table: TableDescription; dismiss: () => void; done: () => void }) {
  const { clients } = useSession();
  const tell = useTell();
  const [bucket, setBucket] = useState("");
  const [prefix, setPrefix] = useState("");
  const [format, setFormat] = useState<ExportFormat>("DYNAMODB_JSON");
  const [date, setDate] = useState("");
  const [time, setTime] = useState("");
  const moment = momentOf(date, time);
  return (
    <Dialog
      title={texts.exports.create}
      submit={texts.exports.create}
      disabled={!bucket || moment === "incomplete"}
      dismiss={props.dismiss}
      act={async () => {
        await clients.dynamodb.send(
          new ExportTableToPointInTimeCommand({
            TableArn: props.table.TableArn,
            S3Bucket: bucket,
            ExportFormat: format,
            ...(prefix ? { S3Prefix: prefix } : {}),
            ...(moment instanceof Date ? { ExportTime: moment } : {}),
          }),
        );
        tell("success", texts.exports.started);
        props.done();
      }}
    >
      <Box>{texts.exports.needs}</Box>
      <FormField label={texts.exports.bucket} constraintText={texts.exports.bucketAbout}>
        <Input value={bucket} onChange={({ detail }) => setBucket(detail.value)} />
      </FormField>
      <FormField label={texts.exports.prefix}>
        <Input value={prefix} onChange={({ detail }) => setPrefix(detail.value)} />
      </FormField>
      <FormField label={texts.exports.format}>
        <Select
          options={FORMATS.map((value) => ({ value }))}
          selectedOption={{ value: format }}
          onChange={({ detail }) => setFormat(detail.selectedOption.value as ExportFormat)}
        />
      </FormField>
      <SpaceBetween size="xs">
        <Moment {...{ date, time, setDate, setTime }} />
      </SpaceBetween>
    </Dialog>
  );
}
