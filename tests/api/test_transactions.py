"""TransactWriteItems and TransactGetItems, one at a time. What several do at once is in `tests/transactions`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.api.definitions import attributes, create, index, key_schema, unused_name
from tests.api.refusals import INVALID, invalid, refusal
from tests.conftest import Server

Element = dict[str, Any]
Reason = dict[str, Any]

NONE = {"Code": "None"}
FAILED = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
MISMATCH = "The provided key element does not match the schema"
ONE_ITEM_TWICE = "Transaction request cannot include multiple operations on one item"


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client()


@pytest.fixture(scope="module")
def table(client: Any) -> str:
    """A table with the partition key `p`. Each test has keys of its own."""
    return create(client)


@pytest.fixture(scope="module")
def indexed(client: Any) -> str:
    """A table with the keys `p` and `s`, a local index on `l`, and a global one on `g`, which projects its keys."""
    return create(
        client,
        KeySchema=key_schema("p", "s"),
        AttributeDefinitions=attributes(p="S", s="S", l="S", g="S"),
        LocalSecondaryIndexes=[index("local", "p", "l")],
        GlobalSecondaryIndexes=[index("global", "g", include=[])],
    )


@pytest.fixture
def p() -> str:
    """A partition key that no other test has."""
    return secrets.token_hex(8)


def key(p: str) -> dict[str, Any]:
    return {"p": {"S": p}}


def item(p: str, **numbers: int) -> dict[str, Any]:
    return key(p) | {name: {"N": str(number)} for name, number in numbers.items()}


def put(table: str, item: dict[str, Any], condition: str | None = None, **members: Any) -> Element:
    return {"Put": {"TableName": table, "Item": item, **conditional(condition), **members}}


def delete(table: str, p: str, condition: str | None = None, **members: Any) -> Element:
    return {"Delete": {"TableName": table, "Key": key(p), **conditional(condition), **members}}


def check(table: str, p: str, condition: str, **members: Any) -> Element:
    return {"ConditionCheck": {"TableName": table, "Key": key(p), "ConditionExpression": condition, **members}}


def update(table: str, p: str, expression: str, condition: str | None = None, **numbers: int) -> Element:
    """An update. `numbers` are the values of the expressions."""
    members: Element = {"TableName": table, "Key": key(p), "UpdateExpression": expression, **conditional(condition)}
    if numbers:
        members["ExpressionAttributeValues"] = {f":{name}": {"N": str(number)} for name, number in numbers.items()}
    return {"Update": members}


def get(table: str, p: str, **members: Any) -> Element:
    return {"Get": {"TableName": table, "Key": key(p), **members}}


def conditional(condition: str | None) -> dict[str, str]:
    return {} if condition is None else {"ConditionExpression": condition}


def put_items(client: Any, table: str, *items: dict[str, Any]) -> None:
    for each in items:
        client.put_item(TableName=table, Item=each)


def stored(client: Any, table: str, *ps: str) -> list[dict[str, Any] | None]:
    """The items with these keys, None where there is none."""
    return [client.get_item(TableName=table, Key=key(p), ConsistentRead=True).get("Item") for p in ps]


def reasons(client: Any, *elements: Element) -> list[Reason]:
    """The reasons for which a write transaction is canceled."""
    return cancellation(client.transact_write_items, elements)


def cancellation(call: Any, elements: Sequence[Element]) -> list[Reason]:
    with pytest.raises(ClientError) as raised:
        call(TransactItems=list(elements))
    response = raised.value.response
    told: list[Reason] = response["CancellationReasons"]
    codes = ", ".join(reason["Code"] for reason in told)
    assert response["Error"] == {
        "Code": "TransactionCanceledException",
        "Message": f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
    }
    return told


def invalid_write(client: Any, *elements: Element) -> str:
    """The text with which a write transaction is refused as a whole."""
    return invalid(client.transact_write_items, TransactItems=list(elements))


def fault(message: str) -> Reason:
    return {"Code": "ValidationError", "Message": message}


# Actions and conditions


def test_every_action_is_done(client: Any, table: str, p: str) -> None:
    put_items(client, table, item(p + "1", x=1, y=1), item(p + "2", x=2), item(p + "3", x=3), item(p + "4", x=4))
    answer = client.transact_write_items(
        TransactItems=[
            put(table, item(p + "1", x=10)),
            update(table, p + "2", "SET x = x + :one", one=1),
            delete(table, p + "3"),
            check(table, p + "4", "attribute_exists(x)"),
            put(table, item(p + "5", x=50)),
            update(table, p + "6", "ADD x :six", six=6),
            delete(table, p + "7"),
        ]
    )
    assert set(answer) == {"ResponseMetadata"}
    assert stored(client, table, *(p + str(n) for n in range(1, 8))) == [
        item(p + "1", x=10),
        item(p + "2", x=3),
        None,
        item(p + "4", x=4),
        item(p + "5", x=50),
        item(p + "6", x=6),
        None,
    ]


@pytest.mark.parametrize("action", ["Put", "Update", "Delete", "ConditionCheck"])
@pytest.mark.parametrize(
    ("there", "condition", "met"),
    [
        (True, "attribute_exists(p)", True),
        (True, "attribute_not_exists(p)", False),
        (False, "attribute_exists(p)", False),
        (False, "attribute_not_exists(p)", True),
    ],
)
def test_a_condition_decides(
    client: Any, table: str, p: str, action: str, there: bool, condition: str, met: bool
) -> None:
    before = item(p, x=1) if there else None
    if before is not None:
        put_items(client, table, before)
    element, after = {
        "Put": (put(table, item(p, x=2), condition), item(p, x=2)),
        "Update": (update(table, p, "SET x = :x", condition, x=2), item(p, x=2)),
        "Delete": (delete(table, p, condition), None),
        "ConditionCheck": (check(table, p, condition), before),
    }[action]
    if met:
        client.transact_write_items(TransactItems=[element])
        assert stored(client, table, p) == [after]
    else:
        assert reasons(client, element) == [FAILED]
        assert stored(client, table, p) == [before]


def test_an_operation_that_fails_undoes_those_beside_it(client: Any, table: str, p: str) -> None:
    put_items(client, table, item(p + "2", x=2), item(p + "3", x=3))
    elements = [
        put(table, item(p + "1")),
        update(table, p + "2", "SET x = :x", x=20),
        delete(table, p + "3"),
        check(table, p + "4", "attribute_exists(p)"),
        put(table, item(p + "5"), "attribute_not_exists(p)"),
    ]
    assert reasons(client, *elements) == [NONE, NONE, NONE, FAILED, NONE]
    assert stored(client, table, *(p + str(n) for n in range(1, 6))) == [
        None,
        item(p + "2", x=2),
        item(p + "3", x=3),
        None,
        None,
    ]


def test_every_operation_that_fails_tells_its_reason_in_its_place(client: Any, table: str, p: str) -> None:
    put_items(client, table, item(p + "2", x=2), item(p + "4", x=4))
    elements = [
        put(table, item(p + "1"), "attribute_exists(p)"),
        update(table, p + "2", "SET y = :y", y=1),
        delete(table, p + "3", "attribute_exists(p)"),
        update(table, p + "4", "SET x = x + y"),
        check(table, p + "5", "attribute_not_exists(p)"),
    ]
    missing = fault("The provided expression refers to an attribute that does not exist in the item")
    assert reasons(client, *elements) == [FAILED, NONE, FAILED, missing, NONE]


def test_a_reason_shows_the_item_where_the_operation_asks_for_it(client: Any, table: str, p: str) -> None:
    there = item(p + "1", x=1, y=2)
    put_items(client, table, there, item(p + "2"))
    all_old = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    none = {"ReturnValuesOnConditionCheckFailure": "NONE"}
    assert reasons(
        client,
        check(table, p + "1", "attribute_not_exists(p)", **all_old),
        check(table, p + "2", "attribute_not_exists(p)", **none),
        check(table, p + "3", "attribute_exists(p)", **all_old),
        put(table, item(p + "4"), **all_old),
    ) == [FAILED | {"Item": there}, FAILED, FAILED, NONE]


def test_every_action_can_show_the_item(client: Any, table: str, p: str) -> None:
    there = [item(f"{p}{n}", x=n) for n in range(4)]
    put_items(client, table, *there)
    elements = [
        put(table, item(p + "0"), "x = y"),
        update(table, p + "1", "REMOVE x", "x = y"),
        delete(table, p + "2", "x = y"),
        check(table, p + "3", "x = y"),
    ]
    for element in elements:
        [members] = element.values()
        members["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    assert reasons(client, *elements) == [FAILED | {"Item": each} for each in there]


def test_several_tables(client: Any, table: str, p: str) -> None:
    other = create(client, KeySchema=key_schema("p", "s"), AttributeDefinitions=attributes(p="S", s="N"))
    there = item(p, s=1, x=1)
    client.transact_write_items(TransactItems=[put(table, item(p, x=1)), put(other, there)])
    assert stored(client, table, p) == [item(p, x=1)]
    read = client.transact_get_items(
        TransactItems=[{"Get": {"TableName": other, "Key": item(p, s=1)}}, get(table, p)],
        ReturnConsumedCapacity="TOTAL",
    )
    assert read["Responses"] == [{"Item": there}, {"Item": item(p, x=1)}]
    assert [told["TableName"] for told in read["ConsumedCapacity"]] == [other, table]


def test_a_table_by_its_arn(client: Any, table: str, p: str) -> None:
    arn = client.describe_table(TableName=table)["Table"]["TableArn"]
    client.transact_write_items(TransactItems=[put(arn, item(p, x=1))])
    assert client.transact_get_items(TransactItems=[get(arn, p)])["Responses"] == [{"Item": item(p, x=1)}]
    assert invalid_write(client, put(arn, item(p)), delete(table, p)) == ONE_ITEM_TWICE


def test_indexes_follow(client: Any, indexed: str, p: str) -> None:
    def found(name: str, attribute: str, value: str) -> list[Any]:
        condition = "g = :v" if name == "global" else "p = :p AND l = :v"
        values = {":v": {"S": value}} | ({":p": {"S": p}} if name == "local" else {})
        answer = client.query(
            TableName=indexed, IndexName=name, KeyConditionExpression=condition, ExpressionAttributeValues=values
        )
        return [each["s"]["S"] for each in answer["Items"]]

    def entry(s: str, l: str, g: str) -> dict[str, Any]:  # noqa: E741 - the name of the attribute
        return {"p": {"S": p}, "s": {"S": s}, "l": {"S": l}, "g": {"S": g}}

    client.transact_write_items(
        TransactItems=[put(indexed, entry("1", "a", f"{p}x")), put(indexed, entry("2", "a", f"{p}y"))]
    )
    assert found("local", "l", "a") == ["1", "2"]
    assert found("global", "g", f"{p}x") == ["1"]
    client.transact_write_items(
        TransactItems=[
            {"Delete": {"TableName": indexed, "Key": {"p": {"S": p}, "s": {"S": "1"}}}},
            put(indexed, entry("2", "b", f"{p}x")),
        ]
    )
    assert found("local", "l", "a") == []
    assert found("local", "l", "b") == ["2"]
    assert found("global", "g", f"{p}x") == ["2"]
    assert found("global", "g", f"{p}y") == []


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
        assert text.startswith("1 validation error detected: Value '[com.amazonaws.dynamodb.v20120810.Transact")
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
def test_a_member_that_must_be_there(client: Any, element: Element, path: str) -> None:
    [members] = element.values()
    if members.get("TableName") == "t":
        del members["TableName"]
    assert invalid_write(client, element) == (
        f"1 validation error detected: Value null at 'transactItems.1.member.{path}' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_a_table_name_that_can_be_none(client: Any, table: str, p: str) -> None:
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


def test_a_table_that_is_not_there(client: Any, table: str, p: str) -> None:
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
    what = {"Put": {"Item": item(p)}, "Update": {"Key": key(p), "UpdateExpression": "REMOVE x"}}
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


def test_only_the_first_fault_is_told(client: Any, table: str, p: str) -> None:
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


def test_an_update_that_the_item_does_not_bear(client: Any, table: str, p: str) -> None:
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


def test_what_is_deleted_does_not_count(client: Any, table: str, p: str) -> None:
    put_items(client, table, *large(p, 45))
    read = {"TransactItems": [get(table, f"{p}{n}") for n in range(45)]}
    assert invalid(client.transact_get_items, **read) == (
        "The aggregate size of the items in the transaction cannot exceed 4 MB"
    )
    client.transact_write_items(TransactItems=[delete(table, f"{p}{n}") for n in range(45)])
    assert client.transact_get_items(**read)["Responses"] == [{}] * 45


# Client tokens. How long they live is in test_client_tokens.py


def test_the_same_token_does_it_once(client: Any, table: str, p: str) -> None:
    request = {"TransactItems": [update(table, p, "ADD x :one", one=1)], "ClientRequestToken": secrets.token_hex(18)}
    for _ in range(3):
        client.transact_write_items(**request)
    assert stored(client, table, p) == [item(p, x=1)]
    client.transact_write_items(**request | {"ClientRequestToken": secrets.token_hex(18)})
    assert stored(client, table, p) == [item(p, x=2)]


def test_a_replay_is_told_as_reads(client: Any, table: str, p: str) -> None:
    large = key(p) | {"x": {"S": "x" * 1500}}
    request = {
        "TransactItems": [put(table, large), check(table, p + "1", "attribute_not_exists(p)")],
        "ClientRequestToken": secrets.token_hex(18),
        "ReturnConsumedCapacity": "TOTAL",
    }
    assert client.transact_write_items(**request)["ConsumedCapacity"] == [
        {"TableName": table, "CapacityUnits": 6.0, "WriteCapacityUnits": 6.0}
    ]
    told = {"TableName": table, "CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}
    assert client.transact_write_items(**request)["ConsumedCapacity"] == [told]
    assert client.transact_write_items(**request | {"ReturnConsumedCapacity": "INDEXES"})["ConsumedCapacity"] == [
        told | {"Table": {"CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}}
    ]
    assert "ConsumedCapacity" not in client.transact_write_items(**request | {"ReturnConsumedCapacity": "NONE"})


def test_the_same_token_for_something_else(client: Any, table: str, p: str) -> None:
    token = secrets.token_hex(18)
    client.transact_write_items(TransactItems=[put(table, item(p, x=1))], ClientRequestToken=token)
    other = {"TransactItems": [put(table, item(p, x=2))], "ClientRequestToken": token}
    assert refusal(client.transact_write_items, **other) == (
        "IdempotentParameterMismatchException",
        "The request was rejected because it was retried with the same client request token "
        "but with different parameters",
    )
    assert stored(client, table, p) == [item(p, x=1)]


def test_a_transaction_that_was_canceled_may_be_tried_again(client: Any, table: str, p: str) -> None:
    request = {
        "TransactItems": [
            put(table, item(p, x=1), "attribute_not_exists(p)"),
            delete(table, p + "1", "attribute_exists(x)"),
        ],
        "ClientRequestToken": secrets.token_hex(18),
    }
    assert refusal(client.transact_write_items, **request)[0] == "TransactionCanceledException"
    put_items(client, table, item(p + "1", x=1))
    client.transact_write_items(**request)
    client.transact_write_items(**request)
    assert stored(client, table, p, p + "1") == [item(p, x=1), None]


@pytest.mark.parametrize(
    ("length", "constraint"), [(0, "greater than or equal to 1"), (37, "less than or equal to 36")]
)
def test_the_length_of_a_token(client: Any, table: str, p: str, length: int, constraint: str) -> None:
    request = {"TransactItems": [put(table, item(p))], "ClientRequestToken": "t" * length}
    assert invalid(client.transact_write_items, **request) == (
        f"1 validation error detected: Value '{'t' * length}' at 'clientRequestToken' failed to satisfy constraint: "
        f"Member must have length {constraint}"
    )


# Capacity


def written(client: Any, detail: str, *elements: Element) -> list[dict[str, Any]]:
    answer = client.transact_write_items(TransactItems=list(elements), ReturnConsumedCapacity=detail)
    told: list[dict[str, Any]] = answer["ConsumedCapacity"]
    return told


def test_writes_cost_twice(client: Any, table: str, p: str) -> None:
    put_items(client, table, key(p + "2") | {"x": {"S": "x" * 2500}}, item(p + "3"))
    told = written(
        client,
        "TOTAL",
        put(table, item(p + "1")),
        delete(table, p + "2"),
        update(table, p + "3", "SET x = :x", "attribute_exists(p)", x=1),
        check(table, p + "4", "attribute_not_exists(p)"),
        delete(table, p + "5"),
    )
    assert told == [{"TableName": table, "CapacityUnits": 14.0, "WriteCapacityUnits": 14.0}]


def test_indexes_cost_too(client: Any, indexed: str, table: str, p: str) -> None:
    both = {"p": {"S": p}, "s": {"S": "1"}, "l": {"S": "a"}, "g": {"S": p}}
    assert written(client, "INDEXES", put(indexed, both), put(table, item(p))) == [
        {
            "TableName": indexed,
            "CapacityUnits": 6.0,
            "WriteCapacityUnits": 6.0,
            "Table": {"CapacityUnits": 2.0, "WriteCapacityUnits": 2.0},
            "LocalSecondaryIndexes": {"local": {"CapacityUnits": 2.0, "WriteCapacityUnits": 2.0}},
            "GlobalSecondaryIndexes": {"global": {"CapacityUnits": 2.0, "WriteCapacityUnits": 2.0}},
        },
        {
            "TableName": table,
            "CapacityUnits": 2.0,
            "WriteCapacityUnits": 2.0,
            "Table": {"CapacityUnits": 2.0, "WriteCapacityUnits": 2.0},
        },
    ]


def test_reads_cost_twice(client: Any, table: str, p: str) -> None:
    put_items(client, table, key(p + "1") | {"x": {"S": "x" * 5000}}, item(p + "2"))
    request = {"TransactItems": [get(table, p + "1"), get(table, p + "2"), get(table, p + "3")]}
    total = {"TableName": table, "CapacityUnits": 8.0, "ReadCapacityUnits": 8.0}
    answer = client.transact_get_items(**request, ReturnConsumedCapacity="TOTAL")
    assert answer["ConsumedCapacity"] == [total]
    answer = client.transact_get_items(**request, ReturnConsumedCapacity="INDEXES")
    assert answer["ConsumedCapacity"] == [total | {"Table": {"CapacityUnits": 8.0, "ReadCapacityUnits": 8.0}}]
    assert "ConsumedCapacity" not in client.transact_get_items(**request)


# Item collections


def test_item_collection_metrics(client: Any, indexed: str, table: str, p: str) -> None:
    one = {"p": {"S": p}, "s": {"S": "1"}}
    other = {"p": {"S": p + "x"}, "s": {"S": "1"}}
    answer = client.transact_write_items(
        TransactItems=[
            put(indexed, one),
            put(table, item(p)),
            {"Delete": {"TableName": indexed, "Key": other}},
            {
                "ConditionCheck": {
                    "TableName": indexed,
                    "Key": {"p": {"S": p + "y"}, "s": {"S": "1"}},
                    "ConditionExpression": "attribute_not_exists(p)",
                }
            },
        ],
        ReturnItemCollectionMetrics="SIZE",
    )
    assert answer["ItemCollectionMetrics"] == {
        indexed: [
            {"ItemCollectionKey": key(p), "SizeEstimateRangeGB": [0.0, 1.0]},
            {"ItemCollectionKey": key(p + "x"), "SizeEstimateRangeGB": [0.0, 1.0]},
        ]
    }


def test_no_item_collection_metrics(client: Any, indexed: str, table: str, p: str) -> None:
    without_local_index = [put(table, item(p))]
    answer = client.transact_write_items(TransactItems=without_local_index, ReturnItemCollectionMetrics="SIZE")
    assert "ItemCollectionMetrics" not in answer
    answer = client.transact_write_items(TransactItems=[put(indexed, {"p": {"S": p}, "s": {"S": "1"}})])
    assert "ItemCollectionMetrics" not in answer


# TransactGetItems


def test_items_in_the_order_of_the_request(client: Any, table: str, p: str) -> None:
    put_items(client, table, item(p + "1", x=1), item(p + "3", x=3))
    read = client.transact_get_items(TransactItems=[get(table, p + "3"), get(table, p + "2"), get(table, p + "1")])
    assert read["Responses"] == [{"Item": item(p + "3", x=3)}, {}, {"Item": item(p + "1", x=1)}]
    assert set(read) == {"Responses", "ResponseMetadata"}


def test_projections(client: Any, table: str, p: str) -> None:
    put_items(client, table, item(p + "1", x=1, y=2, z=3), item(p + "2", x=1, y=2), item(p + "3", y=2))
    read = client.transact_get_items(
        TransactItems=[
            get(table, p + "1", ProjectionExpression="x,z"),
            get(table, p + "2", ProjectionExpression="#y,p", ExpressionAttributeNames={"#y": "y"}),
            get(table, p + "3", ProjectionExpression="x"),
            get(table, p + "4", ProjectionExpression="x"),
        ]
    )
    assert read["Responses"] == [
        {"Item": {"x": {"N": "1"}, "z": {"N": "3"}}},
        {"Item": item(p + "2", y=2)},
        {"Item": {}},
        {},
    ]


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
