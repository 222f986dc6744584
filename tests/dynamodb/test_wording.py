"""The words in which each operation refuses a request.

Unless a test names another source, its expectations were recorded on AWS in us-east-1 on 2026-10-09, by the public
Parity Suite (paritysuite/dynamodb-conformance); captures of 2026-09-20 and registry/splits.json are the same suite's.
"""

# ruff: noqa: E501 - DynamoDB's texts stand whole in the tables

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from testing.dynamodb.definitions import create, unused_name
from testing.dynamodb.raw_requests import Asking
from testing.dynamodb.refusals import INVALID
from testing.jedlik_process import Server

Value = dict[str, Any]

ONE = "1 validation error detected: "
NOT_NUMERIC = "The parameter cannot be converted to a numeric value"
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
TOO_MANY_DIGITS = "Attempting to store more than 38 significant digits in a Number"
NESTING = (
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
)
EMPTY_VALUE = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
TOO_SHORT = "failed to satisfy constraint: Member must have length greater than or equal to 1"
NEWER_ENUM = "Failed to satisfy constraint: Member must satisfy enum value set: "
RETURN_VALUES = f"{NEWER_ENUM}[ALL_OLD, UPDATED_OLD, ALL_NEW, UPDATE_NEW, NONE]"
CONDITIONAL_OPERATOR = f"{NEWER_ENUM}[ALL, OR]"


def enum(value: str, member: str, allowed: str) -> str:
    return (
        f"Value '{value}' at '{member}' failed to satisfy constraint: Member must satisfy enum value set: [{allowed}]"
    )


CAPACITY = enum("BOGUS", "returnConsumedCapacity", "INDEXES, TOTAL, NONE")
METRICS = enum("BOGUS", "returnItemCollectionMetrics", "SIZE, NONE")
OLDER_RETURN_VALUES = enum("BOGUS", "returnValues", "ALL_NEW, UPDATED_OLD, ALL_OLD, NONE, UPDATED_NEW")
OLDER_OPERATOR = enum("XOR", "conditionalOperator", "OR, AND")
KEY_NAMES = (
    "Map keys must satisfy constraint: [Member must have length less than or equal to 255, "
    "Member must have length greater than or equal to 3, "
    "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+]"
)


@pytest.fixture(scope="module")
def asking(server: Server) -> Asking:
    return Asking(server)


@pytest.fixture(scope="module")
def table(server: Server) -> Iterator[str]:
    """A table whose key is the string p."""
    client = server.client()
    name = create(client)
    yield name
    client.delete_table(TableName=name)


def s(text: str) -> Value:
    return {"S": text}


def nested(levels: int) -> Value:
    """A string nested in this number of maps."""
    value = s("leaf")
    for _ in range(levels):
        value = {"M": {"n": value}}
    return value


# Values. AWS has two checkers of them: the words for an invalid value are those of the operation's checker.

WRAPPED = "ExpressionAttributeValues contains invalid value: {} for key :v"

