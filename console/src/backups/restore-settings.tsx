/** What a restore may change of the table: its name, capacity mode, indexes and key. */
import type { RestoreTableFromBackupInput } from "@aws-sdk/client-dynamodb";
import Checkbox from "@cloudscape-design/components/checkbox";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { CapacityFields, provisioned, USUAL_CAPACITY } from "../tables/capacity-fields";
import { type Encryption, EncryptionFields, specification, USUAL_ENCRYPTION } from "../tables/encryption";
import { texts } from "../texts";
import { Choice } from "./transfers";

const MODES = ["SAME", "PAY_PER_REQUEST", "PROVISIONED"] as const;

export interface RestoreSettings {
  name: string;
  withIndexes: boolean;
  mode: (typeof MODES)[number];
  capacity: typeof USUAL_CAPACITY;
  /** Undefined for that of the source. */
  encryption: Encryption | undefined;
}

export const AS_IT_WAS: RestoreSettings = {
  name: "",
  withIndexes: true,
  mode: "SAME",
  capacity: USUAL_CAPACITY,
  encryption: undefined,
};

/** The members of both requests. */
export function restoreMembers(settings: RestoreSettings) {
  const { name, withIndexes, mode, capacity, encryption } = settings;
  const isProvisioned = mode === "PROVISIONED";
  return {
    TargetTableName: name,
    ...(withIndexes ? {} : { GlobalSecondaryIndexOverride: [], LocalSecondaryIndexOverride: [] }),
    ...(mode === "SAME" ? {} : { BillingModeOverride: mode }),
    ...(isProvisioned ? { ProvisionedThroughputOverride: provisioned(capacity) } : {}),
    ...(encryption ? { SSESpecificationOverride: specification(encryption) } : {}),
  } satisfies Omit<RestoreTableFromBackupInput, "BackupArn">;
}

export function RestoreFields({ value, change }: { value: RestoreSettings; change: (value: RestoreSettings) => void }) {
  return (
    <SpaceBetween size="m">
      <FormField label={texts.backup.newTable} constraintText={texts.create.nameAbout}>
        <Input value={value.name} onChange={({ detail }) => change({ ...value, name: detail.value })} />
      </FormField>
      <Checkbox
        checked={value.withIndexes}
        onChange={({ detail }) => change({ ...value, withIndexes: detail.checked })}
      >
        {texts.backup.indexes}
      </Checkbox>
      <Choice
        label={texts.create.capacity}
        values={MODES}
        shown={texts.backup.modes}
        value={value.mode}
        change={(mode) => change({ ...value, mode })}
      />
      {value.mode === "PROVISIONED" && (
        <CapacityFields
          onDemand={false}
          value={value.capacity}
          change={(capacity) => change({ ...value, capacity })}
        />
      )}
      <Checkbox
        checked={value.encryption === undefined}
        onChange={({ detail }) => change({ ...value, encryption: detail.checked ? undefined : USUAL_ENCRYPTION })}
      >
        {texts.backup.sameKey}
      </Checkbox>
      {value.encryption && (
        <EncryptionFields value={value.encryption} change={(encryption) => change({ ...value, encryption })} />
      )}
    </SpaceBetween>
  );
}
