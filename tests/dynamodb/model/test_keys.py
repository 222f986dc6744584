"""Storage keys: they sort as DynamoDB sorts items, stay apart, and stay short enough for the engine."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from jedlik.background import job_records, leases
from jedlik.dynamodb.model import keys, numbers, values
from jedlik.dynamodb.model.tables import Index, KeyAttribute, Table
from jedlik.dynamodb.model.values import AttributeValue
from jedlik.regions import keyspaces
from testing.dynamodb.schemas import b, n, s, table

SECRET = b"a secret of 32 bytes for a store"
MAX_KEY = 1978
"""The longest key that the embedded engine takes."""
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda v, o: bool(v == o),
    "<": lambda v, o: bool(v < o),
    "<=": lambda v, o: bool(v <= o),
    ">": lambda v, o: bool(v > o),
    ">=": lambda v, o: bool(v >= o),
}

runs = st.lists(
    st.one_of(st.binary(max_size=3), st.integers(0, 400).map(bytes), st.sampled_from([b"\xff", b"\x01", b"\x80\xff"])),
    max_size=6,
).map(b"".join)
"""Byte strings with runs of zeros, and the bytes that the encoding uses."""
texts = st.one_of(st.text(max_size=6), st.text("\x00\x01\uffff\U0001f600a", max_size=6))
values_by_type: dict[str, st.SearchStrategy[AttributeValue]] = {
    "S": texts.map(s),
    "N": st.one_of(st.integers(-300, 300), st.decimals(-1000, 1000, places=4)).map(
        lambda d: n(numbers.normalise(str(d)))
    ),
    "B": runs.map(b),
}


def comparable(value: AttributeValue) -> Any:
    """A value that Python sorts as DynamoDB sorts the key's."""
    if "N" in value:
        return Decimal(value["N"])
    return values.binary(value) if "B" in value else value["S"].encode()


def sort_key_table(type_: str) -> Table:
    return table(("p", "S"), ("c", type_))


def index_of(*sort: str) -> tuple[Table, Index]:
    """A table, and an index of it with sort key attributes of the types given, called c0, c1, ..."""
    made = table(("p", "S"), global_={"g": ([("h", "S")], [(f"c{i}", t) for i, t in enumerate(sort)])})
    return made, made.indexes[0]


# Order


@pytest.mark.parametrize("type_", ["S", "N", "B"])
@given(st.data())
def test_items_of_a_partition_are_in_the_order_of_their_sort_keys(type_: str, data: st.DataObject) -> None:
    music = sort_key_table(type_)
    x, y = data.draw(values_by_type[type_]), data.draw(values_by_type[type_])
    first = keys.item_key(music, {"p": s("a"), "c": x}, SECRET)
    second = keys.item_key(music, {"p": s("a"), "c": y}, SECRET)
    assert (first < second) == (comparable(x) < comparable(y))
    assert (first == second) == (x == y)


@given(runs, runs)
@example(bytes(126), bytes(127))
@example(bytes(127), bytes(127) + b"\x01")
@example(bytes(254), bytes(253) + b"\x01")
def test_no_sort_key_is_a_prefix_of_another(x: bytes, y: bytes) -> None:
    assume(x != y)
    music = sort_key_table("B")
    first = keys.item_key(music, {"p": s("a"), "c": b(x)}, SECRET)
    second = keys.item_key(music, {"p": s("a"), "c": b(y)}, SECRET)
    assert not first.startswith(second)
    assert (first < second) == (x < y)


@given(st.data())
def test_index_entries_are_in_the_order_of_all_their_sort_keys_in_turn(data: st.DataObject) -> None:
    types = data.draw(st.lists(st.sampled_from("SNB"), min_size=1, max_size=4))
    music, index = index_of(*types)

    def item() -> dict[str, AttributeValue]:
        return {f"c{i}": data.draw(values_by_type[t]) for i, t in enumerate(types)}

    x, y = item(), item()
    # An item with an empty key has no entry.
    assume(all(v != s("") and v != b(b"") for v in (*x.values(), *y.values())))
    first = keys.index_key(music, index, {"p": s("1"), "h": s("a"), **x}, SECRET)
    second = keys.index_key(music, index, {"p": s("2"), "h": s("a"), **y}, SECRET)
    assert first is not None
    assert second is not None
    if x != y:
        in_order = [comparable(v) for v in x.values()] < [comparable(v) for v in y.values()]
        assert (first < second) == in_order


