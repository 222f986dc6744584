"""The parameters that came before expressions: their meaning, and their refusals."""

# ruff: noqa: E501 - DynamoDB's texts stand whole in the tables

from __future__ import annotations

from typing import Any

import pytest

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model.expressions import legacy
from jedlik.dynamodb.model.expressions.key_conditions import KeyCondition, against_key
from testing.dynamodb.schemas import b, n, s, table

Item = dict[str, dict[str, Any]]

INVALID = "One or more parameter values were invalid: "
TRUE = {"BOOL": True}
M: dict[str, Any] = {"M": {}}
L, SS = {"L": [n("1")]}, {"SS": ["a"]}


def compared(operator: str, *arguments: dict[str, Any]) -> dict[str, Any]:
    return {"ComparisonOperator": operator, "AttributeValueList": list(arguments)}


UPDATE = ("UpdateExpression", "ConditionExpression"), ("AttributeUpdates", "Expected", "ConditionalOperator")
QUERY = (
    ("ProjectionExpression", "FilterExpression", "KeyConditionExpression"),
    ("AttributesToGet", "QueryFilter", "ConditionalOperator", "KeyConditions"),
)
GET = ("ProjectionExpression",), ("AttributesToGet",)
MIXED = "Can not use both expression and non-expression parameters in the same request: "


@pytest.mark.parametrize(
    ("family", "request_", "message"),
    [
        (UPDATE, {"UpdateExpression": "", "ConditionExpression": "", "Expected": {}, "AttributeUpdates": {}}, MIXED + "Non-expression parameters: {AttributeUpdates, Expected} Expression parameters: {UpdateExpression, ConditionExpression}"),
        (UPDATE, {"ConditionExpression": "a", "ConditionalOperator": "OR"}, MIXED + "Non-expression parameters: {ConditionalOperator} Expression parameters: {ConditionExpression}"),
        (QUERY, {"KeyConditions": {}, "QueryFilter": {}, "ConditionalOperator": "OR", "AttributesToGet": ["a"], "ProjectionExpression": "", "FilterExpression": "", "KeyConditionExpression": ""}, MIXED + "Non-expression parameters: {AttributesToGet, QueryFilter, ConditionalOperator, KeyConditions} Expression parameters: {ProjectionExpression, FilterExpression, KeyConditionExpression}"),
        (QUERY, {"KeyConditions": {}, "QueryFilter": {}, "FilterExpression": ""}, MIXED + "Non-expression parameters: {QueryFilter} Expression parameters: {FilterExpression}"),
        (UPDATE, {"ExpressionAttributeNames": {}, "ExpressionAttributeValues": {}}, "ExpressionAttributeNames can only be specified when using expressions"),
        (UPDATE, {"ExpressionAttributeValues": {}}, "ExpressionAttributeValues can only be specified when using expressions: UpdateExpression and ConditionExpression are null"),
        (QUERY, {"ProjectionExpression": "a", "ExpressionAttributeValues": {}}, "ExpressionAttributeValues can only be specified when using expressions: FilterExpression and KeyConditionExpression are null"),
        ((("ConditionExpression",), ()), {"ExpressionAttributeValues": {}}, "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null"),
    ],
)  # fmt: skip
def test_parameters_that_do_not_go_together(family: Any, request_: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationException) as refused:
        legacy.refuse_mixed_parameters(request_, *family)
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "ConditionalOperator cannot be used without Filter or Expected"),
        ({"Expected": {}}, "ConditionalOperator cannot be used without Filter or Expected"),
        ({"QueryFilter": {"a": {}}}, "ConditionalOperator can only be used when Filter or Expected has two or more elements"),
    ],
)  # fmt: skip
def test_an_operator_joins_two_conditions(request_: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationException) as refused:
        legacy.check_conditional_operator(request_ | {"ConditionalOperator": "OR"})
    assert refused.value.message == message
    legacy.check_conditional_operator(request_)
    legacy.check_conditional_operator({"ScanFilter": {"a": {}, "b": {}}, "ConditionalOperator": "AND"})


