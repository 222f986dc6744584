"""The types of condition keys, as the table of what policies can be about has them: for tests of the keys' values."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from jedlik.aws.policies import authorization_table


@cache
def _types() -> Mapping[str, str]:
    return {
        name.lower(): str(kind)
        for parts in authorization_table._table().values()
        for name, kind in parts.get("keys", {}).items()
    }


@cache
def _beginnings() -> Mapping[str, str]:
    """The types of keys that end with a name of one's own, like that of a tag, by what they begin with."""
    return {name.partition("${")[0]: kind for name, kind in _types().items() if "${" in name}


def type_of_key(key: str) -> str | None:
    """The type of a condition key: `String`, `ArrayOfString`, `Bool`...; None for an unknown one."""
    small = key.lower()
    found = _types().get(small)
    if found is not None:
        return found
    return next((kind for start, kind in _beginnings().items() if small.startswith(start)), None)
