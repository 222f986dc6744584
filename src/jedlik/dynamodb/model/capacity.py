"""Capacity units: how many a read or a write of a number of bytes consumes.

Reads are counted in units of 4 KB, and half as much when they are eventually consistent; writes in units of 1 KB of the
larger of the item before and after. An index is charged by the size of its entries, and only when they change.
Transactions count double, but not for indexes. Source: "DynamoDB read and write operations" and "Provisioned capacity
mode" in the developer guide; the cost of transactions in indexes as measured on AWS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from jedlik.dynamodb.model.definitions import PAY_PER_REQUEST
from jedlik.dynamodb.model.tables import Table

READ_UNIT = 4096
"""Bytes of a strongly consistent read."""
WRITE_UNIT = 1024
"""Bytes of a write."""
PARTITION_READ_UNITS = 3000
PARTITION_WRITE_UNITS = 1000
"""The units that a partition can serve in a second."""
ON_DEMAND_PARTITIONS = 4
"""The partitions of a new on-demand table, which serves 4,000 writes a second at once."""


def read_units(size: int, consistent: bool) -> float:
    """Units of reading `size` bytes at once; reading nothing costs as much as reading a little."""
    units = float(max(1, -(-size // READ_UNIT)))
    return units if consistent else units / 2


def scan_units(sizes: Sequence[int], consistent: bool) -> float:
    """Units of a page for which `sizes` bytes were read in each partition that it visited.

    Each partition answers on its own, so each has a cost even if it is empty. AWS does not document this, but it
    explains why a scan of one small item in a new on-demand table costs 2 units.
    """
    return sum(read_units(size, consistent) for size in sizes)


def partitions(table: Table) -> int:
    """Partitions that AWS would give a table for its throughput: 3,000 reads or 1,000 writes each, four on demand."""
    if table.descriptor.billing_mode == PAY_PER_REQUEST:
        return ON_DEMAND_PARTITIONS
    units = table.descriptor.provisioned
    reads: int = units["ReadCapacityUnits"]
    writes: int = units["WriteCapacityUnits"]
    return max(1, math.ceil(reads / PARTITION_READ_UNITS + writes / PARTITION_WRITE_UNITS))


def write_units(size: int) -> float:
    """Units of writing `size` bytes; deleting a missing item costs as much as a small write."""
    return float(max(1, -(-size // WRITE_UNIT)))
