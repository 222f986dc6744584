"""Requests as botocore signs them, taken apart for the verifier."""

from __future__ import annotations

from hashlib import sha256
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys

from jedlik.aws.credentials import Credential
from jedlik.wire.messages import Request

HOST = "localhost:8000"
BODY = b'{"TableName":"t","Key":{"p":{"S":"x"}}}'
HEADERS = {"X-Amz-Target": "DynamoDB_20120810.GetItem", "Content-Type": "application/x-amz-json-1.0"}


class PresigningAuth(SigV4QueryAuth):  # type: ignore[misc] # botocore has no types
    """botocore's, which puts a body into the query string; here it stays a body."""

    def payload(self, request: AWSRequest) -> str:
        return sha256(BODY).hexdigest()


def signed(
    credential: Credential,
    *,
    region: str = "us-east-1",
    service: str = "dynamodb",
    headers: dict[str, str] | None = None,
    query: str = "",
    body: bytes = BODY,
) -> Request:
    """A request with its signature in the Authorization header."""
    asked = AWSRequest("POST", f"http://{HOST}/{query}", headers=HEADERS | (headers or {}), data=body)
    SigV4Auth(_keys(credential), service, region).add_auth(asked)
    return _taken_apart(asked, body)


def presigned(credential: Credential, *, expires: int = 300, query: str = "") -> Request:
    """A request with its signature in the query string."""
    asked = AWSRequest("POST", f"http://{HOST}/{query}", headers=HEADERS)
    PresigningAuth(_keys(credential), "dynamodb", "us-east-1", expires=expires).add_auth(asked)
    return _taken_apart(asked)


def _keys(credential: Credential) -> Keys:
    return Keys(credential.access_key, credential.secret, credential.session_token)


def on_the_wire(asked: Request) -> bytes:
    """A request as a client sends it."""
    lines = [
        b"%b %b HTTP/1.1" % (asked.method, asked.target),
        *[b"%b: %b" % header for header in asked.headers.items()],
    ]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(asked.body), b"", asked.body])


def _taken_apart(asked: AWSRequest, body: bytes = BODY) -> Request:
    url = urlsplit(asked.url)
    headers = {name.lower().encode(): str(value).encode() for name, value in asked.headers.items()}
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    request = Request(b"POST", target.encode(), {b"host": HOST.encode(), **headers})
    request.body = body
    return request
