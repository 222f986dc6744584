"""Power cuts: any state that the disk may have when the power fails is a store with everything acknowledged by then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from testing.jedlik_process import Server
from torture import cuts
from torture.disk import CHECKPOINTS, Disk, Failing, Fault, File, Kind, Record
from torture.platter import PAGE, SECTOR, Platter, Platters
from torture.writers import WRITERS, Client, Writer

CUTS = 40
RECORDED_SECONDS = 1.5

StartServer = Callable[..., Server]


def test_acknowledged_writes_survive_power_cuts(disk: Disk, random: Random) -> None:
    writers = [Writer(f"writer {n}", Random(random.random()), disk, faults=True, sure=False) for n in range(WRITERS)]
    begun = cuts.record(disk, writers, random, RECORDED_SECONDS)
    assert sum(len(writer.history) for writer in writers) > 100
    done = cuts.Cuts()
    cuts.cut(disk, writers, random, begun, CUTS, done)
    assert done.cuts == CUTS


# The store's part in that


def put_anything(server: Server, number: int) -> int:
    """Create a table. Returns the status of the answer."""
    attribute = {"AttributeName": "p"}
    table = {
        "KeySchema": [attribute | {"KeyType": "HASH"}],
        "AttributeDefinitions": [attribute | {"AttributeType": "S"}],
    }
    names = {"TableName": f"table-{number}", "BillingMode": "PAY_PER_REQUEST"}
    return Client(server.url).call("CreateTable", table | names)[0]


def test_recovered_writes_are_synced_before_they_are_shown(disk: Disk, start_server: StartServer) -> None:
    server = start_server(disk.environment, data_dir=disk.data_dir)
    put_anything(server, 1)
    server.kill()
    before = disk.position
    server.restart()
    seen = [(record.file, record.kind) for record in disk.records(before)]
    # First the last checkpoint is synced.
    assert seen[:3] == [(File.JOURNAL, Kind.WRITE), (File.JOURNAL, Kind.RANGE_SYNCED), (File.DATA, Kind.WRITE)]
    synced = seen.index((File.DATA, Kind.SYNC_BEGUN))
    assert seen[synced + 1 : synced + 4] == [
        (File.DATA, Kind.SYNCED),
        (File.JOURNAL, Kind.WRITE),
        (File.JOURNAL, Kind.RANGE_SYNCED),
    ]


def test_a_record_that_could_not_be_synced_is_taken_back_before_another_is_written(
    disk: Disk, start_server: StartServer
) -> None:
    server = start_server(disk.environment, data_dir=disk.data_dir)
    put_anything(server, 0)
    before = disk.position
    place = None
    for number in range(1, 50):  # The failing write may be a checkpoint, or that of background work.
        with disk.failing(Fault("a record cannot be synced", Failing.DURABLE_WRITES, calls=1)):
            put_anything(server, number)
        seen = [record for record in disk.records(before) if record.file == File.JOURNAL]
        places = [r.offset for r in seen if r.kind == Kind.RANGE_SYNC_FAILED and r.offset >= CHECKPOINTS]
        if places:
            place = places[0]
            break
    assert place is not None
    assert put_anything(server, 0) == 400  # It is there already.
    assert put_anything(server, 100) == 200
    seen = [record for record in disk.records(before) if record.offset == place]
    kinds = [record.kind for record in seen]
    assert kinds[:6] == [
        *(Kind.WRITE, Kind.RANGE_SYNC_FAILED),
        *(Kind.WRITE, Kind.RANGE_SYNCED),
        *(Kind.WRITE, Kind.RANGE_SYNCED),
    ]
    assert not any(seen[2].data)


# The model of the disk


FILE = File.DATA


def written(platter: Platter, offset: int, data: bytes) -> None:
    platter.take(Record(FILE, Kind.WRITE, 1, offset, len(data), data, 0))


def did(platter: Platter, *done: Kind) -> None:
    for kind in done:
        platter.take(Record(FILE, kind, 1, 0, 0, b"", 0))


def left(platter: Platter) -> set[bytes]:
    """Everything that a thousand cuts leave."""
    random = Random(1)
    return {platter.cut(random) for _ in range(1000)}


def test_what_is_synced_is_there() -> None:
    platter = Platter()
    written(platter, 0, b"a" * SECTOR)
    did(platter, Kind.SYNC_BEGUN, Kind.SYNCED)
    assert left(platter) == {b"a" * SECTOR}


def test_any_part_of_unsynced_writes_may_be_on_the_disk() -> None:
    platter = Platter()
    written(platter, 0, b"a" * SECTOR * 2)
    did(platter, Kind.SYNC_BEGUN, Kind.SYNCED)
    written(platter, 0, b"b" * SECTOR * 2)
    a, b = b"a" * SECTOR, b"b" * SECTOR
    assert left(platter) == {a + a, a + b, b + a, b + b}


def test_writes_during_a_sync_may_be_lost() -> None:
    platter = Platter()
    written(platter, 0, b"a" * SECTOR)
    did(platter, Kind.SYNC_BEGUN)
    written(platter, 0, b"b" * SECTOR)
    did(platter, Kind.SYNCED)
    assert left(platter) == {b"a" * SECTOR, b"b" * SECTOR}


def test_a_later_sync_does_not_repeat_the_writes_of_a_failed_one() -> None:
    platter = Platter()
    written(platter, 0, b"a" * SECTOR)
    did(platter, Kind.SYNC_BEGUN, Kind.SYNCED)
    written(platter, 0, b"b" * SECTOR)
    did(platter, Kind.SYNC_BEGUN, Kind.SYNC_FAILED, Kind.SYNC_BEGUN, Kind.SYNCED)
    assert left(platter) == {b"a" * SECTOR, b"b" * SECTOR}
    written(platter, 0, b"c" * SECTOR)
    did(platter, Kind.SYNC_BEGUN, Kind.SYNCED)
    assert left(platter) == {b"c" * SECTOR}


def test_a_sector_has_its_content_in_memory_at_some_moment() -> None:
    platter = Platter()
    written(platter, 0, bytes(SECTOR))
    did(platter, Kind.SYNC_BEGUN, Kind.SYNCED)
    written(platter, 10, b"first")
    written(platter, 20, b"second")
    shown = {(content[10:15], content[20:26]) for content in left(platter)}
    assert shown == {(bytes(5), bytes(6)), (b"first", bytes(6)), (b"first", b"second")}


def test_a_file_may_be_lengthened_before_its_content_is_written() -> None:
    platter = Platter()
    written(platter, 0, b"a" * PAGE)
    assert {len(content) for content in left(platter)} >= {0, PAGE}
    assert bytes(PAGE) in left(platter)


@pytest.mark.parametrize("kind", [Kind.RANGE_SYNCED, Kind.RANGE_SYNC_FAILED])
def test_a_sync_of_a_range_affects_that_range_only(tmp_path: Path, kind: Kind) -> None:
    platter = Platter()
    written(platter, 0, b"a" * SECTOR * 2)
    did(platter, Kind.SYNC_BEGUN, Kind.SYNCED)
    written(platter, 0, b"b" * SECTOR * 2)
    platter.take(Record(FILE, kind, 1, 0, SECTOR, b"", 0))
    did(platter, Kind.SYNC_BEGUN, Kind.SYNCED)
    firsts = {content[:1] for content in left(platter)}
    assert firsts == ({b"b"} if kind == Kind.RANGE_SYNCED else {b"a", b"b"})
    assert {content[-1:] for content in left(platter)} == {b"b"}


def test_a_sync_of_one_file_does_not_affect_another() -> None:
    before, after = b"a" * SECTOR, b"b" * SECTOR
    platters = Platters({File.DATA: before, File.JOURNAL: before})
    for file in (File.DATA, File.JOURNAL):
        platters.take(Record(file, Kind.WRITE, 1, 0, SECTOR, after, 0))
    platters.take(Record(File.JOURNAL, Kind.SYNC_BEGUN, 1, 0, 0, b"", 0))
    platters.take(Record(File.JOURNAL, Kind.SYNCED, 1, 0, 0, b"", 0))
    random = Random(1)
    cuts_of_both = [platters.cut(random) for _ in range(1000)]
    assert {files[File.DATA] for files in cuts_of_both} == {before, after}
    assert {files[File.JOURNAL] for files in cuts_of_both} == {after}
