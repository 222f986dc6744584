"""Conditions and filters: those that are refused before an item is read, and those that an item makes true."""

# ruff: noqa: E501 - DynamoDB's texts stand whole in the tables

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import values
from jedlik.dynamodb.model.expressions.ast import And, Comparison, Literal, Path
from jedlik.dynamodb.model.expressions.conditions import Kind, Predicate, compile_condition, condition
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from testing.dynamodb.schemas import b, n, s, table

Values = dict[str, dict[str, Any]]
Item = dict[str, dict[str, Any]]


def predicate(
    text: str, values: Values | None = None, names: dict[str, str] | None = None, kind: Kind = "ConditionExpression"
) -> Predicate:
    return condition(text, Placeholders(names, values), kind)


def holds(text: str, item: Item, values: Values | None = None, names: dict[str, str] | None = None) -> bool:
    return predicate(text, values, names)(item)


def refusal(text: str, values: Values | None = None, names: dict[str, str] | None = None) -> str:
    with pytest.raises(ValidationException) as refused:
        predicate(text, values, names, "FilterExpression")
    return refused.value.message


TRUE, NULL = {"BOOL": True}, {"NULL": True}
L: dict[str, Any] = {"L": []}
M: dict[str, Any] = {"M": {}}
SS, NS, BS = {"SS": ["a"]}, {"NS": ["1"]}, {"BS": ["YQ=="]}
UNDEFINED_NAME = "An expression attribute name used in the document path is not defined; attribute name: "
UNDEFINED_VALUE = "An expression attribute value used in expression is not defined; attribute value: "
WRONG_TYPE = "Incorrect operand type for operator or function; operator or function: "
WRONG_COUNT = "Incorrect number of operands for operator or function; operator or function: "
NEEDS_PATH = "Operator or function requires a document path; operator or function: "
NOT_DISTINCT = (
    "The first operand must be distinct from the remaining operands for this operator or function; operator: "
)
ANY = "{B,NULL,SS,BOOL,L,BS,N,NS,S,M}"


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("", None, "The expression can not be empty;"),
        ("a", None, 'Syntax error; token: "<EOF>", near: "a"'),
        # Placeholders, from left to right.
        ("attribute_exists(#Pictures.RearView, :a) and a = b", None, UNDEFINED_NAME + "#Pictures"),
        ("begins_with(Pictures.#RearView)", None, UNDEFINED_NAME + "#RearView"),
        ("(a)between(b.c[45].#d)and(:a)", None, UNDEFINED_NAME + "#d"),
        ("begins_with(:hello, #x, #y)", None, UNDEFINED_VALUE + ":hello"),
        (":a < :b", {":b": s("b")}, UNDEFINED_VALUE + ":a"),
        ("a = :a AND contains(#x, b)", {":a": s("b")}, UNDEFINED_NAME + "#x"),
        ("begins_with(a, :n) AND b = :missing", {":n": n("1")}, WRONG_TYPE + "begins_with, operand type: N"),
        ("b = :missing AND begins_with(a, :n)", {":n": n("1")}, UNDEFINED_VALUE + ":missing"),
        # How many operands.
        ("attribute_exists(things, a) and a = a", None, WRONG_COUNT + "attribute_exists, number of operands: 2"),
        ("attribute_type(things)", None, WRONG_COUNT + "attribute_type, number of operands: 1"),
        ("begins_with(things, size(a), b)", None, WRONG_COUNT + "begins_with, number of operands: 3"),
        ("contains(things)", None, WRONG_COUNT + "contains, number of operands: 1"),
        ("size(things, a) > b", None, WRONG_COUNT + "size, number of operands: 2"),
        # Paths.
        ("attribute_exists(:a) and a = a", {":a": s("1")}, NEEDS_PATH + "attribute_exists"),
        ("attribute_not_exists(size(:a))", {":a": s("1")}, NEEDS_PATH + "attribute_not_exists"),
        ("attribute_not_exists(size(:a))", {":a": n("1")}, WRONG_TYPE + "size, operand type: N"),
        ("a" + ".b" * 32 + " = :a", {":a": s("1")}, "The document path has too many nesting levels; nesting levels: 33"),
        # The same operand twice.
        ("a = a AND b = c", None, NOT_DISTINCT + "=, first operand: [a]"),
        ("a.b <> a.b", None, NOT_DISTINCT + "<>, first operand: [a, b]"),
        ("((a > a) OR (b < c))", None, NOT_DISTINCT + ">, first operand: [a]"),
        ("contains(a.b[1].c, a.b[1].c)", None, NOT_DISTINCT + "contains, first operand: [a, b, [1], c]"),
        ("begins_with(a, a)", None, NOT_DISTINCT + "begins_with, first operand: [a]"),
        ("a IN (b, a)", None, NOT_DISTINCT + "IN, first operand: [a]"),
        # Types.
        *[(f"a {o} :v", {":v": v}, WRONG_TYPE + f"{o}, operand type: {values.type_of(v)}") for o in ("<", "<=", ">", ">=") for v in (TRUE, NULL, L, M, SS, NS, BS)],
        *[("begins_with(:v, a)", {":v": v}, WRONG_TYPE + f"begins_with, operand type: {values.type_of(v)}") for v in (n("1"), TRUE, NULL, L, M, SS, NS, BS)],
        *[("size(:v) > a", {":v": v}, WRONG_TYPE + f"size, operand type: {values.type_of(v)}") for v in (n("1"), TRUE, NULL)],
        ("a BETWEEN :v AND :w", {":v": L, ":w": L}, WRONG_TYPE + "BETWEEN, operand type: L"),
        ("begins_with(a, size(b)) and a = c", None, WRONG_TYPE + "begins_with, operand type: N"),
        ("size(size(a)) > b", None, WRONG_TYPE + "size, operand type: N"),
        ("attribute_type(a, size(b)) and a = c", None, WRONG_TYPE + "attribute_type, operand type: N"),
        ("attribute_type(a, b)", None, WRONG_TYPE + f"attribute_type, operand type: {ANY}"),
        ("attribute_type(a, :v)", {":v": SS}, WRONG_TYPE + "attribute_type, operand type: SS"),
        ("attribute_type(a, :v)", {":v": s("DOG")}, f"Invalid attribute type name found; type: DOG, valid types: {ANY}"),
        # Bounds and lists.
        ("a BETWEEN :v AND :w", {":v": n("1"), ":w": s("a")}, "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {N:1}, upper bound operand: AttributeValue: {S:a}"),
        ("a BETWEEN :v AND :w", {":v": n("5"), ":w": n("3")}, "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:5}, upper bound operand: AttributeValue: {N:3}"),
        ("a BETWEEN :v AND :w", {":v": b(b"z"), ":w": b(b"a")}, "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {B:eg==}, upper bound operand: AttributeValue: {B:YQ==}"),
        (f"a IN ({', '.join(':v' for _ in range(101))})", {":v": s("a")}, "The IN operator is provided with too many operands; number of operands: 101"),
    ],
)  # fmt: skip
def test_a_malformed_condition_is_refused_in_dynamodbs_words(text: str, values: Values | None, message: str) -> None:
    assert refusal(text, values) == f"Invalid FilterExpression: {message}"


