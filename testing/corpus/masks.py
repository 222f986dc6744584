"""Masks: which parts may differ between two runs of the same requests, and how a later request follows an earlier
answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

HANDED_OUT = frozenset(
    {
        "BulkOperationArn",
        "EndingSequenceNumber",
        "LatestStreamArn",
        "LatestStreamLabel",
        "NextShardIterator",
        "NextToken",
        "ParentShardId",
        "SequenceNumber",
        "ShardId",
        "ShardIterator",
        "StartingSequenceNumber",
        "StreamArn",
        "StreamLabel",
        "TableId",
        "eventID",
        "LastEvaluatedShardId",
        "LastEvaluatedStreamArn",
    }
)
"""Members of answers that are new in each run, and that later requests may repeat."""

_VARYING = re.compile(
    rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # a uuid
    rb"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?"  # the label of a stream
    rb"|\b(?:1[6-9]|2[0-4])\d{8}(?:\.\d+)?\b"  # seconds since the epoch
    rb'|(?<="NextToken":")[^"]+'
)
_MEMBER = re.compile(rb'"(' + "|".join(sorted(HANDED_OUT)).encode() + rb')":"[^"]*"')


def masked(body: bytes) -> bytes:
    """An answer's body without the parts that may differ between two runs."""
    return _VARYING.sub(b"*", _MEMBER.sub(rb'"\1":"*"', body))


def handed_out(recorded: bytes, replayed: bytes) -> Iterator[tuple[str, str]]:
    """Pairs of different strings: one that the recorded answer gave, and the one that the replayed answer gave in its
    place."""
    try:
        yield from _pairs(orjson.loads(recorded), orjson.loads(replayed), None)
    except orjson.JSONDecodeError:
        return


def _pairs(old: Any, new: Any, member: str | None) -> Iterator[tuple[str, str]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old.keys() & new.keys():
            yield from _pairs(old[name], new[name], name)
    elif isinstance(old, list) and isinstance(new, list):
        for one, other in zip(old, new, strict=False):
            yield from _pairs(one, other, member)
    elif isinstance(old, str) and isinstance(new, str) and old != new and member in HANDED_OUT:
        yield old, new
