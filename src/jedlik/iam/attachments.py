"""Managed policies that are attached to users, groups and roles, and permissions boundaries: the same for each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from jedlik.aws.context import Context
from jedlik.iam import aws_policies, entities
from jedlik.iam.entities import MOST_ATTACHED, Request
from jedlik.iam.errors import NoSuchEntityException, ValidationError
from jedlik.iam.identity_rows import (
    GROUP,
    POLICY,
    ROLE,
    USER,
    Kind,
    Row,
    attachments_key,
    boundaries_key,
)
from jedlik.iam.identity_stores import AccountIdentity, Rows
from jedlik.iam.listings import page

Handler = Callable[[AccountIdentity, Context, Request], Awaitable[dict[str, Any] | None]]


def policy_row(identity: AccountIdentity, arn: str) -> Row | None:
    """A managed policy, the account's or AWS's; None for an ARN of no policy."""
    if arn.startswith(aws_policies.PREFIX):
        return aws_policies.ALL.get(arn)
    name = policy_name(identity.account, arn)
    row = None if name is None else identity.row(POLICY.key(name))
    return row if row is not None and POLICY.arn(identity.account, row) == arn else None


def policy_name(account: str, arn: str) -> str | None:
    """The name in the ARN of a policy of an account; None for any other text."""
    prefix = f"arn:aws:iam::{account}:policy/"
    return arn.rpartition("/")[2] if arn.startswith(prefix) else None


def document_of(row: Row) -> str:
    """The document of a managed policy's default version."""
    [document] = [version["Document"] for version in row["Versions"] if version["VersionId"] == row["Default"]]
    return str(document)


def check_attachable(identity: AccountIdentity, arn: str) -> None:
    """Raise NoSuchEntityException unless there is such a policy."""
    check_arn(arn)
    if policy_row(identity, arn) is None:
        raise NoSuchEntityException(f"Policy {arn} does not exist or is not attachable.")


def check_arn(arn: str) -> None:
    """Raise ValidationError for what is no ARN."""
    if not arn.startswith("arn:") or arn.count(":") < 5:
        raise ValidationError(f"ARN {arn} is not valid.")


def _policy_key(identity: AccountIdentity, arn: str) -> list[bytes]:
    """The key of an account's own policy, so that it cannot be deleted while it is being attached."""
    name = policy_name(identity.account, arn)
    return [] if name is None else [POLICY.key(name)]


def _check_still_there(rows: Rows, keys: list[bytes], arn: str) -> None:
    if any(not rows.is_there(key) for key in keys):
        raise NoSuchEntityException(f"Policy {arn} does not exist or is not attachable.")


def attach(kind: Kind) -> Handler:
    """AttachUserPolicy and its kin. A policy that is attached stays."""

    async def attach_policy(identity: AccountIdentity, context: Context, request: Request) -> None:
        name, arn = request[kind.name], request["PolicyArn"]
        entities.loaded(identity, kind, name)
        check_attachable(identity, arn)
        keys = _policy_key(identity, arn)

        def decide(rows: Rows) -> None:
            row = entities.read(rows, kind, name)
            _check_still_there(rows, keys, arn)
            attached = row.get("Attached", [])
            if arn in attached:
                return
            entities.check_quota(f"PoliciesPer{kind.title}", MOST_ATTACHED, len(attached))
            rows.put(kind.key(name), row | {"Attached": [*attached, arn]})
            rows.add(attachments_key(arn), 1)

        await identity.change([kind.key(name), *keys], decide)

    return attach_policy


def detach(kind: Kind) -> Handler:
    """DetachUserPolicy and its kin."""

    async def detach_policy(identity: AccountIdentity, context: Context, request: Request) -> None:
        name, arn = request[kind.name], request["PolicyArn"]
        check_arn(arn)

        def decide(rows: Rows) -> None:
            row = entities.read(rows, kind, name)
            attached = row.get("Attached", [])
            if arn not in attached:
                raise NoSuchEntityException(f"Policy {arn} was not found.")
            rows.put(kind.key(name), row | {"Attached": [one for one in attached if one != arn]})
            rows.add(attachments_key(arn), -1)

        await identity.change([kind.key(name)], decide)

    return detach_policy


