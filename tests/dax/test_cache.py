"""The cache by itself: lives, memory, and leases."""

from __future__ import annotations

import pytest

from jedlik.dax.cache import ENTRY_BYTES, Cache, Key


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


def test_writing_renews_the_life(cache: Cache, clock: Clock) -> None:
    _fill(cache, _key(), seconds=300)
    _fill(cache, _key(), b"part", b"projection")
    clock.now += 299
    cache.wrote(_key(), cache.lease(_key()), b"written", 300)
    clock.now += 299
    assert cache.find(_key()) == b"written"
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


def test_what_was_read_before_a_write_that_has_ended_is_not_kept(cache: Cache) -> None:
    reads = cache.lease(_key())
    writes = cache.lease(_key())
    cache.wrote(_key(), writes, b"new", 300)
    cache.fill(_key(), reads, b"", b"old", 300)
    assert cache.find(_key()) == b"new"


def test_what_was_read_while_somebody_writes_goes_when_that_ends(cache: Cache) -> None:
    writes = cache.lease(_key())
    _fill(cache, _key(), b"old, or new")
    cache.wrote(_key(), writes, b"new", 300)
    assert cache.find(_key()) is None


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_writes_at_once_neither_is_kept_for_certain(cache: Cache, first: int) -> None:
    """The one that ends last may have been committed first."""
    leases = [cache.lease(_key()), cache.lease(_key())]
    answers = [b"one", b"two"]
    cache.wrote(_key(), leases[first], answers[first], 300)
    cache.wrote(_key(), leases[1 - first], answers[1 - first], 300)
    assert cache.find(_key()) is None


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
