"""The cost and the answer of a stranger's request where signatures are verified: only its signature is examined.

A stranger has no signature, one with an unknown key, or one made with a wrong secret.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from jedlik.aws.credentials import Credential
from jedlik.wire.messages import Request
from testing.jedlik_process import Server, run_jedlik
from testing.raw_http import Answer, Wire
from testing.signing import on_the_wire, signed

MIB = 1 << 20
NULLS = b'{"TableName":"t","Item":{"p":{"L":[%b]}}}' % b",".join([b'{"NULL":true}'] * 1_190_000)
BOMB = gzip.compress(NULLS, 9, mtime=0)
"""Some 30 kB that decompress to 16 MB of JSON; to parse that takes half a second and 300 MB."""
CPU_SECONDS = 1.5
"""Seconds for refusing all the bombs of a test: a fiftieth of what parsing them would take."""
MEMORY = 64 * MIB

TARGET = "X-Amz-Target"
GZIP = {"Content-Encoding": "gzip"}
WRONG: list[tuple[dict[str, str], bytes, int, str]] = [
    ({}, b"no JSON", 400, "SerializationException"),
    ({}, b"", 400, "SerializationException"),
    ({TARGET: "DynamoDB_20120810.NoSuchOperation"}, b"{}", 400, "UnknownOperationException"),
    ({TARGET: "DynamoDB_20120810.NoSuchOperation"}, b"no JSON", 400, "SerializationException"),
    (GZIP, b"no gzip", 500, "InternalServerError"),
    ({"Content-Encoding": "br"}, b"{}", 500, "InternalServerError"),
    (GZIP, gzip.compress(b"no JSON", mtime=0), 400, "SerializationException"),
    ({}, b'{"TableName": 5}', 400, "SerializationException"),
    ({}, b"{}", 400, "ValidationException"),
]
"""Headers and body of an invalid request, and the error that a permitted caller gets: DynamoDB's order."""


@pytest.fixture(scope="module")
def verifying(start_shared_server: Callable[..., Server]) -> Server:
    """A server that verifies signatures."""
    return start_shared_server(in_memory=True, auth="on")


def known(server: Server) -> Credential:
    return Credential(server.access_key, server.secret_key)


STRANGERS: dict[str, Callable[[Server, dict[str, str], bytes], bytes]] = {
    "MissingAuthenticationTokenException": lambda server, headers, body: on_the_wire(
        unsigned(server, headers=headers, body=body)
    ),
    "UnrecognizedClientException": lambda server, headers, body: on_the_wire(
        signed(Credential("AKIAUNKNOWN", "x"), headers=headers, body=body)
    ),
    "InvalidSignatureException": lambda server, headers, body: on_the_wire(
        signed(Credential(server.access_key, "wrong"), headers=headers, body=body)
    ),
}
"""A stranger's error, and the request that it sends."""


def unsigned(server: Server, headers: dict[str, str], body: bytes) -> Request:
    asked = signed(known(server), headers=headers, body=body)
    del asked.headers[b"authorization"]
    return asked


def answer(server: Server, asked: bytes) -> Answer:
    with Wire(server.port) as wire:
        wire.send(asked)
        return wire.receive()


def name(told: Answer) -> str:
    error: str = json.loads(told.body)["__type"]
    return error.rpartition("#")[2]


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize(("headers", "body"), [case[:2] for case in WRONG])
def test_a_stranger_gets_the_error_about_its_signature_and_no_other(
    verifying: Server, stranger: str, headers: dict[str, str], body: bytes
) -> None:
    told = answer(verifying, STRANGERS[stranger](verifying, headers, body))
    assert (told.status, name(told)) == (400, stranger)


@pytest.mark.parametrize(("headers", "body", "status", "error"), WRONG)
def test_a_signature_keeps_the_order_of_errors(
    verifying: Server, headers: dict[str, str], body: bytes, status: int, error: str
) -> None:
    told = answer(verifying, on_the_wire(signed(known(verifying), headers=headers, body=body)))
    assert (told.status, name(told)) == (status, error)


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_strangers_body_is_neither_decompressed_nor_parsed(verifying: Server, stranger: str) -> None:
    bomb = STRANGERS[stranger](verifying, GZIP, BOMB)
    memory, seconds = peak_memory(verifying), cpu_seconds(verifying)
    with ThreadPoolExecutor(4) as strangers:
        told = list(strangers.map(lambda _: name(answer(verifying, bomb)), range(100)))
    assert told == [stranger] * 100
    assert peak_memory(verifying) - memory < MEMORY
    assert cpu_seconds(verifying) - seconds < CPU_SECONDS


def peak_memory(server: Server) -> int:
    """The peak of the resident memory of the server's worker, in bytes."""
    status = Path(f"/proc/{server.worker()}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def cpu_seconds(server: Server) -> float:
    """The processor time of the server's worker so far."""
    fields = Path(f"/proc/{server.worker()}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_without_any_key_every_caller_is_a_stranger(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server(auth="on")
    assert run_jedlik("credentials", "delete", "--data-dir", str(tmp_path / "data"), server.access_key).returncode == 0
    server.restart()
    headers = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}
    answer = requests.post(server.url, data="{}", headers=headers, timeout=60)
    assert answer.status_code == 400
    assert answer.json()["__type"].endswith("#MissingAuthenticationTokenException")