@pytest.mark.parametrize(
    ("family", "request_"),
    [
        (QUERY, {"KeyConditions": {}, "FilterExpression": "", "ExpressionAttributeValues": {}}),
        (QUERY, {"KeyConditions": {}, "AttributesToGet": ["a"]}),
        (QUERY, {"ConditionalOperator": "OR", "QueryFilter": {"a": {}, "b": {}}}),
        (GET, {"ProjectionExpression": "#a", "ExpressionAttributeNames": {}}),
        (UPDATE, {"AttributeUpdates": {}, "Expected": {}}),
    ],
)
def test_parameters_that_go_together(family: Any, request_: dict[str, Any]) -> None:
    legacy.refuse_mixed_parameters(request_, *family)


ITEM: Item = {
    "a": n("2"),
    "b": s("cat"),
    "c": b(b"\x80"),
    "d": {"L": [n("2"), n("4")]},
    "e": {"NS": ["2", "4"]},
    "f": TRUE,
}


@pytest.mark.parametrize(
    ("name", "condition", "truth"),
    [
        ("a", compared("EQ", n("2.0")), True),
        ("a", compared("EQ", s("2")), False),
        ("d", compared("EQ", {"L": [n("2"), n("4")]}), True),
        ("e", compared("EQ", {"NS": ["4", "2"]}), True),
        ("a", compared("NE", n("3")), True),
        ("a", compared("NE", s("2")), True),
        ("q", compared("NE", n("2")), True),
        ("a", compared("LE", n("2")), True),
        ("a", compared("LT", n("2")), False),
        ("a", compared("LT", s("9")), False),
        ("d", compared("LT", n("9")), False),
        ("b", compared("GE", s("bat")), True),
        ("c", compared("GT", b(b"\x7f")), True),
        ("b", compared("BETWEEN", s("aardvark"), s("cat")), True),
        ("q", compared("BETWEEN", n("0"), n("9")), False),
        ("a", compared("IN", n("8"), n("2")), True),
        ("a", compared("IN", *[n(str(number)) for number in range(3, 1000)], n("2")), True),
        ("a", compared("IN", *[n(str(number)) for number in range(3, 1000)]), False),
        ("d", compared("IN", n("2")), False),
        ("b", compared("CONTAINS", s("at")), True),
        ("d", compared("CONTAINS", n("4")), True),
        ("e", compared("CONTAINS", n("4")), True),
        ("a", compared("CONTAINS", n("2")), False),
        ("b", compared("NOT_CONTAINS", s("dog")), True),
        ("e", compared("NOT_CONTAINS", n("4")), False),
        # Both are false for a missing attribute.
        ("q", compared("CONTAINS", n("4")), False),
        ("q", compared("NOT_CONTAINS", n("4")), False),
        ("b", compared("BEGINS_WITH", s("ca")), True),
        ("a", compared("BEGINS_WITH", s("2")), False),
        ("a", compared("NOT_NULL"), True),
        ("q", compared("NOT_NULL"), False),
        ("q", {"ComparisonOperator": "NULL"}, True),
        ("a", {"ComparisonOperator": "NULL"}, False),
    ],
)
def test_a_condition_on_an_attribute(name: str, condition: dict[str, Any], truth: bool) -> None:
    assert legacy.expected({name: condition}, None)(ITEM) is truth
    assert legacy.filter_conditions({name: condition}, None, "ScanFilter")(ITEM) is truth


@pytest.mark.parametrize(
    ("name", "condition", "truth"),
    [
        ("a", {"Value": n("2")}, True),
        ("a", {"Value": n("2"), "Exists": True}, True),
        ("q", {"Value": n("2")}, False),
        ("q", {"Exists": False}, True),
        ("a", {"Exists": False}, False),
        ("a", {"Value": n("1"), "ComparisonOperator": "GT"}, True),
    ],
)
def test_expected_by_value_or_existence(name: str, condition: dict[str, Any], truth: bool) -> None:
    assert legacy.expected({name: condition}, None)(ITEM) is truth


