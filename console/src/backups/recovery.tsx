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
import { Moment, momentOf, NO_MOMENT } from "./moment";
import { AS_IT_WAS, RestoreFields, restoreMembers } from "./restore-settings";

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
  const [open, setOpen] = useState<"on" | "off" | "period" | "restore">();
  const [days, setDays] = useState(String(LONGEST_DAYS));
  const isOn = found.value?.PointInTimeRecoveryStatus === "ENABLED";
  // A dialog does what it was opened for, also when somebody else has turned recovery on or off meanwhile.
  const turnsOff = open === "off";
  const turn = { off: texts.backup.recoveryOff, on: texts.backup.recoveryOn, period: texts.backup.changePeriod };
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
                <Button
                  disabled={!isOn}
                  onClick={() => {
                    setDays(String(found.value?.RecoveryPeriodInDays ?? LONGEST_DAYS));
                    setOpen("period");
                  }}
                >
                  {texts.backup.changePeriod}
                </Button>
                <Button disabled={found.value === undefined} onClick={() => setOpen(isOn ? "off" : "on")}>
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
      {open !== undefined && open !== "restore" && (
        <Dialog
          title={turn[open]}
          submit={turn[open]}
          dismiss={() => setOpen(undefined)}
          act={async () => {
            const specification = turnsOff
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
            void found.refresh();
          }}
        >
          {turnsOff ? (
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
  const [settings, setSettings] = useState(AS_IT_WAS);
  const [fields, setFields] = useState(NO_MOMENT);
  const moment = momentOf(fields);
  return (
    <Dialog
      title={texts.backup.restoreTo}
      submit={texts.backup.restore}
      disabled={!settings.name || moment === "incomplete"}
      dismiss={dismiss}
      act={async () => {
        const to = moment instanceof Date ? { RestoreDateTime: moment } : { UseLatestRestorableTime: true };
        await clients.dynamodb.send(
          new RestoreTableToPointInTimeCommand({ SourceTableName: table, ...restoreMembers(settings), ...to }),
        );
        tell("success", texts.backup.restoring(settings.name));
        navigate("/dynamodb/tables");
      }}
    >
      <Box>{texts.backup.restoreAbout}</Box>
      <Moment
        value={fields}
        change={setFields}
        earliest={range.EarliestRestorableDateTime}
        latest={range.LatestRestorableDateTime}
      />
      <RestoreFields value={settings} change={setSettings} />
    </Dialog>
  );
}
