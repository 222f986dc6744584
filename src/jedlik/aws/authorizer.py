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


class OwnAccount:
    """Whoever has a key of the account may do everything in it, and nobody else anything that has to be allowed."""

    def __init__(self, account: str) -> None:
        self._account = account

    def allows_everything(self, caller: Caller) -> bool:
        """Whether the caller is of the account."""
        return caller.account == self._account

    async def check(self, caller: Caller, accesses: tuple[Access, ...]) -> None:
        """Raise AccessDeniedException for the first."""
        if accesses and not self.allows_everything(caller):
            raise denied(caller, accesses[0])


def denied(caller: Caller, access: Access) -> AccessDeniedException:
    """The refusal of an access that nothing allows, in AWS's words.

    Source: "Troubleshooting access denied error messages" in the IAM user guide.
    """
    return AccessDeniedException(
        f"User: {caller.principal} is not authorized to perform: {access.action} on resource: {access.resource} "
        f"because no identity-based policy allows the {access.action} action"
    )
