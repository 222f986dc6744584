"""Login profiles: the passwords with which users sign in to the console.

What people see of a profile is in the user's row. The hash of the password, and former hashes, are in a row of their
own, sealed under the root key.
A hash takes long, so it is computed before the change, which then makes sure that nobody else has been faster.

Sources: the API reference; "Managing passwords for IAM users" in the user guide.
"""

from __future__ import annotations

from typing import Any

import orjson

from jedlik.aws.context import Context
from jedlik.aws.errors import ThrottlingException
from jedlik.aws.principals import USER as A_USER
from jedlik.iam import entities, passwords
from jedlik.iam.entities import Request
from jedlik.iam.errors import (
    AccessDenied,
    EntityAlreadyExistsException,
    EntityTemporarilyUnmodifiableException,
    InvalidInputException,
    InvalidUserTypeException,
    NoSuchEntityException,
    PasswordPolicyViolationException,
    ValidationError,
)
from jedlik.iam.identity_rows import USER, Row, password_key
from jedlik.iam.identity_stores import AccountIdentity, Rows
from jedlik.iam.password_rules import rules_of
from jedlik.iam.users import named

MOST_FORMER = 24
"""Former passwords that are kept, so that a policy can forbid them."""

_SHOWN = ("CreateDate", "PasswordResetRequired", "MaxSigninSessionDuration")


def _shown(row: Row) -> dict[str, Any]:
    profile = row["LoginProfile"]
    return {"UserName": row["UserName"], **{name: profile[name] for name in _SHOWN if name in profile}}


def _missing(name: str) -> NoSuchEntityException:
    return NoSuchEntityException(f"Login Profile for User {name} cannot be found.")


def profile_of(row: Row) -> Row:
    """A user's login profile. Raises NoSuchEntityException."""
    profile: Row | None = row.get("LoginProfile")
    if profile is None:
        raise _missing(row["UserName"])
    return profile


def _sealed(identity: AccountIdentity, key: bytes, hashes: list[str]) -> str:
    """Hashes as the row under `key` keeps them."""
    return identity.sealed(key, orjson.dumps(hashes), "Hashes")


def hashes_of(identity: AccountIdentity, key: bytes, stored: Row) -> list[str]:
    """The hashes in the row under `key`: of the password, and then of the former ones. Raises Unsealable."""
    found: list[str] = orjson.loads(identity.unsealed(key, stored["Hashes"], "Hashes"))
    return found


