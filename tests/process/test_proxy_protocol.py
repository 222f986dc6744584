"""The PROXY protocol: trusted proxies name their clients, and nobody else does."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from jedlik.wire.proxy_header import FIRST, LONGEST, NotAHeader, announced, is_trusted
from testing.certificates import CLIENT, Authority
from testing.identities import answer, policy
from testing.jedlik_process import Server, eventually, run_jedlik
from testing.proxies import LOCAL, PROXY, TCP4, TCP6, TRUSTED, Proxy, connected, header, raw_header
from testing.raw_http import Wire, request

CLIENT_ADDRESS = "203.0.113.7"
KEY = {"p": {"S": "k"}}
JSON = b"Content-Type: application/x-amz-json-1.0"
HEALTH = request(method=b"GET", target=b"/healthz")
Start = Callable[..., Server]


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server]) -> Server:
    running = start_shared_server(auth="on", access_log=True, proxy_protocol_from=f"{TRUSTED}, 2001:db8::/32")
    running.client().create_table(
        TableName="things",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return running


@pytest.fixture(scope="module")
def shut(start_shared_server: Callable[..., Server]) -> Server:
    """A server that has little patience and little room, and verifies nothing."""
    return start_shared_server(
        in_memory=True, proxy_protocol_from="127.0.0.2/31", request_timeout=3, max_connections=20
    )


def wire_of(server: Server, address: str = TRUSTED) -> Wire:
    wire = Wire.__new__(Wire)
    wire.socket, wire._buffer = connected(server.port, address), b""
    return wire


def client_of(server: Server, *sent: bytes, address: str = TRUSTED) -> str:
    """From where a request comes, for the server, that follows these bytes."""
    with wire_of(server, address) as wire:
        wire.send(*sent, request(b"{}", b"X-Amz-Target: DynamoDB_20120810.ListTables", JSON))
        id = wire.receive().headers["x-amzn-requestid"]
    found: list[str] = []

    def is_logged() -> bool:
        found.extend(line["client"] for line in server.log_lines() if line.get("request_id") == id)
        return bool(found)

    eventually(is_logged)
    return found[0]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([header(CLIENT_ADDRESS)], CLIENT_ADDRESS),
        ([header("2001:db8::7")], "2001:db8::7"),
        ([header("::ffff:203.0.113.7")], CLIENT_ADDRESS),
        ([header(CLIENT_ADDRESS, b"\xee\x00\x02ab" * 600)], CLIENT_ADDRESS),
        ([header(CLIENT_ADDRESS, b"no fields, but nobody looks")], CLIENT_ADDRESS),
        ([raw_header(PROXY, TCP4, bytes((203, 0, 113, 7)) + bytes(8))], CLIENT_ADDRESS),
        ([header(None)], TRUSTED),
        ([raw_header(LOCAL, TCP4, bytes((203, 0, 113, 7)) + bytes(8))], TRUSTED),
        ([raw_header(LOCAL, 0x77, b"x" * 100)], TRUSTED),
        ([header(CLIENT_ADDRESS)[at : at + 1] for at in range(28)], CLIENT_ADDRESS),
    ],
)
def test_headers(server: Server, sent: list[bytes], expected: str) -> None:
    assert client_of(server, *sent) == expected


def test_who_is_not_trusted_needs_no_header(server: Server) -> None:
    assert client_of(server, address="127.0.0.1") == "127.0.0.1"
    assert client_of(server, address="127.0.0.3") == "127.0.0.3"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (HEALTH, "its connection does not begin with a header of the PROXY protocol"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(9), "its connection does not begin with a header"),
        (b"PROXY TCP4 203.0.113.7 127.0.0.1 4000 8000\r\n" + HEALTH, "it speaks version 1 of the PROXY protocol"),
        (raw_header(0x11, TCP4, bytes(12)), "its header has version 1 and command 1"),
        (raw_header(0x31, TCP4, bytes(12)), "its header has version 3 and command 1"),
        (raw_header(0x22, TCP4, bytes(12)), "its header has version 2 and command 2"),
        (raw_header(PROXY, 0x00, b""), "its header names no client of TCP, but one of kind 0x00"),
        (raw_header(PROXY, 0x12, bytes(12)), "its header names no client of TCP, but one of kind 0x12"),
        (raw_header(PROXY, 0x31, bytes(216)), "its header names no client of TCP, but one of kind 0x31"),
        (raw_header(PROXY, TCP4, bytes(11)), "its header is too short for the addresses"),
        (raw_header(PROXY, TCP6, bytes(35)), "its header is too short for the addresses"),
        (raw_header(LOCAL, 0, bytes(LONGEST + 1))[:16], f"its header has {LONGEST + 1} bytes, and may have {LONGEST}"),
    ],
)
def test_a_trusted_proxy_without_a_proper_header_is_refused(server: Server, sent: bytes, reason: str) -> None:
    """Without a byte of an answer."""
    with wire_of(server) as wire:
        wire.send(sent)
        assert wire.closed()
    with pytest.raises(NotAHeader, match=re.escape(reason)):
        announced(sent[:FIRST])


def test_the_reason_is_logged(server: Server) -> None:
    def is_logged() -> bool:
        with wire_of(server) as wire:
            wire.send(b"PROXY TCP4 203.0.113.7 127.0.0.1 4000 8000\r\n")
            assert wire.closed()
        reasons = [line["reason"] for line in server.log_lines() if line["message"] == "a proxy is refused"]
        return "it speaks version 1 of the PROXY protocol, and has to send version 2" in reasons

    eventually(is_logged)


@pytest.mark.parametrize("sent", [header(CLIENT_ADDRESS), header(None), b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"])
def test_a_header_from_elsewhere_is_refused_as_no_request(server: Server, sent: bytes) -> None:
    for address in ("127.0.0.1", "127.0.0.3"):
        with wire_of(server, address) as wire:
            wire.send(sent + HEALTH)
            assert wire.receive().status == 400
            assert wire.closed()


def test_a_second_header_is_no_request(server: Server) -> None:
    with wire_of(server) as wire:
        wire.send(header(CLIENT_ADDRESS), header("198.51.100.1"), HEALTH)
        assert wire.receive().status == 400
        assert wire.closed()


def test_policies_know_the_client(server: Server) -> None:
    """Through a proxy, with boto3."""
    iam = server.client("iam")
    iam.create_user(UserName="bob")
    key = iam.create_access_key(UserName="bob")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    condition = {"IpAddress": {"aws:SourceIp": f"{CLIENT_ADDRESS}/32"}}
    statement = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*", "Condition": condition}
    iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=policy(statement))
    with Proxy(server.port, CLIENT_ADDRESS) as right, Proxy(server.port, "203.0.113.8") as wrong:
        clients = [server.client(endpoint_url=f"http://127.0.0.1:{proxy.port}", **keys) for proxy in (right, wrong)]
        clients.append(server.client(**keys))
        for _ in range(3):
            found = [answer(client.get_item, TableName="things", Key=KEY) for client in clients]
            assert found == ["allowed", "AccessDeniedException", "AccessDeniedException"]


def test_failed_sign_ins_count_for_the_client(server: Server) -> None:
    """Not for the proxy, through which everybody comes."""
    body = json.dumps({"user": "nobody", "password": "wrong"}).encode()

    def signing_in(client: str) -> int:
        with wire_of(server) as wire:
            lines = (b"Content-Type: application/json", b"Origin: http://localhost")
            wire.send(header(client), request(body, *lines, target=b"/console/sign-in"))
            return wire.receive().status

    eventually(lambda: signing_in("198.51.100.7") == 429)
    body = body.replace(b"nobody", b"somebody")
    assert signing_in("198.51.100.8") == 401


def test_hosts_are_checked_where_nothing_is_verified(shut: Server) -> None:
    """A proxy on this machine makes no page of another origin one of its own."""
    for host, status in ((b"localhost", 404), (b"evil.example", 403)):
        with wire_of(shut) as wire:
            wire.send(header("127.0.0.1"), b"GET /x HTTP/1.1\r\nHost: %b\r\n\r\n" % host)
            assert wire.receive().status == status


def test_a_header_has_a_time(shut: Server) -> None:
    with ExitStack() as stack:
        wires = [stack.enter_context(wire_of(shut)) for _ in range(3)]
        for wire, length in zip(wires, (0, 5, 20), strict=True):
            wire.send(header(CLIENT_ADDRESS)[:length])
        assert all(wire.closed() for wire in wires)


def test_headers_that_do_not_come_take_nobodys_place(shut: Server) -> None:
    with ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(connected(shut.port)).sendall(header(CLIENT_ADDRESS)[:20])
        with wire_of(shut) as wire:
            wire.send(header(CLIENT_ADDRESS), HEALTH)
            assert wire.receive().status == 200


def test_the_header_comes_before_the_handshake(start_server: Start, tmp_path: Path) -> None:
    servers, clients = Authority(tmp_path, "servers"), Authority(tmp_path, "clients")
    own, app = servers.issue("server"), clients.issue("app", usage=CLIENT)
    server = start_server(
        auth="on",
        tls_cert=own.certificate,
        tls_key=own.key,
        tls_client_ca=clients.file,
        access_log=True,
        proxy_protocol_from=TRUSTED,
    )
    shown: Any = Config(client_cert=(str(app.certificate), str(app.key)), retries={"total_max_attempts": 1})
    with Proxy(server.port, CLIENT_ADDRESS) as proxy:
        client = server.client(endpoint_url=f"https://127.0.0.1:{proxy.port}", verify=str(servers.file), config=shown)
        assert client.list_tables()["TableNames"] == []
    eventually(lambda: any(line.get("client") == CLIENT_ADDRESS for line in server.log_lines()))
    secured = ssl.create_default_context(cafile=str(servers.file))
    secured.load_cert_chain(*app)
    with wire_of(server) as wire, pytest.raises(OSError):  # A trusted proxy's handshake without a header.
        secured.wrap_socket(wire.socket, server_hostname="localhost")
    with wire_of(server) as wire:  # The header within TLS.
        wire.send(header(CLIENT_ADDRESS))
        wire.socket = secured.wrap_socket(wire.socket, server_hostname="localhost")
        wire.send(header(CLIENT_ADDRESS), HEALTH)
        assert wire.receive().status == 400
    for address in ("127.0.0.1", "127.0.0.3"):  # A header from elsewhere.
        with wire_of(server, address) as wire:
            wire.send(header(CLIENT_ADDRESS))
            assert wire.receive().status == 400
            assert wire.closed()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("proxy.example.com", "proxy_protocol_from: 'proxy.example.com' does not appear to be an IPv4 or IPv6 network"),
        ("10.0.0.1/8", "proxy_protocol_from: 10.0.0.1/8 has host bits set"),
    ],
)
def test_settings(tmp_path: Path, given: str, message: str) -> None:
    ended = run_jedlik("serve", "--data-dir", str(tmp_path / "data"), "--proxy-protocol-from", given)
    assert ended.returncode != 0
    assert message in ended.stderr


def test_trusted_networks() -> None:
    proxies = (ip_network("10.0.0.0/8"), ip_network("fe80::/10"))
    assert [is_trusted(one, proxies) for one in ("10.1.2.3", "11.0.0.1", "fe80::1%eth0", "2001:db8::1")] == [
        True,
        False,
        True,
        False,
    ]
