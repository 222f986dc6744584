"""Values of key attributes: which are refused, where, and in what words."""

from __future__ import annotations

import pytest

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import key_values
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item, type_of
from testing.dynamodb.schemas import b, n, s, table

INVALID = "One or more parameter values were invalid: "
NOT_VALID = "One or more parameter values are not valid. "
MISMATCH = "The provided key element does not match the schema"
START_KEY = "The provided starting key is invalid"
EMPTY = "The AttributeValue for a key attribute cannot contain an empty string value."
EMPTY_BINARY = "The AttributeValue for a key attribute cannot contain an empty binary value."
LONG_PARTITION_KEY = f"{INVALID}Size of hashkey has exceeded the maximum size limit of2048 bytes"
LONG_INDEX_KEY = f"{INVALID}Size limit exceeded for Index Key "
LONG_SORT_KEY = f"{INVALID}Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
UNSUPPORTED = "A value specified for a secondary index key is not supported."
UPDATED = "The update expression attempted to update a secondary index key to a value that is not supported."

HASH = table(("p", "S"))
RANGE = table(("p", "S"), ("c", "B"))
NUMERIC = table(("p", "N"), ("c", "N"))
INDEXED = table(
    ("p", "S"),
    ("c", "S"),
    local={"z-local": ("x", "S")},
    global_={
        "b-global": ([("x", "S")], [("y", "N")]),
        "many": ([("h1", "S"), ("h2", "S")], [("r1", "S"), ("r2", "B")]),
    },
)


# A key


@pytest.mark.parametrize(
    ("table", "key"),
    [
        (HASH, {"p": s("a")}),
        (HASH, {"p": s("a" * 2048)}),
        (HASH, {"p": s("\u00e9" * 1024)}),
        (RANGE, {"p": s("a"), "c": b(b"\x00")}),
        (RANGE, {"c": b(bytes(1024)), "p": s("a")}),
        (NUMERIC, {"p": n("0"), "c": n("-1")}),
    ],
)
def test_a_key_is_returned_as_it_is(table: Table, key: Item) -> None:
    assert key_values.check_key(table, key) is key


@pytest.mark.parametrize(
    ("table", "key", "message"),
    [
        (HASH, {}, MISMATCH),
        (HASH, {"q": s("a")}, MISMATCH),
        (HASH, {"p": s("a"), "q": s("a")}, MISMATCH),
        (HASH, {"p": n("1")}, MISMATCH),
        (HASH, {"p": {"L": []}}, MISMATCH),
        (HASH, {"p": {"NULL": True}}, MISMATCH),
        (RANGE, {"p": s("a")}, MISMATCH),
        (RANGE, {"p": s("a"), "c": s("a")}, MISMATCH),
        (HASH, {"p": s("")}, f"{NOT_VALID}{EMPTY} Key: p"),
        (RANGE, {"p": s("a"), "c": b(b"")}, f"{NOT_VALID}{EMPTY_BINARY} Key: c"),
        (HASH, {"p": s("a" * 2049)}, LONG_PARTITION_KEY),
        (HASH, {"p": s("\u00e9" * 1024 + "a")}, LONG_PARTITION_KEY),
        (RANGE, {"p": s("a"), "c": b(bytes(1025))}, LONG_SORT_KEY),
    ],
)
def test_an_invalid_key_of_the_table_is_refused(table: Table, key: Item, message: str) -> None:
    with pytest.raises(ValidationException) as refusal:
        key_values.check_key(table, key)
    assert refusal.value.message == message


# An item that is put


@pytest.mark.parametrize(
    "item",
    [
        {"p": s("a"), "c": s("b")},
        {"p": s("a"), "c": s("b"), "x": s("c")},
        {"p": s("a"), "c": s("b"), "y": n("1"), "h1": s("a"), "other": {"SS": ["a"]}},
        {"p": s("a"), "c": s("b" * 1024), "x": s("c" * 1024), "y": n("1")},
        {"p": s("a"), "c": s("b"), "h1": s("a" * 1024), "h2": s("a" * 1024), "r1": s("a" * 512), "r2": b(bytes(512))},
    ],
)
def test_an_item_may_lack_index_keys(item: Item) -> None:
    key_values.check_item_keys(INDEXED, item)
    key_values.check_batch_item_keys(INDEXED, item)


