"""From a request to its answer: which operation, for whom, in which region, and what comes of it.

Where signatures are verified, that comes first, over the body as it came: nothing of a stranger's request is
decompressed, parsed or looked up but its access key. Then what is wrong is found in DynamoDB's order: content coding,
JSON, target, and whatever the operation itself finds. Where nothing is verified, who may ask at all (`origins`) comes
first, and the credential scope is read behind the target, as DynamoDB does it. What is answered without an operation
(health, CORS preflight, refusals) is here too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from jedlik.aws import answers
from jedlik.aws.context import Caller, Context, root
from jedlik.aws.errors import (
    AccessDeniedException,
    DynamoDBError,
    InternalServerError,
    InvalidSignatureException,
    LimitExceededException,
    SerializationException,
    ServiceUnavailable,
    UnknownOperationException,
)
from jedlik.aws.origins import Origins
from jedlik.aws.peer_signatures import PeerVerifier
from jedlik.aws.room import Room, weight
from jedlik.aws.service import Operation
from jedlik.aws.sigv4 import Verifier
from jedlik.memory import LARGE, Exhausted, Memory
from jedlik.regions.region import NotServed, Region, TooManyOpen
from jedlik.storage.empty import NoStore
from jedlik.storage.engine import StorageError
from jedlik.wire.messages import COMPRESSED_FROM, Request, Response, TooLarge, Undecodable

if TYPE_CHECKING:
    from jedlik.regions.stores import Stores

log = logging.getLogger(__name__)

CONTENT_TYPES = {answers.JSON_1_0: answers.JSON_1_0, answers.JSON: answers.JSON}
"""The content types that carry an operation, each with that of the answer."""

PREFLIGHT = {
    b"access-control-request-headers": b"Access-Control-Allow-Headers: %b\r\n",
    b"access-control-request-method": b"Access-Control-Allow-Methods: %b\r\n",
}
"""What a preflight asks for, and the line that allows it."""
PREFLIGHT_LIFETIME = b"Access-Control-Max-Age: 172800\r\n"

HEALTHY = b"/healthz"
"""As the root, answered as long as the event loop turns."""
READY = b"/readyz"
"""Whether the stores that this worker has open can be written to."""
FAULT = InternalServerError("Internal server error")
FORBIDDEN = 403
BUSY = ServiceUnavailable("The server is too busy; try again")


class Dispatcher:
    """DynamoDB, as the application behind the HTTP server."""

    def __init__(
        self,
        stores: Stores,
        targets: Mapping[bytes, Operation],
        verifier: Verifier,
        origins: Origins,
        *,
        body_limit: int,
        memory: Memory,
        access_log: bool = False,
    ) -> None:
        self._stores = stores
        self._targets = targets
        """From an X-Amz-Target header to its operation."""
        self._verifier = verifier
        self._others: dict[bytes, Verifier | PeerVerifier] = {}
        """By X-Amz-Target: who verifies what is not asked for with an access key."""
        self._origins = origins
        self._known_hosts = origins.known_hosts
        self._body_limit = body_limit
        """Bytes of a body once it is decompressed."""
        self._room = Room(memory.parsed)
        self._answers = memory.answers
        self._access_log = access_log
        self._request_ids = answers.request_ids()

    def verify_otherwise(self, targets: Iterable[bytes], verifier: PeerVerifier) -> None:
        """Have a verifier of their own say who may ask for these targets: no access key may."""
        self._others |= dict.fromkeys(targets, verifier)

    async def handle(self, request: Request) -> Response:
        """The answer to a request, whatever it is."""
        request_id = next(self._request_ids)
        headers = request.headers
        host = headers.get(b"host", b"")
        known_hosts = self._known_hosts
        if known_hosts is not None and (host not in known_hosts or b"origin" in headers):
            forbidden = self._origins.refusal(headers)
            if forbidden is not None:
                return self._forbid(request, forbidden, request_id)
        given = headers.get(b"content-type", b"")
        content_type = CONTENT_TYPES.get(given) or CONTENT_TYPES.get(given.partition(b";")[0].strip())
        target = request.target
        is_at_root = target == b"/" or at_root(target)
        if (content_type is None and request.body) or request.method != b"POST" or not is_at_root:
            return self._other(request, request_id)
        started = time.perf_counter() if self._access_log else 0.0
        status = 200
        taken = answer = 0
        operation: Operation | None = None
        region: Region | None = None
        try:
            verifier = self._others.get(headers.get(b"x-amz-target", b""), self._verifier)
            signed = verifier.caller(request) if verifier.verifies else None
            if len(request.body) > LARGE or b"content-encoding" in headers:
                weighs = weight(request, self._body_limit)
                await self._room.take(weighs)
                taken = weighs
            operation, data = self._operation(request)
            if signed is None:
                signed = verifier.caller(request)
            region = self._stores.opened(signed.region) or await self._stores.find(signed.region)
            region.begun += 1
            context = Context(region, request_id, Caller(region.account, root(region.account), signed.access_key), host)
            if not isinstance(data, dict):
                raise SerializationException("")
            if operation.answer:
                if not self._answers.try_hold(operation.answer):
                    await self._answers.take(operation.answer)
                answer = operation.answer
            try:
                result = await operation.handler(context, operation.validate(data))
            except NoStore:
                await self._stores.region(signed.region)
                result = await self._stores.use(signed.region, partial(self._begin_again, request, context))
            body = orjson.dumps(result) if result is not None else b""
        except DynamoDBError as error:
            refusal = error if operation is None else operation.reword(error, data)
            status, body = refusal.status, answers.error_body(refusal)
        except (NotServed, TooManyOpen) as error:
            refusal = region_refusal(error)
            status, body = refusal.status, answers.error_body(refusal)
        except Exhausted:
            status, body = BUSY.status, answers.error_body(BUSY)
        except TooLarge:
            status, body = 413, b""
        except (Exception, asyncio.CancelledError) as error:
            status, body = FAULT.status, answers.error_body(FAULT)
            self._log_fault(request, request_id, error)
        finally:
            if region is not None:
                region.ended += 1
            if answer:
                self._answers.give_back(answer)
            if taken:
                self._room.give_back(taken)
        if self._access_log:
            self._log_access(request, request_id, status, time.perf_counter() - started)
        if len(body) < COMPRESSED_FROM and b"origin" not in headers:
            return answers.response(status, content_type or answers.JSON, body, request_id)
        return self._response(request, status, content_type or answers.JSON, body, request_id)

    async def _begin_again(self, request: Request, context: Context, region: Region) -> dict[str, Any] | None:
        """The result of a request that has found its region without a store, and needs one."""
        operation, data = self._operation(request)  # The handler may have changed what it got.
        context = Context(region, context.request_id, context.caller, context.host)
        return await operation.handler(context, operation.validate(data))

    def refuse(self, status: int, text: str = "") -> Response:
        """The answer to what is not a request, or not now."""
        body = b""
        if status == BUSY.status:
            body = answers.error_body(BUSY)
        elif text:
            body = orjson.dumps({"message": text})
        return answers.response(status, answers.JSON_1_0, body, next(self._request_ids))

    def _operation(self, request: Request) -> tuple[Operation, Any]:
        """Which operation is asked for, and with what. Raises what DynamoDB says of a body or target that is wrong."""
        headers, body = request.headers, request.body
        if b"content-encoding" in headers:
            coding = headers[b"content-encoding"]
            try:
                body = request.decoded(self._body_limit)
            except Undecodable as error:
                text = f"The request body cannot be decoded as {coding.decode('latin-1')}"
                raise InternalServerError(text) from error
        data = None
        if body:
            try:
                data = orjson.loads(body)
            except orjson.JSONDecodeError as error:
                raise SerializationException("") from error
        operation = self._targets.get(headers.get(b"x-amz-target", b""))
        if operation is None:
            raise UnknownOperationException("")
        return operation, data

    def _response(self, request: Request, status: int, content_type: bytes, body: bytes, request_id: str) -> Response:
        headers = request.headers
        more = self._origins.allowance(headers) if b"origin" in headers else b""
        body, coding = request.encoded(body)
        return answers.response(status, content_type, body, request_id, more + coding)

    def _other(self, request: Request, request_id: str) -> Response:
        """The answer to what is no operation: health, a browser's preflight, or 404."""
        headers = request.headers
        more = self._origins.allowance(headers) if b"origin" in headers else b""
        if request.method == b"OPTIONS" and more:
            more += b"".join(line % headers[name] for name, line in PREFLIGHT.items() if name in headers)
            return answers.response(200, answers.TEXT, b"", request_id, more + PREFLIGHT_LIFETIME)
        if request.method in (b"GET", b"HEAD") and request.target == READY:
            troubles = self._stores.troubles()
            body = orjson.dumps({"ready": not troubles, **({"regions": troubles} if troubles else {})})
            return answers.response(503 if troubles else 200, answers.JSON, body, request_id, more)
        if request.method in (b"GET", b"HEAD") and (at_root(request.target) or request.target == HEALTHY):
            body = b"healthy: %b " % headers.get(b"host", b"")
            return answers.response(200, answers.TEXT, body, request_id, more)
        return answers.response(404, answers.XML, answers.NOT_AN_OPERATION, request_id, more)

    def _forbid(self, request: Request, refusal: AccessDeniedException, request_id: str) -> Response:
        """The answer to who may not even ask, in a form that programs and people can read, but no foreign page."""
        if self._access_log:
            self._log_access(request, request_id, FORBIDDEN, 0.0)
        return answers.response(FORBIDDEN, answers.JSON_1_0, answers.error_body(refusal) + b"\n", request_id)

    def _log_fault(self, request: Request, request_id: str, error: BaseException) -> None:
        fields = {"request_id": request_id, "target": request.headers.get(b"x-amz-target", b"").decode("latin-1")}
        # What the disk refuses it refuses to everybody: the engine has logged where, and here a line will do.
        trace = None if isinstance(error, StorageError) else error
        log.error("fault: %s", error, exc_info=trace, extra=fields)

    def _log_access(self, request: Request, request_id: str, status: int, seconds: float) -> None:
        fields = {
            "request_id": request_id,
            "target": request.headers.get(b"x-amz-target", b"").decode("latin-1"),
            "status": status,
            "milliseconds": round(seconds * 1000, 3),
        }
        log.info("request", extra=fields)


def at_root(target: bytes) -> bool:
    """Whether a request's target is the one path that there is, with or without a query string."""
    return target == b"/" or target.startswith(b"/?")


def region_refusal(error: NotServed | TooManyOpen) -> DynamoDBError:
    """What a client is answered whose region cannot be had.

    An endpoint of AWS is of one region, and answers the same to a request for another.
    """
    if isinstance(error, NotServed):
        return InvalidSignatureException(f"Credential should be scoped to a valid region, not '{error}'. ")
    return LimitExceededException(str(error))
