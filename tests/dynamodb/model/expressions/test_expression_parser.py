"""The grammars: the trees of texts, the refusals and their words, and that no text is too deep."""

# ruff: noqa: E501 - DynamoDB's texts stand whole in the tables

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.dynamodb.model.expressions import ast, lexer, parser
from jedlik.dynamodb.model.expressions.ast import (
    Action,
    And,
    Arithmetic,
    Between,
    Call,
    Comparison,
    In,
    InvalidExpression,
    NamePlaceholder,
    Not,
    Or,
    Path,
    ValuePlaceholder,
)
from jedlik.dynamodb.model.expressions.reserved import is_reserved

A, B, C, D = Path(("a",)), Path(("b",)), Path(("c",)), Path(("d",))
LESS, GREATER = Comparison("<", A, B), Comparison(">", C, D)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a = b", Comparison("=", A, B)),
        (" a\t<>\r\nb ", Comparison("<>", A, B)),
        ("#n.b[2][0].#m <= :v_1", Comparison("<=", Path((NamePlaceholder("#n"), "b", 2, 0, NamePlaceholder("#m"))), ValuePlaceholder(":v_1"))),
        ("a BETWEEN b AND c", Between(A, B, C)),
        ("(a)between(b)and(c)", Between(A, B, C)),
        ("a in (b)", In(A, (B,))),
        ("a IN (b, (c), size(d))", In(A, (B, C, Call("size", (D,))))),
        ("attribute_exists (a)", Call("attribute_exists", (A,))),
        ("a < b AND c > d", And((LESS, GREATER))),
        ("a < b OR c > d AND a < b", Or((LESS, And((GREATER, LESS))))),
        ("(a < b OR c > d) AND a < b", And((Or((LESS, GREATER)), LESS))),
        ("a BETWEEN b AND c AND a < b", And((Between(A, B, C), LESS))),
        ("NOT a < b AND c > d", And((Not(LESS), GREATER))),
        ("not NOT a < b", Not(Not(LESS))),
        ("NOT (a < b)", Not(LESS)),
        ("(NOT a < b)", Not(LESS)),
        ("NOT (a) < b", Not(LESS)),
        ("((a < b) AND c > d)", And((LESS, GREATER))),
        ("(a.b).c < b", Comparison("<", Path(("a", "b", "c")), B)),
        ("a < ((b.c).d)", Comparison("<", A, Path(("b", "c", "d")))),
    ],
)  # fmt: skip
def test_a_condition_parses_to_its_tree(text: str, tree: ast.Condition) -> None:
    assert parser.parse_condition(text) == tree


@pytest.mark.parametrize(
    ("text", "actions"),
    [
        ("SET a = b", [Action("SET", A, B)]),
        ("sEt a=:v", [Action("SET", A, ValuePlaceholder(":v"))]),
        ("SET a = b + c", [Action("SET", A, Arithmetic("+", B, C))]),
        ("SET a = (b - c)", [Action("SET", A, Arithmetic("-", B, C))]),
        ("SET a = (b) + c", [Action("SET", A, Arithmetic("+", B, C))]),
        ("SET a = ((b) + (c))", [Action("SET", A, Arithmetic("+", B, C))]),
        ("SET a = (b)", [Action("SET", A, B)]),
        (
            "SET a = if_not_exists(a, if_not_exists(b, c)) - d",
            [Action("SET", A, Arithmetic("-", Call("if_not_exists", (A, Call("if_not_exists", (B, C)))), D))],
        ),
        (
            "SET a = b, c = d REMOVE a.b, a[0] ADD b :v DELETE c :w",
            [
                Action("SET", A, B),
                Action("SET", C, D),
                Action("REMOVE", Path(("a", "b")), None),
                Action("REMOVE", Path(("a", 0)), None),
                Action("ADD", B, ValuePlaceholder(":v")),
                Action("DELETE", C, ValuePlaceholder(":w")),
            ],
        ),
    ],
)
def test_an_update_parses_to_its_actions(text: str, actions: list[Action]) -> None:
    assert parser.parse_update(text) == tuple(actions)


def test_a_projection_parses_to_its_paths() -> None:
    assert parser.parse_projection(" a , b.c[1],#n ") == (A, Path(("b", "c", 1)), Path((NamePlaceholder("#n"),)))


