import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Modal, { type ModalProps } from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type FormEvent, type ReactNode, useId } from "react";
import { useAction } from "./loading";
import { Refusal } from "./notices";
import { texts } from "./texts";

/** A dialog that does one thing; the Enter key does it, too. It stays open, with the server's words, when that is refused. */
export function Dialog(props: {
  title: string;
  submit: string;
  disabled?: boolean;
  size?: ModalProps.Size;
  act: () => Promise<void>;
  dismiss: () => void;
  children: ReactNode;
}) {
  const acting = useAction(props.act);
  const form = useId();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    event.stopPropagation();
    if (!props.disabled && !acting.running) {
      void acting.start();
    }
  };
  return (
    <Modal
      visible
      size={props.size}
      onDismiss={props.dismiss}
      header={props.title}
      footer={
        <Box float="right">
          <SpaceBetween direction="horizontal" size="xs">
            <Button variant="link" formAction="none" onClick={props.dismiss}>
              {texts.cancel}
            </Button>
            <Button
              variant="primary"
              disabled={props.disabled}
              loading={acting.running}
              form={form}
            >
              {props.submit}
            </Button>
          </SpaceBetween>
        </Box>
      }
    >
      <form id={form} onSubmit={submit}>
        <SpaceBetween size="m">
          <Refusal error={acting.error} />
          {props.children}
        </SpaceBetween>
      </form>
    </Modal>
  );
}
