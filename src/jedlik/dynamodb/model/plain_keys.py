"""Plain keys: the storage keys of what clients commonly ask for, from values as they were sent.

A value is plain for a key attribute if it is a string or a number, as the attribute is, and so short that no limit
matters. Nearly all are. Any other value has no plain key, and goes through `values`, `key_values` and `keys`, which
know what is wrong with it, if anything is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jedlik.dynamodb.model import limits, numbers
from jedlik.dynamodb.model.keys import END, hashed

if TYPE_CHECKING:
    from jedlik.dynamodb.model.tables import Index, Table

LONGEST = (limits.SORT_KEY_SIZE - 1) // 4
"""Characters. One takes up to four bytes."""


def item_key(table: Table, key: dict[str, Any], secret: bytes) -> bytes | None:
    """The storage key of an item, from its key as a client gave it; None if that is not plain, or not the table's key.

    Raises ValidationException for what is no number.
    """
    attributes = table.key
    if len(key) != len(attributes):
        return None
    partition = attributes[0]
    text = text_of(key.get(partition.name), partition.type)
    if text is None:
        return None
    key_of_partition = table.prefix + hashed(text.encode(), secret)
    if len(attributes) == 1:
        return key_of_partition
    sort = attributes[1]
    text = text_of(key.get(sort.name), sort.type)
    if text is None:
        return None
    if sort.type == "N":
        return key_of_partition + numbers.sort_bytes(text)
    raw = text.encode()
    return None if 0 in raw else key_of_partition + raw + END


def partition_prefix(of: Table | Index, text: str, secret: bytes) -> bytes:
    """What the keys of the items or entries begin with whose partition key is one text, of a plain value."""
    return of.prefix + hashed(text.encode(), secret)


def text_of(value: Any, type_: str) -> str | None:
    """The text in a client's value for a key attribute, normalised; None if the value is not plain.

    Raises ValidationException for what is no number.
    """
    if type(value) is dict and len(value) == 1:
        text = value.get(type_)
        if type(text) is str and 0 < len(text) <= LONGEST:
            if type_ == "S":
                return text
            if type_ == "N":
                return numbers.normalise(text)
    return None
