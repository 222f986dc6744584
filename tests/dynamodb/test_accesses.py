"""The accesses that each operation needs: actions, resources and condition keys.

The cases on GameScores follow the policies in "Using IAM policy conditions for fine-grained access control", and those
of transactions and PartiQL the pages of the developer guide on them.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.aws.access import Access, Scope
from jedlik.aws.policies import authorization_table
from jedlik.aws.shapes import service_model
from jedlik.dynamodb import access_conditions, accesses
from jedlik.dynamodb.operations import OPERATIONS, STREAMS_OPERATIONS
from jedlik.dynamodb.request_shapes import DYNAMODB, STREAMS
from testing.condition_keys import type_of_key
from testing.dynamodb.schemas import table

SCOPE = Scope("aws", "123456789012", "us-west-2")
SCORES = "arn:aws:dynamodb:us-west-2:123456789012:table/GameScores"
MUSIC = "arn:aws:dynamodb:us-west-2:123456789012:table/Music"
KNOWN = {
    "GameScores": table(
        ("UserId", "S"),
        ("GameTitle", "S"),
        local={"TopScoreDateTimeIndex": ("TopScoreDateTime", "S")},
        global_={
            "GameTitleIndex": ([("GameTitle", "S")], [("TopScore", "N")]),
            "Places": ([("Country", "S"), ("City", "S"), ("Zip", "N")], [("TopScore", "N")]),
        },
    ),
    "Music": table(("p", "N"), ("s", "S")),
}
KEY = {"UserId": {"S": "101"}, "GameTitle": {"S": "Galaxy"}}
NOBODY: dict[str, Any] = {}


def needed(operation: str, request: dict[str, Any], known: dict[str, Any] | None = None) -> list[Access]:
    found = list(accesses.of(operation)(SCOPE, request, KNOWN if known is None else known))
    for access in found:
        assert is_in_the_table(access), access
    return found


def is_in_the_table(access: Access) -> bool:
    """Whether AWS's reference has an action with such a resource and with these condition keys."""
    action = authorization_table.action(access.action)
    if action is None:
        return False
    of_partition = {name for names in access_conditions.PARTITION_KEYS for name in names}
    own = {key for key in access.context if not key.startswith("aws:")} - of_partition
    is_known = own <= action.keys and all(map(type_of_key, access.context))
    return is_known and (access.resource == "*" or action.template(access.resource) is not None)


def context(operation: str, known: dict[str, Any] | None = None, /, **request: Any) -> dict[str, tuple[str, ...]]:
    """The condition keys of the one access of an operation on GameScores, without `dynamodb:`."""
    [access] = needed(operation, {"TableName": "GameScores", **request}, known)
    return {name.removeprefix("dynamodb:"): values for name, values in access.context.items()}


def both(*values: str) -> dict[str, tuple[str, ...]]:
    """The leading keys, which go by two names."""
    return {"LeadingKeys": values, "FirstPartitionKeyValues": values}


# Every operation


def test_every_operation_of_the_models_has_an_entry() -> None:
    every = service_model.operation_names("dynamodb") | service_model.operation_names("dynamodbstreams")
    entries = accesses.RESOURCES.keys() | accesses.ON_ITEMS.keys()
    assert every == entries
    assert not accesses.RESOURCES.keys() & accesses.ON_ITEMS.keys()


def test_every_action_on_items_is_one_that_an_operation_needs() -> None:
    of_statements = {"PartiQLDelete", "PartiQLInsert", "PartiQLSelect", "PartiQLUpdate"}
    alone = {name for name in accesses.ON_ITEMS if not name.startswith(("Execute", "BatchExecute", "Transact"))}
    assert access_conditions.CONDITION_KEYS.keys() == alone | of_statements | {"ConditionCheckItem"}


def test_operations_declare_what_they_need() -> None:
    [access] = OPERATIONS["GetItem"].accesses(SCOPE, {"TableName": "Music", "Key": {"p": {"N": "1"}}}, NOBODY)
    assert (access.action, access.resource) == ("dynamodb:GetItem", MUSIC)
    [access] = STREAMS_OPERATIONS["ListStreams"].accesses(SCOPE, {}, NOBODY)
    assert access == Access("dynamodb:ListStreams", "*", {})


TABLE = {"TableName": "Music"}
STREAM = f"{MUSIC}/stream/2026-11-28T00:00:00.000"
BACKUP = f"{MUSIC}/backup/01489602797149-73d8d5bc"


