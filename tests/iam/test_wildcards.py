"""Texts with wildcards and variables, and what they match."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws.policies.wildcards import arn_matcher, arn_reacher, escaped, matcher, template, unescaped

TEXT = st.text("ab*?:\0$", max_size=8)


def plainly(pattern: str) -> re.Pattern[str]:
    """The same as a regular expression, which may take much longer."""
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(one) or re.escape(one) for one in pattern), re.DOTALL)


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_wildcards_match_as_regular_expressions_do(pattern: str, text: str) -> None:
    assert matcher(pattern)(text) == (plainly(pattern).fullmatch(text) is not None)


@given(TEXT, TEXT)
def test_an_escaped_text_matches_itself_alone(text: str, other: str) -> None:
    assert unescaped(escaped(text)) == text
    assert matcher(escaped(text))(text)
    assert matcher(escaped(text))(other) == (text == other)
    assert matcher("*" + escaped(text) + "?")(other + text + "a")


def test_matching_takes_no_time_to_go_back() -> None:
    assert not matcher("*a" * 1000)("a" * 999 + "b")


@pytest.mark.parametrize(
    ("pattern", "arn", "found"),
    [
        ("*", "arn:aws:s3:::x", True),
        ("arn:aws:s3:::*", "arn:aws:s3:::a/b:c", True),
        ("arn:aws:s3", "arn:aws:s3:eu-west-1:1:x", True),
        ("arn:aws:dynamodb:*:*:table/Music", "arn:aws:dynamodb:eu-west-1:123456789012:table/Music", True),
        ("arn:aws:dynamodb:*:table/Music", "arn:aws:dynamodb:eu-west-1:123456789012:table/Music", False),
        ("arn:aws:dynamodb:*:*:table/Music", "arn:aws:dynamodb:eu-west-1:123456789012:table/Music/index/x", False),
        ("arn:aws:dynamodb:*:*:table/Music*", "arn:aws:dynamodb:eu-west-1:123456789012:table/Music/index/x", True),
        ("arn:aws:dynamodb:eu-*-1:*:table/m", "arn:aws:dynamodb:eu-west-1:1:table/M", False),
        ("arn:aws:s3:::*", "*", False),
        ("arn:aws:s3:::*", "x", False),
    ],
)
def test_each_part_of_an_arn_is_matched_by_itself(pattern: str, arn: str, found: bool) -> None:
    assert arn_matcher(pattern)(arn) is found


def test_variables() -> None:
    made = template("${aws:username}/${ aws:PrincipalTag/Team , 'none'}/*", True)
    assert made.keys == {"aws:username", "aws:principaltag/team"}
    assert made.pattern({"aws:username": ("bob",)}) == "bob/none/*"
    assert made.pattern({"aws:username": ("b*",), "aws:principaltag/team": ("x",)}) == "b\0*/x/*"
    assert made.pattern({"aws:principaltag/team": ("x",)}) is None
    assert made.pattern({"aws:username": ("a", "b")}) is None
    assert made.pattern({"aws:username": ("a",), "aws:principaltag/team": ("x", "y")}) is None


def test_characters_by_their_names() -> None:
    made = template("a${*}${?}${$}{x}*", True).pattern({})
    assert made is not None
    assert matcher(made)("a*?${x}yz")
    assert not matcher(made)("ab?${x}yz")


def test_older_policies_have_no_variables() -> None:
    assert template("${aws:username}", False).pattern({"aws:username": ("bob",)}) == "${aws:username}"


def test_a_value_cannot_become_another_part_of_an_arn() -> None:
    pattern = template("arn:aws:dynamodb:${aws:PrincipalTag/region}:1:*", True)
    made = pattern.pattern({"aws:principaltag/region": ("eu:1:table/secret:",)})
    assert made is not None
    assert not arn_matcher(made)("arn:aws:dynamodb:eu:1:table/secret::1:x")


@pytest.mark.parametrize(
    ("pattern", "beginnings", "others"),
    [
        ("*", ["", "b", "b/x"], []),
        ("arn:aws:s3:::b/secret/*", ["", "b", "b/", "b/se", "b/secret/", "b/secret/x"], ["b/secrets", "c", "b/x"]),
        ("arn:aws:s3:::b/secret", ["", "b/", "b/secret"], ["b/secret/", "b/secretly", "x"]),
        ("arn:aws:s3:::b/?/x", ["b/", "b/a", "b/a/", "b/a/x"], ["b/a/y", "b/a/xy", "c"]),
        ("arn:aws:s3:::b/*/x", ["b/", "b/a", "b/a/y/z"], ["c", "b?"]),
        ("arn:aws:s3:::*", ["", "b/x"], []),
        ("arn:aws:s3:::b/\0*", ["b/", "b/*"], ["b/a", "b/*a"]),
        ("arn:aws:dynamodb:::b/*", [], ["", "b/"]),
        ("arn:aws:s3", ["", "b/x"], []),
    ],
)
def test_a_pattern_reaches_what_it_matches_some_continuation_of(
    pattern: str, beginnings: list[str], others: list[str]
) -> None:
    reaches = arn_reacher(pattern)
    assert [text for text in (*beginnings, *others) if reaches(f"arn:aws:s3:::{text}")] == beginnings


@given(st.text("ab*?", max_size=5), st.text("ab", max_size=4))
def test_reaching_is_matching_some_continuation(pattern: str, beginning: str) -> None:
    ends = ("".join(end) for size in range(6) for end in itertools.product("ab", repeat=size))
    found = any(arn_matcher(f":::::{pattern}")(f":::::{beginning}{end}") for end in ends)
    assert arn_reacher(f":::::{pattern}")(f":::::{beginning}") is found
