import {
  DeleteResourcePolicyCommand,
  GetResourcePolicyCommand,
  PolicyNotFoundException,
  PutResourcePolicyCommand,
} from "@aws-sdk/client-dynamodb";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Checkbox from "@cloudscape-design/components/checkbox";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useState } from "react";
import { useDraft } from "../drafts";
import { indented } from "../iam/document-field";
import { DocumentSetting, type Stored } from "../iam/document-setting";
import { useAction, useLoaded } from "../loading";
import { useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import type { TabProps } from "./details";

const NO_POLICY = "NO_POLICY";
/** The revision to be expected where there is no policy. */
const NO_STORED: Stored = { text: "", revision: NO_POLICY };

/** The policies of a table and of its stream. */
export function PermissionsTab({ table }: TabProps) {
  return (
    <SpaceBetween size="l">
      <ResourcePolicy
        title={texts.permissions.table}
        arn={table.TableArn ?? ""}
        actions={["dynamodb:GetItem", "dynamodb:Query"]}
      />
      {table.LatestStreamArn && table.StreamSpecification?.StreamEnabled && (
        <ResourcePolicy
          title={texts.permissions.stream}
          arn={table.LatestStreamArn}
          actions={["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]}
        />
      )}
    </SpaceBetween>
  );
}

/** The policy of a table or a stream. It is changed only if it still is what was shown. */
function ResourcePolicy(props: { title: string; arn: string; actions: string[] }) {
  const { arn } = props;
  const { clients, account } = useSession();
  const tell = useTell();
  const found = useLoaded(
    async (signal): Promise<Stored | undefined> => {
      try {
        const command = new GetResourcePolicyCommand({ ResourceArn: arn });
        const { Policy = "", RevisionId = "" } = await clients.dynamodb.send(command, { abortSignal: signal });
        return { text: indented(Policy), revision: RevisionId };
      } catch (error) {
        if (error instanceof PolicyNotFoundException) {
          return undefined;
        }
        throw error;
      }
    },
    [clients, arn],
  );
  const draft = useDraft(found.value ?? NO_STORED);
  const [confirms, setConfirms] = useState(false);
  const save = async () => {
    await clients.dynamodb.send(
      new PutResourcePolicyCommand({
        ResourceArn: arn,
        Policy: draft.value.text,
        ExpectedRevisionId: draft.base.revision,
        ...(confirms ? { ConfirmRemoveSelfResourceAccess: true } : {}),
      }),
    );
    setConfirms(false);
  };
  const deleting = useAction(async () => {
    try {
      const ExpectedRevisionId = found.value?.revision;
      await clients.dynamodb.send(new DeleteResourcePolicyCommand({ ResourceArn: arn, ExpectedRevisionId }));
      tell("success", texts.permissions.deleted);
    } finally {
      await found.refresh();
    }
  });
  const statement = {
    Sid: "Statement1",
    Effect: "Allow",
    Principal: { AWS: `arn:aws:iam::${account}:role/NAME` },
    Action: props.actions,
    Resource: arn,
  };
  const example = JSON.stringify({ Version: "2012-10-17", Statement: [statement] }, null, 2);
  const isLoaded = !found.loading && found.error === undefined;
  return (
    <DocumentSetting
      title={props.title}
      about={texts.permissions.about}
      kind="resource"
      isLoaded={isLoaded}
      draft={draft}
      save={save}
      refresh={found.refresh}
      error={found.error ?? deleting.error}
      before={
        <SpaceBetween direction="horizontal" size="xs">
          <Button
            iconName="refresh"
            ariaLabel={`${texts.refresh}: ${props.title}`}
            onClick={() => void found.refresh()}
          />
          <Button
            disabled={draft.value.text !== ""}
            onClick={() => draft.change({ ...draft.value, text: example })}
          >
            {texts.permissions.example}
          </Button>
          <Button
            disabled={!isLoaded || found.value === undefined}
            loading={deleting.running}
            onClick={() => void deleting.start()}
          >
            {texts.permissions.delete}
          </Button>
        </SpaceBetween>
      }
    >
      <KeyValuePairs
        columns={2}
        items={[
          { label: texts.details.arn, value: arn },
          { label: texts.permissions.revision, value: found.value?.revision ?? texts.permissions.none },
        ]}
      />
      <Checkbox
        checked={confirms}
        description={texts.permissions.confirmAbout}
        onChange={({ detail }) => setConfirms(detail.checked)}
      >
        {texts.permissions.confirm}
      </Checkbox>
      {found.value === undefined && isLoaded && <Box color="text-body-secondary">{texts.permissions.empty}</Box>}
    </DocumentSetting>
  );
}
