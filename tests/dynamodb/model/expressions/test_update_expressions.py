"""Updates: those that are refused before an item is read, those that an item makes impossible, and the resulting
items."""

# ruff: noqa: E501 - DynamoDB's texts stand whole in the tables

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from jedlik.dynamodb.model.expressions.updates import BoundUpdate, update
from testing.dynamodb.schemas import b, n, s, table

Values = dict[str, dict[str, Any]]
Item = dict[str, dict[str, Any]]


def bound(text: str, values: Values | None = None, names: dict[str, str] | None = None) -> BoundUpdate:
    return update(text, Placeholders(names, values))


def applied(text: str, item: Item, values: Values | None = None, names: dict[str, str] | None = None) -> Item:
    """The item after an update, which must not have changed the one before."""
    before = copy.deepcopy(item)
    after = bound(text, values, names).apply(item)
    assert item == before
    return after


def strings(*elements: str) -> dict[str, Any]:
    return {"L": [s(e) for e in elements]}


UNDEFINED_NAME = "An expression attribute name used in the document path is not defined; attribute name: "
UNDEFINED_VALUE = "An expression attribute value used in expression is not defined; attribute value: "
WRONG_TYPE = "Incorrect operand type for operator or function; operator or function: "
CLASH = "with each other; must remove or rewrite one of these paths; path one: "
TRUE, NULL = {"BOOL": True}, {"NULL": True}
L: dict[str, Any] = {"L": []}
M: dict[str, Any] = {"M": {}}
SS, NS, BS = {"SS": ["a"]}, {"NS": ["1"]}, {"BS": ["YQ=="]}
BY_TYPE = {
    "S": s("a"),
    "N": n("1"),
    "B": b(b"a"),
    "BOOL": TRUE,
    "NULL": NULL,
    "L": L,
    "M": M,
    "SS": SS,
    "NS": NS,
    "BS": BS,
}
ADD_TYPES = {"S": "STRING", "B": "BINARY", "BOOL": "BOOL", "NULL": "NULL", "L": "LIST", "M": "MAP"}


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        ("", None, "The expression can not be empty;"),
        ("INVALID SYNTAX HERE", None, 'Syntax error; token: "INVALID", near: "INVALID SYNTAX"'),
        # Names, then overlapping and conflicting paths, then values.
        ("SET #x = :v", None, UNDEFINED_NAME + "#x"),
        ("SET a = #x, a = b", None, UNDEFINED_NAME + "#x"),
        ("SET a = if_not_exists(:v)", None, UNDEFINED_VALUE + ":v"),
        ("SET a = :v, b = :w", {":v": s("a")}, UNDEFINED_VALUE + ":w"),
        ("SET a = :v REMOVE a", None, f"Two document paths overlap {CLASH}[a], path two: [a]"),
        ("SET a = :v, a.b = :v", None, f"Two document paths overlap {CLASH}[a], path two: [a, b]"),
        ("SET a.b.c = :v, a.b = :v", None, f"Two document paths overlap {CLASH}[a, b, c], path two: [a, b]"),
        ("SET a[1] = :v, a[1][2][3] = :v", None, f"Two document paths overlap {CLASH}[a, [1]], path two: [a, [1], [2], [3]]"),
        ("SET d[1] = a, d.b = a, c[1].a = a, c = if_not_exists(a)", None, f"Two document paths overlap {CLASH}[c, [1], a], path two: [c]"),
        ("SET a.b = :v, a[1] = :v", None, f"Two document paths conflict {CLASH}[a, b], path two: [a, [1]]"),
        ("REMOVE a.b.c SET a.b[2] = :v", None, f"Two document paths conflict {CLASH}[a, b, c], path two: [a, b, [2]]"),
        ("SET a" + ".b" * 32 + " = :v", None, "The document path has too many nesting levels; nesting levels: 33"),
        # Operands of ADD and DELETE, before those of functions.
        ("SET b = list_append(:v, a), c = if_not_exists(a) ADD a.b :v", {":v": s("a")}, "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"),
        *[(f"{verb} a.b :v", {":v": BY_TYPE[t]}, f"Incorrect operand type for operator or function; operator: {verb}, operand type: {name}, typeSet: ALLOWED_FOR_ADD_OPERAND") for verb in ("ADD", "DELETE") for t, name in ADD_TYPES.items()],
        ("DELETE a :v", {":v": n("1")}, "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_ADD_OPERAND"),
        # Operands of functions.
        ("SET a = if_not_exists(c)", None, "Incorrect number of operands for operator or function; operator or function: if_not_exists, number of operands: 1"),
        ("SET a = list_append(b, c, d)", None, "Incorrect number of operands for operator or function; operator or function: list_append, number of operands: 3"),
        ("SET a = if_not_exists(:v, c)", {":v": s("a")}, "Operator or function requires a document path; operator or function: if_not_exists"),
        ("SET a = if_not_exists(if_not_exists(a, b), c)", None, "Operator or function requires a document path; operator or function: if_not_exists"),
        *[("SET a = list_append(b, :v)", {":v": v}, WRONG_TYPE + f"list_append, operand type: {t}") for t, v in BY_TYPE.items() if t != "L"],
        *[(f"SET a = :v {o} b", {":v": v}, WRONG_TYPE + f"{o}, operand type: {t}") for o in "+-" for t, v in BY_TYPE.items() if t != "N"],
        ("SET a = list_append(:v, :w) + b", {":v": L, ":w": L}, "The function is not allowed to be used this way in an expression; function: list_append"),
    ],
)  # fmt: skip
def test_a_malformed_update_is_refused_in_dynamodbs_words(text: str, values: Values | None, message: str) -> None:
    with pytest.raises(ValidationException) as refused:
        bound(text, values)
    assert refused.value.message == f"Invalid UpdateExpression: {message}"


