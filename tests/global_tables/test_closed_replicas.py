"""Replicas whose key cannot be used: the others see it, go on, and take it out of the group after twenty hours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from testing.dynamodb.definitions import definition
from testing.dynamodb.replicated_tables import replica_updates
from testing.dynamodb.sealed_place import CLOSED, DAY, Place, item, run_in_regions
from testing.kms_operations import call

HERE, THERE, BEYOND = "us-east-1", "eu-west-1", "ap-south-1"
HOUR = 60 * 60.0
ROUNDS = 25


async def settle(places: Sequence[Place], seconds: float = 1.0) -> None:
    """Let time pass, and what all regions do meanwhile."""
    for place in places:
        place.now += seconds
    for _ in range(ROUNDS):
        for place in places:
            await place.passes(1)
            await place.work_on()
            for peer in places:
                if peer is not place:
                    await place.pull(peer.region.name)


async def make(places: Sequence[Place]) -> None:
    """A global table in all regions, with a customer's key in each."""
    first, *others = places
    view = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    by = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": first.key}
    await first.do("CreateTable", **definition(TableName="music", SSESpecification=by, StreamSpecification=view))
    for other in others:
        update = replica_updates("Create", other.region.name, KMSMasterKeyId=other.key)
        await first.do("UpdateTable", TableName="music", **update)
        await settle(places)
    await put(first, 1)
    await settle(places)
    for place in places:
        assert await held(place) == [1]
        assert {one["ReplicaStatus"] for one in (await shown(place))["Replicas"]} == {"ACTIVE"}


async def put(place: Place, number: int) -> None:
    await place.do("PutItem", TableName="music", Item=item(number))


async def held(place: Place) -> list[int]:
    items = (await place.do("Scan", TableName="music"))["Items"]
    return sorted(int(one["p"]["S"]) for one in items)


async def shown(place: Place) -> dict[str, Any]:
    table: dict[str, Any] = (await place.do("DescribeTable", TableName="music"))["Table"]
    return table


async def replicas_of(place: Place) -> dict[str, dict[str, Any]]:
    """The other replicas, as a region shows them."""
    return {one["RegionName"]: one for one in (await shown(place)).get("Replicas", ())}


def test_a_replica_that_is_back_in_time_catches_up(tmp_path: Path) -> None:
    async def scenario(places: Sequence[Place]) -> None:
        here, there = places
        await make(places)
        await call(there.region, "DisableKey", KeyId=there.key)
        before = there.now
        await settle(places)
        assert await there.status() == CLOSED
        replica = (await replicas_of(here))[THERE]
        assert replica["ReplicaStatus"] == CLOSED
        since = (await shown(there))["SSEDescription"]["InaccessibleEncryptionDateTime"]
        assert before < replica["ReplicaInaccessibleDateTime"] == since
        assert (await shown(here))["TableStatus"] == "ACTIVE"
        await put(here, 2)
        await settle(places, 19 * HOUR)
        await call(there.region, "EnableKey", KeyId=there.key)
        await settle(places)
        assert (await held(there), await held(here)) == ([1, 2], [1, 2])
        replica = (await replicas_of(here))[THERE]
        assert (replica["ReplicaStatus"], "ReplicaInaccessibleDateTime" in replica) == ("ACTIVE", False)
        await put(there, 3)
        await settle(places)
        assert await held(here) == [1, 2, 3]

    run_in_regions(tmp_path, [HERE, THERE], scenario)


@pytest.mark.parametrize("names", [(HERE, THERE), (HERE, THERE, BEYOND)])
def test_a_replica_leaves_its_group_after_twenty_hours(tmp_path: Path, names: tuple[str, ...]) -> None:
    async def scenario(places: Sequence[Place]) -> None:
        here, there, *beyond = places
        await make(places)
        await put(there, 9)
        await call(there.region, "DisableKey", KeyId=there.key)
        await there.passes(31)
        assert await there.status() == CLOSED, "with a change that nobody has read"
        await settle(places)
        await put(here, 2)
        await settle(places, 20 * HOUR)
        for place in (here, *beyond):
            assert THERE not in await replicas_of(place)
            assert await held(place) == [1, 2]
        assert ("Replicas" in await shown(here)) == bool(beyond)
        assert (await there.status(), "Replicas" in await shown(there)) == (CLOSED, False)
        await call(there.region, "EnableKey", KeyId=there.key)
        await settle(places)
        assert (await there.status(), await held(there)) == ("ACTIVE", [1, 9]), "it is a table of its own"
        await put(there, 3)
        await put(here, 4)
        await settle(places)
        assert (await held(here), await held(there)) == ([1, 2, 4], [1, 3, 9])

    run_in_regions(tmp_path, names, scenario)


def test_what_has_left_is_archived_like_any_other_table(tmp_path: Path) -> None:
    async def scenario(places: Sequence[Place]) -> None:
        here, there = places
        await make(places)
        await call(there.region, "DisableKey", KeyId=there.key)
        await settle(places, 31)
        await settle(places, 21 * HOUR)
        await settle(places, 7 * DAY)
        assert await there.status() == "ARCHIVED"
        assert (await shown(here))["TableStatus"] == "ACTIVE"

    run_in_regions(tmp_path, [HERE, THERE], scenario)