@pytest.mark.parametrize(
    ("operation", "request_", "resources"),
    [
        ("CreateBackup", {**TABLE, "BackupName": "b"}, [MUSIC]),
        ("CreateTable", TABLE, [MUSIC]),
        ("DeleteTable", TABLE, [MUSIC]),
        ("DeleteBackup", {"BackupArn": BACKUP}, [BACKUP]),
        ("DescribeBackup", {"BackupArn": BACKUP}, [BACKUP]),
        ("DescribeContributorInsights", {**TABLE, "IndexName": "i"}, [MUSIC, f"{MUSIC}/index/i"]),
        ("DescribeEndpoints", {}, ["*"]),
        ("DescribeExport", {"ExportArn": f"{MUSIC}/export/1"}, [f"{MUSIC}/export/1"]),
        ("DescribeImport", {"ImportArn": f"{MUSIC}/import/1"}, [f"{MUSIC}/import/1"]),
        ("DescribeLimits", {}, ["*"]),
        ("DescribeStream", {"StreamArn": STREAM}, [STREAM]),
        ("DescribeTable", TABLE, [MUSIC]),
        ("DescribeTimeToLive", TABLE, [MUSIC]),
        ("ExportTableToPointInTime", {"TableArn": MUSIC}, [MUSIC]),
        ("GetRecords", {"ShardIterator": f"{STREAM}|1|AAAA"}, [STREAM]),
        ("GetShardIterator", {"StreamArn": STREAM}, [STREAM]),
        ("ImportTable", {"TableCreationParameters": TABLE}, [MUSIC]),
        ("ListBackups", TABLE, ["*"]),
        ("ListExports", {}, ["*"]),
        ("ListExports", {"TableArn": MUSIC}, [MUSIC]),
        ("ListGlobalTables", {}, ["*"]),
        ("ListStreams", TABLE, ["*"]),
        ("ListTables", {}, ["*"]),
        ("ListTagsOfResource", {"ResourceArn": MUSIC}, [MUSIC]),
        ("PutResourcePolicy", {"ResourceArn": STREAM}, [STREAM]),
        ("SearchVectors", {**TABLE, "IndexName": "i"}, [MUSIC, f"{MUSIC}/index/i"]),
        ("TagResource", {"ResourceArn": MUSIC, "Tags": []}, [MUSIC]),
        ("UntagResource", {"ResourceArn": MUSIC, "TagKeys": []}, [MUSIC]),
        ("UpdateTable", TABLE, [MUSIC]),
        ("UpdateTimeToLive", TABLE, [MUSIC]),
        # Operations that are not supported yet skip the checks of shapes.
        ("ImportTable", {"TableCreationParameters": 5}, ["*"]),
        ("CreateBackup", {}, ["*"]),
        ("SearchVectors", {"IndexName": "i"}, ["*"]),
    ],
)
def test_an_operation_is_an_action_on_its_resources(
    operation: str, request_: dict[str, Any], resources: list[str]
) -> None:
    assert needed(operation, request_) == [Access(f"dynamodb:{operation}", arn, {}) for arn in resources]


@pytest.mark.parametrize(
    ("operation", "request_", "wanted"),
    [
        (
            "ExportTableToPointInTime",
            {"TableArn": MUSIC, "S3Bucket": "b", "S3Prefix": "/mine/"},
            [("s3:PutObject", "arn:aws:s3:::b/mine/AWSDynamoDB/*", {})],
        ),
        (
            "ImportTable",
            {"TableCreationParameters": TABLE, "S3BucketSource": {"S3Bucket": "b", "S3KeyPrefix": "mine"}},
            [
                ("s3:ListBucket", "arn:aws:s3:::b", {"s3:prefix": ("mine",)}),
                ("s3:GetObject", "arn:aws:s3:::b/mine*", {}),
            ],
        ),
        (
            "ImportTable",
            {"TableCreationParameters": TABLE, "S3BucketSource": {"S3Bucket": "b", "S3KeyPrefix": "//mine/a"}},
            [
                ("s3:ListBucket", "arn:aws:s3:::b", {"s3:prefix": ("mine/a",)}),
                ("s3:GetObject", "arn:aws:s3:::b/mine/a*", {}),
            ],
        ),
        (
            "StartBulkPutItems",
            TABLE | {"InputS3Configuration": {"S3Bucket": "in"}, "OutputS3Configuration": {"S3Bucket": "out"}},
            [
                ("s3:ListBucket", "arn:aws:s3:::in", {"s3:prefix": ("",)}),
                ("s3:GetObject", "arn:aws:s3:::in/*", {}),
                ("s3:PutObject", "arn:aws:s3:::out/*", {}),
            ],
        ),
    ],
)
def test_buckets_are_resources_too(
    operation: str, request_: dict[str, Any], wanted: list[tuple[str, str, dict[str, tuple[str, ...]]]]
) -> None:
    assert list(accesses.of(operation)(SCOPE, request_, KNOWN)) == [
        Access(f"dynamodb:{operation}", MUSIC, {}),
        *(Access(*access) for access in wanted),
    ]


GLOBAL = "arn:aws:dynamodb::123456789012:global-table/Music"
THERE = MUSIC.replace("us-west-2", "eu-west-1")


@pytest.mark.parametrize(
    ("operation", "request_", "resources"),
    [
        ("DescribeGlobalTable", {}, [GLOBAL]),
        ("DescribeGlobalTableSettings", {}, [GLOBAL]),
        (
            "CreateGlobalTable",
            {"ReplicationGroup": [{"RegionName": "us-west-2"}, {"RegionName": "eu-west-1"}]},
            [GLOBAL, MUSIC, THERE],
        ),
        ("UpdateGlobalTable", {"ReplicaUpdates": [{"Create": {"RegionName": "eu-west-1"}}]}, [GLOBAL, MUSIC, THERE]),
        ("UpdateGlobalTable", {"ReplicaUpdates": [{"Delete": {"RegionName": "eu-west-1"}}]}, [GLOBAL, MUSIC, THERE]),
        ("UpdateGlobalTableSettings", {}, [GLOBAL, MUSIC]),
        (
            "UpdateGlobalTableSettings",
            {"ReplicaSettingsUpdate": [{"RegionName": "eu-west-1", "ReplicaTableClass": "STANDARD"}]},
            [GLOBAL, MUSIC, THERE],
        ),
    ],
)
def test_a_global_table_is_a_resource_and_so_are_its_replicas(
    operation: str, request_: dict[str, Any], resources: list[str]
) -> None:
    found = needed(operation, {"GlobalTableName": "Music", **request_})
    assert found == [Access(f"dynamodb:{operation}", arn, {}) for arn in resources]


