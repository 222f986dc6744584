"""The format of a store's data: one number for everything that this package keeps in it.

Items, index entries, descriptors, the change log, the keys of all of these: whoever changes how any of them is stored
raises FORMAT, adds a step to `upkeep.upgrade`, and says in the table what has changed. A store says which format
it has in a record of its own, whose form must never change: it is what an earlier version reads to know that it must
keep its hands off.

    format  since
    0       stores that say nothing: they are as format 1 is
    1       the record itself
    2       entries of change logs have the time of their commit, the kind of caller, and room for more fields

(What the storage engine adds of its own has a format of its own, which it looks at first.)
"""

from __future__ import annotations

import orjson

from jedlik import __version__

FORMAT = 2
"""What this version reads and writes."""


def record() -> bytes:
    """What a store of this format says of itself."""
    return orjson.dumps({"Format": FORMAT, "Version": __version__})


def number(found: bytes | None) -> int:
    """The format of a store with this record. Raises ValueError if it cannot be read."""
    if found is None:
        return 0
    try:
        return int(orjson.loads(found)["Format"])
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"has a record of its format that cannot be read: {found!r}") from error


def refusal(found: bytes | None) -> str | None:
    """Why a store with this record cannot be used by this version, and what to do; None if it can be.

    It goes on after "the store in such a folder".
    """
    try:
        given = number(found)
    except ValueError as error:
        return str(error)
    if given == FORMAT:
        return None
    ours = f"this is Jedlik {__version__}, which uses format {FORMAT}"
    if given < FORMAT:
        return f"has format {given}, and {ours}: stop all servers, copy the folder, and run `jedlik upgrade`"
    writer = orjson.loads(found or b"").get("Version", "unknown")
    return f"has format {given}, written by Jedlik {writer}, and {ours}: use that version, or a later one"
