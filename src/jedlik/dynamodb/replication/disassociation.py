"""Disassociation: the changes that a replica must still get from the others before it becomes a table of its own.

Meanwhile the replica goes on serving. The request closes the shards with the earlier writes, and the others get these
shards to the end; later writes are the replica's own (`replication.replica_updates`). It also gets the earlier writes
of the others: it asks each for the end of its log, records that in its job, and waits until it has come so far.

Source: "Disassociating a global table replica" in the developer guide, and the API reference of UpdateTable: the mode
WAIT_FOR_REPLICATION is the only one. They do not define the fate of writes that are made to the replica meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from jedlik.aws.errors import ServiceError
from jedlik.background.job_records import Job, State
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.replication import aside, peer_answers, pull_positions
from jedlik.dynamodb.replication.aside import PutAside
from jedlik.dynamodb.replication.pull_positions import PullPosition
from jedlik.regions.peers import PeerUnreachable
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

LOOK_SECONDS = 0.2
"""How long to wait for a peer's writes."""
UNREACHABLE_SECONDS = 5.0
"""How long to wait if a peer cannot be asked."""
_AWAITED = "Awaited"
"""In the state of the job: by peer, the end of its log when it was asked (SourceId and Position)."""

_log = logging.getLogger(__name__)


async def behind(region: Region, job: Job, table: Table, peers: Collection[str]) -> dict[str, float]:
    """Those of `peers` whose writes are not all here yet, or of which that is unknown, and how long to wait.

    The job records the ends of their logs, and which of them hold it up: then it has moved.
    """
    awaited: dict[str, Any] = job.state.get(_AWAITED, {})
    ends: dict[str, Any] = {}
    found = {}
    errors: dict[str, Exception | None] = {}
    for peer in peers:
        errors[peer] = None
        try:
            if peer not in awaited:
                answer = await peer_answers.ask(region, peer, "BeginCopy", _asking(table))
                ends[peer] = {name: answer[name] for name in ("SourceId", "Position")}
            elif await _has_all(region, table, peer, awaited[peer]):
                continue
            found[peer] = LOOK_SECONDS
        except (PeerUnreachable, PutAside) as error:
            errors[peer] = error
            found[peer] = UNREACHABLE_SECONDS
        except ServiceError as error:
            # It is incomplete itself, or has not received yet that this replica is being deleted.
            _log.debug("%s says: %s", peer, error, extra={"region": region.store, "table": table.name})
            found[peer] = LOOK_SECONDS
    state = aside.held_up(job.state, errors, region.clock())
    if ends:
        state = state | {_AWAITED: awaited | ends}
    if state is not job.state:
        _say(region, table, job.state, state)
        await _note(region, job, state)
    return found


def _say(region: Region, table: Table, before: State, after: State) -> None:
    """Log the peers that hold up the job since now, or for a new reason."""
    for one in {*aside.of_state(after)} - {*aside.of_state(before)}:
        where = {"region": region.store, "peer": one.region, "table": table.name}
        _log.warning("a replica cannot disassociate yet: %s", one.reason, extra=where)


async def _has_all(region: Region, table: Table, peer: str, end: dict[str, Any]) -> bool:
    """Whether all writes of a peer before `end` of its log are here."""
    pull = await pull_positions.read(region, table.id, peer) or PullPosition(peer, end["SourceId"])
    if pull.copying is not None or pull.source != end["SourceId"]:
        return False
    if pull.position >= end["Position"]:
        return True
    # While only changes of other regions are skipped, the position is seldom written. Are there any of the peer's own?
    asking = _asking(table) | {"Position": pull.position, "SourceId": pull.source, "GroupVersion": None}
    answer = await peer_answers.ask(region, peer, "Pull", {"Wait": 0, "Tables": [asking]})
    news = peer_answers.by_table(answer, [table.name]).get(table.name)
    if news is None:
        return False
    peer_answers.check_news(news, asking["GroupId"], pull.source, pull.position, region.clock())
    if "Entries" not in news or news["SourceId"] != end["SourceId"]:
        return False
    # The first change of its own that is not here; or it has none up to there.
    first: int = news["Entries"][0]["Position"] if news["Entries"] else news["Position"]
    awaited: int = end["Position"]
    return first >= awaited


def _asking(table: Table) -> dict[str, Any]:
    assert table.replica is not None
    return {"TableName": table.name, "GroupId": table.replica.group_id}


async def _note(region: Region, job: Job, state: State) -> None:
    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        job.advance(state, writes)
        return writes, None

    await region.engine.mutate([job.key], decide)
