"""ExpressionAttributeNames and ExpressionAttributeValues: refusals before the expressions, and after them."""

# ruff: noqa: E501 - DynamoDB's texts stand whole in the tables

from __future__ import annotations

from typing import Any

import pytest

from jedlik.aws.errors import SerializationException, ValidationException
from jedlik.dynamodb.model.expressions.conditions import condition
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from jedlik.dynamodb.model.expressions.projections import projection

LONG = "x" * 65536


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        ({}, None, "ExpressionAttributeNames must not be empty"),
        (None, {}, "ExpressionAttributeValues must not be empty"),
        ({"a": "a"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"'),
        ({"#": "a"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "#"'),
        ({"#a-b": "a"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "#a-b"'),
        ({"#a": "a", "#b\n": "b"}, None, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "#b\n"'),
        ({"#a": ""}, None, "ExpressionAttributeNames contains invalid value: Empty attribute name for key #a"),
        ({"#a": LONG}, None, "ExpressionAttributeNames contains invalid value: Attribute name is too large, must be less than 65536 bytes for key #a"),
        ({"#" + "a" * 255: "a"}, None, "ExpressionAttributeNames contains invalid key: The expression attribute map contains a key that is too long"),
        (None, {"b": {"S": "a"}}, 'ExpressionAttributeValues contains invalid key: Syntax error; key: "b"'),
        (None, {":b": {}, "b": {"S": "a"}}, 'ExpressionAttributeValues contains invalid key: Syntax error; key: "b"'),
        ({"a": "a"}, {}, 'ExpressionAttributeNames contains invalid key: Syntax error; key: "a"'),
        (None, {":b": {}}, "ExpressionAttributeValues contains invalid value: Supplied AttributeValue is empty, must contain exactly one of the supported datatypes for key :b"),
        (None, {":b": {"SS": []}}, "ExpressionAttributeValues contains invalid value: One or more parameter values were invalid: An string set  may not be empty for key :b"),
        (None, {":a": {"N": "1"}, ":b": {"N": "b"}}, "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value: b for key :b"),
        ({"#a": "a"}, {":v": {"S": "x" * (2 * 1024 * 1024)}}, "Combined size of ExpressionAttributeNames and ExpressionAttributeValues exceeds max size"),
    ],
)  # fmt: skip
def test_malformed_maps_are_refused(names: dict[str, str] | None, values: dict[str, Any] | None, message: str) -> None:
    with pytest.raises(ValidationException) as refusal:
        Placeholders(names, values)
    assert refusal.value.message == message


def test_a_value_of_the_wrong_json_type_is_a_serialization_error() -> None:
    with pytest.raises(SerializationException):
        Placeholders(None, {":v": {"S": 5}})


def test_values_are_normalised() -> None:
    known = Placeholders({"#n": "n" * 65535}, {":v": {"N": "1.50"}})
    assert known.values == {":v": {"N": "1.5"}}


@pytest.mark.parametrize(
    ("names", "values", "message"),
    [
        ({"#a": "a", "#b": "b", "#c": "c"}, {":v": {"S": "x"}}, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b, #c}"),
        ({"#a": "a"}, {":v": {"S": "x"}, ":w": {"S": "y"}}, "Value provided in ExpressionAttributeValues unused in expressions: keys: {:w}"),
        ({"#a": "a", "#b": "b"}, {":v": {"S": "x"}, ":w": {"S": "y"}}, "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}"),
    ],
)  # fmt: skip
def test_unused_placeholders_are_refused(names: dict[str, str], values: dict[str, Any], message: str) -> None:
    known = Placeholders(names, values)
    condition("#a = :v", known, "ConditionExpression")
    with pytest.raises(ValidationException) as refusal:
        known.check_all_used()
    assert refusal.value.message == message


def test_expressions_of_a_request_share_placeholders() -> None:
    known = Placeholders({"#a": "a", "#b": "b"}, {":v": {"S": "x"}, ":w": {"S": "y"}})
    condition("#a = :v OR a = :w", known, "FilterExpression")
    projection("c.#b", known)
    known.check_all_used()
