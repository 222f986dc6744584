/** What is wrong with a policy, as far as its text alone shows it. The server decides; this is for the one who writes. */
import { texts } from "../texts";
import type { Finding } from "./findings";
import { type Member, type Node, NotJson, parsed, type Place } from "./json-places";

export type PolicyKind = "identity" | "resource" | "trust";
type Members = Map<string, Member>;

const VERSIONS = ["2012-10-17", "2008-10-17"];
const MEMBERS = ["Version", "Id", "Statement"];
const PRINCIPALS = ["Principal", "NotPrincipal"];
const ACTIONS = ["Action", "NotAction"];
const RESOURCES = ["Resource", "NotResource"];
const OF_STATEMENTS = ["Sid", "Effect", ...PRINCIPALS, ...ACTIONS, ...RESOURCES, "Condition"];
const ACTION = /^[A-Za-z0-9-]+:[A-Za-z0-9*?]+$/;
const ARN_PARTS = 6;

/** The first character of something: enough to mark where something is missing. */
const beginning = ({ start }: Place): Place => ({ start, end: start + 1 });

const textOf = (member: Member | undefined): string | undefined =>
  member?.node.kind === "string" ? member.node.value : undefined;

export function policyFindings(text: string, kind: PolicyKind): Finding[] {
  if (!text.trim()) {
    return [];
  }
  const notes = new Notes();
  try {
    checkPolicy(parsed(text, texts.editor.expected), kind, notes);
  } catch (error) {
    if (!(error instanceof NotJson)) {
      throw error;
    }
    notes.wrong(error.message, { start: error.at, end: error.at + 1 });
  }
  return notes.found;
}

/** The findings of one policy. */
class Notes {
  readonly found: Finding[] = [];

  note(type: Finding["type"], message: string, { start, end }: Place) {
    this.found.push({ type, message, start, end });
  }

  wrong(message: string, at: Place) {
    this.note("error", message, at);
  }

  /** The members of an object. */
  members(node: Node, known: string[]): Members {
    const members: Members = new Map();
    if (node.kind !== "object") {
      this.wrong(texts.editor.mustBeObject, node);
      return members;
    }
    for (const member of node.members) {
      if (members.has(member.name)) {
        this.wrong(texts.editor.twice(member.name), member.at);
      } else if (!known.includes(member.name)) {
        this.wrong(texts.editor.unknown(member.name), member.at);
      }
      members.set(member.name, member);
    }
    return members;
  }

  /** The one of two members that is there: exactly one must be. */
  oneOf(members: Members, names: string[], at: Place): Member | undefined {
    const [first, second] = names.map((name) => members.get(name));
    if (first && second) {
      this.wrong(texts.editor.notBoth(names.join(", ")), second.at);
    } else if (!first && !second) {
      this.wrong(texts.editor.missing(names.join(texts.editor.or)), beginning(at));
    }
    return first ?? second;
  }

  /** Neither of two members may be there. */
  noneOf(members: Members, names: string[], message: string) {
    for (const member of names.flatMap((name) => members.get(name) ?? [])) {
      this.wrong(message, member.at);
    }
  }

  /** The texts of a member that is a text or a list of them. */
  strings(member: Member | undefined): (Node & { kind: "string" })[] {
    const node = member?.node;
    const elements = node === undefined ? [] : node.kind === "array" ? node.elements : [node];
    return elements.flatMap((one) => {
      if (one.kind === "string") {
        return [one];
      }
      this.wrong(texts.editor.mustBeText, one);
      return [];
    });
  }
}

function checkPolicy(policy: Node, kind: PolicyKind, notes: Notes) {
  const members = notes.members(policy, MEMBERS);
  const version = members.get("Version");
  if (!VERSIONS.includes(textOf(version) ?? "")) {
    notes.note("warning", texts.editor.version, version?.node ?? beginning(policy));
  }
  const statements = members.get("Statement")?.node;
  if (statements === undefined) {
    notes.wrong(texts.editor.missing("Statement"), beginning(policy));
    return;
  }
  const sids = new Set<string>();
  for (const node of statements.kind === "array" ? statements.elements : [statements]) {
    const statement = notes.members(node, OF_STATEMENTS);
    const sid = statement.get("Sid");
    const name = textOf(sid);
    if (sid !== undefined && name !== undefined && sids.has(name)) {
      notes.wrong(texts.editor.twice(name), sid.node);
    }
    sids.add(name ?? "");
    checkStatement(statement, node, notes);
    checkWho(statement, node, kind, notes);
    checkWhat(statement, node, kind, notes);
  }
}

/** What statements of all policies have. */
function checkStatement(statement: Members, node: Node, notes: Notes) {
  const effect = statement.get("Effect");
  if (effect === undefined) {
    notes.wrong(texts.editor.missing("Effect"), beginning(node));
  } else if (!["Allow", "Deny"].includes(textOf(effect) ?? "")) {
    notes.wrong(texts.editor.effect, effect.node);
  }
  for (const one of notes.strings(notes.oneOf(statement, ACTIONS, node))) {
    if (one.value !== "*" && !ACTION.test(one.value)) {
      notes.wrong(texts.editor.action, one);
    }
  }
  const condition = statement.get("Condition")?.node;
  if (condition !== undefined && condition.kind !== "object") {
    notes.wrong(texts.editor.mustBeObject, condition);
  }
}

function checkWho(statement: Members, node: Node, kind: PolicyKind, notes: Notes) {
  if (kind === "identity") {
    notes.noneOf(statement, PRINCIPALS, texts.editor.noPrincipal);
    return;
  }
  const principal = notes.oneOf(statement, PRINCIPALS, node);
  const allows = textOf(statement.get("Effect")) === "Allow" && !statement.has("Condition");
  if (kind === "resource" && allows && principal?.name === "Principal" && isEverybody(principal.node)) {
    notes.note("warning", texts.editor.everybody, principal.node);
  }
}

function checkWhat(statement: Members, node: Node, kind: PolicyKind, notes: Notes) {
  if (kind === "trust") {
    notes.noneOf(statement, RESOURCES, texts.editor.noResource);
    return;
  }
  for (const one of notes.strings(notes.oneOf(statement, RESOURCES, node))) {
    if (one.value !== "*" && one.value.split(":").length < ARN_PARTS) {
      notes.wrong(texts.editor.arn, one);
    }
  }
}

function isEverybody(node: Node): boolean {
  switch (node.kind) {
    case "string":
      return node.value === "*";
    case "array":
      return node.elements.some(isEverybody);
    case "object":
      return node.members.some(({ name, node: of }) => name === "AWS" && isEverybody(of));
    default:
      return false;
  }
}
