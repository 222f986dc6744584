"""Export selections: which items an export has, and which of their attributes, by its FilterSpecification.

The expressions are those of a Query or a Scan, and are checked in the same way. A key condition is a range of storage
keys, so an item that it excludes is not even parsed.

Source: the API reference. What a filter does in an incremental export is in no document. Here a change is exported if
the item satisfies the filter before it or after it: a copy that follows must learn that an item has left.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from jedlik.dynamodb.items import parameters
from jedlik.dynamodb.model import reads
from jedlik.dynamodb.model.expressions import key_conditions
from jedlik.dynamodb.model.expressions.conditions import Predicate
from jedlik.dynamodb.model.expressions.projections import Projection
from jedlik.dynamodb.model.reads import Stretch
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item


class Selection(NamedTuple):
    """What is exported of a table."""

    prefix: bytes
    """What the table's storage keys begin with."""
    stretch: Stretch | None = None
    predicate: Predicate | None = None
    projection: Projection | None = None

    @property
    def is_everything(self) -> bool:
        """Whether whole items are exported, and all of them."""
        return self.stretch is None and self.predicate is None and self.projection is None

    def holds(self, key: bytes) -> bool:
        """Whether a key, without the table's prefix, satisfies the key condition."""
        return self.stretch is None or self.stretch.start <= self.prefix + key < self.stretch.end

    def keeps(self, item: Item) -> bool:
        """Whether an item satisfies the filter."""
        return self.predicate is None or self.predicate(item)

    def shown(self, item: Item) -> Item:
        """The attributes of an item that are exported."""
        return item if self.projection is None else self.projection.apply(item)


def selection(specification: dict[str, Any] | None, table: Table, secret: bytes) -> Selection:
    """The selection of a FilterSpecification. Raises ValidationException."""
    if specification is None:
        return Selection(table.prefix)
    known = parameters.placeholders(specification)
    stretch = None
    conditions = {}
    if "KeyConditionExpression" in specification:
        conditions = key_conditions.parse_key_condition(specification["KeyConditionExpression"], known)
    predicate = parameters.item_filter(specification, known)
    projection = parameters.projection(specification, known)
    known.check_all_used()
    if "KeyConditionExpression" in specification:
        condition = key_conditions.against_key(conditions, table, None, sys.maxsize)
        stretch = reads.queried(table, None, condition, None, False, secret)
        if predicate is not None:
            predicate.refuse_key_attributes(table, None)
    for expression in (predicate, projection):
        if expression is not None:
            expression.refuse_nested_keys(table)
    return Selection(table.prefix, stretch, predicate, projection)
