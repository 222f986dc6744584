"""The change log's entries and shards, and the streams that record them."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.dynamodb.errors import DescriptorChanged
from jedlik.dynamodb.model import changelog, keys, streams, versions
from jedlik.dynamodb.model.changelog import Caller, Change, ChangeLog, Kind
from jedlik.dynamodb.model.definitions import Descriptor, LogSetting, OpenShard
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.storage.engine import Writes, stored_entry
from testing.dynamodb import schemas

NOW = 1_700_000_000.5
TABLE = schemas.table().descriptor


@given(
    st.sampled_from(Kind),
    st.integers(0, 2**60),
    st.binary(),
    st.integers(0, 2**32 - 1),
    st.binary(),
    st.binary(),
    st.sampled_from((b"", b"v" * versions.SIZE)),
    st.sampled_from(Caller),
)
def test_an_entry_reads_back_as_it_was_written(
    kind: Kind, at: int, keys_json: bytes, size: int, old: bytes, new: bytes, version: bytes, caller: Caller
) -> None:
    entry = stored_entry(changelog.encode(kind, keys_json, size, old, new, version, caller), at)
    assert changelog.decode(entry) == Change(kind, at / 1e6, keys_json, size, old, new, version, caller)
    assert changelog.written_at(entry) == at / 1e6
    with pytest.raises(ValueError, match="it is not as long as it says"):
        changelog.decode(entry + b"x")


def test_a_field_of_a_later_version_is_skipped() -> None:
    entry = changelog.encode(Kind.INSERT, b"{}", version=b"version")
    head, field = entry[:-10], entry[-10:]
    assert field == b"\x01\x07\x00version"
    unknown = b"\x63\x02\x00??"
    longer = head[:20] + (len(unknown + field)).to_bytes(4, "little") + head[24:]
    assert changelog.decode(stored_entry(longer + unknown + field, 1)).version == b"version"
    assert changelog.decode(stored_entry(longer + field + unknown, 1)).version == b"version"


def test_an_entry_of_another_format_is_refused() -> None:
    entry = stored_entry(changelog.encode(Kind.INSERT), 7)
    with pytest.raises(ValueError, match="unknown change log format 9"):
        changelog.decode(entry[:8] + b"\x09" + entry[9:])


@pytest.mark.parametrize(
    ("old_images", "new_images", "kept"),
    [(False, False, b""), (True, False, b"old"), (False, True, b"new"), (True, True, b"oldnew")],
)
def test_an_entry_holds_the_images_that_readers_want(old_images: bool, new_images: bool, kept: bytes) -> None:
    log = ChangeLog(old_images, new_images, (0,), (b"log",))
    change = changelog.decode(stored_entry(log.entry(Kind.MODIFY, b"{}", 2, b"old", b"new", b"", Caller.CUSTOMER), 0))
    assert change.old + change.new == kept


def test_a_change_goes_to_the_shard_that_holds_its_hash() -> None:
    log = ChangeLog(False, False, (0, 1 << 30, 1 << 31), (b"low", b"middle", b"high"))
    assert log.prefix_for(b"\x00\x00\x00\x00rest") == b"low"
    assert log.prefix_for(b"\x3f\xff\xff\xffrest") == b"low"
    assert log.prefix_for(b"\x40\x00\x00\x00rest") == b"middle"
    assert log.prefix_for(b"\xff\xff\xff\xffrest") == b"high"


def test_sequence_numbers_are_decimal_and_read_back() -> None:
    assert streams.sequence_number(7) == "100000000000000000007"
    assert streams.position_of(streams.sequence_number(2**63)) == 2**63


def stream_in(writes: Writes, table: Descriptor) -> streams.Document:
    """The stream's document among the writes."""
    assert table.stream_label is not None
    raw = writes.puts[keys.stream_key("Music", table.stream_label)]
    assert raw is not None
    stream: streams.Document = orjson.loads(raw)
    return stream


def test_enabling_opens_one_shard_over_all_hashes() -> None:
    writes = Writes()
    table = streams.enable(TABLE, "NEW_IMAGE", NOW, writes)
    stream = stream_in(writes, table)
    assert table.stream_arn == TABLE.arn + "/stream/2023-11-14T22:13:20.500"
    assert table.log == LogSetting(False, True, (OpenShard(0, 0),))
    [shard] = stream["Shards"]
    assert (shard["Start"], shard["End"]) == (0, 1 << 32)
    assert "ParentShardId" not in shard
    assert [changelog.decode(stored_entry(entry, 0)).kind for _, entry in writes.appends] == [Kind.OPEN]


def test_rolling_closes_every_shard_and_opens_its_children() -> None:
    table = streams.enable(TABLE, "KEYS_ONLY", NOW, first := Writes())
    rolled = streams.roll(table, stream_in(first, table), True, NOW + 10, second := Writes())
    parent, low, high = stream_in(second, rolled)["Shards"]
    assert parent["ClosedAt"] == NOW + 10
    assert [(s["ParentShardId"], s["Start"], s["End"]) for s in (low, high)] == [
        (parent["ShardId"], 0, 1 << 31),
        (parent["ShardId"], 1 << 31, 1 << 32),
    ]
    assert rolled.log == LogSetting(False, False, (OpenShard(1, 0), OpenShard(2, 1 << 31)))
    assert [changelog.decode(stored_entry(e, 0)).kind for _, e in second.appends] == [Kind.CLOSE, Kind.OPEN, Kind.OPEN]
    assert parent["ShardId"] < low["ShardId"] < high["ShardId"]


def test_disabling_closes_the_shards_and_ends_the_log() -> None:
    table = streams.enable(TABLE, "KEYS_ONLY", NOW, first := Writes())
    disabled = streams.disable(table, stream_in(first, table), NOW + 1, second := Writes())
    stream = stream_in(second, disabled)
    assert stream["StreamStatus"] == "DISABLED"
    assert streams.open_shards(stream) == []
    assert disabled.log is None
    assert disabled.stream is None
    assert disabled.stream_arn == table.stream_arn


def test_a_stream_enabled_again_uses_new_shards() -> None:
    table = streams.enable(TABLE, "KEYS_ONLY", NOW, first := Writes())
    table = streams.disable(table, stream_in(first, table), NOW + 1, Writes())
    again = streams.enable(table, "KEYS_ONLY", NOW + 2, Writes())
    assert again.log == LogSetting(False, False, (OpenShard(1, 0),))


def test_a_mutation_finds_the_stream_that_the_table_has_and_no_other() -> None:
    table = streams.enable(TABLE, "KEYS_ONLY", NOW, written := Writes())
    stream = stream_in(written, table)
    disabled = streams.disable(table, stream, NOW + 1, Writes())
    again = streams.enable(disabled, "KEYS_ONLY", NOW + 2, Writes())

    def read_for(last_seen: Descriptor) -> Mutation:
        return Mutation({key: written.puts[key] for key in streams.current_key(last_seen)}, b"secret", NOW)

    assert streams.current(table, read_for(table)) == stream
    assert streams.current(disabled, read_for(table)) is None
    for now, last_seen in ((table, disabled), (again, table)):
        with pytest.raises(DescriptorChanged):
            streams.current(now, read_for(last_seen))