def pairs(operation: str, request: dict[str, Any]) -> list[tuple[str, str]]:
    return [(access.action.removeprefix("dynamodb:"), access.resource) for access in needed(operation, request)]


FILLING = ("BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")


def test_adding_a_replica_creates_and_fills_a_table_in_its_region() -> None:
    for name in ("Music", MUSIC):
        assert pairs(
            "UpdateTable", {"TableName": name, "ReplicaUpdates": [{"Create": {"RegionName": "eu-west-1"}}]}
        ) == [
            ("UpdateTable", MUSIC),
            ("CreateTable", THERE),
            ("CreateTableReplica", THERE),
            *((action, THERE) for action in FILLING),
        ]


def test_removing_a_replica_deletes_a_table_in_its_region() -> None:
    updates = [{"Delete": {"RegionName": "eu-west-1"}}, {"Update": {"RegionName": "ap-south-1"}}]
    witnesses = [{"Create": {"RegionName": "us-east-2"}}, {"Delete": {"RegionName": "us-east-1"}}]
    request = {"TableName": "Music", "ReplicaUpdates": updates, "GlobalTableWitnessUpdates": witnesses}
    assert pairs("UpdateTable", request) == [
        ("UpdateTable", MUSIC),
        ("DeleteTable", THERE),
        ("DeleteTableReplica", THERE),
        ("UpdateTable", MUSIC.replace("us-west-2", "ap-south-1")),
        ("CreateGlobalTableWitness", MUSIC.replace("us-west-2", "us-east-2")),
        ("DeleteGlobalTableWitness", MUSIC.replace("us-west-2", "us-east-1")),
    ]


def test_a_replica_that_stays_as_a_table_of_its_own_needs_no_more_than_the_update() -> None:
    assert pairs("UpdateTable", {"TableName": "Music", "ReplicaUpdates": [{"Disassociate": {}}]}) == [
        ("UpdateTable", MUSIC)
    ]


def test_a_table_that_is_created_with_more_needs_more() -> None:
    request = {
        "TableName": "Music",
        "Tags": [{"Key": "team", "Value": "a"}],
        "ResourcePolicy": "{}",
        "GlobalTableSourceArn": THERE.replace("123456789012", "210987654321"),
    }
    assert pairs("CreateTable", request) == [
        ("CreateTable", MUSIC),
        ("TagResource", MUSIC),
        ("PutResourcePolicy", MUSIC),
        ("AssociateTableReplica", THERE.replace("123456789012", "210987654321")),
        ("CreateTableReplica", MUSIC),
        *((action, MUSIC) for action in FILLING),
    ]


def test_a_restored_table_is_filled() -> None:
    assert pairs("RestoreTableFromBackup", {"BackupArn": BACKUP, "TargetTableName": "Music"}) == [
        ("RestoreTableFromBackup", BACKUP),
        ("RestoreTableFromBackup", MUSIC),
        *((action, MUSIC) for action in FILLING),
    ]
    assert pairs("RestoreTableToPointInTime", {"SourceTableName": "GameScores", "TargetTableName": "Music"}) == [
        ("RestoreTableToPointInTime", SCORES),
        ("RestoreTableToPointInTime", MUSIC),
        *((action, MUSIC) for action in FILLING),
    ]


