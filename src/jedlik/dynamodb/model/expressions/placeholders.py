"""The meaning of `#name` and `:value`: ExpressionAttributeNames and ExpressionAttributeValues of one request.

The maps are checked before any expression: first the names, then the values. Once all expressions of the request are
bound, it is known which of them were used, and unused ones are refused.

Source: "Expression attribute names (aliases)" and "Using expression attribute values" in the developer guide.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import limits, values
from jedlik.dynamodb.model.expressions.ast import AttributeValue

_NAME = re.compile(r"#[0-9A-Za-z_]+")
_VALUE = re.compile(r":[0-9A-Za-z_]+")


class Placeholders:
    """The names and values given to one request's expressions, and which of them have been used.

    `names` and `values` are the request's ExpressionAttributeNames and ExpressionAttributeValues, or None when
    absent. Values are normalised in place. Raises ValidationException for malformed maps, names or values, and
    SerializationException for values of the wrong JSON types.
    """

    __slots__ = ("_names", "_unused_names", "_unused_values", "size", "values")

    values: dict[str, AttributeValue]
    """The values, normalised, by :placeholder."""
    size: int
    """Bytes of all names and values together."""

    def __init__(self, names: dict[str, str] | None, values: dict[str, Any] | None) -> None:
        size = _checked_names_size(names) if names is not None else 0
        if values is not None:
            size += _normalised_values_size(values)
        if size > limits.SUBSTITUTION_SIZE:
            raise ValidationException(
                "Combined size of ExpressionAttributeNames and ExpressionAttributeValues exceeds max size"
            )
        self.size = size
        self._names = names or {}
        self.values = values or {}
        self._unused_names = set(self._names)
        self._unused_values = set(self.values)

    def use(self, names: Iterable[str], values: Iterable[str]) -> tuple[str | None, ...]:
        """Mark the #names and :values in an expression as used, whether or not they are defined.

        Returns the attribute names of the #names, in their order, None for an undefined one.
        """
        self._unused_values.difference_update(values)
        if not names:
            return ()
        self._unused_names.difference_update(names)
        return tuple([self._names.get(name) for name in names])

    def check_all_used(self) -> None:
        """Refuses the request if no expression uses one of its names or values. Call it last."""
        if self._unused_names:
            raise _unused("ExpressionAttributeNames", self._names, self._unused_names)
        if self._unused_values:
            raise _unused("ExpressionAttributeValues", self.values, self._unused_values)


def _checked_names_size(names: dict[str, str]) -> int:
    parameter = "ExpressionAttributeNames"
    if not names:
        raise ValidationException(f"{parameter} must not be empty")
    size = 0
    for key, name in names.items():
        _check_key(parameter, _NAME, key)
        length = len(name.encode())
        if not 0 < length <= limits.ATTRIBUTE_NAME_SIZE:
            reason = (
                f"Attribute name is too large, must be less than {limits.ATTRIBUTE_NAME_SIZE + 1} bytes"
                if length
                else "Empty attribute name"
            )
            raise ValidationException(f"{parameter} contains invalid value: {reason} for key {key}")
        size += len(key) + length
    return size


def _normalised_values_size(given: dict[str, Any]) -> int:
    parameter = "ExpressionAttributeValues"
    if not given:
        raise ValidationException(f"{parameter} must not be empty")
    for key in given:
        _check_key(parameter, _VALUE, key)
    size = 0
    for key, raw in given.items():
        try:
            given[key], length = values.normalise_value(raw)
        except ValidationException as refusal:
            wrapped = f"{parameter} contains invalid value: {refusal.message} for key {key}"
            raise ValidationException(wrapped, refusal.newer, bare=refusal.bare) from None
        size += len(key) + length
    return size


def _check_key(parameter: str, pattern: re.Pattern[str], key: str) -> None:
    if pattern.fullmatch(key) is None:
        raise ValidationException(f'{parameter} contains invalid key: Syntax error; key: "{key}"')
    if len(key) > limits.PLACEHOLDER_SIZE:
        raise ValidationException(
            f"{parameter} contains invalid key: The expression attribute map contains a key that is too long"
        )


def _unused(parameter: str, given: Iterable[str], unused: Collection[str]) -> ValidationException:
    keys = ", ".join([key for key in given if key in unused])
    return ValidationException(f"Value provided in {parameter} unused in expressions: keys: {{{keys}}}")
