import DatePicker from "@cloudscape-design/components/date-picker";
import FormField from "@cloudscape-design/components/form-field";
import SpaceBetween from "@cloudscape-design/components/space-between";
import TimeInput from "@cloudscape-design/components/time-input";
import { texts } from "../texts";

/** The moment of a date and a time; undefined for neither. */
export function momentOf(date: string, time: string): Date | "incomplete" | undefined {
  if (!date && !time) {
    return undefined;
  }
  const moment = new Date(`${date}T${time}`);
  return date && time && !Number.isNaN(moment.getTime()) ? moment : "incomplete";
}

const DAY = 24 * 60 * 60 * 1000;

/** A moment, of those that can be restored where these are known. */
export function Moment(props: {
  date: string;
  time: string;
  setDate: (value: string) => void;
  setTime: (value: string) => void;
  earliest?: Date;
  latest?: Date;
}) {
  const { date, time, earliest, latest } = props;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const moment = momentOf(date, time);
  // The range has fractions of seconds, and the form has not.
  const isOutside =
    moment instanceof Date &&
    ((earliest !== undefined && moment.getTime() < Math.floor(earliest.getTime() / 1000) * 1000) ||
      (latest !== undefined && moment > latest));
  const isWithin = (day: Date) =>
    (earliest === undefined || day.getTime() + DAY > earliest.getTime()) && (latest === undefined || day <= latest);
  return (
    <FormField
      label={texts.backup.when}
      constraintText={texts.backup.whenAbout(zone)}
      errorText={isOutside && texts.backup.outside}
    >
      <SpaceBetween direction="horizontal" size="xs">
        <DatePicker
          ariaLabel={texts.backup.date}
          placeholder="YYYY/MM/DD"
          value={date}
          isDateEnabled={isWithin}
          onChange={({ detail }) => props.setDate(detail.value)}
        />
        <TimeInput
          ariaLabel={texts.backup.time}
          placeholder="hh:mm:ss"
          value={time}
          onChange={({ detail }) => props.setTime(detail.value)}
        />
      </SpaceBetween>
    </FormField>
  );
}
