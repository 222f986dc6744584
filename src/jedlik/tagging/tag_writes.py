"""TagResources and UntagResources: the same change to up to twenty resources, each by itself.

The service that has a resource does the work, and its refusal becomes the error of that resource. Only a fault of the
request itself refuses all of it.

Source: the API reference of the Resource Groups Tagging API.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ServiceError
from jedlik.aws.tagged_resources import TaggedResources
from jedlik.tagging import arns
from jedlik.tagging.errors import InvalidParameterException

Request = dict[str, Any]
Response = dict[str, Any]


class TagWrites:
    """The writing operations over the resources of some services."""

    def __init__(self, types: Sequence[TaggedResources]) -> None:
        self._types = tuple(types)

    async def tag_resources(self, context: Context, request: Request) -> Response:
        """Give resources tags, which replace those with the same keys."""
        tags = request["Tags"]
        return await self._each(context, request, lambda of, arn: of.tag(context, arn, tags))

    async def untag_resources(self, context: Context, request: Request) -> Response:
        """Remove tags from resources, by their keys."""
        tag_keys = request["TagKeys"]
        return await self._each(context, request, lambda of, arn: of.untag(context, arn, tag_keys))

    async def _each(
        self, context: Context, request: Request, change: Callable[[TaggedResources, str], Awaitable[None]]
    ) -> Response:
        wanted = dict.fromkeys(request["ResourceARNList"])
        for arn in wanted:
            arns.check(context.region, arn)
        failed: dict[str, Response] = {}
        for arn in wanted:
            try:
                await change(self._of(context, arn), arn)
            except ServiceError as refusal:
                if refusal.status >= 500:
                    raise
                failed[arn] = {
                    "StatusCode": refusal.status,
                    "ErrorCode": refusal.name,
                    "ErrorMessage": refusal.message,
                }
        return {"FailedResourcesMap": failed}

    def _of(self, context: Context, arn: str) -> TaggedResources:
        """Whose resource an ARN names."""
        for one in self._types:
            if one.has(context.region, arn):
                return one
        raise InvalidParameterException(
            f"'{arn}' is not a resource of this account and Region that can be tagged here."
        )
