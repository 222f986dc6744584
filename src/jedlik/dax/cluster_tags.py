"""The operations on the tags of clusters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jedlik.aws.context import Context
from jedlik.dax.cluster_records import Cluster, cluster_key
from jedlik.dax.cluster_views import ClusterViews, arn_of, cluster_not_found
from jedlik.dax.errors import (
    InvalidARNFault,
    InvalidParameterValueException,
    TagNotFoundFault,
    TagQuotaPerResourceExceeded,
)
from jedlik.dax.listing import page
from jedlik.storage.engine import Writes

Request = dict[str, Any]
MOST_TAGS = 50
LONGEST_KEY, LONGEST_VALUE = 128, 256


class TagOperations:
    """The operations of a server."""

    def __init__(self, views: ClusterViews) -> None:
        self._views = views

    async def list_tags(self, context: Context, request: Request) -> Request:
        """The tags of a cluster."""
        cluster = await self._views.found(context, _name_in(context, request["ResourceName"]))
        shown, more = page(_shown(cluster), request, lambda one: str(one["Key"]))
        return {"Tags": shown, **more}

    async def tag_resource(self, context: Context, request: Request) -> Request:
        """Give a cluster tags."""
        given = checked(request["Tags"])

        def change(tags: dict[str, str]) -> None:
            tags.update(given)
            _check_count(tags)

        return await self._change(context, request["ResourceName"], change)

    async def untag_resource(self, context: Context, request: Request) -> Request:
        """Remove tags from a cluster."""

        def change(tags: dict[str, str]) -> None:
            for key in request["TagKeys"]:
                if tags.pop(key, None) is None:
                    raise TagNotFoundFault(f"Tag not found: {key}")

        return await self._change(context, request["ResourceName"], change)

    async def _change(self, context: Context, arn: str, change: Callable[[dict[str, str]], None]) -> Request:
        name = _name_in(context, arn)

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, Cluster]:
            cluster = Cluster.unpacked(found[0])
            if cluster.made is None and not self._views.is_own(name):
                raise cluster_not_found(name)
            tags = dict(cluster.tags)
            change(tags)
            cluster = replace(cluster, tags=tags)
            writes = Writes()
            writes.put(cluster_key(name), cluster.packed())
            return writes, cluster

        return {"Tags": _shown(await context.region.engine.mutate([cluster_key(name)], decide))}


def checked(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags as a request gives them. Raises what refuses them."""
    given: dict[str, str] = {}
    for one in tags:
        key, value = one.get("Key", ""), one.get("Value", "")
        if not 0 < len(key) <= LONGEST_KEY or len(value) > LONGEST_VALUE or key.lower().startswith("aws:"):
            raise InvalidParameterValueException(f"Invalid tag: {key}")
        given[key] = value
    _check_count(given)
    return given


def _check_count(tags: Mapping[str, str]) -> None:
    if len(tags) > MOST_TAGS:
        raise TagQuotaPerResourceExceeded(f"A cluster may have {MOST_TAGS} tags")


def _name_in(context: Context, arn: str) -> str:
    start = arn_of(context, "")
    if not arn.startswith(start):
        raise InvalidARNFault(f"Not the ARN of a cluster of this region and account: {arn}")
    return arn.removeprefix(start)


def _shown(cluster: Cluster) -> list[Request]:
    return [{"Key": key, "Value": value} for key, value in sorted(cluster.tags.items())]
