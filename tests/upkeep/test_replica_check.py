"""The findings of a check about a replica's versions and checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from jedlik.dynamodb.model import descriptors, keys, replicas, shared_settings, versions
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.replication import pull_positions
from jedlik.dynamodb.replication.pull_positions import Copying, PullPosition
from jedlik.dynamodb.tables import purge
from jedlik.regions import keyspaces, store_format
from jedlik.storage.engine import Writes
from jedlik.upkeep import reports
from testing.data_folders import stored
from testing.dynamodb.handlers import START, Handlers
from testing.full_store import DEFINITION, KNOWN, TABLE, change, check, problems, run

PEER = "eu-west-1"
GONE = KNOWN | {"p": {"S": "gone"}}


async def replica(store: Handlers) -> Table:
    """A replica with an item, a tombstone, and a checkpoint."""
    await store.call("CreateTable", **DEFINITION)
    [raw] = await store.region.engine.get([keys.descriptor_key(TABLE)])
    assert raw is not None
    descriptor = descriptors.parse(raw).descriptor
    group = replicas.make("group", store.region.name, shared_settings.shared(descriptor), START)
    group = replicas.created(group, PEER, store.region.name, store.region.name, START)
    table = descriptors.parse(descriptors.serialize(replace(descriptor, group=group)))
    key = pull_positions.key(table.id, PEER)
    latency = {"Last": 12.0, "P50": 10.4, "P99": 99.0}
    checkpoint = PullPosition(PEER, "source", 17, START, None, latency)
    await change(store, lambda writes: writes.put(keys.descriptor_key(TABLE), table.raw))
    await change(store, lambda writes: writes.put(key, pull_positions.encode(checkpoint)))
    await store.call("PutItem", TableName=TABLE, Item=KNOWN)
    await store.call("PutItem", TableName=TABLE, Item=GONE)
    await store.call("DeleteItem", TableName=TABLE, Key={name: GONE[name] for name in ("p", "s")})
    return table


def test_nothing_is_wrong_with_a_replica(tmp_path: Path) -> None:
    async def test(store: Handlers) -> None:
        await replica(store)
        check(store)

    run(tmp_path, test)


class Place:
    """The places of things in the store of a replica."""

    def __init__(self, store: Handlers, table: Table) -> None:
        self.table = table
        self.item_key = keys.item_key(table, KNOWN, store.region.secret)
        self.version_key = keys.version_key(table, self.item_key)
        self.tombstone_key = keys.version_key(table, keys.item_key(table, GONE, store.region.secret))
        self.checkpoint_key = pull_positions.key(table.id, PEER)
        self.aside_key = keys.aside_key(table.id, versions.region_id(PEER))
        self.version = versions.superseding(None, START, PEER)


def ordinary(place: Place, writes: Writes) -> None:
    writes.put(keys.descriptor_key(TABLE), descriptors.serialize(replace(place.table.descriptor, group=None)))


def without_log(place: Place, writes: Writes) -> None:
    writes.put(keys.descriptor_key(TABLE), descriptors.serialize(replace(place.table.descriptor, log=None)))


def going(place: Place, writes: Writes, region: str) -> None:
    """Mark a replica as DELETING, without the job."""
    group = replicas.moved(place.table.descriptor.shared_group, region, replicas.DELETING, START)
    writes.put(keys.descriptor_key(TABLE), descriptors.serialize(replace(place.table.descriptor, group=group)))


DAMAGES: dict[str, tuple[Callable[[Place, Writes], None], list[str]]] = {
    "version of nothing": (
        lambda place, writes: writes.put(place.tombstone_key, versions.record(place.version)),
        ["table {table}: version under {tombstone}: its item is not there"],
    ),
    "tombstone of an item that is there": (
        lambda place, writes: writes.put(
            place.version_key, versions.tombstone(place.version, orjson.dumps({n: KNOWN[n] for n in ("p", "s")}))
        ),
        ["table {table}: version under {version}: its item was deleted, and is there"],
    ),
    "tombstone of another item": (
        lambda place, writes: writes.put(
            place.tombstone_key, versions.tombstone(place.version, orjson.dumps({n: KNOWN[n] for n in ("p", "s")}))
        ),
        ["table {table}: version under {tombstone}: it is that of another item"],
    ),
    "version that none can be": (
        lambda place, writes: writes.put(place.version_key, b"\xff" * 17),
        ["table {table}: version under {version}: not a version: " + "ff" * 16],
    ),
    "checkpoint of another region": (
        lambda place, writes: writes.put(place.checkpoint_key, pull_positions.encode(PullPosition("ap-south-1"))),
        ["checkpoint under {checkpoint}: it is that of ap-south-1"],
    ),
    "note of what is put aside that cannot be read": (
        lambda place, writes: writes.put(place.aside_key, b'{"region":"eu-west-1","reason":5,"since":0.0}'),
        [
            "note of what is put aside under {aside}: it is Aside(region='eu-west-1', reason=5, since=0.0)",
        ],
    ),
    "replica that is to go": (
        lambda place, writes: going(place, writes, place.table.descriptor.region),
        ["table {table}: it is to go as a replica, and no job does it"],
    ),
    "replica elsewhere that is to go": (
        lambda place, writes: going(place, writes, PEER),
        ["table {table}: its replica in eu-west-1 is to go, and no job does it"],
    ),
    "no log": (
        without_log,
        [
            "table {table}: it is a replica, and its changes are not logged",
        ],
    ),
    "ordinary table with versions": (
        ordinary,
        [
            "there are versions of items of table id {id} and no such replica",
            "there are checkpoints of table id {id} and no such replica",
        ],
    ),
}
"""A change, and the findings of a check afterwards."""


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_reported(tmp_path: Path, what: str) -> None:
    damage, told = DAMAGES[what]

    async def test(store: Handlers) -> None:
        place = Place(store, await replica(store))
        await change(store, lambda writes: damage(place, writes))
        _, found = problems(store)
        names = {
            "table": TABLE,
            "id": place.table.id.hex(),
            "version": place.version_key.hex(),
            "tombstone": place.tombstone_key.hex(),
            "aside": place.aside_key.hex(),
            "checkpoint": place.checkpoint_key.hex(),
        }
        expected = {text.format(**names) for text in told}
        assert expected <= set(found)
        # A table without a log leaves its stream behind as well, which is reported, too.
        assert what == "no log" or expected == set(found)

    run(tmp_path, test)


def test_rows_about_to_be_removed_are_not_reported(tmp_path: Path) -> None:
    async def test(store: Handlers) -> None:
        place = Place(store, await replica(store))

        def end(writes: Writes) -> None:
            ordinary(place, writes)
            purge.submit_replication(place.table.descriptor, writes)

        await change(store, end)
        check(store)

    run(tmp_path, test)


def test_stats_show_the_progress_of_a_replica(tmp_path: Path) -> None:
    said: list[str] = []

    async def test(store: Handlers) -> None:
        table = await replica(store)
        copying = PullPosition("ap-south-1", copying=Copying())
        key = pull_positions.key(table.id, "ap-south-1")
        await change(store, lambda writes: writes.put(key, pull_positions.encode(copying)))
        await change(store, lambda writes: writes.put(keyspaces.format_key(), store_format.record()))

    run(tmp_path, test)
    reports.stats(stored(tmp_path), said.append)
    prefix = f"{tmp_path.name}: table {TABLE}: "
    assert sorted(line for line in said if line.startswith(prefix) and "index entries" not in line) == [
        f"{prefix}being copied from ap-south-1",
        f"{prefix}changes of {PEER} applied up to position 17; latency: Last 12 ms, P50 10 ms, P99 99 ms",
    ]
