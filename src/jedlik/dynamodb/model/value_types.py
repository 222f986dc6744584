"""JSON types of attribute values: the SerializationExceptions for a client's values.

DynamoDB's front end turns a request into typed structures before anything else reads it. These are its refusals: of
{"S": 5}, {"L": {}}, {"B": "not base64"}. A null counts as absent, and so does an unknown member; values.py finds the
rules that this absence breaks.

Errors as DynamoDB words them, misspelling included.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from jedlik.aws.errors import SerializationException
from jedlik.dynamodb.model import limits

_STRUCTURE = "Start of structure or map found where not expected"
_COLLECTION = "Unrecognized collection type "
_VALUE_CLASS = "class com.amazonaws.dynamodb.v20120810.AttributeValue"
_MAP_CLASS = "java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>"
_TRUE = frozenset(("TRUE", "1", "YES"))
_FALSE = frozenset(("FALSE", "0", "NO"))


def check_item(raw: Any) -> None:
    """Raise SerializationException if a JSON type in a client's map of attributes is wrong."""
    if type(raw) is not dict:
        raise not_a_map(raw)
    check(*raw.values())


def check(*raws: Any) -> None:
    """Raise SerializationException if a JSON type in a client's values is wrong. Accepts any depth.

    Checks no more values than can be in an item: more are refused in any case.
    """
    pending = list(reversed(raws))
    looked_at = 0
    while pending and looked_at <= limits.ITEM_SIZE:
        looked_at += 1
        value = pending.pop()
        if value is None:
            continue
        if type(value) is not dict:
            raise not_a_value(value)
        for name, content in value.items():
            if content is None:
                continue
            if name in _TYPE_CHECKS:
                _TYPE_CHECKS[name](content)
            elif name in _ELEMENT_CHECKS:
                if type(content) is not list:
                    raise not_a_list(content)
                looked_at += len(content)
                for element in islice(content, limits.ITEM_SIZE):
                    if element is not None:
                        _ELEMENT_CHECKS[name](element)
            elif name == "L":
                if type(content) is not list:
                    raise not_a_list(content)
                pending.extend(content)
            elif name == "M":
                if type(content) is not dict:
                    raise not_a_map(content)
                pending.extend(content.values())


def is_deeper(raws: Iterable[Any], levels: int) -> bool:
    """Whether maps and lists are nested in values more than `levels` deep. Checks as many values as `check`."""
    left = limits.ITEM_SIZE
    containers = _containers(islice(raws, left))
    for _ in range(levels):
        inner: list[Any] = []
        for value in containers:
            content = value["M"].values() if "M" in value else value["L"]
            inner += _containers(islice(content, left))
            left -= len(content)
            if left <= 0:
                break
        containers = inner
    return bool(containers)


def _containers(raws: Iterable[Any]) -> list[Any]:
    """The maps and lists among values."""
    return [
        raw
        for raw in raws
        if type(raw) is dict and (type(raw.get("M")) is dict or ("M" not in raw and type(raw.get("L")) is list))
    ]


def _check_string(content: Any) -> None:
    if type(content) is not str:
        raise not_a_string(content)


def boolean(content: Any) -> bool:
    """A client's value for BOOL or NULL: true, false, or one of the words that DynamoDB accepts for them."""
    if type(content) is bool:
        return content
    if type(content) is str:
        word = content.upper()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise SerializationException("Unexpected token received from parser")
    raise _not_a_scalar(content, "Boolean")


def binary_size(content: Any) -> int:
    """The bytes of a client's value for B, which must be canonical base64, with its padding."""
    if type(content) is not str:
        if type(content) is list:
            raise SerializationException(f"{_COLLECTION}class java.nio.ByteBuffer")
        if type(content) is dict:
            raise SerializationException(_STRUCTURE)
        raise SerializationException("only base-64-encoded strings are convertible to bytes")
    if len(content) & 3:
        raise SerializationException(
            f"Base64 encoded length is expected a multiple of 4 bytes but found: {len(content)}"
        )
    try:
        decoded = a2b_base64(content, strict_mode=True)
        canonical = b2a_base64(decoded, newline=False) == content.encode()
    except ValueError:
        canonical = False
    if not canonical:
        raise SerializationException("Invalid last non-pad Base64 character dectected")
    return len(decoded)


_TYPE_CHECKS: dict[str, Callable[[Any], object]] = {
    "S": _check_string,
    "N": _check_string,
    "B": binary_size,
    "BOOL": boolean,
    "NULL": boolean,
}
_ELEMENT_CHECKS: dict[str, Callable[[Any], object]] = {
    "SS": _check_string,
    "NS": _check_string,
    "BS": binary_size,
}


def _not_a_scalar(content: Any, wanted: str) -> SerializationException:
    if type(content) is list:
        return SerializationException(f"{_COLLECTION}class java.lang.{wanted}")
    if type(content) is dict:
        return SerializationException(_STRUCTURE)
    if type(content) is bool:
        token = "TRUE_VALUE" if content else "FALSE_VALUE"
    else:
        token = "DECIMAL_VALUE" if type(content) is float else "NUMBER_VALUE"
    return SerializationException(f"{token} cannot be converted to {wanted}")


def not_a_string(content: Any) -> SerializationException:
    """The refusal of a value that must be a string, for S or N, or a member of SS or NS."""
    return _not_a_scalar(content, "String")


def not_a_list(content: Any) -> SerializationException:
    """The refusal of a value that must be a list, for L, SS, NS or BS."""
    return SerializationException(_STRUCTURE if type(content) is dict else "Unexpected field type")


def not_a_map(content: Any) -> SerializationException:
    """The refusal of a value that must be a map, for M, or a whole item or key."""
    return SerializationException(f"{_COLLECTION}{_MAP_CLASS}" if type(content) is list else "Unexpected field type")


def not_a_value(content: Any) -> SerializationException:
    """The refusal of something that is no attribute value at all."""
    return SerializationException(
        f"{_COLLECTION}{_VALUE_CLASS}" if type(content) is list else "Unexpected value type in payload"
    )
