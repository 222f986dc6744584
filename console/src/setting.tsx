import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { ReactNode } from "react";
import { type Draft, Overtaken } from "./drafts";
import { useAction } from "./loading";
import { Refusal, useTell } from "./notices";
import { texts } from "./texts";

/** A setting of what a page shows, with the button that changes it.
 *
 * The button is busy until the page shows what is stored now: it never acts on what was stored before.
 */
export function Setting<T>(props: {
  title: string;
  about?: string;
  /** The text of the button; undefined for a setting that may not be changed. */
  action: string | undefined;
  disabled?: boolean;
  /** What the button has the server do. May raise Overtaken. */
  act: () => Promise<unknown>;
  /** Have the setting loaded again. */
  refresh: () => Promise<void>;
  /** What `act` sends, if it is a form. */
  draft?: Draft<T>;
  /** Why the setting could not be loaded. */
  error?: Error;
  /** Buttons before and after that of the action. */
  before?: ReactNode;
  after?: ReactNode;
  children: ReactNode;
}) {
  const { title, about, action, disabled, act, refresh, draft, error, before, after, children } = props;
  const tell = useTell();
  const acting = useAction(async () => {
    try {
      await act();
    } catch (error) {
      await refresh();
      if (error instanceof Overtaken) {
        return;
      }
      throw error;
    }
    tell("success", texts.saved);
    await refresh();
    draft?.saved(draft.value);
  });
  return (
    <Container
      header={
        <Header
          variant="h2"
          description={about}
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              {before}
              {action !== undefined && (
                <Button disabled={disabled} loading={acting.running} onClick={() => void acting.start()}>
                  {action}
                </Button>
              )}
              {after}
            </SpaceBetween>
          }
        >
          {title}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Refusal error={acting.error ?? error} />
        {children}
      </SpaceBetween>
    </Container>
  );
}
