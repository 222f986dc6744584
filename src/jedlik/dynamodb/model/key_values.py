"""Values of key attributes: the requirements of a table and of its indexes.

The values are normalised (values.py). These checks need the table, so an operation makes them once it has the
descriptor, after all checks of the request alone. Every check raises ValidationException.

Sources: "Partition keys and sort keys" under "Quotas", and "Data types and naming rules", in the developer guide; the
text of each operation as measured on AWS.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.errors import EmptyKeyValueException
from jedlik.dynamodb.model import limits
from jedlik.dynamodb.model.values import AttributeValue, Item, type_of, value_size

if TYPE_CHECKING:
    from jedlik.dynamodb.model.tables import Index, KeyAttribute, Table

_INVALID = "One or more parameter values were invalid: "
_NOT_VALID = "One or more parameter values are not valid. "
_MISMATCH = "The provided key element does not match the schema"
_START_KEY = "The provided starting key is invalid"
_EMPTY = {
    "S": "The AttributeValue for a key attribute cannot contain an empty string value.",
    "B": "The AttributeValue for a key attribute cannot contain an empty binary value.",
}


def check_key(table: Table, key: Item) -> Item:
    """An item's key in GetItem, UpdateItem and DeleteItem: the key attributes and no others.

    Returns it as it is.
    """
    if len(key) != len(table.key):
        raise ValidationException(_MISMATCH)
    _check_values(table, key)
    return key


def check_item_keys(table: Table, item: Item) -> None:
    """The item of a put: it must have its key, and values of indexes' keys must be valid as such."""
    for attribute in table.key:
        value = item.get(attribute.name)
        if value is None:
            raise ValidationException(f"{_INVALID}Missing the key {attribute.name} in the item")
        if attribute.type not in value:
            raise ValidationException(
                f"{_INVALID}Type mismatch for key {attribute.name} expected: {attribute.type} actual: {type_of(value)}"
            )
    _check_values(table, item)
    if table.indexes:
        _check_all_index_keys(table, item)


def check_batch_item_keys(table: Table, item: Item) -> None:
    """The item of a put by BatchWriteItem: the same, though AWS words a missing or mistyped key as in a read."""
    _check_values(table, item)
    if table.indexes:
        _check_all_index_keys(table, item)


def check_updated_keys(table: Table, item: Item, updated: Collection[str]) -> None:
    """An item after an update of the attributes `updated`: their values in indexes' keys must be valid as such.

    Attributes that the update leaves alone are not checked: an index may be newer than they are, and then an item
    without a valid key is simply not in it.
    """
    if table.indexes:
        _check_all_index_keys(table, item, updated)


def check_assigned_types(table: Table, types: Mapping[str, str]) -> None:
    """The update must give attributes the types of indexes' keys, as far as the request determines the types.

    DynamoDB refuses this before it reads the item, and names the fault. For a fault that depends on the item, it
    reports only that there is one (`check_updated_keys`).
    """
    for index in sorted(table.indexes, key=lambda i: i.name):
        for attribute in index.key:
            if types.get(attribute.name, attribute.type) != attribute.type:
                raise ValidationException(_mistyped(index, attribute, types[attribute.name]))


def check_start_key(table: Table, index: Index | None, key: Item, scan: bool = False) -> Item:
    """An ExclusiveStartKey: the attributes of the index's key and of the table's, and no others.

    Returns it unchanged. `scan` means that it belongs to a Scan, which has its own words for the faults of a table's
    key.
    """
    if index is None and scan:
        try:
            return check_key(table, key)
        except ValidationException as error:
            raise ValidationException(f"{_START_KEY}: {error.message}") from None
    names = table.key_names if index is None else index.key_names
    own = table.key if index is None else index.key
    if len(key) != len(names) or any(a.name not in key for a in own):
        raise ValidationException(_START_KEY)
    if index is None:
        _check_values(table, key)
        return key
    _check_values(index, key)
    try:
        _check_values(table, key)
    except ValidationException as error:
        raise ValidationException(f"{_START_KEY}: {error.message}") from None
    return key


def empty(attribute: KeyAttribute) -> EmptyKeyValueException:
    """The error about an empty value of a key attribute: in an item, a key or a key condition."""
    return EmptyKeyValueException(f"{_NOT_VALID}{_EMPTY[attribute.type]} Key: {attribute.name}")


