"""Signatures in headers and query strings: believed or verified, or refused in DynamoDB's words, and never forged.

The fuzzer does not know the secret. So where signatures are verified, only one of its requests may be accepted: the
really signed one, and only while nothing but its unsigned parts has been changed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from fuzz.choices import Choices
from fuzz.service import Finding
from jedlik import region_names
from jedlik.aws import credentials
from jedlik.aws.credentials import Credentials
from jedlik.aws.errors import ServiceError
from jedlik.aws.sigv4 import Signed, Signer, Verifier, canonical_query
from jedlik.wire.messages import Request

NOW = 1_795_435_200.0
TIME = b"20261123T120000Z"
FOLDER = tempfile.TemporaryDirectory(prefix="jedlik-fuzz-")
FILE = Path(FOLDER.name) / "credentials.json"
CREDENTIAL = credentials.create(FILE)
KEY = CREDENTIAL.access_key.encode()
VERIFIERS = [Verifier(None, lambda: NOW), Verifier(Credentials(FILE), lambda: NOW)]
SCOPE = b"20261123/us-east-1/dynamodb/aws4_request"
SIGNED = {b"host": b"localhost", b"x-amz-date": TIME, b"x-amz-target": b"DynamoDB_20120810.ListTables"}
BODY = b"{}"


def _signature() -> bytes:
    request = Request(b"POST", b"/", SIGNED)
    request.body = BODY
    caller = Signed.of(CREDENTIAL.access_key, "us-east-1", "dynamodb")
    return Signer(caller, CREDENTIAL, "20261123", "host;x-amz-date;x-amz-target").signature(request, b"", TIME)


AUTHORIZATION = b"AWS4-HMAC-SHA256 Credential=%b/%b, SignedHeaders=host;x-amz-date;x-amz-target, Signature=%b" % (
    KEY,
    SCOPE,
    _signature(),
)
PRESIGNED = (
    b"/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%b%%2F%b&X-Amz-Date=%b&X-Amz-Expires=300"
    b"&X-Amz-SignedHeaders=host&X-Amz-Signature=00" % (KEY, SCOPE.replace(b"/", b"%2F"), TIME)
)
NAMES = (b"authorization", b"x-amz-date", b"date", b"x-amz-security-token", b"host", b"x-amz-target")
TOKENS = (
    *(b"AWS4-HMAC-SHA256", b"Credential=", b"SignedHeaders=", b"Signature=", b"X-Amz-Algorithm=", b"X-Amz-Credential="),
    *(b"X-Amz-Signature=", b"X-Amz-SignedHeaders=", b"X-Amz-Date=", b"X-Amz-Expires=", b"X-Amz-Security-Token="),
    *(b"&", b"=", b"/", b",", b" ", b";", b"%", b"%2F", b"?", KEY, SCOPE, TIME, b"20261123", b"host", b"us-east-1"),
    *(b"Mon, 23 Nov 2026 12:00:00 GMT", b"00010101T000000Z", b"99991231T235960Z"),
    *(b"&X-Amz-Expires=" + b"1" * 5000, b"\xd9\xa1", b"\xb2", b"0"),
)


def _changed(choices: Choices, value: bytes) -> bytes:
    """A header or target in which a part has been replaced."""
    if choices.below(4) == 0:
        return b"".join([choices.one_of(TOKENS) for _ in range(choices.below(32))])
    start = choices.below(len(value) + 1)
    put = choices.short() if choices.below(2) else choices.one_of(TOKENS)
    return value[:start] + put + value[start + choices.below(128) :]


def attempt(data: bytes) -> None:
    """A request, to a server that believes and to one that verifies."""
    choices = Choices(data)
    headers = dict(SIGNED)
    target = b"/"
    if choices.below(2):
        target = PRESIGNED
    else:
        headers[b"authorization"] = AUTHORIZATION
    for _ in range(choices.below(6)):
        name = choices.one_of((b"", *NAMES))
        if not name:
            target = b"/?" + _changed(choices, target[2:])
        else:
            headers[name] = _changed(choices, headers.get(name, b""))
    for verifier in VERIFIERS:
        request = Request(b"POST", target, dict(headers))
        request.body = BODY
        try:
            caller = verifier.signed(request, "dynamodb")
        except ServiceError as refusal:
            refusal.message.encode()
        else:
            if verifier is VERIFIERS[1] and not _is_signed(request, caller):
                raise Finding(f"forged: {target!r} {headers}")
            if not region_names.is_name(caller.region):
                raise Finding(f"a region called {caller.region!r}")


def _is_signed(request: Request, caller: Signed) -> bool:
    """Whether the signed part of a request is as it was signed."""
    same = all(b" ".join(request.headers.get(name, b"").split()) == value for name, value in SIGNED.items())
    return same and not canonical_query(request.target) and caller[:2] == (CREDENTIAL.access_key, "us-east-1")


SEEDS = [
    b"\x00\x00",
    b"\x01\x00",
    *(
        bytes((presigned, 1, name, 1, place, 0, token, cut))
        for presigned in (0, 1)
        for name in range(len(NAMES) + 1)
        for place in (0, 70, 150, 209)
        for token in range(len(TOKENS))
        for cut in (0, 9)
    ),
]
