"""Membership: makes the tables of a region, and their replicas elsewhere, follow their group documents.

A group document (`model.replicas`) comes with pulls, with calls of peers, and from UpdateTable. `follow` applies it to
a descriptor, and submits the jobs that become necessary: filling and removing indexes, and, for each replica that is
created or deleted, one of these:

- REPLICA, in a region one of whose peers is CREATING a replica of the one here, or DELETING one: asks the peer to
  `Join` or to `Leave`. Both may be repeated any number of times.
- DEPARTURE, in the region whose own replica is DELETING: waits until every other replica has left it, which is when it
  has pulled the last change that was made here, and deletes the table (or, if it is to be kept, makes it an ordinary
  table). A replica that disassociates serves its items all the while: the others get only the changes before the commit
  that begins this, and it waits for their earlier writes, too (`disassociation`).

So no acknowledged write is lost when a region's replica is deleted: writes are refused from the commit that sets its
own descriptor to DELETING, and earlier ones are pulled by all. A peer that stays away for as long as the change log is
kept is not waited for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import Job, JobMoved, JobWaits
from jedlik.background.work import JobKind, Unfinished
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.backups import last_backups
from jedlik.dynamodb.changes import readers
from jedlik.dynamodb.encryption import key_changes
from jedlik.dynamodb.errors import ResourceInUseException
from jedlik.dynamodb.items import expiring
from jedlik.dynamodb.model import descriptors, log_readers, replicas, shared_settings, streams
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.limits import STREAM_RETENTION_SECONDS
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.replicas import ACTIVE, CREATING, DELETED, DELETING, Group
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.replication import aside, disassociation, group_documents, peer_answers, pull_positions
from jedlik.dynamodb.replication.aside import PutAside
from jedlik.dynamodb.tables import backfill, purge
from jedlik.regions.peers import PeerUnreachable
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

REPLICA = "REPLICA"
DEPARTURE = "DEPARTURE"

UNREACHABLE_SECONDS = 5.0
"""How long a job pauses when its peer cannot be reached."""
WAITING_SECONDS = 0.2
"""How long a job pauses when a peer has not come so far."""
RESTORED_SECONDS = 1.0
"""How long a deletion pauses while a table is restored from the replica."""

_log = logging.getLogger(__name__)


async def adopt(region: Region, name: str, theirs: Group) -> None:
    """Merge another copy of a table's group document, if the replica still exists.

    The document has been checked (`group_documents.check`). Raises WrongAnswer if the result is impossible.
    """
    now = region.clock()

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, bool]:
        writes = Writes()
        table = catalog.stored(values[0])
        ours = None if table is None else table.descriptor.group
        if table is None or ours is None or ours["GroupId"] != theirs["GroupId"]:
            return writes, False
        merged = replicas.merge(ours, theirs)
        if merged == ours:
            return writes, False
        group_documents.check_merged(table.descriptor, merged)
        catalog.put(follow(table.descriptor, merged, now, writes), writes)
        return writes, True

    if await region.engine.mutate([catalog.key(name)], decide):
        region.jobs_wanted.set()


def follow(table: Descriptor, group: Group, now: float, writes: Writes) -> Descriptor:
    """A replica's descriptor that follows `group`, its group document from now on; the jobs go to `writes`."""
    own = table.region
    before = replicas.regions(table.shared_group)
    was_active = replicas.status(table.shared_group, own)["Status"] == ACTIVE
    if was_active and replicas.status(group, own)["Status"] == CREATING:
        # Created by two regions at once: the later creation counts, and there is nothing more to copy.
        group = replicas.moved(group, own, ACTIVE, now)
    taken = shared_settings.applied(replace(table, group=group), now)
    table = taken.table
    for number in taken.new_indexes:
        backfill.submit(table, number, writes)
    for number in taken.gone_indexes:
        purge.submit_index(table, number, writes)
    if taken.expiry_changed:
        expiring.submit(table, writes)
    if taken.key_changed:
        key_changes.submit(table, writes, adopts=True)
    if replicas.regions(group) == [own] != before:  # One that is made in a single region stays a global table.
        return ordinary(table, writes)
    if replicas.status(group, own)["Status"] != DELETING:
        table = replace(table, left_by=(), told_shards=None)
    _submit_members(table, writes)
    return table


