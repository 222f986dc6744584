"""One client's connection: an asyncio protocol around the llhttp parser. Bytes in, answers out, in order.

At most one request of a connection is at work. What its client pipelines behind that waits in a queue, and reading and
parsing pause until the queue is empty, so that no client makes the server hold more than one read of it. A handler's
coroutine is driven by hand: most end at the first step and never meet the event loop; the others are resumed by the
futures that they wait for, without a Task. A request that has not begun its work is dropped when its client goes.

What a client may have the server hold is bounded: what one message may have is in the limits, and what is large counts
in the memory that all connections share.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import cast

import httptools

from jedlik.memory import KIB
from jedlik.wire.messages import Request, Response
from jedlik.wire.request_at_work import Exchange, hung_up
from jedlik.wire.shared import Shared

log = logging.getLogger(__name__)

JOIN_BYTES = 64 * KIB
"""A body up to this size is copied behind its head, to be one write; a longer one is not worth copying."""
SLICE = 16 * KIB
CHUNKED_SLICE = KIB
"""Bytes that are parsed before it is looked how long the message has become; fewer where its body comes in chunks."""
CHUNK_LINES = 12
"""Bytes that each chunk may have around it: a length in up to eight digits, and two ends of lines."""
FRAMING_FACTOR = 2
"""How much a message may take on the wire, chunk lines included, beside what its body may have."""
QUEUED = 2 * KIB
"""Bytes for which a request counts that waits behind another of its connection: what its head takes, parsed."""
REQUESTS_AT_ONCE = 16
"""Requests in one slice after which other connections come first."""
WRITTEN_AHEAD = 16 * KIB
"""Bytes of answers that a client may leave untaken before the server looks at how many they are."""
STALLED_SECONDS = 3.0
"""How long a client may take nothing of a large answer while others wait for its memory."""
TOLD_CONNECTIONS = 100
"""Connections over the limit that are told so, at one time; any more are cut off without a word."""

SPEAK_TLS = "This port serves HTTPS, and the request came as plain HTTP. Use https:// in the endpoint's URL."
STOPS = (httptools.HttpParserError, httptools.HttpParserUpgrade)
"""What the parser raises when it goes no further."""
VERSIONS = ("1.0", "1.1")
OTHER_VERSIONS = (("Invalid HTTP version",), ("Pause on PRI/Upgrade",))
"""llhttp's errors for those that it does not know, and for HTTP/2's greeting."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Refused(Exception):
    """The request has been refused from within a callback of the parser."""


