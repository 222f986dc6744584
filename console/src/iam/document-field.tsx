import FormField from "@cloudscape-design/components/form-field";
import Textarea from "@cloudscape-design/components/textarea";
import { texts } from "../texts";

export const EMPTY_POLICY = JSON.stringify(
  {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "dynamodb:GetItem", Resource: "arn:aws:dynamodb:*:*:table/NAME" }],
  },
  null,
  2,
);

function problem(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A policy as text. What is not JSON is marked at once; the server decides the rest. */
export function DocumentField(props: { label?: string; value: string; change: (value: string) => void }) {
  return (
    <FormField label={props.label ?? texts.iam.document} errorText={problem(props.value)} stretch>
      <Textarea
        rows={14}
        spellcheck={false}
        value={props.value}
        onChange={({ detail }) => props.change(detail.value)}
      />
    </FormField>
  );
}
