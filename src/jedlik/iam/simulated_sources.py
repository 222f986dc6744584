"""The policies of a user, group or role that a simulation begins with: each with the name that its answers give it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from jedlik.aws.policies.policy_documents import Kind as PolicyKind
from jedlik.aws.policies.policy_parser import MalformedPolicy, parsed
from jedlik.aws.policies.simulation import Sourced
from jedlik.aws.policies.wildcards import arn_matcher
from jedlik.iam import aws_policies, entities
from jedlik.iam.attachments import document_of, policy_row
from jedlik.iam.errors import InvalidInputException, NoSuchEntityException
from jedlik.iam.identity_rows import GROUP, ROLE, USER, Kind, Row
from jedlik.iam.identity_stores import AccountIdentity
from jedlik.iam.policy_checks import stored_policy

_KINDS = {kind.arn_type: kind for kind in (USER, GROUP, ROLE)}
_is_policy_pattern = re.compile(r"arn:[a-z-]+:iam::(?:[0-9]{12}|aws):policy/[^:]+", re.ASCII).fullmatch
MOST_DOCUMENTS = 100
"""Policies that a request may bring."""


class Entity(NamedTuple):
    """A user, group or role."""

    kind: Kind
    row: Row


class Held(NamedTuple):
    """A policy that an entity has."""

    type: str
    """As PolicyExclusionList calls the types: `inline`, `aws-managed`, `user-managed`."""
    arn: str
    """Empty for an inline policy."""
    inline: tuple[str, str, str]
    """The type and the name of its entity, and its own name; empty texts for a managed policy."""
    sourced: Sourced


def entity_parts(arn: str) -> tuple[Kind, str, str]:
    """The kind, the account and the name in the ARN of a user, group or role. Raises InvalidInputException."""
    parts = arn.split(":", 5)
    if len(parts) == 6 and parts[0] == "arn" and parts[2] == "iam" and parts[4].isdecimal():
        kind_name, _, path = parts[5].partition("/")
        name = path.rpartition("/")[2]
        if kind_name in _KINDS and name:
            return _KINDS[kind_name], parts[4], name
    raise InvalidInputException(f"Invalid Entity Arn: {arn} does not clearly define entity type and name.")


def entity(identity: AccountIdentity, arn: str) -> Entity:
    """The user, group or role of an ARN. Raises InvalidInputException and NoSuchEntityException."""
    kind, account, name = entity_parts(arn)
    row = identity.row(kind.key(name)) if account == identity.account else None
    if row is None or kind.arn(account, row) != arn:
        raise NoSuchEntityException(f"The {kind.title.lower()} with name {name} cannot be found.")
    return Entity(kind, row)


def held(identity: AccountIdentity, of: Entity) -> Iterator[Held]:
    """The policies of an entity, and those of a user's groups."""
    yield from _own(identity, of)
    for group_id in of.row.get("Groups", ()):
        group = entities.by_id(identity, group_id)
        if group is not None:
            yield from _own(identity, Entity(GROUP, group))


def _own(identity: AccountIdentity, of: Entity) -> Iterator[Held]:
    kind, name = of.kind.arn_type, of.row[of.kind.name]
    for policy_name, document in of.row.get("Inline", {}).items():
        source = Sourced(f"{kind}_{name}_{policy_name}", document, stored_policy(document))
        yield Held("inline", "", (kind, name, policy_name), source)
    for arn in of.row.get("Attached", ()):
        found = managed(identity, arn)
        if found is not None:
            is_aws = arn.startswith(aws_policies.PREFIX)
            yield Held("aws-managed" if is_aws else "user-managed", arn, ("", "", ""), found)


def managed(identity: AccountIdentity, arn: str) -> Sourced | None:
    """A managed policy, under its name."""
    row = policy_row(identity, arn)
    if row is None:
        return None
    document = document_of(row)
    return Sourced(row["PolicyName"], document, stored_policy(document))


def given(member: str, documents: Iterable[str], kind: PolicyKind = PolicyKind.IDENTITY) -> tuple[Sourced, ...]:
    """The policies that a request brings in a member. Raises InvalidInputException."""
    found: list[Sourced] = []
    for number, document in enumerate(documents, 1):
        if number > MOST_DOCUMENTS:
            raise InvalidInputException(f"{member} cannot have more than {MOST_DOCUMENTS} policies.")
        try:
            policy = parsed(document, kind)
        except MalformedPolicy as error:
            raise InvalidInputException(str(error)) from None
        found.append(Sourced(f"{member}.{number}", document, policy))
    return tuple(found)


class Exclusions:
    """What PolicyExclusionList leaves out."""

    def __init__(self, listed: Iterable[dict[str, Any]]) -> None:
        """Raises InvalidInputException."""
        self._types: set[str] = set()
        self._arns: list[str] = []
        self._inline: set[tuple[str, str, str]] = set()
        for one in listed:
            if len(one) != 1:
                raise InvalidInputException("A PolicyIdentifier must have exactly one member.")
            if "PolicyType" in one:
                self._types.add(one["PolicyType"])
            elif "PolicyArn" in one:
                if not _is_policy_pattern(one["PolicyArn"]):
                    raise InvalidInputException(f"The policy identifier {one['PolicyArn']} is not valid.")
                self._arns.append(one["PolicyArn"])
            else:
                inline = one["InlinePolicyIdentifier"]
                self._inline.add((inline["AttachmentType"], inline["AttachmentName"], inline["PolicyName"]))

    def has(self, one: Held) -> bool:
        """Whether a policy is left out."""
        return one.type in self._types or one.inline in self._inline or self._has_arn(one.arn)

    def has_boundary(self, arn: str) -> bool:
        """Whether a boundary is left out."""
        return "permission-boundary" in self._types or self._has_arn(arn)

    def _has_arn(self, arn: str) -> bool:
        return any(arn_matcher(pattern)(arn) for pattern in self._arns)
