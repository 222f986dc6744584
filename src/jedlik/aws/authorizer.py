"""Whether a caller may do what it requests. `process` provides the one that decides: here is the seam, and `Everybody`
for a server that verifies no signatures.

A request is allowed if all its accesses are (`access`). They are computed once, and only if the decision depends on
them; then the handler finds them in its context.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from jedlik.aws.access import Access, Formed
from jedlik.aws.context import Caller, caller_of
from jedlik.aws.errors import AccessDeniedException
from jedlik.regions.region import Region
from jedlik.wire.messages import Source

if TYPE_CHECKING:
    from jedlik.aws.private_ways import PrivateWay
    from jedlik.aws.sigv4 import Signed

Owner: TypeAlias = Callable[[], Awaitable[tuple[Access, ...]]]
"""Computes the accesses to resources of another account, as its region knows them. Raises AccessDeniedException if
there is no such account."""


class Permits(Protocol):
    """What one caller may do, at any time: changes of identities hold here, too."""

    def allow(self, formed: Formed) -> bool:
        """Whether a request of a known form is allowed, as `Authorizer.allows` would find; what depends on the form
        alone has been decided before."""
        ...


class Noted(NamedTuple):
    """What a connection keeps of the caller of its last request: the next mostly has the same."""

    signed: Signed
    """The same object as long as nothing about the signer has changed."""
    caller: Caller
    permits: Permits | None
    """None if the caller may do everything."""


class Authorizer(Protocol):
    """Who decides."""

    @property
    def way(self) -> PrivateWay | None:
        """The VPC endpoint whose requests it decides; None for the ordinary port."""
        ...

    def allows_everything(self, caller: Caller) -> bool:
        """Whether the caller may do everything, now and later."""
        ...

    def allows(self, caller: Caller, accesses: tuple[Access, ...]) -> bool:
        """Whether all of them are allowed. If not, `check` raises the reason."""
        ...

    def permits(self, caller: Caller) -> Permits | None:
        """What a caller may do, to be kept as long as the caller is; None if that is everything."""
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


def noted(authorizer: Authorizer, signed: Signed, region: Region, source: Source) -> Noted:
    """Who has signed a request to a region, and what it may do. The connection keeps it."""
    caller = caller_of(signed, region, source, authorizer.way)
    found = source.note = Noted(signed, caller, authorizer.permits(caller))
    return found


class Everybody:
    """The authorizer if signatures are not verified: everything is allowed."""

    def __init__(self, way: PrivateWay | None = None) -> None:
        self.way = way

    def allows_everything(self, caller: Caller) -> bool:
        """True."""
        return True

    def allows(self, caller: Caller, accesses: tuple[Access, ...]) -> bool:
        """True."""
        return True

    def permits(self, caller: Caller) -> None:
        """Everything."""

    async def check(self, caller: Caller, accesses: tuple[Access, ...]) -> None:
        """All of them are."""

    async def check_across(self, caller: Caller, accesses: tuple[Access, ...], owner: Owner) -> None:
        """All of them are."""


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
