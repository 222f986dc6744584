"""Every operator of conditions, with its prefixes and its suffix."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws.policies.condition_tests import ALL, ANY, OPERATORS, SINGLE, Condition, compiled, date
from jedlik.aws.policies.wildcards import template


def holds(
    operator: str, wanted: tuple[str, ...], given_: tuple[str, ...], quantifier: str = SINGLE, if_exists: bool = False
) -> bool:
    values = tuple(template(value, True) for value in wanted)
    return compiled(Condition(operator, quantifier, if_exists, "aws:x", values), {}, False)(given_)


CASES = [
    ("StringEquals", "Bob", ["Bob"], ["bob", "Bo*", "B"]),
    ("StringEqualsIgnoreCase", "Bob", ["BOB", "bob"], ["bobby"]),
    ("StringLike", "B?b*", ["Bob", "Bib/x"], ["bob", "Bb"]),
    ("NumericEquals", "10", ["10", "10.0", "1e1"], ["11", "ten", ""]),
    ("NumericLessThan", "10", ["9.99", "-3"], ["10", "11", "x"]),
    ("NumericLessThanEquals", "10", ["10", "9"], ["10.01"]),
    ("NumericGreaterThan", "10", ["10.01"], ["10", "9"]),
    ("NumericGreaterThanEquals", "10", ["10", "11"], ["9.99"]),
    (
        "DateEquals",
        "2026-01-01T00:00:00Z",
        ["2026-01-01", "1767225600", "2026-01-01T01:00:00+01:00"],
        ["2026-01-02", "x"],
    ),
    ("DateLessThan", "2026-01-01T00:00:00Z", ["2025-12-31T23:59:59Z"], ["2026-01-01T00:00:00Z", "2026-13-01"]),
    ("DateLessThanEquals", "2026-01-01", ["2026-01-01"], ["2026-01-02"]),
    ("DateGreaterThan", "2026-01-01", ["2026-01-01T00:00:01Z"], ["2026-01-01"]),
    ("DateGreaterThanEquals", "1767225600", ["2026-01-01"], ["2025-12-31"]),
    ("Bool", "true", ["true", "TRUE"], ["false", "1"]),
    ("BinaryEquals", "QmluYXJ5", ["QmluYXJ5"], ["qmluYXJ5", "!"]),
    ("IpAddress", "203.0.113.0/24", ["203.0.113.7", "::ffff:203.0.113.7"], ["203.0.114.1", "x", "::1"]),
    ("IpAddress", "2001:db8::/32", ["2001:db8::1"], ["2001:db9::1", "203.0.113.7"]),
    ("IpAddress", "10.0.0.1", ["10.0.0.1"], ["10.0.0.2"]),
    ("ArnEquals", "arn:aws:sns:*:1:x", ["arn:aws:sns:eu-west-1:1:x"], ["arn:aws:sns:eu:2:x", "x"]),
    ("ArnLike", "arn:aws:sns:*:1:x*", ["arn:aws:sns:eu-west-1:1:xy"], ["arn:aws:sns:eu:2:x"]),
]
NEGATED = {
    "StringEquals": "StringNotEquals",
    "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase",
    "StringLike": "StringNotLike",
    "NumericEquals": "NumericNotEquals",
    "DateEquals": "DateNotEquals",
    "IpAddress": "NotIpAddress",
    "ArnEquals": "ArnNotEquals",
    "ArnLike": "ArnNotLike",
}


@pytest.mark.parametrize(("operator", "wanted", "right", "wrong"), CASES)
def test_an_operator_and_its_opposite(operator: str, wanted: str, right: list[str], wrong: list[str]) -> None:
    for value in right:
        assert holds(operator, (wanted,), (value,))
        assert operator not in NEGATED or not holds(NEGATED[operator], (wanted,), (value,))
    for value in wrong:
        assert not holds(operator, (wanted,), (value,))
        assert operator not in NEGATED or holds(NEGATED[operator], (wanted,), (value,))


def test_the_cases_have_every_operator() -> None:
    assert {case[0] for case in CASES} | set(NEGATED.values()) | {"Null"} == set(OPERATORS)


def test_a_key_without_a_value() -> None:
    for operator, about in OPERATORS.items():
        if operator == "Null":
            continue
        assert holds(operator, ("1",), ()) is about.is_negated
        assert holds(operator, ("1",), (), if_exists=True)
        assert holds(operator, ("1",), (), ALL)
        assert not holds(operator, ("1",), (), ANY)
        assert holds(operator, ("1",), (), ANY, if_exists=True)


def test_null() -> None:
    assert holds("Null", ("true",), ())
    assert not holds("Null", ("true",), ("x",))
    assert holds("Null", ("false",), ("x",))
    assert not holds("Null", ("FALSE",), ())


def test_any_value_of_the_policy_will_do_and_none_of_a_negated_one() -> None:
    assert holds("StringEquals", ("a", "b"), ("b",))
    assert not holds("StringNotEquals", ("a", "b"), ("b",))
    assert holds("StringNotEquals", ("a", "b"), ("c",))


VALUES = st.lists(st.sampled_from("abc"), max_size=3).map(tuple)


@given(VALUES.filter(bool), VALUES)
def test_sets_of_values(wanted: tuple[str, ...], given_: tuple[str, ...]) -> None:
    each = [value in wanted for value in given_]
    assert holds("StringEquals", wanted, given_, ALL) is all(each)
    assert holds("StringEquals", wanted, given_, ANY) is any(each)
    assert holds("StringNotEquals", wanted, given_, ALL) is (not any(each))
    assert holds("StringNotEquals", wanted, given_, ANY) is (not all(each))
    assert holds("StringLike", wanted, given_, ALL) is all(each)
    assert holds("StringNotLike", wanted, given_, ANY) is (not all(each))


def test_a_variable_without_a_value_allows_nothing_and_denies_as_much_as_it_can() -> None:
    unknown = (template("${aws:nobody}", True),)
    for denies in (False, True):
        equal = compiled(Condition("StringEquals", SINGLE, False, "aws:x", unknown), {}, denies)
        other = compiled(Condition("StringNotEquals", SINGLE, False, "aws:x", unknown), {}, denies)
        assert not equal(("x",))
        assert other(("x",)) is denies


def test_what_is_no_date() -> None:
    assert [date(text) for text in ("2026-02-30", "2026-01-01T25:00", "x", "9999-12-31T23:59:60Z")] == [None] * 4