PLACES: list[tuple[str, str, str, Any]] = [
    ("PutItem", "newer", ONE + "{}", lambda t, v: {"TableName": t, "Item": {"p": s("x"), "a": v}}),
    ("PutItem", "newer", ONE + "{}", lambda t, v: {"TableName": t, "Item": {"p": s("x"), "a": {"M": {"b": {"L": [v]}}}}}),
    ("PutItem", "newer", ONE + "{}", lambda t, v: {"TableName": t, "Item": {"p": s("x")}, "ConditionExpression": "a = :v", "ExpressionAttributeValues": {":v": v}}),
    ("PutItem", "newer", ONE + "{}", lambda t, v: {"TableName": t, "Item": {"p": s("x")}, "Expected": {"a": {"Value": v}}}),
    ("UpdateItem", "newer", ONE + "{}", lambda t, v: {"TableName": t, "Key": {"p": v}, "UpdateExpression": "SET a = :o", "ExpressionAttributeValues": {":o": s("x")}}),
    ("UpdateItem", "newer", ONE + "{}", lambda t, v: {"TableName": t, "Key": {"p": s("x")}, "UpdateExpression": "SET a = :v", "ExpressionAttributeValues": {":v": v}}),
    ("UpdateItem", "newer", ONE + "{}", lambda t, v: {"TableName": t, "Key": {"p": s("x")}, "AttributeUpdates": {"a": {"Action": "PUT", "Value": v}}}),
    ("DeleteItem", "newer", ONE + "{}", lambda t, v: {"TableName": t, "Key": {"p": v}}),
    ("DeleteItem", "newer", ONE + "{}", lambda t, v: {"TableName": t, "Key": {"p": s("x")}, "ConditionExpression": "a = :v", "ExpressionAttributeValues": {":v": v}}),
    ("GetItem", "newer", "{}", lambda t, v: {"TableName": t, "Key": {"p": v}}),
    ("BatchGetItem", "newer", "{}", lambda t, v: {"RequestItems": {t: {"Keys": [{"p": v}]}}}),
    ("Query", "newer", "{}", lambda t, v: {"TableName": t, "KeyConditionExpression": "p = :v", "ExpressionAttributeValues": {":v": v}}),
    ("Query", "newer", "{}", lambda t, v: {"TableName": t, "KeyConditionExpression": "p = :p", "FilterExpression": "a = :v", "ExpressionAttributeValues": {":p": s("x"), ":v": v}}),
    ("Query", "newer", "{}", lambda t, v: {"TableName": t, "KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": s("x")}, "ExclusiveStartKey": {"p": v}}),
    ("Query", "newer", "{}", lambda t, v: {"TableName": t, "KeyConditions": {"p": {"ComparisonOperator": "EQ", "AttributeValueList": [s("x")]}}, "QueryFilter": {"a": {"ComparisonOperator": "EQ", "AttributeValueList": [v]}}}),
    ("Scan", "older", WRAPPED, lambda t, v: {"TableName": t, "FilterExpression": "a = :v", "ExpressionAttributeValues": {":v": v}}),
    ("BatchWriteItem", "older", "{}", lambda t, v: {"RequestItems": {t: [{"PutRequest": {"Item": {"p": s("x"), "a": v}}}]}}),
    ("BatchWriteItem", "older", "{}", lambda t, v: {"RequestItems": {t: [{"DeleteRequest": {"Key": {"p": v}}}]}}),
    ("TransactWriteItems", "older", "{}", lambda t, v: {"TransactItems": [{"Put": {"TableName": t, "Item": {"p": s("x"), "a": v}}}]}),
    ("TransactWriteItems", "older", "{}", lambda t, v: {"TransactItems": [{"Delete": {"TableName": t, "Key": {"p": v}}}]}),
    ("TransactWriteItems", "older", WRAPPED, lambda t, v: {"TransactItems": [{"Update": {"TableName": t, "Key": {"p": s("x")}, "UpdateExpression": "SET a = :v", "ExpressionAttributeValues": {":v": v}}}]}),
    ("TransactWriteItems", "older", WRAPPED, lambda t, v: {"TransactItems": [{"ConditionCheck": {"TableName": t, "Key": {"p": s("x")}, "ConditionExpression": "a = :v", "ExpressionAttributeValues": {":v": v}}}]}),
    ("TransactGetItems", "older", "{}", lambda t, v: {"TransactItems": [{"Get": {"TableName": t, "Key": {"p": v}}}]}),
]  # fmt: skip
"""Where a value may stand: the operation, its checker, the text around the value's error, and a request."""

FAULTS: list[tuple[Value, str, str]] = [
    ({"N": "abc"}, f"{NOT_NUMERIC}: abc", f"{NOT_NUMERIC}: abc"),
    ({"N": ""}, f"{NOT_NUMERIC}: ", NOT_NUMERIC),
    ({"N": "1e126"}, OVERFLOW, OVERFLOW),
    ({"N": "1e2147483647"}, OVERFLOW, UNDERFLOW),
    ({"NS": ["1", ""]}, f"{NOT_NUMERIC}: ", NOT_NUMERIC),
    (
        {"SS": ["b", "a", "b"]},
        f'{INVALID}Input collection ["a", "b", "b"] contains duplicates.',
        f"{INVALID}Input collection [b, a, b] contains duplicates.",
    ),
    (
        {"BS": ["/w==", "AA==", "AA=="]},
        f'{INVALID}Input collection ["AA==","/w==","AA=="]of type BS contains duplicates.',
        f"{INVALID}Input collection [/w==, AA==, AA==]of type BS contains duplicates.",
    ),
    (
        {"NS": ["2", "1", "2"]},
        f"{INVALID}Input collection contains duplicates.",
        "Input collection contains duplicates",
    ),
]


