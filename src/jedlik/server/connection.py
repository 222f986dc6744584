"""One client's connection: an asyncio protocol around the llhttp parser. Bytes in, answers out, in order.

At most one request of a connection is at work. What its client pipelines behind that waits in a queue, and reading
pauses until the queue is empty, so that no client makes the server hold more than one read of it. A handler's coroutine
is driven by hand: most end at the first step and never meet the event loop; the others are resumed by the futures that
they wait for, without a Task.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

import httptools

from jedlik.server.messages import KIB, Request, Response

if TYPE_CHECKING:
    from jedlik.server.http import HttpServer

log = logging.getLogger(__name__)

JOIN_BYTES = 64 * KIB
"""A body up to this size is copied behind its head, to be one write; a longer one is not worth copying."""
FRAMING_FACTOR = 2
"""How much a message may take on the wire, chunk headers and trailers included, beside what its body may have."""
TOLD_CONNECTIONS = 100
"""Connections over the limit that are told so, at one time; any more are cut off without a word."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Refused(Exception):
    """The request has been refused from within a callback of the parser."""


class Connection(asyncio.Protocol):
    """From the first byte to the last."""

    __slots__ = (
        "_body",
        "_busy",
        "_chunk",
        "_closing",
        "_expects_continue",
        "_headers",
        "_held",
        "_parser",
        "_queue",
        "_reading",
        "_request",
        "_server",
        "_spans",
        "_target",
        "_transport",
        "_write_paused",
        "deadline",
    )

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self.deadline = server.now + server.limits.idle
        """When to look whether the client is too slow, on the server's clock."""
        self._busy = False
        """A handler is waiting."""
        self._closing = False
        """No request is taken after those that have come."""
        self._write_paused = False
        self._queue: deque[Request | int] = deque()
        """What waits behind the request at work: requests, and last perhaps the status of a refusal."""
        self._reading = False
        """A message has begun and not ended."""
        self._chunk = 0
        """Bytes of the read that is being parsed."""
        self._spans = 0
        """Zero when the message began in this read, otherwise about how many bytes of it came in earlier ones."""
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._request: Request | None = None
        """The request whose head is complete and whose body is not."""
        self._body: list[bytes] = []
        self._held = 0
        """Bytes that count in the server's `bodies`."""
        self._expects_continue = False

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        server = self._server
        self._closing = server.stopping  # Known no earlier: a TLS handshake takes its time.
        over = server.join(self) - server.limits.connections
        if over > TOLD_CONNECTIONS:
            self._transport.abort()
        elif over > 0:
            self._refuse(503)

    def data_received(self, data: bytes) -> None:
        self._chunk = len(data)
        pieces: list[bytes | memoryview] = [data]  # What is to be parsed, the next piece last.
        while pieces:
            piece = pieces.pop()
            try:
                self._parser.feed_data(piece)
            except httptools.HttpParserUpgrade as upgrade:
                head = self._begin_without_upgrade()
                if head is None:
                    self._refuse(400)
                    return
                pieces += (memoryview(piece)[upgrade.args[0] :], head)
            except httptools.HttpParserCallbackError as error:
                if not isinstance(error.__context__, Refused):
                    log.error("fault in the HTTP protocol", exc_info=error)
                    self.abort()
                return
            except httptools.HttpParserError:
                if not self._closing or self._reading:  # Otherwise it is what came after the last request.
                    self._refuse(400)
                return
        if self._reading:
            if self._spans:
                self._spans += len(data)
            else:
                self._spans = 1
                if not self._busy:
                    self._set_deadline()
            if self._request is None:
                if self._spans > self._server.limits.head:
                    self._refuse(400)
            elif self._spans > FRAMING_FACTOR * self._server.limits.body:
                self._refuse(413)

    def eof_received(self) -> bool:
        """The client sends no more. What is at work still gets its answer."""
        self._closing = True
        return self._busy or bool(self._queue)

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()

    def pause_writing(self) -> None:
        """The client does not take its answers: take no more of its requests."""
        self._write_paused = True
        self.deadline = self._server.now + self._server.limits.request
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._write_paused = False
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

    def on_url(self, part: bytes) -> None:
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._request is not None:
            return  # A trailer: nothing reads them.
        name = name.lower()
        headers = self._headers
        headers[name] = value if name not in headers else headers[name] + b"," + value

    def on_headers_complete(self) -> None:
        headers, target, parser = self._headers, self._target, self._parser
        limits = self._server.limits
        if (self._spans or self._chunk > limits.head) and head_size(target, headers) > limits.head:
            self._stop_parser(400)
        # The parser refuses what is over 64 bits; but int() refuses 4,300 digits, of which all but one may be zeros.
        if int(headers.get(b"content-length", b"").lstrip(b"0") or 0) > limits.body:
            self._stop_parser(413)
        if parser.should_upgrade():
            return
        if b"expect" in headers:
            self._meet_expectation(headers[b"expect"])
        self._request = Request(parser.get_method(), target, headers)
        self._headers, self._target = {}, b""

    def on_body(self, part: bytes) -> None:
        self._body.append(part)
        if len(self._body) > 1:
            self._hold(len(part))

    def on_message_complete(self) -> None:
        request = self._request
        if request is None:
            return  # An upgrade, to be ignored: it will be parsed again.
        self._request = None
        self._reading = False
        if self._body:
            request.body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            self._body = []
        if not self._parser.should_keep_alive():
            self._closing = True
        if self._busy or self._queue or self._write_paused:
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

    def _hold(self, size: int) -> None:
        """Count the bytes of a body that is larger than one read."""
        limits = self._server.limits
        self._held += size
        self._server.bodies += size
        if self._held + len(self._body[0]) > limits.body:
            self._stop_parser(413)
        if self._server.bodies > limits.bodies:
            self._stop_parser(503)

    def _release(self) -> None:
        self._server.bodies -= self._held
        self._held = 0

    # Requests and answers.

    def _enqueue(self, entry: Request | int) -> None:
        self._queue.append(entry)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

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
            Exchange(self, request, coroutine).wait(waited)

    def end(self, request: Request, response: Response) -> None:
        """A handler that had to wait has its answer."""
        self._server.requests -= 1
        self._busy = False
        self._answer(request, response)
        if self._queue or self._expects_continue:
            self._work_off()

    def _work_off(self) -> None:
        """Take what has queued up as far as handlers do not wait, and then read again."""
        while self._queue and not self._busy and not self._write_paused:
            entry = self._queue.popleft()
            if isinstance(entry, int):
                self._refuse(entry)
            else:
                self._begin(entry)
        transport = self._transport
        if self._queue or self._write_paused or transport is None or transport.is_closing():
            return
        if self._expects_continue and not self._busy:
            self._expects_continue = False
            transport.write(CONTINUE)
        transport.resume_reading()

    def _answer(self, request: Request, response: Response) -> None:
        if self._held:
            self._release()
        transport = self._transport
        if transport is None:
            return
        keep_alive = not self._closing or bool(self._queue)
        body = response.body
        head = b"%bContent-Length: %d\r\n%b\r\n" % (
            self._server.head(response.status, keep_alive),
            len(body),
            response.headers,
        )
        if request.method == b"HEAD":
            transport.write(head)
        elif len(body) <= JOIN_BYTES:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
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

    def _refuse(self, status: int) -> None:
        """Answer what is no request, after all that came before it, and end the connection."""
        self._closing = True
        transport = self._transport
        if transport is None:
            return
        if self._busy or self._queue:
            self._enqueue(status)
            return
        response = self._server.application.refuse(status)
        head = self._server.head(status, False)
        transport.write(
            b"%bContent-Length: %d\r\n%b\r\n%b" % (head, len(response.body), response.headers, response.body)
        )
        transport.set_protocol(Farewell(self._server, transport))
        self._leave()

    def _leave(self) -> None:
        self._transport = None
        self._server.leave(self)
        self._release()
        self._queue.clear()

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
        if self._transport is not None and not (self._busy or self._queue or self._reading):
            self._transport.close()

    def abort(self) -> None:
        """End now."""
        if self._transport is not None:
            self._transport.abort()


