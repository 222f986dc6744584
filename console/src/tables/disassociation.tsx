/** The replica of the chosen Region as a table of its own: its protection against that, and how it becomes one. */
import { UpdateTableCommand, type UpdateTableCommandInput } from "@aws-sdk/client-dynamodb";
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { Dialog } from "../dialog";
import { useAction } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import type { TabProps } from "./details";
import { Status } from "./status";

export function Disassociation({ table, refresh }: TabProps) {
  const { clients, region } = useSession();
  const tell = useTell();
  const [asks, setAsks] = useState(false);
  const isProtected = table.DisassociationProtectionEnabled === true;
  const update = (members: Omit<UpdateTableCommandInput, "TableName">) =>
    clients.dynamodb.send(new UpdateTableCommand({ TableName: table.TableName, ...members }));
  const turning = useAction(async () => {
    await update({ DisassociationProtectionEnabled: !isProtected });
    tell("success", texts.saved);
    refresh();
  });
  return (
    <Container
      header={
        <Header
          variant="h2"
          description={texts.global.aloneAbout}
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button loading={turning.running} onClick={() => void turning.start()}>
                {isProtected ? texts.global.protectionOff : texts.global.protectionOn}
              </Button>
              <Button disabled={isProtected} onClick={() => setAsks(true)}>
                {texts.global.disassociate}
              </Button>
            </SpaceBetween>
          }
        >
          {texts.global.alone(region)}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Refusal error={turning.error} />
        <KeyValuePairs
          items={[
            { label: texts.global.protection, value: <Status status={isProtected ? "ENABLED" : "DISABLED"} /> },
          ]}
        />
      </SpaceBetween>
      {asks && (
        <Dialog
          title={texts.global.disassociate}
          submit={texts.global.disassociate}
          dismiss={() => setAsks(false)}
          act={async () => {
            const action = { RegionName: region, DisassociationMode: "WAIT_FOR_REPLICATION" as const };
            await update({ ReplicaUpdates: [{ Disassociate: action }] });
            tell("success", texts.global.disassociated(region));
            setAsks(false);
            refresh();
          }}
        >
          <Alert type="warning">{texts.global.disassociateWarning}</Alert>
        </Dialog>
      )}
    </Container>
  );
}
