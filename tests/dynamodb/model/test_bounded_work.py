"""A value that is refused for its size is refused before all of it has been read: a body may hold a million values.

Nothing here is timed. After the point where the size is known comes a wrong type or a broken rule, whose error would
show that the code has read so far.
"""

from __future__ import annotations

from typing import Any

import pytest

from jedlik.aws.errors import SerializationException, ValidationException
from jedlik.dynamodb.model import limits, numbers, value_types, values
from jedlik.dynamodb.model.expressions import legacy

TOO_LARGE = "Item size has exceeded the maximum allowed size"
MANY = limits.ITEM_SIZE
WRONG: dict[str, Any] = {"S": 5}

LARGE: dict[str, Any] = {
    "list": {"L": [{"N": "10"}] * (MANY // 3 + 1) + [WRONG]},
    "list of small lists": {"L": [{"L": [{"NULL": True}]} for _ in range(MANY // 6 + 1)] + [WRONG]},
    "list of empty strings": {"L": [{"S": ""}] * MANY + [WRONG]},
    "map": {"M": {**{f"{number:06}": {"L": []} for number in range(MANY // 9 + 1)}, "z": WRONG}},
    "map of many": {"M": {**{str(number): {"S": ""} for number in range(MANY + 1)}, "z": WRONG}},
    "list in a list": {"L": [{"L": [{"L": [{"NULL": True}] * (MANY // 2)}, WRONG]}, WRONG]},
    "strings": {"SS": ["x" * 1000] * (MANY // 1000 + 1)},
    "strings, most of them empty": {"SS": [""] * (MANY + 1) + [5]},
    "numbers": {"NS": [*map(str, range(10, MANY // 2)), "not a number"]},
    "binaries": {"BS": ["AAAA"] * (MANY // 3 + 1)},
}


@pytest.mark.parametrize("value", LARGE.values(), ids=LARGE)
def test_a_value_that_is_too_large_is_not_read_to_its_end(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationException) as refusal:
        values.normalise_value(value)
    assert refusal.value.message == TOO_LARGE
    with pytest.raises(ValidationException) as refusal:
        values.normalise_item({"p": {"S": ""}, "a": value})
    assert refusal.value.message == TOO_LARGE


def test_an_item_of_too_many_attributes_is_not_read_to_its_end() -> None:
    attributes: dict[str, Any] = {f"{number:06}": {"BOOL": True} for number in range(MANY // 7 + 1)}
    for item in ({**attributes, "z": WRONG}, {**dict.fromkeys(map(str, range(MANY + 1)), WRONG), "": WRONG}):
        with pytest.raises(ValidationException) as refusal:
            values.normalise_item(item)
        assert refusal.value.message == TOO_LARGE


def test_numbers_are_normalised_only_as_far_as_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    normalised = 0
    normalise = numbers.normalise

    def counted(text: str) -> str:
        nonlocal normalised
        normalised += 1
        return normalise(text)

    monkeypatch.setattr(numbers, "normalise", counted)
    with pytest.raises(ValidationException):
        values.normalise_value({"NS": [str(number) for number in range(1_000_000)]})
    assert normalised < MANY // 2


@pytest.mark.parametrize("size", [MANY, MANY + 1])
def test_a_value_that_fits_is_read_to_its_end(size: int) -> None:
    """A little more than an item may hold is for the caller to refuse, in the operation's own words."""
    item = {"a": {"S": "x" * (size - 1)}}
    assert values.normalise_item(item) == (item, size)
    with pytest.raises(SerializationException):
        values.normalise_item({"a": {"L": [{"N": "no number"}, {"S": "x" * (MANY - 10)}, WRONG]}})


def test_unknown_members_count_as_absent_however_many_there_are() -> None:
    unknown = dict.fromkeys(map(str, range(100_000)))
    assert values.normalise_value({**unknown, "SS": None, "S": "x", **unknown}) == ({"S": "x"}, 1)


def test_the_look_for_wrong_types_has_an_end() -> None:
    """It begins at the end."""
    value_types.check({"L": [WRONG] + [{"S": "x"}] * MANY})
    with pytest.raises(SerializationException):
        value_types.check({"L": [WRONG] + [{"S": "x"}] * (MANY - 1)})


@pytest.mark.parametrize(
    "parse",
    [
        lambda conditions: legacy.expected(conditions, None),
        lambda conditions: legacy.filter_conditions(conditions, None, "ScanFilter"),
        legacy.parse_key_conditions,
    ],
)
def test_the_operands_of_old_conditions_are_limited(parse: Any) -> None:
    half: list[Any] = [{"S": "x"}] * (limits.COLLECTION_LENGTH // 2)
    conditions = {name: {"ComparisonOperator": "IN", "AttributeValueList": half} for name in "ab"}
    if parse is not legacy.parse_key_conditions:
        parse(conditions)
    conditions["c"] = {"ComparisonOperator": "EQ", "AttributeValueList": [WRONG]}
    with pytest.raises(ValidationException) as refusal:
        parse(conditions)
    assert refusal.value.message == (
        "One or more parameter values were invalid: Too many attribute values in conditions: 20001, of at most 20000"
    )


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"S": "leaf"}
    for level in range(levels):
        value = {"L": [value]} if level % 2 else {"M": {"n": value}}
    return value


def test_the_depth_of_values() -> None:
    assert not value_types.is_deeper([nested(0), nested(3)], 3)
    assert value_types.is_deeper([nested(0), nested(4)], 3)
    assert value_types.is_deeper([{"L": [{"S": ""}, None, 5, nested(3)]}], 3)
    assert not value_types.is_deeper([5, None, {"M": 5}, {"L": {}}, {"N": []}], 0)


def test_the_depth_after_too_many_values_is_not_checked() -> None:
    assert not value_types.is_deeper([{"S": ""}] * MANY + [nested(4)], 3)
    assert not value_types.is_deeper([{"L": [{"S": ""}] * MANY + [nested(4)]}], 3)


def test_types_after_too_many_values_are_not_checked() -> None:
    value_types.check(*[{"S": ""}] * (MANY + 1), WRONG)
    value_types.check({"SS": [""] * MANY + [5]}, {"S": ""}, WRONG)
