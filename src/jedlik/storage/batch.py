"""Mutations that are committed together, each decided as if those before it in the batch had been committed.

A batch lays the decided writes of its mutations over one snapshot, and the next mutation reads the result. So the batch
is one serial execution, which an engine may commit as a whole if every value that was read from the snapshot is still
the value stored. This is group commit (DeWitt et al., "Implementation Techniques for Main Memory Database Systems",
SIGMOD 1984) with optimistic validation (Kung and Robinson, TODS 1981). Nothing here does I/O: an engine brings the
function that reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from jedlik.storage.counters import counter, counter_value, wrapped
from jedlik.storage.engine import DamagedValue, Decide, StorageError, Writes

if TYPE_CHECKING:
    from asyncio import Future

Change: TypeAlias = bytes | int | None
"""A key's change: its new value, the amount to add to its counter, or None if it is deleted."""
Append: TypeAlias = tuple[bytes, bytes]
"""The prefix of a log, and an entry."""
Read = Callable[[bytes], bytes | None]
"""The value of a key in some snapshot; None where absent."""

POSITION_SIZE = 8
"""Bytes of an entry's position, at the end of its key."""

_RESERVED = 0
"""First byte of an engine's own keys."""


@dataclass(slots=True, eq=False)
class Call:
    """A call of `Engine.mutate`, and its latest decision."""

    keys: Sequence[bytes]
    decide: Decide[Any]
    future: Future[Any]
    result: Any = None
    error: Exception | None = None
    tries: int = 0
    """Commits that found something damaged."""

    def resolve(self) -> None:
        """Resolve the caller's future, unless it was cancelled."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Batch:
    """The mutations of one commit."""

    __slots__ = (
        "appends",
        "changes",
        "damaged",
        "longest_key",
        "members",
        "overlaid",
        "reads",
        "size",
        "snapshot",
        "time",
    )

    def __init__(self, snapshot: int, longest_key: int, time: int, damaged: frozenset[bytes] = frozenset()) -> None:
        self.snapshot = snapshot
        """Which state of the store was read."""
        self.longest_key = longest_key
        """Bytes that the engine allows in a key."""
        self.time = time
        """When it was begun, in microseconds since the epoch."""
        self.damaged = damaged
        """Counters that cannot be added to, and keys of the engine's own without which nothing can be appended."""
        self.members: list[Call] = []
        """Those whose outcome depends on the commit, in commit order."""
        self.reads: dict[bytes, bytes | None] = {}
        """What was read from the snapshot."""
        self.overlaid: set[bytes] = set()
        """Keys whose values came from the batch itself. To decide again, their stored values may be needed."""
        self.changes: dict[bytes, Change] = {}
        """The change of each key."""
        self.appends: list[Append] = []
        """In commit order."""
        self.size = 0
        """Bytes to be written."""

    def add(self, mutation: Call, read: Read) -> None:
        """Decide `mutation` after those that are in the batch already.

        A mutation that writes nothing and has read nothing that the batch writes does not become a member. It is
        resolved at once: it depends on the snapshot alone, so it is valid whether or not the commit succeeds.
        """
        if self._decide(mutation, read):
            self.members.append(mutation)
        else:
            mutation.resolve()

    def decide_again(self, read: Read) -> None:
        """Decide every member again, with the values that `read` finds under the keys in `reads` and `overlaid`."""
        self.reads.clear()
        self.changes.clear()
        self.appends.clear()
        self.size = 0
        for mutation in self.members:
            self._decide(mutation, read)

    def _decide(self, mutation: Call, read: Read) -> bool:
        """Decide, and collect the writes. Returns whether the outcome depends on the commit.

        An exception from `read` is raised, except DamagedValue, which fails this mutation alone.
        """
        mutation.result = mutation.error = None
        changes, reads = self.changes, self.reads
        depends = False
        values = []
        try:
            for key in mutation.keys:
                if key in changes:
                    depends = True
                    values.append(self._changed(key, changes[key], read))
                elif key in reads:  # The usual: the descriptor of a table that others of the batch write to.
                    values.append(reads[key])
                else:
                    mutation.error = self._refusal((key,))
                    if mutation.error is not None:
                        return False
                    value = reads[key] = read(key)
                    values.append(value)
        except DamagedValue as error:
            mutation.error = error
            return False
        try:
            writes, mutation.result = mutation.decide(values)
            refusal = self._refusal(writes.puts)
            if refusal is None and writes.adds:
                refusal = self._refusal(writes.adds)
            if refusal is None and writes.appends:
                refusal = self._refusal(log + bytes(POSITION_SIZE) for log, _ in writes.appends)
            if refusal is None and self.damaged:
                refusal = self._needs_damaged(writes)
            if refusal is not None:
                raise refusal
        except StopIteration as error:
            # A future cannot hold StopIteration: it would end the coroutine that awaits it (PEP 479).
            mutation.error = RuntimeError("decide raised StopIteration")
            mutation.error.__cause__ = error
        except Exception as error:
            mutation.error = error
        else:
            depends = self._take(writes) or depends
        return depends

    def _changed(self, key: bytes, change: Change, read: Read) -> bytes | None:
        """The value of `key` after the mutations in the batch so far."""
        if not isinstance(change, int):
            self.overlaid.add(key)
            return change
        if key not in self.reads:
            self.reads[key] = read(key)
        return counter_value(counter(self.reads[key]) + change)

    def _refusal(self, keys: Iterable[bytes]) -> StorageError | None:
        """Describes a key that the engine could not use, if there is one: it would fail the whole batch's commit."""
        for key in keys:
            if not 0 < len(key) <= self.longest_key or key[0] == _RESERVED:
                return StorageError(f"a key is 1 to {self.longest_key} bytes and does not start with 00: {key.hex()}")
        return None

    def _needs_damaged(self, writes: Writes) -> StorageError | None:
        """What a mutation cannot do because a value is damaged that its commit would read, if there is any such thing.

        A counter that the mutation, or one before it in the batch, sets or deletes is not read.
        """
        for key in self.damaged:
            is_set = key in writes.puts or not isinstance(self.changes.get(key, 0), int)
            if (key in writes.adds and not is_set) or (writes.appends and key[0] == _RESERVED):
                return DamagedValue(key)
        return None

    def _take(self, writes: Writes) -> bool:
        """Collect the writes of a mutation. Returns whether there are any."""
        changes = self.changes
        for key, value in writes.puts.items():
            changes[key] = value
            self.size += len(key) + len(value or b"")
        for key, amount in writes.adds.items():
            change = changes.get(key, 0)
            if isinstance(change, int):
                changes[key] = wrapped(change + amount)
            else:
                changes[key] = counter_value(counter(change) + amount)
        for log, entry in writes.appends:
            self.appends.append((log, entry))
            self.size += len(log) + len(entry)
        return bool(writes.puts or writes.adds or writes.appends)
