"""Accesses of the commonest requests, without a walk through what they do not have.

A GetItem that has a table's name and a key, and nothing but ConsistentRead besides, has the same access as the last one
of that table, but for the values of the partition key. So all else is kept, for each table and each list of key
attributes. The result is what `accesses` would compute; a test compares them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jedlik.aws.access import Access, Known, Scope
from jedlik.dynamodb import access_conditions
from jedlik.dynamodb.access_conditions import PARTITION_KEYS

MOST_PLANS = 1024
LONGEST_NAME = 255
"""Characters of a table's name; clients can send others, which are not kept."""
_LEADING, _FIRST = PARTITION_KEYS[0]

_access = tuple.__new__
"""Makes an Access in half of the time that its class takes."""

Compute = Callable[[Scope, Mapping[str, Any], Known], tuple[Access, ...]]


class _Plan(NamedTuple):
    scope: Scope
    table: object
    """As it was seen when the plan was made."""
    partition: str
    """The attribute of the partition key."""
    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]]
    policy: str | None


def plain_gets(compute: Compute) -> Compute:
    """Computes the accesses of GetItem: by plans where it can, else by `compute`."""
    plans: dict[tuple[object, ...], _Plan] = {}

    def accesses(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
        if len(request) - ("ConsistentRead" in request) != 2:  # The table's name and the key: both are required.
            return compute(scope, request, known)
        table, key = request["TableName"], request["Key"]
        plan = plans.get((table, *key))
        if plan is None:
            return planned(scope, request, known)
        planned_scope, seen, partition, action, resource, context, policy = plan
        if seen is not known.get(table) or planned_scope != scope:
            return planned(scope, request, known)
        value = key[partition]
        text = value.get("S")
        if type(text) is not str or len(value) != 1:
            return compute(scope, request, known)
        values = (text,)
        return (_access(Access, (action, resource, {**context, _LEADING: values, _FIRST: values}, policy)),)

    def planned(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
        """The accesses, and a plan for requests like this one if the partition key is one attribute."""
        computed = compute(scope, request, known)
        table, key = request["TableName"], request["Key"]
        seen = known.get(table)
        partition = access_conditions.partition_key(seen)
        [access] = computed
        if partition is not None and len(partition) == 1 and partition[0] in key and len(table) <= LONGEST_NAME:
            if len(plans) >= MOST_PLANS:
                plans.clear()
            plans[(table, *key)] = _Plan(scope, seen, partition[0], *access)
        return computed

    return accesses
