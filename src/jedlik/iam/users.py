"""Users, and their access keys.

Sources: the API reference; "IAM and AWS STS quotas" in the user guide.
"""

from __future__ import annotations

import secrets
import string
from base64 import b32encode
from typing import Any

from jedlik.aws.context import Context
from jedlik.iam import entities
from jedlik.iam.attachments import check_attachable, set_boundary
from jedlik.iam.entities import Request
from jedlik.iam.errors import DeleteConflictException, NoSuchEntityException, ValidationError
from jedlik.iam.identity_rows import GROUP, SEALED_SECRET, USER, Row, access_key_key, boundaries_key, last_use_key
from jedlik.iam.identity_stores import AccountIdentity, Rows
from jedlik.iam.listings import page

MOST_KEYS = 2
"""Access keys of one user."""
SECRET_LENGTH = 40
_SECRET_DIGITS = string.ascii_letters + string.digits + "+/"
PERMANENT = "AKIA"
_ACCOUNT_BITS, _ID_BITS = 40, 80
ACTIVE = "Active"


async def create_user(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """Make a user."""
    unique_id, now = USER.new_id(), identity.now
    name, boundary = request["UserName"], request.get("PermissionsBoundary")
    if boundary is not None:
        check_attachable(identity, boundary)

    def decide(rows: Rows) -> Row:
        row: Row = {"Path": request.get("Path", "/"), "UserName": name, "UserId": unique_id, "CreateDate": now}
        if request.get("Tags"):
            row["Tags"] = entities.merged((), request["Tags"])
        if boundary is not None:
            set_boundary(rows, row, boundary)
        entities.create(rows, USER, row)
        return row

    row = await identity.change([USER.key(name), USER.count], decide)
    return {"User": entities.shown(identity.account, USER, row)}


def named(context: Context, request: Request) -> str:
    """The user that a request names, or the one who asks. Raises ValidationError where that is no user."""
    name: str | None = request.get("UserName")
    if name is not None:
        return name
    who = context.caller.principal.split(":", 5)[-1]
    if not who.startswith("user/"):
        raise ValidationError("Must specify userName when calling with non-User credentials")
    return who.rpartition("/")[2]


async def get_user(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """A user; by default the one who asks, who may be the account's root user."""
    if "UserName" not in request and context.caller.principal.endswith(":root"):
        root = {"UserId": identity.account, "Arn": context.caller.principal, "Path": "/", "UserName": "root"}
        return {"User": root | {"CreateDate": identity.now}}
    row = entities.loaded(identity, USER, named(context, request))
    return {"User": entities.shown(identity.account, USER, row) | _password_used(identity, row)}


def _password_used(identity: AccountIdentity, row: Row) -> dict[str, Any]:
    """When a user last signed in with a password, as it is shown; empty for never."""
    used = identity.row(last_use_key(row["UserId"]))
    return {} if used is None else {"PasswordLastUsed": used["LastUsedDate"]}


async def list_users(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """The users under a path."""
    found = entities.listed(identity, USER, request)

    def show(row: Row) -> dict[str, Any]:
        return entities.shown(identity.account, USER, row, is_listed=True) | _password_used(identity, row)

    return page(request, "Users", found, show)


async def update_user(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Give a user another name or path."""
    name = request["UserName"]
    new = request.get("NewUserName", name)

    def decide(rows: Rows) -> None:
        entities.rename(rows, USER, entities.read(rows, USER, name), new, request.get("NewPath"))

    await identity.change(list(dict.fromkeys((USER.key(name), USER.key(new)))), decide)


async def delete_user(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Delete a user who has nothing any more."""
    name = request["UserName"]

    def decide(rows: Rows) -> None:
        row = entities.read(rows, USER, name)
        if row.get("Groups"):
            raise DeleteConflictException("Cannot delete entity, must remove users from group first.")
        entities.refuse_policies(row)
        if row.get("AccessKeys"):
            raise DeleteConflictException("Cannot delete entity, must delete access keys first.")
        if row.get("LoginProfile"):
            raise DeleteConflictException("Cannot delete entity, must delete login profile first.")
        if row.get("Boundary"):
            rows.add(boundaries_key(row["Boundary"]), -1)
        rows.delete(last_use_key(row["UserId"]))
        entities.remove(rows, USER, row)

    await identity.change([USER.key(name)], decide)


# Access keys


def new_access_key(account: str, prefix: str = PERMANENT) -> str:
    """An access key id that has the account in it, as AWS's have, so that its store is found without a search.

    After the prefix come 80 bits in base32: a one, 40 bits of the account's number, and 39 that nobody can foretell.
    """
    free = _ID_BITS - 1 - _ACCOUNT_BITS
    number = (1 << _ID_BITS - 1) | int(account) << free | secrets.randbits(free)
    return prefix + b32encode(number.to_bytes(_ID_BITS // 8, "big")).decode()


def new_secret() -> str:
    """A secret access key."""
    return "".join(secrets.choice(_SECRET_DIGITS) for _ in range(SECRET_LENGTH))


async def create_access_key(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """Make an access key of a user; by default of the one who asks."""
    return {"AccessKey": await access_key_of(identity, named(context, request))}


async def access_key_of(identity: AccountIdentity, name: str) -> dict[str, Any]:
    """A new access key of a user, with its secret. Raises NoSuchEntityException and LimitExceededException."""
    access_key, secret, now = new_access_key(identity.account), new_secret(), identity.now
    key = access_key_key(access_key)
    sealed = identity.sealed(key, secret.encode(), SEALED_SECRET)

    def decide(rows: Rows) -> dict[str, Any]:
        row = entities.read(rows, USER, name)
        keys = row.get("AccessKeys", [])
        entities.check_quota("AccessKeysPerUser", MOST_KEYS, len(keys))
        assert not rows.is_there(key), "two access keys are the same"
        made = {"AccessKeyId": access_key, "Status": ACTIVE, "CreateDate": now}
        rows.put(USER.key(name), row | {"AccessKeys": [*keys, made]})
        rows.put(key, {"UserId": row["UserId"], SEALED_SECRET: sealed, "Status": ACTIVE})
        return {"UserName": row["UserName"], "SecretAccessKey": secret, **made}

    return await identity.change([USER.key(name), key], decide)


async def list_access_keys(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """The access keys of a user, without their secrets."""
    row = entities.loaded(identity, USER, named(context, request))
    found = [(one["AccessKeyId"], {"UserName": row["UserName"], **one}) for one in row.get("AccessKeys", [])]
    return page(request, "AccessKeyMetadata", sorted(found, key=lambda element: element[0]))


def _no_key(access_key: str) -> NoSuchEntityException:
    return NoSuchEntityException(f"The Access Key with id {access_key} cannot be found.")


async def update_access_key(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Make an access key active or inactive."""
    name, access_key, status = named(context, request), request["AccessKeyId"], request["Status"]
    key = access_key_key(access_key)

    def decide(rows: Rows) -> None:
        row = entities.read(rows, USER, name)
        keys = row.get("AccessKeys", [])
        found = rows.get(key)
        if found is None or all(one["AccessKeyId"] != access_key for one in keys):
            raise _no_key(access_key)
        changed = [one | {"Status": status} if one["AccessKeyId"] == access_key else one for one in keys]
        rows.put(USER.key(name), row | {"AccessKeys": changed})
        rows.put(key, found | {"Status": status})

    await identity.change([USER.key(name), key], decide)


async def delete_access_key(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Delete an access key."""
    name, access_key = named(context, request), request["AccessKeyId"]

    def decide(rows: Rows) -> None:
        row = entities.read(rows, USER, name)
        keys = row.get("AccessKeys", [])
        rest = [one for one in keys if one["AccessKeyId"] != access_key]
        if len(rest) == len(keys):
            raise _no_key(access_key)
        rows.put(USER.key(name), row | {"AccessKeys": rest})
        rows.delete(access_key_key(access_key))
        rows.delete(last_use_key(access_key))

    await identity.change([USER.key(name)], decide)


async def get_access_key_last_used(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """When and for what an access key was last used, to a minute or so."""
    access_key = request["AccessKeyId"]
    found, used = identity.get(access_key_key(access_key), last_use_key(access_key))
    user = None if found is None else entities.by_id(identity, found["UserId"])
    if user is None:
        raise _no_key(access_key)
    return {
        "UserName": user["UserName"],
        "AccessKeyLastUsed": used or {"ServiceName": "N/A", "Region": "N/A"},
    }


# Groups of a user


async def list_groups_for_user(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """The groups that a user is in."""
    row = entities.loaded(identity, USER, request["UserName"])
    groups = [group for one in row.get("Groups", []) if (group := entities.by_id(identity, one)) is not None]
    found = sorted((group["GroupName"].lower(), group) for group in groups)
    return page(request, "Groups", found, lambda group: entities.shown(identity.account, GROUP, group, is_listed=True))
