"""Faults of ours: the client gets an internal error and its request id; the log has the rest."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from jedlik.aws.access import needs_nothing
from jedlik.aws.authorizer import Everybody
from jedlik.aws.context import Context
from jedlik.aws.front import Dispatcher
from jedlik.aws.origins import AnyOrigin
from jedlik.aws.protocols import json_1_0
from jedlik.aws.routing import Router
from jedlik.aws.service import Operation, Service
from jedlik.aws.sigv4 import Verifier
from jedlik.dynamodb.errors import ConditionalCheckFailedException, TransactionCanceledException
from jedlik.memory import Memory
from jedlik.process.logs import JsonFormatter
from jedlik.regions.region import Region
from jedlik.storage.empty import EmptyEngine
from jedlik.storage.engine import StorageError
from jedlik.wire.messages import Request, Response

SCOPE = b"AKID/20261123/us-east-1/dynamodb/aws4_request"


class NoStores:
    """Stores whose regions are never read."""

    def opened(self, name: str) -> None:
        return None

    async def find(self, name: str) -> Region:
        return Region(name, "0" * 12, EmptyEngine(), lambda: 0.0, b"")


def dispatcher(*operations: Operation) -> Dispatcher:
    stores: Any = NoStores()
    service = Service(
        name="tests",
        signing_name="tests",
        api_version=None,
        codec=json_1_0.CODEC,
        target_prefix="Tests",
        operations={operation.name: operation for operation in operations},
    )
    router = Router([service], Verifier(None, lambda: 0.0))
    return Dispatcher(stores, router, AnyOrigin(), Everybody(), body_limit=1000, memory=Memory())


def answer(raised: BaseException) -> Response:
    """The answer of an operation that raises."""

    async def handler(context: Context, request: dict[str, Any]) -> dict[str, Any]:
        raise raised

    authorization = b"AWS4-HMAC-SHA256 Credential=" + SCOPE + b", SignedHeaders=host, Signature=x"
    headers = {b"x-amz-target": b"Tests.Fail", b"authorization": authorization, b"x-amz-date": b"x"}
    request = Request(b"POST", b"/", headers | {b"content-type": b"application/json"})
    request.body = b"{}"
    operation = Operation(name="Fail", handler=handler, accesses=needs_nothing, validate=lambda request: request)
    return asyncio.run(dispatcher(operation).handle(request))


@pytest.mark.parametrize(
    "fault",
    [KeyError("secret detail"), RecursionError(), asyncio.CancelledError()],
    ids=lambda fault: type(fault).__name__,
)
def test_a_fault_is_an_internal_server_error(fault: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    told = answer(fault)
    assert told.status == 500
    assert json.loads(told.body) == {
        "__type": "com.amazonaws.dynamodb.v20120810#InternalServerError",
        "message": "Internal server error",
    }
    [record] = caplog.records
    line = json.loads(JsonFormatter().format(record))
    assert line["level"] == "error"
    assert line["request_id"].encode() in told.headers
    assert line["target"] == "Tests.Fail"
    assert type(fault).__name__ in line["traceback"]


def test_a_refusal_that_cannot_be_written_is_a_fault(caplog: pytest.LogCaptureFixture) -> None:
    told = answer(ConditionalCheckFailedException("text", Item={1, 2}))
    assert told.status == 500
    assert json.loads(told.body)["message"] == "Internal server error"
    [record] = caplog.records
    assert "no JSON of set" in json.loads(JsonFormatter().format(record))["traceback"]


def test_a_fault_of_the_storage_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    told = answer(StorageError("the disk is full"))
    assert told.status == 500
    assert json.loads(told.body)["message"] == "Internal server error"
    [record] = caplog.records
    line = json.loads(JsonFormatter().format(record))
    assert line["message"] == "fault: the disk is full"
    assert line["request_id"].encode() in told.headers
    assert line["target"] == "Tests.Fail"
    assert "traceback" not in line


def test_an_overloaded_server_asks_the_client_to_retry() -> None:
    told = dispatcher().refuse(503)
    assert told.status == 503
    assert b"\r\nx-amzn-RequestId: " in told.headers
    assert json.loads(told.body) == {
        "__type": "com.amazon.coral.service#ServiceUnavailable",
        "message": "The server is too busy; try again",
    }


def test_a_refusal_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    told = answer(ConditionalCheckFailedException("The conditional request failed", Item={"p": {"S": "x"}}))
    assert told.status == 400
    assert json.loads(told.body) == {
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "Message": "The conditional request failed",
        "Item": {"p": {"S": "x"}},
    }
    assert caplog.records == []


def test_a_failed_condition_has_a_capital_message_only_with_the_item() -> None:
    """As in the bodies of AWS (us-east-1, 2026-10)."""
    alone = json.loads(answer(ConditionalCheckFailedException("The conditional request failed")).body)
    assert alone == {
        "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
        "message": "The conditional request failed",
    }


def test_some_errors_have_a_capital_message() -> None:
    reasons = [{"Code": "None"}]
    body = json.loads(answer(TransactionCanceledException("Cancelled", CancellationReasons=reasons)).body)
    assert body == {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "Cancelled",
        "CancellationReasons": reasons,
    }


def test_a_log_line_has_its_given_fields() -> None:
    record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "%d done", "args": (3,), "table": "t"})
    line = json.loads(JsonFormatter().format(record))
    assert (line["message"], line["level"], line["logger"], line["table"]) == ("3 done", "info", "x", "t")
    assert line["time"].endswith("+00:00")
