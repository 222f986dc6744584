"""The keys of tables that are open in this process: opened by KMS when a table is first seen, and let go of when the
table is closed, deleted or sealed with others.

Whether a key may still be used is looked after elsewhere (`key_watch`), in one process for all. A table whose key may
not be used is closed by its descriptor, which every read and write compares; so using a key that is open asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from jedlik.aws import table_keys
from jedlik.aws.errors import InternalServerError
from jedlik.aws.table_keys import Adopted, KeyAway, KeyUnusable
from jedlik.background import stretches
from jedlik.background.work import Duty
from jedlik.config import Settings
from jedlik.dynamodb.encryption import kms_refusals
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.regions import table_keyring
from jedlik.regions.table_keyring import StoreKeyring, TableKey, TableKeys

if TYPE_CHECKING:
    from jedlik.regions.region import Region

PERIOD = 1.0
"""Seconds between two looks for keys that are not open in a worker."""
_PAGE, _PAGE_BYTES = 500, 1 << 20


def pairs(region: Region, table: str) -> Mapping[str, str]:
    """The encryption context in which the key of a table is used."""
    return {"aws:dynamodb:tableName": table, "aws:dynamodb:subscriberId": region.account}


def adopted(key: TableKey) -> Adopted:
    """A key as KMS knows it."""
    assert key.key_arn is not None, "KMS has nothing to do with others"
    return Adopted(key.key_arn, key.grant, key.sealed, key.elsewhere)


def keyring(region: Region) -> StoreKeyring | None:
    """The keys of a region's tables; None in a store that is not sealed."""
    ring = None if region.sealed is None else region.sealed.sealing.keyring
    return ring if isinstance(ring, StoreKeyring) else None


def check_open(table: Descriptor) -> None:
    """Raise what refuses a request for a table that is closed."""
    encryption = table.encryption
    if encryption is not None and encryption.inaccessible_since is not None:
        name, message = encryption.refusal or ("AccessDeniedException", "")
        raise kms_refusals.refusal(name, message)


async def check(region: Region, table: bytes) -> None:
    """Open the keys of a table, as `ready` does, unless it is closed. Raises what refuses the request.

    For what is read without the table's descriptor, like its stream, which outlives it.
    """
    ring = keyring(region)
    record = None if ring is None else ring.record(table)
    if ring is None or record is None:
        return
    if record.closed:
        ring.close(table)
    await ready(region, table)


async def ready(region: Region, table: bytes) -> None:
    """Open the keys of a table, named as keys name it, that are not open here. Raises what refuses the request."""
    ring = keyring(region)
    record = None if ring is None else ring.record(table)
    if ring is None or record is None:
        return
    try:
        await open_all(region, ring, table, record)
    except KeyUnusable as error:
        raise kms_refusals.refusal(error.name, error.message) from error
    except KeyAway as error:
        raise InternalServerError(kms_refusals.AWAY) from error


async def open_all(region: Region, ring: StoreKeyring, table: bytes, record: TableKeys) -> None:
    """Open the keys of a table that are not open here. Raises KeyUnusable and KeyAway."""
    for key in record.needed:
        if ring.lacks(table, key.number):
            opened = await table_keys.current().open(region, adopted(key), pairs(region, record.table))
            ring.learn(table, key.number, opened)


async def open_some(region: Region) -> bool:
    """Open the keys of all tables that are not closed, for background work, which may read any. Returns False: there is
    nothing more to do at once."""
    ring = keyring(region)
    start, end = table_keyring.KEYSPACE.range
    while ring is not None and (rows := await region.engine.range(start, end, _PAGE, _PAGE_BYTES)):
        for key, stored in rows:
            table = table_keyring.table_of(key)
            if ring.seen.get(table) == stored:
                continue
            record = table_keyring.parse(stored)
            try:
                if not record.closed:
                    await open_all(region, ring, table, record)
                ring.seen[table] = stored
            except (KeyUnusable, KeyAway):
                continue  # The watch closes the table; or it is tried again.
        start = rows[-1][0] + b"\0"
    return False


def duty(settings: Settings) -> Duty:
    """The opening, in every worker."""
    return Duty("opening of table keys", PERIOD, open_some, has_any, leased=False)


async def has_any(region: Region) -> bool:
    """Whether the key of any table was chosen."""
    return await stretches.holds(region, table_keyring.KEYSPACE.range)


async def opened(region: Region, table: str, key: Adopted) -> bytes:
    """A key of a table, as KMS opens it now, whether it is open here or not. Raises what refuses the request."""
    try:
        return await table_keys.current().open(region, key, pairs(region, table))
    except KeyUnusable as error:
        raise kms_refusals.refusal(error.name, error.message) from error
    except KeyAway as error:
        raise InternalServerError(kms_refusals.AWAY) from error


def look(region: Region) -> None:
    """Let go of the keys of tables that are closed or gone, or need none of KMS any more. Raises StorageError."""
    ring = keyring(region)
    if ring is None or region.sealed is None:
        return
    for table in ring.open_tables():
        record = ring.record(table)
        if record is None or record.closed or not any(record.needed):
            ring.close(table)
            region.sealed.sealing.forget_all()
