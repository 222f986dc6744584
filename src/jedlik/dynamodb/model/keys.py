r"""Storage keys: every key of DynamoDB's rows is built here, in the key spaces that `spaces` declares.

The layout, drawn from the declarations, is in docs/architecture.md. Its parts are:

    table id   the first eight bytes of the table's UUID
    index      0 for the table itself, else the index's number, big-endian
    partition  keyed BLAKE2b of the partition key's value, or of all its values, each with its length before
               it, when the key has several attributes. The hash's key is the store's secret, so nobody can aim
               at collisions or at a hot range. Its top bits are the table's partitions
    sort       each sort key attribute in turn, in an encoding that orders as the values do and in which no
               value is a prefix of another
    primary    keyed BLAKE2b of the item's own key (partition and sort, as above): what makes an entry unique
               when items share an index key
    peer       what stands for a region in versions (`versions.region_id`)
    backup     the milliseconds of its creation and some random digits, as in its ARN

Strings sort as their UTF-8 bytes and binaries as they are, so both are byte strings. Such a string ends in
00 00, and its own zero bytes are written by the run, so that a key of 1,024 bytes grows by a half at worst
(doubling would pass the engine's 1,978):

    00 k       k zeros (0 to 126) and the end
    00 80      127 zeros, and the run may go on
    00 255-k   k zeros (1 to 126) and then a byte that is not zero

A longer run before a nonzero byte is smaller, and before the end it is greater; the codes are in that order.
Numbers are `numbers.sort_bytes`. FoundationDB's tuple layer and MyRocks' memcomparable keys follow the same
idea.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING
from uuid import UUID

from jedlik.dynamodb.model import key_values, limits, numbers, spaces
from jedlik.dynamodb.model.values import AttributeValue, Item
from jedlik.regions import keyspaces

if TYPE_CHECKING:
    from jedlik.dynamodb.model.tables import Index, KeyAttribute, Table

_DESCRIPTORS = spaces.DESCRIPTORS.prefix
_TAGS = spaces.TAGS.prefix
_ROWS = spaces.ROWS.prefix
_COUNTERS = spaces.COUNTERS.prefix
_LOGS = spaces.LOGS.prefix
_READERS = spaces.READERS.prefix
_STREAMS = spaces.STREAMS.prefix
_TOKENS = spaces.TOKENS.prefix
_EXPIRIES = spaces.EXPIRIES.prefix
_VERSIONS = spaces.VERSIONS.prefix
_CHECKPOINTS = spaces.CHECKPOINTS.prefix

TABLE_PREFIX = 9
"""Length of the beginning of keys that have a table's id after the space."""
INDEX_PREFIX = 11
"""Length of the beginning of the keys of a table's items or an index's entries: space, table id, index number."""
SHARD_PREFIX = 13
"""The same for a shard's log."""

_ASIDE = spaces.ASIDES.prefix
_HASH = 16
_keyed: dict[bytes, blake2b] = {}
"""By a store's secret, a hash that has taken it already: copying it takes half as long."""
_SECRETS = 128
"""Stores for which there may be one."""
_RUN = 127
"""Zeros in a full run."""
_ZEROS = re.compile(rb"\x00{1,127}")
_FULL_RUN = b"\x00\x80"
END = b"\x00\x00"
"""Behind a string in a sort key."""
_SEGMENT_SPACE = 1 << 64


# Descriptors, tags, counters, logs


def table_of_key(key: bytes) -> bytes:
    """The id of the table to which a key of its tags, rows, counters, logs, expiry notes and so on belongs."""
    return key[1:TABLE_PREFIX]


def index_of_key(key: bytes) -> int:
    """The number of the index to which a key of its entries or counters belongs; 0 for the table's own."""
    return int.from_bytes(key[TABLE_PREFIX:INDEX_PREFIX], "big")


def shard_of_key(key: bytes) -> int:
    """The number of the shard to which the key of a log's entry belongs."""
    return int.from_bytes(key[TABLE_PREFIX:SHARD_PREFIX], "big")


def aside_key(table_id: bytes, peer: bytes) -> bytes:
    """The key of the record that a table's replica does not apply the answers of the region `peer`."""
    return _ASIDE + table_id + peer


def aside_range(table_id: bytes) -> tuple[bytes, bytes]:
    """The range of such records of a table."""
    return spaces.ASIDES.of(table_id)