def test_paths_are_compared_after_the_look_up_of_their_names() -> None:
    with pytest.raises(ValidationException) as refused:
        bound("SET #c[3].#d = a, c[3] = a", names={"#c": "c", "#d": "[3]"})
    assert refused.value.message == (
        f"Invalid UpdateExpression: Two document paths overlap {CLASH}[c, [3], [3]], path two: [c, [3]]"
    )


V = {":v": n("7")}


@pytest.mark.parametrize(
    ("before", "text", "values", "after"),
    [
        # SET
        ({}, "SET a = :v", V, {"a": n("7")}),
        ({"a": s("x"), "b": s("y")}, "SET a = :v", V, {"a": n("7"), "b": s("y")}),
        ({"a": s("x")}, "SET b = a", None, {"a": s("x"), "b": s("x")}),
        ({"a": s("x"), "b": s("y")}, "SET a = b, b = a", None, {"a": s("y"), "b": s("x")}),
        ({"a": s("x")}, "REMOVE a SET b = a", None, {"b": s("x")}),
        ({"a": n("2")}, "SET a = a + :v", V, {"a": n("9")}),
        ({"a": n("2")}, "SET a = :v - a, b = a + a", V, {"a": n("5"), "b": n("4")}),
        ({"a": n("1.5")}, "SET a = (a - :v)", V, {"a": n("-5.5")}),
        ({}, "SET a = if_not_exists(a, :v)", V, {"a": n("7")}),
        ({"a": s("x")}, "SET a = if_not_exists(a, :v), b = if_not_exists(c, a)", V, {"a": s("x"), "b": s("x")}),
        ({"a": s("x")}, "SET b = if_not_exists(a, c)", None, {"a": s("x"), "b": s("x")}),
        ({}, "SET a = if_not_exists(a, if_not_exists(b, :v)) + :v", V, {"a": n("14")}),
        ({"a": strings("x")}, "SET a = list_append(a, :v)", {":v": strings("y")}, {"a": strings("x", "y")}),
        ({"a": strings("x")}, "SET a = list_append(:v, a)", {":v": strings("y")}, {"a": strings("y", "x")}),
        ({"a": strings("x")}, "SET b = list_append(a, a)", None, {"a": strings("x"), "b": strings("x", "x")}),
        ({}, "SET a = list_append(if_not_exists(a, :v), :v)", {":v": strings("y")}, {"a": strings("y", "y")}),
        # SET in documents
        ({"a": {"M": {"b": n("3")}}}, "SET a.b = :v, a.c = a.b", V, {"a": {"M": {"b": n("7"), "c": n("3")}}}),
        ({"a": strings("x", "y")}, "SET a[1] = :v", V, {"a": {"L": [s("x"), n("7")]}}),
        ({"a": L}, "SET a[0] = :v", V, {"a": {"L": [n("7")]}}),
        ({"a": {"M": {"c": {"L": [s("x"), {"M": {"z": {"L": [n("1"), n("2")]}}}]}}}}, "SET a.c[1].z[1] = :v", V, {"a": {"M": {"c": {"L": [s("x"), {"M": {"z": {"L": [n("1"), n("7")]}}}]}}}}),
        ({"a": {"M": {"x": n("1"), "c": {"M": {}}}}, "b": M}, "SET a.b = :v, a.c.d = :v, b.x = :v REMOVE a.x", V, {"a": {"M": {"b": n("7"), "c": {"M": {"d": n("7")}}}}, "b": {"M": {"x": n("7")}}}),
        # An index beyond the end appends, in the order of the indexes.
        ({"a": strings("x")}, "SET a[84] = :d, a[37] = :b, a[17] = :a, a[50] = :c", {f":{c}": s(c) for c in "abcd"}, {"a": strings("x", "a", "b", "c", "d")}),
        # REMOVE; indexes are those before the update, wherever they stand.
        ({"a": s("x"), "b": s("y")}, "REMOVE a, c", None, {"b": s("y")}),
        ({"a": {"M": {"b": n("1")}}}, "REMOVE a.b", None, {"a": M}),
        ({"a": strings("x")}, "REMOVE a[0]", None, {"a": L}),
        ({"a": strings("a", "b", "c", "d")}, "REMOVE a[2], a[0], a[17]", None, {"a": strings("b", "d")}),
        ({"a": strings("a", "b", "c", "d")}, "REMOVE a[1] SET a[3] = :v, a[9] = :v", V, {"a": {"L": [s("a"), s("c"), n("7"), n("7")]}}),
        ({"a": strings("a", "b", "c", "d")}, "SET a[3] = :v REMOVE a[1]", V, {"a": {"L": [s("a"), s("c"), n("7")]}}),
        ({"a": {"M": {"x": n("3")}}}, "REMOVE a.y", None, {"a": {"M": {"x": n("3")}}}),
        ({"a": {"L": [{"M": {"x": {"L": [n("3"), n("5"), n("7")]}, "q": n("2")}}]}}, "REMOVE a[0].x[1], a[0].q", None, {"a": {"L": [{"M": {"x": {"L": [n("3"), n("7")]}}}]}}),
        # ADD
        ({"a": n("3")}, "ADD a :v, b :v", V, {"a": n("10"), "b": n("7")}),
        ({"a": {"SS": ["x", "y"]}}, "ADD a :v, b :v", {":v": {"SS": ["y", "z"]}}, {"a": {"SS": ["x", "y", "z"]}, "b": {"SS": ["y", "z"]}}),
        ({"a": {"M": {"b": n("1")}}}, "ADD a.b :v, a.c :v", V, {"a": {"M": {"b": n("8"), "c": n("7")}}}),
        ({"a": {"L": [{"NS": ["1"]}]}}, "ADD a[0] :v, a[5] :v", {":v": {"NS": ["2"]}}, {"a": {"L": [{"NS": ["1", "2"]}, {"NS": ["2"]}]}}),
        # DELETE
        ({"a": {"SS": ["x", "y", "z"]}}, "DELETE a :v, b :v", {":v": {"SS": ["y", "w"]}}, {"a": {"SS": ["x", "z"]}}),
        ({"a": {"NS": ["1"]}, "b": s("x")}, "DELETE a :v", {":v": {"NS": ["1", "2"]}}, {"b": s("x")}),
        ({"a": {"M": {"b": {"SS": ["x"]}}}}, "DELETE a.b :v, a.c :v", {":v": {"SS": ["x"]}}, {"a": M}),
        # All of them
        ({"a": n("1"), "c": SS, "d": s("x")}, "SET b = a REMOVE d ADD a :v DELETE c :w", {":v": n("2"), ":w": SS}, {"a": n("3"), "b": n("1")}),
    ],
)  # fmt: skip
def test_the_item_after_an_update(before: Item, text: str, values: Values | None, after: Item) -> None:
    assert applied(text, before, values) == after


