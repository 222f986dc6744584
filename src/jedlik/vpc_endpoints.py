"""VPC endpoints as the configuration file has them: `[vpc_endpoints.vpce-...]`, where one listens, and what may come by
it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_ENDPOINTS = 50
"""AWS's quota of interface endpoints in a VPC."""
LAST_PORT = (1 << 16) - 1
ID_FORM = re.compile("vpce-[0-9a-f]{8}(?:[0-9a-f]{9})?")
_VPC_FORM = re.compile("vpc-[0-9a-f]{8}(?:[0-9a-f]{9})?")
_TLS_FILES = ("tls_cert", "tls_key", "tls_client_ca", "tls_client_crl")
_KEYS = ("listen", "vpc_id", "region", "policy", "policy_file", *_TLS_FILES, "tls_client_certs")
_NEEDED = ("listen", "vpc_id")
_REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class VpcEndpoint:
    """One endpoint: a listener, whose id requests have as `aws:SourceVpce`."""

    id: str
    host: str
    port: int
    """0 takes a free one."""
    vpc: str
    """The id of the VPC that it stands for."""
    region: str | None = None
    """Whose tables are reached by it; None for the only region that is served."""
    policy: str | None = None
    """The document of its policy, until another is set. None allows everything, as on AWS."""
    tls_cert: Path | None = None
    """The certificate chain in PEM; None to serve HTTP."""
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    """Who issues the certificates of clients; None if they need none."""
    needs_client_certs: bool = True
    """Whether a client without a certificate is refused then."""
    tls_client_crl: Path | None = None
    """Revocation lists of those who issue them; None to ask for none."""

    @property
    def listen(self) -> str:
        """The address and port as the file has them."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


Suggested = Callable[[Iterable[str], list[str]], Iterator[str]]
"""Unknown names, each with the most similar known one."""


def of_tables(tables: Any, suggested: Suggested) -> dict[str, VpcEndpoint]:
    """The endpoints of a file, by id. Raises ValueError, and OSError if the file of a policy cannot be read."""
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ValueError("vpc_endpoints must be tables, like [vpc_endpoints.vpce-0123456789abcdef0]")
    if len(tables) > MOST_ENDPOINTS:
        raise ValueError(f"there are {len(tables)} vpc_endpoints, and {MOST_ENDPOINTS} are the most")
    found = {name: _endpoint(name, table, suggested) for name, table in tables.items()}
    taken: dict[str, str] = {}
    for one in found.values():
        if one.port and taken.setdefault(one.listen, one.id) != one.id:
            raise ValueError(f"vpc_endpoints.{one.id}: {taken[one.listen]} listens on {one.listen}, too")
    return found


def _endpoint(name: str, table: Mapping[str, Any], suggested: Suggested) -> VpcEndpoint:
    where = f"vpc_endpoints.{name}"
    if not ID_FORM.fullmatch(name):
        raise ValueError(f"{where}: the id of an endpoint is vpce- and 8 or 17 digits of 0-9 and a-f")
    unknown = sorted(table.keys() - set(_KEYS))
    if unknown:
        raise ValueError(f"{where}: no such setting: {', '.join(suggested(unknown, list(_KEYS)))}")
    missing = [key for key in _NEEDED if key not in table]
    if missing:
        raise ValueError(f"{where} must have {' and '.join(missing)}")
    for key, value in table.items():
        if not isinstance(value, str):
            raise ValueError(f"{where}: {key} must be a string")
    if not _VPC_FORM.fullmatch(table["vpc_id"]):
        raise ValueError(f"{where}: vpc_id must be vpc- and 8 or 17 digits of 0-9 and a-f, not {table['vpc_id']!r}")
    if ("tls_cert" in table) != ("tls_key" in table):
        raise ValueError(f"{where}: tls_cert and tls_key must be given together")
    if "tls_client_ca" in table and "tls_cert" not in table:
        raise ValueError(f"{where}: tls_client_ca is for HTTPS: it needs tls_cert and tls_key")
    for key in ("tls_client_certs", "tls_client_crl"):
        if key in table and "tls_client_ca" not in table:
            raise ValueError(f"{where}: {key} needs tls_client_ca")
    if table.get("tls_client_certs", _REQUIRED) not in (_REQUIRED, "optional"):
        raise ValueError(f"{where}: tls_client_certs must be {_REQUIRED} or optional")
    if "policy" in table and "policy_file" in table:
        raise ValueError(f"{where}: policy and policy_file: the policy is to be in one place only")
    host, port = _address(where, table["listen"])
    files = {key: Path(table[key]) for key in _TLS_FILES if key in table}
    return VpcEndpoint(
        name,
        host,
        port,
        table["vpc_id"],
        table.get("region"),
        _text(where, table["policy_file"]) if "policy_file" in table else table.get("policy"),
        files.get("tls_cert"),
        files.get("tls_key"),
        files.get("tls_client_ca"),
        table.get("tls_client_certs", _REQUIRED) == _REQUIRED,
        files.get("tls_client_crl"),
    )


def _address(where: str, listen: str) -> tuple[str, int]:
    """The host and the port in `host:port`; an IPv6 address is in brackets."""
    host, _, port = listen.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    is_bracketed = host == f"[{bare}]"
    is_port = port.isascii() and port.isdigit() and len(port) <= len(str(LAST_PORT)) and int(port) <= LAST_PORT
    if not bare or not is_port or is_bracketed is not (":" in bare):
        raise ValueError(f"{where}: listen must be like 10.0.0.5:8443 or [fd00::5]:8443, not {listen!r}")
    return bare, int(port)


def _text(where: str, path: str) -> str:
    try:
        return Path(path).read_text()
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: {path} is no text: {error}") from error
