import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Tabs from "@cloudscape-design/components/tabs";
import { type FormEvent, type ReactNode, useState } from "react";
import { useAction } from "./loading";
import { useMode } from "./mode";
import { Refusal } from "./notices";
import { chosenRegion, type Keys, type Server } from "./session";
import { texts } from "./texts";

type SignedIn = (keys: Keys) => void;

interface Answer {
  account: string;
  user: string;
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
  expires: number;
}

/** Why a user may not sign in, as the server puts it. */
class SignInError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = texts.signIn.failed;
  }
}

/** Asks for the keys of a user with a password: the one request that no other client makes. */
async function keysOf(account: string, user: string, password: string, newPassword?: string): Promise<Keys> {
  const answer = await fetch("sign-in", {
    method: "POST",
    credentials: "omit",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ account, user, password, ...(newPassword === undefined ? {} : { newPassword }) }),
  });
  if (!answer.ok) {
    const refused = (await answer.json().catch(() => ({}))) as { error?: string; message?: string };
    throw new SignInError(refused.error ?? "", refused.message ?? `${answer.status} ${answer.statusText}`);
  }
  const { expires, user: who, ...keys } = (await answer.json()) as Answer;
  return { ...keys, who, expires: expires * 1000, hasPassword: true };
}

/** Asks who somebody is, and gives the keys to the page. `notice` says why somebody is asked again. */
export function SignIn(props: { server: Server; signIn: SignedIn; notice: string | undefined }) {
  useMode();
  const [way, setWay] = useState("password");
  return (
    <main>
      <Box margin="xxxl" padding="xxl">
        <SpaceBetween size="l">
          <Header variant="h1" description={texts.signIn.about}>
            {texts.signIn.title}
          </Header>
          {props.notice && <Alert type="info">{props.notice}</Alert>}
          <Tabs
            activeTabId={way}
            onChange={({ detail }) => setWay(detail.activeTabId)}
            tabs={[
              { id: "password", label: texts.signIn.user, content: <WithPassword {...props} /> },
              { id: "key", label: texts.signIn.key, content: <WithKey {...props} /> },
            ]}
          />
        </SpaceBetween>
      </Box>
    </main>
  );
}

function Entry(props: { error: Error | undefined; running: boolean; ready: boolean; act: () => void; children: ReactNode }) {
  const submit = (event: FormEvent) => {
    event.preventDefault();
    props.act();
  };
  return (
    <form onSubmit={submit}>
      <Form
        actions={
          <Button variant="primary" loading={props.running} disabled={!props.ready}>
            {texts.signIn.submit}
          </Button>
        }
      >
        <SpaceBetween size="l">
          <Refusal error={props.error} />
          <Container>
            <SpaceBetween size="l">{props.children}</SpaceBetween>
          </Container>
        </SpaceBetween>
      </Form>
    </form>
  );
}

function Secret(props: { label: string; value: string; isNew?: boolean; change: (value: string) => void }) {
  return (
    <FormField label={props.label}>
      <Input
        type="password"
        autoComplete={props.isNew ? "new-password" : "current-password"}
        value={props.value}
        onChange={({ detail }) => props.change(detail.value)}
      />
    </FormField>
  );
}

function WithPassword({ server, signIn }: { server: Server; signIn: SignedIn }) {
  const [account, setAccount] = useState(server.account);
  const [user, setUser] = useState("");
  const [password, setPassword] = useState("");
  const [changes, setChanges] = useState(false);
  const [chosen, setChosen] = useState("");
  const [again, setAgain] = useState("");
  const attempt = useAction(async () => {
    try {
      signIn(await keysOf(account, user, password, changes ? chosen : undefined));
    } catch (error) {
      if (error instanceof SignInError && error.code === "PasswordChangeRequired") {
        setChanges(true);
        return;
      }
      throw error;
    }
  });
  const ready = Boolean(account && user && password && (!changes || (chosen && chosen === again)));
  return (
    <Entry error={attempt.error} running={attempt.running} ready={ready} act={() => void attempt.start()}>
      {changes && <Alert type="info">{texts.signIn.mustChange}</Alert>}
      <FormField label={texts.signIn.account}>
        <Input
          value={account}
          disabled={changes}
          autoComplete="organization"
          onChange={({ detail }) => setAccount(detail.value)}
        />
      </FormField>
      <FormField label={texts.signIn.userName}>
        <Input
          value={user}
          disabled={changes}
          autoFocus
          autoComplete="username"
          onChange={({ detail }) => setUser(detail.value)}
        />
      </FormField>
      <Secret label={changes ? texts.signIn.oldPassword : texts.signIn.password} value={password} change={setPassword} />
      {changes && <NewPassword {...{ chosen, again, setChosen, setAgain }} />}
    </Entry>
  );
}

/** A new password, twice. */
export function NewPassword(props: {
  chosen: string;
  again: string;
  setChosen: (value: string) => void;
  setAgain: (value: string) => void;
}) {
  const differs = props.again !== "" && props.again !== props.chosen;
  return (
    <>
      <Secret label={texts.signIn.newPassword} value={props.chosen} isNew change={props.setChosen} />
      <FormField label={texts.signIn.newAgain} errorText={differs && texts.signIn.differ}>
        <Input
          type="password"
          autoComplete="new-password"
          value={props.again}
          onChange={({ detail }) => props.setAgain(detail.value)}
        />
      </FormField>
    </>
  );
}

/** Signs in with an access key, which is tried by asking whose it is: everybody may do that. */
function WithKey({ server, signIn }: { server: Server; signIn: SignedIn }) {
  const [accessKeyId, setAccessKeyId] = useState("");
  const [secretAccessKey, setSecretAccessKey] = useState("");
  const [sessionToken, setSessionToken] = useState("");
  const attempt = useAction(async () => {
    const keys = { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
    const client = new STSClient({
      region: chosenRegion(server),
      endpoint: window.location.origin,
      credentials: keys,
      maxAttempts: 1,
    });
    const { Account = server.account, Arn = "" } = await client.send(new GetCallerIdentityCommand({}));
    signIn({ ...keys, account: Account, who: Arn.slice(Arn.lastIndexOf(":") + 1).replace(/^user\//, "") });
  });
  return (
    <Entry
      error={attempt.error}
      running={attempt.running}
      ready={Boolean(accessKeyId && secretAccessKey)}
      act={() => void attempt.start()}
    >
      <FormField label={texts.signIn.accessKey}>
        <Input value={accessKeyId} autoComplete={false} onChange={({ detail }) => setAccessKeyId(detail.value)} />
      </FormField>
      <FormField label={texts.signIn.secretKey}>
        <Input
          type="password"
          autoComplete={false}
          value={secretAccessKey}
          onChange={({ detail }) => setSecretAccessKey(detail.value)}
        />
      </FormField>
      <FormField label={texts.signIn.token}>
        <Input value={sessionToken} autoComplete={false} onChange={({ detail }) => setSessionToken(detail.value)} />
      </FormField>
    </Entry>
  );
}
