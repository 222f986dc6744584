import {
  DescribeContinuousBackupsCommand,
  type PointInTimeRecoveryDescription,
  RestoreTableToPointInTimeCommand,
  UpdateContinuousBackupsCommand,
} from "@aws-sdk/client-dynamodb";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { useNavigate } from "react-router-dom";
import { Dialog } from "../dialog";
import { useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { Status } from "../tables/status";
import { texts } from "../texts";
import { Moment, momentOf } from "./moment";

const POLL = 5000;
const LONGEST_DAYS = 35;

/** Point-in-time recovery of a table: on or off, its range, and a restore to a moment in it. */
export function Recovery({ table }: { table: string }) {
  const { clients } = useSession();
  const tell = useTell();
  const found = useLoaded(
    async (signal): Promise<PointInTimeRecoveryDescription> => {
      const command = new DescribeContinuousBackupsCommand({ TableName: table });
      const answer = await clients.dynamodb.send(command, { abortSignal: signal });
      return answer.ContinuousBackupsDescription?.PointInTimeRecoveryDescription ?? {};
    },
    [clients, table],
    (value) => (value.PointInTimeRecoveryStatus === "ENABLED" ? POLL : undefined),
  );
  const [open, setOpen] = useState<"turn" | "restore">();
  const [days, setDays] = useState(String(LONGEST_DAYS));
  const isOn = found.value?.PointInTimeRecoveryStatus === "ENABLED";
  return (
    <>
      <Container
        header={
          <Header
            variant="h2"
            description={texts.backup.recoveryAbout}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button disabled={!isOn} onClick={() => setOpen("restore")}>
                  {texts.backup.restoreTo}
                </Button>
                <Button disabled={found.value === undefined} onClick={() => setOpen("turn")}>
                  {isOn ? texts.backup.recoveryOff : texts.backup.recoveryOn}
                </Button>
              </SpaceBetween>
            }
          >
            {texts.backup.recovery}
          </Header>
        }
      >
        <SpaceBetween size="m">
          <Refusal error={found.error} retry={found.refresh} />
          <KeyValuePairs
            columns={4}
            items={[
              { label: texts.backup.status, value: <Status status={found.value?.PointInTimeRecoveryStatus} /> },
              { label: texts.backup.recoveryDays, value: found.value?.RecoveryPeriodInDays ?? texts.none },
              {
                label: texts.backup.earliest,
                value: found.value?.EarliestRestorableDateTime?.toLocaleString() ?? texts.none,
              },
              {
                label: texts.backup.latest,
                value: found.value?.LatestRestorableDateTime?.toLocaleString() ?? texts.none,
              },
            ]}
          />
        </SpaceBetween>
      </Container>
      {open === "turn" && (
        <Dialog
          title={isOn ? texts.backup.recoveryOff : texts.backup.recoveryOn}
          submit={isOn ? texts.backup.recoveryOff : texts.backup.recoveryOn}
          dismiss={() => setOpen(undefined)}
          act={async () => {
            const specification = isOn
              ? { PointInTimeRecoveryEnabled: false }
              : { PointInTimeRecoveryEnabled: true, RecoveryPeriodInDays: Number(days) };
            await clients.dynamodb.send(
              new UpdateContinuousBackupsCommand({
                TableName: table,
                PointInTimeRecoverySpecification: specification,
              }),
            );
            tell("success", texts.saved);
            setOpen(undefined);
            found.refresh();
          }}
        >
          {isOn ? (
            <Alert type="warning">{texts.backup.recoveryLost}</Alert>
          ) : (
            <FormField label={texts.backup.recoveryDays}>
              <Input type="number" value={days} onChange={({ detail }) => setDays(detail.value)} />
            </FormField>
          )}
        </Dialog>
      )}
      {open === "restore" && found.value && (
        <RestoreTo table={table} range={found.value} dismiss={() => setOpen(undefined)} />
      )}
    </>
  );
}

function RestoreTo(props: { table: string; range: PointInTimeRecoveryDescription; dismiss: () => void }) {
  const { table, range, dismiss } = props;
  const { clients } = useSession();
  const navigate = useNavigate();
  const tell = useTell();
  const [name, setName] = useState("");
  const [date, setDate] = useState("");
  const [time, setTime] = useState("");
  const moment = momentOf(date, time);
  return (
    <Dialog
      title={texts.backup.restoreTo}
      submit={texts.backup.restore}
      disabled={!name || moment === "incomplete"}
      dismiss={dismiss}
      act={async () => {
        const to = moment instanceof Date ? { RestoreDateTime: moment } : { UseLatestRestorableTime: true };
        await clients.dynamodb.send(
          new RestoreTableToPointInTimeCommand({ SourceTableName: table, TargetTableName: name, ...to }),
        );
        tell("success", texts.backup.restoring(name));
        navigate("/dynamodb/tables");
      }}
    >
      <Box>{texts.backup.restoreAbout}</Box>
      <FormField label={texts.backup.newTable} constraintText={texts.create.nameAbout}>
        <Input value={name} onChange={({ detail }) => setName(detail.value)} />
      </FormField>
      <Moment
        {...{ date, time, setDate, setTime }}
        earliest={range.EarliestRestorableDateTime}
        latest={range.LatestRestorableDateTime}
      />
    </Dialog>
  );
}
