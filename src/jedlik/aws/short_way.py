"""The short way of a request, for the commonest forms of a few operations: from its bytes to its answer, or to the work
that it waits for, in one step.

The long way (`front`) can do everything, and most of its work for a usual request is to find that nothing is unusual.
Here a request is examined once. If it has the usual headers, a caller who was verified before, an open store and a form
that the operation's short handler knows, the answer is the handler's result, or follows from the work that it has
begun. Otherwise there is no answer here, nothing has changed, and the request goes the long way. So does one that must
be refused, because the words of refusals are there only.

So both ways must have the same result wherever the short one answers. The fuzzer sends every input both ways and
compares the answers, and so do the tests (`tests/aws/test_short_way.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import orjson

from jedlik.aws import answers
from jedlik.aws.access import Forms
from jedlik.aws.authorizer import Authorizer, noted
from jedlik.aws.context import Context
from jedlik.aws.errors import ServiceError
from jedlik.aws.origins import Origins
from jedlik.aws.protocols import json_1_0
from jedlik.aws.request_log import Answered, RequestLog, log_fault
from jedlik.aws.routing import Router
from jedlik.aws.service import Begun, Operation, Repeat, Short
from jedlik.aws.stored_items import json_of
from jedlik.memory import LARGE, Share
from jedlik.storage.engine import StorageError
from jedlik.wire.messages import COMPRESSED_FROM, Headers, HeadForm, Request, Response

if TYPE_CHECKING:
    from jedlik.aws.sigv4 import Signed
    from jedlik.regions.stores import Stores

Answer: TypeAlias = Response | Coroutine[Any, Any, Response]
"""An answer, or work that has to wait for it."""


TARGET = b"x-amz-target"
LESSON_SECONDS = 1.0
"""From one request of a connection that is learned from to the next: that takes longer than to parse many."""
DECISIVE = (b"content-type", b"host", b"content-encoding", b"origin")
"""The headers that decide, besides the target, whether a request can go the short way."""


class Found(NamedTuple):
    """What follows from the head of a request that can go the short way."""

    content_type: bytes
    host: bytes
    operation: Operation
    handler: Short
    members: frozenset[str] | None
    form: Forms
    service: str
    """Its signing name."""
    recognised: Callable[[Request, str], Signed | None]


class Note(NamedTuple):
    """What a form of heads keeps of what follows from it."""

    way: ShortWay
    place: int | None
    """The place of the target among a request's own values; None if all requests have the same."""
    target: bytes
    """Which that is."""
    found: dict[bytes, Found | None] | None
    """By target; None if something else that decides is a request's own."""


class Repeated(NamedTuple):
    """What a connection keeps of a request that others may repeat."""

    operation: Operation
    repeat: Repeat
    since: float
    """When it was learned, in seconds."""


def no_repeat(context: Context, body: bytes) -> None:
    """For requests that nothing could be learned from."""


class LongWay(Protocol):
    """The way that can answer every request."""

    request_ids: Iterator[str]
    """For requests of both ways."""

    def handle(self, request: Request) -> Coroutine[Any, Any, Response]:
        """The answer to a request."""
        ...


