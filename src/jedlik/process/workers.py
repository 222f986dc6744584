"""Starts a server from its settings: takes the folder and the port, checks files, then runs the workers that serve.

The data folder and the port are taken once, by the parent, and inherited by all workers. Everything else (the other
settings, the certificate, the access keys) makes a `Site`, and is read again for the workers of a restart.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from jedlik import __version__
from jedlik.aws import credentials
from jedlik.aws.credentials import Credentials, CredentialsError
from jedlik.config import Settings, SettingsError
from jedlik.loading import loading
from jedlik.peer_certificate import PeerCertificate, PeerCertificateError
from jedlik.process import due_compacting, endpoint_listeners, first_sealing, interpreter, logs
from jedlik.process.greeting import greeting
from jedlik.process.listeners import (
    MEMORY_PREFIX,
    StartError,
    allow_no_core_dumps,
    is_still_taken,
    raise_descriptor_limit,
    sweep_memory_folders,
    take_data_folder,
    take_port,
)
from jedlik.process.node_seats import NodeSeats
from jedlik.process.parent import Supervisor
from jedlik.process.root_key_holder import RootKeyHolder
from jedlik.process.services import read_models
from jedlik.process.site import Site, authority
from jedlik.regions import root_key_sources
from jedlik.regions.root_key_record import Found
from jedlik.root_key import RootKey
from jedlik.wire.certificates import CertificateError, CertificateFiles, Certificates
from jedlik.wire.loads import Loads

log = logging.getLogger(__name__)

TAKEN_ONCE = ("host", "port", "data_dir", "in_memory", "dax", "dax_port", "dax_nodes")
"""Settings of what the parent holds. To change them, the server must be stopped and started."""

MADE = (
    "The root key was just made in {}. Keep a copy of it, not beside copies of the data: without it, the data is "
    "lost: all that tables hold is sealed with it, and so are access keys, passwords and encryption keys"
)
"""What the log has of a root key that nobody has seen yet."""

Read = Callable[[], Settings]
"""Reads the settings from their sources. Raises SettingsError."""


def run(read: Read) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code; raises SettingsError and StartError."""
    settings = read()
    logs.start(settings.log_format, settings.log_level)
    allow_no_core_dumps()
    if not settings.in_memory:
        return _run(settings, read)
    sweep_memory_folders()
    with tempfile.TemporaryDirectory(prefix=MEMORY_PREFIX) as folder:
        return _run(settings, read, Path(folder))


def _run(settings: Settings, read: Read, folder: Path | None = None) -> int:
    """Serve, with the data in `folder` if one is given."""

    def renew(site: Site) -> Site:
        renewed = read()
        fixed = [name for name in TAKEN_ONCE if getattr(renewed, name) != getattr(settings, name)]
        if fixed:
            raise SettingsError(f"{', '.join(fixed)} can be changed only by stopping the server and starting it")
        logs.start(renewed.log_format, renewed.log_level)
        placed = _placed(renewed, folder)
        holder.take(renewed)
        tls = look_at(placed, site.root_key)
        return dataclasses.replace(
            site,
            settings=placed,
            tls=tls,
            loads=Loads(placed.worker_count),
            key=holder.found,
            endpoints=endpoint_listeners.renewed(site.endpoints, placed),
            peer_certificate=_peer_certificate(placed),
            kms_certificate=_kms_certificate(placed),
        )

    def has_data() -> bool:
        return folder is not None or is_still_taken(placed.data_dir, lock)

    placed = _placed(settings, folder)
    lock = take_data_folder(placed.data_dir)
    key: Found | None = None
    try:
        holder = RootKeyHolder(settings, may_make=not root_key_sources.is_service())
        root_key, key = holder.root_key, holder.found
        tls = look_at(placed, root_key)
        if holder.found is not None and not settings.in_memory:
            first_sealing.seal_stores(placed, holder.found, root_key)
        if not settings.in_memory:
            due_compacting.compact(placed)
        listening = take_port(placed.host, placed.port)
        seats = NodeSeats(placed)
        first = next(iter(seats.seats.values()), None)
        dax_url = None if first is None else f"{'daxs' if tls else 'dax'}://{authority(first.listening)}"
        raise_descriptor_limit()
        with loading():
            read_models()
        site = Site(
            placed,
            listening,
            tls,
            Loads(placed.worker_count),
            dax_url,
            root_key,
            holder.found,
            endpoints=endpoint_listeners.taken(placed),
            peer_certificate=_peer_certificate(placed),
            kms_certificate=_kms_certificate(placed),
        )
        return Supervisor(site, seats, holder, renew, announce, has_data).run()
    except StartError as error:
        if key is not None and key.is_new:  # The next start finds it, and has nothing to report.
            raise StartError(f"{error}\n{MADE.format(key.source.name)}") from error
        raise
    finally:
        os.close(lock)