@pytest.mark.parametrize(
    ("parse", "text", "token", "near"),
    [
        (parser.parse_update, "INVALID SYNTAX HERE", "INVALID", "INVALID SYNTAX"),
        (parser.parse_update, "SET _123 = :v", "_", "SET _123"),
        (parser.parse_update, "ADD hits : incr", ":", "hits : incr"),
        (parser.parse_update, "SET path1 = val 1", "1", "val 1"),
        (parser.parse_update, "ADD numx", "<EOF>", "numx"),
        (parser.parse_update, "ADD a b", "b", "a b"),
        (parser.parse_update, "SET a = :v +", "<EOF>", "+"),
        (parser.parse_update, "SET a = b * :v", "*", "b * :v"),
        (parser.parse_update, "SET a = b + c + d", "+", "c + d"),
        (parser.parse_update, "SET (a = (b + c))", "(", "SET (a"),
        (parser.parse_update, "SET a = (b.c).d", ".", ").d"),
        (parser.parse_update, "SET a = if_not_exists(a, :v + :w)", "+", ":v + :w"),
        (parser.parse_update, "SET a = set", "set", "= set"),
        (parser.parse_update, "SET :a = :b", ":a", "SET :a ="),
        (parser.parse_update, "SET a[:i] = :v", ":i", "[:i]"),
        (parser.parse_update, "SET #l[0.#c = :v", ".", "0.#c"),
        (parser.parse_update, "SET # = :v", "#", "SET # ="),
        (parser.parse_update, "REMOVE a = b", "=", "a = b"),
        (parser.parse_update, "SET a = b,", "<EOF>", ","),
        (parser.parse_projection, "!!! INVALID !!!", "!", "!!"),
        (parser.parse_projection, "a,", "<EOF>", ","),
        (parser.parse_projection, ",a", ",", ",a"),
        (parser.parse_projection, "a[]", "]", "[]"),
        (parser.parse_projection, "a[-1]", "-", "[-1"),
        (parser.parse_projection, "a b", "b", "a b"),
        (parser.parse_condition, "a-b", "-", "a-b"),
        (parser.parse_condition, "a", "<EOF>", "a"),
        (parser.parse_condition, "NOT a  ", "<EOF>", "a"),
        (parser.parse_condition, "a AND :val", "AND", "a AND :val"),
        (parser.parse_condition, "a = :v OR NOT :v", "<EOF>", ":v"),
        (parser.parse_condition, "attribute_exists(a) AND NOT #b", "<EOF>", "#b"),
        (parser.parse_condition, "a = ", "<EOF>", "="),
        (parser.parse_condition, "s == :v", "=", "== :v"),
        (parser.parse_condition, "c!=:c", "!", "c!="),
        (parser.parse_condition, "a IN ()", ")", "()"),
        (parser.parse_condition, "a in b, c", "b", "in b,"),
        (parser.parse_condition, "a in (b,c,)", ")", ",)"),
        (parser.parse_condition, "a > 4", "4", "> 4"),
        (parser.parse_condition, "a > between", "between", "> between"),
        (parser.parse_condition, "(a)between(b.(c.d))and(c)", "(", ".(c"),
        (parser.parse_condition, "(a)between(b)and((c)", "<EOF>", ")"),
        (parser.parse_condition, "(a = b) = c", "=", ") = c"),
        (parser.parse_condition, "size(a).b > a", ".", ").b"),
        (parser.parse_condition, "(size(a))[0] > a", "[", ")[0"),
        (parser.parse_condition, "a > :v.b", ".", ":v.b"),
        (parser.parse_condition, "ü > a", "ü", "ü >"),
        (parser.parse_condition, "a = b)", ")", "b)"),
        (parser.parse_condition, "tenant:abc-", ":abc", "tenant:abc-"),
        (parser.parse_condition, "(" * 4096, "<EOF>", "("),
    ],
)  # fmt: skip
def test_a_syntax_error_shows_the_token_between_its_neighbours(
    parse: Callable[[str], object], text: str, token: str, near: str
) -> None:
    with pytest.raises(InvalidExpression) as refusal:
        parse(text)
    assert str(refusal.value) == f'Syntax error; token: "{token}", near: "{near}"'