# Bounds


@pytest.mark.parametrize("type_", ["S", "N", "B"])
@pytest.mark.parametrize("operator", [*OPERATORS, "BETWEEN", "begins_with", None])
@given(st.data())
def test_bounds_hold_exactly_the_keys_that_meet_the_condition(
    type_: str, operator: str | None, data: st.DataObject
) -> None:
    if type_ == "N" and operator == "begins_with":
        return
    value, low, high = (data.draw(values_by_type[type_]) for _ in range(3))
    if operator == "begins_with":
        # Otherwise it would hardly ever be true.
        prefix = comparable(low)
        cut = data.draw(st.integers(0, len(prefix)))
        low = b(prefix[:cut]) if type_ == "B" else s(prefix[:cut].decode(errors="ignore"))
        value = data.draw(st.sampled_from([value, b(prefix + comparable(value)) if type_ == "B" else value]))
    if operator == "BETWEEN":
        meets = comparable(low) <= comparable(value) <= comparable(high)
    elif operator == "begins_with":
        meets = comparable(value).startswith(comparable(low))
    else:
        meets = operator is None or OPERATORS[operator](comparable(value), comparable(low))
    operands = {"BETWEEN": [low, high], None: []}.get(operator, [low])

    music = sort_key_table(type_)
    key = keys.item_key(music, {"p": s("a"), "c": value}, SECRET)
    partition = keys.partition_prefix(music, [s("a")], SECRET)
    start, end = keys.sort_bounds(partition, [KeyAttribute("c", type_)], [], operator, operands)
    assert (start <= key < end) == meets
    assert start <= end


@pytest.mark.parametrize(
    "prefix",
    [b"", b"a", b"\xff", b"\xff\xff", b"\x00", b"a\x00", b"a\x00\x00", bytes(126), bytes(127), bytes(128), bytes(255)],
)
@pytest.mark.parametrize("following", [b"", b"\x00", b"\x01", b"\xff", bytes(126), bytes(127), bytes(300), b"\x00\x01"])
def test_begins_with_where_the_encoding_is_at_its_edges(prefix: bytes, following: bytes) -> None:
    music = sort_key_table("B")
    partition = keys.partition_prefix(music, [s("a")], SECRET)
    start, end = keys.sort_bounds(partition, [KeyAttribute("c", "B")], [], "begins_with", [b(prefix)])

    def within(raw: bytes) -> bool:
        return start <= keys.item_key(music, {"p": s("a"), "c": b(raw)}, SECRET) < end

    assert within(prefix + following)
    if prefix:
        assert not within(prefix[:-1])
        changed = prefix[:-1] + bytes(((prefix[-1] + 1) % 256,))
        assert not within(changed + following)


@given(st.data())
def test_bounds_within_a_multi_attribute_sort_key(data: st.DataObject) -> None:
    types = data.draw(st.lists(st.sampled_from("SNB"), min_size=2, max_size=4))
    fixed = data.draw(st.integers(0, len(types) - 1))
    music, index = index_of(*types)
    few = {t: st.sampled_from([data.draw(values_by_type[t]) for _ in range(3)]) for t in "SNB"}
    item = {f"c{i}": data.draw(few[t]) for i, t in enumerate(types)}
    assume(all(v != s("") and v != b(b"") for v in item.values()))
    equal = [data.draw(few[t]) for t in types[:fixed]]
    operator = data.draw(st.sampled_from([*OPERATORS]))
    operand = data.draw(few[types[fixed]])

    key = keys.index_key(music, index, {"p": s("1"), "h": s("a"), **item}, SECRET)
    partition = keys.partition_prefix(index, [s("a")], SECRET)
    start, end = keys.sort_bounds(partition, index.sort_key, equal, operator, [operand])
    ordered = list(item.values())
    meets = ordered[:fixed] == equal and OPERATORS[operator](comparable(ordered[fixed]), comparable(operand))
    assert key is not None
    assert (start <= key < end) == meets


def test_an_operator_that_no_key_condition_has_is_a_fault() -> None:
    with pytest.raises(ValueError, match="not a key condition's operator: <>"):
        keys.sort_bounds(b"", [KeyAttribute("c", "S")], [], "<>", [s("a")])


# Length


