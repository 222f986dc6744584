"""Numbers: which are valid, their normal form, sums, sizes and order."""

from __future__ import annotations

import itertools
from decimal import Context, Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import numbers

OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
TOO_MANY_DIGITS = "Attempting to store more than 38 significant digits in a Number"
NOT_A_NUMBER = "The parameter cannot be converted to a numeric value"
PRECISE = Context(prec=600)


@st.composite
def in_range(draw: st.DrawFn) -> str:
    """A number in normal form, of any magnitude, often with few digits."""
    digits = draw(st.one_of(st.integers(1, 999), st.integers(1, 10**38 - 1)))
    exponent = draw(st.one_of(st.integers(-3, 3), st.integers(-130, 125)))
    scale = exponent - (len(str(digits)) - 1)
    sign = draw(st.sampled_from(["", "-"]))
    return draw(st.sampled_from(["0", numbers.normalise(f"{sign}{digits}e{scale}")]))


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("0", "0"),
        ("1", "1"),
        ("1000", "1000"),
        ("-5", "-5"),
        ("007", "7"),
        ("00", "0"),
        ("001.23", "1.23"),
        ("+3", "3"),
        ("+0", "0"),
        ("1.0", "1"),
        ("1.", "1"),
        ("1.10", "1.1"),
        ("100.000", "100"),
        ("0.0", "0"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("1e3", "1000"),
        ("1E+3", "1000"),
        ("-3e2", "-300"),
        ("1.23e1", "12.3"),
        ("1.23e-1", "0.123"),
        ("123e-2", "1.23"),
        ("1e-3", "0.001"),
        ("1e0000000000000000000000000001", "10"),
        ("1e" + "0" * 5000 + "1", "10"),
        ("1e-" + "0" * 5000, "1"),
        ("0" * 5000 + "1." + "0" * 5000 + "e+" + "0" * 5000 + "2", "100"),
        ("0e5", "0"),
        ("0e125", "0"),
        ("0.0e126", "0"),
        ("0.1e126", "1" + "0" * 125),
        ("1e125", "1" + "0" * 125),
        ("1e-130", "0." + "0" * 129 + "1"),
        ("9" * 38 + "e88", "9" * 38 + "0" * 88),
        ("1" + "0" * 60, "1" + "0" * 60),
        ("1." + "0" * 60, "1"),
        ("3.1415926535897932384626433832795028841", "3.1415926535897932384626433832795028841"),
        ("-0." + "0" * 129 + "12345678901234567890123456789012345678",) * 2,
    ],
)
def test_normal_form_is_plain_decimal_notation(written: str, normal: str) -> None:
    assert numbers.normalise(written) == normal
    assert numbers.normalise(normal) == normal


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", f"{NOT_A_NUMBER}: "),
        *((text, f"{NOT_A_NUMBER}: {text}") for text in ("dog", "NaN", "Infinity", "-Infinity", " 1", "1 ", "1\n")),
        *(
            (text, f"{NOT_A_NUMBER}: {text}")
            for text in ("1_000", "0x10", "1e", "e1", ".", "-", "+-1", "1.2.3", "1e1.5")
        ),
        *((text, f"{NOT_A_NUMBER}: {text}") for text in ("\u0661\u0662", "\u00b2", "1,5")),
        ("1e9223372036854775808", f"{NOT_A_NUMBER}: 1e9223372036854775808"),
        ("1e" + "9" * 5000, f"{NOT_A_NUMBER}: 1e{'9' * 5000}"),
        (f"1e-{'0' * 5000}9223372036854775809", f"{NOT_A_NUMBER}: 1e-{'0' * 5000}9223372036854775809"),
        ("1e-9223372036854775808", UNDERFLOW),
        ("1e126", OVERFLOW),
        ("-11e125", OVERFLOW),
        ("1" + "0" * 126, OVERFLOW),
        ("1e2147483648", OVERFLOW),
        ("1e99999999999", OVERFLOW),
        ("1e-131", UNDERFLOW),
        ("-0.9e-130", UNDERFLOW),
        ("1e-99999999999", UNDERFLOW),
        ("0e126", OVERFLOW),
        ("0e-131", UNDERFLOW),
        ("1" * 39, TOO_MANY_DIGITS),
        ("-1." + "1" * 38, TOO_MANY_DIGITS),
        ("314159265358979323846264338327950288419e30", TOO_MANY_DIGITS),
        ("1" * 200, OVERFLOW),
    ],
)
def test_malformed_numbers_and_those_out_of_range_are_refused(written: str, message: str) -> None:
    with pytest.raises(ValidationException) as refusal:
        numbers.normalise(written)
    assert refusal.value.newer == message


@pytest.mark.parametrize(
    ("written", "message"),
    [
        # us-east-1, 2026-10-09: of BatchWriteItem, Scan and transactions.
        ("", NOT_A_NUMBER),
        ("abc", f"{NOT_A_NUMBER}: abc"),
        ("1e126", OVERFLOW),
        ("1e2147483647", UNDERFLOW),
        # By the same reading: Java's BigDecimal has 32 bits for the power of ten.
        ("1e2147483646", OVERFLOW),
        ("12e2147483646", UNDERFLOW),
        ("1.2e2147483647", UNDERFLOW),
        ("1e-2147483647", UNDERFLOW),
        ("1e2147483648", UNDERFLOW),
        ("1e2147483649", f"{NOT_A_NUMBER}: 1e2147483649"),
        ("0.1e-2147483647", f"{NOT_A_NUMBER}: 0.1e-2147483647"),
    ],
)
def test_the_older_words_for_a_malformed_number(written: str, message: str) -> None:
    with pytest.raises(ValidationException) as refusal:
        numbers.normalise(written)
    assert refusal.value.message == message


