import { useMemo } from "react";
import { Editor } from "../editor/editor";
import { type PolicyKind, policyFindings } from "../editor/policy-findings";
import { texts } from "../texts";

export const EMPTY_POLICY = JSON.stringify(
  {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "dynamodb:GetItem", Resource: "arn:aws:dynamodb:*:*:table/NAME" }],
  },
  null,
  2,
);

/** A document as people write it. */
export function indented(document: string): string {
  try {
    return JSON.stringify(JSON.parse(document), null, 2);
  } catch {
    return document;
  }
}

/** A policy as text. What is wrong with it is marked at its place; the server decides. */
export function DocumentField(props: {
  label?: string;
  kind?: PolicyKind;
  value: string;
  change: (value: string) => void;
}) {
  const { kind = "identity", value } = props;
  const findings = useMemo(() => policyFindings(value, kind), [value, kind]);
  return (
    <Editor
      label={props.label ?? texts.iam.document}
      language="json"
      value={value}
      change={props.change}
      findings={findings}
    />
  );
}
