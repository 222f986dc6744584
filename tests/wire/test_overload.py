"""More load than the server can bear: memory stays bounded, healthy clients are served, and refused requests may be
retried.

A real server with one worker. Each kind of abuse goes on while a healthy client works, and afterwards everything is as
before. The waits of that client and the server's memory are printed: `pytest -s` shows them.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from testing.jedlik_process import PATIENCE, Server, halted
from testing.raw_http import Wire

MIB = 1 << 20
CONNECTIONS = 2_600
"""The limits in the server's settings."""
IDLE = 2_000
BUSY = 500
SLOW_READERS = 60
"""Fewer, because the kernel holds megabytes for each."""
DESCRIPTORS = 8_192
"""For the test's ends of the connections, and for the server's."""
ANSWER_SECONDS = 5.0
"""Seconds of the worker's work: a healthy client never waits for more, which is hundreds of times the cost of an
answer. By the clock it would depend on what else the machine does."""
MEMORY = 128 * MIB
"""The memory that overload may add to the server's, except for large bodies."""
BODY = 16 * MIB
BODIES = 128 * MIB
ANSWERS = 256 * MIB
"""The most memory for large bodies and answers together (`memory.Memory`)."""
PARSED = 768 * MIB
"""The most memory for the largest bodies once they are parsed, one of 16 MiB at a time."""
REQUEST_SECONDS = 2.0
"""The time that a client has to send a request, or to read an answer."""
PATIENT_SECONDS = 30.0
"""The same, where a busy machine must not look like a slow client."""
BATCH = 40
"""Items of 390 kB, which make an answer of 16 MB."""
LARGE = 100_000
"""Bytes of the large item."""
HEADERS = (
    b"Host: localhost",
    b"Content-Type: application/x-amz-json-1.0",
    b"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/dynamodb/aws4_request, "
    b"SignedHeaders=host, Signature=0",
    b"X-Amz-Date: 20261123T120000Z",
)
BUSY_ERROR = "com.amazon.coral.service#ServiceUnavailable"


def head(operation: bytes, *headers: bytes) -> bytes:
    """The head of a request for an operation, without its last, empty line."""
    return b"\r\n".join([b"POST / HTTP/1.1", *HEADERS, b"X-Amz-Target: DynamoDB_20120810." + operation, *headers, b""])


def request(operation: bytes, body: bytes, *headers: bytes) -> bytes:
    """A request for an operation."""
    return head(operation, *headers, b"Content-Length: %d" % len(body)) + b"\r\n" + body


CHUNKS = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = request(b"GetItem", b'{"TableName":"overload","Key":{"p":{"S":"small"}}}')
GET_LARGE = request(b"GetItem", b'{"TableName":"overload","Key":{"p":{"S":"large"}}}')
PUT = request(b"PutItem", b'{"TableName":"overload","Item":{"p":{"S":"put"}}}')
PUT_OF = b'{"TableName":"overload","Item":{"p":{"S":"x"},"a":%b}}'


