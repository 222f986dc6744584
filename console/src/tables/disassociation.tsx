/** The replica of the chosen Region as a table of its own: its protection against that, and how it becomes one. */
import { UpdateTableCommand, type UpdateTableCommandInput } from "@aws-sdk/client-dynamodb";
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import { useState } from "react";
import { Dialog } from "../dialog";
import { useTell } from "../notices";
import { useSession } from "../session";
import { Setting } from "../setting";
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
  return (
    <Setting
      title={texts.global.alone(region)}
      about={texts.global.aloneAbout}
      action={isProtected ? texts.global.protectionOff : texts.global.protectionOn}
      act={() => update({ DisassociationProtectionEnabled: !isProtected })}
      refresh={refresh}
      after={
        <Button disabled={isProtected} onClick={() => setAsks(true)}>
          {texts.global.disassociate}
        </Button>
      }
    >
      <KeyValuePairs
        items={[{ label: texts.global.protection, value: <Status status={isProtected ? "ENABLED" : "DISABLED"} /> }]}
      />
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
            void refresh();
          }}
        >
          <Alert type="warning">{texts.global.disassociateWarning}</Alert>
        </Dialog>
      )}
    </Setting>
  );
}