async def create_login_profile(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """Give a user a password."""
    name = named(context, request)
    if "Password" not in request:
        raise ValidationError("Password is required unless the caller is a session for root tasks")
    row = entities.loaded(identity, USER, name)
    if "LoginProfile" in row:
        raise _already_there(row["UserName"])
    rules_of(identity).check(request["Password"])
    key, now = password_key(row["UserId"]), identity.now
    sealed = _sealed(identity, key, [await passwords.hashed(request["Password"])])

    def decide(rows: Rows) -> Row:
        current = _same(entities.read(rows, USER, name), row)
        if "LoginProfile" in current:
            raise _already_there(current["UserName"])
        profile = {"CreateDate": now, "PasswordResetRequired": bool(request.get("PasswordResetRequired"))}
        if "MaxSigninSessionDuration" in request:
            profile["MaxSigninSessionDuration"] = request["MaxSigninSessionDuration"]
        made = current | {"LoginProfile": profile}
        rows.put(USER.key(name), made)
        rows.put(key, {"Hashes": sealed, "Set": now})
        return made

    return {"LoginProfile": _shown(await identity.change([USER.key(name)], decide))}


def _already_there(name: str) -> EntityAlreadyExistsException:
    return EntityAlreadyExistsException(f"Login Profile for user {name} already exists.")


def _same(current: Row, seen: Row) -> Row:
    """A user as it is, if it is still the one that was seen."""
    if current["UserId"] != seen["UserId"]:
        raise EntityTemporarilyUnmodifiableException(
            f"The user with name {current['UserName']} is being changed by somebody else; try again"
        )
    return current


async def get_login_profile(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """A user's login profile, without the password."""
    row = entities.loaded(identity, USER, named(context, request))
    profile_of(row)
    return {"LoginProfile": _shown(row)}


async def update_login_profile(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Give a user another password, or have the user choose one at the next sign-in."""
    if "MaxSigninSessionDuration" in request and request.get("ResetMaxSigninSessionDuration"):
        raise InvalidInputException(
            "MaxSigninSessionDuration and ResetMaxSigninSessionDuration cannot be in the same request."
        )
    row = entities.loaded(identity, USER, request["UserName"])
    profile_of(row)
    changes = {name: request[name] for name in _SHOWN[1:] if name in request}
    await _change(identity, row, request.get("Password"), changes, bool(request.get("ResetMaxSigninSessionDuration")))


async def set_password(identity: AccountIdentity, row: Row, password: str) -> None:
    """Give a user the password that the user has chosen. Raises PasswordPolicyViolationException."""
    await _change(identity, row, password, {"PasswordResetRequired": False})


async def _change(
    identity: AccountIdentity, row: Row, password: str | None, changes: Row, resets_duration: bool = False
) -> None:
    name, key = row["UserName"], password_key(row["UserId"])
    stored = identity.row(key)
    sealed, now = "", identity.now
    if password is not None:
        rules = rules_of(identity)
        rules.check(password)
        assert stored is not None, "a login profile has a password"
        hashes = hashes_of(identity, key, stored)
        last = hashes[: rules.former]
        if last and await passwords.is_hash_of(password, *last):
            raise PasswordPolicyViolationException("Password does not conform to the account password policy: reused")
        sealed = _sealed(identity, key, [await passwords.hashed(password), *hashes][: MOST_FORMER + 1])

    def decide(rows: Rows) -> None:
        current = _same(entities.read(rows, USER, name), row)
        profile = profile_of(current) | changes
        if resets_duration:
            profile.pop("MaxSigninSessionDuration", None)
        rows.put(USER.key(name), current | {"LoginProfile": profile})
        if sealed:
            if rows.get(key) != stored:
                raise EntityTemporarilyUnmodifiableException(
                    f"The password of the user {name} is being changed by somebody else; try again"
                )
            rows.put(key, {"Hashes": sealed, "Set": now})

    await identity.change([USER.key(name), key], decide)


async def delete_login_profile(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Take a user's password away. Sessions that have begun go on."""
    name = named(context, request)

    def decide(rows: Rows) -> None:
        row = entities.read(rows, USER, name)
        profile_of(row)
        rows.put(USER.key(name), {member: value for member, value in row.items() if member != "LoginProfile"})
        rows.delete(password_key(row["UserId"]))

    await identity.change([USER.key(name)], decide)


async def change_password(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Change the password of the one who asks, who knows the old one."""
    who = context.caller.who
    if who is None or who.kind != A_USER or not who.subject:
        raise InvalidUserTypeException("Only IAM Users can change their own password.")
    row = entities.by_id(identity, who.subject)
    if row is None:
        raise NoSuchEntityException(f"The user with name {who.arn.rpartition('/')[2]} cannot be found.")
    profile_of(row)
    key = password_key(who.subject)
    stored = identity.row(key)
    typed, address = f"{identity.account} {row['UserName']}", context.caller.source_address
    wait = identity.failed_sign_ins.begin(typed, address)
    if wait:
        raise ThrottlingException(f"Too many wrong passwords; try again in {wait} seconds")
    if stored is None or not await passwords.is_hash_of(request["OldPassword"], hashes_of(identity, key, stored)[0]):
        raise AccessDenied("The old password was incorrect.")
    identity.failed_sign_ins.succeeded(typed, address)
    await set_password(identity, row, request["NewPassword"])
