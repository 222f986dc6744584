import type { TableClass } from "@aws-sdk/client-dynamodb";
import RadioGroup from "@cloudscape-design/components/radio-group";
import { texts } from "../texts";

export function ClassChoice({ value, change }: { value: TableClass; change: (value: TableClass) => void }) {
  return (
    <RadioGroup
      ariaLabel={texts.create.tableClass}
      value={value}
      onChange={({ detail }) => change(detail.value as TableClass)}
      items={[
        { value: "STANDARD", label: texts.create.standard },
        { value: "STANDARD_INFREQUENT_ACCESS", label: texts.create.infrequent },
      ]}
    />
  );
}