@pytest.mark.parametrize(("value", "newer", "older"), FAULTS)
def test_an_invalid_value_gets_the_words_of_the_operation(
    asking: Asking, table: str, value: Value, newer: str, older: str
) -> None:
    told = [asking.invalid(operation, **request(table, value)) for operation, _, _, request in PLACES]
    assert told == [around.format(newer if checker == "newer" else older) for _, checker, around, _ in PLACES]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        # us-east-1 and eu-west-2.
        ("1e99999999999", OVERFLOW),
        ("-1e99999999999", OVERFLOW),
        ("1e-99999999999", UNDERFLOW),
        ("1e2147483648", OVERFLOW),
        ("1e-2147483648", UNDERFLOW),
        ("1e-131", UNDERFLOW),
        ("1.2.3", f"{NOT_NUMERIC}: 1.2.3"),
        (" 1", f"{NOT_NUMERIC}:  1"),
        ("1 ", f"{NOT_NUMERIC}: 1 "),
        ("0x10", f"{NOT_NUMERIC}: 0x10"),
        ("1e", f"{NOT_NUMERIC}: 1e"),
        ("NaN", f"{NOT_NUMERIC}: NaN"),
        ("Infinity", f"{NOT_NUMERIC}: Infinity"),
        ("1234567890123456789012345678901234567890", TOO_MANY_DIGITS),
        # eu-west-2, October 2026.
        ("1e9223372036854775808", f"{NOT_NUMERIC}: 1e9223372036854775808"),
        ("0e126", OVERFLOW),
        ("0e-131", UNDERFLOW),
    ],
)
def test_the_words_of_put_item_about_numbers(asking: Asking, table: str, number: str, text: str) -> None:
    assert asking.invalid("PutItem", TableName=table, Item={"p": s("x"), "n": {"N": number}}) == ONE + text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # us-east-1, 2026-09-20; NULL on 2026-10-07.
        ({"SS": []}, f"{INVALID}An string set  may not be empty"),
        ({"NS": []}, f"{INVALID}An number set  may not be empty"),
        ({"BS": []}, f"{INVALID}Binary sets should not be empty"),
        ({"SS": ["", ""]}, f'{INVALID}Input collection ["", ""] contains duplicates.'),
        ({"NULL": False}, f"{INVALID}Null attribute value types must have the value of true"),
    ],
)
def test_the_words_of_put_item_about_sets_and_null(asking: Asking, table: str, value: Value, text: str) -> None:
    assert asking.invalid("PutItem", TableName=table, Item={"p": s("x"), "a": value}) == ONE + text


def test_the_error_of_a_value_as_such_is_bare(asking: Asking, table: str) -> None:
    # eu-west-2, July 2026, as another public project (nubo-db/dynoxide, changelog of 0.12.0) has recorded it.
    several = (
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
    )
    item = {"p": s("x")}
    assert asking.invalid("PutItem", TableName=table, Item=item | {"a": {}}) == EMPTY_VALUE
    assert asking.invalid("PutItem", TableName=table, Item=item | {"a": {"S": "x", "N": "1"}}) == several
    large = item | {"a": s("x" * 410_000)}
    assert asking.invalid("PutItem", TableName=table, Item=large) == "Item size has exceeded the maximum allowed size"


# Expressions and the parameters that came before them

