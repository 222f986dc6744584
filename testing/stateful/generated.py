"""The drawn values, items, expressions and commands: few enough of each that they meet again and again.

Each is drawn from one number, for speed: Hypothesis shrinks the sequence of steps, not the steps. Most attributes have
a type of their own, most of the time, so that most requests about them make sense.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from random import Random
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from testing.stateful.dynamodb_model import Check, Command, Delete, Index, Ordered, Put, Update
from testing.stateful.expression_trees import (
    At,
    Between,
    Both,
    Clause,
    Compare,
    Condition,
    Constant,
    Default,
    Exists,
    Function,
    In,
    Joined,
    Not,
    Path,
    Size,
    Source,
    Sum,
)
from testing.stateful.plain_values import Item, Value, order

START = 1_800_000_000
"""When the clock starts, in seconds since the epoch."""

ORDERS = "orders"
"""A table with a sort key, a local index and, from the start, two global ones."""
PLAIN = "plain"
"""A table with a partition key only."""
TABLE_KEYS = {ORDERS: ("p", "s"), PLAIN: ("k",)}

LOCAL = Index("local", ("p",), ("l",), frozenset("a"), is_global=False)
GLOBAL = {
    index.name: index
    for index in (
        Index("all", ("g",), ("n",)),
        Index("several", ("g", "h"), ("n", "l")),
        Index("keys", ("h",), ("l",), frozenset()),
        Index("some", ("g",), (), frozenset("ad")),
        Index("sorted", ("h",), ("s",), frozenset("b")),
    )
}
FIRST_INDEXES = {ORDERS: (LOCAL, GLOBAL["all"], GLOBAL["several"]), PLAIN: ()}

KEY_VALUES: dict[str, list[Value]] = {
    "p": ["a", "b"],
    "s": [Decimal(text) for text in ("-120", "-1", "0", "0.5", "2", "10", "100", "1E+40")],
    "k": [b"\x00", b"a", b"a\x00", b"\xff\xff"],
    "l": [b"\x00", b"\x00\x00", b"\x00\x01", b"a", b"a\x00", b"\xff", b"\x00" * 1010],
    "g": ["x", "\x00", "é"],
    "h": [Decimal(0), Decimal("1E-20")],
    "n": [Decimal(text) for text in ("-0.5", "-0.45", "0", "9", "11", "99999999999999999999999999999999999999")],
}
"""Values of attributes that are in keys. With the longest `l`, a key of several attributes can be too long."""
UNFIT_VALUES: dict[str, list[Value]] = {"l": [b"", "a"], "g": ["", Decimal(1)], "h": ["a"], "n": [b"9", None]}
"""Values that keys of indexes cannot have, but tables without these indexes can."""

T = TypeVar("T")


def drawn(make: Callable[[Chance], T]) -> SearchStrategy[T]:
    """The result of `make` with these chances."""
    return st.integers(0, (1 << 64) - 1).map(lambda number: make(Chance(number)))


def chances() -> SearchStrategy[Chance]:
    return drawn(lambda chance: chance)


# Values

_NUMBERS: list[Value] = [Decimal(text) for text in ("0", "1", "-1", "2.50", "1E+125", "1E-130", "1234567890123456789")]
_STRINGS: list[Value] = ["", "a", "ab", "b", "é", "😀"]
_BINARIES: list[Value] = [b"", b"a", b"ab", b"\xff"]
_SETS: list[list[Value]] = [[Decimal(1), Decimal("2.5"), Decimal(3)], ["a", "b", "é"], [b"a", b"", b"b"]]
_TIMES: list[Value] = [
    Decimal(START - 6 * 365 * 24 * 60 * 60),
    Decimal(START - 10),
    Decimal(START + 30),
    Decimal(START + 1000) + Decimal("0.5"),
    Decimal(START + 100_000),
    Decimal(-1),
    str(START),
]
DOCUMENTS = ("a", "b", "c", "d")
"""Attributes that are in no key: most often a scalar with an order, a set, a list, and a map."""
_DEEP_PATHS: list[Path] = [
    ("c", 0),
    ("c", 1),
    ("c", 3),
    ("c", 0, "x"),
    ("d", "x"),
    ("d", "y"),
    ("d", "x", 0),
    ("d", "x", 2),
    ("d", "y", "x"),
    ("a", "x"),
]


class Chance(Random):
    """Draws, all of one number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __repr__(self) -> str:
        return f"Chance({self.number})"

    def often(self) -> bool:
        return self.random() < 0.75

    def seldom(self) -> bool:
        return self.random() < 0.1

    def one(self, of: Sequence[T]) -> T:
        return of[self.randrange(len(of))]

    def some(self, of: Sequence[T], least: int, most: int) -> list[T]:
        """Different ones, in any order."""
        return self.sample(of, self.randint(least, min(most, len(of))))

    # Values

    def ordered(self) -> Value:
        return self.one(self.one([_NUMBERS, _STRINGS, _BINARIES]))

    def members(self) -> Value:
        of = self.one(_SETS)
        return frozenset(of if self.random() < 0.5 else self.some(of, 1, 2))

    def scalar(self) -> Value:
        return self.one([self.ordered(), self.ordered(), self.members(), True, False, None])

    def values(self, most: int = 3) -> list[Value]:
        return [self.value(1) for _ in range(self.randint(0, most))]

    def document(self) -> dict[str, Value]:
        members: dict[str, Callable[[], Value]] = {"x": self.values, "y": lambda: {"x": self.scalar()}}
        return {name: members[name]() if self.often() else self.scalar() for name in self.some("xy", 0, 2)}

    def value(self, depth: int = 0) -> Value:
        """Any value."""
        if depth > 1 or self.often():
            return self.scalar()
        if self.random() < 0.5:
            return [self.value(depth + 1) for _ in range(self.randrange(3))]
        return {name: self.value(depth + 1) for name in self.some("xy", 0, 2)}

    def of_attribute(self, name: str) -> Value:
        """A value that an attribute often has."""
        if name == "expires":
            return self.one(_TIMES)
        if name in KEY_VALUES:
            return self.one(UNFIT_VALUES[name] if name in UNFIT_VALUES and self.random() < 0.04 else KEY_VALUES[name])
        if self.seldom():
            return self.value()
        return {"a": self.ordered, "b": self.members, "c": self.values, "d": self.document}[name]()

    # Items

    def key(self, table: str) -> Item:
        return {name: self.one(KEY_VALUES[name]) for name in TABLE_KEYS[table]}

    def item(self, table: str) -> Item:
        return self.key(table) | {name: self.of_attribute(name) for name in _attributes(table) if self.often()}

    # Paths

    def path(self, names: Sequence[str]) -> Path:
        """A path to one of some attributes, or into it."""
        deep = [path for path in _DEEP_PATHS if path[0] in names]
        return self.one(deep) if deep and self.random() < 0.5 else (self.one(names),)

    def disjoint_paths(self, names: Sequence[str], most: int) -> list[Path]:
        paths: list[Path] = []
        within = self.one("cd") if self.random() < 0.3 else None
        for _ in range(self.randint(1, most)):
            path = self.path(names) if within is None else self.one([deep for deep in _DEEP_PATHS if deep[0] == within])
            if all(_are_disjoint(path, other) for other in paths):
                paths.append(path)
        return paths

    def projection(self, table: str) -> tuple[Path, ...]:
        """The paths to return; often everything."""
        names = [*TABLE_KEYS[table], "a", "c", "d", "g"]
        return () if self.random() < 0.5 else tuple(self.disjoint_paths(names, 3))

    def top_level_projection(self, table: str) -> tuple[Path, ...]:
        names = [*TABLE_KEYS[table], "a", "b", "d"]
        return () if self.random() < 0.5 else tuple((name,) for name in self.some(names, 1, 3))

    # Conditions

    def condition(self, names: Sequence[str] = (*DOCUMENTS, "n", "g"), depth: int = 0) -> Condition:
        if depth < 2 and self.random() < 0.25:
            return Not(self.condition(names, depth + 1))
        if depth < 2 and self.random() < 0.25:
            return Both(self.one(["AND", "OR"]), self.condition(names, depth + 1), self.condition(names, depth + 1))
        path = self.path(names)
        operand = At(path) if self.often() else Size(path)
        match self.randrange(9):
            case 0:
                return Compare(self.one(["=", "<>"]), At(path), Constant(self.of_path(path)))
            case 1:
                return Compare(self.one(["<", "<=", ">", ">="]), operand, Constant(self.ordered()))
            case 2:
                return Compare(self.one(["=", "<>", "<", ">"]), Size(path), Constant(Decimal(self.randrange(4))))
            case 3:
                other = At(self.path(names))
                return Compare(self.one(["=", "<>", "<"]), operand, other if other != operand else Size(path))
            case 4:
                values = self.one([_NUMBERS, _STRINGS, _BINARIES])
                low, high = sorted([self.one(values), self.one(values)], key=order)
                return Between(operand, Constant(low), Constant(high))
            case 5:
                return In(At(path), tuple(Constant(self.of_path(path)) for _ in range(self.randint(1, 3))))
            case 6:
                return Exists(path, self.random() < 0.3)
            case 7:
                function = self.one(["begins_with", "contains"])
                argument = self.one(self.one([_STRINGS, _BINARIES])) if function == "begins_with" else self.scalar()
                return Function(function, path, Constant(argument))
        return Function(
            "attribute_type", path, Constant(self.one(["S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "BS"]))
        )

    def of_path(self, path: Path) -> Value:
        return self.of_attribute(str(path[0])) if len(path) == 1 else self.value()

    # Updates

    def source(self, path: Path) -> Source:
        """What is assigned at a path."""
        own, other = Constant(self.of_path(path)), self.path(DOCUMENTS)
        match self.randrange(6):
            case 0 | 1 | 2:
                return own
            case 3:
                return Default(self.one([path, other]), own) if self.often() else At(other)
            case 4:
                of: Source = Default(path, Constant(Decimal(0))) if self.often() else At(path)
                return Sum(self.one("+-"), of, Constant(self.one(_NUMBERS)))
        ends: list[Source] = [Default(self.one([path, other]), Constant([])), Constant(self.values(2))]
        self.shuffle(ends)
        return Joined(*ends)

    def clause(self, verb: str, path: Path) -> Clause:
        if verb == "SET":
            return Clause(verb, path, self.source(path))
        if verb == "REMOVE":
            return Clause(verb, path)
        is_set = verb == "DELETE" or path == ("b",) or self.seldom()
        return Clause(verb, path, Constant(self.members() if is_set else self.one(_NUMBERS)))

    def clauses(self, table: str) -> tuple[Clause, ...]:
        verbs = ["SET", "SET", "SET", "REMOVE", "ADD", "DELETE"]
        if self.random() < 0.4:
            verbs = [self.one(["SET", "REMOVE"])]
        paths = self.disjoint_paths([*_attributes(table), *DOCUMENTS], 3)
        return tuple(self.clause(self.one(verbs), path) for path in paths)

    # Commands

    def table(self) -> str:
        return self.one([ORDERS, ORDERS, PLAIN])

    def command(self, in_transaction: bool = False) -> Command:
        """Any command; in a transaction also a check, and no update without an expression."""
        table = self.table()
        condition = None if self.random() < 0.6 else self.condition()
        tells = self.random() < 0.5
        match self.randrange(7 if in_transaction else 6):
            case 0 | 1:
                return Put(table, self.item(table), condition, tells)
            case 2:
                return Delete(table, self.key(table), condition, tells)
            case 3 | 4 | 5:
                clauses = () if self.seldom() and not in_transaction else self.clauses(table)
                return Update(table, self.key(table), clauses, condition, tells)
        return Check(table, self.key(table), self.condition(), tells)

    def unconditional(self) -> Command:
        """A put or a delete, as in BatchWriteItem."""
        table = self.table()
        return Put(table, self.item(table)) if self.often() else Delete(table, self.key(table))

    def several(self, one: Callable[[], Command], most: int = 4) -> list[Command]:
        """Commands on different items."""
        commands = [one() for _ in range(self.randint(1, most))]
        return list({_place(command): command for command in commands}.values())

    # Key conditions

    def sort_conditions(self, names: Sequence[str]) -> tuple[Ordered, ...]:
        """Conditions on the first attributes of a sort key, all but the last for equality."""
        number = self.randint(0, len(names))
        equal = [Ordered("=", (self.one(KEY_VALUES[name]),)) for name in names[: number - 1]]
        return (*equal, self.sort_condition(names[number - 1])) if number else ()

    def sort_condition(self, name: str) -> Ordered:
        values = KEY_VALUES[name]
        if self.seldom() and not isinstance(values[0], Decimal):
            return Ordered("begins_with", (self.one(values)[: self.randint(1, 2)],))
        if self.seldom():
            return Ordered("BETWEEN", tuple(sorted([self.one(values), self.one(values)], key=order)))
        return Ordered(self.one(["=", "<", "<=", ">", ">="]), (self.one(values),))


def _attributes(table: str) -> list[str]:
    """Names of the attributes that items of a table have beside their keys."""
    return [name for name in ("l", "g", "h", "n", "s", *DOCUMENTS, "expires") if name not in TABLE_KEYS[table]]


def _are_disjoint(one: Path, other: Path) -> bool:
    """Whether neither is or contains the other, and no part is a list for one and a map for the other."""
    parting = [pair for pair in zip(one, other, strict=False) if pair[0] != pair[1]]
    return bool(parting) and isinstance(parting[0][0], int) == isinstance(parting[0][1], int)


def _place(command: Command) -> tuple[Any, ...]:
    """The table and the key of a command."""
    of = command.item if isinstance(command, Put) else command.key
    return (command.table, *(of[name] for name in TABLE_KEYS[command.table]))