def table_id(uuid_text: str) -> bytes:
    """The eight bytes that stand for a table in keys, from its TableId."""
    return UUID(uuid_text).bytes[:8]


def descriptor_key(name: str) -> bytes:
    """The key of the descriptor of the table called `name`."""
    return _DESCRIPTORS + name.encode()


def descriptor_range(after: str | None) -> tuple[bytes, bytes]:
    """The range of the descriptors of tables whose names come after `after`, in the order of names."""
    start = _DESCRIPTORS if after is None else descriptor_key(after) + b"\x00"
    return start, keyspaces.prefix_end(_DESCRIPTORS)


def name_of_descriptor_key(key: bytes) -> str:
    """The name of the table whose descriptor is under `key`."""
    return key[1:].decode()


def tags_key(table_id: bytes) -> bytes:
    """The key of a table's tags."""
    return _TAGS + table_id


def item_count_key(table_id: bytes, number: int) -> bytes:
    """The key of the counter of items in a table (`number` 0) or of entries in an index."""
    return _COUNTERS + table_id + number.to_bytes(2, "big") + b"\x01"


def item_bytes_key(table_id: bytes, number: int) -> bytes:
    """The key of the counter of bytes, by DynamoDB's count, in a table (`number` 0) or an index."""
    return _COUNTERS + table_id + number.to_bytes(2, "big") + b"\x02"


def collection_bytes_key(table: Table, item_key: bytes) -> bytes:
    """The key of the counter of bytes, by DynamoDB's count, in the item collection of the item under `item_key`."""
    return _COUNTERS + table.id + b"\x00\x00\x03" + item_key[INDEX_PREFIX : INDEX_PREFIX + _HASH]


def collections_range(table: Table) -> tuple[bytes, bytes]:
    """The range of the counters of a table's item collections."""
    prefix = _COUNTERS + table.id + b"\x00\x00\x03"
    return prefix, keyspaces.prefix_end(prefix)


def items_of_collection_key(table: Table, key: bytes) -> tuple[bytes, bytes]:
    """The range of the items of the item collection whose counter is under `key`."""
    prefix = table.prefix + key[-_HASH:]
    return prefix, keyspaces.prefix_end(prefix)


def log_prefix(table_id: bytes) -> bytes:
    """The prefix of the logs of all shards of a table's change log."""
    return _LOGS + table_id


def shard_log_prefix(table_id: bytes, shard: int) -> bytes:
    """The prefix of the entries of a shard of a table's change log. Each entry's position follows it."""
    return _LOGS + table_id + shard.to_bytes(4, "big")


def log_range(prefix: bytes, position: int = 0) -> tuple[bytes, bytes]:
    """The range of the entries of the log `prefix` from `position` on."""
    return prefix + position.to_bytes(8, "big"), keyspaces.prefix_end(prefix)


def log_position(key: bytes) -> int:
    """The position of the log entry under `key`."""
    return int.from_bytes(key[-8:], "big")


def log_of(key: bytes) -> bytes:
    """The log prefix of the entry under `key`."""
    return key[:-8]


def reader_key(table_id: bytes, name: str) -> bytes:
    """The key of the position of a reader of a table's change log."""
    return _READERS + table_id + name.encode()


def stream_key(table_name: str, label: str) -> bytes:
    """The key of a stream, by its table's name and its own label."""
    return _STREAMS + table_name.encode() + b"\x00" + label.encode()


def stream_range(table_name: str | None) -> tuple[bytes, bytes]:
    """The range of all streams, or of those of one table name."""
    prefix = _STREAMS if table_name is None else stream_key(table_name, "")
    return prefix, keyspaces.prefix_end(prefix)


def token_key(interval: int, token: str) -> bytes:
    """The key of the record of a transaction, by its client token and the interval of time in which it was made."""
    return _TOKENS + interval.to_bytes(4, "big") + blake2b(token.encode(), digest_size=_HASH).digest()


def token_range(before: int) -> tuple[bytes, bytes]:
    """The range of the records of transactions that were made before the interval `before`."""
    return _TOKENS, _TOKENS + before.to_bytes(4, "big")


def expiry_key(table: Table, item_key: bytes, at: int) -> bytes:
    """The key of the note that the item under `item_key` expires `at` seconds after the epoch."""
    return _EXPIRIES + table.id + at.to_bytes(8, "big") + item_key[INDEX_PREFIX:]


