"""What each operation of IAM needs to be allowed: an action of its name, on the entity that it names.

An entity's ARN has its path, which only the store knows: it is looked up. One that is not there has the path that the
request gives, or none.

Source: "Actions, resources, and condition keys for AWS Identity and Access Management" in the service authorization
reference.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from jedlik.aws.access import CALLER, Access, Accesses, Known, Scope
from jedlik.aws.policies import authorization_table
from jedlik.iam.identity_rows import GROUP, PROFILE, ROLE, USER, Kind
from jedlik.iam.identity_stores import IdentityStores

_NAMED = (USER, GROUP, ROLE, PROFILE)
BOUNDARY, _POLICY = "iam:PermissionsBoundary", "iam:PolicyARN"
_WITH_BOUNDARY = frozenset({"CreateRole", "CreateUser", "PutRolePermissionsBoundary", "PutUserPermissionsBoundary"})
"""These bring a boundary; the others that have the condition key are about the one that the user or role has."""
_ON_USER_AND_GROUP = frozenset({"AddUserToGroup", "RemoveUserFromGroup"})
"""On the group alone, although they name a user."""
_MADE = frozenset({"CreateGroup", "CreateInstanceProfile", "CreateRole", "CreateUser"})
"""These make the entity that they name, with the path that they give. Others that begin so make something of one that
is there: its ARN has its own path, and its name as it was made, however the request writes it."""
_RENAMING = frozenset({"UpdateGroup", "UpdateUser"})
"""These are on the entity as it is, and on what it becomes if they give it another name or path.

Source: UpdateGroup and UpdateUser in the API reference.
"""
_ON_PROFILE = frozenset({"AddRoleToInstanceProfile", "RemoveRoleFromInstanceProfile"})
_OWN_USER = frozenset(
    {
        *(
            "ChangePassword",
            "CreateAccessKey",
            "CreateLoginProfile",
            "DeleteAccessKey",
            "DeleteLoginProfile",
            "GetUser",
        ),
        *("GetLoginProfile", "ListAccessKeys", "UpdateAccessKey"),
    }
)
"""Without a name they are about the one who asks."""


def of(operation: str, stores: IdentityStores) -> Accesses:
    """What an operation needs."""
    is_made = operation in _MADE
    about = authorization_table.action(f"iam:{operation}")
    listed = frozenset() if about is None else about.keys
    is_of_boundary = BOUNDARY in listed and operation not in _WITH_BOUNDARY

    def arn(scope: Scope, kind: Kind, name: str, request: Mapping[str, Any]) -> str:
        row = None if is_made else stores.of(scope.account).row(kind.key(name))
        return kind.arn(scope.account, row or {"Path": request.get("Path", "/"), kind.name: name})

    def renamed(scope: Scope, kind: Kind, request: Mapping[str, Any]) -> str:
        """The ARN that an entity gets by another name or path."""
        name = request[kind.name]
        row = stores.of(scope.account).row(kind.key(name)) or {"Path": "/", kind.name: name}
        path, name = request.get("NewPath", row["Path"]), request.get(f"New{kind.name}", row[kind.name])
        return kind.arn(scope.account, {"Path": path, kind.name: name})

    def boundary(scope: Scope, kind: Kind, name: str) -> dict[str, tuple[str, ...]]:
        """The boundary of the user or role that an operation changes."""
        row = stores.of(scope.account).row(kind.key(name)) if is_of_boundary else None
        return {BOUNDARY: (row["Boundary"],)} if row is not None and row.get("Boundary") else {}

    def accesses(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
        context = _context(request, listed)
        if operation == "CreatePolicy":
            path, name = request.get("Path", "/"), request["PolicyName"]
            return (Access(f"iam:{operation}", f"arn:aws:iam::{scope.account}:policy{path}{name}", context),)
        for kind in _order(operation):
            if kind.name in request:
                context = context | boundary(scope, kind, request[kind.name])
                named = [arn(scope, kind, request[kind.name], request)]
                if operation in _RENAMING:
                    named.append(renamed(scope, kind, request))
                return tuple(Access(f"iam:{operation}", one, context) for one in dict.fromkeys(named))
        if operation == "CreateOpenIDConnectProvider":
            url = request["Url"].partition("://")[2].rstrip("/")
            return (Access(f"iam:{operation}", f"arn:aws:iam::{scope.account}:oidc-provider/{url}", context),)
        if "OpenIDConnectProviderArn" in request:
            return (Access(f"iam:{operation}", request["OpenIDConnectProviderArn"], context),)
        if "PolicyArn" in request:
            return (Access(f"iam:{operation}", request["PolicyArn"], context),)
        if "PolicySourceArn" in request:
            return (Access(f"iam:{operation}", request["PolicySourceArn"], context),)
        return (Access(f"iam:{operation}", CALLER if operation in _OWN_USER else "*", context),)

    return accesses


def _order(operation: str) -> tuple[Kind, ...]:
    """The kinds of entities by which an operation's resource is looked for, first come first."""
    if operation in _ON_USER_AND_GROUP:
        return (GROUP,)
    return (PROFILE,) if operation in _ON_PROFILE else _NAMED


def _context(request: Mapping[str, Any], listed: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The condition keys in a request: the policy that is attached, the boundary, and tags; the keys that the action
    has not are left out."""
    found: dict[str, tuple[str, ...]] = {}
    if "PolicyArn" in request and _POLICY in listed:
        found[_POLICY] = (request["PolicyArn"],)
    if "PermissionsBoundary" in request and BOUNDARY in listed:
        found[BOUNDARY] = (request["PermissionsBoundary"],)
    tags = request.get("Tags", ())
    for tag in tags:
        found[f"aws:RequestTag/{tag['Key']}"] = (tag["Value"],)
    keys = tuple(tag["Key"] for tag in tags) or tuple(request.get("TagKeys", ()))
    if keys:
        found["aws:TagKeys"] = keys
    return found
