"""Attribute values, in their form on the wire.

A value is a dict with one member, named after its type: {"S": "text"}, {"N": "1.5"}, {"B": "base64"},
{"BOOL": true}, {"NULL": true}, {"L": [...]}, {"M": {...}}, {"SS": [...]}, {"NS": [...]}, {"BS": [...]}. The
whole program keeps values so, and normalised: numbers in their normal form (numbers.py), sets without
duplicates and in order, nothing in the dict but the one member. So an item goes from the wire to the store and
back with no other representation in between.

A client's values are read by `normalise_item` and `normalise_value`, in one walk that checks, normalises and measures.
Values from the store are normalised, and are only measured and compared.

DynamoDB reads the types in a request before it applies any rule, so a wrong type anywhere comes before a broken rule
(value_types.py). The walk reports faults as they come; only when it has found a broken rule does a second one look for
a wrong type.

No walk goes on when it has seen more than an item may hold: nothing that follows can make that valid, and a body of 16
MB may hold a million values.

Sources: "Data types and naming rules", "Item sizes and formats" and "Quotas" in the developer guide; errors as
DynamoDB words them.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Callable, Iterable
from typing import Any

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.errors import TooDeepException
from jedlik.dynamodb.model import limits, numbers, value_types

AttributeValue = dict[str, Any]
"""One member, named after the type. See the module's docstring."""
Item = dict[str, AttributeValue]
"""Attribute names to values."""

_INVALID = "One or more parameter values were invalid: "
_EMPTY = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
_SEVERAL = (
    "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
)
_EMPTY_NAME = "Empty attribute name"
_NAME_TOO_LONG = f"Attribute name is too large, must be less than {limits.ATTRIBUTE_NAME_SIZE + 1} bytes"
_NESTING = (
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
)
_DEEPEST = limits.NESTING_DEPTH - 1
"""Levels of lists and maps in an attribute: the attribute itself is the first of the 32."""


class _TooLarge(Exception):
    """The values seen so far are larger than an item may be."""


# From a client


def normalise_item(raw: Any) -> tuple[Item, int]:
    """A client's map of attributes, normalised (the same object, changed in place), and its size in bytes.

    Raises SerializationException for wrong JSON types and ValidationException for the rest. The size is as DynamoDB
    counts it. The caller decides whether it is too large, because operations word that differently, unless the walk was
    given up for it.
    """
    if type(raw) is not dict:
        value_types.check_item(raw)
    try:
        return raw, _normalise_attributes(raw, 0)
    except _TooLarge:
        raise _too_large() from None
    except ValidationException as refusal:
        value_types.check_item(raw)
        if refusal.message == _EMPTY_NAME and "" not in raw:
            _check_depth(raw.values())
        raise


def normalise_value(raw: Any) -> tuple[AttributeValue, int]:
    """A client's value, normalised (the same object, changed in place), and its size in bytes.

    Raises as `normalise_item` does.
    """
    if type(raw) is not dict:
        value_types.check(raw)
    try:
        return raw, _normalise(raw, 0)
    except _TooLarge:
        raise _too_large() from None
    except ValidationException as refusal:
        value_types.check(raw)
        if refusal.message == _EMPTY_NAME:
            _check_depth((raw,))
        raise


def _check_depth(raws: Iterable[Any]) -> None:
    """Too deep nesting comes before an empty name somewhere in it."""
    if value_types.is_deeper(raws, _DEEPEST):
        raise TooDeepException(_NESTING)


def _too_large() -> ValidationException:
    return ValidationException("Item size has exceeded the maximum allowed size", bare=True)


def _normalise_attributes(attributes: dict[str, Any], depth: int) -> int:
    """Normalise the values of a map in place; return the size of names and values together."""
    if len(attributes) > limits.ITEM_SIZE:
        raise _TooLarge
    if "" in attributes:
        raise ValidationException(_EMPTY_NAME)
    total = 0
    for name, value in attributes.items():
        length = len(name) if name.isascii() else len(name.encode())
        if length > limits.ATTRIBUTE_NAME_SIZE:
            raise ValidationException(_NAME_TOO_LONG)
        total += length
        # Most values are strings and numbers.
        if type(value) is dict and len(value) == 1:
            if "S" in value:
                text = value["S"]
                if type(text) is str:
                    total += len(text) if text.isascii() else len(text.encode())
                    continue
            elif "N" in value:
                text = value["N"]
                if type(text) is str:
                    normal = numbers.normalise(text)
                    value["N"] = normal
                    total += numbers.size(normal)
                    continue
        total += _normalise(value, depth)
        if total > limits.ITEM_SIZE:
            raise _TooLarge
    return total


def _normalise(value: Any, depth: int) -> int:
    """Normalise a value in place; return its size."""
    if value is None:
        raise ValidationException(_EMPTY, bare=True)
    if type(value) is not dict:
        raise value_types.not_a_value(value)
    if len(value) != 1:
        return _normalise_irregular(value, depth)
    ((type_, content),) = value.items()
    normaliser = _NORMALISERS.get(type_)
    if normaliser is None or content is None:
        return _normalise_irregular(value, depth)
    return normaliser(value, content, depth)


