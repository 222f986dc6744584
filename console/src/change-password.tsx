import { ChangePasswordCommand } from "@aws-sdk/client-iam";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import { useState } from "react";
import { Dialog } from "./dialog";
import { useTell } from "./notices";
import { useSession } from "./session";
import { NewPassword } from "./sign-in";
import { texts } from "./texts";

/** The user who has signed in changes the own password. */
export function ChangePassword({ dismiss }: { dismiss: () => void }) {
  const { clients } = useSession();
  const tell = useTell();
  const [old, setOld] = useState("");
  const [chosen, setChosen] = useState("");
  const [again, setAgain] = useState("");
  return (
    <Dialog
      title={texts.signIn.change}
      submit={texts.signIn.change}
      disabled={!old || !chosen || chosen !== again}
      dismiss={dismiss}
      act={async () => {
        await clients.iam.send(new ChangePasswordCommand({ OldPassword: old, NewPassword: chosen }));
        tell("success", texts.signIn.changed);
        dismiss();
      }}
    >
      <FormField label={texts.signIn.oldPassword}>
        <Input
          type="password"
          autoComplete="current-password"
          value={old}
          onChange={({ detail }) => setOld(detail.value)}
        />
      </FormField>
      <NewPassword {...{ chosen, again, setChosen, setAgain }} />
    </Dialog>
  );
}
