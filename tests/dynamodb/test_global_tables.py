"""Global tables: making, using and removing replicas, in several regions of one server."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from testing.dynamodb.definitions import attributes, create, describe, index, unused_name
from testing.dynamodb.refusals import refusal
from testing.dynamodb.replicated_tables import (
    ELSEWHERE,
    HERE,
    THERE,
    WAIT_SECONDS,
    add,
    becomes,
    global_table,
    item,
    keys_in,
    put,
    replica,
    replica_updates,
    statuses,
    table_status,
)
from testing.jedlik_process import Server

WARM = {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"}


# Making a replica


def test_a_replica_is_creating_and_the_table_updating_until_it_is_there(here: Any) -> None:
    name = create(here)
    answer = here.update_table(TableName=name, **replica_updates("Create", THERE))["TableDescription"]
    assert answer["TableStatus"] == "UPDATING"
    assert answer["GlobalTableVersion"] == "2019.11.21"
    assert answer["Replicas"] == [
        {
            "RegionName": THERE,
            "ReplicaStatus": "CREATING",
            "WarmThroughput": WARM,
            "GlobalTableSettingsReplicationMode": "ENABLED_WITH_OVERRIDES",
        }
    ]
    becomes(lambda: table_status(here, name), "ACTIVE")
    assert statuses(here, name) == {THERE: "ACTIVE"}


def test_both_regions_describe_the_table_alike_and_each_other(here: Any, there: Any) -> None:
    name = global_table(here, THERE)
    mine, other = describe(here, name), describe(there, name)
    assert statuses(there, name) == {HERE: "ACTIVE"}
    # Both may have been created in one millisecond, or not.
    times = {"CreationDateTime", "LatestStreamLabel", "BillingModeSummary"}
    own = {"TableId", "TableArn", "LatestStreamArn", "Replicas"}
    assert {member for member in mine if mine[member] != other[member]} - times == own
    assert mine.keys() == other.keys()
    assert mine["GlobalTableSettingsReplicationMode"] == "ENABLED_WITH_OVERRIDES"


def test_the_description_of_an_ordinary_table_has_no_replicas(here: Any) -> None:
    assert (
        describe(here, create(here))
        .keys()
        .isdisjoint({"Replicas", "GlobalTableVersion", "GlobalTableSettingsReplicationMode"})
    )


def test_a_table_without_a_stream_is_given_one(here: Any, there: Any) -> None:
    name = create(here)
    answer = here.update_table(TableName=name, **replica_updates("Create", THERE))["TableDescription"]
    both = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert answer["StreamSpecification"] == both
    becomes(lambda: table_status(there, name), "ACTIVE")
    assert describe(there, name)["StreamSpecification"] == both
    assert describe(there, name)["LatestStreamArn"].startswith(f"arn:aws:dynamodb:{THERE}:")


def test_a_stream_of_another_view_type_stays_and_replicates(here: Any, there: Any) -> None:
    keys_only = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    name = global_table(here, THERE, StreamSpecification=keys_only)
    assert describe(here, name)["StreamSpecification"] == describe(there, name)["StreamSpecification"] == keys_only
    here.put_item(TableName=name, Item=item("a", x="here"))
    becomes(lambda: there.get_item(TableName=name, Key=item("a")).get("Item"), item("a", x="here"))


def test_the_replica_has_the_keys_and_indexes_of_the_table(here: Any, there: Any) -> None:
    definition = {
        "AttributeDefinitions": attributes(p="S", s="N", x="S", y="B"),
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
        "LocalSecondaryIndexes": [index("local", "p", "x", include=["z"])],
        "GlobalSecondaryIndexes": [index("global", ["x", "y"], "s"), index("keys", "y", include=[])],
    }
    name = create(here, **definition)
    there_already = {"p": {"S": "a"}, "s": {"N": "1"}, "x": {"S": "x"}, "y": {"B": b"y"}}
    here.put_item(TableName=name, Item=there_already)
    add(here, name, THERE)
    for member in ("AttributeDefinitions", "KeySchema"):
        assert describe(there, name)[member] == describe(here, name)[member]
    for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes"):
        shown = [[{m: i[m] for m in ("IndexName", "KeySchema", "Projection", "ItemCount")} for i in described[kind]]
                 for described in (describe(here, name), describe(there, name))]  # fmt: skip
        assert shown[0] == shown[1]
    found = there.query(
        TableName=name,
        IndexName="global",
        KeyConditionExpression="x = :x AND y = :y",
        ExpressionAttributeValues={":x": {"S": "x"}, ":y": {"B": b"y"}},
    )
    assert found["Items"] == [there_already]


def test_a_full_table_is_copied_while_writes_go_on(here: Any, there: Any) -> None:
    name = create(here)
    before = [f"before-{number}" for number in range(300)]
    put(here, name, *before)
    during: list[str] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            during.append(f"during-{len(during)}")
            put(here, name, during[-1])
            here.delete_item(TableName=name, Key=item(before[len(during) % 300]))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        add(here, name, THERE)
    finally:
        stop.set()
        writer.join()
    becomes(lambda: keys_in(there, name), keys_in(here, name))
    assert set(during) <= keys_in(there, name)


def test_a_replica_that_is_being_created_can_only_be_described(server: Server, here: Any) -> None:
    name, there = create(here), server.client(region="eu-west-2")
    put(here, name, "a")
    here.update_table(TableName=name, **replica_updates("Create", "eu-west-2"))
    seen = []
    while table_status(there, name) != "ACTIVE":
        try:
            there.get_item(TableName=name, Key=item("a"))
        except ClientError as error:
            seen.append(error.response["Error"]["Code"])
    assert set(seen) <= {"ResourceNotFoundException"}
    assert there.get_item(TableName=name, Key=item("a"))["Item"] == item("a")


# Writing in several regions


def test_writes_go_both_ways_and_deletes_too(here: Any, there: Any) -> None:
    name = global_table(here, THERE)
    put(here, name, "a", x="here")
    put(there, name, "b", x="there")
    becomes(lambda: keys_in(there, name), {"a", "b"})
    becomes(lambda: keys_in(here, name), {"a", "b"})
    there.delete_item(TableName=name, Key=item("a"))
    becomes(lambda: keys_in(here, name), {"b"})


def test_a_replicated_change_is_in_the_stream_of_the_receiving_region(server: Server, here: Any) -> None:
    name = global_table(here, THERE)
    put(here, name, "a")
    streams = server.client("dynamodbstreams", region=THERE)
    arn = describe(server.client(region=THERE), name)["LatestStreamArn"]

    def seen() -> list[Any]:
        records = []
        for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            iterator = streams.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            records += streams.get_records(ShardIterator=iterator)["Records"]
        return [(r["eventName"], r["awsRegion"], r["dynamodb"]["NewImage"]) for r in records]

    becomes(seen, [("INSERT", THERE, item("a"))])


def test_three_regions(here: Any, there: Any, elsewhere: Any) -> None:
    name = create(here)
    put(here, name, "before")
    add(here, name, THERE)
    put(there, name, "between")
    add(there, name, ELSEWHERE)
    becomes(lambda: [table_status(client, name) for client in (here, there, elsewhere)], ["ACTIVE"] * 3)
    # The first may be active because it has not heard of the third yet.
    becomes(lambda: statuses(here, name), {THERE: "ACTIVE", ELSEWHERE: "ACTIVE"})
    becomes(lambda: statuses(there, name), {HERE: "ACTIVE", ELSEWHERE: "ACTIVE"})
    becomes(lambda: statuses(elsewhere, name), {HERE: "ACTIVE", THERE: "ACTIVE"})
    for client, key in ((here, "here"), (there, "there"), (elsewhere, "elsewhere")):
        put(client, name, key)
    for client in (here, there, elsewhere):
        becomes(partial(keys_in, client, name), {"before", "between", "here", "there", "elsewhere"})


# Removing a replica


def test_a_replica_is_deleted_with_its_table_and_the_last_one_is_an_ordinary_table(here: Any, there: Any) -> None:
    name = global_table(here, THERE)
    put(there, name, "last")
    answer = here.update_table(TableName=name, **replica_updates("Delete", THERE))["TableDescription"]
    assert answer["TableStatus"] == "UPDATING"
    assert answer["Replicas"][0]["ReplicaStatus"] == "DELETING"
    becomes(lambda: table_status(there, name), None)
    becomes(lambda: "GlobalTableVersion" in describe(here, name), False)
    description = describe(here, name)
    assert description["TableStatus"] == "ACTIVE"
    assert "Replicas" not in description
    assert description["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert keys_in(here, name) == {"last"}


def test_no_write_that_a_replica_has_acknowledged_is_lost_with_it(here: Any, there: Any, elsewhere: Any) -> None:
    name = global_table(here, THERE, ELSEWHERE)
    written: list[str] = []
    is_writing = threading.Event()

    def write() -> None:
        while True:
            try:
                put(there, name, f"item-{len(written)}")
            except there.exceptions.ResourceNotFoundException:
                return
            written.append(f"item-{len(written)}")
            is_writing.set()

    with ThreadPoolExecutor() as pool:
        writer = pool.submit(write)
        assert is_writing.wait(WAIT_SECONDS)
        here.update_table(TableName=name, **replica_updates("Delete", THERE))
        writer.result()
    becomes(lambda: table_status(there, name), None)
    for client in (here, elsewhere):
        assert set(written) <= keys_in(client, name)
    becomes(lambda: (len(statuses(here, name)), len(statuses(elsewhere, name))), (1, 1))


def test_delete_table_removes_the_replica_of_its_region(here: Any, there: Any) -> None:
    name = global_table(here, THERE)
    assert there.delete_table(TableName=name)["TableDescription"]["TableStatus"] == "DELETING"
    becomes(lambda: table_status(there, name), None)
    becomes(lambda: "Replicas" in describe(here, name), False)
    assert here.delete_table(TableName=name)["TableDescription"]["TableStatus"] == "DELETING"
    assert table_status(here, name) is None


def test_a_replica_can_be_created_again(here: Any, there: Any) -> None:
    name = global_table(here, THERE)
    put(here, name, "a", "b")
    here.update_table(TableName=name, **replica_updates("Delete", THERE))
    becomes(lambda: "Replicas" in describe(here, name), False)
    here.delete_item(TableName=name, Key=item("a"))
    add(here, name, THERE)
    becomes(lambda: keys_in(there, name), {"b"})
    put(there, name, "c")
    becomes(lambda: keys_in(here, name), {"b", "c"})


def test_a_replica_that_is_being_created_may_be_deleted(here: Any, there: Any) -> None:
    name = create(here)
    here.update_table(TableName=name, **replica_updates("Create", THERE))
    here.update_table(TableName=name, **replica_updates("Delete", THERE))
    becomes(lambda: "Replicas" in describe(here, name), False)
    becomes(lambda: table_status(there, name), None)


def test_a_table_that_appears_in_the_region_meanwhile_prevents_the_replica(server: Server, here: Any) -> None:
    name = unused_name()
    create(here, TableName=name)
    create(server.client(region=THERE), TableName=name)
    code, text = refusal(here.update_table, TableName=name, **replica_updates("Create", THERE))
    assert (code, text) == (
        "ValidationException",
        f"Failed to create a the new replica of table with name: ‘{name}’ because one or more replicas already "
        "existed as tables.",
    )
    assert "Replicas" not in describe(here, name)


# Disassociating a replica


def is_replica(client: Any, table: str) -> bool:
    return "Replicas" in describe(client, table)


DISASSOCIATE = replica_updates("Disassociate", THERE, DisassociationMode="WAIT_FOR_REPLICATION")


def test_a_replica_is_disassociated_and_both_tables_stay(here: Any, there: Any) -> None:
    name = global_table(here, THERE)
    put(here, name, "a")
    put(there, name, "b")
    assert describe(there, name)["DisassociationProtectionEnabled"] is True
    there.update_table(TableName=name, DisassociationProtectionEnabled=False)
    assert describe(here, name)["DisassociationProtectionEnabled"] is True
    answer = there.update_table(TableName=name, **DISASSOCIATE)["TableDescription"]
    assert answer["TableStatus"] == "UPDATING"
    put(there, name, "own")
    for client in (here, there):
        becomes(partial(is_replica, client, name), False)
        assert table_status(client, name) == "ACTIVE"
    assert keys_in(here, name) == {"a", "b"}
    assert keys_in(there, name) == {"a", "b", "own"}
    for client in (here, there):
        client.delete_table(TableName=name)


def test_the_others_go_on_without_one_that_is_disassociated(here: Any, there: Any, elsewhere: Any) -> None:
    name = global_table(here, THERE, ELSEWHERE)
    put(elsewhere, name, "a")
    # A region changes nothing until it has heard that the newest replica is there.
    becomes(lambda: statuses(there, name), {HERE: "ACTIVE", ELSEWHERE: "ACTIVE"})
    there.update_table(TableName=name, DisassociationProtectionEnabled=False)
    there.update_table(TableName=name, **DISASSOCIATE)
    becomes(lambda: "Replicas" in describe(there, name), False)
    becomes(lambda: statuses(here, name), {ELSEWHERE: "ACTIVE"})
    put(here, name, "b")
    becomes(lambda: keys_in(elsewhere, name), {"a", "b"})
    assert keys_in(there, name) == {"a"}


# After a kill


def test_disassociating_continues_after_a_kill(start_server: Any) -> None:
    server = start_server()
    here, there = server.client(region=HERE), server.client(region=THERE)
    name = global_table(here, THERE)
    put(here, name, *(str(number) for number in range(20)))
    put(there, name, "there")
    there.update_table(TableName=name, DisassociationProtectionEnabled=False)
    there.update_table(TableName=name, **DISASSOCIATE)
    server.kill()
    server.restart()
    for client in (here, there):
        becomes(partial(is_replica, client, name), False)
        assert len(keys_in(client, name)) == 21


def test_creating_and_removing_replicas_continues_after_a_kill(start_server: Any) -> None:
    server = start_server()
    here, there = server.client(region=HERE), server.client(region=THERE)
    name = create(here)
    put(here, name, *(str(number) for number in range(100)))
    here.update_table(TableName=name, **replica_updates("Create", THERE))
    server.kill()
    server.restart()
    becomes(lambda: statuses(here, name), {THERE: "ACTIVE"})
    assert len(keys_in(there, name)) == 100
    here.update_table(TableName=name, **replica_updates("Delete", THERE))
    server.kill()
    server.restart()
    becomes(lambda: table_status(there, name), None)
    becomes(lambda: "Replicas" in describe(here, name), False)


def test_with_several_workers(start_server: Any) -> None:
    server = start_server(workers=2, in_memory=True)
    here, there = server.client(region=HERE), server.client(region=THERE)
    name = global_table(here, THERE)
    put(here, name, "a")
    becomes(lambda: table_status(there, name), "ACTIVE")
    becomes(lambda: keys_in(there, name), {"a"})
    assert replica(there, name, HERE)["ReplicaStatus"] == "ACTIVE"
