"""The settings: one table has each setting's name, type, meaning and default.

From that table follow the command line's options (`--data-dir`), the environment variables
(`JEDLIK_DATA_DIR`) and the keys of the configuration file (`data_dir`); the first that is given wins, in that
order. Only the file has the endpoints of other regions, in a table for each region,

    [regions.eu-west-1]
    endpoint = "https://jedlik.example.com:8000"

and an empty one, [regions.eu-central-1], for a region that is served here. The buckets that requests may name are
tables as well,

    [buckets.my-exports]
    url = "s3://bucket/folder"
    access_key_id = "..."

with the options of their clients, and so are VPC endpoints (`vpc_endpoints`),

    [vpc_endpoints.vpce-0123456789abcdef0]
    listen = "10.0.0.5:8443"
    vpc_id = "vpc-0123456789abcdef0"

which are listeners of their own. Where the root key is has a table, too, whose keys are those settings without
`root_key_`:

    [root_key]
    file = "/etc/jedlik/root-key"

and so has identity: [identity] with home and max_stale, where several servers have the same users and roles.

The secret by which regions recognise each other is no option, because everybody on
the machine can read a command line: it is in a file of its own (`--peer-secret-file`), in JEDLIK_PEER_SECRET, or in the
configuration file. The root key itself is in JEDLIK_ROOT_KEY only, if it is nowhere else.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from jedlik import region_names
from jedlik.addresses import Unknown, is_address, is_ipv6, is_loopback, is_loopback_itself
from jedlik.buckets import Bucket
from jedlik.other_kms import OtherKms
from jedlik.vpc_endpoints import VpcEndpoint

ACCOUNT_DIGITS = 12
DEFAULT_ACCOUNT = "0" * ACCOUNT_DIGITS
LAST_PORT = (1 << 16) - 1
MOST_NODES = 11
"""A cluster of DAX has at most as many, as on AWS."""
MOST_TABLES = 10_000
MOST_SPIN = 0.01
"""Seconds. A client that takes longer gains nothing worth a core."""
MOST_WORKERS = 1024
"""More than any machine has use for: each is a process with one more beside it for each store."""
MORE_THAN_ZERO = (
    "idle_timeout", "request_timeout", "stop_timeout", "hang_timeout", "max_connections", "max_requests", "max_tables",
    "stream_rotation", "expiry_interval", "slow_request", "identity_max_stale", "dax_memory", "dax_nodes",
    "recovery_log",
)  # fmt: skip

VARIABLE = "JEDLIK_"
"""What the environment variables of settings begin with."""
CONFIG_VARIABLE = VARIABLE + "CONFIG"
"""Names the configuration file."""
HOST = re.compile(r"[A-Za-z0-9._-]+")
"""A name or an IPv4 address, without a port."""
ROLE_ARN = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:role/[!-~]{1,512}")
ORIGIN = re.compile(r"null|[a-z][a-z0-9+.-]*://[^/\s]+")
"""An Origin header."""


class SettingsError(Exception):
    """The settings cannot be used; the message is for the person who set them."""


ROOT_KEY = "root_key"
ROOT_KEY_SOURCES = ("root_key_file", "root_key_credential", "root_key_command")
"""The settings that name where the root key is."""
ROOT_KEY_VARIABLE = "JEDLIK_ROOT_KEY"
"""Holds the root key itself. No option and no file of settings does: many can read these."""
IDENTITY = "identity"
PEER_SECRET = "peer_secret"
PEER_SECRET_VARIABLE = "JEDLIK_PEER_SECRET"
PEER_SECRET_FORM = re.compile(r"[!-~]{32,256}")
PEER_SECRETS = 2
"""The one in use, and another while they are exchanged."""
OPEN_SECRETS = ("known-to-everybody-on-this-machine",)
"""What regions on loopback addresses know each other by with --auth off, where none is set. It keeps nobody out, as
--auth off does not; but what is signed with an access key is no peer's there either."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Where another region is served."""

    endpoint: str
    """A URL of scheme, host and port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a server, each with its meaning. Durations are in seconds."""

    host: Annotated[str, "Address to listen on."] = "127.0.0.1"
    port: Annotated[int, "Port to listen on; 0 takes a free one."] = 8000
    data_dir: Annotated[Path, "Folder of the store."] = Path("data")
    backups: Annotated[
        str | None,
        "Where backups are kept: a folder, by default `backups` in the data folder, or bucket://NAME/FOLDER.",
    ] = None
    recovery_log: Annotated[int, "Changes that a region's logs keep while none can be archived, in MB."] = 4096
    workers: Annotated[int, "Worker processes; 0 is one per core."] = 0
    in_memory: Annotated[bool, "Sync nothing and keep nothing after the end: for tests."] = False
    auth: Annotated[Literal["on", "off"], "Verify signatures. Off is for loopback addresses only."] = "off"
    allowed_hosts: Annotated[str | None, "Names beside localhost; with --auth on for the console's sign-in."] = None
    allowed_origins: Annotated[str | None, "Origins of web pages to serve with --auth off, beside localhost's."] = None
    allow_unauthenticated: Annotated[
        bool, "With --auth off and --allowed-hosts, listen on other addresses than loopback: for tests."
    ] = False
    credentials: Annotated[Path | None, "File of access keys; by default in the data folder."] = None
    root_key_file: Annotated[
        Path | None, "File of the root key, under which secrets are sealed; by default DATA_DIR.root-key, beside it."
    ] = None
    root_key_credential: Annotated[str | None, "Name of the systemd credential that holds the root key."] = None
    root_key_command: Annotated[str | None, "Command that prints the root key. No shell reads it."] = None
    root_key_make: Annotated[bool, "Make a root key if the data folder is empty and no service starts the server."] = (
        True
    )
    seal_tables: Annotated[bool, "Encrypt what tables hold, in new stores and in those that are there."] = True
    account: Annotated[str, "The server's own account, of those who name no other: twelve digits."] = DEFAULT_ACCOUNT
    regions: Annotated[str | None, "Regions that are served, separated by commas; by default any."] = None
    peer_secret_file: Annotated[Path | None, "File of the secret that the servers of all regions share."] = None
    peer_cert: Annotated[
        Path | None, "Certificate chain in PEM that servers of other regions, and identity_home, are shown."
    ] = None
    peer_key: Annotated[Path | None, "Its private key in PEM."] = None
    tls_cert: Annotated[Path | None, "Certificate chain in PEM; with --tls-key, serve HTTPS."] = None
    tls_key: Annotated[Path | None, "Private key in PEM."] = None
    tls_client_ca: Annotated[
        Path | None, "Authorities in PEM that issue the certificates of clients: those that show none are refused."
    ] = None
    tls_client_certs: Annotated[
        Literal["required", "optional"], "Whether a client must show a certificate of --tls-client-ca."
    ] = "required"
    tls_client_crl: Annotated[
        Path | None, "Revocation lists in PEM of all these authorities: clients on one are refused."
    ] = None
    proxy_protocol_from: Annotated[
        str | None,
        "Addresses and networks, with commas, of proxies that name their clients (PROXY protocol, version 2).",
    ] = None
    identity_home: Annotated[
        str | None, "Endpoint of the server at which users, roles and policies are changed; by default this one."
    ] = None
    identity_max_stale: Annotated[
        float | None, "How long users and roles are let in without identity_home; by default without limit."
    ] = None
    oidc_hosts: Annotated[str | None, "Issuers of web identity tokens in private networks: hosts, with commas."] = None
    console: Annotated[Literal["on", "off"], "Serve the console, a web page, at /console/."] = "on"
    access_log: Annotated[bool, "Log every request."] = False
    slow_request: Annotated[float | None, "Log requests that take this long, as warnings."] = None
    log_format: Annotated[
        Literal["auto", "text", "json"], "Form of the log; auto is text on a terminal, else JSON."
    ] = "auto"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], "What is logged: this and worse."] = "info"
    idle_timeout: Annotated[float, "How long a connection without a request is kept."] = 120.0
    request_timeout: Annotated[float, "How long a request may take to arrive, and its answer to leave."] = 30.0
    stop_timeout: Annotated[float, "How long requests in flight have to finish when the server stops."] = 25.0
    hang_timeout: Annotated[float, "How long a commit may take; a worker may stand still for twice as long."] = 30.0
    max_connections: Annotated[int, "Connections per worker."] = 10_000
    max_requests: Annotated[int, "Requests in flight per worker."] = 1_000
    spin: Annotated[float, "How long to stay awake after an answer to a client that is alone: 0.0002, or 0."] = 0.0
    max_tables: Annotated[int, "Tables of an account in each region: AWS's quota, which it raises to 10000."] = 2_500
    dax: Annotated[bool, "Serve DAX as well: a cluster of nodes, which are processes that cache what they read."] = (
        False
    )
    dax_port: Annotated[int, "Port of DAX's first node, others follow; 0 takes free ones."] = 8111
    dax_nodes: Annotated[int, "Nodes of DAX: a primary and up to ten replicas."] = 1
    dax_memory: Annotated[int, "Memory of the caches of each node of DAX, in MB."] = 256
    dax_address: Annotated[
        str | None,
        "IP address by which clients reach DAX's nodes, if it is not the one that they come to: for containers.",
    ] = None
    dax_role: Annotated[
        str | None, "ARN of the role as which the cluster of --dax reads and writes tables; needed with --auth on."
    ] = None
    dax_stale: Annotated[bool, "Serve items from DAX's cache for their time although they were written past it."] = (
        False
    )
    stream_rotation: Annotated[float, "Age at which a stream's shards are rolled over."] = 4 * 60 * 60.0
    expiry_interval: Annotated[float, "How often items past their time to live are looked for."] = 10.0
    buckets: Mapping[str, Bucket] = field(default_factory=dict)
    """The buckets that requests may name, by the name; "*" is for all others."""
    vpc_endpoints: Mapping[str, VpcEndpoint] = field(default_factory=dict)
    """The VPC endpoints, by id: listeners beside the ordinary port."""
    kms: OtherKms | None = None
    """The KMS with the keys that customers choose for tables; None for this server's own."""
    root_key: str = field(default="", repr=False)
    """The root key as the environment has it."""
    peers: Mapping[str, Peer] = field(default_factory=dict)
    """The regions that are served elsewhere, by name."""
    peer_secret: tuple[str, ...] = field(default=(), repr=False)
    """What the servers of other regions know this one by, and it them: it signs with the first and takes all."""

    def __post_init__(self) -> None:
        for name, value, most in (
            ("workers", self.workers, MOST_WORKERS),
            ("port", self.port, LAST_PORT),
            ("dax_port", self.dax_port, LAST_PORT + 1 - self.dax_nodes),
            ("dax_nodes", self.dax_nodes, MOST_NODES),
            ("max_tables", self.max_tables, MOST_TABLES),
            ("spin", self.spin, MOST_SPIN),
        ):
            if not value >= 0:
                raise SettingsError(f"{name} must not be negative")
            if value > most:
                raise SettingsError(f"{name} must be at most {most}")
        for name in MORE_THAN_ZERO:
            value = getattr(self, name)
            if value is None:
                continue
            if not value > 0:
                raise SettingsError(f"{name} must be more than zero")
            if math.isinf(value):
                raise SettingsError(f"{name} must not be infinite")
        if len(self.account) != ACCOUNT_DIGITS or not (self.account.isascii() and self.account.isdecimal()):
            raise SettingsError(f"account must have {ACCOUNT_DIGITS} digits, not {self.account!r}")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise SettingsError("tls_cert and tls_key must be given together")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise SettingsError("tls_client_ca is for HTTPS: it needs tls_cert and tls_key")
        if self.tls_client_certs == "optional" and self.tls_client_ca is None:
            raise SettingsError("tls_client_certs needs tls_client_ca")
        if self.tls_client_crl is not None and self.tls_client_ca is None:
            raise SettingsError("tls_client_crl needs tls_client_ca")
        _ = self.proxies
        self._check_regions()
        self._check_peers()
        self._check_home()
        self._check_origins()
        self._check_endpoints()
        self._check_access()

    def _check_access(self) -> None:
        if self.dax_stale and self.dax_nodes > 1:
            raise SettingsError("dax_stale is for one node of DAX: others would not see what is written through it")
        if self.dax and self.auth == "on" and self.dax_role is None:
            raise SettingsError(
                "dax_role is needed for --dax with --auth on: the ARN of a role that lets dax.amazonaws.com assume it, "
                "as which the cluster reads and writes tables"
            )
        if self.dax_address is not None and not is_address(self.dax_address):
            raise SettingsError(f"dax_address must be an IP address, not {self.dax_address!r}")
        if self.dax_role is not None and not ROLE_ARN.fullmatch(self.dax_role):
            raise SettingsError(f"dax_role must be the ARN of a role, not {self.dax_role!r}")
        if self.allow_unauthenticated and self.auth == "on":
            raise SettingsError("allow_unauthenticated is for --auth off")
        for host in (self.host, *(one.host for one in self.vpc_endpoints.values())):
            self._check_host(host)

    def _check_host(self, host: str) -> None:
        try:
            if self.auth == "on" or is_loopback(host):
                return
        except Unknown as error:
            raise SettingsError(f"cannot listen on {host}: {error}") from error
        if not self.allow_unauthenticated:
            raise SettingsError(
                f"refusing to listen on {host} with --auth off: anybody who reaches this address could "
                "read and change everything. Use --auth on (and `jedlik credentials create`), "
                "or listen on 127.0.0.1. For tests in a network of their own, --allow-unauthenticated permits it."
            )
        if not self.hosts:
            raise SettingsError(
                f"with --allow-unauthenticated on {host}, --allowed-hosts must name the hosts that clients ask "
                "for, or any web page could reach the server under a name of its own"
            )

    def _check_endpoints(self) -> None:
        for one in self.vpc_endpoints.values():
            where = f"vpc_endpoints.{one.id}"
            if one.region is None and len(self.served) != 1:
                raise SettingsError(f"{where}: region is needed, as this server serves more than one")
            if one.region is not None and not self.serves(one.region):
                raise SettingsError(f"{where}: region: {one.region!r} is not served here")
            if one.policy is not None and self.auth == "off":
                raise SettingsError(f"{where}: policy is for --auth on: with off, everybody may do everything")

    def _check_origins(self) -> None:
        if self.auth == "on" and self.origins:
            raise SettingsError("allowed_origins is for --auth off: with on, any page may ask")
        for name in self.hosts:
            if not HOST.fullmatch(name) and not is_ipv6(name):
                raise SettingsError(f"allowed_hosts: {name!r} is not a name or address, without a port")
        for origin in self.origins:
            if not ORIGIN.fullmatch(origin):
                raise SettingsError(f"allowed_origins: {origin!r} is not like https://name:port, or null")

    def _check_regions(self) -> None:
        for name in (*self.served, *self.peers):
            if not self.names_region(name):
                form = region_names.FORM if self.auth == "off" else "one of AWS's, with --auth on"
                raise SettingsError(f"regions: {name!r} is not the name of a region: {form}")
        both = sorted(set(self.served) & set(self.peers))
        if both:
            raise SettingsError(f"regions: {', '.join(both)} cannot be served here and have an endpoint elsewhere")
        for name, peer in self.peers.items():
            url = urlsplit(peer.endpoint)
            if url.scheme not in ("http", "https") or not url.netloc or url.path.strip("/"):
                raise SettingsError(f"regions.{name}: endpoint must be like https://host:port, not {peer.endpoint!r}")

    def _check_home(self) -> None:
        if self.identity_home is None:
            if self.identity_max_stale is not None:
                raise SettingsError("identity_max_stale is for a server with identity_home")
            return
        url = urlsplit(self.identity_home)
        if url.scheme not in ("http", "https") or not url.netloc or url.path.strip("/"):
            raise SettingsError(f"identity_home must be like https://host:port, not {self.identity_home!r}")
        if url.scheme == "http" and not is_loopback_itself(url.hostname or ""):
            raise SettingsError(
                f"identity_home: refusing http to {self.identity_home}: secrets of access keys come from there. "
                "Use https, or a loopback address."
            )
        if not self.peer_secrets:
            raise SettingsError("identity_home needs a peer_secret, the same for both servers (--peer-secret-file)")

    def _check_peers(self) -> None:
        if (self.peer_cert is None) != (self.peer_key is None):
            raise SettingsError("peer_cert and peer_key must be given together")
        if len(self.peer_secret) > PEER_SECRETS:
            raise SettingsError("peer_secret: one secret, or two while they are exchanged; the first signs")
        if not all(map(PEER_SECRET_FORM.fullmatch, self.peer_secret)):
            raise SettingsError(
                "peer_secret must have 32 to 256 characters of ASCII without spaces, "
                "like what `openssl rand -hex 32` prints"
            )
        for name, peer in self.peers.items():
            near = is_loopback_itself(urlsplit(peer.endpoint).hostname or "")
            if not near and urlsplit(peer.endpoint).scheme == "http":
                raise SettingsError(
                    f"regions.{name}: refusing http to {peer.endpoint}: whoever is on the way could read and change "
                    "what regions tell each other. Use https, or a loopback address."
                )
            if not self.peer_secret and (self.auth == "on" or not near):
                why = "with --auth on" if self.auth == "on" else "for an endpoint that is not a loopback address"
                raise SettingsError(
                    f"regions.{name}: peer_secret is needed {why}: the same secret for the servers of all regions "
                    "(--peer-secret-file)"
                )

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names in Host that are allowed."""
        return tuple(name.strip() for name in self.allowed_hosts.split(",")) if self.allowed_hosts else ()

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins of web pages that are allowed."""
        return tuple(one.strip() for one in self.allowed_origins.split(",")) if self.allowed_origins else ()

    @property
    def proxies(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """The proxies that name their clients. Raises SettingsError."""
        try:
            return tuple(
                ipaddress.ip_network(one.strip()) for one in (self.proxy_protocol_from or "").split(",") if one
            )
        except ValueError as error:
            raise SettingsError(f"proxy_protocol_from: {error}") from error

    @property
    def served(self) -> tuple[str, ...]:
        """The regions that are served here; none when it is any."""
        return tuple(name.strip() for name in self.regions.split(",")) if self.regions else ()

    def region_of(self, endpoint: VpcEndpoint) -> str:
        """The region whose tables are reached by a VPC endpoint."""
        return endpoint.region or self.served[0]

    @property
    def peer_secrets(self) -> tuple[str, ...]:
        """The secrets by which peers are known; with none, nobody is a peer. The first is the one to sign with."""
        return self.peer_secret or (OPEN_SECRETS if self.auth == "off" else ())

    def names_region(self, name: str) -> bool:
        """Whether a region may have this name: one of AWS's where signatures are verified, else nearly any."""
        return region_names.is_aws(name) if self.auth == "on" else region_names.is_name(name)

    def serves(self, region: str) -> bool:
        """Whether a region is served here."""
        if self.served:
            return region in self.served
        return region not in self.peers and self.names_region(region)

    @property
    def backups_folder(self) -> Path:
        """Where backups are kept, unless that is in a bucket."""
        return self.data_dir / "backups" if self.backups is None else Path(self.backups)

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


BUCKETS = "buckets"
VPC_ENDPOINTS = "vpc_endpoints"
KMS = "kms"
NO_OPTIONS = ("peers", PEER_SECRET, BUCKETS, VPC_ENDPOINTS, KMS, ROOT_KEY)


def options() -> list[Field[Any]]:
    """The settings that are options of the command line."""
    return [setting for setting in fields(Settings) if setting.name not in NO_OPTIONS]
