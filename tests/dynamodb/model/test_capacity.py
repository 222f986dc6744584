"""Capacity units: how many a read or a write consumes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jedlik.dynamodb.model import capacity
from jedlik.dynamodb.model.definitions import Billing
from testing.dynamodb.schemas import table

TABLE = table(sort=("c", "S"), local={"local": ("x", "S")}, global_={"global": ([("y", "S")], [])})
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


def test_each_scanned_partition_has_a_cost() -> None:
    assert capacity.scan_units([0, 1, 4 * KB + 1, 0], consistent=True) == 5
    assert capacity.scan_units([0, 1, 4 * KB + 1, 0], consistent=False) == 2.5


@pytest.mark.parametrize(
    ("settings", "partitions"),
    [
        ({"billing": Billing("PAY_PER_REQUEST")}, 4),
        ({"provisioned": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}}, 1),
        ({"provisioned": {"ReadCapacityUnits": 3000, "WriteCapacityUnits": 1000}}, 2),
        ({"provisioned": {"ReadCapacityUnits": 3000, "WriteCapacityUnits": 1001}}, 3),
    ],
)
def test_partitions_follow_from_the_throughput(settings: dict[str, Any], partitions: int) -> None:
    descriptor = replace(TABLE.descriptor, **settings)
    assert capacity.partitions(replace(TABLE, descriptor=descriptor)) == partitions
