"""The sample application of the developer guide ("Running a sample application using DAX"), in our own words.

A table of numbers is filled in batches, then read by key, by query and by scan, several times, through DAX and past it.
"""

from __future__ import annotations

from typing import Any

import pytest

TABLE = "TryDaxTable"
PARTITIONS, NUMBERS = 4, 5
"""The guide has ten of each; it reads all of them five times."""
ROUNDS = 3


@pytest.fixture(scope="module")
def filled(dynamodb: Any, dax: Any) -> str:
    return fill(dynamodb, dax, TABLE)


def fill(dynamodb: Any, dax: Any, name: str) -> str:
    """The table, made past DAX, and filled through it."""
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "N"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        ProvisionedThroughput={"ReadCapacityUnits": 10, "WriteCapacityUnits": 10},
    )
    for partition in range(1, PARTITIONS + 1):
        puts = [
            {
                "PutRequest": {
                    "Item": {"pk": {"N": str(partition)}, "sk": {"N": str(number)}, "someData": {"S": "X" * 100}}
                }
            }
            for number in range(1, NUMBERS + 1)
        ]
        assert dax.batch_write_item(RequestItems={name: puts})["UnprocessedItems"] == {}
    return name


def test_items_by_their_keys(dax: Any, dynamodb: Any, filled: str) -> None:
    for _ in range(ROUNDS):
        for partition in range(1, PARTITIONS + 1):
            for number in range(1, NUMBERS + 1):
                key = {"pk": {"N": str(partition)}, "sk": {"N": str(number)}}
                item = dax.get_item(TableName=filled, Key=key)["Item"]
                assert item == dynamodb.get_item(TableName=filled, Key=key)["Item"]


def test_a_query_of_some_sort_keys(dax: Any, dynamodb: Any, filled: str) -> None:
    query = {
        "TableName": filled,
        "KeyConditionExpression": "pk = :pk and sk between :first and :last",
        "ExpressionAttributeValues": {":pk": {"N": "2"}, ":first": {"N": "2"}, ":last": {"N": "4"}},
    }
    past = dynamodb.query(**query)
    for _ in range(ROUNDS):
        found = dax.query(**query)
        assert (found["Items"], found["Count"], found["ScannedCount"]) == (past["Items"], 3, 3)


def test_a_scan_of_all(dax: Any, dynamodb: Any, filled: str) -> None:
    past = dynamodb.scan(TableName=filled)
    for _ in range(ROUNDS):
        found = dax.scan(TableName=filled)
        assert found["Items"] == past["Items"]
        assert found["Count"] == PARTITIONS * NUMBERS


def test_the_table_is_deleted_past_the_cache(dax: Any, dynamodb: Any) -> None:
    deleted = fill(dynamodb, dax, f"{TABLE}Deleted")
    key = {"pk": {"N": "1"}, "sk": {"N": "1"}}
    assert "Item" in dax.get_item(TableName=deleted, Key=key)
    dynamodb.delete_table(TableName=deleted)
    with pytest.raises(Exception, match="not found"):
        dax.get_item(TableName=deleted, Key=key, ConsistentRead=True)
