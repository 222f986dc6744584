"""The reading of a SELECT: one item, ranges of partitions, or all of a table or index.

A clause that fixes the whole key of a table is a get. One that fixes the partition key in each of its alternatives is a
query of those partitions. Any other is a scan.

Sources: "PartiQL select statements for DynamoDB" in the developer guide; the order of reading, and refusals, as
measured on AWS.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cmp_to_key

from jedlik.dynamodb.model import key_values, keys, values
from jedlik.dynamodb.model.expressions.ast import Condition, Values
from jedlik.dynamodb.model.partiql import key_terms, spans
from jedlik.dynamodb.model.partiql.errors import invalid
from jedlik.dynamodb.model.partiql.key_terms import Key, Terms, single_item
from jedlik.dynamodb.model.partiql.spans import Span
from jedlik.dynamodb.model.partiql.statements import SelectStatement
from jedlik.dynamodb.model.reads import Stretch
from jedlik.dynamodb.model.tables import Index, Table
from jedlik.dynamodb.model.values import AttributeValue, Item

_Partition = tuple[AttributeValue, list[Span]]

_INVALID = "One or more parameter values were invalid: "


@dataclass(frozen=True, slots=True)
class Plan:
    """What a SELECT reads."""

    index: Index | None
    item: Item | None
    """The key of the item, if only one is read."""
    partitions: tuple[tuple[Stretch, ...], ...] | None
    """Otherwise the ranges to read for each partition key, in this order; None for all of the table or index."""
    filter: tuple[Condition, ...]
    """The condition to test on the rows read."""
    fetches: bool
    """Whether items are fetched for the entries of a local index that lacks some of the selected attributes."""


def single_key(select: SelectStatement, table: Table, given: Values) -> Item | None:
    """The key of the item that a statement names, if it has no other conditions; not checked.

    Raises ValidationException if the statement's index cannot be read or a key attribute has another type.
    """
    if _index(select, table, False) is not None:
        return None
    single = single_item(table, select.where, given)
    if not single.is_complete(table) or single.rest:
        return None
    key_terms.check_key(table, single.key)
    return single.key


def plan(select: SelectStatement, table: Table, given: Values, consistent: bool, secret: bytes) -> Plan:
    """The reading of a statement on a table with the values `given`. Raises ValidationException."""
    index = _index(select, table, consistent)
    key = key_terms.key_of(table, index)
    single = single_item(table, select.where, given) if index is None else None
    if single is not None and single.is_complete(table):
        _check_order(select, key, True, 1)
        key_terms.check_key(table, single.key)
        if single.rest:
            Terms(select.where, given).check(key)
        return Plan(None, key_values.check_key(table, single.key), None, single.rest, False)
    terms = Terms(select.where, given)
    found = spans.spans(key, terms)
    is_query = all(span.partition is not None for span in found)
    grouped = spans.partitions(found) if is_query else []
    _check_order(select, key, is_query, len(grouped))
    terms.check(key)
    fetches = index is not None and _fetches(select, index, key, terms)
    if not is_query:
        return Plan(index, None, None, () if select.where is None else (select.where,), fetches)
    partitions = _partitions(select, key, grouped, table if index is None else index, secret)
    return Plan(index, None, partitions, _filter(key, terms, len(found) == 1), fetches)


def _index(select: SelectStatement, table: Table, consistent: bool) -> Index | None:
    if select.index is None:
        return None
    index = table.index(select.index)
    if index is None:
        raise invalid("The table does not have the specified index")
    if len(index.partition_key) > 1 or len(index.sort_key) > 1:
        raise invalid(
            "PartiQL statements cannot be executed on tables with "
            "multi-attribute HASH keys or multi-attribute RANGE keys."
        )
    if select.refusal is not None:
        raise invalid(select.refusal)
    if index.is_global and consistent:
        raise invalid("Strongly consistent read is not supported on Global Secondary Indexes")
    if index.status == "CREATING":
        raise invalid(f"Cannot read from backfilling global secondary index: {index.name}")
    return index


def _check_order(select: SelectStatement, key: Key, is_query: bool, partitions: int) -> None:
    """Raises ValidationException for an ORDER BY that the order of keys cannot satisfy."""
    if not select.order:
        return
    if select.where is None:
        raise invalid("Must have WHERE clause in the statement when using ORDER BY clause.")
    names = [name for name, _ in select.order]
    for name in names:
        if name not in [attribute.name for attribute in key if attribute is not None]:
            raise invalid(f"Attribute {name} in ORDER BY clause must be part of the primary key")
    if not is_query:
        raise invalid(
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause."
        )
    if partitions > 1 and key.partition.name not in names:
        raise invalid(
            "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause."
        )


def _fetches(select: SelectStatement, index: Index, key: Key, terms: Terms) -> bool:
    """Whether an index lacks selected attributes, so that a local one has to fetch them. A global one refuses."""
    if index.projected is None:
        return False
    if select.projection is not None:
        missing = _missing(select.projection.names, index.projected)
        if missing and index.is_global:
            raise invalid(f"{_INVALID}Global secondary index {index.name} does not project [{', '.join(missing)}]")
    else:
        missing = []
    named = [found for found in map(terms.of, terms.conjuncts) if found is not None]
    if any(found.attribute == key.partition.name and found.operator in ("=", "IN") for found in named):
        unread = _missing(key_terms.names_of(terms.conjuncts), index.projected)
        if unread:
            raise invalid(
                f"{_INVALID}Secondary index {index.name} does not project one or more filter attributes: "
                f"[{', '.join(unread)}]"
            )
    return bool(missing)


def _missing(names: Collection[str], projected: Collection[str]) -> list[str]:
    return [name for name in names if name not in projected]


def _partitions(
    select: SelectStatement,
    key: Key,
    grouped: list[_Partition],
    of: Table | Index,
    secret: bytes,
) -> tuple[tuple[Stretch, ...], ...]:
    """The ranges to read in each partition, in the order that the statement asks for.

    Partitions come in the order of their names unless ORDER BY sorts them. If ORDER BY leaves the sort key out,
    DynamoDB sorts it in descending order.
    """
    directions = dict(reversed(select.order))
    if key.partition.name in directions:
        ascending = sorted(grouped, key=cmp_to_key(_order))
        grouped = ascending[::-1] if directions[key.partition.name] else ascending
    reverse = bool(directions)
    if key.sort is not None:
        reverse = directions.get(key.sort.name, reverse)
    read = []
    for value, found in grouped:
        ranges = spans.ranges(keys.partition_prefix(of, (value,), secret), key.sort, found)
        stretches = tuple([Stretch(start, end, reverse) for start, end in ranges])
        read.append(stretches[::-1] if reverse else stretches)
    return tuple(read)


def _order(a: _Partition, b: _Partition) -> int:
    return values.compare(a[0], b[0]) or 0


def _filter(key: Key, terms: Terms, is_one_span: bool) -> tuple[Condition, ...]:
    """The parts of a query's WHERE clause that its ranges do not ensure."""
    ensured = {key.partition.name: frozenset(("=", "IN"))}
    if key.sort is not None and is_one_span:
        ensured[key.sort.name] = key_terms.SELECTING
    left = []
    for part in terms.conjuncts:
        found = terms.of(part)
        if found is None or found.operator not in ensured.get(found.attribute, ()):
            left.append(part)
    return tuple(left)
