import DatePicker from "@cloudscape-design/components/date-picker";
import FormField from "@cloudscape-design/components/form-field";
import SpaceBetween from "@cloudscape-design/components/space-between";
import TimeInput from "@cloudscape-design/components/time-input";
import { texts } from "../texts";

/** What is in the two fields of a moment. */
export interface Fields {
  date: string;
  time: string;
}
export const NO_MOMENT: Fields = { date: "", time: "" };

/** The moment of a date and a time; undefined for neither. */
export function momentOf({ date, time }: Fields): Date | "incomplete" | undefined {
  if (!date && !time) {
    return undefined;
  }
  const moment = new Date(`${date}T${time}`);
  return date && time && !Number.isNaN(moment.getTime()) ? moment : "incomplete";
}

const DAY = 24 * 60 * 60 * 1000;

/** A moment, of those that can be restored where these are known. */
export function Moment(props: {
  label?: string;
  about?: (zone: string) => string;
  value: Fields;
  change: (value: Fields) => void;
  earliest?: Date;
  latest?: Date;
}) {
  const { value, change, earliest, latest } = props;
  const { label = texts.backup.when, about = texts.backup.whenAbout } = props;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const moment = momentOf(value);
  // The range has fractions of seconds, and the form has not.
  const isOutside =
    moment instanceof Date &&
    ((earliest !== undefined && moment.getTime() < Math.floor(earliest.getTime() / 1000) * 1000) ||
      (latest !== undefined && moment > latest));
  const isWithin = (day: Date) =>
    (earliest === undefined || day.getTime() + DAY > earliest.getTime()) && (latest === undefined || day <= latest);
  return (
    <FormField label={label} constraintText={about(zone)} errorText={isOutside && texts.backup.outside}>
      <SpaceBetween direction="horizontal" size="xs">
        <DatePicker
          ariaLabel={`${label}: ${texts.backup.date}`}
          placeholder={texts.backup.dateForm}
          value={value.date}
          isDateEnabled={isWithin}
          onChange={({ detail }) => change({ ...value, date: detail.value })}
        />
        <TimeInput
          ariaLabel={`${label}: ${texts.backup.time}`}
          placeholder={texts.backup.timeForm}
          value={value.time}
          onChange={({ detail }) => change({ ...value, time: detail.value })}
        />
      </SpaceBetween>
    </FormField>
  );
}
