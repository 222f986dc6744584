"""A region: its store, its clock, its secret and its peers, as one process knows them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from jedlik.clock import Clock, TrustedClock
from jedlik.regions.peers import NoPeers, Peers
from jedlik.storage.engine import Engine


class Described(Protocol):
    """What a process remembers of something that the store describes: equal descriptions are equal bytes."""

    @property
    def raw(self) -> bytes:
        """The description as it is stored."""
        ...


class NotServed(Exception):
    """A region is not served here. Its argument is the region's name."""


class NoAccount(Exception):
    """There is no such account. Its argument is the id."""


class TooManyOpen(Exception):
    """So many stores are open that no other is opened. Says how many."""


class Region:
    """One region's store and what a process knows of it."""

    __slots__ = (
        "account",
        "begun",
        "clock",
        "ended",
        "engine",
        "jobs_wanted",
        "known",
        "name",
        "peers",
        "replicated",
        "secret",
        "store",
    )

    def __init__(
        self,
        name: str,
        account: str,
        engine: Engine,
        clock: Clock,
        secret: bytes,
        peers: Peers | None = None,
        steady: Callable[[], float] | None = None,
    ) -> None:
        self.name = name
        self.account = account
        """Twelve digits, as in ARNs."""
        self.store = name
        """What the store is called (`layout.store_name`): of two accounts' regions of one name, each has another."""
        self.engine = engine
        self.clock = TrustedClock(clock, steady)
        """Says what time it is, also where `clock` jumps while `steady` does not."""
        engine.clock = self.clock
        self.secret = secret
        """The key of the store's hashes of partition keys."""
        self.peers = peers or NoPeers()
        """The other regions, as far as they are known here."""
        self.known: dict[str, Described] = {}
        """What `dynamodb.catalog` has last seen of each table, by name. Possibly stale."""
        self.jobs_wanted = asyncio.Event()
        """Set when a background job has been written, so that the runner looks at once."""
        self.begun = 0
        """Requests that have come here. The store is closed only when all have ended."""
        self.ended = 0
        """Requests that have been answered, or have failed."""
        self.replicated = False
        """Whether any table was a replica when pulling last looked."""
