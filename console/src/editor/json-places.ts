/** JSON with the place of everything in it, so that a finding can be shown where it is. */

export interface Place {
  start: number;
  end: number;
}

export interface Member {
  name: string;
  at: Place;
  node: Node;
}

export type Node = Place &
  (
    | { kind: "object"; members: Member[] }
    | { kind: "array"; elements: Node[] }
    | { kind: "string"; value: string }
    | { kind: "other"; value: number | boolean | null }
  );

/** A text that is not JSON, and where that shows. */
export class NotJson extends Error {
  constructor(
    message: string,
    readonly at: number,
  ) {
    super(message);
  }
}

const DEEPEST = 100;
const SPACE = /[ \t\r\n]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const OTHER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** Parses a text. `expected` words what is missing. Throws NotJson. */
export function parsed(text: string, expected: (what: string) => string): Node {
  let at = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    at += found?.length ?? 0;
    return found;
  };
  const skip = () => void match(SPACE);
  const take = (character: string): boolean => {
    skip();
    if (text[at] !== character) {
      return false;
    }
    at += 1;
    return true;
  };
  const fail = (what: string): never => {
    throw new NotJson(expected(what), at);
  };
  const value = (depth: number): Node => {
    skip();
    const start = at;
    if (depth > DEEPEST) {
      return fail("}");
    }
    if (take("{")) {
      const members: Member[] = [];
      if (!take("}")) {
        do {
          skip();
          const from = at;
          const name = match(STRING) ?? fail('"');
          const place = { start: from, end: at };
          if (!take(":")) {
            fail(":");
          }
          members.push({ name: JSON.parse(name) as string, at: place, node: value(depth + 1) });
        } while (take(","));
        if (!take("}")) {
          fail(", }");
        }
      }
      return { kind: "object", members, start, end: at };
    }
    if (take("[")) {
      const elements: Node[] = [];
      if (!take("]")) {
        do {
          elements.push(value(depth + 1));
        } while (take(","));
        if (!take("]")) {
          fail(", ]");
        }
      }
      return { kind: "array", elements, start, end: at };
    }
    const found = match(STRING);
    if (found !== undefined) {
      return { kind: "string", value: JSON.parse(found) as string, start, end: at };
    }
    const other = match(OTHER);
    if (!other) {
      return fail('{ [ "');
    }
    return { kind: "other", value: JSON.parse(other) as number | boolean | null, start, end: at };
  };
  const found = value(0);
  skip();
  if (at < text.length) {
    fail("");
  }
  return found;
}
