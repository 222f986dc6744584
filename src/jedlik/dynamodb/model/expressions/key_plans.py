"""Plans: how the commonest key conditions become a range of keys, worked out once for a key and a text.

A plan is for conditions on the partition key's one attribute and perhaps on the first of the sort key's, in which
placeholders stand for strings or numbers. `key_conditions` reads the text when the plan is made, so a text that it
refuses has no plan. For values that it would refuse, and for long ones, a plan has no range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import keys, plain_keys
from jedlik.dynamodb.model.expressions.ast import InvalidExpression
from jedlik.dynamodb.model.expressions.key_conditions import AttributeCondition, parse_key_condition
from jedlik.dynamodb.model.expressions.parser import condition_placeholders
from jedlik.dynamodb.model.expressions.placeholders import Placeholders

if TYPE_CHECKING:
    from jedlik.dynamodb.model.tables import Index, Table

REMEMBERED = 1024
"""Plans at a time."""
LONGEST = 1024
"""Characters of a text, with its placeholders and names, for which there is a plan."""
_NUMBERED = 9
"""Digits of a number before a placeholder."""


class Plan:
    """How the values of a request become the range of keys that it asks for."""

    __slots__ = ("_operands", "_operator", "_partition", "is_long", "of")

    def __init__(self, of: Table | Index, partition: str, operator: str | None, operands: tuple[str, ...]) -> None:
        self.of = of
        """What is queried."""
        self._partition = partition
        """The placeholder for the partition key's value."""
        self._operator = operator
        """What the sort key is compared by, as in `keys.sort_bounds`; None if it is not compared."""
        self._operands = operands
        """The placeholders for what it is compared with."""
        self.is_long = False
        """Whether a query without a limit has found more than one read may."""

    def bounds(self, values: dict[str, Any], secret: bytes) -> tuple[bytes, bytes] | None:
        """The first key of the range, and the first after it; None if the values are not as plans have them.

        Raises ValidationException for what is no number.
        """
        of = self.of
        text = plain_keys.text_of(values[self._partition], of.partition_key[0].type)
        if text is None:
            return None
        operands = []
        for placeholder in self._operands:
            type_ = of.sort_key[0].type
            operand = plain_keys.text_of(values[placeholder], type_)
            if operand is None:
                return None
            operands.append({type_: operand})
        start, end = keys.sort_bounds(
            plain_keys.partition_prefix(of, text, secret), of.sort_key, (), self._operator, operands
        )
        return (start, end) if start < end else None  # The lower bound of a BETWEEN may be the higher one.


_plans: dict[tuple[object, ...], tuple[Table | Index, Plan | None]] = {}


def plan(table: Table, index: Index | None, text: str, names: Any, values: Any) -> Plan | None:
    """The plan for a KeyConditionExpression, and for ExpressionAttributeNames and ExpressionAttributeValues as they
    were sent; None if no plan is possible."""
    if type(values) is not dict or not (names is None or type(names) is dict):
        return None
    of = table if index is None else index
    asked = (of.prefix, text, tuple(values), None if names is None else tuple(names.items()))
    try:
        remembered = _plans.get(asked)
    except TypeError:  # Names that are no texts.
        return None
    if remembered is not None and remembered[0] is of:
        return remembered[1]
    if len(text) + sum(map(len, values)) + len(str(names)) > LONGEST:
        return None
    made = _plan(of, index is None, text, names, tuple(values))
    if len(_plans) >= REMEMBERED:
        _plans.clear()
    _plans[asked] = of, made
    return made


def _plan(of: Table | Index, is_table: bool, text: str, names: Any, values: tuple[str, ...]) -> Plan | None:
    if names is not None and not all(type(name) is str for name in names.values()):
        return None
    # Each placeholder stands for a value that names it. These are in the order of the text, as the bounds of BETWEEN
    # must be.
    try:
        used = condition_placeholders(text)[1]
        if set(used) != set(values):
            return None
        known = Placeholders(names, {one: {"S": f"{at:0{_NUMBERED}}{one}"} for at, one in enumerate(used)})
        conditions = parse_key_condition(text, known)
        known.check_all_used()
    except (ValidationException, InvalidExpression):
        return None
    sort = of.sort_key[:1]
    partition = conditions.pop(of.partition_key[0].name, None)
    compared = conditions.pop(sort[0].name, None) if sort else None
    if conditions or len(of.partition_key) != 1 or partition is None or partition.operator != "=":
        return None
    # A query of a whole key of a table has one item at most, and another rule for its limit.
    if is_table and (not sort or (compared is not None and compared.operator == "=")):
        return None
    [value] = _placeholders(partition)
    if compared is None:
        return Plan(of, value, None, ())
    if compared.operator == "begins_with" and sort[0].type != "S":
        return None
    return Plan(of, value, compared.operator, _placeholders(compared))


def _placeholders(condition: AttributeCondition) -> tuple[str, ...]:
    return tuple([operand["S"][_NUMBERED:] for operand in condition.operands])
