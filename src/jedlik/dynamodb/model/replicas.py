"""Replicas of a global table: the group document, of which each replica's descriptor holds a copy.

The document contains the regions that have a replica, the state of each, its own settings (overrides), and the settings
that all share. Any region may change it at any time, without asking the others. So it consists of registers: a value
with a version, of which the later wins. Merging two copies takes the later of each register, so copies that have
received the same changes are equal, in whatever order they received them (a state-based CRDT: Shapiro et al.,
"Conflict-free replicated data types", SSS 2011).

    {"GroupId": uuid,                                                the same in every region
     "Statuses":  {region: {"Version": [...], "Value": {"Status": ..., "Source": region, "Since": seconds}}},
     "Overrides": {region/member: {"Version": [...], "Value": ...}},  what is a replica's own, like read capacity
     "Settings":  {name: {"Version": [...], "Value": ...}}}           what replicas share (`shared_settings`)

A version is [clock, region]. That of a status is [clock, region, stage, since], where clock and region are those of the
replica's creation: so the life of one replica only moves on, from CREATING over ACTIVE and DELETING to DELETED, and a
deletion cannot lose against a status that a fast clock wrote. The clock is a hybrid logical one: milliseconds and a
counter, always later than everything in the document. A deleted replica stays in the document as DELETED, so that a
copy without its deletion does not bring it back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

Group = dict[str, Any]
"""A group document."""

CREATING = "CREATING"
ACTIVE = "ACTIVE"
DELETING = "DELETING"
DELETED = "DELETED"
_STAGES = (CREATING, ACTIVE, DELETING, DELETED)
"""The life of a replica, in its order."""

_REGISTERS = ("Statuses", "Overrides", "Settings")
_CLOCK_BITS = 16
"""Bits of the counter below the milliseconds."""
_VERSION_BYTES = 16


@dataclass(frozen=True, slots=True)
class Replica:
    """A table's place among its replicas: part of the parsed descriptor."""

    group_id: str
    region: str
    """Its own region."""
    status: str
    """CREATING, ACTIVE or DELETING."""
    source: str | None
    """The region to copy from, while CREATING."""
    peers: tuple[str, ...]
    """The other regions that have a replica, in whatever state, in the order of their creation."""
    disassociates: bool = False
    """Whether it is DELETING to become a table of its own, and serves as one meanwhile."""

    @property
    def usable(self) -> bool:
        """Whether its items can be read and written."""
        return self.status == ACTIVE or self.disassociates


def parse(group: Group, region: str) -> Replica:
    """The replica that a group document describes in a region."""
    own = status(group, region)
    return Replica(
        group_id=group["GroupId"],
        region=region,
        status=own["Status"],
        source=own.get("Source") if own["Status"] == CREATING else None,
        peers=tuple(peer for peer in regions(group) if peer != region),
        disassociates=is_disassociating(own),
    )


def make(group_id: str, region: str, settings: dict[str, Any], now: float) -> Group:
    """The document of a new group: of the one region that has the table so far. `now` is in seconds."""
    group: Group = {"GroupId": group_id, "Statuses": {}, "Overrides": {}, "Settings": {}}
    group = with_settings(group, settings, region, now)
    status = _status(_clock(group, now), region, ACTIVE, {}, now)
    return group | {"Statuses": {region: status}}


def created(group: Group, region: str, source: str, by: str, now: float, *, existing: bool = False) -> Group:
    """The document with a new replica in `region`, which must copy all items from `source`.

    If it is `existing`, it is made from the empty table in the region; otherwise there must be no table. It has no
    overrides, even if there was another replica before.
    """
    group = with_overrides(group, region, dict.fromkeys(overrides(group, region)), by, now)
    known = {"Source": source} | ({"Existing": True} if existing else {})
    status = _status(_clock(group, now), by, CREATING, known, now)
    return group | {"Statuses": group["Statuses"] | {region: status}}


def moved(
    group: Group, region: str, stage: str, now: float, *, kept: bool = False, disassociated: bool = False
) -> Group:
    """The document with the replica in `region` at a later stage of its life; the same document if it has reached that
    stage.

    `kept` and `disassociated` are for DELETING: the replica leaves the group, but its table stays; if `disassociated`,
    it can be used all the while.
    """
    register = group["Statuses"][region]
    clock, creator, reached, _ = register["Version"]
    if _STAGES.index(stage) <= reached:
        return group
    known = register["Value"] | ({"Kept": True} if kept or disassociated else {})
    known |= {"Disassociated": True} if disassociated else {}
    return group | {"Statuses": group["Statuses"] | {region: _status(clock, creator, stage, known, now)}}


def with_overrides(group: Group, region: str, overrides: dict[str, Any], by: str, now: float) -> Group:
    """The document with these overrides of the replica in `region`, by member. None removes one."""
    return _set(group, "Overrides", {f"{region}/{member}": value for member, value in overrides.items()}, by, now)


