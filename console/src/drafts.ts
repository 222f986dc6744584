/** What somebody has typed into the form of something that is stored.
 *
 * A form shows what is stored, and over it what was changed. What is stored may be loaded again at any time: members
 * that nobody has changed follow it, and those that somebody has changed stay. Neither typed text is lost to a refresh,
 * nor is a member sent that was only loaded long ago.
 */
import { useRef, useState } from "react";

/** Something else is stored than what a change was made of. The form itself shows that, and asks what is to be done. */
export class Overtaken extends Error {}

export interface Draft<T> {
  /** What is stored, with the changes. */
  value: T;
  change: (value: T) => void;
  isChanged: boolean;
  /** What was stored when the first change was made; what is stored now, if nothing is changed. */
  base: T;
  /** Whether something else is stored now than `base`. */
  isOvertaken: boolean;
  /** The changes over another value than the one that is shown, such as one that was read just now. */
  over: (stored: T) => T;
  /** Forget the changes that are in `sent`, which is stored now. Those that were made since stay. */
  saved: (sent: T) => void;
  discard: () => void;
  /** Go on with the changes, now over what is stored. */
  keep: () => void;
}

type Members = Record<string, unknown>;

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The members of one that differ from those of the other, at any depth; undefined for none. A list is one value. */
function differences(stored: unknown, wanted: unknown): unknown {
  if (!isMembers(stored) || !isMembers(wanted)) {
    return JSON.stringify(stored) === JSON.stringify(wanted) ? undefined : wanted;
  }
  const found = Object.entries(wanted)
    .map(([name, value]) => [name, differences(stored[name], value)] as const)
    .filter(([, value]) => value !== undefined);
  return found.length ? Object.fromEntries(found) : undefined;
}

/** What is stored, with changes. Those of members that are no longer there are left out. */
function merged(stored: unknown, changes: unknown): unknown {
  if (changes === undefined) {
    return stored;
  }
  if (!isMembers(stored) || !isMembers(changes)) {
    return changes;
  }
  return Object.fromEntries(Object.entries(stored).map(([name, value]) => [name, merged(value, changes[name])]));
}

/** The draft of a form of what is `stored`: texts, choices, and objects of them. */
export function useDraft<T>(stored: T): Draft<T> {
  const latest = useRef(stored);
  latest.current = stored;
  const [kept, setKept] = useState<{ changes: unknown; base: T }>();
  const over = (other: T) => merged(other, kept?.changes) as T;
  const value = over(stored);
  const isChanged = differences(stored, value) !== undefined;
  return {
    value,
    over,
    base: kept?.base ?? stored,
    isChanged,
    isOvertaken: isChanged && kept !== undefined && differences(kept.base, stored) !== undefined,
    change: (wanted) => {
      const changes = differences(stored, wanted);
      setKept(changes === undefined ? undefined : { changes, base: kept?.base ?? stored });
    },
    saved: (sent) =>
      setKept((before) => {
        const later = differences(sent, merged(sent, before?.changes));
        return later === undefined ? undefined : { changes: later, base: latest.current };
      }),
    discard: () => setKept(undefined),
    keep: () => setKept((before) => before && { ...before, base: latest.current }),
  };
}
