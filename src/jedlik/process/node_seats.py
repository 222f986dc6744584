"""The nodes of DAX that a server is to have, as its parent keeps them: the port of each, and what the board shows.

The nodes of the server's own cluster are there from the beginning. Those of clusters that were made come and go by the
orders that workers send (`dax/node_board.py`). A node keeps its port for as long as it is to be, so a client that
connects while its process is being replaced waits for the next one.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from jedlik.config import Settings
from jedlik.dax import node_board
from jedlik.dax.cluster_nodes import MOST_HERE, node_id
from jedlik.dax.cluster_records import DEFAULT_CLUSTER
from jedlik.dax.cluster_views import ZONE
from jedlik.dax.node_board import ANY_STORE, NodeBoard, NodeName, Order, SeenNode
from jedlik.process.listeners import StartError, take_port

log = logging.getLogger(__name__)

MOST_PORTS = 1024
"""How far from the first port a free one is looked for."""


@dataclass(slots=True)
class Seat:
    """A node that is to be."""

    name: NodeName
    zone: str
    generation: int
    is_encrypted: bool
    listening: list[socket.socket] = field(default_factory=list)
    trouble: str = ""
    """Why there is no process for it."""

    @property
    def port(self) -> int:
        """Where it listens; 0 if it does not."""
        return self.listening[0].getsockname()[1] if self.listening else 0


class NodeSeats:
    """All of them."""

    def __init__(self, settings: Settings) -> None:
        """Take the ports of the server's own cluster. Raises StartError."""
        self.board = NodeBoard()
        node_board.use(self.board)
        self.seats: dict[NodeName, Seat] = {}
        self._settings = settings
        self._versions: dict[tuple[str, str], int] = {}
        """Those of the orders that have been carried out."""
        self._shown: list[SeenNode] = []
        is_encrypted = settings.tls_cert is not None
        for number in range(settings.dax_nodes if settings.dax else 0):
            name = NodeName(ANY_STORE, DEFAULT_CLUSTER, node_id(DEFAULT_CLUSTER, number))
            port = settings.dax_port + number if settings.dax_port else 0
            seat = self.seats[name] = Seat(name, ZONE, 0, is_encrypted)
            seat.listening = take_port(settings.host, port)

    def renew(self, settings: Settings) -> None:
        """Go by these settings from now on."""
        self._settings = settings
        for name, seat in self.seats.items():
            if name.store == ANY_STORE:
                seat.is_encrypted = settings.tls_cert is not None

    def startable(self) -> Iterator[Seat]:
        """Those that may have a process."""
        return (seat for seat in self.seats.values() if not seat.trouble)

    def carry_out(self) -> None:
        """Carry out the orders that have arrived."""
        for order in self.board.received():
            if isinstance(order, NodeName):
                if order in self.seats:
                    self.seats[order].generation += 1
            elif order.version >= self._versions.get((order.store, order.cluster), 0):
                self._versions[order.store, order.cluster] = order.version
                self._carry_out(order)

    def _carry_out(self, order: Order) -> None:
        wanted = {NodeName(order.store, order.cluster, one.node): one for one in order.nodes}
        for name in [name for name in self.seats if name[:2] == (order.store, order.cluster) and name not in wanted]:
            _close(self.seats.pop(name).listening)
        for name, one in wanted.items():
            seat = self.seats.get(name)
            if seat is None:
                if len(self.seats) >= MOST_HERE:
                    log.error("a node is not started: the server has %d", MOST_HERE, extra={"node": name.node})
                    continue
                seat = self.seats[name] = Seat(name, one.zone, one.generation, order.is_encrypted)
            seat.generation = one.generation
            if not seat.listening:
                self._take_port(seat, one.port)

    def _take_port(self, seat: Seat, former: int) -> None:
        """Take the port that a node had before, or another; or note why it has none."""
        before = seat.trouble
        if seat.is_encrypted and self._settings.tls_cert is None:
            seat.trouble = "its cluster takes TLS, and the server has no certificate"
        else:
            seat.trouble = "no port is free"
            for port in self._ports(former):
                try:
                    seat.listening = take_port(self._settings.host, port)
                except StartError:
                    continue
                seat.trouble = ""
                return
        if seat.trouble != before:
            log.error("a node is not started: %s", seat.trouble, extra={"node": seat.name.node})

    def _ports(self, former: int) -> Iterator[int]:
        """The ports to be tried, one after the other."""
        if former:
            yield former
        first = self._settings.dax_port
        if not first:
            yield 0
            return
        own = self._settings.dax_nodes if self._settings.dax else 0
        taken = {seat.port for seat in self.seats.values()}
        yield from (port for port in range(first + own, min(first + MOST_PORTS, 1 << 16)) if port not in taken)

    def show(self, serving: Mapping[NodeName, int], ending: Iterable[NodeName]) -> None:
        """Write on the board which nodes there are, given those that serve, with their generations, and those whose
        processes are ending."""
        shown = [
            SeenNode(
                seat.name,
                seat.zone,
                seat.port,
                serving.get(seat.name, seat.generation),
                seat.name in serving,
                seat.trouble,
            )
            for seat in self.seats.values()
        ]
        shown += [SeenNode(name, "", 0, 0, False) for name in ending if name not in self.seats]
        if shown != self._shown:
            self._shown = shown
            self.board.write(shown)

    def close_all_but(self, name: NodeName | None) -> None:
        """Close the ports of all nodes but one, in a process that has just been forked: else they would stay taken when
        the parent gives them up."""
        for seat in self.seats.values():
            if seat.name != name:
                _close(seat.listening)

    def close(self) -> None:
        """Accept nothing more."""
        for seat in self.seats.values():
            _close(seat.listening)


def _close(listening: list[socket.socket]) -> None:
    for one in listening:
        one.close()
