"""CreateTags, DeleteTags and DescribeTags for VPC endpoints, and endpoints with their tags for other services.

Sources: the API reference; "Tag your Amazon EC2 resources" in the user guide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.protocols.codecs import InvalidParameterValue
from jedlik.aws.service import Handler
from jedlik.aws.tagged_resources import Tagged
from jedlik.ec2.endpoint_changes import KnownEndpoints, change
from jedlik.ec2.endpoint_records import EndpointRecord
from jedlik.ec2.errors import TagLimitExceeded
from jedlik.ec2.listing_filters import TAG, matches, page
from jedlik.regions.region import Region

Request = dict[str, Any]
RESOURCE_TYPE = "vpc-endpoint"
MOST_TAGS = 50
MOST_RESOURCES = 1000
LONGEST_KEY, LONGEST_VALUE = 127, 256

_FILTERS = {
    "key": lambda row, name: (row[1],),
    "resource-id": lambda row, name: (row[0],),
    "resource-type": lambda row, name: (RESOURCE_TYPE,),
    "value": lambda row, name: (row[2],),
    TAG: lambda row, name: (row[2],) if row[1] == name else (),
}
"""The values that a filter is about, of a row: id, key and value of a tag."""


class EndpointTags:
    """The operations."""

    def __init__(self, endpoints: KnownEndpoints) -> None:
        self._endpoints = endpoints

    async def create_tags(self, context: Context, request: Request) -> None:
        """Give endpoints tags; those that they have with these keys get other values."""
        ways = self._endpoints.named(context.region, _resources(request))
        given = _tags(request["Tags"])

        def tagged(record: EndpointRecord) -> EndpointRecord:
            together = {**record.tags, **given}
            if len(together) > MOST_TAGS:
                raise TagLimitExceeded(f"A resource cannot have more than {MOST_TAGS} tags")
            return replace(record, tags=together)

        await change(context.region, ways, tagged)

    async def delete_tags(self, context: Context, request: Request) -> None:
        """Remove tags: those with the keys, and values if these are given, or all."""
        ways = self._endpoints.named(context.region, _resources(request))
        wanted = [(one.get("Key", ""), one.get("Value")) for one in request.get("Tags", [])]

        def untagged(record: EndpointRecord) -> EndpointRecord:
            kept = {
                key: value
                for key, value in record.tags.items()
                if wanted and not any(name == key and given in (None, value) for name, given in wanted)
            }
            return replace(record, tags=kept)

        await change(context.region, ways, untagged)

    async def describe_tags(self, context: Context, request: Request) -> Request:
        """The tags of all endpoints of the region."""
        is_listed = matches(request, _FILTERS)
        rows = [
            row
            for way in self._endpoints.of(context.region)
            for key, value in sorted((await way.record(context.region)).tags.items())
            if is_listed(row := (way.id, key, value))
        ]
        shown, more = page(context.region, "DescribeTags", request, rows, lambda row: f"{row[0]} {row[1]}")
        found = [
            {"ResourceId": id_, "ResourceType": RESOURCE_TYPE, "Key": key, "Value": value} for id_, key, value in shown
        ]
        return {"Tags": found, **more}


def _resources(request: Request) -> list[str]:
    if len(request["Resources"]) > MOST_RESOURCES:
        raise InvalidParameterValue(f"There are more than {MOST_RESOURCES} resources")
    return list(request["Resources"])


def _tags(given: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags of a request. Raises InvalidParameterValue."""
    found: dict[str, str] = {}
    for tag in given:
        key, value = tag.get("Key", ""), tag.get("Value", "")
        if not key:
            raise InvalidParameterValue("Tag key cannot be null or empty")
        if key.lower().startswith("aws:"):
            raise InvalidParameterValue("Tag keys starting with 'aws:' are reserved for internal use")
        if len(key) > LONGEST_KEY:
            raise InvalidParameterValue(f"Tag key exceeds the maximum length of {LONGEST_KEY} characters")
        if len(value) > LONGEST_VALUE:
            raise InvalidParameterValue(f"Tag value exceeds the maximum length of {LONGEST_VALUE} characters")
        if key in found:
            raise InvalidParameterValue(f"Duplicate tag key '{key}' specified.")
        found[key] = value
    return found


class TaggedEndpoints:
    """`aws.tagged_resources.TaggedResources` of the endpoints of a region."""

    type = "ec2:vpc-endpoint"

    def __init__(self, endpoints: KnownEndpoints, create: Handler | None = None, delete: Handler | None = None) -> None:
        """`create` and `delete` are operations of the service on tags, which ask for the caller's permissions."""
        self._endpoints = endpoints
        own = EndpointTags(endpoints)
        self._create, self._delete = create or own.create_tags, delete or own.delete_tags

    def has(self, region: Region, arn: str) -> bool:
        return any(way.arn == arn for way in self._endpoints.of(region))

    async def after(self, region: Region, arn: str | None, limit: int) -> Sequence[Tagged]:
        ways = sorted(self._endpoints.of(region), key=lambda way: way.arn)
        found = [Tagged(way.arn, (await way.record(region)).tags) for way in ways if arn is None or way.arn > arn]
        return [one for one in found if one.tags][:limit]

    async def find(self, region: Region, arn: str) -> Tagged | None:
        for way in self._endpoints.of(region):
            if way.arn == arn:
                return Tagged(arn, (await way.record(region)).tags)
        return None

    async def tag(self, context: Context, arn: str, tags: Mapping[str, str]) -> None:
        given = [{"Key": key, "Value": value} for key, value in tags.items()]
        await self._create(context, {"Resources": [arn.rpartition("/")[2]], "Tags": given})

    async def untag(self, context: Context, arn: str, tag_keys: Collection[str]) -> None:
        given = [{"Key": key} for key in tag_keys]
        await self._delete(context, {"Resources": [arn.rpartition("/")[2]], "Tags": given})
