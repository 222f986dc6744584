"""The repair of damaged rows: one whose key is damaged is put back, one that can be done without is removed, and what
follows from items is made again.

Each key space declares what is lost with a row (`Keyspace.lost`). Where nothing else can be read without it, as
without a table's descriptor, the row stays, and with it all that it leads to: nothing is destroyed that a copy could
bring back. No server has the store open meanwhile. To be stopped in the middle does no harm: done again, it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice

import orjson

from jedlik.aws.damage import DAMAGE, described
from jedlik.dynamodb.checks import table_repair
from jedlik.dynamodb.checks.table_repair import Fix
from jedlik.dynamodb.model import descriptors, items, keys, spaces
from jedlik.dynamodb.model.tables import Table
from jedlik.regions import keyspaces
from jedlik.regions.keyspaces import Keyspace, Owner
from jedlik.regions.layout import Stored
from jedlik.storage.engine import Engine, StorageError, Writes
from jedlik.storage.lmdb.coherence import Extent
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.lmdb.view import View
from jedlik.storage.sealed_engine import SealedEngine
from jedlik.upkeep.opening import Reader

Say = Callable[[str], None]

_FIXES = 200
"""Rows changed in one commit."""
_NOTHING = "nothing"


async def repair(stored: Stored, reader: Reader, say: Say) -> int:
    """Repair what is damaged in a store, and print what is lost. Returns how much that is.

    Its pages have been checked, and no more is wrong with them than keys of rows. Raises StorageError.
    """
    engine = LmdbEngine.open(stored.path, durable=True, extent=Extent.NONE)
    try:
        opened = reader.engine(engine, stored)
        with opened.view() as view:
            damaged = list(view.damaged())
            if not damaged:
                return 0
            fixes = dict(_put_back(view, damaged, say))
            damaged = [key for key in damaged if key not in fixes]
            losses = _Losses(view, reader.spaces(stored), damaged, fixes)
            removable = [key for key in damaged if losses.may_go(key)]
            lost = 0
            for key in damaged:
                what = losses.of(key)
                if what is not None:
                    lost += 1
                    say(what)
        await _commit(engine, [*fixes.items(), *((key, None) for key in removable)])
        for table in losses.tables:
            await _repair_table(opened, table, say)
        return lost
    finally:
        await engine.close()


def _put_back(view: View, damaged: Iterable[bytes], say: Say) -> Iterator[Fix]:
    """Put rows with a damaged key back where they belong, unless another has been written there since."""
    for key in damaged:
        row = view.misplaced(key)
        if row is None:
            continue
        original, _ = row
        yield key, None
        if view.first_key(original, original + b"\x00") is None:
            say(f"put back: the row with the key {original.hex()}, which was under {key.hex()}")
            yield row
        else:
            say(f"removed: an older row with the key {original.hex()}, which was under {key.hex()}")


async def _repair_table(engine: LmdbEngine | SealedEngine, table: Table, say: Say) -> None:
    with engine.view() as view:
        secret = view.get(keyspaces.secret_key())
        assert secret is not None, "it was read before"
        try:
            made = await _commit(engine, table_repair.fixes(view, table, secret))
        except DAMAGE as error:
            say(f"table {table.name}: it cannot be repaired: {described(error)}")
            return
    say(f"table {table.name}: {made} index entries, counters and notes were made again or removed")


async def _commit(engine: Engine, fixes: Iterable[Fix]) -> int:
    """Write changes, some at a time. Returns how many there were."""
    left = iter(fixes)
    number = 0
    while some := list(islice(left, _FIXES)):

        def decide(_: object, some: list[Fix] = some) -> tuple[Writes, None]:
            writes = Writes()
            writes.puts |= dict(some)
            return writes, None

        await engine.mutate([], decide)
        number += len(some)
    return number


class _Losses:
    """What is lost with damaged values."""

    def __init__(
        self, view: View, declared: Iterable[Keyspace], damaged: Sequence[bytes], put_back: Iterable[bytes]
    ) -> None:
        self._view = view
        self._spaces = list(declared)
        secret = view.get(keyspaces.secret_key())
        if secret is None:
            raise StorageError("the store's secret is missing: no key of an item can be worked out")
        self._secret = secret
        self._tables: dict[bytes, Table] = {}
        for _, raw in view.whole_rows(*spaces.DESCRIPTORS.range):
            with suppress(*DAMAGE):
                table = descriptors.parse(raw)
                self._tables[table.id] = table
        of = {keys.table_of_key(key) for key in (*damaged, *put_back) if self._owner(key) is not Owner.STORE}
        self.tables = [table for table_id, table in self._tables.items() if table_id in of]
        """Those that have, or had, something damaged."""
        self._items = dict(self._damaged_items(set(damaged)))

    def may_go(self, key: bytes) -> bool:
        """Whether a damaged row is to be removed."""
        space = self._space(key)
        return space is not None and (space.lost is not None or key == keyspaces.clock_key())

    def of(self, key: bytes) -> str | None:
        """What is lost with a damaged row, in words; None if nothing is."""
        space = self._space(key)
        table = self._tables.get(keys.table_of_key(key)) if self._owner(key) is not Owner.STORE else None
        whose = "" if table is None else f" of table {table.name}"
        if space is None or not self.may_go(key):
            what = "keys of no space" if space is None else space.rows
            return f"not repaired: a value among the {what} under key {key.hex()}: put back a copy of the store"
        if space is spaces.ROWS:
            if keys.index_of_key(key):
                return None if table is not None else f"lost: an index entry of no table under key {key.hex()}"
            known = self._items.get(key)
            named = f"whose key cannot be read, under key {key.hex()}" if known is None else f"with the key {known}"
            return f"lost: the item{whose} {named}"
        lost = _NOTHING if key == keyspaces.clock_key() else space.lost
        return None if lost == _NOTHING else f"lost: {lost}{whose} ({space.rows}, key {key.hex()})"

    def _space(self, key: bytes) -> Keyspace | None:
        return keyspaces.space_of(key, self._spaces)

    def _owner(self, key: bytes) -> Owner:
        space = self._space(key)
        return Owner.STORE if space is None else space.owner

    def _damaged_items(self, damaged: set[bytes]) -> Iterator[tuple[bytes, str]]:
        """The keys of damaged items, in words: those that can be read, or that an index entry has.

        That a key was read rightly shows in its hash, which is in the storage key.
        """
        for table in self.tables:
            rows = [key for key in damaged if key.startswith(table.prefix)]
            wanted = set(rows)
            values = [self._view.damaged_value(key) for key in rows]
            for index in table.indexes if wanted else ():
                entries = self._view.whole_rows(index.prefix, keyspaces.prefix_end(index.prefix))
                values += [value for _, value in entries if self._key_of(table, value)[0] in wanted]
            for value in values:
                key, shown = self._key_of(table, value)
                if key in wanted:
                    yield key, shown

    def _key_of(self, table: Table, value: bytes) -> tuple[bytes, str]:
        """The storage key of the item or entry that some bytes are, and its key in words; empty if unreadable."""
        try:
            item = items.decode(value)
            return keys.item_key(table, item, self._secret), orjson.dumps(keys.key_of(table, None, item)).decode()
        except DAMAGE:
            return b"", ""
