"""A client that sends exactly the given bytes, and reads answers one by one."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import NamedTuple

SECONDS = 60.0
"""The longest wait of a test for the server."""


class Answer(NamedTuple):
    """An HTTP answer. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One TCP connection."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((host, port), SECONDS)
        self._buffer = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *data: bytes) -> None:
        for part in data:
            self.socket.sendall(part)

    def receive(self, head: bool = False) -> Answer:
        """The next answer; `head` means that it has no body, whatever its length."""
        while b"\r\n\r\n" not in self._buffer:
            self._read()
        lines, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *rest = lines.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
        length = 0 if head else int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            self._read()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Answer(int(first.split()[1]), headers, body)

    def closed(self) -> bool:
        """Whether the server closes the connection now, without another byte."""
        try:
            return self._buffer == b"" and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def taken(self) -> bool:
        """Whether the server has accepted the connection and read everything, according to Linux's table of
        connections."""
        here, there = (f"{end[1]:04X}" for end in (self.socket.getsockname(), self.socket.getpeername()))
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, remote, _, queues, _, _, _, _, inode, *_ = line.split()
            if local.endswith(f":{there}") and remote.endswith(f":{here}"):
                return inode != "0" and queues.endswith(":00000000")
        return False

    def quiet(self, seconds: float) -> bool:
        """Whether the server sends nothing for a while."""
        self.socket.settimeout(seconds)
        try:
            self._read()
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(SECONDS)
        return False

    def _read(self) -> None:
        data = self.socket.recv(1 << 16)
        if not data:
            raise EOFError(f"the server closed the connection after {self._buffer!r}")
        self._buffer += data


def request(body: bytes = b"", *headers: bytes, method: bytes = b"POST", target: bytes = b"/") -> bytes:
    """A request with a body and further header lines."""
    lines = [b"%b %b HTTP/1.1" % (method, target), b"Host: localhost", *headers]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
