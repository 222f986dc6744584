"""Applying: a batch of changes from a peer and the position after them, in one commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from jedlik.dynamodb import mini_transaction
from jedlik.dynamodb.model import keys, remote_changes
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.remote_changes import RemoteChange
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.writes import send_again
from jedlik.dynamodb.replication import pull_positions
from jedlik.dynamodb.replication.pull_positions import PullPosition
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

BATCH = 100
"""Changes applied in one mutation. As many decisions run without a pause, and others' writes wait for them."""


async def apply(
    region: Region,
    table: Table,
    changes: Sequence[RemoteChange],
    before: PullPosition | None,
    after: PullPosition,
    more: Callable[[Writes], None] = lambda writes: None,
    send_new: bool = False,
) -> None:
    """Apply `changes`, in their order, and move the peer's pull position from `before` to `after`.

    `more` adds further writes to the commit. With `send_new`, items that are new here are sent again. Raises
    PositionMoved, or DescriptorChanged, having done nothing.
    """
    item_keys = [keys.item_key(table, change.keys, region.secret) for change in changes]
    checkpoint_key = pull_positions.key(table.id, after.region)

    def decide(mutation: Mutation) -> None:
        pull_positions.check(before, mutation.found[checkpoint_key])
        for change, key in zip(changes, item_keys, strict=True):
            is_new = mutation.stored(key) is None and mutation.stored(keys.version_key(table, key)) is None
            stored_now = remote_changes.apply(table, key, change, mutation)
            if send_new and is_new:
                send_again(table, key, change.keys, stored_now, change.version, mutation)
        mutation.writes.put(checkpoint_key, pull_positions.encode(after))
        more(mutation.writes)

    items = ((table, key) for key in item_keys)
    await mini_transaction.mutate(region, (table,), items, decide, (checkpoint_key,))
