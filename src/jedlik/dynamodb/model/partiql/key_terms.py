"""The conditions of a WHERE clause on a key: the comparisons of a key attribute with values.

Refusals are DynamoDB's, which has two texts for a wrong type: one about the key if the comparison selects what is read,
and one about the condition if it only filters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import key_values, values
from jedlik.dynamodb.model.expressions import ast
from jedlik.dynamodb.model.expressions.ast import (
    And,
    Between,
    Call,
    Comparison,
    Condition,
    In,
    Not,
    Operand,
    Or,
    Path,
    ValuePlaceholder,
    Values,
)
from jedlik.dynamodb.model.partiql.errors import invalid
from jedlik.dynamodb.model.tables import Index, KeyAttribute, Table
from jedlik.dynamodb.model.values import AttributeValue, Item

_INVALID = "One or more parameter values were invalid: "
_MIRRORED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
SELECTING = frozenset(("=", "<", "<=", ">", ">=", "BETWEEN", "begins_with"))
"""Operators with which a key condition selects."""


class Key(NamedTuple):
    """The key that is read: a table's, or that of an index with one attribute in either part of its key."""

    partition: KeyAttribute
    sort: KeyAttribute | None


class Term(NamedTuple):
    """An attribute compared with values."""

    attribute: str
    operator: str
    """A comparison, BETWEEN, IN or begins_with."""
    operands: tuple[AttributeValue, ...]


def key_of(table: Table, index: Index | None) -> Key:
    """The key of a table or of an index."""
    of = table if index is None else index
    return Key(of.partition_key[0], of.sort_key[0] if of.sort_key else None)


class Terms:
    """The terms of a WHERE clause, with a request's values."""

    __slots__ = ("_by_condition", "conjuncts")

    def __init__(self, where: Condition | None, given: Values) -> None:
        self.conjuncts = tuple(conjuncts(where))
        """The parts of the clause that must all be true."""
        self._by_condition = {id(leaf): term(leaf, given) for leaf in _leaves(self.conjuncts)}

    def of(self, condition: Condition) -> Term | None:
        """The term that a part of the clause is, if it is one."""
        return self._by_condition.get(id(condition))

    @property
    def all(self) -> Iterator[Term]:
        """Every term in the clause, however it is joined to the others."""
        return (found for found in self._by_condition.values() if found is not None)

    def check(self, key: Key) -> None:
        """Raises ValidationException if a key attribute is compared with a value that it cannot have."""
        attributes = {attribute.name: attribute for attribute in key if attribute is not None}
        selecting = [t for t in map(self.of, self.conjuncts) if t is not None and t.operator in SELECTING]
        if any(t.attribute == key.partition.name and t.operator == "=" for t in selecting):
            for found in selecting:
                if found.attribute in attributes:
                    check_operands(attributes[found.attribute], found)
        for each in self._by_condition.values():
            attribute = attributes.get(each.attribute) if each is not None else None
            if each is None or attribute is None:
                continue
            if any(attribute.type not in operand for operand in each.operands):
                raise invalid(f"{_INVALID}Condition parameter type does not match schema type")
            _check_sizes(key, attribute, each.operands)


def conjuncts(condition: Condition | None) -> Iterator[Condition]:
    """The parts of a condition that must all be true."""
    if isinstance(condition, And):
        for part in condition.conditions:
            yield from conjuncts(part)
    elif condition is not None:
        yield condition


def _leaves(conditions: Iterable[Condition]) -> Iterator[Condition]:
    """The parts of conditions that are not themselves conditions on other parts."""
    for condition in conditions:
        if isinstance(condition, And | Or):
            yield from _leaves(condition.conditions)
        elif isinstance(condition, Not):
            yield from _leaves((condition.condition,))
        else:
            yield condition


def term(condition: Condition, given: Values) -> Term | None:
    """The comparison of a condition with the values `given`, if its other side is just an attribute."""
    operands: tuple[Operand, ...]
    match condition:
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
    values = [given[operand.text] for operand in operands if isinstance(operand, ValuePlaceholder)]
    if len(path.steps) > 1 or len(values) < len(operands):
        return None
    return Term(str(path.steps[0]), operator, tuple(values))


def check_operands(attribute: KeyAttribute, found: Term) -> None:
    """Raises ValidationException unless a key attribute can have the values that it is compared with."""
    for operand in found.operands:
        if attribute.type not in operand:
            raise invalid(
                f"Key attribute's data type should match its data type in table's schema: Key {attribute.name}"
            )
        if found.operator == "=" and not operand[attribute.type]:
            raise invalid(key_values.empty(attribute).message)


def check_key(table: Table, item: Item) -> None:
    """Raises ValidationException unless an item, or a key, has the attributes of the table's key."""
    for attribute in table.key:
        if attribute.name not in item:
            raise invalid(f"Key attribute should be present in the item: Key {attribute.name}")
        check_operands(attribute, Term(attribute.name, "=", (item[attribute.name],)))


def _check_sizes(key: Key, attribute: KeyAttribute, operands: Sequence[AttributeValue]) -> None:
    largest = max(operands, key=values.value_size)
    try:
        if attribute == key.partition:
            key_values.check_condition_sizes((largest,), ())
        else:
            key_values.check_condition_sizes((), [(largest,)])
    except ValidationException as refusal:
        raise invalid(refusal.message) from None


class SingleItem(NamedTuple):
    """A WHERE clause about one item."""

    key: Item
    """The key attributes that the clause fixes; not checked."""
    rest: tuple[Condition, ...]
    """The remaining conditions."""

    def is_complete(self, table: Table) -> bool:
        """Whether the whole key is fixed, so that there is at most one item."""
        return self.key.keys() == table.key_names


def single_item(table: Table, where: Condition | None, given: Values) -> SingleItem:
    """The item of a table that the equalities in a WHERE clause name.

    If a key attribute has two values, the first counts, and the second stays among the remaining conditions.
    """
    key: Item = {}
    rest = []
    for part in conjuncts(where):
        found = term(part, given)
        if found is None or found.operator != "=" or found.attribute not in table.key_names:
            rest.append(part)
            continue
        (value,) = found.operands
        if key.setdefault(found.attribute, value) != value:
            rest.append(part)
    return SingleItem(key, tuple(rest))


def refuse_second_values(table: Table, single: SingleItem, given: Values) -> None:
    """Raises ValidationException if a WHERE clause has two values for a key attribute."""
    for part in single.rest:
        found = term(part, given)
        if found is not None and found.operator == "=" and found.attribute in table.key_names:
            raise invalid(
                f"Multiple conditions on same key {found.attribute}. "
                "Only single item Update/Insert/Delete are supported"
            )


def names_of(conditions: Collection[Condition]) -> tuple[str, ...]:
    """The attributes that conditions read, in the order of the text."""
    return tuple(dict.fromkeys(str(path.steps[0]) for path in ast.paths(conditions)))
