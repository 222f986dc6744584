"""Sealed values: what is in the files, where a value opens, and what happens to forgeries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from jedlik.storage import sealed
from jedlik.storage.engine import Engine, Mark, NoKey, Writes, entry_content, stored_entry
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.storage.sealed import MARK, OVERHEAD, NotOpened, SealedSpace, Sealing
from jedlik.storage.sealed_engine import SealedEngine
from testing.storage.engines import append, lmdb_durable, put, run

SPACES = {b"r": SealedSpace(2), b"l": SealedSpace(2, is_log=True)}
SECRET = b"nobody may read this"


class Keys:
    """A keyring with a key for each number and owner."""

    def __init__(self, current: int | None = 0) -> None:
        self.number = current
        self.asked: list[tuple[bytes, int]] = []

    def current(self, owner: bytes) -> int | None:
        return self.number

    def key(self, owner: bytes, number: int) -> bytes:
        self.asked.append((owner, number))
        return (owner + b"%d" % number).ljust(32, b"-")

    def use(self, table: bytes, number: int) -> bool:
        raise AssertionError(f"{table!r} has no numbers")


def sealing(keys: Keys | None = None, has_plain: bool = False) -> Sealing:
    return Sealing(keys or Keys(), SPACES, has_plain)


def test_a_value_opens_only_where_it_was_sealed() -> None:
    seals = sealing()
    stored = seals.seal(b"rA1", SECRET)
    assert stored[0] == MARK
    assert len(stored) == len(SECRET) + OVERHEAD
    assert SECRET not in stored
    assert seals.opened(b"rA1", stored) == SECRET
    assert sealing().opened(b"rA1", stored) == SECRET, "another process opens it, too"
    for elsewhere in (b"rA2", b"rB1"):
        with pytest.raises(NotOpened, match=rf"^the value under key {elsewhere.hex()} cannot be opened"):
            seals.opened(elsewhere, stored)


@pytest.mark.parametrize("place", [0, 1, 2, 5, 12, 25, -1])
def test_a_changed_value_is_refused(place: int) -> None:
    stored = bytearray(sealing().seal(b"rA1", SECRET))
    stored[place] ^= 1
    with pytest.raises(NotOpened):
        sealing().opened(b"rA1", bytes(stored))
    with pytest.raises(NotOpened):
        sealing().opened_rows([(b"rA1", bytes(stored))], 1000)


@pytest.mark.parametrize("length", range(OVERHEAD))
def test_a_value_that_is_cut_short_is_refused(length: int) -> None:
    stored = sealing().seal(b"rA1", b"")
    with pytest.raises(NotOpened):
        sealing().opened(b"rA1", stored[:length])


def test_a_plain_value_is_refused_unless_it_may_have_been_there_before() -> None:
    with pytest.raises(NotOpened):
        sealing().opened(b"rA1", b"plain")
    assert sealing(has_plain=True).opened(b"rA1", b"plain") == b"plain"
    assert sealing().opened(b"xA1", b"plain") == b"plain", "this key space is not sealed"


def test_an_entry_opens_anywhere_in_its_log_and_nowhere_else() -> None:
    seals = sealing()
    stored = stored_entry(seals.seal_entry(b"lA", SECRET), 77)
    opened = seals.opened(b"lA" + bytes(8), stored)
    assert (opened[:8], entry_content(opened)) == ((77).to_bytes(8, "little"), SECRET)
    assert seals.opened(b"lA" + bytes(7) + b"\x01", stored) == opened
    assert seals.seal(b"lA" + bytes(8), opened) != stored, "an entry that is written again is sealed again"
    with pytest.raises(NotOpened):
        seals.opened(b"lB" + bytes(8), stored)


def test_a_data_key_ends_after_its_last_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "_USES", 3)
    seals = sealing()
    stored = [seals.seal(b"rA1", SECRET) for _ in range(7)]
    assert len({value[3:11] for value in stored}) == 3
    assert {seals.opened(b"rA1", value) for value in stored} == {SECRET}


def test_owners_get_other_keys_from_the_keyring_once_it_is_asked_again() -> None:
    keys = Keys()
    seals = sealing(keys)
    before = seals.seal(b"rA1", SECRET)
    keys.number = 5
    seals.forget(b"rA")
    after = seals.seal(b"rA1", SECRET)
    assert (before[1:3], after[1:3]) == (b"\0\0", b"\0\5")
    assert seals.opened_rows([(b"rA1", before), (b"rA1", after)], 1000) == [(b"rA1", SECRET)] * 2
    keys.number = None
    seals.forget_all()
    assert seals.seal(b"rA1", SECRET) == SECRET


def test_ranges_end_where_those_of_plain_values_would(tmp_path: Path) -> None:
    """Also where some values are still plain, from which fewer bytes are to be taken."""

    async def fill(engine: Engine) -> None:
        await put(engine, {b"rA%d" % n: b"plain12345" for n in range(0, 10, 2)})

    async def scenario(engine: Engine) -> None:
        await put(engine, {b"rA%d" % n: b"sealed6789" for n in range(1, 10, 2)})
        for size in (1, 10, 11, 40, 99, 100, 1000):
            rows = await engine.range(b"rA", b"rB", 100, size)
            assert len(rows) == min(10, -(-size // 10)), size
            assert {value for _, value in rows} <= {b"plain12345", b"sealed6789"}

    run(lmdb_durable, tmp_path, fill)
    run(lambda path: SealedEngine(LmdbEngine.open(path, durable=True), sealing(has_plain=True)), tmp_path, scenario)


def test_two_values_at_once_are_read_like_each_by_itself(tmp_path: Path) -> None:
    """Sealed or not, in a log or not, there or not, whole or not."""
    seals = sealing()
    whole = seals.seal(b"rA1", SECRET)
    stored = {
        b"rA1": whole,
        b"rA2": seals.seal(b"rA2", b""),
        b"rA3": whole,
        b"rA4": b"plain",
        b"rA5": whole[:30],
        b"rA6": b"",
        b"rA7": whole[:-1] + bytes([whole[-1] ^ 1]),
        b"xA1": b"open",
        b"xA2": whole,
    }
    run(lmdb_durable, tmp_path, lambda engine: put(engine, stored))

    async def scenario(engine: Engine) -> None:
        await append(engine, b"lA", [SECRET])
        [(entry, _)] = await engine.range(b"lA", b"lB", 10, 1000)
        keys = [*stored, b"rA9", b"xA9", entry]

        def read(*asked: bytes) -> list[bytes | type | None]:
            try:
                return [*(engine.get_now(asked) or ())]
            except NotOpened as error:
                return [type(error)]

        alone = {key: read(key)[0] for key in keys}
        assert alone[b"rA1"] == SECRET
        assert [key for key in keys if alone[key] is NotOpened] == [b"rA3", b"rA4", b"rA5", b"rA6", b"rA7"]
        for first in keys:
            for second in keys:
                each = [alone[first], alone[second]]
                assert read(first, second) == ([NotOpened] if NotOpened in each else each), (first, second)

    run(lambda path: SealedEngine(LmdbEngine.open(path, durable=True), sealing()), tmp_path, scenario)


def test_what_decides_sees_plain_values_and_the_files_have_none(tmp_path: Path) -> None:
    engine = SealedEngine(LmdbEngine.open(tmp_path, durable=True), sealing())

    async def scenario(engine: Engine) -> None:
        await put(engine, {b"rA1": SECRET, b"xA1": b"open"})
        await append(engine, b"lA", [SECRET])

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, list[bytes | None]]:
            writes = Writes()
            writes.put(b"rA2", (found[0] or b"") + b"!")
            return writes, list(found)

        assert await engine.mutate([b"rA1", b"rA9", b"xA1"], decide) == [SECRET, None, b"open"]
        assert await engine.get([b"rA2"]) == [SECRET + b"!"]
        [(_, entry)] = await engine.range(b"lA", b"lB", 10, 1000)
        assert entry_content(entry) == SECRET
        assert isinstance(engine, SealedEngine)
        with engine.view() as view:
            assert [value for _, value in view.rows(b"r", b"s")] == [SECRET, SECRET + b"!"]
            assert list(view.damaged()) == []

    run(lambda path: engine, tmp_path, scenario)
    files = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert SECRET not in files
    assert b"open" in files


def test_a_view_names_values_that_do_not_open(tmp_path: Path) -> None:
    seals = sealing()
    moved = {b"rA1": seals.seal(b"rA1", SECRET), b"rA2": seals.seal(b"rA1", SECRET), b"rA3": b"plain"}
    run(lmdb_durable, tmp_path, lambda engine: put(engine, moved))
    engine = SealedEngine(LmdbEngine.open(tmp_path, durable=True), sealing())

    async def scenario(engine: Engine) -> None:
        assert isinstance(engine, SealedEngine)
        with engine.view() as view:
            assert list(view.damaged()) == [b"rA2", b"rA3"]
            assert list(view.whole_rows(b"r", b"s")) == [(b"rA1", SECRET)]
        with pytest.raises(NotOpened, match="72413"):
            await engine.range(b"r", b"s", 10, 1000)

    run(lambda path: engine, tmp_path, scenario)


def test_a_mark_is_appended_although_the_key_of_its_log_is_away() -> None:
    class Shut(Keys):
        def key(self, owner: bytes, number: int) -> bytes:
            if number:
                raise NoKey("it is away")
            return super().key(owner, number)

    seals = sealing(Shut(1))
    with pytest.raises(NoKey):
        seals.seal_entry(b"lA", SECRET)
    entry = seals.seal_entry(b"lA", Mark(b"closed"))
    assert b"closed" not in entry
    key = b"lA" + bytes(8)
    assert seals.opened(key, bytes(8) + entry) == bytes(8) + b"closed"
    assert seals.number(key, bytes(8) + entry) == 0
