"""Charging: adds the costs of reads and writes of items to a request's meter, and shows them in its answer.

The rules are `model.capacity`'s. A write that a condition stops costs as much as a write of the larger of the present
item and the new one. A write in a canceled transaction was prepared and not committed, and costs half of a committed
one. Source: "DynamoDB read and write operations" in the developer guide, which also describes the two halves of
transactions.
"""

from __future__ import annotations

from typing import Any

from jedlik.aws.meter import Charge, Meter
from jedlik.dynamodb.items.pages import Page
from jedlik.dynamodb.model import items, reads
from jedlik.dynamodb.model.capacity import READ_UNIT, WRITE_UNIT, read_units, scan_units, write_units
from jedlik.dynamodb.model.reads import Stretch
from jedlik.dynamodb.model.tables import Index, Table
from jedlik.dynamodb.model.writes import ItemChange, ItemWrite, Put

_Document = dict[str, Any]


def got(meter: Meter, table: Table, name: str, stored: bytes | None, consistent: bool) -> None:
    """Charge a request that reads one item of the table that it calls `name`."""
    meter.table, meter.name, meter.writes, meter.besides = table, name, False, None  # As `begin`, without the call.
    meter.units = 1.0 if consistent else 0.5
    if stored is not None:
        meter.items = 1
        meter.size = size = items.size(stored)
        if size > READ_UNIT:
            meter.units = read_units(size, consistent)


def wrote(meter: Meter, table: Table, name: str, change: ItemChange) -> None:
    """Charge a request that writes one item."""
    old, new = change.old, change.new
    before = 0 if old is None else items.size(old)
    after = 0 if new is None else items.size(new)
    size = before if before > after else after
    meter.begin(table, name, True, 1.0 if size <= WRITE_UNIT else write_units(size))
    meter.items = 1
    meter.size = size
    if change.entries:
        _add_entries(meter, change)


def add_read(meter: Meter, charge: Charge, stored: bytes | None, consistent: bool, factor: int = 1) -> None:
    """Charge one read of several, of an item or of none. `factor` is 2 in a transaction."""
    size = 0
    if stored is not None:
        size = items.size(stored)
        meter.items += 1
        meter.size += size
    charge.units += factor * read_units(size, consistent)


def add_write(meter: Meter, charge: Charge, change: ItemChange, factor: int = 1) -> None:
    """Charge one write of several. `factor`, of the table's units alone, is 2 in a transaction."""
    size = max(_size(change.old), _size(change.new))
    charge.units += factor * write_units(size)
    meter.items += 1
    meter.size += size
    _add_entries(charge, change)


def add_page(
    meter: Meter,
    table: Table,
    index: Index | None,
    page: Page,
    stretch: Stretch,
    partitions: int,
    consistent: bool,
) -> None:
    """Charge the reads of a page in a stretch, to a request of one table: each of the `partitions` apart, and each item
    that was fetched for an entry."""
    fetched = page.fetched
    if partitions == 1 and fetched is None:
        units = read_units(page.size, consistent)
    else:
        prefix = table.prefix if index is None else index.prefix
        sizes = reads.sizes_by_partition(page.rows, stretch, not page.full, prefix, partitions)
        units = scan_units(sizes, consistent)
    if index is None:
        meter.units += units
    else:
        meter.add(units, part(index))
    if fetched is not None:
        for item in fetched:
            meter.units += read_units(items.size(item), consistent)
    meter.size += page.size


def queried(
    meter: Meter, table: Table, name: str, index: Index | None, items: int, size: int, consistent: bool
) -> None:
    """Charge a request that reads a page of one partition key, and shows all items of it."""
    units = read_units(size, consistent)
    meter.begin(table, name, False, units if index is None else 0.0)
    if index is not None:
        meter.add(units, part(index))
    meter.items, meter.size = items, size


def add_nothing(meter: Meter, index: Index | None, consistent: bool) -> None:
    """Charge a reading that could not find anything."""
    units = read_units(0, consistent)
    if index is None:
        meter.units += units
    else:
        meter.add(units, part(index))


def stopped(meter: Meter, name: str, operation: ItemWrite, stored: bytes | None) -> None:
    """Charge a write that the stored item has stopped."""
    meter.of(operation.table, name, True).stop(attempted_units(operation, stored), 1)


def attempted_units(operation: ItemWrite, stored: bytes | None) -> float:
    """The cost of an operation that changed nothing because of the stored item."""
    return write_units(max(_size(stored), _size(operation.stored) if isinstance(operation, Put) else 0))


def part(index: Index) -> tuple[bool, str]:
    """How charges name an index."""
    return index.is_global, index.name


def _add_entries(charge: Charge, change: ItemChange) -> None:
    for entry in change.entries:
        for size in (entry.deleted, entry.written):
            if size is not None:
                charge.add(write_units(size), part(entry.of))


def _size(stored: bytes | None) -> int:
    return 0 if stored is None else items.size(stored)


# The figures in answers


def each_consumed(meter: Meter, detail: str, in_transaction: bool = False) -> list[_Document]:
    """The ConsumedCapacity of each table of a request."""
    return [consumed(charge, detail, in_transaction) for charge in meter.charges()]


def consumed(charge: Charge, detail: str, in_transaction: bool = False) -> _Document:
    """The ConsumedCapacity of one table; with the parts of table and indexes when `detail` is INDEXES."""
    kind = "WriteCapacityUnits" if charge.writes else "ReadCapacityUnits"

    def units(amount: float) -> dict[str, float]:
        return {kind: amount, "CapacityUnits": amount} if in_transaction else {"CapacityUnits": amount}

    made: _Document = {"TableName": charge.name, **units(charge.total)}
    if detail == "INDEXES":
        made["Table"] = units(charge.units)
        for (is_global, name), amount in charge.parts.items():
            family = "GlobalSecondaryIndexes" if is_global else "LocalSecondaryIndexes"
            made.setdefault(family, {})[name] = units(amount)
    return made