def test_names_are_compared_after_their_look_up() -> None:
    names = {"#a": "a"}
    assert refusal("#a <> a", names=names) == f"Invalid FilterExpression: {NOT_DISTINCT}<>, first operand: [a]"
    assert refusal("a > #a", names=names) == f"Invalid FilterExpression: {NOT_DISTINCT}>, first operand: [a]"


def test_the_error_names_the_kind_of_expression() -> None:
    with pytest.raises(ValidationException, match=r"^Invalid ConditionExpression: The expression can not be empty;$"):
        predicate("", kind="ConditionExpression")


ONE_OF_EACH: list[dict[str, Any]] = [
    n("1"),
    s("hello"),
    TRUE,
    b(b"xyz"),
    NULL,
    {"L": [s("hello"), n("42")]},
    {"M": {"hello": s("world")}},
    {"SS": ["hello", "world"]},
    {"NS": ["1", "2", "3"]},
    {"BS": ["eHl6", "aGk="]},
]


@pytest.mark.parametrize("left", ONE_OF_EACH)
@pytest.mark.parametrize("right", ONE_OF_EACH)
def test_values_of_different_types_are_never_equal(left: dict[str, Any], right: dict[str, Any]) -> None:
    item = {"a": left, "b": right}
    assert holds("a = b", item) is (left is right)
    assert holds("a = :v", {"a": left}, {":v": right}) is (left is right)
    assert holds("a <> b", item) is (left is not right)
    assert holds("a IN (b)", item) is (left is right)