REDUNDANT = "The expression has redundant parentheses;"
MISUSED = "The function is not allowed to be used this way in an expression; function: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The expression can not be empty;"),
        ("  ", "The expression can not be empty;"),
        ("a" * 4097, "Expression size has exceeded the maximum allowed size; expression size: 4097"),
        ("ü" * 2049, "Expression size has exceeded the maximum allowed size; expression size: 4098"),
        ("((a = b))", REDUNDANT),
        ("a > ((b))", REDUNDANT),
        ("((a)) > b", REDUNDANT),
        ("((a.b)).c > b", REDUNDANT),
        ("a=a AND ((a=a AND (a=a AND a=a)))", REDUNDANT),
        ("a > whatever((:things), ((a)))", REDUNDANT),
        ("(" * 2046 + "a<b" + ")" * 2046, REDUNDANT),
        ("whatever((:a)) > a", "Invalid function name; function: whatever"),
        ("attRIbute_exIsts((views))", "Invalid function name; function: attRIbute_exIsts"),
        ("if_not_exists(a, b) = c", "The function is not allowed in a condition expression; function: if_not_exists"),
        ("list_append(a, b) = c", "The function is not allowed in a condition expression; function: list_append"),
        ("size(a)", MISUSED + "size"),
        ("NOT size(a)", MISUSED + "size"),
        ("attribute_exists((views)) > b", MISUSED + "attribute_exists"),
        ("size(contains(a, b)) > a", MISUSED + "contains"),
        ("a in (b, attribute_exists(c))", MISUSED + "attribute_exists"),
        ("a between b and begins_with(c, d)", MISUSED + "begins_with"),
        ("attribute_exists(views, #a)", "Attribute name is a reserved keyword; reserved keyword: views"),
        (":a < a.abOrT", "Attribute name is a reserved keyword; reserved keyword: abOrT"),
        ("a = b OR COUNT = c", "Attribute name is a reserved keyword; reserved keyword: COUNT"),
        ("a[2147483648] = b", "List index is not within the allowable range; index: [2147483648]"),
        ("a<b " + "or a<b " * 150, "The expression contains too many operators; operator count: 301"),
        ("a<b " + "or (a<b " * 454 + ")" * 454, "The expression contains too many operators; operator count: 301"),
        ("not " * 1000 + "a<b", "The expression contains too many operators; operator count: 301"),
        ("a < " + "size(" * 680 + "b" + ")" * 680, "The expression contains too many operators; operator count: 301"),
    ],
)  # fmt: skip
def test_a_condition_is_refused_in_dynamodbs_words(text: str, message: str) -> None:
    with pytest.raises(InvalidExpression) as refusal:
        parser.parse_condition(text)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The expression can not be empty;"),
        ("SET a = ((b))", REDUNDANT),
        ("SET a = f(b)", "Invalid function name; function: f"),
        ("SET a = LIST_APPEND(b, c)", "Invalid function name; function: LIST_APPEND"),
        ("SET a = size(b)", "The function is not allowed in an update expression; function: size"),
        ("SET a = contains(b, :c)", "The function is not allowed in an update expression; function: contains"),
        ("SET a = list_append(list_append(b, :c), :d)", MISUSED + "list_append"),
        ("SET a = if_not_exists(b, list_append(b, :c))", MISUSED + "list_append"),
        ("REMOVE Absolute", "Attribute name is a reserved keyword; reserved keyword: Absolute"),
        ("SET #c = :c SET abOrt = true", "Attribute name is a reserved keyword; reserved keyword: abOrt"),
        ("SET a = f(b) SET c = d", "Invalid function name; function: f"),
        ("SET a = #c set c = :d", 'The "SET" section can only be used once in an update expression;'),
        ("add #d :e set a = b add e :f", 'The "ADD" section can only be used once in an update expression;'),
        ("SET a = " + "if_not_exists(b, " * 301 + "b" + ")" * 301, "Expression size has exceeded the maximum allowed size;"),
    ],
)  # fmt: skip
def test_an_update_is_refused_in_dynamodbs_words(text: str, message: str) -> None:
    with pytest.raises(InvalidExpression) as refusal:
        parser.parse_update(text)
    assert str(refusal.value) == message


