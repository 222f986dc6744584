"""Charging: the units that reads and writes add to a request's meter, and those that answers show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws.meter import Meter
from jedlik.dynamodb.capacity import charging
from jedlik.dynamodb.model import items, keys, reads
from jedlik.dynamodb.model.indexes import EntryChange
from jedlik.dynamodb.model.reads import Stretch
from jedlik.dynamodb.model.writes import Delete, ItemChange, Put
from testing.dynamodb.schemas import table

TABLE = table(sort=("c", "S"), local={"local": ("x", "S")}, global_={"global": ([("y", "S")], [])})
LOCAL, GLOBAL = TABLE.indexes
KB = 1024


def stored(size: int) -> bytes:
    return items.encode({}, size)


@pytest.mark.parametrize(
    ("old", "new", "units"),
    [(None, None, 1), (None, 3 * KB, 3), (3 * KB, None, 3), (3 * KB, 1, 3), (1, 3 * KB, 3)],
)
def test_a_write_costs_the_larger_of_before_and_after(old: int | None, new: int | None, units: float) -> None:
    meter = Meter()
    charging.wrote(meter, TABLE, "t", ItemChange(stored(old) if old else None, stored(new) if new else None, []))
    assert charging.consumed(meter, "TOTAL") == {"TableName": "t", "CapacityUnits": units}
    assert (meter.items, meter.size) == (1, max(old or 0, new or 0))


def test_units_are_split_by_index_on_request() -> None:
    meter = Meter()
    charge = meter.of(TABLE, "t", True)
    moved, replaced = EntryChange(LOCAL, 1, 2 * KB), EntryChange(GLOBAL, None, 5 * KB)
    charging.add_write(meter, charge, ItemChange(stored(1), stored(1), [moved, replaced]))
    charging.add_write(meter, charge, ItemChange(stored(1), stored(1), []))
    assert charging.consumed(charge, "TOTAL") == {"TableName": "t", "CapacityUnits": 10}
    assert charging.consumed(charge, "INDEXES") == {
        "TableName": "t",
        "CapacityUnits": 10,
        "Table": {"CapacityUnits": 2},
        "LocalSecondaryIndexes": {"local": {"CapacityUnits": 3}},
        "GlobalSecondaryIndexes": {"global": {"CapacityUnits": 5}},
    }


def test_a_transaction_costs_the_table_double_and_shows_the_kind_of_unit() -> None:
    meter = Meter()
    charge = meter.of(TABLE, "t", True)
    charging.add_write(meter, charge, ItemChange(None, stored(1), [EntryChange(GLOBAL, None, 1)]), factor=2)
    assert charging.consumed(charge, "INDEXES", in_transaction=True) == {
        "TableName": "t",
        "CapacityUnits": 3,
        "WriteCapacityUnits": 3,
        "Table": {"CapacityUnits": 2, "WriteCapacityUnits": 2},
        "GlobalSecondaryIndexes": {"global": {"CapacityUnits": 1, "WriteCapacityUnits": 1}},
    }


@pytest.mark.parametrize(
    ("size", "strong", "eventual"),
    [(None, 1, 0.5), (1, 1, 0.5), (4 * KB, 1, 0.5), (4 * KB + 1, 2, 1), (400 * KB, 100, 50)],
)
def test_a_read_of_one_item(size: int | None, strong: float, eventual: float) -> None:
    found = None if size is None else stored(size)
    for consistent, units in ((True, strong), (False, eventual)):
        meter = Meter()
        charging.got(meter, TABLE, "t", found, consistent)
        assert (meter.units, meter.items, meter.size) == (units, size is not None, size or 0)
        several = Meter()
        charging.add_read(several, several.of(TABLE, "t", False), found, consistent)
        assert charging.each_consumed(several, "INDEXES") == [charging.consumed(meter, "INDEXES")]


def test_a_write_that_is_stopped_costs_the_larger_item_and_no_index() -> None:
    put = Put(TABLE, b"k", {}, stored(3 * KB))
    for there, units in ((None, 3), (stored(5 * KB), 5)):
        meter = Meter()
        charging.stopped(meter, "t", put, there)
        assert charging.consumed(meter, "INDEXES") == {
            "TableName": "t",
            "CapacityUnits": units,
            "Table": {"CapacityUnits": 0},
        }
        assert meter.refusals == 1
    assert charging.attempted_units(Delete(TABLE, b"k", {}), stored(2 * KB)) == 2


def test_a_table_is_charged_under_each_name_that_the_request_uses() -> None:
    meter = Meter()
    assert list(meter.charges()) == []
    for name in ("t", "arn", "t", "other"):
        meter.of(TABLE, name, False).units += 1
    assert [(charge.name, charge.total) for charge in meter.charges()] == [("t", 2), ("arn", 1), ("other", 1)]
    assert meter.find("none") is None


@given(
    st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 5000)), max_size=30),
    st.integers(1, 9),
    st.booleans(),
    st.integers(0, 3),
)
def test_a_page_is_cut_at_the_bounds_of_partitions(
    found: list[tuple[int, int]], partitions: int, ended: bool, segment: int
) -> None:
    """Row by row, as it is defined."""
    stretch = Stretch(*keys.segment_range(TABLE.prefix, segment, 4))
    rows = sorted(
        (key, stored(size))
        for place, size in found
        if stretch.start <= (key := TABLE.prefix + place.to_bytes(8, "big") + b"rest") < stretch.end
    )
    if not rows and not ended:
        return
    sizes = [0] * partitions
    for key, one in rows:
        sizes[_partition(key, partitions)] += items.size(one)
    counted = reads.sizes_by_partition(rows, stretch, ended, TABLE.prefix, partitions)
    begin = segment * partitions // 4
    assert counted == sizes[begin : begin + len(counted)]
    assert sum(counted) == sum(items.size(one) for _, one in rows)
    last = -(-(segment + 1) * partitions // 4) - 1 if ended else _partition(rows[-1][0], partitions)
    assert len(counted) == last + 1 - begin


def _partition(key: bytes, partitions: int) -> int:
    return int.from_bytes(key[len(TABLE.prefix) :][:8], "big") * partitions >> 64