def test_conditions_are_joined_by_and_by_default() -> None:
    conditions = {"a": compared("EQ", n("2")), "b": compared("EQ", s("dog"))}
    assert not legacy.filter_conditions(conditions, None, "QueryFilter")(ITEM)
    conditions = {"a": compared("EQ", n("2")), "b": compared("EQ", s("dog"))}
    assert not legacy.expected(conditions, "AND")(ITEM)
    conditions = {"a": compared("EQ", n("2")), "b": compared("EQ", s("dog"))}
    assert legacy.expected(conditions, "OR")(ITEM)


def test_without_a_condition_every_item_matches() -> None:
    assert legacy.expected({}, None)({})
    assert legacy.filter_conditions({}, None, "QueryFilter")(ITEM)


COUNT = INVALID + "Invalid number of argument(s) for the {} ComparisonOperator"
NOT_VALID = INVALID + "ComparisonOperator {} is not valid for {} AttributeValue type"
SAME_TYPE = INVALID + "AttributeValues inside AttributeValueList must be of same type"
ORDERED = ("LE", "LT", "GE", "GT", "CONTAINS", "NOT_CONTAINS")


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        *[(compared(o, n("1"), n("2")), COUNT.format(o)) for o in ("EQ", "NE", *ORDERED, "BEGINS_WITH")],
        *[(compared(o), COUNT.format(o)) for o in ("EQ", "NE", *ORDERED, "BEGINS_WITH", "IN", "BETWEEN")],
        (compared("BETWEEN", n("1"), n("2"), n("3")), COUNT.format("BETWEEN")),
        (compared("NULL", n("1")), COUNT.format("NULL")),
        (compared("NOT_NULL", n("1")), COUNT.format("NOT_NULL")),
        (compared("IN", n("3"), s("dog")), SAME_TYPE),
        (compared("BETWEEN", n("3"), s("dog")), SAME_TYPE),
        *[(compared(o, v), NOT_VALID.format(o, t)) for o in (*ORDERED, "IN", "BEGINS_WITH") for t, v in (("L", L), ("M", M), ("SS", SS), ("BOOL", TRUE))],
        (compared("BEGINS_WITH", n("1")), NOT_VALID.format("BEGINS_WITH", "N")),
        (compared("BETWEEN", SS, SS), NOT_VALID.format("BETWEEN", "SS")),
        (compared("BETWEEN", n("4"), n("3")), "The BETWEEN condition was provided a range where the lower bound is greater than the upper bound"),
        (compared("EQ", {"SS": []}), INVALID + "An string set  may not be empty"),
    ],
)  # fmt: skip
def test_a_malformed_condition_is_refused_in_dynamodbs_words(condition: dict[str, Any], message: str) -> None:
    for make in (
        lambda: legacy.expected({"a": condition}, None),
        lambda: legacy.filter_conditions({"a": condition}, None, "QueryFilter"),
        lambda: against_key(legacy.parse_key_conditions({"a": condition}), table(("a", "N")), None),
    ):
        with pytest.raises(ValidationException) as refused:
            make()
        assert refused.value.message == message


@pytest.mark.parametrize(
    ("condition", "rule"),
    [
        ({"Value": n("1"), "AttributeValueList": [n("1")]}, "Value and AttributeValueList cannot be used together"),
        ({"Exists": False, **compared("EQ", n("1"))}, "Exists and ComparisonOperator cannot be used together"),
        ({"ComparisonOperator": "EQ"}, "Value or AttributeValueList must be used with ComparisonOperator: EQ"),
        ({"AttributeValueList": [n("1")]}, "AttributeValueList can only be used with a ComparisonOperator"),
        ({}, "Value must be provided when Exists is null"),
        ({"Exists": True}, "Value must be provided when Exists is true"),
        ({"Exists": False, "Value": n("1")}, "Value cannot be used when Exists is false"),
    ],
)
def test_a_malformed_expectation_is_refused_in_dynamodbs_words(condition: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValidationException) as refused:
        legacy.expected({"a": condition}, None)
    assert refused.value.message == f"{INVALID}{rule} for Attribute: a"


