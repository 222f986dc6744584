"""Filters and pages of EC2's listings, which are all alike.

A filter has values, any of which may match; a listing has what all filters match. In a value, * and ? stand for other
characters, and a backslash takes that from them.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from hmac import compare_digest
from typing import Any, TypeVar

from jedlik.aws.policies.wildcards import Matches, escaped, matcher
from jedlik.aws.protocols.codecs import InvalidParameterValue
from jedlik.ec2.errors import InvalidNextToken
from jedlik.regions.region import Region

T = TypeVar("T")
MOST_FILTERS = 50
MOST_VALUES = 200
"""In all filters of a request together ("Filtering resources" in the user guide)."""
MOST_RESULTS = 1000
TAG = "tag:"
_SEAL = 12

Values = Callable[[T, str], Sequence[str]]
"""What a filter of a name looks at."""


def matches(request: Mapping[str, Any], names: Mapping[str, Values[T]]) -> Callable[[T], bool]:
    """Whether something is in a listing with these filters. A name that ends with a colon begins names of filters.

    Raises InvalidParameterValue.
    """
    filters = request.get("Filters", [])
    if len(filters) > MOST_FILTERS or sum(len(one.get("Values", ())) for one in filters) > MOST_VALUES:
        raise InvalidParameterValue(f"There are more than {MOST_FILTERS} filters, or than {MOST_VALUES} values of them")
    tests: list[Callable[[T], bool]] = []
    for one in filters:
        name = one.get("Name", "")
        start = name.partition(":")[0] + ":" if ":" in name else name
        if start not in names or name == TAG:
            raise InvalidParameterValue(f"The filter '{name}' is invalid")
        tests.append(_test(names[start], name.removeprefix(TAG), [_pattern(value) for value in one.get("Values", ())]))
    return lambda element: all(test(element) for test in tests)


def _test(values: Values[T], name: str, patterns: Sequence[Matches]) -> Callable[[T], bool]:
    return lambda element: any(one(value) for value in values(element, name) for one in patterns)


def _pattern(value: str) -> Matches:
    pieces = re.findall(r"\\.|.", value, re.DOTALL)
    # Not kept: a client may send long ones.
    return matcher.__wrapped__("".join(one if one in ("*", "?") else escaped(one[-1]) for one in pieces))


def page(
    region: Region, listing: str, request: Mapping[str, Any], found: Sequence[T], name: Callable[[T], str]
) -> tuple[list[T], dict[str, str]]:
    """A page of what was found, in the order of their names, and the token with which the listing goes on.

    Raises InvalidParameterValue and InvalidNextToken.
    """
    most = request.get("MaxResults", MOST_RESULTS)
    if most < 1:
        raise InvalidParameterValue(f"Value ( {most} ) for parameter maxResults is invalid. Expecting at least 1.")
    after = _opened(region, listing, request["NextToken"]) if request.get("NextToken") else None
    left = [one for one in found if after is None or name(one) > after]
    shown = left[: min(most, MOST_RESULTS)]
    return shown, {"NextToken": _sealed(region, listing, name(shown[-1]))} if len(left) > len(shown) else {}


def _sealed(region: Region, listing: str, last: str) -> str:
    content = last.encode()
    return urlsafe_b64encode(_seal(region, listing, content) + content).decode()


def _opened(region: Region, listing: str, token: str) -> str:
    try:
        raw = urlsafe_b64decode(token)
    except ValueError:
        raw = b""
    content = raw[_SEAL:]
    if not compare_digest(raw[:_SEAL], _seal(region, listing, content)):
        raise InvalidNextToken("The token is invalid.")
    return content.decode()


def _seal(region: Region, listing: str, content: bytes) -> bytes:
    return blake2b(
        listing.encode() + b"\0" + content, key=region.secret, digest_size=_SEAL, person=b"ec2 page"
    ).digest()
