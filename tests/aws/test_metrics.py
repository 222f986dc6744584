"""Metrics: slabs, series without room, histograms, and the counts of a process that has ended."""

from __future__ import annotations

import math
import os
import signal
from collections import defaultdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.aws import histograms, metrics, slabs
from jedlik.aws.metrics import Counts, Metric
from jedlik.aws.slabs import AREAS, LARGE, RESERVED, SMALL, Slab
from jedlik.process import services
from jedlik.process.metrics_memory import MetricsMemory

UNITS = Metric("Units", "counter", "Count", ("Table", "Index"), "Units.")
OPEN = Metric("Open", "gauge", "Count", (), "What is open.")
LATENCY = Metric("Latency", "histogram", "Milliseconds", ("Table",), "How long it took.")
WHERE = ("000000000000", "us-east-1")
ROOM = SMALL.slots - RESERVED


def counted(*parts: Slab) -> dict[bytes, list[float]]:
    series: dict[bytes, list[float]] = {}
    for slab in parts:
        for area, number, key in slab.slots():
            slabs.add(series, key, slab.counted(area, number))
    return series


def total(metric: Metric, *parts: Slab) -> float:
    """The sum of all series of a metric, including the rest."""
    name = f'["{metric.name}",'.encode()
    return sum(cells[0] for key, cells in counted(*parts).items() if key.startswith(name))


# Layout


@given(
    st.lists(
        st.tuples(
            st.sampled_from([UNITS, LATENCY]),
            st.text("abc.-_", max_size=255),
            st.integers(0, 1000).map(lambda n: n / 2),
        ),
        max_size=60,
    )
)
@settings(max_examples=50, deadline=None)
def test_counts_are_read_as_counted(adds: list[tuple[Metric, str, float]]) -> None:
    slab = slabs.private()
    counts = Counts(slab)
    expected: dict[tuple[str, str], list[float]] = defaultdict(list)
    for metric, table, amount in adds:
        series = counts.series(metric, *WHERE, table, *[None] * (len(metric.dimensions) - 1))
        if metric is UNITS:
            series.add(amount)
        else:
            series.observe(amount)
        expected[metric.name, table].append(amount)
    found = counted(slab)
    assert len(found) == len(expected)
    for (name, table), amounts in expected.items():
        metric = UNITS if name == "Units" else LATENCY
        [cells] = [
            cells
            for key, cells in found.items()
            if key.startswith(f'["{name}"'.encode()) and f'"{table}"' in key.decode()
        ]
        assert cells[0] == sum(amounts)
        if metric is LATENCY:
            assert histograms.count(cells) == len(amounts)


def test_no_two_slots_share_a_byte_and_all_are_in_the_slab() -> None:
    ends = [slabs.PAGE]
    for area in AREAS:
        assert area.start == ends[-1]
        assert area.cell_at(0) * slabs.WORD + area.cells * slabs.WORD <= area.key_at(0) + area.slot
        assert area.key_at(1) - area.key_at(0) == area.slot
        ends.append(area.key_at(area.slots))
    assert ends[-1] <= slabs.SLAB_BYTES
    assert slabs.SLAB_BYTES % 65536 == slabs.HEAD_BYTES % 65536 == 0


def test_a_gauge_shows_its_last_value() -> None:
    slab = slabs.private()
    gauge = Counts(slab).series(OPEN, *WHERE)
    gauge.set(3)
    gauge.set(2)
    assert list(counted(slab).values()) == [[2.0]]


# A slab that is full


def full() -> tuple[Slab, Counts]:
    """A slab full of counters, each of which has counted 1."""
    slab = slabs.private()
    counts = Counts(slab)
    for number in range(ROOM):
        counts.series(UNITS, *WHERE, f"table-{number}", None).add(1)
    return slab, counts


