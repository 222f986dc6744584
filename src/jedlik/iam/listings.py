"""Pages of listings: MaxItems, Marker, IsTruncated, as all of IAM's listings have them."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jedlik.iam.errors import ValidationError

USUAL = 100
"""Elements of a page, where MaxItems does not say ("MaxItems" in the API reference)."""


def after(request: Mapping[str, Any]) -> str:
    """After what a listing goes on; empty for its beginning. Raises ValidationError."""
    marker = request.get("Marker")
    if marker is None:
        return ""
    try:
        return b64decode(marker.encode(), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise ValidationError(f"Invalid Marker: {marker}") from None


def marker(name: str) -> str:
    """The Marker of a page that ends with an element."""
    return urlsafe_b64encode(name.encode()).decode()


def page(
    request: Mapping[str, Any],
    member: str,
    elements: Iterable[tuple[str, Any]],
    shown: Callable[[Any], Any] = lambda element: element,
) -> dict[str, Any]:
    """A page of elements, which come in the order of their names, each with its name."""
    last, most = after(request), request.get("MaxItems", USUAL)
    found: list[Any] = []
    name = ""
    for next_name, element in elements:
        if last and next_name <= last:
            continue
        if len(found) >= most:
            return {member: found, "IsTruncated": True, "Marker": marker(name)}
        found.append(shown(element))
        name = next_name
    return {member: found, "IsTruncated": False}
