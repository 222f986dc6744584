import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import { texts } from "./texts";

/** All services by their kind, as the console that people know begins. */
export default function Home() {
  return (
    <ContentLayout header={<Header variant="h1">{texts.home}</Header>}>
      <Container header={<Header variant="h2">{texts.database}</Header>}>
        <Link href="#/dynamodb/tables" fontSize="heading-m">
          {texts.dynamodb}
        </Link>
        <Box color="text-body-secondary">{texts.dynamodbAbout}</Box>
      </Container>
    </ContentLayout>
  );
}
