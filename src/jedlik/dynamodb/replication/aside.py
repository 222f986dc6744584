"""Tables put aside: their peer gives unusable answers, so they pause and are requested again later.

Code that uses an answer raises PutAside for the table that the answer concerns (`replication.exchange` catches it, in
one place). Nothing that was refused is applied and nothing is skipped: the position stays before it. Other tables of
the same peer, and other peers, go on. The table is requested again after a pause that grows up to a minute, and returns
by itself with the first usable answer.

While a table is aside, the store has a record of it, for `jedlik stats` and for the worker that has the lease next.
Without the record it would be put aside all the same. A job that a peer holds up (`replication.membership`) has such a
record in its state: a peer may answer its questions wrongly, and pulls of the table rightly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import orjson

from jedlik.background.job_records import State
from jedlik.dynamodb.errors import without_values
from jedlik.dynamodb.model import keys, versions
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.replication import replicated
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

FIRST_REST_SECONDS = 1.0
LAST_REST_SECONDS = 60.0
"""How long a table that is put aside pauses: twice as long each time, within these bounds."""
_HELD_UP = "HeldUp"
"""In the state of a job: by peer, the reason why it holds the job up, and since when."""
_LONGEST_REASON = 300
"""Characters. A reason may quote a peer's answer."""


class PutAside(Exception):
    """A peer's answer about a table is unusable, at least now. The text gives the reason.

    The text contains no figures that move, so it stays the same as long as the reason does: a new text is logged.
    """

    @property
    def reason(self) -> str:
        """Why, fit for a log."""
        return reason_of(self)


class WrongAnswer(PutAside):
    """A peer gives an answer that no region gives."""


@dataclass(frozen=True, slots=True)
class Aside:
    """The record that a table is put aside for one peer."""

    region: str
    """The peer."""
    reason: str
    since: float
    """In seconds since the epoch, by the clock here."""


def reason_of(error: Exception) -> str:
    """The text of an error, in a form for the log."""
    text = without_values(str(error))[:_LONGEST_REASON]
    return text if text.isprintable() else ascii(text)


def rest(times: int) -> float:
    """How many seconds a table pauses that has been put aside this many times in a row before."""
    return min(FIRST_REST_SECONDS * 2.0 ** min(times, 10), LAST_REST_SECONDS)


def parse(raw: bytes) -> Aside:
    """The stored record. Raises ValueError or TypeError if it is malformed."""
    return Aside(**orjson.loads(raw))


async def read(region: Region, table: Table, peer: str) -> Aside | None:
    """The stored record of a table that is put aside for a peer; None if it is not."""
    [raw] = await region.engine.get([_key(table, peer)])
    return None if raw is None else parse(raw)


async def note(region: Region, table: Table, aside: Aside) -> None:
    """Store that a table is put aside, if the table still exists."""
    key = _key(table, aside.region)
    await _write(region, table, lambda writes: writes.put(key, orjson.dumps(asdict(aside))))


async def clear(region: Region, table: Table, peer: str) -> None:
    """Store that a table is no longer put aside."""
    await _write(region, table, lambda writes: writes.delete(_key(table, peer)))


def forget(table_id: bytes, peer: str, writes: Writes) -> None:
    """Remove the record for a peer that no longer has a replica."""
    writes.delete(keys.aside_key(table_id, versions.region_id(peer)))


# In the state of a job


def of_state(state: State) -> Iterator[Aside]:
    """The peers that hold up a job, and their reasons. Raises TypeError or AttributeError if the state is malformed."""
    for peer, known in state.get(_HELD_UP, {}).items():
        yield Aside(peer, **known)


def held_up(state: State, errors: Mapping[str, Exception | None], now: float) -> State:
    """The state of a job that peers hold up now, by `errors`, or no longer hold up, by None. The same state if nothing
    is new."""
    before: dict[str, Any] = state.get(_HELD_UP, {})
    after = before
    for peer, error in errors.items():
        known, reason = before.get(peer), None if error is None else reason_of(error)
        if reason is None:
            after = {other: why for other, why in after.items() if other != peer}
        elif known is None or known["reason"] != reason:
            after = after | {peer: {"reason": reason, "since": now if known is None else known["since"]}}
    if after == before:
        return state
    return {name: value for name, value in state.items() if name != _HELD_UP} | ({_HELD_UP: after} if after else {})


def _key(table: Table, peer: str) -> bytes:
    return keys.aside_key(table.id, versions.region_id(peer))


async def _write(region: Region, table: Table, fill: Callable[[Writes], None]) -> None:
    """Commit the writes of `fill`, unless the table has been deleted: its rows are purged only once."""

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        current = None if found[0] is None else replicated.parse(found[0])
        if current is not None and current.table.id == table.id:
            fill(writes)
        return writes, None

    await region.engine.mutate([table.descriptor_key], decide)