def test_a_query_filter_may_not_read_the_key() -> None:
    music = table(("p", "S"), ("c", "S"))
    predicate = legacy.filter_conditions({"a": compared("NULL"), "c": compared("NULL")}, None, "QueryFilter")
    with pytest.raises(ValidationException) as refused:
        predicate.refuse_key_attributes(music, None)
    assert refused.value.message == (
        "QueryFilter can only contain non-primary key attributes: Primary key attribute: c"
    )


MUSIC = table(("p", "S"), ("c", "S"))
X = (s("x"),)


@pytest.mark.parametrize(
    ("condition", "asked"),
    [
        (None, KeyCondition(X, (), None, ())),
        (compared("EQ", s("1")), KeyCondition(X, (s("1"),), None, ())),
        (compared("LT", s("1")), KeyCondition(X, (), "<", (s("1"),))),
        (compared("LE", s("1")), KeyCondition(X, (), "<=", (s("1"),))),
        (compared("GT", s("1")), KeyCondition(X, (), ">", (s("1"),))),
        (compared("GE", s("1")), KeyCondition(X, (), ">=", (s("1"),))),
        (compared("BETWEEN", s("1"), s("2")), KeyCondition(X, (), "BETWEEN", (s("1"), s("2")))),
        (compared("BEGINS_WITH", s("1")), KeyCondition(X, (), "begins_with", (s("1"),))),
    ],
)
def test_key_conditions(condition: dict[str, Any] | None, asked: KeyCondition) -> None:
    conditions = {"p": compared("EQ", s("x"))} | ({"c": condition} if condition else {})
    assert against_key(legacy.parse_key_conditions(conditions), MUSIC, None) == asked


NOT_INDEXABLE = "Attempted conditional constraint is not an indexable operation"


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        *[({"p": compared("EQ", s("x")), "c": compared(o, s("x"))}, NOT_INDEXABLE) for o in ("NE", "CONTAINS", "NOT_CONTAINS", "IN")],
        *[({"p": compared(o)}, NOT_INDEXABLE) for o in ("NULL", "NOT_NULL")],
        ({"p": compared("LT", s("x"))}, "Query key condition not supported"),
        ({"p": compared("BETWEEN", s("x"), s("y"))}, "Query key condition not supported"),
        ({"c": compared("EQ", s("x"))}, "Query condition missed key schema element: p"),
        ({"p": compared("EQ", s("x")), "a": compared("EQ", s("x"))}, "Query condition missed key schema element: c"),
        ({"p": compared("EQ", n("1"))}, INVALID + "Condition parameter type does not match schema type"),
    ],
)  # fmt: skip
def test_key_conditions_that_cannot_be_asked(conditions: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationException) as refused:
        against_key(legacy.parse_key_conditions(conditions), MUSIC, None)
    assert refused.value.message == message