def ordinary(table: Descriptor, writes: Writes) -> Descriptor:
    """The descriptor of a table that is no longer a replica. Its stream stays, and its own settings."""
    purge.submit_replication(table, writes)
    kept = shared_settings.effective(table)
    alone = replace(kept, group=None, left_by=(), told_shards=None, disassociation_protected=None)
    return log_readers.settled(alone, writes)


def activated(table: Descriptor, now: float) -> Descriptor:
    """The descriptor of a replica that has copied everything."""
    return replace(table, group=replicas.moved(table.shared_group, table.region, ACTIVE, now))


def left(table: Descriptor, peer: str) -> Descriptor:
    """The descriptor of a replica that is being deleted, when the replica in `peer` has received all of its writes."""
    return replace(table, left_by=tuple(sorted({*table.left_by, peer})))


def _submit_members(table: Descriptor, writes: Writes) -> None:
    group, own, table_id = table.shared_group, table.region, table.id
    state = {"TableName": table.name, "TableId": table_id}
    for peer in replicas.regions(group):
        status = replicas.status(group, peer)
        if peer == own:
            if status["Status"] == DELETING:
                job_records.submit(f"departure/{table_id}", DEPARTURE, state, writes)
        elif status["Status"] == DELETING or (status["Status"] == CREATING and status["Source"] == own):
            job_records.submit(f"replica/{table_id}/{peer}", REPLICA, state | {"Peer": peer}, writes)


async def abandon(region: Region, table: Table) -> None:
    """End a replica that is still being created when its source, the only other region, no longer knows it.

    It was removed before it had joined: its creation came late. Nobody has written to it.
    """
    if table.replica is None or table.replica.status != CREATING:
        return
    now, descriptor = region.clock(), table.descriptor

    def decide(mutation: Mutation) -> None:
        writes = mutation.writes
        if mutation.found[table.descriptor_key] == table.raw:
            if replicas.status(descriptor.shared_group, region.name).get("Existing"):
                catalog.put(ordinary(descriptor, writes), writes)
            else:
                purge.delete_table(descriptor, streams.current(descriptor, mutation), now, writes)

    _log.warning("a replica is abandoned by its source", extra={"region": region.store, "table": table.name})
    await mini_transaction.mutate_keys(region, [table.descriptor_key, *streams.current_key(descriptor)], decide)


# A replica elsewhere


async def step(region: Region, job: Job) -> None:
    """Ask the peer to join or to leave, and record the outcome. Raises JobMoved and JobWaits."""
    table, peer = await _table_of(region, job), job.state["Peer"]
    status = None if table is None else replicas.status(table.descriptor.shared_group, peer)["Status"]
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

    def noted(table: Table, now: float, writes: Writes) -> Descriptor | None:
        if outcome is None:
            return None
        pull_positions.forget(table.id, peer, writes)
        aside.forget(table.id, peer, writes)
        group = replicas.moved(table.descriptor.shared_group, peer, outcome, now)
        return follow(table.descriptor, group, now, writes)

    await _finish(region, job, table, noted)


async def _join(region: Region, table: Table, peer: str) -> str | None:
    """Ask the peer to make its replica. Returns DELETED if that is impossible: the peer now has another table of that
    name."""
    descriptor = table.descriptor
    request = {
        "TableName": table.name,
        "Group": descriptor.group,
        "KeySchema": descriptor.key_schema,
        "LocalSecondaryIndexes": [descriptors.index_document(index) for index in descriptor.local_indexes],
        "AttributeDefinitions": descriptor.attributes,
    }
    try:
        await peer_answers.ask(region, peer, "Join", request)
    except ResourceInUseException as error:
        _log.error("no replica in %s: %s", peer, error.message, extra={"region": region.store, "table": table.name})
        return DELETED
    return None


