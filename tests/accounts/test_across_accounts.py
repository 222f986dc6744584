"""Tables of other accounts, named by ARN: who may reach them, with which operations, and what the answers are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from testing.dynamodb.definitions import create, unused_name
from testing.jedlik_process import Server, eventually, run_jedlik
from tests.upkeep.test_stats_json import stats

OWN, ONE, OTHER = "000000000000", "111111111111", "222222222222"
REGION = "us-east-1"
KEY = {"p": {"S": "key"}}


def item(x: int) -> dict[str, Any]:
    return KEY | {"x": {"N": str(x)}}


def arn_of(name: str, account: str = OTHER, region: str = REGION) -> str:
    return f"arn:aws:dynamodb:{region}:{account}:table/{name}"


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**request)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def denied(action: str, arn: str, account: str = ONE) -> tuple[str, str]:
    return (
        "AccessDeniedException",
        f"User: arn:aws:iam::{account}:root is not authorized to perform: dynamodb:{action} on resource: {arn} "
        f"because no resource-based policy allows the dynamodb:{action} action",
    )


@pytest.fixture(scope="module")
def one(server: Server) -> Any:
    """A client of one account."""
    return server.client(region=REGION, aws_access_key_id=ONE)


@pytest.fixture(scope="module")
def other(server: Server) -> Any:
    """A client of the account that has the tables."""
    return server.client(region=REGION, aws_access_key_id=OTHER)


@pytest.fixture
def table(other: Any) -> str:
    """The name of a table of the other account; where `one` has a table of that name, nothing of it may be touched."""
    name = unused_name()
    create(other, TableName=name)
    other.put_item(TableName=name, Item=item(1))
    return name


# Where nothing is verified


def test_items_of_another_accounts_table(one: Any, other: Any, table: str) -> None:
    create(one, TableName=table)
    arn = arn_of(table)
    assert one.get_item(TableName=arn, Key=KEY)["Item"] == item(1)
    put = one.put_item(TableName=arn, Item=item(2), ReturnConsumedCapacity="TOTAL", ReturnValues="ALL_OLD")
    assert put["Attributes"] == item(1)
    assert put["ConsumedCapacity"] == {"TableName": arn, "CapacityUnits": 1.0}
    assert one.update_item(
        TableName=arn,
        Key=KEY,
        UpdateExpression="ADD x :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
        ReturnValues="ALL_NEW",
    )["Attributes"] == item(3)
    asked = {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": KEY["p"]}}
    assert one.query(TableName=arn, **asked)["Items"] == [item(3)]
    assert one.scan(TableName=arn)["Items"] == [item(3)]
    assert other.get_item(TableName=table, Key=KEY)["Item"] == item(3)
    one.delete_item(TableName=arn, Key=KEY)
    assert "Item" not in other.get_item(TableName=table, Key=KEY)
    assert one.scan(TableName=table)["Items"] == [], "its own table of this name is as it was"


def test_batches_and_transactions_on_another_accounts_tables(one: Any, other: Any, table: str) -> None:
    arn = arn_of(table)
    one.batch_write_item(RequestItems={arn: [{"PutRequest": {"Item": item(2)}}]})
    got = one.batch_get_item(RequestItems={arn: {"Keys": [KEY]}}, ReturnConsumedCapacity="TOTAL")
    assert got["Responses"] == {arn: [item(2)]}
    assert got["ConsumedCapacity"] == [{"TableName": arn, "CapacityUnits": 0.5}]
    second = create(other)
    one.transact_write_items(
        TransactItems=[{"Put": {"TableName": name, "Item": item(3)}} for name in (arn, arn_of(second))]
    )
    got = one.transact_get_items(TransactItems=[{"Get": {"TableName": arn_of(second), "Key": KEY}}])
    assert got["Responses"] == [{"Item": item(3)}]
    assert other.get_item(TableName=table, Key=KEY)["Item"] == item(3)


def test_the_tables_of_a_request_are_in_one_account(one: Any, other: Any, table: str) -> None:
    create(one, TableName=table)
    text = f"The tables of a request must be in one account, not in {OTHER} and {ONE}"
    puts = [{"Put": {"TableName": name, "Item": item(7)}} for name in (arn_of(table), table)]
    assert refusal(one.transact_write_items, TransactItems=puts) == ("ValidationException", text)
    gets = [{"Get": {"TableName": name, "Key": KEY}} for name in (arn_of(table), arn_of(table, ONE))]
    assert refusal(one.transact_get_items, TransactItems=gets) == ("ValidationException", text)
    gets[1]["Get"]["TableName"] = arn_of(table, OWN)
    assert refusal(one.transact_get_items, TransactItems=gets) == ("ValidationException", text.replace(ONE, OWN))
    writes = {name: [{"PutRequest": {"Item": item(7)}}] for name in (table, arn_of(table))}
    text = f"The tables of a request must be in one account, not in {ONE} and {OTHER}"
    assert refusal(one.batch_write_item, RequestItems=writes) == ("ValidationException", text)
    reads = {name: {"Keys": [KEY]} for name in (table, arn_of(table))}
    assert refusal(one.batch_get_item, RequestItems=reads) == ("ValidationException", text)
    assert one.scan(TableName=table)["Items"] == []
    assert other.scan(TableName=table)["Items"] == [item(1)]


def test_another_accounts_table_can_be_described_updated_tagged_and_deleted(one: Any, other: Any, table: str) -> None:
    arn = arn_of(table)
    assert one.describe_table(TableName=arn)["Table"]["TableArn"] == arn
    updated = one.update_table(TableName=arn, DeletionProtectionEnabled=True)["TableDescription"]
    assert (updated["TableName"], updated["TableArn"]) == (table, arn)
    one.tag_resource(ResourceArn=arn, Tags=[{"Key": "k", "Value": "v"}])
    assert other.list_tags_of_resource(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "v"}]
    one.untag_resource(ResourceArn=arn, TagKeys=["k"])
    assert one.list_tags_of_resource(ResourceArn=arn)["Tags"] == []
    other.update_table(TableName=table, DeletionProtectionEnabled=False)
    assert one.delete_table(TableName=arn)["TableDescription"]["TableArn"] == arn
    gone = ("ResourceNotFoundException", f"Requested resource not found: Table: {table} not found")
    eventually(lambda: table not in other.list_tables()["TableNames"])
    assert refusal(other.describe_table, TableName=table) == gone


def test_a_replica_of_another_accounts_table_is_in_that_account(
    server: Server, one: Any, other: Any, table: str
) -> None:
    updates = [{"Create": {"RegionName": "eu-west-1"}}]
    one.update_table(TableName=arn_of(table), ReplicaUpdates=updates)
    there = server.client(region="eu-west-1", aws_access_key_id=OTHER)

    def is_there() -> bool:
        try:
            return bool(there.get_item(TableName=table, Key=KEY).get("Item") == item(1))
        except ClientError:
            return False

    eventually(is_there)


def test_the_stream_of_another_accounts_table(server: Server, one: Any, other: Any, table: str) -> None:
    setting = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    arn = other.update_table(TableName=table, StreamSpecification=setting)["TableDescription"]["LatestStreamArn"]
    one.put_item(TableName=arn_of(table), Item=item(5))
    streams = server.client("dynamodbstreams", REGION, aws_access_key_id=ONE)
    described = streams.describe_stream(StreamArn=arn)["StreamDescription"]
    assert described["StreamArn"] == arn
    shard = described["Shards"][0]["ShardId"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    [record] = streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    assert record["dynamodb"]["NewImage"] == item(5)


def test_operations_that_take_no_arn_of_another_account(one: Any, other: Any, table: str) -> None:
    arn = arn_of(table)
    select = f"SELECT * FROM \"{arn}\" WHERE p = 'key'"
    settings = {"Enabled": True, "AttributeName": "t"}
    refused = {
        "CreateTable": refusal(create, client=one, TableName=arn),
        "DescribeTimeToLive": refusal(one.describe_time_to_live, TableName=arn),
        "UpdateTimeToLive": refusal(one.update_time_to_live, TableName=arn, TimeToLiveSpecification=settings),
    }
    assert refused == {action: denied(action, arn) for action in refused}
    assert refusal(one.execute_statement, Statement=select) == denied("PartiQLSelect", arn)
    transaction = {"TransactStatements": [{"Statement": select}]}
    assert refusal(one.execute_transaction, **transaction) == denied("PartiQLSelect", arn)
    create(one, TableName=table)
    inserts = [{"Statement": f"INSERT INTO \"{name}\" VALUE {{'p': 'key'}}"} for name in (table, arn)]
    assert refusal(one.batch_execute_statement, Statements=inserts) == denied("PartiQLInsert", arn)
    assert one.scan(TableName=table)["Items"] == [], "a batch that is refused has done nothing"


def test_what_another_account_does_not_have(server: Server, one: Any, table: str) -> None:
    missing = ("ResourceNotFoundException", "Requested resource not found")
    for arn in (arn_of(unused_name()), arn_of(table, "333333333333"), arn_of(table, OWN)):
        assert refusal(one.get_item, TableName=arn, Key=KEY) == missing
        assert refusal(one.put_item, TableName=arn, Item=KEY) == missing
    elsewhere = arn_of(table, region="eu-central-1")
    assert refusal(one.get_item, TableName=elsewhere, Key=KEY) == (
        "ValidationException",
        f"1 validation error detected: Invalid AWS region in '{elsewhere}'",
    )


def test_the_account_of_the_table_counts_what_it_is_asked_for(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server()
    table = create(server.client(region=REGION, aws_access_key_id=OTHER))
    server.client(region=REGION, aws_access_key_id=ONE).get_item(TableName=arn_of(table), Key=KEY)
    counted = [
        (one["account"], one["dimensions"]["TableName"], one["value"])
        for one in stats(tmp_path / "data")["metrics"]["series"]
        if one["name"] == "ConsumedReadCapacityUnits"
    ]
    assert counted == [(OTHER, table, 0.5)]


# Where signatures are verified


def test_no_policy_allows_a_key_what_is_another_accounts(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server(auth="on")
    data = str(tmp_path / "data")
    clients = {}
    for account in (ONE, OTHER):
        assert run_jedlik("account", "create", account, "--data-dir", data).returncode == 0
        made = run_jedlik("credentials", "create", "--data-dir", data, "--account", account).stdout
        lines = dict(line.split(" = ") for line in made.splitlines() if " = " in line)
        key = {name: lines[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
        clients[account] = server.client(**key), server.client("dynamodbstreams", **key)
    (one, streams), (other, _) = clients[ONE], clients[OTHER]
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    name = create(other, StreamSpecification=stream)
    for arn in (arn_of(name), arn_of("of no table"), arn_of(name, "333333333333")):
        arn = arn.replace(" ", "-")
        assert refusal(one.get_item, TableName=arn, Key=KEY) == denied("GetItem", arn)
        assert refusal(one.put_item, TableName=arn, Item=KEY) == denied("PutItem", arn)
        assert refusal(one.describe_table, TableName=arn) == denied("DescribeTable", arn)
        assert refusal(one.list_tags_of_resource, ResourceArn=arn) == denied("ListTagsOfResource", arn)
        assert refusal(one.describe_time_to_live, TableName=arn) == denied("DescribeTimeToLive", arn)
        assert refusal(streams.describe_stream, StreamArn=f"{arn}/stream/x") == denied(
            "DescribeStream", f"{arn}/stream/x"
        )
        puts = [{"Put": {"TableName": table, "Item": KEY}} for table in (arn, name)]
        assert refusal(one.transact_write_items, TransactItems=puts) == denied("PutItem", arn)
    assert other.get_item(TableName=arn_of(name), Key=KEY)["ResponseMetadata"]["HTTPStatusCode"] == 200