def list_attached(kind: Kind) -> Handler:
    """ListAttachedUserPolicies and its kin."""

    async def list_attached_policies(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
        row = entities.loaded(identity, kind, request[kind.name])
        prefix = request.get("PathPrefix", "/")
        found = sorted(arn for arn in row.get("Attached", []) if policy_path(arn).startswith(prefix))
        return page(request, "AttachedPolicies", [(arn, arn) for arn in found], attached_policy)

    return list_attached_policies


def policy_path(arn: str) -> str:
    """The path in a policy's ARN."""
    path = arn.split(":", 5)[-1].removeprefix("policy/").rpartition("/")[0]
    return f"/{path}/" if path else "/"


def attached_policy(arn: str) -> dict[str, str]:
    """An attached policy as IAM shows it."""
    return {"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn}


def entities_with(identity: AccountIdentity, arn: str, *, is_boundary: bool, kind: Kind) -> Iterator[tuple[str, Row]]:
    """The entities of a kind that a policy is attached to, or whose boundary it is."""
    for name, row in entities.listed(identity, kind, {}):
        if (row.get("Boundary") == arn) if is_boundary else (arn in row.get("Attached", ())):
            yield name, row


KINDS = {"User": USER, "Role": ROLE, "Group": GROUP}
"""The kinds of entities that policies are attached to, as EntityFilter calls them."""


async def list_entities_for_policy(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """The users, groups and roles that a policy is attached to, or whose boundary it is."""
    arn = request["PolicyArn"]
    check_attachable(identity, arn)
    wanted, path = request.get("EntityFilter"), request.get("PathPrefix", "/")
    usages = {"PermissionsPolicy": (False,), "PermissionsBoundary": (True,)}.get(
        request.get("PolicyUsageFilter", ""), (False, True)
    )
    found = sorted(
        {
            (f"{title} {name}", title, row[kind.name], row[kind.id])
            for title, kind in KINDS.items()
            if wanted in (None, title)
            for is_boundary in usages
            for name, row in entities_with(identity, arn, is_boundary=is_boundary, kind=kind)
            if row["Path"].startswith(path)
        }
    )
    answer = page(request, "All", [(one[0], one) for one in found])
    shown: dict[str, Any] = {
        f"Policy{title}s": [
            {kind.name: name, kind.id: unique_id} for _, of, name, unique_id in answer["All"] if of == title
        ]
        for title, kind in KINDS.items()
    }
    return shown | {member: value for member, value in answer.items() if member != "All"}


# Permissions boundaries


def set_boundary(rows: Rows, row: Row, arn: str | None) -> None:
    """Give an entity another boundary, or none. The caller writes the row."""
    if row.get("Boundary"):
        rows.add(boundaries_key(row.pop("Boundary")), -1)
    if arn is not None:
        row["Boundary"] = arn
        rows.add(boundaries_key(arn), 1)


def put_boundary(kind: Kind) -> Handler:
    """PutUserPermissionsBoundary and PutRolePermissionsBoundary."""

    async def put_permissions_boundary(identity: AccountIdentity, context: Context, request: Request) -> None:
        name, arn = request[kind.name], request["PermissionsBoundary"]
        check_attachable(identity, arn)
        keys = _policy_key(identity, arn)

        def decide(rows: Rows) -> None:
            row = entities.read(rows, kind, name)
            _check_still_there(rows, keys, arn)
            set_boundary(rows, row, arn)
            rows.put(kind.key(name), row)

        await identity.change([kind.key(name), *keys], decide)

    return put_permissions_boundary


def delete_boundary(kind: Kind) -> Handler:
    """DeleteUserPermissionsBoundary and DeleteRolePermissionsBoundary."""

    async def delete_permissions_boundary(identity: AccountIdentity, context: Context, request: Request) -> None:
        name = request[kind.name]

        def decide(rows: Rows) -> None:
            row = entities.read(rows, kind, name)
            if not row.get("Boundary"):
                raise NoSuchEntityException(f"{kind.title} {name} does not have a permissions boundary set.")
            set_boundary(rows, row, None)
            rows.put(kind.key(name), row)

        await identity.change([kind.key(name)], decide)

    return delete_permissions_boundary
