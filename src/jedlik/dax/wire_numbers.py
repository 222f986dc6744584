"""Numbers as DAX's clients send them and read them: CBOR integers, bignums and decimals, and LexDecimal in sort keys.

One number has several forms on the wire (1.5, 1.50, a float), so a key is brought into its plain form, which is
DynamoDB's normal form, before it is compared or remembered.

LexDecimal keeps the order of numbers in the order of bytes. A number 0.d x 10^e, d its digits, is

    header       one byte C0 + e where -62 <= e < 62; else 81 (e < 0) or FE (e > 0) and e in four bytes
    digits       in groups of three, ten bits each: the group + 12; at last, how many digits the last group has, less 1

and a negative one has the complements. Zero is 80.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal, InvalidOperation

from jedlik.aws.protocols.cbor_values import ARRAY, BYTES, NEGATIVE, TAG, UNSIGNED, NotCbor, write_head

POSITIVE_BIGNUM, NEGATIVE_BIGNUM, DECIMAL = 2, 3, 4
"""CBOR's tags of numbers."""
MOST_BITS = 2048
"""The longest mantissa. DynamoDB's greatest number, written in full, has 419 bits."""
MOST_MAGNITUDE = 200
"""The greatest exponent of a number that is written in full; DynamoDB's end at 130."""

_EXACT = Context(prec=1024)
_WIDEST = 1 << 64
_DIGITS = 38
"""Significant digits of a number. Behind them are zeros, and the client for Python takes no more."""
_SHORT = 62
_GROUP, _GROUP_BITS = 3, 10
_GREATEST_GROUP, _GREATEST_CODE = 999, 1023
_FIRST_CODE = 12
_ZERO = b"\x80"
_ZEROS = (0x80, 0x7F)
_LONG = {0x81: False, 0xFE: False, 0x7E: True, 0x01: True}
"""Headers that four bytes of exponent follow, and whether the number is negative."""
_POSITIVE_FLIP, _NEGATIVE_FLIP = 0x80000000, 0x7FFFFFFF


def text(mantissa: int, exponent: int = 0) -> str:
    """A number as DynamoDB's JSON has it, in any of its forms. Raises NotCbor for one that is absurdly long."""
    if mantissa.bit_length() > MOST_BITS:
        raise NotCbor("a number has too many digits")
    return f"{mantissa}E{exponent}" if exponent else str(mantissa)


def float_text(number: float) -> str:
    """A number that came as a float. Raises NotCbor for infinity and NaN."""
    if not math.isfinite(number):
        raise NotCbor("a number is not finite")
    return repr(number)


def plain(number: str) -> str:
    """The normal form of a number. Other texts, and numbers out of all range, stay as they are, to be refused."""
    try:
        value = Decimal(number)
    except InvalidOperation:
        return number
    if not value:
        return "0"
    if not value.is_finite() or abs(value.adjusted()) > MOST_MAGNITUDE:
        return number
    return format(value.normalize(_EXACT), "f")


def write(number: str, into: bytearray) -> None:
    """Write a number in normal form: an integer, or a decimal with its own digits."""
    whole, point, fraction = number.partition(".")
    mantissa = int(whole + fraction)
    if point:
        write_head(TAG, DECIMAL, into)
        write_head(ARRAY, 2, into)
        write_head(NEGATIVE, len(fraction) - 1, into)
    magnitude = mantissa if mantissa >= 0 else -1 - mantissa
    if magnitude < _WIDEST:
        write_head(UNSIGNED if mantissa >= 0 else NEGATIVE, magnitude, into)
        return
    raw = magnitude.to_bytes((magnitude.bit_length() + 7) // 8, "big")
    write_head(TAG, POSITIVE_BIGNUM if mantissa >= 0 else NEGATIVE_BIGNUM, into)
    write_head(BYTES, len(raw), into)
    into += raw


def lex_encoded(number: str) -> bytes:
    """A number in normal form as LexDecimal."""
    if number == "0":
        return _ZERO
    negative = number[0] == "-"
    whole, _, fraction = number.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    exponent = len(digits) - len(fraction)
    digits = digits[:_DIGITS]
    if -_SHORT <= exponent < _SHORT:
        head = bytes((0x3F - exponent if negative else 0xC0 + exponent,))
    elif negative:
        flipped = (exponent & 0xFFFFFFFF) ^ _NEGATIVE_FLIP
        head = bytes((0x7E if exponent < 0 else 0x01,)) + flipped.to_bytes(4, "big")
    else:
        flipped = (exponent & 0xFFFFFFFF) ^ _POSITIVE_FLIP
        head = bytes((0x81 if exponent < 0 else 0xFE,)) + flipped.to_bytes(4, "big")
    last = (len(digits) - 1) % _GROUP
    digits = digits.ljust(len(digits) + _GROUP - 1 - last, "0")
    groups = [int(digits[at : at + _GROUP]) for at in range(0, len(digits), _GROUP)]
    if negative:
        codes = [_GREATEST_GROUP + _FIRST_CODE - group for group in groups] + [_GREATEST_CODE - last]
    else:
        codes = [group + _FIRST_CODE for group in groups] + [last]
    bits = 0
    for code in codes:
        bits = bits << _GROUP_BITS | code
    size = len(codes) * _GROUP_BITS
    padding = -size % 8
    return head + (bits << padding).to_bytes((size + padding) // 8, "big")


def lex_decoded(raw: bytes) -> str:
    """The number, in a form that DynamoDB takes, that LexDecimal has. Raises NotCbor."""
    if len(raw) == 1 and raw[0] in _ZEROS:
        return "0"
    if len(raw) < 3:
        raise NotCbor("a number in a key is cut off")
    first = raw[0]
    if first in _LONG:
        negative = _LONG[first]
        flipped = int.from_bytes(raw[1:5], "big") ^ (_NEGATIVE_FLIP if negative else _POSITIVE_FLIP)
        exponent = flipped - (1 << 32) if flipped >= 1 << 31 else flipped
        raw = raw[5:]
    elif 0xC0 - _SHORT <= first < 0xC0 + _SHORT:
        negative, exponent, raw = False, first - 0xC0, raw[1:]
    elif 0x3F - _SHORT < first <= 0x3F + _SHORT:
        negative, exponent, raw = True, 0x3F - first, raw[1:]
    else:
        raise NotCbor("a number in a key has no such header")
    count = 8 * len(raw) // _GROUP_BITS
    if count < 2 or count > MOST_MAGNITUDE:
        raise NotCbor("a number in a key is cut off, or too long")
    bits = int.from_bytes(raw, "big") >> (8 * len(raw) - count * _GROUP_BITS)
    codes = [bits >> _GROUP_BITS * (count - 1 - at) & _GREATEST_CODE for at in range(count)]
    last = _GREATEST_CODE - codes.pop() if negative else codes.pop()
    groups = [_GREATEST_GROUP + _FIRST_CODE - code if negative else code - _FIRST_CODE for code in codes]
    if last >= _GROUP or not all(0 <= group <= _GREATEST_GROUP for group in groups):
        raise NotCbor("a number in a key is malformed")
    digits = "".join([f"{group:03}" for group in groups])
    digits = digits[: len(digits) - (_GROUP - 1 - last)]
    return f"{'-' if negative else ''}{digits}E{exponent - len(digits)}"


def bignum(raw: object, negative: bool) -> int:
    """The integer in the bytes of a bignum. Raises NotCbor."""
    if type(raw) is not bytes or 8 * len(raw) > MOST_BITS:
        raise NotCbor("a bignum is malformed or too long")
    magnitude = int.from_bytes(raw, "big")
    return -1 - magnitude if negative else magnitude
