"""Membership: brings the tables of a region, and their replicas elsewhere, to what group documents say.

A group document (`model.replicas`) comes with pulls, with calls of peers, and from UpdateTable. `follow` writes what it
says into a descriptor, together with the jobs that it makes necessary: filling and removing indexes, and, for each
replica that is coming or going, one of these:

- REPLICA, in a region one of whose peers is CREATING a replica of the one here, or DELETING one: asks the peer to
  `Join` or to `Leave`. Both may be asked any number of times.
- DEPARTURE, in the region whose own replica is DELETING: waits until every other replica has left it, which is when it
  has pulled the last change that was made here, and deletes the table (or, when it is to be kept, lets it be an
  ordinary table). One that disassociates serves its items all the while: what it gives away ends with the commit that
  begins this, and it waits for what the others had written, too (`disassociation`).

So nothing that was acknowledged in a region is lost when its replica is deleted: writes are refused from the commit
with which its own descriptor says DELETING, and what was written before that is pulled by all. A peer that does not
come for as long as the change log is kept is not waited for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import orjson

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import Job, JobMoved, JobWaits
from jedlik.background.work import JobKind, Unfinished
from jedlik.dynamodb.errors import ResourceInUseException
from jedlik.dynamodb.items import expiring
from jedlik.dynamodb.model import descriptors, keys, replicas, shared_settings, streams
from jedlik.dynamodb.model.limits import STREAM_RETENTION_SECONDS
from jedlik.dynamodb.model.replicas import ACTIVE, CREATING, DELETED, DELETING, Group
from jedlik.dynamodb.model.tables import Document, Table
from jedlik.dynamodb.replication import answers, aside, disassociation, group_documents, pull_positions
from jedlik.dynamodb.replication.aside import PutAside
from jedlik.dynamodb.tables import backfill, purge
from jedlik.regions.peers import PeerUnreachable
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

REPLICA = "REPLICA"
DEPARTURE = "DEPARTURE"

UNREACHABLE_SECONDS = 5.0
"""How long a job rests when its peer cannot be reached."""
WAITING_SECONDS = 0.2
"""How long a job rests when a peer is not as far yet."""

_log = logging.getLogger(__name__)


async def adopt(region: Region, name: str, theirs: Group) -> None:
    """Take over what another copy of a table's group document says, if there is still such a replica.

    The document has been checked (`documents.check`). Raises WrongAnswer for what cannot be followed.
    """
    now = region.clock()
    key = keys.descriptor_key(name)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, bool]:
        writes = Writes()
        document: Document = orjson.loads(values[0]) if values[0] is not None else {}
        ours = document.get("Replication")
        if ours is None or ours["GroupId"] != theirs["GroupId"]:
            return writes, False
        merged = replicas.merge(ours, theirs)
        if merged == ours:
            return writes, False
        group_documents.check_merged(document, merged)
        writes.put(key, descriptors.serialize(follow(document, merged, now, writes)))
        return writes, True

    if await region.engine.mutate([key], decide):
        region.jobs_wanted.set()


def follow(document: Document, group: Group, now: float, writes: Writes) -> Document:
    """A replica's descriptor that follows `group`, its group document from now on; the jobs go to `writes`."""
    own = replicas.region_of(document)
    was_active = replicas.status(document["Replication"], own)["Status"] == ACTIVE
    if was_active and replicas.status(group, own)["Status"] == CREATING:
        # Created by two regions at once: the later creation is what counts, and there is nothing more to copy.
        group = replicas.moved(group, own, ACTIVE, now)
    taken = shared_settings.applied(document | {"Replication": group}, now)
    document = taken.document
    for number in taken.new_indexes:
        backfill.submit(document, number, writes)
    for number in taken.gone_indexes:
        purge.submit_index(document, number, writes)
    if taken.expiry_changed:
        expiring.submit(document, writes)
    if replicas.regions(group) == [own]:
        return ordinary(document, writes)
    if replicas.status(group, own)["Status"] != DELETING:
        document = _without(document, "LeftBy", "ToldShards")
    _submit_members(document, writes)
    return document


def ordinary(document: Document, writes: Writes) -> Document:
    """The descriptor of a table that is no replica any more. Its stream stays, and the settings of its own."""
    purge.submit_replication(document, writes)
    view_type = document["StreamSpecification"]["StreamViewType"]
    document = shared_settings.effective(document)
    return _without(document, "Replication", "LeftBy", "ToldShards", "DisassociationProtectionEnabled") | {
        "ChangeLog": document["ChangeLog"] | streams.images(view_type)
    }


