"""GetResources, GetTagKeys, GetTagValues and ListRequiredTags: the resources and their tags.

A listing goes through the services' resources type by type, and within a type by ARN. There are no tag policies, so
every resource is compliant and no tag is required.

Sources: the API reference of the Resource Groups Tagging API, for limits and for valid combinations. It does not give
the texts of refusals.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.tagged_resources import Tagged, TaggedResources
from jedlik.regions.region import Region
from jedlik.tagging import arns, page_tokens
from jedlik.tagging.errors import InvalidParameterException

Request = dict[str, Any]
Response = dict[str, Any]

RESOURCES_PER_PAGE = 100
"""The most resources in an answer, and the default."""
TAGS_PER_PAGE = (100, 500)
RESOURCE_TYPE_FILTERS = 100
NAMES_PER_PAGE = 1000
"""Tag keys or values in an answer. The API reference gives no number."""
READ_AT_ONCE = 100

_FILTERS = ("TagFilters", "ResourceTypeFilters")
_PAGING = ("ResourcesPerPage", "TagsPerPage", "PaginationToken")
_COMPLIANT = {"NoncompliantKeys": [], "KeysWithNoncompliantValues": [], "ComplianceStatus": True}


class TagReads:
    """The reading operations over the resources of some services."""

    def __init__(self, types: Sequence[TaggedResources]) -> None:
        self._types = sorted(types, key=lambda one: one.type)

    async def get_resources(self, context: Context, request: Request) -> Response:
        """The resources with tags that match a request, a page at a time."""
        _check(request)
        shows_compliance = request.get("IncludeComplianceDetails", False)
        if request.get("ExcludeCompliantResources", False):
            if not shows_compliance:
                raise InvalidParameterException(
                    "ExcludeCompliantResources can only be true if IncludeComplianceDetails is true."
                )
            return _page([], False, "")
        if "ResourceARNList" in request:
            found = await self._named(context.region, request["ResourceARNList"])
            return _page(found, shows_compliance, "")
        region = context.region
        listing = ["GetResources", {name: request[name] for name in _FILTERS if name in request}]
        last = page_tokens.last(region, listing, request.get("PaginationToken"))
        most, most_tags = request.get("ResourcesPerPage", RESOURCES_PER_PAGE), request.get("TagsPerPage")
        page: list[Tagged] = []
        tags = 0
        async for resource in self._after(region, last, request.get("ResourceTypeFilters", ())):
            if not _matches(resource.tags, request.get("TagFilters", ())):
                continue
            tags += max(len(resource.tags), 1)
            if len(page) == most or (most_tags is not None and tags > most_tags):
                return _page(page, shows_compliance, page_tokens.token(region, listing, page[-1].arn))
            page.append(resource)
        return _page(page, shows_compliance, "")

    async def get_tag_keys(self, context: Context, request: Request) -> Response:
        """The keys of all tags in use."""
        keys = {key async for resource in self._after(context.region, None, ()) for key in resource.tags}
        return _names("TagKeys", keys, context.region, ["GetTagKeys"], request)

    async def get_tag_values(self, context: Context, request: Request) -> Response:
        """The values in use of tags with a key."""
        key = request["Key"]
        values = {
            resource.tags[key] async for resource in self._after(context.region, None, ()) if key in resource.tags
        }
        return _names("TagValues", values, context.region, ["GetTagValues", key], request)

    async def list_required_tags(self, context: Context, request: Request) -> Response:
        """None: only a tag policy would require tags."""
        page_tokens.last(context.region, ["ListRequiredTags"], request.get("NextToken"))
        return {"RequiredTags": []}

    async def _named(self, region: Region, wanted: Iterable[str]) -> list[Tagged]:
        found = []
        for arn in dict.fromkeys(wanted):
            arns.check(region, arn)
            for one in self._types:
                resource = await one.find(region, arn) if one.has(region, arn) else None
                if resource is not None:
                    found.append(resource)
        return found

    async def _after(self, region: Region, last: str | None, type_filters: Sequence[str]) -> AsyncIterator[Tagged]:
        """The resources of the types wanted that come after the one with the ARN `last`."""
        begun = last is None
        for one in self._types:
            begins_here = last is not None and not begun and one.has(region, last)
            begun = begun or begins_here
            if not begun or (type_filters and not {one.type, one.type.partition(":")[0]} & set(type_filters)):
                continue
            after = last if begins_here else None
            while True:
                read = await one.after(region, after, READ_AT_ONCE)
                for resource in read:
                    yield resource
                if len(read) < READ_AT_ONCE:
                    break
                after = read[-1].arn


def _check(request: Request) -> None:
    """Raises InvalidParameterException for parameters that are out of range or cannot be combined."""
    if "ResourceARNList" in request:
        for name in (*_FILTERS, *_PAGING):
            if request.get(name):
                raise InvalidParameterException(f"You can't specify both ResourceARNList and {name} in a request.")
    if not 1 <= request.get("ResourcesPerPage", 1) <= RESOURCES_PER_PAGE:
        raise InvalidParameterException(f"ResourcesPerPage must be between 1 and {RESOURCES_PER_PAGE}.")
    least, most = TAGS_PER_PAGE
    if not least <= request.get("TagsPerPage", least) <= most:
        raise InvalidParameterException(f"TagsPerPage must be between {least} and {most}.")
    if any("Key" not in wanted for wanted in request.get("TagFilters", ())):
        raise InvalidParameterException("Each TagFilter must contain a Key.")
    filters = request.get("ResourceTypeFilters", ())
    if len(filters) > RESOURCE_TYPE_FILTERS:
        raise InvalidParameterException(f"ResourceTypeFilters can have at most {RESOURCE_TYPE_FILTERS} items.")
    for given in filters:
        service, colon, type_ = given.partition(":")
        if not service or bool(colon) != bool(type_):
            raise InvalidParameterException(
                f"'{given}' in ResourceTypeFilters is not of the form service[:resourceType]."
            )


def _matches(tags: Mapping[str, str], filters: Iterable[Request]) -> bool:
    """Whether tags satisfy all filters: each wants a key, with one of its values if it has any."""
    for wanted in filters:
        value = tags.get(wanted["Key"])
        if value is None or (wanted.get("Values") and value not in wanted["Values"]):
            return False
    return True


def _page(resources: Iterable[Tagged], shows_compliance: bool, token: str) -> Response:
    return {
        "PaginationToken": token,
        "ResourceTagMappingList": [
            {
                "ResourceARN": resource.arn,
                "Tags": [{"Key": key, "Value": value} for key, value in resource.tags.items()],
                **({"ComplianceDetails": _COMPLIANT} if shows_compliance else {}),
            }
            for resource in resources
        ],
    }


def _names(member: str, names: set[str], region: Region, listing: Sequence[str], request: Request) -> Response:
    """A page of names in order."""
    last = page_tokens.last(region, listing, request.get("PaginationToken"))
    rest = sorted(name for name in names if last is None or name > last)
    page = rest[:NAMES_PER_PAGE]
    token = page_tokens.token(region, listing, page[-1]) if len(rest) > len(page) else ""
    return {"PaginationToken": token, member: page}
