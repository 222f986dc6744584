"""Operations of a service, called by another part of the process: the effect of a request, without HTTP around it.

The same checks of shapes, the same authorizer, the same handlers, counted in the same metrics; the answer is the
handler's result, and a refusal is the exception that a client would get. The request is in the form of the service's
JSON.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jedlik.aws import permissions
from jedlik.aws.authorizer import Authorizer
from jedlik.aws.context import Caller, Context
from jedlik.aws.errors import ServiceError, ServiceUnavailable
from jedlik.aws.region_refusals import region_refusal
from jedlik.aws.service import Operation
from jedlik.memory import Exhausted, Share
from jedlik.regions.region import NoAccount, NotServed, Region, TooManyOpen
from jedlik.storage.empty import NoStore

if TYPE_CHECKING:
    from jedlik.regions.stores import Stores


class Calls:
    """The operations of one service, over the stores of a process."""

    def __init__(
        self, stores: Stores, operations: Mapping[str, Operation], authorizer: Authorizer, answers: Share
    ) -> None:
        self._stores = stores
        self._operations = operations
        self._authorizer = authorizer
        self._answers = answers

    async def call(
        self, store: str, caller: Caller, name: str, request: dict[str, Any], request_id: str, *, counted: bool = True
    ) -> Mapping[str, Any]:
        """The result of an operation on the region whose store is called `store`. The request may be changed: its
        attribute values are in normal form afterwards. One that is not `counted` is in no metric: nobody asked for it.
        Raises ServiceError, and the exceptions of our own faults."""
        operation = self._operations[name]
        started = time.perf_counter()
        context: Context | None = None
        refusal: ServiceError | None = None
        held = 0
        try:
            region = self._stores.opened(store) or await self._stores.find(store)
            region.begun += 1
            try:
                if operation.answer:
                    await self._answers.take(operation.answer)
                    held = operation.answer
                context = Context(region, request_id, caller)
                return await self._handled(operation, context, store, request)
            finally:
                region.ended += 1
        except ServiceError as error:
            refusal = operation.reword(error, request)
            raise refusal from None
        except (NotServed, NoAccount, TooManyOpen) as error:
            refusal = region_refusal(error)
            raise refusal from None
        except Exhausted:
            refusal = ServiceUnavailable("The server is too busy; try again")
            raise refusal from None
        finally:
            if held:
                self._answers.give_back(held)
            if context is not None and counted:
                operation.count(context, refusal, time.perf_counter() - started)

    async def _handled(
        self, operation: Operation, context: Context, store: str, request: dict[str, Any]
    ) -> Mapping[str, Any]:
        asked = operation.validate(request)
        if not self._authorizer.allows_everything(context.caller):
            await permissions.check(self._authorizer, operation, context, asked)
        try:
            return await operation.handler(context, asked) or {}
        except NoStore:
            await self._stores.region(store)

        async def again(region: Region) -> Mapping[str, Any]:
            context.region = region
            return await operation.handler(context, asked) or {}

        return await self._stores.use(store, again)
