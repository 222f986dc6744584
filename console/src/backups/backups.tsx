import {
  type BackupSummary,
  CreateBackupCommand,
  DeleteBackupCommand,
  type DynamoDBClient,
  ListBackupsCommand,
  RestoreTableFromBackupCommand,
} from "@aws-sdk/client-dynamodb";
import { useCollection } from "@cloudscape-design/collection-hooks";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import Pagination from "@cloudscape-design/components/pagination";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { useState } from "react";
import { useNavigate } from "react-router-dom";
import { Dialog } from "../dialog";
import { useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { shownBytes } from "../tables/descriptions";
import { Status } from "../tables/status";
import { texts } from "../texts";
import { AS_IT_WAS, RestoreFields, restoreMembers } from "./restore-settings";
import { TableChoice } from "./table-choice";

const PAGE = 20;
const CHANGING = 1000;

async function backupsOf(client: DynamoDBClient, table: string | undefined, signal: AbortSignal) {
  const found: BackupSummary[] = [];
  let after: string | undefined;
  do {
    const input = { TableName: table, BackupType: "ALL" as const, ExclusiveStartBackupArn: after };
    const page = await client.send(new ListBackupsCommand(input), { abortSignal: signal });
    found.push(...(page.BackupSummaries ?? []));
    after = page.LastEvaluatedBackupArn;
  } while (after !== undefined);
  return found.reverse();
}

const isMade = ({ BackupStatus: status }: BackupSummary) => status === "AVAILABLE";
const pollWhileMade = (found: BackupSummary[]) => (found.every(isMade) ? undefined : CHANGING);

/** The backups of a table, or of all tables. */
export function Backups({ table }: { table?: string }) {
  const { clients } = useSession();
  const navigate = useNavigate();
  const found = useLoaded((signal) => backupsOf(clients.dynamodb, table, signal), [clients, table], pollWhileMade);
  const [creates, setCreates] = useState(false);
  // The one for which a dialog was opened stays that, whatever is listed meanwhile.
  const [restored, setRestored] = useState<BackupSummary>();
  const [deleted, setDeleted] = useState<BackupSummary>();
  const { items, filterProps, paginationProps, collectionProps, actions } = useCollection(found.value ?? [], {
    filtering: { fields: ["TableName", "BackupName"], empty: texts.backup.empty, noMatch: texts.backup.empty },
    pagination: { pageSize: PAGE },
    sorting: {},
    selection: { trackBy: "BackupArn" },
  });
  // What is selected is what was listed then.
  const chosen = items.find(({ BackupArn }) => BackupArn === collectionProps.selectedItems?.[0]?.BackupArn);
  const close = () => {
    setCreates(false);
    setRestored(undefined);
    setDeleted(undefined);
  };
  const done = () => {
    close();
    actions.setSelectedItems([]);
    void found.refresh();
  };
  return (
    <SpaceBetween size="l">
      <Refusal error={found.error} retry={found.refresh} />
      <Table<BackupSummary>
        {...collectionProps}
        items={items}
        trackBy="BackupArn"
        selectionType="single"
        loading={found.loading && found.value === undefined}
        loadingText={texts.loading}
        filter={
          <TextFilter
            {...filterProps}
            filteringPlaceholder={texts.backup.find}
            filteringAriaLabel={texts.backup.find}
          />
        }
        pagination={<Pagination {...paginationProps} />}
        ariaLabels={{
          selectionGroupLabel: texts.backup.title,
          itemSelectionLabel: (_, { BackupName }) => `${texts.backup.name}: ${BackupName}`,
        }}
        header={
          <Header
            variant="h2"
            counter={`(${found.value?.length ?? 0})`}
            description={texts.backup.about}
            actions={
              <SpaceBetween direction="horizontal" size="xs">
                <Button iconName="refresh" ariaLabel={texts.refresh} onClick={found.refresh} />
                <Button disabled={!chosen || !isMade(chosen)} onClick={() => setRestored(chosen)}>
                  {texts.backup.restore}
                </Button>
                <Button disabled={!chosen} onClick={() => setDeleted(chosen)}>
                  {texts.delete}
                </Button>
                <Button variant="primary" onClick={() => setCreates(true)}>
                  {texts.backup.create}
                </Button>
              </SpaceBetween>
            }
          >
            {texts.backup.title}
          </Header>
        }
        columnDefinitions={[
          {
            id: "name",
            header: texts.backup.name,
            sortingField: "BackupName",
            isRowHeader: true,
            cell: ({ BackupName }) => BackupName,
          },
          { id: "table", header: texts.backup.table, sortingField: "TableName", cell: ({ TableName }) => TableName },
          {
            id: "status",
            header: texts.backup.status,
            cell: ({ BackupStatus }) => <Status status={BackupStatus === "AVAILABLE" ? "ACTIVE" : BackupStatus} />,
          },
          {
            id: "created",
            header: texts.backup.created,
            sortingField: "BackupCreationDateTime",
            cell: ({ BackupCreationDateTime: at }) => at?.toLocaleString(),
          },
          { id: "type", header: texts.backup.type, cell: ({ BackupType }) => BackupType },
          { id: "size", header: texts.backup.size, cell: ({ BackupSizeBytes }) => shownBytes(BackupSizeBytes) },
        ]}
      />
      {creates && <CreateBackup table={table} dismiss={close} done={done} />}
      {restored && (
        <Restore backup={restored} dismiss={close} done={() => navigate("/dynamodb/tables")} />
      )}
      {deleted && <DeleteBackup backup={deleted} dismiss={close} done={done} />}
    </SpaceBetween>
  );
}

interface DialogProps {
  dismiss: () => void;
  done: () => void;
}

function CreateBackup({ table, dismiss, done }: DialogProps & { table: string | undefined }) {
  const { clients } = useSession();
  const tell = useTell();
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState(table);
  return (
    <Dialog
      title={texts.backup.create}
      submit={texts.backup.create}
      disabled={!chosen || !name}
      dismiss={dismiss}
      act={async () => {
        await clients.dynamodb.send(new CreateBackupCommand({ TableName: chosen, BackupName: name }));
        tell("success", texts.backup.making(name));
        done();
      }}
    >
      <TableChoice value={chosen} fixed={table !== undefined} change={setChosen} />
      <FormField label={texts.backup.name} constraintText={texts.backup.nameAbout}>
        <Input value={name} onChange={({ detail }) => setName(detail.value)} />
      </FormField>
    </Dialog>
  );
}

function Restore({ backup, dismiss, done }: DialogProps & { backup: BackupSummary }) {
  const { clients } = useSession();
  const tell = useTell();
  const [settings, setSettings] = useState(AS_IT_WAS);
  return (
    <Dialog
      title={texts.backup.restoreTitle(backup.BackupName ?? "")}
      submit={texts.backup.restore}
      disabled={!settings.name}
      dismiss={dismiss}
      act={async () => {
        await clients.dynamodb.send(
          new RestoreTableFromBackupCommand({ BackupArn: backup.BackupArn, ...restoreMembers(settings) }),
        );
        tell("success", texts.backup.restoring(settings.name));
        done();
      }}
    >
      <Box>{texts.backup.restoreAbout}</Box>
      <RestoreFields value={settings} change={setSettings} />
    </Dialog>
  );
}

function DeleteBackup({ backup, dismiss, done }: DialogProps & { backup: BackupSummary }) {
  const { clients } = useSession();
  const tell = useTell();
  return (
    <Dialog
      title={texts.backup.deleteTitle}
      submit={texts.delete}
      dismiss={dismiss}
      act={async () => {
        await clients.dynamodb.send(new DeleteBackupCommand({ BackupArn: backup.BackupArn }));
        tell("success", texts.backup.deleted(backup.BackupName ?? ""));
        done();
      }}
    >
      <Alert type="warning">{texts.backup.deleteWarning}</Alert>
    </Dialog>
  );
}
