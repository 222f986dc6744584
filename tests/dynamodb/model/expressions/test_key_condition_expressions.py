"""Key conditions: the conditions that a Query may have on the key of a table, or of an index with several
attributes."""

# ruff: noqa: E501 - DynamoDB's texts stand whole in the tables

from __future__ import annotations

from typing import Any

import pytest

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model.expressions.key_conditions import KeyCondition, against_key, parse_key_condition
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from testing.dynamodb.schemas import b, n, s, table

Values = dict[str, dict[str, Any]]

MUSIC = table(
    ("p", "S"),
    ("c", "N"),
    local={"binary": ("b", "B")},
    global_={
        "one": ([("g", "S")], []),
        "many": ([("h1", "S"), ("h2", "N")], [("r1", "S"), ("r2", "N"), ("r3", "S")]),
    },
)
ALBUMS = table(("p", "S"))
P, Q = {":p": s("x")}, {":p": s("x"), ":c": n("3"), ":d": n("5")}


def asked(
    text: str, values: Values | None, index: str | None = None, names: dict[str, str] | None = None
) -> KeyCondition:
    known = Placeholders(names, values)
    condition = against_key(parse_key_condition(text, known), MUSIC, None if index is None else MUSIC.index(index))
    known.check_all_used()
    return condition


@pytest.mark.parametrize(
    ("text", "values", "condition"),
    [
        ("p = :p", P, KeyCondition((s("x"),), (), None, ())),
        (":p = p", P, KeyCondition((s("x"),), (), None, ())),
        ("p = :p AND c = :c", {**P, ":c": n("3.0")}, KeyCondition((s("x"),), (n("3"),), None, ())),
        ("((c = :c) AND (p = :p))", {**P, ":c": n("3")}, KeyCondition((s("x"),), (n("3"),), None, ())),
        ("p = :p AND c < :c", {**P, ":c": n("3")}, KeyCondition((s("x"),), (), "<", (n("3"),))),
        ("p = :p AND c <= :c", {**P, ":c": n("3")}, KeyCondition((s("x"),), (), "<=", (n("3"),))),
        ("p = :p AND :c < c", {**P, ":c": n("3")}, KeyCondition((s("x"),), (), ">", (n("3"),))),
        ("p = :p AND :c >= c", {**P, ":c": n("3")}, KeyCondition((s("x"),), (), "<=", (n("3"),))),
        ("p=:p AnD c BeTwEeN :c aNd :d", Q, KeyCondition((s("x"),), (), "BETWEEN", (n("3"), n("5")))),
    ],
)
def test_a_condition_on_a_table(text: str, values: Values, condition: KeyCondition) -> None:
    assert asked(text, values) == condition


def test_begins_with_and_names() -> None:
    values = {":p": s("x"), ":b": b(b"\x00")}
    condition = asked("#p = :p AND begins_with(#b, :b)", values, "binary", {"#p": "p", "#b": "b"})
    assert condition == KeyCondition((s("x"),), (), "begins_with", (b(b"\x00"),))


H = {":h": s("x"), ":i": n("1")}
HASH = (s("x"), n("1"))


@pytest.mark.parametrize(
    ("text", "values", "condition"),
    [
        ("h1 = :h AND h2 = :i", H, KeyCondition(HASH, (), None, ())),
        ("h2 = :i AND h1 = :h AND r1 = :a", {**H, ":a": s("a")}, KeyCondition(HASH, (s("a"),), None, ())),
        ("r2 > :b AND h2 = :i AND h1 = :h AND r1 = :a", {**H, ":a": s("a"), ":b": n("2")}, KeyCondition(HASH, (s("a"),), ">", (n("2"),))),
        ("h1 = :h AND h2 = :i AND r1 = :a AND r2 = :b AND begins_with(r3, :a)", {**H, ":a": s("a"), ":b": n("2")}, KeyCondition(HASH, (s("a"), n("2")), "begins_with", (s("a"),))),
        ("h1 = :h AND h2 = :i AND r1 = :a AND r2 = :b AND r3 = :a", {**H, ":a": s("a"), ":b": n("2")}, KeyCondition(HASH, (s("a"), n("2"), s("a")), None, ())),
    ],
)  # fmt: skip
def test_a_condition_on_an_index_with_several_attributes(text: str, values: Values, condition: KeyCondition) -> None:
    assert asked(text, values, "many") == condition


