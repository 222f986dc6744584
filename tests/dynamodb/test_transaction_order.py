"""The error of a transaction when more than one thing is wrong with its request.

DynamoDB checks the actions one at a time, in the request's order, and stops at the first fault, before it looks at a
table or runs anything. Recorded on AWS on 2026-10-09 in us-east-1 (those of depth also in nine other regions), by the
public Parity Suite (paritysuite/dynamodb-conformance).
"""

from __future__ import annotations

from typing import Any

import pytest

from testing.dynamodb.definitions import unused_name
from testing.dynamodb.raw_requests import Asking
from testing.jedlik_process import Server

Value = dict[str, Any]

ABSENT = unused_name()
NESTING = (
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
)
WRAPPED = f"ExpressionAttributeValues contains invalid value: {NESTING} for key :deep"
EMPTY_NAME = "Empty attribute name"
SYNTAX = 'Invalid ConditionExpression: Syntax error; token: "=", near: "= = b"'
UNUSED = "Value provided in ExpressionAttributeValues unused in expressions: keys: {:u}"
LONG_CONDITION = "a = :v" + " AND a = :v" * 373
LONG_UPDATE = "SET " + ", ".join(f"a{number} = :v" for number in range(500))


@pytest.fixture(scope="module")
def asking(server: Server) -> Asking:
    return Asking(server)


def s(text: str) -> Value:
    return {"S": text}


def deep(levels: int) -> Value:
    """A string nested in this number of maps."""
    value = s("leaf")
    for _ in range(levels):
        value = {"M": {"n": value}}
    return value


def put(key: str = "a", attributes: Value | None = None, condition: str | None = None) -> Value:
    members: Value = {"TableName": ABSENT, "Item": {"p": s(key), **(attributes or {})}}
    return {"Put": members if condition is None else {**members, "ConditionExpression": condition}}


def delete(key: Value, **members: Any) -> Value:
    return {"Delete": {"TableName": ABSENT, "Key": {"p": key}, **members}}


def check(key: Value, condition: str = "attribute_exists(a)", **values: Value) -> Value:
    given = {"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}
    return {"ConditionCheck": {"TableName": ABSENT, "Key": {"p": key}, "ConditionExpression": condition, **given}}


def update(expression: str, **values: Value) -> Value:
    given = {f":{name}": value for name, value in values.items()}
    return {
        "Update": {
            "TableName": ABSENT,
            "Key": {"p": s("u")},
            "UpdateExpression": expression,
            "ExpressionAttributeValues": given,
        }
    }


NAMELESS = put("n", {"": s("x")})

ORDER: list[tuple[list[Value], str]] = [
    ([put("d", {"d": deep(40)}), NAMELESS], NESTING),
    ([NAMELESS, put("d", {"d": deep(100)})], EMPTY_NAME),
    ([put("d", {"": s("x"), "d": deep(100)})], EMPTY_NAME),
    ([put("d", {"d": deep(100), "": s("x")})], EMPTY_NAME),
    ([put("d", {"m": {"M": {"": s("x")}}, "d": deep(40)})], NESTING),
    ([NAMELESS, check(s("b"), "d = :deep", deep=deep(100))], EMPTY_NAME),
    ([check(s("b"), "d = :deep", deep=deep(40)), NAMELESS], WRAPPED),
    ([update("SET d = :deep", deep=deep(40)), NAMELESS], WRAPPED),
    ([delete(deep(40)), put(condition="a = = b")], NESTING),
    ([check(deep(40)), update("SET a = :v", v=s("x"), u=s("y"))], NESTING),
    ([put(condition="a = = b"), delete(deep(100))], SYNTAX),
    ([delete(deep(100), ConditionExpression="a = = b")], SYNTAX),
    (
        [delete(deep(100), ConditionExpression=LONG_CONDITION, ExpressionAttributeValues={":v": s("x")})],
        "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size; expression size: 4109",
    ),
    (
        [update(LONG_UPDATE, v=s("x")), check(deep(100))],
        "Invalid UpdateExpression: Expression size has exceeded the maximum allowed size;",
    ),
    ([update("SET a = :v", v=s("x"), u=s("y")), check(deep(100))], UNUSED),
    (
        [put(), check(s("b"), "attribute_not_exists(")],
        'Invalid ConditionExpression: Syntax error; token: "<EOF>", near: "("',
    ),
    ([put(), check(s("b"), "attribute_not_exists(p)", u=s("x"))], UNUSED),
    ([check(s("b"), "attribute_not_exists(p)", u=s("x")), put()], UNUSED),
    ([put("b"), check(s("b"), "attribute_not_exists(p)", u=s("x"))], UNUSED),
]


@pytest.mark.parametrize(("elements", "text"), ORDER)
def test_the_first_fault_is_reported(asking: Asking, elements: list[Value], text: str) -> None:
    assert asking.invalid("TransactWriteItems", TransactItems=elements) == text
