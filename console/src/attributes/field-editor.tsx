import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ButtonDropdown from "@cloudscape-design/components/button-dropdown";
import Grid from "@cloudscape-design/components/grid";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Textarea from "@cloudscape-design/components/textarea";
import Toggle from "@cloudscape-design/components/toggle";
import { texts } from "../texts";
import { elementType, type Field, hasElements, isSet, newField } from "./fields";
import { ATTRIBUTE_TYPES, type AttributeType } from "./values";

const [MOST_ROWS, ROW] = [8, 60];
/** Of a text, and about how many characters a row has. */
const CRLF = "\r\n";
const WIDTHS = [
  { colspan: { default: 12, xs: 4 } },
  { colspan: { default: 12, xs: 5 } },
  { colspan: { default: 6, xs: 1 } },
  { colspan: { default: 6, xs: 2 } },
];

/** A button with a menu of types. */
export function AddField(props: { text: string; add: (type: AttributeType) => void }) {
  return (
    <ButtonDropdown
      items={ATTRIBUTE_TYPES.map((type) => ({ id: type, text: texts.attributeTypes[type] ?? type }))}
      onItemClick={({ detail }) => props.add(detail.id as AttributeType)}
    >
      {props.text}
    </ButtonDropdown>
  );
}

/** A field with all that is in it. `label` is shown instead of a name that cannot be changed. */
export function FieldEditor(props: {
  field: Field;
  label?: string;
  fixed?: boolean;
  locked?: boolean;
  change: (field: Field) => void;
  remove?: () => void;
}) {
  const { field, label, fixed, locked, change, remove } = props;
  const called = label ?? field.name;
  const add = (type: AttributeType, name = "") =>
    change({ ...field, elements: [...field.elements, newField(type, name)] });
  return (
    <div>
      <Grid gridDefinition={WIDTHS}>
        {fixed || label !== undefined ? (
          <Box padding={{ top: "xxs" }}>{called}</Box>
        ) : (
          <Input
            value={field.name}
            ariaLabel={texts.item.name}
            onChange={({ detail }) => change({ ...field, name: detail.value })}
          />
        )}
        <FieldValue field={field} called={called} locked={locked} change={change} />
        <Box padding={{ top: "xxs" }} color="text-body-secondary">
          {texts.attributeTypes[field.type]}
        </Box>
        {remove ? (
          <Button ariaLabel={`${texts.item.remove} ${called}`} onClick={remove}>
            {texts.item.remove}
          </Button>
        ) : (
          <Box />
        )}
      </Grid>
      {hasElements(field.type) && (
        <Box padding={{ left: "xl", top: "xs" }}>
          <SpaceBetween size="xs">
            {field.elements.map((element, number) => (
              <FieldEditor
                key={element.id}
                field={element}
                label={field.type === "M" ? undefined : String(number)}
                change={(changed) =>
                  change({ ...field, elements: field.elements.map((one) => (one.id === changed.id ? changed : one)) })
                }
                remove={() => change({ ...field, elements: field.elements.filter((one) => one !== element) })}
              />
            ))}
            {isSet(field.type) ? (
              <Button onClick={() => add(elementType(field.type))}>{texts.item.insertField}</Button>
            ) : (
              <AddField text={texts.item.insertField} add={(type) => add(type)} />
            )}
          </SpaceBetween>
        </Box>
      )}
    </div>
  );
}

function FieldValue(props: { field: Field; called: string; locked?: boolean; change: (field: Field) => void }) {
  const { field, called, locked, change } = props;
  const ariaLabel = `${texts.item.value}: ${called}`;
  if (hasElements(field.type)) {
    return <Box padding={{ top: "xxs" }}>{texts.item.elements(field.elements.length)}</Box>;
  }
  if (field.type === "BOOL") {
    return (
      <Toggle
        checked={field.bool}
        ariaLabel={ariaLabel}
        onChange={({ detail }) => change({ ...field, bool: detail.checked })}
      >
        {String(field.bool)}
      </Toggle>
    );
  }
  if (field.type === "NULL") {
    return <Box padding={{ top: "xxs" }}>null</Box>;
  }
  if (field.type === "S") {
    // A text area has line feeds alone; a text whose lines end as on Windows keeps them so.
    const isWindows = field.text.includes(CRLF) && !/(^|[^\r])\n/.test(field.text);
    const rows = field.text.split("\n").length + Math.floor(field.text.length / ROW);
    return (
      <Textarea
        value={isWindows ? field.text.replaceAll(CRLF, "\n") : field.text}
        ariaLabel={ariaLabel}
        disabled={locked}
        spellcheck={false}
        rows={Math.min(MOST_ROWS, rows)}
        onChange={({ detail }) =>
          change({ ...field, text: isWindows ? detail.value.replaceAll("\n", CRLF) : detail.value })
        }
      />
    );
  }
  return (
    <Input
      value={field.text}
      ariaLabel={ariaLabel}
      disabled={locked}
      placeholder={field.type === "B" ? texts.item.binary : undefined}
      inputMode={field.type === "N" ? "decimal" : "text"}
      onChange={({ detail }) => change({ ...field, text: detail.value })}
    />
  );
}
