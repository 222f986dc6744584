"""TLS: which versions and cipher suites there are, and certificates that are replaced while the server runs."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config

from jedlik.wire.certificates import CertificateError, CertificateFiles, Certificates
from testing.certificates import Authority, Pair, put
from testing.jedlik_process import Server, eventually
from testing.raw_http import Wire, request

Start = Callable[..., Server]
TLS12 = ssl.TLSVersion.TLSv1_2


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server], authority: Authority) -> Server:
    """With certificates of both kinds of key one after the other; here an elliptic curve's."""
    own = authority.issue("server")
    return start_shared_server(in_memory=True, tls_cert=own.certificate, tls_key=own.key)


@pytest.fixture(scope="module")
def with_rsa(start_shared_server: Callable[..., Server], authority: Authority) -> Server:
    """With a key of the kind that the weaker suites of TLS 1.2 need."""
    own = authority.issue("rsa", bits=2048)
    return start_shared_server(in_memory=True, tls_cert=own.certificate, tls_key=own.key)


def lenient(authority: Authority) -> ssl.SSLContext:
    """A client that would speak anything."""
    made = ssl.create_default_context(cafile=str(authority.file))
    made.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    made.set_ciphers("ALL:COMPLEMENTOFALL:!aNULL:@SECLEVEL=0")
    return made


def shaken(server: Server, secured: ssl.SSLContext) -> ssl.SSLSocket | None:
    """A connection after its handshake; None if that failed."""
    raw = socket.create_connection(("127.0.0.1", server.port), 60)
    try:
        return secured.wrap_socket(raw, server_hostname="localhost")
    except OSError:
        raw.close()
        return None


