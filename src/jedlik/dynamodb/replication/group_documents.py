"""Group documents from peers: checked before they are merged, and the result before it is stored."""

from __future__ import annotations

from typing import Any

from jedlik.dynamodb.model import replicas, versions
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.replicas import CREATING, DELETED, Group
from jedlik.dynamodb.model.shared_settings import INDEX, INDEX_THROUGHPUT
from jedlik.dynamodb.replication import peer_messages
from jedlik.dynamodb.replication.aside import PutAside, WrongAnswer
from jedlik.dynamodb.replication.forms import Misshapen

_NEEDED = ("Throughput", "WarmThroughput", "StreamViewType")
"""Settings that every table has."""
_STAGES = ("CREATING", "ACTIVE", "DELETING", "DELETED")
"""By the third number of a status's version."""


def check(group: Group, now: float) -> None:
    """Check a peer's document. It has its form (`peer_messages.GROUP`); `now` is in seconds since the epoch.

    Raises WrongAnswer, and PutAside for writes by a clock that is far ahead: every change of a document is later than
    everything in it, so one such register would put all later changes ahead.
    """
    try:
        for name, register in group["Settings"].items():
            _check_setting(name, register["Value"])
        for name, register in group["Overrides"].items():
            _check_override(name, register["Value"])
    except Misshapen as error:
        raise WrongAnswer(f"a group's document: {error}") from error
    for region, register in group["Statuses"].items():
        _check_status(region, register["Version"][2], register["Value"])
    registers = [register for kind in ("Statuses", "Overrides", "Settings") for register in group[kind].values()]
    latest = max((register["Version"][0] for register in registers), default=0)
    statuses = group["Statuses"].values()
    since = max((max(status["Value"]["Since"], status["Version"][3]) for status in statuses), default=0.0)
    if max(replicas.seconds(latest), since) > now + versions.FURTHEST_AHEAD_SECONDS:
        raise PutAside("a group's document is ahead of the clock here by more than ten minutes")
    _check_complete(replicas.settings(group))


def check_merged(table: Descriptor, merged: Group) -> None:
    """Check the group document that a replica's descriptor will follow after a merge. Raises WrongAnswer."""
    settings = replicas.settings(merged)
    _check_complete(settings)
    local = {index.name for index in table.local_indexes}
    if any(INDEX + name in settings for name in local):
        raise WrongAnswer("a group's document: a global index has the name of a local one")
    if replicas.status(merged, table.region)["Status"] == DELETED:
        raise WrongAnswer("a group's document: the replica here is said to be gone")


def _check_setting(name: str, value: Any) -> None:
    form = peer_messages.SETTINGS.get(name)
    if form is None:
        kind, _, index = name.partition("/")
        form = peer_messages.INDEX_SETTINGS.get(kind)
        if form is None:
            raise Misshapen(f"Settings.{name}", "a setting")
        peer_messages.INDEX_NAME(index, f"Settings.{kind}")
    form(value, f"Settings.{name}")
    if name.startswith(INDEX) and value is not None:
        _check_index(name, value)


def _check_index(name: str, definition: dict[str, Any]) -> None:
    """The key of an index: one to four attributes to hash, then up to four to sort by, all of them defined."""
    kinds = [element["KeyType"] for element in definition["KeySchema"]]
    names = [element["AttributeName"] for element in definition["KeySchema"]]
    defined = [element["AttributeName"] for element in definition["AttributeDefinitions"]]
    fits = kinds[:1] == ["HASH"] and kinds == sorted(kinds) and max(map(kinds.count, kinds)) <= peer_messages.KEY_PARTS
    if not fits or len({*names}) < len(names) or len({*defined}) < len(defined) or not {*names} <= {*defined}:
        raise Misshapen(f"Settings.{name}", "the definition of an index")
    projection = definition["Projection"]
    included = projection.get("NonKeyAttributes")
    if (projection["ProjectionType"] == "INCLUDE") != (included is not None) or len({*(included or ())}) < len(
        included or ()
    ):
        raise Misshapen(f"Settings.{name}", "the projection of an index")


def _check_override(name: str, value: Any) -> None:
    """An override's name is the region, perhaps an index, and the member."""
    region, _, rest = name.partition("/")
    index, _, member = rest.rpartition("/")
    peer_messages.REGION_NAME(region, "Overrides")
    form = peer_messages.OVERRIDES.get(member)
    if form is None:
        raise Misshapen(f"Overrides.{name}", "an override")
    if index:
        peer_messages.INDEX_NAME(index, "Overrides")
    form(value, f"Overrides.{name}")


def _check_status(region: str, stage: int, value: dict[str, Any]) -> None:
    if _STAGES[stage] != value["Status"]:
        raise WrongAnswer("a group's document: a status is not that of its version")
    if value["Status"] == CREATING and value.get("Source", region) == region:
        raise WrongAnswer("a group's document: a replica is made from none")


def _check_complete(settings: dict[str, Any]) -> None:
    indexes = {name.removeprefix(INDEX) for name in settings if name.startswith(INDEX)}
    if any(name not in settings for name in _NEEDED):
        raise WrongAnswer("a group's document: it has not the settings that every table has")
    if len(indexes) > peer_messages.INDEXES or any(INDEX_THROUGHPUT + name not in settings for name in indexes):
        raise WrongAnswer("a group's document: its indexes are not whole")
