"""The accesses that a PartiQL statement needs.

A statement's action follows from its kind, and its table and attributes from its text, which is parsed once for this
and for the handler (`statements.statement`). The rest depends on what it reads and what it may return, as decided by
the planner. A malformed statement needs nothing: it is refused before anything is looked up.

Source: "IAM security policies with PartiQL for DynamoDB" in the developer guide.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb import access_conditions
from jedlik.dynamodb.access_conditions import Asked, Request
from jedlik.dynamodb.model.expressions.ast import Condition, Values
from jedlik.dynamodb.model.partiql import key_terms, spans
from jedlik.dynamodb.model.partiql.key_terms import Key, Terms
from jedlik.dynamodb.model.partiql.statements import (
    RETURN_VALUES,
    DeleteStatement,
    ExistsStatement,
    InsertStatement,
    SelectStatement,
    UpdateStatement,
    WriteStatement,
    statement,
)
from jedlik.dynamodb.model.tables import Index, Table
from jedlik.dynamodb.model.values import AttributeValue

_ACTIONS: dict[type[SelectStatement | WriteStatement], str] = {
    DeleteStatement: "PartiQLDelete",
    # The reference has no action of its own for a condition of a transaction, which only reads.
    ExistsStatement: "PartiQLSelect",
    InsertStatement: "PartiQLInsert",
    SelectStatement: "PartiQLSelect",
    UpdateStatement: "PartiQLUpdate",
}


class Needed(NamedTuple):
    """What a statement needs."""

    action: str
    table: str
    """Its name or ARN, as the statement has it."""
    index_name: str | None
    asked: Asked


def parsed(request: Request) -> SelectStatement | WriteStatement | None:
    """The statement of a request, or of an element of a batch or transaction; None if it is malformed."""
    try:
        return statement(request["Statement"])
    except ValidationException:
        return None


def needed(found: SelectStatement | WriteStatement, request: Request, table: object, enclosing: str | None) -> Needed:
    """The accesses that a statement of a request needs. `table` is its table, if that is known."""
    index = found.index if isinstance(found, SelectStatement) else None
    where = None if isinstance(found, InsertStatement) else found.where
    given = _given(found, request)
    shows_old = access_conditions.return_values(request) == "ALL_OLD"
    asked = Asked(attributes=_attributes(found, where), enclosing_operation=enclosing)
    match found:
        case InsertStatement():
            item = _item(found, request)
            key = access_conditions.partition_key(table)
            asked = asked._replace(partitions=access_conditions.partitions_of((item,), key))
        case SelectStatement() | ExistsStatement():
            partitions, scans = _read(where, given, table, index)
            selected = _selected(found) if isinstance(found, SelectStatement) else _shown(shows_old)
            asked = asked._replace(partitions=partitions, select=selected, full_table_scan=scans)
        case UpdateStatement() | DeleteStatement():
            returned = "NONE" if found.returning is None else RETURN_VALUES[found.returning]
            partitions, _ = _read(where, given, table, None)
            asked = asked._replace(partitions=partitions, return_values="ALL_OLD" if shows_old else returned)
    return Needed(_ACTIONS[type(found)], found.table, index, asked)


def _given(found: SelectStatement | WriteStatement, request: Request) -> Values | None:
    """The values that the statement's conditions refer to; None if its handler will refuse the request."""
    try:
        return found.constants.values([_parameter(raw) for raw in request.get("Parameters", ())])
    except ValidationException:
        return None


def _parameter(raw: Any) -> AttributeValue:
    """A parameter, normalised if it can be a key. For any other only its type matters here."""
    key = access_conditions.key_value(raw)
    if key is not None:
        return key
    types = [name for name, content in raw.items() if content is not None] if type(raw) is dict else []
    return {types[0]: None} if types else {"NULL": True}


def _item(insert: InsertStatement, request: Request) -> dict[str, Any]:
    """The item of an INSERT, as far as the request gives its parameters."""
    given = request.get("Parameters", ())
    return {
        name: value if not isinstance(value, int) else given[value] if value < len(given) else None
        for name, value in insert.attributes.items()
    }


def _attributes(found: SelectStatement | WriteStatement, where: Condition | None) -> Iterator[str]:
    """The attributes that a statement names."""
    match found:
        case InsertStatement():
            yield from found.attributes
        case UpdateStatement():
            yield from found.names
        case SelectStatement():
            yield from () if found.projection is None else found.projection.names
            yield from (name for name, _ in found.order)
    if where is not None:
        yield from key_terms.names_of((where,))


def _selected(found: SelectStatement) -> str:
    if found.projection is not None:
        return "SPECIFIC_ATTRIBUTES"
    return "ALL_ATTRIBUTES" if found.index is None else "ALL_PROJECTED_ATTRIBUTES"


def _shown(shows_old: bool) -> str:
    """The selection of EXISTS: it returns nothing, unless it fails and shows why."""
    return "ALL_ATTRIBUTES" if shows_old else "SPECIFIC_ATTRIBUTES"


def _read(
    where: Condition | None, given: Values | None, table: object, index: str | None
) -> tuple[tuple[tuple[str, ...], ...], bool]:
    """The partition keys that a WHERE clause accesses, and whether it accesses all instead."""
    if given is None:
        return (), True
    of = table if index is None or not isinstance(table, Table) else table.index(index)
    terms = Terms(where, given)
    if not isinstance(of, Table | Index):
        return (access_conditions.texts(_compared(terms, None)),), True
    key = Key(of.partition_key[0], of.sort_key[0] if of.sort_key else None)
    found = [span.partition for span in spans.spans(key, terms)]
    if None in found:
        return (), True
    # A clause that contradicts itself accesses none; the values that it names count, in case one is read all the same.
    return (access_conditions.texts(found or _compared(terms, key.partition.name)),), False


def _compared(terms: Terms, attribute: str | None) -> Iterator[AttributeValue]:
    """The values that a clause requires an attribute to have, or any attribute if that is `None`."""
    for part in terms.all:
        if part.operator in ("=", "IN") and attribute in (None, part.attribute):
            yield from part.operands
