"""Closed replicas: those whose key cannot be used. The others go on without them, and know since when.

The group document has the time, as one of the replica's own facts. Peers get it with the next pull, which of a closed
table has nothing else. A replica that is open again within twenty hours catches up: logs are kept for a day. After that
it leaves its group. Its table stays, with what it has not sent yet: it is closed, and nobody can read that.

Source: "ReplicaDescription" in the API reference, and "Encryption at rest: How it works" in the developer guide.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.model import replicas
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.replicas import ACTIVE, DELETING
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.replication import membership

if TYPE_CHECKING:
    from jedlik.regions.region import Region

AFTER_SECONDS = 20 * 60 * 60.0

_log = logging.getLogger(__name__)


def is_due(region: Region, table: Table) -> bool:
    """Whether a replica has been closed for so long."""
    encryption = table.descriptor.encryption
    if table.replica is None or table.replica.status != ACTIVE or not table.replica.peers:
        return False
    if encryption is None or encryption.inaccessible_since is None or region.clock.doubtful:
        return False
    return region.clock.slowest() - encryption.inaccessible_since >= AFTER_SECONDS


async def leave(region: Region, table: Table) -> None:
    """Begin to take a closed replica out of its group (`membership`)."""
    now = region.clock()

    def decide(mutation: Mutation) -> bool:
        if mutation.found[table.descriptor_key] != table.raw:
            return False
        group = replicas.moved(table.descriptor.shared_group, region.name, DELETING, now, kept=True)
        catalog.put(membership.follow(table.descriptor, group, now, mutation.writes), mutation.writes)
        return True

    if await mini_transaction.mutate_keys(region, [table.descriptor_key], decide):
        _log.warning(
            "the key of a replica could not be used for twenty hours: it leaves its global table",
            extra={"region": region.store, "table": table.name},
        )
        region.jobs_wanted.set()


def needs_no_reading(table: Descriptor) -> bool:
    """Whether a replica leaves without its last changes having been read: it is closed, and its table stays."""
    return table.is_closed and bool(replicas.status(table.shared_group, table.region).get("Kept"))
