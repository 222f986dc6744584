import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Grid from "@cloudscape-design/components/grid";
import Input from "@cloudscape-design/components/input";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import { texts } from "../texts";
import { type Condition, FILTERS, type ScalarOf, SCALARS, takesNoValue } from "./filters";

const WIDTHS = [
  { colspan: { default: 12, xs: 3 } },
  { colspan: { default: 6, xs: 2 } },
  { colspan: { default: 6, xs: 2 } },
  { colspan: { default: 12, xs: 3 } },
  { colspan: { default: 12, xs: 2 } },
];

export const operatorOptions = (operators: string[]) =>
  operators.map((value) => ({ value, label: texts.explore.operators[value] ?? value }));
const TYPES = SCALARS.map((value) => ({ value, label: texts.attributeTypes[value] ?? value }));
const OPERATORS = operatorOptions(FILTERS);

/** The value of a condition, or both of them. */
export function ConditionValue(props: {
  operator: string;
  first: string;
  second: string;
  label: string;
  change: (first: string, second: string) => void;
}) {
  const { operator, first, second, label, change } = props;
  if (takesNoValue(operator)) {
    return <Box />;
  }
  return (
    <SpaceBetween direction="horizontal" size="xs" alignItems="center">
      <Input value={first} ariaLabel={label} onChange={({ detail }) => change(detail.value, second)} />
      {operator === "between" && texts.explore.and}
      {operator === "between" && (
        <Input value={second} ariaLabel={`${label}: ${texts.explore.and}`} onChange={({ detail }) => change(first, detail.value)} />
      )}
    </SpaceBetween>
  );
}

export function FilterRows({ filters, change }: { filters: Condition[]; change: (filters: Condition[]) => void }) {
  const put = (filter: Condition) => change(filters.map((one) => (one.id === filter.id ? filter : one)));
  const add = () =>
    change([
      ...filters,
      { id: Math.max(0, ...filters.map(({ id }) => id)) + 1, name: "", type: "S", operator: "=", first: "", second: "" },
    ]);
  return (
    <SpaceBetween size="s">
      {filters.length === 0 && <Box color="text-body-secondary">{texts.explore.noFilters}</Box>}
      {filters.map((filter) => (
        <Grid key={filter.id} gridDefinition={WIDTHS}>
          <FormField label={texts.explore.attributeName}>
            <Input value={filter.name} onChange={({ detail }) => put({ ...filter, name: detail.value })} />
          </FormField>
          <FormField label={texts.item.type}>
            <Select
              options={TYPES}
              selectedOption={TYPES.find((one) => one.value === filter.type) ?? null}
              onChange={({ detail }) => put({ ...filter, type: (detail.selectedOption.value ?? "S") as ScalarOf })}
            />
          </FormField>
          <FormField label={texts.explore.condition}>
            <Select
              options={OPERATORS}
              selectedOption={OPERATORS.find((one) => one.value === filter.operator) ?? null}
              onChange={({ detail }) => put({ ...filter, operator: detail.selectedOption.value ?? "=" })}
            />
          </FormField>
          <FormField label={texts.explore.value}>
            <ConditionValue
              operator={filter.operator}
              first={filter.first}
              second={filter.second}
              label={texts.explore.value}
              change={(first, second) => put({ ...filter, first, second })}
            />
          </FormField>
          <Box padding={{ top: "xl" }}>
            <Button formAction="none" onClick={() => change(filters.filter((one) => one !== filter))}>
              {texts.explore.removeFilter}
            </Button>
          </Box>
        </Grid>
      ))}
      <Button formAction="none" onClick={add}>{texts.explore.addFilter}</Button>
    </SpaceBetween>
  );
}