UPDATE = {"UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"S": "x"}}}
MIXED = "Can not use both expression and non-expression parameters in the same request: Non-expression parameters: "
UNUSED = "Value provided in ExpressionAttribute{} unused in expressions: keys: {{{}}}"
UNDEFINED = "An expression attribute value used in expression is not defined; attribute value: :v"
ONLY = "can only be specified when using expressions"

REFUSED: list[tuple[str, Value, str]] = [
    # All recorded: us-east-1, on 2026-09-20 or 2026-10-09.
    ("PutItem", {"Expected": {"p": {"Exists": False}}, "ConditionExpression": "attribute_not_exists(p)"}, MIXED + "{Expected} Expression parameters: {ConditionExpression}"),
    ("PutItem", {"ExpressionAttributeValues": {":v": s("x")}}, f"ExpressionAttributeValues {ONLY}"),
    ("PutItem", {"ExpressionAttributeNames": {"#a": "a"}}, f"ExpressionAttributeNames {ONLY}"),
    ("PutItem", {"ConditionExpression": ""}, "Invalid ConditionExpression: The expression can not be empty;"),
    ("PutItem", {"ConditionExpression": "((attribute_not_exists(p)))"}, "Invalid ConditionExpression: The expression has redundant parentheses;"),
    ("PutItem", {"ConditionExpression": "contains(#a, #a)", "ExpressionAttributeNames": {"#a": "data"}}, "Invalid ConditionExpression: The first operand must be distinct from the remaining operands for this operator or function; operator: contains, first operand: [data]"),
    ("PutItem", {"Expected": {"a": {"Exists": True}}}, f"{INVALID}Value must be provided when Exists is true for Attribute: a"),
    ("PutItem", {"Expected": {"a": {"ComparisonOperator": "EQ"}}}, f"{INVALID}Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a"),
    ("UpdateItem", {"UpdateExpression": "INVALID SYNTAX HERE"}, 'Invalid UpdateExpression: Syntax error; token: "INVALID", near: "INVALID SYNTAX"'),
    ("UpdateItem", {"UpdateExpression": ""}, "Invalid UpdateExpression: The expression can not be empty;"),
    ("UpdateItem", {"UpdateExpression": "SET a = :v"}, f"Invalid UpdateExpression: {UNDEFINED}"),
    ("UpdateItem", {**UPDATE, "ConditionExpression": "a = :v"}, f"Invalid ConditionExpression: {UNDEFINED}"),
    ("UpdateItem", {**UPDATE, "ExpressionAttributeNames": {"#u": "a"}}, UNUSED.format("Names", "#u")),
    ("UpdateItem", {**UPDATE, "ExpressionAttributeValues": {":a": s("x"), ":u": s("x")}}, UNUSED.format("Values", ":u")),
    ("UpdateItem", {**UPDATE, "AttributeUpdates": {"a": {"Value": s("x")}}}, MIXED + "{AttributeUpdates} Expression parameters: {UpdateExpression}"),
    ("DeleteItem", {"ExpressionAttributeValues": {":v": s("x")}}, f"ExpressionAttributeValues {ONLY}"),
    ("DeleteItem", {"ExpressionAttributeNames": {"#a": "a"}}, f"ExpressionAttributeNames {ONLY}"),
    ("DeleteItem", {"Expected": {"a": {"Exists": False}}, "ExpressionAttributeNames": {"#a": "a"}}, f"ExpressionAttributeNames {ONLY}"),
    ("DeleteItem", {"ConditionExpression": "attribute_exists(a)", "ExpressionAttributeValues": {}}, "ExpressionAttributeValues must not be empty"),
    ("DeleteItem", {"ConditionExpression": "attribute_exists(a)", "ExpressionAttributeNames": {}}, "ExpressionAttributeNames must not be empty"),
    ("DeleteItem", {"ConditionExpression": ""}, "Invalid ConditionExpression: The expression can not be empty;"),
    ("DeleteItem", {"ReturnValues": "ALL_NEW"}, "ReturnValues can only be ALL_OLD or NONE"),
    ("DeleteItem", {"ReturnValues": "UPDATED_NEW"}, "ReturnValues can only be ALL_OLD or NONE"),
    ("DeleteItem", {"Expected": {"p": {"Exists": False}}, "ConditionExpression": "attribute_not_exists(p)"}, MIXED + "{Expected} Expression parameters: {ConditionExpression}"),
    ("DeleteItem", {"Expected": {"a": {"Exists": True}}}, f"{INVALID}Value must be provided when Exists is true for Attribute: a"),
    ("DeleteItem", {"Expected": {"a": {"Exists": False, "Value": s("x")}}}, f"{INVALID}Value cannot be used when Exists is false for Attribute: a"),
    ("DeleteItem", {"Expected": {"a": {"Value": s("x"), "ComparisonOperator": "EQ", "AttributeValueList": [s("x")]}}}, f"{INVALID}Value and AttributeValueList cannot be used together for Attribute: a"),
    ("DeleteItem", {"Expected": {"a": {"ComparisonOperator": "EQ"}}}, f"{INVALID}Value or AttributeValueList must be used with ComparisonOperator: EQ for Attribute: a"),
    ("DeleteItem", {"Expected": {"a": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [s("x")]}}}, f"{INVALID}Invalid number of argument(s) for the BETWEEN ComparisonOperator"),
    # Not recorded; these follow the same rule.
    ("PutItem", {"ReturnValues": "ALL_NEW"}, "ReturnValues can only be ALL_OLD or NONE"),
    ("UpdateItem", {"ExpressionAttributeValues": {":v": s("x")}}, f"ExpressionAttributeValues {ONLY}"),
    ("UpdateItem", {"UpdateExpression": "SET a = :a SET b = :a", "ExpressionAttributeValues": {":a": s("x")}}, 'Invalid UpdateExpression: The "SET" section can only be used once in an update expression;'),
    ("UpdateItem", {"UpdateExpression": "SET a = :a, a.b = :a", "ExpressionAttributeValues": {":a": s("x")}}, "Invalid UpdateExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]"),
    ("UpdateItem", {"UpdateExpression": "SET #a = :a", "ExpressionAttributeValues": {":a": s("x")}}, "Invalid UpdateExpression: An expression attribute name used in the document path is not defined; attribute name: #a"),
    ("UpdateItem", {"AttributeUpdates": {"a": {"Action": "PUT"}}}, f"{INVALID}Only DELETE action is allowed when no attribute value is specified"),
    ("DeleteItem", {"ConditionalOperator": "AND"}, "ConditionalOperator cannot be used without Filter or Expected"),
]  # fmt: skip
"""Requests that the three single writes refuse before they look at the table."""


