"""What every engine promises to processes that share a store."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from jedlik.storage.engine import Engine, Row, Writes, entry_content, entry_time
from testing.storage.engine_processes import (
    append_numbers,
    claim,
    count_up,
    finish,
    other_process,
    pipe,
    start,
    write_until_killed,
)
from testing.storage.engines import SHARED_OPENERS, Open, count_of, everything, increment, put, put_twice, run

pytestmark = pytest.mark.parametrize("open_engine", SHARED_OPENERS)

Values = Sequence[bytes | None]


# Isolation


def test_no_increment_of_several_processes_is_lost(open_engine: Open, tmp_path: Path) -> None:
    finish(*(start(count_up, open_engine, tmp_path, [b"one", b"two"], 160) for _ in range(3)))
    assert run(open_engine, tmp_path, everything) == [(b"one", b"480"), (b"two", b"480")]


def test_one_of_several_processes_gets_a_contested_slot(open_engine: Open, tmp_path: Path) -> None:
    processes, claims = [], {}
    for name in (b"A", b"B", b"C"):
        claims[name], sender = pipe()
        processes.append(start(claim, open_engine, tmp_path, name, 100, sender))
    owners = {b"slot%d" % slot: name for name, receiver in claims.items() for slot in receiver.recv()}
    finish(*processes)

    *slots, (_, taken) = run(open_engine, tmp_path, everything)
    assert dict(slots) == owners
    assert count_of(taken) == len(owners) == 100


def test_a_mutation_is_decided_again_when_its_reads_have_changed(open_engine: Open, tmp_path: Path) -> None:
    seen: list[Values] = []

    async def scenario(engine: Engine) -> None:
        await put(engine, {b"a": b"ours", b"b": b"same"})
        with other_process(open_engine, tmp_path) as other:

            def decide(values: Values) -> tuple[Writes, Values]:
                seen.append(values)
                if len(seen) == 1:
                    other.put({b"a": b"theirs"})
                writes = Writes()
                writes.put(b"c", b"".join(value or b"-" for value in values))
                return writes, values

            assert await engine.mutate([b"a", b"b"], decide) == [b"theirs", b"same"]
        assert await engine.get([b"a", b"c"]) == [b"theirs", b"theirssame"]

    run(open_engine, tmp_path, scenario)
    assert seen == [[b"ours", b"same"], [b"theirs", b"same"]]


def test_a_counter_that_was_read_is_validated_and_one_that_was_added_to_is_not(
    open_engine: Open, tmp_path: Path
) -> None:
    seen: list[Values] = []

    async def scenario(engine: Engine) -> None:
        with other_process(open_engine, tmp_path) as other:

            def decide(values: Values) -> tuple[Writes, None]:
                seen.append(values)
                if len(seen) == 1:
                    other.put({b"read": (7).to_bytes(8, "little"), b"added": (7).to_bytes(8, "little")})
                writes = Writes()
                writes.add(b"read", 1)
                writes.add(b"added", 1)
                return writes, None

            await engine.mutate([b"read"], decide)
        assert [count_of(value) for value in await engine.get([b"read", b"added"])] == [8, 8]

    run(open_engine, tmp_path, scenario)
    assert seen == [[None], [(7).to_bytes(8, "little")]]


def test_mutations_that_wait_together_are_decided_again_together(open_engine: Open, tmp_path: Path) -> None:
    attempts = 0

    async def scenario(engine: Engine) -> None:
        await put_twice(engine, {b"n": b"1"})
        with other_process(open_engine, tmp_path) as other:

            def interfere(values: Values) -> tuple[Writes, None]:
                nonlocal attempts
                attempts += 1
                if attempts == 1:
                    other.put({b"n": b"10"})
                return Writes(), None

            def refuse_small(values: Values) -> tuple[Writes, bytes | None]:
                if int(values[0] or b"0") < 10:
                    raise ValueError(values[0])
                return Writes(), values[0]

            async def refusing() -> bytes | None:
                return await engine.mutate([b"n"], refuse_small)

            async def interfering() -> None:
                await engine.mutate([b"n"], interfere)

            # At first the second is refused, because of the 2 into which the first has changed the 1.
            outcome = await asyncio.gather(increment(engine, b"n"), refusing(), interfering())
            assert list(outcome) == [11, b"11", None]
        assert await engine.get([b"n"]) == [b"11"]

    run(open_engine, tmp_path, scenario)


def test_a_write_acknowledged_in_one_process_is_seen_in_the_others(open_engine: Open, tmp_path: Path) -> None:
    async def scenario(engine: Engine) -> None:
        with other_process(open_engine, tmp_path) as other:
            for number in range(20):
                await put(engine, {b"ours": b"%d" % number})
                assert other.get([b"ours"]) == [b"%d" % number]
                other.put({b"theirs": b"%d" % number})
                assert await engine.get([b"theirs"]) == [b"%d" % number]

    run(open_engine, tmp_path, scenario)


# Order


def test_a_reader_of_a_log_never_misses_an_entry(open_engine: Open, tmp_path: Path) -> None:
    names = [b"A", b"B", b"C"]

    async def follow(engine: Engine) -> tuple[list[Row], list[Row]]:
        processes = [start(append_numbers, open_engine, tmp_path, b"log", name, 200) for name in names]
        followed: list[Row] = []
        while len(followed) < 600:
            after = followed[-1][0] + b"\0" if followed else b"log"
            followed += await engine.range(after, b"log\xff", 7, 1 << 20)
        finish(*processes)
        return followed, await everything(engine)

    followed, stored = run(open_engine, tmp_path, follow)
    assert followed == stored
    entries = [entry_content(entry).split() for _, entry in followed]
    times = [entry_time(entry) for _, entry in followed]
    assert times == sorted(times)
    for name in names:
        assert [int(number) for who, number in entries if who == name] == list(range(200))


# Durability


def test_acknowledged_writes_survive_the_death_of_the_process(open_engine: Open, tmp_path: Path) -> None:
    written = 0
    for name in (b"A", b"B", b"C", b"D", b"E"):
        acknowledged, sender = pipe()
        process = start(write_until_killed, open_engine, tmp_path, name, sender)
        sender.close()
        lines = os.read(acknowledged.fileno(), 1 << 16)
        time.sleep(random.uniform(0, 0.2))
        process.kill()
        process.join()
        while chunk := os.read(acknowledged.fileno(), 1 << 16):
            lines += chunk
        numbers = {int(line) for line in lines.split(b"\n")[:-1]}

        rows = dict(run(open_engine, tmp_path, everything))
        assert numbers
        sides: list[set[int]] = []
        for side in (b"left", b"right"):
            start_of_key = b"%s %s " % (side, name)
            sides.append({int(key[len(start_of_key) :]) for key in rows if key.startswith(start_of_key)})
        assert numbers <= sides[0]
        assert sides[0] == sides[1]
        assert all(rows[b"left %s %d" % (name, number)] == b"%d" % number * 50 for number in sides[0])
        written += len(sides[0])
        assert count_of(rows[b"pairs"]) == written
        assert sum(key.startswith(b"log") for key in rows) == written
