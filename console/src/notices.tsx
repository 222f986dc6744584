import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import Flashbar, { type FlashbarProps } from "@cloudscape-design/components/flashbar";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { createContext, type ReactNode, useCallback, useContext, useMemo, useState } from "react";
import { texts } from "./texts";

type Tell = (type: FlashbarProps.Type, content: string) => void;
const TellContext = createContext<Tell>(() => undefined);
const ToldContext = createContext<FlashbarProps.MessageDefinition[]>([]);
const MOST = 5;

/** Returns what shows a message at the top of the page. */
export const useTell = (): Tell => useContext(TellContext);

export function NoticesProvider({ children }: { children: ReactNode }) {
  const [told, setTold] = useState<FlashbarProps.MessageDefinition[]>([]);
  const tell = useCallback<Tell>((type, content) => {
    const id = crypto.randomUUID();
    const dismiss = () => setTold((before) => before.filter((one) => one.id !== id));
    const one = { id, type, content, dismissible: true, dismissLabel: texts.close, onDismiss: dismiss };
    setTold((before) => [one, ...before].slice(0, MOST));
  }, []);
  const shown = useMemo(() => told, [told]);
  return (
    <TellContext.Provider value={tell}>
      <ToldContext.Provider value={shown}>{children}</ToldContext.Provider>
    </TellContext.Provider>
  );
}

export function Notices() {
  return <Flashbar items={useContext(ToldContext)} />;
}

const DENIED = /^User: (?<user>\S+) is not authorized to perform: (?<action>\S+) on resource: (?<resource>\S+)(?: (?<why>.*))?$/s;
/** AWS's sentence for what somebody may not do. */

/** What a request was refused with: the error's name and the server's own words. */
export function Refusal({ error, retry }: { error: Error | undefined; retry?: () => void }) {
  if (error === undefined) {
    return null;
  }
  const denied = DENIED.exec(error.message)?.groups;
  if (denied !== undefined) {
    return <Denied denied={denied} sentence={error.message} retry={retry} />;
  }
  return (
    <Alert
      type="error"
      header={error.name === "Error" ? texts.failed : error.name}
      action={retry && <Button onClick={retry}>{texts.tryAgain}</Button>}
    >
      {error.message}
    </Alert>
  );
}

/** What somebody may not do, as AWS shows it: who, which action, on what, and why, to be sent to an administrator. */
function Denied(props: { denied: Record<string, string | undefined>; sentence: string; retry?: () => void }) {
  const { user, action = "", resource, why } = props.denied;
  return (
    <Alert
      type="error"
      header={texts.denied.title(action)}
      action={props.retry && <Button onClick={props.retry}>{texts.tryAgain}</Button>}
    >
      <SpaceBetween size="s">
        <div>{texts.denied.about}</div>
        <KeyValuePairs
          items={[
            { label: texts.denied.user, value: user },
            { label: texts.denied.action, value: action },
            { label: texts.denied.resource, value: resource },
            { label: texts.denied.why, value: why ?? texts.none },
          ]}
        />
        <CopyToClipboard
          variant="inline"
          textToDisplay={props.sentence}
          textToCopy={props.sentence}
          copyButtonAriaLabel={texts.denied.copy}
          copySuccessText={texts.requests.copied}
          copyErrorText={texts.requests.notCopied}
        />
      </SpaceBetween>
    </Alert>
  );
}
