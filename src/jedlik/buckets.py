"""Buckets as the configuration file has them: `[buckets.NAME]`, a URL and the options of its client."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_ACCOUNT = re.compile("[0-9]{12}")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket that requests may name."""

    url: str
    """`s3://bucket/folder`, `gs://...`, `az://...` or `file:///folder`."""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What its client needs besides: endpoint, region, credentials."""
    owner: str | None = None
    """The account that it belongs to; without one, it belongs to every account that asks."""


def hold_keys(tables: Any) -> bool:
    """Whether there are credentials among the buckets of a file."""
    found = tables.values() if isinstance(tables, dict) else ()
    return any(isinstance(table, dict) and any("key" in name for name in table) for table in found)


def of_tables(tables: Any) -> dict[str, Bucket]:
    """The buckets of a file, by name. Raises ValueError."""
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ValueError("buckets must be tables, like [buckets.my-exports]")
    return {name: _bucket(name, dict(table)) for name, table in tables.items()}


def _bucket(name: str, options: dict[str, Any]) -> Bucket:
    url, owner = options.pop("url", None), options.pop("owner", None)
    if not isinstance(url, str) or not all(isinstance(value, str | bool) for value in options.values()):
        raise ValueError(f"buckets.{name} must have the string url, and options that are strings")
    if owner is not None and not (isinstance(owner, str) and _ACCOUNT.fullmatch(owner)):
        raise ValueError(f"buckets.{name}: owner must be the twelve digits of an account, as a string")
    return Bucket(url, options, owner)