def test_sets_are_equal_in_any_order_however_deep_they_are() -> None:
    item = {"a": {"M": {"x": {"L": [{"SS": ["p", "q"]}]}}}}
    assert holds("a = :v", item, {":v": {"M": {"x": {"L": [{"SS": ["q", "p"]}]}}}})
    assert not holds("a = :v", item, {":v": {"M": {"x": {"L": [{"SS": ["q", "r"]}]}}}})


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("q = z", False),
        ("q <> z", True),
        ("q <> a", True),
        ("q < a", False),
        ("a > q", False),
        ("q BETWEEN a AND z", False),
        ("q IN (z, a)", False),
        ("NOT q = a", True),
        ("NOT q < a", True),
        ("size(q) < a", False),
        ("size(q) <> a", True),
        ("contains(q, a)", False),
        ("begins_with(q, a)", False),
        ("begins_with(a, q)", False),
        ("attribute_exists(q)", False),
        ("attribute_not_exists(q)", True),
        ("a.b = a", False),
        ("a[0] <> a", True),
    ],
)
def test_a_missing_attribute_equals_nothing(text: str, truth: bool) -> None:
    assert holds(text, {"a": n("1")}) is truth


ITEM: Item = {
    "a": n("1"),
    "b": s("cat"),
    "c": b(b"\x80"),
    "d": {"L": [n("2"), s("dog"), {"SS": ["x", "y"]}, {"L": [n("3")]}]},
    "e": {"M": {"x": n("2"), "y": {"L": [n("-1"), n("2")]}, "z": NULL}},
    "f": {"NS": ["2", "4", "7"]},
    "g": {"BS": ["YQ==", "Yg=="]},
    "h": TRUE,
    "i": {"SS": ["cat", "bird"]},
    "j": s("ütf"),
    "k": NULL,
}


