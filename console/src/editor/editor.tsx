import FormField from "@cloudscape-design/components/form-field";
import { useId, useMemo, useRef } from "react";
import "./editor.css";
import { type Finding, Findings } from "./findings";
import { type Language, type Token, tokens } from "./tokens";

const LINE_HEIGHT = 20;
const PADDING = 16;
const MOST_COLOURED = 100_000;
/** Characters. A longer text is shown without colours, for the page must stay quick. */

/** A text with colours, in which places are marked: a text field above its coloured copy. */
export function Editor(props: {
  label: string;
  about?: string;
  language: Language;
  value: string;
  change: (value: string) => void;
  findings?: Finding[];
  rows?: number;
}) {
  const { language, value, findings = [] } = props;
  const id = useId();
  const field = useRef<HTMLTextAreaElement>(null);
  const pieces = useMemo(
    () => (value.length > MOST_COLOURED ? [{ text: value, kind: "plain", start: 0 } as Token] : tokens(language, value)),
    [language, value],
  );
  const goTo = (place: number) => {
    field.current?.focus();
    field.current?.setSelectionRange(place, place);
  };
  const height = `${(props.rows ?? 14) * LINE_HEIGHT + PADDING}px`;
  return (
    <FormField label={props.label} description={props.about} controlId={id} stretch>
      <div className="editor-frame" style={{ height }}>
        <div className="editor" style={{ minHeight: height }}>
          <pre aria-hidden="true">
            {pieces.flatMap((token) => marked(token, findings))}
            {"\n"}
          </pre>
          <textarea
            id={id}
            ref={field}
            value={value}
            spellCheck={false}
            autoCapitalize="off"
            autoComplete="off"
            aria-invalid={findings.some(({ type }) => type === "error")}
            onChange={(event) => props.change(event.target.value)}
          />
        </div>
      </div>
      <Findings text={value} findings={findings} goTo={goTo} />
    </FormField>
  );
}

/** A piece, cut where a mark begins or ends. */
function marked({ text, kind, start }: Token, findings: Finding[]) {
  const end = start + text.length;
  const cuts = new Set([start, end]);
  for (const finding of findings) {
    for (const cut of [finding.start, finding.end]) {
      if (cut > start && cut < end) {
        cuts.add(cut);
      }
    }
  }
  const places = [...cuts].sort((one, other) => one - other);
  return places.slice(0, -1).map((from, number) => {
    const isWrong = findings.some((one) => one.start <= from && from < one.end);
    return (
      <span key={from} className={isWrong ? `${kind} wrong` : kind}>
        {text.slice(from - start, (places[number + 1] ?? end) - start)}
      </span>
    );
  });
}
