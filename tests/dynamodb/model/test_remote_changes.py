"""Versions, and the rule by which changes of other regions are applied: in any order, any number of times."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws import stored_items
from jedlik.dynamodb.model import (
    changelog,
    descriptors,
    items,
    keys,
    remote_changes,
    replicas,
    values,
    versions,
    writes,
)
from jedlik.dynamodb.model.changelog import Change, Kind
from jedlik.dynamodb.model.definitions import LogSetting, OpenShard
from jedlik.dynamodb.model.remote_changes import RemoteChange
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item
from jedlik.dynamodb.model.writes import Delete
from jedlik.storage.engine import Writes, stored_entry
from testing.dynamodb.schemas import n, s, table
from testing.dynamodb.stores import NOW, SECRET, Store

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
HERE, THERE, _ = REGIONS
LOG = keys.log_prefix(keys.table_id("01234567-89ab-cdef-0123-456789abcdef"))


def replica(region: str) -> Table:
    """A replica in one of the REGIONS, with an index."""
    group = replicas.make("group", REGIONS[0], {}, NOW)
    for other in REGIONS[1:]:
        group = replicas.moved(replicas.created(group, other, REGIONS[0], REGIONS[0], NOW), other, replicas.ACTIVE, NOW)
    descriptor = dataclasses.replace(
        table(global_={"by-x": ([("x", "N")], [])}).descriptor,
        arn=f"arn:aws:dynamodb:{region}:000000000000:table/Music",
        log=LogSetting(True, True, (OpenShard(0, 0),)),
        group=group,
    )
    return descriptors.parse(descriptors.serialize(descriptor))


class RegionStore(Store):
    """The store of a region, and its log."""

    def __init__(self, region: str) -> None:
        super().__init__()
        self.table = replica(region)
        self.log: list[Change] = []

    def apply(self, written: Writes) -> None:
        super().apply(written)
        self.log += [changelog.decode(stored_entry(entry, 0)) for _, entry in written.appends]

    def put(self, item: Item, at: float = NOW) -> None:
        self.do(writes.put(self.table, item, values.item_size(item), SECRET), at)

    def delete(self, key: Item, at: float = NOW, expired: bool = False) -> None:
        self.do(Delete(self.table, keys.item_key(self.table, key, SECRET), key, expired=expired), at)

    def receive(self, told: Any) -> bool:
        """Apply a change as it comes over the wire. Returns whether it was later than the version here."""
        change = remote_changes.parse(stored_items.plain(told))
        key = keys.item_key(self.table, change.keys, SECRET)
        mutation = self.mutation()
        new = remote_changes.apply(self.table, key, change, mutation)
        self.apply(mutation.writes)
        assert self.rows.get(key) == new
        return bool(mutation.writes.puts)

    def version(self, key: Item) -> bytes:
        return versions.of_record(self.record(key))

    def record(self, key: Item) -> bytes | None:
        return self.rows.get(keys.version_key(self.table, keys.item_key(self.table, key, SECRET)))

    def told(self) -> list[Any]:
        """The region's log of its own writes, in their order."""
        return [remote_changes.of_entry(c) for c in self.log if versions.origin(c.version) == own(self.table)]

    def state(self) -> tuple[Any, ...]:
        """Everything that must be equal in all replicas: items, versions, index entries and counters."""
        return self.rows, {key: count for key, count in self.counters.items() if count}


def own(of: Table) -> bytes:
    assert of.replica is not None
    return versions.region_id(of.replica.region)


KEY: Item = {"p": s("a")}
ITEM: Item = KEY | {"x": n("1")}
OTHER: Item = KEY | {"x": n("2")}


# Versions of local writes


def test_a_write_gives_its_item_a_version_of_now_and_here() -> None:
    store = RegionStore(HERE)
    store.put(ITEM)
    assert versions.seconds(store.version(KEY)) == NOW
    assert versions.origin(store.version(KEY)) == versions.region_id(HERE)
    [entry] = store.log
    assert (entry.kind, entry.version) == (Kind.INSERT, store.version(KEY))


def test_a_write_supersedes_what_it_saw_when_the_clock_stands_still_or_goes_back() -> None:
    store = RegionStore(HERE)
    seen = []
    for number, at in enumerate([NOW, NOW, NOW - 60, NOW]):
        store.put(KEY | {"x": n(str(number))}, at)
        seen.append(store.version(KEY))
    assert seen == sorted(set(seen))


def test_a_delete_leaves_a_tombstone_with_the_key() -> None:
    store = RegionStore(HERE)
    store.put(ITEM)
    store.delete(KEY)
    record = store.record(KEY)
    assert record is not None
    assert versions.is_tombstone(record)
    assert orjson.loads(versions.keys_of_tombstone(record)) == KEY
    assert store.items(store.table) == []


@pytest.mark.parametrize("there", [True, False])
def test_a_write_that_changes_nothing_is_a_write_all_the_same(there: bool) -> None:
    store = RegionStore(HERE)
    if there:
        store.put(ITEM)
    before = store.version(KEY)
    if there:
        store.put(ITEM)
    else:
        store.delete(KEY)
    assert store.version(KEY) > before
    assert store.log[-1].kind is Kind.SAME
    assert bool(store.log[-1].new) == there


def test_an_expiry_does_not_win_over_more_time_given_elsewhere() -> None:
    here, there = RegionStore(HERE), RegionStore(THERE)
    here.put(ITEM, NOW)
    there.receive(here.told()[0])
    there.put(OTHER, NOW + 5)
    here.delete(KEY, NOW + 10, expired=True)
    assert here.receive(there.told()[0])
    assert not there.receive(here.told()[1])
    assert here.items(here.table) == there.items(there.table) == [OTHER]