@pytest.mark.parametrize(("operation", "members", "text"), REFUSED)
def test_a_single_write_counts_the_fault(asking: Asking, operation: str, members: Value, text: str) -> None:
    what = "Item" if operation == "PutItem" else "Key"
    request = {"TableName": unused_name(), what: {"p": s("x")}, **members}
    assert asking.invalid(operation, **request) == ONE + text


@pytest.mark.parametrize(
    ("operation", "members", "text"),
    [
        ("GetItem", {"Key": {"p": s("x")}, "ProjectionExpression": "a, a"}, "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a]"),
        ("GetItem", {"Key": {"p": s("x")}, "ProjectionExpression": "#u"}, "Invalid ProjectionExpression: An expression attribute name used in the document path is not defined; attribute name: #u"),
        ("Query", {"KeyConditionExpression": "p = :p", "ProjectionExpression": "a, a.b", "ExpressionAttributeValues": {":p": s("x")}}, "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]"),
        ("Scan", {"ProjectionExpression": "a, a"}, "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a]"),
    ],
)  # fmt: skip
def test_reads_are_bare(asking: Asking, operation: str, members: Value, text: str) -> None:
    assert asking.invalid(operation, TableName=unused_name(), **members) == text


def test_errors_that_depend_on_the_table_are_bare(asking: Asking, table: str) -> None:
    put, update = {"TableName": table}, {"TableName": table, "Key": {"p": s("bare")}}
    mismatch = "The provided key element does not match the schema"
    assert asking.invalid("PutItem", **put, Item={"p": {"N": "5"}}) == (
        f"{INVALID}Type mismatch for key p expected: S actual: N"
    )
    assert asking.invalid("PutItem", **put, Item={"p": s("")}) == (
        "One or more parameter values are not valid. "
        "The AttributeValue for a key attribute cannot contain an empty string value. Key: p"
    )
    assert asking.invalid("DeleteItem", TableName=table, Key={"p": {"N": "5"}}) == mismatch
    assert asking.invalid("UpdateItem", TableName=table, Key={"p": {"N": "5"}}, **UPDATE) == mismatch
    values = {"ExpressionAttributeValues": {":a": s("x")}}
    assert asking.invalid("UpdateItem", **update, UpdateExpression="SET p = :a", **values) == (
        f"{INVALID}Cannot update attribute p. This attribute is part of the key"
    )
    assert asking.invalid("UpdateItem", **update, UpdateExpression="SET a.b.c = :a", **values) == (
        "The document path provided in the update expression is invalid for update"
    )
    assert asking.invalid("UpdateItem", **update, UpdateExpression="SET a = b") == (
        "The provided expression refers to an attribute that does not exist in the item"
    )


# Members


def test_an_empty_table_name_is_reported_alone(asking: Asking) -> None:
    # registry/splits.json, us-east-1, 2026-10-07, and the captures of 2026-09-20.
    text = f"{ONE}Value at 'TableName' {TOO_SHORT}"
    assert asking.invalid("PutItem", TableName="", Item={}) == text
    assert asking.invalid("PutItem", TableName="", Item={"p": s("x")}, ReturnValues="BOGUS") == text
    assert asking.invalid("DeleteItem", TableName="", Key={}) == text
    assert asking.invalid("UpdateItem", TableName="", Key={}) == text


