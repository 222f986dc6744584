"""A client of DAX, whatever it sends, in whatever pieces, over a node with tables and real handlers.

What holds: nothing raises or is logged as a fault; a whole request has one answer, which is a success or an error in
DAX's form; what is no request closes the connection; and what is held of the memory for bodies is given back.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from fuzz.choices import Choices
from fuzz.connections import Network
from fuzz.service import NOW, Finding, watch
from fuzz.store import DictEngine
from jedlik.aws.authorizer import Everybody
from jedlik.aws.calls import Calls
from jedlik.aws.unsigned import Trusting
from jedlik.dax.attribute_lists import AttributeLists
from jedlik.dax.cache import Cache
from jedlik.dax.client_connection import ClientConnection
from jedlik.dax.following import Following
from jedlik.dax.listener import Listener
from jedlik.dax.node import Node, Place
from jedlik.dax.node_board import ANY_STORE, NodeBoard, NodeName, SeenNode
from jedlik.dax.plane import Plane
from jedlik.dynamodb.service import SERVICE
from jedlik.memory import MIB, Memory
from jedlik.process.dax_node import check_projection
from jedlik.regions.region import Region
from jedlik.wire.messages import Limits
from testing.dax import raw_client
from testing.dax.connections import at_rest
from testing.dax.raw_client import authorization, preamble, request, values
from testing.dax.twins import TABLES

ACCOUNT = "000000000000"
SHORT = Limits(connections=2, idle=20.0, request=10.0)


class Socket(Network):
    """The transport, with addresses."""

    def get_extra_info(self, name: str) -> Any:
        """Those of both ends."""
        return ("127.0.0.1", 40_000 if name == "peername" else 8111)


class NodeOfOne:
    """A node over a region in memory, which every input finds as it was."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.faults = watch()
        self.engine = DictEngine(self.loop)
        self.region = Region("us-east-1", ACCOUNT, self.engine, lambda: NOW, b"s" * 32)
        self.memory = Memory()
        stores: Any = self
        calls = Calls(stores, SERVICE.operations, Everybody(), self.memory.answers)
        lists = AttributeLists(stores)
        caller: Any = None
        for table in TABLES:
            made = calls.call("us-east-1", caller, "CreateTable", table | {"BillingMode": "PAY_PER_REQUEST"}, "")
            self.loop.run_until_complete(made)
        self.cache = Cache(MIB)
        following = Following(self.cache, None, "")
        plane = Plane(calls, lists, self.cache, check_projection, stores, following, "default")
        name, board = NodeName(ANY_STORE, "default", "default-a"), NodeBoard()
        board.write([SeenNode(name, "local", 8111, 0, is_serving=True)])
        self.node = Node(plane, Trusting((), lambda: NOW), Place(name, board), ACCOUNT)
        self.kept = dict(self.engine.rows)

    def opened(self, name: str) -> Region:
        """The one region, under any name."""
        return self.region

    async def use(self, name: str, work: Any) -> Any:
        """As the stores of a process."""
        return await work(self.region)

    def run(self, pieces: list[bytes]) -> bytes:
        """What is answered to these pieces. Raises Finding."""
        listener = Listener(self.node, SHORT, self.memory)
        network = Socket()
        connection = ClientConnection(listener)
        free = self.memory.bodies.free
        connection.connection_made(cast(asyncio.Transport, network))

        async def send() -> None:
            for piece in pieces:
                if not network.closing:
                    connection.data_received(piece)
                    await at_rest(connection)

        self.loop.run_until_complete(send())
        self.faults.check()
        network.abort()
        connection.connection_lost(None)
        if self.memory.bodies.free != free:
            raise Finding("memory is held of a connection that has ended")
        self.engine.rows = dict(self.kept)
        self.cache.clear()
        return b"".join(network.written)


