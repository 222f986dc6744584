"""The read path: which rows a page reads, which parts of them it takes, and what it shows."""

from __future__ import annotations

import orjson
import pytest

from jedlik.aws.errors import ValidationException
from jedlik.aws.stored_items import StoredItems
from jedlik.dynamodb.model import items, keys, reads
from jedlik.dynamodb.model.expressions.key_conditions import KeyCondition
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from jedlik.dynamodb.model.expressions.projections import projection
from jedlik.dynamodb.model.reads import Stretch
from jedlik.dynamodb.model.values import Item
from jedlik.regions import keyspaces
from jedlik.storage.engine import Row
from testing.dynamodb.schemas import n, s, table

SECRET = b"secret"
TABLE = table(sort=("c", "N"), global_={"index": ([("x", "S")], [("c", "N")])})
INDEX = TABLE.indexes[0]


def key(c: int, p: str = "a") -> Item:
    return {"p": s(p), "c": n(str(c))}


def place(c: int, p: str = "a") -> bytes:
    return keys.item_key(TABLE, key(c, p), SECRET)


def within(stretch: Stretch, *places: bytes) -> list[bool]:
    return [stretch.start <= place < stretch.end for place in places]


def condition(operator: str | None = None, *operands: int) -> KeyCondition:
    return KeyCondition((s("a"),), (), operator, tuple(n(str(operand)) for operand in operands))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (condition(), [True, True, True]),
        (condition("<", 2), [True, False, False]),
        (condition("BETWEEN", 2, 3), [False, True, True]),
        (KeyCondition((s("a"),), (n("2"),), None, ()), [False, True, False]),
    ],
)
def test_a_query_reads_the_items_that_its_condition_selects(given: KeyCondition, expected: list[bool]) -> None:
    stretch = reads.queried(TABLE, None, given, None, False, SECRET)
    assert within(stretch, place(1), place(2), place(3), place(2, "b")) == [*expected, False]


@pytest.mark.parametrize(("reverse", "expected"), [(False, [False, False, True]), (True, [True, False, False])])
def test_a_query_goes_on_after_its_start_key(reverse: bool, expected: list[bool]) -> None:
    stretch = reads.queried(TABLE, None, condition(), key(2), reverse, SECRET)
    assert within(stretch, place(1), place(2), place(3)) == expected
    assert stretch.reverse == reverse


def test_a_query_of_an_index_goes_on_within_equal_keys() -> None:
    entries = [key(1, p) | {"x": s("x")} for p in "abc"]
    entries.sort(key=lambda item: keys.index_key(TABLE, INDEX, item, SECRET) or b"")
    places = [keys.index_key(TABLE, INDEX, item, SECRET) or b"" for item in entries]
    stretch = reads.queried(TABLE, INDEX, KeyCondition((s("x"),), (), None, ()), entries[1], False, SECRET)
    assert within(stretch, *places) == [False, False, True]


def test_a_scan_of_all_segments_reads_everything_once() -> None:
    places = [place(1, str(p)) for p in range(100)]
    for segments in (1, 3, 8):
        stretches = [reads.scanned(TABLE, None, segment, segments, None, SECRET) for segment in range(segments)]
        assert [sum(within(stretch, place)[0] for stretch in stretches) for place in places] == [1] * 100


def test_a_scan_starts_only_in_its_segment() -> None:
    mine = next(s for s in range(2) if within(reads.scanned(TABLE, None, s, 2, None, SECRET), place(1)) == [True])
    assert within(reads.scanned(TABLE, None, mine, 2, key(1), SECRET), place(1)) == [False]
    with pytest.raises(ValidationException) as refusal:
        reads.scanned(TABLE, None, 1 - mine, 2, key(1), SECRET)
    assert refusal.value.message == (
        "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct "
        f"Segment. TotalSegments: 2 Segment: {1 - mine}"
    )


def stored(*sizes: int) -> list[bytes]:
    return [items.encode({"n": n(str(number))}, size) for number, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [((), (0, 0)), ((10, 20), (2, 30)), ((50, 49), (2, 99)), ((50, 50, 1), (2, 100)), ((500, 1), (1, 500))],
)
def test_a_page_takes_the_item_that_fills_it(sizes: tuple[int, ...], expected: tuple[int, int]) -> None:
    assert reads.fitting(stored(*sizes), room=100) == expected


def test_a_missing_item_takes_no_room() -> None:
    [one, two] = stored(60, 60)
    assert reads.fitting([None, one, None, two, one], room=100) == (4, 120)


def test_items_are_shown_as_stored_unless_they_must_be_parsed() -> None:
    given = [items.HEADER * b"\0" + text for text in (b'{"n": {"N":"1"} }', b'{"n":{"N":"2"}}')]

    def shown(*how: object) -> tuple[int, bytes]:
        count, array = reads.shown(given, *how)  # type: ignore[arg-type]
        return count, array.json if isinstance(array, StoredItems) else orjson.dumps(array)

    def is_two(item: Item) -> bool:
        return item["n"] == n("2")

    only_n = projection("n", Placeholders(None, None))
    assert shown(None, None) == (2, b'[{"n": {"N":"1"} },{"n":{"N":"2"}}]')
    assert shown(is_two, None) == (1, b'[{"n":{"N":"2"}}]')
    assert shown(None, only_n) == (2, b'[{"n":{"N":"1"}},{"n":{"N":"2"}}]')
    assert shown(is_two, only_n) == (1, b'[{"n":{"N":"2"}}]')
    assert reads.passing(given, None) == 2
    assert reads.passing(given, is_two) == 1


# Four partitions: the hashes that begin with 00, 40, 80 and C0


def row(first_byte: int, size: int) -> Row:
    return TABLE.prefix + bytes((first_byte, *bytes(15))), items.encode({}, size)


ROWS = [row(0x10, 1), row(0x3F, 2), row(0x80, 4)]
WHOLE = Stretch(TABLE.prefix, keyspaces.prefix_end(TABLE.prefix))


@pytest.mark.parametrize(
    ("rows", "stretch", "ended", "expected"),
    [
        pytest.param(ROWS, WHOLE, True, [3, 0, 4, 0], id="the whole table"),
        pytest.param(ROWS, WHOLE, False, [3, 0, 4], id="up to where the page is full"),
        pytest.param([], WHOLE, True, [0, 0, 0, 0], id="an empty table"),
        pytest.param(ROWS[2:], WHOLE.after(ROWS[1][0]), True, [0, 0, 4, 0], id="from a start key"),
        pytest.param(
            ROWS[:2], Stretch(TABLE.prefix, TABLE.prefix + b"\x40"), True, [3], id="the first segment of four"
        ),
        pytest.param([], Stretch(TABLE.prefix + b"\x20", TABLE.prefix + b"\x60"), True, [0, 0], id="parts of two"),
    ],
)
def test_reads_are_counted_by_partition(rows: list[Row], stretch: Stretch, ended: bool, expected: list[int]) -> None:
    assert reads.sizes_by_partition(rows, stretch, ended, TABLE.prefix, 4) == expected
