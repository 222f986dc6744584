"""A check of a healthy store finds nothing, whatever job is in progress there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from jedlik.background import job_records
from jedlik.background.job_records import JobMoved, JobWaits
from jedlik.dynamodb.backups import (
    archiving,
    backup_removal,
    bulk_puts,
    exporting,
    importing,
    recovery_plans,
    restores,
    table_copies,
)
from jedlik.dynamodb.encryption import key_changes
from jedlik.dynamodb.items import expiring
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.replication import membership
from jedlik.dynamodb.tables import backfill, purge
from jedlik.process.services import SERVICES
from jedlik.regions.object_places import ObjectPlaces
from jedlik.upkeep.check import StoreCheck
from testing import jobs
from testing.dynamodb.definitions import attributes, index, key_schema
from testing.global_tables.world import TABLE, A, B, World
from testing.storage.memory import MemoryView
from testing.storage.objects import MemoryObjects

ITEMS = 120
"""More than a step of any job takes."""
ROUNDS = 20


async def filled(world: World) -> None:
    await world.make_tables(A)
    for number in range(ITEMS):
        await world[A].put(f"{number}", x=number, expires=int(world[A].now) + 1000)


async def an_index_is_made(world: World) -> None:
    await filled(world)
    change = {"Create": index("late", "y")}
    await world[A].call("UpdateTable", AttributeDefinitions=attributes(y="N"), GlobalSecondaryIndexUpdates=[change])


async def a_table_is_deleted(world: World) -> None:
    await filled(world)
    await world[A].call("DeleteTable")


async def time_to_live_is_enabled(world: World) -> None:
    await filled(world)
    await world[A].call("UpdateTimeToLive", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"})


async def a_replica_comes(world: World) -> None:
    await world.make_tables(A)
    await world[A].put("a")
    await world[A].call("UpdateTable", ReplicaUpdates=[{"Create": {"RegionName": B}}])


async def a_replica_is_deleted_elsewhere(world: World) -> None:
    await two_replicas(world)
    await world[A].call("UpdateTable", ReplicaUpdates=[{"Delete": {"RegionName": B}}])


async def a_replica_goes(world: World) -> None:
    await two_replicas(world)
    await world[B].call("DeleteTable")


async def two_replicas(world: World) -> None:
    await world.make_tables(A, B)
    await world.replicate(A, B)
    await world[B].put("b")


async def backups_are_made_restored_and_deleted(world: World) -> None:
    await filled(world)
    place = world[A]
    place.region.places = ObjectPlaces(MemoryObjects(), {})
    arns = []
    for name in ("one", "two", "six"):
        made = await place.call("CreateBackup", BackupName=name)
        arns.append(made["BackupDetails"]["BackupArn"])
        for number in range(ITEMS // 2):
            await place.put(f"{number}", x=number + len(arns))
        while name != "six" and (found := await place.region.engine.range(*job_records.job_range(), 1, MIB)):
            await jobs.step(place.region, job_records.parse(found[0]))
    await place.do("RestoreTableFromBackup", TargetTableName="Again", BackupArn=arns[0])
    await place.do("DeleteBackup", BackupArn=arns[1])


async def recovery_begins_ends_and_restores(world: World) -> None:
    place = world[A]
    await world.make_tables(A)
    place.region.places = ObjectPlaces(MemoryObjects(), {})
    on = {"PointInTimeRecoveryEnabled": True}
    await place.call("UpdateContinuousBackups", PointInTimeRecoverySpecification=on)
    for number in range(ITEMS):
        await place.put(f"{number}", x=number)
    while found := await place.region.engine.range(*job_records.job_range(), 1, MIB):
        await jobs.step(place.region, job_records.parse(found[0]))
    await place.call(
        "UpdateContinuousBackups", PointInTimeRecoverySpecification=on | {"PointInTimeRecoveryEnabled": False}
    )
    place.now += 1
    await place.call("UpdateContinuousBackups", PointInTimeRecoverySpecification=on)
    place.now += 2
    source = {"SourceTableName": TABLE, "TargetTableName": "Again", "UseLatestRestorableTime": True}
    await place.do("RestoreTableToPointInTime", **source)


async def a_table_is_imported(world: World) -> None:
    objects = MemoryObjects()
    objects.kept["data/part"] = b"".join(b'{"Item": {"p": {"S": "%d"}}}\n' % number for number in range(2 * ITEMS))
    place = world[A]
    place.region.places = ObjectPlaces(objects, {})
    place.region.places.bucket = lambda name: objects  # type: ignore[method-assign]
    table = {"TableName": "Imported", "KeySchema": key_schema("p"), "AttributeDefinitions": attributes(p="S")}
    await place.do(
        "ImportTable",
        S3BucketSource={"S3Bucket": "bucket"},
        InputFormat="DYNAMODB_JSON",
        TableCreationParameters=table | {"BillingMode": "PAY_PER_REQUEST"},
    )


async def items_are_put_from_a_bucket(world: World) -> None:
    await filled(world)
    objects = MemoryObjects()
    objects.kept["data/part"] = b"".join(b'{"Item": {"p": {"S": "%d"}}}\n' % number for number in range(2 * ITEMS))
    place = world[A]
    place.region.places = ObjectPlaces(MemoryObjects(), {})
    place.region.places.bucket = lambda name: objects  # type: ignore[method-assign]
    source = {"S3Bucket": "bucket", "S3KeyPrefix": "data/", "InputFormat": "DYNAMODB_JSON"}
    output = {"S3Bucket": "bucket", "S3KeyPrefix": "report/", "OutputType": ["ERROR", "CONDITION_CHECK_FAILURE"]}
    await place.call("StartBulkPutItems", InputS3Configuration=source, OutputS3Configuration=output)


async def a_table_is_exported(world: World) -> None:
    place = world[A]
    await world.make_tables(A)
    place.region.places = ObjectPlaces(MemoryObjects(), {})
    bucket = MemoryObjects()
    place.region.places.bucket = lambda name: bucket  # type: ignore[method-assign]
    on = {"PointInTimeRecoveryEnabled": True}
    await place.call("UpdateContinuousBackups", PointInTimeRecoverySpecification=on)
    await place.put("a", x=1)
    place.now += 2
    arn = (await place.call("DescribeTable"))["Table"]["TableArn"]
    await place.do("ExportTableToPointInTime", TableArn=arn, S3Bucket="bucket")


SCENARIOS: dict[Callable[[World], Awaitable[None]], set[str]] = {
    an_index_is_made: {backfill.KIND},
    a_table_is_deleted: {purge.KIND},
    time_to_live_is_enabled: {expiring.KIND},
    a_replica_comes: {membership.REPLICA},
    a_replica_is_deleted_elsewhere: {membership.REPLICA, membership.DEPARTURE, purge.KIND},
    backups_are_made_restored_and_deleted: {table_copies.KIND, restores.KIND, backup_removal.KIND},
    recovery_begins_ends_and_restores: {
        table_copies.KIND,
        archiving.REMOVAL,
        backup_removal.KIND,
        recovery_plans.KIND,
        restores.KIND,
    },
    a_table_is_exported: {table_copies.KIND, exporting.KIND, backup_removal.KIND},
    a_table_is_imported: {importing.KIND},
    items_are_put_from_a_bucket: {bulk_puts.KIND},
    a_replica_goes: {membership.REPLICA, membership.DEPARTURE, purge.KIND},
}
"""The events, and the kinds of job that are in progress then or later."""


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_nothing_is_wrong_while_a_job_is_in_progress(scenario: Callable[[World], Awaitable[None]]) -> None:
    async def test() -> None:
        world = World(A, B)
        await scenario(world)
        assert await until_done(world) == SCENARIOS[scenario]

    asyncio.run(test())


async def until_done(world: World) -> set[str]:
    """Do all jobs step by step, with a check after each. Returns the kinds of the jobs."""
    seen: set[str] = set()
    for _ in range(ROUNDS):
        kinds = set()
        for place in world.places.values():
            place.elapsed += 1
            for row in await place.region.engine.range(*job_records.job_range(), 100, MIB):
                job = job_records.parse(row)
                kinds.add(job.kind)
                check(world)
                with suppress(JobMoved, JobWaits):
                    await jobs.step(place.region, job)
            for peer in world.places:
                if peer != place.name:
                    await place.pull(peer)
        check(world)
        if not kinds:
            return seen
        seen |= kinds
    raise AssertionError(f"jobs are still in progress: {kinds}")


def check(world: World) -> None:
    for place in world.places.values():
        assert list(StoreCheck(MemoryView(place.kept), SERVICES).problems()) == [], place.name


def test_a_scenario_has_each_kind() -> None:
    """Sealed stores have theirs in tests/process/test_keys_of_stores.py."""
    assert set().union(*SCENARIOS.values(), {key_changes.KIND}) == set(jobs.KINDS)
