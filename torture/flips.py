"""Damaged stores: bits are flipped, sectors lost and copies of files mixed up, in stores whose server was killed.

A server is written to, killed and started again, a few times. After each kill its files are kept together with the
writers' knowledge. Damaged copies are made from them: a flipped bit of the journal, a sector of zeros or garbage, a
journal that is cut short, empty or missing, or a file of another time or another store. Such a store either opens, with
every write that was acknowledged, or it is refused. Then the message names a file, nothing has changed, and the store
opens when the right file is put back. `jedlik check --recover-damaged` makes a store from it that opens and agrees with
itself; if only the journal is damaged, nothing is lost, as LMDB's file has everything after a kill.

In some, the power has failed too: LMDB's meta pages are those of the last checkpoint, so everything after it is in the
journal alone. There the last record is spared, because damage to it looks like a write that was cut off.
"""

from __future__ import annotations

import asyncio
import copy
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from select import PIPE_BUF
from typing import Any, NamedTuple

from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.journal import JOURNAL, Journal, Record
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.lmdb.lmdb_pages import DATA, write_metas
from jedlik.upkeep import reports
from testing.data_folders import store_in, stored
from testing.jedlik_process import Server
from torture.expected import demand, identity, make_table
from torture.reopened import ENVIRONMENT, READER, REGION, Reopened, reopened
from torture.writers import COUNTER, FENCE, FLEETING, WRITERS, Item, Version, Writer, item, some

MADE_STORES = 100
"""Damaged stores from one run of servers."""
LIVES = 3
LONGEST_LIFE = 0.8
"""Seconds of load before a kill: the first checkpoints come after half a second."""
SECTOR = 512
CHECKPOINTS = (0, 4096)
CHECKPOINT_BYTES = 372
RECORD_HEAD = 24
OPTIONS: dict[str, Any] = {"expiry_interval": 1}
REFUSED, WHOLE = "refused: ", "whole"
NAMES = (DATA, JOURNAL)

Files = dict[str, bytes]
"""By their names in the folder of a store."""


class Known(NamedTuple):
    """A writer's knowledge of its items after a kill."""

    owner: str
    acknowledged: dict[int, Version]
    possible: dict[int, Version]
    """The possible items of its last request."""


class Kept(NamedTuple):
    """A store after a kill."""

    files: Files
    known: list[Known]
    counted: range
    """What the counter may be."""


class Damaged(NamedTuple):
    """A store that was damaged."""

    files: Files
    right: Kept
    """The file that is put back, and the items that must be there if it opens as it is."""
    what: str
    """Was done to it."""
    only_journal: bool
    """Whether LMDB's file is unchanged."""
    may_open: bool = True
    """Whether it may be opened: not if a file belongs to another store."""


@dataclass(slots=True)
class Flips:
    """What a run has done."""

    stores: int = 0
    refused: int = 0
    recovered: int = 0
    by_damage: dict[str, int] = field(default_factory=dict)
    """How many of each kind were refused."""

    def __str__(self) -> str:
        kinds = ", ".join(f"{number} {what}" for what, number in sorted(self.by_damage.items()))
        return (
            f"{self.stores} damaged stores, of which {self.refused} were refused ({kinds}) and opened again, "
            f"{self.recovered} after --recover-damaged"
        )


def run(folder: Path, random: Random, flips: int, say: Callable[[str], None]) -> Flips:
    """Make `flips` damaged stores. Raises Broken."""
    done = Flips()
    part = 0
    while done.stores < flips:
        lives = record(folder / f"{part}-one", random)
        others = record(folder / f"{part}-other", random)
        for _ in range(min(MADE_STORES, flips - done.stores)):
            look_at(folder / "damaged", damaged(lives, others, random), random, done)
        say(str(done))
        part += 1
    return done


def record(folder: Path, random: Random) -> list[Kept]:
    """Write to a server and kill it, a few times. Returns the remains of each time."""
    folder.mkdir()
    server = Server(folder / "log", ENVIRONMENT, data_dir=folder / "data", workers=2, **OPTIONS)
    writers = [Writer(f"writer {n}", Random(random.random())) for n in range(WRITERS)]
    store = store_in(folder / "data", REGION)
    kept: list[Kept] = []
    try:
        make_table(server.client())
        for _ in range(LIVES):
            threads = [writer.start(server.url) for writer in some(writers, random)]
            time.sleep(random.uniform(0.1, LONGEST_LIFE))
            server.kill()
            for thread in threads:
                thread.join()
            for writer in writers:
                demand(writer.surprise is None, str(writer.surprise))
            kept.append(_kept(store, writers))
            server.restart()
    finally:
        server.kill()
    return kept


