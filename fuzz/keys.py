"""Storage keys: they sort as the values do and fit the store, and the range of a key condition holds exactly the items
that meet it."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson

from fuzz.choices import Choices
from fuzz.definitions import attribute, key_schema
from fuzz.service import Finding
from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import descriptors, keys, numbers, values
from jedlik.dynamodb.model.tables import Index, Table
from jedlik.dynamodb.model.values import AttributeValue, Item

SECRET = b"s" * 32
LONGEST = 1978
"""The longest key that the store can hold, in bytes."""
TYPES = "SNB"
PIECES = (
    *(b"", b"\x00", b"\x00" * 100, b"\x01", b"\x7f", b"\x80", b"\xff", b"\xff" * 100),
    *(b"a", b"\xc3\xa9", b"1", b"-", b"."),
)
OPERATORS = ("=", "<", "<=", ">", ">=", "BETWEEN", "begins_with")


def _table(types: tuple[str, ...]) -> tuple[Table, Index]:
    """A table with one sort attribute, and an index that has all of them."""
    names = [f"a{number}" for number in range(len(types))]
    document: dict[str, Any] = {
        "TableName": "Table",
        "TableId": "01234567-89ab-cdef-0123-456789abcdef",
        "TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Table",
        "CreationDateTime": 0.0,
        "DeletionProtectionEnabled": False,
        "NextIndexNumber": 2,
        "AttributeDefinitions": [attribute("p", "S"), *map(attribute, names, types)],
        "KeySchema": key_schema("p", names[0]),
        "GlobalSecondaryIndexes": [
            {
                "IndexName": "index",
                "IndexNumber": 1,
                "KeySchema": key_schema("p", *names),
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    }
    table = descriptors.parse(orjson.dumps(document))
    index = table.index("index")
    assert index is not None
    return table, index


TABLES = {types: _table(types) for types in [(one,) for one in TYPES] + [(a, b) for a in TYPES for b in TYPES]}


def _value(choices: Choices, type_: str) -> AttributeValue:
    raw = b"".join(
        [choices.one_of(PIECES) if choices.below(3) else choices.short() for _ in range(choices.below(8) + 1)]
    )
    if type_ == "B":
        return {"B": b64encode(raw[:512]).decode()}
    text = raw.decode("utf-8", "replace")
    if type_ == "S":
        return {"S": text.encode()[:512].decode("utf-8", "ignore")}
    try:
        return {"N": numbers.normalise(text)}
    except ValidationException:
        return {"N": str(choices.below(1 << 16) - (1 << 15))}


def _compare(a: Item, b: Item, names: list[str]) -> int:
    return next((order for order in (values.compare(a[name], b[name]) or 0 for name in names) if order), 0)


def _meets(value: AttributeValue, operator: str, operands: list[AttributeValue]) -> bool:
    if operator == "begins_with":
        (type_,) = value
        of, beginning = (one["S"] if type_ == "S" else values.binary(one) for one in (value, operands[0]))
        return bool(of.startswith(beginning))
    order = [values.compare(value, operand) or 0 for operand in operands]
    return {
        "=": order[0] == 0,
        "<": order[0] < 0,
        "<=": order[0] <= 0,
        ">": order[0] > 0,
        ">=": order[0] >= 0,
        "BETWEEN": order[0] >= 0 >= order[-1],
    }[operator]


def attempt(data: bytes) -> None:
    """A few items of a partition, in the table's order and the index's, and a key condition on them."""
    choices = Choices(data)
    types = choices.one_of(list(TABLES))
    table, index = TABLES[types]
    names = [f"a{number}" for number in range(len(types))]
    items: list[Item] = [
        {"p": {"S": "p"}, **{name: _value(choices, type_) for name, type_ in zip(names, types, strict=True)}}
        for _ in range(choices.below(4) + 2)
    ]
    items = [item for item in items if all(content for name in names for content in item[name].values())]
    stored = {id(item): keys.item_key(table, item, SECRET) for item in items}
    indexed = {id(item): keys.index_key(table, index, item, SECRET) or b"" for item in items}
    for item in items:
        if not 0 < len(stored[id(item)]) <= LONGEST or not 0 < len(indexed[id(item)]) <= LONGEST:
            raise Finding(f"no key, or too long a one, for {item}")
        for other in items:
            _check_order(_compare(item, other, names[:1]), stored[id(item)], stored[id(other)], item, other)
            if order := _compare(item, other, names):
                _check_order(order, indexed[id(item)], indexed[id(other)], item, other)
    _check_bounds(choices, table, items, stored, names, types)
    _check_bounds(choices, index, items, indexed, names, types)


def _check_order(order: int, low: bytes, high: bytes, item: Item, other: Item) -> None:
    if (low > high) - (low < high) != (order > 0) - (order < 0):
        raise Finding(f"out of order: {item} and {other}")


def _check_bounds(
    choices: Choices,
    of: Table | Index,
    items: list[Item],
    stored: dict[int, bytes],
    names: list[str],
    types: tuple[str, ...],
) -> None:
    """A condition on the last attribute, or on the first alone, selects exactly the items that meet it."""
    attributes = of.sort_key
    fixed = choices.below(len(attributes))
    type_ = types[fixed]
    operator = choices.one_of(OPERATORS[: 6 if type_ == "N" else 7])
    operands = [_value(choices, type_) for _ in range(2 if operator == "BETWEEN" else 1)]
    if items and choices.below(2):
        operands[0] = choices.one_of(items)[names[fixed]]
    equal = [choices.one_of(items)[name] for name in names[:fixed]] if items else []
    if len(equal) < fixed:
        return
    partition = keys.partition_prefix(of, ({"S": "p"},), SECRET)
    start, end = keys.sort_bounds(partition, attributes, equal, operator, operands)
    for item in items:
        meets = [item[name] for name in names[:fixed]] == equal and _meets(item[names[fixed]], operator, operands)
        if (start <= stored[id(item)] < end) != meets:
            raise Finding(f"{item} {'lacks' if meets else 'is'} in {names[fixed]} {operator} {operands}")


SEEDS = [
    bytes((types, 2, *(2, 1, piece, 1, 9, 1, piece, 1, piece) * 4, 0, operator, 1, 1, 8, 1, 0))
    for types in range(len(TABLES))
    for piece in range(len(PIECES))
    for operator in range(len(OPERATORS))
]
