"""`jedlik check --recover-damaged` of a store with damaged values: what it removes, and what it restores."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import lmdb
import pytest

from jedlik.dynamodb.model import keys, spaces
from jedlik.process.services import SERVICES
from jedlik.regions import keyspaces, store_format
from jedlik.regions.layout import Stored
from jedlik.storage.lmdb import checksums, lmdb_file
from jedlik.upkeep import reports
from jedlik.upkeep.opening import Reader
from testing import full_store
from testing.dynamodb.handlers import Handlers
from testing.full_store import KNOWN


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one of everything."""
    folder = tmp_path_factory.mktemp("whole") / "store"

    async def fill(handlers: Handlers) -> None:
        await full_store.change(handlers, lambda writes: writes.put(keyspaces.format_key(), store_format.record()))
        await full_store.full(handlers)

    full_store.run(folder, fill)
    return folder


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "store")


def rows(store: Path) -> list[bytes]:
    with lmdb_file.view(store) as view:
        return [key for key, _ in view.rows(b"\x01", b"\xff" * 100)]


def spoil(store: Path, damaged: Sequence[bytes], at: int = -1) -> None:
    """Change a byte of values, as the disk would, and not as the engine."""
    with lmdb.open(str(store), lib_version=1) as environment, environment.begin(write=True) as transaction:
        for key in damaged:
            found = bytearray(transaction.get(key) or b"")
            found[at] ^= 1
            assert not checksums.is_whole(key, bytes(found))
            assert transaction.replace(key, bytes(found)) is not None


def stored(store: Path) -> Stored:
    return Stored(store, "000000000000", "us-east-1")


def recovered(store: Path) -> tuple[int, list[str]]:
    """The numbers of lost and of wrong things, and the output."""
    said: list[str] = []
    return reports.recover_damaged(stored(store), said.append, reader=Reader(SERVICES)), [
        line.removeprefix(f"{store.name}: ") for line in said
    ]


def is_clean(store: Path) -> bool:
    said: list[str] = []
    found = reports.check(stored(store), said.append, reader=Reader(SERVICES))
    assert found == 0, said
    return True


def index_of(key: bytes) -> int | None:
    return keys.index_of_key(key) if key.startswith(spaces.ROWS.prefix) else None


def some_of(store: Path, prefix: bytes, index: int | None = None) -> list[bytes]:
    """Some rows whose keys begin with a prefix."""
    return [key for key in rows_kept(store) if key.startswith(prefix) and index_of(key) == index][::3]


@pytest.mark.parametrize("at", [-1, 1, 4], ids=["value", "header", "checksum"])
def test_damaged_items_are_removed_and_named_with_all_that_follows_from_them(store: Path, at: int) -> None:
    damaged = some_of(store, spaces.ROWS.prefix, 0)
    before = len(rows(store))
    spoil(store, damaged, at)
    found, said = recovered(store)
    lost = [line for line in said if line.startswith("lost: the item of table songs ")]
    named = [line for line in lost if line.startswith("lost: the item of table songs with the key {")]
    assert found == len(lost) == len(damaged) > 5, said
    assert len(named) > len(lost) / 2  # An item that is no longer JSON, and in no index, cannot be named.
    assert is_clean(store)
    after = rows(store)
    assert not set(damaged) & set(after)
    assert len(after) < before - len(damaged)  # With their index entries and notes.


def test_the_key_of_a_damaged_item_is_read_from_itself_or_from_an_index(store: Path) -> None:
    damaged = [key for key in rows(store) if index_of(key) == 0]
    with lmdb_file.view(store) as view:
        [known] = [key for key in damaged if b'"known"' in (view.get(key) or b"")]
    spoil(store, [known])  # It is no JSON any more.
    _, said = recovered(store)
    assert f"lost: the item of table songs with the key {asked(KNOWN)}" in said


def asked(item: full_store.Item) -> str:
    return f'{{"p":{{"S":"{item["p"]["S"]}"}},"s":{{"N":"{item["s"]["N"]}"}}}}'


def test_damaged_index_entries_are_restored_without_loss(store: Path) -> None:
    before = rows(store)
    for index in (1, 2, 3):
        damaged = some_of(store, spaces.ROWS.prefix, index)
        assert damaged
        spoil(store, damaged)
    assert recovered(store)[0] == 0
    assert is_clean(store)
    assert rows(store) == before


@pytest.mark.parametrize("prefix", [spaces.COUNTERS.prefix, spaces.EXPIRIES.prefix], ids=["counters", "notes"])
def test_rows_that_follow_from_items_are_restored(store: Path, prefix: bytes) -> None:
    before = rows(store)
    damaged = [key for key in before if key.startswith(prefix)]
    assert damaged
    spoil(store, damaged)
    assert recovered(store)[0] == 0
    assert is_clean(store)
    assert set(rows(store)) >= {key for key in before if not key.startswith(prefix)}


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        (spaces.TAGS.prefix, "lost: the table's tags of table songs (tags, key "),
        (spaces.TOKENS.prefix, "lost: that a transaction has been done: if it is sent again, it is done again (client"),
    ],
)
def test_small_records_are_removed(store: Path, prefix: bytes, said: str) -> None:
    [damaged, *_] = [key for key in rows(store) if key.startswith(prefix)]
    spoil(store, [damaged])
    found, lines = recovered(store)
    assert found == 1
    assert [line for line in lines if line.startswith(said)], lines
    assert is_clean(store)


@pytest.mark.parametrize("prefix", [spaces.DESCRIPTORS.prefix, spaces.STREAMS.prefix])
def test_records_that_lead_to_others_stay(store: Path, prefix: bytes) -> None:
    [damaged, *_] = [key for key in rows(store) if key.startswith(prefix)]
    spoil(store, [damaged])
    before = rows_kept(store)
    found, said = recovered(store)
    assert found > 0
    assert any(line.startswith("not repaired: a value among the ") for line in said)
    assert rows_kept(store) == before


def rows_kept(store: Path) -> list[bytes]:
    with lmdb.open(str(store), lib_version=1) as environment, environment.begin() as snapshot:
        return [key for key, _ in snapshot.cursor() if key >= b"\x01"]


def test_without_its_secret_nothing_is_touched(store: Path) -> None:
    spoil(store, [keyspaces.secret_key()])
    before = rows_kept(store)
    with pytest.raises(Exception, match="is damaged"):
        recovered(store)
    assert rows_kept(store) == before


def test_a_store_without_damage_is_left_unchanged(store: Path) -> None:
    before = rows(store)
    assert recovered(store)[0] == 0
    assert rows(store) == before
