"""Permissions of a request: its caller must be allowed all that its operation needs."""

from __future__ import annotations

from typing import Any

from jedlik.aws.authorizer import Authorizer
from jedlik.aws.context import Context
from jedlik.aws.service import Handler, Operation


async def check(authorizer: Authorizer, operation: Operation, context: Context, asked: dict[str, Any]) -> None:
    """Raise AccessDeniedException unless the caller is allowed what it asks for."""
    region, caller = context.region, context.caller
    context.accesses = operation.accesses(context.scope, asked, region.known)
    if not authorizer.allows(caller, context.accesses):
        await operation.learn(region, context.accesses)
        context.accesses = operation.accesses(context.scope, asked, region.known)
        await authorizer.check(caller, context.accesses)


def permitted(operation: Operation, authorizer: Authorizer) -> Handler:
    """The handler of an operation that a part of another service calls for its own caller, whose permissions it asks
    for as if the caller had sent that request."""

    async def handle(context: Context, request: dict[str, Any]) -> Any:
        if not authorizer.allows_everything(context.caller):
            await check(authorizer, operation, context, request)
        return await operation.handler(context, request)

    return handle