def test_three_hundred_operators_may_be_nested() -> None:
    assert parser.parse_condition("a<b " + "or (a<b " * 149 + ")" * 149)
    assert parser.parse_condition("not " * 299 + "a<b")
    assert parser.parse_condition("a < " + "size(" * 299 + "b" + ")" * 299)


def test_4096_bytes_are_allowed() -> None:
    assert parser.parse_condition("a" + " " * 4091 + "=:v")
    assert parser.parse_projection("x" * 4096) == (Path(("x" * 4096,)),)


def test_every_reserved_word_needs_a_placeholder() -> None:
    assert is_reserved("Abort")
    assert is_reserved("ZONE")
    assert not is_reserved("artist")


# A tree, printed, parses to the same tree.

names = st.sampled_from(["a", "b1", "artist", "Song_Title", "x"])
steps = names | st.integers(0, 999) | st.sampled_from(["#n", "#0"]).map(NamePlaceholder)
paths = st.builds(
    lambda first, rest: Path((first, *rest)), names | st.just(NamePlaceholder("#p")), st.lists(steps, max_size=4)
)
values = st.sampled_from([":v", ":0", ":_x"]).map(ValuePlaceholder)
operands = st.recursive(paths | values, lambda inner: st.builds(lambda o: Call("size", (o,)), inner), max_leaves=3)
comparisons = st.builds(Comparison, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), operands, operands)
calls = st.builds(
    lambda function, arguments: Call(function, tuple(arguments)),
    st.sampled_from(["attribute_exists", "begins_with", "contains", "attribute_type"]),
    st.lists(operands, min_size=1, max_size=2),
)
simple = (
    comparisons
    | calls
    | st.builds(Between, operands, operands, operands)
    | st.builds(lambda o, c: In(o, tuple(c)), operands, st.lists(operands, min_size=1, max_size=3))
)


def _joined(conditions: st.SearchStrategy[ast.Condition]) -> st.SearchStrategy[ast.Condition]:
    several = st.lists(conditions, min_size=2, max_size=3)
    return st.builds(Not, conditions) | several.map(lambda cs: And(tuple(cs))) | several.map(lambda cs: Or(tuple(cs)))


def written(node: ast.Node) -> str:
    match node:
        case Path(path_steps):
            text = "".join(
                f"[{s}]" if isinstance(s, int) else f".{s.text if isinstance(s, NamePlaceholder) else s}"
                for s in path_steps
            )
            return text[1:]
        case ValuePlaceholder(text):
            return text
        case Call(function, arguments):
            return f"{function}({', '.join(map(written, arguments))})"
        case Comparison(operator, left, right):
            return f"{written(left)} {operator} {written(right)}"
        case Between(operand, low, high):
            return f"{written(operand)} BETWEEN {written(low)} AND {written(high)}"
        case In(operand, candidates):
            return f"{written(operand)} IN ({', '.join(map(written, candidates))})"
        case Not(negated):
            return f"NOT {enclosed(negated)}"
        case And(conditions):
            return " AND ".join(map(enclosed, conditions))
        case Or(conditions):
            return " OR ".join(map(enclosed, conditions))
    raise AssertionError(node)


def enclosed(node: ast.Condition) -> str:
    return f"({written(node)})" if isinstance(node, And | Or) else written(node)


@settings(deadline=None)
@given(st.recursive(simple, _joined, max_leaves=12))
def test_a_printed_condition_parses_to_itself(tree: ast.Condition) -> None:
    assert parser.parse_condition(written(tree)) == tree


@settings(deadline=None)
@given(st.text(alphabet="aN#:()[].,=<>+- \tANDORbetweenSETsize019_!ü", max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    for parse in (parser.parse_condition, parser.parse_update, parser.parse_projection):
        with suppress(InvalidExpression):
            parse(text)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_tokens_are_the_text_without_its_spaces(text: str) -> None:
    try:
        found = lexer.tokens(text, frozenset())
    except InvalidExpression:
        assert not text.strip(" \t\r\n")
        return
    shown = "".join(token.text for token in found[:-1])
    assert shown == "".join(c for c in text if c not in " \t\r\n")
