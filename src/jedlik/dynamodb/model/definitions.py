"""Definitions of tables: `Descriptor`, the stored definition of a table, typed; and changes of its keys and indexes.

A descriptor is a value. Every change of a table makes a new descriptor from the old one. `descriptors` reads and writes
the stored form, and is the only module that knows its names; `dynamodb.catalog` puts it into the store.

Key schemas, attribute definitions, projections and throughput are in the form that requests give and DescribeTable
shows. Nobody changes them in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jedlik.dynamodb.model.replicas import Group

KeySchema = list[dict[str, str]]
Definitions = list[dict[str, str]]
Throughput = dict[str, Any]
"""ProvisionedThroughput, OnDemandThroughput or WarmThroughput: units, and for the first the dates of its changes."""

PROVISIONED = "PROVISIONED"
PAY_PER_REQUEST = "PAY_PER_REQUEST"


@dataclass(frozen=True, slots=True)
class AsStored:
    """How a record was stored, so that it is written as it was read."""

    order: tuple[str, ...] = ()
    """The names of its members."""
    unknown: Mapping[str, Any] = field(default_factory=dict)
    """Members that this version does not know."""


_NEW = AsStored()


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """A secondary index, as it is stored. A local one has no status and no throughput."""

    name: str
    number: int
    """Distinguishes it in storage keys; numbers are not used again."""
    key_schema: KeySchema
    projection: dict[str, Any]
    status: str | None = None
    """CREATING, ACTIVE, UPDATING or DELETING."""
    backfilling: bool | None = None
    """True while it is being filled, and otherwise None."""
    provisioned: Throughput = field(default_factory=dict)
    on_demand: Throughput | None = None
    warm: Throughput = field(default_factory=dict)
    as_stored: AsStored = field(default=_NEW, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Billing:
    """The billing mode, of a table that was on demand at some time."""

    mode: str
    on_demand_since: float | None = None
    """When it last became so, in seconds."""
    as_stored: AsStored = field(default=_NEW, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class StreamSetting:
    """The enabled stream of a table, as requests ask for it."""

    view_type: str
    enabled: bool = True
    as_stored: AsStored = field(default=_NEW, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class OpenShard:
    """A shard of the change log to which changes go."""

    number: int
    start: int
    """The first hash of its range."""
    as_stored: AsStored = field(default=_NEW, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class LogReader:
    """A reader of a table's change log (`log_readers`)."""

    name: str
    """Unique in the table. It begins with the room's name, as in `backup/0123`."""
    old_images: bool
    """Whether it wants the item before the change in each entry. The keys are always there."""
    new_images: bool
    """Whether it wants the item after the change."""
    seconds: float
    """How long an entry is kept for it at most, from its commit on."""
    temporary: bool = True
    """Whether it is removed when it has not been advanced for a while (`changes.readers`)."""
    as_stored: AsStored = field(default=_NEW, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class LogSetting:
    """The change log of a table: the images that its readers want in an entry, and the open shards in the order of
    their ranges."""

    old_images: bool
    new_images: bool
    shards: tuple[OpenShard, ...] = ()
    readers: tuple[LogReader, ...] = ()
    """Readers other than the stream and replication, which follow from other settings."""
    as_stored: AsStored = field(default=_NEW, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Expiry:
    """Time to live."""

    attribute: str
    status: str
    """ENABLING, ENABLED, DISABLING or DISABLED."""
    updated_at: float
    as_stored: AsStored = field(default=_NEW, compare=False, repr=False)

    @property
    def on(self) -> bool:
        """Whether items expire."""
        return self.status in ("ENABLING", "ENABLED")


@dataclass(frozen=True, slots=True)
class Encryption:
    """Encryption with a key of KMS; a table without this has the default encryption."""

    key_arn: str
    status: str = "ENABLED"
    """UPDATING while values are sealed with another key."""
    type: str = "KMS"
    is_of_aws: bool = False
    """Whether the key is DynamoDB's own in the account, and no customer's."""
    inaccessible_since: float | None = None
    """When it was found that the key cannot be used, in seconds since the epoch. The table is closed until it can."""
    refusal: tuple[str, str] | None = None
    """Then the name and the text of KMS's exception."""
    reopened: float | None = None
    """When the table was opened again, if it was closed before."""
    as_stored: AsStored = field(default=_NEW, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Archived:
    """That a table is only a backup any more."""

    at: float
    """When that began, in seconds since the epoch."""
    backup: str
    """The ARN of the backup."""
    is_done: bool = False
    """Whether the backup is made."""
    as_stored: AsStored = field(default=_NEW, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TableClass:
    """The class of a table, if a request has set it."""

    name: str
    updated_at: float | None = None
    as_stored: AsStored = field(default=_NEW, compare=False, repr=False)


LAST_BACKUP_READER = "last-backup/"
"""What the name of the reader begins with that stands in the log of a deleted table until its last backup is made."""


@dataclass(frozen=True, slots=True)
class AttachedPolicy:
    """A policy of a table or of its stream."""

    document: str
    revision: str
    label: str | None = None
    """The label of the stream, if it is a stream's."""
    bound: str | None = None
    """The document with the unique ids of the users and roles that it names (`aws.policies.bound_policies`); None if it
    names none, and in descriptors of earlier versions."""
    as_stored: AsStored = field(default=_NEW, compare=False, repr=False)

    @property
    def decisive(self) -> str:
        """The document that decides."""
        return self.document if self.bound is None else self.bound


@dataclass(frozen=True, slots=True)
class Restored:
    """What a table was restored from, in the words of RestoreSummary."""

    source_table: str
    """Its ARN."""
    at: float
    """The time whose state it has, in seconds since the epoch."""
    source_backup: str | None = None
    """Its ARN, if it is a backup."""
    in_progress: bool = True
    as_stored: AsStored = field(default=_NEW, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The stored definition of a table."""

    name: str
    id: str
    """A UUID. A table that is created again under an old name has another."""
    arn: str
    created: float
    """Seconds since the epoch."""
    key_schema: KeySchema
    protected: bool
    """Whether it cannot be deleted."""
    next_index: int
    """The number of the next index."""
    attributes: Definitions
    """The attributes of all keys, by name."""
    provisioned: Throughput = field(default_factory=dict)
    """Zeros while it is on demand."""
    warm: Throughput = field(default_factory=dict)
    on_demand: Throughput | None = None
    local_indexes: tuple[IndexDefinition, ...] = ()
    global_indexes: tuple[IndexDefinition, ...] = ()
    billing: Billing | None = None
    table_class: TableClass | None = None
    encryption: Encryption | None = None
    key_number: int = 0
    """The number of the key that seals what is written (`regions.table_keyring`)."""
    archived: Archived | None = None
    """That its key has been away for too long."""
    stream: StreamSetting | None = None
    """None while no stream is enabled."""
    stream_label: str | None = None
    """The latest stream, also when it has been disabled."""
    stream_arn: str | None = None
    log: LogSetting | None = None
    next_shard: int = 0
    """The number of the next shard of its streams."""
    expiry: Expiry | None = None
    group: Group | None = None
    """The group document of a replica (`replicas`)."""
    left_by: tuple[str, ...] = ()
    """The regions that have all changes of a replica that is being deleted (`replication.membership`)."""
    told_shards: int | None = None
    """The number of the first shard that a disassociating replica does not share with other regions."""
    disassociation_protected: bool | None = None
    """None until UpdateTable sets it."""
    restored: Restored | None = None
    """Where its items come from, or are coming from, if it was restored."""
    importing: str | None = None
    """The ARN of the import that fills it."""
    policy: AttachedPolicy | None = None
    stream_policy: AttachedPolicy | None = None
    """Holds only for the stream of its label."""
    as_stored: AsStored = field(default=_NEW, compare=False, repr=False)

    @property
    def region(self) -> str:
        """The region in which it is."""
        return self.arn.split(":", 4)[3]

    @property
    def account(self) -> str:
        """The account whose it is."""
        return self.arn.split(":", 5)[4]

    @property
    def billing_mode(self) -> str:
        """PROVISIONED or PAY_PER_REQUEST. A table that was never on demand has no record of it."""
        return PROVISIONED if self.billing is None else self.billing.mode

    @property
    def is_being_made(self) -> bool:
        """Whether it is being restored or imported: CREATING, and closed to everybody."""
        return self.importing is not None or (self.restored is not None and self.restored.in_progress)

    @property
    def is_closed(self) -> bool:
        """Whether its key cannot be used: its items are neither read nor written."""
        return self.encryption is not None and self.encryption.inaccessible_since is not None

    @property
    def is_going(self) -> bool:
        """Whether it is deleted, and goes when its last backup is made: DELETING, and closed to everybody."""
        return self.log is not None and any(r.name.startswith(LAST_BACKUP_READER) for r in self.log.readers)

    @property
    def indexes(self) -> tuple[IndexDefinition, ...]:
        """All secondary indexes, local ones first."""
        return self.local_indexes + self.global_indexes

    @property
    def shared_group(self) -> Group:
        """The group document, of a table that is known to be a replica."""
        assert self.group is not None, f"{self.name} is no replica"
        return self.group


def stored_definitions(definitions: Definitions, schemas: Iterable[KeySchema]) -> Definitions:
    """The definitions of the attributes that are in one of the key schemas, by name."""
    used = {element["AttributeName"] for schema in schemas for element in schema}
    types = {d["AttributeName"]: d["AttributeType"] for d in definitions}
    return [{"AttributeName": name, "AttributeType": types[name]} for name in sorted(used)]


def _stored_index(index: dict[str, Any], number: int) -> IndexDefinition:
    """What every stored index has."""
    projection = index["Projection"]
    names = projection.get("NonKeyAttributes")
    return IndexDefinition(
        name=index["IndexName"],
        number=number,
        key_schema=index["KeySchema"],
        projection=projection if names is None else projection | {"NonKeyAttributes": sorted(names)},
    )


def new_table(name: str, table_id: str, arn: str, now: float, request: dict[str, Any]) -> Descriptor:
    """A table with the key and the local indexes of a request, and no settings yet."""
    local = tuple(_stored_index(index, n) for n, index in enumerate(request.get("LocalSecondaryIndexes", ()), 1))
    schemas = [request["KeySchema"], *(index.key_schema for index in local)]
    return Descriptor(
        name=name,
        id=table_id,
        arn=arn,
        created=now,
        key_schema=request["KeySchema"],
        protected=False,
        next_index=1 + len(local),
        local_indexes=local,
        attributes=stored_definitions(request["AttributeDefinitions"], schemas),
    )


def without_index(table: Descriptor, name: str) -> Descriptor:
    """The table without the global index called `name`, and without the attributes that only it used."""
    left = replace(table, global_indexes=tuple(index for index in table.global_indexes if index.name != name))
    return replace(left, attributes=stored_definitions(table.attributes, _key_schemas(left)))


def with_index(
    table: Descriptor, index: dict[str, Any], state: Mapping[str, Any], definitions: Definitions
) -> Descriptor:
    """The table with one more global index, under the next index number.

    `state` contains, by field, what is stored beside its definition: its status and its throughput.
    """
    added = replace(_stored_index(index, table.next_index), **state)
    grown = replace(table, global_indexes=(*table.global_indexes, added), next_index=table.next_index + 1)
    known = [*definitions, *table.attributes]
    return replace(grown, attributes=stored_definitions(known, _key_schemas(grown)))


def filled(index: IndexDefinition) -> IndexDefinition:
    """An index that is completely filled."""
    return replace(index, status="ACTIVE", backfilling=None)


def used_attributes(table: Descriptor) -> Definitions:
    """The definitions of the attributes that are in a key of the table or of its indexes."""
    return stored_definitions(table.attributes, _key_schemas(table))


def _key_schemas(table: Descriptor) -> list[KeySchema]:
    """The key schemas of a table and of its indexes."""
    return [table.key_schema, *(index.key_schema for index in table.indexes)]
