"""Answers of peers, as far as they can be taken over: a peer is a stranger, and its answers are checked like requests.

What no region answers raises WrongAnswer, and what must wait PutAside; the table that it is about is then put aside
(`aside`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from jedlik.model import remote_changes, versions
from jedlik.model.errors import DynamoDBError
from jedlik.model.remote_changes import RemoteChange
from jedlik.model.tables import Table
from jedlik.replication.aside import PutAside, WrongAnswer

TURN_SECONDS = 0.01
"""How long the changes of an answer keep the event loop from others while they are checked."""


async def changes(
    table: Table, told: Sequence[dict[str, Any]], now: float
) -> tuple[list[RemoteChange], PutAside | None]:
    """The changes that a peer tells of a table, up to the first that cannot be taken over, and why that cannot.

    `now` is in seconds since the epoch.
    """
    taken: list[RemoteChange] = []
    begun = time.perf_counter()
    for each in told:
        try:
            taken.append(_change(table, each, now))
        except PutAside as refusal:
            return taken, refusal
        if time.perf_counter() - begun > TURN_SECONDS:
            await asyncio.sleep(0)
            begun = time.perf_counter()
    return taken, None


def _change(table: Table, told: dict[str, Any], now: float) -> RemoteChange:
    """The change that a peer tells. Raises PutAside."""
    try:
        change = remote_changes.parse(told)
    except (ValueError, LookupError, TypeError, AttributeError, DynamoDBError) as error:
        raise WrongAnswer(f"a change is none: {error}") from error
    if versions.is_ahead(change.version, now):
        raise PutAside("a version is ahead of the clock here by more than ten minutes")
    return change
