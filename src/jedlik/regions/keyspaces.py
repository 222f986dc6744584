"""Key spaces: the first byte of every key of a store says what it is a key of.

The whole layout, with what follows that byte, is drawn in `dynamodb/model/keys.py`. Here is whose each space is, and
the keys of what a store knows of itself.
"""

from __future__ import annotations

SPACES = {
    "store": b"\x10",
    "descriptors": b"\x18",
    "tags": b"\x20",
    "rows": b"\x28",
    "counters": b"\x30",
    "logs": b"\x38",
    "jobs": b"\x40",
    "leases": b"\x48",
    "streams": b"\x50",
    "tokens": b"\x58",
    "expiries": b"\x60",
    "versions": b"\x68",
    "checkpoints": b"\x70",
}
"""Every space, in the order of the keys. There is room for seven more between neighbours."""


def space_range(name: str) -> tuple[bytes, bytes]:
    """Where all keys of the space called `name` stand."""
    return SPACES[name], prefix_end(SPACES[name])


def prefix_end(prefix: bytes) -> bytes:
    """The first key after all that begin with `prefix`, which must not be all FF."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,))


def format_key() -> bytes:
    """Where the store says which format it has (`store_format`)."""
    return SPACES["store"] + b"format"


def secret_key() -> bytes:
    """Of the store's secret, which keys its hashes."""
    return SPACES["store"] + b"secret"


def clock_key() -> bytes:
    """Where the store keeps what it knows of time (`timekeeping`)."""
    return SPACES["store"] + b"clock"
