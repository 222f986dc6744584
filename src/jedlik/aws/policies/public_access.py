"""What a policy of a resource may be: not public, and not one that locks out who puts it.

A statement that allows something to anybody is public, unless a condition holds it to somebody: to principals, accounts
or addresses that are named without a wildcard that stands for all.

Source: "Blocking public access with resource-based policies" in the developer guide of DynamoDB.
"""

from __future__ import annotations

from jedlik.aws.policies.condition_tests import ALL, Condition
from jedlik.aws.policies.evaluation import Identity, decide
from jedlik.aws.policies.policy_documents import ANYBODY, Policy, Statement

_TRUSTED = frozenset(
    (
        *("aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:userid"),
        *("aws:sourceaccount", "aws:sourcearn", "aws:sourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceorgid"),
    )
)
_NARROWING = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress"})
_EVERYWHERE = ("0.0.0.0/", "::/")


def is_public(policy: Policy) -> bool:
    """Whether a policy allows anything to anybody."""
    return any(statement.allows and _is_for_anybody(statement) for statement in policy.statements)


def _is_for_anybody(statement: Statement) -> bool:
    listed = statement.principals
    if listed is None or not (statement.not_principals or ANYBODY in listed.aws):
        return False
    return not any(_narrows(condition) for condition in statement.conditions)


def _narrows(condition: Condition) -> bool:
    """Whether a condition holds only for some callers."""
    if condition.key not in _TRUSTED or condition.operator not in _NARROWING:
        return False
    if condition.if_exists or condition.quantifier == ALL:
        return False
    return all(_is_somebody(value.text) for value in condition.values)


def _is_somebody(value: str) -> bool:
    return (
        bool(value.strip("*?:"))
        and "*" not in value.split("/")[0]
        and not value.startswith(_EVERYWHERE)
        and "$" not in value
    )


def locks_out(policy: Policy, identity: Identity, action: str, resource: str) -> bool:
    """Whether a policy denies an identity an action on its resource, without regard to conditions on the moment."""
    return decide(identity, action, resource, {}, policy).denied