@given(in_range())
def test_normal_form_keeps_the_value(number: str) -> None:
    for written in (number, format(Decimal(number), "e"), f"{number}{'' if '.' in number else '.'}000"):
        assert Decimal(numbers.normalise(written)) == Decimal(number)
        assert numbers.normalise(written) == number


@given(in_range(), in_range())
def test_equal_numbers_are_equal_strings(a: str, b: str) -> None:
    assert (a == b) == (Decimal(a) == Decimal(b))


@pytest.mark.parametrize(
    ("a", "b", "total"),
    [
        ("1", "2", "3"),
        ("1", "-1", "0"),
        ("0.5", "-0.5", "0"),
        ("0.1", "0.2", "0.3"),
        ("1", "10000000000000000000000", "10000000000000000000001"),
        ("9" * 38, "1", "1" + "0" * 38),
        ("9" + "0" * 125, "9" + "0" * 124, "99" + "0" * 124),
        ("-1.5", "1", "-0.5"),
    ],
)
def test_sums_and_differences(a: str, b: str, total: str) -> None:
    assert numbers.add(a, b) == total
    assert numbers.add(b, a) == total
    assert numbers.subtract(total, b) == a


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("9" + "0" * 125, "9" + "0" * 125, OVERFLOW),
        # More than 38 digits: the text is AWS's.
        ("1" + "0" * 50, "1", OVERFLOW),
        ("1" + "0" * 50, "-1", OVERFLOW),
        ("1" + "0" * 38, "0.1", OVERFLOW),
        ("9" * 38, "9" * 38, OVERFLOW),
        ("-" + "9" * 38, "-2", OVERFLOW),
        ("0." + "0" * 129 + "15", "-0." + "0" * 129 + "1", UNDERFLOW),
    ],
)
def test_sums_out_of_range_are_refused(a: str, b: str, message: str) -> None:
    with pytest.raises(ValidationException) as refusal:
        numbers.add(a, b)
    assert refusal.value.message == message


@given(in_range(), in_range())
def test_arithmetic_is_exact_or_refused(a: str, b: str) -> None:
    exact = PRECISE.add(Decimal(a), Decimal(b))
    try:
        total = numbers.add(a, b)
    except ValidationException:
        digits = exact.normalize(PRECISE).as_tuple().digits
        assert len(digits) > numbers.DIGITS or not numbers.MIN_EXPONENT <= exact.adjusted() <= numbers.MAX_EXPONENT
    else:
        assert Decimal(total) == exact
        assert numbers.normalise(total) == total


@given(in_range(), in_range())
def test_comparison_is_by_value(a: str, b: str) -> None:
    exact = Decimal(a).compare(Decimal(b))
    assert numbers.compare(a, b) == int(exact)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        # Measured on AWS.
        ("0", 1),
        ("1", 2),
        ("12", 2),
        ("123", 3),
        ("1234", 3),
        ("12345678901234567890123456789012345678", 20),
        ("0042", 2),
        ("100", 2),
        ("1010", 3),
        ("0.0000001", 2),
        ("1E125", 2),
        ("1E-100", 2),
        ("1.5", 3),
        ("15", 2),
        ("1.200", 3),
        ("1.234", 4),
        ("3.14159", 5),
        ("123456", 4),
        ("100.5", 4),
        ("0.15", 2),
        ("-42", 3),
        ("-0", 1),
        ("1" * 38 + "0" * 88, 20),
        ("11" + "0" * 124, 2),
        ("1111111" + "0" * 119, 5),
        # From the form that explains those: digits in base 100, paired from the point.
        ("120", 3),
        ("-1", 3),
        ("-1.2345678901234567890123456789012345678", 21),
    ],
)
def test_size_as_dynamodb_counts_it(written: str, size: int) -> None:
    assert numbers.size(numbers.normalise(written)) == size


@given(in_range())
def test_size_is_one_to_21(number: str) -> None:
    assert 1 <= numbers.size(number) <= 21


@given(in_range(), in_range())
def test_sort_bytes_order_as_the_numbers_do(a: str, b: str) -> None:
    x, y = numbers.sort_bytes(a), numbers.sort_bytes(b)
    assert (x < y) == (Decimal(a) < Decimal(b))
    assert (x == y) == (a == b)


@given(in_range(), in_range())
def test_no_sort_bytes_are_a_prefix_of_others(a: str, b: str) -> None:
    assume(a != b)
    assert not numbers.sort_bytes(a).startswith(numbers.sort_bytes(b))


@given(in_range())
def test_sort_bytes_are_short(number: str) -> None:
    assert 2 <= len(numbers.sort_bytes(number)) <= 22


def test_sort_bytes_at_the_edges_of_the_encoding() -> None:
    written = [
        "-" + "9" * 38 + "e88", "-1e125", "-1e62", "-11", "-10.5", "-10", "-1.1", "-1.0001", "-1", "-0.1", "-1e-130",
        "0", "1e-130", "1e-129", "1e-128", "0.1", "1", "1.000001", "1.0001", "1.1", "9", "10", "10.5", "11", "99",
        "100", "1e125", "9" * 38 + "e88",
    ]  # fmt: skip
    encoded = [numbers.sort_bytes(numbers.normalise(text)) for text in written]
    assert encoded == sorted(encoded)
    assert not any(x.startswith(y) for x, y in itertools.permutations(encoded, 2))
