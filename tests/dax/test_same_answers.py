"""Whatever the official client asks through DAX, it is answered as by the table itself."""

from __future__ import annotations

from typing import Any

import pytest

from testing.dax.twins import Twins

ITEM: dict[str, Any] = {
    "text": {"S": "žluťoučký"},
    "empty": {"S": ""},
    "whole": {"N": "-7"},
    "part": {"N": "-1.50"},
    "tiny": {"N": "0.00012"},
    "long": {"N": "12345678901234567890123456789012345678"},
    "huge": {"N": "9.9E+125"},
    "bytes": {"B": b"\x00\xff"},
    "yes": {"BOOL": True},
    "no": {"BOOL": False},
    "null": {"NULL": True},
    "list": {"L": [{"N": "1"}, {"M": {"a": {"S": "q"}, "b": {"L": []}}}, {"NULL": True}]},
    "map": {"M": {"x": {"L": [{"S": "0"}, {"S": "1"}]}, "y": {"M": {}}}},
    "texts": {"SS": ["b", "a"]},
    "numbers": {"NS": ["1", "2.5", "1E+2"]},
    "binaries": {"BS": [b"2", b"1"]},
}
KEYS: dict[str, dict[str, Any]] = {
    "p-s": {"p": {"S": "ключ"}},
    "p-n": {"p": {"N": "-12.5"}},
    "p-b": {"p": {"B": b"\xff\x00"}},
    "p-s-s": {"p": {"S": "a"}, "s": {"S": "b"}},
    "p-n-b": {"p": {"N": "100000000000000000000"}, "s": {"B": b"\x00"}},
    "p-s-n": {"p": {"S": "a"}, "n": {"N": "-0.003"}},
}


@pytest.mark.parametrize("table", KEYS)
def test_an_item_of_every_type_under_every_kind_of_key(twins: Twins, table: str) -> None:
    key = KEYS[table]
    twins.ask("put_item", TableName=table, Item=key | ITEM, ReturnConsumedCapacity="INDEXES")
    filled = twins.ask("get_item", TableName=table, Key=key, ConsistentRead=True)
    assert set(filled["Item"]) == set(key | ITEM)
    assert twins.ask("get_item", TableName=table, Key=key) == filled
    twins.ask("scan", TableName=table, ConsistentRead=True)
    assert twins.ask("delete_item", TableName=table, Key=key, ReturnValues="ALL_OLD")["Attributes"] == filled["Item"]
    assert twins.ask("get_item", TableName=table, Key=key) == {}


@pytest.mark.parametrize(
    "number", ["0", "1", "1.5", "-1.5", "1000", "1E+100", "-0." + "0" * 60 + "9", "123456789.987654321"]
)
def test_numbers_in_sort_keys(twins: Twins, number: str) -> None:
    key = {"p": {"S": "numbers"}, "n": {"N": number}}
    twins.ask("put_item", TableName="p-s-n", Item=key)
    assert "Item" in twins.ask("get_item", TableName="p-s-n", Key=key)
    start = {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "numbers"}}}
    assert twins.ask("query", TableName="p-s-n", **start, ExclusiveStartKey=key)


@pytest.mark.parametrize(
    "projection", ["whole", "#l[1].a, #m.x[1], whole", "#l[0], #l[2], nope", "#m", "#m.x, #m.y.z", "p, texts"]
)
@pytest.mark.parametrize("consistent", [True, False])
def test_projections(twins: Twins, projection: str, consistent: bool) -> None:
    key = {"p": {"S": "projected"}}
    twins.ask("put_item", TableName="p-s", Item=key | ITEM)
    names = {name: value for name, value in {"#l": "list", "#m": "map"}.items() if name in projection}
    request = {"TableName": "p-s", "Key": key, "ProjectionExpression": projection, "ConsistentRead": consistent}
    if names:
        request["ExpressionAttributeNames"] = names
    assert twins.ask("get_item", **request) == twins.ask("get_item", **request)