INVALID_PATH = "The document path provided in the update expression is invalid for update"
INCORRECT = "An operand in the update expression has an incorrect data type"
MISSING = "The provided expression refers to an attribute that does not exist in the item"
THERE: Item = {"b": s("x"), "c": {"M": {"1": s("a")}}, "d": {"L": [s("a"), s("b")]}, "n": n("1"), "t": NS}


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        *[(f"{verb} {path}{value}", {":v": SS} if value else None, INVALID_PATH)
          for verb, value in (("SET", " = :v"), ("REMOVE", ""), ("ADD", " :v"), ("DELETE", " :v"))
          for path in ("b.a", "b[1]", "y.a", "y[1]", "c[1]", "d.a", "c.y.z", "c.y[0]", "d[7].a", "d[7][0]")],
        ("SET a = z", None, MISSING),
        ("SET z = z", None, MISSING),
        ("SET x = :v, y = x", V, MISSING),
        ("SET a = z + :v", V, MISSING),
        ("SET a = c.z", None, MISSING),
        ("SET a = list_append(z, :v)", {":v": L}, MISSING),
        ("SET a = if_not_exists(z, y)", None, MISSING),
        ("SET a = b + :v", V, INCORRECT),
        ("SET a = :v - b", V, INCORRECT),
        ("SET a = list_append(b, :v)", {":v": L}, INCORRECT),
        ("SET a = list_append(:v, t)", {":v": L}, INCORRECT),
        ("ADD b :v", V, INCORRECT),
        ("ADD t :v", V, INCORRECT),
        ("ADD n :v", {":v": NS}, INCORRECT),
        ("ADD d :v", {":v": NS}, INCORRECT),
        ("ADD t :v", {":v": SS}, INCORRECT),
        ("DELETE t :v", {":v": SS}, INCORRECT),
        ("DELETE b :v", {":v": SS}, INCORRECT),
        ("ADD big :v", {":v": n("9" * 38 + "0" * 88)}, "Number overflow. Attempting to store a number with magnitude larger than supported range"),
    ],
)  # fmt: skip
def test_an_item_can_make_an_update_impossible(text: str, values: Values | None, message: str) -> None:
    item = {**THERE, "big": n("9" * 38 + "0" * 88)}
    action = bound(text, values)
    with pytest.raises(ValidationException) as refused:
        action.apply(item)
    assert refused.value.message == message


