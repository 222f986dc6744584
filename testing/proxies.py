"""A proxy for tests that names its clients by the PROXY protocol, version 2."""

from __future__ import annotations

import select
import socket
import threading
from ipaddress import IPv4Address, ip_address

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
TRUSTED = "127.0.0.2"
"""A loopback address that is not the one from which tests come otherwise."""
LOCAL, PROXY = 0x20, 0x21
TCP4, TCP6 = 0x11, 0x21


def header(client: str | None, fields: bytes = b"") -> bytes:
    """A header that names a client, with further fields; None for the proxy itself."""
    if client is None:
        return raw_header(LOCAL, 0, fields)
    address = ip_address(client)
    family, here = (TCP4, bytes(4)) if isinstance(address, IPv4Address) else (TCP6, bytes(16))
    ports = (40000).to_bytes(2, "big") + (8000).to_bytes(2, "big")
    return raw_header(PROXY, family, address.packed + here + ports + fields)


def raw_header(command: int, family: int, rest: bytes) -> bytes:
    """A header of any kind."""
    return SIGNATURE + bytes((command, family)) + len(rest).to_bytes(2, "big") + rest


def connected(port: int, address: str = TRUSTED) -> socket.socket:
    """A connection to a server, from an address of this machine."""
    return socket.create_connection(("127.0.0.1", port), 60, source_address=(address, 0))


class Proxy:
    """Passes connections on to a server, each behind a header that names the `client`."""

    def __init__(self, port: int, client: str) -> None:
        self._port = port
        self.client = client
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(accepted,), daemon=True).start()

    def _pass_on(self, accepted: socket.socket) -> None:
        with accepted, connected(self._port) as server:
            server.sendall(header(self.client, b"\x04\x00\x03abc"))
            other = {accepted: server, server: accepted}
            try:
                while True:
                    for ready in select.select([accepted, server], [], [])[0]:
                        data = ready.recv(1 << 16)
                        if not data:
                            return
                        other[ready].sendall(data)
            except OSError:
                return