def _normalise_irregular(value: dict[str, Any], depth: int) -> int:
    """As `_normalise`, for several members, or null or unknown ones, which count as absent."""
    if len(value) > len(_NORMALISERS):
        kept = {name: value[name] for name in _NORMALISERS if name in value}
        value.clear()  # In place of deleting a million unknown members one by one.
        value.update(kept)
    for name in [n for n, content in value.items() if content is None or n not in _NORMALISERS]:
        del value[name]
    if not value:
        raise ValidationException(_EMPTY, bare=True)
    size = 0
    for name, content in value.items():
        size = _NORMALISERS[name](value, content, depth)
    if len(value) > 1:
        raise ValidationException(_SEVERAL, bare=True)
    return size


def _normalise_string(value: dict[str, Any], content: Any, depth: int) -> int:
    if type(content) is not str:
        raise value_types.not_a_string(content)
    return text_size(content)


def _normalise_number(value: dict[str, Any], content: Any, depth: int) -> int:
    if type(content) is not str:
        raise value_types.not_a_string(content)
    normal = numbers.normalise(content)
    value["N"] = normal
    return numbers.size(normal)


def _normalise_binary(value: dict[str, Any], content: Any, depth: int) -> int:
    return value_types.binary_size(content)


def _normalise_boolean(value: dict[str, Any], content: Any, depth: int) -> int:
    value["BOOL"] = value_types.boolean(content)
    return 1


def _normalise_null(value: dict[str, Any], content: Any, depth: int) -> int:
    if not value_types.boolean(content):
        raise ValidationException(f"{_INVALID}Null attribute value types must have the value of true")
    value["NULL"] = True
    return 1


def _normalise_list(value: dict[str, Any], content: Any, depth: int) -> int:
    if type(content) is not list:
        raise value_types.not_a_list(content)
    if depth == _DEEPEST:
        raise TooDeepException(_NESTING)
    size = 3 + len(content)
    for element in content:
        if size > limits.ITEM_SIZE:
            raise _TooLarge
        size += _normalise(element, depth + 1)
    return size


def _normalise_map(value: dict[str, Any], content: Any, depth: int) -> int:
    if type(content) is not dict:
        raise value_types.not_a_map(content)
    if depth == _DEEPEST:
        raise TooDeepException(_NESTING)
    return 3 + len(content) + _normalise_attributes(content, depth + 1)


def _normalise_string_set(value: dict[str, Any], content: Any, depth: int) -> int:
    _check_members(content, "An string set  may not be empty", "An string set may not have a null string as a member")
    size = 0
    for element in content:
        if type(element) is not str:
            raise value_types.not_a_string(element)
        size += text_size(element)
    if size > limits.ITEM_SIZE:
        raise _TooLarge
    if len(set(content)) != len(content):
        quoted = ", ".join([f'"{text}"' for text in _to_first_repeat(content, str.encode)])
        raise ValidationException(
            f"{_INVALID}Input collection [{', '.join(content)}] contains duplicates.",
            f"{_INVALID}Input collection [{quoted}] contains duplicates.",
        )
    value["SS"] = ordered("SS", content)
    return size


def _normalise_number_set(value: dict[str, Any], content: Any, depth: int) -> int:
    _check_members(content, "An number set  may not be empty", "An number set may not have a null number as a member")
    for element in content:
        if type(element) is not str:
            raise value_types.not_a_string(element)
    normal = []
    size = 0
    for element in content:
        number = numbers.normalise(element)
        normal.append(number)
        size += numbers.size(number)
        if size > limits.ITEM_SIZE:
            raise _TooLarge
    if len(set(normal)) != len(normal):
        text = "Input collection contains duplicates"
        raise ValidationException(text, f"{_INVALID}{text}.")
    value["NS"] = ordered("NS", normal)
    return size


def _normalise_binary_set(value: dict[str, Any], content: Any, depth: int) -> int:
    _check_members(content, "Binary sets should not be empty", "Binary sets may not contain null values")
    size = sum(map(value_types.binary_size, content))
    if size > limits.ITEM_SIZE:
        raise _TooLarge
    if len(set(content)) != len(content):
        quoted = ",".join([f'"{text}"' for text in _to_first_repeat(content, a2b_base64)])
        raise ValidationException(
            f"{_INVALID}Input collection [{', '.join(content)}]of type BS contains duplicates.",
            f"{_INVALID}Input collection [{quoted}]of type BS contains duplicates.",
        )
    value["BS"] = ordered("BS", content)
    return size


