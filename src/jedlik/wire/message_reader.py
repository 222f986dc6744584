"""Turns one client's bytes into requests with the llhttp parser, and limits how much each may take.

Input is parsed in slices, so the limits hold wherever the network cuts a message. Heads, trailers, chunk lines and
bodies are counted here, and large bodies count against shared memory. While a request waits for the one at work, the
bytes behind it stay unparsed. A message that must be refused stops the parser, and the connection answers it. HTTP/1.1
is RFC 9112.
"""

from __future__ import annotations

import logging

import httptools

from jedlik.memory import KIB
from jedlik.wire.known_heads import KnownHead
from jedlik.wire.messages import Request
from jedlik.wire.shared import Receiver, Shared

log = logging.getLogger(__name__)

SLICE = 16 * KIB
CHUNKED_SLICE = KIB
"""Bytes that are parsed between two checks of the message's length; fewer when its body comes in chunks."""
CHUNK_LINES = 12
"""Bytes that each chunk may have around it: a length of up to eight digits, and two line ends."""
FRAMING_FACTOR = 2
"""How much a message may take on the wire beyond its body, chunk lines included."""
REQUESTS_AT_ONCE = 16
"""After this many requests in one slice, other connections get a turn."""
LESSONS = 8
"""The first heads of a connection are all learned; later one a second is. Learning a head takes as long as parsing
it."""

STOPS = (httptools.HttpParserError, httptools.HttpParserUpgrade)
"""What the parser raises when it refuses a message."""
VERSIONS = ("1.0", "1.1")
OTHER_VERSIONS = (("Invalid HTTP version",), ("Pause on PRI/Upgrade",))
"""llhttp's errors for unknown methods, and for HTTP/2's greeting."""


class Refused(Exception):
    """The request has been refused from within a callback of the parser."""


