import type { Tag } from "@aws-sdk/client-dynamodb";
import AttributeEditor from "@cloudscape-design/components/attribute-editor";
import Input from "@cloudscape-design/components/input";
import { texts } from "../texts";

const MOST = 50;

export interface TagRow {
  key: string;
  value: string;
}

export function tagsOf(rows: TagRow[]): Tag[] {
  return rows.map(({ key, value }) => ({ Key: key, Value: value }));
}

export function TagRows({ rows, change }: { rows: TagRow[]; change: (rows: TagRow[]) => void }) {
  const put = (number: number, row: TagRow) => change(rows.map((one, at) => (at === number ? row : one)));
  return (
    <AttributeEditor
      items={rows}
      addButtonText={texts.create.addTag}
      removeButtonText={texts.create.remove}
      disableAddButton={rows.length >= MOST}
      empty={texts.create.noTags}
      onAddButtonClick={() => change([...rows, { key: "", value: "" }])}
      onRemoveButtonClick={({ detail }) => change(rows.filter((_, at) => at !== detail.itemIndex))}
      definition={[
        {
          label: texts.create.key,
          control: (row, number) => (
            <Input
              value={row.key}
              ariaLabel={texts.create.key}
              onChange={({ detail }) => put(number, { ...row, key: detail.value })}
            />
          ),
        },
        {
          label: texts.create.value,
          control: (row, number) => (
            <Input
              value={row.value}
              ariaLabel={texts.create.value}
              onChange={({ detail }) => put(number, { ...row, value: detail.value })}
            />
          ),
        },
      ]}
    />
  );
}
