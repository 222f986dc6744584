"""Copying: how a replica gets a peer's items, when it is created or when it has been away for too long.

First it notes the position to pull from afterwards. Then it copies the peer's items and tombstones, page by page and by
the rule for any remote change, so it does not matter what happens meanwhile and how often a page is copied. The cursor
is in the pull position, so the next worker with the lease continues.

After an absence longer than logs and tombstones are kept, that rule is not enough: an item that one side has and the
other does not may have been deleted long ago, or never have arrived. So both sides have recorded up to what time they
had seen each other's writes (`pull_positions`). If this replica had seen an item that the peer has, this replica has
deleted it, and does not take it again. It sends items that are new here once more to the others, because they may know
better (`model.remote_changes`). In a second phase it asks the peer which of its own items the peer does not have. If
the peer had seen such an item, the peer has deleted it, and it is removed here, too. If not, it is sent again, as it
is.

A deletion that is discovered in one of these ways is stored and replicated like any other, by a tombstone that wins
over the deleted version and over nothing else (`versions.deletion`), because the item may be on its way to others, or
come back from them. Nothing that is sent again gets a version with which it could win over a write. If it is uncertain
what was seen, the item stays. In any case all regions become equal.
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
from jedlik.dynamodb.replication import applying, membership, peer_answers, pull_positions, replicated
from jedlik.dynamodb.replication.aside import WrongAnswer
from jedlik.dynamodb.replication.peer_messages import KEYS_AT_ONCE
from jedlik.dynamodb.replication.pull_positions import ABSENT, Copying, PullPosition
from jedlik.dynamodb.replication.replicated import Replicated
from jedlik.dynamodb.replication.serving import PAGE_BYTES
from jedlik.regions import keyspaces
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

SEEN_SLACK = 60.0
"""Seconds before the time up to which a region has seen another's writes, within which it may yet have missed one: a
write's time is taken before its commit, and workers' clocks are not quite the same."""


async def begin(region: Region, found: Replicated, source: str, before: PullPosition | None) -> PullPosition:
    """Begin to copy from `source`. Returns the pull position that records this. `before` is the former pull position.

    Raises PeerUnreachable, ServiceError (the peer is not ready), PutAside, PositionMoved and DescriptorChanged.
    """
    answer = await peer_answers.ask(region, source, "BeginCopy", _asking(found))
    now = region.clock()
    known = answer["Checkpoints"]
    covered = 0.0 if before is None else before.covered
    # A copy of another replica begins at that replica's positions; from a third region it may have to copy as well,
    # again.
    again = before is not None or found.replica.source != source
    if before is not None and before.copying is not None:
        again = before.copying.again
    copying = Copying(
        again=again,
        since=now,
        seen={name: peer_answers.known_time(known_position["Covered"], now) for name, known_position in known.items()},
        seen_here={c.region: c.covered for c in await pull_positions.of_table(region, found.table.id)},
        covered=peer_answers.known_time(answer["Now"], now),
    )
    after = PullPosition(source, answer["SourceId"], answer["Position"], covered, copying)

    def others(into: Writes) -> None:
        for name, known_position in known.items():
            if name != region.name and not again:
                pull = PullPosition(
                    name,
                    known_position["SourceId"],
                    known_position["Position"],
                    peer_answers.known_time(known_position["Covered"], now),
                )
                into.put(pull_positions.key(found.table.id, name), pull_positions.encode(pull))

    await applying.apply(region, found.table, [], before, after, others)
    return after


async def step(region: Region, found: Replicated, pull: PullPosition) -> PullPosition:
    """Copy the next page, or examine the next items that the peer may lack. Returns the pull position after it.

    Raises as `begin` does.
    """
    copying = pull.copying
    assert copying is not None
    if copying.phase == ABSENT:
        return await _step_absent(region, found, pull, copying)
    asking = _asking(found) | {"SourceId": pull.source, "Cursor": copying.cursor}
    page = await peer_answers.ask(region, pull.region, "CopyPage", asking)
    peer_answers.check_cursor(copying.cursor, page["Cursor"])
    changes, refusal = await peer_answers.changes(found.table, page["Changes"], region.clock())
    if copying.again:
        changes = await _as_known(region, found, changes, copying)
    apply = partial(applying.apply, region, found.table, send_new=copying.again)
    while len(changes) > applying.BATCH:
        await apply(changes[: applying.BATCH], pull, pull)
        changes = changes[applying.BATCH :]
    if refusal is not None:
        # The whole page is requested again: the changes of it that were applied will be nothing new.
        await apply(changes, pull, pull)
        raise refusal
    if page["Cursor"] is not None:
        after = pull.moved(copying=replace(copying, cursor=page["Cursor"]))
        await apply(changes, pull, after)
    elif copying.again:
        after = pull.moved(copying=replace(copying, phase=ABSENT, cursor=None))
        await apply(changes, pull, after)
    else:
        after = pull.moved(covered=copying.covered, copying=None)
        activated = membership.activated(found.table.descriptor, region.clock())

        def activate(into: Writes) -> None:
            catalog.put(activated, into)

        await apply(changes, pull, after, activate)
    return after


async def _as_known(
    region: Region, found: Replicated, changes: Sequence[RemoteChange], copying: Copying
) -> list[RemoteChange]:
    """The changes, with deletions for items that this region has seen and, as it does not have them, has deleted."""
    item_keys = [keys.item_key(found.table, change.keys, region.secret) for change in changes]
    known = await replicated.items_with_versions(region, found.table, item_keys)
    seen = _horizons(copying.seen_here, region.name)
    taken = []
    for change, (stored, record) in zip(changes, known, strict=True):
        if stored is not None or record is not None or not _was_seen(change.version, seen):
            taken.append(replace(change, again=True))
        elif change.item is not None:
            taken.append(remote_changes.deletion(change.version, change.keys))
    return taken


async def _step_absent(region: Region, found: Replicated, pull: PullPosition, copying: Copying) -> PullPosition:
    table = found.table
    start = table.prefix if copying.cursor is None else bytes.fromhex(copying.cursor)
    rows = await region.engine.range(start, keyspaces.prefix_end(table.prefix), KEYS_AT_ONCE, PAGE_BYTES)
    if not rows:
        after = pull.moved(covered=copying.covered, copying=None)
        await applying.apply(region, table, [], pull, after)
        return after
    page = [key for key, _ in rows]
    known = await region.engine.get([keys.version_key(table, key) for key in page])
    attributes = [keys.key_of(table, None, items.decode(stored)) for _, stored in rows]
    asking = _asking(found) | {"SourceId": pull.source, "Keys": attributes}
    answer = await peer_answers.ask(region, pull.region, "Missing", asking)
    if len(answer["Missing"]) != len(page):
        raise WrongAnswer("Missing: the answers are not as many as the keys")
    missing = [
        _Missing(key, key_attributes, record)
        for key, key_attributes, record, is_missing in zip(page, attributes, known, answer["Missing"], strict=True)
        if is_missing
    ]
    after = pull.moved(copying=replace(copying, cursor=(page[-1] + b"\0").hex()))
    await _settle(region, found, missing, pull, after)
    return after


@dataclass(frozen=True, slots=True)
class _Missing:
    """An item that the peer does not have."""

    key: bytes
    attributes: Item
    """The item's key attributes."""
    record: bytes | None
    """Its version record when the peer was asked."""


