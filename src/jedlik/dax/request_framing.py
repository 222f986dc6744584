"""Where a request ends: DAX's requests have no length, so their values are counted as their bytes come in.

A value is passed over by its head: strings by their length, arrays and maps by the number of their members. Everything
has a limit here, since what comes is a stranger's: bytes, values, levels. What breaks one is no request of any client,
and its connection is closed.
"""

from __future__ import annotations

from jedlik.aws.protocols.cbor_values import ARRAY, BREAK, BYTES, INDEFINITE, MAP, TAG, TEXT, WIDTHS
from jedlik.memory import MIB

MOST_BYTES = 18 * MIB
"""A request may be as long as DynamoDB's largest batch, 16 MB, with what DAX puts around that."""
MOST_VALUES = 250_000
"""A request may have this many outside of its keys, items and expressions: more than an attribute list has names."""
MOST_LEVELS = 64
_ENDLESS = -1


class Malformed(Exception):
    """What comes is no request."""


class Framing:
    """Passes over values in a buffer that grows."""

    __slots__ = ("_levels", "_values", "position")

    def __init__(self) -> None:
        self.position = 0
        """In front of the next head."""
        self._values = 0
        self._levels: list[int] = []
        """How many values are missing, of each array and map that is open; the first is what was asked for."""

    def want(self, values: int) -> None:
        """Pass over this number of values more."""
        self._levels.append(values)

    def advance(self, data: bytes | bytearray) -> bool:
        """Pass over what is there. Returns whether all that was wanted is. Raises Malformed."""
        levels = self._levels
        while True:
            while levels and levels[-1] == 0:
                levels.pop()
            if not levels:
                return True
            if not self._pass(data):
                return False

    def _pass(self, data: bytes | bytearray) -> bool:
        """Pass over one head, and over the string behind it; whether it is there."""
        at = self.position
        if at >= len(data):
            return False
        levels = self._levels
        first = data[at]
        if first == BREAK and levels[-1] < 0:
            levels.pop()
            self.position = at + 1
            return True
        major, low = first >> 5, first & 31
        width = 0 if low < 24 or low == INDEFINITE else WIDTHS.get(low, 0)
        if 27 < low < INDEFINITE:
            raise Malformed("a head is malformed")
        if at + 1 + width > len(data):
            return False
        argument = int.from_bytes(data[at + 1 : at + 1 + width], "big") if width else low
        end = at + 1 + width
        opens: int | None = None
        if low == INDEFINITE:
            if major not in (ARRAY, MAP):
                raise Malformed("a string without a length, or a break")
            opens = _ENDLESS
        elif major in (ARRAY, MAP):
            opens = argument * (2 if major == MAP else 1)
        elif major in (BYTES, TEXT):
            end += argument
        elif major == TAG:
            opens = 1
        if end > MOST_BYTES or (opens is not None and opens > MOST_VALUES):
            raise Malformed("a request is too large")
        if end > len(data):
            return False
        self._values += 1
        if self._values > MOST_VALUES or len(levels) > MOST_LEVELS:
            raise Malformed("a request has too many values")
        if levels[-1] > 0:
            levels[-1] -= 1
        if opens is not None:
            levels.append(opens)
        self.position = end
        return True
