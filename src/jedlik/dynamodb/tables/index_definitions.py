"""Key schemas, attribute definitions and secondary indexes in the requests of CreateTable and UpdateTable.

Checks come in DynamoDB's order: the key schemas of the table, of the local and of the global indexes; whether every
defined attribute belongs to a key; then projections, names and counts.

Sources: the API reference of CreateTable, "Multi-attribute keys" and "Quotas" in the developer guide; the
texts are DynamoDB's answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.capacity.throughput import INVALID
from jedlik.dynamodb.model.limits import GLOBAL_INDEXES, INDEX_KEY_ATTRIBUTES, LOCAL_INDEXES, PROJECTED_ATTRIBUTES

KeySchema = list[dict[str, str]]
Definitions = list[dict[str, str]]

_SAME_NAME = "Both the Hash Key and the Range Key element in the KeySchema have the same name"
_SAME_NAMES = "The KeySchema contains multiple key attributes with the same name"


def check_new_table(request: dict[str, Any]) -> None:
    """The keys and indexes of a new table. Raises ValidationException."""
    definitions, schema = request["AttributeDefinitions"], request["KeySchema"]
    local, global_ = request.get("LocalSecondaryIndexes"), request.get("GlobalSecondaryIndexes")
    _check_definitions(definitions)
    _check_table_key(schema, definitions)
    if local is not None:
        _check_local_keys(local, schema, definitions)
    if global_ is not None:
        if not global_:
            raise ValidationException(f"{INVALID}List of GlobalSecondaryIndexes is empty")
        for index in global_:
            check_global_key(index["KeySchema"], definitions)
    indexes = [*(local or ()), *(global_ or ())]
    _check_all_used(definitions, schema, indexes)
    for index in indexes:
        check_projection(index["Projection"])
    check_names(indexes)
    if len(local or ()) > LOCAL_INDEXES:
        raise ValidationException(
            f"{INVALID}Number of LocalSecondaryIndexes exceeds per-table limit of {LOCAL_INDEXES}"
        )
    if len(global_ or ()) > GLOBAL_INDEXES:
        raise ValidationException(
            f"{INVALID}GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_INDEXES}"
        )
    check_projected_count([index["Projection"] for index in indexes])


def check_global_key(schema: KeySchema, definitions: Definitions) -> None:
    """The key schema of a global index: one to four attributes to hash, and up to four to sort by."""
    _check_defined(schema, definitions)
    kinds = [element["KeyType"] for element in schema]
    if _repeated(_names(schema)) is not None:
        raise ValidationException(_SAME_NAME if kinds == ["HASH", "RANGE"] else _SAME_NAMES)
    _check_first_is_hash(schema)
    if kinds != sorted(kinds):
        raise ValidationException(
            f"{INVALID}All HASH key attributes must precede RANGE key attributes in the KeySchema"
        )
    for kind in ("HASH", "RANGE"):
        if kinds.count(kind) > INDEX_KEY_ATTRIBUTES:
            raise ValidationException(
                f"{INVALID}The KeySchema exceeds the maximum allowed number of {kind} key attributes"
            )


def check_projection(projection: dict[str, Any]) -> None:
    """The content of an index: everything, keys only, or keys and the named attributes."""
    kind = projection.get("ProjectionType")
    names = projection.get("NonKeyAttributes")
    if kind is None:
        raise ValidationException(f"{INVALID}Unknown ProjectionType: null")
    if kind == "INCLUDE" and names is None:
        raise ValidationException(f"{INVALID}ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
    if kind != "INCLUDE" and names is not None:
        raise ValidationException(f"{INVALID}ProjectionType is {kind}, but NonKeyAttributes is specified")
    repeated = _repeated(names or ())
    if repeated is not None:
        raise ValidationException(f"{INVALID}Duplicate element in NonKeyAttributes: {repeated}")


def check_projected_count(projections: Iterable[dict[str, Any]]) -> None:
    """All indexes of a table together may name this many attributes; one named twice counts twice."""
    count = sum(len(projection.get("NonKeyAttributes", ())) for projection in projections)
    if count > PROJECTED_ATTRIBUTES:
        raise ValidationException(
            f"{INVALID}Number of attributes projected into all of the indexes exceeds the per-table limit of "
            f"{PROJECTED_ATTRIBUTES}"
        )


def check_not_redefined(schema: KeySchema, definitions: Definitions, existing: Definitions) -> None:
    """A new index must not give an attribute another type than a key that already has it."""
    types = {d["AttributeName"]: d["AttributeType"] for d in existing}
    wanted = {d["AttributeName"]: d["AttributeType"] for d in definitions}
    for element in schema:
        name, kind = element["AttributeName"], element["KeyType"]
        if types.get(name, wanted[name]) != wanted[name]:
            raise ValidationException(
                f"{INVALID}Attributes cannot be redefined. Please check that your attribute has the same type as "
                f"previously defined. Existing schema: Schema:[SchemaElement: key{{{name}:{types[name]}:{kind}}}] "
                f"New schema: Schema:[SchemaElement: key{{{name}:{wanted[name]}:{kind}}}]"
            )


def _names(schema: KeySchema) -> list[str]:
    return [element["AttributeName"] for element in schema]


def _repeated(names: Sequence[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)


def _check_definitions(definitions: Definitions) -> None:
    repeated = _repeated([definition["AttributeName"] for definition in definitions])
    if repeated is not None:
        raise ValidationException(f"Attribute Name is duplicated: {repeated}")


def _check_defined(schema: KeySchema, definitions: Definitions) -> None:
    names, defined = _names(schema), [definition["AttributeName"] for definition in definitions]
    if not set(names) <= set(defined):
        raise ValidationException(
            f"{INVALID}Some index key attributes are not defined in AttributeDefinitions. "
            f"Keys: [{', '.join(names)}], AttributeDefinitions: [{', '.join(defined)}]"
        )


def _check_first_is_hash(schema: KeySchema) -> None:
    if schema[0]["KeyType"] != "HASH":
        raise ValidationException("Invalid KeySchema: The first KeySchemaElement is not a HASH key type")


def _check_simple_key(schema: KeySchema, definitions: Definitions) -> None:
    """The key schema of a table or of a local index: an attribute to hash, and perhaps one to sort by."""
    _check_defined(schema, definitions)
    if _repeated(_names(schema)) is not None:
        raise ValidationException(_SAME_NAME)
    _check_first_is_hash(schema)
    if len(schema) > 1 and schema[1]["KeyType"] != "RANGE":
        raise ValidationException("Invalid KeySchema: The second KeySchemaElement is not a RANGE key type")


def _check_table_key(schema: KeySchema, definitions: Definitions) -> None:
    if len(schema) > len(definitions):
        raise ValidationException("Invalid KeySchema: Some index key attribute have no definition")
    _check_simple_key(schema, definitions)


def _check_local_keys(local: list[dict[str, Any]], table: KeySchema, definitions: Definitions) -> None:
    if not local:
        raise ValidationException(f"{INVALID}List of LocalSecondaryIndexes is empty")
    if len(table) < 2:
        raise ValidationException(
            f"{INVALID}Table KeySchema does not have a range key, "
            "which is required when specifying a LocalSecondaryIndex"
        )
    table_hash = table[0]["AttributeName"]
    for index in local:
        name, schema = index["IndexName"], index["KeySchema"]
        _check_simple_key(schema, definitions)
        if len(schema) < 2:
            raise ValidationException(f"{INVALID}Index KeySchema does not have a range key for index: {name}")
        index_hash = schema[0]["AttributeName"]
        if index_hash != table_hash:
            raise ValidationException(
                f"{INVALID}Index KeySchema does not have the same leading hash key as table KeySchema "
                f"for index: {name}. index hash key: {index_hash}, table hash key: {table_hash}"
            )


def _check_all_used(definitions: Definitions, schema: KeySchema, indexes: list[dict[str, Any]]) -> None:
    if not indexes:
        if len(schema) != len(definitions):
            raise ValidationException(
                f"{INVALID}Number of attributes in KeySchema does not exactly match number of attributes "
                "defined in AttributeDefinitions"
            )
        return
    defined = [definition["AttributeName"] for definition in definitions]
    used = dict.fromkeys(name for keys in (schema, *(i["KeySchema"] for i in indexes)) for name in _names(keys))
    if len(used) != len(defined):
        raise ValidationException(
            f"{INVALID}Some AttributeDefinitions are not used. "
            f"AttributeDefinitions: [{', '.join(defined)}], keys used: [{', '.join(used)}]"
        )


def check_names(indexes: Iterable[dict[str, Any]]) -> None:
    """No two indexes of a table have the same name. Raises ValidationException."""
    repeated = _repeated([index["IndexName"] for index in indexes])
    if repeated is not None:
        raise ValidationException(f"{INVALID}Duplicate index name: {repeated}")