KEY = {"p": s("key")}


@pytest.mark.parametrize(
    ("text", "values", "after"),
    [
        ("SET a = :v", V, {**KEY, "a": n("7")}),
        ("SET a = p", None, {**KEY, "a": s("key")}),
        ("SET a = if_not_exists(a, :v) + :v", V, {**KEY, "a": n("14")}),
        ("ADD a :v", V, {**KEY, "a": n("7")}),
        ("REMOVE a, b.c, d[0]", None, KEY),
        ("DELETE a :v", {":v": SS}, KEY),
    ],
)
def test_without_an_item_its_key_is_updated(text: str, values: Values | None, after: Item) -> None:
    assert bound(text, values).apply(KEY, exists=False) == after


@pytest.mark.parametrize("text", ["SET b.a = p", "SET b[1] = p", "SET b.a = p REMOVE b.c", "ADD b.c :v"])
def test_a_path_needs_its_parents_even_without_an_item(text: str) -> None:
    with pytest.raises(ValidationException) as refused:
        bound(text, V if ":v" in text else None).apply(KEY, exists=False)
    assert refused.value.message == INVALID_PATH


@pytest.mark.parametrize(
    ("before", "text", "values", "old", "new"),
    [
        ({"a": s("x"), "b": s("y")}, "SET b = :v, c = :v", V, {"b": s("y")}, {"b": n("7"), "c": n("7")}),
        ({"a": s("x"), "b": s("y")}, "REMOVE b", None, {"b": s("y")}, {}),
        ({"a": n("1")}, "SET a = a + :v", V, {"a": n("1")}, {"a": n("8")}),
        ({"a": n("1")}, "ADD a :v", V, {"a": n("1")}, {"a": n("8")}),
        ({"a": {"M": {"b": s("x"), "k": s("y")}}}, "SET a.b = :v", V, {"a": {"M": {"b": s("x")}}}, {"a": {"M": {"b": n("7")}}}),
        ({"a": {"M": {"b": s("x"), "c": strings("x", "y", "z")}}}, "SET a.c[1] = :v, a.b = :v", V, {"a": {"M": {"b": s("x"), "c": strings("y")}}}, {"a": {"M": {"b": n("7"), "c": {"L": [n("7")]}}}}),
        ({"a": {"M": {}}}, "SET a.x = :v", V, {}, {"a": {"M": {"x": n("7")}}}),
        # An appended element is not found at its index; where one was removed its successor is.
        ({"a": strings("x")}, "SET a[100] = :v", V, {}, {}),
        ({"a": strings("x", "y", "z")}, "REMOVE a[1], a[3]", None, {"a": strings("y")}, {"a": strings("z")}),
    ],
)  # fmt: skip
def test_the_parts_that_an_update_touches(before: Item, text: str, values: Values | None, old: Item, new: Item) -> None:
    action = bound(text, values)
    assert action.updated(before) == old
    assert action.updated(action.apply(before)) == new


