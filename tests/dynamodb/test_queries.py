"""Query, over the wire: which items, in which order, and page by page."""

from __future__ import annotations

from typing import Any

import pytest

from testing.dynamodb.definitions import attributes, create, index, key_schema, unused_name
from testing.dynamodb.refusals import INVALID, invalid, refusal
from testing.jedlik_process import Server

ENVELOPE = "1 validation error detected: "
START_KEY = "The provided starting key is invalid"


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client()


@pytest.fixture(scope="module")
def numbers(client: Any) -> str:
    """A table with a numeric sort key: under p = "n" the numbers 0 to 9 and their names' first letters as l."""
    table = create(client, KeySchema=key_schema("p", "c"), AttributeDefinitions=attributes(p="S", c="N"))
    for number, letter in enumerate("ztttffsset"):
        client.put_item(TableName=table, Item=item(number) | {"l": {"S": letter}})
    return table


@pytest.fixture(scope="module")
def plain(client: Any) -> str:
    table = create(client)
    client.put_item(TableName=table, Item={"p": {"S": "n"}, "x": {"N": "1"}})
    return table


@pytest.fixture(scope="module")
def indexed(client: Any) -> str:
    return create(
        client,
        KeySchema=key_schema("p", "c"),
        AttributeDefinitions=attributes(p="S", c="S", x="S", y="S"),
        LocalSecondaryIndexes=[index("by-x", "p", "x", include=["a"])],
        GlobalSecondaryIndexes=[index("by-y", "y", "x", include=[]), index("by-x-alone", "x")],
    )


def item(number: int) -> dict[str, dict[str, str]]:
    return {"p": {"S": "n"}, "c": {"N": str(number)}}


def of(table: str, **more: Any) -> dict[str, Any]:
    """A query for p = "n"."""
    given = {"ExpressionAttributeValues": {":p": {"S": "n"}} | more.pop("Values", {})}
    return {"TableName": table, "KeyConditionExpression": "p = :p", **given, **more}


def numbers_in(answer: dict[str, Any]) -> list[int]:
    return [int(found["c"]["N"]) for found in answer["Items"]]


def test_items_come_in_the_order_of_the_sort_key(client: Any, numbers: str) -> None:
    assert numbers_in(client.query(**of(numbers))) == list(range(10))
    assert numbers_in(client.query(**of(numbers, ScanIndexForward=True))) == list(range(10))
    assert numbers_in(client.query(**of(numbers, ScanIndexForward=False))) == list(range(9, -1, -1))


@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("c = :a", [5], [5]),
        ("c < :a", [2], [0, 1]),
        ("c <= :a", [2], [0, 1, 2]),
        ("c > :a", [7], [8, 9]),
        ("c >= :a", [7], [7, 8, 9]),
        ("c BETWEEN :a AND :b", [3, 5], [3, 4, 5]),
        ("c = :a", [10], []),
    ],
)
def test_a_condition_on_the_sort_key_selects(
    client: Any, numbers: str, condition: str, values: list[int], expected: list[int]
) -> None:
    given = {f":{letter}": {"N": str(value)} for letter, value in zip("ab", values, strict=False)}
    request = of(numbers, Values=given) | {"KeyConditionExpression": f"p = :p AND {condition}"}
    answer = client.query(**request)
    assert numbers_in(answer) == expected
    assert answer["Count"] == answer["ScannedCount"] == len(expected)


def test_a_filter_comes_after_the_limit(client: Any, numbers: str) -> None:
    answer = client.query(**of(numbers, FilterExpression="l = :t", Limit=5, Values={":t": {"S": "t"}}))
    assert numbers_in(answer) == [1, 2, 3]
    assert (answer["Count"], answer["ScannedCount"]) == (3, 5)
    assert answer["LastEvaluatedKey"] == item(4)


def test_a_projection_shows_parts(client: Any, numbers: str) -> None:
    answer = client.query(**of(numbers, ProjectionExpression="l", Limit=2))
    assert answer["Items"] == [{"l": {"S": "z"}}, {"l": {"S": "t"}}]