def test_tags_are_condition_keys() -> None:
    tags = [{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": ""}]
    expected = {"aws:RequestTag/team": ("a",), "aws:RequestTag/cost": ("",), "aws:TagKeys": ("team", "cost")}
    assert needed("TagResource", {"ResourceArn": MUSIC, "Tags": tags}) == [
        Access("dynamodb:TagResource", MUSIC, expected)
    ]
    assert [access.context for access in needed("CreateTable", {"TableName": "Music", "Tags": tags})] == [expected] * 2
    [access] = needed("UntagResource", {"ResourceArn": MUSIC, "TagKeys": ["team"]})
    assert access.context == {"aws:TagKeys": ("team",)}


# Resources


@pytest.mark.parametrize(
    ("given_name", "arn"),
    [
        ("Music", MUSIC),
        (MUSIC, MUSIC),
        (MUSIC.replace("123456789012", "210987654321"), MUSIC.replace("123456789012", "210987654321")),
        (THERE, THERE),
        # The partition and the vendor are ignored when the table is looked up, so policies must ignore them too.
        ("arn:other:dynamo:us-west-2:123456789012:table/Music", MUSIC),
        ("arn:", "arn:aws:dynamodb:us-west-2:123456789012:table/"),
    ],
)
def test_a_table_has_one_arn_however_it_is_named(given_name: str, arn: str) -> None:
    assert accesses.table_arn(SCOPE, given_name) == arn
    assert [access.resource for access in needed("DescribeTable", {"TableName": given_name})] == [arn]


def test_arns_are_of_the_partition() -> None:
    china = SCOPE._replace(partition="aws-cn", region="cn-north-1")
    [access] = accesses.of("GetItem")(china, {"TableName": "Music", "Key": {}}, NOBODY)
    assert access.resource == "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/Music"
    [access] = accesses.of("TagResource")(SCOPE, {"ResourceArn": MUSIC.replace("aws", "x"), "Tags": []}, NOBODY)
    assert access.resource == MUSIC


@pytest.mark.parametrize("operation", ["Query", "Scan"])
def test_an_index_is_a_resource_of_its_own(operation: str) -> None:
    request = {"TableName": "GameScores", "IndexName": "TopScoreDateTimeIndex"}
    assert pairs(operation, request) == [(operation, f"{SCORES}/index/TopScoreDateTimeIndex")]
    assert pairs(operation, {**request, "TableName": SCORES}) == [(operation, f"{SCORES}/index/TopScoreDateTimeIndex")]


# Condition keys of single items


def test_get_item() -> None:
    names = {"#n": "Name"}
    projection = {"ProjectionExpression": "#n, Address.City, Wins[0]", "ExpressionAttributeNames": names}
    assert context("GetItem", Key=KEY, **projection) == {
        "Attributes": ("UserId", "GameTitle", "Name", "Address", "Wins"),
        "Select": ("SPECIFIC_ATTRIBUTES",),
        "ReturnConsumedCapacity": ("NONE",),
        **both("101"),
    }
    assert context("GetItem", Key=KEY, ReturnConsumedCapacity="TOTAL") == {
        "Attributes": ("UserId", "GameTitle"),
        "Select": ("ALL_ATTRIBUTES",),
        "ReturnConsumedCapacity": ("TOTAL",),
        **both("101"),
    }
    older = context("GetItem", Key=KEY, AttributesToGet=["TopScore", "UserId"])
    assert older["Attributes"] == ("UserId", "GameTitle", "TopScore")
    assert older["Select"] == ("SPECIFIC_ATTRIBUTES",)


def test_put_item() -> None:
    item = KEY | {"Wins": {"N": "1"}}
    condition = {"ConditionExpression": "attribute_not_exists(Losses) AND size(#w) < :n AND :n > Best.Score"}
    assert context(
        "PutItem", Item=item, **condition, ExpressionAttributeNames={"#w": "Wins"}, ReturnValues="ALL_OLD"
    ) == {
        "Attributes": ("UserId", "GameTitle", "Wins", "Losses", "Best"),
        "ReturnValues": ("ALL_OLD",),
        "ReturnConsumedCapacity": ("NONE",),
        **both("101"),
    }
    assert context("PutItem", Item=item, Expected={"Losses": {"Exists": False}})["Attributes"] == (
        "UserId",
        "GameTitle",
        "Wins",
        "Losses",
    )


def test_update_item() -> None:
    update = "SET Wins = Draws + :one, Places[0].Town = if_not_exists(Best, :b) REMOVE #l.x ADD Games :one"
    assert context("UpdateItem", Key=KEY, UpdateExpression=update, ExpressionAttributeNames={"#l": "Losses"}) == {
        "Attributes": ("UserId", "GameTitle", "Wins", "Draws", "Places", "Best", "Losses", "Games"),
        "ReturnValues": ("NONE",),
        "ReturnConsumedCapacity": ("NONE",),
        **both("101"),
    }
    older = context("UpdateItem", Key=KEY, AttributeUpdates={"Wins": {"Action": "DELETE"}}, ReturnValues="UPDATED_NEW")
    assert older["Attributes"] == ("UserId", "GameTitle", "Wins")
    assert older["ReturnValues"] == ("UPDATED_NEW",)


def test_delete_item() -> None:
    assert context("DeleteItem", Key=KEY, ConditionExpression="Wins IN (:a, Losses) OR NOT contains(Tags, :b)") == {
        "Attributes": ("UserId", "GameTitle", "Wins", "Losses", "Tags"),
        "ReturnValues": ("NONE",),
        "ReturnConsumedCapacity": ("NONE",),
        **both("101"),
    }


@pytest.mark.parametrize("returns", [{}, {"ReturnValues": "NONE"}, {"ReturnValues": "UPDATED_NEW"}])
def test_a_write_that_shows_the_item_when_its_condition_fails_returns_all_of_it(returns: dict[str, str]) -> None:
    shown = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    assert context("UpdateItem", Key=KEY, **returns, **shown)["ReturnValues"] == ("ALL_OLD",)
    assert context("UpdateItem", Key=KEY, ReturnValuesOnConditionCheckFailure="NONE")["ReturnValues"] == ("NONE",)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"N": "1"}, "1"),
        ({"N": "+01.0"}, "1"),
        ({"N": "1e2", "S": None}, "100"),
        ({"N": "-0"}, "0"),
    ],
)
def test_equal_keys_are_equal_texts(value: dict[str, Any], text: str) -> None:
    [access] = needed("GetItem", {"TableName": "Music", "Key": {"s": {"S": "x"}, "p": value}})
    assert access.context["dynamodb:LeadingKeys"] == (text,)


