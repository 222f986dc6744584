"""DynamoDB in memory, so simple that it is obviously right: items in dictionaries, and indexes found by looking at all
items.

A write is one of four commands. An invalid request raises a Refusal; a ValidationException has only its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from testing.stateful.expression_trees import (
    Clause,
    Condition,
    Constant,
    Invalid,
    Path,
    Sum,
    holds,
    names_in,
    select,
    updated,
)
from testing.stateful.plain_values import MISSING, Item, Value, Wire, item_on_wire, kind, order, same, size

TYPES = {"p": "S", "s": "N", "k": "B", "l": "B", "g": "S", "h": "N", "n": "N"}
"""For the attributes that are in the key of a table or an index."""
PARTITION_KEY_SIZE = 2048
SORT_KEY_SIZE = 1024
FIVE_YEARS = 5 * 365 * 24 * 60 * 60
AN_HOUR = 60 * 60

Key = tuple[Value, ...]


class Refusal(Exception):
    """An answer that refuses a request, of the model or of the service under test."""

    def __init__(self, code: str, item: Wire | None = None, reasons: Sequence[Reason] = (), text: str = "") -> None:
        super().__init__(code, text, item, *reasons)
        self.code = code
        self.item = item
        """If a condition failed: the item, if the request asked for it, as it is on the wire."""
        self.reasons = list(reasons)
        """If a transaction was canceled: its reasons."""


@dataclass(frozen=True)
class Reason:
    code: str
    item: Wire | None = None


class EmptyKey(Refusal):
    """A ValidationException that refuses a transaction as a whole; others are reasons to cancel it."""


# Commands


@dataclass(frozen=True)
class Put:
    table: str
    item: Item
    condition: Condition | None = None
    tells: bool = False
    """Whether the error of a failed condition shows the item."""


@dataclass(frozen=True)
class Update:
    table: str
    key: Item
    clauses: tuple[Clause, ...]
    condition: Condition | None = None
    tells: bool = False


@dataclass(frozen=True)
class Delete:
    table: str
    key: Item
    condition: Condition | None = None
    tells: bool = False


@dataclass(frozen=True)
class Check:
    table: str
    key: Item
    condition: Condition
    tells: bool = False


Command = Put | Update | Delete | Check


# Tables


@dataclass(frozen=True)
class Index:
    name: str
    partition: tuple[str, ...]
    sort: tuple[str, ...] = ()
    include: frozenset[str] | None = None
    """The attributes that it projects beside keys; None for all."""
    is_global: bool = True

    @property
    def key(self) -> tuple[str, ...]:
        return self.partition + self.sort

    def holds(self, item: Item) -> bool:
        """Whether an item is in the index: it has the whole key, with values that are valid as one."""
        fit = all(name in item and kind(item[name]) == TYPES[name] and item[name] not in ("", b"") for name in self.key)
        return fit and self.has_room_for(item)

    def has_room_for(self, item: Item) -> bool:
        """Whether the item's part of the key is short enough."""

        def length(names: Sequence[str]) -> int:
            return sum(size(item[name]) for name in names if name in item and kind(item[name]) == TYPES[name])

        return length(self.partition) <= PARTITION_KEY_SIZE and length(self.sort) <= SORT_KEY_SIZE


@dataclass(frozen=True)
class Change:
    """A record of a stream."""

    event: str
    key: Item
    old: Item | None
    new: Item | None
    by_service: bool
    at: float


@dataclass
class TimeToLive:
    is_on: bool = False
    changed_at: float = -AN_HOUR


@dataclass
class Table:
    name: str
    key: tuple[str, ...]
    indexes: dict[str, Index]
    building: set[str] = field(default_factory=set)
    """Indexes that are not filled yet."""
    items: dict[Key, Item] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    ttl: TimeToLive = field(default_factory=TimeToLive)

    def key_of(self, item: Item) -> Item:
        return {name: item[name] for name in self.key}

    def get(self, key: Item) -> Item | None:
        return self.items.get(tuple(key[name] for name in self.key))

    def store(self, key: Item, new: Item | None, at: float, by_service: bool = False) -> None:
        """Replace the item under a key by `new`, and record it if that is a change."""
        old = self.get(key)
        place = tuple(key[name] for name in self.key)
        if new is not None:
            self.items[place] = new
        else:
            self.items.pop(place, None)
        if (old is None and new is None) or (old is not None and new is not None and same(old, new)):
            return
        event = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
        self.changes.append(Change(event, self.key_of(key), old, new, by_service, at))

    def projected(self, index: Index) -> frozenset[str] | None:
        """The attributes that an index has; None for all."""
        return None if index.include is None else index.include | {*index.key, *self.key}

    def entries(self, index: Index | None) -> list[Item]:
        """The content of an index or of the table, in no order."""
        if index is None:
            return list(self.items.values())
        names = self.projected(index)
        held = [item for item in self.items.values() if index.holds(item)]
        return [{name: item[name] for name in item if names is None or name in names} for item in held]


