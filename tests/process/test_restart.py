"""A rolling restart: SIGHUP replaces the workers one after the other, and the new ones read settings and files again.

Clients work all the while, over connections that they keep, and never retry.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from testing.certificates import self_signed
from testing.jedlik_process import Server, eventually, run_jedlik
from testing.raw_http import Wire, request

Start = Callable[..., Server]

PATIENCE = 60.0
"""Seconds within which a thing must have happened."""
GET_COUNT = request(
    b'{"TableName":"counts","Key":{"p":{"S":"raw"}}}',
    b"Content-Type: application/x-amz-json-1.0",
    b"X-Amz-Target: DynamoDB_20120810.GetItem",
    b"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/dynamodb/aws4_request, "
    b"SignedHeaders=host, Signature=0",
    b"X-Amz-Date: 20261123T120000Z",
)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def messages(server: Server, message: str) -> int:
    """How often the server has logged a message."""
    return [line["message"] for line in server.log_lines()].count(message)


def restart(server: Server) -> None:
    """Restart the workers and wait until all have been replaced. Old ones may be finishing."""
    before = messages(server, "restarted")
    server.send_signal(signal.SIGHUP)
    until(lambda: messages(server, "restarted") > before)


def asked(wire: Wire) -> str:
    """Ask for the server's health. Returns whether the connection stays: keep-alive or close."""
    wire.send(request(method=b"GET"))
    return wire.receive().headers["connection"]


def connected(server: Server) -> Wire:
    """A connection to a worker that stays. One that has been replaced may accept for a moment."""
    while True:
        wire = Wire(server.port)
        if asked(wire) == "keep-alive":
            return wire
        wire.socket.close()


