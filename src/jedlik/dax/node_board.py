"""The board of a server's nodes: what the parent, which starts them, and all other processes know of each other.

The parent writes on it which nodes there are, on which port each listens, and whether it serves. Workers and nodes read
it, and send the parent orders: the nodes that a cluster is to have. An order names all of them and has a version, so it
may be sent again, and one that comes too late does nothing.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson

HALF = 1 << 15
"""Bytes of a state of the board. There is room for two, so that readers have one that is not being written."""
LONGEST_ORDER = 4096
"""Bytes. What is no longer arrives in one piece (PIPE_BUF)."""
ANY_STORE = ""
"""The store of the server's own cluster, which serves all."""


class NodeName(NamedTuple):
    """Which node."""

    store: str
    cluster: str
    node: str


class SeenNode(NamedTuple):
    """A node, as the parent knows it."""

    name: NodeName
    zone: str
    port: int
    """0 where none could be taken."""
    generation: int
    """That of the process that serves, or is to serve."""
    is_serving: bool
    trouble: str = ""
    """Why it has no port."""


class OrderedNode(NamedTuple):
    """A node that a cluster is to have."""

    node: str
    zone: str
    port: int
    """The one that it had before, which it gets if it is free; 0 for any."""
    generation: int
    """A greater one than before means another process."""


class Order(NamedTuple):
    """The nodes that a cluster is to have, in their order: the first is the primary."""

    store: str
    cluster: str
    version: int
    is_encrypted: bool
    nodes: tuple[OrderedNode, ...]


class NodeBoard:
    """The board of a server. Made by the parent before it forks."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 2 * HALF + 8)
        self._turn = memoryview(self._memory)[2 * HALF :].cast("Q")
        """How often it was written; the lowest bit is the half that is good."""
        self._seen: tuple[SeenNode, ...] = ()
        self._read_turn = 0
        self.orders, self._orders_end = os.pipe()
        """The pipe in which orders arrive."""
        os.set_blocking(self.orders, False)

    def write(self, nodes: Sequence[SeenNode]) -> None:
        """Write which nodes there are. For the parent only."""
        written = orjson.dumps(nodes, default=tuple)
        turn = self._turn[0] + 1
        start = HALF * (turn & 1)
        self._memory[start : start + 4] = len(written).to_bytes(4, "big")
        self._memory[start + 4 : start + 4 + len(written)] = written
        self._turn[0] = turn

    def nodes(self) -> tuple[SeenNode, ...]:
        """Which nodes there are."""
        turn = self._turn[0]
        while turn != self._read_turn:
            start = HALF * (turn & 1)
            length = int.from_bytes(self._memory[start : start + 4], "big")
            written = self._memory[start + 4 : start + 4 + length]
            if self._turn[0] == turn:  # Else the half may have been written meanwhile.
                self._seen = tuple(_seen(*one) for one in orjson.loads(written))
                self._read_turn = turn
            turn = self._turn[0]
        return self._seen

    def of(self, store: str, cluster: str) -> tuple[SeenNode, ...]:
        """The nodes of a cluster, in their order."""
        return tuple(one for one in self.nodes() if one.name.store == store and one.name.cluster == cluster)

    def send(self, order: Order) -> None:
        """Send the parent an order."""
        os.write(self._orders_end, orjson.dumps(order, default=tuple) + b"\n")

    def reboot(self, name: NodeName) -> None:
        """Ask the parent for another process for a node of the server's own cluster."""
        os.write(self._orders_end, orjson.dumps(name, default=tuple) + b"\n")

    def received(self) -> Iterable[Order | NodeName]:
        """The orders that have arrived. For the parent only."""
        for line in os.read(self.orders, 64 * LONGEST_ORDER).splitlines():
            parts = orjson.loads(line)
            if len(parts) == len(NodeName._fields):
                yield NodeName(*parts)
            else:
                store, cluster, version, is_encrypted, nodes = parts
                yield Order(store, cluster, version, is_encrypted, tuple(OrderedNode(*one) for one in nodes))


def _seen(name: Sequence[str], *rest: object) -> SeenNode:
    return SeenNode(NodeName(*name), *rest)  # type: ignore[arg-type]


_board: NodeBoard | None = None


def use(board: NodeBoard) -> None:
    """Make this the board of the process, and of those that it forks."""
    global _board
    _board = board


def current() -> NodeBoard | None:
    """The board of this server; None in a process that is not a server's."""
    return _board
