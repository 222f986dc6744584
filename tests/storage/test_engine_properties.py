"""Engines compared with a dictionary, over generated mutations and ranges."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.storage.engine import Engine, Row, Writes, entry_content
from testing.storage.engines import OPENERS, Open, everything, put, run

pytestmark = pytest.mark.parametrize("open_engine", OPENERS)

Values = Sequence[bytes | None]

item_keys = st.binary(min_size=1, max_size=3).map(lambda key: b"item" + key)
counter_keys = st.sampled_from([b"counter a", b"counter b"])
logs = st.sampled_from([b"log a", b"log b"])


@dataclass(frozen=True)
class Step:
    """What a generated mutation reads and does. It fails if `refused` is what it finds under the first key."""

    reads: list[bytes]
    puts: dict[bytes, bytes | None]
    adds: dict[bytes, int]
    appends: list[tuple[bytes, bytes]]
    refused: bytes | None

    def decide(self, values: Values) -> tuple[Writes, Values]:
        if self.reads and values[0] == self.refused:
            raise ValueError(self.refused)
        writes = Writes()
        writes.puts.update(self.puts)
        writes.adds.update(self.adds)
        writes.appends.extend(self.appends)
        return writes, list(values)


values = st.sampled_from([b"", b"1", b"two"])
steps = st.builds(
    Step,
    reads=st.lists(item_keys | counter_keys, max_size=3),
    puts=st.dictionaries(item_keys | counter_keys, st.none() | values, max_size=3),
    adds=st.dictionaries(counter_keys, st.integers(-(2**63), 2**63 - 1), max_size=2),
    appends=st.lists(st.tuples(logs, values), max_size=2),
    refused=st.none() | values,
)


class Model:
    """The store as a dictionary, on which one mutation runs after another."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.log: list[tuple[bytes, bytes]] = []

    def mutate(self, step: Step) -> Values | str:
        try:
            writes, result = step.decide([self.rows.get(key) for key in step.reads])
        except ValueError as error:
            return repr(error)
        for key, value in writes.puts.items():
            self.rows.pop(key, None)
            if value is not None:
                self.rows[key] = value
        for key, amount in writes.adds.items():
            count = int.from_bytes(self.rows.get(key, b""), "little", signed=True) + amount
            self.rows[key] = (count % 2**64).to_bytes(8, "little")
        self.log += writes.appends
        return result


@settings(max_examples=60, deadline=None)
@given(groups=st.lists(st.lists(steps, max_size=6), max_size=4))
def test_mutations_run_as_if_one_after_another(open_engine: Open, groups: list[list[Step]]) -> None:
    async def attempt(engine: Engine, step: Step) -> Values | str:
        try:
            return await engine.mutate(step.reads, step.decide)
        except ValueError as error:
            return repr(error)

    async def scenario(engine: Engine) -> list[Row]:
        for group in groups:
            outcomes = await asyncio.gather(*map(partial(attempt, engine), group))
            assert outcomes == [model.mutate(step) for step in group]
        return await everything(engine)

    model = Model()
    with tempfile.TemporaryDirectory() as directory:
        rows = run(open_engine, Path(directory), scenario)
    logged = [(key, entry) for key, entry in rows if key.startswith(b"log")]
    assert sorted(model.rows.items()) == [row for row in rows if row not in logged]
    assert model.log == [(key[:-8], entry_content(entry)) for key, entry in sorted(logged, key=lambda row: row[0][-8:])]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.dictionaries(st.binary(min_size=1, max_size=4).filter(lambda key: key[0] > 0), values),
    bounds=st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=5)), min_size=1, max_size=10),
    limit=st.integers(0, 6),
    max_bytes=st.integers(1, 8),
)
def test_range_is_a_slice_of_the_rows_in_order(
    open_engine: Open, rows: dict[bytes, bytes], bounds: list[tuple[bytes, bytes]], limit: int, max_bytes: int
) -> None:
    def expected(start: bytes, end: bytes, reverse: bool) -> list[Row]:
        found: list[Row] = []
        for key in sorted(rows, reverse=reverse):
            full = len(found) == limit or sum(len(value) for _, value in found) >= max_bytes
            if start <= key < end and not full:
                found.append((key, rows[key]))
        return found

    async def scenario(engine: Engine) -> None:
        await put(engine, rows)
        for start, end in bounds:
            for reverse in (False, True):
                found = await engine.range(start, end, limit, max_bytes, reverse)
                assert found == expected(start, end, reverse)
                for key in (start or b"none", b"none"):
                    both = await engine.get_and_range(key, start, end, limit, max_bytes, reverse)
                    assert both == (rows.get(key), found)

    with tempfile.TemporaryDirectory() as directory:
        run(open_engine, Path(directory), scenario)
