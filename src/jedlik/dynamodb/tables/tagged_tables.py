"""Tables with their tags, for the tagging service.

Tags are stored under the table's id and descriptors under the table's name. So a walk in the order of names, which is
that of ARNs, reads the descriptors a page at a time and then the tags of each page. A table that never had a tag has no
record of tags.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

import orjson

from jedlik.aws.context import Context
from jedlik.aws.service import Handler
from jedlik.aws.tagged_resources import Tagged
from jedlik.dynamodb import catalog
from jedlik.dynamodb.model import keys, replicas
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.tables import table_names, tags
from jedlik.regions.region import Region

PAGE_ROWS = 50
"""Descriptors that are read at once: that takes a millisecond."""


class TaggedTables:
    """`aws.tagged_resources.TaggedResources` of the tables of a region. `tag` and `untag` are the operations that
    change their tags, and ask for the caller's permissions."""

    type = "dynamodb:table"

    def __init__(self, tag: Handler = tags.tag_resource, untag: Handler = tags.untag_resource) -> None:
        self._tag = tag
        self._untag = untag

    def has(self, region: Region, arn: str) -> bool:
        start = table_names.arn(region.name, region.account, "")
        return arn.startswith(start) and table_names.is_name(arn.removeprefix(start))

    async def after(self, region: Region, arn: str | None, limit: int) -> Sequence[Tagged]:
        found: list[Tagged] = []
        async for page in catalog.pages(region, None if arn is None else arn.rpartition("/")[2], PAGE_ROWS):
            found += await _tagged(region, page)
            if len(found) >= limit:
                break
            await asyncio.sleep(0)
        return found[:limit]

    async def find(self, region: Region, arn: str) -> Tagged | None:
        table = await catalog.find(region, arn.rpartition("/")[2])
        found = await _tagged(region, [] if table is None else [table])
        return found[0] if found else None

    async def tag(self, context: Context, arn: str, tags_: Mapping[str, str]) -> None:
        wanted = [{"Key": key, "Value": value} for key, value in tags_.items()]
        await self._tag(context, {"ResourceArn": arn, "Tags": wanted})

    async def untag(self, context: Context, arn: str, tag_keys: Collection[str]) -> None:
        await self._untag(context, {"ResourceArn": arn, "TagKeys": list(tag_keys)})


async def _tagged(region: Region, tables: Sequence[Table]) -> list[Tagged]:
    """Those of `tables` that have a record of tags. A replica counts once it has been created."""
    shown = [table for table in tables if table.replica is None or table.replica.status != replicas.CREATING]
    stored = await region.engine.get([keys.tags_key(table.id) for table in shown])
    return [Tagged(table.arn, orjson.loads(raw)) for table, raw in zip(shown, stored, strict=True) if raw is not None]