UPDATES = [
    ("SET whole = whole + :n, #new = if_not_exists(#new, :s)", {":n": {"N": "1"}, ":s": {"S": "x"}}),
    ("SET #l = list_append(#l, :l) REMOVE #m.x[0], nope", {":l": {"L": [{"S": "z"}]}}),
    ("ADD part :n, texts :t DELETE numbers :d", {":n": {"N": "1"}, ":t": {"SS": ["c"]}, ":d": {"NS": ["1.0"]}}),
    ("SET #m.y = :m, #l[1].a = :s", {":m": {"M": {"k": {"N": "2.0"}}}, ":s": {"S": "x"}}),
    ("SET whole = :n - part", {":n": {"N": "10"}}),
]


@pytest.mark.parametrize("returned", ["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"])
def test_updates(twins: Twins, returned: str) -> None:
    key = {"p": {"S": f"updated {returned}"}}
    twins.ask("put_item", TableName="p-s", Item=key | ITEM)
    for update, values in UPDATES:
        names = {n: v for n, v in {"#l": "list", "#m": "map", "#new": "new"}.items() if n in update}
        request: dict[str, Any] = {"UpdateExpression": update, "ExpressionAttributeValues": values}
        if names:
            request["ExpressionAttributeNames"] = names
        answer = twins.ask("update_item", TableName="p-s", Key=key, ReturnValues=returned, **request)
        assert answer.keys() == (set() if returned == "NONE" else {"Attributes"})
        cached = twins.ask("get_item", TableName="p-s", Key=key)
        assert cached == twins.ask("get_item", TableName="p-s", Key=key, ConsistentRead=True)


CONDITIONS = [
    ("attribute_not_exists(p) OR (whole IN (:one, :seven) AND size(#t) > :one)", True),
    ("NOT part BETWEEN :seven AND :less AND attribute_type(#t, :type)", True),
    ("begins_with(#t, :start) AND contains(texts, :a) AND attribute_exists(#l[1].a)", True),
    ("NOT (whole = :one OR whole <> :seven)", True),
    ("whole < :one AND whole <= :seven AND (whole > :one OR (whole >= :seven AND NOT #t = :a))", True),
    ("#l[0] = :one AND #l[1].a <> :a", True),
]


@pytest.mark.parametrize(("condition", "holds"), CONDITIONS)
def test_conditions(twins: Twins, condition: str, holds: bool) -> None:
    key = {"p": {"S": "conditional"}}
    twins.ask("put_item", TableName="p-s", Item=key | ITEM)
    values = {":one": "N:1", ":seven": "N:-7", ":less": "N:-3", ":a": "S:a", ":type": "S:S", ":start": "S:žl"}
    request: dict[str, Any] = {
        "ConditionExpression": condition,
        "ExpressionAttributeValues": {
            name: dict([typed.split(":")]) for name, typed in values.items() if name in condition
        },
    }
    names = {name: value for name, value in {"#l": "list", "#t": "text"}.items() if name in condition}
    if names:
        request["ExpressionAttributeNames"] = names
    for operation, more in (("put_item", {"Item": key | ITEM}), ("delete_item", {"Key": key})):
        answer = twins.ask(operation, TableName="p-s", **more, **request)
        assert ("Error" not in answer) == holds


def _fill(twins: Twins) -> None:
    puts = [
        {"p": {"S": "q"}, "n": {"N": str(number / 2)}, "g": {"S": f"g{number % 2}"}, "v": {"N": str(number)}}
        for number in range(8)
    ]
    twins.ask(
        "batch_write_item",
        RequestItems={"p-s-n": [{"PutRequest": {"Item": item}} for item in puts]},
        ReturnConsumedCapacity="INDEXES",
        ReturnItemCollectionMetrics="NONE",
    )


KEY_IS_Q = {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "q"}}}
QUERIES: list[dict[str, Any]] = [
    KEY_IS_Q | {"ReturnConsumedCapacity": "TOTAL"},
    KEY_IS_Q | {"ScanIndexForward": False, "Limit": 3},
    KEY_IS_Q | {"Select": "COUNT"},
    KEY_IS_Q | {"ProjectionExpression": "v, n"},
    KEY_IS_Q | {"IndexName": "by-g"},
    KEY_IS_Q | {"IndexName": "by-g", "Select": "ALL_ATTRIBUTES", "ReturnConsumedCapacity": "INDEXES"},
    KEY_IS_Q | {"FilterExpression": "v > :p OR attribute_exists(g)"},
    {
        "KeyConditionExpression": "p = :p AND n BETWEEN :a AND :b",
        "ExpressionAttributeValues": {":p": {"S": "q"}, ":a": {"N": "1.0"}, ":b": {"N": "2.50"}},
    },
    {
        "IndexName": "of-g",
        "KeyConditionExpression": "g = :g AND n > :n",
        "ExpressionAttributeValues": {":g": {"S": "g1"}, ":n": {"N": "0"}},
        "Limit": 2,
    },
    KEY_IS_Q | {"ConsistentRead": True, "Limit": 1},
]


