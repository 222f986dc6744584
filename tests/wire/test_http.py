"""HTTP/1.1 itself: framing, order, limits, slow clients, and how connections end. The application is a small one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import uvloop

from jedlik.memory import KIB, MIB, Memory, Share
from jedlik.wire.connection import Connection
from jedlik.wire.http import HttpServer
from jedlik.wire.loads import Loads
from jedlik.wire.messages import Limits, Request, Response
from testing.jedlik_process import LOOPBACK, PATIENCE, eventually, reserved_port
from testing.raw_http import Wire, request


class Echo:
    """Answers with facts about the request; the test decides when a body of `wait …` is answered."""

    def __init__(self, answers: Share) -> None:
        self.answers = answers
        self.done: list[Request] = []
        """Requests that have been given the memory that they wanted."""
        self.requests: list[Request] = []
        self.release = asyncio.Event()

    def at_once(self, asked: Request) -> None:
        """Each is handled."""

    async def handle(self, asked: Request) -> Response:
        self.requests.append(asked)
        if asked.body.startswith(b"wait"):
            await self.release.wait()
        elif asked.body.startswith(b"round"):
            await asyncio.sleep(0)
        elif asked.body.startswith(b"sleep"):
            await asyncio.sleep(0.05)
        elif asked.body.startswith(b"gather"):
            await asyncio.gather(asyncio.sleep(0.01), asyncio.sleep(0.02))
        elif asked.body.startswith(b"room"):
            size = int(asked.body[4:])
            await self.answers.take(size)
            self.done.append(asked)
            self.answers.give_back(size)
        elif asked.body.startswith(b"big"):
            return Response(200, b"", b"x" * 4 * MIB)
        return Response(200, b"", asked.body)

    def refuse(self, status: int, text: str = "") -> Response:
        return Response(status, b"", b"refused")


class Running:
    """An HTTP server on an event loop in a thread of its own."""

    def __init__(self, memory: Memory | None = None, **limits: Any) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.port: int = self.call(self._start, Limits(**limits), memory or Memory())

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function on the event loop."""
        done: Future[Any] = Future()

        def run() -> None:
            try:
                done.set_result(function(*arguments))
            except BaseException as error:
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(PATIENCE)

    def stop(self, seconds: float) -> Future[int]:
        return asyncio.run_coroutine_threadsafe(self.server.stop(seconds), self._loop)

    def release(self) -> None:
        """Let the waiting handlers go on."""
        self.call(self.application.release.set)

    def await_waiting(self, count: int) -> None:
        """Wait until this number of handlers wait."""
        deadline = time.monotonic() + 60
        while self.server.requests != count:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def close(self) -> None:
        if not self.server.stopping:
            self.stop(0).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._reserved.close()

    def _start(self, limits: Limits, memory: Memory) -> int:
        # Nobody else gets the port when this server listens no more.
        self._reserved = reserved_port()
        listening = socket.create_server((LOOPBACK, self._reserved.getsockname()[1]))
        listening.setblocking(False)
        self.application = Echo(memory.answers)
        self.server = HttpServer(self.application, limits, Loads(1), 0, memory)
        port: int = listening.getsockname()[1]
        self.server.start([listening])
        return port


@pytest.fixture
def http() -> Iterator[Callable[..., Running]]:
    """Starts servers with given limits."""
    started: list[Running] = []

    def start(memory: Memory | None = None, **limits: Any) -> Running:
        started.append(Running(memory, **limits))
        return started[-1]

    yield start
    for running in started:
        running.close()


@pytest.fixture
def running(http: Callable[..., Running]) -> Running:
    """A server with the usual limits."""
    return http()


@pytest.fixture
def wire(running: Running) -> Iterator[Wire]:
    with Wire(running.port) as connection:
        yield connection


# Framing.


def test_a_connection_is_kept_for_the_next_request(wire: Wire) -> None:
    for body in (b"one", b"two"):
        wire.send(request(body))
        answer = wire.receive()
        assert (answer.status, answer.body, answer.headers["connection"]) == (200, body, "keep-alive")


def test_an_answer_names_its_server_and_date(wire: Wire) -> None:
    before = time.time()
    wire.send(request(b"x"))
    headers = wire.receive().headers
    assert headers["server"] == "Jedlik"
    assert before - 2 < parsedate_to_datetime(headers["date"]).timestamp() < time.time() + 1


