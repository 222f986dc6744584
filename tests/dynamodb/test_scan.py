"""Scan, over the wire: everything once, in pages and in segments."""

from __future__ import annotations

from typing import Any

import pytest

from testing.dynamodb.definitions import attributes, create, index, key_schema, unused_name
from testing.dynamodb.refusals import INVALID, invalid, refusal
from testing.jedlik_process import Server

ITEMS = 60
START_KEY = "The provided starting key is invalid: "


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client()


@pytest.fixture(scope="module")
def table(client: Any) -> str:
    """A table of items with a p and a c, and every third with an x."""
    name = create(
        client,
        KeySchema=key_schema("p", "c"),
        AttributeDefinitions=attributes(p="S", c="N", x="S"),
        LocalSecondaryIndexes=[index("local", "p", "x", include=[])],
        GlobalSecondaryIndexes=[index("global", "x", include=["a"])],
    )
    for number in range(ITEMS):
        client.put_item(TableName=name, Item=item(number))
    return name


def item(number: int) -> dict[str, Any]:
    made = {"p": {"S": f"p{number % 20}"}, "c": {"N": str(number)}, "a": {"S": "a"}, "b": {"S": "b"}}
    return made | {"x": {"S": f"x{number}"}} if number % 3 == 0 else made


def pages(client: Any, **request: Any) -> list[dict[str, Any]]:
    """The pages of a scan."""
    answers = [client.scan(**request)]
    while "LastEvaluatedKey" in answers[-1]:
        answers.append(client.scan(**request, ExclusiveStartKey=answers[-1]["LastEvaluatedKey"]))
    return answers


def numbers_in(answers: list[dict[str, Any]]) -> list[int]:
    return [int(found["c"]["N"]) for answer in answers for found in answer["Items"]]


def test_a_scan_finds_everything_once(client: Any, table: str) -> None:
    answer = client.scan(TableName=table)
    assert sorted(numbers_in([answer])) == list(range(ITEMS))
    assert answer["Count"] == answer["ScannedCount"] == ITEMS
    assert "LastEvaluatedKey" not in answer


@pytest.mark.parametrize("limit", [1, 7, ITEMS, ITEMS + 1])
@pytest.mark.parametrize("which", [None, "local", "global"])
def test_pages_follow_on_each_other(client: Any, table: str, limit: int, which: str | None) -> None:
    request: dict[str, Any] = {"TableName": table, "Limit": limit}
    if which is not None:
        request["IndexName"] = which
    answers = pages(client, **request)
    assert sorted(numbers_in(answers)) == list(range(0, ITEMS, 1 if which is None else 3))
    assert all(answer["ScannedCount"] == limit for answer in answers[:-1])


@pytest.mark.parametrize("segments", [1, 2, 5, 64])
def test_segments_cut_the_table_into_parts(client: Any, table: str, segments: int) -> None:
    found: list[int] = []
    for segment in range(segments):
        found += numbers_in(pages(client, TableName=table, Segment=segment, TotalSegments=segments, Limit=4))
    assert sorted(found) == list(range(ITEMS))


def test_there_may_be_a_million_segments(client: Any, table: str) -> None:
    last = 1_000_000 - 1
    assert "LastEvaluatedKey" not in client.scan(TableName=table, Segment=last, TotalSegments=last + 1)


def test_a_filter_comes_after_the_limit(client: Any, table: str) -> None:
    answers = pages(
        client,
        TableName=table,
        Limit=10,
        FilterExpression="attribute_exists(x) AND c < :c",
        ExpressionAttributeValues={":c": {"N": "30"}},
    )
    assert sorted(numbers_in(answers)) == list(range(0, 30, 3))
    assert sum(answer["ScannedCount"] for answer in answers) == ITEMS
    assert sum(answer["Count"] for answer in answers) == 10


def test_the_older_filter_does_the_same(client: Any, table: str) -> None:
    answer = client.scan(
        TableName=table,
        ScanFilter={"c": {"ComparisonOperator": "LT", "AttributeValueList": [{"N": "2"}]}},
        AttributesToGet=["c"],
    )
    assert sorted(numbers_in([answer])) == [0, 1]
    assert all(found.keys() == {"c"} for found in answer["Items"])


def test_count_counts(client: Any, table: str) -> None:
    answer = client.scan(TableName=table, Select="COUNT")
    assert (answer["Count"], answer["ScannedCount"]) == (ITEMS, ITEMS)
    assert "Items" not in answer


