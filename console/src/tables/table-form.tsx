/** What CreateTable and ImportTable both say of a new table: its name, keys, capacity, indexes and encryption. */
import type { TableCreationParameters } from "@aws-sdk/client-dynamodb";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Tiles from "@cloudscape-design/components/tiles";
import { texts } from "../texts";
import {
  type Capacity,
  CapacityFields,
  capacityMembers,
  CapacityMode,
  USUAL_CAPACITY,
  WarmFields,
  warmMembers,
} from "./capacity-fields";
import type { Key } from "./descriptions";
import { type Encryption, EncryptionFields, encryptionMembers, USUAL_ENCRYPTION } from "./encryption";
import { definitionOf, definitions, IndexForm, keySchema, type NewIndex, newIndex } from "./index-form";
import { KeyInput } from "./key-input";

const NAME = /^[a-zA-Z0-9_.-]{3,255}$/;

export interface NewTable {
  name: string;
  partition: Key;
  sort: Key;
  /** Whether what follows counts; otherwise everything is as usual. */
  custom: boolean;
  onDemand: boolean;
  capacity: Capacity;
  indexes: NewIndex[];
  encryption: Encryption;
}

const NO_KEY: Key = { name: "", type: "S" };
export const NEW_TABLE: NewTable = {
  name: "",
  partition: NO_KEY,
  sort: NO_KEY,
  custom: false,
  onDemand: true,
  capacity: USUAL_CAPACITY,
  indexes: [],
  encryption: USUAL_ENCRYPTION,
};

/** What is wrong with the fields that must be filled; undefined if nothing is. */
export function findings({ name, partition }: NewTable) {
  const found = {
    ...(NAME.test(name) ? {} : { name: texts.create.nameWrong }),
    ...(partition.name ? {} : { partition: texts.required }),
  };
  return Object.keys(found).length ? found : undefined;
}

/** The members of both requests, but for local indexes and warm throughput, which an import does not take. */
export function tableParameters(table: NewTable): TableCreationParameters {
  const { onDemand, capacity, indexes, encryption } = table.custom ? table : NEW_TABLE;
  const global = indexes.filter((index) => !index.local);
  const keys = [
    table.partition,
    table.sort,
    ...global.flatMap((index) => index.partition),
    ...indexes.flatMap((index) => index.sort),
  ];
  return {
    TableName: table.name,
    KeySchema: keySchema([table.partition], [table.sort]),
    AttributeDefinitions: definitions(keys),
    BillingMode: onDemand ? "PAY_PER_REQUEST" : "PROVISIONED",
    ...capacityMembers(capacity, onDemand),
    ...encryptionMembers(encryption),
    ...(global.length
      ? {
          GlobalSecondaryIndexes: global.map((index) => ({
            ...definitionOf(index, table.partition),
            ...capacityMembers(index.capacity ?? capacity, onDemand),
            ...warmMembers(index.capacity ?? capacity),
          })),
        }
      : {}),
  };
}

interface FormProps {
  table: NewTable;
  change: (table: NewTable) => void;
}

export function NameAndKeys({ table, change, found }: FormProps & { found: ReturnType<typeof findings> }) {
  return (
    <Container
      header={
        <Header variant="h2" description={texts.create.detailsAbout}>
          {texts.create.details}
        </Header>
      }
    >
      <SpaceBetween size="l">
        <FormField label={texts.create.name} constraintText={texts.create.nameAbout} errorText={found?.name}>
          <Input value={table.name} onChange={({ detail }) => change({ ...table, name: detail.value })} />
        </FormField>
        <KeyInput
          label={texts.create.partitionKey}
          about={texts.create.partitionKeyAbout}
          value={table.partition}
          error={found?.partition}
          change={(partition) => change({ ...table, partition })}
        />
        <KeyInput
          label={texts.create.sortKey}
          about={texts.create.sortKeyAbout}
          value={table.sort}
          change={(sort) => change({ ...table, sort })}
        />
      </SpaceBetween>
    </Container>
  );
}

export function SettingsChoice({ table, change }: FormProps) {
  return (
    <Container header={<Header variant="h2">{texts.create.settings}</Header>}>
      <Tiles
        ariaLabel={texts.create.settings}
        value={table.custom ? "custom" : "default"}
        onChange={({ detail }) => change({ ...table, custom: detail.value === "custom" })}
        items={[
          { value: "default", label: texts.create.defaults, description: texts.create.defaultsAbout },
          { value: "custom", label: texts.create.custom, description: texts.create.customAbout },
        ]}
      />
    </Container>
  );
}

export function CapacityForm({ table, change, isWarm }: FormProps & { isWarm: boolean }) {
  const fields = { value: table.capacity, change: (capacity: Capacity) => change({ ...table, capacity }) };
  return (
    <Container header={<Header variant="h2">{texts.create.capacity}</Header>}>
      <SpaceBetween size="l">
        <CapacityMode
          label={texts.create.capacity}
          onDemand={table.onDemand}
          change={(onDemand) => change({ ...table, onDemand })}
        />
        <CapacityFields {...fields} onDemand={table.onDemand} />
        {isWarm && <WarmFields {...fields} />}
      </SpaceBetween>
    </Container>
  );
}

export function IndexesForm({ table, change, local }: FormProps & { local: boolean }) {
  const put = (index: NewIndex) =>
    change({ ...table, indexes: table.indexes.map((one) => (one.id === index.id ? index : one)) });
  const add = (isLocal: boolean) => change({ ...table, indexes: [...table.indexes, newIndex(isLocal)] });
  return (
    <Container
      header={
        <Header
          variant="h2"
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              {local && (
                <Button formAction="none" onClick={() => add(true)}>
                  {texts.create.addLocal}
                </Button>
              )}
              <Button formAction="none" onClick={() => add(false)}>
                {texts.create.addGlobal}
              </Button>
            </SpaceBetween>
          }
        >
          {texts.create.indexes}
        </Header>
      }
    >
      {table.indexes.length === 0 && <Box>{texts.create.noIndexes}</Box>}
      {table.indexes.map((index) => (
        <ExpandableSection
          key={index.id}
          defaultExpanded
          headerText={`${index.local ? texts.create.local : texts.create.global}: ${index.name}`}
          headerActions={
            <Button
              formAction="none"
              onClick={() => change({ ...table, indexes: table.indexes.filter((one) => one.id !== index.id) })}
            >
              {texts.create.remove}
            </Button>
          }
          variant="container"
        >
          <IndexForm index={index} onDemand={table.onDemand} change={put} />
        </ExpandableSection>
      ))}
    </Container>
  );
}

export function EncryptionForm({ table, change }: FormProps) {
  return (
    <Container header={<Header variant="h2">{texts.encryption.title}</Header>}>
      <EncryptionFields value={table.encryption} change={(encryption) => change({ ...table, encryption })} />
    </Container>
  );
}
