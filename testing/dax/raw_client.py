"""DAX's protocol by hand: requests as bytes, for tests that no official client can do, and for load."""

from __future__ import annotations

import hashlib
import socket
from typing import Any
from urllib.parse import urlsplit

from jedlik.aws.protocols import cbor_values
from jedlik.aws.protocols.cbor_values import encoded

GET_ITEM, PUT_ITEM, ENDPOINTS, DEFINE_KEY_SCHEMA = 263244906, -2106490455, 455855874, -742646399
DEFINE_LIST_ID, DEFINE_LIST, QUERY, SCAN = -1230579644, 670678385, -931250863, -1875390620
UPDATE_ITEM, DELETE_ITEM, BATCH_GET, BATCH_WRITE = 1425579023, 1013539361, -697851100, 116217951
TRANSACT_GET, TRANSACT_WRITE, AUTHORIZE = 1866287579, -1160037738, 1489122155


def values(*every: Any) -> bytes:
    """Values one after the other. A tuple is a map without a length, of its pairs."""
    return b"".join([_stream(one) if isinstance(one, tuple) else encoded(one) for one in every])


def _stream(pairs: tuple[Any, ...]) -> bytes:
    return b"\xbf" + b"".join([encoded(one) for one in pairs]) + b"\xff"


def request(method: int, *arguments: Any) -> bytes:
    """A request with these arguments."""
    return values(1, method, *arguments)


def preamble(layering: int = 0, agent: str = "Test-1.0", magic: str = "J7yne5G") -> bytes:
    """What a connection begins with."""
    return values(magic, layering, bytes(16), {"UserAgent": agent}, 0)


def authorization(region: str = "us-east-1", host: str = "dax.amazonaws.com", access_key: str = "AKIDEXAMPLE") -> bytes:
    """Who asks, with a signature that nobody has made."""
    date = "20261128T100000Z"
    canonical = f"POST\n/\n\nhost:{host}\nx-amz-date:{date}\n\nhost;x-amz-date\n{hashlib.sha256(b'').hexdigest()}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{date}\n{date[:8]}/{region}/dax/aws4_request\n{digest}"
    return request(AUTHORIZE, access_key, "0" * 64, to_sign.encode(), None, None)


class RawClient:
    """A connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(b"".join(parts))

    def answer(self, count: int) -> list[Any]:
        """The next answer, of this many values: what stands behind the empty array, or the values of an error."""
        received = b""
        while True:
            reader = AnswerReader(received)
            try:
                first = reader.value()
                return [first, *(reader.value() for _ in range(2 if first else count))]
            except cbor_values.NotCbor:
                more = self.socket.recv(1 << 16)
                if not more:
                    raise ConnectionError(f"the connection ended after {received!r}") from None
                received += more

    def ends(self) -> bool:
        """Whether the server closes the connection, without another word."""
        try:
            return self.socket.recv(1 << 16) == b""
        except ConnectionResetError:
            return True


class AnswerReader(cbor_values.Reader):
    """Reads answers: their maps have numbers as keys."""

    def key(self, depth: int) -> Any:
        return self.value(depth + 1)
