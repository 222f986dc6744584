"""Jedlik without its network and its disk, and what must be true of its answer to any request.

Every request gets an answer: a result, or a refusal in DynamoDB's form that has changed nothing. No answer is a fault
of ours, and nothing is logged as one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import zlib
from typing import Any

import orjson

from fuzz.store import DictEngine
from jedlik.aws.authorizer import Everybody
from jedlik.aws.front import Dispatcher
from jedlik.aws.origins import OwnOrigins
from jedlik.aws.routing import Router
from jedlik.aws.sigv4 import Verifier
from jedlik.dynamodb.service import SERVICES
from jedlik.memory import MIB, Memory
from jedlik.regions.region import Region
from jedlik.wire.messages import Request, Response

NOW = 1_800_000_000.0
"""The clock stands still, in seconds since the epoch."""
BODY_LIMIT = MIB
HEADERS = {
    b"host": b"localhost",
    b"content-type": b"application/x-amz-json-1.0",
    b"authorization": b"AWS4-HMAC-SHA256 Credential=AKID/20270115/us-east-1/dynamodb/aws4_request, "
    b"SignedHeaders=host, Signature=0",
    b"x-amz-date": b"20270115T080000Z",
}
UNDECODABLE = "The request body cannot be decoded as"
"""DynamoDB, too, answers such a body with 500."""


class Finding(Exception):
    """Something does not hold."""


class Faults(logging.Handler):
    """Keeps the log records that are errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)

    def check(self) -> None:
        """Raise if there are any."""
        if self.records:
            record = self.records.pop()
            self.records.clear()
            raise Finding(record.getMessage()) from (record.exc_info[1] if record.exc_info else None)


def watch() -> Faults:
    """From now on, keep Jedlik's errors instead of printing them."""
    faults = Faults()
    log = logging.getLogger("jedlik")
    log.addHandler(faults)
    log.propagate = False
    return faults


class Service:
    """A region with the tables that it is given. Every input finds them unchanged."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._faults = watch()
        self._engine = DictEngine(self._loop)
        self._region = Region("us-east-1", "000000000000", self._engine, lambda: NOW, b"s" * 32)
        stores: Any = self
        self._dispatcher = Dispatcher(
            stores,
            Router(SERVICES, Verifier(None, lambda: NOW)),
            OwnOrigins(),
            Everybody(),
            body_limit=BODY_LIMIT,
            memory=Memory(),
        )
        self._kept: dict[bytes, bytes] = {}

    def opened(self, name: str) -> Region:
        """The one region, under any name."""
        return self._region

    def keep(self) -> None:
        """Remember the current state, to which `reset` returns."""
        self._kept = dict(self._engine.rows)

    def reset(self) -> None:
        """Forget every change since `keep`."""
        self._engine.rows = dict(self._kept)

    def ask(self, operation: str, **request: Any) -> Any:
        """The answer to a request. Raises Finding."""
        return self.post({b"x-amz-target": b"DynamoDB_20120810." + operation.encode()}, json.dumps(request).encode())

    def ask_streams(self, operation: str, **request: Any) -> Any:
        """The same of DynamoDB Streams."""
        target = b"DynamoDBStreams_20120810." + operation.encode()
        return self.post({b"x-amz-target": target}, json.dumps(request).encode())

    def post(self, headers: dict[bytes, bytes], body: bytes) -> Any:
        """The same with any bytes, and with headers beside or in place of HEADERS."""
        request = Request(b"POST", b"/", HEADERS | headers)
        request.body = body
        before = dict(self._engine.rows)
        short, after = self._short(request)
        response = self._loop.run_until_complete(self._dispatcher.handle(request))
        self._faults.check()
        answer = _checked(response)
        if short is not None and (short.status, short.body) != (response.status, response.body):
            raise Finding(f"the short way answers something else: {short.status} {short.body!r}")
        if short is not None and after != self._engine.rows:
            raise Finding("the short way leaves something else behind")
        if response.status != 200 and self._engine.rows != before:
            raise Finding(f"refused, and yet something has changed: {answer}")
        return answer

    def _short(self, request: Request) -> tuple[Response | None, dict[bytes, bytes]]:
        """The answer of the short way, if it has one, and what it leaves in the store, which is then put back."""
        before = self._engine.state
        answer = self._dispatcher.at_once(request)
        if answer is not None and not isinstance(answer, Response):
            answer = self._loop.run_until_complete(answer)
        after = self._engine.rows
        self._engine.state = before
        return answer, after


def _checked(response: Response) -> Any:
    """The body of an answer, which must be one that DynamoDB gives."""
    body = response.body
    if b"Content-Encoding" in response.headers:
        body = zlib.decompress(body, zlib.MAX_WBITS | 32)  # In either coding.
    if response.status in (404, 413) or (response.status == 200 and not body):
        return None
    answer = orjson.loads(body)
    if response.status in (200, 400, 403):
        if ("__type" in answer) == (response.status != 200):
            return answer
    elif response.status == 500 and answer["message"].startswith(UNDECODABLE):
        return answer
    raise Finding(f"{response.status}: {answer}")
