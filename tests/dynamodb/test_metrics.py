"""Metrics: all workers count what all operations use, whether the client asks or not, and the counts outlive a
worker."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from testing.dynamodb.definitions import attributes, create, index, key_schema
from testing.jedlik_process import Server, eventually
from tests.upkeep.test_stats_json import stats

StartServer = Callable[..., Server]
Key = tuple[str, ...]
Session = Callable[..., Any]

KB = 1024


def key(number: int) -> dict[str, Any]:
    return {"p": {"S": "p"}, "c": {"S": f"{number:03}"}}


def item(number: int, size: int = 10) -> dict[str, Any]:
    return key(number) | {"x": {"S": f"x{number % 3}"}, "v": {"S": "v" * size}}


def operations(call: Session, tables: tuple[str, str]) -> None:
    """Some use of every operation that consumes units."""
    first, second = tables
    for number in range(8):
        call("put_item", TableName=first, Item=item(number, 700 * number))
    call("put_item", TableName=second, Item=item(0, 9 * KB))
    call("get_item", TableName=first, Key=key(7))
    call("get_item", TableName=first, Key=key(7), ConsistentRead=True, ProjectionExpression="x")
    call("get_item", TableName=f"arn:aws:dynamodb:us-east-1:000000000000:table/{first}", Key=key(99))
    update = {"UpdateExpression": "SET x = :x", "ExpressionAttributeValues": {":x": {"S": "x9"}}}
    call("update_item", TableName=first, Key=key(6), **update)
    call("delete_item", TableName=first, Key=key(5))
    query = {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "p"}}}
    call("query", TableName=first, **query)
    call("query", TableName=first, **query, Limit=2, ScanIndexForward=False, FilterExpression="attribute_exists(z)")
    call("query", TableName=first, **query, IndexName="local", Select="ALL_ATTRIBUTES", ConsistentRead=True)
    by_x = {"KeyConditionExpression": "x = :x", "ExpressionAttributeValues": {":x": {"S": "x1"}}}
    call("query", TableName=first, **by_x, IndexName="global")
    call("scan", TableName=first, FilterExpression="attribute_not_exists(p)")
    call("scan", TableName=first, TotalSegments=3, Segment=1)
    call("scan", TableName=first, IndexName="global", Limit=1)
    call("batch_get_item", RequestItems={name: {"Keys": [key(0), key(77)]} for name in tables})
    call(
        "batch_write_item",
        RequestItems={
            first: [{"PutRequest": {"Item": item(20)}}, {"DeleteRequest": {"Key": key(4)}}],
            second: [{"PutRequest": {"Item": item(21, 3 * KB)}}],
        },
    )
    transaction = [
        {"Put": {"TableName": first, "Item": item(30, 2 * KB)}},
        {"Update": {"TableName": first, "Key": key(0), **update}},
        {"ConditionCheck": {"TableName": second, "Key": key(0), "ConditionExpression": "attribute_exists(p)"}},
    ]
    token = os.urandom(12).hex()
    for _ in range(2):  # The second time it is a replay, which reads.
        call("transact_write_items", TransactItems=transaction, ClientRequestToken=token)
    call("transact_get_items", TransactItems=[{"Get": {"TableName": name, "Key": key(0)}} for name in tables])
    call("execute_statement", Statement=f"SELECT * FROM \"{first}\" WHERE p = 'p' AND c = '000'")
    call("execute_statement", Statement=f'SELECT * FROM "{first}"."local" WHERE p = \'p\'')
    call("execute_statement", Statement=f'SELECT v FROM "{first}"')
    call("execute_statement", Statement=f"UPDATE \"{first}\" SET x = 'x8' WHERE p = 'p' AND c = '001'")
    call(
        "batch_execute_statement",
        Statements=[
            {"Statement": f"UPDATE \"{first}\" SET x = 'x7' WHERE p = 'p' AND c = '002'"},
            {"Statement": f"INSERT INTO \"{first}\" VALUE {{'p': 'p', 'c': '001', 'v': '{'v' * 2 * KB}'}}"},
            {"Statement": f"DELETE FROM \"{second}\" WHERE p = 'p' AND c = '021'"},
        ],
    )
    call("batch_execute_statement", Statements=[{"Statement": f"SELECT * FROM \"{second}\" WHERE p='p' AND c='000'"}])
    call(
        "execute_transaction",
        TransactStatements=[{"Statement": f"UPDATE \"{first}\" SET y = 1 WHERE p = 'p' AND c = '003'"}],
    )
    call(
        "execute_transaction",
        TransactStatements=[{"Statement": f"SELECT * FROM \"{first}\" WHERE p = 'p' AND c = '003'"}],
    )


READING = {"get_item", "query", "scan", "batch_get_item", "transact_get_items"}


def told_units(operation: str, request: dict[str, Any], answer: dict[str, Any]) -> Counter[Key]:
    """The figures of an answer with ReturnConsumedCapacity=INDEXES, in the form of the metrics."""
    units: Counter[Key] = Counter()
    consumed = answer["ConsumedCapacity"]
    for told in consumed if isinstance(consumed, list) else [consumed]:
        reads = "ReadCapacityUnits" in told or operation in READING or "SELECT" in str(request)
        name = "ConsumedReadCapacityUnits" if reads else "ConsumedWriteCapacityUnits"
        table = told["TableName"].rpartition("/")[2]
        apart = {index: part["CapacityUnits"] for index, part in told.get("GlobalSecondaryIndexes", {}).items()}
        units[name, table] += told["CapacityUnits"] - sum(apart.values())
        for index_name, amount in apart.items():
            units[name, table, index_name] += amount
    return units


def counted(folder: Path, name: str) -> Counter[Key]:
    """The values of a metric's series, by name and dimensions."""
    return Counter(
        {
            (name, *one["dimensions"].values()): one["value" if "value" in one else "count"]
            for one in stats(folder)["metrics"]["series"]
            if one["name"] == name
        }
    )


