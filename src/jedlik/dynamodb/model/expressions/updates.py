"""Update expressions: the effect of SET, REMOVE, ADD and DELETE on an item.

An update is compiled to a tree of the paths that it changes, with a change at the end of each. A change is a function
of the present value and of the item as it was, so every right-hand side reads the item before the update, in any order.
Applying an update copies the maps and lists on the way to a change and shares the rest.

In a list, indexes are those of the list before the update. An element set beyond its end is appended, in the order of
the indexes, and removals come last.

Source: "Using update expressions" in the developer guide; errors as DynamoDB words them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import limits
from jedlik.dynamodb.model.expressions import ast, paths
from jedlik.dynamodb.model.expressions.ast import (
    Action,
    Arithmetic,
    AttributeValue,
    Check,
    InvalidExpression,
    Item,
    Literal,
    Operand,
    ValuePlaceholder,
    Values,
)
from jedlik.dynamodb.model.expressions.key_attributes import refuse_nested_keys, refuse_updated_keys
from jedlik.dynamodb.model.expressions.operands import Refusal, operand_checks
from jedlik.dynamodb.model.expressions.parser import parse_update, update_placeholders
from jedlik.dynamodb.model.expressions.path_changes import CHANGES, ChangeMaker, PathChange
from jedlik.dynamodb.model.expressions.paths import Branch
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from jedlik.dynamodb.model.expressions.remembering import remembering
from jedlik.dynamodb.model.expressions.update_charges import Charge, charge
from jedlik.dynamodb.model.key_values import check_assigned_types
from jedlik.dynamodb.model.values import type_of

if TYPE_CHECKING:
    from jedlik.dynamodb.model.tables import Table

TOO_LARGE = "Item size to update has exceeded the maximum allowed size"
_INVALID_PATH = "The document path provided in the update expression is invalid for update"
_TYPE_NAMES = {
    "S": "STRING",
    "N": "NUMBER",
    "B": "BINARY",
    "BOOL": "BOOL",
    "NULL": "NULL",
    "L": "LIST",
    "M": "MAP",
}
"""DynamoDB's names of types in refusals of the operands of ADD and DELETE."""
_SETS = ("SS", "NS", "BS")


class BoundUpdate:
    """A change to an item, bound to its values."""

    __slots__ = ("_plan", "_values")

    def __init__(self, plan: Plan, values: Values) -> None:
        self._plan = plan
        self._values = values

    @property
    def top_level_names(self) -> Collection[str]:
        """Top-level attributes that it changes."""
        return self._plan.changed_names

    def apply(self, item: Item, exists: bool = True) -> Item:
        """The item after the change: a new one that shares the unchanged parts; `item` is left as it was.

        `item` is the present item or, if it does not exist, its key, with `exists` False. Raises ValidationException.
        """
        values = self._values
        changed = item.copy()
        for name, node in self._plan.tree.children.items():
            assert isinstance(name, str)
            if not isinstance(node, Branch):
                value = node(item.get(name), item, values)
            elif exists or name not in self._plan.removed_from:
                value = _changed(node, item.get(name), item, values, 1)
            else:
                # Removing something from inside an attribute is an error if the attribute is missing, but not if the
                # whole item is.
                continue
            if value is None:
                changed.pop(name, None)
            else:
                changed[name] = value
        return changed

    def check_charge(self, size: int) -> None:
        """Raises ValidationException if the charge for the statement is more than an item may hold (`update_charges`).

        `size` is that of all the request's names and values together.
        """
        charge = self._plan.charge
        if charge is None or charge.fixed + len(charge.values) * size <= limits.ITEM_SIZE:
            return  # The charge cannot be more, whatever values the statement uses, and however often.
        if charge.total(self._values) > limits.ITEM_SIZE:
            raise ValidationException(TOO_LARGE)

    def updated(self, item: Item) -> Item:
        """The touched parts of an item, before or after the change: UPDATED_OLD or UPDATED_NEW.

        DynamoDB reads the same paths in both: an element appended by an index beyond the list's end is not found, and
        in place of a removed element its successor is.
        """
        return paths.select(self._plan.touched, item)

    def refuse_key_attributes(self, table: Table) -> None:
        """Raises ValidationException if it changes an attribute of the table's key, or gives a key attribute of an
        index a value of another type, or if one of its paths, changed or read, goes into a key attribute."""
        refuse_updated_keys(table, self._plan.changed_names)
        if table.indexes:
            check_assigned_types(table, self._assigned_types())
        refuse_nested_keys(table, self._plan.nested_names)

    def _assigned_types(self) -> dict[str, str]:
        """New types of top-level attributes, as far as the request determines them."""
        types = {}
        for name, operand in self._plan.assigned:
            match operand:
                case ValuePlaceholder():
                    types[name] = type_of(self._values[operand.text])
                case Literal():
                    types[name] = type_of(operand.value)
                case Arithmetic():
                    types[name] = "N"
        return types


