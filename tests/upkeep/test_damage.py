"""The findings of a check for a store in which one thing has been damaged: that, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from jedlik.background import job_records, leases
from jedlik.dynamodb.model import changelog, descriptors, items, keys, spaces, streams
from jedlik.dynamodb.model.changelog import Kind
from jedlik.dynamodb.tables import backfill
from jedlik.regions import keyspaces, table_keyring
from jedlik.regions.keyspaces import Owner
from jedlik.storage.engine import TIME_SIZE, Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.lmdb.view import View
from testing.dynamodb.handlers import Handlers
from testing.full_store import EXPIRES, KNOWN, TABLE, change, full, problems, run

Document = dict[str, Any]


class Place:
    """The places of things in a full store, so that they can be damaged."""

    def __init__(self, view: View, secret: bytes) -> None:
        self.view = view
        self.secret = secret
        self.descriptor_key = keys.descriptor_key(TABLE)
        self.table = descriptors.parse(self.at(self.descriptor_key))
        self.document: Document = orjson.loads(self.table.raw)
        self.key = keys.item_key(self.table, KNOWN, secret)
        self.stored = self.at(self.key)
        self.note_key = keys.expiry_key(self.table, self.key, EXPIRES)
        self.stream_key, raw = self.one(*keys.stream_range(None))
        self.stream: Document = orjson.loads(raw)
        """Its first shard is closed, and the others are its two children."""

    def at(self, key: bytes) -> bytes:
        value = self.view.get(key)
        assert value is not None
        return value

    def one(self, start: bytes, end: bytes) -> tuple[bytes, bytes]:
        row = self.view.first(start, end)
        assert row is not None
        return row

    def entry_key(self, name: str) -> bytes:
        """The known item's entry in an index."""
        index = self.table.index(name)
        assert index is not None
        key = keys.index_key(self.table, index, KNOWN, self.secret)
        assert key is not None
        return key

    def log(self, shard: int) -> list[tuple[bytes, bytes]]:
        return list(self.view.rows(*keys.log_range(streams.shard_log(self.stream, self.stream["Shards"][shard]))))

    def with_document(self, **members: Any) -> bytes:
        """The table's descriptor with some of its members changed."""
        return orjson.dumps(self.document | members)

    def with_stream(self, **members: Any) -> bytes:
        return orjson.dumps(self.stream | members)

    def with_shard(self, number: int, **members: Any) -> bytes:
        """The stream with one of its shards changed."""
        shards = [s | members if place == number else s for place, s in enumerate(self.stream["Shards"])]
        return self.with_stream(Shards=shards)


Damage = Callable[[Place, Writes], None]


def other_item(place: Place, writes: Writes) -> None:
    """Put another item of the same size in place of the known one."""
    item = KNOWN | {"p": {"S": "knowm"}}
    writes.put(place.key, items.encode(item, items.size(place.stored), items.generation(place.stored)))


def index_without_job(place: Place, writes: Writes) -> None:
    indexes = [index | {"Backfilling": True} for index in place.document["GlobalSecondaryIndexes"]]
    writes.put(place.descriptor_key, place.with_document(GlobalSecondaryIndexes=indexes))


def changed_entry(place: Place, writes: Writes) -> None:
    key = place.entry_key("whole")
    writes.put(key, place.at(key).replace(b'"a0"', b'"a9"'))


def moved_entry(place: Place, writes: Writes) -> None:
    key = place.entry_key("whole")
    writes.put(key[:-1] + bytes((key[-1] ^ 1,)), place.at(key))


def entry_of_nothing(place: Place, writes: Writes) -> None:
    index = place.table.index("local")
    assert index is not None
    entry = KNOWN | {"p": {"S": "gone"}}
    key = keys.index_key(place.table, index, entry, place.secret)
    assert key is not None
    writes.put(key, items.encode(entry, 50))


def cut_change(place: Place, writes: Writes) -> None:
    key, entry = place.log(0)[5]
    writes.put(key, entry[:-1])


def change_of_another_shard(place: Place, writes: Writes) -> None:
    """Move the last change of one child's log to the other's."""
    key, entry = place.log(1)[-1]
    writes.delete(key)
    writes.put(streams.shard_log(place.stream, place.stream["Shards"][2]) + key[-8:], entry)