def counted_units(folder: Path) -> Counter[Key]:
    return counted(folder, "ConsumedReadCapacityUnits") + counted(folder, "ConsumedWriteCapacityUnits")


def make_tables(client: Any) -> tuple[str, str]:
    first = create(
        client,
        KeySchema=key_schema("p", "c"),
        AttributeDefinitions=attributes(p="S", c="S", x="S"),
        LocalSecondaryIndexes=[index("local", "p", "x", include=[])],
        GlobalSecondaryIndexes=[index("global", "x")],
    )
    second = create(client, KeySchema=key_schema("p", "c"), AttributeDefinitions=attributes(p="S", c="S"))
    return first, second


def test_the_metrics_count_what_answers_show(start_server: StartServer, tmp_path: Path) -> None:
    """By several workers, whether the client asks or not, and even if the workers have been killed since."""
    server = start_server(workers=2)
    expected: Counter[Key] = Counter()

    def asking(operation: str, **request: Any) -> Any:
        # A client for each request: so the connections go to all workers.
        answer = getattr(server.client(), operation)(**request, ReturnConsumedCapacity="INDEXES")
        expected.update(told_units(operation, request, answer))
        return answer

    def silent(operation: str, **request: Any) -> Any:
        answer = getattr(server.client(), operation)(**request)
        assert "ConsumedCapacity" not in answer
        return answer

    folder = tmp_path / "data"
    asked = make_tables(server.client())
    before = counted_units(folder)
    assert not before
    operations(asking, asked)
    assert counted_units(folder) == expected
    assert {series[1:] for series in expected} == {(asked[0],), (asked[1],), (asked[0], "global")}

    not_asked = make_tables(server.client())
    operations(silent, not_asked)
    renamed = dict(zip(asked, not_asked, strict=True))
    twice = expected + Counter({(k[0], renamed[k[1]], *k[2:]): v for k, v in expected.items()})
    assert counted_units(folder) == twice

    latencies = counted(folder, "SuccessfulRequestLatency")
    assert latencies["SuccessfulRequestLatency", asked[0], "PutItem"] == 8
    assert latencies["SuccessfulRequestLatency", asked[1], "BatchGetItem"] == 1
    returned = counted(folder, "ReturnedItemCount")
    assert returned == {
        ("ReturnedItemCount", name, operation): count
        for name in (asked[0], not_asked[0])
        for operation, count in (("Query", 4), ("Scan", 3), ("ExecuteStatement", 3))
    }

    for pid in server.workers():
        os.kill(pid, signal.SIGKILL)
        eventually(partial(_replaced, server, pid))
    assert counted_units(folder) == twice
    eventually(lambda: _answers(server))
    server.client().get_item(TableName=asked[0], Key=key(0))
    assert counted_units(folder) == twice + Counter({("ConsumedReadCapacityUnits", asked[0]): 0.5})
    assert counted(folder, "SuccessfulRequestLatency") == latencies + Counter(
        {("SuccessfulRequestLatency", asked[0], "GetItem"): 1}
    )


