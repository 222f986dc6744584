"""Content codings: request bodies as clients compress them, answers as DynamoDB does.

DynamoDB's reading of Accept-Encoding was found by trying. Among codings with the same weight it prefers the first. It
looks for `q=` anywhere behind the first semicolon, takes the first one, and reads a weight that is not a number as 1.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import lru_cache

GZIP = 31
"""zlib's window bits for a gzip member."""
DEFLATE = 15
"""zlib's window bits for the zlib format, which HTTP calls deflate."""
WINDOW_BITS = {b"gzip": GZIP, b"deflate": DEFLATE}

MEMBERS = 32
"""The most members that a gzip body may have. Clients send one, and each member costs a copy of everything behind
it."""

COMPRESSED_FROM = 4096
"""DynamoDB compresses answers of at least this many bytes, for clients that accept it."""
LEVEL = 1
"""This level gains most of what zlib's default does, in a third of its time."""


class Undecodable(Exception):
    """A body does not match its Content-Encoding, or the coding is unknown."""


class TooLarge(Exception):
    """A body decodes to more than it may have."""


def decoded(body: bytes, coding: bytes, limit: int) -> bytes:
    """`body` without its content coding, at most `limit` bytes. Raises Undecodable and TooLarge."""
    decode = DECODERS.get(coding.strip().lower())
    if decode is None:
        raise Undecodable
    try:
        return decode(body, limit)
    except zlib.error as error:
        raise Undecodable from error


def _gunzip(body: bytes, limit: int) -> bytes:
    """A gzip body is one or more members and nothing else (RFC 1952). Here their number has a limit."""
    parts: list[bytes] = []
    while body or not parts:
        if len(parts) == MEMBERS:
            raise Undecodable
        part, body = _inflate(body, GZIP, limit)
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def _unzip(body: bytes, limit: int) -> bytes:
    data, rest = _inflate(body, DEFLATE, limit)
    if rest:
        raise Undecodable
    return data


def _inflate(body: bytes, window_bits: int, limit: int) -> tuple[bytes, bytes]:
    """The first stream in `body`, and what follows it."""
    stream = zlib.decompressobj(window_bits)
    data = stream.decompress(body, limit + 1)
    if len(data) > limit:
        raise TooLarge
    if not stream.eof:
        raise Undecodable
    return data, stream.unused_data


DECODERS: dict[bytes, Callable[[bytes, int], bytes]] = {
    b"gzip": _gunzip,
    b"deflate": _unzip,
    b"identity": lambda body, limit: body,
    b"": lambda body, limit: body,
}


@lru_cache(maxsize=256)
def best_coding(accept: bytes) -> bytes | None:
    """The coding that an Accept-Encoding header asks for; None for no coding."""
    wanted: dict[bytes, float] = {}
    for entry in accept.lower().split(b","):
        name, _, parameters = entry.partition(b";")
        name = name.strip()
        wanted[name] = max(wanted.get(name, 0.0), _quality(parameters))
    if b"*" in wanted:
        for name in WINDOW_BITS:
            wanted.setdefault(name, wanted[b"*"])
    best = max((name for name in wanted if name in WINDOW_BITS), key=wanted.__getitem__, default=None)
    return best if best is not None and wanted[best] > 0 else None


def _quality(parameters: bytes) -> float:
    _, marker, rest = parameters.partition(b"q=")
    if not marker:
        return 1.0
    try:
        return min(float(rest.partition(b";")[0]), 1.0)
    except ValueError:
        return 1.0


def encoded(body: bytes, coding: bytes) -> bytes:
    """`body` in a coding that `best_coding` has returned."""
    stream = zlib.compressobj(LEVEL, wbits=WINDOW_BITS[coding])
    return stream.compress(body) + stream.flush()
