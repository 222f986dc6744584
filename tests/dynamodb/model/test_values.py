"""Attribute values: which a client may send, their normal form, their size, and their order."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws.errors import SerializationException, ServiceError, ValidationException
from jedlik.dynamodb.model import value_types, values

INVALID = "One or more parameter values were invalid: "
EMPTY = "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
SEVERAL = "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
NESTING = (
    "Nesting Levels have exceeded supported limits: Attributes in the item have nested levels beyond supported limit"
)
STRUCTURE = "Start of structure or map found where not expected"
A_VALUE = "com.amazonaws.dynamodb.v20120810.AttributeValue"

binaries = st.binary(max_size=8).map(lambda raw: b64encode(raw).decode())
numbers = st.integers(-(10**30), 10**30).map(str)
scalars = st.one_of(
    st.text(max_size=8).map(lambda text: {"S": text}),
    numbers.map(lambda text: {"N": text}),
    binaries.map(lambda text: {"B": text}),
    st.booleans().map(lambda truth: {"BOOL": truth}),
    st.just({"NULL": True}),
    st.lists(st.text(max_size=4), min_size=1, max_size=4, unique=True).map(lambda members: {"SS": sorted(members)}),
    st.lists(numbers, min_size=1, max_size=4, unique=True).map(lambda members: {"NS": sorted(members, key=int)}),
    st.lists(binaries, min_size=1, max_size=4, unique=True).map(lambda members: {"BS": sorted(members, key=b64decode)}),
)
attribute_values: st.SearchStrategy[dict[str, Any]] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda elements: {"L": elements}),
        st.dictionaries(st.text(min_size=1, max_size=4), inner, max_size=4).map(lambda members: {"M": members}),
    ),
    max_leaves=8,
)
"""Values in normal form."""


def refusal(raw: Any) -> ServiceError:
    """The error for a client's value; the same value as an attribute of an item must raise the same."""
    with pytest.raises(ServiceError) as of_value:
        values.normalise_value(orjson.loads(orjson.dumps(raw)))
    with pytest.raises(type(of_value.value)) as of_item:
        values.normalise_item({"a": orjson.loads(orjson.dumps(raw))})
    assert of_item.value.message == of_value.value.message
    return of_value.value


def nested(depth: int, kind: str) -> dict[str, Any]:
    value: dict[str, Any] = {"S": "leaf"}
    for _ in range(depth):
        value = {"M": {"n": value}} if kind == "M" else {"L": [value]}
    return value


# Normal form


@pytest.mark.parametrize(
    ("raw", "normal", "size"),
    [
        ({"S": ""}, {"S": ""}, 0),
        ({"S": "caf\u00e9"}, {"S": "caf\u00e9"}, 5),
        ({"S": "\U0001f600"}, {"S": "\U0001f600"}, 4),
        ({"N": "+1.50"}, {"N": "1.5"}, 3),
        ({"B": ""}, {"B": ""}, 0),
        ({"B": "YQ=="}, {"B": "YQ=="}, 1),
        ({"B": "YWI="}, {"B": "YWI="}, 2),
        ({"B": "YWJj"}, {"B": "YWJj"}, 3),
        ({"BOOL": False}, {"BOOL": False}, 1),
        ({"BOOL": "true"}, {"BOOL": True}, 1),
        ({"BOOL": "no"}, {"BOOL": False}, 1),
        ({"NULL": True}, {"NULL": True}, 1),
        ({"NULL": "1"}, {"NULL": True}, 1),
        ({"L": []}, {"L": []}, 3),
        ({"L": [{"S": "ab"}, {"N": "01"}]}, {"L": [{"S": "ab"}, {"N": "1"}]}, 3 + 2 + 2 + 2),
        ({"M": {}}, {"M": {}}, 3),
        (
            {"M": {"ab": {"S": "cd"}, "\u00e9": {"NULL": True}}},
            {"M": {"ab": {"S": "cd"}, "\u00e9": {"NULL": True}}},
            12,
        ),
        ({"SS": ["a", "", "\u00e9"]}, {"SS": ["", "a", "\u00e9"]}, 3),
        ({"NS": ["1.0", "-20", "3e2"]}, {"NS": ["-20", "1", "300"]}, 2 + 3 + 2),
        ({"BS": ["YQ==", ""]}, {"BS": ["", "YQ=="]}, 1),
        # Null members and unknown ones count as absent.
        ({"S": "a", "N": None}, {"S": "a"}, 1),
        ({"S": "a", "dog": "cat"}, {"S": "a"}, 1),
        ({"M": {"a": {"L": [{"S": "a", "BOOL": None}]}}}, {"M": {"a": {"L": [{"S": "a"}]}}}, 3 + 2 + 3 + 1 + 1),
    ],
)
def test_values_are_normalised_and_measured(raw: dict[str, Any], normal: dict[str, Any], size: int) -> None:
    item = {"name": orjson.loads(orjson.dumps(raw))}
    assert values.normalise_value(raw) == (normal, size)
    assert values.value_size(normal) == size
    assert values.normalise_item(item) == ({"name": normal}, len("name") + size)


