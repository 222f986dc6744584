import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import type { ReactNode } from "react";
import { useAction } from "./loading";
import { Refusal } from "./notices";
import { texts } from "./texts";

/** A dialog that does one thing. It stays open, with the server's words, when that is refused. */
export function Dialog(props: {
  title: string;
  submit: string;
  disabled?: boolean;
  act: () => Promise<void>;
  dismiss: () => void;
  children: ReactNode;
}) {
  const acting = useAction(props.act);
  return (
    <Modal
      visible
      onDismiss={props.dismiss}
      header={props.title}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" onClick={props.dismiss}>
              {texts.cancel}
            </Button>
            <Button
              variant="primary"
              disabled={props.disabled}
              loading={acting.running}
              onClick={() => void acting.start()}
            >
              {props.submit}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <SpaceBetween size="m">
        <Refusal error={acting.error} />
        {props.children}
      </SpaceBetween>
    </Modal>
  );
}
