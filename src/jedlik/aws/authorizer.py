"""Whether a caller may do what it asks for. Who decides is put in by `process`: here is the seam, and what there is
while there are no users, roles and policies.

A request is allowed when all its accesses are (`access`). They are worked out once, and only for a caller of whom it
depends on them; then the handler finds them in its context.
"""

from __future__ import annotations

from typing import Protocol

from jedlik.aws.access import Access
from jedlik.aws.context import Caller
from jedlik.aws.errors import AccessDeniedException


class Authorizer(Protocol):
    """Who decides."""

    def allows_everything(self, caller: Caller) -> bool:
        """Whether it need not be looked at what the caller asks for. Asked for every request: a look-up at most."""
        ...

    async def check(self, caller: Caller, accesses: tuple[Access, ...]) -> None:
        """Raise AccessDeniedException unless all of them are allowed."""
        ...


class Everybody:
    """Where nothing is verified: everybody may do everything."""

    def allows_everything(self, caller: Caller) -> bool:
        """True."""
        return True

    async def check(self, caller: Caller, accesses: tuple[Access, ...]) -> None:
        """All of them are."""


ACCOUNT_PART = 4
"""The number of the account among the parts of an ARN, from 0."""


class OwnAccount:
    """A key of an account may do everything in it, and nothing in another: no resource has a policy."""

    def allows_everything(self, caller: Caller) -> bool:
        """True: it is in the caller's account that a request is served."""
        return True

    async def check(self, caller: Caller, accesses: tuple[Access, ...]) -> None:
        """Raise AccessDeniedException for the first that is on a resource of another account."""
        for access in accesses:
            if account_of(access.resource) not in ("", caller.account):
                raise denied(caller, access, "resource-based")


def account_of(arn: str) -> str:
    """The account in an ARN; empty where it has no account, or is no ARN."""
    parts = arn.split(":", 5)
    return parts[ACCOUNT_PART] if len(parts) > ACCOUNT_PART else ""


def denied(caller: Caller, access: Access, policy: str = "identity-based") -> AccessDeniedException:
    """The refusal of an access that no such policy allows, in AWS's words. Across accounts, it takes both kinds.

    Source: "Troubleshooting access denied error messages" in the IAM user guide.
    """
    return AccessDeniedException(
        f"User: {caller.principal} is not authorized to perform: {access.action} on resource: {access.resource} "
        f"because no {policy} policy allows the {access.action} action"
    )
