"""Numbers: DynamoDB's decimal type, kept as text in its normal form.

A number has up to 38 significant digits and a magnitude of 1E-130 to 9.99...E+125, or is zero. DynamoDB
answers with plain decimal notation, never an exponent: no plus sign, no leading zeros, no trailing zeros after
the point, no negative zero. That is the normal form: equal numbers are equal strings, and the rest of the
program never holds another form.

Arithmetic is exact: a result that needs more than 38 digits is an error, as on AWS, and is not rounded.

A number consists of a sign, an exponent and digits in base 100, paired from the decimal point. Its size in DynamoDB's
count is the length of that. Its sort key is one byte for sign and exponent, then each digit plus one, then zero, which
sorts as the values do. The bytes of -x are the complement of those of x.

Sources: "Number" under "Data types and naming rules", and "Item sizes and formats", in the developer guide;
sizes and errors where the guide is vague, as measured on AWS.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal

from jedlik.aws.errors import ValidationException

DIGITS = 38
"""Significant digits."""
MAX_EXPONENT = 125
"""The exponent of the leading digit."""
MIN_EXPONENT = -130
"""The exponent of the leading digit."""

_NUMBER = re.compile(r"([+-]?)(?:([0-9]+)(?:\.([0-9]*))?|\.([0-9]+))(?:[eE]([+-]?[0-9]+))?")
_GREATEST_EXPONENT = 2**63 - 1
"""The exponent as it is written. Beyond it AWS reports a malformed number, because the exponent fits no 64-bit
integer."""
_SHORT_EXPONENTS = range(-(2**30), 2**30)
"""No number that fits into a request is in range with a larger exponent, however many zeros it has."""
_INT = range(-(2**31), 2**31)
_EXACT = Context(prec=512)
"""Holds any sum of two numbers: from 1E+126 down to the last digit of the smallest, 1E-167."""

_OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
_UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
_TOO_MANY_DIGITS = "Attempting to store more than 38 significant digits in a Number"
_NOT_A_NUMBER = "The parameter cannot be converted to a numeric value"

_MAX_SIZE = 21
_EXPONENT_BIAS = 0x80 - MIN_EXPONENT // 2
"""The smallest base-100 exponent becomes 80, the sign of a number that is not negative; the greatest, FF."""
_ZERO = b"\x80\x00"
_DIGIT_PLUS_ONE = bytes(min((b >> 4) * 10 + (b & 15) + 1, 255) for b in range(256))
"""From a base-100 digit as two hexadecimal ones."""
_COMPLEMENT = bytes(255 - b for b in range(256))


def normalise(text: str) -> str:
    """The normal form of a number that a client has written.

    Raises ValidationException if it is malformed, is out of range, or has more than 38 digits.
    """
    # Most numbers are short integers, and those are in normal form already.
    if text.isdecimal() and text.isascii() and len(text) <= DIGITS and (text[0] != "0" or text == "0"):
        return text
    match = _NUMBER.fullmatch(text)
    if match is None:
        told = f"{_NOT_A_NUMBER}: {text}"
        raise ValidationException(told if text else _NOT_A_NUMBER, told)
    sign, whole, fraction, only_fraction, exponent_text = match.groups("")
    fraction = fraction or only_fraction
    exponent = 0
    if exponent_text:
        below = exponent_text[0] == "-"
        magnitude = whole_number(exponent_text.lstrip("+-"), _GREATEST_EXPONENT + below)
        if magnitude is None:
            raise ValidationException(f"{_NOT_A_NUMBER}: {text}")
        exponent = -magnitude if below else magnitude
        if exponent not in _SHORT_EXPONENTS:
            raise _far_out_of_range(text, whole + fraction, exponent - len(fraction))
    return _normal_form(sign == "-", whole + fraction, len(whole) + exponent, _TOO_MANY_DIGITS)


def whole_number(digits: str, most: int) -> int | None:
    """The number that decimal digits spell; None if it is more than `most`.

    All client input that becomes an `int` is read here, or its length has been checked: int() refuses more than 4,300
    digits, leading zeros included, and is slow below that.
    """
    digits = digits.lstrip("0") or "0"
    if len(digits) > len(str(most)):
        return None
    number = int(digits)
    return number if number <= most else None


def _far_out_of_range(text: str, digits: str, power: int) -> ValidationException:
    """The refusal of a number with an absurd exponent: `digits` times ten to the `power`.

    AWS's newer checker reads the exponent in full. The older one leaves numbers to Java's BigDecimal, which has 32 bits
    for the power: a power that does not fit makes the number malformed, and the exponent of the leading digit wraps
    around.
    """
    newer = _OVERFLOW if power > 0 else _UNDERFLOW
    older = newer
    if -power not in _INT:
        older = f"{_NOT_A_NUMBER}: {text}"
    elif len(digits.lstrip("0") or "0") + power not in _INT:
        older = _UNDERFLOW
    return ValidationException(older, newer)


def _normal_form(negative: bool, digits: str, point: int, too_many: str) -> str:
    """The normal form of 0.digits times ten to the power of `point`; refuses one that is out of range.

    `too_many` is the text of the refusal for more than 38 digits.
    """
    significant = digits.lstrip("0")
    # In AWS the last digit of a zero must be in range, too: it accepts 0.0e126 and refuses 0e126.
    point -= len(digits) - (len(significant) or 1)
    if point - 1 > MAX_EXPONENT:
        raise ValidationException(_OVERFLOW)
    if point - 1 < MIN_EXPONENT:
        raise ValidationException(_UNDERFLOW)
    significant = significant.rstrip("0")
    count = len(significant)
    if count == 0:
        return "0"
    if count > DIGITS:
        raise ValidationException(too_many)
    if point <= 0:
        plain = "0." + "0" * -point + significant
    elif point >= count:
        plain = significant + "0" * (point - count)
    else:
        plain = significant[:point] + "." + significant[point:]
    return "-" + plain if negative else plain


def add(a: str, b: str) -> str:
    """The exact sum of two numbers in normal form.

    Raises ValidationException if it is out of range. A sum that needs more than 38 digits counts as an overflow: that
    is DynamoDB's text for it.
    """
    if "." not in a and "." not in b:
        text = str(int(a) + int(b))
        if len(text) <= DIGITS:
            return text
    return _of_decimal(_EXACT.add(Decimal(a), Decimal(b)))


def subtract(a: str, b: str) -> str:
    """The exact difference of two numbers in normal form. Raises as `add` does."""
    return add(a, b[1:] if b[0] == "-" else "-" + b)


def _of_decimal(number: Decimal) -> str:
    if not number:
        return "0"
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    return _normal_form(sign == 1, text, len(text) + exponent, _OVERFLOW)


def compare(a: str, b: str) -> int:
    """Negative, zero or positive as `a` is less than, equal to or greater than `b`, both in normal form."""
    if a == b:
        return 0
    if "." in a or "." in b:
        return 1 if Decimal(a) > Decimal(b) else -1
    return 1 if int(a) > int(b) else -1


def _hundreds(text: str) -> tuple[int, str]:
    """The magnitude of a number in normal form that is not zero, in base 100.

    First its exponent: the number of base-100 digits before the point, negative for zeros after it. Then the digits,
    two characters each, with no zero digit at either end.
    """
    whole, _, fraction = text.partition(".")
    if whole[0] == "-":
        whole = whole[1:]
    if whole == "0":
        # An even number of zeros, so that pairs stay pairs.
        zeros = (len(fraction) - len(fraction.lstrip("0"))) & ~1
        before = -zeros >> 1
        digits = fraction[zeros:]
    else:
        if len(whole) & 1:
            whole = "0" + whole
        before = len(whole) >> 1
        digits = whole + fraction
    digits = digits.rstrip("0")
    return before, digits + "0" if len(digits) & 1 else digits


def size(text: str) -> int:
    """The bytes that DynamoDB counts for a number in normal form, 1 to 21.

    Zero is 1. Others are 1, and 1 for each base-100 digit, and 1 more if negative: 120 is 3, for 01 and 20.
    """
    if len(text) <= 2 and text[0] != "-":
        return 1 if text == "0" else 2
    _, digits = _hundreds(text)
    return min(1 + (len(digits) >> 1) + (text[0] == "-"), _MAX_SIZE)


def sort_bytes(text: str) -> bytes:
    """Up to 22 bytes that sort as the numbers do; no number's bytes are a prefix of another's. `text` is in normal
    form."""
    if text == "0":
        return _ZERO
    before, digits = _hundreds(text)
    encoded = bytes((_EXPONENT_BIAS + before - 1,)) + bytes.fromhex(digits).translate(_DIGIT_PLUS_ONE) + b"\x00"
    return encoded.translate(_COMPLEMENT) if text[0] == "-" else encoded
