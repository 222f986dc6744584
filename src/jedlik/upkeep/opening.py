"""Opens a store for reading if this version knows its format, and its values if its root key is here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jedlik.aws.service import Service, identity_key_spaces, key_spaces
from jedlik.kms import keys_offline
from jedlik.kms.keys_offline import Read
from jedlik.regions import keyspaces, store_format, store_keys, table_keyring
from jedlik.regions.keyspaces import Keyspace
from jedlik.regions.layout import Stored
from jedlik.regions.table_keyring import StoreKeyring
from jedlik.root_key import ABSENT, RootKey
from jedlik.storage.engine import Row, StorageError
from jedlik.storage.lmdb import lmdb_file
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.lmdb.view import View
from jedlik.storage.sealed import Sealing
from jedlik.storage.sealed_engine import SealedEngine, SealedView


@dataclass(frozen=True, slots=True)
class Reader:
    """What it takes to read the rows of stores."""

    services: Sequence[Service]
    """Those whose rows are looked at."""
    root_key: Callable[[], RootKey] = lambda: ABSENT
    """Finds what opens the keys of stores. Called for those that are sealed."""
    secrets: RootKey | None = None
    """Opens the secrets among the rows, for a check that tries them."""

    def spaces(self, stored: Stored) -> tuple[Keyspace, ...]:
        """The key spaces of a store."""
        return identity_key_spaces(self.services) if stored.is_identity else key_spaces(self.services)

    def opened(self, view: View, stored: Stored) -> View:
        """A view with plain values. Raises StorageError if there is no key for them."""
        record = view.get(store_keys.KEYSPACE.prefix)
        if record is None:
            return view
        opening = self._opening(stored)
        sealing = store_keys.sealing(store_keys.parsed(record, stored.path), opening, view.get)
        self._open_tables(view.rows(*table_keyring.KEYSPACE.range), view.get, sealing, stored)
        return SealedView(view, sealing)

    def engine(self, engine: LmdbEngine, stored: Stored) -> LmdbEngine | SealedEngine:
        """An engine that gives and takes plain values. Raises StorageError if there is no key for them."""
        [record] = engine.get_here([store_keys.KEYSPACE.prefix])
        if record is None:
            return engine
        key = store_keys.parsed(record, stored.path)
        sealed = store_keys.sealed_engine(engine, key, self._opening(stored))
        with engine.view() as view:
            self._open_tables(view.rows(*table_keyring.KEYSPACE.range), view.get, sealed.sealing, stored)
        return sealed

    def _open_tables(self, rows: Iterable[Row], read: Read, sealing: Sealing, stored: Stored) -> None:
        """Open the keys of the tables whose key was chosen, as far as KMS would. Values under others raise NoKey."""
        ring = sealing.keyring
        assert isinstance(ring, StoreKeyring), "a store has its own keyring"
        for key, value in rows:
            table, record = table_keyring.table_of(key), table_keyring.parse(value)
            pairs = keys_offline.pairs(record.table, stored.account)
            for one in record.keys:
                opened = keys_offline.opened(read, (stored.account, stored.region), self.root_key(), one, pairs)
                if opened is not None:
                    ring.learn(table, one.number, opened)

    def _opening(self, stored: Stored) -> store_keys.Opening:
        seals = store_keys.Seals(self.root_key(), key_spaces(self.services))
        return store_keys.Opening(stored.path, stored.account, stored.region, seals)


@contextmanager
def view(folder: Path) -> Iterator[View]:
    """The store in a folder as it is now (`lmdb_file.view`). Raises StorageError, also for one of another format."""
    with lmdb_file.view(folder) as found:
        record = found.get(keyspaces.format_key())
        is_new = record is None and found.get(keyspaces.secret_key()) is None
        reason = None if is_new else store_format.refusal(record)
        if reason is not None:
            raise StorageError(f"the store in {folder} {reason}")
        yield found
