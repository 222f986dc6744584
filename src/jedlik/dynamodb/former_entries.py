"""Entries of change logs in the form of former versions, for the upgrade of a store (`upkeep.upgrade`).

In formats 0 and 1 of a store an entry was a head, in a replicated table the item's new version, and then the keys and
the old and the new item. The time in the head was that of the decision, which might go back along a log.
"""

from __future__ import annotations

from struct import Struct

from jedlik.dynamodb.model import changelog, keys, spaces, versions
from jedlik.dynamodb.model.changelog import Caller, Kind
from jedlik.storage.engine import stored_entry

_HEAD = Struct("<BBdIIII")
"""Format, kind, seconds since the epoch, lengths of keys, old and new, size of the keys."""
_VERSION_LENGTHS = {1: 0, 2: versions.SIZE}
_CALLERS = {Kind.EXPIRE: Caller.EXPIRY, Kind.OPEN: Caller.STREAM, Kind.CLOSE: Caller.STREAM}
"""By the kind of a change. The origin in another region was not recorded."""


class Converter:
    """Converts the entries of a store's logs, in the order of their keys, into the present form."""

    def __init__(self) -> None:
        self._logs = spaces.LOGS.range
        self._log = b""
        self._time = 0
        """The time of the last entry of the log, in microseconds since the epoch."""

    def convert(self, key: bytes, value: bytes) -> tuple[bytes, int]:
        """A value's present form, and for an entry its time, which is otherwise 0. Raises ValueError."""
        start, end = self._logs
        if not start <= key < end:
            return value, 0
        log = keys.log_of(key)
        if log != self._log:
            self._log, self._time = log, 0
        format_, kind, at, keys_length, old_length, new_length, keys_size = _HEAD.unpack_from(value)
        if format_ not in _VERSION_LENGTHS:
            raise ValueError(f"unknown change log format {format_}")
        keys_start = _HEAD.size + _VERSION_LENGTHS[format_]
        old_start, new_start = keys_start + keys_length, keys_start + keys_length + old_length
        self._time = max(self._time, round(at * 1e6))
        entry = changelog.encode(
            Kind(kind),
            value[keys_start:old_start],
            keys_size,
            value[old_start:new_start],
            value[new_start : new_start + new_length],
            value[_HEAD.size : keys_start],
            _CALLERS.get(Kind(kind), Caller.CUSTOMER),
        )
        return stored_entry(entry, self._time), self._time