def memory(server: Server, name: str) -> int:
    """Bytes of memory that the server's worker has resident (VmRSS), or has ever had (VmHWM)."""
    status = Path(f"/proc/{server.worker()}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith(name)).split()[1])


def worked(server: Server) -> float:
    """The seconds that the server's worker has worked."""
    nanoseconds, *_ = Path(f"/proc/{server.worker()}/schedstat").read_text().split()
    return int(nanoseconds) / 1e9


def descriptors(server: Server) -> int:
    """Files and connections that the server's worker has open."""
    return len(os.listdir(f"/proc/{server.worker()}/fd"))


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def start(start_server: Callable[..., Server]) -> Iterator[Callable[..., Server]]:
    """Starts a server, with options, that has one table and two items in it, and descriptors for thousands."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        pytest.skip(f"a process may have no more than {hard} descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))

    def started(**options: object) -> Server:
        limits = {"max_connections": CONNECTIONS, "request_timeout": REQUEST_SECONDS}
        running = start_server(in_memory=True, **(limits | options))
        client = running.client()
        client.create_table(
            TableName="overload",
            KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        client.put_item(TableName="overload", Item={"p": {"S": "small"}})
        client.put_item(TableName="overload", Item={"p": {"S": "large"}, "a": {"S": "x" * LARGE}})
        return running

    yield started
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Healthy:
    """A client that gets and puts all the time, one after the other, and records its experience."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._over = threading.Event()
        self.statuses: set[int] = set()
        self.waits: list[float] = []
        """Its waits for answers, in seconds of the worker's work."""

    def work(self) -> None:
        """Until the end, at least once."""
        with Wire(self._server.port) as wire:
            while not self.statuses or not self._over.wait(0.02):
                for asked in (GET, PUT):
                    started = worked(self._server)
                    wire.send(asked)
                    self.statuses.add(wire.receive().status)
                    self.waits.append(worked(self._server) - started)

    def end(self) -> None:
        """Enough."""
        self._over.set()


@contextmanager
def healthy_client(server: Server, most: int = MEMORY) -> Iterator[Healthy]:
    """Whatever happens within, a healthy client is answered and memory is bounded; and afterwards all is well."""
    before = memory(server, "VmRSS")
    client = Healthy(server)
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(client.work)
        try:
            yield client
        finally:
            client.end()
        work.result()
    waits = sorted(client.waits)
    more = memory(server, "VmHWM") - before
    middle, late = waits[len(waits) // 2], waits[len(waits) * 99 // 100]
    print(f"\nwaits: {middle:.4f} s, p99 {late:.4f} s, longest {waits[-1]:.4f} s; memory: {more / MIB:.0f} MiB more")
    assert waits[-1] < ANSWER_SECONDS
    assert more < most
    with Wire(server.port) as wire:
        wire.send(GET)
        assert wire.receive().status == 200
    assert [line for line in server.log_lines() if line["level"] == "error"] == []


def connect(server: Server, count: int, stack: ExitStack) -> list[Wire]:
    """This number of connections, which end with the stack."""
    return [stack.enter_context(Wire(server.port)) for _ in range(count)]


def refusal(wire: Wire) -> tuple[int, Any]:
    """The status of a refusal that ends the connection, and its error."""
    answer = wire.receive()
    assert answer.headers["connection"] == "close"
    assert wire.closed()
    return answer.status, json.loads(answer.body)["__type"] if answer.body else None


def late_refusal(wire: Wire) -> tuple[int, Any] | None:
    """The refusal of a client that is too slow. None if it has sent more afterwards: then the refusal may be lost."""
    try:
        return refusal(wire)
    except ConnectionError:
        return None


# Many.


def test_thousands_of_idle_and_hundreds_of_busy_connections(start: Callable[..., Server]) -> None:
    server = start()
    with ExitStack() as stack, healthy_client(server) as healthy:
        connect(server, IDLE, stack)
        busy = connect(server, BUSY, stack)
        for _ in range(3):
            for wire in busy:
                wire.send((GET + PUT) * 4)
            for wire in busy:
                assert [wire.receive().status for _ in range(8)] == [200] * 8
    assert healthy.statuses == {200}


def test_requests_over_the_limit_may_be_retried(start: Callable[..., Server]) -> None:
    server = start(max_requests=20)
    with ExitStack() as stack, healthy_client(server) as healthy:
        busy = connect(server, BUSY, stack)
        answers = []
        for _ in range(3):
            with halted(server.worker()):  # All come at once for it, also where it is faster than this client.
                for wire in busy:
                    wire.send(PUT)
            answers += [wire.receive() for wire in busy]
        refused = [answer for answer in answers if answer.status != 200]
        assert 0 < len(refused) < len(answers)
        assert {(answer.status, json.loads(answer.body)["__type"]) for answer in refused} == {(503, BUSY_ERROR)}
        for wire in busy:
            wire.send(GET)
            assert wire.receive().status == 200
    assert healthy.statuses <= {200, 503}


def test_connections_over_the_limit_may_be_retried(start: Callable[..., Server]) -> None:
    server = start()
    with healthy_client(server) as healthy:
        with ExitStack() as stack:
            wires = connect(server, CONNECTIONS, stack)
            wires[-2].send(GET)  # It is answered or refused; either way all earlier ones have been accepted.
            wires[-2].receive()
            with Wire(server.port) as wire:
                assert refusal(wire) == (503, BUSY_ERROR)
        until(lambda: descriptors(server) < CONNECTIONS)
    assert healthy.statuses == {200}


# Slow.


def test_slow_senders_are_refused_in_time(start: Callable[..., Server]) -> None:
    server = start()
    with ExitStack() as stack, healthy_client(server) as healthy:
        slow = connect(server, BUSY, stack)
        started = time.monotonic()
        for wire in slow[::2]:
            wire.send(head(b"GetItem"))
        for wire in slow[1::2]:
            wire.send(head(b"GetItem", b"Content-Length: 1000000") + b"\r\n")
        while time.monotonic() < started + 1.0:
            for wire in slow:
                with suppress(ConnectionError):
                    wire.send(b"x")
            time.sleep(0.1)
        refusals = [late_refusal(wire) for wire in slow]
        assert (408, None) in refusals
        assert set(refusals) <= {(408, None), None}
    assert healthy.statuses == {200}


def test_slow_readers_are_cut_off(start: Callable[..., Server]) -> None:
    server = start()
    with ExitStack() as stack, healthy_client(server) as healthy:
        before = descriptors(server)
        for wire in connect(server, SLOW_READERS, stack):
            wire.send(GET_LARGE * 100)
        with Wire(server.port) as last:  # Once it is answered, all earlier ones have been accepted.
            last.send(GET)
            last.receive()
        until(lambda: descriptors(server) <= before + 1)  # The healthy client may have come in between.
    assert healthy.statuses == {200}


def test_unread_answers_are_limited_together(start: Callable[..., Server]) -> None:
    server = start(request_timeout=PATIENT_SECONDS)
    client = server.client()
    for number in range(BATCH):
        client.put_item(TableName="overload", Item={"p": {"S": f"batch{number}"}, "a": {"S": "x" * 390_000}})
    keys = b",".join(b'{"p":{"S":"batch%d"}}' % number for number in range(BATCH))
    batch = request(b"BatchGetItem", b'{"RequestItems":{"overload":{"Keys":[%b]}}}' % keys)
    with ExitStack() as stack, healthy_client(server, ANSWERS + MEMORY) as healthy:
        for wire in connect(server, SLOW_READERS, stack):
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            wire.send(batch)
        # One that reads gets its answer although they do not.
        for _ in range(3):
            assert len(client.batch_get_item(RequestItems={"overload": {"Keys": [{"p": {"S": "batch0"}}]}})) > 1
    assert healthy.statuses == {200}


# Large.


def test_a_body_may_have_16_mib_and_no_more(start: Callable[..., Server]) -> None:
    server = start()
    with healthy_client(server, BODIES) as healthy:
        for size, status in ((BODY, 200), (BODY + 1, 413)):
            with Wire(server.port) as wire:
                wire.send(request(b"PutItem", (PUT_OF % b'{"S":"a"}').ljust(size)))
                assert wire.receive().status == status
    assert healthy.statuses == {200}


def test_large_bodies_are_limited_together(start: Callable[..., Server]) -> None:
    server = start(request_timeout=PATIENT_SECONDS)
    part = bytes(15 * MIB)
    with ExitStack() as stack, healthy_client(server, BODIES + MEMORY) as healthy:
        room = BODIES // BODY
        slow = connect(server, 20, stack)
        for number, wire in enumerate(slow):
            wire.send(head(b"PutItem", b"Content-Length: %d" % BODY), b"\r\n", part)
            if number < room:
                until(wire.taken)
        assert [refusal(wire) for wire in slow[room:]] == [(503, BUSY_ERROR)] * (20 - room)
        for wire in slow[1:room]:
            assert wire.quiet(0.01), "there was room for it"
            wire.socket.close()
        slow[0].send(bytes(BODY - len(part)))
        assert slow[0].receive().status == 400
    assert healthy.statuses == {200}


def test_parsed_bodies_are_limited_together(start: Callable[..., Server]) -> None:
    server = start(request_timeout=PATIENT_SECONDS)
    nulls = b",".join([b'{"NULL":true}'] * 150_000)
    put = request(b"PutItem", PUT_OF % (b'{"L":[%b]}' % nulls))
    with ExitStack() as stack, healthy_client(server, PARSED) as healthy:
        wires = connect(server, 40, stack)
        with ThreadPoolExecutor(len(wires)) as senders:
            list(senders.map(lambda wire: wire.send(put), wires))
        assert {wire.receive().status for wire in wires} == {200}
    assert healthy.statuses == {200}


def test_no_request_delays_others_for_long(start: Callable[..., Server]) -> None:
    server = start(request_timeout=PATIENT_SECONDS)
    ones = b",".join([b'{"N":"1"}'] * 1_500_000)
    conditions = b",".join(b'"%d":{"Exists":false}' % number for number in range(400_000))
    bodies = (
        (b"PutItem", PUT_OF % (b'{"L":[%b]}' % ones)),
        (b"PutItem", PUT_OF % (b'{"S":""},"Expected":{%b}' % conditions)),
        (b"TransactWriteItems", b'{"TransactItems":[%b]}' % b",".join([b"{}"] * 5_000_000)),
        (b"Scan", b'{"TableName":"overload","AttributesToGet":[%b]}' % ones.replace(b'{"N":"1"}', b'"123456"')),
    )
    with healthy_client(server, PARSED) as healthy, Wire(server.port) as wire:
        for operation, body in bodies:
            wire.send(request(operation, body))
            assert wire.receive().status == 400
    assert healthy.statuses == {200}


@pytest.mark.parametrize("depth", [40, 400, 5_000, 1_000_000])
@pytest.mark.parametrize(("open_", "close"), [(b'{"L":[', b"]}"), (b'{"M":{"x":', b"}}"), (b"[", b"]"), (b"[", b"")])
def test_deep_json_is_refused(server: Server, depth: int, open_: bytes, close: bytes) -> None:
    with Wire(server.port) as wire:
        wire.send(request(b"PutItem", PUT_OF % (open_ * depth + close * depth)))
        answer = wire.receive()
        assert answer.status == 400
        wire.send(request(b"ListTables", b"{}"))
        assert wire.receive().status == 200


def test_header_bombs_are_refused(start: Callable[..., Server]) -> None:
    server = start()
    bombs = (
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(100_000)),
        b"GET / HTTP/1.1\r\nX: " + b"y" * MIB,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000,
        b"GET /" + b"?" * MIB,
        CHUNKS + b"0\r\n" + b"X: y\r\n" * 6_000_000,
        CHUNKS + b"0\r\nX: " + b"y" * 24 * MIB,
        CHUNKS + b"1;" + b"y" * 24 * MIB,
    )
    with ExitStack() as stack, healthy_client(server) as healthy:
        for bomb in bombs:
            for wire in connect(server, 2, stack):
                with suppress(ConnectionError):
                    wire.send(bomb)
                assert refusal(wire) == (400, None)
    assert healthy.statuses == {200}


def test_a_gzip_bomb_is_refused(start: Callable[..., Server]) -> None:
    server = start()
    bomb = gzip.compress(bytes(MIB), 9) * 4_000
    with ExitStack() as stack, healthy_client(server) as healthy:
        for wire in connect(server, 8, stack):
            wire.send(request(b"PutItem", bomb, b"Content-Encoding: gzip"))
            assert wire.receive().status == 413
    assert healthy.statuses == {200}


def test_pipelined_requests_do_not_take_much_more_than_their_bytes(start: Callable[..., Server]) -> None:
    server = start(request_timeout=PATIENT_SECONDS)
    pipelined = PUT + b"GET / HTTP/1.1\r\nHost:\r\n\r\n" * 5_000
    with ExitStack() as stack, healthy_client(server, BODIES + MEMORY) as healthy:
        with ThreadPoolExecutor(50) as senders:
            for wire in connect(server, 50, stack):
                senders.submit(wire.send, pipelined)
        with Wire(server.port) as wire:
            wire.send(GET)
            assert wire.receive().status == 200
    assert healthy.statuses == {200}
