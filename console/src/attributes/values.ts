/** Attribute values: as the SDK has them, as text, as JSON in both of its forms.
 *
 * A number stays the digits that it is, up to 38 of them: it never becomes a JavaScript number.
 */
import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import { texts } from "../texts";

export type Item = Record<string, AttributeValue>;
export type AttributeType = "S" | "N" | "BOOL" | "B" | "NULL" | "SS" | "NS" | "BS" | "L" | "M";
export const ATTRIBUTE_TYPES: AttributeType[] = ["S", "N", "BOOL", "B", "NULL", "SS", "NS", "BS", "L", "M"];

interface ParseContext {
  source?: string;
}
type Reviver = (key: string, value: unknown, context: ParseContext) => unknown;
const parseWithSource = JSON.parse as (text: string, reviver: Reviver) => unknown;
const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;

export function typeOf(value: AttributeValue): AttributeType {
  const found = ATTRIBUTE_TYPES.find((type) => (value as unknown as Record<string, unknown>)[type] !== undefined);
  if (found === undefined) {
    throw new Error(`no type of DynamoDB: ${Object.keys(value).join()}`);
  }
  return found;
}

export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) {
    binary += String.fromCharCode(byte);
  }
  return btoa(binary);
}

/** Throws an error for a text that is not Base64. */
export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** For JSON.stringify: bytes become Base64, as in DynamoDB's JSON. */
export function jsonReplacer(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? toBase64(value) : value;
}

/** An attribute of an item. One that is called as what each object has, such as constructor, may be absent all the same. */
export function attribute(item: Item, name: string): AttributeValue | undefined {
  return Object.hasOwn(item, name) ? item[name] : undefined;
}

/** The attributes that were read. The SDK loses the value of one that is called __proto__; it is not shown, and no save
 * touches it. */
export function attributesOf(item: Item): [string, AttributeValue][] {
  return Object.entries(item).filter(([, value]) => value !== undefined);
}

/** What a cell of a table shows. */
export function shown(value: AttributeValue | undefined): string {
  if (value === undefined) {
    return "";
  }
  return value.S ?? value.N ?? plainJson(value);
}

/** A value as JSON without types: sets are lists, bytes are Base64, numbers keep their digits. */
export function plainJson(value: AttributeValue, indent = "", step = ""): string {
  const type = typeOf(value);
  switch (type) {
    case "S":
      return JSON.stringify(value.S);
    case "N":
      return value.N ?? "";
    case "BOOL":
      return String(value.BOOL);
    case "B":
      return JSON.stringify(toBase64(value.B ?? new Uint8Array()));
    case "NULL":
      return "null";
    case "SS":
      return plainList((value.SS ?? []).map((one) => JSON.stringify(one)), indent, step);
    case "NS":
      return plainList(value.NS ?? [], indent, step);
    case "BS":
      return plainList((value.BS ?? []).map((one) => JSON.stringify(toBase64(one))), indent, step);
    case "L":
      return plainList((value.L ?? []).map((one) => plainJson(one, indent + step, step)), indent, step);
    case "M":
      return plainObject(value.M ?? {}, indent, step);
  }
}

export function plainObject(item: Item, indent = "", step = ""): string {
  const inner = indent + step;
  const members = attributesOf(item).map(
    ([name, value]) => `${JSON.stringify(name)}:${step && " "}${plainJson(value, inner, step)}`,
  );
  return bracketed("{", members, "}", indent, step);
}

function plainList(elements: string[], indent: string, step: string): string {
  return bracketed("[", elements, "]", indent, step);
}

function bracketed(begin: string, parts: string[], end: string, indent: string, step: string): string {
  if (parts.length === 0) {
    return begin + end;
  }
  const line = step ? `\n${indent}` : "";
  return `${begin}${parts.map((part) => `${line}${step}${part}`).join(",")}${line}${end}`;
}

/** An item from JSON without types. What was a set or bytes in `like` still is, if it can be; otherwise a list is a
 * list, and a text a text.
 *
 * Throws SyntaxError.
 */
export function fromPlainJson(text: string, like: Item = {}): Item {
  const parsed = parseWithSource(text, (_key, value, context) => {
    if (typeof value === "number") {
      if (context.source === undefined) {
        throw new SyntaxError(texts.item.noDigits);
      }
      return { N: context.source };
    }
    if (typeof value === "string") {
      return { S: value };
    }
    if (typeof value === "boolean") {
      return { BOOL: value };
    }
    if (value === null) {
      return { NULL: true };
    }
    return Array.isArray(value) ? { L: value } : { M: value };
  }) as AttributeValue;
  if (parsed.M === undefined) {
    throw new SyntaxError(texts.item.notObject(texts.item.theItem));
  }
  return retyped(parsed, { M: like }).M ?? {};
}

