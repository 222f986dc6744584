"""An UpdateTable in progress: each of its changes transforms the table's descriptor."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from jedlik.dynamodb.encryption.chosen_keys import Chosen
from jedlik.dynamodb.model.definitions import Descriptor, IndexDefinition
from jedlik.dynamodb.model.streams import Document
from jedlik.dynamodb.tables import descriptions
from jedlik.dynamodb.tables.descriptions import Counts, Shown
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes


@dataclass(slots=True)
class TableUpdate:
    """An update in progress, inside its mutation."""

    table: Descriptor
    """What will be stored."""
    region: Region
    now: float
    stream: Document | None
    """The table's stream, if it is enabled."""
    group_id: str
    key: Chosen
    """The key that the request chooses, if it does."""
    keys_record: bytes | None
    """The row of the table's keys, if the request chooses one."""
    """For a global table, if one is begun."""
    writes: Writes = field(default_factory=Writes)
    status: str = "ACTIVE"
    """The TableStatus of the answer."""
    shown: Shown = field(default_factory=dict)
    """Members of the answer that do not show their final values yet."""
    shown_indexes: dict[str, Shown] = field(default_factory=dict)
    """The same for the global indexes, by name."""
    deleted_indexes: list[IndexDefinition] = field(default_factory=list)
    """Indexes that the answer still shows."""
    switched: bool = False
    """Whether the billing mode has changed, and with it the throughput of every index."""
    changes_key: bool = False
    """Whether the table has another key from now on."""
    updated_replica: str | None = None
    """The region of a replica that the answer shows as being updated."""

    def answer(self, counts: Counts) -> Shown:
        """The TableDescription of the answer."""
        indexes = (*self.table.global_indexes, *self.deleted_indexes)
        table = replace(self.table, global_indexes=indexes)
        shown = descriptions.description(table, counts, self.status, self.now) | self.shown
        if indexes:
            shown["GlobalSecondaryIndexes"] = [
                index | self.shown_indexes.get(index["IndexName"], {}) for index in shown["GlobalSecondaryIndexes"]
            ]
        for replica in shown.get("Replicas", ()):
            if replica["RegionName"] == self.updated_replica:
                replica["ReplicaStatus"] = "UPDATING"
        return shown
