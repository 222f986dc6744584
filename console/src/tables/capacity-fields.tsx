/** The throughput of a table or an index, as a form has it: provisioned units, or maximums on demand, and what is warm. */
import type { OnDemandThroughput, ProvisionedThroughput, WarmThroughput } from "@aws-sdk/client-dynamodb";
import ColumnLayout from "@cloudscape-design/components/column-layout";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import RadioGroup from "@cloudscape-design/components/radio-group";
import { texts } from "../texts";

/** Texts of input fields; an empty one is not sent. */
export interface Capacity {
  read: string;
  write: string;
  mostRead: string;
  mostWrite: string;
  warmRead: string;
  warmWrite: string;
}

const UNITS = "5";
export const USUAL_CAPACITY: Capacity = {
  read: UNITS,
  write: UNITS,
  mostRead: "",
  mostWrite: "",
  warmRead: "",
  warmWrite: "",
};
export const NO_MOST = -1;
/** What takes a maximum away. */

export function provisioned({ read, write }: Capacity): ProvisionedThroughput {
  return { ReadCapacityUnits: Number(read), WriteCapacityUnits: Number(write) };
}

/** The maximums that are given; undefined for none. */
export function maximums({ mostRead, mostWrite }: Capacity): OnDemandThroughput | undefined {
  const most = {
    ...(mostRead ? { MaxReadRequestUnits: Number(mostRead) } : {}),
    ...(mostWrite ? { MaxWriteRequestUnits: Number(mostWrite) } : {}),
  };
  return Object.keys(most).length ? most : undefined;
}

/** What is to be warm; undefined for what always is. */
export function warm({ warmRead, warmWrite }: Capacity): WarmThroughput | undefined {
  const units = {
    ...(warmRead ? { ReadUnitsPerSecond: Number(warmRead) } : {}),
    ...(warmWrite ? { WriteUnitsPerSecond: Number(warmWrite) } : {}),
  };
  return Object.keys(units).length ? units : undefined;
}

/** The members of a new table or index. */
export function capacityMembers(capacity: Capacity, onDemand: boolean) {
  const most = maximums(capacity);
  return onDemand
    ? { ...(most ? { OnDemandThroughput: most } : {}) }
    : { ProvisionedThroughput: provisioned(capacity) };
}

export function warmMembers(capacity: Capacity) {
  const units = warm(capacity);
  return units ? { WarmThroughput: units } : {};
}

export function CapacityMode(props: { label: string; onDemand: boolean; change: (onDemand: boolean) => void }) {
  return (
    <RadioGroup
      ariaLabel={props.label}
      value={props.onDemand ? "on-demand" : "provisioned"}
      onChange={({ detail }) => props.change(detail.value === "on-demand")}
      items={[
        { value: "on-demand", label: texts.create.onDemand, description: texts.create.onDemandAbout },
        { value: "provisioned", label: texts.create.provisioned, description: texts.create.provisionedAbout },
      ]}
    />
  );
}

interface FieldsProps {
  /** Before each label, where there are fields of several. */
  of?: string;
  value: Capacity;
  change: (value: Capacity) => void;
}

function Units(props: FieldsProps & { member: keyof Capacity; label: string; about?: string }) {
  const { of, value, change, member, label, about } = props;
  return (
    <FormField label={of ? `${of}: ${label}` : label} constraintText={about}>
      <Input
        type="number"
        value={value[member]}
        onChange={({ detail }) => change({ ...value, [member]: detail.value })}
      />
    </FormField>
  );
}

/** The units of a mode: provisioned ones, or maximums. */
export function CapacityFields(props: FieldsProps & { onDemand: boolean }) {
  return (
    <ColumnLayout columns={2}>
      <Units
        {...props}
        member={props.onDemand ? "mostRead" : "read"}
        label={props.onDemand ? texts.create.mostRead : texts.create.read}
        about={props.onDemand ? texts.create.maximumAbout : undefined}
      />
      <Units
        {...props}
        member={props.onDemand ? "mostWrite" : "write"}
        label={props.onDemand ? texts.create.mostWrite : texts.create.write}
        about={props.onDemand ? texts.create.maximumAbout : undefined}
      />
    </ColumnLayout>
  );
}

export function WarmFields(props: FieldsProps) {
  return (
    <ColumnLayout columns={2}>
      <Units {...props} member="warmRead" label={texts.create.warmRead} about={texts.create.warmAbout} />
      <Units {...props} member="warmWrite" label={texts.create.warmWrite} about={texts.create.warmAbout} />
    </ColumnLayout>
  );
}
