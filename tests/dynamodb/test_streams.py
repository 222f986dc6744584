"""DynamoDB Streams: the changes of a table as a consumer sees them."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from testing.jedlik_process import Server, eventually

KEYS_ONLY = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
BOTH_IMAGES = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


@contextmanager
def table_with_stream(server: Server, name: str, specification: dict[str, Any]) -> Iterator[str]:
    """A table with a partition key `p` and a stream; yields the stream's ARN."""
    client = server.client()
    created = client.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification=specification,
    )
    yield created["TableDescription"]["LatestStreamArn"]
    client.delete_table(TableName=name)


def shards_of(server: Server, arn: str) -> list[dict[str, Any]]:
    shards: list[dict[str, Any]] = []
    more: dict[str, str] = {}
    streams = server.client("dynamodbstreams")
    while True:
        description = streams.describe_stream(StreamArn=arn, Limit=3, **more)["StreamDescription"]
        shards += description["Shards"]
        if "LastEvaluatedShardId" not in description:
            return shards
        more = {"ExclusiveStartShardId": description["LastEvaluatedShardId"]}


def iterator(server: Server, arn: str, shard_id: str, kind: str = "TRIM_HORIZON", **options: Any) -> str:
    response = server.client("dynamodbstreams").get_shard_iterator(
        StreamArn=arn, ShardId=shard_id, ShardIteratorType=kind, **options
    )
    found: str = response["ShardIterator"]
    return found


def records_of(server: Server, arn: str) -> list[dict[str, Any]]:
    """Every record of every shard of a stream."""
    streams = server.client("dynamodbstreams")
    records: list[dict[str, Any]] = []
    for shard in shards_of(server, arn):
        following: str | None = iterator(server, arn, shard["ShardId"])
        while following is not None:
            page = streams.get_records(ShardIterator=following)
            records += page["Records"]
            following = page.get("NextShardIterator") if page["Records"] else None
    return records


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    """Code and message with which a call is refused."""
    with pytest.raises(ClientError) as refused:
        call(**request)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_each_way_of_writing_is_recorded_once(server: Server) -> None:
    client = server.client()
    with table_with_stream(server, "stream-writes", BOTH_IMAGES) as arn:
        client.put_item(TableName="stream-writes", Item={"p": {"S": "a"}, "n": {"N": "1"}})
        client.update_item(
            TableName="stream-writes",
            Key={"p": {"S": "a"}},
            UpdateExpression="SET n = n + :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        client.batch_write_item(
            RequestItems={"stream-writes": [{"PutRequest": {"Item": {"p": {"S": "b"}}}}]},
        )
        client.transact_write_items(
            TransactItems=[{"Delete": {"TableName": "stream-writes", "Key": {"p": {"S": "b"}}}}]
        )
        client.execute_statement(Statement="DELETE FROM \"stream-writes\" WHERE p = 'a'")
        seen = [
            (
                record["eventName"],
                record["dynamodb"]["Keys"]["p"]["S"],
                record["dynamodb"].get("OldImage", {}).get("n", {}).get("N"),
                record["dynamodb"].get("NewImage", {}).get("n", {}).get("N"),
            )
            for record in records_of(server, arn)
        ]
    assert seen == [
        ("INSERT", "a", None, "1"),
        ("MODIFY", "a", "1", "2"),
        ("INSERT", "b", None, None),
        ("REMOVE", "b", None, None),
        ("REMOVE", "a", "2", None),
    ]


def test_a_write_that_changes_nothing_is_not_recorded(server: Server) -> None:
    client = server.client()
    with table_with_stream(server, "stream-nothing", KEYS_ONLY) as arn:
        client.put_item(TableName="stream-nothing", Item={"p": {"S": "a"}, "s": {"SS": ["x", "y"]}})
        client.put_item(TableName="stream-nothing", Item={"p": {"S": "a"}, "s": {"SS": ["y", "x"]}})
        client.delete_item(TableName="stream-nothing", Key={"p": {"S": "absent"}})
        refusal(
            client.put_item,
            TableName="stream-nothing",
            Item={"p": {"S": "a"}},
            ConditionExpression="attribute_not_exists(p)",
        )
        assert [record["eventName"] for record in records_of(server, arn)] == ["INSERT"]


