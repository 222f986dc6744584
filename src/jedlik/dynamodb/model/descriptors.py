"""Descriptors: the form in which a table's definition is stored.

A table's descriptor is one value in the store, JSON, under `keys.descriptor_key(name)`. It is among the keys that every
write reads, so no write can use a definition that has gone.
"""

from __future__ import annotations

from typing import Any

import orjson

from jedlik.dynamodb.model import changelog, keys, replicas
from jedlik.dynamodb.model.changelog import ChangeLog
from jedlik.dynamodb.model.tables import Document, Index, KeyAttribute, Table


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
