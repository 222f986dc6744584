import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { useAction } from "../loading";
import { Refusal } from "../notices";
import { texts } from "../texts";

/** Deletes tables, one after the other, once a person has typed that it is meant. */
export function ConfirmedDelete(props: {
  names: string[];
  remove: (name: string) => Promise<void>;
  dismiss: () => void;
  done: () => void;
}) {
  const [typed, setTyped] = useState("");
  const deleting = useAction(async () => {
    for (const name of props.names) {
      await props.remove(name);
    }
    props.done();
  });
  return (
    <Modal
      visible
      onDismiss={props.dismiss}
      header={texts.deleteTables.title(props.names.length)}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={props.dismiss}>
              {texts.cancel}
            </Button>
            <Button
              variant="primary"
              disabled={typed !== texts.deleteTables.confirm}
              loading={deleting.running}
              onClick={() => void deleting.start()}
            >
              {texts.delete}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Refusal error={deleting.error} />
        <Alert type="warning">{texts.deleteTables.warning}</Alert>
        <ul>
          {props.names.map((name) => (
            <li key={name}>{name}</li>
          ))}
        </ul>
        <FormField label={texts.deleteTables.prompt}>
          <Input
            value={typed}
            placeholder={texts.deleteTables.confirm}
            onChange={({ detail }) => setTyped(detail.value)}
          />
        </FormField>
      </SpaceBetween>
    </Modal>
  );
}
