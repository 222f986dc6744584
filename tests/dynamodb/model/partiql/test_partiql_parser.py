"""The grammar: which texts are statements, and DynamoDB's errors for all others."""

from __future__ import annotations

from typing import Any

import pytest

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model.partiql.statement_parser import parse
from jedlik.dynamodb.model.partiql.syntax import (
    Bag,
    Between,
    Binary,
    Call,
    Is,
    ListOf,
    Literal,
    Logical,
    Manipulation,
    Missing,
    Name,
    Node,
    Parameter,
    Path,
    Query,
    Removal,
    Struct,
    Unary,
)

NOT_WELL_FORMED = "Statement wasn't well formed, can't be processed: "


def shape(node: Node) -> Any:
    """A tree of expressions in few words."""
    match node:
        case Name(name=name):
            return name
        case Literal(token, text):
            return repr(text) if token.kind == "string" else text
        case Missing():
            return "missing"
        case Parameter(index=index):
            return f"?{index}"
        case Path(root=root, steps=steps):
            return ("path", shape(root), *map(shape, steps))
        case Call(name=name, arguments=arguments):
            return (name, *map(shape, arguments))
        case Unary(operator=operator, operand=operand):
            return (operator, shape(operand))
        case Binary(operator=operator, left=left, right=right):
            return (operator, shape(left), shape(right))
        case Logical(operator=operator, operands=operands):
            return (operator, *map(shape, operands))
        case Between(operand=operand, low=low, high=high):
            return ("between", shape(operand), shape(low), shape(high))
        case Is(operand=operand, type=type_):
            return ("is", shape(operand), type_)
        case ListOf(members=members):
            return [shape(member) for member in members]
        case Bag(members=members):
            return ("bag", *map(shape, members))
        case Struct(fields=fields):
            return {shape(name): shape(value) for name, value in fields}
    raise AssertionError(node)


def parsed(text: str) -> Any:
    return shape(parse(text)[0])


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a OR b AND NOT c = 1", ("or", "a", ("and", "b", ("not", ("=", "c", "1"))))),
        ("a AND b AND c", ("and", "a", "b", "c")),
        ("(a OR b) AND c", ("and", ("or", "a", "b"), "c")),
        ("NOT NOT a", ("not", ("not", "a"))),
        ("a = b < c", ("=", "a", ("<", "b", "c"))),
        ("a + b - c * d", ("-", ("+", "a", "b"), ("*", "c", "d"))),
        ("a != 1", ("<>", "a", "1")),
        ("a BETWEEN 1 AND 2 AND b", ("and", ("between", "a", "1", "2"), "b")),
        ("a NOT BETWEEN 1 AND 2", ("not", ("between", "a", "1", "2"))),
        ("a IN (1, 2)", ("in", "a", ["1", "2"])),
        ("a IN (1)", ("in", "a", ["1"])),
        ("a NOT IN [1]", ("not", ("in", "a", ["1"]))),
        ("a IS MISSING", ("is", "a", "MISSING")),
        ("a IS NOT NULL", ("not", ("is", "a", "NULL"))),
        ("a IS bool", ("is", "a", "BOOLEAN")),
        ("a IS DOUBLE PRECISION", ("is", "a", "DOUBLE_PRECISION")),
        ("a IS CHARACTER VARYING", ("is", "a", "CHARACTER_VARYING")),
        ("a IS INT4", ("is", "a", "INTEGER4")),
        ("-1", "-1"),
        ("- -1", "1"),
        ("+1", "1"),
        ("-a", ("-", "a")),
        ("a.b[0].\"c\"['d']", ("path", "a", "b", "0", "c", "'d'")),
        ("SIZE(a)", ("size", "a")),
        ("Begins_With(a, 'b')", ("begins_with", "a", "'b'")),
        ("count(*)", ("count",)),
        ("[]", []),
        ("[1, 'a', [true]]", ["1", "'a'", ["true"]]),
        ("<<1, 2>>", ("bag", "1", "2")),
        ("<<>>", ("bag",)),
        ("{}", {}),
        ("{'a': null, 'b': {'c': MISSING}}", {"'a'": "null", "'b'": {"'c'": "missing"}}),
        ("(1, 2)", ["1", "2"]),
        ("(a)", "a"),
        ("year = 1 AND both = 2", ("and", ("=", "year", "1"), ("=", "both", "2"))),
        ("? = ?", ("=", "?0", "?1")),
        ("a;", "a"),
    ],
)
def test_expressions(text: str, tree: Any) -> None:
    assert parsed(text) == tree


