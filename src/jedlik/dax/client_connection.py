"""A connection of a client: its preamble, then requests, one after the other, each with one answer.

    greeting --(preamble)--> ready --(request)--> at work --(answer)--> ready

What is no preamble, or no request, closes the connection and does nothing else. A request whose parts are malformed is
refused, for where the next one begins is known. While a request is at work, and while a client does not take its
answer, nothing more is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from typing import TYPE_CHECKING, Any, Protocol, cast

from jedlik.aws.protocols.cbor_values import NotCbor
from jedlik.dax.methods import AUTHORIZE, AUTHORIZE_VALUES, ENDPOINTS, METHODS, PREAMBLE_VALUES, SERVICE
from jedlik.dax.plane import Asker
from jedlik.dax.request_framing import Framing, Malformed
from jedlik.dax.wire_errors import NotAuthenticated
from jedlik.dax.wire_values import WireReader
from jedlik.memory import KIB, LARGE, Memory
from jedlik.wire.messages import DIRECT, NOWHERE, Arrival, Limits, source_of
from jedlik.wire.spinning import Spin

if TYPE_CHECKING:
    from jedlik.dax.node import Node

log = logging.getLogger(__name__)

MAGIC = b"\x67J7yne5G"
"""What every connection begins with, as it is sent."""
MOST_BEFORE = 16 * KIB
"""Bytes of a preamble, and of what somebody sends who is not known."""
FRAME_HEAD = 8
END_OF_MESSAGE = b"\x01\x00\x00\x00"
LEADER_VALUES = 2
"""Service and method, in front of the arguments."""


class Server(Protocol):
    """Who watches over the connections."""

    node: Node
    limits: Limits
    memory: Memory
    now: float
    """Seconds, renewed once a second."""
    idle_until: float
    """Until when one may be idle that has been answered now."""
    retiring: bool
    at_work: int
    """Requests that wait for something."""
    stalled: dict[ClientConnection, None]
    """Connections whose clients do not take their answers."""
    spin: Spin | None
    """What keeps the event loop awake after answers, if anything does."""

    def may_stay(self, connection: ClientConnection) -> bool:
        """A connection has been made. Returns whether there is room for it."""
        ...

    def leave(self, connection: ClientConnection) -> None:
        """It has ended."""
        ...

    def stall(self, connection: ClientConnection, size: int) -> None:
        """Its client does not take its answer, of which this many bytes are left."""
        ...


class ClientConnection(asyncio.Protocol):
    """One of them."""

    def __init__(self, server: Server, arrival: Arrival = DIRECT) -> None:
        self._server = server
        self._arrival = arrival
        self._is_ending = False
        """Whether it is closed when nothing is at work."""
        self._node = server.node
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._held = 0
        """Bytes of the buffer that count against the memory of the process."""
        self._framing = Framing()
        self._framing.want(PREAMBLE_VALUES)
        self._greeted = False
        self._framed = False
        """Whether the client wants answers in frames, as that for Java does."""
        self._agent = ""
        self._asker: Asker | None = None
        self._refusal = NotAuthenticated("Authentication required")
        """Why nobody is known to ask."""
        self.authorized_until = math.inf
        """When who asks must be shown again."""
        self._at_work: asyncio.Task[None] | None = None
        self._method: int | None = None
        """What the request asks that is coming in, once it is known."""
        self._paused = False
        """The client does not take its answer."""
        self._untaken = 0
        """Bytes of that answer, which count against the memory for answers."""
        self._source = NOWHERE
        self.deadline = server.now + server.limits.request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass.
        source = source_of(transport, self._arrival)
        self._source = source or NOWHERE
        if not self._server.may_stay(self) or source is None:
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """End. A request at work goes on: what it writes is written."""
        self._transport = None
        self._let_go()
        self._forget_untaken()
        self.show_hits()
        self._server.leave(self)

    def pause_writing(self) -> None:
        """The client does not take its answer."""
        self._paused = True
        self.deadline = self._server.now + self._server.limits.request
        if self._transport is not None:
            self._transport.pause_reading()
            self._untaken = self._transport.get_write_buffer_size()
            self._server.stall(self, self._untaken)

    def resume_writing(self) -> None:
        """It has taken it."""
        self._paused = False
        self._forget_untaken()
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        if self._asker is not None and self._at_work is None and not self._buffer and not self._paused:
            answer = self._node.hit(self._asker, data)
            if answer is not None:
                self.deadline = self._server.idle_until
                self._send(answer)
                return
        if not self._buffer:
            self.deadline = self._server.now + self._server.limits.request
        self._buffer += data
        self._work_off()

    def _work_off(self) -> None:
        """Take requests from the buffer, as long as there are whole ones and nothing is at work."""
        try:
            while self._transport is not None and self._at_work is None and not self._paused and self._buffer:
                if not self._advance():
                    break
        except (Malformed, NotCbor) as error:
            log.debug("a connection is closed: %s", error, extra={"client": self._source.address})
            self.abort()
            return
        if len(self._buffer) - self._held > LARGE or self._at_work is not None:
            self._hold()

    def _hold(self) -> None:
        """Count a large buffer against the memory of the process; a client for which there is no room is sent away."""
        more = len(self._buffer) - self._held
        if more > LARGE:
            if not self._server.memory.bodies.try_hold(more):
                log.warning("a connection is closed: no memory for its request", extra={"bytes": len(self._buffer)})
                self.abort()
                return
            self._held += more
        if self._at_work is not None and self._transport is not None:
            self._transport.pause_reading()

    def _advance(self) -> bool:
        """Take the next value or request from the buffer. Returns whether a whole one was there."""
        if not self._greeted and self._buffer[: len(MAGIC)] != MAGIC[: len(self._buffer)]:
            raise Malformed("a connection does not begin as one of DAX's")
        whole = self._framing.advance(self._buffer)
        if self._asker is None and (self._framing.position if whole else len(self._buffer)) > MOST_BEFORE:
            raise Malformed("too many bytes from somebody who is not known")
        if not whole:
            return False
        if not self._greeted:
            self._greet(self._taken())
            return True
        if self._method is None:
            return self._begin()
        number, self._method = self._method, None
        self._request(number)
        return True

    def _begin(self) -> bool:
        """Service and method have come: now it is known how many arguments follow."""
        reader = WireReader(bytes(self._buffer[: self._framing.position]))
        service, number = reader.value(), reader.value()
        if service != SERVICE:
            raise Malformed("a request does not begin with 1")
        if number == AUTHORIZE:
            wanted = AUTHORIZE_VALUES
        elif number == ENDPOINTS:
            wanted = 0
        elif type(number) is int and number in METHODS:
            wanted = METHODS[number].arguments
        else:
            raise Malformed("there is no such method")
        self._method = number
        self._framing.want(wanted)
        return True

    def _taken(self) -> bytes:
        """The bytes that make a whole, which leave the buffer; the next whole is a request."""
        position = self._framing.position
        taken = bytes(memoryview(self._buffer)[:position])
        del self._buffer[:position]
        self._framing = Framing()
        self._framing.want(LEADER_VALUES)
        return taken

    def _greet(self, raw: bytes) -> None:
        reader = WireReader(raw)
        reader.value()
        layering, _, about, mode = (reader.value() for _ in range(PREAMBLE_VALUES - 1))
        if layering not in (0, 1) or type(about) is not dict or mode != 0:
            raise Malformed("a preamble is malformed")
        self._framed = layering == 1
        agent = about.get("UserAgent", "")
        self._agent = agent if type(agent) is str else ""
        self._greeted = True
        with contextlib.suppress(NotAuthenticated):  # Nothing has been shown yet.
            self._asker = self._node.anybody(self._source, self._agent)
        self.deadline = self._server.idle_until

    def _request(self, number: int) -> None:
        """A whole request has come."""
        raw = self._taken()
        reader = WireReader(raw)
        reader.value()
        reader.value()
        count = AUTHORIZE_VALUES if number == AUTHORIZE else 0 if number == ENDPOINTS else METHODS[number].arguments
        arguments: list[Any] = []
        last = reader.position
        for _ in range(count):
            last = reader.position
            arguments.append(reader.value())
        if number == AUTHORIZE:
            self._authorize(arguments)
        elif self._asker is None:
            self._send(self._node.not_authenticated(self._refusal))
        elif number == ENDPOINTS:
            if self._source is NOWHERE:  # The client has gone already.
                self.abort()
                return
            self._send(self._node.endpoints(self._address()))
        elif self._server.at_work >= self._server.limits.requests:
            self._send(self._node.too_busy(self._asker, number))
        else:
            self._server.at_work += 1
            work = self._do(self._asker, number, arguments, raw, last)
            self._at_work = asyncio.get_running_loop().create_task(work)

    def _authorize(self, arguments: list[Any]) -> None:
        self.show_hits()
        try:
            self._asker = self._node.identify(arguments, self._source, self._agent)
            self.authorized_until = self._server.now + self._node.authorized_seconds
        except NotAuthenticated as error:
            self._asker = None
            self._refusal = error

    def show_hits(self) -> None:
        """Count the hits of this connection's asker in its series. To be called once a second."""
        if self._asker is not None:
            self._asker.counts.show_hits()

    def forget(self) -> None:
        """Who asks must be shown again: that was too long ago."""
        self.show_hits()
        self._asker = None
        self._refusal = NotAuthenticated("The authorization has expired", "ExpiredTokenException")
        self.authorized_until = math.inf

    def _address(self) -> str:
        return self._source.listener.rpartition(":")[0].strip("[]")

    async def _do(self, asker: Asker, number: int, arguments: list[Any], raw: bytes, last: int) -> None:
        try:
            answer = await self._node.answer(asker, number, arguments, raw[last:], len(raw))
        finally:
            self._server.at_work -= 1
        self._at_work = None
        self._let_go()
        self.deadline = self._server.idle_until
        if self._transport is not None:
            self._send(answer)
            self._go_on()

    def _go_on(self) -> None:
        """Read, and do what has been read already."""
        if self._transport is None or self._paused:
            return
        if (self._server.retiring or self._is_ending) and self._at_work is None:
            self._transport.close()
            return
        self._work_off()
        if self._transport is not None and self._at_work is None and not self._paused:
            self._transport.resume_reading()

    def _let_go(self) -> None:
        if self._held:
            self._server.memory.bodies.give_back(self._held)
            self._held = 0

    def _send(self, answer: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        spin = self._server.spin
        if spin is not None:
            spin.answered(self)
        if self._framed:
            transport.write((FRAME_HEAD + len(answer)).to_bytes(4, "big") + END_OF_MESSAGE + answer)
        else:
            transport.write(answer)

    def finish(self) -> None:
        """Close when the request at work has its answer; at once if nothing is at work."""
        if self._at_work is None and self._transport is not None:
            self._transport.close()

    def verify_again(self) -> None:
        """Do so if the client was asked for a certificate."""
        if self._arrival.asks_certificate:
            self._is_ending = True
            self.finish()

    def expire(self) -> None:
        """The deadline has passed: the client is slow or idle. A request at work has no deadline."""
        if self._at_work is None or self._paused:
            self.abort()

    def cut_off(self) -> None:
        """Others need the memory of the answer that this client does not take."""
        log.warning("a connection is closed: its answer takes memory that others need", extra={"bytes": self._untaken})
        self._forget_untaken()
        self.abort()

    def _forget_untaken(self) -> None:
        self._server.memory.answers.give_back(self._untaken)
        self._untaken = 0
        self._server.stalled.pop(self, None)

    def abort(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()