@pytest.mark.parametrize(
    "raw",
    [bytes(1024), b"\x00\x01" * 512, b"\x01\x00" * 512, b"\x00\xff" * 512, b"\xff" * 1024, b"\x00\x00\x01" * 341],
)
def test_the_longest_sort_keys_fit_the_engine(raw: bytes) -> None:
    music = table(("p", "S"), ("c", "B"), local={"l": ("x", "B")})
    item = {"p": s("a" * 2048), "c": b(raw), "x": b(raw)}
    primary = keys.item_key(music, item, SECRET)
    entry = keys.index_key(music, music.indexes[0], item, SECRET)
    assert entry is not None
    assert len(primary) < MAX_KEY
    assert len(entry) < MAX_KEY


def test_a_sort_key_of_four_attributes_fits_the_engine() -> None:
    music, index = index_of("B", "B", "B", "B")
    item = {"p": s("1"), "h": s("a"), **{f"c{i}": b(b"\x00\x01" * 128) for i in range(4)}}
    entry = keys.index_key(music, index, item, SECRET)
    assert entry is not None
    assert len(entry) < MAX_KEY


# Index entries


def test_an_item_without_an_index_key_has_no_entry() -> None:
    music, index = index_of("N")
    whole = {"p": s("1"), "h": s("a"), "c0": n("1")}
    assert keys.index_key(music, index, whole, SECRET) is not None
    for item in (
        {"p": s("1"), "c0": n("1")},
        {"p": s("1"), "h": s("a")},
        {"p": s("1"), "h": n("1"), "c0": n("1")},
        {"p": s("1"), "h": s("a"), "c0": s("1")},
        {"p": s("1"), "h": s("a"), "c0": {"NULL": True}},
        {"p": s("1"), "h": s(""), "c0": n("1")},
    ):
        assert keys.index_key(music, index, item, SECRET) is None


def test_a_value_too_long_for_an_index_key_has_no_entry() -> None:
    music, index = index_of("S", "N")

    def has_entry(partition: int, sort: int) -> bool:
        item = {"p": s("1"), "h": s("a" * partition), "c0": s("a" * sort), "c1": n("-12")}
        return keys.index_key(music, index, item, SECRET) is not None

    assert has_entry(2048, 1021)
    assert not has_entry(2049, 1)
    assert not has_entry(1, 1022)


def test_entries_of_items_that_share_an_index_key_stand_apart_but_together() -> None:
    music, index = index_of("S")
    shared = {"h": s("a"), "c0": s("b")}
    entries = {keys.index_key(music, index, {"p": s(str(i)), **shared}, SECRET) for i in range(100)}
    assert len(entries) == 100
    partition = keys.partition_prefix(index, [s("a")], SECRET)
    start, end = keys.sort_bounds(partition, index.sort_key, [s("b")], None, [])
    assert all(entry is not None and start <= entry < end for entry in entries)


def test_the_items_own_key_may_be_given_to_its_entries_key() -> None:
    music, index = index_of("S")
    item = {"p": s("1"), "h": s("a"), "c0": s("b")}
    primary = keys.item_key(music, item, SECRET)
    assert keys.index_key(music, index, item, SECRET, primary) == keys.index_key(music, index, item, SECRET)


def test_several_partition_attributes_are_not_taken_for_others() -> None:
    music = table(("p", "S"), global_={"g": ([("x", "S"), ("y", "S")], [])})
    index = music.indexes[0]
    pairs = [("a", "bc"), ("ab", "c"), ("abc", ""), ("", "abc"), ("bc", "a")]
    assert len({keys.partition_prefix(index, [s(x), s(y)], SECRET) for x, y in pairs}) == len(pairs)


def test_a_partition_prefix_is_what_the_keys_of_its_items_begin_with() -> None:
    music = table(("p", "N"), ("c", "S"), global_={"g": ([("x", "S"), ("y", "B")], [("z", "S")])})
    index = music.indexes[0]
    item = {"p": n("1.5"), "c": s("a"), "x": s("x"), "y": b(b"y"), "z": s("z")}
    assert keys.item_key(music, item, SECRET).startswith(keys.partition_prefix(music, [n("1.5")], SECRET))
    entry = keys.index_key(music, index, item, SECRET)
    assert entry is not None
    assert entry.startswith(keys.partition_prefix(index, [s("x"), b(b"y")], SECRET))


def test_another_secret_puts_items_elsewhere() -> None:
    music = table()
    assert keys.item_key(music, {"p": s("a")}, SECRET) != keys.item_key(music, {"p": s("a")}, b"another")