NODE = NodeOfOne()
EXPRESSION = values([1, [6, [0, [18, "v"], [17, 0]], [16, [18, "w", "x"]]], [1]])
REQUESTS = (
    request(raw_client.ENDPOINTS),
    request(raw_client.DEFINE_KEY_SCHEMA, b"p-s-n"),
    request(raw_client.DEFINE_LIST_ID, ["v", "w"]),
    request(raw_client.DEFINE_LIST, 2),
    request(raw_client.GET_ITEM, b"p-s", b"k", {2: True, 3: 1}),
    request(raw_client.GET_ITEM, b"p-s", b"k", {0: values([1, [[18, "v"], [18, "w", "x"]]])}),
    request(raw_client.PUT_ITEM, b"p-s", b"k", values(2, 7, {"x": 1.5}), {4: EXPRESSION, 7: 2}),
    request(raw_client.PUT_ITEM, b"p-s-n", b"\x61q\xc1\x28\x80\x10", values(1), None),
    request(raw_client.PUT_ITEM, b"p-n-b", b"\xc4\x82\x20\x0fxyz", values(1), None),
    request(raw_client.UPDATE_ITEM, b"p-s", b"k", {8: values([1, [[19, [18, "v"], [25, [18, "v"], [17, 0]]]], [1]])}),
    request(raw_client.DELETE_ITEM, b"p-b", b"\x00\xff", {3: 2, 6: 1}),
    request(raw_client.QUERY, b"p-s-n", values([1, [0, [18, "p"], [17, 0]], ["q"]]), {13: 1, 14: 0, 9: b"\x61q\x80"}),
    request(raw_client.QUERY, b"p-s-n", values([1, [0, [18, "g"], [17, 0]], ["q"]]), {11: b"of-g", 15: 1}),
    request(raw_client.SCAN, b"p-s", {10: EXPRESSION, 16: 0, 17: 2}),
    request(raw_client.BATCH_GET, {"p-s": [False, None, [b"k", b"l"]]}, {3: 1}),
    request(raw_client.BATCH_WRITE, {"p-s": [b"k", values(2, 1, 2), b"l", None]}, {3: 1}),
    request(raw_client.TRANSACT_GET, [b"p-s", b"p-n"], [b"k", b"\x01"], None, {3: 2}),
    request(
        raw_client.TRANSACT_WRITE,
        *([2, 7, 9, 12], [b"p-s"] * 4, [b"k", b"l", b"m", b"n"], [values(1), None, None, None], None, [2, 1, 1, 2]),
        *([None, None, None, EXPRESSION], [None, None, values([1, [[22, [18, "v"]]], []]), None], {19: "token"}),
    ),
)
PIECES = (
    *(b"\x00", b"\x1b" + b"\xff" * 8, b"\x3b" + b"\xff" * 8, b"\xf9\x7e\x00", b"\xfb\x7f\xf0" + bytes(6), b"\xf6"),
    *(
        b"\xf5",
        b"\x80",
        b"\x82",
        b"\x9f",
        b"\xa0",
        b"\xa1",
        b"\xbf",
        b"\xff",
        b"\xc2\x41\x01",
        b"\xc3\x58\xff",
        b"\xc4",
    ),
    *(b"\xd9\x0c\xf9", b"\xd9\x0c\xfa", b"\xd9\x0c\xfb", b"\xd9\x0c\xfc", b"\x5f", b"\x7f", b"\x40", b"\x60", b"\x61v"),
    *REQUESTS,
    EXPRESSION,
    authorization(),
)
REQUESTS_PER_INPUT = 3
CHANGES = 4


def attempt(data: bytes) -> None:
    """A preamble, and some requests that begin as valid ones."""
    choices = Choices(data)
    sent = preamble(layering=choices.below(2)) + authorization()
    for _ in range(REQUESTS_PER_INPUT):
        sent += _changed(choices, choices.one_of(REQUESTS))
        if not choices:
            break
    step = choices.below(64) * 8 or len(sent)
    answer = NODE.run([sent[at : at + step] for at in range(0, len(sent), step)])
    if answer and answer[:1] != b"\x80" and answer[:1] < b"\x81" and sent[9:10] == b"\x00":
        raise Finding(f"an answer that is none: {answer[:20]!r}")


def _changed(choices: Choices, valid: bytes) -> bytes:
    changed = bytearray(valid)
    for _ in range(choices.below(CHANGES + 1)):
        at = choices.below(len(changed) + 1)
        changed[at : at + choices.below(8)] = choices.one_of(PIECES) if choices.below(2) else choices.take(2)
    return bytes(changed)


SEEDS = [bytes((0, number, 0)) for number in range(len(REQUESTS))] + [
    bytes((number % 2, number, 2, 5, 3, 0, number, 9, 2, 1, 7, 7)) for number in range(len(REQUESTS))
]