def with_settings(group: Group, settings: dict[str, Any], by: str, now: float) -> Group:
    """The document with these shared settings; the same document if it has them all. None stands for a removed
    setting."""
    return _set(group, "Settings", settings, by, now)


def merge(ours: Group, theirs: Group) -> Group:
    """The union of two copies of a document. Order and repetition make no difference."""
    if ours["GroupId"] != theirs["GroupId"]:
        raise ValueError("documents of different groups")
    merged: Group = {"GroupId": ours["GroupId"]}
    for kind in _REGISTERS:
        registers = dict(ours[kind])
        for name, register in theirs[kind].items():
            if name not in registers or register["Version"] > registers[name]["Version"]:
                registers[name] = register
        merged[kind] = registers
    return merged


def version(group: Group) -> str:
    """Distinguishes documents: equal ones have the same hash, others do not. It does not show which is the later."""
    canonical = orjson.dumps(group, option=orjson.OPT_SORT_KEYS)
    return blake2b(canonical, digest_size=_VERSION_BYTES).hexdigest()


def status(group: Group, region: str) -> dict[str, Any]:
    """The state of the replica in `region`: Status, Since (seconds) and, where they apply, Source (the region that it
    was copied from), Existing (it was made from an existing table), Kept (its table stays when it is deleted) and
    Disassociated (it can be used while it is being deleted).

    Two regions may delete each other at once. A table is never lost in this way: if no replica would be left, the first
    by name stays, as every region computes for itself.
    """
    value: dict[str, Any] = group["Statuses"].get(region, {"Value": {"Status": DELETED, "Since": 0.0}})["Value"]
    if value["Status"] == DELETING and region == _last_to_go(group):
        return value | {"Status": ACTIVE}
    return value


def is_disassociating(status: dict[str, Any]) -> bool:
    """Whether this is the state of a replica that is becoming a table of its own."""
    return status["Status"] == DELETING and "Disassociated" in status


def regions(group: Group) -> list[str]:
    """The regions that have a replica, in whatever state, in the order of their creation."""
    there = [(r["Version"], name) for name, r in group["Statuses"].items() if r["Value"]["Status"] != DELETED]
    return [name for _, name in sorted(there)]


def sources(group: Group, since: float) -> set[str]:
    """The regions that were the sources of still existing replicas created since a time, in seconds."""
    there = [group["Statuses"][name] for name in regions(group)]
    recent = [r for r in there if r["Version"][0] >= int(since * 1000) << _CLOCK_BITS]
    return {register["Value"]["Source"] for register in recent if "Source" in register["Value"]}


def overrides(group: Group, region: str) -> dict[str, Any]:
    """The overrides of the replica in `region`, by member."""
    prefix = f"{region}/"
    return {name.removeprefix(prefix): v for name, v in _values(group, "Overrides").items() if name.startswith(prefix)}


def seconds(clock: int) -> float:
    """The time in the clock of a register's version, in seconds since the epoch."""
    return (clock >> _CLOCK_BITS) / 1000


def begun(group: Group) -> float:
    """When the group was created, in seconds."""
    first: int = min(register["Version"][0] for register in group["Statuses"].values())
    return first / (1000 << _CLOCK_BITS)


def settings(group: Group) -> dict[str, Any]:
    """The shared settings, by name."""
    return _values(group, "Settings")


def _last_to_go(group: Group) -> str | None:
    there = sorted(regions(group))
    if any(group["Statuses"][name]["Value"]["Status"] in (CREATING, ACTIVE) for name in there):
        return None
    return there[0]


def _status(clock: int, creator: str, stage: str, known: dict[str, Any], now: float) -> dict[str, Any]:
    """The register of a replica's status: its `known` members, at a stage of its life."""
    return {
        "Version": [clock, creator, _STAGES.index(stage), now],
        "Value": known | {"Status": stage, "Since": now},
    }


def _set(group: Group, kind: str, values: dict[str, Any], by: str, now: float) -> Group:
    registers, current = group[kind], _values(group, kind)
    changed = {name: value for name, value in values.items() if current.get(name) != value}
    if not changed:
        return group
    version = [_clock(group, now), by]
    return group | {kind: registers | {name: {"Version": version, "Value": v} for name, v in changed.items()}}


def _values(group: Group, kind: str) -> dict[str, Any]:
    """The values of the registers, by name; a register with None does not count."""
    return {name: register["Value"] for name, register in group[kind].items() if register["Value"] is not None}


def _clock(group: Group, now: float) -> int:
    """A clock that is later than everything in the document, and not before `now`."""
    latest = max((register["Version"][0] for register in _every_register(group)), default=0)
    return max(int(now * 1000) << _CLOCK_BITS, latest + 1)


def _every_register(group: Group) -> Iterable[dict[str, Any]]:
    return (register for kind in _REGISTERS for register in group[kind].values())