KEY: Item = {"p": s("a"), "c": s("b")}
INDEX_KEY_REFUSALS = [
    # If x is in the keys of several indexes, the first by name is named.
    ({"x": n("1")}, f"{INVALID}Type mismatch for Index Key x Expected: S Actual: N IndexName: b-global"),
    ({"x": {"NULL": True}}, f"{INVALID}Type mismatch for Index Key x Expected: S Actual: NULL IndexName: b-global"),
    ({"y": s("1")}, f"{INVALID}Type mismatch for Index Key y Expected: N Actual: S IndexName: b-global"),
    ({"x": s("")}, f"{NOT_VALID}{UNSUPPORTED} {EMPTY} IndexName: b-global, IndexKey: x"),
    ({"r2": b(b"")}, f"{NOT_VALID}{UNSUPPORTED} {EMPTY_BINARY} IndexName: many, IndexKey: r2"),
    ({"x": s("a" * 2049)}, f"{LONG_INDEX_KEY}x Actual Size: 2049 bytes Max Size: 2048 bytes IndexName: b-global"),
    ({"h1": s("a" * 1024), "h2": s("a" * 1025)}, LONG_PARTITION_KEY),
    ({"r1": s("a" * 1025)}, LONG_SORT_KEY),
    ({"r1": s("a" * 1000), "r2": b(bytes(25))}, LONG_SORT_KEY),
]


@pytest.mark.parametrize(("attributes", "message"), INDEX_KEY_REFUSALS)
def test_an_item_with_an_invalid_index_key_is_refused(attributes: Item, message: str) -> None:
    for check in (key_values.check_item_keys, key_values.check_batch_item_keys):
        with pytest.raises(ValidationException) as refusal:
            check(INDEXED, KEY | attributes)
        assert refusal.value.message == message


def test_a_long_value_is_refused_only_where_it_is_part_of_a_key_that_is_too_long() -> None:
    # 1,025 bytes are too long for the local index's sort key, though not for the global one's partition key.
    with pytest.raises(ValidationException) as refusal:
        key_values.check_item_keys(INDEXED, KEY | {"x": s("a" * 1025)})
    assert refusal.value.message == (
        f"{LONG_INDEX_KEY}x Actual Size: 1025 bytes Max Size: 1024 bytes IndexName: z-local"
    )


@pytest.mark.parametrize(
    ("item", "message", "in_a_batch"),
    [
        ({}, f"{INVALID}Missing the key p in the item", MISMATCH),
        ({"c": b(b"a")}, f"{INVALID}Missing the key p in the item", MISMATCH),
        ({"p": s("a")}, f"{INVALID}Missing the key c in the item", MISMATCH),
        ({"p": n("1"), "c": b(b"a")}, f"{INVALID}Type mismatch for key p expected: S actual: N", MISMATCH),
        ({"p": s("a"), "c": {"M": {}}}, f"{INVALID}Type mismatch for key c expected: B actual: M", MISMATCH),
        *(
            (item, message, message)
            for item, message in (
                ({"p": s(""), "c": b(b"a")}, f"{NOT_VALID}{EMPTY} Key: p"),
                ({"p": s("a"), "c": b(b"")}, f"{NOT_VALID}{EMPTY_BINARY} Key: c"),
                ({"p": s("a" * 2049), "c": b(b"a")}, LONG_PARTITION_KEY),
                ({"p": s("a"), "c": b(bytes(1025))}, LONG_SORT_KEY),
            )
        ),
    ],
)
def test_an_item_without_its_key_is_refused(item: Item, message: str, in_a_batch: str) -> None:
    with pytest.raises(ValidationException) as refusal:
        key_values.check_item_keys(RANGE, item)
    assert refusal.value.message == message
    with pytest.raises(ValidationException) as refusal:
        key_values.check_batch_item_keys(RANGE, item)
    assert refusal.value.message == in_a_batch


# An item that is updated


@pytest.mark.parametrize(("attributes", "message"), INDEX_KEY_REFUSALS)
def test_an_update_to_an_invalid_index_key_is_refused(attributes: Item, message: str) -> None:
    if UNSUPPORTED in message:
        message = f"{NOT_VALID}{UPDATED} {EMPTY_BINARY if 'r2' in attributes else EMPTY}"
    if "Type mismatch" in message:
        message = "The update expression attempted to update the secondary index key to unsupported type"
    with pytest.raises(ValidationException) as refusal:
        key_values.check_updated_keys(INDEXED, KEY | attributes, set(attributes))
    assert refusal.value.message == message


@pytest.mark.parametrize(("attributes", "message"), [case for case in INDEX_KEY_REFUSALS if "mismatch" in case[1]])
def test_an_update_with_a_wrong_type_in_its_text_gets_the_type(attributes: Item, message: str) -> None:
    with pytest.raises(ValidationException) as refusal:
        key_values.check_assigned_types(INDEXED, {name: type_of(value) for name, value in attributes.items()})
    assert refusal.value.message == message
    key_values.check_assigned_types(INDEXED, {"x": "S", "y": "N", "other": "L"})


