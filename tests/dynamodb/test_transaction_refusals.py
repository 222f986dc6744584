"""Transactions that are refused as a whole, because of the request, or canceled, because of their tables."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from testing.dynamodb.definitions import attributes, create, unused_name
from testing.dynamodb.refusals import INVALID, invalid, refusal
from testing.dynamodb.transaction_elements import (
    NONE,
    ONE_ITEM_TWICE,
    Element,
    cancellation,
    check,
    create_indexed,
    delete,
    fault,
    get,
    invalid_write,
    item,
    key,
    put,
    put_items,
    reasons,
    stored,
    update,
)
from testing.jedlik_process import Server

MISMATCH = "The provided key element does not match the schema"


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client()


@pytest.fixture(scope="module")
def table(client: Any) -> str:
    """A table with the partition key `p`. Each test has keys of its own."""
    return create(client)


@pytest.fixture(scope="module")
def indexed(client: Any) -> str:
    return create_indexed(client)


@pytest.fixture
def p() -> str:
    """A partition key that no other test has."""
    return secrets.token_hex(8)


# Refusals of a whole request


@pytest.mark.parametrize("second", ["put", "update", "delete", "check"])
def test_two_operations_on_one_item(client: Any, table: str, p: str, second: str) -> None:
    element = {
        "put": put(table, item(p)),
        "update": update(table, p, "REMOVE x"),
        "delete": delete(table, p),
        "check": check(table, p, "attribute_exists(p)"),
    }[second]
    assert invalid_write(client, put(table, item(p, x=1)), element) == ONE_ITEM_TWICE
    assert stored(client, table, p) == [None]


def test_two_checks_of_one_item(client: Any, table: str, p: str) -> None:
    condition = "attribute_not_exists(p)"
    elements = [put(table, item(p + "1")), check(table, p + "2", condition), check(table, p + "2", condition)]
    assert invalid_write(client, *elements) == ONE_ITEM_TWICE


def test_equal_numbers_are_one_key(client: Any) -> None:
    name = create(client, AttributeDefinitions=attributes(p="N"))
    elements = [put(name, {"p": {"N": "1"}}), put(name, {"p": {"N": "1.00"}})]
    assert invalid_write(client, *elements) == ONE_ITEM_TWICE


@pytest.mark.parametrize("operation", ["write", "get"])
def test_no_operation(client: Any, operation: str) -> None:
    call = client.transact_write_items if operation == "write" else client.transact_get_items
    assert invalid(call, TransactItems=[]) == (
        "1 validation error detected: Value '[]' at 'transactItems' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1"
    )
    assert invalid(call) == (
        "1 validation error detected: Value null at 'transactItems' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_a_hundred_operations(client: Any, table: str, p: str) -> None:
    all_items = [item(f"{p}{n}", x=n) for n in range(100)]
    client.transact_write_items(TransactItems=[put(table, each) for each in all_items])
    read = client.transact_get_items(TransactItems=[get(table, f"{p}{n}") for n in range(100)])
    assert read["Responses"] == [{"Item": each} for each in all_items]


def test_more_than_a_hundred_operations(client: Any, table: str, p: str) -> None:
    too_many = "at 'transactItems' failed to satisfy constraint: Member must have length less than or equal to 100"
    writes = [put(table, item(f"{p}{n}")) for n in range(101)]
    gets = [get(table, f"{p}{n}") for n in range(101)]
    for call, elements in ((client.transact_write_items, writes), (client.transact_get_items, gets)):
        text = invalid(call, TransactItems=elements)
        assert text.startswith("1 validation error detected: Value '[Transact")
        assert text.endswith(f"]' {too_many}")


def test_no_action_or_two(client: Any, table: str, p: str) -> None:
    assert invalid_write(client, {}) == (
        "Invalid Request: TransactWriteRequest should contain Delete or Put or Update request"
    )
    assert invalid_write(client, put(table, item(p)) | delete(table, p)) == (
        "TransactItems can only contain one of Check, Put, Update or Delete"
    )


@pytest.mark.parametrize(
    ("element", "path"),
    [
        ({"Put": {"TableName": "t", "Item": key("a")}}, "put.tableName"),
        (
            {"ConditionCheck": {"Key": key("a"), "ConditionExpression": "attribute_exists(x)"}},
            "conditionCheck.tableName",
        ),
        ({"ConditionCheck": {"TableName": "some", "Key": key("a")}}, "conditionCheck.conditionExpression"),
        ({"Update": {"TableName": "some", "Key": key("a")}}, "update.updateExpression"),
        ({"Delete": {"TableName": "some"}}, "delete.key"),
        ({"Put": {"TableName": "some"}}, "put.item"),
    ],
)
def test_a_missing_required_member(client: Any, element: Element, path: str) -> None:
    [members] = element.values()
    if members.get("TableName") == "t":
        del members["TableName"]
    assert invalid_write(client, element) == (
        f"1 validation error detected: Value null at 'transactItems.1.member.{path}' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_an_invalid_table_name(client: Any, table: str, p: str) -> None:
    elements = [put(table, item(p)), delete("bad!name", p)]
    assert invalid_write(client, *elements) == (
        "1 validation error detected: Value 'bad!name' at 'transactItems.2.member.delete.tableName' "
        "failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    )


def test_an_unknown_way_of_returning_values(client: Any, table: str, p: str) -> None:
    element = check(table, p, "attribute_exists(p)", ReturnValuesOnConditionCheckFailure="dog")
    assert invalid_write(client, element) == (
        "1 validation error detected: Value 'dog' at "
        "'transactItems.1.member.conditionCheck.returnValuesOnConditionCheckFailure' failed to satisfy constraint: "
        "Member must satisfy enum value set: [ALL_OLD, NONE]"
    )


def test_a_missing_table(client: Any, table: str, p: str) -> None:
    missing = unused_name()
    not_found = ("ResourceNotFoundException", "Requested resource not found")
    assert refusal(client.transact_write_items, TransactItems=[put(table, item(p)), delete(missing, p)]) == not_found
    assert refusal(client.transact_get_items, TransactItems=[get(table, p), get(missing, p)]) == not_found
    assert stored(client, table, p) == [None]


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"ConditionExpression": ""}, "Invalid ConditionExpression: The expression can not be empty;"),
        (
            {"ConditionExpression": "attribute_not_exists("},
            'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "("',
        ),
        (
            {"ConditionExpression": "attribute_exists(#x)"},
            "Invalid ConditionExpression: An expression attribute name used in the document path is not defined; "
            "attribute name: #x",
        ),
        (
            {"ConditionExpression": "p = :x"},
            "Invalid ConditionExpression: An expression attribute value used in expression is not defined; "
            "attribute value: :x",
        ),
        (
            {"ConditionExpression": "attribute_exists(p)", "ExpressionAttributeNames": {"#x": "x"}},
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#x}",
        ),
        (
            {"ConditionExpression": "attribute_exists(p)", "ExpressionAttributeValues": {":x": {"N": "1"}}},
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:x}",
        ),
    ],
)
@pytest.mark.parametrize("action", ["Put", "Update", "Delete", "ConditionCheck"])
def test_a_wrong_expression_refuses_the_request(
    client: Any, table: str, p: str, action: str, members: Element, text: str
) -> None:
    what: dict[str, Element] = {"Put": {"Item": item(p)}, "Update": {"Key": key(p), "UpdateExpression": "REMOVE x"}}
    element = {action: {"TableName": table, **what.get(action, {"Key": key(p)}), **members}}
    assert invalid_write(client, put(table, item(p + "1")), element) == text
    assert stored(client, table, p + "1") == [None]


def test_placeholders_without_an_expression(client: Any, table: str, p: str) -> None:
    assert invalid_write(client, put(table, item(p), ExpressionAttributeValues={":x": {"N": "1"}})) == (
        "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null"
    )


def test_a_wrong_value_refuses_the_request(client: Any, table: str, p: str) -> None:
    assert invalid_write(client, put(table, key(p) | {"x": {"N": "many"}})) == (
        "The parameter cannot be converted to a numeric value: many"
    )


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"ProjectionExpression": "!!!"}, 'Invalid ProjectionExpression: Syntax error; token: "!", near: "!!"'),
        (
            {"ProjectionExpression": "#x", "ExpressionAttributeNames": {"#x": "x", "#y": "y"}},
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#y}",
        ),
        (
            {"ProjectionExpression": "#x,#y", "ExpressionAttributeNames": {"#x": "x"}},
            "Invalid ProjectionExpression: An expression attribute name used in the document path is not defined; "
            "attribute name: #y",
        ),
        (
            {"ExpressionAttributeNames": {"#x": "x"}},
            "ExpressionAttributeNames can only be specified when using expressions",
        ),
    ],
)
def test_a_wrong_projection_refuses_the_request(client: Any, table: str, p: str, members: Element, text: str) -> None:
    assert invalid(client.transact_get_items, TransactItems=[get(table, p), get(table, p + "1", **members)]) == text


def test_one_item_asked_for_twice(client: Any, table: str, p: str) -> None:
    assert invalid(client.transact_get_items, TransactItems=[get(table, p), get(table, p)]) == ONE_ITEM_TWICE


def test_nothing_to_get(client: Any) -> None:
    assert invalid(client.transact_get_items, TransactItems=[{}]) == (
        "1 validation error detected: Value null at 'transactItems.1.member.get' failed to satisfy constraint: "
        "Member must not be null"
    )


# Faults that only the table shows


@pytest.mark.parametrize("value", [{"N": "5"}, {"L": [{"S": "x"}]}])
def test_a_key_of_another_type(client: Any, table: str, value: dict[str, Any]) -> None:
    [actual] = value
    wrong = {"TableName": table, "Key": {"p": value}}
    assert reasons(client, put(table, {"p": value})) == [
        fault(f"{INVALID}Type mismatch for key p expected: S actual: {actual}")
    ]
    assert reasons(client, {"Delete": wrong}) == [fault(MISMATCH)]
    assert reasons(client, {"Update": wrong | {"UpdateExpression": "REMOVE x"}}) == [fault(MISMATCH)]
    assert reasons(client, {"ConditionCheck": wrong | {"ConditionExpression": "attribute_exists(x)"}}) == [
        fault(MISMATCH)
    ]
    assert cancellation(client.transact_get_items, [{"Get": wrong}]) == [fault(MISMATCH)]


def test_a_key_with_an_attribute_missing_or_too_many(client: Any, table: str, p: str) -> None:
    assert reasons(client, put(table, {"x": {"N": "1"}})) == [fault(f"{INVALID}Missing the key p in the item")]
    for wrong in ({}, item(p, x=1)):
        assert reasons(client, {"Delete": {"TableName": table, "Key": wrong}}) == [fault(MISMATCH)]
        assert cancellation(client.transact_get_items, [{"Get": {"TableName": table, "Key": wrong}}]) == [
            fault(MISMATCH)
        ]


def test_only_the_first_fault_is_reported(client: Any, table: str, p: str) -> None:
    elements = [
        put(table, item(p)),
        put(table, {"p": {"N": "7"}}),
        put(table, {"p": {"N": "8"}}),
        check(table, p + "1", "attribute_exists(p)"),
    ]
    mismatch = fault(f"{INVALID}Type mismatch for key p expected: S actual: N")
    assert reasons(client, *elements) == [NONE, mismatch, NONE, NONE]
    assert stored(client, table, p) == [None]


@pytest.mark.parametrize(("kind", "empty"), [("S", "string"), ("B", "binary")])
def test_an_empty_key_refuses_the_request(client: Any, kind: str, empty: str) -> None:
    name = create(client, AttributeDefinitions=attributes(p=kind))
    wrong: dict[str, Any] = {"p": {kind: b"" if kind == "B" else ""}}
    text = (
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
        f"empty {empty} value. Key: p"
    )
    of = {"TableName": name, "Key": wrong}
    assert invalid_write(client, put(name, wrong)) == text
    assert invalid_write(client, {"Delete": of}) == text
    assert invalid_write(client, {"Update": of | {"UpdateExpression": "REMOVE x"}}) == text
    assert invalid_write(client, {"ConditionCheck": of | {"ConditionExpression": "attribute_exists(x)"}}) == text
    assert invalid(client.transact_get_items, TransactItems=[{"Get": of}]) == text


def indexed_update(table: str, p: str, value: dict[str, Any]) -> Element:
    """Sets `l`, which is in the key of a local index."""
    return {
        "Update": {
            "TableName": table,
            "Key": {"p": {"S": p}, "s": {"S": "1"}},
            "UpdateExpression": "SET l = :l",
            "ExpressionAttributeValues": {":l": value},
        }
    }


def test_an_index_key_of_another_type(client: Any, indexed: str, p: str) -> None:
    mismatch = fault(f"{INVALID}Type mismatch for Index Key l Expected: S Actual: N IndexName: local")
    wrong = {"p": {"S": p}, "s": {"S": "1"}, "l": {"N": "5"}}
    assert reasons(client, put(indexed, wrong)) == [mismatch]
    assert reasons(client, indexed_update(indexed, p, {"N": "5"})) == [mismatch]


def test_an_empty_index_key_refuses_the_request(client: Any, indexed: str, p: str) -> None:
    empty = "The AttributeValue for a key attribute cannot contain an empty string value."
    assert invalid_write(client, put(indexed, {"p": {"S": p}, "s": {"S": "1"}, "l": {"S": ""}})) == (
        "One or more parameter values are not valid. A value specified for a secondary index key is not supported. "
        f"{empty} IndexName: local, IndexKey: l"
    )
    assert invalid_write(client, indexed_update(indexed, p, {"S": ""})) == (
        "One or more parameter values are not valid. The update expression attempted to update a secondary index key "
        f"to a value that is not supported. {empty}"
    )


def test_an_update_of_the_key(client: Any, table: str, p: str) -> None:
    assert reasons(client, update(table, p, "SET p = :x", x=1)) == [
        fault(f"{INVALID}Cannot update attribute p. This attribute is part of the key")
    ]


def test_an_update_that_is_impossible_for_the_item(client: Any, table: str, p: str) -> None:
    put_items(client, table, key(p) | {"x": {"S": "no number"}}, item(p + "1", x=1))
    assert reasons(client, update(table, p + "1", "SET x = :x", x=2), update(table, p, "SET x = x + :x", x=2)) == [
        NONE,
        fault("An operand in the update expression has an incorrect data type"),
    ]
    assert stored(client, table, p + "1") == [item(p + "1", x=1)]


# Sizes

LARGE = "x" * 100_000


def large(p: str, count: int) -> list[dict[str, Any]]:
    return [key(f"{p}{n}") | {"x": {"S": LARGE}} for n in range(count)]


def test_an_item_too_large(client: Any, table: str, p: str) -> None:
    too_large = key(p) | {"x": {"S": "x" * 409_600}}
    assert invalid_write(client, put(table, too_large)) == "Item size has exceeded the maximum allowed size"
    put_items(client, table, key(p) | {"x": {"S": "x" * 400_000}})
    grow = update(table, p, "SET y = :y")
    grow["Update"]["ExpressionAttributeValues"] = {":y": {"S": LARGE}}
    assert reasons(client, grow) == [fault("Item size to update has exceeded the maximum allowed size")]


def payload_refused(size: int) -> str:
    refusal = "Transaction payload size cannot exceed 4MB. Payload Size: "
    return f"{refusal}: {refusal}{size}"


def test_more_than_four_megabytes_are_not_written(client: Any, table: str, p: str) -> None:
    items = large(p, 50)
    size = sum(len("p") + len(each["p"]["S"]) + len("x") + len(LARGE) for each in items)
    assert invalid_write(client, *(put(table, each) for each in items)) == payload_refused(size)
    assert stored(client, table, f"{p}0") == [None]


def test_values_of_expressions_count(client: Any, table: str, p: str) -> None:
    elements = [update(table, f"{p}{n}", "SET x = :x") for n in range(42)]
    for element in elements:
        element["Update"]["ExpressionAttributeValues"] = {":x": {"S": LARGE}}
    size = sum(len("p") + len(f"{p}{n}") + len(":x") + len(LARGE) for n in range(42))
    assert invalid_write(client, *elements) == payload_refused(size)


def test_four_megabytes_are_written_and_read(client: Any, table: str, p: str) -> None:
    items = large(p, 41)
    client.transact_write_items(TransactItems=[put(table, each) for each in items])
    read = client.transact_get_items(TransactItems=[get(table, f"{p}{n}") for n in range(41)])
    assert read["Responses"] == [{"Item": each} for each in items]


def test_deleted_items_do_not_count(client: Any, table: str, p: str) -> None:
    put_items(client, table, *large(p, 45))
    read = {"TransactItems": [get(table, f"{p}{n}") for n in range(45)]}
    assert invalid(client.transact_get_items, **read) == (
        "The aggregate size of the items in the transaction cannot exceed 4 MB"
    )
    client.transact_write_items(TransactItems=[delete(table, f"{p}{n}") for n in range(45)])
    assert client.transact_get_items(**read)["Responses"] == [{}] * 45
