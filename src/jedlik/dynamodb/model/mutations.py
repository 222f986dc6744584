"""Changes of items as values: the values found and the writes of one decision, and an item before and after its change.

All code that changes items decides over a `Mutation` (`dynamodb.mini_transaction`): it has the values that were read,
by their keys, and collects the writes. `Old` and `New` are one item before and after a change, each in two forms,
stored and parsed, because some consequences of a change need the one and some the other.
"""

from __future__ import annotations

from collections.abc import Mapping

from jedlik.dynamodb.model.changelog import Caller
from jedlik.dynamodb.model.quick_values import quick_value
from jedlik.dynamodb.model.values import Item
from jedlik.storage.engine import Writes

NONE_FULL: frozenset[bytes] = frozenset()


@quick_value
class Old:
    """An item before a change."""

    stored: bytes | None
    """None if there was no item."""
    item: Item | None
    """The same, parsed. May be left out in a table without indexes, time to live and change log."""


@quick_value
class New:
    """An item after a change, with the parts of the change that its change log entry needs."""

    stored: bytes | None
    """None if there is no item."""
    item: Item | None
    """The same, parsed."""
    caller: Caller = Caller.CUSTOMER
    version: bytes | None = None
    """The version that the change gives the item, in a replicated table."""


class Mutation:
    """One decision. A mutation that is decided again has another one, because other values may have been found."""

    __slots__ = ("at", "found", "full", "secret", "writes")

    def __init__(
        self,
        found: Mapping[bytes, bytes | None],
        secret: bytes,
        at: float,
        full: frozenset[bytes] = NONE_FULL,
    ) -> None:
        self.found = found
        """The values of all keys that were read."""
        self.writes = Writes()
        self.secret = secret
        """The key of the store's hashes of partition keys."""
        self.at = at
        """The time from which versions are made, in seconds since the epoch."""
        self.full = full
        """The keys of items that may not grow, because their item collections are full."""

    def stored(self, key: bytes) -> bytes | None:
        """The value of a key that was read, after the writes that this mutation has collected so far."""
        puts = self.writes.puts
        return puts[key] if key in puts else self.found[key]
