/** Pieces of a text, for their colours: JSON and PartiQL. Whatever the text is, the pieces together are the text. */

export type TokenClass = "keyword" | "string" | "number" | "name" | "comment" | "plain";

export interface Token {
  text: string;
  kind: TokenClass;
  start: number;
}

export type Language = "json" | "partiql";

const KEYWORDS = new Set(
  (
    "ALL AND AS ASC BETWEEN BY DELETE DESC EXISTS FALSE FROM IN INSERT INTO IS LIST_APPEND MISSING NEW MODIFIED NOT NULL OLD " +
    "OR ORDER REMOVE RETURNING SELECT SET SET_ADD SET_DELETE TRUE UPDATE VALUE VALUES WHERE ATTRIBUTE_TYPE BEGINS_WITH CONTAINS SIZE"
  ).split(" "),
);

const PATTERNS: Record<Language, RegExp> = {
  json: /(?<name>"(?:[^"\\\n]|\\.)*"(?=\s*:))|(?<string>"(?:[^"\\\n]|\\.)*"?)|(?<number>-?\d[\d.eE+-]*)|(?<word>[A-Za-z]+)/g,
  partiql:
    /(?<comment>--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|(?<string>'(?:[^']|'')*'?)|(?<name>"(?:[^"]|"")*"?)|(?<number>\d[\d.eE]*)|(?<word>[A-Za-z_][A-Za-z0-9_]*)/g,
};

const isKeyword = (language: Language, word: string): boolean =>
  language === "json" ? ["true", "false", "null"].includes(word) : KEYWORDS.has(word.toUpperCase());

export function tokens(language: Language, text: string): Token[] {
  const found: Token[] = [];
  let end = 0;
  for (const match of text.matchAll(PATTERNS[language])) {
    if (match.index > end) {
      found.push({ text: text.slice(end, match.index), kind: "plain", start: end });
    }
    const [kind = "plain"] = Object.entries(match.groups ?? {}).find(([, piece]) => piece !== undefined) ?? [];
    const [piece] = match;
    const shown = kind === "word" ? (isKeyword(language, piece) ? "keyword" : "plain") : kind;
    found.push({ text: piece, kind: shown as TokenClass, start: match.index });
    end = match.index + piece.length;
  }
  if (end < text.length) {
    found.push({ text: text.slice(end), kind: "plain", start: end });
  }
  return found;
}

/** The line and column of a place in a text, both from 1. */
export function lineAndColumn(text: string, place: number): [number, number] {
  const before = text.slice(0, place).split("\n");
  return [before.length, (before.at(-1) ?? "").length + 1];
}
