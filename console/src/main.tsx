import "@cloudscape-design/global-styles/index.css";
import "./page.css";
import { I18nProvider } from "@cloudscape-design/components/i18n";
import messages from "@cloudscape-design/components/i18n/messages/all.en";
import { StrictMode, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";
import { HashRouter } from "react-router-dom";
import { App } from "./app";
import { NoticesProvider, Refusal } from "./notices";
import { type Keys, type Server, SessionProvider } from "./session";
import { useLoaded } from "./loading";
import { SignIn } from "./sign-in";
import { texts } from "./texts";

async function server(signal: AbortSignal): Promise<Server> {
  const answer = await fetch("settings.json", { signal });
  if (!answer.ok) {
    throw new Error(`/console/settings.json: ${answer.status}`);
  }
  return (await answer.json()) as Server;
}

/** The keys of somebody who need not sign: they name the account. */
const unsigned = (account: string): Keys => ({ accessKeyId: account, secretAccessKey: "console", account });

/** With signatures verified, whoever has keys; else straight in, as the account of the server. */
function Entrance() {
  const { value, error, refresh } = useLoaded(server, []);
  const [keys, setKeys] = useState<Keys>();
  const [notice, setNotice] = useState<string>();
  const nobody = useMemo(() => unsigned(value?.account ?? ""), [value?.account]);
  if (value === undefined) {
    return <Refusal error={error} retry={refresh} />;
  }
  if (value.auth && keys === undefined) {
    return <SignIn server={value} signIn={setKeys} notice={notice} />;
  }
  const leave = (why: string) => {
    setNotice(why);
    setKeys(undefined);
  };
  return (
    <SessionProvider
      key={keys?.accessKeyId}
      server={value}
      keys={keys ?? nobody}
      signOut={() => leave(texts.signIn.out)}
      ended={() => leave(texts.signIn.ended)}
    >
      <App />
    </SessionProvider>
  );
}

const root = document.getElementById("app");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <I18nProvider locale="en" messages={[messages]}>
        <HashRouter>
          <NoticesProvider>
            <Entrance />
          </NoticesProvider>
        </HashRouter>
      </I18nProvider>
    </StrictMode>,
  );
}