async def _settle(
    region: Region, found: Replicated, missing: Sequence[_Missing], before: PullPosition, after: PullPosition
) -> None:
    """Remove, or send again, the items that the peer does not have, and move the pull position."""
    assert before.copying is not None
    seen = _horizons(before.copying.seen, before.region)
    table = found.table
    checkpoint_key = pull_positions.key(table.id, before.region)

    def decide(mutation: Mutation) -> None:
        pull_positions.check(before, mutation.found[checkpoint_key])
        for item in missing:
            now, record = mutation.found[item.key], mutation.found[keys.version_key(table, item.key)]
            if now is None or record != item.record:
                continue  # It was written meanwhile: the peer will receive that.
            version = versions.of_record(record)
            if _was_seen(version, seen):
                deletion = remote_changes.deletion(version, item.attributes)
                now = remote_changes.apply(table, item.key, deletion, mutation)
                version = deletion.version
            writes.send_again(table, item.key, item.attributes, now, version, mutation)
        mutation.writes.put(checkpoint_key, pull_positions.encode(after))

    items_read = ((table, item.key) for item in missing)
    await mini_transaction.mutate(region, (table,), items_read, decide, (checkpoint_key,))


def _horizons(seen: dict[str, float], own: str) -> dict[bytes, float]:
    """By `region_id`: the time up to which the region `own`, with these times in `seen`, has surely seen that region's
    writes."""
    return {versions.region_id(name): time - SEEN_SLACK for name, time in seen.items()} | {
        versions.region_id(own): float("inf")
    }


def _was_seen(version: bytes, seen: dict[bytes, float]) -> bool:
    """Whether a write with this version had been seen. All regions had seen writes from before the replication."""
    if version == versions.ZERO:
        return True
    return versions.seconds(version) <= seen.get(versions.origin(version), 0.0)


def _asking(found: Replicated) -> dict[str, object]:
    return {"TableName": found.table.name, "GroupId": found.replica.group_id}