def test_connection_close_is_obeyed(wire: Wire) -> None:
    wire.send(request(b"x", b"Connection: close"))
    assert wire.receive().headers["connection"] == "close"
    assert wire.closed()


@pytest.mark.parametrize(
    ("line", "kept"),
    [(b"", "close"), (b"Connection: keep-alive\r\n", "keep-alive")],
    ids=["by default", "keep-alive"],
)
def test_http_1_0_closes_unless_it_asks_otherwise(wire: Wire, line: bytes, kept: str) -> None:
    wire.send(b"POST / HTTP/1.0\r\n" + line + b"Content-Length: 1\r\n\r\nx")
    assert wire.receive().headers["connection"] == kept


def test_head_has_the_length_and_not_the_body(wire: Wire) -> None:
    wire.send(request(b"four", method=b"HEAD"))
    assert wire.receive(head=True).headers["content-length"] == "4"
    wire.send(request(b"next"))
    assert wire.receive().body == b"next"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_request_may_come_in_pieces(wire: Wire, size: int) -> None:
    whole = request(b"body in pieces", b"X-Name: value")
    for start in range(0, len(whole), size):
        wire.send(whole[start : start + size])
        time.sleep(0.001)
    assert wire.receive().body == b"body in pieces"


def test_a_chunked_body_is_joined(wire: Wire, running: Running) -> None:
    wire.send(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"4\r\nWiki\r\n5;extension=ignored\r\npedia\r\n0\r\nX-Trailer: dropped\r\n\r\n",
    )
    assert wire.receive().body == b"Wikipedia"
    assert b"x-trailer" not in running.application.requests[0].headers


def test_header_names_are_lower_case_and_repeated_headers_joined(wire: Wire, running: Running) -> None:
    wire.send(request(b"x", b"X-Name: a", b"x-name:  b"))
    wire.receive()
    assert running.application.requests[0].headers[b"x-name"] == b"a,b"


def test_a_request_knows_both_ends_of_its_connection(wire: Wire, running: Running) -> None:
    wire.send(request())
    wire.receive()
    [asked] = running.application.requests
    address, port = wire.socket.getpeername()
    assert (asked.source.address, asked.source.listener) == (wire.socket.getsockname()[0], f"{address}:{port}")


def test_a_body_is_asked_for_when_the_client_waits_for_that(wire: Wire) -> None:
    wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert wire.receive().status == 100
    wire.send(b"body")
    assert wire.receive().body == b"body"


