"""Conditions and updates as trees: their meaning for a plain item, in whichever language they are written."""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterator
from copy import deepcopy
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from testing.stateful.plain_values import MISSING, Item, Value, kind, order, same

Path = tuple[str | int, ...]


class Invalid(Exception):
    """An update that is impossible for this item."""


# Operands


@dataclass(frozen=True)
class At:
    path: Path


@dataclass(frozen=True)
class Size:
    path: Path


@dataclass(frozen=True)
class Constant:
    value: Value


Operand = At | Size | Constant


def reach(value: Value, path: Path) -> Value:
    """What is at the end of a path; MISSING if it leads nowhere."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step, MISSING)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return MISSING
    return value


def select(value: Value, paths: Collection[Path]) -> Value:
    """The parts of a value that disjoint paths lead to, in their places; MISSING if no path leads to one."""
    if () in paths:
        return value
    steps = {path[0] for path in paths}
    below = {step: [path[1:] for path in paths if path[0] == step] for step in steps}
    found: Value = MISSING
    if isinstance(value, dict):
        chosen = {name: select(value[name], below[name]) for name in value if name in below}
        found = {name: part for name, part in chosen.items() if part is not MISSING}
    elif isinstance(value, list):
        elements = [select(element, below[n]) for n, element in enumerate(value) if n in below]
        found = [part for part in elements if part is not MISSING]
    return found or MISSING


def _operand(operand: Operand, item: Item) -> Value:
    match operand:
        case Constant(value):
            return value
        case At(path):
            return reach(item, path)
        case Size(path):
            value = reach(item, path)
            if value is MISSING or isinstance(value, Decimal | bool | None):
                return MISSING
            # UTF-16 code units of a string, bytes of a binary, elements of the others.
            return Decimal(len(value.encode("utf-16-le")) // 2 if isinstance(value, str) else len(value))


# Conditions


@dataclass(frozen=True)
class Compare:
    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True)
class Between:
    operand: Operand
    low: Constant
    high: Constant


@dataclass(frozen=True)
class In:
    operand: Operand
    candidates: tuple[Constant, ...]


@dataclass(frozen=True)
class Exists:
    path: Path
    negated: bool


@dataclass(frozen=True)
class Function:
    name: str
    """begins_with, contains or attribute_type."""
    path: Path
    argument: Constant


@dataclass(frozen=True)
class Not:
    condition: Condition


@dataclass(frozen=True)
class Both:
    operator: str
    """AND or OR."""
    left: Condition
    right: Condition


Condition = Compare | Between | In | Exists | Function | Not | Both

_ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def holds(condition: Condition, item: Item) -> bool:
    """Whether an item satisfies a condition; {} stands for no item."""
    match condition:
        case Both("AND", left, right):
            return holds(left, item) and holds(right, item)
        case Both(_, left, right):
            return holds(left, item) or holds(right, item)
        case Not(negated):
            return not holds(negated, item)
        case Exists(path, negated):
            return (reach(item, path) is MISSING) == negated
        case Compare(comparator, left, right):
            return _compared(comparator, _operand(left, item), _operand(right, item))
        case Between(operand, low, high):
            value = _operand(operand, item)
            return _compared(">=", value, low.value) and _compared("<=", value, high.value)
        case In(operand, candidates):
            value = _operand(operand, item)
            return any(_compared("=", value, candidate.value) for candidate in candidates)
        case Function(name, path, argument):
            value = reach(item, path)
            return value is not MISSING and _FUNCTIONS[name](value, argument.value)


def _compared(comparator: str, a: Value, b: Value) -> bool:
    there = a is not MISSING and b is not MISSING
    if comparator == "=":
        return there and same(a, b)
    if comparator == "<>":
        return not (there and same(a, b))
    if not there or kind(a) != kind(b) or kind(a) not in ("S", "N", "B"):
        return False
    return bool(_ORDERS[comparator](order(a), order(b)))


def _begins_with(value: Value, beginning: Value) -> bool:
    return kind(value) == kind(beginning) and bool(value.startswith(beginning))


def _contains(value: Value, part: Value) -> bool:
    if isinstance(value, str | bytes):
        return kind(value) == kind(part) and part in value
    return isinstance(value, list | frozenset) and any(same(member, part) for member in value)


_FUNCTIONS: dict[str, Any] = {
    "begins_with": _begins_with,
    "contains": _contains,
    "attribute_type": lambda value, type_: kind(value) == type_,
}


def names_in(condition: Condition | None) -> set[str]:
    """The attributes that a condition reads."""
    return {str(path[0]) for path in _paths(condition)}


def _paths(node: object) -> Iterator[Path]:
    match node:
        case At(path) | Size(path) | Exists(path) | Function(_, path):
            yield path
        case Compare(_, left, right) | Both(_, left, right):
            yield from _paths(left)
            yield from _paths(right)
        case Not(part) | Between(part) | In(part):
            yield from _paths(part)


# Updates


@dataclass(frozen=True)
class Sum:
    operator: str
    left: Source
    right: Constant


@dataclass(frozen=True)
class Default:
    """if_not_exists."""

    path: Path
    otherwise: Constant


@dataclass(frozen=True)
class Joined:
    """list_append."""

    first: Source
    second: Source


Source = Constant | At | Sum | Default | Joined


@dataclass(frozen=True)
class Clause:
    """One action of an update."""

    verb: str
    path: Path
    source: Source | None = None
    """The value that is set, added or deleted."""


_SUM = Context(prec=600)
_REMOVED = object()


def updated(item: Item | None, key: Item, clauses: Collection[Clause]) -> Item | None:
    """The item after an update of `item`, or of nothing at `key`. Raises Invalid.

    Assigned values are computed from the item before. Indexes are those of lists before: values that are set beyond the
    end are appended, in the order of the indexes, and removals come last. If there was no item, an update that only
    removes creates none.
    """
    before = key if item is None else item
    after = deepcopy(before)
    absent = {c.path[0] for c in clauses if item is None and len(c.path) > 1}
    spared = {name for name in absent if all(c.verb == "REMOVE" for c in clauses if c.path[0] == name)}
    for clause in sorted(clauses, key=lambda c: [(isinstance(step, int), step) for step in c.path]):
        if clause.path[0] not in spared:
            _change(after, before, clause)
    after = _without_removed(after)
    return None if item is None and clauses and after == key else after


def _change(after: Item, before: Item, clause: Clause) -> None:
    *way, last = clause.path
    parent = reach(after, tuple(way))
    old_parent = reach(before, tuple(way))
    if not isinstance(parent, dict if isinstance(last, str) else list):
        raise Invalid
    new = _changed(clause, reach(old_parent, (last,)), before)
    if isinstance(parent, dict):
        if new is _REMOVED:
            parent.pop(last, None)
        else:
            parent[last] = new
    elif isinstance(last, int) and last < len(old_parent):
        parent[last] = new
    elif new is not _REMOVED:
        parent.append(new)


def _changed(clause: Clause, old: Value, before: Item) -> Value:
    """The new value at the end of a clause's path."""
    if clause.verb == "REMOVE":
        return _REMOVED
    assert clause.source is not None
    operand = _value(clause.source, before)
    if clause.verb == "SET":
        return deepcopy(operand)
    if old is MISSING:
        return operand if clause.verb == "ADD" else _REMOVED
    if kind(old) != kind(operand):
        raise Invalid
    if clause.verb == "DELETE":
        return (old - operand) or _REMOVED
    return old | operand if isinstance(old, frozenset) else _sum(old, operand)


def _value(source: Source, item: Item) -> Value:
    match source:
        case Constant(value):
            return value
        case At(path):
            value = reach(item, path)
            if value is MISSING:
                raise Invalid
            return value
        case Default(path, otherwise):
            value = reach(item, path)
            return otherwise.value if value is MISSING else value
        case Sum(sign, left, right):
            a, b = _value(left, item), right.value
            if kind(a) != "N":
                raise Invalid
            return _sum(a, b if sign == "+" else b.copy_negate())
        case Joined(first, second):
            parts = [_value(first, item), _value(second, item)]
            if not all(isinstance(part, list) for part in parts):
                raise Invalid
            return parts[0] + parts[1]


def _sum(a: Decimal, b: Decimal) -> Decimal:
    total = _SUM.normalize(_SUM.add(a, b))
    if total and not (len(total.as_tuple().digits) <= 38 and -130 <= total.adjusted() <= 125):
        raise Invalid
    return total


def _without_removed(value: Value) -> Value:
    if isinstance(value, dict):
        return {name: _without_removed(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_without_removed(element) for element in value if element is not _REMOVED]
    return value
