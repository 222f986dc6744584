"""A process that hangs is found, and replaced, and its requests are answered; `/readyz` shows whether the server can
write."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from testing.jedlik_process import Server, children, eventually
from torture.disk import Disk, Failing, Fault, NoCompiler

Start = Callable[..., Server]
TABLE = "table"


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    try:
        return Disk(tmp_path)
    except NoCompiler as error:
        pytest.skip(str(error))


def make_table(client: Any) -> None:
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def get(server: Server, path: str, method: str = "GET") -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(server.url + path, method=method), timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def readiness(server: Server) -> tuple[int, Any]:
    status, body = get(server, "/readyz")
    return status, json.loads(body)


def test_a_committer_that_hangs_is_replaced_and_nothing_acknowledged_is_lost(start_server: Start) -> None:
    server = start_server(hang_timeout=7)
    make_table(server.client())
    # Several at once, so that the committer is needed.
    done: list[str] = []
    failed: list[tuple[str, float]] = []
    stop = threading.Event()

    def write(name: str) -> None:
        client = server.client()
        number = 0
        while not stop.is_set():
            key = f"{name}-{number}"
            number += 1
            began = time.monotonic()
            try:
                client.put_item(TableName=TABLE, Item={"p": {"S": key}})
                done.append(key)
            except ClientError as error:
                failed.append((error.response["Error"]["Code"], time.monotonic() - began))

    writers = [threading.Thread(target=write, args=(f"writer{number}",)) for number in range(4)]
    for writer in writers:
        writer.start()
    try:
        eventually(lambda: len(done) > 20)
        [committer] = children(server.worker())
        os.kill(committer, signal.SIGSTOP)
        troubled = (503, {"ready": False, "regions": {"us-east-1": "commits are not answered"}})
        eventually(lambda: readiness(server) == troubled)
        assert get(server, "/")[0] == get(server, "/healthz")[0] == 200
        eventually(lambda: bool(failed))
        before = len(done)
        eventually(lambda: len(done) > before + 20)
        eventually(lambda: get(server, "/readyz") == (200, b'{"ready":true}'))
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert {code for code, _ in failed} == {"InternalServerError"}
    assert committer not in children(server.worker())
    client = server.client()
    for key in done:
        assert "Item" in client.get_item(TableName=TABLE, Key={"p": {"S": key}}), key
    server.stop()
    checking = [sys.executable, "-m", "jedlik", "check", "--data-dir", str(server.options["data_dir"])]
    checked = subprocess.run(checking, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_worker_that_hangs_is_replaced_while_others_serve(start_server: Start) -> None:
    server = start_server(workers=2, hang_timeout=1, in_memory=True)
    # A server listens when its first worker serves; it has restarted when all do. One that still starts may take long.
    server.send_signal(signal.SIGHUP)
    eventually(lambda: any(line["message"] == "restarted" for line in server.log_lines()))
    eventually(lambda: len(server.workers()) == 2)
    first, second = server.workers()
    os.kill(first, signal.SIGSTOP)
    assert get(server, "/")[0] == 200
    eventually(lambda: first not in server.workers() and len(server.workers()) == 2)
    assert second in server.workers()
    assert get(server, "/")[0] == 200


def test_workers_that_stop_together_with_the_parent_are_not_killed(start_server: Start) -> None:
    server = start_server(workers=2, hang_timeout=1, in_memory=True)
    before = server.workers()
    for pid in (server.pid, *before):
        os.kill(pid, signal.SIGSTOP)
    time.sleep(4)  # Longer than a worker may stand still.
    for pid in (server.pid, *before):
        os.kill(pid, signal.SIGCONT)
    time.sleep(1)
    assert server.workers() == before
    assert get(server, "/")[0] == 200


def test_a_server_whose_disk_is_full_is_healthy_but_not_ready(disk: Disk, start_server: Start) -> None:
    server = start_server(disk.environment, data_dir=disk.data_dir)
    make_table(server.client())
    assert get(server, "/readyz") == (200, b'{"ready":true}')
    assert get(server, "/readyz", "HEAD") == (200, b"")
    with disk.failing(Fault("nothing can be synced", Failing.DURABLE_WRITES | Failing.SYNCS)):
        with pytest.raises(ClientError):
            server.client().put_item(TableName=TABLE, Item={"p": {"S": "key"}})
        status, body = get(server, "/readyz")
        assert status == 503
        assert json.loads(body)["regions"]["us-east-1"].startswith("commits fail: ")
        assert get(server, "/readyz", "HEAD") == (503, b"")
        assert get(server, "/")[0] == 200
    eventually(lambda: get(server, "/readyz")[0] == 200)  # Without any other request.
