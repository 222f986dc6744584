"""The developer guide's examples of policies, each with real clients and both answers: what it allows, and what not.

Sources: "IAM security policies with PartiQL for DynamoDB", "Identity-based policies for DynamoDB" and "Attribute-based
access control" in the developer guide. Those of fine-grained access are in `test_authorizing`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from testing.identities import policy
from testing.jedlik_process import Server, eventually

ACCOUNT, REGION = "000000000000", "us-east-1"
MUSIC = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/Music"
PARTIQL = [f"dynamodb:PartiQL{verb}" for verb in ("Insert", "Update", "Delete", "Select")]
SCHEMA: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": "Artist", "AttributeType": "S"},
        {"AttributeName": "Title", "AttributeType": "S"},
    ],
    "KeySchema": [{"AttributeName": "Artist", "KeyType": "HASH"}],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "ByTitle",
            "KeySchema": [{"AttributeName": "Title", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
}
KEY = {"Artist": {"S": "Acme"}}
SELECT = "SELECT * FROM Music WHERE Artist = 'Acme'"
SCAN = "SELECT * FROM Music WHERE Title = 'x'"
OF_INDEX = 'SELECT * FROM "Music"."ByTitle" WHERE Title = \'x\''
UPDATE = "UPDATE Music SET Price = 1 WHERE Artist = 'Acme'"
DELETE = "DELETE FROM Music WHERE Artist = 'Nobody'"


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server]) -> Server:
    """One worker: a change holds at once."""
    running = start_shared_server(auth="on", in_memory=True)
    for name in ("Music", "Other", "dev-Music"):
        running.client().create_table(
            TableName=name, StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}, **SCHEMA
        )
    running.client().put_item(TableName="Music", Item=KEY | {"Title": {"S": "x"}})
    running.client("iam").create_user(UserName="bob", Tags=[{"Key": "team", "Value": "red"}])
    return running


@pytest.fixture(scope="module")
def keys(server: Server) -> dict[str, str]:
    made = server.client("iam").create_access_key(UserName="bob")["AccessKey"]
    return {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}


May = Callable[..., Any]


@pytest.fixture
def may(server: Server, keys: dict[str, str]) -> May:
    """Gives Bob these statements, and no others: his client."""

    def give(*statements: dict[str, Any], service: str = "dynamodb") -> Any:
        server.client("iam").put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=policy(*statements))
        return server.client(service, **keys)

    return give


def says(action: str | list[str], resource: str | list[str] = MUSIC, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource} | more


def is_allowed(call: Callable[..., Any], **request: Any) -> bool:
    """Whether a call is permitted, whatever it answers."""
    try:
        call(**request)
    except Exception as error:
        found: str = getattr(error, "response", {})["Error"]["Code"]
        return found != "AccessDeniedException"
    return True


def runs(client: Any, *statements: str) -> list[bool]:
    """Which statements are permitted, one by one."""
    return [is_allowed(client.execute_statement, Statement=one) for one in statements]


def commits(client: Any, *statements: str) -> bool:
    return is_allowed(client.execute_transaction, TransactStatements=[{"Statement": one} for one in statements])


# PartiQL


def test_all_statements_on_a_table(may: May) -> None:
    client = may(says(PARTIQL))
    assert runs(client, SELECT, UPDATE, DELETE, "INSERT INTO Music VALUE {'Artist': 'New'}") == [True] * 4
    assert runs(client, SELECT.replace("Music", "Other"), OF_INDEX) == [False, False]
    assert not is_allowed(client.get_item, TableName="Music", Key=KEY)


def test_selects_on_a_table_and_on_an_index(may: May) -> None:
    client = may(says("dynamodb:PartiQLSelect"))
    assert runs(client, SELECT, OF_INDEX, UPDATE) == [True, False, False]
    client = may(says("dynamodb:PartiQLSelect", f"{MUSIC}/index/ByTitle"))
    assert runs(client, OF_INDEX, SELECT, DELETE) == [True, False, False]


def test_selects_without_full_table_scans(may: May) -> None:
    no_scans = says("dynamodb:PartiQLSelect", Effect="Deny", Condition={"Bool": {"dynamodb:FullTableScan": ["true"]}})
    client = may(no_scans, says("dynamodb:PartiQLSelect", [MUSIC, f"{MUSIC}/index/*"]))
    assert runs(client, SELECT, OF_INDEX, SCAN, "SELECT * FROM Music") == [True, True, False, False]


def test_statements_in_transactions_only(may: May) -> None:
    within = {"StringEquals": {"dynamodb:EnclosingOperation": ["ExecuteTransaction"]}}
    client = may(says(PARTIQL, Condition=within))
    assert commits(client, UPDATE)
    assert commits(client, SELECT)
    assert runs(client, SELECT, UPDATE) == [False, False]


def test_statements_outside_of_transactions_only(may: May) -> None:
    within = {"StringEquals": {"dynamodb:EnclosingOperation": ["ExecuteTransaction"]}}
    client = may(says(PARTIQL, Effect="Deny", Condition=within), says(PARTIQL))
    assert runs(client, SELECT, UPDATE) == [True, True]
    assert not commits(client, UPDATE)
    batch = client.batch_execute_statement
    assert is_allowed(batch, Statements=[{"Statement": SELECT}])
    assert not is_allowed(batch, Statements=[{"Statement": SELECT.replace("Music", "Other")}])


# Identity-based policies


def test_any_action_on_one_table(may: May) -> None:
    client = may(says("dynamodb:*"))
    for call in (client.describe_table, client.scan, client.describe_time_to_live):
        assert is_allowed(call, TableName="Music")
        assert not is_allowed(call, TableName="Other")
    assert not is_allowed(client.query, **_query())


def _query() -> dict[str, Any]:
    return {
        "TableName": "Music",
        "IndexName": "ByTitle",
        "KeyConditionExpression": "Title = :t",
        "ExpressionAttributeValues": {":t": {"S": "x"}},
    }


def test_items_of_a_table_and_its_indexes(may: May) -> None:
    """Read and write, and nothing that changes the table."""
    actions = ["DescribeTable", "BatchGet*", "Get*", "Query", "Scan", "BatchWrite*", "UpdateItem", "PutItem"]
    on_items = says([f"dynamodb:{action}" for action in actions], [MUSIC, f"{MUSIC}/index/*"])
    client = may(says("dynamodb:List*", "*"), on_items)
    assert is_allowed(client.list_tables)
    assert is_allowed(client.query, **_query())
    assert is_allowed(client.put_item, TableName="Music", Item=KEY)
    assert is_allowed(client.batch_get_item, RequestItems={"Music": {"Keys": [KEY]}})
    assert not is_allowed(client.batch_get_item, RequestItems={"Music": {"Keys": [KEY]}, "Other": {"Keys": [KEY]}})
    assert not is_allowed(client.delete_item, TableName="Music", Key=KEY)
    assert not is_allowed(client.delete_table, TableName="Music")


def test_tables_of_one_environment(may: May) -> None:
    """Two environments in one account, told apart by the names of their tables."""
    client = may(says("dynamodb:*", MUSIC.replace("Music", "dev-*")))
    assert is_allowed(client.put_item, TableName="dev-Music", Item=KEY)
    assert not is_allowed(client.put_item, TableName="Music", Item=KEY)


def test_a_stream_without_its_table(server: Server, may: May) -> None:
    actions = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
    list_streams = says("dynamodb:ListStreams", "*")
    client = may(list_streams, says(actions, f"{MUSIC}/stream/*"), service="dynamodbstreams")
    arn = server.client().describe_table(TableName="Music")["Table"]["LatestStreamArn"]
    other = server.client().describe_table(TableName="Other")["Table"]["LatestStreamArn"]
    assert is_allowed(client.list_streams)
    shard = client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    asked = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
    assert client.get_records(ShardIterator=client.get_shard_iterator(**asked)["ShardIterator"])["Records"]
    assert not is_allowed(client.describe_stream, StreamArn=other)
    assert not is_allowed(may(list_streams, says(actions, f"{MUSIC}/stream/*")).describe_table, TableName="Music")


# Attribute-based access control


def test_tables_of_ones_own_team(server: Server, may: May) -> None:
    """Tables are made with the team's tag, and changed and deleted only by the team."""
    mine = {"aws:RequestTag/team": "${aws:PrincipalTag/team}"}
    client = may(
        says(["dynamodb:CreateTable", "dynamodb:TagResource"], "*", Condition={"StringEquals": mine}),
        says(
            ["dynamodb:DescribeTable", "dynamodb:DeleteTable", "dynamodb:PutItem"],
            "*",
            Condition={"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}},
        ),
    )
    red, blue = {"Key": "team", "Value": "red"}, {"Key": "team", "Value": "blue"}
    assert not is_allowed(client.create_table, TableName="Plays", **SCHEMA)
    assert not is_allowed(client.create_table, TableName="Plays", Tags=[blue], **SCHEMA)
    assert is_allowed(client.create_table, TableName="Plays", Tags=[red], **SCHEMA)
    status = server.client().describe_table
    eventually(lambda: status(TableName="Plays")["Table"]["TableStatus"] == "ACTIVE")
    assert is_allowed(client.put_item, TableName="Plays", Item=KEY)
    assert not is_allowed(client.put_item, TableName="Music", Item=KEY)
    arn = MUSIC.replace("Music", "Plays")
    server.client().tag_resource(ResourceArn=arn, Tags=[blue])
    assert not is_allowed(client.delete_table, TableName="Plays")
    server.client().tag_resource(ResourceArn=arn, Tags=[red])
    assert is_allowed(client.delete_table, TableName="Plays")