def _without(document: Document, *members: str) -> Document:
    return {name: value for name, value in document.items() if name not in members}


def activated(document: Document, now: float) -> Document:
    """The descriptor of a replica that has copied what there was."""
    own = replicas.region_of(document)
    return document | {"Replication": replicas.moved(document["Replication"], own, ACTIVE, now)}


def left(document: Document, peer: str) -> Document:
    """The descriptor of a replica that is going, when the replica in `peer` has all that was written here."""
    return document | {"LeftBy": sorted({*document.get("LeftBy", ()), peer})}


def _submit_members(document: Document, writes: Writes) -> None:
    group, own, table_id = document["Replication"], replicas.region_of(document), document["TableId"]
    state = {"TableName": document["TableName"], "TableId": table_id}
    for peer in replicas.regions(group):
        status = replicas.status(group, peer)
        if peer == own:
            if status["Status"] == DELETING:
                job_records.submit(f"departure/{table_id}", DEPARTURE, state, writes)
        elif status["Status"] == DELETING or (status["Status"] == CREATING and status["Source"] == own):
            job_records.submit(f"replica/{table_id}/{peer}", REPLICA, state | {"Peer": peer}, writes)


async def abandon(region: Region, table: Table) -> None:
    """End a replica that is still being made when its source, the only other region, knows nothing of it any more.

    It was removed before it had joined: its creation came late. Nothing has been written to it by anyone.
    """
    if table.replica is None or table.replica.status != CREATING:
        return
    key, now, document = table.descriptor_key, region.clock(), table.document

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        if values[0] == table.raw:
            if replicas.status(document["Replication"], region.name).get("Existing"):
                writes.put(key, descriptors.serialize(ordinary(document, writes)))
            else:
                purge.delete_table(document, streams.current(document, values[1:]), now, writes)
        return writes, None

    _log.warning("a replica is abandoned by its source", extra={"region": region.store, "table": table.name})
    await region.engine.mutate([key, *streams.current_key(document)], decide)


# A replica elsewhere


async def step(region: Region, job: Job) -> None:
    """Ask the peer to join or to leave, and note the outcome. Raises JobMoved and JobWaits."""
    table, peer = await _table_of(region, job), job.state["Peer"]
    status = None if table is None else replicas.status(table.document["Replication"], peer)["Status"]
    ask = {CREATING: _join, DELETING: _leave}.get(status or "")
    outcome = None
    if table is not None and ask is not None:
        try:
            outcome = await ask(region, table, peer)
        except (PeerUnreachable, PutAside, ServiceError) as error:
            await _held_up(region, job, peer, error)
            raise JobWaits(UNREACHABLE_SECONDS) from error
        except JobWaits:
            await _held_up(region, job, peer, None)
            raise

    def noted(document: Document, now: float, writes: Writes) -> Document | None:
        if outcome is None:
            return None
        pull_positions.forget(keys.table_id(document["TableId"]), peer, writes)
        aside.forget(keys.table_id(document["TableId"]), peer, writes)
        return follow(document, replicas.moved(document["Replication"], peer, outcome, now), now, writes)

    await _finish(region, job, table, noted)


async def _join(region: Region, table: Table, peer: str) -> str | None:
    """Have the peer make its replica. DELETED if it cannot be: the peer has another table of that name by now."""
    document = table.document
    request = {
        "TableName": table.name,
        "Group": document["Replication"],
        "KeySchema": document["KeySchema"],
        "LocalSecondaryIndexes": document.get("LocalSecondaryIndexes", []),
        "AttributeDefinitions": document["AttributeDefinitions"],
    }
    try:
        await answers.ask(region, peer, "Join", request)
    except ResourceInUseException as error:
        _log.error("no replica in %s: %s", peer, error.message, extra={"region": region.store, "table": table.name})
        return DELETED
    return None


async def _leave(region: Region, table: Table, peer: str) -> str | None:
    """Tell the peer how much of its changes has come here; DELETED when it has deleted its table. Raises JobWaits."""
    checkpoint = await pull_positions.read(region, table.id, peer)
    position = 0 if checkpoint is None or checkpoint.copying else checkpoint.position
    group = table.document["Replication"]
    request = {"TableName": table.name, "Group": group, "Region": region.name, "Position": position}
    answer = await answers.ask(region, peer, "Leave", request)
    if not answer["Gone"]:
        raise JobWaits(WAITING_SECONDS)
    return DELETED


