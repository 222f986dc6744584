"""The part of a key's order that a WHERE clause selects.

The clause is turned into *spans*; every row that satisfies it lies in at least one of them. A span is a value of the
partition key, or any value, and constraints on the sort key. A condition that does not concern the key narrows no span,
and neither does one that spans cannot express. So spans never hold too little, and the clause itself is tested on the
rows read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from jedlik.dynamodb.model import keys
from jedlik.dynamodb.model.expressions import ast
from jedlik.dynamodb.model.expressions.ast import And, Condition, Or, Path
from jedlik.dynamodb.model.partiql.errors import invalid
from jedlik.dynamodb.model.partiql.key_terms import SELECTING, Key, Term, Terms
from jedlik.dynamodb.model.tables import KeyAttribute
from jedlik.dynamodb.model.values import AttributeValue
from jedlik.regions import keyspaces

MOST = 1000
"""The most alternatives that are told apart. A clause could have them by a power of its length."""

Range = tuple[bytes, bytes]
"""Storage keys from the first (included) to the second (excluded)."""


@dataclass(frozen=True, slots=True)
class Span:
    """A set of rows that contains all those that satisfy a condition."""

    partition: AttributeValue | None = None
    """The value of the partition key; None for any."""
    sort: tuple[Term, ...] = ()
    """Constraints on the sort key, all of which must be true."""
    is_blurred: bool = False
    """Whether the condition negates something about the sort key, which a span cannot express."""


EVERYTHING = Span()


def spans(key: Key, terms: Terms) -> list[Span]:
    """The spans of a WHERE clause with these terms; empty if the clause contradicts itself."""
    return _of_all(key, terms.conjuncts, terms)


def _of_all(key: Key, conditions: Sequence[Condition], terms: Terms) -> list[Span]:
    found = [EVERYTHING]
    for condition in conditions:
        found = _both(found, _spans(key, condition, terms))
    return found


def _spans(key: Key, condition: Condition, terms: Terms) -> list[Span]:
    match condition:
        case And(conditions):
            return _of_all(key, conditions, terms)
        case Or(conditions):
            return _either([_spans(key, part, terms) for part in conditions])
    found_term = terms.of(condition)
    if found_term is not None and found_term.attribute == key.partition.name:
        if found_term.operator in ("=", "IN"):
            return _distinct([Span(partition=value) for value in found_term.operands])
    elif found_term is not None and key.sort is not None and found_term.attribute == key.sort.name:
        if found_term.operator == "IN":
            each = [Term(key.sort.name, "=", (value,)) for value in found_term.operands]
            return _distinct([Span(sort=(one,)) for one in each])
        if found_term.operator in SELECTING:
            return [Span(sort=(found_term,))]
    denies = key.sort is not None and Path((key.sort.name,)) in ast.paths((condition,))
    return [Span(is_blurred=True)] if denies else [EVERYTHING]


def _both(left: list[Span], right: list[Span]) -> list[Span]:
    """Rows that lie in one of either side's spans."""
    if left == [EVERYTHING]:
        return right
    if len(left) * len(right) > MOST:
        left, right = _coarse(left), _coarse(right)
    met = []
    for one, other in product(left, right):
        partition = other.partition if one.partition is None else one.partition
        if other.partition is None or other.partition == partition:
            met.append(Span(partition, (*one.sort, *other.sort), one.is_blurred or other.is_blurred))
    return _distinct(met)


def _coarse(spans: list[Span]) -> list[Span]:
    """Fewer spans, which hold more."""
    return _distinct([Span(span.partition, is_blurred=True) for span in spans])


def _either(alternatives: list[list[Span]]) -> list[Span]:
    together = _distinct([span for spans in alternatives for span in spans])
    # An alternative that does not concern the key makes the others useless.
    if any(span.partition is None and not span.sort for span in together):
        return [Span(is_blurred=any(span.is_blurred for span in together))]
    return together


def _distinct(spans: list[Span]) -> list[Span]:
    if len(spans) == 1:
        return spans

    def identity(span: Span) -> object:
        partition = None if span.partition is None else str(span.partition)
        return partition, str(span.sort), span.is_blurred

    return list({identity(span): span for span in reversed(spans)}.values())[::-1]


def partitions(found: Sequence[Span]) -> list[tuple[AttributeValue, list[Span]]]:
    """The spans of a query by the value of the partition key, in the order in which the clause names the values."""
    grouped: list[tuple[AttributeValue, list[Span]]] = []
    places: dict[str, list[Span]] = {}
    for span in found:
        assert span.partition is not None
        name = str(span.partition)  # Whether it can be a key at all is checked later.
        if name not in places:
            places[name] = []
            grouped.append((span.partition, places[name]))
        places[name].append(span)
    return grouped


def ranges(prefix: bytes, sort: KeyAttribute | None, found: Sequence[Span]) -> list[Range]:
    """The ranges of storage keys of the spans of one partition key, in ascending order and disjoint.

    `prefix` begins the partition's storage keys. Raises ValidationException if spans overlap that select by the sort
    key: DynamoDB reads each by itself, and does not merge them.
    """
    all_ranges = sorted(_range(prefix, sort, span) for span in found)
    merged: list[Range] = []
    selects = any(span.sort for span in found) and not any(span.is_blurred for span in found)
    for start, end in all_ranges:
        if start >= end:
            continue
        if merged and start < merged[-1][1]:
            if selects:
                raise invalid("Overlapping conditions with range keys are not supported in where clause")
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _range(prefix: bytes, sort: KeyAttribute | None, span: Span) -> Range:
    start, end = prefix, keyspaces.prefix_end(prefix)
    for constraint in span.sort:
        assert sort is not None
        low, high = keys.sort_bounds(prefix, (sort,), (), constraint.operator, constraint.operands)
        start, end = max(start, low), min(end, high)
    return start, end
