"""An issuer of web identity tokens for tests: an HTTPS server on a loopback address, with its documents and keys."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


class Issuer:
    """A running issuer."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"https://localhost:{port}"
        self.key: Any = rsa.generate_private_key(65537, 2048)
        self.algorithm = "RS256"
        self.key_id = "one"
        self.asked: list[str] = []
        """The paths that were asked for."""
        self.pages: dict[str, tuple[int, bytes]] = {}
        """Answers in the place of the usual ones, by path."""

    def use_elliptic_key(self, key_id: str) -> None:
        """Sign with another key from now on."""
        self.key, self.algorithm, self.key_id = ec.generate_private_key(ec.SECP256R1()), "ES256", key_id

    def answer(self, path: str) -> tuple[int, bytes]:
        """Status and body of the answer to a GET."""
        self.asked.append(path)
        if path in self.pages:
            return self.pages[path]
        if path == "/.well-known/openid-configuration":
            return 200, json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode()
        if path == "/keys":
            made = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self.key.public_key(), as_dict=True)
            return 200, json.dumps({"keys": [made | {"kid": self.key_id, "use": "sig"}]}).encode()
        return 404, b""

    def token(self, *, key: Any = None, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token that is signed by the issuer, or by another key; None leaves a claim out."""
        now = int(time.time())
        usual = {"iss": self.url, "sub": "pod-1", "aud": "sts", "iat": now, "exp": now + 600}
        content = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode(content, key or self.key, self.algorithm, headers={"kid": self.key_id} | (headers or {}))


def write_certificate(folder: Path) -> Path:
    """A certificate for localhost with its key, in one file, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "issuer.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path


@contextmanager
def issuing(certificate: Path) -> Iterator[Issuer]:
    """An issuer with this certificate, until the block ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = issuer.answer(self.path)
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", body.decode())
                body = b""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: pytest shows what a test prints."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(server.server_address[1])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
