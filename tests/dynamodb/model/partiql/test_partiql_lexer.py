"""Tokens: the parts of a text, and their places."""

from __future__ import annotations

import pytest

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model.partiql.partiql_lexer import tokens

NOT_WELL_FORMED = "Statement wasn't well formed, can't be processed: "


def cut(text: str) -> list[tuple[str, str]]:
    """Kinds and texts of the tokens, without the end."""
    return [(token.kind, token.text) for token in tokens(text)[:-1]]


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("select", ("keyword", "select")),
        ("SeLeCt", ("keyword", "select")),
        ("key", ("keyword", "key")),
        ("Artist", ("identifier", "Artist")),
        ("_a$1", ("identifier", "_a$1")),
        ('"key"', ("quoted", "key")),
        ('"a ""quoted"" name"', ("quoted", 'a "quoted" name')),
        ('""', ("quoted", "")),
        ("'it''s here'", ("string", "it's here")),
        ("''", ("string", "")),
        ("'a\nb'", ("string", "a\nb")),
        ("12", ("number", "12")),
        ("1.50", ("number", "1.50")),
        (".73e1", ("number", ".73e1")),
        ("7.31E+6", ("number", "7.31E+6")),
        ("1e2147483647", ("number", "1e2147483647")),
        ("1e-" + "0" * 5000 + "2147483647", ("number", "1e-" + "0" * 5000 + "2147483647")),
        ("`{{AAEC}}`", ("ion", "{{AAEC}}")),
        ("?", ("symbol", "?")),
        ("!=", ("symbol", "<>")),
        ("<<", ("symbol", "<<")),
    ],
)
def test_one_token(text: str, token: tuple[str, str]) -> None:
    assert cut(text) == [token]


def test_signs_are_tokens() -> None:
    assert [text for _, text in cut("a<=-1<>b>>=c")] == ["a", "<=", "-", "1", "<>", "b", ">>", "=", "c"]


@pytest.mark.parametrize("text", ["a -- to the end", "-- before\na", "a /* within\nlines */", "/**/a", "\t\v\f\r\na"])
def test_comments_and_white_space_are_left_out(text: str) -> None:
    assert cut(text) == [("identifier", "a")]


def test_places_are_line_column_and_length() -> None:
    places = [token.place for token in tokens("SELECT 'a''b'\n  /* x\ny */ \"n\" é"[:-2])]
    assert places == ["1:1:6", "1:8:6", "3:6:3", "3:9:0"]


@pytest.mark.parametrize(
    "text",
    [
        "'no end",
        '"no end',
        "`no end",
        "a /* no end",
        "a # b",
        "a ! b",
        "a | b",
        "a @ b",
        "é",
        "1e2147483648",
        "1e-99999999999",
        f"1e{'9' * 5000}",
        f"1e{'0' * 5000}2147483648",
        f"1.5e-{'0' * 5000}2147483647",
        "1.5e-2147483647",
    ],
)
def test_a_malformed_token_is_refused_without_a_detail(text: str) -> None:
    with pytest.raises(ValidationException) as refusal:
        tokens(text)
    assert refusal.value.message == NOT_WELL_FORMED
