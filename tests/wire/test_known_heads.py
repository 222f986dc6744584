"""Heads that are recognised: reading them without the parser gives the parser's result."""

from __future__ import annotations

import asyncio
import socket
import threading
from itertools import pairwise
from typing import Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jedlik.memory import Memory
from jedlik.wire.connection import Connection
from jedlik.wire.http import HttpServer
from jedlik.wire.known_heads import LESSONS, LONGEST, PATTERNS, SAVED_LESSONS, KnownHead, KnownHeads
from jedlik.wire.loads import Loads
from jedlik.wire.messages import Limits, Request, Response

SDKS = {
    "boto3": (
        b"Host: 127.0.0.1:8000|Accept-Encoding: identity|X-Amz-Target: DynamoDB_20120810.{operation}|"
        b"Content-Type: application/x-amz-json-1.0|User-Agent: Boto3/1.42.97 md/Botocore#1.42.97 ua/2.1 os/linux#6|"
        b"X-Amz-Date: {date}|Authorization: AWS4-HMAC-SHA256 Credential=AKID/20261128/eu-west-1/dynamodb/aws4_request, "
        b"SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature={signature}|"
        b"amz-sdk-invocation-id: {number}|amz-sdk-request: attempt=1|Content-Length: {length}"
    ),
    "JavaScript v3": (
        b"content-type: application/x-amz-json-1.0|x-amz-target: DynamoDB_20120810.{operation}|host: 127.0.0.1:8000|"
        b"x-amz-user-agent: aws-sdk-js/3.940.0|user-agent: aws-sdk-js/3.940.0 ua/2.1 os/linux lang/js|"
        b"content-length: {length}|amz-sdk-invocation-id: {number}|amz-sdk-request: attempt=1; max=3|"
        b"x-amz-date: {date}|x-amz-content-sha256: {signature}|authorization: AWS4-HMAC-SHA256 "
        b"Credential=AKID/20261128/eu-west-1/dynamodb/aws4_request, "
        b"SignedHeaders=amz-sdk-invocation-id;host, Signature={signature}|Connection: keep-alive"
    ),
    "Go v2": (
        b"Host: 127.0.0.1:8000|User-Agent: aws-sdk-go-v2/1.40.0 ua/2.1 os/linux|Content-Length: {length}|"
        b"Accept-Encoding: identity|Amz-Sdk-Invocation-Id: {number}|Amz-Sdk-Request: attempt=1; max=3|"
        b"Authorization: AWS4-HMAC-SHA256 Credential=AKID/20261128/eu-west-1/dynamodb/aws4_request, "
        b"SignedHeaders=accept-encoding;host, Signature={signature}|Content-Type: application/x-amz-json-1.0|"
        b"X-Amz-Date: {date}|X-Amz-Target: DynamoDB_20120810.{operation}"
    ),
    "Java v2": (
        b"Host: 127.0.0.1:8000|amz-sdk-invocation-id: {number}|amz-sdk-request: attempt=1; max=9|"
        b"Authorization: AWS4-HMAC-SHA256 Credential=AKID/20261128/eu-west-1/dynamodb/aws4_request, "
        b"SignedHeaders=amz-sdk-invocation-id;host, Signature={signature}|Content-Type: application/x-amz-json-1.0|"
        b"User-Agent: aws-sdk-java/2.39.0 md/io#sync md/http#Apache ua/2.1|X-Amz-Date: {date}|"
        b"X-Amz-Target: DynamoDB_20120810.{operation}|Content-Length: {length}|Connection: Keep-Alive"
    ),
}
"""Header lines as the SDKs send them."""


class Recorder:
    """Keeps what is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes, dict[bytes, bytes], list[bytes], bytes]] = []

    def at_once(self, asked: Request) -> None:
        """Each is handled."""

    async def handle(self, asked: Request) -> Response:
        self.asked.append((asked.method, asked.target, asked.headers, list(asked.headers), asked.body))
        return Response(200, b"", b"")

    def refuse(self, status: int, text: str = "") -> Response:
        return Response(status, b"", b"refused")


class Transport(asyncio.Transport):
    """The transport of a connection, without a network."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        pass

    resume_reading = pause_reading

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        pass

    def can_write_eof(self) -> bool:
        return False


