"""Time to live: the setting, and the expiry of items."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from testing.jedlik_process import Server

FIVE_YEARS = 5 * 365 * 24 * 60 * 60


def create_table(client: Any, name: str, **options: Any) -> None:
    client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **options,
    )


def switch(client: Any, name: str, enabled: bool, attribute: str = "expires") -> Any:
    return client.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": enabled, "AttributeName": attribute}
    )


def description(client: Any, name: str) -> Any:
    return client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]


def put(client: Any, table: str, name: str, **attributes: dict[str, str]) -> None:
    client.put_item(TableName=table, Item={"p": {"S": name}, **attributes})


def names_in(client: Any, table: str) -> list[str]:
    return sorted(item["p"]["S"] for item in client.scan(TableName=table, ConsistentRead=True)["Items"])


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_the_setting_is_shown(server: Server) -> None:
    client = server.client()
    create_table(client, "ttl-shown")
    assert description(client, "ttl-shown") == {"TimeToLiveStatus": "DISABLED"}
    answer = switch(client, "ttl-shown", True)
    assert answer["TimeToLiveSpecification"] == {"Enabled": True, "AttributeName": "expires"}
    assert description(client, "ttl-shown") == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}


@pytest.mark.parametrize(
    ("before", "enabled", "attribute", "message"),
    [
        (None, False, "expires", "TimeToLive is already disabled"),
        (True, True, "expires", "TimeToLive is already enabled"),
        (
            True,
            True,
            "other",
            "TimeToLive is active on a different AttributeName: current AttributeName is expires",
        ),
        (
            True,
            False,
            "other",
            "TimeToLive is active on a different AttributeName: current AttributeName is expires",
        ),
        (True, False, "expires", "Time to live has been modified multiple times within a fixed interval"),
    ],
)
def test_refused_changes(server: Server, before: bool | None, enabled: bool, attribute: str, message: str) -> None:
    client = server.client()
    name = f"ttl-refused-{before}-{enabled}-{attribute}"
    create_table(client, name)
    if before is not None:
        switch(client, name, before)
    with pytest.raises(ClientError) as refused:
        switch(client, name, enabled, attribute)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert refused.value.response["Error"]["Message"] == message


def test_only_expired_items_are_deleted(start_server: Callable[..., Server]) -> None:
    client = start_server(in_memory=True, expiry_interval=0.1).client()
    create_table(client, "ttl")
    now = int(time.time())
    put(client, "ttl", "there before", expires={"N": str(now - 60)})
    switch(client, "ttl", True)
    put(client, "ttl", "past", expires={"N": str(now - 60)})
    put(client, "ttl", "past with a fraction", expires={"N": f"{now - 60}.75"})
    put(client, "ttl", "soon", expires={"N": str(now + 2)})
    put(client, "ttl", "given more time", expires={"N": str(now + 2)})
    put(client, "ttl", "given more time", expires={"N": str(now + 3600)})
    put(client, "ttl", "later", expires={"N": str(now + 3600)})
    put(client, "ttl", "never")
    put(client, "ttl", "not a number", expires={"S": str(now - 60)})
    put(client, "ttl", "before the epoch", expires={"N": "-5"})
    put(client, "ttl", "far too large", expires={"N": "1E+100"})
    put(client, "ttl", "more than five years ago", expires={"N": str(now - FIVE_YEARS - 60)})
    kept = sorted(
        [
            "given more time",
            "later",
            "never",
            "not a number",
            "before the epoch",
            "far too large",
            "more than five years ago",
        ]
    )
    wait_until(lambda: names_in(client, "ttl") == kept)
    assert description(client, "ttl")["TimeToLiveStatus"] == "ENABLED"
    assert client.describe_table(TableName="ttl")["Table"]["ItemCount"] == len(kept)


def test_expiry_removes_index_entries_and_is_recorded_in_the_stream(start_server: Callable[..., Server]) -> None:
    server = start_server(in_memory=True, expiry_interval=0.1)
    client, streams = server.client(), server.client("dynamodbstreams")
    client.create_table(
        TableName="ttl",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "p", "AttributeType": "S"},
            {"AttributeName": "g", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-g",
                "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"},
    )
    switch(client, "ttl", True)
    put(client, "ttl", "a", g={"S": "x"}, expires={"N": str(int(time.time()) - 1)})
    wait_until(lambda: names_in(client, "ttl") == [])
    assert client.scan(TableName="ttl", IndexName="by-g")["Items"] == []
    arn = client.describe_table(TableName="ttl")["Table"]["LatestStreamArn"]
    [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    start = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    insert, remove = streams.get_records(ShardIterator=start)["Records"]
    assert "userIdentity" not in insert
    assert remove["eventName"] == "REMOVE"
    assert remove["userIdentity"] == {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    assert remove["dynamodb"]["OldImage"]["g"] == {"S": "x"}


def test_expiry_continues_after_a_kill(start_server: Callable[..., Server]) -> None:
    server = start_server(expiry_interval=0.1)
    client = server.client()
    create_table(client, "ttl")
    switch(client, "ttl", True)
    put(client, "ttl", "a", expires={"N": str(int(time.time()) + 1)})
    server.kill()
    server.restart()
    wait_until(lambda: names_in(server.client(), "ttl") == [])