def create_table(client: Any) -> None:
    client.create_table(
        TableName="counts",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


class Count:
    """A client that increments an item of its own over and over, and checks that each addition was made once."""

    def __init__(self, server: Server, name: str, over: threading.Event) -> None:
        self._client = server.client()
        self._name = name
        self._over = over
        self.done = 0

    def work(self) -> None:
        while not self._over.is_set():
            answer = self._client.update_item(
                TableName="counts",
                Key={"p": {"S": self._name}},
                UpdateExpression="ADD n :one",
                ExpressionAttributeValues={":one": {"N": "1"}},
                ReturnValues="UPDATED_NEW",
            )
            self.done += 1
            assert answer["Attributes"] == {"n": {"N": str(self.done)}}


class Read:
    """A client that speaks HTTP itself: it sends requests over one connection until the server announces its end."""

    def __init__(self, server: Server, pause: float, over: threading.Event) -> None:
        self._server = server
        self._pause = pause
        self._over = over
        self.connections = 0
        self.done = 0

    def work(self) -> None:
        while not self._over.is_set():
            self.connections += 1
            with Wire(self._server.port) as wire:
                kept = True
                while kept and not self._over.wait(self._pause):
                    wire.send(GET_COUNT)
                    answer = wire.receive()
                    assert (answer.status, answer.body) == (200, b"{}")
                    kept = answer.headers["connection"] == "keep-alive"
                    self.done += 1


@contextmanager
def load(server: Server) -> Iterator[list[Count | Read]]:
    """Clients that work until the end of the block, which then raises their complaints."""
    over = threading.Event()
    clients: list[Count | Read] = [Count(server, str(number), over) for number in range(4)]
    clients += [Read(server, pause, over) for pause in (0.0, 0.001, 0.01, 0.1, 0.5)]
    with ThreadPoolExecutor(len(clients)) as threads:
        running = [threads.submit(client.work) for client in clients]
        try:
            yield clients
        finally:
            over.set()
        for each in running:
            each.result()


def have_gone_on(clients: list[Count | Read], since: list[int]) -> bool:
    """Whether each client has got two more answers."""
    return all(client.done > 1 + done for client, done in zip(clients, since, strict=True))


@pytest.mark.parametrize("count", [1, 2])
def test_no_request_is_lost(start_server: Start, count: int) -> None:
    server = start_server(workers=count)
    create_table(server.client())
    seen = set(server.workers())
    with load(server) as clients:
        for _ in range(5):
            restart(server)
            seen |= server.workers()
            until(partial(have_gone_on, clients, [client.done for client in clients]))
    assert len(seen) == 6 * count
    assert all(client.connections > 1 for client in clients if isinstance(client, Read))
    assert [line for line in server.log_lines() if line["level"] != "info"] == []


def test_no_request_is_lost_in_restart_after_restart(start_server: Start) -> None:
    server = start_server(workers=2)
    create_table(server.client())
    with load(server):
        for _ in range(40):
            server.send_signal(signal.SIGHUP)
            assert len(server.workers()) <= 2 + 2 + 4 * 2
            time.sleep(0.05)
    asked_for = messages(server, "restarting")
    assert asked_for > 1
    until(lambda: server.log_lines()[-1]["message"] == "restarted")


# What an old worker does.


def test_an_old_worker_answers_once_more_on_each_connection_and_then_ends(start_server: Start) -> None:
    server = start_server()
    old = server.worker()
    with Wire(server.port) as idle, Wire(server.port) as busy:
        assert asked(idle) == "keep-alive"
        whole = request(b"{}", b"Content-Type: application/json")
        busy.send(whole[:-1])
        until(busy.taken)
        restart(server)
        connected(server).socket.close()
        busy.send(whole[-1:])
        answer = busy.receive()
        assert b"UnknownOperationException" in answer.body
        assert answer.headers["connection"] == "close"
        assert busy.closed()
        assert old in server.workers()
        assert idle.quiet(0.5)
        assert asked(idle) == "close"
        assert idle.closed()
    until(lambda: old not in server.workers())
    assert server.stop() == 0


def test_a_malformed_request_is_still_refused(start_server: Start) -> None:
    server = start_server()
    with Wire(server.port) as wire:
        assert asked(wire) == "keep-alive"
        restart(server)
        wire.send(b"nonsense\r\n\r\n")
        assert wire.receive().status == 400
        assert wire.closed()


def test_an_old_worker_waits_for_idle_clients_no_longer_than_any(start_server: Start) -> None:
    server = start_server(idle_timeout=2)
    old = server.worker()
    with Wire(server.port) as wire:
        assert asked(wire) == "keep-alive"
        restart(server)
        assert wire.closed()
        until(lambda: old not in server.workers())


def test_a_connection_that_is_being_opened_is_not_lost(
    start_server: Start, certificates: Callable[[str], dict[str, Path]]
) -> None:
    files = certificates("first")
    server = start_server(**files)
    old = server.worker()
    with Wire(server.port) as wire:
        until(wire.taken)
        restart(server)
        assert old in server.workers(), "it waits for the handshake"
        context = ssl.create_default_context(cafile=str(files["tls_cert"]))
        wire.socket = context.wrap_socket(wire.socket, server_hostname="localhost")
        assert asked(wire) == "close"
    until(lambda: old not in server.workers())


def test_stopping_does_not_wait_for_the_idle_clients_of_old_workers(start_server: Start) -> None:
    server = start_server(workers=2, stop_timeout=600, idle_timeout=600)
    with Wire(server.port) as wire:
        assert asked(wire) == "keep-alive"
        restart(server)
        assert server.stop() == 0
        assert wire.closed()


def test_an_old_worker_that_is_killed_is_not_replaced(start_server: Start) -> None:
    server = start_server()
    old = server.worker()
    with Wire(server.port) as wire:
        assert asked(wire) == "keep-alive"
        restart(server)
        [new] = server.workers() - {old}
        os.kill(old, signal.SIGKILL)
        until(lambda: old not in server.workers())
        time.sleep(0.3)
    assert server.workers() == {new}


def test_there_are_no_more_old_workers_than_memory_has_room_for(start_server: Start) -> None:
    server = start_server()
    wires = []
    for restarts in range(4):
        wires.append(connected(server))
        restart(server)
        assert len(server.workers()) == restarts + 2
    server.send_signal(signal.SIGHUP)
    time.sleep(1.5)
    assert len(server.workers()) == 5
    assert messages(server, "restarted") == 4
    assert asked(wires[0]) == "close"
    until(lambda: messages(server, "restarted") == 5)
    until(partial(has_workers, server, 3 + 1))
    for wire in wires:
        wire.socket.close()


# The files that are read again.


@pytest.fixture
def certificates(tmp_path: Path) -> Callable[[str], dict[str, Path]]:
    """Creates a certificate for localhost that contains a name, always in the same files. Returns the settings for
    them."""

    def make(name: str) -> dict[str, Path]:
        certificate, key = self_signed(tmp_path, name)
        return {"tls_cert": certificate, "tls_key": key}

    return make


def shown(server: Server) -> bytes:
    """The certificate that the server presents."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", server.port)))


def test_the_certificate_is_read_again(start_server: Start, certificates: Callable[[str], dict[str, Path]]) -> None:
    files = certificates("first")
    server = start_server(**files)
    assert shown(server) == ssl.PEM_cert_to_DER_cert(files["tls_cert"].read_text())
    certificates("second")
    restart(server)
    second = ssl.PEM_cert_to_DER_cert(files["tls_cert"].read_text())
    until(lambda: shown(server) == second)


def test_the_settings_file_is_read_again(start_server: Start, tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text('account = "111111111111"')
    server = start_server(config=file, workers=None)
    create_table(server.client())
    assert arn(server) == "arn:aws:dynamodb:us-east-1:111111111111:table/counts"
    for count in (1, 3, 2):
        file.write_text(f'account = "111111111111"\nworkers = {count}\naccess_log = true')
        restart(server)
        before = messages(server, "request")
        until(partial(is_logged, server, before))
        until(partial(has_workers, server, count))


def is_logged(server: Server, before: int) -> bool:
    """Whether a request is logged. A worker that has been replaced may still answer some."""
    assert server.client().list_tables()["TableNames"] == ["counts"]
    return messages(server, "request") > before


def has_workers(server: Server, count: int) -> bool:
    return len(server.workers()) == count


def is_unknown(client: Any) -> bool:
    """Whether the access key of a client is refused."""
    try:
        client.list_tables()
    except ClientError as error:
        return "UnrecognizedClientException" in str(error)
    return False


def test_another_file_of_access_keys_is_used(start_server: Start, tmp_path: Path) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text("")
    server = start_server(config=file, auth="on")
    client = server.client()
    assert client.list_tables()["TableNames"] == []
    other = tmp_path / "other.json"
    made = run_jedlik("credentials", "create", "--credentials", str(other)).stdout.splitlines()
    file.write_text(f"credentials = {json.dumps(str(other))}")
    restart(server)
    eventually(lambda: is_unknown(client))  # The old worker may give some more answers, on connections that it has.
    server.access_key, server.secret_key = (line.partition(" = ")[2] for line in made[1:])
    assert server.client().list_tables()["TableNames"] == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("workers = 'many'", "nothing is restarted: {file}: workers: 'many' is not a valid integer."),
        ("workers = -1", "nothing is restarted: workers must not be negative"),
        ("ports = 1", "nothing is restarted: {file}: no such setting: ports (did you mean port?)"),
        (
            'tls_cert = "no.pem"\ntls_key = "no.pem"',
            "nothing is restarted: cannot use the certificate no.pem with the key no.pem: "
            "[Errno 2] No such file or directory",
        ),
        (
            'host = "localhost"\nin_memory = true',
            "nothing is restarted: host, in_memory can be changed only by stopping the server and starting it",
        ),
    ],
)
def test_invalid_settings_change_nothing(start_server: Start, tmp_path: Path, settings: str, said: str) -> None:
    file = tmp_path / "jedlik.toml"
    file.write_text("")
    server = start_server(config=file, host=None, workers=None)
    workers = server.workers()
    file.write_text(settings)
    server.send_signal(signal.SIGHUP)
    until(lambda: messages(server, said.format(file=file)) == 1)
    assert server.workers() == workers
    with Wire(server.port) as wire:
        assert asked(wire) == "keep-alive"


def test_a_server_in_memory_keeps_what_it_has(start_server: Start) -> None:
    server = start_server(in_memory=True)
    create_table(server.client())
    restart(server)
    assert server.client().list_tables()["TableNames"] == ["counts"]


def arn(server: Server) -> str:
    described = server.client().describe_table(TableName="counts")
    return str(described["Table"]["TableArn"])


def appears(terminal: int, text: bytes) -> bool:
    """Whether a terminal shows a text. What is written at once may come in pieces."""
    seen = b""
    while text not in seen:
        seen += os.read(terminal, 2000)
    return True


@pytest.mark.timeout(3 * PATIENCE)
def test_a_terminal_that_closes_stops_the_server(tmp_path: Path) -> None:
    ours, terminal = os.openpty()
    serving = [sys.executable, "-m", "jedlik", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")]
    server = subprocess.Popen(serving, stderr=terminal, start_new_session=True)
    os.close(terminal)
    assert appears(ours, b"Ctrl-C stops the server")
    server.send_signal(signal.SIGHUP)
    assert appears(ours, b"restarting")
    os.close(ours)
    server.send_signal(signal.SIGHUP)
    assert server.wait(PATIENCE) == 0
