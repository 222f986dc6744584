"""Whether a caller may do what it requests. `process` provides the one that decides: here is the seam, and the default
as long as there are no users, roles and policies.

A request is allowed if all its accesses are (`access`). They are computed once, and only if the decision depends on
them; then the handler finds them in its context.
"""

from __future__ import annotations

from typing import Protocol

from jedlik.aws.access import Access
from jedlik.aws.context import Caller
from jedlik.aws.errors import AccessDeniedException


class Authorizer(Protocol):
    """Who decides."""

    def allows_everything(self, caller: Caller) -> bool:
        """Whether the caller may do everything. Asked for every request: a look-up at most."""
        ...

    async def check(self, caller: Caller, accesses: tuple[Access, ...]) -> None:
        """Raise AccessDeniedException unless all of them are allowed."""
        ...


class Everybody:
    """The authorizer if signatures are not verified: everything is allowed."""

    def allows_everything(self, caller: Caller) -> bool:
        """True."""
        return True

    async def check(self, caller: Caller, accesses: tuple[Access, ...]) -> None:
        """All of them are."""


ACCOUNT_PART = 4
"""The place of the account's number among the parts of an ARN, from 0."""


class OwnAccount:
    """A key of an account may do everything in it, and nothing in another: no resource has a policy."""

    def allows_everything(self, caller: Caller) -> bool:
        """True: requests are served in the account of their caller."""
        return True

    async def check(self, caller: Caller, accesses: tuple[Access, ...]) -> None:
        """Raise AccessDeniedException for the first access to a resource of another account."""
        for access in accesses:
            if account_of(access.resource) not in ("", caller.account):
                raise denied(caller, access, "resource-based")


def account_of(arn: str) -> str:
    """The account in an ARN; empty if it has no account, or is malformed."""
    parts = arn.split(":", 5)
    return parts[ACCOUNT_PART] if len(parts) > ACCOUNT_PART else ""


def denied(caller: Caller, access: Access, policy: str = "identity-based") -> AccessDeniedException:
    """The refusal of an access that no policy allows, in AWS's words. Across accounts, two kinds of policy must allow
    it.

    Source: "Troubleshooting access denied error messages" in the IAM user guide.
    """
    return AccessDeniedException(
        f"User: {caller.principal} is not authorized to perform: {access.action} on resource: {access.resource} "
        f"because no {policy} policy allows the {access.action} action"
    )