class ShortWay:
    """The short way to the services of a router."""

    def __init__(
        self,
        stores: Stores,
        router: Router,
        origins: Origins,
        authorizer: Authorizer,
        room: Share,
        long_way: LongWay,
        log: RequestLog | None,
    ) -> None:
        self._opened = stores.opened
        self._known_hosts = origins.known_hosts
        self._authorizer = authorizer
        self._room = room
        """For answers."""
        self._request_ids = long_way.request_ids
        self._long_way = long_way
        self._log = log
        self._routes = {
            target: (route, route.operation, route.operation.short)
            for target, route in router.targets.items()
            if route.codec is json_1_0.CODEC and route.operation is not None and route.operation.short is not None
        }
        """By X-Amz-Target."""

    def _found(self, method: bytes, path: bytes, headers: Headers) -> Found | None:
        """What follows from a request's head; None if the request must go the long way."""
        known = self._routes.get(headers.get(TARGET, b""))
        content_type = json_1_0.CONTENT_TYPES.get(headers.get(b"content-type", b""))
        if (
            known is None
            or content_type is None
            or path != b"/"
            or method != b"POST"
            or b"content-encoding" in headers
            or b"origin" in headers
        ):
            return None
        route, operation, short = known
        return Found(
            content_type,
            headers.get(b"host", b""),
            operation,
            short,
            operation.short_members,
            operation.form,
            route.service.signing_name,
            route.authenticator.recognised,
        )

    def _noted(self, form: HeadForm) -> Note:
        """What follows from a form of heads. The form keeps it."""
        place = form.place(TARGET)
        fixed = form.headers(())
        found = None
        if all(form.place(name) is None for name in DECISIVE):
            targets = [fixed.get(TARGET, b"")] if place is None else self._routes
            found = {each: self._found(form.method, form.target, {**fixed, TARGET: each}) for each in targets}
        note = form.note = Note(self, place, fixed.get(TARGET, b""), found)
        return note

    def answer(self, request: Request) -> Answer | None:
        """The answer to a request, or None: then the request goes the long way, and nothing has been done."""
        form = request.form
        by_target = None
        if form is not None:
            kept: Note | None = form.note
            if kept is None or kept[0] is not self:
                kept = self._noted(form)
            _, place, target, by_target = kept
        if by_target is None:
            found = self._found(request.method, request.target, request.headers)
        else:
            found = by_target.get(target if place is None else request.values[place])
        if found is None:
            return None
        content_type, host, operation, handler, members, form_of, service, recognised = found
        body = request.body
        known_hosts = self._known_hosts
        if not 0 < len(body) <= LARGE or (known_hosts is not None and host not in known_hosts):
            return None
        started = time.perf_counter()
        try:
            signed = request.signed = recognised(request, service)
            if signed is None:
                return None
            region = self._opened(signed.store)
            if region is None or not self._room.has_room(operation.answer):
                return None
            source = request.source
            note = source.note
            if note is None or note[0] is not signed:
                note = noted(self._authorizer, signed, region, source)
            _, caller, permits = note
            context = Context(region, next(self._request_ids), caller, host)
            repeat: Repeated | None = source.repeat
            if repeat is not None and repeat[0] is operation and permits is None:
                repeated = repeat[1](context, body)
                if repeated is not None:
                    region.begun += 1
                    region.ended += 1
                    return self._response(request, content_type, operation, context, started, repeated)
            asked = orjson.loads(body)
            if type(asked) is not dict:
                return None
            if permits is not None:
                if members is not None and not asked.keys() <= members:
                    return None
                formed = form_of(caller.scope or context.scope, asked, region.known)
                if not (self._allows(context, operation, asked) if formed is None else permits.allow(formed)):
                    return None
            result = handler(context, asked)
            if result is None:
                return None
            if operation.repeats is not None and (repeat is None or started >= repeat[2] + LESSON_SECONDS):
                repeats = operation.repeats(context, asked, body) if permits is None else None
                source.repeat = Repeated(operation, repeats or no_repeat, started)
        except (orjson.JSONDecodeError, ServiceError, StorageError):
            return None
        region.begun += 1
        if not isinstance(result, dict):
            return self._wait(request, content_type, operation, context, started, result)
        region.ended += 1
        return self._response(request, content_type, operation, context, started, result)

    def _allows(self, context: Context, operation: Operation, asked: dict[str, Any]) -> bool:
        """Whether the caller may do what it asks for. A request of the wrong form goes the long way, which refuses it;
        the short handler takes none."""
        caller = context.caller
        scope = caller.scope or context.scope
        try:
            accesses = context.accesses = operation.accesses(scope, asked, context.region.known)
        except Exception:
            return False
        return self._authorizer.allows(caller, accesses)

    async def _wait(
        self,
        request: Request,
        content_type: bytes,
        operation: Operation,
        context: Context,
        started: float,
        begun: Begun,
    ) -> Response:
        """The answer to a request whose work has begun."""
        refusal: ServiceError
        try:
            try:
                result = begun.answer(await begun.future)
            except Exception as error:
                final = begun.refusal(error)
                if final is None:
                    return await self._long_way.handle(request)
                refusal = final
            else:
                return self._response(request, content_type, operation, context, started, result)
        except (Exception, asyncio.CancelledError) as error:
            refusal = answers.FAULT
            log_fault(request, context.request_id, error)
        finally:
            context.region.ended += 1
        seconds = time.perf_counter() - started
        operation.count(context, refusal, seconds)
        status, lines, body = json_1_0.CODEC.error(refusal, context.request_id)
        body, coding = request.encoded(body)
        if self._log is not None and self._log.wants(seconds):
            if context.meter.table is None and context.accesses is None:
                asked = operation.validate(orjson.loads(request.body))
                context.accesses = operation.accesses(context.scope, asked, context.region.known)
            self._log.note(
                Answered(request, context.request_id, operation.name, context, status, refusal.name, len(body), seconds)
            )
        return answers.response(status, content_type, body, context.request_id, lines + coding)

    def _response(
        self,
        request: Request,
        content_type: bytes,
        operation: Operation,
        context: Context,
        started: float,
        result: Mapping[str, Any],
    ) -> Response:
        """The answer to a request that has succeeded, which is counted."""
        body = json_of(result)
        seconds = time.perf_counter() - started
        operation.count(context, None, seconds)
        lines = b""
        if len(body) >= COMPRESSED_FROM:
            body, lines = request.encoded(body)
        log = self._log
        if log is not None and log.wants(seconds):
            log.note(Answered(request, context.request_id, operation.name, context, 200, None, len(body), seconds))
        return answers.response(200, content_type, body, context.request_id, lines)