@pytest.mark.parametrize(
    ("view", "images"),
    [
        ("KEYS_ONLY", []),
        ("OLD_IMAGE", ["OldImage"]),
        ("NEW_IMAGE", ["NewImage"]),
        ("NEW_AND_OLD_IMAGES", ["NewImage", "OldImage"]),
    ],
)
def test_a_record_shows_the_images_of_the_view_type(server: Server, view: str, images: list[str]) -> None:
    client = server.client()
    name = f"stream-{view}"
    with table_with_stream(server, name, {"StreamEnabled": True, "StreamViewType": view}) as arn:
        client.put_item(TableName=name, Item={"p": {"S": "a"}, "n": {"N": "1"}})
        client.put_item(TableName=name, Item={"p": {"S": "a"}, "n": {"N": "2"}})
        record = records_of(server, arn)[1]
    change = record["dynamodb"]
    assert sorted(member for member in change if member.endswith("Image")) == images
    assert change["Keys"] == {"p": {"S": "a"}}
    assert change["StreamViewType"] == view
    assert change["SizeBytes"] == 2 + 5 * len(images)
    assert record["eventSource"] == "aws:dynamodb"
    assert record["awsRegion"] == "us-east-1"
    assert len(change["SequenceNumber"]) == 21


def test_iterators_start_at_their_position(server: Server) -> None:
    client, streams = server.client(), server.client("dynamodbstreams")
    with table_with_stream(server, "stream-places", KEYS_ONLY) as arn:
        for name in "abc":
            client.put_item(TableName="stream-places", Item={"p": {"S": name}})
        second = records_of(server, arn)[1]["dynamodb"]["SequenceNumber"]
        [shard] = shards_of(server, arn)

        def names(kind: str, **options: Any) -> str:
            start = iterator(server, arn, shard["ShardId"], kind, **options)
            records = streams.get_records(ShardIterator=start)["Records"]
            return "".join(record["dynamodb"]["Keys"]["p"]["S"] for record in records)

        assert names("TRIM_HORIZON") == "abc"
        assert names("AT_SEQUENCE_NUMBER", SequenceNumber=second) == "bc"
        assert names("AFTER_SEQUENCE_NUMBER", SequenceNumber=second) == "c"
        assert names("LATEST") == ""
        assert names("AT_TIMESTAMP", Timestamp=time.time() - 3600) == "abc"
        assert names("AT_TIMESTAMP", Timestamp=time.time() + 3600) == ""


def test_a_page_holds_as_many_records_as_asked_for(server: Server) -> None:
    client, streams = server.client(), server.client("dynamodbstreams")
    with table_with_stream(server, "stream-pages", KEYS_ONLY) as arn:
        for number in range(7):
            client.put_item(TableName="stream-pages", Item={"p": {"S": str(number)}})
        [shard] = shards_of(server, arn)
        following = iterator(server, arn, shard["ShardId"])
        lengths = []
        for _ in range(4):
            page = streams.get_records(ShardIterator=following, Limit=3)
            lengths.append(len(page["Records"]))
            following = page["NextShardIterator"]
        assert lengths == [3, 3, 1, 0]


