import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { shownStatus } from "./descriptions";

export function Status({ status }: { status: string | undefined }) {
  const { type, text } = shownStatus(status);
  return <StatusIndicator type={type}>{text}</StatusIndicator>;
}
