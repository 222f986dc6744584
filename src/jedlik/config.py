"""The settings: one table says each setting's name, type, meaning and default.

From that table follow the command line's options (`--data-dir`), the environment variables
(`JEDLIK_DATA_DIR`) and the keys of the configuration file (`data_dir`); the first that is given wins, in that
order.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

DEFAULT_FILE = Path("jedlik.toml")
"""Read from the working directory when no other is named and it is there."""

ACCOUNT_DIGITS = 12


class SettingsError(Exception):
    """The settings cannot be used; the message is for the person who set them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a server, each with its meaning. Durations are in seconds."""

    host: Annotated[str, "Address to listen on."] = "127.0.0.1"
    port: Annotated[int, "Port to listen on; 0 takes a free one."] = 8000
    data_dir: Annotated[Path, "Folder of the store."] = Path("data")
    workers: Annotated[int, "Worker processes; 0 is one per core."] = 0
    in_memory: Annotated[bool, "Sync nothing and keep nothing after the end: for tests."] = False
    auth: Annotated[Literal["on", "off"], "Verify signatures. Off is for loopback addresses only."] = "off"
    credentials: Annotated[Path | None, "File of access keys; by default in the data folder."] = None
    account: Annotated[str, "Account id in ARNs, twelve digits."] = "000000000000"
    tls_cert: Annotated[Path | None, "Certificate chain in PEM; with --tls-key, serve HTTPS."] = None
    tls_key: Annotated[Path | None, "Private key in PEM."] = None
    access_log: Annotated[bool, "Log every request."] = False
    idle_timeout: Annotated[float, "How long a connection without a request is kept."] = 120.0
    request_timeout: Annotated[float, "How long a request may take to arrive, and its answer to leave."] = 30.0
    stop_timeout: Annotated[float, "How long requests in flight have to finish when the server stops."] = 25.0
    max_connections: Annotated[int, "Connections per worker."] = 10_000
    max_requests: Annotated[int, "Requests in flight per worker."] = 1_000
    stream_rotation: Annotated[float, "Age at which a stream's shards are rolled over."] = 4 * 60 * 60.0
    expiry_interval: Annotated[float, "How often items past their time to live are looked for."] = 10.0

    def __post_init__(self) -> None:
        for name, value in (("workers", self.workers), ("port", self.port)):
            if value < 0:
                raise SettingsError(f"{name} must not be negative")
        for name in (
            "idle_timeout",
            "request_timeout",
            "stop_timeout",
            "max_connections",
            "max_requests",
            "stream_rotation",
            "expiry_interval",
        ):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{name} must be more than zero")
        if len(self.account) != ACCOUNT_DIGITS or not self.account.isdecimal():
            raise SettingsError(f"account must have {ACCOUNT_DIGITS} digits, not {self.account!r}")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("tls_cert and tls_key must be given together")
        if self.auth == "off" and not is_loopback(self.host):
            raise SettingsError(
                f"refusing to listen on {self.host} with --auth off: anybody who reaches this address could "
                "read and change everything. Use --auth on (and `jedlik credentials create`), "
                "or listen on 127.0.0.1."
            )

    @property
    def credentials_file(self) -> Path:
        """Where the access keys are."""
        return self.credentials or self.data_dir / "credentials.json"

    @property
    def worker_count(self) -> int:
        """Worker processes, at least one."""
        return self.workers or (
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        )


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, can be reached from this machine only."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise SettingsError(f"cannot listen on {host}: {error.strerror}") from error
    return all(ipaddress.ip_address(address[0]).is_loopback for *_, address in found)


def from_file(path: Path | None) -> Mapping[str, Any]:
    """The settings in a configuration file; none when no file is named and there is none by the default name.

    Raises SettingsError when the file cannot be read or holds what is no setting.
    """
    if path is None:
        if not DEFAULT_FILE.exists():
            return {}
        path = DEFAULT_FILE
    try:
        given = tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    unknown = sorted(given.keys() - {setting.name for setting in fields(Settings)})
    if unknown:
        raise SettingsError(f"{path}: no such setting: {', '.join(unknown)}")
    return given