def test_the_older_parameters_do_the_same(client: Any, numbers: str) -> None:
    answer = client.query(
        TableName=numbers,
        KeyConditions={
            "p": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "n"}]},
            "c": {"ComparisonOperator": "LE", "AttributeValueList": [{"N": "5"}]},
        },
        QueryFilter={"l": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "f"}]}},
        AttributesToGet=["c"],
    )
    assert answer["Items"] == [{"c": {"N": "4"}}, {"c": {"N": "5"}}]


# Pages


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 9, 10, 11])
def test_pages_follow_on_each_other(client: Any, numbers: str, limit: int, forward: bool) -> None:
    found: list[int] = []
    start: dict[str, Any] = {}
    while True:
        answer = client.query(**of(numbers, Limit=limit, ScanIndexForward=forward, **start))
        assert answer["ScannedCount"] <= limit
        found += numbers_in(answer)
        if "LastEvaluatedKey" not in answer:
            break
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
    assert found == (list(range(10)) if forward else list(range(9, -1, -1)))


def test_a_page_that_takes_the_last_item_does_not_know_it(client: Any, numbers: str) -> None:
    assert client.query(**of(numbers, Limit=10))["LastEvaluatedKey"] == item(9)
    assert "LastEvaluatedKey" not in client.query(**of(numbers, Limit=11))


@pytest.mark.parametrize(("start", "expected"), [(-5, 0), (3, 4), (8, 9)])
def test_a_page_may_start_where_no_item_is(client: Any, numbers: str, start: int, expected: int) -> None:
    start_key = {"p": {"S": "n"}, "c": {"N": f"{start}.5" if start > 0 else str(start)}}
    assert numbers_in(client.query(**of(numbers, Limit=1, ExclusiveStartKey=start_key))) == [expected]


def test_a_page_ends_with_the_item_that_brings_it_to_1_mb(client: Any, numbers: str) -> None:
    large = "x" * (256 * 1024)
    for number in range(5):
        client.put_item(TableName=numbers, Item={"p": {"S": "1 MB"}, "c": {"N": str(number)}, "v": {"S": large}})
    request = of(numbers) | {"ExpressionAttributeValues": {":p": {"S": "1 MB"}}}
    answer = client.query(**request)
    assert numbers_in(answer) == [0, 1, 2, 3]
    answer = client.query(**request, ExclusiveStartKey=answer["LastEvaluatedKey"])
    assert numbers_in(answer) == [4]
    assert "LastEvaluatedKey" not in answer


def test_1_mb_is_by_dynamodbs_count_not_by_that_of_the_json(client: Any, numbers: str) -> None:
    # Each takes some 110 KB here and 30 KB there.
    wide = {"L": [{"N": "1"}] * 10_000}
    for number in range(20):
        client.put_item(TableName=numbers, Item={"p": {"S": "wide"}, "c": {"N": str(number)}, "v": wide})
    answer = client.query(**of(numbers) | {"ExpressionAttributeValues": {":p": {"S": "wide"}}})
    assert numbers_in(answer) == list(range(20))
    assert "LastEvaluatedKey" not in answer


def test_many_small_items_make_one_page(client: Any, numbers: str) -> None:
    for start in range(0, 2500, 25):
        puts = [
            {"PutRequest": {"Item": {"p": {"S": "many"}, "c": {"N": str(number)}}}}
            for number in range(start, start + 25)
        ]
        client.batch_write_item(RequestItems={numbers: puts})
    request = of(numbers) | {"ExpressionAttributeValues": {":p": {"S": "many"}}}
    assert numbers_in(client.query(**request)) == list(range(2500))
    assert numbers_in(client.query(**request, ScanIndexForward=False, Limit=1500)) == list(range(2499, 999, -1))


@pytest.mark.parametrize(
    ("start_key", "message"),
    [
        ({}, START_KEY),
        ({"p": {"S": "n"}}, START_KEY),
        ({"p": {"S": "n"}, "c": {"N": "1"}, "x": {"N": "1"}}, START_KEY),
        ({"p": {"S": "n"}, "x": {"N": "1"}}, START_KEY),
        ({"p": {"S": "n"}, "c": {"S": "1"}}, "The provided key element does not match the schema"),
        (
            {"p": {"S": "other"}, "c": {"N": "1"}},
            "The provided starting key is outside query boundaries based on provided conditions",
        ),
        (
            {"p": {}, "c": {"N": "1"}},
            f"{START_KEY}: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes",
        ),
        ({"p": {"S": "n"}, "c": {"N": "x"}}, "The parameter cannot be converted to a numeric value: x"),
    ],
)
def test_a_start_key_must_be_of_the_query(client: Any, numbers: str, start_key: dict[str, Any], message: str) -> None:
    assert invalid(client.query, **of(numbers, ExclusiveStartKey=start_key)) == message


