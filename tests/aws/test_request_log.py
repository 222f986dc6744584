"""The lines that `--access-log` and `--slow-request` log, of a real server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from testing.dynamodb.definitions import attributes, create, index
from testing.jedlik_process import Server, eventually

Start = Callable[..., Server]

BY_A = index("by-a", "a")


def lines(server: Server, message: str, count: int) -> list[dict[str, Any]]:
    """This number of lines of the log, when they are there."""

    def found() -> list[dict[str, Any]]:
        return [line for line in server.log_lines() if line["message"] == message]

    eventually(lambda: len(found()) >= count)
    assert len(found()) == count
    return found()


def test_a_line_has_the_caller_the_request_and_the_outcome(start_server: Start) -> None:
    server = start_server(access_log=True, auth="on", account="123456789012")
    client = server.client(region="eu-west-1")
    create(client, TableName="songs")
    answer = client.put_item(TableName="songs", Item={"p": {"S": "a"}})
    line = lines(server, "request", 2)[1]
    milliseconds = line.pop("milliseconds")
    assert 0 < milliseconds < 60_000
    assert {name: line[name] for name in line if name not in ("time", "pid", "logger")} == {
        "level": "info",
        "message": "request",
        "request_id": answer["ResponseMetadata"]["RequestId"],
        "operation": "PutItem",
        "table": "songs",
        "region": "eu-west-1",
        "account": "123456789012",
        "caller": "arn:aws:iam::123456789012:root",
        "access_key": server.access_key,
        "write_units": 1.0,
        "client": "127.0.0.1",
        "status": 200,
        "bytes_in": len(b'{"TableName": "songs", "Item": {"p": {"S": "a"}}}'),
        "bytes_out": len(b"{}"),
    }


def test_a_line_stays_short_for_any_request(start_server: Start) -> None:
    server = start_server(access_log=True, auth="off")
    key, target = "k" * 9000, "t" * 9000
    scope = f"{key}/20261128/us-east-1/dynamodb/aws4_request"
    json_1_0 = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Date": "20261128T000000Z"}
    listed = json_1_0 | {
        "X-Amz-Target": "DynamoDB_20120810.ListTables",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
    }
    assert requests.post(server.url, data=b"{}", headers=listed, timeout=60).status_code == 200
    assert (
        requests.post(server.url, data=b"{}", headers=json_1_0 | {"X-Amz-Target": target}, timeout=60).status_code
        == 400
    )
    first, second = lines(server, "request", 2)
    assert (first["access_key"], second["target"]) == (key[:256], target[:256])


@pytest.mark.parametrize(
    ("operation", "request_", "named"),
    [
        ("list_tables", {}, None),
        ("query", {"IndexName": "by-a"}, "songs"),
        ("batch_get_item", {"RequestItems": {"songs": {"Keys": [{"p": {"S": "a"}}]}}}, "songs"),
        (
            "transact_write_items",
            {"TransactItems": [{"Put": {"TableName": name, "Item": {"p": {"S": "a"}}}} for name in ("songs", "plays")]},
            "songs,plays",
        ),
        ("execute_statement", {"Statement": "SELECT * FROM songs"}, "songs"),
    ],
)
def test_the_tables_of_a_request_are_named(
    operation: str, request_: dict[str, Any], named: str | None, start_server: Start
) -> None:
    server = start_server(access_log=True)
    client = server.client()
    for table in ("songs", "plays"):
        create(client, TableName=table)
    if operation == "query":
        request_ = {
            "TableName": "songs",
            "KeyConditionExpression": "p = :p",
            "ExpressionAttributeValues": {":p": {"S": "a"}},
        }
    getattr(client, operation)(**request_)
    assert lines(server, "request", 3)[2].get("table") == named


def test_units_are_those_of_all_tables_and_indexes(start_server: Start) -> None:
    server = start_server(access_log=True)
    client = server.client()
    create(client, TableName="songs", AttributeDefinitions=attributes(p="S", a="S"), GlobalSecondaryIndexes=[BY_A])
    create(client, TableName="plays")
    items = [{"PutRequest": {"Item": {"p": {"S": name}, "a": {"S": "a"}}}} for name in ("a", "b")]
    client.batch_write_item(RequestItems={"songs": items, "plays": items})
    client.get_item(TableName="songs", Key={"p": {"S": "a"}}, ConsistentRead=True)
    client.list_tables()
    *_, written, read, neither = lines(server, "request", 5)
    assert (written["write_units"], written.get("read_units")) == (6.0, None)
    assert (read["read_units"], read.get("write_units")) == (1.0, None)
    assert neither.keys().isdisjoint({"read_units", "write_units"})


def test_a_refused_request_has_a_line_with_the_reason(start_server: Start) -> None:
    server = start_server(access_log=True)
    with pytest.raises(ClientError):
        server.client().get_item(TableName="nowhere", Key={"p": {"S": "a"}})
    requests.post(server.url, data="{}", headers={"Host": "page.example"}, timeout=60)
    body = '{"TableName": 5}'
    headers = {"X-Amz-Target": "DynamoDB_20120810.Nonsense", "Content-Type": "application/x-amz-json-1.0"}
    requests.post(server.url, data=body, headers=headers, timeout=60)
    missing, foreign, unknown = lines(server, "request", 3)
    assert (missing["operation"], missing["table"], missing["status"], missing["error"]) == (
        "GetItem",
        "nowhere",
        400,
        "ResourceNotFoundException",
    )
    assert (foreign["status"], foreign["error"]) == (403, "AccessDeniedException")
    assert (unknown["target"], unknown["status"], unknown["error"], unknown["bytes_in"]) == (
        "DynamoDB_20120810.Nonsense",
        400,
        "UnknownOperationException",
        len(body),
    )


def test_slow_requests_alone_are_logged_as_warnings(start_server: Start) -> None:
    server = start_server(slow_request=1e-9)
    server.client().list_tables()
    [line] = lines(server, "slow request", 1)
    assert (line["level"], line["operation"], line["region"]) == ("warning", "ListTables", "us-east-1")
    server.stop()
    server = start_server(slow_request=1000)
    server.client().list_tables()
    server.stop()
    assert not [line for line in server.log_lines() if "request" in line["message"].split()]
