"""CreateTable, DescribeTable, ListTables and DeleteTable."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from definitions import attributes, create, definition, describe, index, key_schema, units, unused_name
from refusals import INVALID, invalid, refusal
from tests.conftest import Server

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
        "KMSMasterKeyArn": f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/aws/dynamodb",
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
        "AccessDeniedException",
        "Access is denied",
    )


def test_regions_are_apart(server: Server) -> None:
    here, there = server.client(region="us-east-1"), server.client(region="eu-central-1")
    name = create(here)
    assert refusal(there.describe_table, TableName=name)[0] == "ResourceNotFoundException"
    create(there, TableName=name)
    assert describe(there, name)["TableArn"] == arn_of(name, region="eu-central-1")


# What a table may not be

STRINGS = attributes(a="S", b="S")

KEYS_REFUSED = [
    pytest.param(
        {"KeySchema": key_schema("p", "s")},
        "Invalid KeySchema: Some index key attribute have no definition",
        id="fewer definitions than keys",
    ),
    pytest.param(
        {"KeySchema": key_schema("x"), "AttributeDefinitions": STRINGS},
        f"{INVALID}Some index key attributes are not defined in AttributeDefinitions. "
        "Keys: [x], AttributeDefinitions: [a, b]",
        id="key not defined",
    ),
    pytest.param(
        {"KeySchema": key_schema("a", "a"), "AttributeDefinitions": STRINGS},
        "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        id="partition key and sort key the same",
    ),
    pytest.param(
        {"KeySchema": [{"AttributeName": "a", "KeyType": "RANGE"}], "AttributeDefinitions": STRINGS},
        "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        id="sort key only",
    ),
    pytest.param(
        {"KeySchema": key_schema(["a", "b"]), "AttributeDefinitions": STRINGS},
        "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        id="two partition keys",
    ),
    pytest.param(
        {"KeySchema": key_schema("a"), "AttributeDefinitions": STRINGS},
        f"{INVALID}Number of attributes in KeySchema does not exactly match number of attributes defined in "
        "AttributeDefinitions",
        id="attribute defined for nothing",
    ),
    pytest.param(
        {"AttributeDefinitions": attributes(p="S") + attributes(p="N")},
        "Attribute Name is duplicated: p",
        id="attribute defined twice",
    ),
    pytest.param(
        {"AttributeDefinitions": []},
        "Invalid KeySchema: Some index key attribute have no definition",
        id="nothing defined",
    ),
    pytest.param(
        {"KeySchema": []},
        "1 validation error detected: Value '[]' at 'keySchema' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1",
        id="no keys",
    ),
    pytest.param(
        {"AttributeDefinitions": attributes(p="BOOL")},
        "1 validation error detected: Value 'BOOL' at 'attributeDefinitions.1.member.attributeType' failed to "
        "satisfy constraint: Member must satisfy enum value set: [B, N, S]",
        id="no type of a key",
    ),
]


@pytest.mark.parametrize(("settings", "text"), KEYS_REFUSED)
def test_keys_that_a_table_may_not_have(client: Any, settings: dict[str, Any], text: str) -> None:
    assert invalid(client.create_table, **definition(**settings)) == text


def with_local(*indexes: Any, **more: Any) -> dict[str, Any]:
    return {
        "KeySchema": key_schema("p", "s"),
        "AttributeDefinitions": attributes(p="S", s="S", x="S"),
        "LocalSecondaryIndexes": list(indexes),
    } | more


def with_global(*indexes: Any, **more: Any) -> dict[str, Any]:
    return {
        "AttributeDefinitions": attributes(p="S", x="S"),
        "GlobalSecondaryIndexes": list(indexes),
    } | more


MANY = [f"n{i}" for i in range(21)]
NINE = list("abcdefghi")

INDEXES_REFUSED = [
    pytest.param(with_local(), f"{INVALID}List of LocalSecondaryIndexes is empty", id="no local index"),
    pytest.param(with_global(), f"{INVALID}List of GlobalSecondaryIndexes is empty", id="no global index"),
    pytest.param(
        with_local(index("idx", "p", "x"), KeySchema=key_schema("p")),
        f"{INVALID}Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex",
        id="local index without the table's sort key",
    ),
    pytest.param(
        with_local(index("idx", "p")),
        f"{INVALID}Index KeySchema does not have a range key for index: idx",
        id="local index without a sort key",
    ),
    pytest.param(
        with_local(index("idx", "x", "s")),
        f"{INVALID}Index KeySchema does not have the same leading hash key as table KeySchema for index: idx. "
        "index hash key: x, table hash key: p",
        id="local index with another partition key",
    ),
    pytest.param(
        with_local(index("idx", "p", "y")),
        f"{INVALID}Some index key attributes are not defined in AttributeDefinitions. "
        "Keys: [p, y], AttributeDefinitions: [p, s, x]",
        id="local index by what is not defined",
    ),
    pytest.param(
        with_global(index("idx", "y")),
        f"{INVALID}Some index key attributes are not defined in AttributeDefinitions. "
        "Keys: [y], AttributeDefinitions: [p, x]",
        id="global index by what is not defined",
    ),
    pytest.param(
        with_global(index("idx", "p")),
        f"{INVALID}Some AttributeDefinitions are not used. AttributeDefinitions: [p, x], keys used: [p]",
        id="attribute defined for nothing",
    ),
    pytest.param(
        with_global(index("idx", "x", "x")),
        "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        id="partition key and sort key the same",
    ),
    pytest.param(
        with_global(index("idx", ["x", "x"])),
        "The KeySchema contains multiple key attributes with the same name",
        id="an attribute twice in a partition key",
    ),
    pytest.param(
        with_global(index("idx", [], "x")),
        "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        id="sort key only",
    ),
    pytest.param(
        with_global(
            {
                "IndexName": "idx",
                "KeySchema": key_schema("p", "x") + key_schema("y"),
                "Projection": {"ProjectionType": "ALL"},
            },
            AttributeDefinitions=attributes(p="S", x="S", y="S"),
        ),
        f"{INVALID}All HASH key attributes must precede RANGE key attributes in the KeySchema",
        id="partition key after sort key",
    ),
    pytest.param(
        with_global(index("idx", NINE[:5]), AttributeDefinitions=attributes(**dict.fromkeys(["p", *NINE[:5]], "S"))),
        f"{INVALID}The KeySchema exceeds the maximum allowed number of HASH key attributes",
        id="five attributes to hash",
    ),
    pytest.param(
        with_global(index("idx", *NINE[:6]), AttributeDefinitions=attributes(**dict.fromkeys(["p", *NINE[:6]], "S"))),
        f"{INVALID}The KeySchema exceeds the maximum allowed number of RANGE key attributes",
        id="five attributes to sort by",
    ),
    pytest.param(
        with_local(index("idx", "p", "x"), GlobalSecondaryIndexes=[index("idx", "x")]),
        f"{INVALID}Duplicate index name: idx",
        id="two indexes of a name",
    ),
    pytest.param(
        with_local(*(index(f"idx{n}", "p", "x") for n in range(6))),
        f"{INVALID}Number of LocalSecondaryIndexes exceeds per-table limit of 5",
        id="six local indexes",
    ),
    pytest.param(
        with_global(*(index(f"idx{n}", "x") for n in range(21))),
        f"{INVALID}GlobalSecondaryIndex count exceeds the per-table limit of 20",
        id="21 global indexes",
    ),
    pytest.param(
        with_global(index("idx", "x", Projection={})),
        f"{INVALID}Unknown ProjectionType: null",
        id="no type of projection",
    ),
    pytest.param(
        with_global(index("idx", "x", Projection={"ProjectionType": "INCLUDE"})),
        f"{INVALID}ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
        id="nothing included",
    ),
    pytest.param(
        with_global(index("idx", "x", Projection={"ProjectionType": "ALL", "NonKeyAttributes": ["a"]})),
        f"{INVALID}ProjectionType is ALL, but NonKeyAttributes is specified",
        id="included in everything",
    ),
    pytest.param(
        with_global(index("idx", "x", Projection={"ProjectionType": "KEYS_ONLY", "NonKeyAttributes": ["a"]})),
        f"{INVALID}ProjectionType is KEYS_ONLY, but NonKeyAttributes is specified",
        id="included in keys only",
    ),
    pytest.param(
        with_global(index("idx", "x", include=["a", "b", "a"])),
        f"{INVALID}Duplicate element in NonKeyAttributes: a",
        id="included twice",
    ),
    pytest.param(
        with_global(
            *(index(f"idx{n}", "x", include=[f"a{i}" for i in range(20)]) for n in range(5)),
            index("last", "x", include=["a0"]),
        ),
        f"{INVALID}Number of attributes projected into all of the indexes exceeds the per-table limit of 100",
        id="101 included in all",
    ),
    pytest.param(
        with_global(index("idx", "x", ProvisionedThroughput=units(1, 1))),
        f"{INVALID}ProvisionedThroughput should not be specified for index: idx when BillingMode is PAY_PER_REQUEST",
        id="throughput on demand",
    ),
    pytest.param(
        with_global(index("idx", "x"), ProvisionedThroughput=units(1, 1)),
        f"{INVALID}ProvisionedThroughput is not specified for index: idx",
        id="no throughput",
    ),
    pytest.param(
        with_global(index("idx", "x", IndexName="ab;")),
        "1 validation error detected: Value 'ab;' at 'globalSecondaryIndexes.1.member.indexName' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+",
        id="no name of an index",
    ),
]


@pytest.mark.parametrize(("settings", "text"), INDEXES_REFUSED)
def test_indexes_that_a_table_may_not_have(client: Any, settings: dict[str, Any], text: str) -> None:
    assert invalid(client.create_table, **definition(**settings)) == text


def test_as_many_indexes_as_may_be(client: Any) -> None:
    names = ["p", "s", *NINE[:8]]
    name = create(
        client,
        KeySchema=key_schema("p", "s"),
        AttributeDefinitions=attributes(**dict.fromkeys(names, "S")),
        LocalSecondaryIndexes=[index(f"local{n}", "p", "a") for n in range(5)],
        GlobalSecondaryIndexes=[index(f"global{n}", NINE[:4], *NINE[4:8]) for n in range(20)],
    )
    described = describe(client, name)
    assert len(described["LocalSecondaryIndexes"]) == 5
    assert len(described["GlobalSecondaryIndexes"]) == 20
    assert described["GlobalSecondaryIndexes"][7]["KeySchema"] == key_schema(NINE[:4], *NINE[4:8])


NO_UNITS = (
    f"{INVALID}Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST"
)
UNITS_MISSING = (
    f"{INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED"
)
NO_KEY_WITH = f"{INVALID}KMSMasterKeyId can not be specified if Enabled is false"
INITIAL = (
    "initial throughput for OnDemand. See: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/"
    "on-demand-capacity-mode.html#on-demand-capacity-mode-initial"
)

SETTINGS_REFUSED = [
    pytest.param({"BillingMode": "PROVISIONED"}, UNITS_MISSING, id="provisioned without throughput"),
    pytest.param(
        {"BillingMode": "PAY_PER_REQUEST", "ProvisionedThroughput": units(1, 1)}, NO_UNITS, id="throughput on demand"
    ),
    pytest.param(
        {"ProvisionedThroughput": units(1_000_000_000_001, 1)},
        "Given value 1000000000001 for ReadCapacityUnits is out of bounds",
        id="throughput beyond all bounds",
    ),
    pytest.param(
        {"ProvisionedThroughput": units(1, 1), "OnDemandThroughput": {"MaxReadRequestUnits": 5}},
        f"{INVALID}MaxReadRequestUnits for OnDemandThroughput cannot be specified when table BillingMode is "
        "PROVISIONED.",
        id="on-demand throughput, but provisioned",
    ),
    pytest.param(
        {"OnDemandThroughput": {"MaxWriteRequestUnits": -1}},
        f"{INVALID}Requested MaxWriteRequestUnits for OnDemandThroughput for table is outside of valid range",
        id="on-demand throughput to take away",
    ),
    pytest.param(
        {"WarmThroughput": {"ReadUnitsPerSecond": 11_999}},
        f"{INVALID}Requested ReadUnitsPerSecond for WarmThroughput for table is lower than {INITIAL}",
        id="less warm than on demand",
    ),
    pytest.param(
        {"ProvisionedThroughput": units(5, 5), "WarmThroughput": {"WriteUnitsPerSecond": 4}},
        f"{INVALID}Requested WriteUnitsPerSecond for WarmThroughput for table is lower than WriteCapacityUnits of "
        "ProvisionedThroughput",
        id="less warm than provisioned",
    ),
    pytest.param(
        {"TableClass": "COLD"},
        "Invalid table-class parameter provided. Please try again with a valid table-class value: "
        "[STANDARD, STANDARD_INFREQUENT_ACCESS].",
        id="no table class",
    ),
    pytest.param(
        {"SSESpecification": {"Enabled": False, "KMSMasterKeyId": "abc"}}, NO_KEY_WITH, id="a key for no encryption"
    ),
    pytest.param(
        {"SSESpecification": {"Enabled": True, "KMSMasterKeyId": "abc"}},
        f"{INVALID}SSEType KMS is required if KMSMasterKeyId is specified",
        id="a key of no type",
    ),
    pytest.param(
        {"SSESpecification": {"Enabled": True, "SSEType": "AES256"}},
        f"{INVALID}SSEType AES256 is not supported",
        id="a type that is not",
    ),
    pytest.param(
        {"StreamSpecification": {"StreamEnabled": True}},
        f"{INVALID}Table is being created with a stream enabled, UpdateViewType is required",
        id="a stream without a view type",
    ),
    pytest.param(
        {"StreamSpecification": {"StreamEnabled": False, "StreamViewType": "KEYS_ONLY"}},
        f"{INVALID}Table is being created with a stream disabled, UpdateViewType should not be specified",
        id="a view type without a stream",
    ),
    pytest.param(
        {"ResourcePolicy": "{}"}, "Jedlik does not support resource policies yet: ResourcePolicy", id="a policy"
    ),
    pytest.param(
        {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]},
        "Duplicate Tag Keys provided as input: Duplicate Tag Key found a",
        id="a tag twice",
    ),
]


@pytest.mark.parametrize(("settings", "text"), SETTINGS_REFUSED)
def test_settings_that_a_table_may_not_have(client: Any, settings: dict[str, Any], text: str) -> None:
    assert invalid(client.create_table, **definition(**settings)) == text


@pytest.mark.parametrize(
    ("read", "write", "unit", "asked"),
    [(40_001, 1, "ReadCapacityUnits", 40_001), (1, 40_001, "WriteCapacityUnits", 40_001)],
)
def test_throughput_beyond_the_quota(client: Any, read: int, write: int, unit: str, asked: int) -> None:
    assert refusal(client.create_table, **definition(ProvisionedThroughput=units(read, write))) == (
        "LimitExceededException",
        f"The requested {unit}, {asked}, is above the per table maximum for the account in us-east-1. "
        "Per table maximum: 40000. Refer to the Amazon DynamoDB Developer Guide for current limits and how to "
        "request higher limits.",
    )


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
