"""What CreateTable refuses: keys, indexes and settings that a table may not have."""

from __future__ import annotations

from typing import Any

import pytest

from testing.dynamodb.definitions import attributes, create, definition, describe, index, key_schema, units
from testing.dynamodb.refusals import INVALID, invalid, refusal
from testing.jedlik_process import Server


@pytest.fixture
def client(server: Server) -> Any:
    return server.client()


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


def test_the_greatest_number_of_indexes(client: Any) -> None:
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
    pytest.param({"ResourcePolicy": "{}"}, "Invalid policy document: Syntax errors in policy.", id="a policy"),
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


def test_tables_beyond_the_quota_which_an_operator_may_raise(start_server: Any) -> None:
    server: Server = start_server(in_memory=True, max_tables=2)
    client = server.client()
    for name in ("one", "two"):
        create(client, TableName=name, AttributeDefinitions=attributes(p="S"))
    assert refusal(client.create_table, **definition(TableName="three")) == (
        "LimitExceededException",
        "Subscriber limit exceeded: There is a limit of 2 tables per subscriber",
    )
    create(server.client(region="eu-west-1"), TableName="three", AttributeDefinitions=attributes(p="S"))
    client.delete_table(TableName="two")
    client.get_waiter("table_not_exists").wait(TableName="two", WaiterConfig={"Delay": 1})
    create(client, TableName="three", AttributeDefinitions=attributes(p="S"))