def _to_first_repeat(members: list[str], in_bytes: Callable[[str], bytes]) -> list[str]:
    """Members of a set as AWS's newer checker shows them: sorted up to the first repeat, from there as they were given.

    It inserts them one by one into a sorted set, and gives up at the first that is already there.
    """
    seen = set()
    for position, member in enumerate(members):
        if member in seen:
            return sorted(members[:position], key=in_bytes) + members[position:]
        seen.add(member)
    raise AssertionError("no member is repeated")


def _check_members(content: Any, empty: str, null: str) -> None:
    """A set must be a list, with members, none of them null; the texts are those for the latter two."""
    if type(content) is not list:
        raise value_types.not_a_list(content)
    if not content:
        raise ValidationException(f"{_INVALID}{empty}")
    if len(content) > limits.ITEM_SIZE:  # Only one of its members can be empty.
        raise _TooLarge
    if None in content:
        raise ValidationException(f"{_INVALID}{null}")


_NORMALISERS: dict[str, Callable[[dict[str, Any], Any, int], int]] = {
    "S": _normalise_string,
    "N": _normalise_number,
    "B": _normalise_binary,
    "BOOL": _normalise_boolean,
    "NULL": _normalise_null,
    "L": _normalise_list,
    "M": _normalise_map,
    "SS": _normalise_string_set,
    "NS": _normalise_number_set,
    "BS": _normalise_binary_set,
}
"""Type to a function of the value (which it may change), its content and its depth, that returns its size."""


# Normalised values


def item_size(item: Item) -> int:
    """The size of a normalised item in bytes, as DynamoDB counts it: its names and values."""
    total = 0
    for name, value in item.items():
        total += text_size(name) + value_size(value)
    return total


def size_of(item: Item, names: Iterable[str]) -> int:
    """The size of some attributes only, of those that the item has. `names` are different ones."""
    total = 0
    for name in names:
        value = item.get(name)
        if value is not None:
            total += text_size(name) + value_size(value)
    return total


def value_size(value: AttributeValue) -> int:
    """The size of a normalised value in bytes, as DynamoDB counts it."""
    ((type_, content),) = value.items()
    return _SIZES[type_](content)


def text_size(text: str) -> int:
    """The bytes of a text in UTF-8, by which DynamoDB measures names and values."""
    return len(text) if text.isascii() else len(text.encode())


def _binary_size(text: str) -> int:
    padding = 0
    if text.endswith("="):
        padding = 2 if text.endswith("==") else 1
    return (len(text) >> 2) * 3 - padding


_SIZES: dict[str, Callable[[Any], int]] = {
    "S": text_size,
    "N": numbers.size,
    "B": _binary_size,
    "BOOL": lambda content: 1,
    "NULL": lambda content: 1,
    "L": lambda content: 3 + len(content) + sum(map(value_size, content)),
    "M": lambda content: 3 + len(content) + item_size(content),
    "SS": lambda content: sum(map(text_size, content)),
    "NS": lambda content: sum(map(numbers.size, content)),
    "BS": lambda content: sum(map(_binary_size, content)),
}


def type_of(value: AttributeValue) -> str:
    """The value's type: "S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS" or "BS"."""
    return next(iter(value))


_MEMBER_ORDER: dict[str, Callable[[str], Any]] = {"SS": str, "NS": numbers.sort_bytes, "BS": a2b_base64}


def ordered(type_: str, members: Iterable[str]) -> list[str]:
    """The members of a set in DynamoDB's order: strings and binaries by their bytes, numbers by their values.

    Rows that were stored before sets were sorted keep the original order of their members. Source: recorded in
    eu-west-2 on 2026-10-09 (paritysuite/dynamodb-conformance).
    """
    return sorted(members, key=_MEMBER_ORDER[type_])


def binary(value: AttributeValue) -> bytes:
    """The bytes of a value of type B."""
    return a2b_base64(value["B"])


def equal(a: AttributeValue, b: AttributeValue) -> bool:
    """Whether two normalised values are the same: type and content, sets in any order."""
    if a == b:
        return True
    ((type_, left),) = a.items()
    if type_ not in b:
        return False
    right = b[type_]
    match type_:
        case "SS" | "NS" | "BS":
            return len(left) == len(right) and set(left) == set(right)
        case "L":
            return len(left) == len(right) and all(map(equal, left, right))
        case "M":
            return left.keys() == right.keys() and all(equal(v, right[name]) for name, v in left.items())
    return False


def compare(a: AttributeValue, b: AttributeValue) -> int | None:
    """Negative, zero or positive as `a` is less than, equal to or greater than `b`.

    None when their types differ or have no order: only strings (by UTF-8 bytes), numbers and binaries do.
    """
    left: str | bytes
    right: str | bytes
    if "S" in a and "S" in b:
        # Code points sort as their UTF-8 bytes do.
        left, right = a["S"], b["S"]
    elif "N" in a and "N" in b:
        return numbers.compare(a["N"], b["N"])
    elif "B" in a and "B" in b:
        left, right = binary(a), binary(b)
    else:
        return None
    return 0 if left == right else 1 if left > right else -1  # type: ignore[operator]
