"""The account's password policy: what passwords must have, how long they are good, and who may change them.

Sources: the API reference; "Setting an account password policy for IAM users" in the user guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jedlik.aws.context import Context
from jedlik.iam.entities import Request
from jedlik.iam.errors import NoSuchEntityException, PasswordPolicyViolationException
from jedlik.iam.identity_rows import PASSWORD_POLICY, Row
from jedlik.iam.identity_stores import AccountIdentity, Rows

SYMBOLS = frozenset("!@#$%^&*()_+-=[]{}|'")
USUAL_LENGTH, LEAST_LENGTH = 8, 6
"""Characters without a policy, and with one that does not state them."""
USUAL_KINDS = 3
"""As many of the four kinds of characters are needed without a policy."""
SECONDS_OF_DAY = 86_400.0

_KINDS = (
    ("RequireUppercaseCharacters", "uppercase letter", lambda one: "A" <= one <= "Z"),
    ("RequireLowercaseCharacters", "lowercase letter", lambda one: "a" <= one <= "z"),
    ("RequireNumbers", "number", lambda one: "0" <= one <= "9"),
    ("RequireSymbols", "symbol", lambda one: one in SYMBOLS),
)
"""The kinds of characters: the member that requires one, its name in messages, and what belongs to it."""
_FLAGS = (*(member for member, *_ in _KINDS), "AllowUsersToChangePassword")
_OPTIONAL = ("MaxPasswordAge", "PasswordReusePrevention", "HardExpiry")


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """The rules of an account. Without a policy they are AWS's usual ones."""

    row: Row | None

    @property
    def may_be_changed(self) -> bool:
        """Whether users may change their passwords without a policy of their own that allows it."""
        return self.row is not None and bool(self.row["AllowUsersToChangePassword"])

    @property
    def former(self) -> int:
        """How many of a user's last passwords may not be used again."""
        return 0 if self.row is None else int(self.row.get("PasswordReusePrevention", 0))

    def is_expired(self, since: float, now: float) -> bool:
        """Whether a password that was set at `since` must be changed."""
        days = None if self.row is None else self.row.get("MaxPasswordAge")
        return days is not None and now >= since + days * SECONDS_OF_DAY

    @property
    def expires_hard(self) -> bool:
        """Whether only an administrator can help a user whose password has expired."""
        return self.row is not None and bool(self.row.get("HardExpiry"))

    def check(self, password: str) -> None:
        """Raise PasswordPolicyViolationException for a password that breaks the rules."""
        least = USUAL_LENGTH if self.row is None else self.row["MinimumPasswordLength"]
        if len(password) < least:
            raise PasswordPolicyViolationException(f"Password should have a minimum length of {least}")
        lacking = [
            (member, f"Password should have at least one {name}")
            for member, name, belongs in _KINDS
            if not any(map(belongs, password))
        ]
        if self.row is None:
            more = len(lacking) - (len(_KINDS) - USUAL_KINDS)
            if more > 0:
                texts = ", ".join(text for _, text in lacking)
                raise PasswordPolicyViolationException(
                    f"Password should meet {more} more of the following requirements: {texts}"
                )
            return
        required = [text for member, text in lacking if self.row[member]]
        if required:
            raise PasswordPolicyViolationException(", ".join(required))


def rules_of(identity: AccountIdentity) -> PasswordRules:
    """The rules of an account."""
    return PasswordRules(identity.row(PASSWORD_POLICY))


def _missing(identity: AccountIdentity) -> NoSuchEntityException:
    return NoSuchEntityException(f"The Password Policy with domain name {identity.account} cannot be found.")


async def get_account_password_policy(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """The account's password policy, if it has one."""
    row = identity.row(PASSWORD_POLICY)
    if row is None:
        raise _missing(identity)
    return {"PasswordPolicy": row | {"ExpirePasswords": "MaxPasswordAge" in row}}


async def update_account_password_policy(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Set the account's password policy. What the request leaves out gets its usual value."""
    row: Row = {"MinimumPasswordLength": request.get("MinimumPasswordLength", LEAST_LENGTH)}
    row |= {member: bool(request.get(member)) for member in _FLAGS}
    row |= {member: request[member] for member in _OPTIONAL if member in request}

    def decide(rows: Rows) -> None:
        rows.put(PASSWORD_POLICY, row)

    await identity.change([PASSWORD_POLICY], decide)


async def delete_account_password_policy(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Delete the account's password policy: AWS's usual rules hold again."""

    def decide(rows: Rows) -> None:
        if not rows.is_there(PASSWORD_POLICY):
            raise _missing(identity)
        rows.delete(PASSWORD_POLICY)

    await identity.change([PASSWORD_POLICY], decide)
