import "@cloudscape-design/global-styles/index.css";
import { I18nProvider } from "@cloudscape-design/components/i18n";
import messages from "@cloudscape-design/components/i18n/messages/all.en";
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { HashRouter } from "react-router-dom";
import { App } from "./app";
import { NoticesProvider, Refusal } from "./notices";
import { type Keys, type Server, SessionProvider } from "./session";
import { useLoaded } from "./loading";
import { SignIn } from "./sign-in";

async function server(signal: AbortSignal): Promise<Server> {
  const answer = await fetch("settings.json", { signal });
  if (!answer.ok) {
    throw new Error(`/console/settings.json: ${answer.status}`);
  }
  return (await answer.json()) as Server;
}

/** With signatures verified, whoever has keys; else straight in, as the account of the server. */
function Entrance() {
  const { value, error, refresh } = useLoaded(server, []);
  const [keys, setKeys] = useState<Keys>();
  if (value === undefined) {
    return <Refusal error={error} retry={refresh} />;
  }
  const own = value.auth ? keys : (keys ?? { accessKeyId: value.account, secretAccessKey: "console" });
  if (own === undefined) {
    return <SignIn server={value} signIn={setKeys} />;
  }
  return (
    <SessionProvider server={value} keys={own} signOut={() => setKeys(undefined)}>
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
