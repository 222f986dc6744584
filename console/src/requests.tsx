import Box from "@cloudscape-design/components/box";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import Drawer from "@cloudscape-design/components/drawer";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type Asked, useAsked } from "./session";
import { texts } from "./texts";
import { jsonReplacer } from "./attributes/values";

/** The command that makes the same request with the AWS CLI. */
function command(one: Asked): string {
  const operation = one.operation
    .replace(/([a-z])([A-Z])/g, "$1-$2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1-$2")
    .toLowerCase();
  const input = JSON.stringify(one.input, jsonReplacer).replaceAll("'", "'\\''");
  const place = `--endpoint-url ${window.location.origin} --region ${one.region}`;
  return `aws ${one.service} ${operation} ${place} --cli-input-json '${input}'`;
}

export function Requests() {
  const asked = useAsked();
  return (
    <Drawer header={<h2>{texts.requests.title}</h2>}>
      <SpaceBetween size="m">
        <Box>{asked.length ? texts.requests.about : texts.requests.none}</Box>
        {asked.map((one) => (
          <SpaceBetween key={one.number} size="xxs">
            <Box variant="strong">{one.operation}</Box>
            <CopyToClipboard
              variant="button"
              copyButtonText={texts.requests.copy}
              textToCopy={command(one)}
              copySuccessText={texts.requests.copied}
              copyErrorText={texts.requests.notCopied}
            />
          </SpaceBetween>
        ))}
      </SpaceBetween>
    </Drawer>
  );
}
