"""The configuration file, in TOML, and the names of environment variables: read, and checked for unknown settings.

A table of the file makes settings that are no options (the peers' endpoints, the buckets, VPC endpoints), or several
that are: a table for each region, one for the root key, whose keys are the settings without `root_key_`, and one for
identity likewise.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jedlik import buckets, other_kms, vpc_endpoints
from jedlik.addresses import is_loopback_itself
from jedlik.buckets import Bucket
from jedlik.config import (
    BUCKETS,
    CONFIG_VARIABLE,
    IDENTITY,
    KMS,
    PEER_SECRET,
    PEER_SECRET_VARIABLE,
    ROOT_KEY,
    ROOT_KEY_VARIABLE,
    VARIABLE,
    VPC_ENDPOINTS,
    Peer,
    SettingsError,
    options,
)
from jedlik.other_kms import OtherKms
from jedlik.secret_files import check_private
from jedlik.vpc_endpoints import VpcEndpoint

DEFAULT_FILE = Path("jedlik.toml")
"""Read from the working directory when no other is named and it is there."""
SERVICE_LINK = re.compile(r"JEDLIK_(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_\w+)")
"""What Kubernetes puts into the environment beside a Service named `jedlik`."""


TABLES = {ROOT_KEY: "the root key is, like file = ...", IDENTITY: "identity is changed, like home = ..."}
"""The tables whose keys are settings, with what each names."""


def check_variables(environment: Mapping[str, str]) -> None:
    """Raise SettingsError if a variable is named like a setting but unknown: it may be a misspelt setting."""
    known = [
        CONFIG_VARIABLE,
        PEER_SECRET_VARIABLE,
        ROOT_KEY_VARIABLE,
        *(VARIABLE + setting.name.upper() for setting in options()),
    ]
    unknown = [
        name
        for name in sorted(environment)
        if name.startswith(VARIABLE) and name not in known and not SERVICE_LINK.fullmatch(name)
    ]
    if unknown:
        raise SettingsError(f"the environment: no such setting: {', '.join(suggested(unknown, known))}")


def suggested(unknown: Iterable[str], known: Sequence[str]) -> Iterator[str]:
    """Each unknown name, with the most similar known one. Their common prefix does not count."""
    likely = {name.removeprefix(VARIABLE): name for name in known}
    for name in unknown:
        close = difflib.get_close_matches(name.removeprefix(VARIABLE), likely, n=1)
        yield f"{name} (did you mean {likely[close[0]]}?)" if close else name


def from_file(path: Path | None) -> Mapping[str, Any]:
    """The settings in a configuration file; empty if no file is named and the default one does not exist.

    Raises SettingsError if the file cannot be read or contains an unknown setting.
    """
    if path is None:
        if not DEFAULT_FILE.exists():
            return {}
        path = DEFAULT_FILE
    try:
        with path.open() as file:
            given = tomllib.loads(file.read())
            if PEER_SECRET in given or KMS in given or buckets.hold_keys(given.get(BUCKETS)):
                check_private(file, path)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    known = [*(setting.name for setting in options()), PEER_SECRET, BUCKETS, VPC_ENDPOINTS, KMS]
    for name in TABLES:
        if name in given:
            given |= _prefixed(name, given.pop(name), path)
    unknown = sorted(given.keys() - set(known))
    if unknown:
        raise SettingsError(f"{path}: no such setting: {', '.join(suggested(unknown, known))}")
    if PEER_SECRET in given:
        given[PEER_SECRET] = _secrets(given[PEER_SECRET], path)
    if BUCKETS in given:
        given[BUCKETS] = _buckets(given[BUCKETS], path)
    if VPC_ENDPOINTS in given:
        given[VPC_ENDPOINTS] = _vpc_endpoints(given[VPC_ENDPOINTS], path)
    if KMS in given:
        given[KMS] = _kms(given[KMS], path)
    if isinstance(given.get("regions"), dict):
        given |= _regions(given.pop("regions"), path)
    return given


def _prefixed(prefix: str, table: Any, path: Path) -> Mapping[str, Any]:
    """The settings that a table makes, whose names begin with the table's."""
    known = [setting.name.removeprefix(f"{prefix}_") for setting in options() if setting.name.startswith(f"{prefix}_")]
    if not isinstance(table, dict):
        raise SettingsError(f"{path}: {prefix} is a table that names where {TABLES[prefix]}")
    unknown = sorted(table.keys() - set(known))
    if unknown:
        raise SettingsError(f"{path}: {prefix}: no such setting: {', '.join(suggested(unknown, known))}")
    return {f"{prefix}_{name}": value for name, value in table.items()}


def _buckets(tables: Any, path: Path) -> Mapping[str, Bucket]:
    try:
        return buckets.of_tables(tables)
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error


def _vpc_endpoints(tables: Any, path: Path) -> Mapping[str, VpcEndpoint]:
    try:
        return vpc_endpoints.of_tables(tables, suggested)
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error
    except OSError as error:
        raise SettingsError(f"cannot read {error.filename}: {error.strerror}") from error


def _kms(table: Any, path: Path) -> OtherKms:
    try:
        return other_kms.of_table(table, is_loopback_itself)
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from error


def _regions(tables: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """The settings that tables of regions make: those with an endpoint are peers, those without are served here."""
    peers = {name: _peer(name, table, path) for name, table in tables.items() if table}
    served = [name for name, table in tables.items() if not table]
    return {"peers": peers} | ({"regions": ",".join(served)} if served else {})


def _peer(name: str, table: Any, path: Path) -> Peer:
    if isinstance(table, dict) and table.keys() & {"access_key", "secret_key"}:
        raise SettingsError(
            f"{path}: regions.{name}: regions do not know each other by access keys any more. Remove access_key and "
            "secret_key, and give the servers of all regions the same peer_secret (--peer-secret-file)."
        )
    if not isinstance(table, dict) or table.keys() != {"endpoint"} or not isinstance(table["endpoint"], str):
        raise SettingsError(f"{path}: regions.{name} must have the string endpoint, or nothing")
    return Peer(**table)


def _secrets(value: Any, path: Path) -> tuple[str, ...]:
    """The secrets that are one string of the configuration file, or a list."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(isinstance(secret, str) for secret in found):
        raise SettingsError(f"{path}: peer_secret must be a string, or a list of two")
    return tuple(found)
