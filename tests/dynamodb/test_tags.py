"""TagResource, UntagResource and ListTagsOfResource."""

from __future__ import annotations

from typing import Any

import pytest

from testing.dynamodb.definitions import create, definition, describe
from testing.dynamodb.refusals import INVALID, invalid, refusal
from testing.jedlik_process import Server

ACCOUNT = "000000000000"
NOWHERE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/nowhere"


@pytest.fixture
def client(server: Server) -> Any:
    return server.client()


@pytest.fixture
def table(client: Any) -> str:
    """The ARN of a table without tags."""
    arn: str = describe(client, create(client))["TableArn"]
    return arn


def tags_of(client: Any, arn: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in client.list_tags_of_resource(ResourceArn=arn)["Tags"]}


def tags(**by_key: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in by_key.items()]


def numbered(count: int, start: int = 0) -> list[dict[str, str]]:
    return tags(**{f"key{n}": "" for n in range(start, start + count)})


def test_tags_come_and_go(client: Any, table: str) -> None:
    assert tags_of(client, table) == {}
    client.tag_resource(ResourceArn=table, Tags=tags(a="1", b="2"))
    client.tag_resource(ResourceArn=table, Tags=tags(b="3", c=""))
    assert tags_of(client, table) == {"a": "1", "b": "3", "c": ""}
    client.untag_resource(ResourceArn=table, TagKeys=["a", "c", "never"])
    assert tags_of(client, table) == {"b": "3"}


def test_a_table_may_be_made_with_tags(client: Any) -> None:
    arn = describe(client, create(client, Tags=tags(a="1", b="2")))["TableArn"]
    assert tags_of(client, arn) == {"a": "1", "b": "2"}


def test_tags_end_with_their_table(client: Any) -> None:
    name = create(client, Tags=tags(a="1"))
    arn = describe(client, name)["TableArn"]
    client.delete_table(TableName=name)
    assert refusal(client.list_tags_of_resource, ResourceArn=arn)[0] == "ResourceNotFoundException"
    create(client, TableName=name)
    assert tags_of(client, arn) == {}


@pytest.mark.parametrize("text", ["a", "+-=._:/@", "with space", "żółw", "ключ", "鍵", "٣", "k" * 128])
def test_what_tags_are_made_of(client: Any, table: str, text: str) -> None:
    client.tag_resource(ResourceArn=table, Tags=[{"Key": text, "Value": text}])
    assert tags_of(client, table) == {text: text}


def test_fifty_tags_at_the_most(client: Any, table: str) -> None:
    full = "Number of Tags exceed the current limit for the provided ResourceArn"
    client.tag_resource(ResourceArn=table, Tags=numbered(50))
    client.tag_resource(ResourceArn=table, Tags=numbered(1))
    assert invalid(client.tag_resource, ResourceArn=table, Tags=numbered(1, start=50)) == full
    assert invalid(client.tag_resource, ResourceArn=table, Tags=numbered(51)) == full
    assert len(tags_of(client, table)) == 50


TAGS_REFUSED = [
    pytest.param([], "Atleast one Tag needs to be provided as Input.", id="none"),
    pytest.param([{"Key": "", "Value": "1"}], "The Tag Key provided is invalid, Key: ", id="empty key"),
    pytest.param([{"Value": "1"}], "The Tag Key provided is invalid, Key: null", id="no key"),
    pytest.param(tags(**{"a;": "1"}), "The Tag Key provided is invalid, Key: a;", id="odd key"),
    pytest.param(tags(**{"k" * 129: "1"}), f"The Tag Key provided is invalid, Key: {'k' * 129}", id="long key"),
    pytest.param(tags(**{"aws:a": "1"}), "Tag Key cannot be prefixed with aws:, Key: aws:a", id="reserved key"),
    pytest.param([{"Key": "a"}], "The Tag Value provided is invalid, Value: null", id="no value"),
    pytest.param(tags(a="1;"), "The Tag Value provided is invalid, Value: 1;", id="odd value"),
    pytest.param(tags(a="v" * 257), f"The Tag Value provided is invalid, Value: {'v' * 257}", id="long value"),
    pytest.param(
        tags(a="1") + tags(a="2"), "Duplicate Tag Keys provided as input: Duplicate Tag Key found a", id="twice"
    ),
]


