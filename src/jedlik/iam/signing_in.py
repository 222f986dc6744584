"""Signing in with a password: what it takes, and the session that it gives.

The answer and its time are the same for an account that is not there, a user that is not there, a user without a
password, and a wrong password. What is particular about a user (a password that has expired) is for those who know the
password.

Source: "How IAM users sign in to your AWS account" in the IAM user guide.
"""

from __future__ import annotations

import asyncio
import logging

from jedlik.aws.access import Access
from jedlik.aws.context import Caller
from jedlik.aws.errors import AccessDeniedException, ServiceUnavailable
from jedlik.aws.principals import USER as A_USER
from jedlik.aws.principals import Principal
from jedlik.aws.request_log import LONGEST
from jedlik.aws.sign_ins import Attempt, SignedIn, SignInRefused
from jedlik.iam import passwords
from jedlik.iam.authorizing import PolicyAuthorizer
from jedlik.iam.errors import PasswordPolicyViolationException
from jedlik.iam.identity_rows import USER, Row, last_use_key, password_key
from jedlik.iam.identity_stores import AccountIdentity, IdentityStores, Rows
from jedlik.iam.issuing import PolicySessions
from jedlik.iam.login_profiles import hashes_of, profile_of, set_password
from jedlik.iam.password_rules import rules_of
from jedlik.regions import accounts
from jedlik.regions.layout import is_account
from jedlik.storage.engine import StorageError

log = logging.getLogger(__name__)

LONGEST_NAME = 64
"""Characters of a user's name."""
USUAL_SECONDS = 43_200
"""How long a session lasts, where the login profile does not say."""
INCORRECT = "Your authentication information is incorrect. Please try again."


class PasswordSignIns:
    """`aws.sign_ins.SignIns` over the identity stores of a server."""

    def __init__(self, stores: IdentityStores, authorizer: PolicyAuthorizer, sessions: PolicySessions) -> None:
        self._stores = stores
        self._authorizer = authorizer
        self._sessions = sessions

    async def sign_in(self, attempt: Attempt) -> SignedIn:
        """Let a user in who knows the password, and change it if that is wanted."""
        account = await self._account(attempt.account)
        failed, typed = self._stores.failed_sign_ins, f"{account or attempt.account} {attempt.user}"
        wait = failed.begin(typed, attempt.address)
        if wait:
            raise _refused(
                attempt,
                "must wait",
                SignInRefused(
                    429, "TooManyFailures", f"Too many failed attempts. Try again in {wait} seconds.", seconds=wait
                ),
            )
        identity = None if account is None else self._stores.of(account)
        row = None if identity is None or len(attempt.user) > LONGEST_NAME else identity.row(USER.key(attempt.user))
        stored = None if identity is None or row is None else identity.row(password_key(row["UserId"]))
        hashed = passwords.NOBODY
        if identity is not None and row is not None and stored is not None:
            hashed = hashes_of(identity, password_key(row["UserId"]), stored)[0]
        try:
            is_right = await passwords.is_hash_of(attempt.password, hashed)
        except ServiceUnavailable:
            failed.not_made(typed, attempt.address)
            raise
        if not is_right or identity is None or row is None or stored is None:
            reason = "wrong password" if stored is not None else "no such user, or no password"
            raise _refused(attempt, reason, SignInRefused(401, "Incorrect", INCORRECT), row)
        failed.succeeded(typed, attempt.address)
        await self._change_password(identity, row, stored, attempt)
        issued = self._sessions.of_user(identity, row, profile_of(row).get("MaxSigninSessionDuration", USUAL_SECONDS))
        await _note_use(identity, row)
        _note(attempt, identity, row, issued.access_key)
        return SignedIn(identity.account, row["UserName"], issued)

    async def _account(self, typed: str) -> str | None:
        """The account that somebody means; None if no account is meant."""
        settings = self._stores.settings
        if not typed:
            return settings.account
        if is_account(typed):
            return typed
        if not accounts.is_alias(typed):
            return None
        return await asyncio.to_thread(accounts.with_alias, settings.data_dir, typed, settings.account)

    async def _change_password(self, identity: AccountIdentity, row: Row, stored: Row, attempt: Attempt) -> None:
        """Change a password that must be changed, or that the user wants to change. Raises SignInRefused."""
        rules, new = rules_of(identity), attempt.new_password
        is_expired = rules.is_expired(stored["Set"], identity.now)
        if is_expired and rules.expires_hard:
            text = "Your password has expired. Ask an administrator of the account for another."
            raise _refused(attempt, "password expired", SignInRefused(403, "PasswordExpired", text), row)
        if new is None:
            if is_expired or profile_of(row)["PasswordResetRequired"]:
                text = "You must change your password to continue."
                raise _refused(
                    attempt, "password must be changed", SignInRefused(403, "PasswordChangeRequired", text), row
                )
            return
        arn = USER.arn(identity.account, row)
        who = Principal(A_USER, arn, row["UserId"], row["UserId"])
        caller = Caller(identity.account, arn, source_address=attempt.address, who=who, tls_subject=attempt.tls_subject)
        try:
            await self._authorizer.check(caller, (Access("iam:ChangePassword", arn, {}),))
            if new == attempt.password:
                raise PasswordPolicyViolationException("The new password must be another one than the old.")
            await set_password(identity, row, new)
            _note_changed(attempt, identity, row)
        except AccessDeniedException as error:
            refusal = SignInRefused(403, "AccessDenied", error.message)
            raise _refused(attempt, "may not change the password", refusal, row) from None
        except PasswordPolicyViolationException as error:
            refusal = SignInRefused(400, "PasswordPolicyViolation", error.message)
            raise _refused(attempt, "new password not accepted", refusal, row) from None


async def _note_use(identity: AccountIdentity, row: Row) -> None:
    """Write down when the password was used."""
    key, now = last_use_key(row["UserId"]), identity.now

    def decide(rows: Rows) -> None:
        rows.put(key, {"LastUsedDate": now})

    try:
        await identity.change([key], decide, is_noticed=False)
    except StorageError as error:
        log.warning("the last use of a password was not written: %s", error)


def _note(attempt: Attempt, identity: AccountIdentity, row: Row, access_key: str) -> None:
    fields = {
        "request_id": attempt.request_id,
        "caller": USER.arn(identity.account, row),
        "action": "signin:ConsoleLogin",
        "resource": f"arn:aws:iam::{identity.account}:root",
        "issued": access_key,
        "client": attempt.address,
    }
    log.info("signed in", extra=fields)


def _note_changed(attempt: Attempt, identity: AccountIdentity, row: Row) -> None:
    fields = {
        "request_id": attempt.request_id,
        "caller": USER.arn(identity.account, row),
        "action": "iam:ChangePassword",
        "account": identity.account,
        "resource": row["UserName"],
        "client": attempt.address,
    }
    log.info("identity changed", extra=fields)


def _refused(attempt: Attempt, reason: str, refusal: SignInRefused, row: Row | None = None) -> SignInRefused:
    """Log a refusal, and return it. A name that nobody has is not logged: it may be a password in the wrong field."""
    fields = {
        "request_id": attempt.request_id,
        "account": attempt.account[:LONGEST],
        "user": "" if row is None else row["UserName"],
        "action": "signin:ConsoleLogin",
        "reason": reason,
        "client": attempt.address,
    }
    log.warning("sign-in refused", extra={name: value for name, value in fields.items() if value})
    return refusal
