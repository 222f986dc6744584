import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { texts } from "../texts";
import { lineAndColumn } from "./tokens";

/** Something about a place in a text. */
export interface Finding {
  type: "error" | "warning";
  message: string;
  start: number;
  end: number;
}

const MOST = 20;

/** What was found in a text, each with a way to its place. */
export function Findings(props: { text: string; findings: Finding[]; goTo: (place: number) => void }) {
  return (
    <div role="status">
      {props.findings.slice(0, MOST).map((one) => {
        const [line, column] = lineAndColumn(props.text, one.start);
        return (
          <Box key={`${one.start} ${one.message}`} padding={{ top: "xxs" }}>
            <StatusIndicator type={one.type}>
              <Button variant="inline-link" formAction="none" onClick={() => props.goTo(one.start)}>
                {texts.editor.place(line, column)}
              </Button>{" "}
              {one.message}
            </StatusIndicator>
          </Box>
        );
      })}
    </div>
  );
}
