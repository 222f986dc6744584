"""Power cuts while backups are made, changes archived and tables restored; and each restored second against what had
been acknowledged by then.

A recording is of a server with a table with recovery, whose workers are killed. The store's files after a cut are made
as by `cuts`. An object in the place of backups is there, whole, if it and the folders that lead to it had been synced
and nobody had begun to remove it; while it was being written, any part of it is there; and one that was being removed
is there or not, until the folder was synced. A server then starts on what is left, and restores from it.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from testing.data_folders import store_in
from testing.jedlik_process import Server, run_jedlik
from torture.disk import NAMES, Disk, File
from torture.expected import Broken, check_store, demand
from torture.kills import kill_one
from torture.platter import Platters
from torture.reopened import ENVIRONMENT
from torture.restored_seconds import (
    TABLE,
    WRITERS,
    Remembering,
    Write,
    backup_status,
    make_table,
    scanned,
    table_status,
)

REGION = "us-east-1"
PLACE = "backups"
"""The folder of backups in a data folder."""
RECORDED_SECONDS = 7.0
CUTS_OF_A_RECORDING = 10
POINTS_OF_A_CUT = 5
PATIENCE_SECONDS = 120.0
FIRST_SECONDS = 2.5
MARGIN = 0.05
"""Seconds by which the clocks of processes on this machine may differ."""
SMALL_PIECES = """\
import os
from jedlik.dynamodb.backups import archiving, table_copies
from jedlik.storage.object_store import ObjectStore
archiving.PERIOD, archiving.SEGMENT_SECONDS, archiving.LEAST_BETWEEN_BASES = 0.2, 0.3, 30_000
table_copies.PIECE_BYTES = 1000
events = os.open(os.environ["TORTURE_EVENTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
kept = os.environ["TORTURE_KEPT"]
put, delete = ObjectStore.put, ObjectStore.delete

def note(what, name):
    position = os.stat(os.environ["DISK_RECORDING"]).st_size
    os.write(events, f"{position} {what} {name}\\n".encode())

async def noted_put(self, name, content):
    note("put", name)
    await put(self, name, content)

async def noted_delete(self, names):
    for name in names:
        note("delete", name)
        try:
            os.link(self._root / name, os.path.join(kept, name.replace("/", "%")))
        except (FileNotFoundError, FileExistsError):
            pass
    await delete(self, names)
    for name in names:
        note("gone", name)

ObjectStore.put, ObjectStore.delete = noted_put, noted_delete
"""
"""Code that Python runs first (`sitecustomize`) in the recorded server. It makes small pieces and segments, notes when
an object begins to be written and removed, and keeps what is removed."""


@dataclass(slots=True)
class Done:
    """What a run has done."""

    recordings: int = 0
    cuts: int = 0
    points: int = 0
    backups: int = 0
    unfinished: int = 0
    """Restores that a cut had interrupted, and that went on."""
    writes: int = 0
    objects: int = 0

    def __str__(self) -> str:
        return (
            f"{self.points} seconds and {self.backups} backups restored exactly, and {self.unfinished} interrupted "
            f"restores gone on with, after {self.cuts} power cuts in {self.recordings} recordings of {self.writes} "
            f"writes and {self.objects} objects"
        )


class Point(NamedTuple):
    """What was asked for: the state at some time between two, in seconds since the epoch."""

    begin: float
    end: float


@dataclass(slots=True)
class Object:
    """An object of the place of backups, by positions of the recording."""

    content: bytes
    begun: int = 0
    """When it began to be written."""
    durable: int | None = None
    removed: int | None = None
    """When it began to be removed."""
    gone: int | None = None
    """When it surely was."""


@dataclass(slots=True)
class Recorded:
    """A recording, and what is known of it."""

    disk: Disk
    writers: list[Remembering]
    keyed: bool
    """Whether the table is under a key of KMS."""
    begun: dict[File, bytes]
    """The store's files at its beginning."""
    backups: dict[str, Point] = field(default_factory=dict)
    """By ARN."""
    restores: dict[str, Point] = field(default_factory=dict)
    """By the name of the table."""


def run(folder: Path, random: Random, points: int, say: Callable[[str], None], keyed: bool = False) -> Done:
    """Restore `points` seconds and backups after power cuts; with `keyed`, of a table under a key of KMS.

    Raises Broken and NoCompiler.
    """
    done = Done()
    while done.points + done.backups < points:
        part = folder / f"archive-{done.recordings}"
        part.mkdir()
        recorded = record(part, random, keyed=keyed)
        done.recordings += 1
        done.writes += sum(len(writer.writes) for writer in recorded.writers)
        cut(part, recorded, random, points, done)
        say(str(done))
        shutil.rmtree(part)
    return done


def record(part: Path, random: Random, seconds: float = RECORDED_SECONDS, keyed: bool = False) -> Recorded:
    """Write to a server while it archives, backs up and restores."""
    disk = Disk(part)
    server = Server(part / "log", ENVIRONMENT, data_dir=disk.data_dir, workers=2, seal_tables=keyed)
    writers = [Remembering(server, f"writer {n}", Random(random.random()), disk) for n in range(WRITERS)]
    (part / "kept").mkdir()
    (part / "sitecustomize.py").write_text(SMALL_PIECES)
    try:
        make_table(server, keyed)
        server.stop()
        store = store_in(disk.data_dir, REGION)
        recorded = Recorded(disk, writers, keyed, {file: (store / name).read_bytes() for file, name in NAMES.items()})
        path = [str(part), server.environment.get("PYTHONPATH", "")]
        server.environment |= disk.environment | {
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "TORTURE_EVENTS": str(part / "events"),
            "TORTURE_KEPT": str(part / "kept"),
        }
        server.restart()
        over = threading.Event()
        with ThreadPoolExecutor(WRITERS + 2) as pool:
            running = [pool.submit(writer.run, over) for writer in writers]
            time.sleep(FIRST_SECONDS)
            running.append(pool.submit(_back_up, server, recorded, Random(random.random()), over))
            running.append(pool.submit(_restore, server, recorded, Random(random.random()), over))
            deadline = time.monotonic() + seconds
            try:
                while time.monotonic() < deadline:
                    time.sleep(random.uniform(0.3, 1.5))
                    kill_one(server.pid, random)
            finally:
                over.set()
                for one in running:
                    one.result()
    finally:
        server.kill()
    return recorded


def _back_up(server: Server, recorded: Recorded, random: Random, over: threading.Event) -> None:
    """Make backups, and delete some again. A request that fails is forgotten."""
    client = server.client()
    while not over.is_set():
        begin = time.time()
        with suppress(BotoCoreError, ClientError):
            made = client.create_backup(TableName=TABLE, BackupName="one")["BackupDetails"]
            recorded.backups[made["BackupArn"]] = Point(begin, time.time())
        over.wait(random.uniform(0.1, 0.5))
        if random.random() < 0.3 and recorded.backups:
            with suppress(BotoCoreError, ClientError):
                client.delete_backup(BackupArn=random.choice(list(recorded.backups)))


def _restore(server: Server, recorded: Recorded, random: Random, over: threading.Event) -> None:
    """Begin restores of seconds. A request that fails may have been done all the same."""
    client, number = server.client(), 0
    while not over.is_set():
        number += 1
        with suppress(BotoCoreError, ClientError):
            at = random.randint(_first_second(client), int(time.time() - 1.2))
            recorded.restores[f"under-way-{number}"] = Point(at, at)
            _begin(client, f"under-way-{number}", at)
        over.wait(random.uniform(0.2, 0.8))


def _first_second(client: Any) -> int:
    shown = client.describe_continuous_backups(TableName=TABLE)["ContinuousBackupsDescription"]
    return int(shown["PointInTimeRecoveryDescription"]["EarliestRestorableDateTime"].timestamp()) + 1


def _begin(client: Any, name: str, at: float) -> None:
    client.restore_table_to_point_in_time(
        SourceTableName=TABLE, TargetTableName=name, RestoreDateTime=datetime.fromtimestamp(at, UTC)
    )


def cut(part: Path, recorded: Recorded, random: Random, points: int, done: Done) -> None:
    """Cut the power at some moments of a recording, and restore from what is left."""
    records = list(recorded.disk.records())
    platters = Platters(recorded.begun)
    objects = _objects(part, recorded.disk)
    done.objects += len(objects)
    taken = 0
    for moment in sorted(random.choices(range(len(records)), k=CUTS_OF_A_RECORDING)):
        if done.points + done.backups >= points:
            return
        for one in records[taken : moment + 1]:
            platters.take(one)
        taken = moment + 1
        life = part / "life"
        _leave(recorded.disk.data_dir, life, platters.cut(random), objects, records[moment].end, random)
        try:
            _look(life, recorded, records[moment].end, random, done)
        except BaseException:
            shutil.copytree(life, part / "broken")
            raise
        shutil.rmtree(life)
        done.cuts += 1


def _objects(part: Path, disk: Disk) -> dict[str, Object]:
    """The objects that there ever were, by name."""
    place = disk.data_dir / PLACE
    contents = {path.name.replace("%", "/"): path.read_bytes() for path in (part / "kept").iterdir()}
    contents |= {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    objects = {name: Object(content) for name, content in contents.items() if "#" not in name}
    first: dict[str, int] = {}
    said: dict[str, int] = {}
    """When the server took an object for removed."""
    for line in (part / "events").read_text().splitlines():
        position, what, name = line.split(" ", 2)
        if name not in objects:
            continue
        if what == "put":
            first.setdefault(name, int(position))
        elif what == "gone":
            said.setdefault(name, int(position))
        elif objects[name].removed is None:
            objects[name].removed = int(position)
    synced: dict[Path, list[int]] = {}
    for path, end in disk.synced_names():
        synced.setdefault(path, []).append(end)
    for name, one in objects.items():
        path = place / name
        folders = [folder for folder in path.parents if place in folder.parents or folder == place]
        if one.removed is not None and name in said:
            syncs = (end for folder in folders for end in synced.get(folder, []))
            one.gone = said[name] if any(one.removed <= end <= said[name] for end in syncs) else None
        if name not in first:
            one.durable = 0  # It was there when the recording began.
            continue
        one.begun = first[name]
        ends = [end for end in synced.get(path, []) if end >= one.begun]
        if not ends:
            continue
        later = [[end for end in synced.get(folder, []) if end >= ends[0]] for folder in folders]
        one.durable = max((ends[0], *(some[0] for some in later))) if all(later) else None
    return objects


def _leave(
    data: Path, life: Path, files: dict[File, bytes], objects: dict[str, Object], position: int, random: Random
) -> None:
    """Make the data folder that a cut leaves."""
    shutil.copytree(data, life / "data", ignore=shutil.ignore_patterns(PLACE, "lock*"))
    for key in data.parent.glob(f"{data.name}.*"):
        shutil.copy(key, life / key.name)
    store = store_in(life / "data", REGION)
    for file, name in NAMES.items():
        (store / name).write_bytes(files[file])
    for name, one in objects.items():
        content = left(one, position, random)
        if content is not None:
            path = life / "data" / PLACE / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def left(one: Object, position: int, random: Random) -> bytes | None:
    """What is left of an object after a cut."""
    if one.begun > position or (one.gone is not None and one.gone <= position):
        return None
    if one.removed is not None and one.removed <= position and random.random() < 0.5:
        return None
    if one.durable is not None and one.durable <= position:
        return one.content
    if random.random() < 0.3:
        return None
    kept = random.choice((0, random.randrange(len(one.content) + 1), len(one.content)))
    return one.content[:kept] + bytes(random.choice((0, len(one.content) - kept)))


def _look(life: Path, recorded: Recorded, position: int, random: Random, done: Done) -> None:
    """Start a server on what a cut has left, and compare what it restores."""
    what = f"after a cut at {position}"
    known = [(writer, _known(writer.writes, position)) for writer in recorded.writers]
    last = max((write.ended for _, writes in known for write in writes if write.ended < float("inf")), default=0.0)
    server = Server(life / "log", ENVIRONMENT, data_dir=life / "data", workers=1, seal_tables=recorded.keyed)
    try:
        client = server.client()
        first = _first_second(client)
        wanted = {name: (None, point) for name, point in recorded.restores.items() if _is_there(client, name)}
        done.unfinished += len(wanted)
        left = [summary["BackupArn"] for summary in client.list_backups()["BackupSummaries"]]
        for number in range(POINTS_OF_A_CUT):
            name = f"restored-{number}"
            if random.random() < 0.2 and (arns := [arn for arn in left if arn in recorded.backups]):
                arn = random.choice(arns)
                wanted[name] = arn, recorded.backups[arn]
                done.backups += 1
            else:
                at = random.randint(first, max(first, int(last) + 2))
                wanted[name] = None, Point(at, at)
                done.points += 1
        for name, (arn, point) in wanted.items():
            if name in recorded.restores:
                continue
            if arn is None:
                _begin(client, name, point.end)
            else:
                _until(_is(backup_status, client, arn, "AVAILABLE"), f"{what}: {arn} is made")
                client.restore_table_from_backup(TargetTableName=name, BackupArn=arn)
        for name, (arn, point) in wanted.items():
            of = f"{what}: {name}, " + (f"{arn} of {point.begin} to {point.end}" if arn else f"second {point.end}")
            _until(_is(table_status, client, name, "ACTIVE"), f"{of} is restored")
            items = scanned(client, name)
            for writer, writes in known:
                writer.check(writer.own(items, of), point.begin, point.end, of, writes)
        # A manifest that was being written may be damaged until its job has written it again.
        _until(lambda: _verify(life)[0], lambda: f"{what}: jedlik backups verify is content: {_verify(life)[1]}")
        server.stop()
        check_store(server)
    finally:
        server.kill()


def _known(writes: Sequence[Write], position: int) -> list[Write]:
    """The writes of a writer at a moment of the recording: those that had taken effect, and perhaps one more."""
    known: list[Write] = []
    for write in writes:
        if write.sent >= position:
            break
        if write.settled > position:
            known.append(write._replace(ended=float("inf")))
            break
        if write.done:
            known.append(write)
    return known


def _is(status: Callable[[Any, str], str], client: Any, name: str, wanted: str) -> Callable[[], bool]:
    def holds() -> bool:
        try:
            return status(client, name) == wanted
        except client.exceptions.ResourceNotFoundException:
            raise Broken(f"{name} could not be restored: it is gone") from None

    return holds


def _is_there(client: Any, name: str) -> bool:
    try:
        return bool(table_status(client, name))
    except client.exceptions.ResourceNotFoundException:
        return False


def _verify(life: Path) -> tuple[bool, str]:
    verified = run_jedlik("backups", "verify", "--data-dir", str(life / "data"), **ENVIRONMENT)
    return verified.returncode == 0, verified.stdout + verified.stderr


def _until(holds: Callable[[], bool], what: str | Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            demand(False, f"it took more than {PATIENCE_SECONDS} s until {what if isinstance(what, str) else what()}")
        time.sleep(0.05)
