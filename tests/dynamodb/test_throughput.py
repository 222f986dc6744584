"""Provisioned throughput by the clock: how often a day it may be decreased."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from jedlik.aws.errors import LimitExceededException
from jedlik.dynamodb.capacity import throughput
from jedlik.dynamodb.model.definitions import Descriptor
from testing.dynamodb import schemas
from testing.dynamodb.definitions import units

MORNING = datetime(2026, 11, 23, 9, 5, 7, tzinfo=UTC).timestamp()
HOUR = 60 * 60
DAY = 24 * HOUR


def decreased(stored: Descriptor, now: float) -> Descriptor:
    """The settings with one unit less to read."""
    read = stored.provisioned["ReadCapacityUnits"]
    return throughput.with_units(stored, units(read - 1, 1), now, throughput.TABLE)


def count(stored: Descriptor, now: float) -> int:
    return throughput.decreases_today(stored.provisioned, now)


@pytest.fixture
def after_four() -> Descriptor:
    """Settings that have been decreased four times, just now."""
    settings = throughput.initial({"ProvisionedThroughput": units(100, 1)})
    stored = replace(schemas.table().descriptor, **settings)
    for expected in (1, 2, 3, 4):
        stored = decreased(stored, MORNING)
        assert count(stored, MORNING) == expected
    return stored


def test_the_fifth_decrease_must_wait_an_hour(after_four: Descriptor) -> None:
    with pytest.raises(LimitExceededException) as raised:
        decreased(after_four, MORNING + HOUR - 1)
    assert raised.value.message == (
        "Subscriber limit exceeded: Provisioned throughput decreases are limited within a given UTC day. After the "
        "first 4 decreases, each subsequent decrease in the same UTC day can be performed at most once every 3600 "
        "seconds. Number of decreases today: 4. "
        "Last decrease at Monday, November 23, 2026 at 9:05:07 AM Coordinated Universal Time. "
        "Next decrease can be made at Monday, November 23, 2026 at 10:05:07 AM Coordinated Universal Time"
    )
    stored = decreased(after_four, MORNING + HOUR)
    assert count(stored, MORNING + HOUR) == 5
    with pytest.raises(LimitExceededException, match=r"Number of decreases today: 5\."):
        decreased(stored, MORNING + HOUR + 1)


def test_the_count_starts_again_each_day(after_four: Descriptor) -> None:
    assert count(after_four, MORNING + DAY) == 0
    assert count(decreased(after_four, MORNING + DAY), MORNING + DAY) == 1


def test_an_increase_is_always_possible(after_four: Descriptor) -> None:
    stored = throughput.with_units(after_four, units(200, 1), MORNING + 1, throughput.TABLE)
    assert stored.provisioned == {
        **units(200, 1),
        "NumberOfDecreasesToday": 4,
        "LastDecreaseDateTime": MORNING,
        "LastIncreaseDateTime": MORNING + 1,
    }


def test_a_switch_of_the_billing_mode_is_no_decrease(after_four: Descriptor) -> None:
    stored = throughput.switched(after_four, None)
    assert count(throughput.switched(stored, units(1, 1)), MORNING) == 4