@pytest.mark.parametrize(("given", "text"), TAGS_REFUSED)
def test_tags_that_are_refused(client: Any, table: str, given: list[dict[str, str]], text: str) -> None:
    assert invalid(client.tag_resource, ResourceArn=table, Tags=given) == text
    assert tags_of(client, table) == {}


def test_a_table_is_not_made_with_tags_that_are_refused(client: Any) -> None:
    made = definition(Tags=tags(**{"aws:a": "1"}))
    assert invalid(client.create_table, **made) == "Tag Key cannot be prefixed with aws:, Key: aws:a"
    assert refusal(client.describe_table, TableName=made["TableName"])[0] == "ResourceNotFoundException"


def test_some_key_must_be_given_to_untag(client: Any, table: str) -> None:
    assert invalid(client.untag_resource, ResourceArn=table, TagKeys=[]) == (
        "Atleast one Tag Key needs to be provided as Input."
    )


# What is tagged


OPERATIONS = [
    ("tag_resource", {"Tags": tags(a="1")}),
    ("untag_resource", {"TagKeys": ["a"]}),
    ("list_tags_of_resource", {}),
]


@pytest.mark.parametrize(("operation", "given"), OPERATIONS)
def test_there_is_no_such_table(client: Any, operation: str, given: dict[str, Any]) -> None:
    assert refusal(getattr(client, operation), ResourceArn=NOWHERE, **given) == (
        "ResourceNotFoundException",
        f"Requested resource not found: ResourceArn: {NOWHERE} not found",
    )


ARNS_REFUSED = [
    ("Music", f"{INVALID}ARNs must start with 'arn:': Music"),
    ("arn:aws", f"{INVALID}Second colon partition not found: arn:aws"),
    ("arn:aws:dynamodb", f"{INVALID}Third colon vendor not found: arn:aws:dynamodb"),
    (
        "arn:aws:dynamodb:us-east-1",
        f"{INVALID}Fourth colon (region/namespace delimiter) not found: arn:aws:dynamodb:us-east-1",
    ),
    (
        f"arn:aws:dynamodb:us-east-1:{ACCOUNT}",
        f"{INVALID}Fifth colon (namespace/relative-id delimiter) not found: arn:aws:dynamodb:us-east-1:{ACCOUNT}",
    ),
    (
        f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:chair/Music",
        f"{INVALID}Provided Arn is not a DynamoDB resource arn: arn:aws:dynamodb:us-east-1:{ACCOUNT}:chair/Music",
    ),
    (
        f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/ab",
        f"Invalid TableArn: Invalid ResourceArn provided as input arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/ab",
    ),
    (
        f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/Music",
        f"Invalid TableArn: Invalid ResourceArn provided as input arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/Music",
    ),
]


@pytest.mark.parametrize(("arn", "text"), ARNS_REFUSED)
def test_a_malformed_arn_of_a_table(client: Any, arn: str, text: str) -> None:
    assert invalid(client.list_tags_of_resource, ResourceArn=arn) == text


@pytest.mark.parametrize(
    "arn", [f"arn:aws:s3:us-east-1:{ACCOUNT}:table/Music", "arn:aws:dynamodb:us-east-1:12345678901:table/Music"]
)
def test_an_arn_of_another_service_or_of_no_account(client: Any, arn: str) -> None:
    assert refusal(client.list_tags_of_resource, ResourceArn=arn) == ("AccessDeniedException", "Access is denied")


def test_the_arn_is_asked_for(client: Any) -> None:
    assert invalid(client.list_tags_of_resource) == (
        "1 validation error detected: Value null at 'resourceArn' failed to satisfy constraint: Member must not be null"
    )
