"""Time to live: when an item expires, and the notes by which expired items are found.

While a table has a time to live, each item that will expire has a note: a key ordered by the second in which it
expires. The write path updates the notes in the same commit as the items, so a sweep reads only the notes of the past.
They lead to items that have expired, or that have been changed a moment ago; so the deletion checks again.

Source: "Using time to live (TTL) in DynamoDB" in the developer guide.
"""

from __future__ import annotations

from decimal import Decimal

from jedlik.dynamodb.model import keys
from jedlik.dynamodb.model.limits import EXPIRY_HORIZON_SECONDS
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item
from jedlik.storage.engine import Writes

LAST_SECOND = 1 << 63
"""Nothing expires later than this; nobody would live to read the note of a larger number."""


def expires_at(item: Item | None, attribute: str) -> int | None:
    """The second since the epoch in which an item expires; None if it never does.

    Only a number counts, and its fraction is cut off. A number that is no time since the epoch does not count.
    """
    if item is None:
        return None
    number = item.get(attribute, {}).get("N")
    if number is None:
        return None
    at = Decimal(number)
    return int(at) if 0 <= at < LAST_SECOND else None


def has_expired(item: Item | None, attribute: str, now: float) -> bool:
    """Whether an item must be deleted: it has expired, and not more than five years ago."""
    at = expires_at(item, attribute)
    return at is not None and now - EXPIRY_HORIZON_SECONDS <= at <= now


def renew_note(table: Table, item_key: bytes, old: Item | None, new: Item | None, writes: Writes) -> None:
    """Bring the note of the item under `item_key` in line with its change from `old` to `new`."""
    if table.ttl_attribute is None:
        return
    before = expires_at(old, table.ttl_attribute)
    after = expires_at(new, table.ttl_attribute)
    if before == after:
        return
    if before is not None:
        writes.delete(keys.expiry_key(table, item_key, before))
    if after is not None:
        writes.put(keys.expiry_key(table, item_key, after), table.name.encode())
