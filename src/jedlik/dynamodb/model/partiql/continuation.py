"""NextToken: the position where a SELECT goes on, in a form that clients keep and give back.

A token contains the number of the partition that is being read and the last key read in it. It is sealed with the
store's secret and bound to the statement and its parameters, so that no client can forge one or use one for another
statement.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest

import orjson

from jedlik.dynamodb.model.partiql.errors import invalid
from jedlik.dynamodb.model.values import AttributeValue, Item

_SEAL = 16
_FINGERPRINT = 12


@dataclass(frozen=True, slots=True)
class Position:
    """Where a read has come to."""

    partition: int = 0
    """The plan's partition that comes next, from 0; for a scan always 0."""
    key: Item | None = None
    """The key after which reading goes on in it; None for its beginning."""


def token(position: Position, text: str, parameters: Sequence[AttributeValue], secret: bytes) -> str:
    """The NextToken of a position in the reading of a statement with normalised parameters."""
    content = orjson.dumps((_fingerprint(text, parameters).hex(), position.partition, position.key))
    return b64encode(_seal(content, secret) + content).decode()


def position(token: str, text: str, parameters: Sequence[AttributeValue], secret: bytes) -> Position:
    """The position in a NextToken. Raises ValidationException unless it was made for the same statement."""
    try:
        raw = b64decode(token, validate=True)
    except (Error, ValueError):
        raw = b""
    seal, content = raw[:_SEAL], raw[_SEAL:]
    if not compare_digest(seal, _seal(content, secret)):
        raise invalid("Invalid NextToken")
    fingerprint, partition, key = orjson.loads(content)
    if fingerprint != _fingerprint(text, parameters).hex():
        raise invalid("NextToken does not match request")
    return Position(partition, key)


def _seal(content: bytes, secret: bytes) -> bytes:
    return blake2b(content, digest_size=_SEAL, key=secret, person=b"PartiQL token").digest()


def _fingerprint(text: str, parameters: Sequence[AttributeValue]) -> bytes:
    asked = orjson.dumps((text, parameters), option=orjson.OPT_SORT_KEYS)
    return blake2b(asked, digest_size=_FINGERPRINT).digest()
