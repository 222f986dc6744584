"""Tables with their tags, for the tagging service.

Tags stand under the table's id and the tables' descriptors under their names, so a walk in the order of names, which is
that of ARNs, reads the descriptors a page at a time and then the tags of each page. A table that never had a tag has no
record of tags.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

import orjson

from jedlik.aws.context import Context
from jedlik.aws.tagged_resources import Tagged
from jedlik.dynamodb.model import keys, replicas
from jedlik.dynamodb.tables import table_names, tags
from jedlik.regions.region import Region

PAGE_ROWS = 50
"""Descriptors read at once: to look at them takes a millisecond."""
PAGE_BYTES = 256 * 1024


class TaggedTables:
    """`aws.tagged_resources.TaggedResources` of the tables of a region."""

    type = "dynamodb:table"

    def has(self, region: Region, arn: str) -> bool:
        start = table_names.arn(region.name, region.account, "")
        return arn.startswith(start) and table_names.is_name(arn.removeprefix(start))

    async def after(self, region: Region, arn: str | None, limit: int) -> Sequence[Tagged]:
        found: list[Tagged] = []
        start, end = keys.descriptor_range(None if arn is None else arn.rpartition("/")[2])
        while len(found) < limit:
            rows = await region.engine.range(start, end, PAGE_ROWS, PAGE_BYTES)
            if not rows:
                break
            found += await _tagged(region, [raw for _, raw in rows])
            start = rows[-1][0] + b"\x00"
            await asyncio.sleep(0)
        return found[:limit]

    async def find(self, region: Region, arn: str) -> Tagged | None:
        [raw] = await region.engine.get([keys.descriptor_key(arn.rpartition("/")[2])])
        found = await _tagged(region, [] if raw is None else [raw])
        return found[0] if found else None

    async def tag(self, context: Context, arn: str, tags_: Mapping[str, str]) -> None:
        wanted = [{"Key": key, "Value": value} for key, value in tags_.items()]
        await tags.tag_resource(context, {"ResourceArn": arn, "Tags": wanted})

    async def untag(self, context: Context, arn: str, tag_keys: Collection[str]) -> None:
        await tags.untag_resource(context, {"ResourceArn": arn, "TagKeys": list(tag_keys)})


async def _tagged(region: Region, descriptors: Sequence[bytes]) -> list[Tagged]:
    """Of tables by their descriptors those that have a record of tags. A replica is none before it is made."""
    documents = [orjson.loads(raw) for raw in descriptors]
    shown = [document for document in documents if not _is_being_made(document)]
    stored = await region.engine.get([keys.tags_key(keys.table_id(document["TableId"])) for document in shown])
    return [
        Tagged(document["TableArn"], orjson.loads(raw))
        for document, raw in zip(shown, stored, strict=True)
        if raw is not None
    ]


def _is_being_made(document: dict[str, object]) -> bool:
    replica = replicas.parse(document)
    return replica is not None and replica.status == replicas.CREATING
