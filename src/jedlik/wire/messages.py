"""What passes between the wire and the application: requests, answers, and how much of them there may be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from jedlik.memory import KIB, MIB
from jedlik.wire import encodings
from jedlik.wire.encodings import COMPRESSED_FROM as COMPRESSED_FROM
from jedlik.wire.encodings import TooLarge as TooLarge
from jedlik.wire.encodings import Undecodable as Undecodable
from jedlik.wire.shown_certificate import InvalidCertificate, shown_subject

log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 10.0
"""Long enough for a TLS handshake over the slowest line. A stranger can hold a place for as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of one process clients may use. Sizes are in bytes, times in seconds."""

    head: int = 16 * KIB
    """Request line and headers, DynamoDB's own limit; trailers and chunk extensions too, all of a message together."""
    headers: int = 100
    """Header names of a request: many times what clients and proxies send."""
    body: int = 16 * MIB
    """DynamoDB's own limit."""
    connections: int = 10_000
    """Includes connections whose TLS handshake is not over."""
    requests: int = 1_000
    """Requests whose handlers are waiting for something; more are refused."""
    idle: float = 120.0
    """For the next request to begin."""
    request: float = 30.0
    """For a request to arrive, and for its answer to be taken."""
    handshake: float = HANDSHAKE_SECONDS
    """For TLS."""


Headers: TypeAlias = dict[bytes, bytes]


class HeadForm:
    """What requests have in common whose heads match one pattern (`known_heads`): everything but a few values. It never
    changes."""

    __slots__ = ("_fixed", "_open", "_places", "method", "names", "note", "target")

    def __init__(self, method: bytes, target: bytes, fixed: Headers, open_: Sequence[bytes]) -> None:
        """`fixed` has all names in their order; the values of those in `open_` are each request's own, in the order of
        `open_`."""
        self.method = method
        self.target = target
        self.names = tuple(fixed)
        """The names of all headers, in their order."""
        self._fixed = fixed
        self._open = tuple(open_)
        self._places = {name: place for place, name in enumerate(open_)}
        self.note: Any = None
        """What an application remembers of such requests."""

    def place(self, name: bytes) -> int | None:
        """Where among a request's own values that of a header is; None if all have the same, or do not have it."""
        return self._places.get(name)

    def value(self, name: bytes, values: Sequence[bytes]) -> bytes:
        """The value of a header, given a request's own values; empty if it does not have it."""
        place = self._places.get(name)
        return self._fixed.get(name, b"") if place is None else values[place]

    def headers(self, values: Sequence[bytes]) -> Headers:
        """All headers, given a request's own values."""
        headers = self._fixed.copy()
        for name, value in zip(self._open, values):  # noqa: B905 - as many; to be strict would double the time
            headers[name] = value
        return headers


class LatestHead:
    """The headers of the request that a connection is answering: one at a time."""

    __slots__ = ("form", "given", "values")

    def __init__(self) -> None:
        self.form: HeadForm | None = None
        self.values: Sequence[bytes] = ()
        self.given: Headers = {}
        """The headers, where there is no form."""

    @property
    def headers(self) -> Headers:
        """All of them."""
        return self.given if self.form is None else self.form.headers(self.values)


class Source:
    """Where requests come from: the ends of their connection."""

    __slots__ = ("address", "latest", "listener", "note", "repeat", "tls_subject")

    def __init__(self, address: str, listener: str, tls_subject: str | None = None) -> None:
        self.latest = LatestHead()
        self.address = address
        """The client's."""
        self.listener = listener
        """Ours, with the port."""
        self.tls_subject = tls_subject
        """Whom the certificate names that the client has shown; None if it has shown none."""
        self.note: Any = None
        """What the application remembers about the client."""
        self.repeat: Any = None
        """What it remembers of a request, because the next are mostly alike."""


NOWHERE = Source("", "")
"""For a request without a connection, or whose connection closed before its addresses were read."""


class Arrival(NamedTuple):
    """What is known of a connection before it is made."""

    client: str = ""
    """The client's address, if a trusted proxy has named it."""
    asks_certificate: bool = False
    """Whether the client was asked for a certificate."""