def _placed(settings: Settings, folder: Path | None) -> Settings:
    """The settings with another data folder; the access keys stay where they are."""
    if folder is None:
        return settings
    return dataclasses.replace(settings, data_dir=folder, credentials=settings.credentials_file)


def look_at(settings: Settings, root_key: RootKey) -> Certificates | None:
    """Check that the files can be used that the settings name, and seal the access keys that lie open. Returns what TLS
    needs; raises StartError."""
    if settings.allow_unauthenticated:
        log.warning("anybody who reaches %s may read and change everything: --allow-unauthenticated", settings.host)
    try:
        if root_key.is_there and not settings.in_memory:
            credentials.seal(settings.credentials_file, root_key)
        if settings.auth == "on":
            check_credentials(settings.credentials_file, root_key)
    except CredentialsError as error:
        raise StartError(str(error)) from error
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    files = CertificateFiles(
        settings.tls_cert,
        settings.tls_key,
        settings.tls_client_ca,
        settings.tls_client_certs == "required",
        settings.tls_client_crl,
    )
    try:
        return Certificates(files)
    except CertificateError as error:
        raise StartError(str(error)) from error


def _peer_certificate(settings: Settings) -> PeerCertificate | None:
    return _shown("peer_cert", settings.peer_cert, settings.peer_key, "other servers")


def _kms_certificate(settings: Settings) -> PeerCertificate | None:
    kms = settings.kms
    return None if kms is None else _shown("kms: tls_cert", kms.tls_cert, kms.tls_key, "the other KMS")


def _shown(setting: str, certificate: Path | None, key: Path | None, to: str) -> PeerCertificate | None:
    """What is shown to others, of the files that a setting names."""
    if certificate is None or key is None:
        return None
    try:
        return PeerCertificate(certificate, key, to)
    except PeerCertificateError as error:
        raise StartError(f"{setting}: {error}") from error


def check_credentials(path: Path, root_key: RootKey) -> None:
    """Raise CredentialsError if the access keys cannot be used; warn if the file is empty."""
    if not len(Credentials(path, root_key)):
        log.warning("there are no access keys in %s: make one with `jedlik credentials create`", path)


def announce(site: Site) -> None:
    """Announce that the server is ready, and where."""
    settings = site.settings
    if site.key is None and not settings.in_memory:
        log.warning(
            "the data folder %s has no root key, so tables and secrets lie open: stop the server and run `jedlik init`",
            settings.data_dir,
        )
    if logs.for_people(settings.log_format):
        text = greeting(
            settings, site.url, site.dax_url, site.key, endpoints=site.endpoint_urls, colour=logs.coloured()
        )
        sys.stderr.write(f"\n{text}\n")
        sys.stderr.flush()
        return
    fields = {
        "url": site.url,
        "version": __version__,
        "python": interpreter.described(),
        "data_dir": "memory" if settings.in_memory else str(settings.data_dir),
        "workers": settings.worker_count,
        "auth": settings.auth,
        **({"dax": site.dax_url} if site.dax_url else {}),
        **({"vpc_endpoints": site.endpoint_urls} if site.endpoints else {}),
        **({"root_key": site.key.source.name} if site.key else {}),
        **({"note": MADE.format(site.key.source.name)} if site.key and site.key.is_new else {}),
    }
    log.info("listening", extra=fields)
