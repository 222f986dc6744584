"""CreateTable, DescribeTable, ListTables and DeleteTable."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from testing.dynamodb.definitions import attributes, create, definition, describe, index, key_schema, units, unused_name
from testing.dynamodb.kms_keys import key_of_aws
from testing.dynamodb.refusals import invalid, refusal
from testing.jedlik_process import Server

ACCOUNT = "000000000000"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture
def client(server: Server) -> Any:
    return server.client()


def arn_of(name: str, region: str = "us-east-1", account: str = ACCOUNT) -> str:
    return f"arn:aws:dynamodb:{region}:{account}:table/{name}"


# What a table is shown as


def test_a_table_is_creating_and_then_active(client: Any) -> None:
    made = definition(ProvisionedThroughput=units(5, 6))
    name = made["TableName"]
    before = time.time()
    created = client.create_table(**made)["TableDescription"]
    at = created.pop("CreationDateTime")
    assert isinstance(at, datetime)
    assert before - 1 < at.timestamp() < time.time() + 1
    assert UUID.fullmatch(created.pop("TableId"))
    assert created == {
        "AttributeDefinitions": attributes(p="S"),
        "TableName": name,
        "KeySchema": key_schema("p"),
        "TableStatus": "CREATING",
        "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, **units(5, 6)},
        "TableSizeBytes": 0,
        "ItemCount": 0,
        "TableArn": arn_of(name),
        "DeletionProtectionEnabled": False,
    }
    described = describe(client, name)
    assert described.pop("CreationDateTime") == at
    assert UUID.fullmatch(described.pop("TableId"))
    assert described == created | {
        "TableStatus": "ACTIVE",
        "WarmThroughput": {"ReadUnitsPerSecond": 5, "WriteUnitsPerSecond": 6, "Status": "ACTIVE"},
    }


def test_a_table_on_demand_has_no_provisioned_throughput(client: Any) -> None:
    created = client.create_table(**definition())["TableDescription"]
    assert created["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 0, **units(0, 0)}
    assert created["BillingModeSummary"] == {"BillingMode": "PAY_PER_REQUEST"}
    described = describe(client, created["TableName"])
    assert described["BillingModeSummary"] == {
        "BillingMode": "PAY_PER_REQUEST",
        "LastUpdateToPayPerRequestDateTime": described["CreationDateTime"],
    }
    assert described["WarmThroughput"] == {
        "ReadUnitsPerSecond": 12000,
        "WriteUnitsPerSecond": 4000,
        "Status": "ACTIVE",
    }


def test_indexes_are_shown_with_the_table(client: Any) -> None:
    made = definition(
        KeySchema=key_schema("p", "s"),
        AttributeDefinitions=attributes(s="N", p="S", x="S"),
        LocalSecondaryIndexes=[index("local", "p", "x", include=["b", "a"])],
        GlobalSecondaryIndexes=[index("global", "x", include=[])],
    )
    created = client.create_table(**made)["TableDescription"]
    assert [i["IndexStatus"] for i in created["GlobalSecondaryIndexes"]] == ["CREATING"]
    described = describe(client, made["TableName"])
    assert described["AttributeDefinitions"] == attributes(p="S", s="N", x="S")
    assert described["LocalSecondaryIndexes"] == [
        {
            "IndexName": "local",
            "KeySchema": key_schema("p", "x"),
            "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a", "b"]},
            "IndexSizeBytes": 0,
            "ItemCount": 0,
            "IndexArn": f"{described['TableArn']}/index/local",
        }
    ]
    assert described["GlobalSecondaryIndexes"] == [
        {
            "IndexName": "global",
            "KeySchema": key_schema("x"),
            "Projection": {"ProjectionType": "KEYS_ONLY"},
            "IndexStatus": "ACTIVE",
            "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, **units(0, 0)},
            "WarmThroughput": {"ReadUnitsPerSecond": 12000, "WriteUnitsPerSecond": 4000, "Status": "ACTIVE"},
            "IndexSizeBytes": 0,
            "ItemCount": 0,
            "IndexArn": f"{described['TableArn']}/index/global",
        }
    ]


def test_settings_are_shown_with_the_table(client: Any) -> None:
    name = create(
        client,
        TableClass="STANDARD_INFREQUENT_ACCESS",
        SSESpecification={"Enabled": True, "SSEType": "KMS"},
        OnDemandThroughput={"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 20},
        WarmThroughput={"ReadUnitsPerSecond": 15000, "WriteUnitsPerSecond": 5000},
        StreamSpecification={"StreamEnabled": False},
        DeletionProtectionEnabled=True,
    )
    described = describe(client, name)
    assert described["TableClassSummary"] == {"TableClass": "STANDARD_INFREQUENT_ACCESS"}
    assert described["SSEDescription"] == {
        "Status": "ENABLED",
        "SSEType": "KMS",
        "KMSMasterKeyArn": key_of_aws(client),
    }
    assert described["OnDemandThroughput"] == {"MaxReadRequestUnits": 10, "MaxWriteRequestUnits": 20}
    assert described["WarmThroughput"] == {
        "ReadUnitsPerSecond": 15000,
        "WriteUnitsPerSecond": 5000,
        "Status": "ACTIVE",
    }
    assert described["DeletionProtectionEnabled"] is True
    assert "StreamSpecification" not in described


def test_encryption_with_the_service_s_own_key_is_not_shown(client: Any) -> None:
    name = create(client, SSESpecification={"Enabled": False})
    assert "SSEDescription" not in describe(client, name)


def test_items_and_bytes_are_counted_at_once(client: Any) -> None:
    name = create(
        client,
        KeySchema=key_schema("p", "s"),
        AttributeDefinitions=attributes(p="S", s="S", x="S"),
        LocalSecondaryIndexes=[index("local", "p", "x", include=[])],
        GlobalSecondaryIndexes=[index("global", "x")],
    )

    def counted() -> list[tuple[int, int]]:
        table = describe(client, name)
        indexes = [*table["LocalSecondaryIndexes"], *table["GlobalSecondaryIndexes"]]
        of_indexes = [(i["ItemCount"], i["IndexSizeBytes"]) for i in indexes]
        return [(table["ItemCount"], table["TableSizeBytes"]), *of_indexes]

    both = {"p": {"S": "pp"}, "s": {"S": "a"}, "x": {"S": "xx"}, "more": {"S": "0123456789"}}
    client.put_item(TableName=name, Item=both)
    assert counted() == [(1, 3 + 2 + 3 + 14), (1, 3 + 2 + 3), (1, 22)]
    client.put_item(TableName=name, Item={"p": {"S": "pp"}, "s": {"S": "b"}})
    assert counted() == [(2, 22 + 5), (1, 8), (1, 22)]
    client.update_item(
        TableName=name, Key={"p": {"S": "pp"}, "s": {"S": "a"}}, AttributeUpdates={"x": {"Action": "DELETE"}}
    )
    assert counted() == [(2, 19 + 5), (0, 0), (0, 0)]
    for sort in ("a", "b"):
        client.delete_item(TableName=name, Key={"p": {"S": "pp"}, "s": {"S": sort}})
    assert counted() == [(0, 0), (0, 0), (0, 0)]


# Names


@pytest.mark.parametrize("name", ["abc", "a" * 255, "..._-.-_", "123"])
def test_names_that_a_table_may_have(client: Any, name: str) -> None:
    create(client, TableName=name)
    assert describe(client, name)["TableName"] == name
    client.delete_table(TableName=name)


def test_a_name_is_given_once(client: Any) -> None:
    name = create(client)
    assert refusal(client.create_table, **definition(TableName=name)) == (
        "ResourceInUseException",
        f"Table already exists: {name}",
    )


def test_a_name_may_be_given_again(client: Any) -> None:
    name = create(client)
    first = describe(client, name)["TableId"]
    client.put_item(TableName=name, Item={"p": {"S": "a"}})
    client.delete_table(TableName=name)
    create(client, TableName=name)
    again = describe(client, name)
    assert again["TableId"] != first
    assert again["ItemCount"] == 0
    assert "Item" not in client.get_item(TableName=name, Key={"p": {"S": "a"}}, ConsistentRead=True)


def test_an_arn_stands_for_a_name(client: Any) -> None:
    name = unused_name()
    created = client.create_table(**definition(TableName=arn_of(name)))["TableDescription"]
    assert created["TableName"] == name
    assert describe(client, arn_of(name))["TableArn"] == arn_of(name)
    updated = client.update_table(TableName=arn_of(name), TableClass="STANDARD")["TableDescription"]
    assert updated["TableName"] == name
    assert client.delete_table(TableName=arn_of(name))["TableDescription"]["TableName"] == name


def test_an_arn_of_another_region_or_account(client: Any) -> None:
    elsewhere = arn_of("Music", region="eu-west-1")
    assert invalid(client.describe_table, TableName=elsewhere) == (
        f"1 validation error detected: Invalid AWS region in '{elsewhere}'"
    )
    assert refusal(client.describe_table, TableName=arn_of("Music", account="123456789012")) == (
        "ResourceNotFoundException",
        "Requested resource not found: Table: Music not found",
    )
    assert refusal(client.describe_table, TableName=arn_of("Music", account="../../../tmp")) == (
        "AccessDeniedException",
        "Access is denied",
    )


def test_regions_are_apart(server: Server) -> None:
    here, there = server.client(region="us-east-1"), server.client(region="eu-central-1")
    name = create(here)
    assert refusal(there.describe_table, TableName=name)[0] == "ResourceNotFoundException"
    create(there, TableName=name)
    assert describe(there, name)["TableArn"] == arn_of(name, region="eu-central-1")


# ListTables


def test_tables_are_listed_in_byte_order(server: Server) -> None:
    client = server.client(region="eu-north-1")
    assert client.list_tables()["TableNames"] == []
    for name in ("bbb", "Bbb", "aaa", "_aa", "bbb.1"):
        create(client, TableName=name)
    assert client.list_tables()["TableNames"] == ["Bbb", "_aa", "aaa", "bbb", "bbb.1"]


def test_tables_are_listed_by_the_page(server: Server) -> None:
    client = server.client(region="eu-west-3")
    for number in range(5):
        create(client, TableName=f"table{number}")
    first = client.list_tables(Limit=2)
    assert first["TableNames"] == ["table0", "table1"]
    assert first["LastEvaluatedTableName"] == "table1"
    second = client.list_tables(Limit=2, ExclusiveStartTableName="table1")
    assert second["TableNames"] == ["table2", "table3"]
    last = client.list_tables(Limit=2, ExclusiveStartTableName="table3")
    assert last["TableNames"] == ["table4"]
    assert "LastEvaluatedTableName" not in last
    # The name to start after need not be a table's.
    assert client.list_tables(ExclusiveStartTableName="table2z")["TableNames"] == ["table3", "table4"]
    exactly = client.list_tables(Limit=5)
    assert len(exactly["TableNames"]) == 5
    assert "LastEvaluatedTableName" not in exactly


# DeleteTable


def test_a_table_is_deleting_and_then_gone(client: Any) -> None:
    name = create(client, ProvisionedThroughput=units(1, 2))
    table_id = describe(client, name)["TableId"]
    client.put_item(TableName=name, Item={"p": {"S": "a"}})
    assert client.delete_table(TableName=name)["TableDescription"] == {
        "TableName": name,
        "TableStatus": "DELETING",
        "ProvisionedThroughput": {"NumberOfDecreasesToday": 0, **units(1, 2)},
        "TableSizeBytes": 2,
        "ItemCount": 1,
        "TableArn": arn_of(name),
        "TableId": table_id,
        "DeletionProtectionEnabled": False,
    }
    gone = ("ResourceNotFoundException", f"Requested resource not found: Table: {name} not found")
    assert refusal(client.describe_table, TableName=name) == gone
    assert refusal(client.delete_table, TableName=name) == gone
    assert refusal(client.update_table, TableName=name, TableClass="STANDARD") == gone
    assert refusal(client.get_item, TableName=name, Key={"p": {"S": "a"}}) == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )
    assert name not in client.list_tables()["TableNames"]


def test_a_protected_table_stays(client: Any) -> None:
    name = create(client, DeletionProtectionEnabled=True)
    assert invalid(client.delete_table, TableName=name) == (
        "Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first."
    )
    client.update_table(TableName=name, DeletionProtectionEnabled=False)
    client.delete_table(TableName=name)
    assert refusal(client.describe_table, TableName=name)[0] == "ResourceNotFoundException"


def test_tables_survive_a_kill(start_server: Callable[..., Server]) -> None:
    server = start_server()
    name = create(server.client(), Tags=[{"Key": "a", "Value": "1"}])
    before = describe(server.client(), name)
    server.kill()
    server.restart()
    assert describe(server.client(), name) == before
    tags = server.client().list_tags_of_resource(ResourceArn=arn_of(name))["Tags"]
    assert tags == [{"Key": "a", "Value": "1"}]
