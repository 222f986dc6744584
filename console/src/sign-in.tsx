import { ListTablesCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type FormEvent, useState } from "react";
import { useAction } from "./loading";
import { Refusal } from "./notices";
import { chosenRegion, type Keys, type Server } from "./session";
import { texts } from "./texts";

/** Asks for an access key, and tries it. A key that may not list tables is good all the same. */
export function SignIn({ server, signIn }: { server: Server; signIn: (keys: Keys) => void }) {
  const [accessKeyId, setAccessKeyId] = useState("");
  const [secretAccessKey, setSecretAccessKey] = useState("");
  const [token, setToken] = useState("");
  const attempt = useAction(async () => {
    const keys: Keys = { accessKeyId, secretAccessKey, ...(token ? { sessionToken: token } : {}) };
    const client = new DynamoDBClient({
      region: chosenRegion(server),
      endpoint: window.location.origin,
      credentials: keys,
    });
    try {
      await client.send(new ListTablesCommand({ Limit: 1 }));
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "AccessDeniedException") {
        throw error;
      }
    }
    signIn(keys);
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void attempt.start();
  };
  return (
    <main>
      <Box margin="xxxl" padding="xxl">
        <form onSubmit={submit}>
          <Form
            actions={
              <Button variant="primary" loading={attempt.running} disabled={!accessKeyId || !secretAccessKey}>
                {texts.signIn.submit}
              </Button>
            }
            errorText={undefined}
          >
            <SpaceBetween size="l">
              <Refusal error={attempt.error} />
              <Container
                header={
                  <Header variant="h1" description={texts.signIn.about}>
                    {texts.signIn.title}
                  </Header>
                }
              >
                <SpaceBetween size="l">
                  <FormField label={texts.signIn.accessKey}>
                    <Input value={accessKeyId} onChange={({ detail }) => setAccessKeyId(detail.value)} autoFocus />
                  </FormField>
                  <FormField label={texts.signIn.secretKey}>
                    <Input
                      type="password"
                      autoComplete={false}
                      value={secretAccessKey}
                      onChange={({ detail }) => setSecretAccessKey(detail.value)}
                    />
                  </FormField>
                  <FormField label={texts.signIn.token}>
                    <Input value={token} autoComplete={false} onChange={({ detail }) => setToken(detail.value)} />
                  </FormField>
                </SpaceBetween>
              </Container>
            </SpaceBetween>
          </Form>
        </form>
      </Box>
    </main>
  );
}
