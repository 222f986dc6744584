"""Tables for tests of the model: a short way to write a descriptor."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import orjson

from jedlik.dynamodb.model import descriptors
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import AttributeValue

Attribute = tuple[str, str]
"""A name and a type."""
IndexKey = tuple[list[Attribute], list[Attribute]]
"""Partition key and sort key of an index."""


def table(
    partition: Attribute = ("p", "S"),
    sort: Attribute | None = None,
    local: dict[str, Attribute] | None = None,
    global_: dict[str, IndexKey] | None = None,
    projections: dict[str, list[str]] | None = None,
) -> Table:
    """A table by its key, with indexes by name: local ones by their sort key, global ones by their whole key.

    They project everything, except those in `projections`: these project their keys and the attributes given there.
    """
    types = dict([partition, *([sort] if sort else [])])
    numbers = iter(range(1, 26))

    def key_schema(partition: list[Attribute], sort: list[Attribute]) -> list[dict[str, str]]:
        types.update(partition + sort)
        return [{"AttributeName": name, "KeyType": "HASH"} for name, _ in partition] + [
            {"AttributeName": name, "KeyType": "RANGE"} for name, _ in sort
        ]

    def index(name: str, partition: list[Attribute], sort: list[Attribute]) -> dict[str, Any]:
        return {
            "IndexName": name,
            "IndexNumber": next(numbers),
            "KeySchema": key_schema(partition, sort),
            "Projection": projection(name),
        }

    def projection(name: str) -> dict[str, Any]:
        if projections is None or name not in projections:
            return {"ProjectionType": "ALL"}
        if not projections[name]:
            return {"ProjectionType": "KEYS_ONLY"}
        return {"ProjectionType": "INCLUDE", "NonKeyAttributes": projections[name]}

    document: dict[str, Any] = {
        "TableName": "Music",
        "TableId": "01234567-89ab-cdef-0123-456789abcdef",
        "TableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/Music",
        "KeySchema": key_schema([partition], [sort] if sort else []),
        "CreationDateTime": 0.0,
        "DeletionProtectionEnabled": False,
        "NextIndexNumber": 26,
    }
    if local:
        document["LocalSecondaryIndexes"] = [index(n, [partition], [a]) for n, a in local.items()]
    if global_:
        document["GlobalSecondaryIndexes"] = [index(n, p, s) for n, (p, s) in global_.items()]
    document["AttributeDefinitions"] = [
        {"AttributeName": name, "AttributeType": type_} for name, type_ in types.items()
    ]
    return descriptors.parse(orjson.dumps(document))


def s(text: str) -> AttributeValue:
    """A string."""
    return {"S": text}


def n(text: str) -> AttributeValue:
    """A number in normal form."""
    return {"N": text}


def b(raw: bytes) -> AttributeValue:
    """A binary."""
    return {"B": b64encode(raw).decode()}