INVALID = "Invalid KeyConditionExpression: "
OPERATOR = "Invalid operator used in KeyConditionExpression: "
BAD = "Invalid KeyConditionExpression: Invalid condition in KeyConditionExpression: "
NESTED_OPERATIONS = INVALID + "KeyConditionExpressions cannot contain nested operations"
NESTED_ATTRIBUTES = INVALID + "KeyConditionExpressions cannot have conditions on nested attributes"
ONE_PER_KEY = INVALID + "KeyConditionExpressions must only contain one condition per key"
SCHEMA_TYPE = "One or more parameter values were invalid: Condition parameter type does not match schema type"
MISSED = "Query condition missed key schema element: "
RANGE = "RANGE key attributes {} must have equality conditions specified in the query because a condition is present on key attribute {}"
V = {":v": s("1")}


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        # As expressions.
        ("", P, INVALID + "The expression can not be empty;"),
        ("p=:p AND c!=:c", Q, INVALID + 'Syntax error; token: "!", near: "c!="'),
        ("p = :p", None, INVALID + "An expression attribute value used in expression is not defined; attribute value: :p"),
        ("((p = :p) AND ((c = :c)))", Q, INVALID + "The expression has redundant parentheses;"),
        ("p = :p AND dog(c, :c)", Q, INVALID + "Invalid function name; function: dog"),
        ("p = :p AND BEGINS_WITH(c, :c)", Q, INVALID + "Invalid function name; function: BEGINS_WITH"),
        ("p = :p AND begins_with(c, :c)", Q, INVALID + "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"),
        ("p = :p AND c < :b", {**P, ":b": {"BOOL": True}}, INVALID + "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL"),
        ("p = :p AND c BETWEEN :d AND :c", Q, INVALID + "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:5}, upper bound operand: AttributeValue: {N:3}"),
        ("p = :missing AND begins_with(c, :c)", Q, INVALID + "An expression attribute value used in expression is not defined; attribute value: :missing"),
        # As key conditions.
        ("p = :p AND attribute_exists(c)", P, OPERATOR + "attribute_exists"),
        ("contains(a.d, b)", None, OPERATOR + "contains"),
        ("attribute_type(a, :v)", {":v": s("S")}, OPERATOR + "attribute_type"),
        ("a > b and size(b) > c or a > c", None, OPERATOR + "OR"),
        ("NOT c = :c AND p = :p", Q, OPERATOR + "NOT"),
        ("a in (b, size(c), d)", None, OPERATOR + "IN"),
        ("p = :p AND c <> :c", Q, OPERATOR + "<>"),
        (":v between size(b) and size(a) and b > :v", V, BAD + "BETWEEN operator must have the key attribute as its first operand"),
        ("begins_with(:v, b) and a > :v", V, BAD + "begins_with operator must have the key attribute as its first operand"),
        ("size(b) > a AND a.b > b AND b > c", None, NESTED_OPERATIONS),
        ("a between size(b) and size(a)", None, NESTED_OPERATIONS),
        ("p = c", None, BAD + "Multiple attribute names used in one condition"),
        ("begins_with(a, b)", None, BAD + "Multiple attribute names used in one condition"),
        ("b > a.b", None, BAD + "Multiple attribute names used in one condition"),
        ("p = :p AND c.b < :c", Q, NESTED_ATTRIBUTES),
        ("b[0] > a", None, NESTED_ATTRIBUTES),
        (":p = :v", {**P, **V}, BAD + "No key attribute specified"),
        ("p = :p AND p = :p", P, ONE_PER_KEY),
        ("p = :p AND c > :c AND c < :d", Q, ONE_PER_KEY),
        # Against the key.
        ("p = :p AND c > :c AND extra = :d", Q, "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)"),
        ("c = :c", {":c": n("3")}, MISSED + "p"),
        ("a = :v", V, MISSED + "p"),
        ("p = :p AND a < :v", {**P, **V}, MISSED + "c"),
        ("p < :p", P, "Query key condition not supported"),
        ("begins_with(p, :p)", P, "Query key condition not supported"),
        ("p BETWEEN :p AND :p AND c = :c", {**P, ":c": n("1")}, "Query key condition not supported"),
        ("p = :n", {":n": n("3")}, SCHEMA_TYPE),
        ("p < :n", {":n": n("3")}, SCHEMA_TYPE),
        ("p = :p AND c = :v", {**P, **V}, SCHEMA_TYPE),
        ("p = :p AND c = :v", {**P, ":v": {"BOOL": True}}, SCHEMA_TYPE),
        ("p = :p AND begins_with(c, :v)", {**P, **V}, SCHEMA_TYPE),
    ],
)  # fmt: skip
def test_conditions_that_a_table_refuses(text: str, values: Values | None, message: str) -> None:
    with pytest.raises(ValidationException) as refused:
        asked(text, values)
    assert refused.value.message == message


