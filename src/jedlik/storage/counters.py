"""Counters: how a 64-bit signed integer that mutations add to is stored."""

from __future__ import annotations

_SIZE = 8
_MASK = (1 << 8 * _SIZE) - 1
_HALF = 1 << 8 * _SIZE - 1


def counter(value: bytes | None) -> int:
    """The count that a counter's value holds."""
    return int.from_bytes(value or b"", "little", signed=True)


def wrapped(count: int) -> int:
    """A count, wrapped to a signed integer of 64 bits."""
    return (count + _HALF & _MASK) - _HALF


def counter_value(count: int) -> bytes:
    """The value of a counter at `count`. It wraps around as machine integers do, so that no commit fails on it."""
    return (count & _MASK).to_bytes(_SIZE, "little")
