import FormField from "@cloudscape-design/components/form-field";
import Grid from "@cloudscape-design/components/grid";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import { texts } from "../texts";
import type { Key, ScalarType } from "./descriptions";

const TYPES = ["S", "N", "B"].map((value) => ({ value, label: texts.types[value] ?? value }));

/** The name of a key and its type. */
export function KeyInput(props: {
  label: string;
  about?: string;
  value: Key;
  error?: string;
  change: (key: Key) => void;
}) {
  const { label, about, value, error, change } = props;
  return (
    <Grid gridDefinition={[{ colspan: 8 }, { colspan: 4 }]}>
      <FormField label={label} description={about} constraintText={texts.create.keyName} errorText={error} stretch>
        <Input value={value.name} onChange={({ detail }) => change({ ...value, name: detail.value })} />
      </FormField>
      <FormField label={texts.create.keyType}>
        <Select
          ariaLabel={`${label}: ${texts.create.keyType}`}
          options={TYPES}
          selectedOption={TYPES.find((one) => one.value === value.type) ?? null}
          onChange={({ detail }) => change({ ...value, type: (detail.selectedOption.value ?? "S") as ScalarType })}
        />
      </FormField>
    </Grid>
  );
}
