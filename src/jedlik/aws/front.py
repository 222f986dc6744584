"""From a request to its answer: a request's way through all that services share.

    routing      which service and operation, from headers and path alone
    sigv4        the caller, and the region
    the codec    content coding, the value in the body, its shape
    authorizer   whether the caller is permitted
    the handler  the result, and the codec again

Where signatures are verified, that is done over the body as it came: nothing of a stranger's request is decompressed,
parsed or looked up but its access key, and the action of a form: an operation may need no signature because a token in
the request proves who asks (`Operation.unsigned`). Then what is wrong is found in DynamoDB's order: content coding,
JSON, target, and whatever the operation itself finds. Where nothing is verified, who may ask at all (`origins`) comes
first, and the credential scope is read behind the target, as DynamoDB does it. What names no operation is answered
elsewhere (`other_requests`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from jedlik.aws import absent, across_accounts, answers, permissions
from jedlik.aws.access import Access, Known, Scope
from jedlik.aws.authorizer import Authorizer, Permits, noted
from jedlik.aws.context import Context
from jedlik.aws.errors import (
    AccessDeniedException,
    InternalServerError,
    OtherAccount,
    SerializationException,
    ServiceError,
    ServiceUnavailable,
)
from jedlik.aws.origins import Origins
from jedlik.aws.other_requests import OtherRequests, at_root
from jedlik.aws.region_refusals import region_refusal
from jedlik.aws.request_log import Answered, RequestLog, log_fault, note_refused
from jedlik.aws.room import Room, weight
from jedlik.aws.routing import Absent, Route, Router
from jedlik.aws.service import Codec, Operation, Service, by_codec
from jedlik.aws.short_way import Answer, ShortWay
from jedlik.aws.sigv4 import UNSIGNED
from jedlik.memory import LARGE, Exhausted, Memory
from jedlik.regions.region import NoAccount, NotServed, Region, TooManyOpen
from jedlik.storage.empty import NoStore
from jedlik.wire.messages import COMPRESSED_FROM, Request, Response, TooLarge, Undecodable

if TYPE_CHECKING:
    from jedlik.regions.stores import Stores

log = logging.getLogger(__name__)

FORBIDDEN = 403
BUSY = ServiceUnavailable("The server is too busy; try again")


class Dispatcher:
    """All services, as the application behind the HTTP server."""

    def __init__(
        self,
        stores: Stores,
        router: Router,
        origins: Origins,
        authorizer: Authorizer,
        *,
        body_limit: int,
        memory: Memory,
        log: RequestLog | None = None,
    ) -> None:
        self._stores = stores
        self._router = router
        self._targets = router.targets
        self._origins = origins
        self._known_hosts = origins.known_hosts
        self._authorizer = authorizer
        self._body_limit = body_limit
        """Bytes of a body once it is decompressed."""
        self._room = Room(memory.parsed)
        self._answers = memory.answers
        self._log = log
        self.request_ids = answers.request_ids()
        self.others = OtherRequests(stores, origins, router.names)
        short = ShortWay(stores, router, origins, authorizer, self._answers, self, log)
        self.at_once: Callable[[Request], Answer | None] = short.answer
        """The answer to a request that can go the short way."""

    async def handle(self, request: Request) -> Response:
        """The answer to a request, whatever it is."""
        request_id = next(self.request_ids)
        headers = request.headers
        host = headers.get(b"host", b"")
        known_hosts = self._known_hosts
        if known_hosts is not None and (host not in known_hosts or b"origin" in headers):
            forbidden = self._origins.refusal(headers)
            if forbidden is not None:
                return self._forbid(request, forbidden, request_id)
        route = self._targets.get(headers.get(b"x-amz-target", b""))
        if route is None:
            found = self._router.find(request)
            if isinstance(found, Absent):
                return self._elsewhere(request, found, request_id)
            route = found
        service, operation, authenticator, codec = route
        content_type = codec.content_type(headers.get(b"content-type", b""))
        if content_type is None or request.method != b"POST" or request.target != b"/":
            content_type = unusual_content_type(request, route, content_type)
            if content_type is None:
                return await self.others.answer(request, request_id)
            forbidden = self._origins.linked_refusal(headers)
            if forbidden is not None:
                return self._forbid(request, forbidden, request_id)
        started = time.perf_counter()
        status = 200
        lines = codec.headers
        taken = answer = 0
        data: Any = None
        region: Region | None = None
        context: Context | None = None
        refusal: ServiceError | None = None
        try:
            signed = request.signed
            if signed is None and authenticator.verifies:
                if b"authorization" not in headers and self._router.needs_no_signature(service, request):
                    signed = UNSIGNED
                else:
                    signed = authenticator.signed(request, service.signing_name)
            is_coded = b"content-encoding" in headers
            if is_coded or len(request.body) > LARGE:
                weighs = weight(request, self._body_limit)
                await self._room.take(weighs)
                taken = weighs
            if is_coded or not request.body or request.method != b"POST":
                data = self._parsed(request, codec)
            else:
                data = codec.parsed(request.body)
            if operation is None:
                operation = self._router.named(service, codec.operation_of(data))
            if signed is None or (signed is UNSIGNED and not operation.unsigned):
                signed = authenticator.signed(request, service.signing_name)
            region = self._stores.opened(signed.store) or await self._region(service, signed.store)
            region.begun += 1
            note = request.source.note
            if note is None or note[0] is not signed:
                note = noted(self._authorizer, signed, region, request.source)
            _, caller, permits = note
            context = Context(region, request_id, caller, host)
            if operation.answer:
                if not self._answers.try_hold(operation.answer):
                    await self._answers.take(operation.answer)
                answer = operation.answer
            result = await self._result(request, codec, operation, context, data, permits, signed.store)
            body = codec.answer(operation.name, result, request_id)
        except TooLarge:
            status, body = 413, b""
        except (Exception, asyncio.CancelledError) as error:
            refusal = refusal_for(error, request, request_id, operation, context, data)
            try:
                status, lines, body = codec.error(refusal, request_id)
            except Exception as fault:  # The protocol has no form for what it holds.
                refusal = answers.FAULT
                status, lines, body = codec.error(refusal, request_id)
                log_fault(request, request_id, fault)
        finally:
            if region is not None:
                region.ended += 1
            if answer:
                self._answers.give_back(answer)
            if taken:
                self._room.give_back(taken)
        seconds = time.perf_counter() - started
        if context is not None and operation is not None:
            operation.count(context, refusal, seconds)
        if len(body) >= COMPRESSED_FROM or b"origin" in headers:
            body, lines = self._adorned(request, body, lines)
        if self._log is not None:
            name = None if operation is None else operation.name
            reason = None if refusal is None else refusal.name
            self._log.note(Answered(request, request_id, name, context, status, reason, len(body), seconds))
        return answers.response(status, content_type, body, request_id, lines)

    async def _result(
        self,
        request: Request,
        codec: Codec,
        operation: Operation,
        context: Context,
        data: Any,
        permits: Permits | None,
        store: str,
    ) -> Mapping[str, Any] | None:
        """What the handler returns for a request that was parsed, if its shape is right and its caller permitted.

        The request begins again where it needs its store, and that is not there yet, or is for another account.
        """
        try:
            validate = operation.validate
            if type(data) is dict and validate is not by_codec:
                asked = validate(data)
            else:
                asked = checked(codec, operation, data)
            if operation.unsigned:
                context.accesses = ()
            elif permits is not None:
                formed = operation.form(context.caller.scope or context.scope, asked, context.region.known)
                if formed is None or not permits.allow(formed):
                    await permissions.check(self._authorizer, operation, context, asked)
            if self._log is not None and context.accesses is None:
                context.accesses = operation.accesses(context.scope, asked, context.region.known)
            return await operation.handler(context, asked)
        except NoStore:
            await self._stores.region(store)
            return await self._stores.use(store, partial(self._begin_again, request, codec, operation, context))
        except OtherAccount as other:
            return await self._across(request, codec, operation, context, other)

    async def _region(self, service: Service, name: str) -> Region:
        """The region whose store is called `name` and not open. Raises NotServed, but not for a global service."""
        return await (self._stores.find_any(name) if service.is_global else self._stores.find(name))

    async def _across(
        self, request: Request, codec: Codec, operation: Operation, context: Context, other: OtherAccount
    ) -> Mapping[str, Any] | None:
        """The result of a request for resources of another account, in that account's store."""
        asked = checked(codec, operation, self._parsed(request, codec))

        def compute(scope: Scope, known: Known) -> tuple[Access, ...]:
            return operation.accesses(scope, asked, known)

        name = await across_accounts.store_of(self._stores, self._authorizer, operation, context, compute, other)

        async def again(region: Region) -> Mapping[str, Any] | None:
            context.region = region
            context.accesses = operation.accesses(context.scope, asked, region.known)
            return await self._begin_again(request, codec, operation, context, region)

        return await self._stores.use(name, again)

    async def _begin_again(
        self, request: Request, codec: Codec, operation: Operation, context: Context, region: Region
    ) -> Mapping[str, Any] | None:
        """The result of a request that has found its region without a store, and needs one."""
        data = self._parsed(request, codec)  # The handler may have changed what it got.
        again = Context(region, context.request_id, context.caller, context.host)
        again.accesses = context.accesses
        again.meter = context.meter  # It is one request.
        return await operation.handler(again, checked(codec, operation, data))

    def refuse(self, status: int, text: str = "") -> Response:
        """The answer to what is not a request, or not now."""
        body = b""
        if status == BUSY.status:
            body = answers.error_body(BUSY)
        elif text:
            body = orjson.dumps({"message": text})
        return answers.response(status, answers.JSON_1_0, body, next(self.request_ids))

    def _parsed(self, request: Request, codec: Codec) -> Any:
        """The value in a body. Raises DynamoDB's error for a wrong content coding, and the codec's for a malformed
        body."""
        if request.method != b"POST":
            return codec.parsed(request.target.partition(b"?")[2])
        try:
            body = request.decoded(self._body_limit)
        except Undecodable as error:
            coding = request.headers[b"content-encoding"].decode("latin-1")
            raise InternalServerError(f"The request body cannot be decoded as {coding}") from error
        return codec.parsed(body)

    def _adorned(self, request: Request, body: bytes, lines: bytes) -> tuple[bytes, bytes]:
        """A body in the coding that the client wants, and the header lines with those for that and for browsers."""
        headers = request.headers
        more = self._origins.allowance(headers) if b"origin" in headers else b""
        body, coding = request.encoded(body)
        return body, lines + more + coding

    def _elsewhere(self, request: Request, missing: Absent, request_id: str) -> Response:
        """The answer to a request for a service that is not here."""
        more = self._origins.allowance(request.headers) if b"origin" in request.headers else b""
        response = absent.answer(missing.service, self._router.names, request, request_id, more)
        self._note_refusal(request, request_id, response, None)
        return response

    def _forbid(self, request: Request, refusal: AccessDeniedException, request_id: str) -> Response:
        """The answer to a caller that is not permitted to send requests, in a form that programs and people can read,
        but no foreign page."""
        response = answers.response(FORBIDDEN, answers.JSON_1_0, answers.error_body(refusal) + b"\n", request_id)
        self._note_refusal(request, request_id, response, refusal.name)
        return response

    def _note_refusal(self, request: Request, request_id: str, response: Response, error: str | None) -> None:
        """Log a request that was refused before it was looked at."""
        if self._log is not None:
            size = len(response.body)
            self._log.note(Answered(request, request_id, None, None, response.status, error, size, 0.0))