def test_an_index_shows_the_projected_attributes(client: Any, table: str) -> None:
    def names(**request: Any) -> set[str]:
        return {name for found in client.scan(TableName=table, **request)["Items"] for name in found}

    assert names(IndexName="global") == {"p", "c", "x", "a"}
    assert names(IndexName="local") == {"p", "c", "x"}
    assert names(IndexName="local", Select="ALL_ATTRIBUTES") == {"p", "c", "x", "a", "b"}
    assert names(IndexName="local", ProjectionExpression="b") == {"b"}


def test_a_page_ends_with_the_item_that_brings_it_to_1_mb(client: Any) -> None:
    table = create(client)
    for number in range(7):
        client.put_item(TableName=table, Item={"p": {"S": str(number)}, "v": {"S": "x" * (256 * 1024)}})
    assert [answer["Count"] for answer in pages(client, TableName=table)] == [4, 3]


def test_the_fetched_items_of_a_local_index_count_for_the_page(client: Any) -> None:
    table = create(
        client,
        KeySchema=key_schema("p", "c"),
        AttributeDefinitions=attributes(p="S", c="S", x="S"),
        LocalSecondaryIndexes=[index("local", "p", "x", include=[])],
    )
    large = {"p": {"S": "p"}, "x": {"S": "x"}, "v": {"S": "x" * (256 * 1024)}}
    for number in range(7):
        client.put_item(TableName=table, Item=large | {"c": {"S": str(number)}})
    whole = {"TableName": table, "IndexName": "local", "Select": "ALL_ATTRIBUTES"}
    assert [answer["Count"] for answer in pages(client, **whole)] == [4, 3]
    assert [answer["Count"] for answer in pages(client, TableName=table, IndexName="local")] == [7]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"Segment": 0},
            "The TotalSegments parameter is required but was not present in the request "
            "when Segment parameter is present",
        ),
        (
            {"TotalSegments": 4},
            "The Segment parameter is required but was not present in the request "
            "when parameter TotalSegments is present",
        ),
        (
            {"Segment": 5, "TotalSegments": 5},
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            "Segment: 5 is not less than TotalSegments: 5",
        ),
        ({"IndexName": "none"}, "The table does not have the specified index: none"),
        (
            {"IndexName": "global", "ConsistentRead": True},
            "Consistent reads are not supported on global secondary indexes",
        ),
        (
            {"IndexName": "global", "Select": "ALL_ATTRIBUTES"},
            f"{INVALID}Select type ALL_ATTRIBUTES is not supported for global secondary index global "
            "because its projection type is not ALL",
        ),
        (
            {"IndexName": "global", "ProjectionExpression": "b"},
            f"{INVALID}Global secondary index global does not project [b]",
        ),
        (
            {"Select": "SPECIFIC_ATTRIBUTES"},
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        ),
        (
            {"Select": "ALL_PROJECTED_ATTRIBUTES"},
            "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
        ),
        (
            {"Select": "COUNT", "ProjectionExpression": "a"},
            "Cannot specify the ProjectionExpression when choosing to get only the Count",
        ),
        (
            {"ExclusiveStartKey": {"p": {"S": "p"}}},
            f"{START_KEY}The provided key element does not match the schema",
        ),
        (
            {"ExclusiveStartKey": {"p": {"S": "p"}, "c": {"S": "c"}}},
            f"{START_KEY}The provided key element does not match the schema",
        ),
        (
            {"ExclusiveStartKey": {"p": {"S": "p"}, "x": {"S": "c"}}, "IndexName": "local"},
            "The provided starting key is invalid",
        ),
        (
            {"FilterExpression": "x.y = :v", "ExpressionAttributeValues": {":v": {"S": "v"}}},
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: x",
        ),
    ],
)
def test_refusals(client: Any, table: str, more: dict[str, Any], message: str) -> None:
    assert invalid(client.scan, TableName=table, **more) == message


def test_a_start_key_must_be_of_its_segment(client: Any, table: str) -> None:
    key = client.scan(TableName=table, Limit=1, Segment=0, TotalSegments=2)["LastEvaluatedKey"]
    request = {"TableName": table, "Segment": 1, "TotalSegments": 2, "ExclusiveStartKey": key}
    assert invalid(client.scan, **request) == (
        f"{START_KEY}Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct Segment. "
        "TotalSegments: 2 Segment: 1"
    )


def test_a_missing_table_is_not_found(client: Any) -> None:
    assert refusal(client.scan, TableName=unused_name()) == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )
