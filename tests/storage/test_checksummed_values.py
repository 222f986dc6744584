"""Reads return the written values: every reader notices a changed bit in a value or its key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.storage.counters import counter_value
from jedlik.storage.engine import DamagedValue, Engine, Row, Writes
from jedlik.storage.lmdb import changes, checksums
from jedlik.storage.lmdb.lmdb_file import view
from jedlik.storage.lmdb.lmdb_pages import DATA
from testing.storage.engines import Open, add, append, everything, lmdb_durable, lmdb_forgetful, put, run

KEYS = st.binary(min_size=1, max_size=60)
WHOLE = st.binary(max_size=300)


@given(KEYS, WHOLE)
def test_a_value_comes_back(key: bytes, value: bytes) -> None:
    found = checksums.kept(key, value)
    assert checksums.read(key, found) == value
    assert checksums.is_whole(key, found)
    assert len(found) == checksums.HEADER + len(value)
    assert checksums.read(key, None) is None


@given(KEYS, WHOLE, st.data())
def test_a_flipped_bit_is_seen(key: bytes, value: bytes, data: st.DataObject) -> None:
    found = bytearray(checksums.kept(key, value))
    bit = data.draw(st.integers(0, 8 * len(found) - 1))
    found[bit // 8] ^= 1 << bit % 8
    assert not checksums.is_whole(key, bytes(found))
    if bit < 32:  # The kind, which reads ignore.
        assert checksums.read(key, bytes(found)) == value
        return
    with pytest.raises(DamagedValue, match=f"^the value under key {key.hex()} is damaged: its checksum is wrong$"):
        checksums.read(key, bytes(found))


@given(KEYS, KEYS, WHOLE)
def test_a_value_under_another_key_is_damage(key: bytes, other: bytes, value: bytes) -> None:
    assert checksums.is_whole(other, checksums.kept(key, value)) == (key == other)


@given(KEYS, WHOLE, st.integers(0, checksums.HEADER + 300))
def test_a_value_that_is_cut_is_damage(key: bytes, value: bytes, length: int) -> None:
    found = checksums.kept(key, value)[:length]
    assert checksums.is_whole(key, found) == (length >= checksums.HEADER + len(value))


@given(st.lists(st.lists(st.sampled_from([b"a", b"b", b"c", b"none", b"bad"]), max_size=4), max_size=9))
def test_the_memory_of_seen_values_makes_no_difference(asked: list[list[bytes]]) -> None:
    values = {b"a": b"1", b"b": b"x" * 20_000, b"c": b""}
    stored = {key: checksums.kept(key, value) for key, value in values.items()}
    stored[b"bad"] = checksums.kept(b"bad", b"value")[:-1] + b"?"
    seen: dict[bytes, Row] = {}
    for keys in asked:
        if b"bad" in keys:
            with pytest.raises(DamagedValue):
                checksums.read_all(keys, stored.get, seen)
        else:
            assert checksums.read_all(keys, stored.get, seen) == [values.get(key) for key in keys]
    assert b"b" not in seen, "what is kept has a limit"


@pytest.mark.parametrize("more", [(), (b"other",)])
def test_seen_values_are_compared(more: tuple[bytes, ...]) -> None:
    stored = {b"key": checksums.kept(b"key", b"value")}
    seen: dict[bytes, Row] = {}
    assert checksums.read_all((b"key", *more), stored.get, seen)[0] == b"value"
    stored[b"key"] = stored[b"key"][:-1] + b"?"
    with pytest.raises(DamagedValue):
        checksums.read_all((b"key", *more), stored.get, seen)


def spoil(path: Path, key: bytes, value: bytes) -> None:
    """Change the last byte of the value under a key, on the disk, in every page that has it."""
    data = (path / DATA).read_bytes()
    found = checksums.kept(key, value)
    assert found in data
    (path / DATA).write_bytes(data.replace(found, found[:-1] + bytes((found[-1] ^ 1,))))


def test_a_damaged_value_fails_its_readers_and_no_others(tmp_path: Path) -> None:
    async def fill(engine: Engine) -> None:
        await put(engine, {b"good": b"1", b"spoilt": b"2", b"worse": b"3"})
        await append(engine, b"log", [b"entry"])

    run(lmdb_durable, tmp_path, fill)
    spoil(tmp_path, b"spoilt", b"2")

    async def scenario(engine: Engine) -> None:
        assert await engine.get([b"good", b"worse"]) == [b"1", b"3"]
        with pytest.raises(DamagedValue):
            await engine.get([b"good", b"spoilt"])
        with pytest.raises(DamagedValue):
            await everything(engine)
        assert await engine.range(b"t", b"z", 10, 1000) == [(b"worse", b"3")]

        def decide(found: object) -> tuple[Writes, object]:
            writes = Writes()
            writes.put(b"new", b"4")
            return writes, found

        damaged, whole = engine.mutate([b"spoilt"], decide), engine.mutate([b"good"], decide)
        with pytest.raises(DamagedValue):
            await damaged
        assert await whole == [b"1"]
        await put(engine, {b"spoilt": b"5"})  # A write without a read replaces it.
        assert await engine.get([b"spoilt", b"new"]) == [b"5", b"4"]

    run(lmdb_durable, tmp_path, scenario)


@pytest.mark.parametrize("opening", [lmdb_durable, lmdb_forgetful], ids=["durable", "in memory"])
def test_a_damaged_counter_fails_additions_to_it_and_nothing_else(tmp_path: Path, opening: Open) -> None:
    async def fill(engine: Engine) -> None:
        for name in (b"spoilt", b"worse", b"good"):
            await add(engine, name, 5)

    run(opening, tmp_path, fill)
    for name in (b"spoilt", b"worse"):
        spoil(tmp_path, name, counter_value(5))

    def adding(*names: bytes) -> Callable[[object], tuple[Writes, None]]:
        def decide(found: object) -> tuple[Writes, None]:
            writes = Writes()
            for name in names:
                writes.add(name, 1)
                writes.put(b"by " + name, b"1")
            return writes, None

        return decide

    async def scenario(engine: Engine) -> None:
        together = [
            engine.mutate([], adding(*names)) for names in ((b"spoilt",), (b"good",), (b"worse", b"good"), (b"good",))
        ]
        said = await asyncio.gather(*together, return_exceptions=True)
        assert [type(one) for one in said] == [DamagedValue, type(None), DamagedValue, type(None)]
        assert await engine.get([b"good", b"by spoilt", b"by worse"]) == [counter_value(7), None, None]
        with pytest.raises(DamagedValue, match=r"the value under key \w+ is damaged"):
            await add(engine, b"spoilt", 1)
        await put(engine, {b"spoilt": counter_value(1)})  # To set it mends it.
        await add(engine, b"spoilt", 1)
        assert await engine.get([b"spoilt"]) == [counter_value(2)]

    run(opening, tmp_path, scenario)


def test_a_damaged_position_fails_appends_and_nothing_else(tmp_path: Path) -> None:
    run(lmdb_durable, tmp_path, lambda engine: append(engine, b"log", [b"entry"]))
    data = (tmp_path / DATA).read_bytes()
    begin = data.index(b"\x00position") + len(b"\x00position") + 14
    (tmp_path / DATA).write_bytes(data[:begin] + bytes((data[begin] ^ 1,)) + data[begin + 1 :])

    async def scenario(engine: Engine) -> None:
        appended = asyncio.ensure_future(append(engine, b"log", [b"another"]))
        await put(engine, {b"key": b"1"})
        with pytest.raises(DamagedValue):
            await appended
        assert await engine.get([b"key"]) == [b"1"]

    run(lmdb_durable, tmp_path, scenario)


def test_a_recovery_leaves_a_damaged_counter_as_it_is(tmp_path: Path) -> None:
    spoilt = checksums.kept(b"counter", counter_value(5))[:-1] + b"\x01"
    with lmdb.open(str(tmp_path), lib_version=1) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"counter", spoilt)
        record = changes.packed({b"counter": 1, b"other": 1, b"key": b"2"}, [], 0)
        with pytest.raises(DamagedValue):
            changes.write(record, transaction)
        changes.write_again(record, transaction)
        assert transaction.get(b"counter") == spoilt
        assert checksums.read(b"other", transaction.get(b"other")) == counter_value(1)
        assert checksums.read(b"key", transaction.get(b"key")) == b"2"


def test_a_view_names_each_damaged_value(tmp_path: Path) -> None:
    run(lmdb_durable, tmp_path, lambda engine: put(engine, {b"%d" % n: b"value" for n in range(9)}))
    for key in (b"2", b"5"):
        spoil(tmp_path, key, b"value")
    with view(tmp_path) as found:
        assert list(found.damaged()) == [b"2", b"5"]
        assert list(found.damaged(b"3")) == [b"5"]
        assert found.get(b"4") == b"value"
        with pytest.raises(DamagedValue):
            found.get(b"5")
        assert found.count(b"0", b"9") == 9