def check_condition_sizes(partition: Iterable[AttributeValue], sort: Iterable[Iterable[AttributeValue]]) -> None:
    """The values in a key condition: those for the partition key, and for the sort key one or two rows of them.

    A row has the values of one bound of a range for the attributes of the sort key. Their types must be checked
    already.
    """
    _check_lengths(sum(map(value_size, partition)), max((sum(map(value_size, row)) for row in sort), default=0))


def fits(index: Index, item: Item) -> bool:
    """Whether an item's values for the key of an index are short enough."""
    return (
        _size(index.partition_key, item) <= limits.PARTITION_KEY_SIZE
        and _size(index.sort_key, item) <= limits.SORT_KEY_SIZE
    )


def _check_values(of: Table | Index, item: Item) -> None:
    """The attributes of a table's or an index's own key must exist, and be of their types, not empty and not too
    long."""
    length = 0
    for attribute in of.key:
        value = item.get(attribute.name)
        if value is None or attribute.type not in value:
            raise ValidationException(_MISMATCH)
        text = value[attribute.type]
        if not text:
            raise empty(attribute)
        length += len(text)
    # A character has four bytes at most, so most keys need not be measured.
    if 4 * length > limits.SORT_KEY_SIZE:
        _check_sizes(of, item)


def _check_all_index_keys(table: Table, item: Item, updated: Collection[str] | None = None) -> None:
    """An item's values for indexes' keys, or those that an update has changed, must be valid as such."""
    try:
        for index in table.indexes:
            _check_index_keys(index, item, updated)
    except ValidationException:
        # If an attribute is invalid for several indexes, AWS names the first by alphabet.
        for index in sorted(table.indexes, key=lambda i: i.name):
            _check_index_keys(index, item, updated)


def _check_index_keys(index: Index, item: Item, updated: Collection[str] | None) -> None:
    if updated is not None and index.key_names.isdisjoint(updated):
        return
    for attribute in index.key:
        value = item.get(attribute.name)
        if value is None or (updated is not None and attribute.name not in updated):
            continue
        if attribute.type not in value:
            raise ValidationException(
                _mistyped(index, attribute, type_of(value))
                if updated is None
                else "The update expression attempted to update the secondary index key to unsupported type"
            )
        if not value[attribute.type]:
            empty = _EMPTY[attribute.type]
            raise EmptyKeyValueException(
                f"{_NOT_VALID}A value specified for a secondary index key is not supported. "
                f"{empty} IndexName: {index.name}, IndexKey: {attribute.name}"
                if updated is None
                else f"{_NOT_VALID}The update expression attempted to update a secondary index key "
                f"to a value that is not supported. {empty}"
            )
    _check_index_sizes(index, item)


def _check_index_sizes(index: Index, item: Item) -> None:
    """An item's values for an index's key must not be too long.

    For one attribute AWS reports the length. Its words for several that are too long together have not been recorded.
    """
    for attributes, most in (
        (index.partition_key, limits.PARTITION_KEY_SIZE),
        (index.sort_key, limits.SORT_KEY_SIZE),
    ):
        size = _size(attributes, item)
        if size <= most:
            continue
        if len(attributes) > 1:
            _check_sizes(index, item)
        raise ValidationException(
            f"{_INVALID}Size limit exceeded for Index Key {attributes[0].name} "
            f"Actual Size: {size} bytes Max Size: {most} bytes IndexName: {index.name}"
        )


def _mistyped(index: Index, attribute: KeyAttribute, actual: str) -> str:
    return (
        f"{_INVALID}Type mismatch for Index Key {attribute.name} Expected: {attribute.type} "
        f"Actual: {actual} IndexName: {index.name}"
    )


def _check_sizes(of: Table | Index, item: Item) -> None:
    """All attributes of a partition key together, and all of a sort key, must not be too long."""
    _check_lengths(_size(of.partition_key, item), _size(of.sort_key, item))


def _check_lengths(partition: int, sort: int) -> None:
    if partition > limits.PARTITION_KEY_SIZE:
        raise ValidationException(
            f"{_INVALID}Size of hashkey has exceeded the maximum size limit of{limits.PARTITION_KEY_SIZE} bytes"
        )
    if sort > limits.SORT_KEY_SIZE:
        raise ValidationException(
            f"{_INVALID}Aggregated size of all range keys has exceeded the size limit of {limits.SORT_KEY_SIZE} bytes"
        )


def _size(attributes: tuple[KeyAttribute, ...], item: Item) -> int:
    """The bytes of an item's values for a partition key or a sort key."""
    size = 0
    for attribute in attributes:
        value = item.get(attribute.name)
        if value is not None and attribute.type in value:
            size += value_size(value)
    return size