def test_disabling_closes_the_shards_and_leaves_them_readable(server: Server) -> None:
    client, streams = server.client(), server.client("dynamodbstreams")
    with table_with_stream(server, "stream-off", KEYS_ONLY) as arn:
        client.put_item(TableName="stream-off", Item={"p": {"S": "a"}})
        client.update_table(TableName="stream-off", StreamSpecification={"StreamEnabled": False})
        client.put_item(TableName="stream-off", Item={"p": {"S": "b"}})
        assert streams.describe_stream(StreamArn=arn)["StreamDescription"]["StreamStatus"] == "DISABLED"
        [shard] = shards_of(server, arn)
        assert "EndingSequenceNumber" in shard["SequenceNumberRange"]
        page = streams.get_records(ShardIterator=iterator(server, arn, shard["ShardId"]))
        assert [record["dynamodb"]["Keys"]["p"]["S"] for record in page["Records"]] == ["a"]
        assert "NextShardIterator" not in page
        again = client.update_table(TableName="stream-off", StreamSpecification=KEYS_ONLY)
        assert again["TableDescription"]["LatestStreamArn"] != arn
        listed = streams.list_streams(TableName="stream-off")["Streams"]
        assert [stream["StreamArn"] for stream in listed] == [arn, again["TableDescription"]["LatestStreamArn"]]


def test_a_deleted_tables_stream_is_still_readable(server: Server) -> None:
    client = server.client()
    with table_with_stream(server, "stream-gone", KEYS_ONLY) as arn:
        client.put_item(TableName="stream-gone", Item={"p": {"S": "a"}})
    assert [record["eventName"] for record in records_of(server, arn)] == ["INSERT"]


def test_refusals(server: Server) -> None:
    client, streams = server.client(), server.client("dynamodbstreams")
    with table_with_stream(server, "stream-refusals", KEYS_ONLY) as arn:
        [shard] = shards_of(server, arn)
        place = {"StreamArn": arn, "ShardId": shard["ShardId"]}
        assert refusal(client.update_table, TableName="stream-refusals", StreamSpecification=BOTH_IMAGES) == (
            "ValidationException",
            "Table already has an enabled stream: TableName: stream-refusals",
        )
        assert refusal(streams.describe_stream, StreamArn=arn + "x") == (
            "ResourceNotFoundException",
            f"Requested resource not found: Stream: {arn}x not found",
        )
        assert refusal(
            streams.get_shard_iterator, StreamArn=arn, ShardId="shardId-" + 20 * "0", ShardIteratorType="LATEST"
        ) == (
            "ResourceNotFoundException",
            f"Requested resource not found: Shard: shardId-00000000000000000000 in stream: {arn} not found",
        )
        assert refusal(streams.get_shard_iterator, **place, ShardIteratorType="AT_SEQUENCE_NUMBER") == (
            "ValidationException",
            "SequenceNumber must be specified for ShardIteratorType AT_SEQUENCE_NUMBER",
        )
        assert refusal(streams.get_records, ShardIterator="made up") == ("ValidationException", "Invalid ShardIterator")
        good = iterator(server, arn, shard["ShardId"])
        forged = good[:-8] + ("A" if good[-8] != "A" else "B") + good[-7:]
        elsewhere = good.replace(arn, arn.replace("us-east-1", "eu-west-1"))
        for made_up in (forged, elsewhere, good.replace("|1|", "|2|"), good.partition("|1|")[2], f"{arn}|1|"):
            said = refusal(streams.get_records, ShardIterator=made_up)
            assert said == ("ValidationException", "Invalid ShardIterator")


def test_an_iterator_looks_like_one_of_dynamodb(server: Server) -> None:
    """ARN of the stream, a digit and standard base64 (the AWS CLI's documentation of get-shard-iterator, us-west-1)."""
    with table_with_stream(server, "stream-iterators", KEYS_ONLY) as arn:
        [shard] = shards_of(server, arn)
        assert re.fullmatch(re.escape(arn) + r"\|\d\|[A-Za-z0-9+/]+={0,2}", iterator(server, arn, shard["ShardId"]))


