import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import { texts } from "../texts";
import { Backups } from "./backups";

/** The backups of all tables of the Region, also of those that are gone. */
export default function BackupList() {
  return (
    <ContentLayout header={<Header variant="h1">{texts.backups}</Header>}>
      <Backups />
    </ContentLayout>
  );
}