def test_an_ordinary_table_keeps_no_versions() -> None:
    ordinary = table()
    store = Store()
    store.do(writes.put(ordinary, ITEM, values.item_size(ITEM), SECRET))
    assert list(store.rows) == [keys.item_key(ordinary, ITEM, SECRET)]


# Changes from elsewhere


def test_the_later_of_two_writes_wins_in_both_regions() -> None:
    here, there = RegionStore(HERE), RegionStore(THERE)
    here.put(ITEM, NOW)
    there.put(OTHER, NOW + 1)
    assert here.receive(there.told()[0])
    assert not there.receive(here.told()[0])
    assert here.items(here.table) == there.items(there.table) == [OTHER]


def test_an_applied_change_is_in_the_log_with_its_origin() -> None:
    here, there = RegionStore(HERE), RegionStore(THERE)
    there.put(ITEM)
    here.receive(there.told()[0])
    there.delete(KEY, expired=True)
    here.receive(there.told()[1])
    # As on AWS, only the region in which an item expires records that the service deleted it.
    assert [entry.kind for entry in here.log] == [Kind.INSERT, Kind.REMOVE]
    assert {versions.origin(entry.version) for entry in here.log} == {versions.region_id(THERE)}
    assert here.told() == []


def test_a_tombstone_keeps_an_older_write_from_coming_back() -> None:
    here, there = RegionStore(HERE), RegionStore(THERE)
    there.put(ITEM, NOW)
    here.delete(KEY, NOW + 1)
    assert not here.receive(there.told()[0])
    assert here.items(here.table) == []


def test_items_from_before_the_replication_are_copied_and_never_win() -> None:
    here, there = RegionStore(HERE), RegionStore(THERE)
    key = keys.item_key(here.table, KEY, SECRET)
    stored = items.encode(ITEM, values.item_size(ITEM))
    told = remote_changes.of_item(here.table, stored, None)
    assert there.receive(told)
    assert there.items(there.table) == [ITEM]
    assert there.record(KEY) is None
    there.delete(KEY)
    assert not there.receive(told)
    assert key not in there.rows


@pytest.mark.parametrize("version", ["", "00" * 15, "ff" * 16])
def test_a_version_that_no_region_makes_is_refused(version: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        remote_changes.parse({"Version": version, "At": 0.0, "Keys": KEY})


@given(st.integers(0, (1 << 63) - 2), st.floats(0, 1e11), st.sampled_from(REGIONS))
def test_versions_sort_by_their_meaning(clock: int, at: float, region: str) -> None:
    seen = versions.record(clock.to_bytes(8, "big") + versions.region_id(THERE))
    superseding, following = versions.superseding(seen, at, region), versions.following(seen, region)
    assert superseding >= following > versions.of_record(seen) >= versions.ZERO
    assert versions.seconds(superseding) >= int(at * 1000) / 1000
    versions.check(superseding)


@given(st.integers(0, (1 << 63) - 2), st.sampled_from(REGIONS))
def test_a_rediscovered_deletion_wins_over_the_deleted_item_and_over_no_later_write(clock: int, region: str) -> None:
    deleted = clock.to_bytes(8, "big") + versions.region_id(region)
    deletion = versions.deletion(deleted)
    versions.check(deletion)
    assert deleted < deletion
    for other in REGIONS:
        assert deletion < versions.following(versions.record(deleted), other)
        concurrent = clock.to_bytes(8, "big") + versions.region_id(other)
        assert (deletion < concurrent) == (deleted < concurrent)


# Convergence


@dataclass(frozen=True)
class Step:
    """A write in a region, at a time by its own clock."""

    region: str
    seconds: int
    key: str
    value: int | None
    """None deletes."""


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(REGIONS),
        st.integers(0, 3),
        st.sampled_from("ab"),
        st.none() | st.integers(0, 2),
    ),
    max_size=12,
)


def act(store: RegionStore, step: Step) -> None:
    key: Item = {"p": s(step.key)}
    if step.value is None:
        store.delete(key, NOW + step.seconds)
    else:
        store.put(key | {"x": n(str(step.value))}, NOW + step.seconds)


@given(STEPS, st.data())
def test_regions_that_have_received_the_same_changes_agree(steps: list[Step], data: st.DataObject) -> None:
    stores = {region: RegionStore(region) for region in REGIONS}
    for step in steps:
        act(stores[step.region], step)
        # Now and then a change arrives.
        told = stores[data.draw(st.sampled_from(REGIONS))].told()
        if told:
            stores[data.draw(st.sampled_from(REGIONS))].receive(data.draw(st.sampled_from(told)))
    for region, store in stores.items():
        missing = [change for other in REGIONS if other != region for change in stores[other].told()]
        repeated = data.draw(st.lists(st.sampled_from(missing), max_size=4)) if missing else []
        for change in data.draw(st.permutations(missing + repeated)):
            store.receive(change)
    assert stores[HERE].state() == stores[THERE].state() == stores[REGIONS[2]].state()
    # The winner is the latest of all writes.
    latest: dict[bytes, RemoteChange] = {}
    for store in stores.values():
        for change in map(remote_changes.parse, map(stored_items.plain, store.told())):
            key = keys.item_key(store.table, change.keys, SECRET)
            if key not in latest or latest[key].version < change.version:
                latest[key] = change
    expected = [change.item for _, change in sorted(latest.items()) if change.item is not None]
    for store in stores.values():
        found = sorted(store.under(store.table.prefix).items())
        assert [items.decode(stored) for _, stored in found] == expected