@pytest.mark.parametrize(
    ("condition", "start_key", "message"),
    [
        (
            "c > :a",
            {"p": {"S": "n"}, "c": {"N": "2"}},
            "The provided starting key does not match the range key predicate",
        ),
        (
            "c > :a",
            {"p": {"S": "other"}, "c": {"N": "3"}},
            "The query can return at most one row and cannot be restarted",
        ),
        ("c = :a", {"p": {"S": "n"}, "c": {"N": "2"}}, "The query can return at most one row and cannot be restarted"),
    ],
)
def test_a_start_key_must_meet_the_condition(
    client: Any, numbers: str, condition: str, start_key: dict[str, Any], message: str
) -> None:
    request = of(numbers, Values={":a": {"N": "2"}}, ExclusiveStartKey=start_key)
    assert invalid(client.query, **request | {"KeyConditionExpression": f"p = :p AND {condition}"}) == message


def test_a_query_for_one_item_cannot_be_restarted(client: Any, plain: str) -> None:
    assert invalid(client.query, **of(plain, ExclusiveStartKey={"p": {"S": "n"}})) == (
        "The provided exclusive start key is invalid: ExclusiveStartKey: {p=AttributeValue: {S:n}}"
    )


@pytest.mark.parametrize("condition", ["p = :p", "p = :p AND c = :c"])
def test_a_query_for_one_item_is_over_with_it_whatever_its_limit(client: Any, condition: str) -> None:
    names = ["p", "c"][: condition.count("=")]
    schema = {"KeySchema": key_schema(*names), "AttributeDefinitions": attributes(**dict.fromkeys(names, "S"))}
    table = create(client, **schema)
    item = {name: {"S": "a"} for name in names}
    client.put_item(TableName=table, Item=item)
    values = {f":{name}": {"S": "a"} for name in names}
    request = {"TableName": table, "KeyConditionExpression": condition, "ExpressionAttributeValues": values}
    answer = client.query(**request, Limit=1)
    assert answer["Items"] == [item]
    assert "LastEvaluatedKey" not in answer


# Select


def test_count_counts(client: Any, numbers: str) -> None:
    answer = client.query(**of(numbers, Select="COUNT", FilterExpression="l = :t", Values={":t": {"S": "t"}}))
    assert (answer["Count"], answer["ScannedCount"]) == (4, 10)
    assert "Items" not in answer


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"Select": "SPECIFIC_ATTRIBUTES"},
            f"{ENVELOPE}Must specify the AttributesToGet or ProjectionExpression "
            "when choosing to get SPECIFIC_ATTRIBUTES",
        ),
        (
            {"Select": "ALL_PROJECTED_ATTRIBUTES"},
            f"{ENVELOPE}ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
        ),
        (
            {"Select": "ALL_ATTRIBUTES", "ProjectionExpression": "l"},
            f"{ENVELOPE}Cannot specify the ProjectionExpression when choosing to get ALL_ATTRIBUTES",
        ),
        (
            {"Select": "COUNT", "ProjectionExpression": "l"},
            f"{ENVELOPE}Cannot specify the ProjectionExpression when choosing to get only the Count",
        ),
        (
            {"Select": "COUNT", "AttributesToGet": ["l"]},
            f"{ENVELOPE}Cannot specify the AttributesToGet when choosing to get only the Count",
        ),
    ],
)
def test_select_must_agree_with_the_rest(client: Any, numbers: str, more: dict[str, Any], message: str) -> None:
    assert invalid(client.query, **of(numbers, **more)) == message


# Indexes


