import type {
  AttributeDefinition,
  KeySchemaElement,
  Projection,
  ProjectionType,
} from "@aws-sdk/client-dynamodb";
import Button from "@cloudscape-design/components/button";
import Checkbox from "@cloudscape-design/components/checkbox";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { texts } from "../texts";
import { type Capacity, CapacityFields, USUAL_CAPACITY, WarmFields } from "./capacity-fields";
import type { Key } from "./descriptions";
import { KeyInput } from "./key-input";

/** An index as a form has it. A local one has the table's partition key. */
export interface NewIndex {
  id: string;
  local: boolean;
  name: string;
  /** A global index has up to four attributes in each of its keys. */
  partition: Key[];
  sort: Key[];
  projection: ProjectionType;
  included: string;
  /** Undefined for that of the table. A local index has no other. */
  capacity: Capacity | undefined;
}

const MOST_ATTRIBUTES = 4;
const PROJECTIONS = [
  { value: "ALL", label: texts.create.projectionAll },
  { value: "KEYS_ONLY", label: texts.create.projectionKeys },
  { value: "INCLUDE", label: texts.create.projectionInclude },
];

export function newIndex(local: boolean): NewIndex {
  const key: Key = { name: "", type: "S" };
  return {
    id: crypto.randomUUID(),
    local,
    name: "",
    partition: [key],
    sort: [key],
    projection: "ALL",
    included: "",
    capacity: undefined,
  };
}

/** Keys without a name are left out, but for a partition key: the server says that it is missing. */
export function keySchema(partition: Key[], sort: Key[]): KeySchemaElement[] {
  const [first, ...more] = partition;
  return [
    { AttributeName: first?.name ?? "", KeyType: "HASH" },
    ...more.filter(({ name }) => name).map(({ name }) => ({ AttributeName: name, KeyType: "HASH" as const })),
    ...sort.filter(({ name }) => name).map(({ name }) => ({ AttributeName: name, KeyType: "RANGE" as const })),
  ];
}

/** Each key once. Two types for one name are both sent, and refused by the server. */
export function definitions(keys: Key[]): AttributeDefinition[] {
  const found = new Map(keys.filter(({ name }) => name).map((key) => [`${key.name} ${key.type}`, key]));
  return [...found.values()].map(({ name, type }) => ({ AttributeName: name, AttributeType: type }));
}

export function projection(index: NewIndex): Projection {
  const included = index.included.split(",").map((name) => name.trim());
  return {
    ProjectionType: index.projection,
    ...(index.projection === "INCLUDE" ? { NonKeyAttributes: included.filter(Boolean) } : {}),
  };
}

/** What every form of an index sends. */
export function definitionOf(index: NewIndex, tablePartition: Key) {
  return {
    IndexName: index.name,
    KeySchema: keySchema(index.local ? [tablePartition] : index.partition, index.sort),
    Projection: projection(index),
  };
}

/** The attributes of a key. With `more`, there may be several. */
function KeyInputs(props: { label: string; more: string | undefined; keys: Key[]; change: (keys: Key[]) => void }) {
  const { label, more, keys, change } = props;
  const last = keys.at(-1);
  return (
    <SpaceBetween size="s">
      {keys.map((key, number) => (
        // The attributes of a key are known by their order.
        // eslint-disable-next-line react/no-array-index-key
        <KeyInput
          key={number}
          label={number === 0 ? label : `${label} ${number + 1}`}
          value={key}
          change={(changed) => change(keys.map((one, other) => (other === number ? changed : one)))}
        />
      ))}
      {more !== undefined && (
        <SpaceBetween direction="horizontal" size="xs">
          <Button
            formAction="none"
            disabled={keys.length >= MOST_ATTRIBUTES || !last?.name}
            onClick={() => change([...keys, { name: "", type: "S" }])}
          >
            {more}
          </Button>
          {keys.length > 1 && (
            <Button formAction="none" onClick={() => change(keys.slice(0, -1))}>
              {texts.create.fewer}
            </Button>
          )}
        </SpaceBetween>
      )}
    </SpaceBetween>
  );
}

export function IndexForm(props: { index: NewIndex; onDemand: boolean; change: (index: NewIndex) => void }) {
  const { index, onDemand, change } = props;
  const fields = index.capacity && {
    value: index.capacity,
    change: (capacity: Capacity) => change({ ...index, capacity }),
  };
  return (
    <SpaceBetween size="m">
      <FormField label={texts.create.indexName}>
        <Input value={index.name} onChange={({ detail }) => change({ ...index, name: detail.value })} />
      </FormField>
      {!index.local && (
        <KeyInputs
          label={texts.create.partitionKey}
          more={texts.create.morePartition}
          keys={index.partition}
          change={(partition) => change({ ...index, partition })}
        />
      )}
      <KeyInputs
        label={index.local ? texts.list.sortKey : texts.create.sortKey}
        more={index.local ? undefined : texts.create.moreSort}
        keys={index.sort}
        change={(sort) => change({ ...index, sort })}
      />
      <FormField label={texts.create.projection}>
        <Select
          options={PROJECTIONS}
          selectedOption={PROJECTIONS.find((one) => one.value === index.projection) ?? null}
          onChange={({ detail }) =>
            change({ ...index, projection: (detail.selectedOption.value ?? "ALL") as ProjectionType })
          }
        />
      </FormField>
      {index.projection === "INCLUDE" && (
        <FormField label={texts.create.projected}>
          <Input value={index.included} onChange={({ detail }) => change({ ...index, included: detail.value })} />
        </FormField>
      )}
      {!index.local && (
        <Checkbox
          checked={index.capacity === undefined}
          onChange={({ detail }) => change({ ...index, capacity: detail.checked ? undefined : USUAL_CAPACITY })}
        >
          {texts.create.sameCapacity}
        </Checkbox>
      )}
      {fields && (
        <SpaceBetween size="m">
          <CapacityFields {...fields} of={texts.create.ofIndex} onDemand={onDemand} />
          <WarmFields {...fields} of={texts.create.ofIndex} />
        </SpaceBetween>
      )}
    </SpaceBetween>
  );
}
