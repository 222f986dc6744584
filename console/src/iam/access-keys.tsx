import {
  type AccessKeyMetadata,
  CreateAccessKeyCommand,
  DeleteAccessKeyCommand,
  GetAccessKeyLastUsedCommand,
  ListAccessKeysCommand,
  UpdateAccessKeyCommand,
} from "@aws-sdk/client-iam";
import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import CopyToClipboard from "@cloudscape-design/components/copy-to-clipboard";
import Header from "@cloudscape-design/components/header";
import KeyValuePairs from "@cloudscape-design/components/key-value-pairs";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { useAction, useLoaded } from "../loading";
import { Refusal } from "../notices";
import { useSession } from "../session";
import { texts } from "../texts";

interface Row {
  key: AccessKeyMetadata;
  used: Date | undefined;
}

/** The access keys of a user. A secret is shown once, and forgotten with the page. */
export function AccessKeys({ user }: { user: string }) {
  const { clients } = useSession();
  const [made, setMade] = useState<{ id: string; secret: string }>();
  const found = useLoaded(async () => {
    const { AccessKeyMetadata: keys } = await clients.iam.send(new ListAccessKeysCommand({ UserName: user }));
    const used = (keys ?? []).map(async (key): Promise<Row> => {
      const answer = await clients.iam.send(new GetAccessKeyLastUsedCommand({ AccessKeyId: key.AccessKeyId }));
      return { key, used: answer.AccessKeyLastUsed?.LastUsedDate };
    });
    return Promise.all(used);
  }, [clients, user]);
  const acting = useAction(async (act: () => Promise<unknown>) => {
    await act();
    await found.refresh();
  });
  const create = async () => {
    const { AccessKey: key } = await clients.iam.send(new CreateAccessKeyCommand({ UserName: user }));
    setMade({ id: key?.AccessKeyId ?? "", secret: key?.SecretAccessKey ?? "" });
  };
  const turn = ({ AccessKeyId, Status }: AccessKeyMetadata) =>
    clients.iam.send(
      new UpdateAccessKeyCommand({ UserName: user, AccessKeyId, Status: Status === "Active" ? "Inactive" : "Active" }),
    );
  const remove = ({ AccessKeyId }: AccessKeyMetadata) =>
    clients.iam.send(new DeleteAccessKeyCommand({ UserName: user, AccessKeyId }));
  return (
    <>
      <Refusal error={found.error ?? acting.error} />
      {made && (
        <Alert type="success" header={texts.iam.secretAbout} dismissible onDismiss={() => setMade(undefined)}>
          <KeyValuePairs
            columns={2}
            items={[
              { label: texts.iam.keyId, value: made.id },
              {
                label: texts.iam.secret,
                value: (
                  <CopyToClipboard
                    variant="inline"
                    textToCopy={made.secret}
                    copyButtonAriaLabel={texts.iam.secret}
                    copySuccessText={texts.requests.copied}
                    copyErrorText={texts.requests.notCopied}
                  />
                ),
              },
            ]}
          />
        </Alert>
      )}
      <Table<Row>
        items={found.value ?? []}
        empty={<Box textAlign="center">{texts.iam.empty}</Box>}
        columnDefinitions={[
          { id: "id", header: texts.iam.keyId, isRowHeader: true, cell: ({ key }) => key.AccessKeyId },
          { id: "status", header: texts.iam.status, cell: ({ key }) => key.Status },
          { id: "created", header: texts.iam.created, cell: ({ key }) => key.CreateDate?.toLocaleString() },
          { id: "used", header: texts.iam.lastUsed, cell: ({ used }) => used?.toLocaleString() ?? texts.none },
          {
            id: "actions",
            header: texts.actions,
            cell: ({ key }) => {
              const verb = key.Status === "Active" ? texts.iam.deactivate : texts.iam.activate;
              return (
                <SpaceBetween direction="horizontal" size="s">
                  <Button
                    variant="inline-link"
                    ariaLabel={`${verb} ${key.AccessKeyId}`}
                    onClick={() => void acting.start(() => turn(key))}
                  >
                    {verb}
                  </Button>
                  <Button
                    variant="inline-link"
                    ariaLabel={`${texts.delete} ${key.AccessKeyId}`}
                    onClick={() => void acting.start(() => remove(key))}
                  >
                    {texts.delete}
                  </Button>
                </SpaceBetween>
              );
            },
          },
        ]}
        header={
          <Header
            variant="h2"
            counter={`(${found.value?.length ?? 0})`}
            description={texts.iam.keysAbout}
            actions={
              <Button loading={acting.running} onClick={() => void acting.start(create)}>
                {texts.iam.createKey}
              </Button>
            }
          >
            {texts.iam.keys}
          </Header>
        }
      />
    </>
  );
}
