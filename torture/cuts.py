"""Power cuts: what a server writes to its disk is recorded, and of the recording are made the files that may be left.

Each recording is of a server under mixed load, whose workers are killed and whose syncs fail now and then. After each
cut the store must open, agree with itself, hold what was acknowledged by then and nothing that was sent later or
refused, and go on from there.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import orjson

from jedlik.api.context import Context, Region
from jedlik.api.operations import OPERATIONS
from jedlik.clock import system_clock
from jedlik.maintenance.check import StoreCheck
from jedlik.model import keys
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb import LmdbEngine
from jedlik.storage.lmdb_pages import DATA
from jedlik_process import Server
from torture.disk import Disk, Failing, Fault
from torture.expected import demand, identity, make_table
from torture.kills import kill_one
from torture.platter import Platter
from torture.writers import COUNTER, FENCE, FLEETING, WRITERS, Change, Item, Version, Writer, item

CUTS_OF_A_RECORDING = 250
SECONDS = 6.0
"""Of load in a recording."""
REGION = "us-east-1"
OPTIONS: dict[str, Any] = {"expiry_interval": 1, "stream_rotation": 2}
FAULTS = (
    Fault("a sync fails once", Failing.SYNCS, calls=1),
    Fault("syncs fail three times", Failing.SYNCS, calls=3),
    Fault("the sync of a meta page fails once", Failing.DURABLE_WRITES, calls=1),
    Fault("the sync of a meta page fails, and then a sync", Failing.DURABLE_WRITES | Failing.SYNCS, calls=2),
)
GO_ON = 20
"""Writes after a cut."""


@dataclass(slots=True)
class Cuts:
    """What a run has done."""

    recordings: int = 0
    cuts: int = 0
    changes: int = 0
    refused: int = 0

    def __str__(self) -> str:
        return f"{self.cuts} cuts in {self.recordings} recordings of {self.changes} writes and {self.refused} refused"


def run(folder: Path, random: Random, cuts: int, say: Callable[[str], None]) -> Cuts:
    """Make so many cuts. Raises Broken, and NoCompiler."""
    done = Cuts()
    while done.cuts < cuts:
        part = folder / f"recording-{done.recordings}"
        part.mkdir()
        disk = Disk(part)
        writers = [
            Writer(f"writer {n}", Random(random.random()), disk, faults=True, sure=False) for n in range(WRITERS)
        ]
        begun = record(disk, writers, random, SECONDS)
        done.recordings += 1
        done.changes += sum(len(writer.history) for writer in writers)
        done.refused += sum(writer.refused for writer in writers)
        cut(disk, writers, random, begun, min(CUTS_OF_A_RECORDING, cuts - done.cuts), done)
        say(str(done))
        shutil.rmtree(part)
    return done


def record(disk: Disk, writers: list[Writer], random: Random, seconds: float) -> bytes:
    """Have a server written to. Returns the store's file with which the recording begins."""
    server = Server(disk.data_dir.parent / "log", data_dir=disk.data_dir, workers=2, **OPTIONS)
    try:
        make_table(server.client())
        server.stop()
        begun = (disk.data_dir / REGION / DATA).read_bytes()
        server.environment |= disk.environment
        server.restart()
        threads = [writer.start(server.url) for writer in writers]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(random.uniform(0, 1))
            if random.random() < 0.5:
                kill_one(server.pid, random)
            else:
                disk.fail(random.choice(FAULTS))
        disk.mend()
        for writer in writers:
            writer.stop()
        for thread in threads:
            thread.join()
        for writer in writers:
            demand(writer.surprise is None, str(writer.surprise))
    finally:
        server.kill()
    return begun


def cut(disk: Disk, writers: list[Writer], random: Random, begun: bytes, cuts: int, done: Cuts) -> None:
    """Cut the power at so many moments of a recording, and look what is left."""
    records = list(disk.records())
    platter = Platter(begun)
    knowledge = [Knowledge(writer) for writer in writers]
    taken = 0
    for moment in sorted(random.choices(range(len(records)), k=cuts)):
        for record in records[taken : moment + 1]:
            platter.take(record)
        taken = moment + 1
        position = records[moment].end
        for known in knowledge:
            known.advance(position)
        store = disk.data_dir.parent / "cut" / REGION
        shutil.rmtree(store, ignore_errors=True)
        store.mkdir(parents=True)
        (store / DATA).write_bytes(platter.cut(random))
        asyncio.run(_look(store, knowledge, f"a cut at {position}"))
        done.cuts += 1