def test_series_without_room_are_counted_in_the_rest_and_such_cases_too() -> None:
    slab, counts = full()
    counts.series(UNITS, *WHERE, "one more", None).add(7)
    counts.series(UNITS, *WHERE, "and another", None).add(1)
    counts.series(LATENCY, *WHERE, "one more").observe(1)
    assert counted(slab)[b'["Units","counter","Count"]'] == [8.0]
    assert total(UNITS, slab) == ROOM + 8
    assert slab.words[slabs.REFUSED] == 2
    [latency] = [cells for key, cells in counted(slab).items() if key.startswith(b'["Latency"')]
    assert histograms.count(latency) == 1


def test_a_key_that_is_too_long_is_counted_in_the_rest() -> None:
    slab = slabs.private()
    Counts(slab).series(UNITS, *WHERE, "t" * 600, "i" * 600).add(2)
    assert counted(slab) == {b'["Units","counter","Count"]': [2.0]}


def test_series_that_are_not_used_make_room_and_no_count_is_lost() -> None:
    slab, counts = full()
    used, idle = (counts.series(UNITS, *WHERE, name, None) for name in ("table-0", "table-1"))
    moved = []
    counts.when_moved(lambda: moved.append(1))
    assert counts.series(UNITS, *WHERE, "new", None).at == counts.series(UNITS, *WHERE, "newer", None).at
    counts.sweep()  # No series is known to be idle yet.
    assert slab.words[slabs.DROPPED] == 0
    used.add(1)
    counts.sweep()
    assert slab.words[slabs.DROPPED] == ROOM - 1
    assert len(moved) == 2
    new = counts.series(UNITS, *WHERE, "new", None)
    new.add(5)
    idle.add(1)  # A process that still holds the series counts in the rest.
    found = counted(slab)
    assert found[b'["Units","counter","Count","000000000000","us-east-1",{"Table":"new"}]'] == [5.0]
    assert found[b'["Units","counter","Count"]'] == [ROOM - 1 + 1.0]
    assert total(UNITS, slab) == ROOM + 1 + 5 + 1


def test_a_histogram_that_makes_room_keeps_its_values() -> None:
    slab = slabs.private()
    counts = Counts(slab)
    for number in range(LARGE.slots - RESERVED):
        counts.series(LATENCY, *WHERE, str(number)).observe(number)
    counts.sweep()
    counts.sweep()
    [(key, cells)] = counted(slab).items()
    assert key == b'["Latency","histogram","Milliseconds"]'
    assert cells[histograms.SUM] == sum(range(LARGE.slots - RESERVED))
    assert histograms.count(cells) == LARGE.slots - RESERVED


def test_room_is_made_once_a_minute_and_only_when_it_was_wanted() -> None:
    slab, counts = full()
    for _ in range(200):
        counts.look()
    assert slab.words[slabs.CHANGES] == 0
    counts.series(UNITS, *WHERE, "new", None)
    counts.look()
    counts.series(UNITS, *WHERE, "new", None)
    for _ in range(metrics.SWEEP_LOOKS - 1):
        counts.look()
    assert slab.words[slabs.CHANGES] == 2
    counts.look()
    assert slab.words[slabs.CHANGES] == 4


def test_every_declared_metric_has_a_place_for_its_rest() -> None:
    declared = [metric for service in services.SERVICES for metric in service.metrics]
    assert len({metric.name for metric in declared}) == len(declared)
    assert sum(metric.kind == "histogram" for metric in declared) <= RESERVED
    assert sum(metric.kind != "histogram" for metric in declared) <= RESERVED


# Processes that go


def test_counts_outlive_their_process_and_gauges_do_not() -> None:
    memory = MetricsMemory()
    slab = memory.give()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        counts = Counts(slab)
        counts.series(UNITS, *WHERE, "t", None).add(2.5)
        counts.series(LATENCY, *WHERE, "t").observe(3)
        counts.series(OPEN, *WHERE).set(9)
        os.write(writer, b".")
        signal.pause()
    os.read(reader, 1)
    before = memory.contents()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    memory.take_back(slab)
    after = memory.contents()
    gauge = b'["Open","gauge","Count","000000000000","us-east-1",{}]'
    assert before.series.pop(gauge) == [9.0]
    assert after.series == before.series
    assert len(after.series) == 2