def test_other_faults_of_a_table_name_are_reported_as_usual(asking: Asking) -> None:
    # us-east-1, 2026-09-20.
    assert asking.invalid("PutItem", Item={}) == (
        f"{ONE}Value null at 'tableName' failed to satisfy constraint: Member must not be null"
    )
    assert asking.invalid("PutItem", TableName="a" * 256, Item={}) == (
        f"{ONE}Value '{'a' * 256}' at 'tableName' failed to satisfy constraint: "
        "Member must have length less than or equal to 255"
    )
    assert asking.invalid("PutItem", TableName="bad table!@#", Item={}) == (
        f"{ONE}Value 'bad table!@#' at 'tableName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    )


BOGUS = {"ReturnValues": "BOGUS", "ReturnConsumedCapacity": "BOGUS"}


def test_enumerations_of_single_writes(asking: Asking) -> None:
    # us-east-1, 2026-09-20; UpdateItem also in registry/splits.json, 2026-10-07.
    where: Value = {"TableName": unused_name(), **BOGUS}
    put = asking.invalid("PutItem", **where, Item={"p": s("x")}, ReturnItemCollectionMetrics="BOGUS")
    assert put == f"3 validation errors detected: {CAPACITY}; {RETURN_VALUES}; {METRICS}"
    assert asking.invalid("DeleteItem", **where, Key={"p": s("x")}) == (
        f"2 validation errors detected: {CAPACITY}; {RETURN_VALUES}"
    )
    assert asking.invalid("UpdateItem", **where, Key={"p": s("x")}) == ONE + RETURN_VALUES


@pytest.mark.parametrize(("operation", "what"), [("PutItem", "Item"), ("UpdateItem", "Key"), ("DeleteItem", "Key")])
def test_conditional_operators_of_single_writes(asking: Asking, operation: str, what: str) -> None:
    request = {
        "TableName": unused_name(),
        what: {"p": s("x")},
        "Expected": {"a": {"Value": nested(40)}, "b": {"Exists": False}},
        "ConditionalOperator": "XOR",
    }
    assert asking.invalid(operation, **request) == ONE + CONDITIONAL_OPERATOR


def test_a_conditional_operator_of_a_query_is_reported_alone_and_bare(asking: Asking) -> None:
    request = {
        "TableName": unused_name(),
        "KeyConditions": {"p": {"ComparisonOperator": "EQ", "AttributeValueList": [s("a")]}},
        "QueryFilter": {"b": {"ComparisonOperator": "NULL"}, "c": {"ComparisonOperator": "NULL"}},
        "ConditionalOperator": "XOR",
        "Select": "BOGUS",
    }
    assert asking.invalid("Query", **request) == CONDITIONAL_OPERATOR


def test_without_a_key_an_update_is_refused_in_the_older_words(asking: Asking) -> None:
    no_key = "Value null at 'key' failed to satisfy constraint: Member must not be null"
    no_name = f"Value '' at 'tableName' {TOO_SHORT}"
    assert asking.invalid("UpdateItem", TableName="", **UPDATE) == f"2 validation errors detected: {no_name}; {no_key}"
    assert asking.invalid("UpdateItem", TableName="", **UPDATE, **BOGUS) == (
        f"4 validation errors detected: {CAPACITY}; {no_name}; {OLDER_RETURN_VALUES}; {no_key}"
    )
    request = {
        "TableName": unused_name(),
        "AttributeUpdates": {"x": {"Action": "PUT", "Value": s("1")}},
        "Expected": {"a": {"Exists": False}, "b": {"Exists": False}},
        "ConditionalOperator": "XOR",
    }
    assert asking.invalid("UpdateItem", **request) == f"2 validation errors detected: {OLDER_OPERATOR}; {no_key}"


# Depth. A request that is too deep for the newer checker goes to the older one.


def test_values_that_are_nested_too_deeply(asking: Asking) -> None:
    # registry/splits.json, us-east-1.
    request = {"TableName": unused_name(), "Key": {"p": s("x")}, "UpdateExpression": "SET a = :v"}
    assert asking.invalid("UpdateItem", **request, ExpressionAttributeValues={":v": nested(32)}) == ONE + NESTING


@pytest.mark.parametrize(
    ("operation", "more"), [("PutItem", {"Item": {"p": s("x")}}), ("UpdateItem", {"Key": {"p": s("x")}})]
)
def test_deep_conditions_go_with_the_older_words_for_an_operator(asking: Asking, operation: str, more: Value) -> None:
    expected = {"a": {"Value": nested(100)}, "b": {"Exists": False}}
    request = {"TableName": unused_name(), "Expected": expected, "ConditionalOperator": "XOR", **more}
    assert asking.invalid(operation, **request) == ONE + OLDER_OPERATOR


@pytest.mark.parametrize(
    "members",
    [
        {"Key": {"p": s("x")}, "ConditionExpression": "a = :v", "ExpressionAttributeValues": {":v": nested(63)}},
        {"Key": {"p": s("x")}, "Expected": {"a": {"Value": nested(63)}}},
        {"Key": {"p": nested(100)}},
    ],
)
def test_deep_values_go_with_the_older_words_for_return_values(asking: Asking, members: Value) -> None:
    where = {"TableName": unused_name(), **members}
    assert asking.invalid("DeleteItem", **where, ReturnValues="BOGUS") == ONE + OLDER_RETURN_VALUES


def test_a_deep_condition_goes_with_the_bare_words_for_return_values(asking: Asking) -> None:
    request = {
        "TableName": unused_name(),
        "Key": {"p": s("x")},
        "ConditionExpression": "a = :v",
        "ExpressionAttributeValues": {":v": nested(100)},
        "ReturnValues": "UPDATED_NEW",
    }
    assert asking.invalid("DeleteItem", **request) == "ReturnValues can only be ALL_OLD or NONE"


# Batches


def test_batches_of_nothing(asking: Asking) -> None:
    # BatchGetItem: registry/splits.json, us-east-1; BatchWriteItem: us-east-1, 2026-10-07.
    assert asking.invalid("BatchGetItem", RequestItems={}) == f"{ONE}Value at 'RequestItems' {TOO_SHORT}"
    assert asking.invalid("BatchWriteItem", RequestItems={}) == (
        "The requestItems parameter is required for BatchWriteItem"
    )


def test_a_malformed_name_in_a_batch_get_is_shown_as_json(asking: Asking) -> None:
    request = {"RequestItems": {"bad!name": {"Keys": [{"pk": s("a")}]}}}
    shown = '{"bad!name":{"Keys":[{"pk":{"S":"a"}}]}}'
    fault = f"Value '{shown}' at 'requestItems' failed to satisfy constraint: {KEY_NAMES}"
    assert asking.invalid("BatchGetItem", **request) == ONE + fault
    assert asking.invalid("BatchGetItem", **request, ReturnConsumedCapacity="BOGUS") == (
        f"2 validation errors detected: {fault}; {CAPACITY}"
    )


def test_a_malformed_name_in_a_batch_write_is_shown_as_java_prints_it(asking: Asking) -> None:
    # The fields of a write are in a capture of 2026-09-20.
    value = (
        "AttributeValue(s=x, n=null, b=null, iNT=null, dECIMAL=null, dOUBLE=null, sS=null, nS=null, bS=null, "
        "iNTSET=null, dECIMALSET=null, dOUBLESET=null, m=null, l=null, nULL=null, bOOL=null)"
    )
    shown = (
        f"{{bad!name=[WriteRequest(putRequest=PutRequest(item={{pk={value}}}, workloadProfileName=null), "
        "deleteRequest=null)]}"
    )
    request = {"RequestItems": {"bad!name": [{"PutRequest": {"Item": {"pk": s("x")}}}]}}
    assert asking.invalid("BatchWriteItem", **request) == (
        f"{ONE}Value '{shown}' at 'requestItems' failed to satisfy constraint: {KEY_NAMES}"
    )
    assert asking.invalid("BatchWriteItem", **request, ReturnConsumedCapacity="BOGUS") == ONE + CAPACITY


def test_lists_are_shown_as_java_prints_them(asking: Asking) -> None:
    # us-east-1, 2026-10-09; CreateTable and the limit of 25 on 2026-09-20.
    limits = "[Member must have length less than or equal to 25, Member must have length greater than or equal to 1]"
    fault = f"at 'requestItems' failed to satisfy constraint: Map value must satisfy constraint: {limits}"
    assert asking.invalid("BatchWriteItem", RequestItems={"abc": []}) == f"{ONE}Value '{{abc=[]}}' {fault}"
    deletes = [{"DeleteRequest": {"Key": {"p": s(str(number))}}} for number in range(26)]
    text = asking.invalid("BatchWriteItem", RequestItems={"abc": deletes})
    assert text.startswith(f"{ONE}Value '{{abc=[WriteRequest(putRequest=null, deleteRequest=DeleteRequest(key={{p=")
    assert text.endswith(f"]}}' {fault}")
    assert text.count("WriteRequest(") == 26
    key = [{"AttributeName": name, "KeyType": kind} for name, kind in (("p", "HASH"), ("c", "RANGE"), ("x", "RANGE"))]
    types = [{"AttributeName": name, "AttributeType": "S"} for name in "pcx"]
    assert asking.invalid("CreateTable", TableName="abc", KeySchema=key, AttributeDefinitions=types) == (
        f"{ONE}Value '[KeySchemaElement(attributeName=p, keyType=HASH), KeySchemaElement(attributeName=c, "
        "keyType=RANGE), KeySchemaElement(attributeName=x, keyType=RANGE)]' at 'keySchema' failed to satisfy "
        "constraint: Member must have length less than or equal to 2"
    )


def test_enumerations_of_a_batch_write_are_reported_together(asking: Asking, table: str) -> None:
    request = {"RequestItems": {table: [{"PutRequest": {"Item": {"p": s("x")}}}]}}
    bogus = {"ReturnConsumedCapacity": "BOGUS", "ReturnItemCollectionMetrics": "BOGUS"}
    assert (
        asking.invalid("BatchWriteItem", **request, **bogus) == f"2 validation errors detected: {CAPACITY}; {METRICS}"
    )


# Types go before rules


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("PutItem", {"Item": {"a": "x"}}),
        ("PutItem", {"TableName": "x!", "Item": {"a": {"L": [{"S": 5}]}}}),
        ("PutItem", {"TableName": "abc", "Item": {}, "Expected": {"a": {"Value": "x"}}, "ConditionExpression": ""}),
        ("UpdateItem", {"TableName": "", "Key": {}, "AttributeUpdates": {"a": {"Value": {"B": "x"}}}}),
        ("Query", {"TableName": "abc", "ExclusiveStartKey": {"a": {"SS": [1]}}}),
        ("Scan", {"ScanFilter": {"a": {"ComparisonOperator": "EQ", "AttributeValueList": [7]}}}),
        ("BatchGetItem", {"RequestItems": {"x!": {"Keys": [{"a": []}]}}}),
        ("BatchWriteItem", {"RequestItems": {"x": [{"PutRequest": {"Item": {"a": {"M": 1}}}}]}}),
        ("TransactWriteItems", {"TransactItems": [{}, {"Delete": {"Key": {"p": {"BOOL": "no!"}}}}]}),
    ],
)
def test_a_wrong_type_in_a_value_goes_before_every_broken_rule(asking: Asking, operation: str, members: Value) -> None:
    # As in dynalite's tests of AWS: a member of the wrong type, and nothing else that the operation requires.
    name, _ = asking.refused(operation, **members)
    assert name == "SerializationException"


