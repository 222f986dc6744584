"""Another KMS with the same API, as the configuration file has it: `[kms]`, where it is, and who Jedlik is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_NEEDED = ("endpoint", "access_key_id", "secret_access_key")
_FILES = ("tls_cert", "tls_key")
_KEYS = (*_NEEDED, "region", "session_token", *_FILES)


@dataclass(frozen=True, slots=True)
class OtherKms:
    """AWS's KMS, or another server's. Nothing is taken from the environment."""

    endpoint: str
    """`https://host:port`."""
    access_key_id: str
    secret_access_key: str = field(repr=False)
    region: str | None = None
    """The region of its keys; None for that of each table."""
    session_token: str | None = field(default=None, repr=False)
    tls_cert: Path | None = None
    """The certificate chain in PEM that is shown to it; None to show none."""
    tls_key: Path | None = None


def of_table(table: Any, is_near: Callable[[str], bool]) -> OtherKms:
    """The KMS in the table of a file. Over plain HTTP it may only be `is_near`. Raises ValueError."""
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise ValueError("kms is a table of strings: endpoint, access_key_id, secret_access_key, perhaps region")
    for name in table.keys() - set(_KEYS):
        raise ValueError(f"kms: no such setting: {name}")
    for name in _NEEDED:
        if not table.get(name):
            raise ValueError(f"kms: {name} is missing")
    url = urlsplit(table["endpoint"])
    if url.scheme not in ("http", "https") or not url.hostname or url.path.strip("/") or url.query:
        raise ValueError(f"kms: endpoint must be like https://host:port, not {table['endpoint']!r}")
    if url.scheme == "http" and not is_near(url.hostname):
        raise ValueError(
            f"kms: refusing http to {table['endpoint']}: keys of tables come from there. "
            "Use https, or a loopback address."
        )
    if ("tls_cert" in table) != ("tls_key" in table):
        raise ValueError("kms: tls_cert and tls_key must be given together")
    if "tls_cert" in table and url.scheme == "http":
        raise ValueError(f"kms: tls_cert and tls_key are for https, not for {table['endpoint']}")
    return OtherKms(**table | {name: Path(table[name]) for name in _FILES if name in table})