@pytest.mark.parametrize("query", QUERIES)
def test_queries(twins: Twins, query: dict[str, Any]) -> None:
    _fill(twins)
    pages = 0
    request = {"TableName": "p-s-n", **query}
    while True:
        page = twins.ask("query", **request)
        pages += 1
        if "LastEvaluatedKey" not in page:
            break
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    assert pages > 1 or "Limit" not in query


@pytest.mark.parametrize(
    "scan",
    [
        {"TotalSegments": 2, "Segment": 1},
        {"IndexName": "of-g", "Limit": 1},
        {"Select": "COUNT", "ConsistentRead": True},
        {"ProjectionExpression": "v", "FilterExpression": "attribute_exists(v)"},
    ],
)
def test_scans(twins: Twins, scan: dict[str, Any]) -> None:
    _fill(twins)
    page = twins.ask("scan", TableName="p-s-n", ReturnConsumedCapacity="TOTAL", **scan)
    if "LastEvaluatedKey" in page:
        twins.ask("scan", TableName="p-s-n", ExclusiveStartKey=page["LastEvaluatedKey"], **scan)


def test_batches(twins: Twins) -> None:
    _fill(twins)
    twins.ask("put_item", TableName="p-s", Item={"p": {"S": "batched"}} | ITEM)
    keys = [{"p": {"S": "q"}, "n": {"N": number}} for number in ("0.50", "99", "2")]
    request = {
        "p-s-n": {"Keys": keys},
        "p-s": {
            "Keys": [{"p": {"S": "batched"}}, {"p": {"S": "absent"}}],
            "ProjectionExpression": "#l[1].a, whole",
            "ExpressionAttributeNames": {"#l": "list"},
        },
        "p-n": {"Keys": [{"p": {"N": "77"}}], "ConsistentRead": True},
    }
    read = twins.ask("batch_get_item", RequestItems=request)
    assert [float(item["n"]["N"]) for item in read["Responses"]["p-s-n"]] == [0.5, 2]
    assert twins.ask("batch_get_item", RequestItems=request) == read
    deletes = [{"DeleteRequest": {"Key": keys[0]}}, {"PutRequest": {"Item": keys[1]}}]
    twins.ask(
        "batch_write_item",
        RequestItems={"p-s-n": deletes},
        ReturnConsumedCapacity="TOTAL",
        ReturnItemCollectionMetrics="SIZE",
    )
    read = twins.ask("batch_get_item", RequestItems={"p-s-n": {"Keys": keys}})
    assert sorted(float(item["n"]["N"]) for item in read["Responses"]["p-s-n"]) == [2, 99]


def test_transactions(twins: Twins) -> None:
    one, two = {"p": {"S": "first"}}, {"p": {"S": "moved"}, "n": {"N": "1.0"}}
    writes: list[dict[str, Any]] = [
        {"Put": {"TableName": "p-s", "Item": one | ITEM}},
        {
            "Update": {
                "TableName": "p-s-n",
                "Key": two,
                "UpdateExpression": "SET v = :v",
                "ExpressionAttributeValues": {":v": {"N": "1"}},
            }
        },
        {
            "ConditionCheck": {
                "TableName": "p-n",
                "Key": {"p": {"N": "404"}},
                "ConditionExpression": "attribute_not_exists(p)",
            }
        },
    ]
    twins.ask("transact_write_items", TransactItems=writes, ReturnConsumedCapacity="INDEXES")
    reads = [
        {"Get": {"TableName": "p-s", "Key": one}},
        {"Get": {"TableName": "p-s-n", "Key": two, "ProjectionExpression": "v, n"}},
        {"Get": {"TableName": "p-n", "Key": {"p": {"N": "404"}}}},
    ]
    read = twins.ask("transact_get_items", TransactItems=reads, ReturnConsumedCapacity="TOTAL")
    assert [set(response.get("Item", ())) for response in read["Responses"]] == [set(one | ITEM), {"v", "n"}, set()]
    writes[0] = {"Delete": {"TableName": "p-s", "Key": one}}
    writes[2]["ConditionCheck"]["ConditionExpression"] = "attribute_exists(p)"
    refused = twins.ask("transact_write_items", TransactItems=writes)
    assert refused["Error"]["Code"] == "TransactionCanceledException"
    assert "Item" in twins.ask("get_item", TableName="p-s", Key=one)


