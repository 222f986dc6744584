"""What an expression must not do with key attributes. These checks need the table, so operations make them late.

Key attributes are checked in the order of the table's key and then of its indexes', and the first faulty one is named.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from jedlik.aws.errors import ValidationException

if TYPE_CHECKING:
    from jedlik.dynamodb.model.tables import Index, Table


def refuse_nested_keys(table: Table, nested_names: Collection[str]) -> None:
    """Refuses paths that go into a key attribute, which can only hold a scalar.

    `nested_names` are the top-level names of paths with more than one step. Raises ValidationException.
    """
    if not nested_names:
        return
    keys = [("Key", table.key)]
    keys += [("IndexKey", index.key) for index in table.indexes]
    for kind, attributes in keys:
        for attribute in attributes:
            if attribute.name in nested_names:
                raise ValidationException(
                    "Key attributes must be scalars; "
                    "list random access '[]' and map lookup '.' are not allowed: "
                    f"{kind}: {attribute.name}"
                )


def refuse_filtered_keys(table: Table, index: Index | None, parameter: str, read: Collection[str]) -> None:
    """Refuses a Query's filter, given as "Filter Expression" or "QueryFilter", that reads an attribute of the queried
    key. Raises ValidationException."""
    key = table.key if index is None else index.key
    for attribute in key:
        if attribute.name in read:
            raise ValidationException(
                f"{parameter} can only contain non-primary key attributes: Primary key attribute: {attribute.name}"
            )


def refuse_updated_keys(table: Table, updated: Collection[str]) -> None:
    """Refuses an update of an attribute of the table's key. Raises ValidationException."""
    for name in updated:
        if name in table.key_names:
            raise ValidationException(
                f"One or more parameter values were invalid: Cannot update attribute {name}. "
                "This attribute is part of the key"
            )