# Reads


@dataclass(frozen=True)
class Ordered:
    """A condition on a sort key attribute."""

    operator: str
    """A comparison, BETWEEN or begins_with."""
    operands: tuple[Value, ...]

    def holds(self, value: Value) -> bool:
        if self.operator == "begins_with":
            return bool(value.startswith(self.operands[0]))
        low, high = order(self.operands[0]), order(self.operands[-1])
        value = order(value)
        return bool(
            {
                "=": value == low,
                "<": value < low,
                "<=": value <= low,
                ">": value > low,
                ">=": value >= low,
                "BETWEEN": low <= value <= high,
            }[self.operator]
        )


@dataclass(frozen=True)
class Reading:
    """The parameters of a Query (if there is a partition) or a Scan."""

    table: str
    index: str | None = None
    partition: tuple[Value, ...] | None = None
    sort: tuple[Ordered, ...] = ()
    """Conditions on the first attributes of the sort key."""
    filter: Condition | None = None
    projection: tuple[Path, ...] = ()
    """The paths to return; everything if empty."""
    select: str | None = None
    """ALL_ATTRIBUTES, COUNT, or the default."""
    consistent: bool = False

    def fits(self) -> bool:
        """Whether every value that is compared with a key is short enough for a key."""
        equal = [condition.operands[0] for condition in self.sort if condition.operator == "="]
        bounds = [bound for condition in self.sort if condition.operator != "=" for bound in condition.operands]
        rows = [[*equal, bound] for bound in bounds] or [equal]
        return sum(map(size, self.partition or ())) <= PARTITION_KEY_SIZE and all(
            sum(map(size, row)) <= SORT_KEY_SIZE for row in rows
        )


@dataclass(frozen=True)
class Found:
    """All that a reading finds."""

    sort_keys: list[Key]
    """The examined items, in order."""
    shown: list[Item]
    """The returned items, in the order of the sort key; among equal ones, in any."""
    count: int


