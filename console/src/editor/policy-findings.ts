/** What is wrong with a policy, as far as its text alone shows it. The server decides; this is for the one who writes. */
import { texts } from "../texts";
import type { Finding } from "./findings";
import { type Member, type Node, NotJson, parsed, type Place } from "./json-places";

export type PolicyKind = "identity" | "resource" | "trust";

const VERSIONS = ["2012-10-17", "2008-10-17"];
const MEMBERS = ["Version", "Id", "Statement"];
const PRINCIPALS = ["Principal", "NotPrincipal"];
const ACTIONS = ["Action", "NotAction"];
const RESOURCES = ["Resource", "NotResource"];
const OF_STATEMENTS = ["Sid", "Effect", ...PRINCIPALS, ...ACTIONS, ...RESOURCES, "Condition"];

export function policyFindings(text: string, kind: PolicyKind): Finding[] {
  if (!text.trim()) {
    return [];
  }
  const found: Finding[] = [];
  const note = (type: Finding["type"], message: string, { start, end }: Place) =>
    found.push({ type, message, start, end: Math.max(end, start + 1) });
  const wrong = (message: string, at: Place) => note("error", message, at);

  let policy: Node;
  try {
    policy = parsed(text, texts.editor.expected);
  } catch (error) {
    if (error instanceof NotJson) {
      wrong(error.message, { start: error.at, end: error.at });
      return found;
    }
    throw error;
  }

  const membersOf = (node: Node, known: string[]): Map<string, Member> => {
    const members = new Map<string, Member>();
    if (node.kind !== "object") {
      wrong(texts.editor.mustBeObject, node);
      return members;
    }
    for (const member of node.members) {
      if (members.has(member.name)) {
        wrong(texts.editor.twice(member.name), member.at);
      } else if (!known.includes(member.name)) {
        wrong(texts.editor.unknown(member.name), member.at);
      }
      members.set(member.name, member);
    }
    return members;
  };
  /** Exactly one of two members. */
  const oneOf = (members: Map<string, Member>, names: string[], at: Place): Member | undefined => {
    const [first, second] = names.map((name) => members.get(name));
    if (first && second) {
      wrong(texts.editor.notBoth(names.join(", ")), second.at);
    } else if (!first && !second) {
      wrong(texts.editor.missing(names.join(texts.editor.or)), { start: at.start, end: at.start + 1 });
    }
    return first ?? second;
  };
  const strings = (node: Node): (Node & { kind: "string" })[] => {
    const elements = node.kind === "array" ? node.elements : [node];
    return elements.flatMap((one) => {
      if (one.kind === "string") {
        return [one];
      }
      wrong(texts.editor.mustBeText, one);
      return [];
    });
  };

  const members = membersOf(policy, MEMBERS);
  const version = members.get("Version");
  if (version === undefined || version.node.kind !== "string" || !VERSIONS.includes(version.node.value)) {
    note("warning", texts.editor.version, version?.node ?? { start: policy.start, end: policy.start + 1 });
  }
  const statements = members.get("Statement");
  if (statements === undefined) {
    wrong(texts.editor.missing("Statement"), { start: policy.start, end: policy.start + 1 });
    return found;
  }
  const sids = new Set<string>();
  for (const node of statements.node.kind === "array" ? statements.node.elements : [statements.node]) {
    const statement = membersOf(node, OF_STATEMENTS);
    const effect = statement.get("Effect");
    if (effect === undefined) {
      wrong(texts.editor.missing("Effect"), { start: node.start, end: node.start + 1 });
    } else if (effect.node.kind !== "string" || !["Allow", "Deny"].includes(effect.node.value)) {
      wrong(texts.editor.effect, effect.node);
    }
    const sid = statement.get("Sid");
    if (sid?.node.kind === "string") {
      if (sids.has(sid.node.value)) {
        wrong(texts.editor.twice(sid.node.value), sid.node);
      }
      sids.add(sid.node.value);
    }
    const action = oneOf(statement, ACTIONS, node);
    for (const one of action ? strings(action.node) : []) {
      if (one.value !== "*" && !/^[A-Za-z0-9-]+:[A-Za-z0-9*?]+$/.test(one.value)) {
        wrong(texts.editor.action, one);
      }
    }
    if (kind === "identity") {
      const principal = statement.get("Principal") ?? statement.get("NotPrincipal");
      if (principal) {
        wrong(texts.editor.noPrincipal, principal.at);
      }
    } else {
      const principal = oneOf(statement, PRINCIPALS, node);
      const isPublic = principal?.name === "Principal" && isEverybody(principal.node) && !statement.has("Condition");
      if (kind === "resource" && isPublic && effect?.node.kind === "string" && effect.node.value === "Allow") {
        note("warning", texts.editor.everybody, principal.node);
      }
    }
    if (kind === "trust") {
      const resource = statement.get("Resource") ?? statement.get("NotResource");
      if (resource) {
        wrong(texts.editor.noResource, resource.at);
      }
    } else {
      const resource = oneOf(statement, RESOURCES, node);
      for (const one of resource ? strings(resource.node) : []) {
        if (one.value !== "*" && one.value.split(":").length < 6) {
          wrong(texts.editor.arn, one);
        }
      }
    }
    const condition = statement.get("Condition");
    if (condition && condition.node.kind !== "object") {
      wrong(texts.editor.mustBeObject, condition.node);
    }
  }
  return found;
}

function isEverybody(node: Node): boolean {
  if (node.kind === "string") {
    return node.value === "*";
  }
  if (node.kind === "array") {
    return node.elements.some(isEverybody);
  }
  return node.kind === "object" && node.members.some(({ name, node: of }) => name === "AWS" && isEverybody(of));
}
