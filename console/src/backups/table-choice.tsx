import FormField from "@cloudscape-design/components/form-field";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { useLoaded } from "../loading";
import { Refusal } from "../notices";
import { useSession } from "../session";
import { tableNames } from "../tables/descriptions";
import { texts } from "../texts";

/** One of the tables of the region; with `fixed`, that one. */
export function TableChoice(props: { value: string | undefined; fixed?: boolean; change: (name: string) => void }) {
  const { value, fixed, change } = props;
  const { clients } = useSession();
  const names = useLoaded(
    async (signal) => (fixed && value !== undefined ? [value] : tableNames(clients.dynamodb, signal)),
    [clients, fixed],
  );
  const options = (names.value ?? []).map((name) => ({ value: name, label: name }));
  return (
    <SpaceBetween size="s">
      <Refusal error={names.error} />
      <FormField label={texts.backup.table}>
        <Select
          filteringType="auto"
          virtualScroll
          placeholder={texts.explore.choose}
          disabled={fixed}
          statusType={names.loading ? "loading" : "finished"}
          options={options}
          selectedOption={options.find((one) => one.value === value) ?? null}
          onChange={({ detail }) => change(detail.selectedOption.value ?? "")}
        />
      </FormField>
    </SpaceBetween>
  );
}
