"""What every engine promises to one process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest

from jedlik.storage.engine import Engine, StorageError, Writes, entry_content, entry_time
from testing.storage.engines import OPENERS, Open, add, append, count_of, everything, increment, put, run

pytestmark = pytest.mark.parametrize("open_engine", OPENERS)

Values = Sequence[bytes | None]


class RefusedError(Exception):
    """The error that a `decide` of these tests raises."""


# Reading


def test_get_answers_in_the_order_of_the_keys_with_none_where_absent(open_engine: Open, tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await put(engine, {b"a": b"1", b"b": b"2", b"empty": b""})
        assert await engine.get([b"b", b"absent", b"a", b"empty"]) == [b"2", None, b"1", b""]
        assert await engine.get([]) == []
        assert engine.get_now([b"b", b"absent", b"a"]) in ([b"2", None, b"1"], None)

    run(open_engine, tmp_path, scenario)


@pytest.mark.parametrize(
    ("start", "end", "limit", "max_bytes", "reverse", "keys"),
    [
        (b"b", b"d", 10, 1000, False, [b"b", b"c"]),
        (b"b", b"d", 10, 1000, True, [b"c", b"b"]),
        (b"bb", b"cc", 10, 1000, False, [b"c"]),
        (b"bb", b"cc", 10, 1000, True, [b"c"]),
        (b"a", b"z", 2, 1000, False, [b"a", b"b"]),
        (b"a", b"z", 2, 1000, True, [b"e", b"d"]),
        (b"", b"z", 10, 1000, False, [b"a", b"b", b"c", b"d", b"e"]),
        (b"", b"\xff" * 3000, 10, 1000, True, [b"e", b"d", b"c", b"b", b"a"]),
        # Values are ten bytes: the row with which they reach the limit is the last.
        (b"a", b"z", 10, 1, False, [b"a"]),
        (b"a", b"z", 10, 20, False, [b"a", b"b"]),
        (b"a", b"z", 10, 21, False, [b"a", b"b", b"c"]),
        (b"a", b"z", 10, 21, True, [b"e", b"d", b"c"]),
        (b"c", b"c", 10, 1000, False, []),
        (b"d", b"b", 10, 1000, False, []),
        (b"d", b"b", 10, 1000, True, []),
        (b"x", b"z", 10, 1000, False, []),
        (b"x", b"z", 10, 1000, True, []),
        (b"A", b"a", 10, 1000, False, []),
        (b"A", b"a", 10, 1000, True, []),
        (b"a", b"z", 0, 1000, False, []),
    ],
)
def test_range(
    open_engine: Open,
    tmp_path: Path,
    start: bytes,
    end: bytes,
    limit: int,
    max_bytes: int,
    reverse: bool,
    keys: list[bytes],
) -> None:
    async def scenario(engine: Engine) -> None:
        await put(engine, {key: key * 10 for key in (b"a", b"b", b"c", b"d", b"e")})
        rows = await engine.range(start, end, limit, max_bytes, reverse)
        assert rows == [(key, key * 10) for key in keys]
        now = engine.get_and_range_now(b"a", start, end, limit, max_bytes, reverse)
        assert now in ((b"a" * 10, rows), None)

    run(open_engine, tmp_path, scenario)


def test_range_of_an_empty_store(open_engine: Open, tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        assert await engine.range(b"", b"\xff", 10, 1000) == []
        assert await engine.range(b"", b"\xff", 10, 1000, reverse=True) == []

    run(open_engine, tmp_path, scenario)


def test_reads_never_suspend(open_engine: Open, tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await put(engine, {b"a": b"1"})
        with pytest.raises(StopIteration) as got:
            engine.get([b"a"]).__await__().__next__()
        assert got.value.value == [b"1"]
        with pytest.raises(StopIteration) as found:
            engine.range(b"a", b"b", 10, 1000).__await__().__next__()
        assert found.value.value == [(b"a", b"1")]
        with pytest.raises(StopIteration) as both:
            engine.get_and_range(b"a", b"a", b"b", 10, 1000).__await__().__next__()
        assert both.value.value == (b"1", [(b"a", b"1")])

    run(open_engine, tmp_path, scenario)


# Writing


def test_all_of_a_mutation_is_written(open_engine: Open, tmp_path: Path) -> None:
    def decide(values: Values) -> tuple[Writes, str]:
        assert values == [b"old", None]
        writes = Writes()
        writes.put(b"new", b"value")
        writes.delete(b"replaced")
        writes.delete(b"never there")
        writes.add(b"counter", 3)
        writes.add(b"counter", -1)
        writes.append(b"log", b"entry")
        return writes, "result"

    async def scenario(engine: Engine) -> None:
        await put(engine, {b"replaced": b"old"})
        assert await engine.mutate([b"replaced", b"absent"], decide) == "result"
        counter, (key, entry), new = await everything(engine)
        assert counter == (b"counter", (2).to_bytes(8, "little"))
        assert (key[:-8], entry_content(entry)) == (b"log", b"entry")
        assert new == (b"new", b"value")

    run(open_engine, tmp_path, scenario)


def test_a_store_keeps_its_content_when_it_is_opened_again(open_engine: Open, tmp_path: Path) -> None:
    run(open_engine, tmp_path, lambda engine: put(engine, {b"a": b"1"}))
    assert run(open_engine, tmp_path, lambda engine: engine.get([b"a"])) == [b"1"]


def test_mutations_that_wait_together_see_each_other_in_order(open_engine: Open, tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        assert await asyncio.gather(*(increment(engine, b"n") for _ in range(1000))) == list(range(1, 1001))
        assert await engine.get([b"n"]) == [b"1000"]

    run(open_engine, tmp_path, scenario)


def test_later_mutations_see_puts_and_deletes_and_adds_of_those_that_wait_with_them(
    open_engine: Open, tmp_path: Path
) -> None:
    def deciding(writes: Writes, values: Values) -> tuple[Writes, Values]:
        return writes, values

    def write(**changes: bytes | int | None) -> Writes:
        writes = Writes()
        for key, change in changes.items():
            if isinstance(change, int):
                writes.add(key.encode(), change)
            else:
                writes.puts[key.encode()] = change
        return writes

    async def scenario(engine: Engine) -> None:
        await put(engine, {b"a": b"old", b"b": b"old"})
        await engine.mutate([], lambda values: (write(counted=5, reset=7), None))
        steps = [
            write(a=b"new", b=None, counted=2),
            write(b=b"again", reset=None),
            write(reset=1, counted=-1),
            Writes(),
        ]
        seen = [engine.mutate([b"a", b"b", b"counted", b"reset"], partial(deciding, step)) for step in steps]
        number = bytes(7)
        assert await asyncio.gather(*seen) == [
            [b"old", b"old", b"\x05" + number, b"\x07" + number],
            [b"new", None, b"\x07" + number, b"\x07" + number],
            [b"new", b"again", b"\x07" + number, None],
            [b"new", b"again", b"\x06" + number, b"\x01" + number],
        ]
        assert await everything(engine) == [
            (b"a", b"new"),
            (b"b", b"again"),
            (b"counted", b"\x06" + number),
            (b"reset", b"\x01" + number),
        ]

    run(open_engine, tmp_path, scenario)


def test_a_mutation_that_writes_nothing_gets_its_result(open_engine: Open, tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await put(engine, {b"a": b"1"})
        assert await engine.mutate([b"a"], lambda values: (Writes(), values)) == [b"1"]

    run(open_engine, tmp_path, scenario)


def test_counters_add_up_and_may_be_negative(open_engine: Open, tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await asyncio.gather(*(add(engine, b"counter", amount) for amount in range(100)))
        [value] = await engine.get([b"counter"])
        assert count_of(value) == 4950
        await add(engine, b"counter", -5000)
        assert await engine.get([b"counter"]) == [(-50).to_bytes(8, "little", signed=True)]

    run(open_engine, tmp_path, scenario)


def test_counters_wrap_around_as_machine_integers_do(open_engine: Open, tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await asyncio.gather(*(add(engine, b"counter", amount) for amount in (-(1 << 63), -(1 << 63), 7)))
        [value] = await engine.get([b"counter"])
        assert count_of(value) == 7

    run(open_engine, tmp_path, scenario)


def test_entries_of_all_logs_are_positioned_in_commit_order(open_engine: Open, tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await asyncio.gather(
            append(engine, b"one", [b"1", b"2"]), append(engine, b"two", [b"3"]), append(engine, b"one", [b"4"])
        )
        await append(engine, b"two", [b"5"])
        rows = await everything(engine)
        assert [(key[:3], entry_content(entry)) for key, entry in rows] == [
            (b"one", b"1"),
            (b"one", b"2"),
            (b"one", b"4"),
            (b"two", b"3"),
            (b"two", b"5"),
        ]
        in_order = sorted(rows, key=lambda row: int.from_bytes(row[0][3:], "big"))
        assert [entry_content(entry) for _, entry in in_order] == [b"1", b"2", b"3", b"4", b"5"]

    run(open_engine, tmp_path, scenario)


def test_positions_go_on_after_the_log_was_emptied_and_the_store_opened_again(
    open_engine: Open, tmp_path: Path
) -> None:
    async def first(engine: Engine) -> bytes:
        assert (await engine.last_position(), await engine.last_time()) == (0, 0)
        await append(engine, b"log", [b"1"])
        [(key, _)] = await everything(engine)
        writes = Writes()
        writes.delete(key)
        await engine.mutate([], lambda values: (writes, None))
        assert await engine.last_position() == int.from_bytes(key[-8:], "big")
        return key

    async def second(engine: Engine) -> bytes:
        before = await engine.last_position()
        await append(engine, b"log", [b"2"])
        assert await engine.last_position() == before + 1
        assert 0 < await engine.last_time() <= engine.clock()
        [(key, _)] = await everything(engine)
        return key

    assert run(open_engine, tmp_path, first) < run(open_engine, tmp_path, second)


def test_each_entry_has_the_time_of_its_commit(open_engine: Open, tmp_path: Path) -> None:
    now = 1000.0

    async def scenario(engine: Engine) -> list[tuple[bytes, int]]:
        nonlocal now
        engine.clock = lambda: now
        for entry, at in ((b"1", 1000.0), (b"2", 1000.25), (b"back", 7.0), (b"4", 1001.5)):
            now = at
            await append(engine, b"log", [entry])
        return [(entry_content(stored), entry_time(stored)) for _, stored in await everything(engine)]

    first = [(b"1", 1_000_000_000), (b"2", 1_000_250_000), (b"back", 1_000_250_000), (b"4", 1_001_500_000)]
    assert run(open_engine, tmp_path, scenario) == first
    # It does not go back when the store is opened by a process with an earlier clock.
    assert [time for _, time in run(open_engine, tmp_path, scenario)][4:] == [1_001_500_000] * 4


# Failing


def test_a_failing_decide_fails_its_caller_alone_and_writes_nothing(open_engine: Open, tmp_path: Path) -> None:
    def refuse(values: Values) -> tuple[Writes, None]:
        raise RefusedError(f"found {values}")

    async def refused(engine: Engine, key: bytes) -> None:
        await engine.mutate([key], refuse)

    async def scenario(engine: Engine) -> None:
        outcomes = await asyncio.gather(
            increment(engine, b"n"),
            refused(engine, b"n"),
            increment(engine, b"n"),
            refused(engine, b"other"),
            return_exceptions=True,
        )
        assert [repr(outcome) for outcome in outcomes] == [
            "1",
            """RefusedError("found [b'1']")""",
            "2",
            "RefusedError('found [None]')",
        ]
        assert await everything(engine) == [(b"n", b"2")]

    run(open_engine, tmp_path, scenario)


def test_a_decide_that_raises_stop_iteration_fails_its_caller_alone(open_engine: Open, tmp_path: Path) -> None:
    def stop(values: Values) -> tuple[Writes, None]:
        raise StopIteration

    async def scenario(engine: Engine) -> None:
        failing = engine.mutate([], stop)
        assert await increment(engine, b"n") == 1
        with pytest.raises(RuntimeError, match=r"^decide raised StopIteration$"):
            await failing

    run(open_engine, tmp_path, scenario)


@pytest.mark.parametrize("key", [b"", b"\x00mine", b"k" * 1979], ids=["empty", "reserved", "too long"])
def test_a_key_that_cannot_be_used_fails_its_caller_alone(open_engine: Open, tmp_path: Path, key: bytes) -> None:
    def write(kind: str, values: Values) -> tuple[Writes, None]:
        writes = Writes()
        writes.put(b"valid", b"value")
        if kind == "put":
            writes.put(key, b"value")
        elif kind == "delete":
            writes.delete(key)
        elif kind == "add":
            writes.add(key, 1)
        elif kind == "append":
            writes.append(key[8:], b"entry")
        return writes, None

    async def scenario(engine: Engine) -> None:
        for kind in ("read", "put", "delete", "add", "append"):
            failing = engine.mutate([key] if kind == "read" else [], partial(write, kind))
            await increment(engine, b"n")
            with pytest.raises(StorageError, match=r"^a key is 1 to 1978 bytes and does not start with 00: "):
                await failing
        assert await everything(engine) == [(b"n", b"5")]

    run(open_engine, tmp_path, scenario)


def test_the_longest_key(open_engine: Open, tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        await put(engine, {b"k" * 1978: b"value"})
        assert await engine.get([b"k" * 1978]) == [b"value"]
        assert await engine.range(b"k", b"l", 10, 1000) == [(b"k" * 1978, b"value")]

    run(open_engine, tmp_path, scenario)


def test_a_cancelled_caller_disturbs_no_other(open_engine: Open, tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        abandoned = asyncio.ensure_future(increment(engine, b"abandoned"))
        others = [asyncio.ensure_future(increment(engine, b"n")) for _ in range(3)]
        await asyncio.sleep(0)
        abandoned.cancel()
        others[1].cancel()
        await asyncio.wait([abandoned, *others])
        assert abandoned.cancelled()
        assert await increment(engine, b"after") == 1

    run(open_engine, tmp_path, scenario)


# Closing


def test_close_waits_for_the_mutations_in_flight(open_engine: Open, tmp_path: Path) -> None:
    async def close_at_once() -> list[int]:
        engine = open_engine(tmp_path)
        running = [asyncio.ensure_future(increment(engine, b"n")) for _ in range(600)]
        await asyncio.sleep(0)
        await engine.close()
        return await asyncio.gather(*running)

    assert asyncio.run(close_at_once()) == list(range(1, 601))
    assert run(open_engine, tmp_path, lambda engine: engine.get([b"n"])) == [b"600"]


def test_a_closed_store_refuses(open_engine: Open, tmp_path: Path) -> None:
    async def scenario() -> None:
        engine = open_engine(tmp_path)
        await engine.close()
        with pytest.raises(StorageError):
            await engine.get([b"a"])
        with pytest.raises(StorageError):
            await engine.range(b"a", b"b", 1, 1)
        with pytest.raises(StorageError, match=r"^the store in .+ is closed$"):
            await increment(engine, b"a")
        await engine.close()

    asyncio.run(scenario())
