"""Markers: where a listing goes on. One holds the last thing listed, and is authenticated with the listing's name."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

from jedlik.kms.errors import InvalidMarkerException
from jedlik.regions.region import Region

T = TypeVar("T")
_MAC_BYTES = 12


def page_start(region: Region, listing: str, request: Mapping[str, Any]) -> str | None:
    """What a request's listing goes on behind; None if it begins. Raises InvalidMarkerException."""
    if "Marker" not in request:
        return None
    try:
        raw = urlsafe_b64decode(request["Marker"])
    except ValueError:
        raw = b""
    content = raw[_MAC_BYTES:]
    if not hmac.compare_digest(raw[:_MAC_BYTES], _mac(region, listing, content)):
        raise InvalidMarkerException("Could not deserialize marker")
    return content.decode()


def page_marker(region: Region, listing: str, last: str) -> dict[str, Any]:
    """The members of a page that another follows."""
    content = last.encode()
    return {"Truncated": True, "NextMarker": urlsafe_b64encode(_mac(region, listing, content) + content).decode()}


def page_of(
    region: Region, listing: str, request: Mapping[str, Any], found: Sequence[T], name: Callable[[T], str], most: int
) -> tuple[list[T], dict[str, Any]]:
    """A page of things that are in the order of their names, and the members that go with it."""
    after, limit = page_start(region, listing, request), min(request.get("Limit", most), most)
    left = [one for one in found if after is None or name(one) > after]
    page = left[:limit]
    return page, page_marker(region, listing, name(page[-1])) if len(left) > limit else {"Truncated": False}


def _mac(region: Region, listing: str, content: bytes) -> bytes:
    return blake2b(listing.encode() + b"\0" + content, key=region.secret, digest_size=_MAC_BYTES).digest()