class Consumer:
    """Follows a stream as the Kinesis adapter does: a shard's children only after the shard has been read out."""

    def __init__(self, server: Server, arn: str) -> None:
        self.server = server
        self.arn = arn
        self.seen: dict[str, list[int]] = defaultdict(list)
        self.shards = 0
        self._places: dict[str, str | None] = {}
        """Sequence number of the last record read of each shard."""
        self._finished: set[str] = set()

    def follow(self, until: Callable[[], bool], deadline: float) -> None:
        """Read on until `until` is true and nothing is left, however often the server dies."""
        while time.monotonic() < deadline:
            finished = until()
            try:
                read = self._round()
            except (BotoCoreError, ClientError):
                time.sleep(0.05)
                continue
            if finished and not read:
                return
        raise AssertionError("the consumer did not catch up")

    def _round(self) -> int:
        read = 0
        shards = shards_of(self.server, self.arn)
        self.shards = len(shards)
        for shard in shards:
            name = shard["ShardId"]
            parent = shard.get("ParentShardId")
            if name not in self._finished and (parent is None or parent in self._finished):
                read += self._read(name)
        return read

    def _read(self, name: str) -> int:
        last = self._places.get(name)
        following: str | None = (
            iterator(self.server, self.arn, name)
            if last is None
            else iterator(self.server, self.arn, name, "AFTER_SEQUENCE_NUMBER", SequenceNumber=last)
        )
        streams = self.server.client("dynamodbstreams")
        read = 0
        while following is not None:
            page = streams.get_records(ShardIterator=following, Limit=100)
            for record in page["Records"]:
                change = record["dynamodb"]
                self.seen[change["Keys"]["p"]["S"]].append(int(change["NewImage"]["n"]["N"]))
                self._places[name] = change["SequenceNumber"]
            read += len(page["Records"])
            following = page.get("NextShardIterator")
            if following is None:
                self._finished.add(name)
            elif not page["Records"]:
                break
        return read


def test_a_consumer_that_follows_lineage_sees_each_items_changes_once_and_in_order(
    start_server: Callable[..., Server],
) -> None:
    """Eight writers write while shards roll and the server is killed and started again."""
    server = start_server(workers=2, stream_rotation=0.5)
    server.client().create_table(
        TableName="rolling",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification=BOTH_IMAGES,
    )
    arn = server.client().describe_table(TableName="rolling")["Table"]["LatestStreamArn"]
    consumer = Consumer(server, arn)
    stop = threading.Event()
    written: dict[str, int] = {}

    def write(writer: int) -> None:
        client = server.client()
        chance = random.Random(writer)
        counters = dict.fromkeys([f"{writer}-{number}" for number in range(5)], 0)
        while not stop.is_set():
            name = chance.choice(list(counters))
            try:
                client.put_item(
                    TableName="rolling",
                    Item={"p": {"S": name}, "n": {"N": str(counters[name] + 1)}},
                )
            except (BotoCoreError, ClientError):
                # The write may have happened; writing the same again then changes nothing and is not recorded.
                time.sleep(0.05)
                continue
            counters[name] += 1
            written[name] = counters[name]

    writers = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    reader = threading.Thread(
        target=consumer.follow,
        args=(lambda: stop.is_set() and not any(w.is_alive() for w in writers), time.monotonic() + 300),
    )
    for thread in (*writers, reader):
        thread.start()
    for kills in (1, 2):
        eventually(lambda kills=kills: sum(written.values()) > 100 * kills and consumer.shards > 2 * kills)  # type: ignore[misc]
        server.kill()
        server.restart()
    acknowledged = sum(written.values())
    eventually(lambda: sum(written.values()) > acknowledged)
    stop.set()
    for thread in (*writers, reader):
        thread.join()
    assert consumer.shards > 3
    assert sum(written.values()) > 200
    for name, count in written.items():
        # One more than acknowledged, if the last write of an item was made but its answer lost.
        assert consumer.seen[name] in (list(range(1, count + 1)), list(range(1, count + 2))), name