class Connection(asyncio.Protocol):
    """From the first byte to the last."""

    __slots__ = (
        "_accepted",
        "_backlog",
        "_begun",
        "_body",
        "_busy",
        "_chunk",
        "_chunked",
        "_chunks",
        "_closing",
        "_exchange",
        "_expects_continue",
        "_head",
        "_headers",
        "_held",
        "_held_of_backlog",
        "_last",
        "_moved",
        "_parser",
        "_queue",
        "_reading",
        "_request",
        "_sending",
        "_server",
        "_size",
        "_spans",
        "_target",
        "_transport",
        "_unsent",
        "_untaken",
        "_write_paused",
        "deadline",
    )

    def __init__(self, server: Shared) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self.deadline = server.now + server.limits.idle
        """When to look whether the client is too slow, on the server's clock."""
        self._busy = False
        """A handler is waiting."""
        self._closing = False
        """No request is taken after those that have come."""
        self._last = False
        """So the client has said."""
        self._write_paused = False
        self._queue: deque[Request | int] = deque()
        """What waits behind the request at work: requests, and last perhaps the status of a refusal."""
        self._reading = False
        """A message has begun and not ended."""
        self._backlog: bytes | memoryview = b""
        """What has been read and waits to be parsed."""
        self._held_of_backlog = 0
        """Bytes of it that count in the memory for bodies."""
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
        """Those that count in the memory for bodies: all but the first piece's."""
        self._expects_continue = False
        self._exchange: Exchange | None = None
        """The request at work, while its handler waits."""
        self._sending = 0
        """Bytes of the answer that is being written."""
        self._unsent = 0
        """Bytes of answers that the client does not take, which count in the memory for answers."""
        self._untaken = 0
        self._moved = 0.0
        """How many of them there were when that was last looked at, and when they last became fewer."""

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(WRITTEN_AHEAD)
        server = self._server
        self._closing = server.stopping  # Known no earlier: a TLS handshake takes its time.
        over = server.join(self) - server.limits.connections
        if over > TOLD_CONNECTIONS:
            self._transport.abort()
        elif over > 0:
            self._refuse(503)

    def data_received(self, data: bytes) -> None:
        if len(data) > SLICE or self._chunked or self._backlog:
            self._backlog = data if not self._backlog else b"".join((self._backlog, data))
            self._take_backlog()
            return
        # Nearly every read is one slice: this is `_parse` without the call.
        self._chunk = len(data)
        self._begun = 0
        stop: Exception | None = None
        try:
            self._parser.feed_data(data)
        except STOPS as error:
            stop = error
        if (stop is None or self._parse_on(data, stop)) and self._reading:
            self._look_at_length(len(data))

    def eof_received(self) -> bool:
        """The client sends no more. What is at work still gets its answer, unless it has not begun yet."""
        self._closing = True
        if self._exchange is not None and self._exchange.drop():
            return False
        return self._busy or bool(self._queue) or bool(self._backlog)

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()

    def pause_writing(self) -> None:
        """The client does not take its answers: take no more of its requests."""
        self._write_paused = True
        self.deadline = self._server.now + self._server.limits.request
        transport = self._transport
        if transport is None:
            return
        self._moved = self._server.now
        self._untaken = transport.get_write_buffer_size()
        self._unsent = max(self._untaken, self._sending)  # What is left of an answer keeps all of it in memory.
        self._server.stall(self, self._unsent)
        if not transport.is_closing():
            transport.pause_reading()

    def resume_writing(self) -> None:
        self._write_paused = False
        self._forget_unsent()
        if self._busy:
            self.deadline = float("inf")
        else:
            self._set_deadline()
        self._work_off()

    # What the parser calls, in this order.

    def on_message_begin(self) -> None:
        if self._closing and (self._transport is None or self._transport.is_closing()):
            raise Refused  # The last answer said that it was the last: who sends more must not wonder what it did.
        self._reading = True
        self._spans = 0
        self._begun += 1

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._request is not None:  # A trailer: nothing reads them, and they count.
            self._head += len(name) + len(value)
            if self._head > self._server.limits.head:
                self._stop_parser(400)
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
            self._stop_parser(400)
        if len(headers) > limits.headers:
            self._stop_parser(400)
        length = headers.get(b"content-length")
        # The parser refuses what is over 64 bits; but int() refuses 4,300 digits, of which all but one may be zeros.
        if length is not None and len(length) > server.short_length and int(length.lstrip(b"0") or 0) > limits.body:
            self._stop_parser(413)
        if parser.should_upgrade():
            return
        host = headers.get(b"host")
        # llhttp keeps a connection of its own accord only from HTTP/1.1 on, and takes HTTP/2.0 for something earlier.
        if host is None or b"connection" in headers or not parser.should_keep_alive():
            self._last = not parser.should_keep_alive()
            self._check_version(parser.get_http_version(), host)
        elif b"," in host:
            self._stop_parser(400)
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
            self._stop_parser(413)

    def on_message_complete(self) -> None:
        request = self._request
        if request is None:
            return  # An upgrade, to be ignored: it will be parsed again.
        self._request = None
        self._reading = False
        if self._size:
            request.body = self._body if type(self._body) is bytes else bytes(self._body)
            self._body = b""
            self._size = 0
            if self._held:
                request.held = self._held
                self._held = 0
        self._chunked = False
        if self._last:
            self._closing = True
        if self._busy or self._queue or self._write_paused:
            if not self._server.memory.bodies.try_hold(QUEUED):
                self._release(request)
                self._stop_parser(503)
            request.held += QUEUED
            self._enqueue(request)
        else:
            self._begin(request)

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
            self._stop_parser(417)
        if self._parser.get_http_version() != "1.1":
            return
        if self._busy or self._queue:
            self._expects_continue = True
        elif self._transport is not None:
            self._transport.write(CONTINUE)

    def _check_version(self, version: str, host: bytes | None) -> None:
        if version not in VERSIONS:
            self._stop_parser(505)
        # RFC 9112, 3.2: a request has one Host, but for those of HTTP/1.0.
        if version == "1.1" if host is None else b"," in host:
            self._stop_parser(400)

    def _begin_chunks(self, codings: bytes) -> None:
        if self._parser.get_http_version() == "1.0":
            self._stop_parser(400)  # RFC 9112, 6.1: whoever sends that cannot be trusted to know where it ends.
        if codings.strip().lower() != b"chunked":
            self._stop_parser(501)
        self._chunked = True
        self._chunks = 0
        self._head = head_size(self._target, self._headers)

    def _hold(self, size: int) -> None:
        """Count the bytes of a body that is larger than its first piece."""
        if not self._server.memory.bodies.try_hold(size):
            self._stop_parser(503)
        self._held += size

    def _release(self, request: Request) -> None:
        self._server.memory.bodies.give_back(request.held)
        request.held = 0

    def _take_backlog(self) -> None:
        """Parse what has been read, a slice at a time, until a request has to wait for the one at work.

        After a slice with many requests the other connections come first.
        """
        if self._held_of_backlog:
            self._server.memory.bodies.give_back(self._held_of_backlog)
            self._held_of_backlog = 0
        backlog = memoryview(self._backlog)
        self._backlog = b""
        self._begun = 0
        while backlog and not self._queue and self._begun < REQUESTS_AT_ONCE:
            size = CHUNKED_SLICE if self._chunked else SLICE
            goes_on = self._parse(backlog[:size]) and not self._last
            backlog = backlog[size:] if goes_on else memoryview(b"")
        if not backlog:
            return
        if self._server.memory.bodies.try_hold(len(backlog)):
            self._backlog = backlog
            self._held_of_backlog = len(backlog)
            self._pause_reading()
            if not self._queue:
                self._server.later(self._work_off)
        else:
            self._refuse(503)

    def _pause_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def _parse(self, data: memoryview) -> bool:
        """Feed the parser a slice. Returns whether it takes more."""
        self._chunk = len(data)
        self._begun = 0
        stop: Exception | None = None
        try:
            self._parser.feed_data(data)
        except STOPS as error:
            stop = error  # Looked at outside: what is raised in here would take it for its context.
        if stop is not None and not self._parse_on(data, stop):
            return False
        if self._reading:
            self._look_at_length(len(data))
        return self._transport is not None

    def _parse_on(self, piece: bytes | memoryview, error: Exception) -> bool:
        """The parser has stopped: go on if that was to ask about another protocol. Returns whether it takes more."""
        pieces: list[bytes | memoryview] = []  # What is to be parsed, the next piece last.
        while True:
            if isinstance(error, httptools.HttpParserUpgrade):
                head = self._begin_without_upgrade()
                if head is None:
                    self._refuse(400)
                    return False
                pieces += (memoryview(piece)[error.args[0] :], head)
            elif isinstance(error, httptools.HttpParserCallbackError):
                if not isinstance(error.__context__, Refused):
                    log.error("fault in the HTTP protocol", exc_info=error)
                    self.abort()
                return False
            else:
                if not self._closing or self._reading:  # Otherwise it is what came after the last request.
                    self._refuse(505 if error.args[:1] in OTHER_VERSIONS else 400)
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
        """A message goes on behind this slice: refuse what is too long."""
        if self._spans:
            self._spans += size
        else:
            self._spans = size if self._begun == 1 else 1
            if not self._busy:
                self._set_deadline()
        limits = self._server.limits
        if self._request is None:
            if self._spans > limits.head or len(self._headers) > limits.headers:
                self._refuse(400)
        elif self._chunked and self._spans - self._size - CHUNK_LINES * self._chunks > limits.head:
            self._refuse(400)
        elif self._spans > FRAMING_FACTOR * limits.body:
            self._refuse(413)

    # Requests and answers.

    def _enqueue(self, entry: Request | int) -> None:
        """Let it wait for its turn, and read no more."""
        self._queue.append(entry)
        self._pause_reading()

    def _begin(self, request: Request) -> None:
        """Run the handler as far as it goes."""
        server = self._server
        if server.requests >= server.limits.requests:
            self._answer(request, server.application.refuse(503))
            return
        coroutine = server.application.handle(request)
        try:
            waited = coroutine.send(None)
        except StopIteration as end:
            self._answer(request, end.value)
        else:
            self._busy = True
            self.deadline = float("inf")
            server.requests += 1
            exchange = self._exchange = Exchange(self, request, coroutine)
            exchange.wait(waited)

    def dropped(self, request: Request) -> None:
        """A request has not begun and never will: its client has gone."""
        self._server.requests -= 1
        self._busy = False
        self._exchange = None
        self._release(request)
        self.abort()

    def gone(self) -> bool:
        """Whether the client has closed the connection. It may have been told to wait, so nothing is read."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return True
        socket = transport.get_extra_info("socket")
        return socket is not None and hung_up(socket.fileno())

    def end(self, request: Request, response: Response) -> None:
        """A handler that had to wait has its answer."""
        self._server.requests -= 1
        self._busy = False
        self._exchange = None
        self._answer(request, response)
        if self._queue or self._backlog or self._expects_continue:
            self._work_off()

    def _work_off(self) -> None:
        """Take what has queued up as far as handlers do not wait, and then read again."""
        while not self._busy and not self._write_paused:
            if self._queue:
                entry = self._queue.popleft()
                if isinstance(entry, int):
                    self._refuse(entry)
                else:
                    self._begin(entry)
            elif self._backlog:
                self._take_backlog()
                if self._backlog and not self._queue:
                    return  # To go on later.
            else:
                break
        transport = self._transport
        if self._queue or self._backlog or self._write_paused or transport is None or transport.is_closing():
            return
        if self._expects_continue and not self._busy:
            self._expects_continue = False
            transport.write(CONTINUE)
        transport.resume_reading()

    def _answer(self, request: Request, response: Response) -> None:
        if request.held:
            self._release(request)
        transport = self._transport
        if transport is None:
            return
        keep_alive = not self._closing or bool(self._queue) or bool(self._backlog)
        body = response.body
        size = len(body)
        is_whole = size <= JOIN_BYTES or request.method == b"HEAD"
        head = b"%bContent-Length: %d\r\n%b\r\n%b" % (
            self._server.head(response.status, keep_alive),
            size,
            response.headers,
            body if is_whole and request.method != b"HEAD" else b"",
        )
        if is_whole:
            transport.write(head)
        else:
            self._sending = size
            transport.writelines((head, body))
            self._sending = 0
        self._set_deadline()
        if not keep_alive:
            transport.close()

    def _set_deadline(self) -> None:
        limits = self._server.limits
        slow = self._reading or self._closing or self._write_paused
        self.deadline = self._server.now + (limits.request if slow else limits.idle)

    # The ways to end.

    def _stop_parser(self, status: int) -> None:
        """Refuse from within a callback of the parser, so that no other follows."""
        self._refuse(status)
        raise Refused

    def _refuse(self, status: int, text: str = "") -> None:
        """Answer what is no request, after all that came before it, and end the connection."""
        self._closing = True
        transport = self._transport
        if transport is None:
            return
        if self._busy or self._queue:
            self._enqueue(status)
            return
        response = self._server.application.refuse(status, text)
        head = self._server.head(status, False)
        transport.write(
            b"%bContent-Length: %d\r\n%b\r\n%b" % (head, len(response.body), response.headers, response.body)
        )
        transport.set_protocol(Farewell(self._server, transport))
        self._leave()

    def _leave(self) -> None:
        """Give back all that is held of the connection, and drop what has not begun."""
        self._transport = None
        self._server.leave(self)
        self._forget_unsent()
        bodies = self._server.memory.bodies
        bodies.give_back(self._held + self._held_of_backlog)
        self._held = self._held_of_backlog = 0
        self._body = self._backlog = b""
        for entry in self._queue:
            if isinstance(entry, Request):
                self._release(entry)
        self._queue.clear()
        if self._exchange is not None:
            self._exchange.drop()

    def _forget_unsent(self) -> None:
        self._server.memory.answers.give_back(self._unsent)
        self._unsent = 0
        self._server.stalled.pop(self, None)

    def cut_off(self) -> None:
        """Others need the memory that this client's answers take."""
        self._forget_unsent()
        self.abort()

    def move_or_go(self) -> None:
        """Others wait for the memory that this client's answers take: cut it off unless it takes them."""
        if self._transport is None:
            return
        untaken = self._transport.get_write_buffer_size()
        if untaken < self._untaken:
            self._untaken = untaken
            self._moved = self._server.now
        elif self._server.now - self._moved >= STALLED_SECONDS:
            self.cut_off()

    def expire(self) -> None:
        """The deadline has passed."""
        if self._transport is None:
            return
        if self._write_paused or self._transport.is_closing():
            self._transport.abort()
        elif self._reading:
            self._refuse(408)
        else:
            self._transport.close()

    def retire(self) -> None:
        """End with the next answer. There may never be one: the deadline stays."""
        self._closing = True

    def finish(self) -> None:
        """End after what is at work; at once if there is nothing."""
        self._closing = True
        if self._transport is not None and not (self._busy or self._queue or self._backlog or self._reading):
            self._transport.close()

    def abort(self) -> None:
        """End now."""
        if self._transport is not None:
            self._transport.abort()