async def _leave(region: Region, table: Table, peer: str) -> str | None:
    """Report to the peer how many of its changes have come here. Returns DELETED when it has deleted its table. Raises
    JobWaits."""
    checkpoint = await pull_positions.read(region, table.id, peer)
    position = 0 if checkpoint is None or checkpoint.copying else checkpoint.position
    group = table.descriptor.shared_group
    request = {"TableName": table.name, "Group": group, "Region": region.name, "Position": position}
    answer = await peer_answers.ask(region, peer, "Leave", request)
    if not answer["Gone"]:
        raise JobWaits(WAITING_SECONDS)
    return DELETED


async def _held_up(region: Region, job: Job, peer: str, error: Exception | None) -> None:
    """Log and record that a peer does not comply, if the reason is new, or that it does again."""
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
    group = table.descriptor.shared_group
    staying = {peer for peer in table.replica.peers if replicas.status(group, peer)["Status"] != DELETING}
    missing = dict.fromkeys(staying - set(table.descriptor.left_by), WAITING_SECONDS)
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
    starts = await readers.starting(region)

    def decide(mutation: Mutation) -> None:
        job.check(mutation.found[job.key])
        if mutation.found[table.descriptor_key] != table.raw:
            raise JobMoved
        writes = mutation.writes
        if kept:
            catalog.put(ordinary(table.descriptor, writes), writes)
        else:
            _delete(table.descriptor, starts, now, mutation)
        job.finish(writes)

    read = [job.key, table.descriptor_key, *streams.current_key(table.descriptor), *last_backups.reads(table.id)]
    try:
        await mini_transaction.mutate_keys(region, read, decide)
    except ResourceInUseException as error:
        raise JobWaits(RESTORED_SECONDS) from error
    region.jobs_wanted.set()


def _delete(replica: Descriptor, starts: log_readers.Position, now: float, mutation: Mutation) -> None:
    """Delete the table of a replica. One with recovery becomes an ordinary table, of which the last backup is made.

    Raises ResourceInUseException while a table is restored from it.
    """
    stream = streams.current(replica, mutation)
    if last_backups.is_made(replica, mutation):
        last_backups.begin(ordinary(replica, mutation.writes), stream, starts, now, mutation)
    else:
        purge.delete_table(replica, stream, now, mutation.writes)


# Common to both


async def _table_of(region: Region, job: Job) -> Table | None:
    """The replica of a job; None if it is no longer a replica."""
    table = await catalog.find(region, job.state["TableName"])
    if table is None or table.replica is None or table.descriptor.id != job.state["TableId"]:
        return None
    return table


Change = Callable[[Table, float, Writes], Descriptor | None]
"""Makes another descriptor of a table's; None leaves it as it is."""


async def _finish(region: Region, job: Job, table: Table | None, change: Change) -> None:
    """End a job that has found `table`, with a change of the table.

    If the table has changed in between, the same job may be necessary again, so it is then checked again.
    """
    now, descriptor_key = region.clock(), catalog.key(job.state["TableName"])

    def decide(mutation: Mutation) -> None:
        job.check(mutation.found[job.key])
        if table is not None and mutation.found[descriptor_key] != table.raw:
            raise JobMoved
        changed = None if table is None else change(table, now, mutation.writes)
        if changed is not None:
            catalog.put(changed, mutation.writes)
        job.finish(mutation.writes)

    await mini_transaction.mutate_keys(region, [job.key, descriptor_key], decide)


# As declared


def _leaving(table: Descriptor) -> Iterator[Unfinished]:
    """The replicas elsewhere that are being deleted."""
    for peer in sorted(_going(table) - {table.region}):
        yield Unfinished(f"its replica in {peer} is to go", {"TableId": table.id, "Peer": peer})


def _departing(table: Descriptor) -> Iterator[Unfinished]:
    """The replica here, if it is being deleted."""
    if table.region in _going(table):
        yield Unfinished("it is to go as a replica", {"TableId": table.id})


def _going(table: Descriptor) -> set[str]:
    if table.group is None:
        return set()
    return {peer for peer in replicas.regions(table.group) if replicas.status(table.group, peer)["Status"] == DELETING}


REPLICA_JOB = JobKind(REPLICA, step, state={"TableName": str, "TableId": str, "Peer": str}, finishes=_leaving)
DEPARTURE_JOB = JobKind(DEPARTURE, departure_step, state={"TableName": str, "TableId": str}, finishes=_departing)
