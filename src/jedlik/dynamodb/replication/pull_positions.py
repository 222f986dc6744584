"""Pull positions: how many of the changes of each peer a replica has applied.

There is one record for each replicated table and peer. It is written in the same commit as the changes that it covers,
and only after it was read, so two workers that pull from the same peer cannot undo each other's work: the second finds
that the pull position has moved.

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


class PositionMoved(Exception):
    """Another worker has moved the pull position meanwhile."""


@dataclass(frozen=True, slots=True)
class Copying:
    """The progress of copying the peer's table (`replication.copying`)."""

    phase: str = ITEMS
    """ITEMS: the peer's items are being copied. ABSENT: items that it does not have are being examined."""
    cursor: str | None = None
    """The place where the phase goes on; None at its beginning."""
    again: bool = False
    """Whether this replica existed before, and has been away for too long."""
    since: float = 0.0
    """When the copying began, in seconds since the epoch."""
    seen: dict[str, float] = field(default_factory=dict)
    """By region: the time up to which the peer had seen that region's writes when the copying began."""
    seen_here: dict[str, float] = field(default_factory=dict)
    """The same of this replica."""
    covered: float = 0.0
    """The value of `covered` once the copying is done."""


@dataclass(frozen=True, slots=True)
class PullPosition:
    """How many of the changes of one peer a replica has applied."""

    region: str
    """The peer."""
    source: str | None = None
    """TableId of the peer's table; None as long as it is unknown."""
    position: int = 0
    """In the peer's log: everything before it has been applied."""
    covered: float = 0.0
    """By the peer's clock, in seconds since the epoch: its writes up to then have been applied. While the peer's table
    is copied, this is the time before that."""
    copying: Copying | None = None
    """None while changes are pulled."""
    latency: dict[str, float] = field(default_factory=dict)
    """ReplicationLatency from the peer when the record was written, in milliseconds (`latency`)."""

    def moved(self, **changes: Any) -> PullPosition:
        """The pull position with other members."""
        return replace(self, **changes)


def key(table_id: bytes, peer: str) -> bytes:
    """The key of the pull position of a table for a peer."""
    return keys.checkpoint_key(table_id, versions.region_id(peer))


def encode(pull: PullPosition) -> bytes:
    """A pull position as it is stored."""
    return orjson.dumps(asdict(pull))


def parse(raw: bytes) -> PullPosition:
    """The stored pull position. Raises ValueError, TypeError or KeyError if it is malformed.

    Earlier versions stored peers' answers unchecked. In place of an invalid position the pull position gets the first
    one, in no table of the peer: so replication starts again, and reapplying changes makes no difference.
    """
    stored = orjson.loads(raw)
    copying = stored.pop("copying")
    pull = PullPosition(**stored, copying=None if copying is None else Copying(**copying))
    return pull if fault(raw) is None else PullPosition(pull.region)


def fault(raw: bytes) -> str | None:
    """The fault of the peer's part of a stored pull position; None if it has none."""
    try:
        _FORM(orjson.loads(raw), "")
    except Misshapen as error:
        return f"its {error}"
    return None


async def read(region: Region, table_id: bytes, peer: str) -> PullPosition | None:
    """The pull position of a table for a peer; None as long as no change has come from there."""
    [raw] = await region.engine.get([key(table_id, peer)])
    return None if raw is None else parse(raw)


async def fault_of(region: Region, table_id: bytes, peer: str) -> str | None:
    """The fault of the stored pull position of a table for a peer; None if it has none, or does not exist."""
    [raw] = await region.engine.get([key(table_id, peer)])
    return None if raw is None else fault(raw)


async def of_table(region: Region, table_id: bytes) -> list[PullPosition]:
    """All pull positions of a table."""
    rows = await region.engine.range(*keys.checkpoint_range(table_id), _PEERS, MIB)
    return [parse(raw) for _, raw in rows]


def check(expected: PullPosition | None, raw: bytes | None) -> None:
    """Raises PositionMoved unless `raw`, read in the mutation, is the pull position that the caller knows."""
    if (None if raw is None else parse(raw)) != expected:
        raise PositionMoved


def forget(table_id: bytes, peer: str, writes: Writes) -> None:
    """Remove the pull position for a peer that no longer has a replica."""
    writes.delete(key(table_id, peer))
