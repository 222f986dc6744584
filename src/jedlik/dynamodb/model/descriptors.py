"""Descriptors in the store: the stored form of a table's definition, and the table that is made from it.

A table's descriptor is one value in the store, JSON, under `keys.descriptor_key(name)`. Every write reads it, so no
write can use an outdated definition.

The JSON has DynamoDB's own names for members that DescribeTable shows. Ours are IndexNumber, NextIndexNumber,
ChangeLog, NextShardNumber, TimeToLive, Replication, LeftBy, ToldShards, KeyNumber, and the policies. The tables below
map members to fields; only this module knows them. A member that they do not contain comes from a later version, and
stays in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import orjson

from jedlik.dynamodb.model import keys, replicas
from jedlik.dynamodb.model.changelog import ChangeLog
from jedlik.dynamodb.model.definitions import (
    Archived,
    AsStored,
    AttachedPolicy,
    Billing,
    Descriptor,
    Encryption,
    Expiry,
    IndexDefinition,
    KeySchema,
    LogReader,
    LogSetting,
    OpenShard,
    Restored,
    StreamSetting,
    TableClass,
)
from jedlik.dynamodb.model.tables import Index, KeyAttribute, Table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Json = dict[str, Any]
R = TypeVar("R", bound="DataclassInstance")


class _Member(NamedTuple):
    """A member of a JSON object, and the field that holds it."""

    field: str
    read: Callable[[Any], Any] | None = None
    write: Callable[[Any], Any] | None = None
    absent: object = None
    """The value of the field that is not written."""


_Members = Mapping[str, _Member]


def _record(make: type[R], members: _Members) -> Callable[[Json], R]:
    """Reads a JSON object. Raises KeyError if it lacks a required member."""
    optional = {f.name for f in fields(make) if f.default is not MISSING or f.default_factory is not MISSING}
    build: Callable[..., R] = make
    needed = frozenset(name for name, member in members.items() if member.field not in optional)

    def read(stored: Json) -> R:
        if not needed <= stored.keys():
            raise KeyError(min(needed - stored.keys()))
        known: Json = {}
        unknown: Json = {}
        for name, value in stored.items():
            member = members.get(name)
            if member is None:
                unknown[name] = value
            else:
                known[member.field] = value if member.read is None else member.read(value)
        return build(**known, as_stored=AsStored(tuple(stored), unknown))

    return read


def _object(members: _Members) -> Callable[[Any], Json]:
    """Writes a record: the members that were read, in their former order, and then the new ones."""

    def write(record: Any) -> Json:
        as_stored: AsStored = record.as_stored
        values = dict(as_stored.unknown)
        for name, member in members.items():
            value = getattr(record, member.field)
            if value != member.absent:
                values[name] = value if member.write is None else member.write(value)
        return {name: values[name] for name in as_stored.order if name in values} | values

    return write


def _one(make: type[DataclassInstance], members: _Members, field: str) -> _Member:
    """A member that is an object."""
    return _Member(field, _record(make, members), _object(members))


def _many(make: type[DataclassInstance], members: _Members, field: str, absent: object = ()) -> _Member:
    """A member that is a list of objects."""
    read, write = _record(make, members), _object(members)
    return _Member(field, lambda s: tuple(read(one) for one in s), lambda v: [write(one) for one in v], absent)


_THROUGHPUT: _Members = {
    "ProvisionedThroughput": _Member("provisioned", absent={}),
    "OnDemandThroughput": _Member("on_demand"),
    "WarmThroughput": _Member("warm", absent={}),
}

_INDEX: _Members = {
    "IndexName": _Member("name"),
    "IndexNumber": _Member("number"),
    "KeySchema": _Member("key_schema"),
    "Projection": _Member("projection"),
    "IndexStatus": _Member("status"),
    "Backfilling": _Member("backfilling"),
    **_THROUGHPUT,
}

_READER: _Members = {
    "Name": _Member("name"),
    "OldImages": _Member("old_images"),
    "NewImages": _Member("new_images"),
    "Seconds": _Member("seconds"),
    "Temporary": _Member("temporary"),
}

_POLICY: _Members = {
    "Document": _Member("document"),
    "RevisionId": _Member("revision"),
    "StreamLabel": _Member("label"),
    "Bound": _Member("bound"),
}

_TABLE: _Members = {
    "TableName": _Member("name"),
    "TableId": _Member("id"),
    "TableArn": _Member("arn"),
    "CreationDateTime": _Member("created"),
    "KeySchema": _Member("key_schema"),
    "DeletionProtectionEnabled": _Member("protected"),
    "NextIndexNumber": _Member("next_index"),
    "LocalSecondaryIndexes": _many(IndexDefinition, _INDEX, "local_indexes"),
    "AttributeDefinitions": _Member("attributes"),
    **_THROUGHPUT,
    "GlobalSecondaryIndexes": _many(IndexDefinition, _INDEX, "global_indexes"),
    "BillingModeSummary": _one(
        Billing,
        {"BillingMode": _Member("mode"), "LastUpdateToPayPerRequestDateTime": _Member("on_demand_since")},
        "billing",
    ),
    "TableClassSummary": _one(
        TableClass, {"TableClass": _Member("name"), "LastUpdateDateTime": _Member("updated_at")}, "table_class"
    ),
    "SSEDescription": _one(
        Encryption,
        {
            "Status": _Member("status"),
            "SSEType": _Member("type"),
            "KMSMasterKeyArn": _Member("key_arn"),
            "KeyOfAws": _Member("is_of_aws", absent=False),
            "InaccessibleEncryptionDateTime": _Member("inaccessible_since"),
            "Refusal": _Member("refusal", tuple, list),
            "Reopened": _Member("reopened"),
        },
        "encryption",
    ),
    "KeyNumber": _Member("key_number", absent=0),
    "ArchivalSummary": _one(
        Archived,
        {"ArchivalDateTime": _Member("at"), "ArchivalBackupArn": _Member("backup"), "Done": _Member("is_done")},
        "archived",
    ),
    "StreamSpecification": _one(
        StreamSetting, {"StreamEnabled": _Member("enabled"), "StreamViewType": _Member("view_type")}, "stream"
    ),
    "LatestStreamLabel": _Member("stream_label"),
    "LatestStreamArn": _Member("stream_arn"),
    "ChangeLog": _one(
        LogSetting,
        {
            "OldImages": _Member("old_images"),
            "NewImages": _Member("new_images"),
            "Shards": _many(OpenShard, {"Number": _Member("number"), "Start": _Member("start")}, "shards", None),
            "Readers": _many(LogReader, _READER, "readers"),
        },
        "log",
    ),
    "NextShardNumber": _Member("next_shard", absent=0),
    "TimeToLive": _one(
        Expiry,
        {"AttributeName": _Member("attribute"), "Status": _Member("status"), "UpdatedAt": _Member("updated_at")},
        "expiry",
    ),
    "Replication": _Member("group"),
    "LeftBy": _Member("left_by", tuple, list, ()),
    "ToldShards": _Member("told_shards"),
    "DisassociationProtectionEnabled": _Member("disassociation_protected"),
    "ImportedBy": _Member("importing"),
    "RestoreSummary": _one(
        Restored,
        {
            "SourceBackupArn": _Member("source_backup"),
            "SourceTableArn": _Member("source_table"),
            "RestoreDateTime": _Member("at"),
            "RestoreInProgress": _Member("in_progress"),
        },
        "restored",
    ),
    "ResourcePolicy": _one(AttachedPolicy, _POLICY, "policy"),
    "StreamResourcePolicy": _one(AttachedPolicy, _POLICY, "stream_policy"),
}
"""In the order in which a new descriptor has them."""

_read_table = _record(Descriptor, _TABLE)
_write_table = _object(_TABLE)
_write_index = _object(_INDEX)


def document(descriptor: Descriptor) -> Json:
    """A descriptor as JSON has it; DescribeTable shows most of it."""
    return _write_table(descriptor)


def index_document(index: IndexDefinition) -> Json:
    """An index in the same form."""
    return _write_index(index)


def serialize(descriptor: Descriptor) -> bytes:
    """A descriptor as it is stored."""
    return orjson.dumps(_write_table(descriptor))


def descriptor_of(stored: Json) -> Descriptor:
    """The descriptor in parsed JSON."""
    return _read_table(stored)


def key_number(raw: bytes) -> tuple[bytes, int]:
    """The table of a stored descriptor, as keys name it, and the number of its key."""
    stored = orjson.loads(raw)
    return keys.table_id(stored["TableId"]), stored.get("KeyNumber", 0)


def parse(raw: bytes) -> Table:
    """The table of a stored descriptor."""
    descriptor = _read_table(orjson.loads(raw))
    types = {d["AttributeName"]: d["AttributeType"] for d in descriptor.attributes}
    table_id = keys.table_id(descriptor.id)
    partition_key, sort_key = _key_attributes(descriptor.key_schema, types)
    key_names = frozenset(a.name for a in partition_key + sort_key)

    def index(stored: IndexDefinition, is_global: bool) -> Index:
        partition, sort = _key_attributes(stored.key_schema, types)
        names = key_names | {a.name for a in partition + sort}
        projection = stored.projection
        projected = {
            "ALL": None,
            "KEYS_ONLY": names,
            "INCLUDE": names | set(projection.get("NonKeyAttributes", ())),
        }[projection["ProjectionType"]]
        return Index(
            name=stored.name,
            number=stored.number,
            is_global=is_global,
            partition_key=partition,
            sort_key=sort,
            key=partition + sort,
            projected=projected,
            status=stored.status or "ACTIVE",
            backfilling=bool(stored.backfilling),
            prefix=keys.index_prefix(table_id, stored.number),
            key_names=names,
        )

    indexes = [index(stored, False) for stored in descriptor.local_indexes]
    indexes += [index(stored, True) for stored in descriptor.global_indexes]
    expiry = descriptor.expiry
    return Table(
        raw=raw,
        descriptor_key=keys.descriptor_key(descriptor.name),
        name=descriptor.name,
        id=table_id,
        arn=descriptor.arn,
        partition_key=partition_key,
        sort_key=sort_key,
        key=partition_key + sort_key,
        key_names=key_names,
        indexes=tuple(i for i in indexes if i.status != "DELETING"),
        prefix=keys.index_prefix(table_id, 0),
        log=_change_log(table_id, descriptor.log),
        ttl_attribute=expiry.attribute if expiry is not None and expiry.on else None,
        replica=None if descriptor.group is None else replicas.parse(descriptor.group, descriptor.region),
        descriptor=descriptor,
    )


def _change_log(table_id: bytes, log: LogSetting | None) -> ChangeLog | None:
    if log is None:
        return None
    return ChangeLog(
        old_images=log.old_images,
        new_images=log.new_images,
        starts=tuple(shard.start for shard in log.shards),
        prefixes=tuple(keys.shard_log_prefix(table_id, shard.number) for shard in log.shards),
    )


def _key_attributes(
    schema: KeySchema, types: dict[str, str]
) -> tuple[tuple[KeyAttribute, ...], tuple[KeyAttribute, ...]]:
    attributes = [(e["KeyType"], KeyAttribute(e["AttributeName"], types[e["AttributeName"]])) for e in schema]
    return (
        tuple(a for kind, a in attributes if kind == "HASH"),
        tuple(a for kind, a in attributes if kind == "RANGE"),
    )