def second_closing(place: Place, writes: Writes) -> None:
    key, closing = place.log(0)[-1]
    writes.put(key[:-8] + (keys.log_position(key) + 1).to_bytes(8, "big"), closing)


def change_without_image(place: Place, writes: Writes) -> None:
    key, entry = next((k, e) for k, e in place.log(0) if changelog.decode(e).kind is Kind.INSERT)
    told = changelog.decode(entry)
    writes.put(key, entry[:TIME_SIZE] + changelog.encode(told.kind, told.keys, told.keys_size))


def change_from_the_future(place: Place, writes: Writes) -> None:
    key, entry = place.log(1)[-1]
    writes.put(key[:-8] + (10**6).to_bytes(8, "big"), entry)


def empty_log(place: Place, writes: Writes) -> None:
    for key, _ in place.log(1):
        writes.delete(key)


def image_of_another_item(place: Place, writes: Writes) -> None:
    key, entry = next((k, e) for k, e in place.log(0) if changelog.decode(e).kind is Kind.INSERT)
    told = changelog.decode(entry)
    writes.put(key, entry[:TIME_SIZE] + changelog.encode(told.kind, told.keys, told.keys_size, b"", place.stored))


KNOWN_ITEM = '{"p":{"S":"known"},"s":{"N":"1"}}'
ITEM = f"table songs: item {KNOWN_ITEM}: "
STREAM = "stream arn:aws:dynamodb:us-east-1:000000000000:table/songs/stream/2027-01-15T08:00:00.000: "
PARENT, CHILD, OTHER_CHILD = (f"{STREAM}shard shardId-*-0000000{number}: " for number in range(3))
NO_TABLE = "table id 382062797465732e"

