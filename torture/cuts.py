"""Power cuts: records what a server writes to its disk, and makes from the recording the files that a power cut may
leave.

Each recording is of a server under mixed load, whose workers are killed and whose disk fails now and then. After each
cut the store must open, agree with itself, contain every write that was acknowledged by then and none that was sent
later or refused, and go on from there. Sometimes it is cut again while it is opened or while it goes on, and perhaps
once more.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from random import Random
from select import PIPE_BUF
from typing import Any

from jedlik.storage.lmdb.journal import JOURNAL
from testing.data_folders import store_in
from testing.jedlik_process import Server
from torture.disk import CHECKPOINTS, DIES, NAMES, Disk, Failing, Fault, File
from torture.expected import demand, identity, make_table
from torture.kills import kill_one
from torture.platter import Platters
from torture.reopened import ENVIRONMENT, OWNER, PUTS, REGION, reopened
from torture.writers import COUNTER, FENCE, FLEETING, WRITERS, Change, Item, Version, Writer, item, some

CUTS_OF_A_RECORDING = 125
SECONDS = 3.0
"""Seconds of load in a recording."""
WRITES = Failing.WRITES | Failing.DURABLE_WRITES
OPTIONS: dict[str, Any] = {"expiry_interval": 1, "stream_rotation": 2}
FAULTS = (
    Fault("a sync fails once", Failing.SYNCS, calls=1),
    Fault("syncs fail three times", Failing.SYNCS, calls=3),
    Fault("a record cannot be synced once", Failing.DURABLE_WRITES, calls=1),
    Fault("a record cannot be synced, and then pages", Failing.DURABLE_WRITES | Failing.SYNCS, calls=2),
    Fault("the disk is full for a record", Failing.DURABLE_WRITES, errno.ENOSPC, calls=1, partly=True),
    Fault("checkpoints cannot be noted twice", Failing.DURABLE_WRITES, calls=2, below=CHECKPOINTS),
    Fault("the disk is full for some pages", Failing.WRITES, errno.ENOSPC, calls=1, partly=True),
    Fault("the disk answers a sync with an error of its own", Failing.SYNCS, errno.ENODATA, calls=1),
    Fault("a process dies before pages are synced", Failing.SYNCS, DIES, calls=1),
    Fault("a process dies before a record is synced", Failing.DURABLE_WRITES, DIES, calls=1),
    Fault("a process dies before a checkpoint is", Failing.DURABLE_WRITES, DIES, calls=1, below=CHECKPOINTS),
    Fault("a process dies before it writes a page", Failing.WRITES, DIES, spared=2, calls=1),
    Fault("pages cannot be written and then a record, perhaps to take one back", WRITES, spared=1, calls=2),
)
AGAIN = 0.1
"""The probability that a store that was cut is cut again in its next life."""
MOST_SPARED = 100
"""The most calls in a next life before one fails."""
SMALL_JOURNAL = """\
from jedlik.storage.lmdb import checkpoints, journal
journal._GROWTH, journal.TURN, journal.LIMIT = 4 << 10, 128 << 10, 512 << 10
journal._MUCH, checkpoints.CALM_SECONDS = 8 << 10, 0.0
"""
"""Code that Python runs first (`sitecustomize`): it makes a journal that is often full, starts again from its beginning
and is cut back."""
MOST_OF_A_SMALL_JOURNAL = 4 << 20
LEAST = 150
"""Requests in a recording: on a busy machine, that takes longer."""
MOST_PATIENCE = 5.0
"""Seconds until the next trouble if nothing is answered. The last one may be why."""
NEXT_LIFE_SECONDS = 60.0


@dataclass(slots=True)
class Cuts:
    """What a run has done."""

    recordings: int = 0
    cuts: int = 0
    again: int = 0
    """Cuts in a life after another cut."""
    changes: int = 0
    refused: int = 0

    def __str__(self) -> str:
        return (
            f"{self.cuts} cuts, and {self.again} afterwards, in {self.recordings} recordings of {self.changes} writes "
            f"and {self.refused} refused"
        )


def run(folder: Path, random: Random, cuts: int, say: Callable[[str], None]) -> Cuts:
    """Cut the power `cuts` times. Raises Broken, and NoCompiler."""
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


def record(disk: Disk, writers: list[Writer], random: Random, seconds: float) -> dict[File, bytes]:
    """Write to a server. Returns the store's files as the recording begins; they are also kept."""
    server = Server(disk.data_dir.parent / "log", ENVIRONMENT, data_dir=disk.data_dir, workers=2, **OPTIONS)
    small = random.random() < 0.5
    if small:
        (disk.data_dir.parent / "sitecustomize.py").write_text(SMALL_JOURNAL)
        path = [str(disk.data_dir.parent), server.environment.get("PYTHONPATH", "")]
        server.environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    try:
        make_table(server.client())
        server.stop()
        begun = _read(store_in(disk.data_dir, REGION))
        _write(disk.data_dir.parent / "begun", begun)
        server.environment |= disk.environment
        server.restart()
        threads = [writer.start(server.url) for writer in some(writers, random)]
        deadline = time.monotonic() + seconds
        answers, troubled = 0, time.monotonic()
        while time.monotonic() < deadline or _is_short(writers):
            time.sleep(random.uniform(0, 0.6))
            if _answers(writers) == answers and time.monotonic() < troubled + MOST_PATIENCE:
                continue  # On a busy machine, what was killed last has not started again.
            answers, troubled = _answers(writers), time.monotonic()
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
        size = (store_in(disk.data_dir, REGION) / JOURNAL).stat().st_size
        demand(not small or size < MOST_OF_A_SMALL_JOURNAL, f"a small journal has {size} bytes")
    finally:
        server.kill()
    return begun