class Knowledge:
    """What a writer knew at a moment."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._next = 0
        """Of the changes, the first that was not sent or not settled by then."""
        self.items: dict[int, Version] = dict.fromkeys(writer.acknowledged)
        self.doubt: Change | None = None
        self.counted = 0
        self.doubtful = 0

    def advance(self, position: int) -> None:
        """Go on to a later moment."""
        history = self.writer.history
        if self.doubt is not None:
            self.doubtful -= self.doubt.adds
        self.doubt = None
        while self._next < len(history) and history[self._next].sent < position:
            change = history[self._next]
            if change.settled is None and self._next + 1 < len(history) and history[self._next + 1].sent < position:
                self.doubtful += change.adds  # Nobody ever found out.
            elif change.settled is None or change.settled > position:
                self.doubt = change
                self.doubtful += change.adds
                return
            elif change.done:
                self.items.update(change.effects)
                self.counted += change.adds
            self._next += 1

    def compare(self, found: dict[int, Version], when: str) -> None:
        """Demand that what is found is what can be."""
        effects = self.doubt.effects if self.doubt else {}
        done: list[int] = []
        left: list[int] = []
        for number, known in self.items.items():
            version, possible = found.get(number), effects.get(number, known)
            expired = number in FLEETING and version is None
            what = (
                f"{when}: {self.writer.owner} {number} is {version}: {known} was acknowledged, {possible} is possible"
            )
            demand(version in (known, possible) or expired, what)
            if number not in FLEETING and known != possible:
                (left if version == known else done).append(number)
        demand(not (done and left), f"{when}: of one request of {self.writer.owner}, {done} were done and {left} not")


async def _look(store: Path, knowledge: list[Knowledge], when: str) -> None:
    """Open what a cut has left, compare it with what was known, and go on with it."""
    try:
        engine = LmdbEngine.open(store, durable=False)
    except StorageError as error:
        demand(False, f"{when}: {error}")
        return
    try:
        secret = _agrees(engine, when)
        region = Region(REGION, "000000000000", engine, system_clock, secret)
        _compare(await _items(region), knowledge, when)
        for number in range(GO_ON):
            await _call(region, "PutItem", TableName="crash", Item=item("after the cut", number, number))
        _agrees(engine, f"{when} and {GO_ON} writes")
    finally:
        await engine.close()


def _agrees(engine: LmdbEngine, when: str) -> bytes:
    """Demand that a store agrees with itself. Returns its secret."""
    with engine.view() as view:
        problems = list(StoreCheck(view).problems())
        demand(not problems, f"{when}: {problems}")
        secret = view.get(keys.secret_key())
    assert secret is not None
    return secret


def _compare(items: list[Item], knowledge: list[Knowledge], when: str) -> None:
    found: dict[str, dict[int, Version]] = {known.writer.owner: {} for known in knowledge}
    count = 0
    for one in items:
        owner, number = identity(one)
        if (owner, number) == identity(COUNTER):
            count = int(one["hits"]["N"])
            continue
        version = int(one["version"]["N"])
        whole = one == item(owner, number, version) or number == FENCE
        demand(whole, f"{when}: {owner} {number} is not whole: {one}")
        found[owner][number] = version
    for known in knowledge:
        known.compare(found[known.writer.owner], when)
    least = sum(known.counted for known in knowledge)
    most = least + sum(known.doubtful for known in knowledge)
    demand(least <= count <= most, f"{when}: the counter is {count}, and was to be {least} to {most}")


async def _items(region: Region) -> list[Item]:
    """All items of the writers' table."""
    items: list[Item] = []
    request: dict[str, Any] = {"TableName": "crash"}
    while True:
        answer = await _call(region, "Scan", **request)
        items += answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return items
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


async def _call(region: Region, operation: str, **request: Any) -> Any:
    served = OPERATIONS[operation]
    answer = await served.handler(Context(region, "torture", None, b"localhost"), served.validate(request))
    return orjson.loads(orjson.dumps(answer))
