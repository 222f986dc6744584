"""Accesses: what a request needs to be allowed, as policies speak of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Scope(NamedTuple):
    """Where a request is served, as far as ARNs say so."""

    partition: str
    """`aws`, `aws-cn`..."""
    account: str
    """Twelve digits."""
    region: str


class Access(NamedTuple):
    """One of them."""

    action: str
    """As policies name it: `dynamodb:GetItem`."""
    resource: str
    """An ARN; `*` where the action is on no resource."""
    context: Mapping[str, tuple[str, ...]]
    """The condition keys that are known from the request, with their values: `dynamodb:LeadingKeys`..."""


Known = Mapping[str, object]
"""What the process has last seen of each table, by name (`Region.known`)."""
Accesses = Callable[[Scope, Mapping[str, Any], Known], tuple[Access, ...]]
"""Every access that a request needs, all of which must be allowed: a pure function of where it is served, of the
checked request, and of what is known of tables."""


def needs_nothing(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
    """For what everybody may do who has signed a request, like sts:GetCallerIdentity."""
    return ()
