"""Accesses: the permissions that a request needs, in the terms of policies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, TypeAlias


class Scope(NamedTuple):
    """The place where a request is served, as far as ARNs contain it."""

    partition: str
    """`aws`, `aws-cn`..."""
    account: str
    """Twelve digits."""
    region: str


CALLER = "caller"
"""Stands for the ARN of the one who asks, as an access's resource."""
UNSEEN = "unseen"
"""Stands for the policy of a resource that is not known yet."""


class Beginning(str):
    """The ARN of all that begin with what stands in front of the star at its end, such as the objects that a request
    reads. A statement that denies one of them denies all."""

    __slots__ = ()


class Access(NamedTuple):
    """One of them."""

    action: str
    """As policies name it: `dynamodb:GetItem`."""
    resource: str
    """An ARN; `*` if the action is on no resource."""
    context: Mapping[str, tuple[str, ...]]
    """The condition keys that are known from the request, with their values: `dynamodb:LeadingKeys`..."""
    policy: str | None = None
    """The document of the resource's own policy; None if it has none. UNSEEN if the process has not seen the resource:
    then nothing is allowed before it has been looked at (`Operation.learn`)."""


ACCOUNT_PART = 4
"""The place of the account's number among the parts of an ARN, from 0."""


def account_of(arn: str) -> str:
    """The account in an ARN; empty if it has no account, or is malformed."""
    parts = arn.split(":", 5)
    return parts[ACCOUNT_PART] if len(parts) > ACCOUNT_PART else ""


Known = Mapping[str, object]
"""Each table as the process has last seen it, by name (`Region.known`)."""
Accesses = Callable[[Scope, Mapping[str, Any], Known], tuple[Access, ...]]
"""Every access that a request needs, all of which must be allowed: a pure function of the place where it is served, of
the checked request, and of the known tables."""


class Form:
    """What the accesses of many requests have in common: each needs this one access, in which some condition keys have
    values of the request's own. What is decided of a form need not be decided for each of its requests."""

    __slots__ = ("access", "varying")

    def __init__(self, access: Access, varying: tuple[tuple[str, ...], ...]) -> None:
        self.access = access
        """Without the keys that vary."""
        self.varying = varying
        """These keys, by the place of their values in `Formed`: several may have the same."""


Formed: TypeAlias = tuple[Form, tuple[Collection[str], ...]]
"""A request's form, and the values of the keys that vary."""
Forms = Callable[[Scope, Mapping[str, Any], Known], Formed | None]
"""The form of a request, whose shape need not have been checked; None if that takes a closer look. An access with these
values is what `Accesses` would compute, but that values may repeat."""


def no_form(scope: Scope, request: Mapping[str, Any], known: Known) -> None:
    """For operations whose requests have no forms."""


def needs_nothing(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
    """For operations that every signed request may use, like sts:GetCallerIdentity."""
    return ()
