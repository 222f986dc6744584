"""Signatures of peers: the secret that all regions share opens the operations of peers, and nothing else does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from time import gmtime, strftime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from jedlik.aws import peer_signatures, signature_claims
from jedlik.aws.credentials import Credential
from jedlik.aws.sigv4 import Signed, Signer
from jedlik.config import OPEN_SECRETS
from jedlik.wire.messages import Request
from testing.jedlik_process import Server
from testing.raw_http import Wire
from testing.signing import HOST, on_the_wire, signed

StartServer = Callable[..., Server]

SECRET = "the-secret-with-which-all-of-them-sign-0123456789"
FORMER = "the-secret-with-which-all-of-them-used-to-sign-01"
OTHER = "the-secret-of-quite-another-company-0123456789-0"
OPERATIONS = ("BeginCopy", "CopyPage", "Join", "Leave", "LookUp", "Missing", "Pull")
TARGET = "JedlikPeers_1."
PULL = b'{"Wait":0,"Tables":[]}'
REFUSED = "com.amazon.coral.service#AccessDeniedException"


def asked(
    secret: str = SECRET, operation: str = "Pull", region: str = "us-east-1", service: str = peer_signatures.SERVICE
) -> Request:
    """A request of a peer, signed by botocore."""
    key = Credential(peer_signatures.KEY, secret)
    return signed(key, region=region, service=service, headers={"X-Amz-Target": TARGET + operation}, body=PULL)


def asked_at(moment: float) -> Request:
    """A request of a peer that was signed at another time."""
    stamp = strftime(signature_claims.BASIC_FORMAT, gmtime(moment)).encode()
    headers = {b"host": HOST.encode(), b"x-amz-date": stamp, b"x-amz-target": (TARGET + "Pull").encode()}
    request = Request(b"POST", b"/", {**headers, b"content-type": b"application/x-amz-json-1.0"})
    request.body = PULL
    names = "host;x-amz-date;x-amz-target"
    key, date = Credential(peer_signatures.KEY, SECRET), stamp[:8].decode()
    signer = Signer(Signed.of(key.access_key, "us-east-1", peer_signatures.SERVICE), key, date, names)
    signature = signer.signature(request, b"", stamp).decode()
    scope = f"{key.access_key}/{date}/us-east-1/{peer_signatures.SERVICE}/aws4_request"
    said = f"{signature_claims.ALGORITHM} Credential={scope}, SignedHeaders={names}, Signature={signature}"
    request.headers[b"authorization"] = said.encode()
    return request


def answer(server: Server, request: Request) -> tuple[int, Any]:
    with Wire(server.port) as wire:
        wire.send(on_the_wire(request))
        told = wire.receive()
    return told.status, json.loads(told.body)


@pytest.fixture
def guarded(start_server: StartServer) -> Server:
    """A server that verifies signatures, and knows peers by two secrets."""
    return start_server(auth="on", in_memory=True, environment={"JEDLIK_PEER_SECRET": f"{SECRET}\n{FORMER}"})


@pytest.mark.parametrize("secret", [SECRET, FORMER])
def test_either_of_two_secrets_makes_a_peer(guarded: Server, secret: str) -> None:
    assert answer(guarded, asked(secret))[0] == 200


@pytest.mark.parametrize("operation", OPERATIONS)
def test_another_secret_makes_no_peer(guarded: Server, operation: str) -> None:
    status, body = answer(guarded, asked(OTHER, operation))
    assert (status, body["__type"]) == (400, REFUSED)
    assert text_of(body) == peer_signatures.ANOTHER_SECRET


def text_of(body: Any) -> str:
    text: str = body.get("message") or body.get("Message")
    return text


@pytest.mark.parametrize("auth", ["on", "off"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_access_key_makes_no_peer_whether_keys_are_verified_or_not(
    operation: str, auth: str, start_server: StartServer
) -> None:
    server = start_server(auth=auth, in_memory=True, environment={"JEDLIK_PEER_SECRET": SECRET})
    key = Credential(server.access_key, server.secret_key)
    request = signed(key, headers={"X-Amz-Target": TARGET + operation}, body=PULL)
    status, body = answer(server, request)
    assert (status, body["__type"]) == (400, REFUSED)
    assert text_of(body) == (
        "Only regions of global tables may ask for this, and they are known by a peer_secret and not by an access key. "
        "Set the same one for the servers of all regions (--peer-secret-file)."
    )
    # It makes none in the scope of peers either.
    request = signed(key, service=peer_signatures.SERVICE, headers={"X-Amz-Target": TARGET + operation}, body=PULL)
    assert text_of(answer(server, request)[1]) == peer_signatures.ACCESS_KEY


@pytest.mark.parametrize("options", [{"auth": "on"}, {"auth": "off"}])
def test_without_a_signature_no_caller_is_a_peer(options: dict[str, str], start_server: StartServer) -> None:
    request = asked()
    del request.headers[b"authorization"]
    status, body = answer(start_server(in_memory=True, **options), request)
    assert (status, body["__type"]) == (400, "com.amazon.coral.service#MissingAuthenticationTokenException")


def test_without_a_secret_a_server_that_verifies_has_no_peers(start_server: StartServer) -> None:
    server = start_server(auth="on", in_memory=True)
    for secret in (SECRET, *OPEN_SECRETS):
        assert text_of(answer(server, asked(secret))[1]) == (
            "Only regions of global tables may ask for this, and this server does not know any: it has no peer_secret. "
            "Set the same one for the servers of all regions (--peer-secret-file)."
        )


def test_on_loopback_addresses_without_verification_peers_need_no_secret(
    start_server: StartServer,
) -> None:
    server = start_server(in_memory=True)
    [known] = OPEN_SECRETS
    assert answer(server, asked(known))[0] == 200
    assert text_of(answer(server, asked(SECRET))[1]) == peer_signatures.ANOTHER_SECRET


def test_a_configured_secret_is_required_even_without_verification(start_server: StartServer) -> None:
    server = start_server(in_memory=True, environment={"JEDLIK_PEER_SECRET": SECRET})
    assert answer(server, asked())[0] == 200
    assert text_of(answer(server, asked(*OPEN_SECRETS))[1]) == peer_signatures.ANOTHER_SECRET


def test_the_secret_opens_nothing_else(guarded: Server) -> None:
    client = guarded.client(aws_access_key_id=peer_signatures.KEY, aws_secret_access_key=SECRET)
    with pytest.raises(ClientError) as refused:
        client.list_tables()
    assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"
    request = signed(
        Credential(peer_signatures.KEY, SECRET),
        service=peer_signatures.SERVICE,
        headers={"X-Amz-Target": "DynamoDB_20120810.ListTables"},
        body=b"{}",
    )
    assert answer(guarded, request)[0] == 400


def test_a_message_of_another_time_is_refused(guarded: Server) -> None:
    now = time.time()
    assert answer(guarded, asked_at(now - 14 * 60))[0] == 200
    for moment in (now - 16 * 60, now + 16 * 60):
        status, body = answer(guarded, asked_at(moment))
        assert (status, text_of(body)) == (400, peer_signatures.ANOTHER_TIME)


def test_a_repeated_message_is_valid_only_as_it_was(guarded: Server) -> None:
    first = asked()
    assert answer(guarded, first)[0] == 200
    assert answer(guarded, first)[0] == 200
    another_operation, another_body, another_region, another_path = asked(), asked(), asked(), asked()
    another_operation.headers[b"x-amz-target"] = (TARGET + "LookUp").encode()
    another_body.body = b'{"Wait":1,"Tables":[]}'
    said = another_region.headers[b"authorization"]
    another_region.headers[b"authorization"] = said.replace(b"/us-east-1/", b"/eu-west-1/")
    for request in (another_operation, another_body, another_region):
        assert text_of(answer(guarded, request)[1]) == peer_signatures.ANOTHER_SECRET
    another_path.target = b"/?x=1"
    assert answer(guarded, another_path)[0] == 400


def test_the_operation_must_be_signed(guarded: Server) -> None:
    request = asked()
    said = request.headers[b"authorization"]
    assert b";x-amz-target" in said
    request.headers[b"authorization"] = said.replace(b";x-amz-target", b"")
    assert text_of(answer(guarded, request)[1]) == ("'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.")
