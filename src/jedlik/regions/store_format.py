"""The format of a store's data: one number for all rows that this package keeps in it.

Items, index entries, descriptors, the change log, the keys of all of these: to change how any of them is stored, raise
FORMAT, add a step to `upkeep.upgrade`, and describe the change in the table. A store records its format in a row of its
own, whose form must never change: an earlier version reads it to know that it must not touch the store.

    format  since
    0       stores without a record: otherwise they are as format 1
    1       the record itself
    2       entries of change logs have the time of their commit, the kind of caller, and room for more fields
    3       values of items, of index entries and of change logs may be sealed (`store_keys`); else as format 2

(The storage engine's own data has a format of its own, which is checked first.)
"""

from __future__ import annotations

import orjson

from jedlik import __version__

FORMAT = 2
"""The format that this version reads and writes, if values are plain."""
SEALED_FORMAT = 3
"""The same if values may be sealed."""


def record(is_sealed: bool = False) -> bytes:
    """The record of a store of this format."""
    return orjson.dumps({"Format": SEALED_FORMAT if is_sealed else FORMAT, "Version": __version__})


def number(found: bytes | None) -> int:
    """The format of a store with this record. Raises ValueError if it cannot be read."""
    if found is None:
        return 0
    try:
        return int(orjson.loads(found)["Format"])
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"has a record of its format that cannot be read: {found!r}") from error


def refusal(found: bytes | None) -> str | None:
    """The reason why this version cannot use a store with this record, and the remedy; None if it can.

    The text continues "the store in such a folder".
    """
    try:
        given = number(found)
    except ValueError as error:
        return str(error)
    if given in (FORMAT, SEALED_FORMAT):
        return None
    ours = f"this is Jedlik {__version__}, which uses format {FORMAT}"
    if given < FORMAT:
        return f"has format {given}, and {ours}: stop all servers, copy the folder, and run `jedlik upgrade`"
    writer = orjson.loads(found or b"").get("Version", "unknown")
    return f"has format {given}, written by Jedlik {writer}, and {ours}: use that version, or a later one"
