"""Requests as bare JSON, which no client would send, to a real server."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import Any

from testing.jedlik_process import Server

_HEADERS = {
    "Content-Type": "application/x-amz-json-1.0",
    "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/dynamodb/aws4_request, "
    f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}",
    "X-Amz-Date": "20261123T120000Z",
}


class Asking:
    """A connection to a server that verifies no signatures."""

    def __init__(self, server: Server) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=60)

    def refused(self, operation: str, **request: Any) -> tuple[str, str]:
        """The name and the text of the error with which a request is refused."""
        headers = _HEADERS | {"X-Amz-Target": f"DynamoDB_20120810.{operation}"}
        self._connection.request("POST", "/", json.dumps(request).encode(), headers)
        answer = self._connection.getresponse()
        told = json.loads(answer.read())
        assert answer.status == 400, told
        return told["__type"].partition("#")[2], told.get("message", "")

    def invalid(self, operation: str, **request: Any) -> str:
        """The text of the ValidationException with which a request is refused."""
        name, text = self.refused(operation, **request)
        assert name == "ValidationException", text
        return text