def damaged(lives: list[Kept], others: list[Kept], random: Random) -> Damaged:
    """A store with some damage."""
    kept = random.choice(lives)
    kinds: list[Callable[[], Damaged]] = [
        *[lambda: _with_bytes_changed(kept, _flipped, random)] * 4,
        *[lambda: _with_bytes_changed(kept, _sector_lost, random)] * 4,
        lambda: _shortened(kept, random),
        *[lambda: _mixed(lives, random)] * 2,
        lambda: _of_another(kept, random.choice(others), random),
    ]
    return random.choice(kinds)()


def look_at(folder: Path, made: Damaged, random: Random, done: Flips) -> None:
    """Check the requirements of a damaged store."""
    done.stores += 1
    store = folder / REGION
    _write(store, made.files)
    outcome = _in_a_child(_opened(store, made.right, made.what))
    if outcome == WHOLE:
        demand(made.may_open, f"{made.what}: it was opened")
        return
    demand(outcome.startswith(REFUSED), outcome)
    demand(DATA in outcome or JOURNAL in outcome, f"{made.what}: the refusal names no file: {outcome}")
    demand(_read(store) == made.files, f"{made.what}: it was refused, and files have changed: {outcome}")
    done.refused += 1
    kind = made.what.split(":")[0]
    done.by_damage[kind] = done.by_damage.get(kind, 0) + 1
    if random.random() < 0.3:
        outcome = _in_a_child(_recovered(store, made))
        demand(outcome == WHOLE, f"{made.what}, and recovered: {outcome}")
        done.recovered += 1
    _write(store, made.right.files)
    outcome = _in_a_child(_opened(store, made.right, f"{made.what}, and the right files put back"))
    demand(outcome == WHOLE, outcome)


# Damage


def _flipped(content: bytearray, at: int, random: Random) -> str:
    bit = random.randrange(8)
    content[at] ^= 1 << bit
    return f"a bit flipped: bit {bit} of byte {at}"


def _sector_lost(content: bytearray, at: int, random: Random) -> str:
    begin = at // SECTOR * SECTOR
    end = min(begin + SECTOR, len(content))
    garbage = random.random() < 0.5
    content[begin:end] = random.randbytes(end - begin) if garbage else bytes(end - begin)
    return f"a sector lost: {'garbage' if garbage else 'zeros'} at {begin}"


def _with_bytes_changed(kept: Kept, change: Callable[[bytearray, int, Random], str], random: Random) -> Damaged:
    content = bytearray(kept.files[JOURNAL])
    records = _records(kept)
    cut = random.random() < 0.3 and len(records) > 1
    if cut:
        last = records[-1].place.offset
        *spared, _ = records
        choices = [record for record in spared if not _shares_sector(record, last)]
        if not choices:
            cut = False
    if cut:
        at = _within(random.choice(choices), random)
    elif records and random.random() < 0.7:
        at = _within(random.choice(records), random)
    elif random.random() < 0.5:
        at = random.choice(CHECKPOINTS) + random.randrange(CHECKPOINT_BYTES)
    else:
        at = random.randrange(len(content))
    what = change(content, at, random)
    files = kept.files | {JOURNAL: bytes(content)}
    if cut:
        files[DATA] = _cut_off(kept)
        what += ", and the power failed"
    return Damaged(files, kept, what, only_journal=not cut)


def _shares_sector(record: Record, last: int) -> bool:
    return (record.place.offset + RECORD_HEAD + len(record.changes)) // SECTOR >= last // SECTOR


def _within(record: Record, random: Random) -> int:
    return record.place.offset + random.randrange(RECORD_HEAD + len(record.changes))


def _shortened(kept: Kept, random: Random) -> Damaged:
    content = kept.files[JOURNAL]
    records = _records(kept)
    in_a_record = _within(random.choice(records), random) if records else 0
    length = random.choice((0, random.randrange(len(content)), in_a_record))
    if random.random() < 0.3:
        files = {name: content for name, content in kept.files.items() if name != JOURNAL}
        return Damaged(files, kept, "no journal", only_journal=True)
    return Damaged(
        kept.files | {JOURNAL: content[:length]}, kept, f"the journal cut short: {length} bytes", only_journal=True
    )


def _mixed(lives: list[Kept], random: Random) -> Damaged:
    data, journal = random.sample(range(len(lives)), 2)
    what = f"{'an older' if journal < data else 'a newer'} journal: of life {journal}, data of {data}"
    files = {DATA: lives[data].files[DATA], JOURNAL: lives[journal].files[JOURNAL]}
    return Damaged(files, lives[max(data, journal)], what, only_journal=journal < data)