def _replaced(server: Server, pid: int) -> bool:
    return pid not in server.workers() and len(server.workers()) == 2


def _answers(server: Server) -> bool:
    try:
        server.client().list_tables()
    except Exception:
        return False
    return True


def test_failed_conditions_are_charged_and_are_no_user_errors(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    client = server.client()
    table = create(client)
    client.put_item(TableName=table, Item={"p": {"S": "a"}, "v": {"S": "v" * (3 * KB - 3)}})  # 3 units.
    never = {"TableName": table, "ConditionExpression": "attribute_not_exists(p)"}
    there, absent = {"p": {"S": "a"}}, {"p": {"S": "b"}}
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):  # 5, for the larger one.
        client.put_item(Item=there | {"v": {"S": "v" * (5 * KB - 3)}}, **never)
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):  # 3.
        client.update_item(
            Key=there, UpdateExpression="SET z = :z", ExpressionAttributeValues={":z": {"S": "z"}}, **never
        )
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):  # 3.
        client.delete_item(Key=there, **never)
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):  # 1, as nothing is there.
        client.delete_item(TableName=table, Key=absent, ConditionExpression="attribute_exists(p)")
    with pytest.raises(ClientError, match="Duplicate"):  # 3.
        client.execute_statement(Statement=f"INSERT INTO \"{table}\" VALUE {{'p': 'a'}}")
    folder = tmp_path / "data"
    assert counted_units(folder) == {("ConsumedWriteCapacityUnits", table): 3 + 5 + 3 + 3 + 1 + 3}
    assert counted(folder, "ConditionalCheckFailedRequests") == {("ConditionalCheckFailedRequests", table): 5}
    assert not counted(folder, "UserErrors")
    check = {"ConditionCheck": {"Key": absent, "TableName": table, "ConditionExpression": "attribute_exists(p)"}}
    with pytest.raises(ClientError, match="TransactionCanceled"):  # 3 and 1: prepared, and not committed.
        client.transact_write_items(TransactItems=[check, {"Delete": {"TableName": table, "Key": there}}])
    assert counted_units(folder) == {("ConsumedWriteCapacityUnits", table): 18 + 4}
    assert counted(folder, "ConditionalCheckFailedRequests") == {("ConditionalCheckFailedRequests", table): 5}
    assert counted(folder, "UserErrors") == {("UserErrors",): 1}
    with pytest.raises(ClientError, match="ResourceNotFound"):
        client.get_item(TableName="missing", Key=there)
    assert counted(folder, "UserErrors") == {("UserErrors",): 2}
    assert counted(folder, "SuccessfulRequestLatency") == {("SuccessfulRequestLatency", table, "PutItem"): 1}


def test_reads_of_a_stream_are_counted(start_server: StartServer, tmp_path: Path) -> None:
    server = start_server()
    client, streams = server.client(), server.client("dynamodbstreams")
    table = create(client, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
    for number in range(3):
        client.put_item(TableName=table, Item={"p": {"S": str(number)}, "v": {"S": "v" * 100}})
    arn = client.describe_table(TableName=table)["Table"]["LatestStreamArn"]
    label = arn.rpartition("/")[2]
    total_bytes = records = 0
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        where = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        found = streams.get_records(ShardIterator=streams.get_shard_iterator(**where)["ShardIterator"])["Records"]
        total_bytes += sum(record["dynamodb"]["SizeBytes"] for record in found)
        records += len(found)
    assert records == 3
    series = {
        one["name"]: one for one in stats(tmp_path / "data")["metrics"]["series"] if "StreamLabel" in one["dimensions"]
    }
    dimensions = {"TableName": table, "Operation": "GetRecords", "StreamLabel": label}
    assert {name: (one["sum"], one["dimensions"]) for name, one in series.items() if name.startswith("Returned")} == {
        "ReturnedBytes": (total_bytes, dimensions),
        "ReturnedRecordsCount": (records, dimensions),
    }
    assert series["SuccessfulRequestLatency"]["dimensions"] == dimensions