def refusal_for(
    error: BaseException,
    request: Request,
    request_id: str,
    operation: Operation | None,
    context: Context | None,
    data: Any,
) -> ServiceError:
    """What a client is answered whose request has raised an error. What needs a line in the log gets one."""
    if isinstance(error, ServiceError):
        if isinstance(error, AccessDeniedException) and context is not None:
            note_refused(error, context)
        return error if operation is None else operation.reword(error, data)
    if isinstance(error, NotServed | NoAccount | TooManyOpen):
        return region_refusal(error)
    if isinstance(error, Exhausted):
        return BUSY
    log_fault(request, request_id, error)
    return answers.FAULT


def checked(codec: Codec, operation: Operation, data: Any) -> dict[str, Any]:
    """The request that was parsed, whose shape is right. Raises what refuses it."""
    validate = operation.validate
    if validate is by_codec:
        return codec.checked(operation.name, data)
    if type(data) is not dict:
        raise SerializationException("")
    return validate(data)


def unusual_content_type(request: Request, route: Route, content_type: bytes | None) -> bytes | None:
    """The content type of the answer to a request that is not simply a body sent to the root; None if it names no
    operation. It may have no body, a query string, the operation in its path if its protocol permits that, or the query
    string of a GET in place of a form."""
    service, _, _, codec = route
    if not (at_root(request.target) or codec is service.cbor):
        return None
    if request.method == b"POST":
        return content_type or (None if request.body else codec.default)
    is_query = request.method == b"GET" and service.target_prefix is None and b"Action=" in request.target
    return codec.default if is_query else None