@pytest.fixture(scope="module")
def entries(client: Any, indexed: str) -> list[dict[str, Any]]:
    """Three items of one item collection, in the order of x, which is not that of c."""
    found = [
        {"p": {"S": "n"}, "c": {"S": c}, "x": {"S": x}, "y": {"S": "y"}, "a": {"S": "a" + c}, "b": {"S": "b" + c}}
        for c, x in (("3", "x1"), ("2", "x2"), ("1", "x3"))
    ]
    for entry in found:
        client.put_item(TableName=indexed, Item=entry)
    return found


def parts(entries: list[dict[str, Any]], names: str) -> list[dict[str, Any]]:
    return [{name: entry[name] for name in names} for entry in entries]


def test_a_local_index_shows_the_projected_attributes(client: Any, indexed: str, entries: list[Any]) -> None:
    assert client.query(**of(indexed, IndexName="by-x"))["Items"] == parts(entries, "pcxa")
    all_projected = of(indexed, IndexName="by-x", Select="ALL_PROJECTED_ATTRIBUTES")
    assert client.query(**all_projected)["Items"] == parts(entries, "pcxa")


def test_a_local_index_fetches_unprojected_attributes(client: Any, indexed: str, entries: list[Any]) -> None:
    whole = of(indexed, IndexName="by-x", Select="ALL_ATTRIBUTES", ConsistentRead=True)
    assert client.query(**whole)["Items"] == entries
    some = of(indexed, IndexName="by-x", ProjectionExpression="b", ScanIndexForward=False)
    assert client.query(**some)["Items"] == parts(entries[::-1], "b")


def of_y(table: str, **more: Any) -> dict[str, Any]:
    values = {":y": {"S": "y"}} | more.pop("Values", {})
    return {
        "TableName": table,
        "IndexName": "by-y",
        "KeyConditionExpression": "y = :y",
        "ExpressionAttributeValues": values,
        **more,
    }


def test_a_global_index_shows_the_projected_attributes(client: Any, indexed: str, entries: list[Any]) -> None:
    assert client.query(**of_y(indexed))["Items"] == parts(entries, "pcyx")


def test_pages_of_an_index_have_both_keys(client: Any, indexed: str, entries: list[Any]) -> None:
    answer = client.query(**of_y(indexed, Limit=2))
    assert answer["LastEvaluatedKey"] == parts(entries, "pcyx")[1]
    rest = client.query(**of_y(indexed, ExclusiveStartKey=answer["LastEvaluatedKey"]))
    assert rest["Items"] == parts(entries, "pcyx")[2:]


def test_items_that_share_an_index_key_are_each_there_once(client: Any, indexed: str) -> None:
    for number in range(7):
        client.put_item(TableName=indexed, Item={"p": {"S": f"p{number}"}, "c": {"S": "c"}, "x": {"S": "same"}})
    found: list[str] = []
    start: dict[str, Any] = {}
    while True:
        answer = client.query(
            TableName=indexed,
            IndexName="by-x-alone",
            KeyConditionExpression="x = :x",
            ExpressionAttributeValues={":x": {"S": "same"}},
            Limit=2,
            **start,
        )
        found += [entry["p"]["S"] for entry in answer["Items"]]
        if "LastEvaluatedKey" not in answer:
            break
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
    assert sorted(found) == [f"p{number}" for number in range(7)]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"IndexName": "none"}, "The table does not have the specified index: none"),
        ({"ConsistentRead": True}, "Consistent reads are not supported on global secondary indexes"),
        (
            {"Select": "ALL_ATTRIBUTES"},
            f"{INVALID}Select type ALL_ATTRIBUTES is not supported for global secondary index by-y "
            "because its projection type is not ALL",
        ),
        (
            {"ProjectionExpression": "x, b, a"},
            f"{INVALID}Global secondary index by-y does not project [a, b]",
        ),
        (
            {"FilterExpression": "a = :y OR p = :y"},
            f"{INVALID}Secondary index by-y does not project one or more filter attributes: [a]",
        ),
        (
            {"FilterExpression": "x = :y"},
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: x",
        ),
        ({"ExclusiveStartKey": {"y": {"S": "y"}, "x": {"S": "x1"}}}, START_KEY),
    ],
)
def test_a_global_index_cannot_do_everything(
    client: Any, indexed: str, entries: list[Any], more: dict[str, Any], message: str
) -> None:
    assert invalid(client.query, **of_y(indexed) | more) == message