def agreed(server: Server, secured: ssl.SSLContext) -> tuple[str, str] | None:
    """Version and cipher suite of a connection; None if the two sides find nothing in common."""
    connection = shaken(server, secured)
    if connection is None:
        return None
    with connection:
        cipher, version = connection.cipher(), connection.version()
        assert cipher is not None
        assert version is not None
        return version, cipher[0]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_versions(server: Server, authority: Authority) -> None:
    found = {}
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, TLS12, ssl.TLSVersion.TLSv1_3):
        secured = lenient(authority)
        secured.minimum_version = secured.maximum_version = version
        one = agreed(server, secured)
        found[version.name] = one and one[0]
    assert found == {"TLSv1": None, "TLSv1_1": None, "TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}
    assert agreed(server, lenient(authority)) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")


def test_cipher_suites_of_tls_1_2(server: Server, with_rsa: Server, authority: Authority) -> None:
    """Each that OpenSSL has, offered alone."""
    offered = lenient(authority)
    offered.maximum_version = TLS12
    names = [one["name"] for one in offered.get_ciphers() if not one["name"].startswith("TLS_")]
    assert len(names) > 30
    found = set()
    for name in names:
        alone = lenient(authority)
        alone.maximum_version = TLS12
        alone.set_ciphers(f"{name}:@SECLEVEL=0")
        found |= {one[1] for one in (agreed(server, alone), agreed(with_rsa, alone)) if one is not None}
    assert found == {
        f"ECDHE-{key}-{suite}"
        for key in ("ECDSA", "RSA")
        for suite in ("AES256-GCM-SHA384", "AES128-GCM-SHA256", "CHACHA20-POLY1305")
    }
    assert agreed(server, offered) == ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")


def test_protocols_that_clients_ask_for(server: Server, authority: Authority) -> None:
    found = []
    for protocols in (["h2", "http/1.1"], ["h2"], []):
        secured = lenient(authority)
        secured.set_alpn_protocols(protocols)
        connection = shaken(server, secured)
        assert connection is not None
        with connection:
            found.append(connection.selected_alpn_protocol())
    assert found == ["http/1.1", None, None]


def test_a_client_cannot_shake_hands_again(server: Server) -> None:
    """With OpenSSL's own client: `R` asks for it."""
    asked = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-tls1_2", "-legacy_renegotiation"],
        input="R\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "RENEGOTIATING" in asked.stdout + asked.stderr
    assert asked.returncode != 0


@pytest.mark.parametrize("bits", [1024])
def test_a_key_that_is_too_short(tmp_path: Path, bits: int) -> None:
    own = Authority(tmp_path, "one").issue("short", bits=bits)
    with pytest.raises(CertificateError, match="key too small"):
        Certificates(CertificateFiles(own.certificate, own.key))


def test_a_key_with_a_password(tmp_path: Path) -> None:
    own = Authority(tmp_path, "one").issue("closed", password=b"secret")
    with pytest.raises(CertificateError, match="the key of the certificate is encrypted"):
        Certificates(CertificateFiles(own.certificate, own.key))


# Certificates that are replaced.


def looked(certificates: Certificates) -> list[bool | str]:
    """What two looks find, as they are a second apart."""
    found: list[bool | str] = []
    for _ in range(2):
        try:
            found.append(certificates.look())
        except CertificateError as error:
            found.append(str(error))
    return found


def test_files_are_read_once_they_have_stopped_changing(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "one")
    own = authority.issue("server")
    certificates = Certificates(CertificateFiles(own.certificate, own.key, authority.file))
    first = certificates.context
    assert looked(certificates) == [False, False]
    assert certificates.context is first

    authority.issue("server")
    assert looked(certificates) == [False, True]
    second = certificates.context
    assert second is not first

    put(authority.file, Authority(tmp_path, "two").file.read_bytes())
    assert looked(certificates) == [False, True]
    third = certificates.context

    other = authority.issue("other")
    put(own.certificate, other.certificate.read_bytes())  # Its key has yet to come.
    refused, again = looked(certificates), looked(certificates)
    assert refused[0] is False
    assert "cannot use the certificate" in str(refused[1])
    assert "key values mismatch" in str(refused[1])
    assert again == [False, False]
    assert certificates.context is third
    put(own.key, other.key.read_bytes())
    assert looked(certificates) == [False, True]

    own.key.unlink()
    [_, missing] = looked(certificates)
    assert "No such file" in str(missing)
    put(own.key, other.key.read_bytes())
    assert looked(certificates) == [False, True]


def serial(port: int, secured: ssl.SSLContext) -> int:
    """Which certificate a listener shows."""
    raw = socket.create_connection(("127.0.0.1", port), 60)
    with raw, secured.wrap_socket(raw, server_hostname="localhost") as connection:
        shown = connection.getpeercert()
        assert shown is not None
        return int(str(shown["serialNumber"]), 16)


class Load(threading.Thread):
    """Makes new connections all the time, and one that stays open, each with a request that must be answered."""

    def __init__(self, server: Server, verify: Path, shown: Pair) -> None:
        super().__init__()
        self._stop_asked = threading.Event()
        self._server, self._verify, self._shown = server, verify, shown
        self.answers = 0
        self.errors: list[Exception] = []

    def _client(self) -> Any:
        config = Config(
            client_cert=(str(self._shown.certificate), str(self._shown.key)), retries={"total_max_attempts": 1}
        )
        return self._server.client(verify=str(self._verify), config=config)

    def run(self) -> None:
        lasting = self._client()
        while not self._stop_asked.is_set():
            try:
                for client in (lasting, self._client()):
                    client.list_tables()
                    self.answers += 1
            except Exception as error:
                self.errors.append(error)

    def end(self) -> None:
        self._stop_asked.set()
        self.join()


def test_certificates_are_replaced_under_load(start_server: Start, tmp_path: Path) -> None:
    """In all workers and in DAX, clients' authorities too. A pair that does not fit changes nothing."""
    authority, former, latter = (Authority(tmp_path, name) for name in ("servers", "former", "latter"))
    clients = tmp_path / "clients.pem"
    both = former.file.read_bytes() + latter.file.read_bytes()
    put(clients, both)
    own, one, other = authority.issue("server"), former.issue("one"), latter.issue("other")
    server = start_server(
        workers=2, dax=True, dax_port=0, tls_cert=own.certificate, tls_key=own.key, tls_client_ca=clients
    )
    secured = ssl.create_default_context(cafile=str(authority.file))
    secured.load_cert_chain(*other)
    dax_port = urlsplit(server.dax_url).port
    assert dax_port is not None

    def shows(number: int) -> bool:
        """Whether all processes show a certificate: a worker takes about every second connection."""
        return all(serial(port, secured) == number for port in (dax_port, *[server.port] * 12))

    def warnings() -> list[str]:
        return [line["message"] for line in server.log_lines() if line["level"] == "warning"]

    first = serial(server.port, secured)
    former_client = ssl.create_default_context(cafile=str(authority.file))
    former_client.load_cert_chain(*one)
    open_before = Wire(server.port)
    open_before.socket = former_client.wrap_socket(open_before.socket, server_hostname="localhost")
    open_before.send(request(method=b"GET"))
    assert open_before.receive().status == 200

    load = Load(server, authority.file, other)
    load.start()
    try:
        strange = authority.issue("strange")
        put(own.key, strange.key.read_bytes())
        eventually(lambda: bool(warnings()))
        assert shows(first)

        authority.issue("server")
        second = _serial_of(own.certificate)
        eventually(lambda: shows(second))

        put(clients, latter.file.read_bytes())
        eventually(lambda: all(not _is_admitted(port, former_client) for port in (dax_port, *[server.port] * 12)))
        assert shows(second)
        open_before.send(request(method=b"GET"))
        assert open_before.receive().status == 200, "it was opened before"
    finally:
        load.end()
    assert load.errors == []
    assert load.answers > 0

    killed = server.workers()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len(server.workers() - killed) == len(killed) == len(server.workers()))
    assert shows(second), "those that take their places have what was read last"
    assert len([one for one in warnings() if "the certificates stay as they were" in one]) == 1


def _serial_of(file: Path) -> int:
    from cryptography import x509

    return x509.load_pem_x509_certificate(file.read_bytes()).serial_number


def _is_admitted(port: int, secured: ssl.SSLContext) -> bool:
    """Whether a client is let in with its certificate: a server that refuses it ends the connection."""
    raw = socket.create_connection(("127.0.0.1", port), 60)
    with raw, suppress(OSError), secured.wrap_socket(raw, server_hostname="localhost") as connection:
        connection.sendall(request(method=b"GET"))
        return connection.recv(1) != b""
    return False
