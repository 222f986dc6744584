"""Tables and indexes as the data plane sees them.

`Table` is a descriptor (`descriptors`), parsed and frozen, with the values that the hot paths need computed once: a
process keeps the last one of each table and compares bytes to know that it is still true.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jedlik.dynamodb.model.changelog import ChangeLog
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.replicas import Replica


@dataclass(frozen=True, slots=True)
class KeyAttribute:
    """An attribute of a key: its name and its type, "S", "N" or "B"."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Index:
    """A secondary index."""

    name: str
    number: int
    """Distinguishes it in storage keys; the table itself is 0, and numbers are not used again."""
    is_global: bool
    partition_key: tuple[KeyAttribute, ...]
    """One to four attributes in a global index, the table's own in a local one."""
    sort_key: tuple[KeyAttribute, ...]
    """None to four attributes in a global index, one in a local one."""
    key: tuple[KeyAttribute, ...]
    """The partition key's attributes, and then the sort key's."""
    projected: frozenset[str] | None
    """Names of the attributes that an entry holds, keys included; None for all."""
    status: str
    """CREATING, ACTIVE, UPDATING or DELETING. Entries are kept up to date in all but DELETING."""
    backfilling: bool
    prefix: bytes
    """The prefix of the storage keys of its entries."""
    key_names: frozenset[str]
    """Names of its own key attributes and of the table's."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table's descriptor, parsed. Equal descriptors are equal bytes: compare `raw`."""

    raw: bytes = field(repr=False)
    descriptor_key: bytes
    """Where the descriptor is stored."""
    name: str
    id: bytes
    """Eight bytes, unique for ever; a table created again under an old name has another."""
    arn: str
    partition_key: tuple[KeyAttribute, ...]
    """One attribute."""
    sort_key: tuple[KeyAttribute, ...]
    """One attribute, or none."""
    key: tuple[KeyAttribute, ...]
    """The partition key, and the sort key if there is one."""
    key_names: frozenset[str]
    indexes: tuple[Index, ...]
    """Those whose entries must be kept, local ones first."""
    prefix: bytes
    """The prefix of the storage keys of its items."""
    log: ChangeLog | None
    """Where changes are logged, while the log has readers."""
    ttl_attribute: str | None
    """The attribute with an item's time of expiry, while expiry is on."""
    replica: Replica | None
    """Its place among the replicas of a global table; None for an ordinary table."""
    descriptor: Descriptor = field(repr=False)
    """Its whole stored definition, including what the data plane does not need."""

    @property
    def usable(self) -> bool:
        """Whether its items may be read and written: not while it is being restored or goes, and a replica's not while
        it is being created or deleted."""
        if self.descriptor.is_being_made or self.descriptor.is_going:
            return False
        return self.replica is None or self.replica.usable

    @property
    def needs_attributes(self) -> bool:
        """Whether more follows from a change of an item than its stored form before and after it: entries of indexes, a
        note of its expiry, an entry of the change log."""
        return bool(self.indexes) or self.ttl_attribute is not None or self.log is not None or self.replica is not None

    def index(self, name: str) -> Index | None:
        """The index called `name`, if it may be read or is being created."""
        for index in self.indexes:
            if index.name == name:
                return index
        return None
