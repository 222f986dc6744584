"""Capacity units: what a request consumes, and how it is told.

Reads are counted in units of 4 KB, and half as much when they are eventually consistent; writes in units of 1 KB of
the larger of the item before and after. An index is charged by the size of its entries, and only when they change.
Transactions count double, but not for indexes. Source: "DynamoDB read and write operations" and "Provisioned capacity
mode" in the developer guide; what a transaction costs in indexes, as AWS answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from jedlik.dynamodb.model import items
from jedlik.dynamodb.model.tables import Index, Table
from jedlik.dynamodb.model.writes import Change

READ_UNIT = 4096
"""Bytes of a strongly consistent read."""
WRITE_UNIT = 1024
"""Bytes of a write."""
PARTITION_READ_UNITS = 3000
PARTITION_WRITE_UNITS = 1000
"""What a partition can serve in a second."""
ON_DEMAND_PARTITIONS = 4
"""Of a new on-demand table, which serves 4,000 writes a second at once."""


def read_units(size: int, consistent: bool) -> float:
    """Units of reading `size` bytes at once; reading nothing costs as much as reading a little."""
    units = float(max(1, -(-size // READ_UNIT)))
    return units if consistent else units / 2


def scan_units(sizes: Sequence[int], consistent: bool) -> float:
    """Units of a page for which `sizes` bytes were read in each partition that it visited.

    Each partition answers on its own, so each costs something even if nothing is in it. AWS does not document this,
    but it is why a scan of one small item in a new on-demand table is told as 2 units.
    """
    return sum(read_units(size, consistent) for size in sizes)


def partitions(table: Table) -> int:
    """Partitions that AWS would give a table for its throughput: 3,000 reads or 1,000 writes each, four on demand."""
    document = table.document
    if document.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST":
        return ON_DEMAND_PARTITIONS
    units = document.get("ProvisionedThroughput", {})
    reads: int = units.get("ReadCapacityUnits", 0)
    writes: int = units.get("WriteCapacityUnits", 0)
    return max(1, math.ceil(reads / PARTITION_READ_UNITS + writes / PARTITION_WRITE_UNITS))


def write_units(size: int) -> float:
    """Units of writing `size` bytes; deleting what is not there costs as much as a small write."""
    return float(max(1, -(-size // WRITE_UNIT)))


class Consumed:
    """Units consumed from one table and its indexes by one request."""

    __slots__ = ("_indexes", "_kind", "_table")

    def __init__(self, kind: Literal["Read", "Write"]) -> None:
        self._kind = kind
        self._table = 0.0
        self._indexes: dict[tuple[str, str], float] = {}

    def add(self, units: float, index: Index | None = None) -> None:
        """Count units of the table, or of an index."""
        if index is None:
            self._table += units
            return
        family = "GlobalSecondaryIndexes" if index.is_global else "LocalSecondaryIndexes"
        self._indexes[family, index.name] = self._indexes.get((family, index.name), 0.0) + units

    def add_write(self, change: Change, factor: int = 1) -> None:
        """Count the write of one item. `factor`, of the table's units alone, is 2 in a transaction."""
        before = items.size(change.old) if change.old is not None else 0
        after = items.size(change.new) if change.new is not None else 0
        self.add(factor * write_units(max(before, after)))
        for entry in change.entries:
            for size in (entry.deleted, entry.written):
                if size is not None:
                    self.add(write_units(size), entry.of)

    def document(self, table_name: str, detail: str, in_transaction: bool = False) -> dict[str, Any]:
        """A ConsumedCapacity, with the parts of table and indexes when `detail` is INDEXES."""

        def units(amount: float) -> dict[str, float]:
            return (
                {f"{self._kind}CapacityUnits": amount, "CapacityUnits": amount}
                if in_transaction
                else {"CapacityUnits": amount}
            )

        document: dict[str, Any] = {"TableName": table_name, **units(self._table + sum(self._indexes.values()))}
        if detail == "INDEXES":
            document["Table"] = units(self._table)
            for (family, name), amount in self._indexes.items():
                document.setdefault(family, {})[name] = units(amount)
        return document