def test_a_slab_is_clean_when_it_is_given_again() -> None:
    memory = MetricsMemory()
    slab = memory.give()
    counts = Counts(slab)
    for _ in range(3):
        counts.series(UNITS, *WHERE, "t", None).add(1)
        memory.take_back(slab)
        again = memory.give()
        assert again is slab
        assert counted(again) == {}
        counts = Counts(again)
    [cells] = memory.contents().series.values()
    assert cells == [3.0]


@given(st.integers(0, 4), st.integers(1, 100), st.integers(1, 100))
@settings(deadline=None)
def test_a_death_while_moving_a_count_neither_loses_nor_doubles_it(step: int, one: int, rest: int) -> None:
    """As after a kill at any store of `Slab.move`; the test makes these stores by hand."""
    memory = MetricsMemory()
    slab = memory.give()
    counts = Counts(slab)
    counts.series(UNITS, *WHERE, "t", None).add(one)
    counts.placed(b'["Units","counter","Count"]').add(rest)
    source = counts.series(UNITS, *WHERE, "t", None).at
    target = counts.placed(b'["Units","counter","Count"]').at
    words, cells = slab.words, slab.cells
    words[slabs.MOVED_FROM], words[slabs.MOVED_TO] = source, target
    cells[slabs.MOVED_SUM] = cells[source] + cells[target]
    if step > 0:
        words[slabs.MOVING] = 1
    if step > 1:
        cells[target] = cells[slabs.MOVED_SUM]
    if step > 2:
        cells[source] = 0.0
    if step > 3:
        words[slabs.MOVING] = 0
    words[slabs.CHANGES] = 1  # It was in a sweep.
    memory.take_back(slab)
    contents = memory.contents()
    assert sum(cells[0] for cells in contents.series.values()) == one + rest
    assert slab.words[slabs.CHANGES] % 2 == 0


# Histograms


@given(st.floats(min_value=histograms.LEAST, max_value=histograms.MOST, exclude_max=True))
def test_a_value_lies_within_the_bounds_of_its_cell(value: float) -> None:
    low, high = histograms.bounds(histograms.cell_of(value))
    assert low <= value < high
    assert high <= low * (1 + 1 / histograms.STEPS)


def test_cells_follow_each_other_without_gaps() -> None:
    inner = [histograms.bounds(cell) for cell in range(histograms.LOW, histograms.CELLS)]
    assert all(one[1] == following[0] for one, following in pairwise(inner))


@pytest.mark.parametrize(
    ("value", "cell"),
    [(0.0, histograms.LOW), (-1.0, histograms.LOW), (math.nan, histograms.LOW), (math.inf, histograms.HIGH)],
)
def test_a_value_without_a_bucket_has_a_cell_at_the_end(value: float, cell: int) -> None:
    assert histograms.cell_of(value) == cell


@given(
    st.lists(st.floats(0.01, 1e6), min_size=1, max_size=200),
    st.sampled_from([1, 50, 90, 99, 99.9, 100]),
)
def test_a_percentile_is_off_by_an_eighth_at_most(values: list[float], percent: float) -> None:
    slab = slabs.private()
    series = Counts(slab).series(LATENCY, *WHERE, "t")
    for value in values:
        series.observe(value)
    [cells] = counted(slab).values()
    found = histograms.percentile(cells, percent)
    exact = sorted(values)[max(0, math.ceil(len(values) * percent / 100 - 1e-9) - 1)]
    assert found is not None
    assert exact / (1 + 1 / histograms.STEPS) <= found <= exact * (1 + 1 / histograms.STEPS)
    assert histograms.count(cells) == len(values)


def test_without_values_there_is_no_percentile() -> None:
    assert histograms.percentile([0.0] * histograms.CELLS, 50) is None