def test_a_local_index_filters_only_by_projected_attributes(client: Any, indexed: str, entries: list[Any]) -> None:
    request = of(indexed, IndexName="by-x", Values={":v": {"S": "a2"}})
    assert client.query(**request, FilterExpression="a = :v")["Items"] == parts(entries[1:2], "pcxa")
    assert invalid(client.query, **request, FilterExpression="b = :v") == (
        f"{INVALID}Secondary index by-x does not project one or more filter attributes: [b]"
    )


# The order of the checks


def test_a_missing_table_is_not_found(client: Any) -> None:
    assert refusal(client.query, **of(unused_name())) == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {"TableName": unused_name(), "FilterExpression": ""},
            "Invalid FilterExpression: The expression can not be empty;",
        ),
        (
            {"FilterExpression": "c = :p"},
            "Filter Expression can only contain non-primary key attributes: Primary key attribute: c",
        ),
        (
            {"ExpressionAttributeNames": {"#l": "l"}},
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#l}",
        ),
    ],
)
def test_other_refusals(client: Any, numbers: str, more: dict[str, Any], message: str) -> None:
    assert invalid(client.query, **of(numbers) | more) == message


EMPTY = "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty "


@pytest.mark.parametrize("condition", ["=", "<", "<=", ">", ">=", "BETWEEN", "begins_with"])
def test_no_key_is_compared_with_an_empty_value(client: Any, indexed: str, condition: str) -> None:
    text = {"BETWEEN": "c BETWEEN :e AND :p", "begins_with": "begins_with(c, :e)"}.get(condition, f"c {condition} :e")
    query = of(indexed, KeyConditionExpression=f"p = :p AND {text}", Values={":e": {"S": ""}})
    assert invalid(client.query, **query) == EMPTY + "string value. Key: c"


def test_a_query_for_an_empty_key_is_refused(client: Any, indexed: str) -> None:
    empty = {":p": {"S": ""}}
    assert invalid(client.query, **of(indexed, Values=empty)) == EMPTY + "string value. Key: p"
    by_y = of(indexed, IndexName="by-y", KeyConditionExpression="y = :p", Values=empty)
    assert invalid(client.query, **by_y) == EMPTY + "string value. Key: y"
    old = {"p": {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": ""}]}}
    assert invalid(client.query, TableName=indexed, KeyConditions=old) == EMPTY + "string value. Key: p"
    binary = create(client, AttributeDefinitions=attributes(p="B"))
    assert invalid(client.query, **of(binary, Values={":p": {"B": b""}})) == EMPTY + "binary value. Key: p"


LONG_PARTITION = f"{INVALID}Size of hashkey has exceeded the maximum size limit of2048 bytes"
LONG_SORT = f"{INVALID}Aggregated size of all range keys has exceeded the size limit of 1024 bytes"


def test_a_query_for_a_key_that_is_too_long_is_refused(client: Any, indexed: str) -> None:
    """In every form of the request, in the words in which AWS refuses such keys elsewhere (us-east-1, 2026-10)."""
    long = {":p": {"S": "x" * 2049}}
    assert invalid(client.query, **of(indexed, Values=long)) == LONG_PARTITION
    by_y = of(indexed, IndexName="by-y", KeyConditionExpression="y = :p", Values=long)
    assert invalid(client.query, **by_y) == LONG_PARTITION
    sort = of(indexed, KeyConditionExpression="p = :p AND begins_with(c, :c)", Values={":c": {"S": "x" * 1025}})
    assert invalid(client.query, **sort) == LONG_SORT
    equal = {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "n"}]}
    old = {"p": equal, "c": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"S": "a"}, {"S": "x" * 1025}]}}
    assert invalid(client.query, TableName=indexed, KeyConditions=old) == LONG_SORT
    start = {"p": {"S": "n"}, "c": {"S": "x" * 1025}}
    assert invalid(client.query, **of(indexed, ExclusiveStartKey=start)) == LONG_SORT


def test_a_query_needs_a_key_condition(client: Any, numbers: str) -> None:
    assert invalid(client.query, TableName=numbers) == (
        "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
    )
