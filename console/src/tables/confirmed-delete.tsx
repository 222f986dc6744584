import Alert from "@cloudscape-design/components/alert";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import { useState } from "react";
import { Dialog } from "../dialog";
import { texts } from "../texts";

/** Deletes tables, one after the other, once a person has typed that it is meant. */
export function ConfirmedDelete(props: {
  names: string[];
  remove: (name: string) => Promise<void>;
  dismiss: () => void;
  done: () => void;
}) {
  const [typed, setTyped] = useState("");
  return (
    <Dialog
      title={texts.deleteTables.title(props.names.length)}
      submit={texts.delete}
      disabled={typed !== texts.deleteTables.confirm}
      dismiss={props.dismiss}
      act={async () => {
        for (const name of props.names) {
          await props.remove(name);
        }
        props.done();
      }}
    >
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
    </Dialog>
  );
}
