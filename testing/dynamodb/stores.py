"""A store for tests of the write path: an engine's content, in a dict."""

from __future__ import annotations

from jedlik.dynamodb.model import items, writes
from jedlik.dynamodb.model.tables import Index, Table
from jedlik.dynamodb.model.values import Item
from jedlik.dynamodb.model.writes import Change, Operation
from jedlik.storage.engine import Writes

SECRET = b"secret"
NOW = 1_700_000_000.0


class Store:
    """Rows and counters, and the operations that change them."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.counters: dict[bytes, int] = {}
        self.written = Writes()
        """By the last mutation."""

    def do(self, operation: Operation, at: float = NOW) -> Change:
        self.written = Writes()
        versions = (self.rows.get(key) for key in writes.version_keys([operation]))
        change = writes.perform(operation, self.rows.get(operation.key), self.written, SECRET, at, *versions)
        self.apply(self.written)
        return change

    def apply(self, written: Writes) -> None:
        for key, value in written.puts.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        for key, amount in written.adds.items():
            self.counters[key] = self.counters.get(key, 0) + amount

    def under(self, prefix: bytes) -> dict[bytes, bytes]:
        return {key: value for key, value in self.rows.items() if key.startswith(prefix)}

    def items(self, of: Table) -> list[Item]:
        return [items.decode(stored) for stored in self.under(of.prefix).values()]

    def entries(self, index: Index) -> list[Item]:
        return [items.decode(stored) for stored in self.under(index.prefix).values()]
