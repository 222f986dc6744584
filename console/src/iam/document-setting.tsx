import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { ReactNode } from "react";
import { type Draft, Overtaken } from "../drafts";
import type { PolicyKind } from "../editor/policy-findings";
import { Setting } from "../setting";
import { texts } from "../texts";
import { DocumentField } from "./document-field";

/** A policy as it is stored. */
export interface Stored {
  text: string;
  /** Differs when the policy does: its ID, or the policy itself where a service has none. */
  revision: string;
}

/** Raise Overtaken if a policy is no longer that from which somebody began, where the service does not compare them. */
export function expectUnchanged({ base }: Draft<Stored>, stored: string): void {
  if (base.revision !== stored) {
    throw new Overtaken(texts.document.overtaken);
  }
}

/** A policy that is edited here. What somebody else has stored meanwhile is not written over unawares. */
export function DocumentSetting(props: {
  title: string;
  about: string;
  kind: PolicyKind;
  /** Whether it may be changed. */
  isFixed?: boolean;
  isLoaded: boolean;
  draft: Draft<Stored>;
  save: () => Promise<unknown>;
  refresh: () => Promise<void>;
  error?: Error;
  before?: ReactNode;
  children?: ReactNode;
}) {
  const { title, kind, draft, isFixed, isLoaded } = props;
  const { value, isChanged, isOvertaken } = draft;
  return (
    <Setting
      title={title}
      about={props.about}
      action={isFixed ? undefined : texts.save}
      disabled={!isLoaded || !isChanged || isOvertaken || !value.text.trim()}
      act={props.save}
      refresh={props.refresh}
      draft={draft}
      error={props.error}
      before={props.before}
    >
      {isOvertaken && (
        <Alert
          type="warning"
          action={
            <SpaceBetween direction="horizontal" size="xs">
              <Button onClick={draft.discard}>{texts.document.discard}</Button>
              <Button onClick={draft.keep}>{texts.document.keep}</Button>
            </SpaceBetween>
          }
        >
          {texts.document.overtaken}
        </Alert>
      )}
      <DocumentField kind={kind} label={title} value={value.text} change={(text) => draft.change({ ...value, text })} />
      {props.children}
    </Setting>
  );
}
