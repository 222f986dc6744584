"""What each operation of IAM needs to be allowed: an action of its name, on the entity that it names.

An entity's ARN has its path, which only the store knows: it is looked up. One that is not there has the path that the
request gives, or none.

Source: "Actions, resources, and condition keys for AWS Identity and Access Management" in the service authorization
reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from jedlik.aws.access import Access, Accesses, Known, Scope
from jedlik.iam.identity_rows import GROUP, PROFILE, ROLE, USER, Kind
from jedlik.iam.identity_stores import IdentityStores

_NAMED = (USER, GROUP, ROLE, PROFILE)
_NONE: Mapping[str, tuple[str, ...]] = MappingProxyType({})
_ON_USER_AND_GROUP = frozenset({"AddUserToGroup", "RemoveUserFromGroup"})
"""On the group alone, although they name a user."""
_ON_PROFILE = frozenset({"AddRoleToInstanceProfile", "RemoveRoleFromInstanceProfile"})
_OWN_USER = frozenset(
    {"CreateAccessKey", "DeleteAccessKey", "GetUser", "ListAccessKeys", "UpdateAccessKey", "GetAccessKeyLastUsed"}
)
"""Without a name they are about the one who asks."""

CallerName = Callable[[], str | None]


def of(operation: str, stores: IdentityStores) -> Accesses:
    """What an operation needs."""
    is_made = operation.startswith("Create")

    def arn(scope: Scope, kind: Kind, name: str, request: Mapping[str, Any]) -> str:
        row = None if is_made else stores.of(scope.account).row(kind.key(name))
        return kind.arn(scope.account, row or {"Path": request.get("Path", "/"), kind.name: name})

    def accesses(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
        context = _context(request)
        if operation == "CreatePolicy":
            path, name = request.get("Path", "/"), request["PolicyName"]
            return (Access(f"iam:{operation}", f"arn:aws:iam::{scope.account}:policy{path}{name}", context),)
        for kind in _order(operation):
            if kind.name in request:
                return (Access(f"iam:{operation}", arn(scope, kind, request[kind.name], request), context),)
        if "PolicyArn" in request:
            return (Access(f"iam:{operation}", request["PolicyArn"], context),)
        if "PolicySourceArn" in request:
            return (Access(f"iam:{operation}", request["PolicySourceArn"], context),)
        return (Access(f"iam:{operation}", "*", context),)

    return accesses


def _order(operation: str) -> tuple[Kind, ...]:
    """The kinds of entities by which an operation's resource is looked for, first come first."""
    if operation in _ON_USER_AND_GROUP:
        return (GROUP,)
    return (PROFILE,) if operation in _ON_PROFILE else _NAMED


def _context(request: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    """The condition keys in a request: the policy that is attached, the boundary, and tags."""
    found: dict[str, tuple[str, ...]] = {}
    if "PolicyArn" in request:
        found["iam:PolicyARN"] = (request["PolicyArn"],)
    if "PermissionsBoundary" in request:
        found["iam:PermissionsBoundary"] = (request["PermissionsBoundary"],)
    tags = request.get("Tags", ())
    for tag in tags:
        found[f"aws:RequestTag/{tag['Key']}"] = (tag["Value"],)
    keys = tuple(tag["Key"] for tag in tags) or tuple(request.get("TagKeys", ()))
    if keys:
        found["aws:TagKeys"] = keys
    return found or _NONE
