"""Applying: a batch of changes from a peer and the checkpoint behind them, in one commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jedlik.dynamodb.model import keys, remote_changes
from jedlik.dynamodb.model.remote_changes import RemoteChange
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.writes import check_descriptor, tell_again
from jedlik.dynamodb.replication import pull_positions
from jedlik.dynamodb.replication.pull_positions import Checkpoint
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

BATCH = 100
"""Changes applied in one mutation. As many decisions run without a pause, and others' writes wait for them."""


async def apply(
    region: Region,
    table: Table,
    changes: Sequence[RemoteChange],
    before: Checkpoint | None,
    after: Checkpoint,
    more: Callable[[Writes], None] = lambda writes: None,
    tell_new: bool = False,
) -> None:
    """Apply `changes`, in their order, and move the peer's checkpoint from `before` to `after`.

    `more` writes what else belongs into the commit. With `tell_new`, items that are new here are told again. Raises
    CheckpointMoved, or DescriptorChanged, having done nothing.
    """
    item_keys = [keys.item_key(table, change.keys, region.secret) for change in changes]
    version_keys = [keys.version_key(table, key) for key in item_keys]
    checkpoint_key = pull_positions.key(table.id, after.region)

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        check_descriptor(table, found[0])
        pull_positions.check(before, found[1])
        writes = Writes()
        stored = found[2 : 2 + len(changes)]
        records = found[2 + len(changes) :]
        for change, key, version_key, item, record in zip(
            changes, item_keys, version_keys, stored, records, strict=True
        ):
            # An item may change more than once in a batch: what is read is older than what was written just now.
            now = writes.puts.get(key, item)
            version = writes.puts.get(version_key, record)
            stored_now = remote_changes.apply(table, key, change, now, version, writes, region.secret)
            if tell_new and now is None and version is None:
                tell_again(table, key, change.keys, stored_now, change.version, writes)
        writes.put(checkpoint_key, pull_positions.encode(after))
        more(writes)
        return writes, None

    read = [table.descriptor_key, checkpoint_key, *item_keys, *version_keys]
    await region.engine.mutate(read, decide)