def expiry_range(table_id: bytes, start: int, end: int) -> tuple[bytes, bytes]:
    """The range of the notes of a table's items that expire from `start` (included) to `end` (excluded), in seconds."""
    return _EXPIRIES + table_id + start.to_bytes(8, "big"), _EXPIRIES + table_id + end.to_bytes(8, "big")


def expiring_tables_range(after: bytes | None) -> tuple[bytes, bytes]:
    """The range of the notes of all tables, or of those after the table with the id `after`."""
    return _EXPIRIES if after is None else keyspaces.prefix_end(_EXPIRIES + after), keyspaces.prefix_end(_EXPIRIES)


def time_of_expiry_key(key: bytes) -> int:
    """The second since the epoch in which the item expires whose note is under `key`."""
    return int.from_bytes(key[9:17], "big")


def item_of_expiry_key(table: Table, key: bytes) -> bytes:
    """The key of the item whose note is under `key`."""
    return table.prefix + key[17:]


def version_key(table: Table, item_key: bytes) -> bytes:
    """The key of the version of the item under `item_key` (`versions`)."""
    return _VERSIONS + table.id + item_key[INDEX_PREFIX:]


def item_of_version_key(table: Table, key: bytes) -> bytes:
    """The key of the item whose version is under `key`."""
    return table.prefix + key[TABLE_PREFIX:]


def version_range(table_id: bytes) -> tuple[bytes, bytes]:
    """The range of the versions of a table's items, in the order of the items."""
    return spaces.VERSIONS.of(table_id)


def checkpoint_key(table_id: bytes, peer: bytes) -> bytes:
    """The key of the record of how far a table's replica has applied the changes of the region `peer`."""
    return _CHECKPOINTS + table_id + peer


def checkpoint_range(table_id: bytes) -> tuple[bytes, bytes]:
    """The range of a table's checkpoints."""
    return spaces.CHECKPOINTS.of(table_id)


# Items and index entries


def index_prefix(table_id: bytes, number: int) -> bytes:
    """The prefix of the keys of a table's items (`number` 0) or of an index's entries."""
    return _ROWS + table_id + number.to_bytes(2, "big")


def item_key(table: Table, item: Item, secret: bytes) -> bytes:
    """The key of an item, from the item or from its key, whose attributes must exist and be of their types."""
    partition = table.partition_key[0]
    key = table.prefix + hashed(_raw(item[partition.name], partition.type), secret)
    if not table.sort_key:
        return key
    sort = table.sort_key[0]
    return key + _sort_encoding(item[sort.name], sort.type)


def index_key(table: Table, index: Index, item: Item, secret: bytes, primary: bytes | None = None) -> bytes | None:
    """The key of an item's entry in an index; None if it has no entry.

    It has none if it lacks an attribute of the index's key or has another type there, or if the value is empty or too
    long for a key, as may be when the index was made after the item. `primary` is the item's own key in the store, if
    the caller has it at hand.
    """
    try:
        partition = [_raw(item[a.name], a.type) for a in index.partition_key]
        sort = [_sort_encoding(item[a.name], a.type) for a in index.sort_key]
    except KeyError:
        return None
    if b"" in partition or END in sort:
        return None
    # Most keys are far from too long. (A number may count for one byte more than its text.)
    may_be_long = (
        sum(map(len, partition)) + len(partition) > limits.PARTITION_KEY_SIZE
        or sum(map(len, sort)) > limits.SORT_KEY_SIZE
    )
    if may_be_long and not key_values.fits(index, item):
        return None
    if primary is None:
        primary = item_key(table, item, secret)
    return b"".join((index.prefix, _partition_hash(partition, secret), *sort, hashed(primary[INDEX_PREFIX:], secret)))


def partition_prefix(of: Table | Index, values: Sequence[AttributeValue], secret: bytes) -> bytes:
    """The prefix of the keys of one partition key's items or entries.

    `values` are those of the partition key's attributes, in their order. Raises KeyError if one is of another
    type.
    """
    attributes = of.partition_key
    if len(attributes) == len(values) == 1:  # As nearly always.
        encoded = [_raw(values[0], attributes[0].type)]
    else:
        encoded = [_raw(value, attribute.type) for value, attribute in zip(values, attributes, strict=True)]
    return of.prefix + _partition_hash(encoded, secret)


