"""Numbers: parsing, normal forms, order, size and sums, compared with the decimal module's."""

from __future__ import annotations

import contextlib
import re
from decimal import Context, Decimal

from fuzz.choices import Choices
from fuzz.service import Finding
from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import numbers

EXACT = Context(prec=2000)
NORMAL = re.compile(r"0|-?(0\.[0-9]*[1-9]|[1-9][0-9]*(\.[0-9]*[1-9])?)")
PIECES = (
    *("0", "00000000", "1", "9" * 38, "-", "+", ".", "e", "E", "125", "130", "e-130", "e125", "e126", "5" * 19),
    *(" ", "_", "١", "inf", "0" * 5000, "9" * 5000),
)


def _text(choices: Choices) -> str:
    text = ""
    for _ in range(choices.below(8) + 1):
        text += choices.one_of(PIECES) if choices.below(3) else choices.text()
    return text


def _normalised(text: str) -> str | None:
    """The normal form, checked; None if the number is refused."""
    try:
        normal = numbers.normalise(text)
    except ValidationException:
        return None
    if NORMAL.fullmatch(normal) is None or numbers.normalise(normal) != normal:
        raise Finding(f"{text!r} became {normal!r}")
    if Decimal(normal) != EXACT.create_decimal(text):
        raise Finding(f"{text!r} became {normal!r}, which is another number")
    if not 1 <= numbers.size(normal) <= 21:
        raise Finding(f"{normal} has size {numbers.size(normal)}")
    return normal


def attempt(data: bytes) -> None:
    """Two numbers."""
    choices = Choices(data)
    one, other = _normalised(_text(choices)), _normalised(_text(choices))
    if one is None or other is None:
        return
    wanted = EXACT.compare(Decimal(one), Decimal(other))
    low, high = numbers.sort_bytes(one), numbers.sort_bytes(other)
    if (low > high) - (low < high) != wanted or numbers.compare(one, other) != wanted:
        raise Finding(f"{one} and {other} are out of order")
    if one != other and (low.startswith(high) or high.startswith(low)):
        raise Finding(f"the key of {one} begins with that of {other}, or the other way around")
    with contextlib.suppress(ValidationException):
        if Decimal(numbers.add(one, other)) != EXACT.add(Decimal(one), Decimal(other)):
            raise Finding(f"{one} + {other} is {numbers.add(one, other)}")
    with contextlib.suppress(ValidationException):
        if Decimal(numbers.subtract(one, other)) != EXACT.subtract(Decimal(one), Decimal(other)):
            raise Finding(f"{one} - {other} is {numbers.subtract(one, other)}")


SEEDS = [
    bytes((count, *(part for piece in pieces for part in (1, piece)), count, *(1, 2) * (count + 1)))
    for count, pieces in enumerate(
        [(2,), (3, 11), (4, 6, 2), (2, 6, 2, 12), (4, 0, 6, 1, 2), (1, 2, 6, 1, 2, 7), (4, 2, 6, 1, 7, 19, 2)]
    )
]