class Talk:
    """A connection, and what it has read from the bytes sent."""

    def __init__(self, limits: Limits | None = None, server: HttpServer | None = None) -> None:
        self.recorder = Recorder()
        self.server = server or HttpServer(self.recorder, limits or Limits(), Loads(1), 0, Memory())
        self.connection = Connection(self.server, self.server.application)
        self.transport = Transport()
        self.connection.connection_made(self.transport)

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)

    @property
    def known(self) -> KnownHead | None:
        return self.connection._reader.known

    def outcome(self) -> tuple[Any, ...]:
        return self.recorder.asked, self.transport.written, self.transport.closed


def message(*lines: bytes, body: bytes = b"body", start: bytes = b"POST / HTTP/1.1") -> bytes:
    lines = lines or (b"Host: x", b"A: b", b"Content-Length: %d" % len(body))
    return b"\r\n".join((start, *lines, b"", body))


def sdk_message(lines: bytes, number: int) -> bytes:
    """An SDK's request; a number determines everything in it that changes."""
    body = b'{"n":"%d"}' % number
    changing = {
        b"operation": (b"GetItem", b"PutItem", b"BatchWriteItem")[number % 3],
        b"date": b"20261128T0601%02dZ" % (number % 60),
        b"signature": b"%064x" % (number * 7919),
        b"number": b"%08x-0000-4000-8000-000000000000" % number,
        b"length": b"%d" % len(body),
    }
    for name, value in changing.items():
        lines = lines.replace(b"{%b}" % name, value)
    return message(*lines.split(b"|"), body=body)


@pytest.mark.parametrize("by_itself", [False, True], ids=["with its body", "by itself"])
@pytest.mark.parametrize("sdk", SDKS)
def test_the_heads_of_an_sdk_are_recognised_after_a_few(sdk: str, by_itself: bool) -> None:
    talk, parsed = Talk(), Talk()
    for number in range(100):
        sent = sdk_message(SDKS[sdk], number)
        for piece in pieces_of(sent, [sent.index(b"\r\n\r\n") + 4] if by_itself else []):
            talk.send(piece)
        talk.server.known_heads.renew()
        parsed.connection._reader.known = None
        parsed.send(sent)
        if number > 10:
            assert talk.known is not None
            assert talk.known.read(sent) is not None
    assert talk.outcome() == parsed.outcome()
    assert len(talk.recorder.asked) == 100
    # The next connection of such a client begins with its patterns.
    another = Talk(server=talk.server)
    another.send(sdk_message(SDKS[sdk], 1))
    assert another.known is talk.known


def test_the_heads_of_boto3_are_recognised_after_a_few() -> None:
    sent = boto3_messages(4)
    talk = Talk()
    for one in sent:
        talk.send(one)
        talk.server.known_heads.renew()
    assert talk.known is not None
    assert talk.known.read(sent[0]) is not None