async def _held_up(region: Region, job: Job, peer: str, error: Exception | None) -> None:
    """Log and note that a peer does not do as it is asked, if the reason is new, or that it does again."""
    state = aside.held_up(job.state, {peer: error}, region.clock())
    if state is job.state:
        return
    where = {"region": region.store, "table": job.state["TableName"]}
    if error is not None:
        _log.warning("a peer cannot be asked: %s", error, extra=where)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        job.advance(state, writes)
        return writes, None

    await region.engine.mutate([job.key], decide)


# The replica here


async def departure_step(region: Region, job: Job) -> None:
    """Delete the table, or make it an ordinary one, when all have its changes. Raises JobMoved and JobWaits."""
    table = await _table_of(region, job)
    if table is None or table.replica is None or table.replica.status != DELETING:
        await _finish(region, job, table, lambda *_: None)
        return
    group = table.document["Replication"]
    staying = {peer for peer in table.replica.peers if replicas.status(group, peer)["Status"] != DELETING}
    missing = dict.fromkeys(staying - set(table.document.get("LeftBy", ())), WAITING_SECONDS)
    if table.replica.disassociates:
        missing |= await disassociation.behind(region, job, table, staying)
    now, clock = region.clock(), region.clock
    waited = clock.slowest() - replicas.status(group, region.name)["Since"]
    if missing and (clock.doubtful or waited < STREAM_RETENTION_SECONDS):
        raise JobWaits(max(missing.values()))
    if missing:
        _log.warning(
            "a replica goes unseen by %s",
            ", ".join(sorted(missing)),
            extra={"region": region.store, "table": table.name},
        )

    kept = replicas.status(group, region.name).get("Kept", False)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        if values[1] != table.raw:
            raise JobMoved
        writes = Writes()
        if kept:
            writes.put(table.descriptor_key, descriptors.serialize(ordinary(table.document, writes)))
        else:
            purge.delete_table(table.document, streams.current(table.document, values[2:]), now, writes)
        job.finish(writes)
        return writes, None

    stream_key = streams.current_key(table.document)
    await region.engine.mutate([job.key, table.descriptor_key, *stream_key], decide)
    region.jobs_wanted.set()


# Of both


async def _table_of(region: Region, job: Job) -> Table | None:
    """The replica that a job is about; None if it is a replica no more."""
    [raw] = await region.engine.get([keys.descriptor_key(job.state["TableName"])])
    table = None if raw is None else descriptors.parse(raw)
    if table is None or table.replica is None or table.document["TableId"] != job.state["TableId"]:
        return None
    return table


Change = Callable[[Document, float, Writes], Document | None]
"""Makes another descriptor of a descriptor; None leaves it as it is."""


async def _finish(region: Region, job: Job, table: Table | None, change: Change) -> None:
    """End a job that has found `table`, with a change of it.

    A change of the table in between may have made the same job necessary again, so it is then looked at anew.
    """
    now = region.clock()
    key = keys.descriptor_key(job.state["TableName"])

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        if table is not None and values[1] != table.raw:
            raise JobMoved
        writes = Writes()
        changed = None if table is None else change(table.document, now, writes)
        if changed is not None:
            writes.put(key, descriptors.serialize(changed))
        job.finish(writes)
        return writes, None

    await region.engine.mutate([job.key, key], decide)


# As declared


def _leaving(document: Document) -> Iterator[Unfinished]:
    """The replicas elsewhere that are to go."""
    for peer in sorted(_going(document) - {replicas.region_of(document)}):
        yield Unfinished(f"its replica in {peer} is to go", {"TableId": document["TableId"], "Peer": peer})


def _departing(document: Document) -> Iterator[Unfinished]:
    """The replica here, if it is to go."""
    if replicas.region_of(document) in _going(document):
        yield Unfinished("it is to go as a replica", {"TableId": document["TableId"]})


def _going(document: Document) -> set[str]:
    group = document.get("Replication")
    if group is None:
        return set()
    return {peer for peer in replicas.regions(group) if replicas.status(group, peer)["Status"] == DELETING}


REPLICA_JOB = JobKind(REPLICA, step, state={"TableName": str, "TableId": str, "Peer": str}, finishes=_leaving)
DEPARTURE_JOB = JobKind(DEPARTURE, departure_step, state={"TableName": str, "TableId": str}, finishes=_departing)
