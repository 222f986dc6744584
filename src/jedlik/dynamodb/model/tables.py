"""Tables and indexes as the data plane sees them: the descriptor.

A table's descriptor is one value in the store, JSON, under `keys.descriptor_key(name)`. It is among the keys
that every write reads, so no write can use a definition that has gone. `Table` is its parsed, frozen form,
with what the hot paths need worked out once: a process keeps the last one of each table and compares bytes to
know that it is still true.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from jedlik.dynamodb.model import changelog, keys, replicas
from jedlik.dynamodb.model.changelog import ChangeLog
from jedlik.dynamodb.model.replicas import Replica

Document = dict[str, Any]
"""A descriptor's JSON."""

PROVISIONED = "PROVISIONED"
PAY_PER_REQUEST = "PAY_PER_REQUEST"


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
    projection_type: str
    """ALL, KEYS_ONLY or INCLUDE."""
    projected: frozenset[str] | None
    """Names of the attributes that an entry holds, keys included; None for all."""
    status: str
    """CREATING, ACTIVE, UPDATING or DELETING. Entries are kept up to date in all but DELETING."""
    backfilling: bool
    prefix: bytes
    """What the storage keys of its entries begin with."""
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
    """Eight bytes, unique for ever; a table made again under an old name has another."""
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
    """What the storage keys of its items begin with."""
    log: ChangeLog | None
    """Where changes are logged, while something reads them."""
    ttl_attribute: str | None
    """The attribute that says when an item expires, while expiry is on."""
    replica: Replica | None
    """Its place among the replicas of a global table; None for an ordinary table."""
    document: Document = field(repr=False)
    """The descriptor's JSON: the settings that DescribeTable shows. Not to be changed in place."""

    @property
    def usable(self) -> bool:
        """Whether its items may be read and written: a replica's not while it is being made or deleted."""
        return self.replica is None or self.replica.usable

    def index(self, name: str) -> Index | None:
        """The index called `name`, if it may be read or is being made."""
        for index in self.indexes:
            if index.name == name:
                return index
        return None


def billing_mode(document: Document) -> str:
    """The billing mode of a table. A table that was never on demand says nothing of it."""
    mode: str = document.get("BillingModeSummary", {}).get("BillingMode", PROVISIONED)
    return mode


def serialize(document: Document) -> bytes:
    """A descriptor as it is stored."""
    return orjson.dumps(document)


def parse(raw: bytes) -> Table:
    """The table that a stored descriptor describes.

    The document holds, in DynamoDB's own words: TableName, TableId (a UUID), TableArn, CreationDateTime,
    AttributeDefinitions, KeySchema, GlobalSecondaryIndexes and LocalSecondaryIndexes (each with IndexName,
    IndexNumber, KeySchema, Projection, IndexStatus, Backfilling, ...) and settings as DescribeTable shows
    them. Ours are `IndexNumber`, `NextIndexNumber` (numbers are not used again), ChangeLog (see `streams`),
    TimeToLive (AttributeName, Status, UpdatedAt), Replication (see `replicas`), and of a replica that is going LeftBy
    and ToldShards (see `replication.membership`): the regions that have its changes, and the number of the first shard
    of which they are told nothing.
    """
    document = orjson.loads(raw)
    types = {d["AttributeName"]: d["AttributeType"] for d in document["AttributeDefinitions"]}
    table_id = keys.table_id(document["TableId"])
    partition_key, sort_key = _key_attributes(document["KeySchema"], types)
    key_names = frozenset(a.name for a in partition_key + sort_key)

    def index(description: Document, is_global: bool) -> Index:
        partition, sort = _key_attributes(description["KeySchema"], types)
        names = key_names | {a.name for a in partition + sort}
        projection = description["Projection"]
        projected = {
            "ALL": None,
            "KEYS_ONLY": names,
            "INCLUDE": names | set(projection.get("NonKeyAttributes", ())),
        }[projection["ProjectionType"]]
        return Index(
            name=description["IndexName"],
            number=description["IndexNumber"],
            is_global=is_global,
            partition_key=partition,
            sort_key=sort,
            key=partition + sort,
            projection_type=projection["ProjectionType"],
            projected=projected,
            status=description.get("IndexStatus", "ACTIVE"),
            backfilling=description.get("Backfilling", False),
            prefix=keys.index_prefix(table_id, description["IndexNumber"]),
            key_names=names,
        )

    indexes = [index(d, False) for d in document.get("LocalSecondaryIndexes", ())]
    indexes += [index(d, True) for d in document.get("GlobalSecondaryIndexes", ())]
    return Table(
        raw=raw,
        descriptor_key=keys.descriptor_key(document["TableName"]),
        name=document["TableName"],
        id=table_id,
        arn=document["TableArn"],
        partition_key=partition_key,
        sort_key=sort_key,
        key=partition_key + sort_key,
        key_names=key_names,
        indexes=tuple(i for i in indexes if i.status != "DELETING"),
        prefix=keys.index_prefix(table_id, 0),
        log=_change_log(table_id, document.get("ChangeLog")),
        ttl_attribute=_ttl_attribute(document.get("TimeToLive")),
        replica=replicas.parse(document),
        document=document,
    )


def _change_log(table_id: bytes, log: dict[str, Any] | None) -> ChangeLog | None:
    if log is None:
        return None
    prefixes = tuple(keys.shard_log_prefix(table_id, shard["Number"]) for shard in log["Shards"])
    return changelog.parse(log, prefixes)


def _ttl_attribute(settings: dict[str, Any] | None) -> str | None:
    if settings is None or settings["Status"] not in ("ENABLING", "ENABLED"):
        return None
    name: str = settings["AttributeName"]
    return name


def _key_attributes(
    schema: list[dict[str, str]], types: dict[str, str]
) -> tuple[tuple[KeyAttribute, ...], tuple[KeyAttribute, ...]]:
    attributes = [(e["KeyType"], KeyAttribute(e["AttributeName"], types[e["AttributeName"]])) for e in schema]
    return (
        tuple(a for kind, a in attributes if kind == "HASH"),
        tuple(a for kind, a in attributes if kind == "RANGE"),
    )
