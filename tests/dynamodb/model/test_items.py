"""Stored items: a header that can be read without a parse, and the JSON that goes on the wire."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws.stored_items import json_of, plain
from jedlik.dynamodb.model import items
from jedlik.dynamodb.model.values import Item

ITEM: Item = {"p": {"S": "caf\u00e9"}, "n": {"N": "1.5"}, "m": {"M": {"l": {"L": [{"NULL": True}, {"BOOL": False}]}}}}


def test_an_item_reads_back_as_it_was_stored() -> None:
    assert items.decode(items.encode(ITEM, 40)) == ITEM


def test_attributes_keep_their_order() -> None:
    assert list(items.decode(items.encode(ITEM, 40))) == ["p", "n", "m"]


def test_every_reading_belongs_to_its_caller() -> None:
    stored = items.encode(ITEM, 40)
    items.decode(stored)["p"]["S"] = "changed"
    assert items.decode(stored) == ITEM


@given(st.integers(0, 2**32 - 1), st.integers(0, 65_535))
def test_the_header_holds_size_and_generation(size: int, generation: int) -> None:
    stored = items.encode(ITEM, size, generation)
    assert items.size(stored) == size
    assert items.generation(stored) == generation


def test_the_json_is_what_follows_the_header() -> None:
    stored = items.encode(ITEM, 40, 3)
    assert items.json_of(stored) == stored[items.HEADER :] == orjson.dumps(ITEM)


def test_another_generation_is_the_same_item() -> None:
    stored = items.with_generation(items.encode(ITEM, 40, 3), 7)
    assert (items.generation(stored), items.size(stored), items.decode(stored)) == (7, 40, ITEM)


def test_stored_items_go_into_an_answer_unparsed() -> None:
    stored = items.encode(ITEM, 40)
    for answer, parsed in (
        ({"Item": items.whole(stored)}, {"Item": ITEM}),
        ({"Item": items.whole(stored), "more": 1}, {"Item": ITEM, "more": 1}),
        ({"Items": items.array([stored, stored])}, {"Items": [ITEM, ITEM]}),
        ({"Items": items.array([])}, {"Items": []}),
    ):
        assert json_of(answer) == orjson.dumps(parsed)
        assert plain(answer) == parsed


def test_every_caller_gets_its_own_value_of_a_stored_item() -> None:
    whole, several = items.whole(items.encode(ITEM, 40)), items.array([items.encode(ITEM, 40)])
    whole.value.clear()
    several.value.clear()
    assert (whole.value, several.value, len(several)) == (ITEM, [ITEM], 1)


def test_a_value_that_is_no_json_is_not_taken_for_an_item() -> None:
    with pytest.raises(TypeError):
        json_of({"Item": b"bytes"})
