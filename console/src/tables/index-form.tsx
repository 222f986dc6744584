import type {
  AttributeDefinition,
  KeySchemaElement,
  Projection,
  ProjectionType,
  ProvisionedThroughput,
} from "@aws-sdk/client-dynamodb";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { texts } from "../texts";
import type { Key } from "./descriptions";
import { KeyInput } from "./key-input";

/** An index as a form has it. A local one has the table's partition key. */
export interface NewIndex {
  id: string;
  local: boolean;
  name: string;
  partition: Key;
  sort: Key;
  projection: ProjectionType;
  included: string;
}

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
    partition: key,
    sort: key,
    projection: "ALL",
    included: "",
  };
}

export function keySchema(partition: string, sort: string): KeySchemaElement[] {
  return [
    { AttributeName: partition, KeyType: "HASH" },
    ...(sort ? [{ AttributeName: sort, KeyType: "RANGE" as const }] : []),
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
export function definitionOf(index: NewIndex, tablePartition: string) {
  return {
    IndexName: index.name,
    KeySchema: keySchema(index.local ? tablePartition : index.partition.name, index.sort.name),
    Projection: projection(index),
  };
}

export function throughput(read: string, write: string): ProvisionedThroughput {
  return { ReadCapacityUnits: Number(read), WriteCapacityUnits: Number(write) };
}

export function IndexForm({ index, change }: { index: NewIndex; change: (index: NewIndex) => void }) {
  return (
    <SpaceBetween size="m">
      <FormField label={texts.create.indexName}>
        <Input value={index.name} onChange={({ detail }) => change({ ...index, name: detail.value })} />
      </FormField>
      {!index.local && (
        <KeyInput
          label={texts.create.partitionKey}
          value={index.partition}
          change={(partition) => change({ ...index, partition })}
        />
      )}
      <KeyInput
        label={index.local ? texts.list.sortKey : texts.create.sortKey}
        value={index.sort}
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
    </SpaceBetween>
  );
}
