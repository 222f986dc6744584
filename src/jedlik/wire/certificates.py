"""What TLS needs at a listener, as its files have it now: the certificate, its key, and the authorities of clients.

The files are looked at once a second, and read again when they have changed (`Certificates.look`). New connections get
what was read last; open ones keep what they began with, but end soon if other clients may be valid now. A context is
made from scratch each time, for OpenSSL can add an authority to one but take none away, and a new one has new keys for
session tickets: no session of before is resumed.

TLS is 1.2 or 1.3, with cipher suites that have forward secrecy and authenticated encryption only (RFC 9325, 4.2). A
client's certificate is verified in the handshake. It is valid if it was issued for clients, or for no purpose in
particular, by one of the authorities, or is itself in their file. With a file of revocation lists it must also be on
none of its authority's, and neither may the certificates of the authorities between be (`revocation_lists`); if there
is no list of one of them that is in its time, it is refused.
"""

from __future__ import annotations

import os
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jedlik.wire.revocation_lists import Lookup

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"
"""Cipher suites of TLS 1.2, in the order in which they are preferred. The level refuses keys that are too short (less
than 112 bits of security) and signatures with SHA-1, in certificates too."""
PROTOCOLS = ["http/1.1"]
"""What is spoken behind TLS, for clients that ask (ALPN). One that asks only for others goes on without."""
_OWN = 2
"""The first files, which are the server's own. The others decide which clients are valid."""
_BEGIN = "-----BEGIN "
REVOCATION_LIST = f"{_BEGIN}X509 CRL-----"


class CertificateError(Exception):
    """The files cannot be used; the message is for the person who named them."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where they are, each in PEM."""

    certificate: Path
    """The server's, with the certificates between it and its authority."""
    key: Path
    client_authorities: Path | None = None
    """Who issues the certificates of clients; None if they need none."""
    are_required: bool = True
    """Whether a client without a certificate is refused. One whose certificate is not valid always is."""
    revocation_lists: Path | None = None
    """The certificates that their authorities have taken back; None to ask for no list."""

    @property
    def all(self) -> tuple[Path, ...]:
        """Those that there are."""
        files = (self.certificate, self.key, self.client_authorities, self.revocation_lists)
        return tuple(file for file in files if file is not None)


class Gaps(NamedTuple):
    """What is wrong with revocation lists."""

    texts: tuple[str, ...]
    refuse_all: bool
    """Whether every client is refused that shows a certificate."""


State = tuple[tuple[int, ...] | None, ...]
"""What tells versions of files apart; None for a file that is not there."""


class Certificates:
    """What TLS needs at a listener, for new connections. Made before processes are forked, each of which looks after
    its own."""

    def __init__(self, files: CertificateFiles) -> None:
        """Raises CertificateError."""
        self.files = files
        self._read = self._seen = _state(files)
        """What was read, and what the last look has seen."""
        self._refused: tuple[State, str] | None = None
        """What could not be used when that was last found out, and why."""
        self.context, self._lookup = _made(files)
        self.trust = 0
        """How often it has changed which certificates of clients are valid."""
        self._gaps = self.gaps(datetime.now(UTC))
        """Those of which the context has made no sessions."""

    @property
    def asks(self) -> bool:
        """Whether clients are asked for certificates."""
        return self.files.client_authorities is not None

    def gaps(self, now: datetime) -> Gaps | None:
        """What is wrong with the revocation lists now, which refuses clients; None if nothing is."""
        found = self._lookup and self._lookup.gaps(now)
        return Gaps(tuple(found), self._lookup.refuses_all(now)) if self._lookup and found else None

    def look(self) -> bool:
        """Read the files again if they have changed, and not since the last look: replacing all of them takes
        a moment. Returns whether they were read. Raises CertificateError when they cannot be used, once as long
        as they stay so; what was read before is used on.
        """
        self._look_at_lists()
        seen, before = _state(self.files), self._seen
        self._seen = seen
        if seen == self._read or seen != before:
            return False
        try:
            context, lookup = _made(self.files)
        except CertificateError as error:
            refused = seen, str(error)
            if refused != self._refused:
                self._refused = refused
                raise
            return False
        if _state(self.files) != seen:
            return False  # They were replaced meanwhile, perhaps one of them only.
        self.trust += seen[_OWN:] != self._read[_OWN:]
        self.context, self._lookup, self._read, self._refused = context, lookup, seen, None
        return True

    def _look_at_lists(self) -> None:
        """When a list has ended, forget the sessions of clients that were looked up in it: TLS 1.2 resumes them."""
        gaps = self.gaps(datetime.now(UTC))
        if gaps != self._gaps:
            with suppress(CertificateError):  # The files are being replaced, and are read when they have been.
                self.context, self._lookup = _made(self.files)
            self._gaps = gaps
            self.trust += 1


def _state(files: CertificateFiles) -> State:
    found: list[tuple[int, ...] | None] = []
    for file in files.all:
        status: os.stat_result | None = None
        with suppress(OSError):  # Being replaced, or gone: reading it finds the reason.
            status = file.stat()
        found.append(status and (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev, status.st_size))
    return tuple(found)


def _made(files: CertificateFiles) -> tuple[ssl.SSLContext, Lookup | None]:
    """What TLS needs, read from the files. Raises CertificateError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(PROTOCOLS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(files.certificate, files.key, _no_password)
    except OSError as error:  # SSLError is one.
        raise CertificateError(
            f"cannot use the certificate {files.certificate} with the key {files.key}: {error}"
        ) from error
    if files.client_authorities is not None:
        _demand_certificates(context, files.client_authorities, are_required=files.are_required)
        if files.revocation_lists is not None:
            return context, _look_up_revoked(context, files.client_authorities, files.revocation_lists)
    return context, None


def _no_password() -> str:
    raise CertificateError("the key of the certificate is encrypted, and nobody is asked for passwords")


def _demand_certificates(context: ssl.SSLContext, authorities: Path, *, are_required: bool) -> None:
    try:
        text = authorities.read_text("ascii")
        if REVOCATION_LIST in text:
            raise CertificateError(f"{authorities} has a revocation list, which needs a file of its own")
        context.load_verify_locations(cadata=text)
    except (OSError, ValueError) as error:
        raise CertificateError(f"cannot use the authorities of clients in {authorities}: {error}") from error
    context.verify_mode = ssl.CERT_REQUIRED if are_required else ssl.CERT_OPTIONAL
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    # A session that is resumed is not verified again: so every connection shows its certificate.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0


def _look_up_revoked(context: ssl.SSLContext, authorities: Path, lists: Path) -> Lookup:
    from jedlik.wire import revocation_lists  # Only listeners with such lists need it.

    try:
        # OpenSSL would trust the certificates in such a file.
        text = lists.read_text("ascii")
        if REVOCATION_LIST not in text or text.count(_BEGIN) != text.count(REVOCATION_LIST):
            raise CertificateError(f"{lists} must have revocation lists in PEM, and nothing else")
        context.load_verify_locations(cafile=lists)
        lookup = revocation_lists.lookup(authorities.read_bytes(), text.encode())
    except revocation_lists.Unnoticed as error:
        raise CertificateError(f"cannot use the revocation lists in {lists} with {authorities}: {error}") from error
    except (OSError, ValueError) as error:
        raise CertificateError(f"cannot use the revocation lists in {lists}: {error}") from error
    context.verify_flags = lookup.flags
    return lookup
