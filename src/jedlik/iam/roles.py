"""Roles and instance profiles.

A trust policy that names a user or a role means the one that has the name when the policy is written, as on AWS. The
role keeps the unique ids of those that it names, so an entity that is made later under the same name is a stranger.
"""

from __future__ import annotations

from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.policies.policy_documents import Kind
from jedlik.iam import entities
from jedlik.iam.attachments import check_attachable, set_boundary
from jedlik.iam.entities import Request
from jedlik.iam.errors import DeleteConflictException, LimitExceededException, MalformedPolicyDocumentException
from jedlik.iam.identity_rows import PROFILE, ROLE, Row, boundaries_key, last_use_key
from jedlik.iam.identity_stores import AccountIdentity, Rows
from jedlik.iam.listings import page
from jedlik.iam.policy_checks import checked_document

USUAL_DURATION = 3600
"""Seconds of a session, and the most of one, where a role does not state it."""
MOST_TRUST = 2048
"""Characters of a trust policy, without white space."""


def trusted_ids(identity: AccountIdentity, document: str) -> dict[str, str]:
    """The unique ids of the users and roles that a trust policy names, by their ARNs.

    Raises MalformedPolicyDocumentException for one that is not there.
    """
    policy = checked_document(document, Kind.TRUST)
    names = {
        name
        for statement in policy.statements
        if statement.principals is not None
        for name in statement.principals.aws
        if name.startswith("arn:") and ":iam:" in name and not name.endswith(":root")
    }
    found: dict[str, str] = {}
    for name in sorted(names):
        unique_id = identity.unique_id_of(name)
        if unique_id is None:
            raise MalformedPolicyDocumentException(f'Invalid principal in policy: "AWS":"{name}"')
        found[name] = unique_id
    return found


def _check_size(document: str) -> None:
    if entities.size(document) > MOST_TRUST:
        raise LimitExceededException(f"Cannot exceed quota for ACLSizePerRole: {MOST_TRUST}")


