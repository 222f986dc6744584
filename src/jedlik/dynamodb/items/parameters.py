"""The parameters that operations on items share: expressions, and the older parameters that they replaced.

Each operation first passes all its parameters to `refuse_mixed`, and builds its expressions only after the checks that
DynamoDB makes in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model.expressions import conditions, legacy, projections, updates
from jedlik.dynamodb.model.expressions.conditions import Predicate
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from jedlik.dynamodb.model.expressions.projections import Projection
from jedlik.dynamodb.model.expressions.updates import BoundUpdate

Request = dict[str, Any]
Response = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Family:
    """The parameters of an operation that are expressions, and those that they replaced, in DynamoDB's order."""

    expressions: tuple[str, ...]
    replaced: tuple[str, ...]
    names: frozenset[str]
    operator_last: bool
    """Whether the conditions that a ConditionalOperator joins are checked before they are counted. AWS's older checker
    of requests does that, its newer one does not."""

    @classmethod
    def of(cls, expressions: tuple[str, ...], replaced: tuple[str, ...], operator_last: bool = False) -> Family:
        placeholders = {"ExpressionAttributeNames", "ExpressionAttributeValues"}
        return cls(expressions, replaced, frozenset({*expressions, *replaced, *placeholders}), operator_last)


GET = Family.of(("ProjectionExpression",), ("AttributesToGet",))
PUT = DELETE = Family.of(("ConditionExpression",), ("Expected", "ConditionalOperator"))
UPDATE = Family.of(("UpdateExpression", "ConditionExpression"), ("AttributeUpdates", "Expected", "ConditionalOperator"))
QUERY = Family.of(
    ("ProjectionExpression", "FilterExpression", "KeyConditionExpression"),
    ("AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions"),
)
SCAN = Family.of(
    ("ProjectionExpression", "FilterExpression"),
    ("AttributesToGet", "ScanFilter", "ConditionalOperator"),
    operator_last=True,
)

SHOWING = frozenset(
    {"ProjectionExpression", "AttributesToGet", "FilterExpression", "QueryFilter", "ScanFilter", "ConditionalOperator"}
)
"""Those that select the items of the answer, and their attributes. Most queries have none."""


def refuse_mixed(family: Family, request: Request) -> bool:
    """Whether a request has any parameter of the family. Raises ValidationException when it mixes old and new."""
    if family.names.isdisjoint(request):
        return False
    if "ConditionalOperator" in request or not _are_unmixed(family, tuple(request)):
        legacy.refuse_mixed_parameters(request, family.expressions, family.replaced)
        if not family.operator_last:
            legacy.check_conditional_operator(request)
    return True


@lru_cache(maxsize=1024)
def _are_unmixed(family: Family, given: tuple[str, ...]) -> bool:
    """Whether parameters may be combined, by their names alone. A client gives the same ones again and again."""
    try:
        legacy.refuse_mixed_parameters(dict.fromkeys(given, True), family.expressions, family.replaced)
    except ValidationException:
        return False
    return True


def placeholders(request: Request) -> Placeholders:
    """The request's expression attribute names and values. Raises ValidationException."""
    return Placeholders(request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues"))


def projection(request: Request, known: Placeholders) -> Projection | None:
    """The selection by ProjectionExpression or AttributesToGet; None without them. Raises ValidationException."""
    if "ProjectionExpression" in request:
        return projections.projection(request["ProjectionExpression"], known)
    return replaced_projection(request)


def replaced_projection(request: Request) -> Projection | None:
    """The selection by the older AttributesToGet. Raises ValidationException."""
    if "AttributesToGet" in request:
        return legacy.attributes_to_get(request["AttributesToGet"])
    return None


def condition(request: Request, known: Placeholders) -> Predicate | None:
    """The condition of ConditionExpression or Expected; None without them. Raises ValidationException."""
    if "Expected" in request or "ConditionalOperator" in request:
        return legacy.expected(request.get("Expected", {}), request.get("ConditionalOperator"))
    if "ConditionExpression" in request:
        return conditions.condition(request["ConditionExpression"], known, "ConditionExpression")
    return None


def update(request: Request, known: Placeholders) -> BoundUpdate | None:
    """The change by UpdateExpression or AttributeUpdates; None without them. Raises ValidationException."""
    if request.get("AttributeUpdates"):
        return legacy.attribute_updates(request["AttributeUpdates"])
    if "UpdateExpression" in request:
        return updates.update(request["UpdateExpression"], known)
    return None


def replaced_filter(request: Request, replaced: Literal["QueryFilter", "ScanFilter"]) -> Predicate | None:
    """The condition of the older `replaced`. Raises ValidationException."""
    if replaced not in request and "ConditionalOperator" not in request:
        return None
    made = legacy.filter_conditions(request.get(replaced, {}), request.get("ConditionalOperator"), replaced)
    legacy.check_conditional_operator(request)
    return made


def item_filter(request: Request, known: Placeholders) -> Predicate | None:
    """The condition of FilterExpression. Raises ValidationException."""
    if "FilterExpression" in request:
        return conditions.condition(request["FilterExpression"], known, "FilterExpression")
    return None
