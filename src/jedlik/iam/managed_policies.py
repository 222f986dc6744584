"""Managed policies of an account, with their versions, and AWS's own to look at."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from jedlik.aws.context import Context
from jedlik.iam import aws_policies, entities
from jedlik.iam.attachments import check_arn, policy_name, policy_row
from jedlik.iam.entities import Request
from jedlik.iam.errors import (
    AccessDenied,
    DeleteConflictException,
    LimitExceededException,
    NoSuchEntityException,
)
from jedlik.iam.identity_rows import POLICY, Row, attachments_key, boundaries_key
from jedlik.iam.identity_stores import AccountIdentity, Rows
from jedlik.iam.listings import page
from jedlik.iam.policy_checks import checked_document

LARGEST = 6144
"""Characters of a policy, without white space."""
MOST_VERSIONS = 5


def _check_document(document: str) -> None:
    checked_document(document)
    if entities.size(document) > LARGEST:
        raise LimitExceededException(f"Cannot exceed quota for PolicySize: {LARGEST}")


def _version(number: int, document: str, now: float) -> dict[str, Any]:
    return {"VersionId": f"v{number}", "Document": document, "CreateDate": now}


def _arn(identity: AccountIdentity, row: Row) -> str:
    arn: str = row.get("Arn") or POLICY.arn(identity.account, row)
    return arn


def _shown(identity: AccountIdentity, row: Row, *, is_listed: bool = False) -> dict[str, Any]:
    arn = _arn(identity, row)
    attached, bounds = identity.counts([attachments_key(arn), boundaries_key(arn)])
    found: dict[str, Any] = {name: row[name] for name in ("PolicyName", "PolicyId", "Path", "CreateDate", "UpdateDate")}
    found |= {
        "Arn": arn,
        "DefaultVersionId": row["Default"],
        "AttachmentCount": attached,
        "PermissionsBoundaryUsageCount": bounds,
        "IsAttachable": True,
    }
    if not is_listed:
        found |= {"Description": row.get("Description"), "Tags": row.get("Tags", [])}
    return found


def _shown_version(row: Row, version: dict[str, Any], *, has_document: bool) -> dict[str, Any]:
    found = {
        "VersionId": version["VersionId"],
        "IsDefaultVersion": version["VersionId"] == row["Default"],
        "CreateDate": version["CreateDate"],
    }
    return found | {"Document": entities.quoted(version["Document"])} if has_document else found


def detailed(identity: AccountIdentity, row: Row) -> dict[str, Any]:
    """A policy with all its versions."""
    found = _shown(identity, row, is_listed=True) | {"Description": row.get("Description")}
    versions = [_shown_version(row, version, has_document=True) for version in row["Versions"]]
    return found | {"PolicyVersionList": versions}


def _missing(arn: str) -> NoSuchEntityException:
    return NoSuchEntityException(f"Policy {arn} was not found.")


def _missing_version(arn: str, version: str) -> NoSuchEntityException:
    return NoSuchEntityException(f"Policy {arn} version {version} does not exist or is not attachable.")


def loaded(identity: AccountIdentity, arn: str) -> Row:
    """A policy, the account's or AWS's. Raises NoSuchEntityException."""
    check_arn(arn)
    row = policy_row(identity, arn)
    if row is None:
        raise _missing(arn)
    return row


def own_key(identity: AccountIdentity, arn: str) -> bytes:
    """The key of a policy that is to be changed. Raises AccessDenied for one of another account."""
    check_arn(arn)
    name = policy_name(identity.account, arn)
    if name is None:
        raise AccessDenied("Policy is outside your own account.")
    return POLICY.key(name)


def read(rows: Rows, identity: AccountIdentity, arn: str, key: bytes) -> Row:
    """A policy, in a change that reads it."""
    row = rows.get(key)
    if row is None or POLICY.arn(identity.account, row) != arn:
        raise _missing(arn)
    return row


async def create_policy(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """Make a policy, with its first version."""
    name, document, now = request["PolicyName"], request["PolicyDocument"], identity.now
    _check_document(document)
    row: Row = {
        "Path": request.get("Path", "/"),
        "PolicyName": name,
        "PolicyId": POLICY.new_id(),
        "CreateDate": now,
        "UpdateDate": now,
        "Versions": [_version(1, document, now)],
        "Default": "v1",
        "Latest": 1,
    }
    if "Description" in request:
        row["Description"] = request["Description"]
    if request.get("Tags"):
        row["Tags"] = entities.merged((), request["Tags"])
    await identity.change([POLICY.key(name), POLICY.count], lambda rows: entities.create(rows, POLICY, row))
    return {"Policy": _shown(identity, row)}


async def get_policy(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """A policy, without its documents."""
    return {"Policy": _shown(identity, loaded(identity, request["PolicyArn"]))}


async def list_policies(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """The account's policies and AWS's, or those of a scope."""
    scope, prefix = request.get("Scope", "All"), request.get("PathPrefix", "/")
    usage = {"PermissionsPolicy": attachments_key, "PermissionsBoundary": boundaries_key}.get(
        request.get("PolicyUsageFilter", ""), attachments_key
    )
    is_filtered = request.get("OnlyAttached", False) or "PolicyUsageFilter" in request

    def policies() -> Iterable[tuple[str, Row]]:
        found: Iterable[Row] = ()
        if scope != "AWS":
            found = (row for _, row in entities.listed(identity, POLICY, {}))
        if scope != "Local":
            found = itertools.chain(found, aws_policies.ALL.values())
        named = sorted(((_arn(identity, row), row) for row in found), key=lambda one: one[0])
        for arn, row in named:
            if row["Path"].startswith(prefix) and (not is_filtered or identity.counts([usage(arn)])[0]):
                yield arn, row

    return page(request, "Policies", policies(), lambda row: _shown(identity, row, is_listed=True))


async def delete_policy(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Delete a policy that is attached to nothing, and has one version."""
    arn = request["PolicyArn"]
    key = own_key(identity, arn)
    counters = [attachments_key(arn), boundaries_key(arn)]

    def decide(rows: Rows) -> None:
        row = read(rows, identity, arn, key)
        if any(map(rows.count, counters)):
            raise DeleteConflictException("Cannot delete a policy attached to entities.")
        if len(row["Versions"]) > 1:
            raise DeleteConflictException(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy."
            )
        entities.remove(rows, POLICY, row)

    await identity.change([key, *counters], decide)