def boto3_messages(count: int) -> list[bytes]:
    """The bytes that boto3 sends in this number of calls: each head by itself, and each body."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            accepted, _ = listening.accept()
            with accepted:
                for _ in range(count):
                    received.append(accepted.recv(1 << 16, socket.MSG_PEEK))
                    received[-1] = accepted.recv(received[-1].index(b"\r\n\r\n") + 4)
                    received.append(accepted.recv(1 << 16))
                    accepted.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"TableNames":[]}')

        thread = threading.Thread(target=answer)
        thread.start()
        client = boto3.client(
            "dynamodb",
            endpoint_url=f"http://127.0.0.1:{listening.getsockname()[1]}",
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
            config=Config(retries={"max_attempts": 0}),
        )
        for limit in range(count):
            client.list_tables(Limit=limit + 1)
        thread.join()
    return received


KNOWN = [
    message(),
    message(b"Host: y:8000", b"A: of words, in\tall", b"Content-Length: 3", body=b"abc"),
    message(b"Host: x", b"A: ", b"Content-Length: 0", body=b""),
]
pieces = st.one_of(
    st.binary(max_size=3),
    st.sampled_from(
        [
            b"\r\n", b"\r", b"\n", b" ", b"\t", b",", b":", b"\0", b"\x7f", b"\xff", b"0", b"\r\n\r\n", b"HTTP/1.0",
            b"\r\nTransfer-Encoding: chunked", b"\r\nConnection: close", b"\r\nContent-Length: 4", b"\r\nHost: y",
            b"\r\nExpect: 100-continue", b"\r\nUpgrade: h2c", b"\r\n folded", b"GET", b"PUT", b" /?x",
        ]
    ),
)  # fmt: skip


@given(
    st.sampled_from(KNOWN),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 3), pieces), max_size=3),
    st.lists(st.one_of(st.just(-4), st.integers(-8, 80)), max_size=2),
)
@example(KNOWN[0], [(len(KNOWN[0]), 0, KNOWN[0])], [])
@example(KNOWN[0], [(len(KNOWN[0]) - 1, 1, b"")], [])
@example(KNOWN[0], [(0, 0, b"\r\n")], [])
@example(KNOWN[0], [], [-4])
@example(KNOWN[0], [], [-4, -2])
@example(KNOWN[0], [(len(KNOWN[0]), 0, b"more")], [len(KNOWN[0]) - 4])
@example(message(b"Host: x", b"A: b\nB: c", b"Content-Length: 4"), [], [])
@example(message(b"Host: x", b"A: b ", b"Content-Length: 4"), [], [])
@example(message(b"Host: x,y", b"A: b", b"Content-Length: 4"), [], [])
@example(message(b"Host: x", b"A: b", b"Content-Length: +4"), [], [])
@example(message(b"Host: x", b"A: b", b"Content-Length: 0004"), [], [])
@example(message(b"Host: x", b"a: b", b"Content-Length: 4"), [], [])
@settings(max_examples=1000, deadline=None)
def test_recognising_a_client_never_changes_the_result(
    asked: bytes, changes: list[tuple[int, int, bytes]], where: list[int]
) -> None:
    for place, length, piece in changes:
        asked = asked[:place] + piece + asked[place + length :]
    talk, parsed = Talk(), Talk()
    for one in (*KNOWN, *pieces_of(asked, where), KNOWN[0]):
        parsed.connection._reader.known = None
        for connection in (talk, parsed):
            if not connection.transport.closed:
                connection.send(one)
    assert talk.outcome() == parsed.outcome()


def pieces_of(data: bytes, where: list[int]) -> list[bytes]:
    """The data, cut at these places, which count from the end if they are negative."""
    marks = sorted({0, len(data), *[min(max(0, mark + len(data) * (mark < 0)), len(data)) for mark in where]})
    return [data[start:end] for start, end in pairwise(marks)]


@pytest.mark.parametrize(
    "lines",
    [
        (b"Host: x", b"Transfer-Encoding: chunked"),
        (b"Host: x", b"Content-Length: 4", b"Expect: 100-continue"),
        (b"Host: x", b"Content-Length: 4", b"Connection: close"),
        (b"Host: x", b"Content-Length: 4", b"Proxy-Connection: close"),
        (b"Host: x", b"Content-Length: 4", b"Connection: upgrade", b"Upgrade: h2c"),
        (b"Host: x", b"Content-Length: 4", b"A: b", b"a: c"),
        (b"Host: x", b"Content-Length: 4", b"A:b"),
        (b"Host: x", b"Content-Length: 4", b"A:  b"),
        (b"Host: x", b"Content-Length: 4", b"A: %b" % (b"b" * LONGEST)),
    ],
)
def test_heads_that_need_the_parser_are_not_learned(lines: tuple[bytes, ...]) -> None:
    talk = Talk()
    for _ in range(3):
        if not talk.transport.closed:
            talk.send(message(*lines, body=b"4\r\nbody\r\n0\r\n\r\n" if b"Transfer" in lines[1] else b"body"))
    assert talk.recorder.asked
    assert talk.known is None


def test_a_head_that_fits_the_limits_only_when_parsed_is_parsed() -> None:
    talk = Talk(Limits(head=100, body=20))
    for size in (4, 4, 20):
        talk.send(message(body=b"b" * size))
    assert talk.known is not None
    talk.send(message(body=b"b" * 21))
    assert talk.transport.written.endswith(b"refused")
    talk = Talk(Limits(headers=2))
    talk.send(message(b"Host: x", b"Content-Length: 4"))
    assert talk.known is not None
    talk.send(message())
    assert talk.transport.written.endswith(b"refused")


def test_strangers_cause_few_patterns() -> None:
    heads = KnownHeads(Limits())
    made = 0
    for number in range(1000):
        head = message(b"Host: x", b"X-%d: y" % number, b"Content-Length: 4", body=b"")
        talk = Talk()
        talk.send(head + b"body")
        made += heads.learn(head, Request(*talk.recorder.asked[0][:3])) is not None
        if number % 10 == 9:
            heads.renew()
    assert made <= SAVED_LESSONS + 100 * LESSONS
    assert len(heads._known) == PATTERNS


def test_a_client_whose_heads_all_differ_is_learned_from_a_few_times_a_second() -> None:
    talk = Talk()
    learned = set()
    for number in range(100):
        if number % 10 == 9:
            talk.server.now += 1
            talk.server.known_heads.renew()
        talk.send(message(b"Host: x", b"X-%d: y" % number, b"Content-Length: 4"))
        learned.add(talk.known)
    assert len(talk.recorder.asked) == 100
    assert len(learned) == 18


def test_a_client_that_changes_its_values_is_recognised_again_a_second_later() -> None:
    talk = Talk()
    for name in (b"A", b"B"):
        for number in range(100):
            talk.send(message(b"Host: x", b"%b: %d" % (name, number), b"Content-Length: 4"))
        talk.server.now += 1
    for number in range(2):
        one = message(b"Host: y", b"B: %d" % number, b"Content-Length: 4")
        talk.send(one)
    assert talk.known is not None
    assert talk.known.read(one) is not None


def test_a_request_with_a_known_head_has_the_names_of_its_headers_in_their_order() -> None:
    talk = Talk()
    for _ in range(2):
        talk.send(message())
    assert talk.known is not None
    found = talk.known.read(message())
    assert found is not None
    request, _ = found
    assert request.names == tuple(request.headers) == (b"host", b"a", b"content-length")
    assert [request.header(name) for name in (*request.names, b"b")] == [b"x", b"b", b"4", b""]
    assert [request.has(name) for name in (b"a", b"b")] == [True, False]


def test_a_request_keeps_its_headers_when_its_pattern_changes() -> None:
    talk = Talk()
    for _ in range(2):
        talk.send(message())
    assert talk.known is not None
    found = talk.known.read(message(b"Host: x", b"A: b", b"Content-Length: 1", body=b"c"))
    assert found is not None
    latest = talk.connection._source.latest
    talk.known.open([b"a"])
    assert found[0].headers == {b"host": b"x", b"a": b"b", b"content-length": b"1"}
    assert latest.headers == {b"host": b"x", b"a": b"b", b"content-length": b"4"}
    talk.send(message(b"Host: x", b"A: c", b"Content-Length: 4"))
    assert latest.headers == {b"host": b"x", b"a": b"c", b"content-length": b"4"}
    talk.send(message(b"Host: x", b"B: c", b"Content-Length: 4"))
    assert latest.headers == {b"host": b"x", b"b": b"c", b"content-length": b"4"}
