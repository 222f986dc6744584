"""Whether a caller may do what it requests. `process` provides the one that decides: here is the seam, and the default
as long as there are no users, roles and policies.

A request is allowed if all its accesses are (`access`). They are computed once, and only if the decision depends on
them; then the handler finds them in its context.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from jedlik.aws.access import Access
from jedlik.aws.context import Caller
from jedlik.aws.errors import AccessDeniedException

Owner: TypeAlias = Callable[[], Awaitable[tuple[Access, ...]]]
"""Computes the accesses to resources of another account, as its region knows them. Raises AccessDeniedException if
there is no such account."""


class Authorizer(Protocol):
    """Who decides."""

    def allows_everything(self, caller: Caller) -> bool:
        """Whether the caller may do everything. Asked for every request: a look-up at most."""
        ...

    def allows(self, caller: Caller, accesses: tuple[Access, ...]) -> bool:
        """Whether all of them are allowed. If not, `check` raises the reason."""
        ...

    async def check(self, caller: Caller, accesses: tuple[Access, ...]) -> None:
        """Raise AccessDeniedException unless all of them are allowed. Accesses to resources of another account are
        allowed here if the caller's own policies allow them; the other account is asked in `check_across`."""
        ...

    async def check_across(self, caller: Caller, accesses: tuple[Access, ...], owner: Owner) -> None:
        """Raise AccessDeniedException unless the account that has these resources allows all of the accesses, to a
        caller of another account whose own account allows them. `owner` computes them again as that account's region
        knows them, with the policies of the resources."""
        ...


class Everybody:
    """The authorizer if signatures are not verified: everything is allowed."""

    def allows_everything(self, caller: Caller) -> bool:
        """True."""
        return True

    def allows(self, caller: Caller, accesses: tuple[Access, ...]) -> bool:
        """True."""
        return True

    async def check(self, caller: Caller, accesses: tuple[Access, ...]) -> None:
        """All of them are."""

    async def check_across(self, caller: Caller, accesses: tuple[Access, ...], owner: Owner) -> None:
        """All of them are."""


class OwnAccount:
    """A key of an account may do everything in it, and nothing in another: no resource has a policy."""

    def allows_everything(self, caller: Caller) -> bool:
        """True: as far as its own account is concerned."""
        return True

    def allows(self, caller: Caller, accesses: tuple[Access, ...]) -> bool:
        """True: as far as its own account is concerned."""
        return True

    async def check(self, caller: Caller, accesses: tuple[Access, ...]) -> None:
        """All of them are."""

    async def check_across(self, caller: Caller, accesses: tuple[Access, ...], owner: Owner) -> None:
        """Raise AccessDeniedException: none of them is."""
        raise denied(caller, accesses[0], "resource-based")


def denied(caller: Caller, access: Access, policy: str = "identity-based") -> AccessDeniedException:
    """The refusal of an access that no policy allows. Across accounts, two kinds of policy must allow it."""
    return refused(caller, access, f"{policy} policy", is_explicit=False)


def refused(caller: Caller, access: Access, policy: str, *, is_explicit: bool) -> AccessDeniedException:
    """The refusal of an access that a kind of policy denies, or does not allow, in AWS's words.

    Source: "Troubleshooting access denied error messages" in the IAM user guide.
    """
    article = "an" if policy[0] in "aeiou" else "a"
    reason = (
        f"with an explicit deny in {article} {policy}"
        if is_explicit
        else f"because no {policy} allows the {access.action} action"
    )
    error = AccessDeniedException(
        f"User: {caller.principal} is not authorized to perform: {access.action} on resource: {access.resource} "
        f"{reason}"
    )
    error.action, error.resource = access.action, access.resource
    return error
