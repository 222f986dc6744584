"""The storage seam: an ordered, transactional key-value store, and what it guarantees.

Nothing here knows DynamoDB: keys and values are bytes, keys are ordered by byte. A key has 1 to 1,978 bytes, and the
first is not 00: that space is the engine's own. A write is a one-shot mini-transaction (Aguilera et al., "Sinfonia",
SOSP 2007): it names the keys that it reads, and a pure function of their values decides what to write. Every engine
keeps these promises, and `tests/storage` tests each engine for them:

- Atomic: all of a mutation's writes happen, or none does.
- Isolated: mutations are strictly serializable. A mutation commits only if nothing that it read has changed since;
  otherwise it is decided again with the current values.
- Durable: when `mutate` returns, its writes survive the death of the process and of the machine (unless the engine
  was opened to forget).
- Ordered: the entries of a log are positioned in commit order. After a reader has seen an entry, no earlier one
  appears.
- Timed: each entry has the time of its commit, which is between the call of `mutate` and its answer and never goes back
  from an entry to the next, whichever process commits. If the clock goes back, the time stands still.
- Independent: a `decide` that raises fails its own caller and nothing else, and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from asyncio import Future

    from jedlik.clock import Clock

T = TypeVar("T")

Row = tuple[bytes, bytes]
"""A key and its value."""


class Mark(bytes):
    """A log entry without anything that anybody has stored. If the key of its log cannot be had, it is sealed with
    another (`storage.sealed`)."""


class Writes:
    """What a mutation writes. Filled by `decide`, applied by the engine; a fresh one for each decision."""

    __slots__ = ("adds", "appends", "puts")

    def __init__(self) -> None:
        self.puts: dict[bytes, bytes | None] = {}
        """Key to new value, or to None to delete the key (deleting what is not there is fine)."""
        self.adds: dict[bytes, int] = {}
        """Counter key to a signed amount, added after the puts. Counters are 64-bit signed integers, eight bytes
        little-endian, zero when absent. Adding reads nothing, so counters never make mutations conflict."""
        self.appends: list[tuple[bytes, bytes]] = []
        """Log prefix and entry. The engine stores the entry under prefix + an 8-byte big-endian position that is
        greater than every earlier one in the store, and before the entry its time: microseconds since the epoch,
        8 bytes little-endian (`entry_time`, `entry_content`)."""

    def put(self, key: bytes, value: bytes) -> None:
        """Set `key` to `value`."""
        self.puts[key] = value

    def delete(self, key: bytes) -> None:
        """Remove `key`."""
        self.puts[key] = None

    def add(self, key: bytes, amount: int) -> None:
        """Add `amount` to the counter `key`."""
        self.adds[key] = self.adds.get(key, 0) + amount

    def append(self, log: bytes, entry: bytes) -> None:
        """Append `entry` to `log`."""
        self.appends.append((log, entry))


TIME_SIZE = 8
"""Bytes of an entry's time."""


def stored_entry(entry: bytes, time: int) -> bytes:
    """What is stored for an entry of a log that is committed at `time`, in microseconds since the epoch."""
    return time.to_bytes(TIME_SIZE, "little") + entry


def entry_time(stored: bytes) -> int:
    """When a stored entry was committed, in microseconds since the epoch."""
    return int.from_bytes(stored[:TIME_SIZE], "little")


def entry_content(stored: bytes) -> bytes:
    """The entry as it was appended."""
    return stored[TIME_SIZE:]


Decide = Callable[[Sequence[bytes | None]], tuple[Writes, T]]
"""Takes the values of the keys read (None where absent, in the order of the keys); returns the writes and the result.
Synchronous, pure, and may run more than once: no I/O, no clock, no shared state."""


class StorageError(Exception):
    """The engine could not do its work: the disk is full, the file is unreadable, the engine is closed, a key is too
    long. Nothing of the failed mutation is written, with one exception: if the disk failed to sync and the power fails
    before the next commit, the whole mutation may be there afterwards. The engine keeps serving if it can."""


class NoKey(StorageError):
    """The key of a sealed value cannot be had now (`storage.sealed`)."""


class DamagedValue(StorageError):
    """The bytes stored under a key are not the bytes that were written. Other keys can be read."""

    def __init__(self, key: bytes) -> None:
        super().__init__(f"the value under key {key.hex()} is damaged: its checksum is wrong")
        self.key = key


class Scrubbed(NamedTuple):
    """What was read of a store to see whether it is what was written."""

    values: int
    size: int
    """Bytes of keys and values."""
    damaged: tuple[bytes, ...]
    """Their keys."""
    more: bool
    """Whether there is more to be read at once."""


class Engine(Protocol):
    """An open store. Every method raises StorageError (from `mutate` it comes through the future).

    A value is returned as it was written, or not at all: where its bytes are damaged, reads raise DamagedValue, and so
    does the future of a mutation that reads it.
    """

    async def get(self, keys: Sequence[bytes], consistent: bool = True) -> list[bytes | None]:
        """The values of `keys`, all from one snapshot; None where absent.

        `consistent` reads see every mutation acknowledged before the call; others may lag behind on a replica.
        """
        ...

    async def range(
        self,
        start: bytes,
        end: bytes,
        limit: int,
        max_bytes: int,
        reverse: bool = False,
        consistent: bool = True,
    ) -> list[Row]:
        """The rows with start <= key < end, in key order (descending if `reverse`), all from one snapshot.

        Stops after `limit` rows, or after the row with which the lengths of the values reach `max_bytes`.
        """
        ...

    async def get_and_range(
        self,
        key: bytes,
        start: bytes,
        end: bytes,
        limit: int,
        max_bytes: int,
        reverse: bool = False,
        consistent: bool = True,
    ) -> tuple[bytes | None, list[Row]]:
        """The value of `key` and the rows of a range, all from one snapshot: a table's descriptor, and a page of it."""
        ...

    async def last_position(self) -> int:
        """The position of the last entry that was appended to any log, whether or not it has been deleted; 0 before
        the first. A read that begins later sees every entry up to there."""
        ...

    async def last_time(self) -> float:
        """When that entry was committed, in seconds since the epoch; 0 before the first. Entries to come get no earlier
        time, so where a clock has been ahead, this is ahead of it, too."""
        ...

    def get_now(self, keys: Sequence[bytes]) -> list[bytes | None] | None:
        """As `get`, consistent, without waiting; None if that takes waiting."""
        ...

    def get_and_range_now(
        self, key: bytes, start: bytes, end: bytes, limit: int, max_bytes: int, reverse: bool = False
    ) -> tuple[bytes | None, list[Row]] | None:
        """As `get_and_range`, consistent, without waiting; None if that takes waiting."""
        ...

    clock: Clock
    """The clock that dates log entries. The code that opens the store sets it, before anything is written."""

    def mutate(self, keys: Sequence[bytes], decide: Decide[T]) -> Future[T]:
        """Run a mini-transaction; the future resolves once it is durable, or with what `decide` raised.

        Must be called on the event loop. Mutations of one loop that wait together are committed together, in the order
        in which they were called. Cancelling the future does not stop a mutation that has been decided.
        """
        ...

    def scrub_is_due(self, now: float) -> bool:
        """Whether this engine reads all values now and then, and is to begin or go on. `now` is in seconds since the
        epoch."""
        ...

    def scrub(self, now: float) -> Scrubbed:
        """Read some values on, if that is due and no other process does it. On the event loop, for less than a
        millisecond where pages are in memory."""
        ...

    async def close(self) -> None:
        """Wait for mutations in flight and release the store."""
        ...
