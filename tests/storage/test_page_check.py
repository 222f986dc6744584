"""Flipped bits in LMDB's file: a checksum reveals those in a value or key, the check of pages those in the tree."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from jedlik.storage.engine import Engine, StorageError
from jedlik.storage.lmdb import lmdb_file
from jedlik.storage.lmdb.lmdb_pages import DATA, meta_of
from testing.storage.engines import append, lmdb_durable, put, run

FLIPS = 400
PAGE = 4096


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of many pages: long and short values, logs, deleted rows."""
    path = tmp_path_factory.mktemp("pages") / "store"

    async def fill(engine: Engine) -> None:
        random = Random(7)
        for batch in range(12):
            rows: dict[bytes, bytes | None] = {
                b"row%04d" % random.randrange(800): random.randbytes(random.choice((0, 20, 300))) for _ in range(150)
            }
            rows |= {b"row%04d" % random.randrange(800): None for _ in range(20)}
            rows[b"long%d" % batch] = random.randbytes(9000)
            await put(engine, rows)
            await append(engine, b"log%d" % (batch % 3), [random.randbytes(50)] * 10)

    run(lmdb_durable, path, fill)
    return path


def rows_of(path: Path) -> dict[bytes, bytes]:
    with lmdb_file.view(path) as view:
        return dict(view.rows(b"\x01", b"\xff" * 100))


def flipped(store: Path, folder: Path, random: Random, number: int) -> Iterator[Path]:
    """Copies of a store, each with another bit flipped in its file."""
    data = (store / DATA).read_bytes()
    for _ in range(number):
        shutil.copytree(store, folder)
        at, bit = random.randrange(len(data)), 1 << random.randrange(8)
        (folder / DATA).write_bytes(data[:at] + bytes((data[at] ^ bit,)) + data[at + 1 :])
        yield folder
        shutil.rmtree(folder)


def seen(path: Path) -> str | None:
    """What sees the damage; None if nothing does."""
    try:
        if list(lmdb_file.page_problems(path)):
            return "pages"
        with lmdb_file.view(path) as view:
            if list(view.damaged()):
                return "checksum"
    except StorageError:
        return "refused"
    return None


def test_pages_of_a_healthy_store(store: Path) -> None:
    assert list(lmdb_file.page_problems(store)) == []
    assert len((store / DATA).read_bytes()) > 50 * PAGE


def test_a_flipped_bit_is_seen_or_changes_nothing(store: Path, tmp_path: Path) -> None:
    whole = rows_of(store)
    counts: dict[str | None, int] = {}
    for copy in flipped(store, tmp_path / "copy", Random(11), FLIPS):
        who = seen(copy)
        counts[who] = counts.get(who, 0) + 1
        if who is None:
            assert rows_of(copy) == whole
    assert counts["checksum"] > FLIPS / 20
    assert counts["pages"] > 1, counts


@pytest.mark.parametrize(
    ("offset", "said"),
    [(0, "it says that it is page"), (8, "wrote it, and"), (18, "its flags are"), (20, "its nodes are from")],
)
def test_each_part_of_a_page_head(store: Path, tmp_path: Path, offset: int, said: str) -> None:
    copy = shutil.copytree(store, tmp_path / "copy")
    data = bytearray((copy / DATA).read_bytes())
    with lmdb_file.view(store) as view:
        row, _ = next(view.rows(b"row", b"s"))
    pages = [page for page in range(2, len(data) // PAGE) if row in data[page * PAGE : (page + 1) * PAGE]]
    for page in pages:
        data[page * PAGE + offset + (7 if offset == 8 else 0)] ^= 1
    (copy / DATA).write_bytes(bytes(data))
    assert any(said in str(problem) for problem in lmdb_file.page_problems(copy))


def test_a_meta_page_that_others_have_overwritten_is_no_damage(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[bytes | None] = []

    def overtaken(pages: bytes, transaction: int) -> bytes | None:
        found.append(meta_of(pages, transaction))
        return None if len(found) < 4 else found[-1]

    monkeypatch.setattr(lmdb_file, "meta_of", overtaken)
    assert list(lmdb_file.page_problems(store)) == []
    assert len(found) == 4


def test_a_meta_page_that_stays_missing_is_damage(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_file, "meta_of", lambda pages, transaction: None)
    [problem] = lmdb_file.page_problems(store)
    assert str(problem).startswith("no meta page is that of transaction ")
