"""An authorizer for tests without users and policies."""

from __future__ import annotations

from jedlik.aws.access import Access
from jedlik.aws.authorizer import Owner, denied
from jedlik.aws.context import Caller


class OwnAccount:
    """A key of an account may do everything in it, and nothing in another: no resource has a policy."""

    way = None

    def allows_everything(self, caller: Caller) -> bool:
        """True: as far as its own account is concerned."""
        return True

    def allows(self, caller: Caller, accesses: tuple[Access, ...]) -> bool:
        """True: as far as its own account is concerned."""
        return True

    def permits(self, caller: Caller) -> None:
        """Everything, as far as its own account is concerned."""

    async def check(self, caller: Caller, accesses: tuple[Access, ...]) -> None:
        """All of them are."""

    async def check_across(self, caller: Caller, accesses: tuple[Access, ...], owner: Owner) -> None:
        """Raise AccessDeniedException: none of them is."""
        raise denied(caller, accesses[0], "resource-based")
