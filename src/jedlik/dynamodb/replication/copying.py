"""Copying: how a replica takes over what a peer has, when it is made or when it has been away for too long.

First it notes from where to pull afterwards, then it takes over the peer's items and tombstones, page by page and by
the rule for any remote change, so it does not matter what happens meanwhile and how often a page is taken. The cursor
is in the checkpoint, so whoever has the lease goes on.

After having been away for longer than logs and tombstones are kept, that rule is not enough: an item that one side has
and the other knows nothing of may have been deleted long ago, or never have arrived. So both have kept up to when they
had seen whose writes (`checkpoints`). What the peer has and this replica had seen, it has deleted, and does not take
again. What it does take that is new here, it tells again, for others may know better (`model.remote_changes`). In a
second phase it asks of its own items which the peer knows nothing of. What the peer had seen, it has deleted; it is
removed here, too. What it had not seen is told again, as it is.

A deletion that is found out in one of these ways is kept and told like any other, by a tombstone that wins over what
was deleted and over nothing else (`versions.deletion`), for the item may be on its way to others, or come back from
them. Nothing that is told gets a version with which it could win over a write. Where it is not certain what was seen,
the item stays; in any case all come to the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.model import items, keys, remote_changes, versions, writes
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.remote_changes import RemoteChange
from jedlik.dynamodb.model.values import Item
from jedlik.dynamodb.replication import answers, applying, membership, pull_positions
from jedlik.dynamodb.replication.aside import WrongAnswer
from jedlik.dynamodb.replication.peer_messages import KEYS_AT_ONCE
from jedlik.dynamodb.replication.pull_positions import ABSENT, Checkpoint, Copying
from jedlik.dynamodb.replication.replicated import Replicated
from jedlik.dynamodb.replication.serving import PAGE_BYTES
from jedlik.regions import keyspaces
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

SEEN_SLACK = 60.0
"""Seconds before the time up to which a region has seen another's writes, within which it may yet have missed one: a
write's time is taken before its commit, and workers' clocks are not quite the same."""


async def begin(region: Region, found: Replicated, source: str, before: Checkpoint | None) -> Checkpoint:
    """Begin to copy from `source`; the checkpoint that says so. `before` is what there was.

    Raises PeerUnreachable, ServiceError (the peer is not ready), PutAside, CheckpointMoved and DescriptorChanged.
    """
    answer = await answers.ask(region, source, "BeginCopy", _asking(found))
    now = region.clock()
    known = answer["Checkpoints"]
    covered = 0.0 if before is None else before.covered
    # What is made of another replica begins where that one is; from a third it may have to copy as well, again.
    again = before is not None or found.replica.source != source
    if before is not None and before.copying is not None:
        again = before.copying.again
    copying = Copying(
        again=again,
        since=now,
        seen={name: answers.known_time(told["Covered"], now) for name, told in known.items()},
        seen_here={c.region: c.covered for c in await pull_positions.of_table(region, found.table.id)},
        covered=answers.known_time(answer["Now"], now),
    )
    after = Checkpoint(source, answer["SourceId"], answer["Position"], covered, copying)

    def others(into: Writes) -> None:
        for name, told in known.items():
            if name != region.name and not again:
                checkpoint = Checkpoint(
                    name, told["SourceId"], told["Position"], answers.known_time(told["Covered"], now)
                )
                into.put(pull_positions.key(found.table.id, name), pull_positions.encode(checkpoint))

    await applying.apply(region, found.table, [], before, after, others)
    return after


async def step(region: Region, found: Replicated, checkpoint: Checkpoint) -> Checkpoint:
    """Copy the next page, or deal with the next items that the peer may lack; the checkpoint behind it.

    Raises as `begin` does.
    """
    copying = checkpoint.copying
    assert copying is not None
    if copying.phase == ABSENT:
        return await _step_absent(region, found, checkpoint, copying)
    asking = _asking(found) | {"SourceId": checkpoint.source, "Cursor": copying.cursor}
    page = await answers.ask(region, checkpoint.region, "CopyPage", asking)
    answers.check_cursor(copying.cursor, page["Cursor"])
    changes, refusal = await answers.changes(found.table, page["Changes"], region.clock())
    if copying.again:
        changes = await _as_known(region, found, changes, copying)
    apply = partial(applying.apply, region, found.table, tell_new=copying.again)
    while len(changes) > applying.BATCH:
        await apply(changes[: applying.BATCH], checkpoint, checkpoint)
        changes = changes[applying.BATCH :]
    if refusal is not None:
        # The page is asked for again, as a whole: what has been taken of it will be nothing new.
        await apply(changes, checkpoint, checkpoint)
        raise refusal
    if page["Cursor"] is not None:
        after = checkpoint.moved(copying=replace(copying, cursor=page["Cursor"]))
        await apply(changes, checkpoint, after)
    elif copying.again:
        after = checkpoint.moved(copying=replace(copying, phase=ABSENT, cursor=None))
        await apply(changes, checkpoint, after)
    else:
        after = checkpoint.moved(covered=copying.covered, copying=None)
        activated = membership.activated(found.table.descriptor, region.clock())

        def activate(into: Writes) -> None:
            catalog.put(activated, into)

        await apply(changes, checkpoint, after, activate)
    return after


async def _as_known(
    region: Region, found: Replicated, changes: Sequence[RemoteChange], copying: Copying
) -> list[RemoteChange]:
    """The changes, with deletions for what this region has seen and, as it knows nothing of the item, has deleted."""
    item_keys = [keys.item_key(found.table, change.keys, region.secret) for change in changes]
    known = await region.engine.get([*item_keys, *(keys.version_key(found.table, key) for key in item_keys)])
    seen = _horizons(copying.seen_here, region.name)
    pairs = zip(known[: len(changes)], known[len(changes) :], strict=True)
    taken = []
    for change, (stored, record) in zip(changes, pairs, strict=True):
        if stored is not None or record is not None or not _was_seen(change.version, seen):
            taken.append(replace(change, again=True))
        elif change.item is not None:
            taken.append(remote_changes.deletion(change.version, change.keys))
    return taken


async def _step_absent(region: Region, found: Replicated, checkpoint: Checkpoint, copying: Copying) -> Checkpoint:
    table = found.table
    start = table.prefix if copying.cursor is None else bytes.fromhex(copying.cursor)
    rows = await region.engine.range(start, keyspaces.prefix_end(table.prefix), KEYS_AT_ONCE, PAGE_BYTES)
    if not rows:
        after = checkpoint.moved(covered=copying.covered, copying=None)
        await applying.apply(region, table, [], checkpoint, after)
        return after
    page = [key for key, _ in rows]
    known = await region.engine.get([keys.version_key(table, key) for key in page])
    attributes = [keys.key_of(table, None, items.decode(stored)) for _, stored in rows]
    asking = _asking(found) | {"SourceId": checkpoint.source, "Keys": attributes}
    answer = await answers.ask(region, checkpoint.region, "Missing", asking)
    if len(answer["Missing"]) != len(page):
        raise WrongAnswer("Missing: the answers are not as many as the keys")
    missing = [
        _Missing(key, key_attributes, record)
        for key, key_attributes, record, is_missing in zip(page, attributes, known, answer["Missing"], strict=True)
        if is_missing
    ]
    after = checkpoint.moved(copying=replace(copying, cursor=(page[-1] + b"\0").hex()))
    await _settle(region, found, missing, checkpoint, after)
    return after


@dataclass(frozen=True, slots=True)
class _Missing:
    """An item that the peer knows nothing of."""

    key: bytes
    attributes: Item
    """Of its key."""
    record: bytes | None
    """Its version record when the peer was asked."""


async def _settle(
    region: Region, found: Replicated, missing: Sequence[_Missing], before: Checkpoint, after: Checkpoint
) -> None:
    """Remove, or tell again, what the peer knows nothing of, and move the checkpoint."""
    assert before.copying is not None
    seen = _horizons(before.copying.seen, before.region)
    table = found.table
    checkpoint_key = pull_positions.key(table.id, before.region)

    def decide(mutation: Mutation) -> None:
        pull_positions.check(before, mutation.found[checkpoint_key])
        for item in missing:
            now, record = mutation.found[item.key], mutation.found[keys.version_key(table, item.key)]
            if now is None or record != item.record:
                continue  # Written meanwhile: the peer will hear of that.
            version = versions.of_record(record)
            if _was_seen(version, seen):
                deletion = remote_changes.deletion(version, item.attributes)
                now = remote_changes.apply(table, item.key, deletion, mutation)
                version = deletion.version
            writes.tell_again(table, item.key, item.attributes, now, version, mutation)
        mutation.writes.put(checkpoint_key, pull_positions.encode(after))

    items_read = ((table, item.key) for item in missing)
    await mini_transaction.mutate(region, (table,), items_read, decide, (checkpoint_key,))


def _horizons(seen: dict[str, float], own: str) -> dict[bytes, float]:
    """By `region_id`: up to when the region `own`, which tells what it has `seen`, has surely seen whose writes."""
    return {versions.region_id(name): time - SEEN_SLACK for name, time in seen.items()} | {
        versions.region_id(own): float("inf")
    }


def _was_seen(version: bytes, seen: dict[bytes, float]) -> bool:
    """Whether a write with this version had been seen. What is from before the replication had been, by all."""
    if version == versions.ZERO:
        return True
    return versions.seconds(version) <= seen.get(versions.origin(version), 0.0)


def _asking(found: Replicated) -> dict[str, object]:
    return {"TableName": found.table.name, "GroupId": found.replica.group_id}
