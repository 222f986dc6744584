import {
  CreateLoginProfileCommand,
  DeleteLoginProfileCommand,
  GetLoginProfileCommand,
  GetUserCommand,
  type LoginProfile,
  NoSuchEntityException,
  UpdateLoginProfileCommand,
} from "@aws-sdk/client-iam";
import Button from "@cloudscape-design/components/button";
import Checkbox from "@cloudscape-design/components/checkbox";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import { useState } from "react";
import { Dialog } from "../dialog";
import { useLoaded } from "../loading";
import { useTell } from "../notices";
import { useSession } from "../session";
import { Setting } from "../setting";
import { texts } from "../texts";

interface Found {
  profile: LoginProfile | undefined;
  used: Date | undefined;
}

/** The password with which a user signs in to the console. */
export function ConsolePassword({ user }: { user: string }) {
  const { clients } = useSession();
  const found = useLoaded(async (): Promise<Found> => {
    const { User } = await clients.iam.send(new GetUserCommand({ UserName: user }));
    try {
      const { LoginProfile: profile } = await clients.iam.send(new GetLoginProfileCommand({ UserName: user }));
      return { profile, used: User?.PasswordLastUsed };
    } catch (error) {
      if (error instanceof NoSuchEntityException) {
        return { profile: undefined, used: User?.PasswordLastUsed };
      }
      throw error;
    }
  }, [clients, user]);
  const [sets, setSets] = useState(false);
  const profile = found.value?.profile;
  const isSet = profile !== undefined;
  return (
    <Setting
      title={texts.iam.console}
      about={texts.iam.consoleAbout}
      action={texts.iam.removePassword}
      disabled={!isSet}
      act={() => clients.iam.send(new DeleteLoginProfileCommand({ UserName: user }))}
      refresh={found.refresh}
      error={found.error}
      after={
        <Button disabled={found.value === undefined} onClick={() => setSets(true)}>
          {texts.iam.setPassword}
        </Button>
      }
    >
      <KeyValuePairs
        columns={3}
        items={[
          { label: texts.iam.password, value: isSet ? texts.iam.passwordOn : texts.iam.passwordOff },
          { label: texts.iam.mustChange, value: profile?.PasswordResetRequired ? texts.iam.yes : texts.iam.no },
          { label: texts.iam.lastSignIn, value: found.value?.used?.toLocaleString() ?? texts.none },
        ]}
      />
      {sets && <SetPassword user={user} isSet={isSet} dismiss={() => setSets(false)} done={() => void found.refresh()} />}
    </Setting>
  );
}

function SetPassword(props: { user: string; isSet: boolean; dismiss: () => void; done: () => void }) {
  const { clients } = useSession();
  const tell = useTell();
  const [password, setPassword] = useState("");
  const [resets, setResets] = useState(true);
  return (
    <Dialog
      title={texts.iam.setPassword}
      submit={texts.save}
      disabled={!password}
      dismiss={props.dismiss}
      act={async () => {
        const input = { UserName: props.user, Password: password, PasswordResetRequired: resets };
        await (props.isSet
          ? clients.iam.send(new UpdateLoginProfileCommand(input))
          : clients.iam.send(new CreateLoginProfileCommand(input)));
        tell("success", texts.saved);
        props.dismiss();
        props.done();
      }}
    >
      <FormField label={texts.iam.password}>
        <Input
          type="password"
          autoComplete="new-password"
          value={password}
          onChange={({ detail }) => setPassword(detail.value)}
        />
      </FormField>
      <Checkbox checked={resets} onChange={({ detail }) => setResets(detail.checked)}>
        {texts.iam.resets}
      </Checkbox>
    </Dialog>
  );
}
