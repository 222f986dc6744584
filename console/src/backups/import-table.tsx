import { type InputCompressionType, type InputFormat, ImportTableCommand } from "@aws-sdk/client-dynamodb";
import Button from "@cloudscape-design/components/button";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { type FormEvent, useState } from "react";
import { useNavigate } from "react-router-dom";
import { useAction } from "../loading";
import { Refusal, useTell } from "../notices";
import { useSession } from "../session";
import {
  CapacityForm,
  EncryptionForm,
  findings,
  IndexesForm,
  NameAndKeys,
  NEW_TABLE,
  SettingsChoice,
  tableParameters,
} from "../tables/table-form";
import { texts } from "../texts";
import { bucketOf, Choice, COMPRESSIONS, NO_PLACE, PlaceFields, prefixOf } from "./transfers";

const FORMATS = ["DYNAMODB_JSON", "CSV", "ION"] as const satisfies readonly InputFormat[];
const DELIMITERS = [",", ";", ":", "|", "\t", " "] as const;

/** The form that makes a table of the objects of a bucket. */
export default function ImportTable() {
  const { clients } = useSession();
  const navigate = useNavigate();
  const tell = useTell();
  const [source, setSource] = useState(NO_PLACE);
  const [format, setFormat] = useState<InputFormat>("DYNAMODB_JSON");
  const [compression, setCompression] = useState<InputCompressionType>("NONE");
  const [delimiter, setDelimiter] = useState<string>(",");
  const [names, setNames] = useState("");
  const [table, setTable] = useState(NEW_TABLE);
  const [tried, setTried] = useState(false);
  const found = findings(table);
  const importing = useAction(async () => {
    const header = names.split(",").map((name) => name.trim());
    const csv = { Delimiter: delimiter, ...(names.trim() ? { HeaderList: header } : {}) };
    await clients.dynamodb.send(
      new ImportTableCommand({
        S3BucketSource: { ...bucketOf(source), ...prefixOf(source) },
        InputFormat: format,
        InputCompressionType: compression,
        ...(format === "CSV" ? { InputFormatOptions: { Csv: csv } } : {}),
        TableCreationParameters: tableParameters(table),
      }),
    );
    tell("success", texts.imports.begun(table.name));
    navigate("/dynamodb/imports");
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (!found && source.bucket && !importing.running) {
      void importing.start();
    }
  };
  const form = { table, change: setTable };
  return (
    <ContentLayout
      header={
        <Header variant="h1" description={texts.imports.createAbout}>
          {texts.imports.create}
        </Header>
      }
    >
      <form onSubmit={submit}>
        <Form
          actions={
            <SpaceBetween direction="horizontal" size="xs">
              <Button variant="link" formAction="none" onClick={() => navigate("/dynamodb/imports")}>
                {texts.cancel}
              </Button>
              <Button variant="primary" loading={importing.running}>
                {texts.imports.create}
              </Button>
            </SpaceBetween>
          }
        >
          <SpaceBetween size="l">
            <Refusal error={importing.error} />
            <Container header={<Header variant="h2">{texts.imports.source}</Header>}>
              <SpaceBetween size="l">
                <PlaceFields
                  of={texts.imports.sourceBucket}
                  about={texts.imports.prefixAbout}
                  value={source}
                  change={setSource}
                  error={tried && !source.bucket ? texts.required : undefined}
                />
                <Choice
                  label={texts.imports.compression}
                  values={COMPRESSIONS}
                  shown={texts.imports.compressions}
                  value={compression}
                  change={setCompression}
                />
                <Choice label={texts.exports.format} values={FORMATS} shown={texts.imports.formats} value={format} change={setFormat} />
                {format === "CSV" && (
                  <SpaceBetween size="l">
                    <Choice
                      label={texts.imports.delimiter}
                      values={DELIMITERS}
                      shown={texts.imports.delimiters}
                      value={delimiter}
                      change={setDelimiter}
                    />
                    <FormField label={texts.imports.names} constraintText={texts.imports.namesAbout}>
                      <Input value={names} onChange={({ detail }) => setNames(detail.value)} />
                    </FormField>
                  </SpaceBetween>
                )}
              </SpaceBetween>
            </Container>
            <NameAndKeys {...form} found={tried ? found : undefined} />
            <SettingsChoice {...form} />
            {table.custom && (
              <SpaceBetween size="l">
                <CapacityForm {...form} isWarm={false} />
                <IndexesForm {...form} local={false} />
                <EncryptionForm {...form} />
              </SpaceBetween>
            )}
          </SpaceBetween>
        </Form>
      </form>
    </ContentLayout>
  );
}
