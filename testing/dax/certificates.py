"""Certificates for servers that tests reach by TLS."""

from __future__ import annotations

import subprocess
from pathlib import Path


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for this machine, and its key, made in a folder."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    making = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*making, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key
