/** What is wrong with a statement, and where: DynamoDB's errors have no place, so it is looked for here. */
import { texts } from "../texts";
import type { Finding } from "./findings";
import { type Token, tokens } from "./tokens";

const STATEMENTS = ["SELECT", "INSERT", "UPDATE", "DELETE", "EXISTS"];
const CLOSING: Record<string, string> = { "(": ")", "[": "]", "{": "}", "<<": ">>" };
const LEGAL = /[\s()[\]{}<>=!+\-*/|.,;:?]/;
const NEEDS: Record<string, string[]> = { SELECT: ["FROM"], INSERT: ["INTO", "VALUE"], DELETE: ["FROM", "WHERE"], UPDATE: ["WHERE"] };
/** Words that a statement has. */

const errorAt = (message: string, start: number, end = start + 1): Finding => ({ type: "error", message, start, end });

export function partiqlFindings(text: string): Finding[] {
  const pieces = tokens("partiql", text);
  const found: Finding[] = [];
  const words = pieces.filter((one) => one.kind === "keyword" || (one.kind === "plain" && /^[A-Za-z_]/.test(one.text)));
  const isThere = (word: string) => words.some((one) => one.text.toUpperCase() === word);
  const [first] = words;
  if (first === undefined) {
    return found;
  }
  const verb = first.text.toUpperCase();
  if (!STATEMENTS.includes(verb)) {
    found.push(errorAt(texts.editor.verb(STATEMENTS.join(", ")), first.start, first.start + first.text.length));
  }
  for (const word of NEEDS[verb] ?? []) {
    if (!isThere(word)) {
      found.push(errorAt(texts.editor.missing(word), first.start, first.start + first.text.length));
    }
  }
  if (verb === "UPDATE" && !isThere("SET") && !isThere("REMOVE")) {
    found.push(errorAt(texts.editor.missing(["SET", "REMOVE"].join(texts.editor.or)), first.start, first.start + 6));
  }
  pieces.forEach((piece, number) => found.push(...ofPiece(piece, pieces, number)));
  found.push(...ofBrackets(pieces));
  return found.sort((one, other) => one.start - other.start);
}

function ofPiece(piece: Token, pieces: Token[], number: number): Finding[] {
  const { text, kind, start } = piece;
  const end = start + text.length;
  if (kind === "string" && (text.length < 2 || !text.endsWith("'"))) {
    return [errorAt(texts.editor.openText, start, end)];
  }
  if (kind === "name" && (text.length < 2 || !text.endsWith('"'))) {
    return [errorAt(texts.editor.openName, start, end)];
  }
  if (kind === "comment" && text.startsWith("/*") && !text.endsWith("*/")) {
    return [errorAt(texts.editor.openComment, start, end)];
  }
  if (kind === "name" && /[=<>]\s*$/.test(pieces[number - 1]?.text ?? "")) {
    return [{ type: "warning", message: texts.editor.nameForText, start, end }];
  }
  if (kind === "plain" && !/^[A-Za-z_]/.test(text)) {
    const wrong = [...text].findIndex((one) => !LEGAL.test(one));
    if (wrong >= 0) {
      return [errorAt(texts.editor.character, start + wrong)];
    }
    const semicolon = text.indexOf(";");
    if (semicolon >= 0 && pieces.slice(number + 1).some((one) => one.text.trim() && one.kind !== "comment")) {
      return [errorAt(texts.editor.oneStatement, start + semicolon)];
    }
    const before = pieces.slice(0, number).reverse().filter((one) => one.text.trim() && one.kind !== "comment");
    if (text === "-" && /^(FROM|INTO|UPDATE)$/i.test(before[1]?.text ?? "") && before[0]?.kind === "plain") {
      return [errorAt(texts.editor.quoteName, before[0].start, end)];
    }
  }
  return [];
}

function ofBrackets(pieces: Token[]): Finding[] {
  const found: Finding[] = [];
  const open: { closing: string; start: number }[] = [];
  for (const { text, kind, start } of pieces) {
    if (kind !== "plain") {
      continue;
    }
    for (const match of text.matchAll(/<<|>>|[()[\]{}]/g)) {
      const place = start + match.index;
      const closing = CLOSING[match[0]];
      if (closing !== undefined) {
        open.push({ closing, start: place });
      } else if (open.at(-1)?.closing === match[0]) {
        open.pop();
      } else {
        found.push(errorAt(texts.editor.unopened(match[0]), place, place + match[0].length));
      }
    }
  }
  return [...found, ...open.map(({ closing, start }) => errorAt(texts.editor.unclosed(closing), start))];
}

/** Where the server's refusal of a statement belongs: at what it names, or else at the statement's first word. */
export function refusalFinding(text: string, message: string): Finding {
  const pieces = tokens("partiql", text).filter((one) => one.text.trim() && one.kind !== "comment");
  const clause = /where clause/i.test(message) ? "WHERE" : /(\w+)-alias/.exec(message)?.[1];
  const named = [...message.matchAll(/[A-Za-z0-9_.-]+/g)].map(([word]) => word).filter((word) => word.length > 2);
  const mentioned = pieces.find(
    (one) =>
      (clause !== undefined && one.text.toUpperCase() === clause.toUpperCase()) ||
      (one.kind === "name" && named.includes(one.text.replaceAll('"', ""))),
  );
  const at = mentioned ?? pieces[0] ?? { start: 0, text };
  return errorAt(message, at.start, at.start + at.text.length);
}