class Plan(NamedTuple):
    """An update ready to be bound to values."""

    tree: Branch[PathChange]
    touched: Branch[None]
    checks: tuple[Check, ...]
    changed_names: tuple[str, ...]
    """Top-level attributes that it changes, in the order of the text."""
    nested_names: frozenset[str]
    """Top-level attributes into which a path looks or reaches."""
    removed_from: frozenset[str]
    """Those among them from which it only removes."""
    assigned: tuple[tuple[str, Operand | None], ...]
    """Top-level attributes and their new values."""
    charge: Charge | None = None
    """UpdateItem's charge for it, if there is one."""


def update(text: str, placeholders: Placeholders) -> BoundUpdate:
    """The change of an UpdateExpression. Raises ValidationException."""
    try:
        plan = planned(text, placeholders)
        for check in plan.checks:
            check(placeholders.values)
    except InvalidExpression as refusal:
        raise ValidationException(f"Invalid UpdateExpression: {refusal}") from None
    return BoundUpdate(plan, placeholders.values)


def planned(text: str, placeholders: Placeholders) -> Plan:
    """The plan of an UpdateExpression, whose values are not checked yet. Raises InvalidExpression."""
    names, used_values = update_placeholders(text)
    return _plan(text, names, placeholders.use(names, used_values))


@remembering
def _plan(text: str, placeholders: tuple[str, ...], names: tuple[str | None, ...]) -> Plan:
    behind = dict(zip(placeholders, names, strict=True))
    actions = [ast.action_with_names(action, behind) for action in parse_update(text)]
    for path in ast.paths(actions):
        paths.check_defined(path)
    paths.check_disjoint([action.path for action in actions])
    checks = _checks(actions)
    made = plan(actions, checks, CHANGES)
    return made if _are_refused(checks) else made._replace(charge=charge(actions))


def plan(actions: Sequence[Action], checks: tuple[Check, ...], changes: Mapping[str, ChangeMaker]) -> Plan:
    """The plan of actions on disjoint paths. `changes` defines each verb."""
    is_refused = _are_refused(checks)
    by_name: dict[str, set[str]] = {}
    for action in actions:
        verb = action.verb if len(action.path.steps) > 1 else ""
        by_name.setdefault(paths.attribute(action.path), set()).add(verb)
    return Plan(
        tree=paths.tree((a.path, _never if is_refused else changes[a.verb](a)) for a in actions),
        touched=paths.tree((action.path, None) for action in actions),
        checks=checks,
        changed_names=tuple(by_name),
        nested_names=frozenset(paths.attribute(p) for p in ast.paths(actions) if len(p.steps) > 1),
        removed_from=frozenset(name for name, verbs in by_name.items() if verbs == {"REMOVE"}),
        assigned=tuple((paths.attribute(a.path), a.value) for a in actions if len(a.path.steps) == 1),
    )


