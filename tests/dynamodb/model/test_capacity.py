"""Capacity units: what a request consumes, and how it is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jedlik.dynamodb.model import capacity, items
from jedlik.dynamodb.model.capacity import Consumed
from jedlik.dynamodb.model.indexes import EntryChange
from jedlik.dynamodb.model.writes import Change
from testing.dynamodb.schemas import table

TABLE = table(sort=("c", "S"), local={"local": ("x", "S")}, global_={"global": ([("y", "S")], [])})
LOCAL, GLOBAL = TABLE.indexes
KB = 1024


@pytest.mark.parametrize(
    ("size", "strong", "eventual"),
    [(0, 1, 0.5), (1, 1, 0.5), (4 * KB, 1, 0.5), (4 * KB + 1, 2, 1), (400 * KB, 100, 50)],
)
def test_reads_are_counted_by_4_kb_and_eventual_ones_half(size: int, strong: float, eventual: float) -> None:
    assert capacity.read_units(size, consistent=True) == strong
    assert capacity.read_units(size, consistent=False) == eventual


@pytest.mark.parametrize(("size", "units"), [(0, 1), (1, 1), (KB, 1), (KB + 1, 2), (400 * KB, 400)])
def test_writes_are_counted_by_1_kb(size: int, units: float) -> None:
    assert capacity.write_units(size) == units


def stored(size: int) -> bytes:
    return items.encode({}, size)


@pytest.mark.parametrize(
    ("old", "new", "units"),
    [(None, None, 1), (None, 3 * KB, 3), (3 * KB, None, 3), (3 * KB, 1, 3), (1, 3 * KB, 3)],
)
def test_a_write_costs_the_larger_of_before_and_after(old: int | None, new: int | None, units: float) -> None:
    consumed = Consumed("Write")
    consumed.add_write(Change(stored(old) if old else None, stored(new) if new else None, []))
    assert consumed.document("t", "TOTAL") == {"TableName": "t", "CapacityUnits": units}


def test_indexes_are_told_apart_when_asked_for() -> None:
    consumed = Consumed("Write")
    moved, replaced = EntryChange(LOCAL, 1, 2 * KB), EntryChange(GLOBAL, None, 5 * KB)
    consumed.add_write(Change(stored(1), stored(1), [moved, replaced]))
    consumed.add_write(Change(stored(1), stored(1), []))
    assert consumed.document("t", "TOTAL") == {"TableName": "t", "CapacityUnits": 10}
    assert consumed.document("t", "INDEXES") == {
        "TableName": "t",
        "CapacityUnits": 10,
        "Table": {"CapacityUnits": 2},
        "LocalSecondaryIndexes": {"local": {"CapacityUnits": 3}},
        "GlobalSecondaryIndexes": {"global": {"CapacityUnits": 5}},
    }


def test_a_transaction_costs_the_table_double_and_tells_the_kind_of_unit() -> None:
    consumed = Consumed("Write")
    consumed.add_write(Change(None, stored(1), [EntryChange(GLOBAL, None, 1)]), factor=2)
    assert consumed.document("t", "INDEXES", in_transaction=True) == {
        "TableName": "t",
        "CapacityUnits": 3,
        "WriteCapacityUnits": 3,
        "Table": {"CapacityUnits": 2, "WriteCapacityUnits": 2},
        "GlobalSecondaryIndexes": {"global": {"CapacityUnits": 1, "WriteCapacityUnits": 1}},
    }


def test_each_partition_that_is_scanned_costs_something() -> None:
    assert capacity.scan_units([0, 1, 4 * KB + 1, 0], consistent=True) == 5
    assert capacity.scan_units([0, 1, 4 * KB + 1, 0], consistent=False) == 2.5


@pytest.mark.parametrize(
    ("settings", "partitions"),
    [
        ({"BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"}}, 4),
        ({"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}, 1),
        ({"ProvisionedThroughput": {"ReadCapacityUnits": 3000, "WriteCapacityUnits": 1000}}, 2),
        ({"ProvisionedThroughput": {"ReadCapacityUnits": 3000, "WriteCapacityUnits": 1001}}, 3),
    ],
)
def test_partitions_follow_from_the_throughput(settings: dict[str, dict[str, object]], partitions: int) -> None:
    assert capacity.partitions(replace(TABLE, document=settings)) == partitions
