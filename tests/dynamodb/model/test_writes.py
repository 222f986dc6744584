"""The write path: one item changes, and with it everything that depends on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.aws.errors import ValidationException
from jedlik.aws.stored_items import json_of
from jedlik.dynamodb.errors import ConditionalCheckFailedException, DescriptorChanged
from jedlik.dynamodb.model import changelog, indexes, items, keys, values, writes
from jedlik.dynamodb.model.changelog import ChangeLog, Kind
from jedlik.dynamodb.model.expressions import updates
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import Item
from jedlik.dynamodb.model.writes import Condition, Delete, ItemChange, ItemWrite, Put, Update
from jedlik.storage.engine import stored_entry
from testing.dynamodb.schemas import n, s, table
from testing.dynamodb.stores import SECRET, Store

PLAIN = table()
INDEXED = table(
    sort=("c", "S"),
    local={"by-x": ("x", "S")},
    global_={"by-y": ([("y", "S")], []), "by-x-and-y": ([("x", "S"), ("y", "S")], [("c", "S")])},
    projections={"by-x": [], "by-y": ["a"]},
)


def put(of: Table, item: Item, condition: Condition | None = None, return_old: bool = False) -> Put:
    return writes.put(of, item, values.item_size(item), SECRET, condition, return_old)


def update(of: Table, key: Item, text: str | None, condition: Condition | None = None, **given: Any) -> Update:
    placeholders = Placeholders(None, {f":{name}": value for name, value in given.items()} or None)
    action = None if text is None else updates.update(text, placeholders)
    return Update(of, keys.item_key(of, key, SECRET), key, action, condition)


def delete(of: Table, key: Item, condition: Condition | None = None) -> Delete:
    return Delete(of, keys.item_key(of, key, SECRET), key, condition)


def never(item: Item) -> bool:
    return False


def test_a_put_replaces_the_item() -> None:
    store = Store()
    first = store.do(put(PLAIN, {"p": s("a"), "x": n("1")}))
    assert first.old is None
    second = store.do(put(PLAIN, {"p": s("a"), "y": n("2")}))
    assert second.old == first.new
    assert store.items(PLAIN) == [{"p": s("a"), "y": n("2")}]


def test_a_put_of_the_same_item_writes_nothing() -> None:
    store = Store()
    store.do(put(PLAIN, {"p": s("a"), "x": n("1")}))
    change = store.do(put(PLAIN, {"p": s("a"), "x": n("1")}))
    assert change.old == change.new
    assert not store.written.puts
    assert not store.written.adds


def test_a_delete_of_nothing_writes_nothing() -> None:
    store = Store()
    assert store.do(delete(PLAIN, {"p": s("a")})) == ItemChange(None, None, [])
    assert not store.written.puts


def test_an_update_creates_a_missing_item() -> None:
    store = Store()
    store.do(update(PLAIN, {"p": s("a")}, "SET x = :x", x=n("1")))
    assert store.items(PLAIN) == [{"p": s("a"), "x": n("1")}]


def test_an_update_without_actions_creates_the_item_from_its_key() -> None:
    store = Store()
    store.do(update(PLAIN, {"p": s("a")}, None))
    assert store.items(PLAIN) == [{"p": s("a")}]


@pytest.mark.parametrize("text", ["REMOVE x", "REMOVE x, y"])
def test_an_update_that_only_removes_creates_no_item(text: str) -> None:
    store = Store()
    assert store.do(update(PLAIN, {"p": s("a")}, text)) == ItemChange(None, None, [])
    assert store.items(PLAIN) == []


def test_an_item_may_shrink_to_its_key() -> None:
    store = Store()
    store.do(put(PLAIN, {"p": s("a"), "x": n("1")}))
    store.do(update(PLAIN, {"p": s("a")}, "REMOVE x"))
    assert store.items(PLAIN) == [{"p": s("a")}]


@pytest.mark.parametrize(
    "operation",
    [
        put(PLAIN, {"p": s("a"), "x": n("2")}, never),
        update(PLAIN, {"p": s("a")}, "REMOVE x", never),
        delete(PLAIN, {"p": s("a")}, never),
        writes.ConditionCheck(PLAIN, keys.item_key(PLAIN, {"p": s("a")}, SECRET), never),
    ],
)
def test_a_failed_condition_refuses_and_shows_the_item_only_on_request(operation: ItemWrite) -> None:
    store = Store()
    store.do(put(PLAIN, {"p": s("a"), "x": n("1")}))
    with pytest.raises(ConditionalCheckFailedException) as refusal:
        store.do(operation)
    assert refusal.value.message == "The conditional request failed"
    assert refusal.value.fields == {}
    with pytest.raises(ConditionalCheckFailedException) as refusal:
        store.do(replace(operation, return_old_on_failure=True))
    assert json_of(refusal.value.fields) == b'{"Item":{"p":{"S":"a"},"x":{"N":"1"}}}'
    assert store.items(PLAIN) == [{"p": s("a"), "x": n("1")}]


def test_a_condition_sees_an_empty_item_if_none_exists() -> None:
    seen: list[Item] = []

    def condition(item: Item) -> bool:
        seen.append(item)
        return True

    Store().do(put(PLAIN, {"p": s("a")}, condition))
    assert seen == [{}]


def test_a_condition_check_changes_nothing() -> None:
    store = Store()
    store.do(put(PLAIN, {"p": s("a")}))
    operation = writes.ConditionCheck(PLAIN, keys.item_key(PLAIN, {"p": s("a")}, SECRET), lambda item: "p" in item)
    change = store.do(operation)
    assert change.old == change.new
    assert not store.written.puts


def test_an_update_may_not_make_an_item_too_large() -> None:
    store = Store()
    large = s("x" * (400 * 1024 - len("p") - len("a") - len("v")))
    store.do(update(PLAIN, {"p": s("a")}, "SET v = :v", v=large))
    with pytest.raises(ValidationException) as refusal:
        store.do(update(PLAIN, {"p": s("a")}, "SET w = :w", w=s("")))
    assert refusal.value.message == "Item size to update has exceeded the maximum allowed size"


def test_an_operation_on_a_table_that_has_changed_starts_again() -> None:
    writes.check_descriptor(PLAIN, PLAIN.raw)
    for raw in (None, PLAIN.raw + b" "):
        with pytest.raises(DescriptorChanged):
            writes.check_descriptor(PLAIN, raw)


def test_entries_hold_the_projected_attributes() -> None:
    store = Store()
    item = {"p": s("1"), "c": s("2"), "x": s("3"), "y": s("4"), "a": s("5"), "b": s("6")}
    store.do(put(INDEXED, item))
    by_x, by_y, by_both = INDEXED.indexes
    assert store.entries(by_x) == [{name: item[name] for name in "pcx"}]
    assert store.entries(by_y) == [{name: item[name] for name in "pcya"}]
    assert store.entries(by_both) == [item]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({}, {}, id="nothing"),
        pytest.param({"z": s("new")}, {"by-x-and-y": (None, 1)}, id="what one index projects"),
        pytest.param({"a": s("new")}, {"by-y": (None, 1), "by-x-and-y": (None, 1)}, id="what two project"),
        pytest.param({"x": s("new")}, {"by-x": (1, 1), "by-x-and-y": (1, 1)}, id="a key: one goes, one comes"),
        pytest.param({"y": None}, {"by-y": (1, None), "by-x-and-y": (1, None)}, id="out of the index"),
    ],
)
def test_only_entries_that_change_are_written(changed: Any, expected: Any) -> None:
    store = Store()
    item = {"p": s("1"), "c": s("2"), "x": s("3"), "y": s("4"), "a": s("5")}
    store.do(put(INDEXED, item))
    change = store.do(put(INDEXED, {k: v for k, v in (item | changed).items() if v is not None}))
    told = {
        entry.of.name: (entry.deleted and 1, entry.written and 1)  # sizes, here only whether there are any
        for entry in change.entries
    }
    assert told == expected


def test_the_size_of_a_replaced_entry_is_the_larger_one() -> None:
    store = Store()
    item = {"p": s("1"), "c": s("2"), "y": s("3"), "a": s("long" * 100)}
    store.do(put(INDEXED, item))
    change = store.do(put(INDEXED, item | {"a": s("short")}))
    assert [(entry.of.name, entry.written) for entry in change.entries] == [("by-y", values.item_size(item))]


def test_an_update_of_an_index_key_must_fit_it() -> None:
    with pytest.raises(ValidationException) as refusal:
        Store().do(update(INDEXED, {"p": s("1"), "c": s("2")}, "SET y = :y", y=s("")))
    assert refusal.value.message == (
        "One or more parameter values are not valid. The update expression attempted to update a secondary index key "
        "to a value that is not supported. The AttributeValue for a key attribute cannot contain an empty string value."
    )


# The change log

LOGGED = replace(PLAIN, log=ChangeLog(old_images=True, new_images=True, starts=(0,), prefixes=(b"log",)))


def logged(store: Store, operation: ItemWrite) -> list[tuple[Kind, bytes, bytes, bytes]]:
    """The entry that an operation appends to the log: kind, key, old and new item."""
    store.do(operation)
    entries = [changelog.decode(stored_entry(entry, 0)) for log, entry in store.written.appends if log == b"log"]
    return [(e.kind, e.keys, e.old and items.json_of(e.old), e.new and items.json_of(e.new)) for e in entries]


def test_each_change_is_logged() -> None:
    store = Store()
    one, two = {"p": s("a"), "x": n("1")}, {"p": s("a"), "x": n("2")}
    key, old, new = (orjson.dumps(item) for item in ({"p": s("a")}, one, two))
    assert logged(store, put(LOGGED, one)) == [(Kind.INSERT, key, b"", old)]
    assert logged(store, update(LOGGED, {"p": s("a")}, "SET x = :x", x=n("2"))) == [(Kind.MODIFY, key, old, new)]
    assert logged(store, delete(LOGGED, {"p": s("a")})) == [(Kind.REMOVE, key, new, b"")]
    store.do(put(LOGGED, one))
    expired = replace(delete(LOGGED, {"p": s("a")}), expired=True)
    assert logged(store, expired) == [(Kind.EXPIRE, key, old, b"")]


def test_a_write_that_changes_nothing_is_not_logged() -> None:
    store = Store()
    store.do(put(LOGGED, {"p": s("a"), "x": n("1"), "y": {"SS": ["1", "2"]}}))
    assert logged(store, put(LOGGED, {"y": {"SS": ["2", "1"]}, "x": n("1"), "p": s("a")})) == []
    assert logged(store, update(LOGGED, {"p": s("a")}, "SET x = :x", x=n("1"))) == []
    assert logged(store, update(LOGGED, {"p": s("b")}, "REMOVE x")) == []
    assert logged(store, delete(LOGGED, {"p": s("b")})) == []


# Everything that follows from the items, after any writes


def check(store: Store, of: Table) -> None:
    """Entries and counters are what they would be if they were made now, from the items."""
    found = store.items(of)
    for index in of.indexes:
        keyed = [(keys.index_key(of, index, item, SECRET), item) for item in found]
        expected = {key: item for key, item in keyed if key is not None}
        entries = store.under(index.prefix)
        assert entries.keys() == expected.keys()
        for key, item in expected.items():
            entry = items.decode(entries[key])
            assert entry == {k: v for k, v in item.items() if index.projected is None or k in index.projected}
            assert items.size(entries[key]) == values.item_size(entry)
        check_counters(store, of, index.number, list(entries.values()))
    check_counters(store, of, 0, list(store.under(of.prefix).values()))
    check_collections(store, of)


def check_counters(store: Store, of: Table, number: int, stored: list[bytes]) -> None:
    assert store.counters.get(keys.item_count_key(of.id, number), 0) == len(stored)
    assert store.counters.get(keys.item_bytes_key(of.id, number), 0) == sum(map(items.size, stored))


def check_collections(store: Store, of: Table) -> None:
    """Each item collection is counted: its items, and its entries in local indexes."""
    sizes: dict[bytes, int] = {}
    for prefix in [of.prefix, *(index.prefix for index in of.indexes if not index.is_global)]:
        for key, stored in store.under(prefix).items():
            counter = keys.collection_bytes_key(of, key)
            sizes[counter] = sizes.get(counter, 0) + items.size(stored)
    counted = {
        key: size
        for key, size in store.counters.items()
        if size and key.startswith(keys.collection_bytes_key(of, of.prefix))
    }
    assert counted == (sizes if indexes.has_collections(of) else {})


small = st.sampled_from(["a", "b"])
attributes = st.fixed_dictionaries(
    {"p": small.map(s), "c": small.map(s)},
    optional={
        "x": st.sampled_from([s("x1"), s("x2"), n("1")]),
        "y": st.sampled_from([s("y1"), s("y2"), s("")]),
        "a": small.map(s),
        "z": small.map(s),
    },
)
"""Items of INDEXED. Some have in x or y a value that is invalid for an index's key, as items may that are older than
it."""


@given(st.lists(st.tuples(st.sampled_from(["put", "update", "delete"]), attributes), max_size=12))
@settings(deadline=None)
def test_entries_and_counters_follow_the_items(steps: list[tuple[str, Item]]) -> None:
    store = Store()
    for kind, item in steps:
        key = {name: item[name] for name in ("p", "c")}
        match kind:
            case "put":
                store.do(put(INDEXED, item))
            case "update" if "z" in item:
                store.do(update(INDEXED, key, "SET z = :z REMOVE x", z=item["z"]))
            case "update":
                store.do(update(INDEXED, key, "REMOVE y"))
            case "delete":
                store.do(delete(INDEXED, key))
        check(store, INDEXED)


@given(
    before=st.lists(attributes, max_size=6),
    steps=st.lists(st.tuples(st.sampled_from(["put", "delete", "fill"]), attributes), max_size=12),
)
@settings(deadline=None)
def test_filling_new_indexes_and_writing_meanwhile_come_to_the_same(
    before: list[Item], steps: list[tuple[str, Item]]
) -> None:
    store = Store()
    bare = replace(INDEXED, indexes=INDEXED.indexes[:1])
    for item in before:
        store.do(put(bare, item))

    def fill(key: bytes) -> None:
        mutation = store.mutation()
        filled = indexes.fill(INDEXED, store.rows[key], mutation)
        if filled is not None:
            mutation.writes.put(key, filled)
        store.apply(mutation.writes)

    for kind, item in steps:
        key = keys.item_key(INDEXED, item, SECRET)
        if kind == "put":
            store.do(put(INDEXED, item))
        elif kind == "delete":
            store.do(delete(INDEXED, {name: item[name] for name in INDEXED.key_names}))
        elif key in store.rows:
            fill(key)
    for key in store.under(INDEXED.prefix):
        fill(key)
    check(store, INDEXED)


def test_filling_an_item_that_is_up_to_date_does_nothing() -> None:
    operation = put(INDEXED, {"p": s("1"), "c": s("2"), "x": s("3")})
    mutation = Store().mutation()
    assert indexes.fill(INDEXED, operation.stored, mutation) is None
    assert not mutation.writes.puts