def sort_bounds(
    prefix: bytes,
    attributes: Sequence[KeyAttribute],
    equal: Sequence[AttributeValue],
    operator: str | None,
    operands: Sequence[AttributeValue],
) -> tuple[bytes, bytes]:
    """The range [start, end) of the keys that meet a key condition.

    `prefix` is the partition's, `attributes` the sort key's. The first of them equal `equal`; the next meets
    `operator`, one of =, <, <=, >, >=, BETWEEN and begins_with, if there is one. Values must be of their
    attributes' types.
    """
    for value, attribute in zip(equal, attributes, strict=False):
        prefix += _sort_encoding(value, attribute.type)
    if operator is None:
        return prefix, keyspaces.prefix_end(prefix)
    type_ = attributes[len(equal)].type
    if operator == "begins_with":
        return _begins_with(prefix, _raw(operands[0], type_))
    low = prefix + _sort_encoding(operands[0], type_)
    match operator:
        case "=":
            return low, keyspaces.prefix_end(low)
        case "<":
            return prefix, low
        case "<=":
            return prefix, keyspaces.prefix_end(low)
        case ">":
            return keyspaces.prefix_end(low), keyspaces.prefix_end(prefix)
        case ">=":
            return low, keyspaces.prefix_end(prefix)
        case "BETWEEN":
            end = keyspaces.prefix_end(prefix + _sort_encoding(operands[1], type_))
            return low, max(low, end)
    raise ValueError(f"not a key condition's operator: {operator}")


def segment_range(prefix: bytes, segment: int, total: int) -> tuple[bytes, bytes]:
    """The range [start, end) of one of the `total` segments that a table or index is cut into, by hash."""

    def boundary(number: int) -> bytes:
        return prefix + (number * _SEGMENT_SPACE // total).to_bytes(8, "big")

    start = boundary(segment) if segment else prefix
    return start, boundary(segment + 1) if segment + 1 < total else keyspaces.prefix_end(prefix)


def key_of(table: Table, index: Index | None, item: Item) -> Item:
    """The attributes of an item that define a Query's or Scan's position: the index's key and the table's."""
    attributes = table.key if index is None else index.key + table.key
    return {attribute.name: item[attribute.name] for attribute in attributes}


# Encodings


def _raw(value: AttributeValue, type_: str) -> bytes:
    """The bytes of a key attribute's value. Raises KeyError if it is of another type."""
    text: str = value[type_]
    return a2b_base64(text) if type_ == "B" else text.encode()


def hashed(encoded: bytes, secret: bytes) -> bytes:
    """What stands for the encoding of a partition key, or of an item's own key."""
    keyed = _keyed.get(secret)
    if keyed is None:
        if len(_keyed) >= _SECRETS:
            _keyed.clear()
        keyed = _keyed[secret] = blake2b(digest_size=_HASH, key=secret)
    hashing = keyed.copy()
    hashing.update(encoded)
    return hashing.digest()


def _partition_hash(encoded: list[bytes], secret: bytes) -> bytes:
    """The hash of a partition key's values; the only one is hashed bare, as a table's own is."""
    if len(encoded) == 1:
        return hashed(encoded[0], secret)
    return hashed(b"".join([len(value).to_bytes(4, "big") + value for value in encoded]), secret)


def _sort_encoding(value: AttributeValue, type_: str) -> bytes:
    if type_ == "N":
        return numbers.sort_bytes(value["N"])
    raw = _raw(value, type_)
    if 0 not in raw:  # A number is found many times faster than bytes are.
        return raw + END
    stem, zeros = _escape(raw)
    return stem + bytes((0, zeros))


def _escape(raw: bytes) -> tuple[bytes, int]:
    """`raw` with its zeros escaped, up to the last run's remainder, and the number of zeros in that (0 to 126)."""
    body = raw.rstrip(b"\x00")
    full, rest = divmod(len(raw) - len(body), _RUN)
    return _ZEROS.sub(_code, body) + _FULL_RUN * full, rest


def _code(run: re.Match[bytes]) -> bytes:
    """The code of a run of zeros that a nonzero byte follows, or of a full one."""
    return bytes((0, 255 - (run.end() - run.start())))


def _begins_with(prefix: bytes, raw: bytes) -> tuple[bytes, bytes]:
    stem, zeros = _escape(raw)
    start = prefix + stem
    if not zeros:
        return start, keyspaces.prefix_end(start)
    # From those with this many zeros and the end, to those with this many and then something else.
    return start + bytes((0, zeros)), start + bytes((0, 256 - zeros))