async def create_role(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """Make a role."""
    name, boundary = request["RoleName"], request.get("PermissionsBoundary")
    document = request["AssumeRolePolicyDocument"]
    trusted = trusted_ids(identity, document)
    _check_size(document)
    unique_id, now = ROLE.new_id(), identity.now
    if boundary is not None:
        check_attachable(identity, boundary)

    def decide(rows: Rows) -> Row:
        row: Row = {
            "Path": request.get("Path", "/"),
            "RoleName": name,
            "RoleId": unique_id,
            "CreateDate": now,
            "AssumeRolePolicyDocument": document,
            "Trusted": trusted,
            "MaxSessionDuration": request.get("MaxSessionDuration", USUAL_DURATION),
        }
        if "Description" in request:
            row["Description"] = request["Description"]
        if request.get("Tags"):
            row["Tags"] = entities.merged((), request["Tags"])
        if boundary is not None:
            set_boundary(rows, row, boundary)
        entities.create(rows, ROLE, row)
        return row

    row = await identity.change([ROLE.key(name), ROLE.count], decide)
    return {"Role": entities.shown(identity.account, ROLE, row)}


async def get_role(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """A role, with its last use."""
    row = entities.loaded(identity, ROLE, request["RoleName"])
    used = identity.row(last_use_key(row["RoleId"])) or {}
    last_used = {name: used[name] for name in ("LastUsedDate", "Region") if name in used}
    return {"Role": entities.shown(identity.account, ROLE, row) | {"RoleLastUsed": last_used}}


async def list_roles(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """The roles under a path."""
    found = entities.listed(identity, ROLE, request)
    return page(request, "Roles", found, lambda row: entities.shown(identity.account, ROLE, row, is_listed=True))


async def _changed(identity: AccountIdentity, name: str, **members: Any) -> Row:
    """A role with other members; None leaves a member as it is."""
    given = {member: value for member, value in members.items() if value is not None}

    def decide(rows: Rows) -> Row:
        row = entities.read(rows, ROLE, name) | given
        rows.put(ROLE.key(name), row)
        return row

    return await identity.change([ROLE.key(name)], decide)


async def update_role(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """Change a role's description and the longest duration of its sessions."""
    await _changed(
        identity,
        request["RoleName"],
        Description=request.get("Description"),
        MaxSessionDuration=request.get("MaxSessionDuration"),
    )
    return {}


async def update_role_description(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """Change a role's description, and show the role."""
    row = await _changed(identity, request["RoleName"], Description=request["Description"])
    return {"Role": entities.shown(identity.account, ROLE, row)}


async def update_assume_role_policy(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Give a role another trust policy."""
    entities.loaded(identity, ROLE, request["RoleName"])
    document = request["PolicyDocument"]
    trusted = trusted_ids(identity, document)
    _check_size(document)
    await _changed(identity, request["RoleName"], AssumeRolePolicyDocument=document, Trusted=trusted)


async def delete_role(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Delete a role that has no policies, and is in no instance profile."""
    name = request["RoleName"]

    def decide(rows: Rows) -> None:
        row = entities.read(rows, ROLE, name)
        if row.get("Profiles"):
            raise DeleteConflictException("Cannot delete entity, must remove roles from instance profile first.")
        entities.refuse_policies(row)
        if row.get("Boundary"):
            rows.add(boundaries_key(row["Boundary"]), -1)
        rows.delete(last_use_key(row["RoleId"]))
        entities.remove(rows, ROLE, row)

    await identity.change([ROLE.key(name)], decide)


# Instance profiles


def _profile(identity: AccountIdentity, row: Row) -> dict[str, Any]:
    role = None if row.get("RoleId") is None else entities.by_id(identity, row["RoleId"])
    roles = [] if role is None else [entities.shown(identity.account, ROLE, role, is_listed=True)]
    return entities.shown(identity.account, PROFILE, row) | {"Roles": roles}


async def create_instance_profile(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """Make an instance profile."""
    name = request["InstanceProfileName"]
    row: Row = {
        "Path": request.get("Path", "/"),
        "InstanceProfileName": name,
        "InstanceProfileId": PROFILE.new_id(),
        "CreateDate": identity.now,
    }
    if request.get("Tags"):
        row["Tags"] = entities.merged((), request["Tags"])
    await identity.change([PROFILE.key(name), PROFILE.count], lambda rows: entities.create(rows, PROFILE, row))
    return {"InstanceProfile": _profile(identity, row)}


async def get_instance_profile(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """An instance profile, with its role."""
    row = entities.loaded(identity, PROFILE, request["InstanceProfileName"])
    return {"InstanceProfile": _profile(identity, row)}


async def list_instance_profiles(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """The instance profiles under a path."""
    found = entities.listed(identity, PROFILE, request)
    return page(request, "InstanceProfiles", found, lambda row: _profile(identity, row))


async def list_instance_profiles_for_role(
    identity: AccountIdentity, context: Context, request: Request
) -> dict[str, Any]:
    """The instance profiles that a role is in."""
    role = entities.loaded(identity, ROLE, request["RoleName"])
    ids = role.get("Profiles", [])
    rows = [row for one in ids if (row := entities.by_id(identity, one)) is not None]
    found = sorted((row["InstanceProfileName"].lower(), row) for row in rows)
    return page(request, "InstanceProfiles", found, lambda row: _profile(identity, row))


async def delete_instance_profile(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Delete an instance profile without a role."""
    name = request["InstanceProfileName"]

    def decide(rows: Rows) -> None:
        row = entities.read(rows, PROFILE, name)
        if row.get("RoleId"):
            raise DeleteConflictException("Cannot delete entity, must remove roles from instance profile first.")
        entities.remove(rows, PROFILE, row)

    await identity.change([PROFILE.key(name)], decide)


async def add_role_to_instance_profile(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Put a role into an instance profile, which has one at most."""
    name, role_name = request["InstanceProfileName"], request["RoleName"]

    def decide(rows: Rows) -> None:
        row, role = entities.read(rows, PROFILE, name), entities.read(rows, ROLE, role_name)
        entities.check_quota("InstanceSessionsPerInstanceProfile", 1, 1 if row.get("RoleId") else 0)
        rows.put(PROFILE.key(name), row | {"RoleId": role["RoleId"]})
        rows.put(ROLE.key(role_name), role | {"Profiles": [*role.get("Profiles", []), row["InstanceProfileId"]]})

    await identity.change([PROFILE.key(name), ROLE.key(role_name)], decide)


async def remove_role_from_instance_profile(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Take the role out of an instance profile."""
    name, role_name = request["InstanceProfileName"], request["RoleName"]

    def decide(rows: Rows) -> None:
        row, role = entities.read(rows, PROFILE, name), entities.read(rows, ROLE, role_name)
        if row.get("RoleId") != role["RoleId"]:
            raise entities.missing(ROLE, role_name)
        rest = [one for one in role.get("Profiles", []) if one != row["InstanceProfileId"]]
        rows.put(PROFILE.key(name), {member: value for member, value in row.items() if member != "RoleId"})
        rows.put(ROLE.key(role_name), role | {"Profiles": rest})

    await identity.change([PROFILE.key(name), ROLE.key(role_name)], decide)