class Farewell(asyncio.Protocol):
    """The rest of a refused connection: what still comes is thrown away until the client has seen the answer.

    Closing with unread input would reset the connection, and the client might never see why it was refused.
    """

    def __init__(self, server: HttpServer, transport: asyncio.Transport) -> None:
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


class Exchange:
    """A request whose handler waits, and its answer to come: what a Task would be, and no more."""

    __slots__ = ("_connection", "_coroutine", "_request")

    def __init__(self, connection: Connection, request: Request, coroutine: Coroutine[Any, Any, Response]) -> None:
        self._connection = connection
        self._request = request
        self._coroutine = coroutine

    def wait(self, waited: Any) -> None:
        """Go on when what the coroutine has yielded is done: a future, or None for the loop's next round."""
        if waited is None:
            asyncio.get_running_loop().call_soon(self.resume)
        else:
            waited._asyncio_future_blocking = False  # As Task does: it was awaited, not yielded by mistake.
            waited.add_done_callback(self.resume)

    def resume(self, _: object = None) -> None:
        """Take the next step. The coroutine itself takes what the future holds, exceptions included."""
        try:
            waited = self._coroutine.send(None)
        except StopIteration as end:
            self._connection.end(self._request, end.value)
        else:
            self.wait(waited)


def head_size(target: bytes, headers: dict[bytes, bytes]) -> int:
    """Bytes that a request's line and headers took, but for separators."""
    return len(target) + sum(len(name) + len(value) for name, value in headers.items())
