"""What a WHERE clause says of a key: the comparisons in it that name a key attribute and values.

Refusals are as DynamoDB makes them, which words a wrong type in two ways: by the key where the comparison selects what
is read, and by the condition where it only filters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from jedlik.model import limits, values
from jedlik.model.expressions import ast
from jedlik.model.expressions.ast import (
    And,
    Between,
    Call,
    Comparison,
    Condition,
    In,
    Node,
    Operand,
    Path,
    ValuePlaceholder,
    Values,
)
from jedlik.model.partiql.errors import invalid
from jedlik.model.tables import Index, KeyAttribute, Table
from jedlik.model.values import AttributeValue, Item

_INVALID = "One or more parameter values were invalid: "
_NOT_VALID = "One or more parameter values are not valid. "
_EMPTY = {
    "S": "The AttributeValue for a key attribute cannot contain an empty string value.",
    "B": "The AttributeValue for a key attribute cannot contain an empty binary value.",
}
_MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
SELECTING = frozenset(("=", "<", "<=", ">", ">=", "BETWEEN", "begins_with"))
"""Operators with which a key condition selects."""


class Key(NamedTuple):
    """The key of what is read: a table's, or that of an index with one attribute in either part of its key."""

    partition: KeyAttribute
    sort: KeyAttribute | None


class Term(NamedTuple):
    """An attribute compared with values."""

    attribute: str
    operator: str
    """One of those of a comparison, BETWEEN, IN or begins_with."""
    operands: tuple[AttributeValue, ...]


def key_of(table: Table, index: Index | None) -> Key:
    """The key of a table or of an index."""
    if index is None:
        return Key(table.partition_key, table.sort_key)
    return Key(index.partition_key[0], index.sort_key[0] if index.sort_key else None)


def conjuncts(condition: Condition | None) -> Iterator[Condition]:
    """The parts of a condition that must all hold."""
    if isinstance(condition, And):
        for part in condition.conditions:
            yield from conjuncts(part)
    elif condition is not None:
        yield condition


def term(node: Node, given: Values) -> Term | None:
    """What a condition compares with the values `given`, if that is an attribute and nothing else."""
    operands: tuple[Operand, ...]
    match node:
        case Comparison(operator, Path() as path, right):
            operands = (right,)
        case Comparison(operator, left, Path() as path):
            operator, operands = _MIRRORED[operator], (left,)
        case Between(Path() as path, low, high):
            operator, operands = "BETWEEN", (low, high)
        case In(Path() as path, candidates):
            operator, operands = "IN", candidates
        case Call("begins_with" as operator, (Path() as path, beginning)):
            operands = (beginning,)
        case _:
            return None
    if len(path.steps) > 1 or not all(isinstance(operand, ValuePlaceholder) for operand in operands):
        return None
    found = tuple([given[operand.text] for operand in operands if isinstance(operand, ValuePlaceholder)])
    return Term(str(path.steps[0]), operator, found)


def check_terms(key: Key, where: Condition, given: Values) -> None:
    """Raises ValidationException where a key attribute is compared with what it cannot be."""
    attributes = {attribute.name: attribute for attribute in key if attribute is not None}
    terms = [term(part, given) for part in conjuncts(where)]
    selecting = [found for found in terms if found is not None and found.operator in SELECTING]
    is_query = any(found.attribute == key.partition.name and found.operator == "=" for found in selecting)
    for found in selecting if is_query else ():
        attribute = attributes.get(found.attribute)
        if attribute is not None:
            check_operands(attribute, found)
    for node in ast.walk((where,)):
        found_here = term(node, given)
        attribute = attributes.get(found_here.attribute) if found_here is not None else None
        if attribute is None or found_here is None:
            continue
        if not all(attribute.type in operand for operand in found_here.operands):
            raise invalid(f"{_INVALID}Condition parameter type does not match schema type")
        _check_sizes(key, attribute, found_here.operands)


def check_operands(attribute: KeyAttribute, found: Term) -> None:
    """Raises ValidationException unless a key attribute can be what it is compared with."""
    for operand in found.operands:
        if attribute.type not in operand:
            raise invalid(
                f"Key attribute's data type should match its data type in table's schema: Key {attribute.name}"
            )
        if found.operator == "=" and not operand[attribute.type]:
            raise invalid(f"{_NOT_VALID}{_EMPTY[attribute.type]} Key: {attribute.name}")


def _check_sizes(key: Key, attribute: KeyAttribute, operands: Sequence[AttributeValue]) -> None:
    largest = max(map(values.value_size, operands))
    if attribute == key.partition and largest > limits.PARTITION_KEY_SIZE:
        raise invalid(
            f"{_INVALID}Size of hashkey has exceeded the maximum size limit of{limits.PARTITION_KEY_SIZE} bytes"
        )
    if attribute != key.partition and largest > limits.SORT_KEY_SIZE:
        raise invalid(
            f"{_INVALID}Aggregated size of all range keys has exceeded the size limit of {limits.SORT_KEY_SIZE} bytes"
        )


class SingleItem(NamedTuple):
    """What a WHERE clause says of one item."""

    key: Item
    """Its key attributes, as far as the clause fixes them."""
    rest: tuple[Condition, ...]
    """What it says beside that."""

    def is_complete(self, table: Table) -> bool:
        """Whether the whole key is fixed, so that there is one item at most."""
        return self.key.keys() == table.key_names


def single_item(table: Table, where: Condition | None, given: Values) -> SingleItem:
    """The item of a table that equalities in a WHERE clause name. Raises ValidationException."""
    attributes = {a.name: a for a in (table.partition_key, table.sort_key) if a is not None}
    key: Item = {}
    rest = []
    for part in conjuncts(where):
        found = term(part, given)
        attribute = attributes.get(found.attribute) if found is not None else None
        if found is None or attribute is None or found.operator != "=":
            rest.append(part)
            continue
        check_operands(attribute, found)
        (value,) = found.operands
        if key.setdefault(attribute.name, value) != value:
            raise invalid(
                f"Multiple conditions on same key {attribute.name}. Only single item Update/Insert/Delete are supported"
            )
    return SingleItem(key, tuple(rest))


def names_of(conditions: Collection[Condition]) -> tuple[str, ...]:
    """The attributes that conditions read, in the order of the text."""
    return tuple(dict.fromkeys(str(path.steps[0]) for path in ast.paths(conditions)))