# The order of a query's faults, as in dynalite's tests of AWS

EMPTY_KEY_CONDITION = "Invalid KeyConditionExpression: The expression can not be empty;"
BETWEEN = {"a": {"ComparisonOperator": "BETWEEN", "AttributeValueList": [{"S": "x"}]}}
BAD_FILTER = f"{INVALID}Invalid number of argument(s) for the BETWEEN ComparisonOperator"


def test_the_order_of_a_querys_errors(asking: Asking) -> None:
    where = {"TableName": unused_name()}
    bad_key: Value = {"ExclusiveStartKey": {"p": {}}}
    bad_start = f"The provided starting key is invalid: {EMPTY_VALUE}"
    missing = "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
    assert asking.invalid("Query", **where, QueryFilter=BETWEEN, **bad_key) == BAD_FILTER
    assert asking.invalid("Query", **where, QueryFilter=BETWEEN) == BAD_FILTER
    assert asking.invalid("Query", **where, **bad_key) == bad_start
    assert asking.invalid("Query", **where) == missing
    assert asking.invalid("Query", **where, KeyConditionExpression="", FilterExpression="") == EMPTY_KEY_CONDITION
    assert asking.invalid("Query", **where, KeyConditionExpression="", FilterExpression="", **bad_key) == bad_start
    assert asking.invalid("Scan", **where, ScanFilter=BETWEEN, **bad_key) == BAD_FILTER