@pytest.mark.parametrize(
    "value", [5, None, {}, {"N": "x"}, {"N": 5}, {"B": "%"}, {"B": "é"}, {"M": {}}, [1], {"S": []}]
)
def test_a_value_that_can_be_no_key_has_no_text(value: Any) -> None:
    [access] = needed("GetItem", {"TableName": "Music", "Key": {"p": value}})
    assert access.context["dynamodb:LeadingKeys"] == ()


def test_binary_keys_are_base64() -> None:
    [access] = needed("GetItem", {"TableName": "Music", "Key": {"p": {"B": "YQ=="}}}, {"Music": table(("p", "B"))})
    assert access.context["dynamodb:LeadingKeys"] == ("YQ==",)


def test_every_value_may_be_a_leading_key_of_an_unknown_table() -> None:
    """A policy with ForAllValues would hold for an empty set, and allow."""
    assert context("GetItem", NOBODY, Key=KEY)["LeadingKeys"] == ("101", "Galaxy")
    item = KEY | {"Wins": {"N": "1"}, "Tags": {"SS": ["x"]}}
    assert context("PutItem", NOBODY, Item=item)["LeadingKeys"] == ("101", "Galaxy", "1")
    assert context(
        "Query",
        NOBODY,
        KeyConditionExpression="UserId = :u AND GameTitle = :g",
        ExpressionAttributeValues={":u": {"S": "101"}, ":g": {"S": "Galaxy"}},
    )["LeadingKeys"] == ("101", "Galaxy")
    statement = {"Statement": "SELECT * FROM GameScores WHERE UserId = '101' AND Wins > 3"}
    [access] = needed("ExecuteStatement", statement, NOBODY)
    assert access.context["dynamodb:LeadingKeys"] == ("101",)
    assert access.context["dynamodb:FullTableScan"] == ("true",)


# Query and Scan


def test_query() -> None:
    request = {
        "KeyConditionExpression": ":u = UserId AND begins_with(#g, :g)",
        "FilterExpression": "Wins > :w",
        "ProjectionExpression": "TopScore",
        "ExpressionAttributeNames": {"#g": "GameTitle"},
        "ExpressionAttributeValues": {":u": {"S": "101"}, ":g": {"S": "G"}, ":w": {"N": "1"}},
    }
    assert context("Query", **request) == {
        "Attributes": ("UserId", "GameTitle", "Wins", "TopScore"),
        "Select": ("SPECIFIC_ATTRIBUTES",),
        "ReturnConsumedCapacity": ("NONE",),
        **both("101"),
    }
    assert context("Query", **request | {"Select": "COUNT"})["Select"] == ("COUNT",)
    on_index = context("Query", **request, IndexName="GameTitleIndex", ExclusiveStartKey={"TopScore": {"N": "1"}})
    assert on_index["LeadingKeys"] == ()  # Its partition key has no equality, and the handler refuses it.
    assert "TopScore" in on_index["Attributes"]


def test_a_query_of_an_index_reads_all_projected_attributes() -> None:
    request = {
        "IndexName": "GameTitleIndex",
        "KeyConditionExpression": "GameTitle = :g AND TopScore = :t",
        "ExpressionAttributeValues": {":g": {"S": "Galaxy"}, ":t": {"N": "1"}},
    }
    found = context("Query", **request)
    assert found["Select"] == ("ALL_PROJECTED_ATTRIBUTES",)
    assert found["LeadingKeys"] == ("Galaxy",)


def test_each_attribute_of_a_partition_key_has_a_condition_key() -> None:
    found = context(
        "Query",
        IndexName="Places",
        KeyConditionExpression="City = :c AND Country = :l AND Zip = :z",
        ExpressionAttributeValues={":l": {"S": "HU"}, ":c": {"S": "Pannonhalma"}, ":z": {"N": "9090.0"}},
    )
    assert {name: values for name, values in found.items() if name.endswith(("KeyValues", "LeadingKeys"))} == {
        **both("HU"),
        "SecondPartitionKeyValues": ("Pannonhalma",),
        "ThirdPartitionKeyValues": ("9090",),
    }


def test_the_older_parameters_of_a_query() -> None:
    equal = {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "101"}]}
    found = context(
        "Query",
        KeyConditions={"UserId": equal, "GameTitle": {"ComparisonOperator": "NOT_NULL"}},
        QueryFilter={"Wins": equal},
        AttributesToGet=["TopScore"],
    )
    assert found["Attributes"] == ("TopScore", "UserId", "GameTitle", "Wins")
    assert found["LeadingKeys"] == ("101",)
    assert found["Select"] == ("SPECIFIC_ATTRIBUTES",)


def test_scan() -> None:
    values = {":w": {"N": "1"}}
    assert context("Scan", FilterExpression="Wins = :w", ExpressionAttributeValues=values) == {
        "Attributes": ("Wins",),
        "Select": ("ALL_ATTRIBUTES",),
        "ReturnConsumedCapacity": ("NONE",),
    }
    assert context("Scan", ScanFilter={"Wins": {"ComparisonOperator": "NULL"}})["Attributes"] == ("Wins",)


# Batches and transactions


