/** Users, groups and roles: the same pages, with other operations. */
import {
  AttachGroupPolicyCommand,
  AttachRolePolicyCommand,
  AttachUserPolicyCommand,
  CreateGroupCommand,
  CreateRoleCommand,
  CreateUserCommand,
  DeleteAccessKeyCommand,
  DeleteGroupCommand,
  DeleteGroupPolicyCommand,
  DeleteLoginProfileCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  DeleteUserCommand,
  DeleteUserPolicyCommand,
  DetachGroupPolicyCommand,
  DetachRolePolicyCommand,
  DetachUserPolicyCommand,
  GetGroupCommand,
  GetGroupPolicyCommand,
  GetRoleCommand,
  GetRolePolicyCommand,
  GetUserCommand,
  GetUserPolicyCommand,
  type IAMClient,
  ListAccessKeysCommand,
  ListAttachedGroupPoliciesCommand,
  ListAttachedRolePoliciesCommand,
  ListAttachedUserPoliciesCommand,
  ListGroupPoliciesCommand,
  ListGroupsCommand,
  ListGroupsForUserCommand,
  ListRolePoliciesCommand,
  ListRolesCommand,
  ListUserPoliciesCommand,
  ListUsersCommand,
  NoSuchEntityException,
  PutGroupPolicyCommand,
  PutRolePolicyCommand,
  PutUserPolicyCommand,
  RemoveUserFromGroupCommand,
} from "@aws-sdk/client-iam";
import { texts } from "../texts";

export interface Entity {
  name: string;
  path: string;
  arn: string;
  created: Date | undefined;
  /** Of a role: its trust policy. */
  trust?: string;
}

export interface Attached {
  name: string;
  arn: string;
}

export interface Kind {
  id: "users" | "groups" | "roles";
  title: string;
  one: string;
  list: (client: IAMClient, signal: AbortSignal) => Promise<Entity[]>;
  get: (client: IAMClient, name: string, signal?: AbortSignal) => Promise<Entity>;
  /** `trust` is the trust policy of a role. */
  create: (client: IAMClient, name: string, trust: string) => Promise<unknown>;
  remove: (client: IAMClient, name: string) => Promise<unknown>;
  attached: (client: IAMClient, name: string) => Promise<Attached[]>;
  attach: (client: IAMClient, name: string, arn: string) => Promise<unknown>;
  detach: (client: IAMClient, name: string, arn: string) => Promise<unknown>;
  inline: (client: IAMClient, name: string) => Promise<string[]>;
  document: (client: IAMClient, name: string, policy: string) => Promise<string>;
  put: (client: IAMClient, name: string, policy: string, document: string) => Promise<unknown>;
  removeInline: (client: IAMClient, name: string, policy: string) => Promise<unknown>;
}

interface Page {
  IsTruncated?: boolean;
  Marker?: string;
}

/** All pages of a listing. */
export async function every<P extends Page, T>(
  ask: (marker: string | undefined) => Promise<P>,
  of: (page: P) => T[] | undefined,
): Promise<T[]> {
  const found: T[] = [];
  let marker: string | undefined;
  do {
    const page = await ask(marker);
    found.push(...(of(page) ?? []));
    marker = page.IsTruncated ? page.Marker : undefined;
  } while (marker !== undefined);
  return found;
}

