"""Forms of updates: what follows from the expressions of an update and the names of its placeholders, whatever its
values are.

A client sends the same expressions with other values again and again. So all checks that need no value are made once
for a form, and the rest is a look-up. What is refused, or has one of the older parameters, has no form here:
`items.parameters` reads it, and words the refusals.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from jedlik.aws.errors import SerializationException, ValidationException
from jedlik.dynamodb.model import limits, values
from jedlik.dynamodb.model.expressions import conditions, updates
from jedlik.dynamodb.model.expressions.ast import Check, InvalidExpression
from jedlik.dynamodb.model.expressions.conditions import Compiled, Predicate
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from jedlik.dynamodb.model.expressions.remembering import remembering
from jedlik.dynamodb.model.expressions.updates import BoundUpdate, Plan

REPLACED = frozenset({"AttributeUpdates", "Expected", "ConditionalOperator"})
"""The older parameters."""
_CONDITION = "ConditionExpression"


class Form(NamedTuple):
    """The expressions of an update, ready to be bound to values."""

    plan: Plan
    condition: Compiled | None
    checks: tuple[Check, ...]
    """What the values must satisfy."""
    size: int
    """Bytes of the names, and of the placeholders of names and values."""


class Formed(NamedTuple):
    """The expressions of an update, bound to its values."""

    action: BoundUpdate
    condition: Predicate | None
    size: int
    """Bytes of all names and values together."""


def formed(request: dict[str, Any]) -> Formed | None:
    """What the expressions of a request, whose shape is right, mean; None if it has no form. Normalises its values."""
    text = request.get("UpdateExpression")
    if text is None or not REPLACED.isdisjoint(request):
        return None
    names, given = request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues")
    form = _form(
        text,
        request.get(_CONDITION),
        None if names is None else tuple(names),
        () if names is None else tuple(names.values()),
        None if given is None else tuple(given),
    )
    if form is None:
        return None
    plan, compiled, checks, size = form
    bound = given or {}
    try:
        for placeholder, value in bound.items():
            bound[placeholder], length = values.normalise_value(value)
            size += length
        for check in checks:
            check(bound)
    except (ValidationException, SerializationException, InvalidExpression):
        return None
    if size > limits.SUBSTITUTION_SIZE:
        return None
    return Formed(BoundUpdate(plan, bound), None if compiled is None else Predicate(compiled, bound, _CONDITION), size)


@remembering
def _form(
    text: str,
    condition: str | None,
    names: tuple[str, ...] | None,
    named: tuple[str, ...],
    placeholders: tuple[str, ...] | None,
) -> Form | None:
    """The form of these texts, where `names` stand for `named`; None if it is refused for any values."""
    stand_in = None if placeholders is None else {placeholder: {"S": ""} for placeholder in placeholders}
    try:
        known = Placeholders(None if names is None else dict(zip(names, named, strict=True)), stand_in)
        plan = updates.planned(text, known)
        compiled = None if condition is None else conditions.compiled(condition, known)
        known.check_all_used()
    except (ValidationException, InvalidExpression):
        return None
    return Form(plan, compiled, plan.checks + (() if compiled is None else compiled.checks), known.size)