class MessageReader:
    """What a connection reads, from the first byte to the last."""

    __slots__ = (
        "_accepted",
        "_begun",
        "_body",
        "_chunk",
        "_chunked",
        "_chunks",
        "_head",
        "_headers",
        "_held",
        "_held_of_backlog",
        "_latest",
        "_lessons",
        "_parser",
        "_receiver",
        "_request",
        "_server",
        "_size",
        "_spans",
        "_target",
        "_taught",
        "backlog",
        "begun",
        "known",
        "last",
        "reading",
    )

    def __init__(self, server: Shared, receiver: Receiver) -> None:
        self._server = server
        self._receiver = receiver
        self._parser = httptools.HttpRequestParser(self)
        self.reading = False
        """A message has begun and not ended, in the parser or as a known head."""
        self.last = False
        """The client has announced that this is its last message."""
        self.backlog: bytes | memoryview = b""
        """What has been read and waits to be parsed."""
        self.known: KnownHead | None = None
        """The pattern of this client's heads. A head that matches it, between messages, need not be parsed."""
        self.begun: tuple[Request, int, bytes] | None = None
        """A request whose head was known, the bytes that its body will have, and the head: the body has yet to come."""
        self._lessons = LESSONS
        self._taught = server.now
        """When it learned last, on the server's clock."""
        self._latest: Request | None = None
        """The request that this read has ended, if it has also begun with it."""
        self._held_of_backlog = 0
        """Bytes of the backlog that count against the memory for bodies."""
        self._chunk = 0
        """Bytes of the slice that is being parsed."""
        self._begun = 0
        """Messages that begin in it."""
        self._spans = 0
        """Zero when the message began in this slice, otherwise about how many bytes of it came in earlier ones."""
        self._chunked = False
        """The message comes in chunks."""
        self._chunks = 0
        self._head = 0
        """Bytes of the head and the trailers of a message in chunks."""
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._accepted = b""
        """The first Accept-Encoding line of several."""
        self._request: Request | None = None
        """The request whose head is complete and whose body is not."""
        self._body: bytes | bytearray = b""
        self._size = 0
        """Bytes of it."""
        self._held = 0
        """The bytes that count against the memory for bodies: all but the first piece."""

    def feed(self, data: bytes) -> None:
        """Parse what has been read."""
        if len(data) > SLICE or self._chunked or self.backlog:
            self.backlog = data if not self.backlog else b"".join((self.backlog, data))
            self.take_backlog()
            return
        goes_on = self._parse(data)
        request, self._latest = self._latest, None
        if goes_on and self._begun == 1 and (self._lessons or self._taught != self._server.now):
            if self.reading:  # Perhaps the head came by itself.
                request = None if self._size else self._request
            if request is not None:
                self._learn(data, request)

    def _learn(self, data: bytes, request: Request) -> None:
        """Remember what the head of a request was like. `data` is one whole message, or one whole head."""
        self._lessons = max(0, self._lessons - 1)
        self._taught = self._server.now
        head = data[: len(data) - len(request.body)]
        self.known = self._server.known_heads.learn(head, request) or self.known

    def take_backlog(self) -> None:
        """Parse the input, a slice at a time, until a request has to wait for the one at work.

        After a slice with many requests the other connections come first.
        """
        if self._held_of_backlog:
            self._server.memory.bodies.give_back(self._held_of_backlog)
            self._held_of_backlog = 0
        receiver = self._receiver
        backlog = memoryview(self.backlog)
        self.backlog = b""
        self._begun = 0
        while backlog and not receiver.is_waited_for and self._begun < REQUESTS_AT_ONCE:
            size = CHUNKED_SLICE if self._chunked else SLICE
            goes_on = self._parse(backlog[:size]) and not self.last
            backlog = backlog[size:] if goes_on else memoryview(b"")
        self._latest = None
        if not backlog:
            return
        if self._server.memory.bodies.try_hold(len(backlog)):
            self.backlog = backlog
            self._held_of_backlog = len(backlog)
            receiver.pause_reading()
            if not receiver.is_waited_for:
                self._server.later(receiver.work_off)
        else:
            receiver.refuse(503)

    def give_back(self) -> None:
        """Release everything that is held for the input."""
        self._server.memory.bodies.give_back(self._held + self._held_of_backlog)
        self._held = self._held_of_backlog = 0
        self._body = self.backlog = b""

    # What the parser calls, in this order.

    def on_message_begin(self) -> None:
        receiver = self._receiver
        if receiver.closing and not receiver.hears:
            raise Refused  # the last answer announced the end
        self.reading = True
        self._spans = 0
        self._begun += 1

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._request is not None:  # A trailer: nothing reads them, and they count.
            self._head += len(name) + len(value)
            if self._head > self._server.limits.head:
                self._stop(400)
            return
        name = name.lower()
        headers = self._headers
        if name in headers:
            if name == b"accept-encoding":
                self._accepted = self._accepted or headers[name]
            value = headers[name] + b"," + value
        headers[name] = value

    def on_headers_complete(self) -> None:
        headers, target, parser = self._headers, self._target, self._parser
        server = self._server
        limits = server.limits
        if (self._spans or self._chunk > limits.head) and head_size(target, headers) > limits.head:
            self._stop(400)
        if len(headers) > limits.headers:
            self._stop(400)
        length = headers.get(b"content-length")
        # The parser refuses what is over 64 bits; but int() refuses 4,300 digits, of which all but one may be zeros.
        if length is not None and len(length) > server.short_length and int(length.lstrip(b"0") or 0) > limits.body:
            self._stop(413)
        if parser.should_upgrade():
            return
        host = headers.get(b"host")
        # llhttp keeps connections open by default only for HTTP/1.1, and treats HTTP/2.0 as something earlier.
        if host is None or b"connection" in headers or not parser.should_keep_alive():
            self.last = not parser.should_keep_alive()
            self._check_version(parser.get_http_version(), host)
        elif b"," in host:
            self._stop(400)
        if b"transfer-encoding" in headers:
            self._begin_chunks(headers[b"transfer-encoding"])
        if b"expect" in headers:
            self._meet_expectation(headers[b"expect"])
        self._request = Request(parser.get_method(), target, headers, self._accepted)
        self._headers, self._target, self._accepted = {}, b"", b""

    def on_chunk_header(self) -> None:
        self._chunks += 1

    def on_body(self, part: bytes) -> None:
        if not self._size:
            self._size = len(part)
            self._body = part
        else:
            self._size += len(part)
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)  # Pieces may be tiny, and each would cost more than it has.
            self._body += part
            self._hold(len(part))
        if self._chunked and self._size > self._server.limits.body:  # Otherwise its length was looked at.
            self._stop(413)

    def on_message_complete(self) -> None:
        request = self._request
        if request is None:
            return  # An upgrade, to be ignored: it will be parsed again.
        self._request = None
        self.reading = False
        if self._size:
            request.body = self._body if type(self._body) is bytes else bytes(self._body)
            self._body = b""
            self._size = 0
            if self._held:
                request.held = self._held
                self._held = 0
        self._chunked = False
        if self.last:
            self._receiver.closing = True
        if not self._spans:
            self._latest = request
        if not self._receiver.take(request):
            raise Refused

    # The parts of a request that take more than a line.

    def _begin_without_upgrade(self) -> bytes | None:
        """Take a request that asks for another protocol as if it did not ask: servers may (RFC 9110, 7.8).

        The parser ends such a message behind its head. So its head goes through a new parser, without the question.
        Returns that head; None for CONNECT, which asks for nothing else.
        """
        parser, target, headers = self._parser, self._target, self._headers
        if headers.pop(b"upgrade", None) is None:
            return None
        self._headers, self._target = {}, b""
        self._parser = httptools.HttpRequestParser(self)
        lines = [b"%b %b HTTP/%b" % (parser.get_method(), target, parser.get_http_version().encode())]
        lines += [b"%b: %b" % header for header in headers.items()]
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def _meet_expectation(self, expectation: bytes) -> None:
        if expectation.strip().lower() != b"100-continue":
            self._stop(417)
        if self._parser.get_http_version() != "1.1":
            return
        self._receiver.expect_continue()

    def _check_version(self, version: str, host: bytes | None) -> None:
        if version not in VERSIONS:
            self._stop(505)
        # RFC 9112, 3.2: a request has one Host, but for those of HTTP/1.0.
        if version == "1.1" if host is None else b"," in host:
            self._stop(400)

    def _begin_chunks(self, codings: bytes) -> None:
        if self._parser.get_http_version() == "1.0":
            self._stop(400)  # RFC 9112, 6.1: a client that sends both cannot be trusted about where the message ends.
        if codings.strip().lower() != b"chunked":
            self._stop(501)
        self._chunked = True
        self._chunks = 0
        self._head = head_size(self._target, self._headers)

    def _hold(self, size: int) -> None:
        """Count the bytes of a body that is larger than its first piece."""
        if not self._server.memory.bodies.try_hold(size):
            self._stop(503)
        self._held += size

    def _parse(self, data: bytes | memoryview) -> bool:
        """Feed the parser a slice. Returns whether it takes more."""
        self._chunk = len(data)
        self._begun = 0
        stop: Exception | None = None
        try:
            self._parser.feed_data(data)
        except STOPS as error:
            stop = error  # handled below, without this as its context
        if stop is not None and not self._parse_on(data, stop):
            return False
        if self.reading:
            self._look_at_length(len(data))
        return self._receiver.is_open

    def _parse_on(self, piece: bytes | memoryview, error: Exception) -> bool:
        """The parser has stopped: go on if it only stopped for a change of protocol. Returns whether it takes more."""
        pieces: list[bytes | memoryview] = []  # A stack of what is to be parsed; the next piece is last.
        while True:
            if isinstance(error, httptools.HttpParserUpgrade):
                head = self._begin_without_upgrade()
                if head is None:
                    self._receiver.refuse(400)
                    return False
                pieces += (memoryview(piece)[error.args[0] :], head)
            elif isinstance(error, httptools.HttpParserCallbackError):
                if not isinstance(error.__context__, Refused):
                    log.error("fault in the HTTP protocol", exc_info=error)
                    self._receiver.abort()
                return False
            else:
                if not self._receiver.closing or self.reading:  # Otherwise it is input behind the last request.
                    self._receiver.refuse(505 if error.args[:1] in OTHER_VERSIONS else 400)
                return False
            try:
                while pieces:
                    piece = pieces.pop()
                    self._parser.feed_data(piece)
            except STOPS as another:
                error = another
            else:
                return True

    def _look_at_length(self, size: int) -> None:
        """A message continues behind this slice: refuse it if it is already too long."""
        if self._spans:
            self._spans += size
        else:
            self._spans = size if self._begun == 1 else 1
            self._receiver.is_kept_waiting()
        limits = self._server.limits
        if self._request is None:
            if self._spans > limits.head or len(self._headers) > limits.headers:
                self._receiver.refuse(400)
        elif self._chunked and self._spans - self._size - CHUNK_LINES * self._chunks > limits.head:
            self._receiver.refuse(400)
        elif self._spans > FRAMING_FACTOR * limits.body:
            self._receiver.refuse(413)

    def _stop(self, status: int) -> None:
        """Refuse from within a callback of the parser, so that no other callback follows."""
        self._receiver.refuse(status)
        raise Refused


class PlainReader(MessageReader):
    """Reads plain HTTP at the HTTPS port, and refuses all of it."""

    __slots__ = ()

    def on_headers_complete(self) -> None:
        self._stop(400)


def head_size(target: bytes, headers: dict[bytes, bytes]) -> int:
    """Bytes that a request's line and headers took, but for separators."""
    return len(target) + sum(len(name) + len(value) for name, value in headers.items())
