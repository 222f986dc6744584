"""Checkpoints: how far a replica has come with the changes of each peer.

One record for each replicated table and peer. It is written in the same commit as the changes that it covers, and only
by one who has read it, so two workers that pull from the same peer cannot undo each other's work: the second finds that
the checkpoint has moved.

A position is one in the peer's log (`model.changelog`), and means nothing in another table that the peer may have made
under the same name meanwhile; so the record names the peer's table by its id.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson

from jedlik.dynamodb.model import keys, versions
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.replication import peer_messages
from jedlik.dynamodb.replication.forms import Misshapen, anything, flag, mapping, maybe, members, one_of
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

_PEERS = 100
"""More replicas than a table can have: AWS has fewer regions."""

ITEMS = "ITEMS"
ABSENT = "ABSENT"


_TIMES = mapping(peer_messages.REGION_NAME, peer_messages.TIME, _PEERS)
_FORM = members(
    {
        "region": peer_messages.REGION_NAME,
        "source": maybe(peer_messages.ID),
        "position": peer_messages.POSITION,
        "covered": peer_messages.TIME,
        "copying": maybe(
            members(
                {
                    "phase": one_of(ITEMS, ABSENT),
                    "cursor": maybe(peer_messages.CURSOR),
                    "again": flag,
                    "since": peer_messages.TIME,
                    "seen": _TIMES,
                    "seen_here": _TIMES,
                    "covered": peer_messages.TIME,
                }
            )
        ),
        "latency": anything,
    }
)


class CheckpointMoved(Exception):
    """Another worker has moved the checkpoint meanwhile."""


@dataclass(frozen=True, slots=True)
class Copying:
    """That the peer's table is being copied, and how far that is (`replication.copying`)."""

    phase: str = ITEMS
    """ITEMS: what the peer has is being taken over. ABSENT: what it does not have is being dealt with."""
    cursor: str | None = None
    """Where the phase goes on; None at its beginning."""
    again: bool = False
    """Whether this replica has been one before, and has been away for too long."""
    since: float = 0.0
    """When the copying began, in seconds since the epoch."""
    seen: dict[str, float] = field(default_factory=dict)
    """By region: the time up to which the peer had seen that region's writes when the copying began."""
    seen_here: dict[str, float] = field(default_factory=dict)
    """The same of this replica."""
    covered: float = 0.0
    """What the checkpoint will cover when the copying is done."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a replica has come with the changes of one peer."""

    region: str
    """The peer."""
    source: str | None = None
    """TableId of the peer's table; None as long as nothing is known of it."""
    position: int = 0
    """In the peer's log: everything before it has been applied."""
    covered: float = 0.0
    """By the peer's clock, in seconds since the epoch: its writes up to then have been applied. While the peer's table
    is copied, this says what had been applied before."""
    copying: Copying | None = None
    """None while changes are pulled."""
    latency: dict[str, float] = field(default_factory=dict)
    """ReplicationLatency from the peer when the record was written, in milliseconds (`latency`)."""

    def moved(self, **changes: Any) -> Checkpoint:
        """The checkpoint with other members."""
        return replace(self, **changes)


def key(table_id: bytes, peer: str) -> bytes:
    """Of the checkpoint of a table for a peer."""
    return keys.checkpoint_key(table_id, versions.region_id(peer))


def encode(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as it is stored."""
    return orjson.dumps(asdict(checkpoint))


def parse(raw: bytes) -> Checkpoint:
    """The checkpoint that is stored. Raises ValueError, TypeError or KeyError for what is none.

    What a peer has answered was once kept unchecked. In place of a position that is none the checkpoint has the first
    one, in no table that the peer has: so it begins anew, and what it has applied comes to the same again.
    """
    stored = orjson.loads(raw)
    copying = stored.pop("copying")
    checkpoint = Checkpoint(**stored, copying=None if copying is None else Copying(**copying))
    return checkpoint if fault(raw) is None else Checkpoint(checkpoint.region)


def fault(raw: bytes) -> str | None:
    """What is wrong with what a stored checkpoint has of a peer; None if nothing is."""
    try:
        _FORM(orjson.loads(raw), "")
    except Misshapen as error:
        return f"its {error}"
    return None


async def read(region: Region, table_id: bytes, peer: str) -> Checkpoint | None:
    """The checkpoint of a table for a peer; None as long as nothing has come from there."""
    [raw] = await region.engine.get([key(table_id, peer)])
    return None if raw is None else parse(raw)


async def fault_of(region: Region, table_id: bytes, peer: str) -> str | None:
    """What is wrong with the stored checkpoint of a table for a peer; None if nothing is, or there is none."""
    [raw] = await region.engine.get([key(table_id, peer)])
    return None if raw is None else fault(raw)


async def of_table(region: Region, table_id: bytes) -> list[Checkpoint]:
    """All checkpoints of a table."""
    rows = await region.engine.range(*keys.checkpoint_range(table_id), _PEERS, MIB)
    return [parse(raw) for _, raw in rows]


def check(expected: Checkpoint | None, raw: bytes | None) -> None:
    """Raises CheckpointMoved unless `raw`, read in the mutation, is the checkpoint that the caller knows."""
    if (None if raw is None else parse(raw)) != expected:
        raise CheckpointMoved


def forget(table_id: bytes, peer: str, writes: Writes) -> None:
    """Remove the checkpoint for a peer that has no replica any more."""
    writes.delete(key(table_id, peer))
