"""The processes of a server: how they share work, die and stop, and what they leave behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from jedlik.process.serving_process import stop_when_asked
from testing.certificates import self_signed
from testing.data_folders import store_in
from testing.jedlik_process import Server, children, is_living
from testing.prepared_program import OWN_IMPORTS
from testing.raw_http import Wire, request

Start = Callable[..., Server]

PATIENCE = 60.0
"""Seconds within which a thing must have happened."""


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def resident_megabytes(server: Server) -> float:
    """The memory of all processes of a server; shared memory is counted once."""
    family = [server.pid]
    for pid in family:  # It grows: the workers have children too.
        family += children(pid)
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in family]
    lines = [line for rollup in rollups for line in rollup.splitlines() if line.startswith("Pss:")]
    assert len(lines) == len(rollups)
    return sum(int(line.split()[1]) for line in lines) / 1024


def messages(server: Server) -> list[str]:
    return [line["message"] for line in server.log_lines()]


def listens(server: Server) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port)).close()
    except (ConnectionRefusedError, ConnectionResetError):  # Reset where the port is being closed just now.
        return False
    return True


def worker_of(wire: Wire) -> str:
    """Which worker has the connection: its request ids have the same beginning."""
    wire.send(request(method=b"GET"))
    return wire.receive().headers["x-amzn-requestid"][:36]


def create_table(server: Server) -> None:
    server.client().create_table(
        TableName="things",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


# Sharing.


def test_an_idle_server_takes_little_memory(start_server: Start) -> None:
    server = start_server(OWN_IMPORTS)
    create_table(server)
    assert resident_megabytes(server) < 80


def test_connections_are_spread_evenly_over_the_workers(start_server: Start) -> None:
    server = start_server(workers=2)

    def spread() -> list[int]:
        with ExitStack() as stack:
            wires = [stack.enter_context(Wire(server.port)) for _ in range(12)]
            return sorted(Counter(worker_of(wire) for wire in wires).values())

    until(lambda: spread() == [6, 6])  # When both serve, and know that the earlier connections are closed.


@pytest.mark.parametrize("in_memory", [False, True])
def test_workers_share_the_store(start_server: Start, in_memory: bool) -> None:
    server = start_server(workers=2, in_memory=in_memory)
    create_table(server)
    clients = [server.client() for _ in range(4)]
    for number, client in enumerate(clients):
        client.put_item(TableName="things", Item={"p": {"S": str(number)}})
    for client in clients:
        assert client.scan(TableName="things")["Count"] == 4


# Dying.


def test_a_worker_that_dies_is_replaced(start_server: Start) -> None:
    server = start_server(workers=2)
    create_table(server)
    until(lambda: len(server.workers()) == 2)
    before = server.workers()
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(server.workers() - {victim}) == 2)
    assert len(server.workers() & before) == 1
    assert any(message.endswith("ended with -9 and is replaced") for message in messages(server))
    for _ in range(10):
        assert server.client().list_tables()["TableNames"] == ["things"]


def test_workers_end_when_their_parent_is_gone(start_server: Start) -> None:
    server = start_server(workers=2)
    until(lambda: len(server.workers()) == 2)
    orphans = server.workers()
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not any(is_living(pid) for pid in orphans))
    server.restart()
    assert server.client().list_tables()["TableNames"] == []


def test_writes_survive_when_every_process_is_killed(start_server: Start) -> None:
    server = start_server(workers=2)
    create_table(server)
    server.client().put_item(TableName="things", Item={"p": {"S": "kept"}})
    server.kill()
    server.restart()
    assert server.client().scan(TableName="things")["Items"] == [{"p": {"S": "kept"}}]


def test_a_server_in_memory_leaves_nothing_behind(start_server: Start, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    place = {"TMPDIR": str(temporary)}
    killed = start_server(place, in_memory=True)
    killed.kill()
    assert len(list(temporary.iterdir())) == 1, "a killed server cannot clean up"
    living = start_server(place, in_memory=True)
    other = start_server(place, in_memory=True)
    assert len(list(temporary.iterdir())) == 2, "the next one does, but not after those that live"
    assert (living.stop(), other.stop()) == (0, 0)
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "data").exists()


# Stopping.


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_lets_requests_finish(start_server: Start, count: int, number: signal.Signals) -> None:
    server = start_server(workers=count)
    with Wire(server.port) as idle, Wire(server.port) as busy:
        worker_of(idle)
        whole = request(b"{}", b"Content-Type: application/json")
        busy.send(whole[:-1])
        until(busy.taken)
        os.kill(server.pid, number)
        assert idle.closed()
        until(lambda: not listens(server))
        assert server.running()
        busy.send(whole[-1:])
        answer = busy.receive()
        assert answer.headers["connection"] == "close"
        assert b"UnknownOperationException" in answer.body
    assert server.wait() == 0
    assert [line for line in server.log_lines() if line["level"] != "info"] == []


@pytest.mark.parametrize("count", [1, 2])
def test_stopping_ends_in_time(start_server: Start, count: int) -> None:
    server = start_server(workers=count, stop_timeout=0.5)
    with Wire(server.port) as wire:
        wire.send(request(b"{}")[:-1])
        until(wire.taken)
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun > 0.4
        assert wire.closed()
    assert messages(server)[-2:] == ["connections cut off", "stopped"]


def test_a_store_that_cannot_be_used_stops_all_workers(tmp_path: Path, start_server: Start) -> None:
    store = store_in(tmp_path / "data")
    store.mkdir(parents=True)
    (store / "data.mdb").write_bytes(b"nonsense" * 1000)
    with pytest.raises(AssertionError, match="the server ended with 2:"):
        start_server(workers=2)


# Its output.


def test_the_log_shows_the_address(start_server: Start, tmp_path: Path) -> None:
    server = start_server()
    [line] = server.log_lines()
    told = {name: line[name] for name in ("level", "message", "url", "data_dir", "workers", "auth")}
    assert told == {
        "level": "info",
        "message": "listening",
        "url": f"http://127.0.0.1:{server.port}",
        "data_dir": str(tmp_path / "data"),
        "workers": 1,
        "auth": "off",
    }


def test_a_name_with_several_addresses_is_served_on_all(start_server: Start) -> None:
    server = start_server(host="localhost")
    for *_, address in socket.getaddrinfo("localhost", server.port, type=socket.SOCK_STREAM):
        with Wire(server.port, str(address[0])) as wire:
            worker_of(wire)


# TLS.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, and its key."""
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("count", [1, 2])
def test_https(start_server: Start, certificate: tuple[Path, Path], count: int) -> None:
    server = start_server(tls_cert=certificate[0], tls_key=certificate[1], workers=count)
    assert server.url.startswith("https://")
    client = server.client(verify=str(certificate[0]))
    assert client.list_tables()["TableNames"] == []
    client.create_table(
        TableName="things",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client.put_item(TableName="things", Item={"p": {"S": "x"}, "long": {"S": "a" * 300_000}})
    assert len(client.get_item(TableName="things", Key={"p": {"S": "x"}})["Item"]["long"]["S"]) == 300_000
    assert server.stop() == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_versions(start_server: Start, certificate: tuple[Path, Path], version: ssl.TLSVersion) -> None:
    server = start_server(tls_cert=certificate[0], tls_key=certificate[1])
    context = ssl.create_default_context(cafile=str(certificate[0]))
    context.minimum_version = context.maximum_version = version
    with Wire(server.port) as wire:
        wire.socket = context.wrap_socket(wire.socket, server_hostname="localhost")
        wire.send(request(method=b"GET"))
        assert wire.receive().body == b"healthy: localhost "


def test_stopping_does_not_wait_for_a_client_without_a_handshake(
    start_server: Start, certificate: tuple[Path, Path]
) -> None:
    server = start_server(tls_cert=certificate[0], tls_key=certificate[1], stop_timeout=600)
    with Wire(server.port) as wire:
        until(wire.taken)
        assert server.stop() == 0
        assert wire.closed()


def test_plain_http_on_the_port_of_https_is_refused_in_a_sentence(
    start_server: Start, certificate: tuple[Path, Path]
) -> None:
    server = start_server(tls_cert=certificate[0], tls_key=certificate[1])
    with Wire(server.port) as wire:
        wire.send(request(method=b"GET"))
        answer = wire.receive()
        assert answer.status == 400
        assert json.loads(answer.body) == {
            "message": "This port serves HTTPS, and the request came as plain HTTP. Use https:// in the endpoint's URL."
        }
        assert wire.closed()
    with Wire(server.port) as wire:
        wire.send(b"\r\nnonsense\r\n\r\n")
        assert wire.receive().status == 400
    assert [line for line in server.log_lines() if line["level"] != "info"] == []


def test_a_client_without_a_handshake_is_disconnected(start_server: Start, certificate: tuple[Path, Path]) -> None:
    server = start_server(tls_cert=certificate[0], tls_key=certificate[1], request_timeout=0.5)
    with Wire(server.port) as wire:
        assert wire.closed()


def descriptors(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.worker()}/fd"))


@pytest.mark.parametrize("first", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_handshakes_count_as_connections(start_server: Start, certificate: tuple[Path, Path], first: bytes) -> None:
    server = start_server(tls_cert=certificate[0], tls_key=certificate[1], max_connections=20)
    client = server.client(verify=str(certificate[0]))
    assert client.list_tables()["TableNames"] == []
    before = descriptors(server)
    with ExitStack() as stack:
        wires = [stack.enter_context(Wire(server.port)) for _ in range(200)]
        for wire in wires:
            with suppress(ConnectionError):
                wire.send(first)
        # Those that are just being refused have a descriptor for a moment.
        until(lambda: sum(is_closed(wire) for wire in wires) >= 150 and descriptors(server) <= before + 25)
        # A client that completes its handshake is admitted all the same.
        assert server.client(verify=str(certificate[0])).list_tables()["TableNames"] == []
    assert [line for line in server.log_lines() if line["level"] != "info"] == []


def is_closed(wire: Wire) -> bool:
    """Whether the server has already closed the connection."""
    wire.socket.setblocking(False)
    try:
        return wire.socket.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_a_worker_whose_parent_is_gone_stops_without_spinning() -> None:
    async def run() -> None:
        reading, writing = os.pipe()
        stop = stop_when_asked(reading)
        os.close(writing)
        await asyncio.wait_for(stop.wait(), PATIENCE)
        assert not asyncio.get_running_loop().remove_reader(reading), "nothing calls it again"
        os.close(reading)

    asyncio.run(run())