def test_a_scan_checks_its_conditions_before_it_counts_them(asking: Asking) -> None:
    condition = {"a": {"ComparisonOperator": "EQ", "AttributeValueList": [nested(40)]}}
    request: Value = {"TableName": unused_name(), "ConditionalOperator": "AND"}
    assert asking.invalid("Scan", **request, ScanFilter=condition) == NESTING
    assert asking.invalid("Scan", **request) == "ConditionalOperator cannot be used without Filter or Expected"


def test_operators_of_key_conditions_are_checked_with_the_key(asking: Asking, table: str) -> None:
    refused = {"KeyConditions": {"p": {"ComparisonOperator": "CONTAINS", "AttributeValueList": [s("x")]}}}
    assert asking.refused("Query", TableName=unused_name(), **refused)[0] == "ResourceNotFoundException"
    assert asking.invalid("Query", TableName=table, IndexName="none", **refused) == (
        "The table does not have the specified index: none"
    )
    assert asking.invalid("Query", TableName=table, ExclusiveStartKey={"q": s("x")}, **refused) == (
        "The provided starting key is invalid"
    )
    assert asking.invalid("Query", TableName=table, **refused) == (
        "Attempted conditional constraint is not an indexable operation"
    )


def test_two_names_in_one_key_condition(asking: Asking, table: str) -> None:
    assert asking.invalid("Query", TableName=table, KeyConditionExpression="p = x") == (
        "Invalid KeyConditionExpression: Invalid condition in KeyConditionExpression: "
        "Multiple attribute names used in one condition"
    )
