"""PutItem, UpdateItem and DeleteItem, begun without waiting (`aws.short_way`).

The request is checked and prepared as on the long way, by the same functions. Only the waiting for rare events is left
out: the table is as this process has last seen it, which the decision verifies, and it has no item collections to
measure. All other requests, and every refusal except that of a condition, are for `single_items`, with which this
module must agree.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ServiceError
from jedlik.aws.service import Validate
from jedlik.dynamodb import catalog
from jedlik.dynamodb.capacity import charging
from jedlik.dynamodb.errors import DescriptorChanged
from jedlik.dynamodb.items import single_writes
from jedlik.dynamodb.items.parameters import Request, Response
from jedlik.dynamodb.items.prepared import Prepared
from jedlik.dynamodb.items.single_writes import SingleWrite
from jedlik.dynamodb.model.indexes import has_collections
from jedlik.dynamodb.model.writes import ItemChange, ItemWrite
from jedlik.storage.engine import NoKey


class Write:
    """A write that has been handed to the engine."""

    __slots__ = ("_context", "_request", "_single", "future")

    def __init__(self, context: Context, request: Request, operation: ItemWrite) -> None:
        self._context = context
        self._request = request
        self._single = SingleWrite(operation)
        self.future: Future[ItemChange] = self._single.begin(context.region)

    def answer(self, change: ItemChange) -> Response:
        """The answer of the write, which is charged."""
        return single_writes.answer(self._context, self._request, self._single.operation, change)

    def refusal(self, error: Exception) -> ServiceError | None:
        """The error of a condition that has stopped the write, which is charged. None for any other error that leaves
        nothing written; then the long way must examine the write again."""
        if isinstance(error, single_writes.STOPPED):
            name = self._request["TableName"]
            charging.stopped(self._context.meter, name, self._single.operation, self._single.stored)
            return error
        if isinstance(error, ServiceError | DescriptorChanged | NoKey):
            return None
        raise error


def begin(
    context: Context, request: dict[str, Any], *, validate: Validate, prepare: Callable[[Request, bytes], Prepared]
) -> Write | None:
    """Begin the write that `prepare` makes of a request; `validate` checks its shape."""
    asked = validate(request)
    region = context.region
    table = catalog.last_seen(region, asked["TableName"])
    if table is None or has_collections(table):
        return None
    return Write(context, asked, prepare(asked, region.secret).operation(table))
