"""Pages of the control plane's lists, and its names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from jedlik.dax.errors import InvalidParameterValueException

Request = dict[str, Any]
T = TypeVar("T")
PAGE_SIZES = range(20, 101)
_NAME = re.compile(r"[A-Za-z](?!.*--)[A-Za-z0-9-]{0,254}(?<!-)")


def page(found: Sequence[T], request: Request, name_of: Callable[[T], str]) -> tuple[Sequence[T], Request]:
    """A page of what was found, and the token of the next, if there is one. Raises InvalidParameterValueException."""
    size = request.get("MaxResults", PAGE_SIZES[-1])
    if size not in PAGE_SIZES:
        raise InvalidParameterValueException(
            f"MaxResults must be between {PAGE_SIZES[0]} and {PAGE_SIZES[-1]}, not {size}"
        )
    names = [name_of(one) for one in found]
    token = request.get("NextToken")
    if token is not None and token not in names:
        raise InvalidParameterValueException("The NextToken is not valid")
    start = 0 if token is None else names.index(token)
    end = start + size
    return found[start:end], {"NextToken": names[end]} if end < len(names) else {}


def check_group_name(parameter: str, name: str) -> None:
    """Raise InvalidParameterValueException for what cannot be the name of a group."""
    if not _NAME.fullmatch(name):
        raise InvalidParameterValueException(
            f"The parameter {parameter} must contain only ASCII letters, digits, and hyphens; must begin with a "
            "letter; and must not end with a hyphen or contain two consecutive hyphens."
        )
