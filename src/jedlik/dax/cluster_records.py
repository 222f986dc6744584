"""What a region's store keeps of clusters: their nodes and settings, and parameter groups.

A parameter group is a map from parameters to values, of those that differ from the default. The server's own cluster is
there without a record; one is made when something of it is set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

import orjson

from jedlik.regions.keyspaces import Keyspace, Owner, prefix_end
from jedlik.regions.region import Region

DEFAULT_CLUSTER = "default"
"""The name of the server's own cluster."""
DEFAULT_GROUP = "default.dax.1.0"
"""The parameter group that nobody can change."""
ITEM_LIFE, QUERY_LIFE = "record-ttl-millis", "query-ttl-millis"
DEFAULTS = {QUERY_LIFE: "300000", ITEM_LIFE: "300000"}
"""Every parameter, with its value in the default group."""
MOST_GROUPS = 20
"""In a region."""

CLUSTERS = Keyspace(
    "clusters",
    b"\xe0",
    Owner.STORE,
    "records of clusters of DAX",
    (
        ("00  name", "cluster of DAX: its nodes and settings"),
        ("01  name", "parameter group of DAX"),
        ("02", "the names of the clusters of DAX that were made"),
        ("03", "the latest events of DAX"),
        ("04  name", "subnet group of DAX"),
    ),
    lost="the cluster, what was set of it, the group, or the events",
)
NAMES_KEY = CLUSTERS.prefix + b"\x02"
"""Where the names of the clusters are that were made. What uses a group reads it, too: so none is deleted meanwhile."""
EVENTS_KEY = CLUSTERS.prefix + b"\x03"
LONGEST_NAME = 255
"""Bytes of a name of a group; those of clusters are shorter."""


def _key(kind: bytes, name: str) -> bytes:
    """Where something of this name is. A name that is too long for anything gets a key at which nothing can be."""
    return CLUSTERS.prefix + kind + name.encode()[: LONGEST_NAME + 1]


def cluster_key(name: str) -> bytes:
    """Where the settings of a cluster are."""
    return _key(b"\x00", name)


def group_key(name: str) -> bytes:
    """Where a parameter group is."""
    return _key(b"\x01", name)


def subnet_group_key(name: str) -> bytes:
    """Where a subnet group is."""
    return _key(b"\x04", name)


class Status(StrEnum):
    """States of nodes and clusters."""

    CREATING = "creating"
    AVAILABLE = "available"
    MODIFYING = "modifying"
    REBOOTING = "rebooting"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node of a cluster that was made."""

    id: str
    zone: str
    created: float
    """Seconds since the epoch."""
    status: Status = Status.CREATING
    port: int = 0
    """The one that it has, or had when the server last ran; 0 as long as it has not had any."""
    generation: int = 0
    """How often it was rebooted."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a cluster has that was made by a request: the server's own has its nodes from the settings."""

    status: Status
    node_type: str
    role: str
    """The ARN of the role as which it reads and writes tables."""
    nodes: tuple[NodeRecord, ...]
    """The first is the primary."""
    version: int
    """Goes up with each change of the nodes, also when a cluster of that name is made again."""
    subnet_group: str = ""
    is_encrypted: bool = False
    """Whether it takes TLS, and nothing else."""
    sealed: bool = False
    """Whether encryption at rest was asked for. Nothing of a cache is ever at rest."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster: what was set of it, and how it was made, if it was."""

    description: str | None = None
    group: str = DEFAULT_GROUP
    tags: Mapping[str, str] = field(default_factory=dict)
    made: Made | None = None

    def packed(self) -> bytes:
        """The stored form."""
        record: dict[str, Any] = {"Description": self.description, "Group": self.group, "Tags": self.tags}
        if self.made is not None:
            record["Made"] = asdict(self.made)
        return orjson.dumps(record)

    @classmethod
    def unpacked(cls, stored: bytes | None) -> Cluster:
        """Reads the stored form; without one, nothing was set."""
        if stored is None:
            return cls()
        record = orjson.loads(stored)
        made = record.get("Made")
        if made is not None:
            nodes = [NodeRecord(**(one | {"status": Status(one["status"])})) for one in made["nodes"]]
            made = Made(**(made | {"status": Status(made["status"]), "nodes": tuple(nodes)}))
        return cls(record["Description"], record["Group"], record["Tags"], made)

    def with_nodes(self, status: Status, nodes: Sequence[NodeRecord]) -> Cluster:
        """The same cluster in another state, with other nodes."""
        made = self.made
        assert made is not None
        return replace(self, made=replace(made, status=status, nodes=tuple(nodes), version=made.version + 1))


@dataclass(frozen=True, slots=True)
class ParameterGroup:
    """A parameter group."""

    name: str
    description: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    """Those that differ from the default."""

    def packed(self) -> bytes:
        """The stored form."""
        return orjson.dumps({"Description": self.description, "Values": self.values})

    @classmethod
    def unpacked(cls, name: str, stored: bytes) -> ParameterGroup:
        """Reads the stored form."""
        record = orjson.loads(stored)
        return cls(name, record["Description"], record["Values"])

    def shown(self) -> dict[str, Any]:
        """As operations show it."""
        described = {} if self.description is None else {"Description": self.description}
        return {"ParameterGroupName": self.name, **described}

    def milliseconds(self, parameter: str) -> int:
        """The value of a parameter."""
        return int(self.values.get(parameter, DEFAULTS[parameter]))


BUILT_IN = ParameterGroup(DEFAULT_GROUP, "Default parameter group for DAX 1.0")


async def cluster_of(region: Region, name: str) -> Cluster:
    """A cluster; one of which nothing was set if there is no record."""
    [stored] = await region.engine.get([cluster_key(name)])
    return Cluster.unpacked(stored)


def names_in(stored: bytes | None) -> list[str]:
    """The names under NAMES_KEY."""
    names: list[str] = [] if stored is None else orjson.loads(stored)
    return names


async def made_clusters(region: Region) -> dict[str, Cluster]:
    """All clusters of a region that were made, by name."""
    [stored] = await region.engine.get([NAMES_KEY])
    names = names_in(stored)
    if not names:
        return {}
    records = await region.engine.get([cluster_key(name) for name in names])
    return {name: Cluster.unpacked(record) for name, record in zip(names, records, strict=True) if record is not None}


async def group_of(region: Region, name: str) -> ParameterGroup | None:
    """A parameter group, if it exists."""
    if name == DEFAULT_GROUP:
        return BUILT_IN
    [stored] = await region.engine.get([group_key(name)])
    return None if stored is None else ParameterGroup.unpacked(name, stored)


async def all_groups(region: Region) -> list[ParameterGroup]:
    """All parameter groups of a region, by name."""
    start = group_key("")
    rows = await region.engine.range(start, prefix_end(start), MOST_GROUPS, 1 << 20)
    made = [ParameterGroup.unpacked(key[len(start) :].decode(), stored) for key, stored in rows]
    return sorted([BUILT_IN, *made], key=lambda group: group.name)
