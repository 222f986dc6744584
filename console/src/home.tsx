import Box from "@cloudscape-design/components/box";
import Container from "@cloudscape-design/components/container";
import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { texts } from "./texts";

/** All services by their kind, as the console that people know begins. */
export default function Home() {
  return (
    <ContentLayout header={<Header variant="h1">{texts.home}</Header>}>
      <SpaceBetween size="l">
        <Kind title={texts.database} href="#/dynamodb/tables" name={texts.dynamodb} about={texts.dynamodbAbout} />
        <Kind title={texts.iam.security} href="#/iam/users" name={texts.iam.title} about={texts.iam.about} />
        <Kind title={texts.kms.security} href="#/kms/keys" name={texts.kms.title} about={texts.kms.about} />
      </SpaceBetween>
    </ContentLayout>
  );
}

function Kind({ title, href, name, about }: { title: string; href: string; name: string; about: string }) {
  return (
    <Container header={<Header variant="h2">{title}</Header>}>
      <Link href={href} fontSize="heading-m">
        {name}
      </Link>
      <Box color="text-body-secondary">{about}</Box>
    </Container>
  );
}
