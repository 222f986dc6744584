"""TagResource, UntagResource and ListTagsOfResource.

A table's tags are one value in the store beside its descriptor, so writes of items do not notice when they change. They
are changed in a mutation that reads both, so the end of a table is the end of its tags.

Sources: "Tagging restrictions" in the developer guide; the texts are DynamoDB's answers.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from jedlik.aws.context import Context
from jedlik.aws.errors import AccessDeniedException, ValidationException
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.capacity.throughput import INVALID
from jedlik.dynamodb.errors import ResourceNotFoundException
from jedlik.dynamodb.model import keys, replicas
from jedlik.dynamodb.model.limits import TAG_KEY_LENGTH, TAG_VALUE_LENGTH, TAGS
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.tables import table_names
from jedlik.regions.region import Region

Request = dict[str, Any]
Tags = dict[str, str]

_PUNCTUATION = frozenset("+-=._:/@")

_ARN_PARTS = (
    "ARNs must start with 'arn:'",
    "Second colon partition not found",
    "Third colon vendor not found",
    "Fourth colon (region/namespace delimiter) not found",
    "Fifth colon (namespace/relative-id delimiter) not found",
)
"""The fault of an ARN that has only this many colons."""


async def tag_resource(context: Context, request: Request) -> None:
    """Give a table tags, which replace those with the same keys."""
    wanted = request["Tags"]
    name = _table_name(context.region, request["ResourceArn"])
    if not wanted:
        raise ValidationException("Atleast one Tag needs to be provided as Input.")
    check_tags(wanted)
    added = {tag["Key"]: tag["Value"] for tag in wanted}
    await _change(context.region, name, request["ResourceArn"], lambda tags: tags | added)


async def untag_resource(context: Context, request: Request) -> None:
    """Remove tags from a table, by their keys. A missing tag is no error."""
    removed = request["TagKeys"]
    name = _table_name(context.region, request["ResourceArn"])
    if not removed:
        raise ValidationException("Atleast one Tag Key needs to be provided as Input.")
    _check_count(removed)
    for key in removed:
        _check_key(key)
    await _change(
        context.region,
        name,
        request["ResourceArn"],
        lambda tags: {key: value for key, value in tags.items() if key not in removed},
    )


async def list_tags_of_resource(context: Context, request: Request) -> dict[str, Any]:
    """All tags of a table: they always fit in one answer."""
    region, arn = context.region, request["ResourceArn"]
    descriptor_key = catalog.key(_table_name(region, arn))
    tags_key = await _tags_key(region, descriptor_key, arn)
    [raw] = await region.engine.get([tags_key])
    return {"Tags": [{"Key": key, "Value": value} for key, value in _parse(raw).items()]}


def check_tags(tags: Sequence[dict[str, str]]) -> None:
    """New tags of a table. Raises ValidationException."""
    for tag in tags:
        _check_key(tag.get("Key"))
        _check_value(tag.get("Value"))
    seen = set()
    for tag in tags:
        if tag["Key"] in seen:
            raise ValidationException(f"Duplicate Tag Keys provided as input: Duplicate Tag Key found {tag['Key']}")
        seen.add(tag["Key"])
    _check_count(tags)


def _check_key(key: str | None) -> None:
    if key is None or not 1 <= len(key) <= TAG_KEY_LENGTH or not _is_taggable(key):
        raise ValidationException(f"The Tag Key provided is invalid, Key: {'null' if key is None else key}")
    if key.startswith("aws:"):
        raise ValidationException(f"Tag Key cannot be prefixed with aws:, Key: {key}")


def _check_value(value: str | None) -> None:
    if value is None or len(value) > TAG_VALUE_LENGTH or not _is_taggable(value):
        raise ValidationException(f"The Tag Value provided is invalid, Value: {'null' if value is None else value}")


def _is_taggable(text: str) -> bool:
    """Whether it consists of letters, digits and white space of any script, and some punctuation."""
    return all(c in _PUNCTUATION or unicodedata.category(c)[0] in "LNZ" for c in text)


def _check_count(tags: Iterable[Any]) -> None:
    if len(list(tags)) > TAGS:
        raise ValidationException("Number of Tags exceed the current limit for the provided ResourceArn")


async def _change(region: Region, name: str, arn: str, changed: Callable[[Tags], Tags]) -> None:
    descriptor_key = catalog.key(name)
    tags_key = await _tags_key(region, descriptor_key, arn)

    def decide(mutation: Mutation) -> None:
        if _stored_tags_key(mutation.found[descriptor_key], arn) != tags_key:
            # The table was deleted and created again since: for the caller, the present table was never tagged.
            raise _not_found(arn)
        tags = changed(_parse(mutation.found[tags_key]))
        _check_count(tags)
        mutation.writes.put(tags_key, orjson.dumps(tags))

    await mini_transaction.mutate_keys(region, [descriptor_key, tags_key], decide)


async def _tags_key(region: Region, descriptor_key: bytes, arn: str) -> bytes:
    [raw] = await region.engine.get([descriptor_key])
    return _stored_tags_key(raw, arn)


def _stored_tags_key(descriptor: bytes | None, arn: str) -> bytes:
    table = catalog.stored(descriptor)
    if table is None or (table.replica is not None and table.replica.status == replicas.CREATING):
        raise _not_found(arn)
    return keys.tags_key(table.id)


def _not_found(arn: str) -> ResourceNotFoundException:
    return ResourceNotFoundException(f"Requested resource not found: ResourceArn: {arn} not found")


def _parse(raw: bytes | None) -> Tags:
    tags: Tags = {} if raw is None else orjson.loads(raw)
    return tags


def _table_name(region: Region, arn: str) -> str:
    """The name of the table that has this ARN. Raises ValidationException and AccessDeniedException."""
    parts = arn.split(":", 5)
    if parts[0] != "arn" or len(parts) < 6:
        text = _ARN_PARTS[len(parts) - 1 if parts[0] == "arn" else 0]
        raise ValidationException(f"{INVALID}{text}: {arn}")
    _, _, service, arn_region, account, resource = parts
    if service != "dynamodb":
        raise AccessDeniedException("Access is denied")
    table_names.check_account(account, region.account)
    kind, _, name = resource.partition("/")
    if kind != "table" or not name:
        raise ValidationException(f"{INVALID}Provided Arn is not a DynamoDB resource arn: {arn}")
    if "/" in name:
        raise ValidationException(
            f"{INVALID}Invalid resource arn provided, only table or stream is accepted. Provided resource arn: {arn}"
        )
    if arn_region != region.name or not table_names.is_name(name):
        raise ValidationException(f"Invalid TableArn: Invalid ResourceArn provided as input {arn}")
    return name