def cut(disk: Disk, writers: list[Writer], random: Random, begun: dict[File, bytes], cuts: int, done: Cuts) -> None:
    """Cut the power at a number of moments of a recording, and check what is left."""
    records = list(disk.records())
    platters = Platters(begun)
    knowledge = [Knowledge(writer) for writer in writers]
    lives = Lives(disk.data_dir.parent / "lives")
    taken = 0
    for moment in sorted(random.choices(range(len(records)), k=cuts)):
        for record in records[taken : moment + 1]:
            platters.take(record)
        taken = moment + 1
        position = records[moment].end
        for known in knowledge:
            known.advance(position)
        lives.begin(platters.cut(random))
        while random.random() < AGAIN:
            lives.live_and_cut(random)
            done.again += 1
        when = f"a cut at {position}" + f", and {lives.lived} more" * (lives.lived > 0)
        _in_a_child(_look(lives, knowledge, when), when)
        done.cuts += 1


class Lives:
    """The lives of a store after a cut."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._disk = Disk(folder)
        self.store = store_in(self._disk.data_dir, REGION)
        self.lived = 0
        """The number of lives that were cut off."""
        self.numbers: set[int] = set()
        """The items that were written and acknowledged in them."""
        self.first = 0
        """The number of the next item."""

    def begin(self, files: dict[File, bytes]) -> None:
        """Restore the files that a cut has left."""
        self.lived = self.first = 0
        self.numbers = set()
        _write(self.store, files)

    def live_and_cut(self, random: Random) -> None:
        """Open the store and write to it, perhaps on a disk that fails at first, and cut it at some moment."""
        platters = Platters(_read(self.store))
        begin = self._disk.position
        acknowledged: list[tuple[int, int]] = []
        if random.random() < 0.5:
            error, spared = random.choice((DIES, errno.EIO, errno.ENOSPC)), random.randrange(MOST_SPARED)
            with self._disk.failing(Fault("", WRITES | Failing.SYNCS, error, spared, random.choice((1, 2)))):
                acknowledged += self._live()[0]
        of_a_life, error_told = self._live()
        demand(error_told is None, f"life {self.lived} after a cut: {error_told}")
        acknowledged += of_a_life
        records = list(self._disk.records(begin))
        moment = random.randrange(len(records))
        for record in records[: moment + 1]:
            platters.take(record)
        self.numbers |= {number for number, position in acknowledged if position <= records[moment].end}
        self.lived += 1
        _write(self.store, platters.cut(random))

    def _live(self) -> tuple[list[tuple[int, int]], str | None]:
        """Open the store and write to it. Returns the acknowledged items with the length of the recording at the time,
        and, if it ended early, the reason.
        """
        life = subprocess.run(
            [sys.executable, "-m", "torture.reopened", self.store, str(self.first)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | self._disk.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=NEXT_LIFE_SECONDS,
        )
        self.first += PUTS
        acknowledged = [(int(number), int(position)) for number, position in map(str.split, life.stdout.splitlines())]
        return acknowledged, None if life.returncode == 0 else f"{life.returncode}: {life.stderr}"


class Knowledge:
    """A writer's knowledge at a moment."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self._next = 0
        """The first change that was not sent, or not settled, by then."""
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
        """Check that the items found are possible."""
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


def _in_a_child(look: Coroutine[Any, Any, None], when: str) -> None:
    """Examine a store in another process, because a damaged store may end it. Raises Broken."""
    told, telling = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(look)
        except BaseException as error:
            os.write(telling, f"{type(error).__name__}: {error}"[:PIPE_BUF].encode())
            os._exit(1)
        os._exit(0)
    look.close()
    os.close(telling)
    with os.fdopen(told, "rb") as pipe:
        message = pipe.read().decode()
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    demand(ended == 0, message or f"{when}: who looked at the store ended with {ended}")


async def _look(lives: Lives, knowledge: list[Knowledge], when: str) -> None:
    """Open the store that the cuts have left, compare it with what the writers knew, and go on with it."""
    async with reopened(lives.store, False, when) as left:
        left.check(when)
        _compare(await left.items(), knowledge, lives.numbers, when)
        async for _ in left.puts(lives.first):
            pass
        left.check(f"{when} and {PUTS} writes")


def _compare(items: list[Item], knowledge: list[Knowledge], numbers: set[int], when: str) -> None:
    """Check that the items are possible: those of writers, and those with `numbers`, of earlier lives."""
    found: dict[str, dict[int, Version]] = {
        owner: {} for owner in (OWNER, *(known.writer.owner for known in knowledge))
    }
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
    missing = numbers - found[OWNER].keys()
    demand(not missing, f"{when}: {missing} were acknowledged in an earlier life and are missing")
    least = sum(known.counted for known in knowledge)
    most = least + sum(known.doubtful for known in knowledge)
    demand(least <= count <= most, f"{when}: the counter is {count}, and was to be {least} to {most}")


def _is_short(writers: list[Writer]) -> bool:
    """Whether a recording is still short, and growing."""
    return sum(len(one.history) for one in writers) < LEAST and not any(one.surprise for one in writers)


def _answers(writers: list[Writer]) -> int:
    return sum(one.answers for one in writers)


def _read(store: Path) -> dict[File, bytes]:
    """The files that a store has."""
    return {file: (store / name).read_bytes() for file, name in NAMES.items() if (store / name).exists()}


def _write(store: Path, files: dict[File, bytes]) -> None:
    """Make these the files of a store."""
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir(parents=True)
    for file, content in files.items():
        (store / NAMES[file]).write_bytes(content)
