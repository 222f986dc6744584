import { ScanCommand, type ScanCommandOutput } from "@aws-sdk/client-dynamodb";
import Alert from "@cloudscape-design/components/alert";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { useAction } from "../loading";
import { Refusal } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import type { TabProps } from "./details";
import { isOnDemand, keys, shownBytes, shownCapacity, shownKeys, shownMode, shownWarm } from "./descriptions";
import { Status } from "./status";

export function OverviewTab({ table }: TabProps) {
  const { clients } = useSession();
  const [live, setLive] = useState<{ count: number; done: boolean }>();
  const counting = useAction(async () => {
    let count = 0;
    let after: ScanCommandOutput["LastEvaluatedKey"];
    do {
      const page: ScanCommandOutput = await clients.dynamodb.send(
        new ScanCommand({ TableName: table.TableName, Select: "COUNT", ExclusiveStartKey: after }),
      );
      count += page.Count ?? 0;
      after = page.LastEvaluatedKey;
      setLive({ count, done: after === undefined });
    } while (after !== undefined);
  });
  const items = table.ItemCount ?? 0;
  return (
    <SpaceBetween size="l">
      <Unusable table={table} />
      <Container header={<Header variant="h2">{texts.details.general}</Header>}>
        <KeyValuePairs
          columns={3}
          items={[
            { label: texts.list.partitionKey, value: shownKeys(keys(table, table.KeySchema, "HASH")) },
            { label: texts.list.sortKey, value: shownKeys(keys(table, table.KeySchema, "RANGE")) },
            { label: texts.list.mode, value: shownMode(table) },
            { label: texts.list.status, value: <Status status={table.TableStatus} /> },
            {
              label: texts.create.tableClass,
              value:
                table.TableClassSummary?.TableClass === "STANDARD_INFREQUENT_ACCESS"
                  ? texts.create.infrequent
                  : texts.create.standard,
            },
            { label: texts.indexes.capacity, value: shownCapacity(table, isOnDemand(table)) },
            { label: texts.create.warm, value: shownWarm(table) },
            {
              label: texts.encryption.title,
              value: table.SSEDescription?.KMSMasterKeyArn ?? texts.encryption.owners.dynamodb,
            },
            {
              label: texts.settings.protection,
              value: table.DeletionProtectionEnabled ? texts.streams.on : texts.streams.off,
            },
            { label: texts.details.created, value: table.CreationDateTime?.toLocaleString() ?? texts.none },
            {
              label: texts.details.arn,
              value: (
                <CopyToClipboard
                  variant="inline"
                  textToCopy={table.TableArn ?? ""}
                  copyButtonAriaLabel={texts.details.arn}
                  copySuccessText={texts.requests.copied}
                  copyErrorText={texts.requests.notCopied}
                />
              ),
            },
          ]}
        />
      </Container>
      <Container
        header={
          <Header
            variant="h2"
            description={texts.details.itemSummaryAbout}
            actions={
              <Button loading={counting.running} onClick={() => void counting.start()}>
                {texts.details.liveCount}
              </Button>
            }
          >
            {texts.details.itemSummary}
          </Header>
        }
      >
        <SpaceBetween size="m">
          <Refusal error={counting.error} />
          <KeyValuePairs
            columns={4}
            items={[
              { label: texts.details.itemCount, value: items },
              { label: texts.details.tableSize, value: shownBytes(table.TableSizeBytes) },
              {
                label: texts.details.averageSize,
                value: shownBytes(items ? Math.round((table.TableSizeBytes ?? 0) / items) : 0),
              },
              ...(live
                ? [
                    {
                      label: texts.details.live,
                      value: live.done ? live.count : texts.details.counting(live.count),
                    },
                  ]
                : []),
            ]}
          />
        </SpaceBetween>
      </Container>
    </SpaceBetween>
  );
}

/** Why a table cannot be used, where its key is the reason. */
function Unusable({ table }: { table: TabProps["table"] }) {
  const { ArchivalSummary: archival, SSEDescription: encryption, TableStatus: status } = table;
  const key = encryption?.KMSMasterKeyArn;
  const shown = (moment: Date | undefined) => moment?.toLocaleString() ?? texts.none;
  if (status === "INACCESSIBLE_ENCRYPTION_CREDENTIALS") {
    return (
      <Alert
        type="error"
        header={texts.encryption.inaccessible}
        action={
          key && <Button href={`#/kms/keys/${encodeURIComponent(key)}`}>{texts.encryption.showKey}</Button>
        }
      >
        {texts.encryption.inaccessibleAbout(shown(encryption?.InaccessibleEncryptionDateTime))}
      </Alert>
    );
  }
  if (archival || status === "ARCHIVED" || status === "ARCHIVING") {
    return (
      <Alert
        type="warning"
        header={texts.encryption.archived}
        action={
          archival?.ArchivalBackupArn && <Button href="#/dynamodb/backups">{texts.backups}</Button>
        }
      >
        {texts.encryption.archivedAbout(archival?.ArchivalReason ?? texts.none, shown(archival?.ArchivalDateTime))}
      </Alert>
    );
  }
  return null;
}
