"""Peers over HTTP: requests are signed, refusals are recognised, and anything else is an unreachable peer."""

from __future__ import annotations

import asyncio
import gzip
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from jedlik.aws.errors import ValidationException
from jedlik.config import Peer
from jedlik.dynamodb.errors import ResourceNotFoundException
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.replication.aside import WrongAnswer
from jedlik.dynamodb.replication.http_peers import ANSWER_BYTES, HttpPeers
from jedlik.memory import Memory, Share
from jedlik.regions.peers import Body, PeerUnreachable
from testing.global_tables.world import TABLE, A, B
from testing.jedlik_process import Server

StartServer = Callable[..., Server]

SECRET = "the-secret-with-which-this-one-signs-0123456789"
FORMER = "the-one-that-others-may-still-sign-with-0123456789"
PULL: Body = {"Wait": 0, "Tables": []}


def call(peer: Peer, operation: str, body: Body, region: str = B, secret: str = SECRET) -> Body:
    """What a peer answers."""

    async def once() -> Body:
        peers = HttpPeers({region: peer}, secret, Memory().peers)
        try:
            return await peers.call(region, operation, body)
        finally:
            await peers.close()

    return asyncio.run(once())


def peer_of(server: Server) -> Peer:
    return Peer(server.url)


@pytest.fixture
def guarded(start_server: StartServer) -> Server:
    """A server that verifies signatures."""
    return start_server(auth="on", in_memory=True, environment={"JEDLIK_PEER_SECRET": f"{SECRET} {FORMER}"})


def test_a_peer_answers_a_signed_request(guarded: Server) -> None:
    answer = call(peer_of(guarded), "Pull", PULL)
    assert answer["Tables"] == []


def test_a_refusal_is_raised_as_its_own_error(guarded: Server) -> None:
    with pytest.raises(ResourceNotFoundException) as refusal:
        call(peer_of(guarded), "BeginCopy", {"TableName": TABLE, "GroupId": "group"})
    assert refusal.value.message == "Requested resource not found: Table: Music has no such replica"
    with pytest.raises(ValidationException):
        call(peer_of(guarded), "BeginCopy", {})


def test_a_table_that_is_no_replica_is_not_revealed(guarded: Server) -> None:
    client = guarded.client(region=A)
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    asked = {"TableName": TABLE, "GroupId": "group", "Position": 0, "SourceId": None, "GroupVersion": None}
    answer = call(peer_of(guarded), "Pull", {"Wait": 0, "Tables": [asked]}, A)
    assert answer["Tables"] == [{"TableName": TABLE, "Gone": True}]


def test_a_peer_that_is_down_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(PeerUnreachable, match=f"^{B}: Cannot connect to host 127.0.0.1"):
            call(Peer(endpoint), "Pull", PULL)


JSON = b"Content-Type: application/x-amz-json-1.0\r\n"
FAR_TOO_MUCH = 1 << 30
"""Bytes of an answer: more than any server reads."""


def answer(body: bytes, *more: bytes, status: bytes = b"200 OK", content_type: bytes = JSON) -> Iterator[bytes]:
    """An answer as it goes over the wire."""
    yield b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n%b\r\n" % (status, content_type, len(body), b"".join(more))
    yield body


