"""One client's connection, from its first byte to its last: requests in, answers out, in order.

A connection handles one request at a time. Requests that its client pipelines wait in a queue, and the server neither
reads nor parses more until the queue is empty. So it never holds more than one read of any client. A handler's
coroutine is driven by hand: most end at the first step and never meet the event loop; the others are resumed by the
futures that they wait for, without a Task. A request that has not begun its work is dropped when its client goes.

`message_reader` turns bytes into requests; a head that matches a known pattern skips it (`known_heads`). Answers that a
client leaves unread count against the memory that all connections share, and every wait for a client has a time limit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import ClassVar, cast

from jedlik.memory import KIB
from jedlik.wire.farewell import Farewell
from jedlik.wire.message_reader import MessageReader, PlainReader
from jedlik.wire.messages import DIRECT, NOWHERE, Application, Arrival, Request, Response, Source, source_of
from jedlik.wire.request_at_work import Exchange, hung_up
from jedlik.wire.shared import Shared

JOIN_BYTES = 64 * KIB
"""A body up to this size is copied behind its head, so that both are one write; copying a longer one costs more than a
second write."""
QUEUED = 2 * KIB
"""Bytes that a queued request counts for: the memory that its parsed head takes."""
WRITTEN_AHEAD = 16 * KIB
"""Bytes of answers that a client may leave unread before the server starts to count them."""
STALLED_SECONDS = 3.0
"""How long a client may take nothing of a large answer while others wait for its memory."""
TOLD_CONNECTIONS = 100
"""Connections over the limit that get an error answer, at one time; further ones are closed without an answer."""

SPEAK_TLS = "This port serves HTTPS, and the request came as plain HTTP. Use https:// in the endpoint's URL."
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """From the first byte to the last."""

    __slots__ = (
        "_application",
        "_arrival",
        "_busy",
        "_exchange",
        "_expects_continue",
        "_moved",
        "_queue",
        "_reader",
        "_sending",
        "_server",
        "_source",
        "_transport",
        "_unsent",
        "_untaken",
        "_write_paused",
        "closing",
        "deadline",
    )

    reads_with: ClassVar[type[MessageReader]] = MessageReader

    def __init__(self, server: Shared, application: Application, arrival: Arrival = DIRECT) -> None:
        self._server = server
        self._application = application
        self._arrival = arrival
        self._transport: asyncio.Transport | None = None
        self._source = NOWHERE
        self._reader = self.reads_with(server, self)
        self.deadline = server.now + server.limits.idle
        """When to look whether the client is too slow, on the server's clock."""
        self._busy = False
        """A handler is waiting."""
        self.closing = False
        """No further request is accepted."""
        self._write_paused = False
        self._queue: deque[Request | int] = deque()
        """The queue behind the request at work: requests, and perhaps, as the last element, the status of a refusal."""
        self._expects_continue = False
        self._exchange: Exchange | None = None
        """The request at work, while its handler waits."""
        self._sending = 0
        """Bytes of the answer that is being written."""
        self._unsent = 0
        """Bytes of answers that the client has not read, which count against the memory for answers."""
        self._untaken = 0
        self._moved = 0.0
        """How many of them there were when that was last looked at, and when they last became fewer."""

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(WRITTEN_AHEAD)
        server = self._server
        source = source_of(self._transport, self._arrival)
        if source is None:
            self.closing = True
            server.join(self)
            self._transport.abort()
            return
        self._source = Source("", "") if source is NOWHERE else source  # No two connections share one.
        self.closing = server.stopping  # Not known before: a TLS handshake takes several messages.
        over = server.join(self) - server.limits.connections
        if over > TOLD_CONNECTIONS:
            self._transport.abort()
        elif over > 0:
            self.refuse(503)

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        known = reader.known
        if known is None:
            reader.feed(data)
        elif reader.begun is not None:
            self._end_known(reader.begun, data)
        elif reader.reading or reader.backlog or self._busy or self._write_paused or self.closing:
            reader.feed(data)
        else:
            longest = self._server.known_heads.longest
            found = known.read(data) if len(data) <= longest else None
            if found is None:
                reader.feed(data)
                return
            request, missing = found
            if not missing:
                self._begin(request)
            elif missing <= longest:
                reader.begun = (request, missing, data)
                reader.reading = True
                self._set_deadline()
            else:
                reader.feed(data)

    def _end_known(self, begun: tuple[Request, int, bytes], data: bytes) -> None:
        """Take the body of a request whose head matched a known pattern, or leave the whole request to the parser."""
        reader = self._reader
        reader.begun = None
        request, missing, head = begun
        if len(data) == missing:
            reader.reading = False
            request.body = data
            self.take(request)
        else:
            deadline = self.deadline
            reader.feed(head)
            self.deadline = deadline  # It is no newer message for that.
            reader.feed(data)

    def eof_received(self) -> bool:
        """The client sends no more. A request whose work has begun still gets its answer."""
        self.closing = True
        if self._exchange is not None and self._exchange.drop():
            return False
        return self._busy or bool(self._queue) or bool(self._reader.backlog)

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()

    def pause_writing(self) -> None:
        """The client does not read its answers, so accept no more of its requests."""
        self._write_paused = True
        self.deadline = self._server.now + self._server.limits.request
        transport = self._transport
        if transport is None:
            return
        self._moved = self._server.now
        self._untaken = transport.get_write_buffer_size()
        self._unsent = max(self._untaken, self._sending)  # the whole answer stays in memory until all is sent
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
        self.work_off()

    # What the reader calls.

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    @property
    def hears(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    @property
    def is_waited_for(self) -> bool:
        return bool(self._queue)

    def take(self, request: Request) -> bool:
        if not (self._busy or self._queue or self._write_paused):
            self._begin(request)
            return True
        if not self._server.memory.bodies.try_hold(QUEUED):
            self._release(request)
            self.refuse(503)
            return False
        request.held += QUEUED
        self._enqueue(request)
        return True

    def refuse(self, status: int, text: str = "") -> None:
        self.closing = True
        transport = self._transport
        if transport is None:
            return
        if self._busy or self._queue:
            self._enqueue(status)
            return
        response = self._application.refuse(status, text)
        head = self._server.head(status, False)
        transport.write(
            b"%bContent-Length: %d\r\n%b\r\n%b" % (head, len(response.body), response.headers, response.body)
        )
        transport.set_protocol(Farewell(self._server, transport))
        self._leave()

    def expect_continue(self) -> None:
        if self._busy or self._queue:
            self._expects_continue = True
        elif self._transport is not None:
            self._transport.write(CONTINUE)

    def is_kept_waiting(self) -> None:
        if not self._busy:
            self._set_deadline()

    def pause_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def work_off(self) -> None:
        """Handle queued requests until a handler has to wait. When the queue is empty, read again."""
        while not self._busy and not self._write_paused:
            if self._queue:
                entry = self._queue.popleft()
                if isinstance(entry, int):
                    self.refuse(entry)
                else:
                    self._begin(entry)
            elif self._reader.backlog:
                self._reader.take_backlog()
                if self._reader.backlog and not self._queue:
                    return  # To go on later.
            else:
                break
        transport = self._transport
        if self._queue or self._reader.backlog or self._write_paused or transport is None or transport.is_closing():
            return
        if self._expects_continue and not self._busy:
            self._expects_continue = False
            transport.write(CONTINUE)
        transport.resume_reading()

    # Requests and answers.

    def _enqueue(self, entry: Request | int) -> None:
        """Queue the request, and stop reading."""
        self._queue.append(entry)
        self.pause_reading()

    def _begin(self, request: Request) -> None:
        """Run the handler as far as it goes."""
        server = self._server
        if server.requests >= server.limits.requests:
            self._answer(request, self._application.refuse(503))
            return
        source = request.source = self._source
        latest = source.latest
        form = latest.form = request.form
        if form is None:
            latest.given = request.headers
        else:
            latest.values = request.values
        application = self._application
        answer = application.at_once(request)
        if isinstance(answer, Response):
            self._answer(request, answer)
            return
        coroutine = application.handle(request) if answer is None else answer
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
        """Whether the client has closed the connection. Reading may be paused, so this looks at the socket itself."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return True
        socket = transport.get_extra_info("socket")
        return socket is not None and hung_up(socket.fileno())

    def end(self, request: Request, response: Response) -> None:
        """A handler that had to wait has returned its answer."""
        self._server.requests -= 1
        self._busy = False
        self._exchange = None
        self._answer(request, response)
        if self._queue or self._reader.backlog or self._expects_continue:
            self.work_off()

    def _answer(self, request: Request, response: Response) -> None:
        if request.held:
            self._release(request)
        transport = self._transport
        if transport is None:
            return
        keep_alive = not self.closing or bool(self._queue) or bool(self._reader.backlog)
        body = response.body
        size = len(body)
        is_whole = size <= JOIN_BYTES or request.method == b"HEAD"
        head = b"%bContent-Length: %d\r\n%b\r\n%b" % (
            self._server.head(response.status, keep_alive),
            size,
            response.headers,
            body if is_whole and request.method != b"HEAD" else b"",
        )
        spin = self._server.spin
        if spin is not None:
            spin.answered(self)
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
        slow = self._reader.reading or self.closing or self._write_paused
        self.deadline = self._server.now + (limits.request if slow else limits.idle)

    def _release(self, request: Request) -> None:
        self._server.memory.bodies.give_back(request.held)
        request.held = 0

    # The ways to end.

    def _leave(self) -> None:
        """Release everything that the connection holds, and drop requests that have not begun."""
        self._transport = None
        self._server.leave(self)
        self._forget_unsent()
        self._reader.give_back()
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
        """Other connections need the memory that this client's unread answers take."""
        self._forget_unsent()
        self.abort()

    def move_or_go(self) -> None:
        """Others wait for the memory that this client's answers take: close the connection unless the client reads
        them."""
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
        elif self._reader.reading:
            self.refuse(408)
        else:
            self._transport.close()

    def retire(self) -> None:
        """Close after the next answer. The deadline stays, as there may never be one."""
        self.closing = True

    def verify_again(self) -> None:
        """Close after the next answer if the client was asked for a certificate."""
        if self._arrival.asks_certificate:
            self.retire()

    def finish(self) -> None:
        """Close after the request at work, or at once without one."""
        self.closing = True
        if self._transport is not None and not (
            self._busy or self._queue or self._reader.backlog or self._reader.reading
        ):
            self._transport.close()

    def abort(self) -> None:
        """End now."""
        if self._transport is not None:
            self._transport.abort()


class PlainConnection(Connection):
    """A connection to the HTTPS port whose client speaks plain HTTP. It gets one error answer and is closed."""

    __slots__ = ()

    reads_with = PlainReader

    def refuse(self, status: int, text: str = "") -> None:
        super().refuse(status, SPEAK_TLS if status == 400 else text)