def test_a_body_is_asked_for_after_the_answers_before_it(wire: Wire, running: Running) -> None:
    wire.send(request(b"wait"), b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    running.await_waiting(1)
    assert wire.quiet(0.1)
    running.release()
    assert wire.receive().body == b"wait"
    assert wire.receive().status == 100
    wire.send(b"body")
    assert wire.receive().body == b"body"


def test_other_expectations_fail(wire: Wire) -> None:
    wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: miracles\r\n\r\n")
    assert wire.receive().status == 417
    assert wire.closed()


@pytest.mark.parametrize("body", [b"", b"with a body"])
def test_an_offer_of_another_protocol_is_ignored(wire: Wire, body: bytes) -> None:
    wire.send(request(body, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMA"))
    assert wire.receive().body == body
    wire.send(request(b"next"))
    assert wire.receive().body == b"next"


def test_any_number_of_requests_may_ask_for_another_protocol_at_once(wire: Wire) -> None:
    question = (b"Connection: upgrade", b"Upgrade: h2c")
    wire.send(*[request(b"", *question)] * 3000, request(b"last", *question))
    for _ in range(3000):
        assert wire.receive().status == 200
    assert wire.receive().body == b"last"


def test_a_request_that_asks_for_another_protocol_is_refused_as_any_other(wire: Wire) -> None:
    wire.send(request(b"x", b"Connection: upgrade", b"Upgrade: h2c", b"Expect: the impossible"))
    assert wire.receive().status == 417
    assert wire.closed()


@pytest.mark.parametrize(
    "nonsense",
    [
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"POST / HTTP/1.1\nHost: localhost\n\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_bytes_that_are_not_http_are_refused(wire: Wire, nonsense: bytes) -> None:
    wire.send(nonsense)
    answer = wire.receive()
    assert (answer.status, answer.body, answer.headers["connection"]) == (400, b"refused", "close")
    assert wire.closed()


@pytest.mark.parametrize("pieces", [1, 7])
@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nConnection: keep-alive\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: keep-alive\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET / HTTP/2.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", 505),
        (b"GET / HTTP/2.0\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", 505),
        (b"GET / HTTP/0.9\r\nHost: x\r\n\r\n", 505),
        (b"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 505),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", 200),
        (b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ],
)  # fmt: skip
def test_versions_hosts_and_transfer_codings(wire: Wire, head: bytes, status: int, pieces: int) -> None:
    size = -(-len(head) // pieces)
    for start in range(0, len(head), size):
        wire.send(head[start : start + size])
        time.sleep(0.001)
    assert wire.receive().status == status


# Order.


def test_pipelined_requests_are_answered_in_order(wire: Wire, running: Running) -> None:
    bodies = [b"first", b"wait", b"round", b"sleep", b"gather", b"last"]
    wire.send(b"".join(request(body) for body in bodies))
    assert wire.receive().body == b"first"
    running.await_waiting(1)
    running.release()
    assert [wire.receive().body for _ in bodies[1:]] == bodies[1:]


def test_many_pipelined_requests_are_all_answered(wire: Wire) -> None:
    bodies = [b"%d" % number for number in range(2000)]
    sender = threading.Thread(target=wire.send, args=(b"".join(request(body) for body in bodies),))
    sender.start()
    assert [wire.receive().body for _ in bodies] == bodies
    sender.join()


def test_a_refusal_comes_after_the_answers_before_it(wire: Wire, running: Running) -> None:
    wire.send(request(b"wait") + b"nonsense\r\n\r\n")
    running.await_waiting(1)
    running.release()
    assert wire.receive().body == b"wait"
    assert wire.receive().status == 400
    assert wire.closed()


def test_a_client_that_sends_no_more_still_gets_its_answers(wire: Wire, running: Running) -> None:
    wire.send(request(b"wait") + request(b"second"))
    running.await_waiting(1)
    wire.socket.shutdown(socket.SHUT_WR)
    running.release()
    assert [wire.receive().body for _ in range(2)] == [b"wait", b"second"]
    assert wire.closed()


def test_a_client_that_has_gone_does_no_harm(wire: Wire, running: Running) -> None:
    with Wire(running.port) as other:
        other.send(request(b"wait"))
        running.await_waiting(1)
    running.release()
    running.await_waiting(0)
    wire.send(request(b"x"))
    assert wire.receive().body == b"x"


# Limits.


def test_a_head_may_have_16_kib(wire: Wire) -> None:
    wire.send(request(b"x", b"X-Long: " + b"a" * (16 * KIB - 200)))
    assert wire.receive().status == 200


@pytest.mark.parametrize("pieces", [1, 50])
@pytest.mark.parametrize(
    "head",
    [
        request(b"x", b"X-Long: " + b"a" * 16 * KIB),
        request(b"x", *(b"X-%d: %b" % (number, b"a" * 100) for number in range(200))),
        request(b"x", target=b"/" + b"a" * 17_000),
        b"POST / HTTP/1.1\r\nHost: x\r\nX-Endless: " + b"a" * 300 * KIB,
    ],
    ids=["one header", "many headers", "target", "endless"],
)
def test_a_longer_head_is_refused(wire: Wire, head: bytes, pieces: int) -> None:
    size = -(-len(head) // pieces)
    for start in range(0, len(head), size):
        wire.send(head[start : start + size])
        time.sleep(0.001)
    assert wire.receive().status == 400
    assert wire.closed()


def test_a_body_may_have_16_mib(wire: Wire) -> None:
    wire.send(request(b"a" * 16 * MIB))
    assert len(wire.receive().body) == 16 * MIB


def test_a_body_that_is_announced_as_too_long_is_refused_before_it_is_read(wire: Wire) -> None:
    wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n" % (16 * MIB + 1))
    assert wire.receive().status == 413


def test_a_length_of_thousands_of_digits_is_refused_and_zeros_before_one_are_nothing(wire: Wire) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %b%d\r\n\r\n"
    wire.send(head % (b"0" * 8000, 4), b"body", head % (b"0" * 8000, 16 * MIB + 1))
    assert wire.receive().body == b"body"
    assert wire.receive().status == 413


def test_a_client_that_sends_a_long_body_regardless_still_gets_the_refusal(wire: Wire) -> None:
    wire.send(request(b"a" * 50 * MIB))
    assert wire.receive().status == 413
    assert wire.closed()


@pytest.mark.parametrize("chunk", [1 * MIB, 1000])
def test_a_chunked_body_that_grows_longer_is_refused(wire: Wire, chunk: int) -> None:
    wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    part = b"%x\r\n%b\r\n" % (chunk, b"a" * chunk)
    wire.send(part * (17 * MIB // chunk))
    assert wire.receive().status == 413


def test_endless_trailers_are_refused(http: Callable[..., Running]) -> None:
    with Wire(http(body=1000).port) as wire:
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Trailer: ")
        for _ in range(30):
            time.sleep(0.002)
            wire.send(b"a" * 100)
        assert wire.receive().status == 413


CHUNKS = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
LONG = 40 * KIB
EXTRA = {
    "one trailer": CHUNKS + b"1\r\na\r\n0\r\nX-Trailer: %b\r\n\r\n" % (b"t" * LONG),
    "many trailers": CHUNKS + b"0\r\n%b\r\n" % (b"T: 12345\r\n" * (LONG // 10)),
    "a trailer without an end": CHUNKS + b"0\r\nX-Trailer: " + b"t" * LONG,
    "an extension": CHUNKS + b"1;%b\r\na\r\n0\r\n\r\n" % (b"e" * LONG),
    "many extensions": CHUNKS + b"1;0123456789abcdef\r\na\r\n" * 5000 + b"0\r\n\r\n",
    "an extension of the last chunk": CHUNKS + b"5\r\nhello\r\n0;%b\r\n\r\n" % (b"e" * LONG),
    "zeros": CHUNKS + b"0" * LONG + b"1\r\na\r\n0\r\n\r\n",
    "head and trailers": CHUNKS.replace(b"Host", b"X-Long: %b\r\nHost" % (b"l" * 9000))
    + b"0\r\nX-Trailer: %b\r\n\r\n" % (b"t" * 9000),
    "headers": b"GET / HTTP/1.1\r\nHost: x\r\n%b\r\n" % b"".join(b"%d: y\r\n" % number for number in range(200)),
}
"""More around a body than a message may have."""


@pytest.mark.parametrize("size", [1 << 20, 100])
@pytest.mark.parametrize("extra", EXTRA)
def test_there_may_be_16_kib_around_a_body(http: Callable[..., Running], extra: str, size: int) -> None:
    with Wire(http().port) as wire:
        wire.send(request(b"before"))
        assert wire.receive().status == 200
        message = EXTRA[extra]
        with contextlib.suppress(ConnectionError):
            for start in range(0, len(message), size):
                wire.send(message[start : start + size])
        assert wire.receive().status == 400
        assert wire.closed()


@pytest.mark.parametrize("size", [1 << 20, 5000])
def test_usual_lines_around_a_body_are_accepted(wire: Wire, size: int) -> None:
    body = b"a" * 100_000
    for piece in (30, 1000):
        chunks = b"".join(
            b"%x;a=b\r\n%b\r\n" % (piece, body[at : at + piece]) for at in range(0, len(body) - 99, piece)
        )
        message = CHUNKS.replace(b"Host", b"X-Long: %b\r\nHost" % (b"l" * 7000)) + chunks
        message += b"0\r\nX-Trailer: %b\r\n\r\n" % (b"t" * 7000)
        for start in range(0, len(message), size):
            wire.send(message[start : start + size])
        assert len(wire.receive().body) >= 99_000


def test_tiny_chunks_take_no_more_memory_than_large_ones(running: Running, wire: Wire) -> None:
    wire.send(CHUNKS, b"2\r\nab\r\n" * 200_000)
    [connection] = wait_for_connections(running, 1)
    deadline = time.monotonic() + 60
    while running.call(lambda: connection._reader._size) < 400_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert running.call(lambda: sys.getsizeof(connection._reader._body)) < 600_000


def test_pipelined_requests_are_parsed_a_few_at_a_time(running: Running, wire: Wire) -> None:
    asked = 20_000
    sender = threading.Thread(target=wire.send, args=(request(b"wait") + request(b"") * asked,))
    sender.start()
    running.await_waiting(1)
    [connection] = wait_for_connections(running, 1)
    eventually(lambda: running.call(lambda: running.server.memory.bodies.free) < running.server.memory.bodies.size)
    time.sleep(0.1)
    assert running.call(lambda: len(connection._queue)) < 1000
    running.release()
    assert [wire.receive().status for _ in range(asked + 1)] == [200] * (asked + 1)
    sender.join()
    assert running.call(lambda: running.server.memory.bodies.free) == running.server.memory.bodies.size


def wait_for_connections(running: Running, count: int) -> list[Connection]:
    """This number of connections, once they exist."""
    deadline = time.monotonic() + 60
    while len(running.server.connections) != count:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return [connection for connection in running.server.connections if isinstance(connection, Connection)]


# Memory.


def big_answers(running: Running, clients: list[Wire]) -> None:
    """Each of the clients asks for 4 MiB and does not read them."""
    for client in clients:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(request(b"big") * 3)


def test_slow_readers_get_no_more_memory_than_the_limit(http: Callable[..., Running]) -> None:
    answers = Share(20 * MIB)
    running = http(Memory(answers=answers))
    with ExitStack() as stack:
        clients = [stack.enter_context(Wire(running.port)) for _ in range(30)]
        big_answers(running, clients)
        deadline = time.monotonic() + 60
        while len(running.application.requests) < 30:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert running.call(lambda: answers.free) >= 0
        assert running.call(lambda: len(running.server.stalled)) == 5
        with Wire(running.port) as wire:
            wire.send(request(b"big"))
            assert len(wire.receive().body) == 4 * MIB


def test_a_client_that_reads_nothing_makes_room_for_one_that_waits(http: Callable[..., Running]) -> None:
    answers = Share(6 * MIB)
    running = http(Memory(answers=answers))
    with Wire(running.port) as slow, Wire(running.port) as wire:
        big_answers(running, [slow])
        deadline = time.monotonic() + 60
        while not running.server.stalled:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        wire.send(request(b"room" + b"%d" % (5 * MIB)))
        assert wire.receive().status == 200
        assert not running.server.stalled
    assert running.call(lambda: answers.free) == answers.size


@pytest.mark.parametrize("pipelined", [False, True])
def test_a_request_that_waits_is_dropped_when_its_client_goes(http: Callable[..., Running], pipelined: bool) -> None:
    answers = Share(100)
    running = http(Memory(answers=answers))
    running.call(answers.hold, 60)
    with Wire(running.port) as wire, Wire(running.port) as gone:
        gone.send(request(b"room50"), request(b"room50") if pipelined else b"")
        running.await_waiting(1)
        gone.socket.close()
        if not pipelined:  # Otherwise nothing is read, and the end is noticed when its turn comes.
            running.await_waiting(0)
        running.call(answers.give_back, 60)
        running.await_waiting(0)
        wire.send(request(b"room100"))
        assert wire.receive().status == 200
    assert [asked.body for asked in running.application.done] == [b"room100"]
    assert running.call(lambda: answers.free) == 100


def test_bodies_together_are_limited(http: Callable[..., Running]) -> None:
    bodies = Share(20 * MIB)
    running = http(Memory(bodies=bodies))
    with Wire(running.port) as first, Wire(running.port) as second:
        first.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (15 * MIB), b"a" * (15 * MIB - 1))
        deadline = time.monotonic() + 60
        while bodies.free > 6 * MIB and time.monotonic() < deadline:
            time.sleep(0.01)
        second.send(request(b"a" * 15 * MIB))
        assert second.receive().status == 503
        first.send(b"a")
        assert first.receive().status == 200
    assert running.call(lambda: bodies.free) == bodies.size


def test_connections_over_the_limit_get_a_refusal(http: Callable[..., Running]) -> None:
    running = http(connections=2)
    with Wire(running.port) as first, Wire(running.port) as second:
        for wire in (first, second):
            wire.send(request(b"x"))
            assert wire.receive().status == 200
        with Wire(running.port) as third:
            third.send(request(b"x"))
            assert third.receive().status == 503
        first.send(request(b"x"))
        assert first.receive().status == 200


def test_requests_in_flight_are_limited(http: Callable[..., Running]) -> None:
    running = http(requests=1)
    with Wire(running.port) as first, Wire(running.port) as second:
        first.send(request(b"wait"))
        running.await_waiting(1)
        second.send(request(b"x"))
        assert second.receive().status == 503
        running.release()
        assert first.receive().status == 200
        second.send(request(b"x"))
        assert second.receive().status == 200


# Slow clients.


def test_an_idle_connection_is_closed(http: Callable[..., Running]) -> None:
    with Wire(http(idle=2.0).port) as wire:
        wire.send(request(b"x"))
        wire.receive()
        assert wire.closed()


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"P", b""),
        (b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"a"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", b"a"),
    ],
    ids=["first byte", "head", "body"],
)
def test_a_request_that_takes_too_long_to_arrive_is_refused(
    http: Callable[..., Running], start: bytes, drop: bytes
) -> None:
    with Wire(http(request=1.0).port) as wire:
        wire.send(start)
        begun = time.monotonic()
        while wire.quiet(0.2):
            with contextlib.suppress(ConnectionError):  # The refusal may come just now.
                wire.send(drop)
            assert time.monotonic() < begun + 60
        assert wire.receive().status == 408
        assert wire.closed()


def test_a_client_that_does_not_read_its_answers_is_disconnected(http: Callable[..., Running]) -> None:
    running = http(request=1.0)
    with Wire(running.port) as wire:
        wire.send(request(b"big") * 20)
        deadline = time.monotonic() + 60
        while running.server.connections:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert len(running.application.requests) < 20, "the server went on answering a client that does not read"


def test_a_slow_reader_gets_everything(wire: Wire) -> None:
    wire.send(request(b"big") * 5)
    for _ in range(5):
        time.sleep(0.05)
        assert len(wire.receive().body) == 4 * MIB


def test_a_handler_may_take_longer_than_clients_may(http: Callable[..., Running]) -> None:
    running = http(request=0.5, idle=0.5)
    with Wire(running.port) as wire:
        wire.send(request(b"wait"))
        assert wire.quiet(2.5)
        running.release()
        assert wire.receive().body == b"wait"


def test_a_client_that_reads_again_may_wait_for_the_next_answer(http: Callable[..., Running]) -> None:
    running = http(request=1.0)
    with Wire(running.port) as wire:
        wire.send(request(b"wait"))
        running.await_waiting(1)
        [connection] = running.server.connections
        assert isinstance(connection, Connection)
        running.call(connection.pause_writing)
        running.call(connection.resume_writing)
        assert wire.quiet(2.5)
        running.release()
        assert wire.receive().body == b"wait"


# The end.


def test_stopping_lets_requests_at_work_finish(running: Running) -> None:
    with Wire(running.port) as idle, Wire(running.port) as busy, Wire(running.port) as sending:
        idle.send(request(b"x"))
        idle.receive()
        busy.send(request(b"wait") + request(b"pipelined"))
        running.await_waiting(1)
        sending.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo")
        eventually(sending.taken)
        stopped = running.stop(60)
        assert idle.closed()
        assert refuses(running.port)
        running.release()
        assert busy.receive().body == b"wait"
        last = busy.receive()
        assert (last.body, last.headers["connection"]) == (b"pipelined", "close")
        assert busy.closed()
        sending.send(b"dy")
        assert sending.receive().body == b"body"
        assert stopped.result(60) == 0


def refuses(port: int) -> bool:
    """Whether nobody takes connections there: they are refused, or reset where that ends just now."""
    try:
        Wire(port).socket.close()
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


def test_requests_after_the_last_answer_are_not_done(running: Running) -> None:
    with Wire(running.port) as wire:
        whole = request(b"last")
        wire.send(whole[:20])
        eventually(wire.taken)
        stopped = running.stop(60)
        eventually(lambda: refuses(running.port))
        wire.send(whole[20:] + request(b"too late"))
        answer = wire.receive()
        assert (answer.body, answer.headers["connection"]) == (b"last", "close")
        assert wire.closed()
        assert stopped.result(60) == 0
    assert [asked.body for asked in running.application.requests] == [b"last"]


def test_stopping_cuts_off_requests_that_take_too_long(running: Running) -> None:
    with Wire(running.port) as wire:
        wire.send(request(b"wait"))
        running.await_waiting(1)
        assert running.stop(0.1).result(PATIENCE) == 1
        assert wire.closed()
        running.release()