@pytest.mark.parametrize(
    ("before", "updates", "after"),
    [
        ({"a": s("x")}, {"b": {"Value": n("1.0"), "Action": "PUT"}}, {"a": s("x"), "b": n("1")}),
        ({"a": s("x")}, {"a": {"Value": M}}, {"a": M}),
        ({}, {"a.b": {"Value": n("1")}}, {"a.b": n("1")}),
        ({"a": s("x"), "b": s("y")}, {"a": {"Action": "DELETE"}, "c": {"Action": "DELETE"}}, {"b": s("y")}),
        ({"a": {"SS": ["x", "y"]}}, {"a": {"Action": "DELETE", "Value": {"SS": ["y", "z"]}}}, {"a": {"SS": ["x"]}}),
        ({"a": {"SS": ["x"]}}, {"a": {"Action": "DELETE", "Value": {"SS": ["x"]}}}, {}),
        ({}, {"a": {"Action": "DELETE", "Value": {"SS": ["x"]}}}, {}),
        ({"a": n("7")}, {"a": {"Action": "ADD", "Value": n("-3.5")}}, {"a": n("3.5")}),
        ({"a": {"NS": ["1"]}}, {"a": {"Action": "ADD", "Value": {"NS": ["1", "2"]}}}, {"a": {"NS": ["1", "2"]}}),
        ({"a": L}, {"a": {"Action": "ADD", "Value": L}}, {"a": {"L": [n("1"), n("1")]}}),
        ({}, {"a": {"Action": "ADD", "Value": n("2")}, "b": {"Action": "ADD", "Value": L}}, {"a": n("2"), "b": L}),
    ],
)
def test_attribute_updates(before: Item, updates: dict[str, Any], after: Item) -> None:
    assert legacy.attribute_updates(updates).apply(before) == after


def test_attribute_updates_touch_what_they_name() -> None:
    updates = legacy.attribute_updates({"a": {"Action": "ADD", "Value": n("2")}, "b": {"Action": "DELETE"}})
    assert list(updates.top_level_names) == ["a", "b"]
    assert updates.updated({"a": n("1"), "b": n("2"), "c": n("3")}) == {"a": n("1"), "b": n("2")}


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"Action": "PUT"}, "Only DELETE action is allowed when no attribute value is specified"),
        ({"Action": "ADD"}, "Only DELETE action is allowed when no attribute value is specified"),
        ({}, "Only DELETE action is allowed when no attribute value is specified"),
        *[({"Action": "DELETE", "Value": v}, f"DELETE action with value is not supported for the type {t}") for t, v in (("S", s("b")), ("N", n("3")), ("BOOL", TRUE), ("L", L), ("M", M))],
        *[({"Action": "ADD", "Value": v}, f"ADD action is not supported for the type {t}") for t, v in (("S", s("b")), ("B", b(b"x")), ("BOOL", TRUE), ("M", M))],
        ({"Value": {"SS": []}}, "An string set  may not be empty"),
    ],
)  # fmt: skip
def test_a_malformed_attribute_update_is_refused_in_dynamodbs_words(update: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationException) as refused:
        legacy.attribute_updates({"a": update})
    assert refused.value.message == INVALID + message


@pytest.mark.parametrize("action", ["ADD", "DELETE"])
@pytest.mark.parametrize("there", [n("2"), s("x"), L, {"NS": ["1"]}])
def test_attribute_updates_of_another_type(action: str, there: dict[str, Any]) -> None:
    updates = legacy.attribute_updates({"a": {"Action": action, "Value": SS}})
    with pytest.raises(ValidationException) as refused:
        updates.apply({"a": there})
    assert refused.value.message == "Type mismatch for attribute to update"


def test_attributes_to_get() -> None:
    assert legacy.attributes_to_get(["a", "a.b", "q"]).apply({"a": n("1"), "a.b": n("2"), "c": n("3")}) == {
        "a": n("1"),
        "a.b": n("2"),
    }
    with pytest.raises(ValidationException) as refused:
        legacy.attributes_to_get(["a", "b", "a"])
    assert refused.value.message == f"{INVALID}Duplicate value in attribute name: a"


def test_names_must_be_names() -> None:
    for make in (
        lambda name: legacy.attributes_to_get([name]),
        lambda name: legacy.attribute_updates({name: {"Value": n("1")}}),
        lambda name: legacy.expected({name: {"Value": n("1")}}, None),
    ):
        with pytest.raises(ValidationException) as refused:
            make("")
        assert refused.value.message == f"{INVALID}Empty attribute name"
        with pytest.raises(ValidationException) as refused:
            make("x" * 65536)
        assert refused.value.message == (
            f"{INVALID}Attribute name is too large, must be less than 65536 bytes, actual: 65536"
        )
