"""The short way of a request: from its bytes to its answer in one step, for the commonest forms of a few operations.

The long way (`front`) can do everything, and most of what it does for a usual request is to find that nothing is
unusual. Here a request is looked at once. If it has the usual headers, a caller who was verified before, an open store
and a form that the operation's short handler knows, the handler's result is the answer. Otherwise there is no answer
here, nothing has changed, and the request goes the long way: also one that must be refused, since the words of
refusals are there only.

So both ways must mean the same wherever the short one answers. The fuzzer takes every input both ways and compares the
answers, and so do the tests (`tests/aws/test_short_way.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import orjson

from jedlik.aws import answers
from jedlik.aws.authorizer import Authorizer
from jedlik.aws.context import Context, caller_of
from jedlik.aws.errors import ServiceError
from jedlik.aws.origins import Origins
from jedlik.aws.protocols import json_1_0
from jedlik.aws.routing import Router
from jedlik.aws.stored_items import json_of
from jedlik.memory import KIB, Share
from jedlik.storage.engine import StorageError
from jedlik.wire.messages import COMPRESSED_FROM, Request, Response

if TYPE_CHECKING:
    from jedlik.regions.stores import Stores

LONGEST = 4 * KIB
"""Bytes of a body. What short handlers remember of requests is as small as these."""


class ShortWay:
    """The short way to the services of a router."""

    def __init__(
        self,
        stores: Stores,
        router: Router,
        origins: Origins,
        authorizer: Authorizer,
        room: Share,
        request_ids: Iterator[str],
    ) -> None:
        self._opened = stores.opened
        self._known_hosts = origins.known_hosts
        self._allows_everything = authorizer.allows_everything
        self._room = room
        """For answers."""
        self._request_ids = request_ids
        self._routes = {
            target: (route.operation, route.operation.short, route.service.signing_name, route.authenticator.recognised)
            for target, route in router.targets.items()
            if route.codec is json_1_0.CODEC and route.operation is not None and route.operation.short is not None
        }
        """By X-Amz-Target."""

    def answer(self, request: Request) -> Response | None:
        """The answer to a request, or None: then the request goes the long way, and nothing has been done."""
        headers = request.headers
        route = self._routes.get(headers.get(b"x-amz-target", b""))
        if route is None:
            return None
        host, body = headers.get(b"host", b""), request.body
        content_type = json_1_0.CONTENT_TYPES.get(headers.get(b"content-type", b""))
        known_hosts = self._known_hosts
        if (
            content_type is None
            or request.target != b"/"
            or request.method != b"POST"
            or b"content-encoding" in headers
            or b"origin" in headers
            or not 0 < len(body) <= LONGEST
            or (known_hosts is not None and host not in known_hosts)
        ):
            return None
        started = time.perf_counter()
        operation, handler, service, recognised = route
        try:
            signed = request.signed = recognised(request, service)
            if signed is None:
                return None
            region = self._opened(signed.store)
            if region is None or not self._room.has_room(operation.answer):
                return None
            source = request.source
            note = source.note
            caller = note[1] if note is not None and note[0] is signed else caller_of(signed, region, source)
            if not self._allows_everything(caller):
                return None
            asked = orjson.loads(body)
            if type(asked) is not dict:
                return None
            request_id = next(self._request_ids)
            context = Context(region, request_id, caller, host)
            result = handler(context, asked)
        except (orjson.JSONDecodeError, ServiceError, StorageError):
            return None
        if result is None:
            return None
        region.begun += 1
        region.ended += 1
        made = json_of(result)
        operation.count(context, None, time.perf_counter() - started)
        lines = b""
        if len(made) >= COMPRESSED_FROM:
            made, lines = request.encoded(made)
        return answers.response(200, content_type, made, request_id, lines)
