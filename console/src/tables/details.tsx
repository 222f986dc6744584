import { DeleteTableCommand, type TableDescription } from "@aws-sdk/client-dynamodb";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import Tabs from "@cloudscape-design/components/tabs";
import { useState } from "react";
import { useNavigate, useParams } from "react-router-dom";
import { useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import { Backups } from "../backups/backups";
import { Recovery } from "../backups/recovery";
import { ConfirmedDelete } from "./confirmed-delete";
import { describe, pollWhileChanging } from "./descriptions";
import { GlobalTab } from "./global-tab";
import { IndexesTab } from "./indexes-tab";
import { OverviewTab } from "./overview-tab";
import { PermissionsTab } from "./permissions-tab";
import { SettingsTab } from "./settings-tab";
import { StreamsTab } from "./streams-tab";

/** What each tab gets: the table, and what has it described again. */
export interface TabProps {
  table: TableDescription;
  refresh: () => Promise<void>;
}

export default function TableDetails() {
  const { name = "", tab = "overview" } = useParams();
  const { clients } = useSession();
  const navigate = useNavigate();
  const tell = useTell();
  const { value, error, refresh } = useLoaded(
    (signal) => describe(clients.dynamodb, name, signal),
    [clients, name],
    pollWhileChanging,
  );
  const [asksToDelete, setAsksToDelete] = useState(false);
  const path = `/dynamodb/tables/${encodeURIComponent(name)}`;
  const tabs = value && {
    overview: <OverviewTab table={value} refresh={refresh} />,
    indexes: <IndexesTab table={value} refresh={refresh} />,
    global: <GlobalTab table={value} refresh={refresh} />,
    backups: (
      <SpaceBetween size="l">
        <Recovery table={name} />
        <Backups table={name} />
      </SpaceBetween>
    ),
    streams: <StreamsTab table={value} refresh={refresh} />,
    permissions: <PermissionsTab table={value} refresh={refresh} />,
    settings: <SettingsTab table={value} refresh={refresh} />,
  };
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button iconName="refresh" ariaLabel={texts.refresh} onClick={refresh} />
              <ButtonDropdown
                items={[
                  { id: "create", text: texts.details.createItem },
                  { id: "delete", text: texts.details.deleteTable },
                ]}
                onItemClick={({ detail }) =>
                  detail.id === "delete"
                    ? setAsksToDelete(true)
                    : navigate(`/dynamodb/item/${encodeURIComponent(name)}`)
                }
              >
                {texts.actions}
              </ButtonDropdown>
              <Button variant="primary" onClick={() => navigate(`/dynamodb/items/${encodeURIComponent(name)}`)}>
                {texts.details.explore}
              </Button>
            </SpaceBetween>
          }
        >
          {name}
        </Header>
      }
    >
      <SpaceBetween size="l">
        <Refusal error={error} retry={refresh} />
        {tabs === undefined && error === undefined && <Spinner size="large" />}
        {tabs && (
          <Tabs
            activeTabId={tab}
            onChange={({ detail }) => navigate(`${path}/${detail.activeTabId}`, { replace: true })}
            tabs={Object.entries(texts.details.tabs).map(([id, label]) => ({
              id,
              label,
              content: tabs[id as keyof typeof tabs],
            }))}
          />
        )}
      </SpaceBetween>
      {asksToDelete && (
        <ConfirmedDelete
          names={[name]}
          dismiss={() => setAsksToDelete(false)}
          remove={async (one) => {
            await clients.dynamodb.send(new DeleteTableCommand({ TableName: one }));
            tell("success", texts.deleteTables.done([one]));
          }}
          done={() => navigate("/dynamodb/tables")}
        />
      )}
    </ContentLayout>
  );
}
