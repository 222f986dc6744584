"""The cache by itself: lives, memory, and leases."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from jedlik.dax.cache import ENTRY_BYTES, Cache, Key
from jedlik.memory import MIB


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(clock: Clock) -> Cache:
    return Cache(100_000, clock)


def _key(number: int = 0) -> Key:
    return ("store", "items"), b"key %d" % number


def _fill(cache: Cache, key: Key, answer: bytes = b"answer", variant: bytes = b"", seconds: float = 300.0) -> None:
    cache.fill(key, cache.lease(key), variant, answer, seconds)


def test_an_entry_lives_for_its_time(cache: Cache, clock: Clock) -> None:
    _fill(cache, _key(), seconds=300)
    clock.now += 299.9
    assert cache.find(_key()) == b"answer"
    clock.now += 0.1
    assert cache.find(_key()) is None
    assert cache.size == 0


def test_a_projection_lives_no_longer_than_the_entry_that_it_joins(cache: Cache, clock: Clock) -> None:
    _fill(cache, _key(), seconds=300)
    clock.now += 299
    _fill(cache, _key(), b"part", b"projection", seconds=300)
    assert cache.find(_key(), b"projection") == b"part"
    clock.now += 1
    assert cache.find(_key(), b"projection") is None


def test_what_was_not_used_for_longest_makes_room(cache: Cache) -> None:
    size = ENTRY_BYTES + len(_key(0)[1]) + 10_000
    fit = 100_000 // size
    for number in range(fit):
        _fill(cache, _key(number), bytes(10_000))
    assert cache.size == fit * size
    assert cache.find(_key(0)) is not None
    _fill(cache, _key(fit), bytes(10_000))
    assert cache.find(_key(1)) is None
    assert cache.find(_key(0)) is not None
    assert (cache.size, cache.evicted) == (fit * size, size)


def test_what_is_larger_than_the_room_is_not_kept(cache: Cache) -> None:
    _fill(cache, _key(0))
    _fill(cache, _key(1), bytes(100_000))
    assert cache.find(_key(1)) is None
    assert cache.find(_key(0)) is not None
    _fill(cache, _key(0), bytes(100_000), b"projection")
    assert cache.find(_key(0)) is None
    assert cache.size == 0


@pytest.mark.parametrize("way", ["drop", "changed", "drop_all", "clear", "room", "time"])
def test_an_entry_that_somebody_remembers_has_no_answer_once_it_is_forgotten(
    cache: Cache, clock: Clock, way: str
) -> None:
    _fill(cache, _key())
    entry = cache.entries[_key()]
    assert cache.again(entry, b"") == b"answer"
    ways: dict[str, Callable[[], None]] = {
        "drop": lambda: cache.drop(_key()),
        "changed": lambda: cache.changed(_key(), 1),
        "drop_all": lambda: cache.drop_all((_key()[0], b"key")),
        "clear": cache.clear,
        "room": lambda: _fill(cache, _key(1), bytes(99_000)),
        "time": lambda: setattr(clock, "now", clock.now + 300),
    }
    ways[way]()
    assert cache.again(entry, b"") is None
    assert _key() not in cache.entries
    assert cache.size == sum(one.size for one in cache.entries.values())


def test_what_was_read_before_a_write_that_has_ended_is_not_kept(cache: Cache) -> None:
    reads = cache.lease(_key())
    cache.drop(_key())
    cache.fill(_key(), reads, b"", b"old", 300)
    assert cache.find(_key()) is None
    _fill(cache, _key(), b"new")
    cache.fill(_key(), reads, b"", b"old", 300)
    assert cache.find(_key()) == b"new"


def test_a_write_ends_what_lacks_it_and_leaves_what_has_it(cache: Cache) -> None:
    cache.fill(_key(), cache.lease(_key(), position=7), b"", b"seven", 300)
    cache.changed(_key(), 7)
    assert cache.find(_key()) == b"seven"
    cache.changed(_key(), 8)
    assert cache.find(_key()) is None


def test_a_write_ends_the_lease_of_a_read_that_may_lack_it(cache: Cache) -> None:
    for position, kept in ((7, None), (8, b"read")):
        lease = cache.lease(_key(), position)
        cache.changed(_key(), 8)
        cache.fill(_key(), lease, b"", b"read", 300)
        assert cache.find(_key()) == kept


def test_an_entry_is_as_old_as_its_oldest_answer(cache: Cache) -> None:
    cache.fill(_key(), cache.lease(_key(), 7), b"", b"seven", 300)
    cache.fill(_key(), cache.lease(_key(), 9), b"projection", b"nine", 300)
    cache.changed(_key(), 8)
    assert cache.find(_key()) is None
    assert cache.find(_key(), b"projection") is None


def test_all_of_a_table_is_forgotten_at_once(cache: Cache) -> None:
    _fill(cache, _key(1))
    _fill(cache, (("store", "items"), b"other"))
    lease = cache.lease(_key(2))
    cache.drop_all((("store", "items"), b"key"))
    cache.fill(_key(2), lease, b"", b"old", 300)
    assert cache.find(_key(1)) is None
    assert cache.find(_key(2)) is None
    assert cache.find((("store", "items"), b"other")) == b"answer"


def test_a_refused_write_leaves_what_is_there(cache: Cache) -> None:
    _fill(cache, _key())
    cache.release(_key(), cache.lease(_key()))
    assert cache.find(_key()) == b"answer"


def test_a_write_of_unknown_outcome_drops_what_is_there_and_what_is_being_read(cache: Cache) -> None:
    _fill(cache, _key())
    reads = cache.lease(_key())
    cache.drop(_key())
    cache.fill(_key(), reads, b"", b"old", 300)
    assert cache.find(_key()) is None


@pytest.mark.parametrize("length", [92, 1_000, 100_000])
def test_a_full_cache_holds_what_it_counts(length: int) -> None:
    """Memory as Python's allocator has it. A dictionary that grows has up to half of its places free."""
    room = 16 * MIB
    cache = Cache(room)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        number = 0
        while not cache.evicted:
            number += 1
            _fill(cache, (("store", "items"), b"Etablekey %08d" % number), bytes(length))
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert cache.size > 0.99 * room
    assert 0.8 * room < held < 1.05 * room