def test_parameters_are_counted_in_the_order_of_the_text() -> None:
    node, count = parse("UPDATE t SET a = ? WHERE b = ? AND c BETWEEN ? AND ?")
    assert count == 4
    assert isinstance(node, Manipulation)
    assert node.where is not None
    assert shape(node.where) == ("and", ("=", "b", "?1"), ("between", "c", "?2", "?3"))


def test_a_select_has_a_list_sources_a_condition_and_an_order() -> None:
    node, _ = parse('select a, b.c from "t"."i" where a = 1 order by a desc, b asc, c')
    assert isinstance(node, Query)
    assert node.projection is not None
    assert [shape(each) for each in node.projection] == ["a", ("path", "b", "c")]
    assert [shape(each) for each in node.sources] == [("path", "t", "i")]
    assert [(shape(key), down) for key, down in node.order] == [("a", True), ("b", False), ("c", False)]


def test_update_clauses_repeat_and_set_takes_several_assignments() -> None:
    node, _ = parse("UPDATE t SET a = 1, b = 2 SET c = 3 REMOVE d REMOVE e[0] WHERE k = 1 RETURNING modified old *")
    assert isinstance(node, Manipulation)
    assert [shape(action.target) for action in node.actions if isinstance(action, Removal)] == ["d", ("path", "e", "0")]
    assert len(node.actions) == 5
    assert node.returning == "MODIFIED OLD"


def test_from_may_come_first() -> None:
    node, _ = parse("FROM t WHERE k = 1 SET a = 2 RETURNING ALL NEW *")
    assert isinstance(node, Manipulation)
    assert (len(node.actions), node.returning) == (1, "ALL NEW")


LEFT_OVER = "Unexpected token after expression"
NO_TERM = "Unexpected term"
NO_NAME = "Expected identifier for simple path"
NO_ACTION = "Expected data manipulation"
NO_RIGHT_SIDE = "Missing right-hand side expression of infix operator"


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        # What is left over.
        ("SELECT * FROM t WHERE pk = 1 foo", LEFT_OVER),
        ("SELECT * FROM t WHERE pk = 1 e5", LEFT_OVER),
        ("SELECT * FROM t WHERE pk = 1)", LEFT_OVER),
        ("SELECT * FROM t ORDER BY pk WHERE pk = 1", LEFT_OVER),
        ("INSERT INTO t VALUE {'pk': 1} foo", LEFT_OVER),
        ("INSERT INTO t u VALUE {'pk': 'x'}", LEFT_OVER),
        ("UPDATE t SET a = 9 WHERE pk = 1 foo", LEFT_OVER),
        ("UPDATE t REMOVE a, b WHERE pk = 1", LEFT_OVER),
        ("UPDATE t SET a = 3 RETURNING ALL NEW * WHERE pk = 1", LEFT_OVER),
        ("DELETE FROM t WHERE pk = 1 ORDER BY pk", LEFT_OVER),
        ("FROM t SET c = 1 WHERE pk = 1", LEFT_OVER),
        ("SELECTT * FROMM t", LEFT_OVER),
        ("SELECT * FROM t; SELECT * FROM t", "Unexpected token after semicolon. (Only one query is allowed.)"),
        # What is missing.
        ("", NO_TERM),
        ("SELECT * FROM", NO_TERM),
        ("SELECT * FROM t WHERE", NO_TERM),
        ("SELECT * FROM t WHERE;", NO_TERM),
        ("SELECT * FROM t WHERE NOT", NO_TERM),
        ("SELECT * FROM t WHERE (", NO_TERM),
        ("INSERT INTO t", NO_TERM),
        ("UPDATE t SET a = 1 WHERE", NO_TERM),
        ("DELETE FROM t WHERE", NO_TERM),
        ("SELECT * FROM t WHERE pk = 'p1' AND", NO_RIGHT_SIDE),
        ("SELECT * FROM t WHERE pk = 'p1' OR", NO_RIGHT_SIDE),
        ("SELECT * FROM t WHERE a BETWEEN 1 AND", "Expected expression after AND"),
        ("SELECT * FROM t WHERE a BETWEEN 1", "Expected AND"),
        ("SELECT *", "Expected FROM after SELECT list"),
        ("SELECT", NO_TERM),
        ("INSERT INTO", NO_NAME),
        ("DELETE FROM", NO_NAME),
        ("DELETE FROM;", NO_NAME),
        ("DELETE FROM WHERE pk = 'a'", NO_NAME),
        ("UPDATE t SET WHERE pk = 1", NO_NAME),
        ("DELETE t WHERE pk = 1", "Expected FROM after DELETE"),
        ("UPDATE t SET a WHERE pk = 1", "Expected '='"),
        ("UPDATE t WHERE pk = 1", NO_ACTION),
        ("UPDATE t-1 SET a = 1", NO_ACTION),
        ("UPDATE t ADD a 1", NO_ACTION),
        ("SLECT * FROM t WHERE pk = 1", NO_ACTION),
        ("()", "Expression group cannot be empty"),
        # What does not belong.
        ("SELECT * FROM t WHERE ORDER BY pk", "Unexpected keyword"),
        ("SELECT * FROM t WHERE date = 1", "Unexpected keyword"),
        ("INSERT t VALUE {'pk': 1}", "Unexpected keyword"),
        ("INSERT INTO t (key, value) VALUES (1, 2)", "Unexpected keyword"),
        ("SELECT * FROM t WHERE IS NULL", "Unexpected operator"),
        ("SELECT * FROM t WHERE pk = LIKE", "Unexpected operator"),
        ("SELECT * FROM t WHERE pk == 1", "Unexpected operator"),
        ("SELECT * FROM t WHERE x IS FOO", "Expected type name"),
        ("SELECT * FROM t WHERE m.inner = 1", "Invalid path dot component"),
        ("INSERT INTO 't' VALUE {'pk': 1}", NO_NAME),
        ("INSERT INTO t VALUES {'pk': 1}", "Expected LEFT_PAREN for row value constructor"),
        (
            "SELECT *, pk FROM t",
            "Other expressions may not be present in the select list when '*' is used without dot notation.",
        ),
        (
            "DELETE FROM t WHERE pk = 1 RETURNING *",
            "Expected ( MODIFIED | ALL ) ( NEW | OLD ) in each returning element.",
        ),
    ],
)
def test_what_is_no_statement(text: str, detail: str) -> None:
    with pytest.raises(ValidationException) as refusal:
        parse(text)
    assert refusal.value.message == NOT_WELL_FORMED + detail


