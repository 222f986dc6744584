"""CBOR: RFC 8949's examples, and arbitrary bytes."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws.protocols.cbor_values import DEEPEST, NotCbor, decoded, encoded

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_written_values_are_read_again(value: Any) -> None:
    assert decoded(encoded(value)) == value


@pytest.mark.parametrize(
    ("hexadecimal", "value"),
    [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1903e8", 1000),
        ("1bffffffffffffffff", 18446744073709551615),
        ("20", -1),
        ("3bffffffffffffffff", -18446744073709551616),
        ("3903e7", -1000),
        ("fb3ff199999999999a", 1.1),
        ("f4", False),
        ("f5", True),
        ("f6", None),
        ("4401020304", b"\x01\x02\x03\x04"),
        ("62c3bc", "ü"),
        ("6449455446", "IETF"),
        ("83010203", [1, 2, 3]),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("80", []),
        ("a0", {}),
    ],
)
def test_examples_of_the_standard(hexadecimal: str, value: Any) -> None:
    """Appendix A of RFC 8949."""
    raw = bytes.fromhex(hexadecimal)
    assert decoded(raw) == value
    assert encoded(value) == raw


@pytest.mark.parametrize(
    ("hexadecimal", "value"),
    [
        ("f93c00", 1.0),
        ("fa47c35000", 100000.0),
        ("f7", None),
        ("1800", 0),
        ("c11a514b67b0", 1363896240),
        ("c1fb41d452d9ec200000", 1363896240.5),
        ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9fff", []),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ("bf6346756ef563416d7421ff", {"Fun": True, "Amt": -2}),
    ],
)
def test_forms_that_are_read_but_not_written(hexadecimal: str, value: Any) -> None:
    assert decoded(bytes.fromhex(hexadecimal)) == value


def test_infinities_and_nan() -> None:
    assert decoded(bytes.fromhex("f97c00")) == math.inf
    assert math.isnan(decoded(bytes.fromhex("f97e00")))


@pytest.mark.parametrize(
    ("hexadecimal", "why"),
    [
        ("", "the value is cut off"),
        ("18", "the value is cut off"),
        ("620a", "the value is cut off"),
        ("9bffffffffffffffff", "the value is cut off"),
        ("bb7fffffffffffffff", "the value is cut off"),
        ("5bffffffffffffffff", "the value is cut off"),
        ("9f01", "the value is cut off"),
        ("0000", "bytes follow the value"),
        ("61ff", "a text is not UTF-8"),
        ("a10102", "a key of a map is no text"),
        ("c0613a", "tag 0 is not known"),
        ("c16161", "a timestamp is no number"),
        ("1c", "a length is malformed"),
        ("1f", "a length is malformed"),
        ("ff", "the simple value 31 is not known"),
        ("f0", "the simple value 16 is not known"),
        ("5f6161ff", "a string has parts of another type"),
        ("81" * 200 + "00", "the value is nested too deeply"),
        ("9a00100000" + "f6" * (1 << 20), "more than 100,000 values"),
        ("9f" + "80" * (1 << 20) + "ff", "more than 100,000 values"),
        ("bf" + "6161f6" * 100_000 + "ff", "more than 100,000 values"),
        ("7f" + "60" * (1 << 20) + "ff", "more than 100,000 values"),
    ],
)
def test_refusals(hexadecimal: str, why: str) -> None:
    with pytest.raises(NotCbor, match=why):
        decoded(bytes.fromhex(hexadecimal))


def test_as_deep_as_may_be() -> None:
    assert decoded(b"\x81" * DEEPEST + b"\x00") is not None


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_refused(raw: bytes) -> None:
    with contextlib.suppress(NotCbor):
        decoded(raw)


def test_a_value_that_cbor_does_not_have_is_a_fault() -> None:
    with pytest.raises(TypeError):
        encoded({1, 2})
    with pytest.raises(OverflowError):
        encoded(2**64)