def test_an_update_through_another_part_of_a_key_may_make_it_too_long() -> None:
    with pytest.raises(ValidationException) as refusal:
        key_values.check_updated_keys(INDEXED, KEY | {"h1": s("a" * 2048), "h2": s("a")}, {"h2"})
    assert refusal.value.message == LONG_PARTITION_KEY


@pytest.mark.parametrize("attributes", [attributes for attributes, _ in INDEX_KEY_REFUSALS])
def test_attributes_that_an_update_leaves_alone_are_not_checked(attributes: Item) -> None:
    key_values.check_updated_keys(INDEXED, KEY | attributes | {"other": s("a")}, {"other"})


def test_other_parts_of_a_key_that_an_update_touches_are_not_checked() -> None:
    key_values.check_updated_keys(INDEXED, KEY | {"h1": {"L": [s("a" * 3000)]}, "h2": s("a")}, {"h2"})


def test_an_update_may_remove_an_index_key() -> None:
    key_values.check_updated_keys(INDEXED, KEY, {"x", "y"})


# A key to start from


LOCAL = INDEXED.index("z-local")
GLOBAL = INDEXED.index("b-global")


def test_a_starting_key_holds_the_keys_of_index_and_table() -> None:
    for index, attributes in ((None, {}), (LOCAL, {"x": s("c")}), (GLOBAL, {"x": s("c"), "y": n("1")})):
        key: Item = KEY | attributes
        assert key_values.check_start_key(INDEXED, index, key) is key
        assert key_values.check_start_key(INDEXED, index, key, scan=True) is key


@pytest.mark.parametrize(
    ("key", "of_query", "of_scan"),
    [
        ({}, START_KEY, f"{START_KEY}: {MISMATCH}"),
        ({"p": s("a")}, START_KEY, f"{START_KEY}: {MISMATCH}"),
        ({"p": s("a"), "q": s("b")}, START_KEY, f"{START_KEY}: {MISMATCH}"),
        ({"p": s("a"), "c": s("b"), "x": s("c")}, START_KEY, f"{START_KEY}: {MISMATCH}"),
        ({"p": n("1"), "c": s("b")}, MISMATCH, f"{START_KEY}: {MISMATCH}"),
        ({"p": s("a"), "c": n("1")}, MISMATCH, f"{START_KEY}: {MISMATCH}"),
        ({"p": s("a"), "c": s("")}, f"{NOT_VALID}{EMPTY} Key: c", f"{START_KEY}: {NOT_VALID}{EMPTY} Key: c"),
    ],
)
def test_a_table_refuses_an_invalid_starting_key(key: Item, of_query: str, of_scan: str) -> None:
    with pytest.raises(ValidationException) as refusal:
        key_values.check_start_key(INDEXED, None, key)
    assert refusal.value.message == of_query
    with pytest.raises(ValidationException) as refusal:
        key_values.check_start_key(INDEXED, None, key, scan=True)
    assert refusal.value.message == of_scan


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ({}, START_KEY),
        (KEY, START_KEY),
        (KEY | {"x": s("c")}, START_KEY),
        (KEY | {"x": s("c"), "q": n("1")}, START_KEY),
        (KEY | {"x": s("c"), "y": n("1"), "q": s("d")}, START_KEY),
        (KEY | {"x": n("1"), "y": n("1")}, MISMATCH),
        (KEY | {"x": s("c"), "y": s("1")}, MISMATCH),
        (KEY | {"x": s(""), "y": n("1")}, f"{NOT_VALID}{EMPTY} Key: x"),
        ({"q": s("a"), "c": s("b"), "x": s("c"), "y": n("1")}, f"{START_KEY}: {MISMATCH}"),
        ({"p": n("1"), "c": s("b"), "x": s("c"), "y": n("1")}, f"{START_KEY}: {MISMATCH}"),
        ({"p": s("a"), "c": s(""), "x": s("c"), "y": n("1")}, f"{START_KEY}: {NOT_VALID}{EMPTY} Key: c"),
    ],
)
@pytest.mark.parametrize("scan", [False, True])
def test_an_index_refuses_an_invalid_starting_key(key: Item, message: str, scan: bool) -> None:
    with pytest.raises(ValidationException) as refusal:
        key_values.check_start_key(INDEXED, GLOBAL, key, scan)
    assert refusal.value.message == message