DAMAGES: dict[str, tuple[Damage, list[str]]] = {
    # Items and index entries.
    "item": (
        lambda place, writes: writes.put(place.key, place.stored[:-1]),
        ["table songs: item under *: it cannot be read (JSONDecodeError: unexpected end of data: *)"],
    ),
    "item without bytes": (
        lambda place, writes: writes.put(place.key, b""),
        ["table songs: item under *: it cannot be read (IndexError: index out of range)"],
    ),
    "item's format": (
        lambda place, writes: writes.put(place.key, b"\x09" + place.stored[1:]),
        ["table songs: item under *: it is of the format 9"],
    ),
    "item's size": (
        lambda place, writes: writes.put(place.key, place.stored[:1] + b"\x01\x00\x00\x00" + place.stored[5:]),
        ["table songs: item under *: it has 27 bytes and is said to have 1"],
    ),
    "item's number": (
        lambda place, writes: writes.put(place.key, place.stored.replace(b'"N":"1"', b'"N":"x"')),
        [
            "table songs: item under *: it cannot be read (ValidationException: The parameter cannot be converted to a "
            "numeric value: x)"
        ],
    ),
    "item's key": (
        other_item,
        [
            'table songs: item under *: it is item {"p":{"S":"knowm"},"s":{"N":"1"}}, which belongs under another key',
        ],
    ),
    "item's generation": (
        lambda place, writes: writes.put(place.key, items.with_generation(place.stored, 2)),
        [
            ITEM + "it is of generation 2 and was never brought into index several",
            f"table songs: index several: it has an entry of item {KNOWN_ITEM} where that belongs not",
            "table songs: the counter of entries in index several is at *, and there are *",
            "table songs: the counter of bytes in index several is at *, and there are *",
        ],
    ),
    "entry that is missing": (
        lambda place, writes: writes.delete(place.entry_key("whole")),
        [ITEM + "its entry in index whole is missing"],
    ),
    "local entry that is missing": (
        lambda place, writes: writes.delete(place.entry_key("local")),
        [ITEM + "its entry in index local is missing"],
    ),
    "entry that is changed": (changed_entry, [ITEM + "its entry in index whole differs from it"]),
    "entry that cannot be read": (
        lambda place, writes: writes.put(place.entry_key("several"), b""),
        [ITEM + "its entry in index several differs from it"],
    ),
    "entry in two places": (
        moved_entry,
        [f"table songs: index whole: it has an entry of item {KNOWN_ITEM} where that belongs not"],
    ),
    "entry of no item": (
        entry_of_nothing,
        [
            'table songs: index local: it has an entry of item {"p":{"S":"gone"},"s":{"N":"1"}}, which is not there',
        ],
    ),
    "entry of nothing that can be read": (
        lambda place, writes: writes.put(place.entry_key("whole") + b"more", b""),
        ["table songs: index whole: entry under *: it cannot be read (JSONDecodeError: *)"],
    ),
    # Counters.
    "counter of items": (
        lambda place, writes: writes.put(keys.item_count_key(place.table.id, 0), bytes(8)),
        ["table songs: the counter of items is at 0, and there are *"],
    ),
    "counter of bytes": (
        lambda place, writes: writes.put(keys.item_bytes_key(place.table.id, 0), bytes(8)),
        ["table songs: the counter of bytes is at 0, and there are *"],
    ),
    "counter of entries": (
        lambda place, writes: writes.put(keys.item_count_key(place.table.id, 2), bytes(8)),
        ["table songs: the counter of entries in index whole is at 0, and there are *"],
    ),
    "counter of bytes of entries": (
        lambda place, writes: writes.put(keys.item_bytes_key(place.table.id, 2), bytes(8)),
        ["table songs: the counter of bytes in index whole is at 0, and there are *"],
    ),
    "item collection": (
        lambda place, writes: writes.add(keys.collection_bytes_key(place.table, place.key), -1),
        ["table songs: the counter of bytes in an item collection is at 38, and there are 39"],
    ),
    "item collection of nothing": (
        lambda place, writes: writes.add(keys.collection_bytes_key(place.table, bytes(40)), 5),
        ["table songs: the counter of bytes in an item collection is at 5, and it has no items"],
    ),
    # Expiry notes.
    "note that is missing": (
        lambda place, writes: writes.delete(place.note_key),
        [ITEM + "it expires at 1801000000, and the note of that is missing"],
    ),
    "note of another table": (
        lambda place, writes: writes.put(place.note_key, b"other"),
        [ITEM + "its expiry note is of another table"],
    ),
    "note of another time": (
        lambda place, writes: writes.put(keys.expiry_key(place.table, place.key, 5), TABLE.encode()),
        [f"table songs: it has an expiry note for 5 of item {KNOWN_ITEM}, which expires not then"],
    ),
    "note of no item": (
        lambda place, writes: writes.put(keys.expiry_key(place.table, bytes(40), 5), TABLE.encode()),
        ["table songs: it has an expiry note for 5 of an item that is not there"],
    ),
    # Descriptors, and rows that no descriptor leads to.
    "index without a job": (
        index_without_job,
        [f"table songs: index {name}: it is being filled, and no job does it" for name in ("whole", "several")],
    ),
    "time to live without a job": (
        lambda place, writes: writes.put(
            place.descriptor_key,
            place.with_document(TimeToLive=place.document["TimeToLive"] | {"Status": "ENABLING"}),
        ),
        ["table songs: its time to live is ENABLING, and no job does it"],
    ),
    "number of a key": (
        lambda place, writes: writes.put(place.descriptor_key, place.with_document(KeyNumber=2)),
        ["table songs: it is sealed with its key of the number 2, and the last that it has is 0"],
    ),
    "keys of a table": (
        lambda place, writes: writes.put(table_keyring.row(place.table.id), b"?"),
        ["table songs: its keys: it cannot be read (JSONDecodeError: *"],
    ),
    "index numbers": (
        lambda place, writes: writes.put(place.descriptor_key, place.with_document(NextIndexNumber=3)),
        ["table songs: its indexes have the numbers [1, 2, 3], and the next is to have 3"],
    ),
    "table that is there twice": (
        lambda place, writes: writes.put(keys.descriptor_key("another"), place.table.raw),
        ["table another: its descriptor is that of songs", "table songs: it has the same id as songs"],
    ),
    "descriptor of no table": (
        lambda place, writes: writes.put(keys.descriptor_key("other"), b"{}"),
        ["descriptor under 186f74686572: it cannot be read (KeyError: 'AttributeDefinitions')"],
    ),
    "rows of no table": (
        lambda place, writes: writes.put(keys.index_prefix(b"8 bytes.", 3) + b"key", b""),
        [f"there are rows of index 3 of {NO_TABLE} and no such table or index"],
    ),
    "entries of no index": (
        lambda place, writes: writes.put(keys.index_prefix(place.table.id, 9) + b"key", b""),
        ["there are rows of index 9 of table id * and no such table or index"],
    ),
    "counters of no index": (
        lambda place, writes: writes.add(keys.item_count_key(place.table.id, 9), 1),
        ["there are counters of index 9 of table id * and no such table or index"],
    ),
    "tags of no table": (
        lambda place, writes: writes.put(keys.tags_key(b"8 bytes."), b"{}"),
        [f"there are tags of {NO_TABLE} and no such table"],
    ),
    "notes of no table": (
        lambda place, writes: writes.put(keys.expiry_range(b"8 bytes.", 5, 6)[0] + bytes(30), b""),
        [f"there are expiry notes of {NO_TABLE} and no such table"],
    ),
    "key of no space": (
        lambda place, writes: writes.put(b"\x11", b""),
        ["there are keys before the space of descriptors that are of no space"],
    ),
    "key after the last space": (
        lambda place, writes: writes.put(b"\xf8", b""),
        ["there are keys after the last space"],
    ),
    "secret": (
        lambda place, writes: writes.delete(keyspaces.secret_key()),
        ["the store's secret is missing: no key of an item can be worked out"],
    ),
    # Streams.
    "stream that is missing": (
        lambda place, writes: writes.delete(place.stream_key),
        [
            "table songs: its changes are logged for a stream that is not there",
            *(f"there is a change log of shard {number} of table id * and no such shard" for number in range(3)),
        ],
    ),
    "stream that cannot be read": (
        lambda place, writes: writes.put(keys.stream_key("other", "label"), b"?"),
        ["stream under 506f74686572006c6162656c: it cannot be read (JSONDecodeError: unexpected character*)"],
    ),
    "stream in two places": (
        lambda place, writes: writes.put(keys.stream_key("other", "label"), place.with_stream(Shards=[])),
        [
            STREAM + "it is not under the key of its name",
            STREAM + "its open shards are not those that its table writes to",
            STREAM + "its open shards do not divide the range of hashes",
        ],
    ),
    "stream that is disabled": (
        lambda place, writes: writes.put(place.stream_key, place.with_stream(StreamStatus="DISABLED")),
        [STREAM + "it is disabled and has open shards"],
    ),
    "stream that its table has not": (
        lambda place, writes: writes.put(place.descriptor_key, place.with_document(LatestStreamArn="arn")),
        [STREAM + "it is enabled, and its table has another stream"],
    ),
    "range of a parent": (
        lambda place, writes: writes.put(place.stream_key, place.with_shard(0, End=1 << 33)),
        [PARENT + "its children do not divide its range"],
    ),
    "range of a child": (
        lambda place, writes: writes.put(place.stream_key, place.with_shard(2, End=1 << 33)),
        [
            STREAM + "its open shards do not divide the range of hashes",
            PARENT + "its children do not divide its range",
        ],
    ),
    "shard that is written to": (
        lambda place, writes: writes.put(place.stream_key, place.with_shard(1, ClosedAt=1.0)),
        [
            STREAM + "its open shards are not those that its table writes to",
            STREAM + "its open shards do not divide the range of hashes",
            CHILD + "it is closed, and its log says otherwise",
            CHILD + "its children do not divide its range",
        ],
    ),
    "parent that is open": (
        lambda place, writes: writes.put(
            place.stream_key, place.with_shard(1, ParentShardId=place.stream["Shards"][2]["ShardId"])
        ),
        [PARENT + "its children do not divide its range", OTHER_CHILD + "it is open and has children"],
    ),
    # The change log.
    "change that cannot be read": (
        lambda place, writes: writes.put(place.log(0)[5][0], b"\x09" * 40),
        [PARENT + "entry *: unknown change log format 9"],
    ),
    "change that is cut": (cut_change, [PARENT + "entry *: it is not as long as it says"]),
    "change without its image": (
        change_without_image,
        [PARENT + "entry *: its images are not those of INSERT in a stream of NEW_AND_OLD_IMAGES"],
    ),
    "image of another item": (image_of_another_item, [PARENT + "entry *: an image is of another item"]),
    "change of another shard": (change_of_another_shard, [OTHER_CHILD + "entry *: it belongs in another shard"]),
    "log without an opening": (
        lambda place, writes: writes.delete(place.log(1)[0][0]),
        [CHILD + "entry *: the log does not begin with the opening of the shard, or has another"],
    ),
    "log without a closing": (
        lambda place, writes: writes.delete(place.log(0)[-1][0]),
        [PARENT + "it is closed, and its log says otherwise"],
    ),
    "log that goes on": (
        second_closing,
        [PARENT + "entry *: the log goes on after the shard was closed", CHILD + "it begins before its parent ends"],
    ),
    "log that has been trimmed": (
        lambda place, writes: writes.put(
            place.stream_key, place.with_shard(0, TrimmedTo=keys.log_position(place.log(0)[2][0]))
        ),
        [PARENT + "entry 2: it has been trimmed and is there"],
    ),
    "log that is empty": (empty_log, [CHILD + "its log is empty"]),
    "change from the future": (
        change_from_the_future,
        [CHILD + "entry 1000000: the store has given positions up to * only"],
    ),
    # Records.
    "job that cannot be read": (
        lambda place, writes: writes.put(job_records.job_key("job"), b"?"),
        ["job under 406a6f62: it cannot be read (JSONDecodeError: *)"],
    ),
    "job of no kind": (
        lambda place, writes: job_records.submit("job", "OTHER", {}, writes),
        ["job under 406a6f62: it is of the kind OTHER, which this version does not know"],
    ),
    "job that lacks something": (
        lambda place, writes: job_records.submit("job", backfill.KIND, {"TableName": 5}, writes),
        ["job under 406a6f62: the TableName of job job is 5"],
    ),
    "lease": (
        lambda place, writes: writes.put(leases.lease_key("lease"), b'{"Holder":"me","Until":"noon"}'),
        ["lease under 486c65617365: it is {'Holder': 'me', 'Until': 'noon'}"],
    ),
    "client token of another time": (
        lambda place, writes: writes.put(
            keys.token_key(7, "token"), b'{"At":1800000000.0,"Fingerprint":"","ReadUnits":[]}'
        ),
        ["client token under *: it was made at 1800000000.0, and is under another time"],
    ),
    "tags": (
        lambda place, writes: writes.put(keys.tags_key(place.table.id), b'{"k":5}'),
        ["tags under *: it is {'k': 5}"],
    ),
}