class PlainConnection(Connection):
    """A connection to the port for HTTPS whose client speaks HTTP: it is answered that it should not, and no more."""

    __slots__ = ()

    def on_headers_complete(self) -> None:
        self._stop_parser(400)

    def _refuse(self, status: int, text: str = "") -> None:
        super()._refuse(status, SPEAK_TLS if status == 400 else text)


class Farewell(asyncio.Protocol):
    """The rest of a refused connection: what still comes is thrown away until the client has seen the answer.

    Closing with unread input would reset the connection, and the client might never see why it was refused.
    """

    def __init__(self, server: Shared, transport: asyncio.Transport) -> None:
        self._server = server
        self._transport = transport
        self.deadline = server.now + server.limits.request
        server.connections.add(self)
        if transport.can_write_eof():
            transport.write_eof()
        transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._server.leave(self)

    def retire(self) -> None:
        """It has had its last answer."""

    def finish(self) -> None:
        """The server stops."""
        self._transport.close()

    def expire(self) -> None:
        """The deadline has passed."""
        self._transport.abort()

    abort = expire


def head_size(target: bytes, headers: dict[bytes, bytes]) -> int:
    """Bytes that a request's line and headers took, but for separators."""
    return len(target) + sum(len(name) + len(value) for name, value in headers.items())
