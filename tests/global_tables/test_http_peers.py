"""Peers over HTTP: requests are signed, refusals come back as what they are, and all else is an unreachable peer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import requests
from world import TABLE, A, B

from jedlik.config import Peer
from jedlik.model.errors import (
    InvalidSignatureException,
    ResourceNotFoundException,
    UnrecognizedClientException,
    ValidationException,
)
from jedlik.replication.http_peers import HttpPeers
from jedlik.replication.peers import Body, PeerUnreachable
from jedlik_process import Server

StartServer = Callable[..., Server]

PULL: Body = {"Wait": 0, "Tables": []}


def call(peer: Peer, operation: str, body: Body, region: str = B) -> Body:
    """What a peer answers."""

    async def once() -> Body:
        peers = HttpPeers({region: peer})
        try:
            return await peers.call(region, operation, body)
        finally:
            await peers.close()

    return asyncio.run(once())


def peer_of(server: Server, **members: str) -> Peer:
    return Peer(**{"endpoint": server.url, "access_key": server.access_key, "secret_key": server.secret_key} | members)


@pytest.fixture
def guarded(start_server: StartServer) -> Server:
    """A server that verifies signatures."""
    return start_server(auth="on", in_memory=True)


def test_a_peer_answers_one_who_signs(guarded: Server) -> None:
    answer = call(peer_of(guarded), "Pull", PULL)
    assert answer["Tables"] == []


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"access_key": "AKIDUNKNOWN"}, UnrecognizedClientException),
        ({"secret_key": "another"}, InvalidSignatureException),
    ],
)
@pytest.mark.parametrize("operation", ["Pull", "BeginCopy", "CopyPage", "Missing"])
def test_a_pull_by_one_who_may_not_is_refused(
    guarded: Server, operation: str, wrong: dict[str, str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        call(peer_of(guarded, **wrong), operation, PULL)


@pytest.mark.parametrize("operation", ["Pull", "BeginCopy", "CopyPage", "Missing"])
def test_a_pull_without_a_signature_is_refused(guarded: Server, operation: str) -> None:
    headers = {"X-Amz-Target": f"JedlikPeers_1.{operation}", "Content-Type": "application/x-amz-json-1.0"}
    answer = requests.post(guarded.url, json=PULL, headers=headers, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["__type"] == "com.amazon.coral.service#MissingAuthenticationTokenException"


def test_a_refusal_is_raised_as_what_it_is(guarded: Server) -> None:
    with pytest.raises(ResourceNotFoundException) as refusal:
        call(peer_of(guarded), "BeginCopy", {"TableName": TABLE, "GroupId": "group"})
    assert refusal.value.message == "Requested resource not found: Table: Music has no such replica"
    with pytest.raises(ValidationException):
        call(peer_of(guarded), "BeginCopy", {})


def test_a_table_that_is_no_replica_is_not_told(guarded: Server) -> None:
    client = guarded.client(region=A)
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    asked = {"TableName": TABLE, "GroupId": "", "Position": 0, "SourceId": None, "GroupVersion": None}
    answer = call(peer_of(guarded), "Pull", {"Wait": 0, "Tables": [asked]}, A)
    assert answer["Tables"] == [{"TableName": TABLE, "Gone": True}]


def test_a_peer_that_is_down_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(PeerUnreachable, match=f"^{B}: Cannot connect to host 127.0.0.1"):
            call(Peer(endpoint, "key", "secret"), "Pull", PULL)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "an answer with status 200 that is not JSON"),
        (b'HTTP/1.1 500 Oh\r\nContent-Length: 30\r\n\r\n{"__type":"x#Oh","message":""}', "Oh (500): "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", "an answer of 99999999 bytes"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\n{}", " (302): "),
        (b"nonsense\r\n\r\n", "400, message"),
    ],
)
def test_an_answer_that_is_none_is_a_peer_that_is_unreachable(answer: bytes, told: str) -> None:
    async def with_fake(test: Callable[[str], Awaitable[Any]]) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            await test(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    async def ask(endpoint: str) -> None:
        peers = HttpPeers({B: Peer(endpoint, "key", "secret")})
        with pytest.raises(PeerUnreachable) as error:
            await peers.call(B, "Pull", PULL)
        assert told in str(error.value)
        await peers.close()

    asyncio.run(with_fake(ask))