def test_what_a_cancelled_transaction_returns(twins: Twins) -> None:
    key = {"p": {"S": "there"}}
    twins.ask("put_item", TableName="p-s", Item=key | ITEM)
    condition = {"ConditionExpression": "attribute_not_exists(p)", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    writes = [
        {"Put": {"TableName": "p-s", "Item": key, **condition}},
        {"Delete": {"TableName": "p-n", "Key": {"p": {"N": "404"}}}},
        {"ConditionCheck": {"TableName": "p-s", "Key": {"p": {"S": "absent"}}, "ConditionExpression": "size(p) > p"}},
    ]
    refused = twins.ask("transact_write_items", TransactItems=writes)
    assert refused["Error"]["Code"] == "TransactionCanceledException"
    changed, unchanged, _ = refused["CancellationReasons"]
    assert changed["Code"] == "ConditionalCheckFailed"
    assert set(changed["Item"]) == set(key | ITEM)
    assert unchanged == {"Code": "None"}


def test_what_a_batch_leaves_unprocessed(twins: Twins) -> None:
    """An answer has 16 MB at most, before projections."""
    keys: list[dict[str, Any]] = [{"p": {"S": "16 MB"}, "s": {"S": f"{number:02}"}} for number in range(44)]
    for name in ("p-s-s", "p-s-s-twin"):
        for start in range(0, len(keys), 22):
            puts = [{"PutRequest": {"Item": key | {"v": {"S": "x" * 409_000}}}} for key in keys[start : start + 22]]
            twins.dynamodb.batch_write_item(RequestItems={name: puts})
    asked = keys
    for count in (41, 3):
        answers = [
            client.batch_get_item(RequestItems={name: {"Keys": asked, "ProjectionExpression": "s"}})
            for client, name in ((twins.dax, "p-s-s"), (twins.dynamodb, "p-s-s-twin"))
        ]
        for answer in answers:
            [items] = answer["Responses"].values()
            assert sorted(item["s"]["S"] for item in items) == [key["s"]["S"] for key in asked[:count]]
        left = [list(answer.get("UnprocessedKeys", {}).values()) for answer in answers]
        if count == len(asked):
            assert left == [[], []]
            break
        for [one] in left:
            assert sorted(one["Keys"], key=lambda key: str(key["s"]["S"])) == asked[count:]
        asked = asked[count:]


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("put_item", {"TableName": "p-s", "Item": {"p": {"S": "x"}, "v": {"NS": ["1", "1.0"]}}}),
        ("put_item", {"TableName": "p-s", "Item": {"p": {"S": "x"}, "v": {"S": "x" * 410_000}}}),
        (
            "update_item",
            {
                "TableName": "p-s",
                "Key": {"p": {"S": "x"}},
                "UpdateExpression": "SET p = :v",
                "ExpressionAttributeValues": {":v": {"S": "y"}},
            },
        ),
        ("query", {"TableName": "p-s-n", "IndexName": "none", **KEY_IS_Q}),
        ("scan", {"TableName": "p-s-n", "TotalSegments": 2, "Segment": 2}),
    ],
)
def test_refusals(twins: Twins, operation: str, request_: dict[str, Any]) -> None:
    assert twins.ask(operation, **request_)["Error"]["Code"] == "ValidationException"


def test_a_table_that_is_not_there(dax: Any) -> None:
    with pytest.raises(Exception, match="Requested resource not found") as refused:
        dax.get_item(TableName="absent", Key={"p": {"S": "x"}})
    assert vars(refused.value)["response"]["Error"]["Code"] == "ResourceNotFoundException"