def test_each_table_of_a_batch_is_a_resource() -> None:
    keys = {"Keys": [KEY, KEY | {"UserId": {"S": "102"}}], "ProjectionExpression": "Wins"}
    request = {
        "RequestItems": {"GameScores": keys, MUSIC: {"Keys": [{"p": {"N": "1"}}]}},
        "ReturnConsumedCapacity": "TOTAL",
    }
    assert needed("BatchGetItem", request) == [
        Access(
            "dynamodb:BatchGetItem",
            SCORES,
            {
                "dynamodb:Attributes": ("UserId", "GameTitle", "Wins"),
                "dynamodb:Select": ("SPECIFIC_ATTRIBUTES",),
                "dynamodb:ReturnConsumedCapacity": ("TOTAL",),
                "dynamodb:LeadingKeys": ("101", "102"),
                "dynamodb:FirstPartitionKeyValues": ("101", "102"),
            },
        ),
        Access(
            "dynamodb:BatchGetItem",
            MUSIC,
            {
                "dynamodb:Attributes": ("p",),
                "dynamodb:Select": ("ALL_ATTRIBUTES",),
                "dynamodb:ReturnConsumedCapacity": ("TOTAL",),
                "dynamodb:LeadingKeys": ("1",),
                "dynamodb:FirstPartitionKeyValues": ("1",),
            },
        ),
    ]
    writes = [{"PutRequest": {"Item": KEY | {"Wins": {"N": "1"}}}}, {"DeleteRequest": {"Key": KEY}}]
    assert needed("BatchWriteItem", {"RequestItems": {"GameScores": writes}}) == [
        Access(
            "dynamodb:BatchWriteItem",
            SCORES,
            {
                "dynamodb:Attributes": ("UserId", "GameTitle", "Wins"),
                "dynamodb:ReturnConsumedCapacity": ("NONE",),
                "dynamodb:LeadingKeys": ("101",),
                "dynamodb:FirstPartitionKeyValues": ("101",),
            },
        )
    ]


def test_a_transaction_needs_what_its_elements_need() -> None:
    on_table = {"TableName": "GameScores"}
    elements = [
        {"ConditionCheck": {**on_table, "Key": KEY, "ConditionExpression": "Wins > :w"}},
        {"Put": {**on_table, "Item": KEY, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}},
        {"Update": {**on_table, "Key": KEY, "UpdateExpression": "REMOVE Losses"}},
        {"Delete": {"TableName": "Music", "Key": {"p": {"N": "7"}}}},
    ]
    found = needed("TransactWriteItems", {"TransactItems": elements, "ReturnConsumedCapacity": "INDEXES"})
    assert [(access.action, access.resource) for access in found] == [
        ("dynamodb:ConditionCheckItem", SCORES),
        ("dynamodb:PutItem", SCORES),
        ("dynamodb:UpdateItem", SCORES),
        ("dynamodb:DeleteItem", MUSIC),
    ]
    for access in found:
        assert access.context["dynamodb:EnclosingOperation"] == ("TransactWriteItems",)
        assert access.context["dynamodb:ReturnConsumedCapacity"] == ("INDEXES",)
    assert [access.context["dynamodb:ReturnValues"] for access in found] == [
        ("NONE",),
        ("ALL_OLD",),
        ("NONE",),
        ("NONE",),
    ]
    assert [access.context["dynamodb:LeadingKeys"] for access in found] == [("101",), ("101",), ("101",), ("7",)]
    assert found[0].context["dynamodb:Attributes"] == ("UserId", "GameTitle", "Wins")

    gets = [{"Get": {**on_table, "Key": KEY, "ProjectionExpression": "Wins"}}]
    [access] = needed("TransactGetItems", {"TransactItems": gets})
    assert access == Access(
        "dynamodb:GetItem",
        SCORES,
        {
            "dynamodb:Attributes": ("UserId", "GameTitle", "Wins"),
            "dynamodb:Select": ("SPECIFIC_ATTRIBUTES",),
            "dynamodb:ReturnConsumedCapacity": ("NONE",),
            "dynamodb:EnclosingOperation": ("TransactGetItems",),
            "dynamodb:LeadingKeys": ("101",),
            "dynamodb:FirstPartitionKeyValues": ("101",),
        },
    )


def test_outside_a_transaction_there_is_no_enclosing_operation() -> None:
    """The guide's policies that allow transactions only, or deny them, ask for the key with ForAnyValue."""
    assert "EnclosingOperation" not in context("GetItem", Key=KEY)
    assert "EnclosingOperation" not in context("PutItem", Item=KEY)
    for access in needed("ExecuteStatement", {"Statement": "DELETE FROM Music WHERE p = 1 AND s = 'x'"}):
        assert "dynamodb:EnclosingOperation" not in access.context


# PartiQL


