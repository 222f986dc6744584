"""What a region's store keeps of clusters: parameter groups, and what was set of the cluster that the server has.

A parameter group is a map from parameters to values, of those that differ from the default. The server's cluster is
there without a record; one is made when something of it is set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from jedlik.regions.keyspaces import Keyspace, Owner, prefix_end
from jedlik.regions.region import Region

DEFAULT_CLUSTER = "default"
"""The name of the cluster that the server has."""
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
    (("00  name", "settings of a cluster of DAX"), ("01  name", "parameter group of DAX")),
    lost="what was set of the cluster, or the parameter group",
)


def cluster_key(name: str) -> bytes:
    """Where the settings of a cluster are."""
    return CLUSTERS.prefix + b"\x00" + name.encode()


def group_key(name: str) -> bytes:
    """Where a parameter group is."""
    return CLUSTERS.prefix + b"\x01" + name.encode()


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """What was set of a cluster."""

    description: str | None = None
    group: str = DEFAULT_GROUP
    tags: Mapping[str, str] = field(default_factory=dict)

    def packed(self) -> bytes:
        """The stored form."""
        return orjson.dumps({"Description": self.description, "Group": self.group, "Tags": self.tags})

    @classmethod
    def unpacked(cls, stored: bytes | None) -> ClusterSettings:
        """Reads the stored form; without one, nothing was set."""
        if stored is None:
            return cls()
        record = orjson.loads(stored)
        return cls(record["Description"], record["Group"], record["Tags"])


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


async def settings_of(region: Region, name: str) -> ClusterSettings:
    """What was set of a cluster."""
    [stored] = await region.engine.get([cluster_key(name)])
    return ClusterSettings.unpacked(stored)


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