MUSIC = table(("p", "S"), ("c", "S"), global_={"g": ([("e", "S")], [])})
SCALARS = "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: "


def cannot(name: str) -> str:
    return (
        f"One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of the key"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SET p = a", cannot("p")),
        ("SET a = b REMOVE c", cannot("c")),
        ("REMOVE c, p", cannot("c")),
        ("SET p.a = p[0]", cannot("p")),
        ("SET a = p.b", SCALARS + "Key: p"),
        ("SET e.a = b", SCALARS + "IndexKey: e"),
        ("SET a = list_append(b, c), d = e[1]", SCALARS + "IndexKey: e"),
    ],
)
def test_an_update_may_not_change_the_key_nor_look_into_one(text: str, message: str) -> None:
    with pytest.raises(ValidationException) as refused:
        bound(text).refuse_key_attributes(MUSIC)
    assert refused.value.message == message


def test_an_update_may_read_the_key_and_change_that_of_an_index() -> None:
    bound("SET a = p, e = c REMOVE f.g").refuse_key_attributes(MUSIC)


def test_an_update_lists_the_attributes_that_it_changes() -> None:
    assert list(bound("SET b.x = a REMOVE c[0], b.y ADD d :v", V).top_level_names) == ["b", "c", "d"]


def test_an_update_cannot_nest_deeper_than_32_levels() -> None:
    deep: dict[str, Any] = s("x")
    for _ in range(31):
        deep = {"M": {"k": deep}}
    item: Item = {"a": {"M": {"m": {"M": {}}}}, "b": deep}
    assert applied("SET a.x = b", item)["a"]["M"]["x"] == deep
    with pytest.raises(ValidationException, match=r"^Nesting Levels have exceeded supported limits"):
        bound("SET a.m.x = b").apply(item)


# Against a model: many changes of one list of numbers, made one after the other on a list with holes.

ONE = st.tuples(st.integers(0, 9), st.sampled_from(["SET", "REMOVE"]))


@settings(deadline=None)
@given(st.integers(0, 6), st.lists(ONE, min_size=1, max_size=8, unique_by=lambda change: change[0]))
def test_changes_of_a_list_agree_with_a_model(length: int, changes: list[tuple[int, str]]) -> None:
    cells: list[str | None] = [str(i) for i in range(length)]
    added = []
    for index, verb in sorted(changes):
        if index < length:
            cells[index] = str(100 + index) if verb == "SET" else None
        elif verb == "SET":
            added.append(str(100 + index))
    sets = ", ".join(f"l[{i}] = :v{i}" for i, verb in changes if verb == "SET")
    removals = ", ".join(f"l[{i}]" for i, verb in changes if verb == "REMOVE")
    text = (f"SET {sets} " if sets else "") + (f"REMOVE {removals}" if removals else "")
    values = {f":v{i}": n(str(100 + i)) for i, verb in changes if verb == "SET"} or None
    after = applied(text, {"l": {"L": [n(str(i)) for i in range(length)]}}, values)
    assert after == {"l": {"L": [n(cell) for cell in cells if cell is not None] + [n(a) for a in added]}}
