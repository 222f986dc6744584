"""The wire, with bytes that no official client sends: framing, errors, garbage, and what is kept of attribute lists."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jedlik.dax.request_framing import MOST_BYTES
from testing.dax import raw_client
from testing.dax.node_processes import process_of
from testing.dax.raw_client import RawClient, authorization, preamble, request, values
from testing.jedlik_process import Server, eventually, run_jedlik

GET = request(raw_client.GET_ITEM, b"p-s", b"raw", None)


@pytest.fixture
def raw(dax_server: Server, dynamodb: Any) -> Iterator[RawClient]:
    dynamodb.put_item(TableName="p-s", Item={"p": {"S": "raw"}, "v": {"N": "7"}})
    with RawClient(dax_server.dax_url) as client:
        yield client


def test_endpoints_are_those_by_which_the_client_has_come(dax_server: Server, raw: RawClient) -> None:
    raw.send(preamble(), authorization(), request(raw_client.ENDPOINTS))
    [success, [node]] = raw.answer(1)
    port = int(dax_server.dax_url.rpartition(":")[2])
    assert success == []
    assert node == {0: 1, 1: "127.0.0.1", 2: bytes((127, 0, 0, 1)), 3: port, 4: 1, 5: "local", 6: 1}


def test_a_request_may_come_byte_by_byte_and_with_others(raw: RawClient) -> None:
    for byte in preamble() + authorization() + GET:
        raw.send(bytes((byte,)))
    first = raw.answer(1)
    assert first[0] == []
    raw.send(GET)
    assert raw.answer(1) == first
    raw.send(request(raw_client.DEFINE_KEY_SCHEMA, b"p-n-b"), request(raw_client.DEFINE_LIST, 1))
    raw.socket.settimeout(60)
    expected = values([], {"p": "N", "s": "B"}, [], [])
    received = b""
    while len(received) < len(expected):
        received += raw.socket.recv(1 << 16)
    assert received == expected


def test_a_client_that_wants_frames_gets_frames(raw: RawClient) -> None:
    raw.send(preamble(layering=1), authorization(), request(raw_client.DEFINE_KEY_SCHEMA, b"p-s"))
    body = values([], {"p": "S"})
    frame = struct.pack(">II", len(body) + 8, 1 << 24) + body
    received = b""
    while len(received) < len(frame):
        received += raw.socket.recv(1 << 16)
    assert received == frame


def test_values_in_other_forms_than_the_clients_send(raw: RawClient) -> None:
    """Lengths that are longer than they need be, and duplicates of parameters, of which the last counts."""
    long_key = b"\x5a\x00\x00\x00\x03raw"
    parameters = b"\xbf\x02\xf5\x02\xf4\xff"
    raw.send(preamble(), authorization(), values(1, raw_client.GET_ITEM, b"p-s"), long_key, parameters)
    first = raw.answer(1)
    raw.send(GET)
    assert raw.answer(1) == first
    assert first[1].keys() == {0}


@pytest.mark.parametrize("host", ["dax.amazonaws.com", "https://dax.amazonaws.com", "elsewhere"])
def test_who_asks_is_believed_where_nothing_is_verified(raw: RawClient, host: str) -> None:
    raw.send(preamble(), authorization(host=host), GET)
    assert raw.answer(1)[0] == []


def test_an_authorization_that_cannot_be_believed_is_refused_with_the_next_request(raw: RawClient) -> None:
    raw.send(preamble(), authorization(region="no_region!"), GET)
    codes, message, [_, name, status] = raw.answer(1)
    assert codes == [4, 23, 31, 33]
    assert message.startswith("Credential should be scoped to a valid region, not 'no_region!'.")
    assert (name, status) == ("InvalidSignatureException", 400)
    raw.send(authorization(), GET)
    assert raw.answer(1)[0] == []


@pytest.mark.parametrize(
    "malformed",
    [
        request(raw_client.GET_ITEM, "text", b"k", None),
        request(raw_client.GET_ITEM, "p-s", 5, None),
        request(raw_client.GET_ITEM, b"p-s", b"\xff", None),
        request(raw_client.GET_ITEM, b"p-n", b"\x61x", None),
        request(raw_client.GET_ITEM, b"p-n", b"\x01\x01", None),
        request(raw_client.GET_ITEM, b"p-s", b"k", [1]),
        request(raw_client.GET_ITEM, b"p-s", b"k", {99: 1}),
        request(raw_client.GET_ITEM, b"p-s", b"k", {0: b"\x82\x01\x80"}),
        request(raw_client.GET_ITEM, b"p-s", b"k", {3: 9}),
        request(raw_client.PUT_ITEM, b"p-s", b"k", b"\x19\xff\xff", None),
        request(raw_client.PUT_ITEM, b"p-s", b"k", b"\x01\x01", None),
        request(raw_client.UPDATE_ITEM, b"p-s", b"k", {8: values([1, [[19, [18, "v"], [17, 5]]], []])}),
        request(raw_client.UPDATE_ITEM, b"p-s", b"k", {8: values([1, [[99, [18, "v"]]], []])}),
        request(raw_client.DELETE_ITEM, b"p-s", b"k", {4: b"\x83\x01" + b"\x82\x08" * 500 + b"\xf6\x80"}),
        request(raw_client.DEFINE_LIST, 1 << 60),
        request(raw_client.DEFINE_LIST_ID, [1]),
        request(raw_client.BATCH_GET, {"p-s": 1}, None),
        request(raw_client.BATCH_WRITE, {"p-s": [b"k"]}, None),
        request(raw_client.TRANSACT_GET, [b"p-s"], [b"k", b"l"], None, None),
        request(raw_client.TRANSACT_WRITE, [99], [b"p-s"], [b"k"], None, None, None, None, None, None),
        request(raw_client.QUERY, b"p-s", 5, None),
        request(raw_client.SCAN, b"p-s", {9: b"\xff\xff"}),
    ],
)
def test_a_request_that_is_malformed_inside_is_refused_and_the_next_one_answered(
    raw: RawClient, malformed: bytes
) -> None:
    raw.send(preamble(), authorization(), malformed)
    codes, message, [_, name, _] = raw.answer(1)
    assert codes in ([4, 37, 38, 39, 46], [4, 37, 38, 39, 41])
    assert name in ("ValidationException", "ResourceNotFoundException")
    assert message
    raw.send(GET)
    assert raw.answer(1)[0] == []


GARBAGE = [
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
    preamble(magic="J7yne5H"),
    preamble(layering=2),
    b"\xff" * 50,
    b"\x9f" * 100,
    b"\x7b" + b"\xff" * 8,
    preamble() + b"\x02\x00",
    preamble() + values(1, 12345),
    preamble() + values(1, -475661135),
    preamble() + values(1, "getItem"),
    preamble() + authorization() + values(1, raw_client.GET_ITEM) + b"\x5f\x41a\xff",
    preamble() + authorization() + values(1, raw_client.GET_ITEM, b"p-s") + b"\x5a" + struct.pack(">I", MOST_BYTES),
    preamble() + authorization() + values(1, raw_client.BATCH_GET) + b"\xbb" + b"\x7f" * 8,
    preamble() + authorization() + values(1, raw_client.BATCH_GET) + b"\x81" * 100,
    preamble() + authorization() + values(1, raw_client.BATCH_GET) + b"\x9f" + bytes(300_000),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_costs_a_closed_connection_and_nothing_else(dax_server: Server, raw: RawClient, garbage: bytes) -> None:
    with contextlib.suppress(OSError):  # It may be closed before the last byte.
        raw.send(garbage)
    assert raw.ends()
    with RawClient(dax_server.dax_url) as other:
        other.send(preamble(), authorization(), GET)
        assert other.answer(1)[0] == []
    assert not [line for line in dax_server.log_lines() if line["level"] in ("warning", "error")]


def test_attribute_lists_and_items_survive_a_kill(start_server: Callable[..., Server]) -> None:
    server = start_server(dax=True, dax_port=0)
    server.client().create_table(
        TableName="kept",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    lists = [["b", "a"], ["a", "b"], ["v"], ["b", "a"]]
    with RawClient(server.dax_url) as client:
        client.send(preamble(), authorization())
        numbers = []
        for names in lists:
            client.send(request(raw_client.DEFINE_LIST_ID, names))
            numbers.append(client.answer(1)[1])
        assert numbers == [2, 3, 4, 2]
        client.send(request(raw_client.PUT_ITEM, b"kept", b"k", values(4, 7), None))
        assert client.answer(1) == [[], None]
    server.kill()
    server.restart()
    with RawClient(server.dax_url) as client:
        client.send(preamble(), authorization(), request(raw_client.DEFINE_LIST, 2))
        assert client.answer(1) == [[], ["b", "a"]]
        get = request(raw_client.GET_ITEM, b"kept", b"k", None)
        client.send(get)
        assert client.answer(1) == [[], {0: values(4, 7)}]
        server.client().put_item(TableName="kept", Item={"p": {"S": "k"}, "v": {"N": "8"}})
        eventually(lambda: _answer(client, get) == {0: values(4, 8)})  # The table is followed as before.
    assert server.stop() == 0
    checked = run_jedlik("check", "--data-dir", str(server.options["data_dir"]))
    assert checked.returncode == 0, checked.stdout


def _answer(client: RawClient, asked: bytes) -> Any:
    client.send(asked)
    return client.answer(1)[1]


def test_a_node_that_dies_is_replaced(start_server: Callable[..., Server]) -> None:
    server = start_server(dax=True, dax_port=0, in_memory=True)
    before = server.workers()
    with RawClient(server.dax_url) as client:
        client.send(preamble(), authorization(), request(raw_client.ENDPOINTS))
        client.answer(1)
        os.kill(process_of(int(server.dax_url.rpartition(":")[2])), signal.SIGKILL)
        assert client.ends()
    with RawClient(server.dax_url) as client:
        client.send(preamble(), authorization(), request(raw_client.DEFINE_LIST_ID, ["a"]))
        assert client.answer(1) == [[], 2]
    eventually(lambda: len(server.workers()) == len(before))
    assert server.stop() == 0
