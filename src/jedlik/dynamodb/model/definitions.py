"""Definitions of keys and indexes as a table's descriptor stores them, by whoever changes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jedlik.dynamodb.model.tables import Document

KeySchema = list[dict[str, str]]
Definitions = list[dict[str, str]]


def stored_definitions(definitions: Definitions, schemas: Iterable[KeySchema]) -> Definitions:
    """The definitions of the attributes that are in one of the key schemas, by name."""
    used = {element["AttributeName"] for schema in schemas for element in schema}
    types = {d["AttributeName"]: d["AttributeType"] for d in definitions}
    return [{"AttributeName": name, "AttributeType": types[name]} for name in sorted(used)]


def _stored_index(index: dict[str, Any], number: int) -> Document:
    """What every stored index has."""
    projection = index["Projection"]
    names = projection.get("NonKeyAttributes")
    return {
        "IndexName": index["IndexName"],
        "IndexNumber": number,
        "KeySchema": index["KeySchema"],
        "Projection": projection if names is None else projection | {"NonKeyAttributes": sorted(names)},
    }


def new_table(name: str, table_id: str, arn: str, now: float, request: dict[str, Any]) -> Document:
    """The document of a table with the key and the local indexes that a request gives it, and no settings yet."""
    local = request.get("LocalSecondaryIndexes", ())
    document: Document = {
        "TableName": name,
        "TableId": table_id,
        "TableArn": arn,
        "CreationDateTime": now,
        "KeySchema": request["KeySchema"],
        "DeletionProtectionEnabled": False,
        "NextIndexNumber": 1 + len(local),
    }
    if local:
        document["LocalSecondaryIndexes"] = [_stored_index(index, number) for number, index in enumerate(local, 1)]
    defined = stored_definitions(request["AttributeDefinitions"], key_schemas(document))
    return document | {"AttributeDefinitions": defined}


def key_schemas(document: Document) -> list[KeySchema]:
    """The key schemas of a table and of its indexes."""
    indexes = (*document.get("LocalSecondaryIndexes", ()), *document.get("GlobalSecondaryIndexes", ()))
    return [document["KeySchema"], *(index["KeySchema"] for index in indexes)]


def without_index(document: Document, name: str) -> Document:
    """The document without the global index called `name`, and without the attributes that only it used."""
    left = {member: value for member, value in document.items() if member != "GlobalSecondaryIndexes"}
    indexes = [index for index in document["GlobalSecondaryIndexes"] if index["IndexName"] != name]
    if indexes:
        left["GlobalSecondaryIndexes"] = indexes
    return left | {"AttributeDefinitions": stored_definitions(document["AttributeDefinitions"], key_schemas(left))}


def with_index(document: Document, index: dict[str, Any], state: Document, definitions: Definitions) -> Document:
    """The document with one more global index, under the next index number.

    `state` is what is stored of it beside its definition: its status and its throughput.
    """
    number = document["NextIndexNumber"]
    indexes = [*document.get("GlobalSecondaryIndexes", ()), _stored_index(index, number) | state]
    grown = document | {"GlobalSecondaryIndexes": indexes, "NextIndexNumber": number + 1}
    known = [*definitions, *document["AttributeDefinitions"]]
    return grown | {"AttributeDefinitions": stored_definitions(known, key_schemas(grown))}