@given(st.dictionaries(st.text(min_size=1, max_size=4), attribute_values, max_size=4))
def test_normal_values_stay_unchanged_and_every_measure_gives_the_same_size(item: dict[str, Any]) -> None:
    before = orjson.dumps(item)
    normal, size = values.normalise_item(item)
    assert orjson.dumps(normal) == before
    assert values.item_size(normal) == size


def test_the_size_of_an_item_is_that_of_names_and_values() -> None:
    item, size = values.normalise_item({"p": {"S": "key"}, "caf\u00e9": {"N": "12"}})
    assert size == values.item_size(item) == 1 + 3 + 5 + 2
    assert values.normalise_item({}) == ({}, 0)


# Rules


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({}, EMPTY),
        ({"dog": "cat"}, EMPTY),
        ({"S": None}, EMPTY),
        (None, EMPTY),
        ({"L": [{}]}, EMPTY),
        ({"L": [None]}, EMPTY),
        ({"M": {"a": {}}}, EMPTY),
        ({"M": {"a": None}}, EMPTY),
        ({"L": [{"L": [{"M": {"a": {"dog": 1}}}]}]}, EMPTY),
        ({"S": "a", "N": "1"}, SEVERAL),
        ({"L": [{"S": "a", "BOOL": True}]}, SEVERAL),
        ({"NULL": False}, f"{INVALID}Null attribute value types must have the value of true"),
        ({"NULL": "no"}, f"{INVALID}Null attribute value types must have the value of true"),
        ({"SS": []}, f"{INVALID}An string set  may not be empty"),
        ({"NS": []}, f"{INVALID}An number set  may not be empty"),
        ({"BS": []}, f"{INVALID}Binary sets should not be empty"),
        ({"SS": ["a", None]}, f"{INVALID}An string set may not have a null string as a member"),
        ({"NS": ["1", None]}, f"{INVALID}An number set may not have a null number as a member"),
        ({"BS": ["YQ==", None]}, f"{INVALID}Binary sets may not contain null values"),
        ({"SS": ["a", "b", "a"]}, f"{INVALID}Input collection [a, b, a] contains duplicates."),
        ({"SS": ["", ""]}, f"{INVALID}Input collection [, ] contains duplicates."),
        ({"BS": ["Yg==", "Yg=="]}, f"{INVALID}Input collection [Yg==, Yg==]of type BS contains duplicates."),
        ({"NS": ["1", "1"]}, "Input collection contains duplicates"),
        ({"NS": ["1", "1.0"]}, "Input collection contains duplicates"),
        ({"N": ""}, "The parameter cannot be converted to a numeric value"),
        ({"N": "b"}, "The parameter cannot be converted to a numeric value: b"),
        ({"NS": ["1", "b"]}, "The parameter cannot be converted to a numeric value: b"),
        # A number goes before there being several members.
        ({"S": "a", "N": "b"}, "The parameter cannot be converted to a numeric value: b"),
        ({"N": "1" * 39}, "Attempting to store more than 38 significant digits in a Number"),
        ({"M": {"": {"S": "a"}}}, "Empty attribute name"),
        ({"M": {"a" * 65536: {"S": "a"}}}, "Attribute name is too large, must be less than 65536 bytes"),
    ],
)
def test_a_broken_rule_is_a_validation_exception(raw: Any, message: str) -> None:
    error = refusal(raw)
    assert isinstance(error, ValidationException)
    assert error.message == message


