import {
  DeleteResourcePolicyCommand,
  GetResourcePolicyCommand,
  PolicyNotFoundException,
  PutResourcePolicyCommand,
} from "@aws-sdk/client-dynamodb";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Checkbox from "@cloudscape-design/components/checkbox";
import Container from "@cloudscape-design/components/container";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useEffect, useState } from "react";
import { DocumentField, indented } from "../iam/document-field";
import { useAction, useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import type { TabProps } from "./details";

const NO_POLICY = "NO_POLICY";
/** The revision to be expected where there is no policy. */

interface Stored {
  policy: string;
  revision: string;
}

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
        return { policy: indented(Policy), revision: RevisionId };
      } catch (error) {
        if (error instanceof PolicyNotFoundException) {
          return undefined;
        }
        throw error;
      }
    },
    [clients, arn],
  );
  const [document, setDocument] = useState("");
  const [confirms, setConfirms] = useState(false);
  useEffect(() => setDocument(found.value?.policy ?? ""), [found.value]);
  const expected = found.value?.revision ?? NO_POLICY;
  const saving = useAction(async () => {
    await clients.dynamodb.send(
      new PutResourcePolicyCommand({
        ResourceArn: arn,
        Policy: document,
        ExpectedRevisionId: expected,
        ...(confirms ? { ConfirmRemoveSelfResourceAccess: true } : {}),
      }),
    );
    tell("success", texts.saved);
    setConfirms(false);
    found.refresh();
  });
  const deleting = useAction(async () => {
    await clients.dynamodb.send(new DeleteResourcePolicyCommand({ ResourceArn: arn, ExpectedRevisionId: expected }));
    tell("success", texts.permissions.deleted);
    found.refresh();
  });
  const example = () =>
    setDocument(
      JSON.stringify(
        {
          Version: "2012-10-17",
          Statement: [
            {
              Sid: "Statement1",
              Effect: "Allow",
              Principal: { AWS: `arn:aws:iam::${account}:role/NAME` },
              Action: props.actions,
              Resource: arn,
            },
          ],
        },
        null,
        2,
      ),
    );
  const isLoaded = !found.loading && found.error === undefined;
  return (
    <Container
      header={
        <Header
          variant="h2"
          description={texts.permissions.about}
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button iconName="refresh" ariaLabel={`${texts.refresh}: ${props.title}`} onClick={found.refresh} />
              <Button disabled={document !== ""} onClick={example}>
                {texts.permissions.example}
              </Button>
              <Button
                disabled={!isLoaded || found.value === undefined}
                loading={deleting.running}
                onClick={() => void deleting.start()}
              >
                {texts.permissions.delete}
              </Button>
              <Button
                variant="primary"
                disabled={!isLoaded || !document.trim()}
                loading={saving.running}
                onClick={() => void saving.start()}
              >
                {texts.save}
              </Button>
            </SpaceBetween>
          }
        >
          {props.title}
        </Header>
      }
    >
      <SpaceBetween size="m">
        <Refusal error={found.error} retry={found.refresh} />
        <Refusal error={saving.error ?? deleting.error} />
        <KeyValuePairs
          columns={2}
          items={[
            { label: texts.details.arn, value: arn },
            { label: texts.permissions.revision, value: found.value?.revision ?? texts.permissions.none },
          ]}
        />
        <DocumentField kind="resource" label={props.title} value={document} change={setDocument} />
        <Checkbox
          checked={confirms}
          description={texts.permissions.confirmAbout}
          onChange={({ detail }) => setConfirms(detail.checked)}
        >
          {texts.permissions.confirm}
        </Checkbox>
        {found.value === undefined && isLoaded && <Box color="text-body-secondary">{texts.permissions.empty}</Box>}
      </SpaceBetween>
    </Container>
  );
}