DIRECT = Arrival()
"""Nothing that its socket does not know."""


def source_of(transport: asyncio.BaseTransport, arrival: Arrival) -> Source | None:
    """The ends of a connection; None if the client has shown a certificate that cannot be used."""
    client, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    if not client or not own:
        return NOWHERE
    address, port = own[:2]
    listener = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    try:
        subject = shown_subject(transport) if arrival.asks_certificate else None
    except InvalidCertificate as error:
        log.info("a client is refused for its certificate: %s", error, extra={"client": arrival.client or client[0]})
        return None
    return Source(arrival.client or client[0], listener, subject)


class Request:
    """A request as it came. Header names are in lower case; repeated headers are joined by commas."""

    __slots__ = (
        "_headers",
        "accepted",
        "body",
        "form",
        "held",
        "method",
        "names",
        "signed",
        "source",
        "target",
        "values",
    )

    def __init__(
        self,
        method: bytes,
        target: bytes,
        headers: Headers | None,
        accepted: bytes = b"",
        body: bytes = b"",
        form: HeadForm | None = None,
        values: tuple[bytes, ...] = (),
    ) -> None:
        """It has headers, or a form and values."""
        self.method = method
        self.target = target
        self._headers = headers
        self.accepted = accepted
        """The first Accept-Encoding line, where several came: DynamoDB looks at no other. Signatures cover them all."""
        self.body = body
        self.form = form
        """The form of its head, if that matched a known pattern."""
        self.values = values
        """Its own values, where it has a form."""
        self.names = None if form is None else form.names
        """The header names in their order, where it has a form; requests with the same form share the object."""
        self.source = NOWHERE
        self.signed: Any = None
        """What the application has found out about the signature, when it is right."""
        self.held = 0
        """Bytes that count against the memory for bodies until the request is answered."""

    @property
    def headers(self) -> Headers:
        """All headers. Where there is a form they are made of it when they are first asked for: few need all."""
        headers = self._headers
        if headers is None:
            assert self.form is not None, "a request without headers has a form"
            headers = self._headers = self.form.headers(self.values)
        return headers

    def header(self, name: bytes) -> bytes:
        """The value of a header; empty if it does not have it."""
        form = self.form
        return self.headers.get(name, b"") if form is None else form.value(name, self.values)

    def has(self, name: bytes) -> bool:
        """Whether it has a header."""
        form = self.form
        return name in (self.headers if form is None else form.names)

    def decoded(self, limit: int) -> bytes:
        """The body without its content coding, at most `limit` bytes then. Raises Undecodable and TooLarge."""
        coding = self.headers.get(b"content-encoding")
        return self.body if coding is None else encodings.decoded(self.body, coding, limit)

    def encoded(self, body: bytes) -> tuple[bytes, bytes]:
        """The body of an answer in the coding that the client wants, and the header line that names it.

        A short body stays as it is, and so does the body for a client that accepts no coding known here.
        """
        if len(body) < COMPRESSED_FROM or b"accept-encoding" not in self.headers:
            return body, b""
        coding = encodings.best_coding(self.accepted or self.headers[b"accept-encoding"])
        if coding is None:
            return body, b""
        return encodings.encoded(body, coding), b"Content-Encoding: %b\r\n" % coding


class Response:
    """An answer. `headers` are whole lines; those that belong to the connection are added on the wire."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: bytes, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class Application(Protocol):
    """Who answers requests."""

    def at_once(self, request: Request) -> Response | Coroutine[Any, Any, Response] | None:
        """The answer to a common request, or what makes it, as `handle` does; None if `handle` has to. Raises
        nothing."""
        ...

    def handle(self, request: Request) -> Coroutine[Any, Any, Response]:
        """The answer. Raises nothing; may wait for futures, but runs outside any Task."""
        ...

    def refuse(self, status: int, text: str = "") -> Response:
        """The answer to input that is no request, or to a request that cannot be served now: 400, 408, 413, 417, 501,
        503 or 505."""
        ...
