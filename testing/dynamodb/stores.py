"""A store for tests of the write path: an engine's content, in a dict."""

from __future__ import annotations

from collections import defaultdict

from jedlik.dynamodb.model import items, writes
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Index, Table
from jedlik.dynamodb.model.values import Item
from jedlik.dynamodb.model.writes import ItemChange, ItemWrite
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

    def do(self, operation: ItemWrite, at: float = NOW) -> ItemChange:
        mutation = self.mutation(at)
        change = writes.perform(operation, mutation)
        self.written = mutation.writes
        self.apply(self.written)
        return change

    def mutation(self, at: float = NOW) -> Mutation:
        """A mutation that has read everything."""
        return Mutation(defaultdict(lambda: None, self.rows), SECRET, at)

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
