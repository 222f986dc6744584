"""The optional parameters of a call: a map from their numbers to values, or null.

Clients send some of them twice, or besides what they have sent in another form (names and values of expressions, which
are resolved already); the last one counts, and those that add nothing are passed over.
"""

from __future__ import annotations

from typing import Any

from jedlik.aws.protocols.cbor_values import NotCbor
from jedlik.dax import expression_texts
from jedlik.dax.expression_texts import Steps

PROJECTION, CONSISTENT_READ, CAPACITY, CONDITION = 0, 2, 3, 4
METRICS, RETURN_VALUES, UPDATE, START_KEY, FILTER, INDEX = 6, 7, 8, 9, 10, 11
LIMIT, FORWARD, SELECT, SEGMENT, SEGMENTS, TOKEN = 13, 14, 15, 16, 17, 19
MEANINGLESS = {1, 5, 12, 18}
"""Names and values of expressions, and two that no client sends."""
KNOWN = MEANINGLESS | {
    *(PROJECTION, CONSISTENT_READ, CAPACITY, CONDITION, METRICS, RETURN_VALUES, UPDATE, START_KEY, FILTER, INDEX),
    *(LIMIT, FORWARD, SELECT, SEGMENT, SEGMENTS, TOKEN),
}
CAPACITIES = ("NONE", "TOTAL", "INDEXES")
METRICS_NAMES = ("NONE", "SIZE")
RETURNED = {1: "NONE", 2: "ALL_OLD", 3: "UPDATED_OLD", 4: "ALL_NEW", 5: "UPDATED_NEW"}
ALL_ATTRIBUTES = 1
SELECTS = {ALL_ATTRIBUTES: "ALL_ATTRIBUTES", 2: "ALL_PROJECTED_ATTRIBUTES", 3: "COUNT", 4: "SPECIFIC_ATTRIBUTES"}


class CallParameters:
    """Those of one call. What is malformed raises NotCbor."""

    __slots__ = ("_given",)

    def __init__(self, given: Any) -> None:
        self._given: dict[Any, Any] = {} if given is None else given
        if type(self._given) is not dict or not KNOWN.issuperset(self._given):
            raise NotCbor("the parameters are no map, or have unknown numbers")

    def raw(self, number: int) -> bytes | None:
        """A parameter that is bytes."""
        value = self._given.get(number)
        if value is not None and type(value) is not bytes:
            raise NotCbor(f"the parameter {number} is not bytes")
        return value

    def whole(self, number: int) -> int | None:
        """A parameter that is an integer."""
        value = self._given.get(number)
        if value is not None and type(value) is not int:
            raise NotCbor(f"the parameter {number} is no integer")
        return value

    def flag(self, number: int) -> bool | None:
        """A parameter that is true or false, or 1 or 0."""
        value = self._given.get(number)
        if value not in (None, True, False, 0, 1) or type(value) is float:
            raise NotCbor(f"the parameter {number} is neither true nor false")
        return None if value is None else bool(value)

    def named(self, number: int) -> str | None:
        """A parameter that is a text, or the bytes of one."""
        value = self._given.get(number)
        if type(value) is bytes:
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise NotCbor(f"the parameter {number} is not UTF-8") from None
        if value is not None and type(value) is not str:
            raise NotCbor(f"the parameter {number} is no text")
        return value

    @property
    def capacity(self) -> str:
        """ReturnConsumedCapacity."""
        return _of(CAPACITIES, self.whole(CAPACITY) or 0)

    @property
    def metrics(self) -> str:
        """ReturnItemCollectionMetrics."""
        return _of(METRICS_NAMES, self.whole(METRICS) or 0)

    @property
    def returned(self) -> str:
        """ReturnValues."""
        number = self.whole(RETURN_VALUES)
        if number is not None and number not in RETURNED:
            raise NotCbor("there is no such ReturnValues")
        return RETURNED[1 if number is None else number]

    @property
    def select(self) -> str | None:
        """Select."""
        number = self.whole(SELECT)
        if number is None:
            return None
        if number not in SELECTS:
            raise NotCbor("there is no such Select")
        return SELECTS[number]

    @property
    def projection(self) -> tuple[Steps, ...] | None:
        """The paths of the ProjectionExpression."""
        raw = self.raw(PROJECTION)
        return None if raw is None else expression_texts.projected(raw)


def _of(names: tuple[str, ...], number: int) -> str:
    if not 0 <= number < len(names):
        raise NotCbor("a parameter has no such value")
    return names[number]
