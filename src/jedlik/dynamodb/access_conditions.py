"""DynamoDB's condition keys: which of them an action has, and their values in a request.

The keys of each action are data (`authorization_table`). Values come from the request alone, except for
`dynamodb:LeadingKeys` and similar ones: only the table defines which attribute is the partition key. If the table is
unknown, every value that could be the partition key's counts, so that a policy which limits a caller to some of them
refuses rather than allows. Malformed parts of a request are left out; its handler refuses it.

`dynamodb:Attributes` are the top-level attributes that the request names anywhere: keys, items, expressions and the
parameters that came before them. `dynamodb:ReturnValues` is ALL_OLD, too, if a failed condition shows the item.

Sources: "Actions, resources, and condition keys for Amazon DynamoDB" in the service authorization reference; "Using IAM
policy conditions for fine-grained access control" and "Using IAM with DynamoDB transactions" in the developer guide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from jedlik.aws.errors import ServiceError
from jedlik.aws.policies import authorization_table
from jedlik.dynamodb.model import numbers, value_types
from jedlik.dynamodb.model.expressions import ast
from jedlik.dynamodb.model.expressions.ast import (
    And,
    Comparison,
    Condition,
    InvalidExpression,
    NamePlaceholder,
    Path,
    ValuePlaceholder,
)
from jedlik.dynamodb.model.expressions.parser import parse_condition, parse_projection, parse_update
from jedlik.dynamodb.model.expressions.remembering import remembering
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import AttributeValue

Request = Mapping[str, Any]
"""The checked input of an operation, or an element of it."""
Context = Mapping[str, tuple[str, ...]]

PARTITION_KEYS = (
    ("dynamodb:LeadingKeys", "dynamodb:FirstPartitionKeyValues"),
    ("dynamodb:SecondPartitionKeyValues",),
    ("dynamodb:ThirdPartitionKeyValues",),
    ("dynamodb:FourthPartitionKeyValues",),
)
"""The condition keys with the values of each attribute of a partition key. The first two are one by two names."""

CONDITION_KEYS: dict[str, frozenset[str]] = {
    action.name.removeprefix("dynamodb:"): keys
    for action in authorization_table.actions_of("dynamodb")
    if "Attributes" in (keys := frozenset(key.removeprefix("dynamodb:") for key in action.keys))
}
"""The condition keys of the actions on items, without `dynamodb:`."""


class Asked(NamedTuple):
    """The properties of a request, or of an element of one, on a table or an index, in the terms of the condition keys.

    None and an empty collection stand for what does not apply, and leave a key out.
    """

    attributes: Iterable[str] = ()
    partitions: tuple[tuple[str, ...], ...] = ()
    """The partition key values that it accesses, for each attribute of that key."""
    select: str | None = None
    return_values: str | None = None
    return_consumed_capacity: str | None = None
    enclosing_operation: str | None = None
    full_table_scan: bool | None = None

    def context(self, action: str) -> Context:
        """The condition keys of an action, with their values."""
        listed = CONDITION_KEYS[action]
        found = {"dynamodb:Attributes": tuple(dict.fromkeys(self.attributes))}
        single = {
            "Select": self.select,
            "ReturnValues": self.return_values,
            "ReturnConsumedCapacity": self.return_consumed_capacity,
            "EnclosingOperation": self.enclosing_operation,
            "FullTableScan": None if self.full_table_scan is None else str(self.full_table_scan).lower(),
        }
        for key, value in single.items():
            if value is not None and key in listed:
                found[f"dynamodb:{key}"] = (value,)
        if "LeadingKeys" in listed:
            for names, values in zip(PARTITION_KEYS, self.partitions, strict=False):
                found |= dict.fromkeys(names, tuple(dict.fromkeys(values)))
        return found


# Parameters


def select(request: Request) -> str:
    """The attributes that a read returns: Select, or DynamoDB's default."""
    given: str | None = request.get("Select")
    if given is not None:
        return given
    if "ProjectionExpression" in request or "AttributesToGet" in request:
        return "SPECIFIC_ATTRIBUTES"
    return "ALL_PROJECTED_ATTRIBUTES" if "IndexName" in request else "ALL_ATTRIBUTES"


def return_values(request: Request) -> str:
    """The attributes of the item that a write may return."""
    if request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
        return "ALL_OLD"
    given: str = request.get("ReturnValues", "NONE")
    return given


def capacity(request: Request) -> str:
    """ReturnConsumedCapacity, which always has a value."""
    given: str = request.get("ReturnConsumedCapacity", "NONE")
    return given


# Attributes


@remembering
def _named_in_condition(text: str) -> tuple[str, ...]:
    return _roots(ast.paths((parse_condition(text),)))


@remembering
def _named_in_update(text: str) -> tuple[str, ...]:
    return _roots(ast.paths(parse_update(text)))


@remembering
def _named_in_projection(text: str) -> tuple[str, ...]:
    return _roots(parse_projection(text))


