"""A region: its store, its clock, its secret and its peers, as one process knows them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from jedlik.clock import Clock, TrustedClock
from jedlik.regions.object_places import ObjectPlaces
from jedlik.regions.peers import NoPeers, Peers
from jedlik.root_key import ABSENT, RootKey
from jedlik.storage.engine import Engine

if TYPE_CHECKING:
    from jedlik.storage.sealed_engine import SealedEngine

T = TypeVar("T")


class Described(Protocol):
    """An object that a process keeps for a stored description: equal descriptions are equal bytes."""

    @property
    def raw(self) -> bytes:
        """The description as it is stored."""
        ...


class NotServed(Exception):
    """A region is not served here. Its argument is the region's name."""


class NoAccount(Exception):
    """There is no such account. Its argument is the id."""


class TooManyOpen(Exception):
    """The greatest number of stores is open, and no other is opened. The text contains that number."""


class Elsewhere(Protocol):
    """The other regions of the same account that this process serves, with their stores."""

    async def use(self, name: str, work: Callable[[Region], Awaitable[T]]) -> T:
        """The result of `work` with the region of this name. Raises NotServed and TooManyOpen."""
        ...

    def requests(self) -> int:
        """How many requests have come to all open regions of this process."""
        ...


class NothingElsewhere:
    """For a region that stands alone."""

    async def use(self, name: str, work: Callable[[Region], Awaitable[T]]) -> T:
        """Raises NotServed."""
        raise NotServed(name)

    def requests(self) -> int:
        """None."""
        return 0


class Region:
    """One region's store and the process's knowledge of it."""

    __slots__ = (
        "account",
        "begun",
        "clock",
        "elsewhere",
        "ended",
        "engine",
        "jobs_wanted",
        "known",
        "most_tables",
        "name",
        "peers",
        "piece_key",
        "places",
        "policy_changes",
        "replicated",
        "root_key",
        "sealed",
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
        """The name of the store (`layout.store_name`): regions of the same name in two accounts have different ones."""
        self.engine = engine
        self.clock = TrustedClock(clock, steady)
        """Gives the time, even if `clock` jumps while `steady` does not."""
        engine.clock = self.clock
        self.secret = secret
        """The key of the store's hashes of partition keys."""
        self.peers = peers or NoPeers()
        """The other regions, as far as they are known here."""
        self.root_key: RootKey = ABSENT
        """Seals what must not lie open in the store (`root_key.place` names the place)."""
        self.sealed: SealedEngine | None = None
        """The engine, if it seals the values of the store."""
        self.elsewhere: Elsewhere = NothingElsewhere()
        """The other regions of the account that are served here, for what spans two of them."""
        self.piece_key: bytes | None = None
        """The key with which the pieces of its backups are sealed, if the values of its store are."""
        self.places: ObjectPlaces | None = None
        """Where its backups are kept, and the buckets that requests may name."""
        self.most_tables = 2500
        """How many it may have: the account's quota."""
        self.known: dict[str, Described] = {}
        """Each table as `dynamodb.catalog` has last seen it, by name. Possibly stale."""
        self.jobs_wanted = asyncio.Event()
        """Set when a background job has been written, so that the runner checks at once."""
        self.policy_changes = 0
        """How often policies of tables had been changed when `dynamodb.catalog` last looked."""
        self.begun = 0
        """Requests that have come here. The store is closed only when all of them have ended."""
        self.ended = 0
        """Requests that have been answered, or have failed."""
        self.replicated = False
        """Whether any table was a replica when pulling last looked."""

    @property
    def asked(self) -> int:
        """Changes whenever a request comes to this process: background work rests only while some do."""
        return self.begun + self.elsewhere.requests()
