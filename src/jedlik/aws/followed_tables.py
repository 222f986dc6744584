"""Following the writes of a table: what a cache needs of the service that has the tables.

The service gives each write a position, in commit order (`storage.engine`). A follower has a name, so one that begins
again after a crash takes its own place. One that neither asks for changes nor renews is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from jedlik.regions.region import Region


class Lost(Exception):
    """It is not known what has changed: the table is gone, or the follower was away for too long."""


class Written(NamedTuple):
    """A write of one item."""

    position: int
    key: Mapping[str, Any]
    """The item's key, in DynamoDB's JSON."""


class Changes(NamedTuple):
    """Some writes, in their order."""

    written: Sequence[Written]
    more: bool
    """Whether there are more at once."""


class Followed(Protocol):
    """A table that is being followed."""

    async def changes(self) -> Changes:
        """The writes since the last call. Raises Lost."""
        ...

    async def renew(self) -> None:
        """Show that the follower is still there. Raises Lost."""
        ...

    async def end(self) -> None:
        """Follow no more."""
        ...


class Follow(Protocol):
    """Begins to follow a table: every write that is committed from now on is among the changes."""

    async def __call__(self, region: Region, table: str, name: str) -> Followed:
        """Raises ServiceError if there is no such table, and Lost if it cannot be followed."""
        ...
