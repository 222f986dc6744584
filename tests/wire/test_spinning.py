"""Which answers keep the event loop awake, and for how long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jedlik.wire import spinning
from jedlik.wire.spinning import Spin, spin
from testing.dax import raw_client
from testing.dax.raw_client import RawClient, authorization, preamble, request
from testing.jedlik_process import Server, children, eventually
from testing.raw_http import Wire

SECONDS = 0.5


class Rounds:
    """A loop that comes round when a test wants it to, and a clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.due: list[Callable[[], None]] = []

    def call_soon(self, call: Callable[[], None]) -> None:
        self.due.append(call)

    def monotonic(self) -> float:
        return self.now

    def sleeps(self) -> bool:
        """Whether the loop may sleep now; it comes round."""
        due, self.due = self.due, []
        for call in due:
            call()
        return not self.due


@pytest.fixture
def rounds(monkeypatch: pytest.MonkeyPatch) -> Rounds:
    made = Rounds()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: made)
    monkeypatch.setattr(spinning, "time", made)
    return made


def test_the_loop_stays_awake_after_answers_to_the_same_client(rounds: Rounds) -> None:
    spins = Spin(SECONDS)
    client = object()
    spins.answered(client)
    assert rounds.sleeps()
    spins.answered(client)
    assert not rounds.sleeps()
    rounds.now += SECONDS / 2
    assert not rounds.sleeps()
    spins.answered(client)
    assert len(rounds.due) == 1
    rounds.now += SECONDS / 2
    assert not rounds.sleeps()
    rounds.now += SECONDS / 2
    assert rounds.sleeps()
    spins.answered(client)
    assert not rounds.sleeps()


def test_the_loop_sleeps_when_clients_take_turns(rounds: Rounds) -> None:
    spins = Spin(SECONDS)
    clients = object(), object()
    for _ in range(3):
        for client in clients:
            spins.answered(client)
    assert rounds.sleeps()
    spins.answered(clients[1])
    assert not rounds.sleeps()
    spins.answered(clients[0])
    assert rounds.sleeps()


def test_nothing_spins_unless_it_is_set() -> None:
    assert spin(0.0) is None


def rests(server: Server) -> int:
    """How often workers and nodes have gone to sleep. Who loses the core to another does not sleep."""
    tasks = [task for pid in children(server.pid) for task in Path(f"/proc/{pid}/task").iterdir()]
    lines = [line for task in tasks for line in (task / "status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches:"))


def stays_awake(server: Server, ask: Callable[[], object]) -> bool:
    """Whether most of some requests, with pauses between them, find it awake."""
    before, requests = rests(server), 30
    for _ in range(requests):
        ask()
        time.sleep(0.001)
    return rests(server) - before < requests / 2


def test_workers_and_nodes_of_dax_stay_awake(start_server: Callable[..., Server]) -> None:
    server = start_server(in_memory=True, dax=True, dax_port=0, spin=0.01)
    with Wire(server.port) as wire, RawClient(server.dax_url) as dax:
        dax.send(preamble(), authorization())

        def ask_worker() -> None:
            wire.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert wire.receive().status == 200

        def ask_node() -> None:
            dax.send(request(raw_client.ENDPOINTS))
            assert dax.answer(1)[0] == []

        eventually(lambda: stays_awake(server, ask_worker))
        eventually(lambda: stays_awake(server, ask_node))