# Versions


async def create_policy_version(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """Add a version, which may become the default."""
    arn, document, now = request["PolicyArn"], request["PolicyDocument"], identity.now
    key = own_key(identity, arn)
    loaded(identity, arn)
    _check_document(document)

    def decide(rows: Rows) -> dict[str, Any]:
        row = read(rows, identity, arn, key)
        if len(row["Versions"]) >= MOST_VERSIONS:
            raise LimitExceededException(
                f"A managed policy can have up to {MOST_VERSIONS} versions. Before you create a new version, you must "
                "delete an existing version."
            )
        version = _version(row["Latest"] + 1, document, now)
        row |= {"Versions": [*row["Versions"], version], "Latest": row["Latest"] + 1, "UpdateDate": now}
        if request.get("SetAsDefault"):
            row["Default"] = version["VersionId"]
        rows.put(key, row)
        return _shown_version(row, version, has_document=False)

    return {"PolicyVersion": await identity.change([key], decide)}


def _found(row: Row, arn: str, version_id: str) -> dict[str, Any]:
    for version in row["Versions"]:
        if version["VersionId"] == version_id:
            return dict(version)
    raise _missing_version(arn, version_id)


async def get_policy_version(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """A version, with its document."""
    row = loaded(identity, request["PolicyArn"])
    version = _found(row, request["PolicyArn"], request["VersionId"])
    return {"PolicyVersion": _shown_version(row, version, has_document=True)}


async def list_policy_versions(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """The versions of a policy, the newest first."""
    row = loaded(identity, request["PolicyArn"])
    found = [_shown_version(row, version, has_document=False) for version in reversed(row["Versions"])]
    return page(request, "Versions", [(f"{number}", one) for number, one in enumerate(found)])


async def delete_policy_version(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Delete a version that is not the default."""
    arn, version_id = request["PolicyArn"], request["VersionId"]
    key = own_key(identity, arn)

    def decide(rows: Rows) -> None:
        row = read(rows, identity, arn, key)
        _found(row, arn, version_id)
        if row["Default"] == version_id:
            raise DeleteConflictException("Cannot delete the default version of a policy.")
        rest = [version for version in row["Versions"] if version["VersionId"] != version_id]
        rows.put(key, row | {"Versions": rest})

    await identity.change([key], decide)


async def set_default_policy_version(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Make another version the one that holds."""
    arn, version_id, now = request["PolicyArn"], request["VersionId"], identity.now
    key = own_key(identity, arn)

    def decide(rows: Rows) -> None:
        row = read(rows, identity, arn, key)
        _found(row, arn, version_id)
        rows.put(key, row | {"Default": version_id, "UpdateDate": now})

    await identity.change([key], decide)