/** A document as people write it. IAM encodes it for a URL. */
export function readable(document: string | undefined): string {
  const text = decodeURIComponent(document ?? "{}");
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

const attachedOf = (found: { PolicyName?: string; PolicyArn?: string }[]): Attached[] =>
  found.map(({ PolicyName = "", PolicyArn = "" }) => ({ name: PolicyName, arn: PolicyArn }));

const USERS: Kind = {
  id: "users",
  title: texts.iam.users,
  one: texts.iam.user,
  list: (client, abortSignal) =>
    every(
      (Marker) => client.send(new ListUsersCommand({ Marker }), { abortSignal }),
      (page) => page.Users?.map(userOf),
    ),
  get: async (client, UserName, abortSignal) =>
    userOf((await client.send(new GetUserCommand({ UserName }), { abortSignal })).User ?? {}),
  create: (client, UserName) => client.send(new CreateUserCommand({ UserName })),
  remove: async (client, UserName) => {
    const keys = await client.send(new ListAccessKeysCommand({ UserName }));
    for (const { AccessKeyId } of keys.AccessKeyMetadata ?? []) {
      await client.send(new DeleteAccessKeyCommand({ UserName, AccessKeyId }));
    }
    const groups = await client.send(new ListGroupsForUserCommand({ UserName }));
    for (const { GroupName } of groups.Groups ?? []) {
      await client.send(new RemoveUserFromGroupCommand({ GroupName, UserName }));
    }
    try {
      await client.send(new DeleteLoginProfileCommand({ UserName }));
    } catch (error) {
      if (!(error instanceof NoSuchEntityException)) {
        throw error;
      }
    }
    await client.send(new DeleteUserCommand({ UserName }));
  },
  attached: (client, UserName) =>
    every(
      (Marker) => client.send(new ListAttachedUserPoliciesCommand({ UserName, Marker })),
      (page) => attachedOf(page.AttachedPolicies ?? []),
    ),
  attach: (client, UserName, PolicyArn) => client.send(new AttachUserPolicyCommand({ UserName, PolicyArn })),
  detach: (client, UserName, PolicyArn) => client.send(new DetachUserPolicyCommand({ UserName, PolicyArn })),
  inline: (client, UserName) =>
    every(
      (Marker) => client.send(new ListUserPoliciesCommand({ UserName, Marker })),
      (page) => page.PolicyNames,
    ),
  document: async (client, UserName, PolicyName) =>
    readable((await client.send(new GetUserPolicyCommand({ UserName, PolicyName }))).PolicyDocument),
  put: (client, UserName, PolicyName, PolicyDocument) =>
    client.send(new PutUserPolicyCommand({ UserName, PolicyName, PolicyDocument })),
  removeInline: (client, UserName, PolicyName) =>
    client.send(new DeleteUserPolicyCommand({ UserName, PolicyName })),
};

const GROUPS: Kind = {
  id: "groups",
  title: texts.iam.groups,
  one: texts.iam.group,
  list: (client, abortSignal) =>
    every(
      (Marker) => client.send(new ListGroupsCommand({ Marker }), { abortSignal }),
      (page) => page.Groups?.map(groupOf),
    ),
  get: async (client, GroupName, abortSignal) =>
    groupOf((await client.send(new GetGroupCommand({ GroupName }), { abortSignal })).Group ?? {}),
  create: (client, GroupName) => client.send(new CreateGroupCommand({ GroupName })),
  remove: async (client, GroupName) => {
    const { Users } = await client.send(new GetGroupCommand({ GroupName }));
    for (const { UserName } of Users ?? []) {
      await client.send(new RemoveUserFromGroupCommand({ GroupName, UserName }));
    }
    await client.send(new DeleteGroupCommand({ GroupName }));
  },
  attached: (client, GroupName) =>
    every(
      (Marker) => client.send(new ListAttachedGroupPoliciesCommand({ GroupName, Marker })),
      (page) => attachedOf(page.AttachedPolicies ?? []),
    ),
  attach: (client, GroupName, PolicyArn) => client.send(new AttachGroupPolicyCommand({ GroupName, PolicyArn })),
  detach: (client, GroupName, PolicyArn) => client.send(new DetachGroupPolicyCommand({ GroupName, PolicyArn })),
  inline: (client, GroupName) =>
    every(
      (Marker) => client.send(new ListGroupPoliciesCommand({ GroupName, Marker })),
      (page) => page.PolicyNames,
    ),
  document: async (client, GroupName, PolicyName) =>
    readable((await client.send(new GetGroupPolicyCommand({ GroupName, PolicyName }))).PolicyDocument),
  put: (client, GroupName, PolicyName, PolicyDocument) =>
    client.send(new PutGroupPolicyCommand({ GroupName, PolicyName, PolicyDocument })),
  removeInline: (client, GroupName, PolicyName) =>
    client.send(new DeleteGroupPolicyCommand({ GroupName, PolicyName })),
};

export const ROLES: Kind = {
  id: "roles",
  title: texts.iam.roles,
  one: texts.iam.role,
  list: (client, abortSignal) =>
    every(
      (Marker) => client.send(new ListRolesCommand({ Marker }), { abortSignal }),
      (page) => page.Roles?.map(roleOf),
    ),
  get: async (client, RoleName, abortSignal) =>
    roleOf((await client.send(new GetRoleCommand({ RoleName }), { abortSignal })).Role ?? {}),
  create: (client, RoleName, AssumeRolePolicyDocument) =>
    client.send(new CreateRoleCommand({ RoleName, AssumeRolePolicyDocument })),
  remove: (client, RoleName) => client.send(new DeleteRoleCommand({ RoleName })),
  attached: (client, RoleName) =>
    every(
      (Marker) => client.send(new ListAttachedRolePoliciesCommand({ RoleName, Marker })),
      (page) => attachedOf(page.AttachedPolicies ?? []),
    ),
  attach: (client, RoleName, PolicyArn) => client.send(new AttachRolePolicyCommand({ RoleName, PolicyArn })),
  detach: (client, RoleName, PolicyArn) => client.send(new DetachRolePolicyCommand({ RoleName, PolicyArn })),
  inline: (client, RoleName) =>
    every(
      (Marker) => client.send(new ListRolePoliciesCommand({ RoleName, Marker })),
      (page) => page.PolicyNames,
    ),
  document: async (client, RoleName, PolicyName) =>
    readable((await client.send(new GetRolePolicyCommand({ RoleName, PolicyName }))).PolicyDocument),
  put: (client, RoleName, PolicyName, PolicyDocument) =>
    client.send(new PutRolePolicyCommand({ RoleName, PolicyName, PolicyDocument })),
  removeInline: (client, RoleName, PolicyName) =>
    client.send(new DeleteRolePolicyCommand({ RoleName, PolicyName })),
};

interface Made {
  Path?: string;
  Arn?: string;
  CreateDate?: Date;
}
const entityOf = (name: string | undefined, { Path = "/", Arn = "", CreateDate }: Made): Entity => ({
  name: name ?? "",
  path: Path,
  arn: Arn,
  created: CreateDate,
});
const userOf = (user: Made & { UserName?: string }) => entityOf(user.UserName, user);
const groupOf = (group: Made & { GroupName?: string }) => entityOf(group.GroupName, group);
const roleOf = (role: Made & { RoleName?: string; AssumeRolePolicyDocument?: string }): Entity => ({
  ...entityOf(role.RoleName, role),
  trust: readable(role.AssumeRolePolicyDocument),
});

export const KINDS: Record<string, Kind> = { users: USERS, groups: GROUPS, roles: ROLES };

/** Deletes an entity with all that keeps it from being deleted. */
export async function removeWhole(client: IAMClient, kind: Kind, name: string): Promise<void> {
  for (const { arn } of await kind.attached(client, name)) {
    await kind.detach(client, name, arn);
  }
  for (const policy of await kind.inline(client, name)) {
    await kind.removeInline(client, name, policy);
  }
  await kind.remove(client, name);
}