@pytest.mark.parametrize(
    ("text", "values", "truth"),
    [
        # Order.
        ("a < :v", {":v": n("1.5")}, True),
        ("a < :v", {":v": n("1")}, False),
        ("a <= :v", {":v": n("1")}, True),
        ("a > :v", {":v": n("-3")}, True),
        ("a >= :v", {":v": n("10")}, False),
        ("a < :v", {":v": s("2")}, False),
        ("NOT a < :v", {":v": s("2")}, True),
        ("b < :v", {":v": s("dog")}, True),
        ("c > :v", {":v": b(b"\x7f")}, True),
        ("d < :v", {":v": n("1")}, False),
        (":v > a", {":v": n("2")}, True),
        ("a BETWEEN :v AND :w", {":v": n("1"), ":w": n("1")}, True),
        ("b BETWEEN :v AND :w", {":v": s("dog"), ":w": s("zebra")}, False),
        ("a BETWEEN d AND :w", {":w": n("1")}, False),
        ("c between :v and :w", {":v": b(b"\x7e"), ":w": b(b"\x80")}, True),
        ("b IN (:v, :w)", {":v": n("1"), ":w": s("cat")}, True),
        ("b IN (:v, :w)", {":v": n("1"), ":w": s("cats")}, False),
        # Paths.
        ("e.x < e.y[1]", None, False),
        ("e.x = e.y[1]", None, True),
        ("e.y[0] < e.x", None, True),
        ("attribute_exists(e.y[1])", None, True),
        ("attribute_exists(e.y[2])", None, False),
        ("attribute_exists(e.y.z)", None, False),
        ("attribute_exists(e[0])", None, False),
        ("attribute_exists(b.x)", None, False),
        ("attribute_not_exists(e.q.r)", None, True),
        # Functions.
        ("attribute_exists(k)", None, True),
        ("attribute_type(f, :v)", {":v": s("NS")}, True),
        ("attribute_type(f, :v)", {":v": s("N")}, False),
        ("attribute_type(q, :v)", {":v": s("N")}, False),
        ("attribute_type(k, :v)", {":v": s("NULL")}, True),
        ("attribute_type(:w, :v)", {":v": s("N"), ":w": n("1")}, True),
        ("begins_with(b, :v)", {":v": s("ca")}, True),
        ("begins_with(b, :v)", {":v": s("cats")}, False),
        ("begins_with(:v, b)", {":v": s("cats")}, True),
        ("begins_with(c, :v)", {":v": b(b"\x80")}, True),
        ("begins_with(c, :v)", {":v": s("c")}, False),
        ("begins_with(a, :v)", {":v": s("1")}, False),
        ("contains(b, :v)", {":v": s("at")}, True),
        ("contains(b, :v)", {":v": s("dog")}, False),
        ("contains(b, :v)", {":v": n("1")}, False),
        ("contains(c, :v)", {":v": b(b"")}, True),
        ("contains(i, :v)", {":v": s("bird")}, True),
        ("contains(i, :v)", {":v": s("bir")}, False),
        ("contains(f, :v)", {":v": n("4")}, True),
        ("contains(f, :v)", {":v": s("4")}, False),
        ("contains(f, :v)", {":v": {"NS": ["4"]}}, False),
        ("contains(g, :v)", {":v": b(b"b")}, True),
        ("contains(d, :v)", {":v": s("dog")}, True),
        ("contains(d, :v)", {":v": {"SS": ["y", "x"]}}, True),
        ("contains(d, :v)", {":v": {"L": [n("3")]}}, True),
        ("contains(d, :v)", {":v": n("3")}, False),
        ("contains(e, :v)", {":v": s("x")}, False),
        ("contains(h, :v)", {":v": TRUE}, False),
        ("size(b) = :v", {":v": n("3")}, True),
        ("size(j) = :v", {":v": n("3")}, True),
        ("size(c) = :v", {":v": n("1")}, True),
        ("size(d) = :v", {":v": n("4")}, True),
        ("size(e) = :v", {":v": n("3")}, True),
        ("size(f) BETWEEN :v AND :v", {":v": n("3")}, True),
        ("size(e.y) IN (:v, :w)", {":v": n("5"), ":w": n("2")}, True),
        ("size(a) = :v", {":v": n("1")}, False),
        ("size(h) <> :v", {":v": n("1")}, True),
        ("size(b) = :v", {":v": s("dog")}, False),
        ("size(:w) >= :v", {":v": n("2"), ":w": s("abc")}, True),
        # Logic.
        ("a = :v OR b = :v AND h = :v", {":v": n("1")}, True),
        ("(a = :v OR b = :v) AND h = :v", {":v": n("1")}, False),
        ("NOT a = :v AND b = :v", {":v": n("2")}, False),
        ("NOT (a = :v AND b = :v)", {":v": n("2")}, True),
        ("a = :v AND b = :w AND h = :x", {":v": n("1"), ":w": s("cat"), ":x": TRUE}, True),
        ("NOT NOT NOT a = :v", {":v": n("1")}, False),
    ],
)  # fmt: skip
def test_a_condition_on_an_item(text: str, values: Values | None, truth: bool) -> None:
    assert holds(text, ITEM, values) is truth


def test_names_may_be_anything_behind_their_placeholders() -> None:
    item = {"a.b": {"M": {"and": n("1")}}}
    assert holds("#x.#y = :v", item, {":v": n("1")}, {"#x": "a.b", "#y": "and"})
    assert not holds("a.b.#y = :v", item, {":v": n("1")}, {"#y": "and"})


def test_the_same_text_is_another_condition_with_other_names_and_values() -> None:
    item = {"a": n("1"), "b": n("2")}
    for name, value, truth in (("a", "1", True), ("b", "1", False), ("b", "2", True), ("c", "2", False)):
        assert holds("#n = :v", item, {":v": n(value)}, {"#n": name}) is truth


def test_the_deepest_possible_condition_is_evaluated() -> None:
    assert holds("a<b " + "and (b>a or (b>c " * 74 + "))" * 74, {"a": n("1"), "b": n("2")})
    assert not holds("not " * 299 + "a<b", {"a": n("1"), "b": n("2")})


def test_a_predicate_lists_the_attributes_that_it_reads() -> None:
    read = predicate("#a.b = :v OR size(c) > d[0] AND attribute_exists(e)", {":v": s("x")}, {"#a": "a"})
    assert read.attribute_names == {"a", "c", "d", "e"}


