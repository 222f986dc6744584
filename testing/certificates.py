"""Certificates for servers that tests reach by TLS, and for clients that show some: by authorities of tests."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
DAY = timedelta(days=1)


SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
"""What the key of an authority may do."""


class Pair(NamedTuple):
    """The files of a certificate."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates, into files of a folder."""

    def __init__(
        self, folder: Path, name: str, issuer: Authority | None = None, path_length: int | None = None
    ) -> None:
        """A root, or one between: another one issues it."""
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._between = b""
        """What its clients show besides their certificates."""
        by = issuer or self
        made = by._builder(self._name, self._key, DAY)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        made = made.add_extension(SIGNS_CERTIFICATES, critical=True)
        self.file = folder / f"{name}.ca.pem"
        self.file.write_bytes(made.sign(by._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        if issuer is not None:
            self._between = self.file.read_bytes() + issuer._between

    def issue(
        self,
        name: str,
        *,
        subject: x509.Name | None = None,
        usage: ObjectIdentifier | None = None,
        lifetime: timedelta = DAY,
        bits: int | None = None,
        password: bytes | None = None,
    ) -> Pair:
        """A certificate for this machine or a client, by default with this common name, in files that are named after
        it. Files of that name are replaced, each at once. The key is RSA's if it has a number of bits."""
        key = ec.generate_private_key(ec.SECP256R1()) if bits is None else rsa.generate_private_key(65537, bits)
        subject = subject or x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(subject, key, lifetime)
        here = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
        made = made.add_extension(here, critical=False)
        if usage is not None:
            made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        pair = Pair(self._folder / f"{name}.pem", self._folder / f"{name}.key.pem")
        put(pair.certificate, made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM) + self._between)
        closing = NoEncryption() if password is None else BestAvailableEncryption(password)
        put(pair.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, closing))
        return pair

    def revoke(self, *revoked: Pair | Authority, lifetime: timedelta = DAY) -> Path:
        """The authority's revocation list, which has these certificates, in a file that is replaced at once."""
        now = datetime.now(UTC)
        made = x509.CertificateRevocationListBuilder().issuer_name(self._name)
        made = made.last_update(now - DAY).next_update(now + lifetime)
        for one in revoked:
            of = one.file if isinstance(one, Authority) else one.certificate
            number = x509.load_pem_x509_certificate(of.read_bytes()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now - DAY)
            made = made.add_revoked_certificate(entry.build())
        file = self._folder / f"{self.file.stem}.crl.pem"
        put(file, made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return file

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, lifetime: timedelta
    ) -> x509.CertificateBuilder:
        """What all certificates have. From 3.13 on, Python requires the identifiers of keys (RFC 5280)."""
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + lifetime)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )


def self_signed(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """A certificate of its own authority for this machine, and its key, always in the same files of a folder."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    making = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*making, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def put(file: Path, content: bytes) -> None:
    """Replace a file at once, as the programs do that renew certificates."""
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(content)
    new.replace(file)