def test_an_attribute_has_a_name_of_at_most_65535_bytes() -> None:
    values.normalise_item({"\u00e9" * 32767 + "a": {"S": ""}})
    with pytest.raises(ValidationException) as too_long:
        values.normalise_item({"\u00e9" * 32768: {"S": ""}})
    assert too_long.value.message == "Attribute name is too large, must be less than 65536 bytes"


def test_an_empty_name_is_found_before_anything_in_the_values() -> None:
    with pytest.raises(ValidationException) as nameless:
        values.normalise_item({"a": {"N": "dog"}, "": {"S": "a"}})
    assert nameless.value.message == "Empty attribute name"


@pytest.mark.parametrize("kind", ["L", "M"])
def test_values_nest_to_31_levels_within_an_attribute(kind: str) -> None:
    values.normalise_item({"a": nested(31, kind)})
    for depth in (32, 100, 900):
        with pytest.raises(ValidationException) as too_deep:
            values.normalise_item({"a": nested(depth, kind)})
        assert too_deep.value.message == NESTING


# Types


@pytest.mark.parametrize("type_", ["S", "N"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (True, "TRUE_VALUE cannot be converted to String"),
        (False, "FALSE_VALUE cannot be converted to String"),
        (23, "NUMBER_VALUE cannot be converted to String"),
        (34.56, "DECIMAL_VALUE cannot be converted to String"),
        ([], "Unrecognized collection type class java.lang.String"),
        ({}, STRUCTURE),
    ],
)
def test_strings_and_numbers_are_strings(type_: str, content: Any, message: str) -> None:
    for raw in ({type_: content}, {type_ + "S": ["1", content]}):
        error = refusal(raw)
        assert isinstance(error, SerializationException)
        assert error.message == message


@pytest.mark.parametrize("type_", ["L", "SS", "NS", "BS"])
@pytest.mark.parametrize(
    ("content", "message"),
    [("a", "Unexpected field type"), (23, "Unexpected field type"), (True, "Unexpected field type"), ({}, STRUCTURE)],
)
def test_lists_and_sets_are_lists(type_: str, content: Any, message: str) -> None:
    error = refusal({type_: content})
    assert isinstance(error, SerializationException)
    assert error.message == message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("a", "Unexpected value type in payload"),
        (23, "Unexpected value type in payload"),
        (True, "Unexpected value type in payload"),
        ([], f"Unrecognized collection type class {A_VALUE}"),
        ({"L": ["a"]}, "Unexpected value type in payload"),
        ({"M": {"a": [{"S": "a"}]}}, f"Unrecognized collection type class {A_VALUE}"),
        ({"B": True}, "only base-64-encoded strings are convertible to bytes"),
        ({"B": 34.56}, "only base-64-encoded strings are convertible to bytes"),
        ({"B": []}, "Unrecognized collection type class java.nio.ByteBuffer"),
        ({"B": {}}, STRUCTURE),
        ({"B": "23456"}, "Base64 encoded length is expected a multiple of 4 bytes but found: 5"),
        ({"B": "=+/="}, "Invalid last non-pad Base64 character dectected"),
        ({"B": "+/+="}, "Invalid last non-pad Base64 character dectected"),
        ({"B": "YWJj??!!"}, "Invalid last non-pad Base64 character dectected"),
        ({"B": "YQ==YQ=="}, "Invalid last non-pad Base64 character dectected"),
        ({"B": "YW\nJ"}, "Invalid last non-pad Base64 character dectected"),
        ({"B": "\u00e9\u00e9\u00e9\u00e9"}, "Invalid last non-pad Base64 character dectected"),
        ({"BS": ["YQ==", "YQ"]}, "Base64 encoded length is expected a multiple of 4 bytes but found: 2"),
        ({"BOOL": "23"}, "Unexpected token received from parser"),
        ({"BOOL": 1}, "NUMBER_VALUE cannot be converted to Boolean"),
        ({"NULL": 34.56}, "DECIMAL_VALUE cannot be converted to Boolean"),
        ({"NULL": []}, "Unrecognized collection type class java.lang.Boolean"),
        ({"BOOL": {}}, STRUCTURE),
        ({"M": "a"}, "Unexpected field type"),
        ({"M": True}, "Unexpected field type"),
        ({"M": []}, f"Unrecognized collection type java.util.Map<java.lang.String, {A_VALUE}>"),
    ],
)
def test_a_wrong_type_is_a_serialization_exception(raw: Any, message: str) -> None:
    error = refusal(raw)
    assert isinstance(error, SerializationException)
    assert error.message == message
    # Other faults of the item, or the depth of the value, do not matter either.
    for item in ({"a": {"N": "dog"}, "b": raw}, {"": {"L": [{}, raw]}}, {"a": {"L": [nested(99, "L"), raw]}}):
        with pytest.raises(SerializationException) as same:
            values.normalise_item(orjson.loads(orjson.dumps(item)))
        assert same.value.message == message


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("a", "Unexpected field type"),
        (23, "Unexpected field type"),
        ([], f"Unrecognized collection type java.util.Map<java.lang.String, {A_VALUE}>"),
    ],
)
def test_an_item_is_a_map(raw: Any, message: str) -> None:
    with pytest.raises(SerializationException) as error:
        values.normalise_item(raw)
    assert error.value.message == message