def matches(line: str, expected: str) -> bool:
    """Whether a line is as expected; * stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, expected.split("*"))), line) is not None


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_reported(tmp_path: Path, what: str) -> None:
    damage, expected = DAMAGES[what]

    async def test(store: Handlers) -> None:
        await full(store)
        engine = store.region.engine
        assert isinstance(engine, LmdbEngine)
        with engine.view() as view:
            place = Place(view, store.region.secret)
            await change(store, lambda writes: damage(place, writes))
        _, found = problems(store)
        assert len(found) == len(expected), found
        assert all(map(matches, found, expected)), found

    run(tmp_path, test)


STRAYS = {
    "tags": "tags of table id 382062797465732e and no such table",
    "rows": "rows of index 12593 of table id 382062797465732e and no such table or index",
    "counters": "counters of index 12593 of table id 382062797465732e and no such table or index",
    "logs": "a change log of shard 825307441 of table id 382062797465732e and no such shard",
    "readers": "positions of readers of table id 382062797465732e and no such table",
    "expiries": "expiry notes of table id 382062797465732e and no such table",
    "versions": "versions of items of table id 382062797465732e and no such replica",
    "checkpoints": "checkpoints of table id 382062797465732e and no such replica",
    "asides": "notes of what is put aside of table id 382062797465732e and no such replica",
}
"""The finding about a row that belongs to nothing, by its key space."""
OWNED = [space for space in spaces.KEYSPACES if space.owner is not Owner.STORE]


def test_strays_are_reported_in_each_key_space(tmp_path: Path) -> None:
    assert {space.name for space in OWNED} == STRAYS.keys()

    async def test(store: Handlers) -> None:
        for space in OWNED:
            key = space.prefix + b"8 bytes." + b"1" * 30
            await change(store, lambda writes, key=key: writes.put(key, b"{}"))  # type: ignore[misc]
            _, found = problems(store)
            assert f"there {'is' if space.name == 'logs' else 'are'} {STRAYS[space.name]}" in found
            await change(store, lambda writes, key=key: writes.delete(key))  # type: ignore[misc]
        assert problems(store)[1] == []

    run(tmp_path, test)
