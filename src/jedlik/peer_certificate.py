"""The certificate that this server shows to others: to those of other regions, to the home of its identities, and to
another KMS.

A listener that demands certificates of its clients demands them of servers, too. The files are looked at for each
request that goes out, and read again when they have changed, like those of listeners (`wire.certificates`). Files that
cannot be used any more change nothing, and are logged once.
"""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path

_log = logging.getLogger(__name__)

_State = tuple[tuple[int, int, int], ...]


class PeerCertificateError(Exception):
    """The files cannot be used; the message is for the person who named them."""


class PeerCertificate:
    """A certificate with its key, in files in PEM."""

    def __init__(self, certificate: Path, key: Path, shown_to: str = "other servers") -> None:
        """`shown_to` is for the log. Raises PeerCertificateError."""
        self._files = certificate, key
        self._shown_to = shown_to
        self._seen = self._state()
        self._context = self._made()

    def context(self) -> ssl.SSLContext:
        """What TLS needs to show the certificate. Others are trusted as without one: by OpenSSL's authorities."""
        try:
            seen = self._state()
            if seen != self._seen:
                self._seen = seen
                self._context = self._made()
                _log.info("the certificate for %s has been read again", self._shown_to)
        except PeerCertificateError as error:
            _log.error(
                "the certificate for %s cannot be read again, and the former one is used: %s", self._shown_to, error
            )
        return self._context

    def _state(self) -> _State:
        found = []
        for file in self._files:
            try:
                status = os.stat(file)
                found.append((status.st_mtime_ns, status.st_ino, status.st_size))
            except OSError:
                found.append((0, 0, 0))  # It is being replaced, or reading it finds the reason.
        return tuple(found)

    def _made(self) -> ssl.SSLContext:
        certificate, key = self._files
        context = ssl.create_default_context()
        try:
            context.load_cert_chain(certificate, key, _no_password)
        except OSError as error:  # SSLError is one.
            raise PeerCertificateError(
                f"cannot use the certificate {certificate} with the key {key}: {error}"
            ) from error
        return context


def reason(error: Exception, url: str, certificate: PeerCertificate | None) -> str:
    """Why a server gave no answer, from aiohttp's exception. A server that refuses a certificate often ends the
    connection without a reason."""
    import aiohttp  # Only those who ask other servers need it, and they have it.

    text = str(error) or type(error).__name__
    has_ended = isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)
    if not has_ended or isinstance(error, aiohttp.ClientConnectorError) or not url.startswith("https:"):
        return text
    return text + (NONE_SHOWN if certificate is None else SHOWN)


NONE_SHOWN = " (perhaps it demands a certificate, and the settings name none)"
SHOWN = " (perhaps it refuses the certificate that it was shown)"


def _no_password() -> str:
    raise PeerCertificateError("the key of the certificate is encrypted, and nobody is asked for passwords")