def _roots(paths: Iterable[Path]) -> tuple[str, ...]:
    """The attributes that paths begin with, each once. A #name stays one: no attribute's bare name begins so."""
    return tuple(dict.fromkeys(_root(path) for path in paths))


def _root(path: Path) -> str:
    first = path.steps[0]
    return first.text if isinstance(first, NamePlaceholder) else str(first)


_EXPRESSIONS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "KeyConditionExpression": _named_in_condition,
    "UpdateExpression": _named_in_update,
    "ConditionExpression": _named_in_condition,
    "FilterExpression": _named_in_condition,
    "ProjectionExpression": _named_in_projection,
}
_NAMING = (
    "Key",
    "Item",
    "AttributesToGet",
    "AttributeUpdates",
    "Expected",
    "KeyConditions",
    "QueryFilter",
    "ScanFilter",
    "ExclusiveStartKey",
)
"""Parameters that are lists of attributes' names, or maps by them."""


def attributes(request: Request) -> Iterator[str]:
    """The top-level attributes that a request names, perhaps more than once."""
    for member in _NAMING:
        yield from request.get(member, ())
    names = request.get("ExpressionAttributeNames", {})
    for member, named in _EXPRESSIONS.items():
        if member not in request:
            continue
        try:
            found = named(request[member])
        except InvalidExpression:
            continue
        for name in found:
            if not name.startswith("#"):
                yield name
            elif name in names:
                yield names[name]


# Partition keys


def partition_key(table: object, index: str | None = None) -> tuple[str, ...] | None:
    """The names of the partition key's attributes of a table or its index; None if they are unknown."""
    if not isinstance(table, Table):
        return None
    if index is None:
        return tuple([attribute.name for attribute in table.partition_key])
    found = table.index(index)
    return None if found is None else tuple([attribute.name for attribute in found.partition_key])


def partitions_of(items: Iterable[Request], key: tuple[str, ...] | None) -> tuple[tuple[str, ...], ...]:
    """The values that items, or keys of items, have for the attributes of a partition key."""
    each = list(items)
    if key is None:
        return (texts(value for item in each for value in item.values()),)
    return tuple([texts(value for item in each for value in _values_of(item, name)) for name in key])


def _values_of(item: Request, name: str) -> Iterable[Any]:
    """The value of a partition key's attribute; of an item without it, which has been seen wrong, all values."""
    return (item[name],) if name in item else item.values()


def queried_partitions(request: Request, key: tuple[str, ...] | None) -> tuple[tuple[str, ...], ...]:
    """The values of the attributes of a partition key that a Query reads."""
    asked = [*_equalities(request)]
    if key is None:
        return (texts(value for _, value in asked),)
    return tuple([texts(value for name, value in asked if name == wanted) for wanted in key])


def _equalities(request: Request) -> Iterator[tuple[str, Any]]:
    """Attributes with the values that a Query requires."""
    for name, condition in request.get("KeyConditions", {}).items():
        if condition.get("ComparisonOperator") == "EQ":
            for value in condition.get("AttributeValueList", ()):
                yield name, value
    if "KeyConditionExpression" not in request:
        return
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
    try:
        equalities = equated(request["KeyConditionExpression"])
    except InvalidExpression:
        return
    for name, placeholder in equalities:
        if placeholder in values:
            yield names.get(name, name), values[placeholder]


@remembering
def equated(text: str) -> tuple[tuple[str, str], ...]:
    """The attributes, or their #names, that a key condition requires to equal a :value, with that."""
    found: list[tuple[str, str]] = []
    pending: list[Condition] = [parse_condition(text)]
    while pending:
        match pending.pop():
            case And(conditions):
                pending.extend(reversed(conditions))
            case Comparison("=", Path(steps) as path, ValuePlaceholder(placeholder)) if len(steps) == 1:
                found.append((_root(path), placeholder))
            case Comparison("=", ValuePlaceholder(placeholder), Path(steps) as path) if len(steps) == 1:
                found.append((_root(path), placeholder))
    return tuple(found)


def texts(values: Iterable[Any]) -> tuple[str, ...]:
    """Those of clients' attribute values that can be keys, in the form in which policies compare them."""
    keys = [key for key in map(key_value, values) if key is not None]
    return tuple([text for key in keys for text in key.values()])


def key_value(value: Any) -> AttributeValue | None:
    """A client's attribute value, normalised, as policies see it; None if it cannot be a key.

    Values that are the same key are equal: numbers are in their normal form, and base64 has no other.
    """
    if type(value) is not dict:
        return None
    for kind, normal in _NORMAL.items():
        content = value.get(kind)
        if type(content) is str:
            try:
                return {kind: normal(content)}
            except ServiceError:
                return None
    return None


def _canonical(base64: str) -> str:
    """Base64, which a client must write in its one canonical form. Raises SerializationException."""
    value_types.binary_size(base64)
    return base64


_NORMAL: dict[str, Callable[[str], str]] = {
    "S": str,
    "N": numbers.normalise,
    "B": _canonical,
}