/** A value that was read without types, with those that JSON does not have. */
function retyped(value: AttributeValue, like: AttributeValue | undefined): AttributeValue {
  if (like === undefined) {
    return value;
  }
  const { L: list, M: map, S: text } = value;
  if (map !== undefined && like.M !== undefined) {
    const members = like.M;
    return { M: Object.fromEntries(Object.entries(map).map(([name, one]) => [name, retyped(one, attribute(members, name))])) };
  }
  if (list !== undefined && like.L !== undefined) {
    const elements = like.L;
    return { L: list.map((one, number) => retyped(one, elements[number])) };
  }
  if (text !== undefined && like.B !== undefined && isBase64(text)) {
    return { B: fromBase64(text) };
  }
  if (list === undefined || list.length === 0) {
    return value;
  }
  const strings = list.flatMap(({ S }) => (S === undefined ? [] : [S]));
  const numbers = list.flatMap(({ N }) => (N === undefined ? [] : [N]));
  if (like.SS !== undefined && strings.length === list.length) {
    return { SS: strings };
  }
  if (like.NS !== undefined && numbers.length === list.length) {
    return { NS: numbers };
  }
  if (like.BS !== undefined && strings.length === list.length && strings.every(isBase64)) {
    return { BS: strings.map(fromBase64) };
  }
  return value;
}

function isBase64(text: string): boolean {
  try {
    fromBase64(text);
    return true;
  } catch {
    return false;
  }
}

export function dynamodbJson(item: Item): string {
  return JSON.stringify(item, jsonReplacer, 2);
}

/** An item from DynamoDB's JSON. Throws SyntaxError. */
export function fromDynamodbJson(text: string): Item {
  const parsed: unknown = JSON.parse(text);
  return mapOf(parsed, texts.item.theItem);
}

function mapOf(parsed: unknown, what: string): Item {
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new SyntaxError(texts.item.notObject(what));
  }
  return Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, valueOf(value, name)]));
}

function valueOf(parsed: unknown, what: string): AttributeValue {
  const members = typeof parsed === "object" && parsed !== null ? Object.entries(parsed) : [];
  const [member] = members;
  if (members.length !== 1 || member === undefined) {
    throw new SyntaxError(texts.item.notTyped(what));
  }
  const [type, value] = member as [string, unknown];
  if (type === "S" && typeof value === "string") {
    return { S: value };
  }
  if (type === "N" && typeof value === "string") {
    return { N: value };
  }
  if (type === "BOOL" && typeof value === "boolean") {
    return { BOOL: value };
  }
  if (type === "B" && typeof value === "string") {
    return { B: fromBase64(value) };
  }
  if (type === "NULL" && value === true) {
    return { NULL: true };
  }
  if ((type === "SS" || type === "NS" || type === "BS") && isTexts(value)) {
    return type === "SS" ? { SS: value } : type === "NS" ? { NS: value } : { BS: value.map(fromBase64) };
  }
  if (type === "L" && Array.isArray(value)) {
    return { L: value.map((one, number) => valueOf(one, `${what}[${number}]`)) };
  }
  if (type === "M") {
    return { M: mapOf(value, what) };
  }
  throw new SyntaxError(texts.item.notOfType(what, type));
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

/** A value of a key or of a filter from what was typed. */
export function scalar(type: "S" | "N" | "B" | "BOOL" | "NULL", text: string): AttributeValue {
  switch (type) {
    case "S":
      return { S: text };
    case "N":
      return { N: text.trim() };
    case "B":
      return { B: fromBase64(text.trim()) };
    case "BOOL":
      return { BOOL: text.trim().toLowerCase() === "true" };
    case "NULL":
      return { NULL: true };
  }
}

export function isNumber(text: string): boolean {
  return NUMBER.test(text.trim());
}

/** The items as CSV with a column for each name. Cells that a spreadsheet would take for a formula get an apostrophe. */
export function csv(items: Item[], names: string[]): string {
  const cell = (text: string) => {
    const safe = /^[=+@\t\r]|^-(?!\d)/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const rows = items.map((item) => names.map((name) => cell(shown(attribute(item, name)))).join(","));
  return [names.map(cell).join(","), ...rows, ""].join("\r\n");
}

const comparators = new Map<string, (one: { item: Item }, other: { item: Item }) => number>();

/** Compares rows by an attribute. It is the same function each time: a table knows by it that a column is sorted. */
export function comparing(name: string) {
  const known = comparators.get(name);
  const compare = known ?? ((one: { item: Item }, other: { item: Item }) => compared(attribute(one.item, name), attribute(other.item, name)));
  comparators.set(name, compare);
  return compare;
}

/** For sorting: numbers by their value, with all digits, and everything else by its text. */
function compared(one: AttributeValue | undefined, other: AttributeValue | undefined): number {
  if (one?.N !== undefined && other?.N !== undefined) {
    return comparedNumbers(one.N, other.N);
  }
  return shown(one).localeCompare(shown(other));
}

const DECIMAL = /^([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?$/;

/** A number as its sign, the place of its first digit, and its digits. */
function decimal(text: string): { sign: number; magnitude: number; digits: string } {
  const [, minus = "", whole = "", fraction = "", exponent = "0"] = DECIMAL.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, "");
  const magnitude = digits.length - fraction.length + Number(exponent);
  return { sign: digits === "" ? 0 : minus === "-" ? -1 : 1, magnitude, digits: digits.replace(/0+$/, "") };
}

function comparedNumbers(one: string, other: string): number {
  const [a, b] = [decimal(one), decimal(other)];
  if (a.sign !== b.sign || a.sign === 0) {
    return a.sign - b.sign;
  }
  const order = a.magnitude - b.magnitude || (a.digits < b.digits ? -1 : a.digits > b.digits ? 1 : 0);
  return a.sign * order;
}