@pytest.mark.parametrize(
    ("statement", "parameters", "action", "resource", "expected"),
    [
        (
            "SELECT * FROM GameScores WHERE UserId = '101'",
            None,
            "PartiQLSelect",
            SCORES,
            {"Attributes": ("UserId",), "Select": ("ALL_ATTRIBUTES",), "FullTableScan": ("false",), **both("101")},
        ),
        (
            "SELECT Wins, Best.Place FROM GameScores WHERE UserId IN [?, '102'] AND GameTitle > 'a' ORDER BY UserId",
            [{"S": "101"}],
            "PartiQLSelect",
            SCORES,
            {
                "Attributes": ("Wins", "Best", "UserId", "GameTitle"),
                "Select": ("SPECIFIC_ATTRIBUTES",),
                "FullTableScan": ("false",),
                **both("101", "102"),
            },
        ),
        (
            "SELECT Wins FROM GameScores",
            None,
            "PartiQLSelect",
            SCORES,
            {"Attributes": ("Wins",), "Select": ("SPECIFIC_ATTRIBUTES",), "FullTableScan": ("true",)},
        ),
        (
            "SELECT * FROM GameScores WHERE UserId = '101' OR Wins = 3",
            None,
            "PartiQLSelect",
            SCORES,
            {"Attributes": ("UserId", "Wins"), "Select": ("ALL_ATTRIBUTES",), "FullTableScan": ("true",)},
        ),
        (
            "SELECT * FROM GameScores WHERE UserId = '101' AND UserId = '102' AND GameTitle = 'x'",
            None,
            "PartiQLSelect",
            SCORES,
            {
                "Attributes": ("UserId", "GameTitle"),
                "Select": ("ALL_ATTRIBUTES",),
                "FullTableScan": ("false",),
                **both("101", "102"),
            },
        ),
        (
            "SELECT * FROM GameScores.\"GameTitleIndex\" WHERE GameTitle = 'Galaxy'",
            None,
            "PartiQLSelect",
            f"{SCORES}/index/GameTitleIndex",
            {
                "Attributes": ("GameTitle",),
                "Select": ("ALL_PROJECTED_ATTRIBUTES",),
                "FullTableScan": ("false",),
                **both("Galaxy"),
            },
        ),
        (
            "SELECT * FROM GameScores.\"GameTitleIndex\" WHERE UserId = '101'",
            None,
            "PartiQLSelect",
            f"{SCORES}/index/GameTitleIndex",
            {"Attributes": ("UserId",), "Select": ("ALL_PROJECTED_ATTRIBUTES",), "FullTableScan": ("true",)},
        ),
        (
            f'SELECT * FROM "{MUSIC}" WHERE p = ?',
            [{"N": "1.0"}],
            "PartiQLSelect",
            MUSIC,
            {"Attributes": ("p",), "Select": ("ALL_ATTRIBUTES",), "FullTableScan": ("false",), **both("1")},
        ),
        (
            "INSERT INTO Music VALUE {'p': ?, 's': 'x', 'more': [1]}",
            [{"N": "07"}],
            "PartiQLInsert",
            MUSIC,
            {"Attributes": ("p", "s", "more"), **both("7")},
        ),
        (
            "UPDATE Music SET a = b + 1 REMOVE c.d WHERE p = 1 AND s = 'x' AND e > 1 RETURNING ALL NEW *",
            None,
            "PartiQLUpdate",
            MUSIC,
            {"Attributes": ("a", "b", "c", "p", "s", "e"), "ReturnValues": ("ALL_NEW",), **both("1")},
        ),
        (
            "UPDATE Music SET t = set_add(t, ?) WHERE p = 1 AND s = 'x'",
            [{"SS": ["y"]}],
            "PartiQLUpdate",
            MUSIC,
            {"Attributes": ("t", "p", "s"), "ReturnValues": ("NONE",), **both("1")},
        ),
        (
            "DELETE FROM Music WHERE p = 1e0 AND s = 'x'",
            None,
            "PartiQLDelete",
            MUSIC,
            {"Attributes": ("p", "s"), "ReturnValues": ("NONE",), **both("1")},
        ),
    ],
)
def test_statements(
    statement: str,
    parameters: list[Any] | None,
    action: str,
    resource: str,
    expected: dict[str, tuple[str, ...]],
) -> None:
    element: dict[str, Any] = {"Statement": statement}
    if parameters is not None:
        element["Parameters"] = parameters
    before = copy.deepcopy(element)
    named = {f"dynamodb:{name}": values for name, values in expected.items()}
    alone = Access(f"dynamodb:{action}", resource, named)
    assert needed("ExecuteStatement", element) == [alone]
    assert needed("BatchExecuteStatement", {"Statements": [element, element]}) == [alone, alone]
    enclosed = alone._replace(context=named | {"dynamodb:EnclosingOperation": ("ExecuteTransaction",)})
    assert needed("ExecuteTransaction", {"TransactStatements": [element]}) == [enclosed]
    assert element == before


def test_a_condition_of_a_transaction_reads() -> None:
    element = {"Statement": "EXISTS(SELECT * FROM Music WHERE p = 1 AND s = 'x' AND a = 2)"}
    [access] = needed("ExecuteTransaction", {"TransactStatements": [element]})
    assert (access.action, access.resource) == ("dynamodb:PartiQLSelect", MUSIC)
    assert access.context["dynamodb:Select"] == ("SPECIFIC_ATTRIBUTES",)
    assert access.context["dynamodb:Attributes"] == ("p", "s", "a")
    assert access.context["dynamodb:LeadingKeys"] == ("1",)
    shown = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    [access] = needed("ExecuteTransaction", {"TransactStatements": [element | shown]})
    assert access.context["dynamodb:Select"] == ("ALL_ATTRIBUTES",)


