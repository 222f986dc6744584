"""What users, groups, roles, policies and instance profiles have in common: names, tags, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from jedlik.iam.errors import (
    DeleteConflictException,
    EntityAlreadyExistsException,
    InvalidInputException,
    LimitExceededException,
    NoSuchEntityException,
)
from jedlik.iam.identity_rows import POLICY, PROFILE, ROLE, Kind, Row, id_key
from jedlik.iam.identity_stores import AccountIdentity, Rows

Request = Mapping[str, Any]

MOST_TAGS = 50
MOST_ATTACHED = 10
"""Managed policies attached to one user, group or role."""
MOST_GROUPS = 10
"""Groups of one user."""


def missing(kind: Kind, name: str) -> NoSuchEntityException:
    """There is no entity of that name."""
    return NoSuchEntityException(f"The {kind.title.lower()} with name {name} cannot be found.")


def loaded(identity: AccountIdentity, kind: Kind, name: str) -> Row:
    """The entity of a name. Raises NoSuchEntityException."""
    row = identity.row(kind.key(name))
    if row is None:
        raise missing(kind, name)
    return row


def read(rows: Rows, kind: Kind, name: str) -> Row:
    """The entity of a name, in a change that reads it. Raises NoSuchEntityException."""
    row = rows.get(kind.key(name))
    if row is None:
        raise missing(kind, name)
    return row


def by_id(identity: AccountIdentity, unique_id: str) -> Row | None:
    """The entity of a unique id; None for an unknown one."""
    key = identity.value(id_key(unique_id))
    return None if key is None else identity.row(key)


def create(rows: Rows, kind: Kind, row: Row) -> None:
    """Add an entity, in a change that has read its key and the counter of its kind.

    Raises EntityAlreadyExistsException and LimitExceededException.
    """
    name = row[kind.name]
    if rows.is_there(kind.key(name)):
        raise already_there(kind, name)
    check_quota(kind.quota, kind.most, rows.count(kind.count))
    rows.put(kind.key(name), row)
    rows.put_value(id_key(row[kind.id]), kind.key(name))
    rows.add(kind.count, 1)


def already_there(kind: Kind, name: str) -> EntityAlreadyExistsException:
    """There is an entity of that name."""
    match kind:
        case kind if kind is POLICY:
            return EntityAlreadyExistsException(
                f"A policy called {name} already exists. Duplicate names are not allowed."
            )
        case kind if kind is PROFILE:
            return EntityAlreadyExistsException(f"Instance Profile {name} already exists.")
        case _:
            return EntityAlreadyExistsException(f"{kind.title} with name {name} already exists.")


def check_quota(quota: str, most: int, count: int) -> None:
    """Raise LimitExceededException where there are as many as there may be."""
    if count >= most:
        raise LimitExceededException(f"Cannot exceed quota for {quota}: {most}")


def remove(rows: Rows, kind: Kind, row: Row) -> None:
    """Delete an entity."""
    rows.delete(kind.key(row[kind.name]))
    rows.delete(id_key(row[kind.id]))
    rows.add(kind.count, -1)


def rename(rows: Rows, kind: Kind, row: Row, name: str, path: str | None) -> None:
    """Give an entity another name and path, in a change that has read the key of the new name."""
    old = row[kind.name]
    changed = row | {kind.name: name, "Path": row["Path"] if path is None else path}
    if name.lower() != old.lower():
        if rows.is_there(kind.key(name)):
            raise already_there(kind, name)
        rows.delete(kind.key(old))
        rows.put_value(id_key(row[kind.id]), kind.key(name))
    rows.put(kind.key(name), changed)


def refuse_policies(row: Row) -> None:
    """Raise DeleteConflictException where an entity that is to be deleted has policies."""
    if row.get("Attached"):
        raise DeleteConflictException("Cannot delete entity, must detach all policies first.")
    if row.get("Inline"):
        raise DeleteConflictException("Cannot delete entity, must delete policies first.")


# Tags


def merged(tags: Iterable[Mapping[str, str]], new: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Tags with others added, whose keys are the same in any case. Raises LimitExceededException and
    InvalidInputException."""
    new = list(new)
    keys = [tag["Key"].lower() for tag in new]
    if len(set(keys)) != len(keys):
        raise InvalidInputException("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    for tag in new:
        if tag["Key"].lower().startswith("aws:"):
            raise InvalidInputException("Tag keys that begin with aws: are reserved.")
    found = [dict(tag) for tag in tags if tag["Key"].lower() not in keys]
    found += [{"Key": tag["Key"], "Value": tag["Value"]} for tag in new]
    if len(found) > MOST_TAGS:
        raise LimitExceededException("The number of tags has reached the maximum limit.")
    return found


# How they are shown


def quoted(document: str) -> str:
    """A policy document as IAM returns it: URL-encoded (RFC 3986)."""
    return quote(document, safe="-_.~")


def shown(account: str, kind: Kind, row: Row, *, is_listed: bool = False) -> dict[str, Any]:
    """An entity as IAM shows it; listings leave out tags and the boundary."""
    found: dict[str, Any] = {
        "Path": row["Path"],
        kind.name: row[kind.name],
        kind.id: row[kind.id],
        "Arn": kind.arn(account, row),
        "CreateDate": row["CreateDate"],
    }
    if kind is ROLE:
        found["AssumeRolePolicyDocument"] = quoted(row["AssumeRolePolicyDocument"])
        found["MaxSessionDuration"] = row["MaxSessionDuration"]
        found["Description"] = row.get("Description")
    if not is_listed:
        if row.get("Tags"):
            found["Tags"] = row["Tags"]
        if row.get("Boundary"):
            found["PermissionsBoundary"] = boundary(row["Boundary"])
    return found


def boundary(arn: str) -> dict[str, str]:
    """A permissions boundary as IAM shows it."""
    return {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}


def listed(identity: AccountIdentity, kind: Kind, request: Request) -> Iterable[tuple[str, Row]]:
    """The entities of a kind under the path of a listing, in order, each with its name."""
    start, end = kind.range
    prefix = request.get("PathPrefix", "/")
    for key, row in identity.all(start, end):
        if row["Path"].startswith(prefix):
            yield key[len(start) :].decode(), row


def size(document: str) -> int:
    """Characters of a policy that count against IAM's limits: all but white space."""
    return len("".join(document.split()))


def iso(seconds: float) -> str:
    """A time as policies have it, in ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