MUSIC = table(("p", "S"), ("c", "S"), local={"l": ("d", "N")}, global_={"g": ([("e", "S"), ("f", "S")], [("g", "S")])})
FILTER = "Filter Expression can only contain non-primary key attributes: Primary key attribute: "
SCALARS = "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: "


@pytest.mark.parametrize(
    ("text", "index", "message"),
    [
        ("a = p", None, FILTER + "p"),
        ("attribute_exists(c) AND size(p) > a", None, FILTER + "p"),
        ("c.x = a", None, FILTER + "c"),
        ("d = a", "l", FILTER + "d"),
        ("f = a", "g", FILTER + "f"),
        ("g = a", "g", FILTER + "g"),
    ],
)
def test_a_filter_may_not_read_the_key_that_is_queried(text: str, index: str | None, message: str) -> None:
    filter_ = predicate(text, kind="FilterExpression")
    with pytest.raises(ValidationException) as refused:
        filter_.refuse_key_attributes(MUSIC, None if index is None else MUSIC.index(index))
    assert refused.value.message == message


def test_a_filter_may_read_the_keys_of_others() -> None:
    predicate("d = :v AND g = :v", {":v": n("1")}).refuse_key_attributes(MUSIC, None)
    predicate("c = :v", {":v": n("1")}).refuse_key_attributes(MUSIC, MUSIC.index("g"))


@pytest.mark.parametrize(
    ("text", "message"), [("p.x = a", SCALARS + "Key: p"), ("a = size(e[0])", SCALARS + "IndexKey: e")]
)
def test_a_path_may_not_go_into_a_key(text: str, message: str) -> None:
    with pytest.raises(ValidationException) as refused:
        predicate(text).refuse_nested_keys(MUSIC)
    assert refused.value.message == message
    predicate("a.b = a AND p = e").refuse_nested_keys(MUSIC)


def test_literals_may_stand_where_placeholders_do() -> None:
    tree = And((Comparison("<", Path(("a",)), Literal(n("2"))), Comparison("=", Path(("b",)), Literal(s("cat")))))
    assert compile_condition(tree).test(ITEM, {})


# Against a model: conditions on three attributes, decided by Python's own logic.

scalars = st.none() | st.integers(-3, 3).map(lambda i: n(str(i))) | st.sampled_from(["", "a", "ab", "b"]).map(s)
attributes = st.fixed_dictionaries({"a": scalars, "b": scalars, "c": scalars})
OPERATORS = ["=", "<>", "<", "<=", ">", ">="]
comparisons = st.tuples(st.sampled_from("ab"), st.sampled_from(OPERATORS), st.sampled_from(["c", ":v"]))
trees: st.SearchStrategy[Any] = st.recursive(
    comparisons,
    lambda inner: st.tuples(st.just("NOT"), inner) | st.tuples(inner, st.sampled_from(["AND", "OR"]), inner),
    max_leaves=6,
)


def written(tree: Any) -> str:
    if tree[0] == "NOT":
        return f"NOT ({written(tree[1])})" if tree[1][0] != "NOT" else f"NOT {written(tree[1])}"
    if tree[1] in ("AND", "OR"):
        return f"({written(tree[0])}) {tree[1]} ({written(tree[2])})"
    return " ".join(tree)


def truth(tree: Any, attributes: dict[str, Any]) -> bool:
    if tree[0] == "NOT":
        return not truth(tree[1], attributes)
    if tree[1] == "AND":
        return truth(tree[0], attributes) and truth(tree[2], attributes)
    if tree[1] == "OR":
        return truth(tree[0], attributes) or truth(tree[2], attributes)
    left, right = attributes[tree[0]], attributes[tree[2]]
    if left is None or right is None or left.keys() != right.keys():
        return bool(tree[1] == "<>")
    x, y = (int(v["N"]) if "N" in v else v["S"] for v in (left, right))
    return {"=": x == y, "<>": x != y, "<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y}[tree[1]]


@settings(deadline=None)
@given(trees, attributes, scalars.filter(lambda v: v is not None))
def test_conditions_agree_with_a_model(tree: Any, attributes: dict[str, Any], value: dict[str, Any]) -> None:
    text = written(tree)
    item = {name: v for name, v in attributes.items() if v is not None}
    known = {":v": value} if ":v" in text else None
    assert holds(text, item, known) is truth(tree, {**attributes, ":v": value})
