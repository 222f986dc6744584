"""Policies as values, parsed from their documents.

Source: "IAM JSON policy elements reference" and "Grammar of the IAM JSON policy language" in the IAM user guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from jedlik.aws.policies.condition_tests import Condition
from jedlik.aws.policies.wildcards import Template

ANYBODY = "*"
"""Every principal."""


class Kind(Enum):
    """What a policy is attached to, which determines the elements that it has."""

    IDENTITY = "identity"
    """To a user, a group, a role, or a session; a boundary is one, too. It has resources and no principals."""
    TRUST = "trust"
    """To a role: who may assume it. It has principals and no resources."""
    RESOURCE = "resource"
    """To a resource. It has both."""
    KEY = "key"
    """To a KMS key: as to a resource, but its Sids may have any characters."""


@dataclass(frozen=True, slots=True)
class Principals:
    """The value of Principal or NotPrincipal."""

    aws: frozenset[str] = frozenset()
    """ARNs, ids of accounts, unique ids, or `*`."""
    services: frozenset[str] = frozenset()
    federated: frozenset[str] = frozenset()
    canonical: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Statement:
    """One rule."""

    allows: bool
    """Its Effect: Allow, or Deny."""
    actions: tuple[Template, ...]
    not_actions: bool
    """Whether the actions are those of NotAction: it is about all others."""
    resources: tuple[Template, ...]
    """None in a trust policy: it is about its role."""
    not_resources: bool
    principals: Principals | None
    """None where the policy is attached to whom it is about."""
    not_principals: bool
    conditions: tuple[Condition, ...]
    """All must hold."""
    sid: str = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy, parsed."""

    statements: tuple[Statement, ...]
    has_variables: bool
    """Whether `${...}` stands for something: since version 2012-10-17."""
    kind: Kind = Kind.IDENTITY
    id: str = ""