def test_a_table_without_a_sort_key_accepts_one_condition() -> None:
    with pytest.raises(ValidationException) as refused:
        against_key(parse_key_condition("p = :p AND a = :p", Placeholders(None, P)), ALBUMS, None)
    assert refused.value.message == ("Query key condition not supported")


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("h1 = :h", {":h": s("x")}, "HASH key attributes h2 must have equality conditions specified in the query"),
        ("h1 = :h AND h2 > :i", H, "HASH key attributes h2 must have equality conditions specified in the query"),
        ("h1 = :h AND h2 BETWEEN :i AND :i", H, "HASH key attributes h2 must have equality conditions specified in the query"),
        ("r1 = :a AND r2 = :i", {":a": s("a"), ":i": n("1")}, "HASH key attributes h1 must have equality conditions specified in the query"),
        ("h1 = :i AND h2 = :i", {":i": n("1")}, SCHEMA_TYPE),
        ("h1 = :h AND h2 = :i AND r2 = :i", H, RANGE.format("r1", "r2")),
        ("h1 = :h AND h2 = :i AND r1 = :h AND r3 = :h", H, RANGE.format("r2", "r3")),
        ("h1 = :h AND h2 = :i AND r1 > :h AND r2 = :i", H, RANGE.format("r1", "r2")),
        ("h1 = :h AND h2 = :i AND begins_with(r1, :h) AND r2 > :i", H, RANGE.format("r1", "r2")),
        ("h1 = :h AND h2 = :i AND r1 = :h AND begins_with(r2, :h)", H, SCHEMA_TYPE),
        ("h1 = :h AND h2 = :i AND a = :h", H, MISSED + "r1"),
    ],
)  # fmt: skip
def test_conditions_that_an_index_with_several_attributes_refuses(text: str, values: Values, message: str) -> None:
    with pytest.raises(ValidationException) as refused:
        asked(text, values, "many")
    assert refused.value.message == message


LONG_PARTITION = (
    "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes"
)
LONG_SORT = "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of 1024 bytes"


@pytest.mark.parametrize(
    ("text", "values", "index", "message"),
    [
        ("p = :p", {":p": s("x" * 2048)}, None, None),
        ("p = :p", {":p": s("ä" * 1024)}, None, None),
        ("p = :p", {":p": s("x" * 2049)}, None, LONG_PARTITION),
        ("p = :p", {":p": s("ä" * 1024 + "x")}, None, LONG_PARTITION),
        ("p = :p AND c = :c", {":p": s("x" * 2049), ":c": n("1")}, None, LONG_PARTITION),
        ("p = :p AND b = :b", {**P, ":b": b(b"x" * 1024)}, "binary", None),
        ("p = :p AND b = :b", {**P, ":b": b(b"x" * 1025)}, "binary", LONG_SORT),
        ("p = :p AND b > :b", {**P, ":b": b(b"x" * 1025)}, "binary", LONG_SORT),
        ("p = :p AND b BETWEEN :a AND :b", {**P, ":a": b(b"a"), ":b": b(b"x" * 1025)}, "binary", LONG_SORT),
        ("p = :p AND b BETWEEN :a AND :b", {**P, ":a": b(b"a" * 1024), ":b": b(b"x" * 1024)}, "binary", None),
        ("p = :p AND begins_with(b, :b)", {**P, ":b": b(b"x" * 1025)}, "binary", LONG_SORT),
        ("h1 = :h AND h2 = :i", {":h": s("x" * 2046), ":i": n("1")}, "many", None),
        ("h1 = :h AND h2 = :i", {":h": s("x" * 2047), ":i": n("1")}, "many", LONG_PARTITION),
        ("h1 = :h AND h2 = :i AND r1 = :a AND r2 = :i", {**H, ":a": s("x" * 1022)}, "many", None),
        ("h1 = :h AND h2 = :i AND r1 = :a AND r2 = :i", {**H, ":a": s("x" * 1023)}, "many", LONG_SORT),
        ("h1 = :h AND h2 = :i AND r1 = :a AND r2 < :i", {**H, ":a": s("x" * 1023)}, "many", LONG_SORT),
    ],
)
def test_a_query_for_a_key_that_is_too_long_is_refused(
    text: str, values: Values, index: str | None, message: str | None
) -> None:
    """AWS refuses the same values in a GetItem in this way (us-east-1, 2026-10)."""
    if message is None:
        asked(text, values, index)
        return
    with pytest.raises(ValidationException) as refused:
        asked(text, values, index)
    assert refused.value.message == message
