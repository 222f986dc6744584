"""The check of a replicated table's versions: each is compared with its item.

An item without a version is from before the replication, so the check iterates over versions, and not items.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from jedlik.aws.damage import DAMAGE, described
from jedlik.dynamodb.model import keys, versions
from jedlik.dynamodb.model.tables import Table
from jedlik.storage.snapshot import Snapshot


def problems(snapshot: Snapshot, table: Table, secret: bytes) -> Iterator[str]:
    """The faults of the versions of a table's items, a line each."""
    if table.replica is not None and table.log is None:
        yield "it is a replica, and its changes are not logged"
    for key, record in snapshot.rows(*keys.version_range(table.id)):
        item_key = keys.item_of_version_key(table, key)
        is_there = snapshot.get(item_key) is not None
        try:
            versions.check(versions.of_record(record))
            if versions.is_tombstone(record):
                attributes = orjson.loads(versions.keys_of_tombstone(record))
                belongs = keys.item_key(table, attributes, secret)
            else:
                belongs = item_key
        except DAMAGE as error:
            yield f"version under {key.hex()}: {described(error)}"
            continue
        if belongs != item_key:
            yield f"version under {key.hex()}: it is that of another item"
        elif versions.is_tombstone(record) and is_there:
            yield f"version under {key.hex()}: its item was deleted, and is there"
        elif not versions.is_tombstone(record) and not is_there:
            yield f"version under {key.hex()}: its item is not there"
