import ContentLayout from "@cloudscape-design/components/content-layout";
import Header from "@cloudscape-design/components/header";
import { texts } from "../texts";
import { Exports } from "./exports";

/** The exports of all tables of the Region. */
export default function ExportList() {
  return (
    <ContentLayout header={<Header variant="h1">{texts.exports.title}</Header>}>
      <Exports />
    </ContentLayout>
  );
}