ALIAS = "Aliasing is not supported"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT * FROM t u WHERE pk = 'x'", ALIAS),
        ("SELECT * FROM t AS u", ALIAS),
        ("SELECT a AS b FROM t", ALIAS),
        ("SELECT a b FROM t", ALIAS),
        ("UPDATE t u SET a = 3", ALIAS),
        ("DELETE FROM t u", ALIAS),
        ("SELECT DISTINCT a FROM t", "Unsupported token in expression: DISTINCT"),
        ("SELECT VALUE a FROM t", "Select projection doesn't support value or pivot keywords"),
        ("SELECT * FROM t GROUP BY a", "Unsupported clause: GROUP BY"),
        ("SELECT * FROM t LIMIT 10", "Unsupported clause: LIMIT at 1:23:2"),
        ("INSERT INTO t VALUE {'pk': 1} AT 1", "AT is not supported in insert statements. at 1:1:6"),
        ("INSERT INTO t VALUE {'pk': 1} ON CONFLICT DO NOTHING", "Unsupported clause: ON CONFLICT"),
        ("INSERT INTO t VALUE {'pk': 1} RETURNING ALL OLD *", "RETURNING is not supported in INSERT"),
        (
            "DELETE FROM t RETURNING ALL OLD a",
            "Expected '*' after ( MODIFIED | ALL ) ( NEW | OLD ) in RETURNING clause",
        ),
        (
            "UPDATE t SET a = 1 RETURNING ALL OLD *, ALL NEW *",
            "Invalid syntax with multiple returning elements in RETURNING clause",
        ),
    ],
)
def test_clauses_of_sql_that_dynamodb_does_not_have(text: str, message: str) -> None:
    with pytest.raises(ValidationException) as refusal:
        parse(text)
    assert refusal.value.message == message


def test_an_expression_has_at_most_300_operators() -> None:
    parse("SELECT * FROM t WHERE " + " AND ".join(["a"] * 301))
    with pytest.raises(ValidationException) as refusal:
        parse("SELECT * FROM t WHERE " + " AND ".join(["a"] * 302))
    assert refusal.value.message == "The expression contains too many operators; operator count: 301"


@pytest.mark.parametrize(("opening", "closing"), [("(", ")"), ("[", "]"), ("<<", ">>"), ("{'a':", "}"), ("a[", "]")])
def test_deep_brackets_are_refused_without_a_crash(opening: str, closing: str) -> None:
    parse(opening * 40 + "1" + closing * 40)
    with pytest.raises(ValidationException) as refusal:
        parse(opening * 1000 + "1" + closing * 1000)
    assert refusal.value.message == NOT_WELL_FORMED + "Expression is nested too deeply"