def _of_another(kept: Kept, other: Kept, random: Random) -> Damaged:
    name = random.choice(NAMES)
    what = f"another store's {name}:"
    files = kept.files | {name: other.files[name]}
    return Damaged(files, kept, what, only_journal=name == JOURNAL, may_open=False)


# Files


def _kept(store: Path, writers: list[Writer]) -> Kept:
    known = [
        Known(writer.owner, copy.copy(writer.acknowledged), dict(writer.doubt.effects) if writer.doubt else {})
        for writer in writers
    ]
    counted = sum(writer.counted for writer in writers)
    return Kept(_read(store), known, range(counted, counted + sum(writer.doubtful for writer in writers) + 1))


def _read(store: Path) -> Files:
    return {name: (store / name).read_bytes() for name in NAMES if (store / name).exists()}


def _write(store: Path, files: Files) -> None:
    shutil.rmtree(store, ignore_errors=True)
    store.mkdir(parents=True)
    for name, content in files.items():
        (store / name).write_bytes(content)


def _records(kept: Kept) -> list[Record]:
    """Those after the last checkpoint."""
    with _journal(kept) as journal:
        return list(journal.records())


def _cut_off(kept: Kept) -> bytes:
    """LMDB's file with the meta pages of the last checkpoint."""
    with _journal(kept) as journal:
        found = journal.checkpoint().metas
    file = os.memfd_create("data")
    try:
        os.write(file, kept.files[DATA])
        write_metas(file, found)
        return os.pread(file, len(kept.files[DATA]), 0)
    finally:
        os.close(file)


@contextmanager
def _journal(kept: Kept) -> Iterator[Journal]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / JOURNAL).write_bytes(kept.files[JOURNAL])
        with closing(Journal(Path(folder))) as journal:
            yield journal


# Examining a store, in another process, because a damaged store may end it


def _in_a_child(look: Coroutine[Any, Any, str]) -> str:
    """The result of examining a store, or the reason why that failed."""
    told, telling = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            said = asyncio.run(look)
        except BaseException as error:
            where = traceback.format_exception(error)[-4:]  # An assertion may have no message.
            said = f"{type(error).__name__}: {error}\n{''.join(where)}"
        os.write(telling, said[:PIPE_BUF].encode())
        os._exit(0)
    look.close()
    os.close(telling)
    with os.fdopen(told, "rb") as pipe:
        said = pipe.read().decode()
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said if ended == 0 else f"who looked at the store ended with {ended}"


async def _opened(store: Path, right: Kept, when: str) -> str:
    """Open a store, and compare it with the writers' knowledge."""
    try:
        engine = LmdbEngine.open(store, durable=True)
    except StorageError as error:
        return f"{REFUSED}{error}"
    try:
        await _compare(Reopened(engine, store), right, when)
    finally:
        await engine.close()
    return WHOLE


async def _recovered(store: Path, made: Damaged) -> str:
    """Keep the parts of a store that can be kept."""
    said: list[str] = []
    # It runs an event loop of its own.
    problems = await asyncio.to_thread(reports.recover_damaged, stored(store), said.append, reader=READER)
    when = f"{made.what}, and recovered ({'; '.join(said)})"
    async with reopened(store, True, when) as left:
        left.check(when)
        if made.only_journal and made.may_open:
            await _compare(left, made.right, when)
            demand(problems == 0, when)
    demand(_set_aside(store) == [made.files], f"{when}: the damaged files were not set aside")
    return WHOLE


def _set_aside(store: Path) -> list[Files]:
    return [_read(path) for path in store.iterdir() if path.name.startswith("damaged-")]


async def _compare(left: Reopened, right: Kept, when: str) -> None:
    left.check(when)
    found: dict[tuple[str, int], Item] = {identity(one): one for one in await left.items()}
    counter = found.pop(identity(COUNTER), None)
    count = int(counter["hits"]["N"]) if counter else 0
    demand(count in right.counted, f"{when}: the counter is {count}, and was to be in {right.counted}")
    for known in right.known:
        for number, acknowledged in known.acknowledged.items():
            one = found.pop((known.owner, number), None)
            version = int(one["version"]["N"]) if one else None
            possible = known.possible.get(number, acknowledged)
            what = (
                f"{when}: {known.owner} {number} is {version}: {acknowledged} was acknowledged, {possible} is possible"
            )
            demand(version in (acknowledged, possible) or (number in FLEETING and version is None), what)
            whole = version is None or one == item(known.owner, number, version)
            demand(whole, f"{when}: {known.owner} {number} is not whole: {one}")
        found.pop((known.owner, FENCE), None)
    demand(not found, f"{when}: nobody has written {list(found)}")
