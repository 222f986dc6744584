"""An authorizer for tests without users and policies."""

from __future__ import annotations

from jedlik.aws.access import Access
from jedlik.aws.authorizer import Everybody, Owner, denied
from jedlik.aws.context import Caller


class OwnAccount(Everybody):
    """A key of an account may do everything in it, and nothing in another: no resource has a policy."""

    async def check_across(self, caller: Caller, accesses: tuple[Access, ...], owner: Owner) -> None:
        """Raise AccessDeniedException: none of them is."""
        raise denied(caller, accesses[0], "resource-based")
