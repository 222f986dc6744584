import Alert from "@cloudscape-design/components/alert";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import { useState } from "react";
import { Dialog } from "../dialog";
import { texts } from "../texts";

/** Deletes tables, one after the other, once a person has typed that it is meant. When one is refused, those before it
 * are gone; a further attempt goes on with it. */
export function ConfirmedDelete(props: {
  names: string[];
  remove: (name: string) => Promise<void>;
  dismiss: () => void;
  done: () => void;
}) {
  const [typed, setTyped] = useState("");
  const [names, setNames] = useState(props.names);
  return (
    <Dialog
      title={texts.deleteTables.title(names.length)}
      submit={texts.delete}
      disabled={typed !== texts.deleteTables.confirm}
      dismiss={props.dismiss}
      act={async () => {
        for (const name of names) {
          await props.remove(name);
          setNames((before) => before.filter((one) => one !== name));
        }
        props.done();
      }}
    >
      <Alert type="warning">{texts.deleteTables.warning(names.length)}</Alert>
      <ul>
        {names.map((name) => (
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
