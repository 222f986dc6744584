"""What a file of revocation lists (RFC 5280, 5) means for the clients of a file of authorities.

OpenSSL looks up every certificate of a chain, the root's own too, in a list of its issuer, and refuses the client if a
list is missing or has ended. So chains must lead to a root: of an authority that is trusted without the one that
issued it, no list can be verified. Such authorities can be trusted if all in the file issue to clients alone
(`pathlen:0`): then a chain is a client and its authority, and only the client is looked up. Everything else is refused,
because the revocation of an authority between would go unnoticed.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

WHOLE_CHAIN = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_CRL_CHECK_CHAIN
CLIENT_ONLY = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_CRL_CHECK_LEAF
Kind = TypeVar("Kind", bound=x509.ExtensionType)
_LIST = re.compile(b"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


class Unnoticed(Exception):
    """The revocation of authorities would go unnoticed; the message is for the person who named the files."""


@dataclass(frozen=True, slots=True)
class _Trusted:
    """An authority of the file."""

    name: str
    issuers: tuple[int, ...]
    """Those in the file who issued it, itself too, by their places."""
    times: tuple[tuple[datetime, datetime | None], ...]
    """From when and until when each of its lists is valid."""

    def gap(self, now: datetime) -> str | None:
        """What is wrong with its lists, if none is valid."""
        if not self.times:
            return f"there is none of {self.name}"
        if any(begin <= now and (end is None or now < end) for begin, end in self.times):
            return None
        ends = [end for _, end in self.times if end is not None and end <= now]
        if not ends:
            return f"that of {self.name} is not valid yet"
        return f"that of {self.name} has expired, at {max(ends).isoformat()}"


@dataclass(frozen=True, slots=True)
class Lookup:
    """How clients are looked up."""

    flags: ssl.VerifyFlags
    trusted: tuple[_Trusted, ...]

    def gaps(self, now: datetime) -> list[str]:
        """What is wrong with the lists of authorities, for whose clients it means refusal."""
        return [gap for one in self.trusted if (gap := one.gap(now)) is not None]

    def refuses_all(self, now: datetime) -> bool:
        """Whether no client can be valid."""
        listed = {place for place, one in enumerate(self.trusted) if one.gap(now) is None}
        if self.flags == WHOLE_CHAIN:
            return not listed & _rooted([one.issuers for one in self.trusted], listed)
        return not listed


def lookup(authorities: bytes, lists: bytes) -> Lookup:
    """How to look up clients of authorities, both in PEM. Raises ValueError if they cannot be read, and Unnoticed."""
    certificates = x509.load_pem_x509_certificates(authorities)
    found = [x509.load_pem_x509_crl(text) for text in _LIST.findall(lists)]
    issuers = [tuple(place for place, by in enumerate(certificates) if _has_issued(by, one)) for one in certificates]
    trusted = tuple(
        _Trusted(one.subject.rfc4514_string(), of, tuple(_times(one, found)))
        for one, of in zip(certificates, issuers, strict=True)
    )
    every = set(range(len(trusted)))
    without = every - _rooted(issuers, every)
    if not without:
        return Lookup(WHOLE_CHAIN, trusted)
    if any(map(_may_have_authorities, certificates)):
        names = ", ".join(trusted[place].name for place in sorted(without))
        raise Unnoticed(
            f"the revocation of an authority between would go unnoticed: {names} must be there with its issuers up to "
            "the root, or all authorities there must have pathlen:0"
        )
    return Lookup(CLIENT_ONLY, trusted)


def _rooted(issuers: Sequence[tuple[int, ...]], among: set[int]) -> set[int]:
    """Those from whom a chain of `among` leads to a root, which has issued itself."""
    found: set[int] = set()
    while more := {one for one in among - found if one in issuers[one] or found.intersection(issuers[one])}:
        found |= more
    return found


def _has_issued(issuer: x509.Certificate, one: x509.Certificate) -> bool:
    if issuer.subject != one.issuer:
        return False
    try:
        one.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _times(
    issuer: x509.Certificate, lists: Sequence[x509.CertificateRevocationList]
) -> Iterator[tuple[datetime, datetime | None]]:
    """When the lists of an issuer are valid."""
    usage = _extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.crl_sign:
        return
    key = issuer.public_key()
    for one in lists:
        try:
            is_its = one.issuer == issuer.subject and one.is_signature_valid(key)  # type: ignore[arg-type]
        except (TypeError, UnsupportedAlgorithm):
            continue
        if is_its:
            yield one.last_update_utc, one.next_update_utc


def _may_have_authorities(one: x509.Certificate) -> bool:
    """Whether it may have issued certificates of other authorities."""
    constraints = _extension(one, x509.BasicConstraints)
    if constraints is None:
        return one.version is x509.Version.v1
    return constraints.ca and constraints.path_length != 0


def _extension(one: x509.Certificate, kind: type[Kind]) -> Kind | None:
    try:
        return one.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
