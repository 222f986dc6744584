"""GetResources, GetTagKeys and GetTagValues over resources of several services, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest

from jedlik.aws.context import Context, own
from jedlik.aws.tagged_resources import Tagged
from jedlik.regions.region import Region
from jedlik.storage.empty import EmptyEngine
from jedlik.tagging import page_tokens, tag_reads
from jedlik.tagging.errors import InvalidParameterException, PaginationTokenExpiredException
from jedlik.tagging.tag_reads import TagReads


class Shelf:
    """Resources of one type, in memory."""

    def __init__(self, type_: str, **tags: Mapping[str, str]) -> None:
        self.type = type_
        service, _, kind = type_.partition(":")
        self.start = f"arn:aws:{service}:us-east-1:000000000000:{kind}/"
        self.resources = {self.start + name: Tagged(self.start + name, tags[name]) for name in sorted(tags)}

    def has(self, region: Region, arn: str) -> bool:
        return arn.startswith(self.start)

    async def after(self, region: Region, arn: str | None, limit: int) -> Sequence[Tagged]:
        return [one for name, one in self.resources.items() if arn is None or name > arn][:limit]

    async def find(self, region: Region, arn: str) -> Tagged | None:
        return self.resources.get(arn)

    async def tag(self, context: Context, arn: str, tags: Mapping[str, str]) -> None:
        raise NotImplementedError

    async def untag(self, context: Context, arn: str, tag_keys: Collection[str]) -> None:
        raise NotImplementedError


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()
REGION = Region("us-east-1", "000000000000", EmptyEngine(), CLOCK, b"secret")
CONTEXT = Context(REGION, "request", own(REGION))


def ask(operation: str, *shelves: Shelf, **request: Any) -> dict[str, Any]:
    found: dict[str, Any] = asyncio.run(getattr(TagReads(shelves), operation)(CONTEXT, request))
    return found


def names(answer: dict[str, Any]) -> list[str]:
    return [mapping["ResourceARN"].rpartition("/")[2] for mapping in answer["ResourceTagMappingList"]]


def pages(operation: str, *shelves: Shelf, **request: Any) -> list[dict[str, Any]]:
    answers = [ask(operation, *shelves, **request)]
    while answers[-1]["PaginationToken"]:
        answers.append(ask(operation, *shelves, **request, PaginationToken=answers[-1]["PaginationToken"]))
        assert len(answers) < 100
    return answers


def refused(operation: str, *shelves: Shelf, **request: Any) -> str:
    with pytest.raises(InvalidParameterException) as caught:
        ask(operation, *shelves, **request)
    return caught.value.message


TABLES = Shelf(
    "dynamodb:table",
    a={"key1": "value1", "key2": "value2", "key3": ""},
    b={"key1": "value1", "key2": "value4", "key3": "x"},
    c={"key1": "other", "key2": "value3"},
    d={},
)
KEYS = Shelf("kms:key", one={"key1": "value1"}, two={"team": "a"})


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([], ["a", "b", "c", "d", "one", "two"]),
        ([{"Key": "key1", "Values": ["value1"]}], ["a", "b", "one"]),
        ([{"Key": "key2", "Values": ["value2", "value3", "value4"]}], ["a", "b", "c"]),
        ([{"Key": "key3"}], ["a", "b"]),
        ([{"Key": "key3", "Values": []}], ["a", "b"]),
        ([{"Key": "key3", "Values": [""]}], ["a"]),
        (
            [
                {"Key": "key1", "Values": ["value1"]},
                {"Key": "key2", "Values": ["value2", "value3", "value4"]},
                {"Key": "key3"},
            ],
            ["a", "b"],
        ),
        ([{"Key": "Key1"}], []),
    ],
)
def test_all_filters_must_hold_each_with_any_of_its_values(filters: list[Any], expected: list[str]) -> None:
    """The example of the API reference for TagFilters."""
    assert names(ask("get_resources", KEYS, TABLES, TagFilters=filters)) == expected


def test_a_resource_without_tags_that_had_some_is_shown() -> None:
    last = ask("get_resources", TABLES)["ResourceTagMappingList"][-1]
    assert last == {"ResourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/d", "Tags": []}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["dynamodb"], ["a", "b", "c", "d"]),
        (["dynamodb:table"], ["a", "b", "c", "d"]),
        (["kms", "dynamodb:table"], ["a", "b", "c", "d", "one", "two"]),
        (["dynamodb:backup"], []),
        (["s3"], []),
    ],
)
def test_a_type_is_a_service_or_one_of_its_types(filters: list[str], expected: list[str]) -> None:
    assert names(ask("get_resources", KEYS, TABLES, ResourceTypeFilters=filters)) == expected


def test_tags_per_page_never_split_a_resource() -> None:
    """The example of the API reference for TagsPerPage."""
    ten = {f"key{n}": "" for n in range(10)}
    shelf = Shelf("dynamodb:table", **{f"r{n:02}": ten for n in range(22)})
    assert [len(names(page)) for page in pages("get_resources", shelf, TagsPerPage=100)] == [10, 10, 2]
    bare: dict[str, dict[str, str]] = {f"r{n:02}": {} for n in range(60)}
    mixed = Shelf("dynamodb:table", **bare, s={f"key{n}": "" for n in range(50)})
    assert [len(names(page)) for page in pages("get_resources", mixed, TagsPerPage=100)] == [60, 1]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6, 100])
def test_pages_go_through_every_type(size: int) -> None:
    found = pages("get_resources", KEYS, TABLES, ResourcesPerPage=size)
    assert [name for page in found for name in names(page)] == ["a", "b", "c", "d", "one", "two"]
    assert all(len(names(page)) == size for page in found[:-1])
    kms = pages("get_resources", KEYS, TABLES, ResourcesPerPage=size, ResourceTypeFilters=["kms"])
    assert [name for page in kms for name in names(page)] == ["one", "two"]


def test_more_than_are_read_at_once() -> None:
    shelf = Shelf("dynamodb:table", **{f"r{n:03}": {"n": str(n % 2)} for n in range(2 * tag_reads.READ_AT_ONCE + 7)})
    odd = [{"Key": "n", "Values": ["1"]}]
    found = [name for page in pages("get_resources", shelf, KEYS, TagFilters=odd) for name in names(page)]
    assert found == [f"r{n:03}" for n in range(1, 2 * tag_reads.READ_AT_ONCE + 7, 2)]


def test_a_token_is_for_its_filters_and_a_quarter_of_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    filters = [{"Key": "key1"}]
    token = ask("get_resources", TABLES, TagFilters=filters, ResourcesPerPage=1)["PaginationToken"]
    assert names(ask("get_resources", TABLES, TagFilters=filters, PaginationToken=token)) == ["b", "c"]
    other = "The PaginationToken is invalid, or was given for other parameters."
    assert refused("get_resources", TABLES, PaginationToken=token) == other
    assert refused("get_tag_keys", TABLES, PaginationToken=token) == other
    for made_up in ("x", "é", "AAAA", token[:-4], "A" * 400):
        assert refused("get_resources", TABLES, TagFilters=filters, PaginationToken=made_up) == other
    monkeypatch.setattr(CLOCK, "now", CLOCK.now + page_tokens.LIFETIME_SECONDS)
    assert names(ask("get_resources", TABLES, TagFilters=filters, PaginationToken=token)) == ["b", "c"]
    monkeypatch.setattr(CLOCK, "now", CLOCK.now + 1)
    with pytest.raises(PaginationTokenExpiredException):
        ask("get_resources", TABLES, TagFilters=filters, PaginationToken=token)


ARN = TABLES.start


def test_resources_by_their_arns() -> None:
    wanted = [f"{KEYS.start}two", f"{ARN}a", f"{ARN}nowhere", f"{ARN}a", "arn:aws:s3:::bucket"]
    assert names(ask("get_resources", KEYS, TABLES, ResourceARNList=wanted)) == ["two", "a"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"ResourceARNList": [f"{ARN}a"], "TagFilters": [{"Key": "a"}]},
            "You can't specify both ResourceARNList and TagFilters in a request.",
        ),
        (
            {"ResourceARNList": [f"{ARN}a"], "ResourceTypeFilters": ["kms"]},
            "You can't specify both ResourceARNList and ResourceTypeFilters in a request.",
        ),
        (
            {"ResourceARNList": [f"{ARN}a"], "ResourcesPerPage": 1},
            "You can't specify both ResourceARNList and ResourcesPerPage in a request.",
        ),
        (
            {"ResourceARNList": [f"{ARN}a"], "TagsPerPage": 100},
            "You can't specify both ResourceARNList and TagsPerPage in a request.",
        ),
        (
            {"ResourceARNList": [f"{ARN}a"], "PaginationToken": "x"},
            "You can't specify both ResourceARNList and PaginationToken in a request.",
        ),
        ({"ResourceARNList": ["arn:aws"]}, "The ARN 'arn:aws' is malformed."),
        ({"ResourceARNList": ["urn:aws:a:b:c:d"]}, "The ARN 'urn:aws:a:b:c:d' is malformed."),
        (
            {"ResourceARNList": ["arn:aws-cn:s3:::b"]},
            "The partition of the ARN 'arn:aws-cn:s3:::b' is not that of this endpoint.",
        ),
        ({"ResourcesPerPage": 0}, "ResourcesPerPage must be between 1 and 100."),
        ({"ResourcesPerPage": 101}, "ResourcesPerPage must be between 1 and 100."),
        ({"TagsPerPage": 99}, "TagsPerPage must be between 100 and 500."),
        ({"TagsPerPage": 501}, "TagsPerPage must be between 100 and 500."),
        ({"TagFilters": [{"Values": ["a"]}]}, "Each TagFilter must contain a Key."),
        ({"ResourceTypeFilters": ["a"] * 101}, "ResourceTypeFilters can have at most 100 items."),
        ({"ResourceTypeFilters": [""]}, "'' in ResourceTypeFilters is not of the form service[:resourceType]."),
        ({"ResourceTypeFilters": ["a:"]}, "'a:' in ResourceTypeFilters is not of the form service[:resourceType]."),
        (
            {"ExcludeCompliantResources": True},
            "ExcludeCompliantResources can only be true if IncludeComplianceDetails is true.",
        ),
    ],
)
def test_refusals(request_: dict[str, Any], message: str) -> None:
    assert refused("get_resources", TABLES, **request_) == message


def test_without_tag_policies_every_resource_is_compliant() -> None:
    compliant = {"NoncompliantKeys": [], "KeysWithNoncompliantValues": [], "ComplianceStatus": True}
    found = ask("get_resources", TABLES, IncludeComplianceDetails=True)["ResourceTagMappingList"]
    assert [mapping["ComplianceDetails"] for mapping in found] == [compliant] * 4
    both = {"IncludeComplianceDetails": True, "ExcludeCompliantResources": True}
    assert ask("get_resources", TABLES, **both) == {"PaginationToken": "", "ResourceTagMappingList": []}
    assert "ComplianceDetails" not in ask("get_resources", TABLES)["ResourceTagMappingList"][0]
    assert ask("list_required_tags", TABLES) == {"RequiredTags": []}
    assert "invalid" in refused("list_required_tags", TABLES, NextToken="x")


def test_keys_and_values_in_use() -> None:
    assert ask("get_tag_keys", KEYS, TABLES) == {"PaginationToken": "", "TagKeys": ["key1", "key2", "key3", "team"]}
    assert ask("get_tag_values", KEYS, TABLES, Key="key1")["TagValues"] == ["other", "value1"]
    assert ask("get_tag_values", KEYS, TABLES, Key="nothing") == {"PaginationToken": "", "TagValues": []}


def test_keys_and_values_come_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_reads, "NAMES_PER_PAGE", 3)
    shelf = Shelf("dynamodb:table", **{f"r{n}": {f"key{n}": "", "all": f"value{n}"} for n in range(7)})
    found = pages("get_tag_keys", shelf)
    assert [page["TagKeys"] for page in found] == [
        ["all", "key0", "key1"],
        ["key2", "key3", "key4"],
        ["key5", "key6"],
    ]
    values = pages("get_tag_values", shelf, Key="all")
    assert [len(page["TagValues"]) for page in values] == [3, 3, 1]
    token = values[0]["PaginationToken"]
    assert "invalid" in refused("get_tag_values", shelf, Key="key1", PaginationToken=token)
