/** A form's picture of attribute values: a tree of fields, each with an identity of its own. */
import type { AttributeValue } from "@aws-sdk/client-dynamodb";
import { texts } from "../texts";
import { attributesOf, type AttributeType, fromBase64, isNumber, type Item, toBase64, typeOf } from "./values";

export interface Field {
  id: number;
  name: string;
  type: AttributeType;
  /** Of a string, a number or, as Base64, of bytes. */
  text: string;
  bool: boolean;
  /** Of a list, a map or a set. */
  elements: Field[];
}

let last = 0;

export function newField(type: AttributeType, name = ""): Field {
  last += 1;
  return { id: last, name, type, text: "", bool: false, elements: [] };
}

export const hasElements = (type: AttributeType): boolean => ["L", "M", "SS", "NS", "BS"].includes(type);
export const isSet = (type: AttributeType): boolean => ["SS", "NS", "BS"].includes(type);
/** The type of a set's elements. */
export const elementType = (type: AttributeType): AttributeType => type[0] as AttributeType;

export function fieldOf(name: string, value: AttributeValue): Field {
  const type = typeOf(value);
  const field = newField(type, name);
  const each = (of: AttributeType, all: string[]) => all.map((text) => ({ ...newField(of), text }));
  switch (type) {
    case "S":
    case "N":
      return { ...field, text: value.S ?? value.N ?? "" };
    case "B":
      return { ...field, text: toBase64(value.B ?? new Uint8Array()) };
    case "BOOL":
      return { ...field, bool: value.BOOL === true };
    case "NULL":
      return field;
    case "SS":
      return { ...field, elements: each("S", value.SS ?? []) };
    case "NS":
      return { ...field, elements: each("N", value.NS ?? []) };
    case "BS":
      return { ...field, elements: each("B", (value.BS ?? []).map(toBase64)) };
    case "L":
      return { ...field, elements: (value.L ?? []).map((one) => fieldOf("", one)) };
    case "M":
      return { ...field, elements: fieldsOf(value.M ?? {}) };
  }
}

export function fieldsOf(item: Item): Field[] {
  return attributesOf(item).map(([name, value]) => fieldOf(name, value));
}

/** Throws an error that names the field whose text is not of its type. */
export function valueOfField(field: Field): AttributeValue {
  const bytes = (one: Field) => {
    try {
      return fromBase64(one.text.trim());
    } catch {
      throw new Error(texts.item.notBase64(field.name || texts.item.element));
    }
  };
  const digits = (one: Field) => {
    if (!isNumber(one.text)) {
      throw new Error(texts.item.notNumber(field.name || texts.item.element));
    }
    return one.text.trim();
  };
  switch (field.type) {
    case "S":
      return { S: field.text };
    case "N":
      return { N: digits(field) };
    case "B":
      return { B: bytes(field) };
    case "BOOL":
      return { BOOL: field.bool };
    case "NULL":
      return { NULL: true };
    case "SS":
      return { SS: field.elements.map((one) => one.text) };
    case "NS":
      return { NS: field.elements.map(digits) };
    case "BS":
      return { BS: field.elements.map(bytes) };
    case "L":
      return { L: field.elements.map(valueOfField) };
    case "M":
      return { M: itemOf(field.elements) };
  }
}

/** Throws an error for two fields of one name, and what `valueOfField` throws. */
export function itemOf(fields: Field[]): Item {
  const names = new Set<string>();
  for (const { name } of fields) {
    if (names.has(name)) {
      throw new Error(texts.item.twice(name));
    }
    names.add(name);
  }
  return Object.fromEntries(fields.map((field) => [field.name, valueOfField(field)]));
}
