import {
  CreatePolicyVersionCommand,
  DeletePolicyVersionCommand,
  GetPolicyCommand,
  GetPolicyVersionCommand,
  ListPolicyVersionsCommand,
  type PolicyVersion,
  SetDefaultPolicyVersionCommand,
} from "@aws-sdk/client-iam";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { useParams } from "react-router-dom";
import { useAction, useLoaded } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";
import { Dialog } from "../dialog";
import { DocumentField } from "./document-field";
import { every, readable } from "./kinds";
import { isAws } from "./policies";

export default function PolicyDetails() {
  const { arn = "" } = useParams();
  const { clients } = useSession();
  const tell = useTell();
  const [edits, setEdits] = useState(false);
  const [document, setDocument] = useState("");
  const found = useLoaded(async () => {
    const { Policy: policy = {} } = await clients.iam.send(new GetPolicyCommand({ PolicyArn: arn }));
    const versions = await every(
      (Marker) => clients.iam.send(new ListPolicyVersionsCommand({ PolicyArn: arn, Marker })),
      (page) => page.Versions,
    );
    const input = { PolicyArn: arn, VersionId: policy.DefaultVersionId };
    const { PolicyVersion: version } = await clients.iam.send(new GetPolicyVersionCommand(input));
    return { policy, versions, document: readable(version?.Document) };
  }, [clients, arn]);
  const acting = useAction(async (act: () => Promise<unknown>) => {
    await act();
    await found.refresh();
  });
  const setDefault = (VersionId: string | undefined) => () =>
    clients.iam.send(new SetDefaultPolicyVersionCommand({ PolicyArn: arn, VersionId }));
  const remove = (VersionId: string | undefined) => () =>
    clients.iam.send(new DeletePolicyVersionCommand({ PolicyArn: arn, VersionId }));
  const value = found.value;
  return (
    <ContentLayout
      header={
        <Header variant="h1" description={arn}>
          {value?.policy.PolicyName ?? texts.iam.policies}
        </Header>
      }
    >
      <SpaceBetween size="l">
        <Refusal error={found.error ?? acting.error} />
        {value && (
          <>
            <Container
              header={
                <Header
                  variant="h2"
                  actions={
                    !isAws(value.policy) && (
                      <Button
                        onClick={() => {
                          setDocument(value.document);
                          setEdits(true);
                        }}
                      >
                        {texts.iam.newVersion}
                      </Button>
                    )
                  }
                >
                  {texts.iam.document}
                </Header>
              }
            >
              <Box variant="code">
                <pre>{value.document}</pre>
              </Box>
            </Container>
            <Table<PolicyVersion>
              items={value.versions}
              header={<Header variant="h2">{texts.iam.versions}</Header>}
              columnDefinitions={[
                { id: "id", header: texts.iam.name, isRowHeader: true, cell: ({ VersionId }) => VersionId },
                {
                  id: "default",
                  header: texts.iam.isDefault,
                  cell: ({ IsDefaultVersion }) => (IsDefaultVersion ? texts.iam.isDefault : texts.none),
                },
                {
                  id: "created",
                  header: texts.iam.created,
                  cell: ({ CreateDate }) => CreateDate?.toLocaleString(),
                },
                {
                  id: "actions",
                  header: texts.actions,
                  cell: ({ VersionId, IsDefaultVersion }) =>
                    !IsDefaultVersion && (
                      <SpaceBetween direction="horizontal" size="s">
                        <Button
                          variant="inline-link"
                          ariaLabel={`${texts.iam.setDefault} ${VersionId}`}
                          onClick={() => void acting.start(setDefault(VersionId))}
                        >
                          {texts.iam.setDefault}
                        </Button>
                        <Button
                          variant="inline-link"
                          ariaLabel={`${texts.delete} ${VersionId}`}
                          onClick={() => void acting.start(remove(VersionId))}
                        >
                          {texts.delete}
                        </Button>
                      </SpaceBetween>
                    ),
                },
              ]}
            />
          </>
        )}
      </SpaceBetween>
      {edits && (
        <Dialog
          title={texts.iam.newVersion}
          submit={texts.save}
          dismiss={() => setEdits(false)}
          act={async () => {
            await clients.iam.send(
              new CreatePolicyVersionCommand({ PolicyArn: arn, PolicyDocument: document, SetAsDefault: true }),
            );
            tell("success", texts.saved);
            setEdits(false);
            found.refresh();
          }}
        >
          <DocumentField value={document} change={setDocument} />
        </Dialog>
      )}
    </ContentLayout>
  );
}
