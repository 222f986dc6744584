"""The certificate that a client has shown in its TLS handshake: whom it names."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime


class InvalidCertificate(Exception):
    """The handshake has accepted a certificate that cannot be used all the same."""


def shown_subject(transport: asyncio.BaseTransport) -> str | None:
    """Whom a client's certificate names, in the form of RFC 4514, as `cryptography` writes it: the last component of
    the name first, `CN=app,OU=music,O=Example`. None if it has shown none. Raises InvalidCertificate.
    """
    from cryptography import x509  # Only listeners that ask for certificates need it.

    connection: ssl.SSLObject = transport.get_extra_info("ssl_object")
    shown = connection.getpeercert(binary_form=True)
    if shown is None:
        return None
    try:
        certificate = x509.load_der_x509_certificate(shown)
        subject = certificate.subject.rfc4514_string()
        until = certificate.not_valid_after_utc
    except ValueError as error:
        raise InvalidCertificate(f"it cannot be read: {error}") from error
    # TLS 1.2 may resume a session by its number, and then nobody looks at the dates (RFC 5246, F.1.4).
    if until < datetime.now(UTC):
        raise InvalidCertificate("it has expired")
    return subject
