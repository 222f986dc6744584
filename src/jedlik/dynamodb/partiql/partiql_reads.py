"""SELECT: a get, queries of some partitions, or a scan, by the plan that its WHERE clause allows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.meter import Meter
from jedlik.dynamodb import catalog
from jedlik.dynamodb.capacity import charging
from jedlik.dynamodb.items import pages
from jedlik.dynamodb.items.pages import Page
from jedlik.dynamodb.model import capacity, items, key_values, keys, limits, reads
from jedlik.dynamodb.model.expressions.ast import Values
from jedlik.dynamodb.model.partiql import planner
from jedlik.dynamodb.model.partiql.continuation import Position
from jedlik.dynamodb.model.partiql.planner import Plan
from jedlik.dynamodb.model.partiql.statement_writes import predicate
from jedlik.dynamodb.model.partiql.statements import SelectStatement
from jedlik.dynamodb.model.reads import Stretch
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item
from jedlik.dynamodb.model.writes import check_descriptor
from jedlik.regions.region import Region
from jedlik.storage.engine import Row

PARTITIONS_AT_ONCE = 10
"""The most values of the partition key that one page reads. Source: IN under "PartiQL operators" in the developer
guide."""


@dataclass(slots=True)
class Selected:
    """A page of a SELECT's results."""

    items: Any
    """An array for the response."""
    last_key: Item | None = None
    """The key of the last item examined, if the page ended by its limits."""
    next: Position | None = None
    """The position to go on from, if there is more."""


async def select(
    context: Context, statement: SelectStatement, given: Values, position: Position, limit: int | None, consistent: bool
) -> Selected:
    """The results of a SELECT from `position` on, after at most `limit` examined items. Charges the request alone with
    them.

    Raises ResourceNotFoundException and ValidationException.
    """

    region, meter = context.region, context.meter

    async def attempt(table: Table) -> Selected:
        plan = planner.plan(statement, table, given, consistent, region.secret)
        if plan.item is not None:
            stored = await get(region, table, plan.item, consistent)
            shown = _shown(statement, plan, given, [] if stored is None else [stored])
            charging.got(meter, table, statement.table, stored, consistent)
            meter.items = shown[0]
            return Selected(shown[1])
        meter.begin(table, statement.table, False, 0.0)
        meter.size = 0
        reading = _Reading(region, table, plan, consistent, meter)
        await reading.run(position, sys.maxsize if limit is None else limit)
        found = reading.fetched if plan.fetches else [stored for _, stored in reading.rows]
        meter.items, shown = _shown(statement, plan, given, found)
        return Selected(shown, reading.last_key, reading.next)

    return await catalog.with_table(region, statement.table, attempt)


async def get(region: Region, table: Table, key: Item, consistent: bool) -> bytes | None:
    """The item with a key that has been checked. Raises DescriptorChanged."""
    read = (table.descriptor_key, keys.item_key(table, key, region.secret))
    raw, stored = await region.engine.get(read, consistent)
    check_descriptor(table, raw)
    return stored


def shown(statement: SelectStatement, stored: bytes) -> Any:
    """The selected parts of a stored item, for the response."""
    if statement.projection is None:
        return items.whole(stored)
    return statement.projection.apply(items.decode(stored))


def _shown(statement: SelectStatement, plan: Plan, given: Values, found: Sequence[bytes]) -> tuple[int, Any]:
    """The number of found items that pass the plan's filter, and their selected parts."""
    keep = predicate(plan.filter, given)
    if statement.projection is None:
        return reads.shown(found, keep, None)
    parsed = [items.decode(stored) for stored in found]
    selected = [statement.projection.apply(item) for item in parsed if keep is None or keep(item)]
    return len(selected), selected


@dataclass(slots=True)
class _Reading:
    """Reads a plan's partitions, or everything, one stretch after another."""

    region: Region
    table: Table
    plan: Plan
    consistent: bool
    meter: Meter
    rows: list[Row] = field(default_factory=list)
    fetched: list[bytes] = field(default_factory=list)
    size: int = 0
    last_key: Item | None = None
    next: Position | None = None

    async def run(self, position: Position, limit: int) -> None:
        """Examine at most `limit` rows from `position` on."""
        partitions = self.plan.partitions
        if partitions is None:
            partitions = ((reads.scanned(self.table, self.plan.index, 0, 1, None, self.region.secret),),)
        after = self._place(position.key)
        for number in range(position.partition, len(partitions)):
            if number == position.partition + PARTITIONS_AT_ONCE:
                self.next = Position(number)
                return
            for stretch in partitions[number]:
                left = stretch if after is None or number > position.partition else stretch.after(after)
                if left.start >= left.end:
                    continue
                page = await self._read(left, limit - len(self.rows))
                if page.full:
                    self.last_key = keys.key_of(self.table, self.plan.index, items.decode(page.rows[-1][1]))
                    self.next = Position(number, self.last_key)
                    return
        if not partitions:
            charging.add_nothing(self.meter, self.plan.index, self.consistent)

    def _place(self, key: Item | None) -> bytes | None:
        """The storage key of the item or entry after which to go on."""
        if key is None:
            return None
        key_values.check_start_key(self.table, self.plan.index, key)
        if self.plan.index is None:
            return keys.item_key(self.table, key, self.region.secret)
        return keys.index_key(self.table, self.plan.index, key, self.region.secret)

    async def _read(self, stretch: Stretch, limit: int) -> Page:
        plan, consistent = self.plan, self.consistent
        room = limits.PAGE_SIZE - self.size
        page = await pages.read(self.region, self.table, plan.index, stretch, limit, room, consistent, plan.fetches)
        self.rows += page.rows
        if page.fetched is not None:
            self.fetched += page.fetched
        self.size += page.size
        parts = capacity.partitions(self.table) if plan.partitions is None else 1
        charging.add_page(self.meter, self.table, plan.index, page, stretch, parts, consistent)
        return page
