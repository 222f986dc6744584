"""How DynamoDB and its streams check the shape of requests: departures from the model, and rules that no model has.

The data are in `shape_overrides`; here is the part that must be programmed: the order of refusals, and how errors show
attribute values.
"""

from __future__ import annotations

from typing import Any

from jedlik.aws.errors import ValidationException
from jedlik.aws.shapes.echoes import LENGTH
from jedlik.aws.shapes.service_shapes import Members, Printer, ServiceShapes
from jedlik.aws.shapes.shape_rules import Accept, Constrain, Rule, enumerated, terse
from jedlik.dynamodb import attribute_values, wording
from jedlik.dynamodb import shape_overrides as overrides
from jedlik.dynamodb.model import value_types
from jedlik.dynamodb.model.limits import COLLECTION_LENGTH
from jedlik.dynamodb.tables import table_names

PACKAGE = "com.amazonaws.dynamodb.v20120810."
VALUE = "AttributeValue"
_VALUE_MEMBERS = (
    "s", "n", "b", "iNT", "dECIMAL", "dOUBLE", "sS", "nS", "bS", "iNTSET", "dECIMALSET", "dOUBLESET", "m", "l",
    "nULL", "bOOL",
)  # fmt: skip
"""The members of an attribute value, in the order in which they are printed. Some are AWS's own."""


def _shown_value(printer: Printer, value: Any, depth: int) -> str:
    """An attribute value as Java prints it."""
    if type(value) is not dict:
        return printer.counted(str(value)[:LENGTH])
    given = {f"{member[0].lower()}{member[1:]}": content for member, content in value.items()}
    parts = [f"{member}={_shown_content(printer, given.get(member), depth)}" for member in _VALUE_MEMBERS]
    return printer.counted(f"{VALUE}({', '.join(parts)})")


def _shown_content(printer: Printer, content: Any, depth: int) -> str:
    return "null" if content is None else printer.content(content, VALUE, depth)


class _TableNames:
    """Members and keys that are tables' names or ARNs."""

    key_rules: tuple[Rule, ...] = table_names.KEY_RULES

    def checks(self, structure: str) -> tuple[Accept, Constrain]:
        shortest = 3 if structure in overrides.TABLE_REQUIRED else 1
        return table_names.accepting(shortest), table_names.constraint(shortest)


def _requiring_table(members: Members) -> Constrain:
    """Operations on tables report a missing table name before anything else, and in words of their own."""
    constrain_members = members.constraint()

    def constrain_input(value: Any, path: str, errors: list[str]) -> None:
        if "TableName" not in value:
            raise ValidationException("The parameter 'TableName' is required but was not present in the request")
        constrain_members(value, path, errors)

    return constrain_input


def _giving_way(members: Members) -> Constrain:
    """One member is checked only if there is no fault in those before it."""
    last = overrides.GIVING_WAY[members.name]
    label, constrain = members.checks[last]

    def constrain_last(value: Any, path: str, errors: list[str]) -> None:
        if constrain is not None and not errors:
            constrain(value, path, errors)

    return members._replace(checks=members.checks | {last: (label, constrain_last)}).constraint()


def _newer(members: Members) -> Constrain:
    """The constraints on the input of an operation that AWS has moved to its newer checker of requests.

    The newer one leaves a request to the older one if it lacks a member or is nested too deeply.
    """
    name, shapes, checks, required = members
    find_values = attribute_values.finder(shapes, name)
    older = members.constraint()
    newer_checks = dict(checks)
    for member, shape_name in shapes[name]["members"].items():
        if shape_name in overrides.NEWER_ENUM_SETS:
            allowed, listed = shapes[shape_name]["enum"], overrides.NEWER_ENUM_SETS[shape_name]
            newer_checks[member] = (checks[member][0], enumerated(allowed, listed))
    newer = members._replace(checks=newer_checks).constraint()
    alone = {member: newer_checks[member][1] for member in overrides.TOLD_ALONE[name]}
    if "TableName" in alone:
        alone["TableName"] = terse((table_names.NOT_EMPTY,), None)

    def constrain_input(value: Any, path: str, errors: list[str]) -> None:
        if not value.keys() >= required or value_types.is_deeper(find_values(value), wording.DEEPEST):
            older(value, path, errors)
            return
        for member, constrain in alone.items():
            if member in value and constrain is not None:
                constrain(value[member], member, errors)
                if errors:
                    raise ValidationException(errors[0])
        newer(value, path, errors)

    return constrain_input


def _shapes(service: str) -> ServiceShapes:
    return ServiceShapes(
        service=service,
        package=PACKAGE,
        opaque=dict.fromkeys(overrides.OPAQUE, _shown_value),
        shapes=overrides.SHAPES,
        members=overrides.MEMBERS,
        enum_sets=overrides.ENUM_SETS,
        first_members=overrides.FIRST_MEMBERS,
        inputs=dict.fromkeys(overrides.TABLE_REQUIRED, _requiring_table)
        | dict.fromkeys(overrides.GIVING_WAY, _giving_way)
        | dict.fromkeys(overrides.TOLD_ALONE, _newer),
        texts={overrides.TABLE_NAMES: _TableNames()},
        terse=overrides.TERSE,
        shown_as_json=overrides.SHOWN_AS_JSON,
        hidden_members=overrides.HIDDEN_MEMBERS,
        longest_collection=COLLECTION_LENGTH,
    )


DYNAMODB = _shapes("dynamodb")
STREAMS = _shapes("dynamodbstreams")