def _are_refused(checks: tuple[Check, ...]) -> bool:
    """Whether an update is malformed for any values."""
    return any(isinstance(check, Refusal) for check in checks)


def _never(_: AttributeValue | None, __: Item, ___: Values) -> AttributeValue | None:
    raise AssertionError("a malformed update is refused before it is applied")


# Checks


def _checks(actions: Sequence[Action]) -> tuple[Check, ...]:
    """All values are looked up first; then come the operands of ADD and DELETE, then those of functions."""
    values = [node for node in ast.walk(actions) if isinstance(node, ValuePlaceholder)]
    return (
        *[check for value in values for check in operand_checks(value)],
        *_operand_type_checks(actions),
        *[check for a in actions if a.value is not None for check in operand_checks(a.value)],
    )


def _operand_type_checks(actions: Sequence[Action]) -> Iterator[Check]:
    for action in actions:
        if action.verb in ("ADD", "DELETE"):
            assert isinstance(action.value, ValuePlaceholder)
            allowed = _SETS if action.verb == "DELETE" else (*_SETS, "N")
            yield _operand_type_check(action.verb, action.value.text, allowed)


def _operand_type_check(verb: str, placeholder: str, allowed: Collection[str]) -> Check:
    def check(values: Values) -> None:
        type_ = next(iter(values[placeholder]))
        if type_ not in allowed:
            raise InvalidExpression(
                "Incorrect operand type for operator or function; "
                f"operator: {verb}, operand type: {_TYPE_NAMES[type_]}, typeSet: ALLOWED_FOR_ADD_OPERAND"
            )

    return check


# Applying


def _changed(
    branch: Branch[PathChange], value: AttributeValue | None, item: Item, values: Values, depth: int
) -> AttributeValue:
    """A map or list with the changes below it made, `depth` levels inside the item."""
    if value is not None:
        if branch.is_of_list():
            if "L" in value:
                return {"L": _changed_elements(branch, value["L"], item, values, depth)}
        elif "M" in value:
            return {"M": _changed_members(branch, value["M"], item, values, depth)}
    raise ValidationException(_INVALID_PATH)


def _changed_members(branch: Branch[PathChange], members: Item, item: Item, values: Values, depth: int) -> Item:
    changed = members.copy()
    for name, node in branch.children.items():
        assert isinstance(name, str)
        value = _changed_node(node, members.get(name), item, values, depth)
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = value
    return changed


def _changed_elements(
    branch: Branch[PathChange], elements: list[AttributeValue], item: Item, values: Values, depth: int
) -> list[AttributeValue]:
    changed = elements.copy()
    removed = []
    for index, node in branch.children.items():
        assert isinstance(index, int)
        is_there = index < len(elements)
        value = _changed_node(node, elements[index] if is_there else None, item, values, depth)
        if value is None:
            if is_there:
                removed.append(index)
        elif is_there:
            changed[index] = value
        else:
            changed.append(value)
    for index in reversed(removed):
        del changed[index]
    return changed


def _changed_node(
    node: Branch[PathChange] | PathChange, value: AttributeValue | None, item: Item, values: Values, depth: int
) -> AttributeValue | None:
    if isinstance(node, Branch):
        return _changed(node, value, item, values, depth + 1)
    new = node(value, item, values)
    if new is not None and ("L" in new or "M" in new) and depth + _depth(new) > limits.NESTING_DEPTH:
        raise ValidationException(
            "Nesting Levels have exceeded supported limits: "
            "Attributes in the item have nested levels beyond supported limit"
        )
    return new


def _depth(value: AttributeValue) -> int:
    """The greatest number of nested lists and maps, from the value inwards."""
    ((type_, content),) = value.items()
    if type_ == "L":
        return 1 + max(map(_depth, content), default=0)
    if type_ == "M":
        return 1 + max(map(_depth, content.values()), default=0)
    return 0