def test_the_key_of_an_item_to_go_on_from() -> None:
    music = table(("p", "S"), ("c", "S"), local={"l": ("x", "S")}, global_={"g": ([("y", "S")], [("p", "S")])})
    item = {"p": s("1"), "c": s("2"), "x": s("3"), "y": s("4"), "z": s("5")}
    assert keys.key_of(music, None, item) == {"p": s("1"), "c": s("2")}
    assert keys.key_of(music, music.index("l"), item) == {"p": s("1"), "c": s("2"), "x": s("3")}
    assert keys.key_of(music, music.index("g"), item) == {"p": s("1"), "c": s("2"), "y": s("4")}


# Ranges


@pytest.mark.parametrize("total", [1, 2, 3, 7, 4096, 1_000_000])
def test_segments_meet_and_cover_everything(total: int) -> None:
    prefix = table().prefix
    some = sorted({0, 1, 2, total // 2, total - 2, total - 1} & set(range(total)))
    ranges = [keys.segment_range(prefix, i, total) for i in range(total)] if total < 5000 else None
    if ranges:
        assert ranges[0][0] == prefix
        assert ranges[-1][1] == keyspaces.prefix_end(prefix)
        assert all(left[1] == right[0] for left, right in itertools.pairwise(ranges))
    for i in some:
        start, end = keys.segment_range(prefix, i, total)
        assert start < end
        if i + 1 < total:
            assert keys.segment_range(prefix, i + 1, total)[0] == end


@given(st.text(), st.integers(1, 1_000_000))
def test_an_item_is_in_one_segment(name: str, total: int) -> None:
    music = table()
    key = keys.item_key(music, {"p": s(name)}, SECRET)
    segment = int.from_bytes(key[11:19], "big") * total >> 64
    holding = [
        i
        for i in range(max(segment - 2, 0), min(segment + 3, total))
        if keys.segment_range(music.prefix, i, total)[0] <= key < keys.segment_range(music.prefix, i, total)[1]
    ]
    assert len(holding) == 1


def test_segments_are_even() -> None:
    music = table()
    ranges = [keys.segment_range(music.prefix, i, 4) for i in range(4)]
    counts = [0] * 4
    for i in range(4000):
        key = keys.item_key(music, {"p": s(str(i))}, SECRET)
        counts[next(j for j, (start, end) in enumerate(ranges) if start <= key < end)] += 1
    assert all(900 < count < 1100 for count in counts)


@pytest.mark.parametrize(
    ("prefix", "end"), [(b"a", b"b"), (b"a\xff", b"b"), (b"a\xff\xff", b"b"), (b"a\x00", b"a\x01")]
)
def test_the_end_of_a_prefix(prefix: bytes, end: bytes) -> None:
    assert keyspaces.prefix_end(prefix) == end


def test_descriptors_are_in_the_order_of_names() -> None:
    names = ["A", "Z", "a", "aa", "a.b", "a-b", "a_b", "b"]
    stored = sorted(keys.descriptor_key(name) for name in names)
    assert [keys.name_of_descriptor_key(key) for key in stored] == sorted(names)
    start, end = keys.descriptor_range(None)
    assert all(start <= key < end for key in stored)
    start, end = keys.descriptor_range("a")
    assert [keys.name_of_descriptor_key(k) for k in stored if start <= k < end] == [x for x in sorted(names) if x > "a"]


def test_jobs_are_found_by_name_and_together() -> None:
    start, end = job_records.job_range()
    assert start <= job_records.job_key("purge/1") < end
    assert job_records.name_of_job_key(job_records.job_key("purge/1")) == "purge/1"


def test_no_two_things_share_a_key_or_a_range() -> None:
    id_ = keys.table_id("01234567-89ab-cdef-0123-456789abcdef")
    other = keys.table_id("01234567-89ab-cdee-0123-456789abcdef")
    assert len(id_) == 8
    prefixes = [
        keyspaces.secret_key(),
        keys.descriptor_key("Music"),
        keys.tags_key(id_),
        keys.tags_key(other),
        keys.index_prefix(id_, 0),
        keys.index_prefix(id_, 1),
        keys.index_prefix(other, 0),
        keys.item_count_key(id_, 0),
        keys.item_bytes_key(id_, 0),
        keys.item_count_key(id_, 1),
        keys.log_prefix(id_),
        job_records.job_key("x"),
        leases.lease_key("x"),
    ]
    for x, y in itertools.permutations(prefixes, 2):
        assert not x.startswith(y)
