"""TagResource, UntagResource and ListResourceTags, and keys with their tags for the tagging service.

Sources: the API reference; "Tags in AWS KMS" in the developer guide. The texts of refusals are ours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.service import Handler
from jedlik.aws.tagged_resources import Tagged
from jedlik.kms import key_records, key_rows
from jedlik.kms.errors import TagException
from jedlik.kms.key_finding import KeyAt, change, there
from jedlik.kms.key_names import is_key_id
from jedlik.kms.key_records import PENDING_DELETION, PENDING_REPLICA_DELETION, KmsKey, check_not
from jedlik.kms.listing_markers import page_of
from jedlik.regions.region import Region

Request = dict[str, Any]
MOST_TAGS = 50
_PAGE_BYTES = 4 << 20
_DELETING = (PENDING_DELETION, PENDING_REPLICA_DELETION)


def changed(tags: Mapping[str, str], given: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags with more tags. Raises TagException."""
    new: dict[str, str] = {}
    for tag in given:
        name = tag["TagKey"]
        if name in new:
            raise TagException("Duplicate tag keys")
        if name.lower().startswith("aws:"):
            raise TagException("Tag keys that begin with aws: are reserved")
        new[name] = tag["TagValue"]
    together = {**tags, **new}
    if len(together) > MOST_TAGS:
        raise TagException("Too many tags")
    return together


async def tag_resource(at: KeyAt, request: Request) -> None:
    """Give a key tags."""

    def tagged(key: KmsKey) -> KmsKey:
        check_not(key, at.arn, at.now, *_DELETING)
        return replace(key, tags=changed(key.tags, request["Tags"]))

    await change(at, tagged)


async def untag_resource(at: KeyAt, request: Request) -> None:
    """Remove tags from a key."""

    def untagged(key: KmsKey) -> KmsKey:
        check_not(key, at.arn, at.now, *_DELETING)
        return replace(key, tags={name: key.tags[name] for name in key.tags if name not in request["TagKeys"]})

    await change(at, untagged)


async def list_resource_tags(at: KeyAt, request: Request) -> Request:
    """The tags of a key."""
    names = sorted(at.key.tags)
    page, more = page_of(at.region, f"ListResourceTags {at.key.id}", request, names, str, MOST_TAGS)
    return {"Tags": [{"TagKey": name, "TagValue": at.key.tags[name]} for name in page], **more}


class TaggedKeys:
    """`aws.tagged_resources.TaggedResources` of the keys of a region. The operations of the service change tags, and
    ask for the caller's permissions."""

    type = "kms:key"

    def __init__(self, tag: Handler, untag: Handler) -> None:
        self._tag = tag
        self._untag = untag

    def has(self, region: Region, arn: str) -> bool:
        start = key_records.arn(region.name, region.account, "")
        return arn.startswith(start) and is_key_id(arn.removeprefix(start)) is not None

    async def after(self, region: Region, arn: str | None, limit: int) -> Sequence[Tagged]:
        found: list[Tagged] = []
        start, end = key_rows.key_range(None if arn is None else arn.rpartition("/")[2])
        while len(found) < limit and (rows := await region.engine.range(start, end, limit, _PAGE_BYTES)):
            keys = (there(stored) for _, stored in rows)
            found += [_tagged(region, key) for key in keys if key is not None and key.tags]
            start = rows[-1][0] + b"\0"
        return found[:limit]

    async def find(self, region: Region, arn: str) -> Tagged | None:
        [stored] = await region.engine.get([key_rows.key_row(arn.rpartition("/")[2])])
        key = there(stored)
        return None if key is None else _tagged(region, key)

    async def tag(self, context: Context, arn: str, tags: Mapping[str, str]) -> None:
        given = [{"TagKey": name, "TagValue": value} for name, value in tags.items()]
        await self._tag(context, {"KeyId": arn, "Tags": given})

    async def untag(self, context: Context, arn: str, tag_keys: Collection[str]) -> None:
        await self._untag(context, {"KeyId": arn, "TagKeys": list(tag_keys)})


def _tagged(region: Region, key: KmsKey) -> Tagged:
    return Tagged(key_records.arn(region.name, region.account, key.id), key.tags)