@pytest.mark.parametrize(
    "statement", ["", "SELECT", "SELECT * FROM t WHERE", "DROP TABLE Music", "SELECT * FROM x", "{'a': 1}", "é"]
)
def test_a_malformed_statement_needs_nothing(statement: str) -> None:
    assert needed("ExecuteStatement", {"Statement": statement}) == []


@pytest.mark.parametrize("parameters", [[], [{"S": "x"}] * 3, [5], [{}], [None], [{"L": [5]}], [{"S": "a", "N": "1"}]])
def test_parameters_that_do_not_fit_are_for_the_handler_to_refuse(parameters: list[Any]) -> None:
    for statement in ("SELECT * FROM Music WHERE p = ?", "INSERT INTO Music VALUE {'p': ?}"):
        [access] = needed("ExecuteStatement", {"Statement": statement, "Parameters": parameters})
        assert access.resource == MUSIC


# Whatever the shape check lets through


TEXTS = st.sampled_from(["Music", "#n", ":v", ":w", "p", "s", "a" * 40]) | st.text(max_size=40)
TABLES = st.sampled_from(
    ["Music", "GameScores", MUSIC, "arn:::us-west-2:123456789012:table/Music", f"{MUSIC}/index/y", "arn:::::"]
)
CONDITIONS = st.sampled_from(["p = :v AND s > :w", "#n = :v", ":v = p", "a.b IN (:v, #n) OR NOT size(c) > :w", "((("])
TEXTS_OF = {
    "TableArn": TABLES,
    "TableName": TABLES,
    "ConditionExpression": CONDITIONS,
    "KeyExpression": CONDITIONS,
    "UpdateExpression": st.sampled_from(["SET a = :v REMOVE #n.b", "ADD p :v", "SET"]),
    "ProjectionExpression": st.sampled_from(["a, #n, b[0].c", "p", ","]),
    "PartiQLStatement": st.sampled_from(
        [
            "SELECT * FROM Music WHERE p = ? OR s IN [?, 1]",
            "SELECT a FROM GameScores.GameTitleIndex WHERE GameTitle = ? AND UserId = 'x' OR GameTitle = ?",
            "INSERT INTO Music VALUE {'p': ?, 'q': 1}",
            'UPDATE "arn:::us-west-2:123456789012:table/Music" SET a = set_add(a, ?) WHERE p = ?',
            "DELETE FROM Music WHERE p = ? AND s = ?",
            "EXISTS(SELECT * FROM Music WHERE p = ? AND s = 'x')",
            "SELECT",
        ]
    ),
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | st.sampled_from(["1", "1e400", "YQ==", "YR=="]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["S", "N", "B", "M", "L", "SS", "NULL", "x"]), inner, max_size=2)
    ),
    max_leaves=6,
)
"""Values that may stand in place of an attribute value: the check of shapes does not look there."""


def of_shape(shape_names: dict[str, Any], name: str, depth: int = 0) -> st.SearchStrategy[Any]:
    """A client's value for a shape, mostly fitting it."""
    definition = shape_names[name]
    if name == "AttributeValue" or depth > 5:
        return VALUES
    kind = definition["type"]
    if kind == "structure":
        members = {key: of_shape(shape_names, shape, depth + 1) for key, shape in definition["members"].items()}
        required = {key: members[key] for key in definition.get("required", ()) if key in members}
        if "TableName" in members:
            required["TableName"] = members["TableName"]
        return st.fixed_dictionaries(required, optional={k: v for k, v in members.items() if k not in required})
    if kind == "list":
        inner = of_shape(shape_names, definition["member"]["shape"], depth + 1)
        return st.lists(inner, min_size=definition.get("min", 0), max_size=max(2, definition.get("min", 0)))
    if kind == "map":
        keys = TEXTS_OF.get(definition["key"]["shape"], TEXTS)
        inner = of_shape(shape_names, definition["value"]["shape"], depth + 1)
        return st.dictionaries(keys, inner, min_size=definition.get("min", 0), max_size=3)
    if "enum" in definition:
        return st.sampled_from(sorted(definition["enum"]))
    if name in TEXTS_OF:
        return TEXTS_OF[name] | TEXTS
    return {"string": TEXTS, "boolean": st.booleans()}.get(kind, st.integers(1, 50))


@pytest.mark.parametrize("service", ["dynamodb", "dynamodbstreams"])
@given(data=st.data())
@settings(max_examples=600, deadline=None)
def test_nothing_that_the_shape_check_lets_through_raises(service: str, data: st.DataObject) -> None:
    model = service_model.model(DYNAMODB if service == "dynamodb" else STREAMS)
    supported = OPERATIONS if service == "dynamodb" else STREAMS_OPERATIONS
    operation = supported[data.draw(st.sampled_from(sorted(supported)))]
    request = data.draw(of_shape(model.shapes, model.operations[operation.name]))
    try:
        checked = operation.validate(request)
    except Exception:
        return
    before = copy.deepcopy(checked)
    for known in (KNOWN, NOBODY):
        for access in accesses.of(operation.name)(SCOPE, checked, known):
            assert access.action.startswith(("dynamodb:", "s3:"))
            assert all(type(value) is str for values in access.context.values() for value in values)
    assert checked == before
