"""The meter of a request: what it has used of which table and index.

Handlers charge it once, with what they have read and written, whether or not the client asks for it. The answer's
ConsumedCapacity, metrics, throttling and bills are all read from it, so nothing is counted in two ways. A handler that
starts again (because the table has changed) charges only its final attempt. The cost of a refused write is charged as
well, where AWS does so.

Every request has one, and nearly every request is of one table and no index: that charge is the meter itself, so that
the usual request makes one object of a few slots.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class Metered(Protocol):
    """A table, in the form that charges need."""

    @property
    def id(self) -> bytes:
        """An id that no other table ever has."""
        ...

    @property
    def name(self) -> str: ...


class Besides:
    """Rare parts of a charge, besides the units of the table itself."""

    __slots__ = ("attempted", "parts", "refusals")

    def __init__(self) -> None:
        self.parts: dict[tuple[bool, str], float] = {}
        """Units of indexes: whether it is a global one, and its name."""
        self.attempted = 0.0
        """Units of writes that a condition has stopped."""
        self.refusals = 0
        """How many of those."""


class Charge:
    """The units that a request has used of one table and its indexes: reads or writes, as a request never does both."""

    __slots__ = ("besides", "name", "table", "units", "writes")

    def __init__(self, table: Metered, name: str, writes: bool) -> None:
        self.begin(table, name, writes, 0.0)

    def begin(self, table: Metered, name: str, writes: bool, units: float) -> None:
        """Charge units of the table itself. Earlier charges are dropped."""
        self.table: Metered | None = table
        """None as long as nothing is charged; nothing else is set then."""
        self.name = name
        """The table as the request names it: by its name or by its ARN."""
        self.writes = writes
        """Whether the units are of writing."""
        self.units = units
        """The units of the table itself. Half units are exact."""
        self.besides: Besides | None = None

    def add(self, units: float, index: tuple[bool, str]) -> None:
        """Charge units of an index."""
        parts = self._more().parts
        parts[index] = parts.get(index, 0.0) + units

    def stop(self, units: float, refusals: int) -> None:
        """Charge units of a write that a condition has stopped; for transactions there is no such count."""
        besides = self._more()
        besides.attempted += units
        besides.refusals += refusals

    def _more(self) -> Besides:
        if self.besides is None:
            self.besides = Besides()
        return self.besides

    @property
    def parts(self) -> dict[tuple[bool, str], float]:
        """Units of indexes: whether it is a global one, and its name."""
        return {} if self.besides is None else self.besides.parts

    @property
    def attempted(self) -> float:
        """Units of writes that a condition has stopped."""
        return 0.0 if self.besides is None else self.besides.attempted

    @property
    def refusals(self) -> int:
        """How many writes a condition has stopped."""
        return 0 if self.besides is None else self.besides.refusals

    @property
    def total(self) -> float:
        """Units of the table and its indexes, including those of attempts."""
        return self.units + self.attempted + sum(self.parts.values())


class Meter(Charge):
    """The usage of a request. It is the charge of its first table, too."""

    __slots__ = ("items", "more", "size", "stream")

    def __init__(self) -> None:
        self.table = None
        self.more: list[Charge] | None = None
        """The charges of further tables."""
        self.items = 0
        """Items or records that are returned or written."""
        self.size = 0
        """Bytes that were read or written, as DynamoDB counts them."""
        self.stream: tuple[str, str] | None = None
        """The stream that was read, if one was: the name of its table, and its label."""

    def of(self, table: Metered, name: str, writes: bool) -> Charge:
        """The charge of the table that the request calls `name`: the present one, or a new and empty one."""
        if self.table is None:
            self.begin(table, name, writes, 0.0)
            return self
        found = self.find(name)
        if found is None:
            found = Charge(table, name, writes)
            self.more = [found] if self.more is None else [*self.more, found]
        return found

    def find(self, name: str) -> Charge | None:
        """The charge of the table that the request calls `name`, if there is one."""
        for charge in self.charges():
            if charge.name == name:
                return charge
        return None

    def charges(self) -> Iterator[Charge]:
        """All charges, in the order in which they were begun."""
        if self.table is not None:
            yield self
        if self.more is not None:
            yield from self.more