@given(attribute_values)
def test_types_of_valid_values_are_valid(value: dict[str, Any]) -> None:
    value_types.check(value)
    value_types.check_item({"a": value, "b": None})


# Comparison


@pytest.mark.parametrize(
    ("a", "b", "order"),
    [
        ({"S": "a"}, {"S": "b"}, -1),
        ({"S": "a"}, {"S": "a"}, 0),
        ({"S": "b"}, {"S": "ab"}, 1),
        # By UTF-8 bytes; in UTF-16 it would be the other way round.
        ({"S": "\uffff"}, {"S": "\U0001f600"}, -1),
        ({"N": "9"}, {"N": "10"}, -1),
        ({"N": "-0.5"}, {"N": "-1"}, 1),
        ({"N": "1"}, {"N": "1"}, 0),
        ({"B": "AA=="}, {"B": "/w=="}, -1),
        ({"B": "/w=="}, {"B": "/wA="}, -1),
        ({"S": "1"}, {"N": "1"}, None),
        ({"BOOL": True}, {"BOOL": True}, None),
        ({"NULL": True}, {"NULL": True}, None),
        ({"SS": ["a"]}, {"SS": ["a"]}, None),
    ],
)
def test_order(a: dict[str, Any], b: dict[str, Any], order: int | None) -> None:
    assert values.compare(a, b) == order
    assert values.compare(b, a) == (None if order is None else -order)


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ({"S": "a"}, {"S": "a"}, True),
        ({"S": "1"}, {"N": "1"}, False),
        ({"BOOL": True}, {"BOOL": False}, False),
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}, True),
        ({"SS": ["a", "b"]}, {"SS": ["a"]}, False),
        ({"SS": ["1"]}, {"NS": ["1"]}, False),
        ({"BS": ["YQ==", "Yg=="]}, {"BS": ["Yg==", "YQ=="]}, True),
        ({"L": [{"S": "a"}, {"S": "b"}]}, {"L": [{"S": "b"}, {"S": "a"}]}, False),
        ({"L": [{"NS": ["1", "2"]}]}, {"L": [{"NS": ["2", "1"]}]}, True),
        ({"L": [{"S": "a"}]}, {"L": []}, False),
        ({"M": {"a": {"SS": ["x", "y"]}, "b": {"S": ""}}}, {"M": {"b": {"S": ""}, "a": {"SS": ["y", "x"]}}}, True),
        ({"M": {"a": {"S": "x"}}}, {"M": {"b": {"S": "x"}}}, False),
        ({"M": {"a": {"S": "x"}}}, {"M": {"a": {"N": "1"}}}, False),
    ],
)
def test_equality(a: dict[str, Any], b: dict[str, Any], same: bool) -> None:
    assert values.equal(a, b) is same
    assert values.equal(b, a) is same


@given(attribute_values)
def test_a_value_equals_its_copy(value: dict[str, Any]) -> None:
    assert values.equal(value, orjson.loads(orjson.dumps(value)))


def test_type_and_bytes_of_a_value() -> None:
    assert [values.type_of(v) for v in ({"S": "a"}, {"NS": ["1"]}, {"NULL": True})] == ["S", "NS", "NULL"]
    assert values.binary({"B": "/wA="}) == b"\xff\x00"
