"""The pages and host names from which requests are served: this machine's own, or all where signatures are verified."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from jedlik.aws.credentials import Credential
from jedlik.aws.origins import KNOWN, OwnOrigins
from testing.jedlik_process import Server
from testing.raw_http import Answer, Wire, request
from testing.signing import on_the_wire, signed

HEADERS = (
    b"Content-Type: application/x-amz-json-1.0",
    b"Authorization: AWS4-HMAC-SHA256 Credential=AKID/20261123/us-east-1/dynamodb/aws4_request, "
    b"SignedHeaders=host;x-amz-date, Signature=0",
    b"X-Amz-Date: 20261123T120000Z",
)
EXPOSED = "x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date"
ASKED = (b"Access-Control-Request-Method: POST", b"Access-Control-Request-Headers: authorization, x-amz-target")
IDENTITY = (
    b"/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-SignedHeaders=host&"
    b"X-Amz-Date=20261123T120000Z&X-Amz-Expires=60&X-Amz-Signature=0&"
    b"X-Amz-Credential=AKID%2F20261123%2Fus-east-1%2Fsts%2Faws4_request"
)
"""What calls an operation with a GET."""
METHODS = (b"POST", b"GET", b"OPTIONS", b"PUT")

LOOPBACK = [
    *("localhost", "localhost:8000", "LOCALHOST", "localhost.", "jedlik.localhost", "a.b.localhost:1"),
    *("127.0.0.1", "127.0.0.1:8000", "127.1.2.3:9", "[::1]", "[::1]:8000"),
]
FOREIGN = [
    *("example.com", "example.com:8000", "localhost.example.com", "127.0.0.1.example.com", "notlocalhost"),
    *("192.168.1.1", "10.0.0.1:8000", "128.0.0.1", "[::2]:8000", "host.docker.internal:8000", "dynamodb"),
    *("localhost@example.com", "localhost:80:80", "localhost:x", "[::1", ":8000", "[]"),
    *("localhost/x", "localhost\xe9", "[::1]x"),
]


@pytest.fixture(scope="module")
def allowing(start_shared_server: Callable[..., Server]) -> Server:
    """A server whose settings name other hosts and origins."""
    return start_shared_server(
        in_memory=True,
        allowed_hosts="host.docker.internal, dynamodb,192.168.1.1,fe80::1",
        allowed_origins="https://app.example.com, null,chrome-extension://abc",
    )


def ask(
    server: Server, host: str | None, origin: str | None, *more: bytes, method: bytes = b"POST", operation: str = ""
) -> Answer:
    """The answer to a request that the server gets as one for `host`, from a page of `origin`."""
    headers = [*more, *((b"Origin: " + origin.encode("latin-1"),) if origin is not None else ())]
    body = b""
    if operation:
        headers += [*HEADERS, b"X-Amz-Target: DynamoDB_20120810." + operation.encode()]
        body = b'{"TableName": "made-by-a-page", "BillingMode": "PAY_PER_REQUEST", '
        body += b'"KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}], '
        body += b'"AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}]}'
        body = b"{}" if operation == "ListTables" else body
    text = request(body, *headers, method=method)
    line = b"" if host is None else b"Host: %b\r\n" % host.encode("latin-1")
    assert b"Host: localhost\r\n" in text
    text = text.replace(b"Host: localhost\r\n", line)
    if host is None:
        text = text.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    with Wire(server.port) as wire:
        wire.send(text)
        return wire.receive(head=method == b"HEAD")


def cors(answer: Answer) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


def check_refused(answer: Answer, text: str) -> None:
    assert answer.status == 403
    assert json.loads(answer.body) == {"__type": "com.amazon.coral.service#AccessDeniedException", "Message": text}
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"
    assert cors(answer) == {}


# The host name of the request.


@pytest.mark.parametrize("host", [*LOOPBACK, None])
def test_the_server_answers_to_loopback_names(server: Server, host: str | None) -> None:
    for _ in range(2):
        assert ask(server, host, None, operation="ListTables").status == 200
        assert ask(server, host, None, method=b"GET").status == 200


@pytest.mark.parametrize("host", FOREIGN)
def test_other_names_are_refused_for_every_request(server: Server, host: str) -> None:
    for method in METHODS:
        refused = ask(server, host, None, method=method)
        assert refused.status == 403
        start = f"With --auth off Jedlik answers to names of this machine only, and '{host}' is none."
        assert json.loads(refused.body)["Message"].startswith(start)
    assert ask(server, host, None, operation="ListTables").status == 403


def test_the_refusal_of_a_name_explains_what_to_do(server: Server) -> None:
    check_refused(
        ask(server, "host.docker.internal:8000", None, operation="ListTables"),
        "With --auth off Jedlik answers to names of this machine only, and 'host.docker.internal:8000' is none. "
        "If it is one of yours, start Jedlik with --allowed-hosts host.docker.internal",
    )


@pytest.mark.parametrize(
    "host", ["host.docker.internal:8000", "dynamodb", "DynamoDB.:1", "192.168.1.1:80", "[fe80::1]:8000", "localhost"]
)
def test_the_server_answers_to_names_that_the_settings_allow(allowing: Server, host: str) -> None:
    assert ask(allowing, host, None, operation="ListTables").status == 200


@pytest.mark.parametrize("host", ["docker.internal", "x.dynamodb", "192.168.1.2"])
def test_and_no_more_than_these(allowing: Server, host: str) -> None:
    assert ask(allowing, host, None, operation="ListTables").status == 403


def test_the_name_on_which_it_listens_is_its_own() -> None:
    assert OwnOrigins(["My-Machine"]).refusal({b"host": b"my-machine:8000"}) is None


# The page that asks.


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("host", LOOPBACK)
def test_pages_of_this_machine_may_send_requests_and_read_answers(server: Server, scheme: str, host: str) -> None:
    origin = f"{scheme}://{host}"
    for _ in range(2):
        answer = ask(server, "localhost:8000", origin, operation="ListTables")
        assert answer.status == 200
        assert cors(answer) == {"access-control-allow-origin": origin, "access-control-expose-headers": EXPOSED}
        assert answer.headers["vary"] == "Origin"
    preflight = ask(server, "127.0.0.1:8000", origin, *ASKED, method=b"OPTIONS")
    assert (preflight.status, preflight.body) == (200, b"")
    assert cors(preflight) == {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": EXPOSED,
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "authorization, x-amz-target",
        "access-control-max-age": "172800",
    }


@pytest.mark.parametrize(
    "origin", ["null", "", "localhost", "file://", "ftp://localhost", *(f"http://{host}" for host in FOREIGN)]
)
def test_pages_from_elsewhere_are_refused_before_anything_is_done(server: Server, origin: str) -> None:
    refused = ask(server, "localhost:8000", origin, operation="CreateTable")
    assert refused.status == 403
    assert cors(refused) == {}
    assert "made-by-a-page" not in server.client().list_tables()["TableNames"]
    for method in METHODS:
        refused = ask(server, "localhost:8000", origin, *ASKED, method=method)
        assert (refused.status, cors(refused)) == (403, {})


def test_the_refusal_of_a_page_explains_what_to_do(server: Server) -> None:
    check_refused(
        ask(server, "localhost", "https://app.example.com", operation="ListTables"),
        "With --auth off Jedlik serves web pages of this machine only, and 'https://app.example.com' is none. "
        "If it is one of yours, start Jedlik with --allowed-origins https://app.example.com",
    )


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_link_of_another_page_calls_no_operation(server: Server, site: str) -> None:
    metadata = f"Sec-Fetch-Site: {site}".encode()
    refused = get(server, IDENTITY, metadata)
    check_refused(
        refused,
        "With --auth off Jedlik serves web pages of this machine only, and a browser sent this request for another "
        f"page, without its Origin (Sec-Fetch-Site: {site}).",
    )
    page = get(server, b"/", metadata, b"Accept: text/html")
    assert page.status in (200, 302), "the page of the server itself, which leads to the console if that is built"
    assert get(server, IDENTITY, metadata, b"Origin: http://localhost:3000").status == 200


@pytest.mark.parametrize("site", [b"same-origin", b"none", None])
def test_a_person_and_the_servers_own_page_call_operations(server: Server, site: bytes | None) -> None:
    metadata = [] if site is None else [b"Sec-Fetch-Site: " + site]
    assert get(server, IDENTITY, *metadata).status == 200


def get(server: Server, target: bytes, *headers: bytes) -> Answer:
    with Wire(server.port) as wire:
        wire.send(request(b"", *headers, method=b"GET", target=target))
        return wire.receive()


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost", "https://app.example.com"),
        ("localhost", "null"),
        ("localhost", "chrome-extension://abc"),
        ("dynamodb:8000", "http://dynamodb:8000"),
        ("dynamodb", "https://DynamoDB"),
        ("dynamodb", "http://localhost:3000"),
    ],
)
def test_pages_of_the_server_and_of_allowed_origins_are_served(allowing: Server, host: str, origin: str) -> None:
    answer = ask(allowing, host, origin, operation="ListTables")
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost", "http://app.example.com"),
        ("localhost", "https://app.example.com:8443"),
        ("localhost", "http://dynamodb"),
        ("dynamodb:8000", "http://dynamodb:3000"),
        ("example.com", "https://app.example.com"),
        ("example.com", "http://example.com"),
    ],
)
def test_a_page_that_rebinds_its_name_is_refused(allowing: Server, host: str, origin: str) -> None:
    assert ask(allowing, host, origin, operation="CreateTable").status == 403


def test_the_memory_of_names_is_bounded() -> None:
    origins = OwnOrigins()
    for number in range(3 * KNOWN):
        assert origins.refusal({b"host": b"%d.localhost" % number, b"origin": b"http://localhost:1"}) is None
        assert origins.refusal({b"host": b"%b.localhost" % (b"x" * number)}) is None
    assert len(origins._known) <= KNOWN


# With signatures.


@pytest.mark.parametrize("origin", ["https://app.example.com", "null", "http://localhost:3000"])
def test_with_signatures_every_origin_is_served_as_on_aws(start_server: Callable[..., Server], origin: str) -> None:
    server = start_server(auth="on", in_memory=True)
    asked = signed(
        Credential(server.access_key, server.secret_key), headers={"Origin": origin, "X-Amz-Target": TARGET}, body=b"{}"
    )
    with Wire(server.port) as wire:
        wire.send(on_the_wire(asked))
        answer = wire.receive()
    assert answer.status == 200
    assert cors(answer) == {"access-control-allow-origin": "*", "access-control-expose-headers": EXPOSED}
    preflight = ask(server, "db.example.com", origin, *ASKED, method=b"OPTIONS")
    assert cors(preflight) == {
        "access-control-allow-origin": "*",
        "access-control-expose-headers": EXPOSED,
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "authorization, x-amz-target",
        "access-control-max-age": "172800",
    }


TARGET = "DynamoDB_20120810.ListTables"
