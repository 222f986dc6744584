"""Requests as an AWS SDK sends them, made beforehand: signing costs more than answering and must not be measured.

A signature is valid for 15 minutes around its date, so requests are signed again when they come near that.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

Body = dict[str, Any]

REGION = "us-east-1"
API = "DynamoDB_20120810"
STREAMS_API = "DynamoDBStreams_20120810"
STREAMS_OPERATIONS = frozenset({"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"})
ANSWER_SECONDS = 60.0
"""The longest wait for one answer; some servers take a while to create a table."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A request that is ready to be sent."""

    headers: dict[str, str]
    body: bytes

    def wire(self) -> bytes:
        """Its bytes on an HTTP/1.1 connection."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"POST / HTTP/1.1\r\n{lines}\r\n".encode() + self.body


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs requests to one server, a host and a port."""

    host: str
    access_key: str
    secret_key: str

    def sign(self, operation: str, body: Body) -> Signed:
        """The request, signed now."""
        encoded = json.dumps(body).encode()
        api = STREAMS_API if operation in STREAMS_OPERATIONS else API
        request = AWSRequest(
            "POST",
            f"http://{self.host}/",
            data=encoded,
            headers={"X-Amz-Target": f"{api}.{operation}", "Content-Type": "application/x-amz-json-1.0"},
        )
        SigV4Auth(Credentials(self.access_key, self.secret_key), "dynamodb", REGION).add_auth(request)
        headers = {
            "Host": self.host,
            "Accept-Encoding": "identity",
            "User-Agent": "Jedlik-bench/1",
            **dict(request.headers.items()),
            "Content-Length": str(len(encoded)),
        }
        return Signed(headers, encoded)


class Refused(Exception):
    """A server answered with an error."""


class Client:
    """One connection to a server, for requests that are not measured."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._connection = http.client.HTTPConnection(signer.host, timeout=ANSWER_SECONDS)

    def call(self, operation: str, body: Body) -> Body:
        """The answer. Raises Refused if it is an error, OSError if none comes."""
        signed = self._signer.sign(operation, body)
        self._connection.request("POST", "/", signed.body, signed.headers)
        response = self._connection.getresponse()
        text = response.read()
        if response.status != http.client.OK:
            raise Refused(f"{operation}: {response.status} {text[:500].decode(errors='replace')}")
        answer = json.loads(text)
        assert isinstance(answer, dict)
        return answer

    def close(self) -> None:
        self._connection.close()
