"""Short ways to write the definitions of tables and indexes, and to make a table for one test."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

Definition = dict[str, Any]


def key_schema(partition: str | Sequence[str], *sort: str) -> list[Definition]:
    """A key schema: the attribute, or attributes, of the partition key, then those of the sort key."""
    names = [partition] if isinstance(partition, str) else partition
    return [{"AttributeName": name, "KeyType": "HASH"} for name in names] + [
        {"AttributeName": name, "KeyType": "RANGE"} for name in sort
    ]


def attributes(**types: str) -> list[Definition]:
    """Attribute definitions: a type by each name."""
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in types.items()]


def index(name: str, partition: str | Sequence[str], *sort: str, include: Any = None, **settings: Any) -> Definition:
    """An index that projects everything, or just its keys (`include` empty), or those and what `include` names."""
    projection: Definition = {"ProjectionType": "ALL"}
    if include is not None:
        projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": include}
    if include == []:
        projection = {"ProjectionType": "KEYS_ONLY"}
    return {"IndexName": name, "KeySchema": key_schema(partition, *sort), "Projection": projection, **settings}


def units(read: int, write: int) -> dict[str, int]:
    """Provisioned throughput."""
    return {"ReadCapacityUnits": read, "WriteCapacityUnits": write}


def unused_name() -> str:
    """A name that no other table of the run has."""
    return f"table-{secrets.token_hex(6)}"


def definition(**settings: Any) -> Definition:
    """The parameters of CreateTable: by default for a table on demand whose partition key is the string `p`."""
    given: Definition = {
        "TableName": unused_name(),
        "KeySchema": key_schema("p"),
        "AttributeDefinitions": attributes(p="S"),
    }
    if "ProvisionedThroughput" not in settings:
        given["BillingMode"] = "PAY_PER_REQUEST"
    return given | settings


def create(client: Any, **settings: Any) -> str:
    """Create the table of a definition. Returns its name."""
    made = definition(**settings)
    client.create_table(**made)
    name: str = made["TableName"]
    return name


def describe(client: Any, name: str) -> Definition:
    """The description that DescribeTable returns of a table."""
    description: Definition = client.describe_table(TableName=name)["Table"]
    return description


def describe_index(client: Any, table: str, name: str) -> Definition | None:
    """The description that DescribeTable returns of a global index; None if no index has this name."""
    indexes = describe(client, table).get("GlobalSecondaryIndexes", [])
    return next((index for index in indexes if index["IndexName"] == name), None)
