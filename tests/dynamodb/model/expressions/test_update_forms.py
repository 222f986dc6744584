"""An update that has a form means what it means without one, and what is refused has none."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jedlik.aws.errors import ServiceError
from jedlik.dynamodb.items import prepared
from jedlik.dynamodb.model.expressions import update_forms

SECRET = bytes(32)
KEY = {"p": {"S": "a"}}
ITEMS = [KEY, KEY | {"n": {"N": "5"}, "l": {"L": [{"N": "1"}]}, "s": {"SS": ["a", "b"]}, "m": {"M": {"x": {"S": "y"}}}}]
COUNT = {
    "Key": KEY,
    "UpdateExpression": "SET #n = #n + :one",
    "ConditionExpression": "attribute_exists(p)",
    "ExpressionAttributeNames": {"#n": "n"},
    "ExpressionAttributeValues": {":one": {"N": "1.0"}},
}


def effect(request: dict[str, Any]) -> object:
    """All that an update does and demands, or its refusal."""
    try:
        made = prepared.update(request, SECRET, alone=True)
    except ServiceError as refusal:
        return refusal.name, str(refusal), refusal.fields
    cells = {
        name: cell.cell_contents
        for name, cell in zip(made.operation.__code__.co_freevars, made.operation.__closure__ or (), strict=True)
    }
    action, condition = cells["action"], cells["condition"]
    seen: list[object] = [made.attributes, made.size, cells["charged"], request.get("ExpressionAttributeValues")]
    for item in ITEMS:
        try:
            seen.append(None if action is None else (action.apply(item), action.updated(item)))
        except ServiceError as refusal:
            seen.append((refusal.name, str(refusal)))
        seen.append(None if condition is None else condition(item))
    return seen


def without_form(request: dict[str, Any]) -> object:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(update_forms, "formed", lambda _: None)
        return effect(request)


UPDATES = st.sampled_from(
    [
        "SET #n = #n + :one",
        "SET n = :one",
        "SET n = if_not_exists(n, :one) REMOVE #x",
        "ADD n :one",
        "ADD #n :one DELETE s :two",
        "REMOVE l[0], m.x",
        "SET l[5] = :one, m.y = :two",
        "SET l = list_append(l, :two)",
        "SET size = :one",
        "SET n = :one, n = :two",
        "SET",
        "",
    ]
)
CONDITIONS = st.sampled_from(
    ["attribute_exists(p)", "#n > :one", "size(#x) = :two", "n IN (:one, :two)", "contains(s, :two)", "a b", ""]
)
VALUES = st.sampled_from(
    [
        {"N": "1"},
        {"N": "01.50"},
        {"N": "x"},
        {"S": ""},
        {"S": "a"},
        {"SS": ["b", "a"]},
        {"SS": ["a", "a"]},
        {"L": [{"N": "2.0"}]},
        {"NULL": False},
        {},
        {"S": "x", "N": "1"},
    ]
)
NAMES = st.sampled_from(["n", "x", "p", "", "size", "m.x", "y" * 256, "z" * 65_536])
REQUESTS = st.fixed_dictionaries(
    {"Key": st.sampled_from([KEY, {"p": {"S": ""}}, {"p": {"N": "x"}}, {}])},
    optional={
        "UpdateExpression": UPDATES,
        "ConditionExpression": CONDITIONS,
        "ExpressionAttributeNames": st.dictionaries(st.sampled_from(["#n", "#x", "n", "#"]), NAMES, max_size=2),
        "ExpressionAttributeValues": st.dictionaries(st.sampled_from([":one", ":two", "one"]), VALUES, max_size=2),
        "AttributeUpdates": st.just({"n": {"Value": {"N": "1"}, "Action": "PUT"}}),
        "Expected": st.just({"n": {"Exists": False}}),
    },
)
FITTING = st.fixed_dictionaries(
    {
        "Key": st.just(KEY),
        "UpdateExpression": st.sampled_from(["SET #n = #n + :one", "ADD #n :one", "SET #n = :one REMOVE l[0]"]),
        "ExpressionAttributeNames": st.fixed_dictionaries({"#n": NAMES}),
        "ExpressionAttributeValues": st.fixed_dictionaries({":one": VALUES}),
    },
    optional={"ConditionExpression": st.sampled_from(["attribute_exists(p)", "#n > :one", "size(#n) = :one"])},
)


@given(request=st.one_of(REQUESTS, FITTING))
@example(request=COUNT)
@example(request=COUNT | {"ExpressionAttributeValues": {":one": {"S": "x" * 2_097_152}}})
@settings(max_examples=400, deadline=None)
def test_an_update_means_the_same_with_its_form_and_without(request: dict[str, Any]) -> None:
    first, second, again = deepcopy(request), deepcopy(request), deepcopy(request)
    expected = without_form(first)
    assert effect(second) == expected
    assert effect(again) == expected  # The form is remembered now.


@pytest.mark.parametrize(
    "change",
    [
        {"ExpressionAttributeValues": {":one": {"N": "-7"}}},
        {"ExpressionAttributeNames": {"#n": "other"}},
        {"UpdateExpression": "ADD #n :one"},
        {"UpdateExpression": "REMOVE #n", "ConditionExpression": "#n = :one"},
    ],
)
def test_the_commonest_updates_have_a_form(change: dict[str, Any]) -> None:
    assert update_forms.formed(deepcopy(COUNT | change)) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"UpdateExpression": "SET size = :one"},
        {"ConditionExpression": "count = :one"},
        {"ExpressionAttributeValues": {":one": {"N": "1"}, ":unused": {"N": "1"}}},
        {"ExpressionAttributeValues": {}},
        {"ExpressionAttributeNames": {"#n": "n", "#unused": "n"}},
        {"ExpressionAttributeValues": {":one": {"S": "1"}}, "UpdateExpression": "ADD #n :one"},
        {"Expected": {"n": {"Exists": False}}},
    ],
)
def test_what_is_refused_or_mixed_with_older_parameters_has_none(change: dict[str, Any]) -> None:
    assert update_forms.formed(deepcopy(COUNT | change)) is None