def chunked(piece: bytes, *more: bytes) -> Iterator[bytes]:
    """An endless answer, in pieces."""
    yield b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n%b\r\n" % (JSON, b"".join(more))
    for _ in range(FAR_TOO_MUCH // len(piece)):
        yield b"%x\r\n%b\r\n" % (len(piece), piece)


def endless_head() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(FAR_TOO_MUCH // 1000):
        yield b"X-%d: %b\r\n" % (number, b"x" * 1000)


GZIP = b"Content-Encoding: gzip\r\n"
BOMB = gzip.compress(bytes(1 << 30), 9)
"""A gigabyte of zeros in a megabyte."""


def ask_liar(parts: Callable[[], Iterator[bytes]], share: Share) -> tuple[str, int]:
    """The error about a peer that answers so, and the number of bytes that it could send."""
    sent = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        with suppress(ConnectionError):
            for part in parts():
                writer.write(part)
                await writer.drain()
                sent += len(part)
        writer.close()

    async def ask() -> str:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            peer = Peer(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            peers = HttpPeers({B: peer}, SECRET, share)
            try:
                with pytest.raises((PeerUnreachable, WrongAnswer)) as error:
                    await peers.call(B, "Pull", PULL)
            finally:
                await peers.close()
            return f"{type(error.value).__name__}: {error.value}"

    return asyncio.run(ask()), sent


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (lambda: answer(b"hello"), "WrongAnswer: Pull: an answer with status 200 that is no JSON object"),
        (lambda: answer(b"[]"), "WrongAnswer: Pull: an answer with status 200 that is no JSON object"),
        (
            lambda: answer(b"{}", content_type=b"Content-Type: text/html\r\n"),
            "WrongAnswer: Pull: an answer with status 200",
        ),
        (lambda: answer(b"[" * 100_000), "WrongAnswer: Pull: an answer with status 200 that is no JSON object"),
        (lambda: answer(b"{}", GZIP), "WrongAnswer: an answer that is not in the coding that it names"),
        (lambda: answer(gzip.compress(b"{}")[:-1], GZIP), "WrongAnswer: an answer that is not in the coding"),
        (lambda: answer(gzip.compress(b"{}") * 2, GZIP), "WrongAnswer: an answer that is not in the coding"),
        (
            lambda: answer(b"{}", b"Content-Encoding: br\r\n"),
            "WrongAnswer: an answer in a coding that was not asked for",
        ),
        (lambda: answer(b'{"__type":"x#Oh","message":""}', status=b"500 Oh"), f"PeerUnreachable: {B}: Oh (500): "),
        (
            lambda: answer(b'{"__type":"x#DescriptorChanged"}', status=b"400 No"),
            f"PeerUnreachable: {B}: DescriptorChanged (400)",
        ),
        (lambda: answer(b"[]", status=b"400 No"), f"PeerUnreachable: {B}:  (400): "),
        (
            lambda: answer(b"{}", b"Location: http://127.0.0.1:1/\r\n", status=b"302 Found"),
            f"PeerUnreachable: {B}:  (302): ",
        ),
        (lambda: iter([b"nonsense\r\n\r\n"]), "PeerUnreachable: "),
        (
            lambda: iter([b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"]),
            "WrongAnswer: an answer of more than 8388608 bytes",
        ),
        (lambda: answer(BOMB, GZIP), "WrongAnswer: an answer of more than 8388608 bytes"),
        (lambda: chunked(b" " * 65536), "WrongAnswer: an answer of more than 8388608 bytes"),
        (lambda: chunked(BOMB, GZIP), "WrongAnswer: an answer of more than 8388608 bytes"),
        (endless_head, "PeerUnreachable: "),
    ],
)
def test_an_invalid_answer_is_refused_and_not_read_further(parts: Callable[[], Iterator[bytes]], told: str) -> None:
    error, sent = ask_liar(parts, Memory().peers)
    assert error.startswith(told)
    # The buffers of the sockets are sent, too.
    assert sent < ANSWER_BYTES + 16 * MIB


def test_a_megabyte_that_decompresses_to_a_gigabyte_takes_no_gigabyte() -> None:
    tracemalloc.start()
    try:
        ask_liar(lambda: answer(BOMB, GZIP), Memory().peers)
        assert tracemalloc.get_traced_memory()[1] < 4 * ANSWER_BYTES
    finally:
        tracemalloc.stop()


def test_a_compressed_answer_is_read(guarded: Server) -> None:
    client = guarded.client(region=A)
    for number in range(60):
        client.create_table(
            TableName=f"table-{number:03}",
            KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    asked = [
        {"TableName": f"table-{number:03}", "GroupId": "group", "Position": 0, "SourceId": None, "GroupVersion": None}
        for number in range(60)
    ] + [
        {"TableName": f"none-{number:03}", "GroupId": "group", "Position": 0, "SourceId": None, "GroupVersion": None}
        for number in range(60)
    ]
    told = call(peer_of(guarded), "Pull", {"Wait": 0, "Tables": asked}, A)
    assert [table["Gone"] for table in told["Tables"]] == [True] * 120


def test_answers_count_in_the_memory_of_all_peers_and_release_it() -> None:
    share = Share(60_000)
    text, _ = ask_liar(lambda: answer(b'{"a":"%b"}' % (b"a" * 100_000)), share)
    assert text == f"PeerUnreachable: {B}: no memory for its answer"
    assert share.free == share.size
    text, _ = ask_liar(lambda: answer(b"[]"), share)
    assert text.startswith("WrongAnswer: Pull")
    assert share.free == share.size
