"""What policies would decide: the decisions of requests that nobody makes, with the statements that determine them.

The decision is that of `evaluation`, of the same policies. Beside it stand the statements, each by its policy and its
place in the text, and what each kind of policy decides by itself. Pure functions.

Source: SimulateCustomPolicy and SimulatePrincipalPolicy in the API reference of IAM.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

from jedlik.aws.policies.document_texts import Span, context_keys, spans
from jedlik.aws.policies.evaluation import Decision, Identity, applying, finish, prepare
from jedlik.aws.policies.policy_documents import Policy

IDENTITY_POLICY, RESOURCE_POLICY = "IAM Policy", "Resource Policy"
"""The kinds of policies, as the simulator's answers have them."""


class Verdict(Enum):
    """What is decided, from the least restrictive."""

    ALLOWED = "allowed"
    IMPLICIT_DENY = "implicitDeny"
    EXPLICIT_DENY = "explicitDeny"

    @classmethod
    def of(cls, decision: Decision) -> Verdict:
        """The verdict that a decision is."""
        if decision.allowed:
            return cls.ALLOWED
        return cls.EXPLICIT_DENY if decision.denied else cls.IMPLICIT_DENY


def most_restrictive(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict over several resources."""
    order = list(Verdict)
    return max(verdicts, key=order.index)


@dataclass(frozen=True, slots=True)
class Sourced:
    """A policy, with the name of its source and its text."""

    source: str
    document: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class Matched:
    """A statement that determines a decision."""

    source: str
    kind: str
    span: Span


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is decided of an action on a resource."""

    verdict: Verdict
    matched: tuple[Matched, ...]
    allowed_by_boundary: bool | None
    """None if there is no boundary."""
    allowed_by_organization: bool | None
    """None if there are no service control policies."""
    by_kind: dict[str, Verdict] | None
    """What each kind of policy decides, for a resource of another account; None if service control policies refuse."""


@dataclass(frozen=True)
class Simulation:
    """Who asks, under which policies."""

    identity: Identity
    """Its own policies are not looked at, but `policies`."""
    policies: tuple[Sourced, ...]
    boundary: Sourced | None = None
    resource_policy: Sourced | None = None
    owner: str | None = None
    """The account of resources whose ARNs have none, and of the resource policy."""
    controls: tuple[tuple[Sourced, ...], ...] = field(default=())
    """Service control policies, of each level of an organization."""

    @cached_property
    def _asking(self) -> Identity:
        return replace(
            self.identity,
            policies=tuple(one.policy for one in self.policies),
            boundary=None if self.boundary is None else self.boundary.policy,
        )

    def missing(self) -> tuple[str, ...]:
        """The condition keys that the policies use and that have no value."""
        documents = [one.document for one in self.policies]
        if self.resource_policy is not None:
            documents.append(self.resource_policy.document)
        return tuple(key for key in context_keys(*documents) if key.lower() not in self.identity.values)

    def owner_of(self, resource: str) -> str:
        """The account that a resource belongs to."""
        parts = resource.split(":", 5)
        named = parts[4] if len(parts) > 4 else ""
        return named or self.owner or self.identity.account

    def outcome(self, action: str, resource: str) -> Outcome:
        """What is decided of an action on a resource, or on `*`."""
        asking, owner = self._asking, self.owner_of(resource)
        of_resource = None if self.resource_policy is None else self.resource_policy.policy
        decision = finish(prepare(asking, action, resource, of_resource, owner=owner), {})
        in_organization = [self._alone([one.policy for one in level], action, resource) for level in self.controls]
        refused = [verdict for verdict in in_organization if verdict is not Verdict.ALLOWED]
        if refused:
            verdict = most_restrictive(refused)
            return Outcome(verdict, (), self._by_boundary(action, resource), False, None)
        verdict = Verdict.of(decision)
        return Outcome(
            verdict,
            tuple(self._matched(action, resource, verdict)),
            self._by_boundary(action, resource),
            True if self.controls else None,
            self._by_kind(action, resource) if owner != asking.account else {},
        )

    def _alone(self, policies: Sequence[Policy], action: str, resource: str) -> Verdict:
        """What policies decide if they are all that there are."""
        alone = replace(self.identity, policies=tuple(policies), boundary=None, session=None)
        return Verdict.of(finish(prepare(alone, action, resource, owner=alone.account), {}))

    def _by_boundary(self, action: str, resource: str) -> bool | None:
        if self.boundary is None:
            return None
        return self._alone([self.boundary.policy], action, resource) is Verdict.ALLOWED

    def _by_kind(self, action: str, resource: str) -> dict[str, Verdict]:
        found = {IDENTITY_POLICY: self._alone([one.policy for one in self.policies], action, resource)}
        if self.resource_policy is None:
            return found | {RESOURCE_POLICY: Verdict.IMPLICIT_DENY}
        policy = self.resource_policy.policy
        denies, allows = (
            applying(policy, self._asking, action, resource, {}, allows=allows) for allows in (False, True)
        )
        verdict = Verdict.ALLOWED if allows else Verdict.IMPLICIT_DENY
        return found | {RESOURCE_POLICY: Verdict.EXPLICIT_DENY if denies else verdict}

    def _matched(self, action: str, resource: str, verdict: Verdict) -> Iterable[Matched]:
        if verdict is Verdict.IMPLICIT_DENY:
            return
        listed = [(one, IDENTITY_POLICY) for one in self.policies]
        if self.resource_policy is not None:
            listed.append((self.resource_policy, RESOURCE_POLICY))
        for one, kind in listed:
            places = applying(one.policy, self._asking, action, resource, {}, allows=verdict is Verdict.ALLOWED)
            found = spans(one.document) if places else ()
            for place in places:
                yield Matched(one.source, kind, found[place])