@dataclass
class Model:
    """All tables and a clock."""

    now: float
    tables: dict[str, Table] = field(default_factory=dict)

    # Writes

    def write(self, command: Command, statement: bool = False) -> tuple[Item | None, Item | None]:
        """Do a command, and return the item before and after. `statement` means that it is a PartiQL statement."""
        self._check(command)
        old, new = self._decided(command, statement)
        self._store(command, new)
        return old, new

    def transact(self, commands: Sequence[Command], statements: bool = False) -> None:
        """Do all commands or none."""
        for number, command in enumerate(commands):
            try:
                self._check(command)
            except EmptyKey:
                raise
            except Refusal:
                reasons = [Reason("None")] * len(commands)
                reasons[number] = Reason("ValidationError")
                raise Refusal("TransactionCanceledException", reasons=reasons) from None
        reasons, decided = [], []
        for command in commands:
            try:
                decided.append((command, self._decided(command, statements)[1]))
                reasons.append(Reason("None"))
            except EmptyKey:
                raise
            except Refusal as refusal:
                reasons.append(Reason(_REASONS[refusal.code], refusal.item))
        if len(decided) < len(commands):
            raise Refusal("TransactionCanceledException", reasons=reasons)
        for command, new in decided:
            self._store(command, new)

    def batch(self, commands: Sequence[Command]) -> None:
        """Do unconditional puts and deletes, if none is refused."""
        for command in commands:
            self._check(command)
        for command in commands:
            self.write(command)

    def _check(self, command: Command) -> None:
        """The error that a command deserves whatever the item is."""
        indexes = self._indexes(command.table)
        if isinstance(command, Put):
            _check_index_keys(indexes, command.item)
        elif isinstance(command, Update):
            given = {
                str(c.path[0]): "N" if isinstance(c.source, Sum) else kind(c.source.value)
                for c in command.clauses
                if len(c.path) == 1 and isinstance(c.source, Constant | Sum)
            }
            if any(given.get(name, TYPES[name]) != TYPES[name] for index in indexes for name in index.key):
                raise Refusal("ValidationException")

    def _decided(self, command: Command, statement: bool) -> tuple[Item | None, Item | None]:
        """The item before and after a command. A statement can only INSERT a new item, or UPDATE an existing one."""
        old = self.tables[command.table].get(command.item if isinstance(command, Put) else command.key)
        if statement and isinstance(command, Put) and old is not None:
            raise Refusal("DuplicateItemException")
        failed = command.condition is not None and not holds(command.condition, old or {})
        if statement:
            absent = old is None
            failed = failed and not absent if isinstance(command, Delete) else failed or absent
            failed = failed and not isinstance(command, Put)
        if failed:
            told = item_on_wire(old) if command.tells and old is not None else None
            raise Refusal("ConditionalCheckFailedException", told)
        match command:
            case Put(item=item):
                return old, item
            case Delete():
                return old, None
            case Check():
                return old, old
            case Update(key=key, clauses=clauses):
                try:
                    new = updated(old, key, clauses)
                except Invalid:
                    raise Refusal("ValidationException") from None
                if new is not None:
                    _check_index_keys(self._indexes(command.table), new, {str(c.path[0]) for c in clauses})
                return old, new

    def _store(self, command: Command, new: Item | None) -> None:
        if not isinstance(command, Check):
            key = command.item if isinstance(command, Put) else command.key
            self.tables[command.table].store(key, new, self.now)

    def _indexes(self, table: str) -> list[Index]:
        return sorted(self.tables[table].indexes.values(), key=lambda index: index.name)

    # Reads

    def find(self, reading: Reading, reverse: bool = False) -> Found:
        """All items that a Query or a Scan finds."""
        table = self.tables[reading.table]
        index = None if reading.index is None else table.indexes[reading.index]
        fetches = self._fetches(table, index, reading)
        if not reading.fits():
            raise Refusal("ValidationException")
        key, sort = (table.key[:1], table.key[1:]) if index is None else (index.partition, index.sort)
        examined = []
        for entry in table.entries(index):
            if reading.partition is not None and tuple(entry[name] for name in key) != reading.partition:
                continue
            if all(condition.holds(entry[name]) for name, condition in zip(sort, reading.sort, strict=False)):
                examined.append(entry)
        examined.sort(key=lambda entry: [order(entry[name]) for name in sort], reverse=reverse)
        items = [table.get(table.key_of(entry)) or {} if fetches else entry for entry in examined]
        passed = [item for item in items if reading.filter is None or holds(reading.filter, item)]
        return Found(
            sort_keys=[tuple(entry[name] for name in sort) for entry in examined],
            shown=[projected(item, reading.projection) for item in passed],
            count=len(passed),
        )

    def _fetches(self, table: Table, index: Index | None, reading: Reading) -> bool:
        """Whether whole items are read for the entries of a local index. Raises Refusal for paths that cannot be
        read."""
        filtered = names_in(reading.filter)
        is_query = reading.partition is not None
        if is_query and filtered & set(table.key if index is None else index.key):
            raise Refusal("ValidationException")
        if index is None:
            return False
        if index.is_global and (reading.consistent or index.name in table.building):
            raise Refusal("ValidationException")
        names = table.projected(index)
        if names is None:
            return False
        wanted = {str(path[0]) for path in reading.projection}
        lacks = reading.select == "ALL_ATTRIBUTES" or not wanted <= names
        if (is_query and not filtered <= names) or (lacks and index.is_global):
            raise Refusal("ValidationException")
        return lacks

    # Time to live

    def switch_ttl(self, name: str, on: bool) -> None:
        ttl = self.tables[name].ttl
        if ttl.is_on == on or self.now - ttl.changed_at < AN_HOUR:
            raise Refusal("ValidationException")
        self.tables[name].ttl = TimeToLive(on, self.now)

    def expire(self) -> None:
        """Delete what has expired."""
        for table in self.tables.values():
            if table.ttl.is_on:
                for item in list(table.items.values()):
                    if self._has_expired(item.get("expires")):
                        table.store(item, None, self.now, by_service=True)

    def _has_expired(self, at: Value) -> bool:
        return kind(at) == "N" and at >= 0 and self.now - FIVE_YEARS <= int(at) <= self.now


_REASONS = {
    "ConditionalCheckFailedException": "ConditionalCheckFailed",
    "DuplicateItemException": "DuplicateItem",
    "ValidationException": "ValidationError",
}


def projected(item: Item, paths: Sequence[Path]) -> Item:
    """The parts of an item that paths lead to, or all of it if there are no paths."""
    if not paths:
        return item
    found: Item = select(item, paths)
    return {} if found is MISSING else found


def returned(command: Command, old: Item | None, new: Item | None, asked: str) -> Item | None:
    """The attributes that ReturnValues returns for a command; None if it returns nothing."""
    paths = [clause.path for clause in command.clauses] if isinstance(command, Update) else []
    of = old if asked.endswith("_OLD") else new
    if asked == "NONE" or of is None:
        return None
    if asked.startswith("ALL_"):
        return of
    return (projected(of, paths) if paths else None) or None


def _check_index_keys(indexes: Sequence[Index], item: Item, touched: set[str] | None = None) -> None:
    """An item's values for the keys of indexes, or those that an update has touched, must be valid as keys."""
    for index in indexes:
        if touched is not None and touched.isdisjoint(index.key):
            continue
        for name, value in _looked_at(index, item, touched):
            if kind(value) != TYPES[name]:
                raise Refusal("ValidationException")
            if value in ("", b""):
                raise EmptyKey("ValidationException")
        if not index.has_room_for(item):
            raise Refusal("ValidationException")


def _looked_at(index: Index, item: Mapping[str, Value], touched: set[str] | None) -> Iterator[tuple[str, Value]]:
    for name in index.key:
        if name in item and (touched is None or name in touched):
            yield name, item[name]
