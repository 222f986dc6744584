import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Flashbar, { type FlashbarProps } from "@cloudscape-design/components/flashbar";
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

/** What a request was refused with: the error's name and the server's own words. */
export function Refusal({ error, retry }: { error: Error | undefined; retry?: () => void }) {
  if (error === undefined) {
    return null;
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
