"""Forms of requests: with the values that vary, they have the accesses that are computed of each request by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws.access import Access, Formed, Scope
from jedlik.aws.shapes import service_model
from jedlik.dynamodb import access_forms, accesses
from jedlik.dynamodb.model.definitions import AttachedPolicy
from testing.dynamodb.schemas import table

SCOPE = Scope("aws", "123456789012", "us-west-2")
SCORES = table(
    ("UserId", "S"),
    ("GameTitle", "S"),
    local={"local": ("Top", "S")},
    global_={"titles": ([("GameTitle", "S")], [("Top", "N")]), "places": ([("Country", "S"), ("City", "S")], [])},
)
BARE = table(("UserId", "N"))
KNOWN: dict[str, object] = {"Scores": SCORES, "Bare": BARE, "strange": object()}
KEY = {"UserId": {"S": "101"}, "GameTitle": {"S": "Galaxy"}}
GET = {"TableName": "Scores", "Key": KEY}
QUERY = {
    "TableName": "Scores",
    "KeyConditionExpression": "#u = :u AND GameTitle = :t",
    "ExpressionAttributeNames": {"#u": "UserId"},
    "ExpressionAttributeValues": {":u": {"S": "101"}, ":t": {"S": "Galaxy"}},
}


def access_of(formed: Formed) -> Access:
    """The access that a form stands for, with a request's own values."""
    form, values = formed
    own = {key: tuple(given) for keys, given in zip(form.varying, values, strict=True) for key in keys}
    assert not own.keys() & form.access.context.keys()
    return form.access._replace(context={**form.access.context, **own})


def comparable(access: Access) -> tuple[object, ...]:
    """An access with the values of its keys as policies see them: without order and repetition."""
    action, resource, context, policy = access
    return action, resource, {key: frozenset(values) for key, values in context.items()}, policy


def is_formed(operation: str, *requests: Any, known: dict[str, object] = KNOWN) -> bool:
    """Whether the last of some requests has a form, which must then be right."""
    forms, compute = accesses.forms_of(operation), accesses.of(operation)
    formed = None
    for request in requests:
        formed = forms(SCOPE, request, known)
        if formed is not None:
            [computed] = compute(SCOPE, request, known)
            assert comparable(access_of(formed)) == comparable(computed)
    return formed is not None


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("GetItem", GET),
        ("GetItem", GET | {"ConsistentRead": True}),
        ("GetItem", {"TableName": "Bare", "Key": {"UserId": {"N": "1.0"}}}),
        ("GetItem", GET | {"ProjectionExpression": "#t, Wins", "ExpressionAttributeNames": {"#t": "Top"}}),
        ("GetItem", GET | {"ReturnConsumedCapacity": "TOTAL"}),
        ("PutItem", {"TableName": "Scores", "Item": KEY | {"Wins": {"N": "1"}}}),
        ("PutItem", {"TableName": "Scores", "Item": KEY, "ConditionExpression": "attribute_not_exists(Other)"}),
        (
            "UpdateItem",
            GET
            | {
                "UpdateExpression": "ADD Wins :one",
                "ExpressionAttributeValues": {":one": {"N": "1"}},
                "ReturnValues": "ALL_NEW",
            },
        ),
        ("DeleteItem", GET | {"ConditionExpression": "Wins > :n", "ExpressionAttributeValues": {":n": {"N": "1"}}}),
        ("Query", QUERY),
        ("Query", QUERY | {"Limit": 3, "ExclusiveStartKey": KEY, "Select": "COUNT"}),
        ("Query", QUERY | {"IndexName": "titles", "FilterExpression": "Wins > :t"}),
        ("Query", QUERY | {"IndexName": "local"}),
        ("Scan", {"TableName": "Scores", "FilterExpression": "Wins > :n"}),
    ],
)
def test_common_requests_have_forms(operation: str, request_: Any) -> None:
    assert is_formed(operation, request_)
    assert is_formed(operation, request_, request_)


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("GetItem", GET | {"TableName": "Missing"}),
        ("GetItem", GET | {"TableName": "strange"}),
        ("GetItem", GET | {"TableName": "arn:aws:dynamodb:us-west-2:123456789012:table/Scores"}),
        ("GetItem", GET | {"TableName": ["Scores"]}),
        ("GetItem", GET | {"Key": "UserId"}),
        ("GetItem", GET | {"Key": {"UserId": "101", "GameTitle": {"S": "a"}}}),
        ("GetItem", GET | {"Key": {"GameTitle": {"S": "a"}}}),
        ("GetItem", GET | {"AttributesToGet": ["Wins"]}),
        ("GetItem", GET | {"ProjectionExpression": None}),
        ("GetItem", {"TableName": "Scores", "ConsistentRead": True}),
        ("GetItem", GET | {"IndexName": "titles"}),
        ("PutItem", {"TableName": "Scores", "Item": KEY, "IndexName": "titles"}),
        ("GetItem", GET | {"ExpressionAttributeNames": {"#a": ["b"]}, "ProjectionExpression": "#a"}),
        ("Query", QUERY | {"IndexName": "places"}),
        ("Query", QUERY | {"IndexName": "missing"}),
        ("Query", QUERY | {"KeyConditionExpression": "#u = :u AND UserId = :t"}),
        ("Query", QUERY | {"KeyConditionExpression": "#u > :u"}),
        ("Query", QUERY | {"KeyConditionExpression": "a b c"}),
        ("Query", {"TableName": "Scores", "KeyConditions": {}}),
        ("PutItem", {"TableName": "Scores", "Item": KEY, "Expected": {}}),
        ("UpdateItem", GET | {"AttributeUpdates": {}}),
        ("UpdateItem", GET | {"UpdateExpression": "SET a = " + "b + b" * 5000}),
        ("BatchGetItem", {"RequestItems": {"Scores": {"Keys": [KEY]}}}),
    ],
)
def test_other_requests_have_none(operation: str, request_: Any) -> None:
    assert not is_formed(operation, request_)
    assert not is_formed(operation, request_, request_)


@pytest.mark.parametrize("names", [("UserId",), ("GameTitle",), ("UserId", "Wins"), ("UserId", "GameTitle", "Wins")])
def test_a_key_that_is_not_the_table_s_has_no_form_of_one_that_is(names: tuple[str, ...]) -> None:
    other = GET | {"Key": {name: {"S": "a"} for name in names}}
    is_formed("GetItem", GET, GET, other)
    is_formed("GetItem", other, GET, GET)


def test_requests_differ_in_values_alone() -> None:
    forms = accesses.forms_of("GetItem")
    first, second = (forms(SCOPE, GET | {"Key": KEY | {"UserId": {"S": user}}}, KNOWN) for user in ("a", "b"))
    assert first is not None
    assert second is not None
    assert first[0] is second[0]
    assert (first[1], second[1]) == ((("a",),), (("b",),))
    projected = forms(SCOPE, GET | {"ProjectionExpression": "Wins"}, KNOWN)
    assert projected is not None
    assert projected[0] is not first[0]


def test_a_table_that_is_made_again_or_has_another_policy_has_other_forms() -> None:
    forms = accesses.forms_of("GetItem")
    before = forms(SCOPE, GET, KNOWN)
    again = table(("GameTitle", "S"), ("UserId", "S"))
    after = forms(SCOPE, GET, {"Scores": again})
    assert before is not None
    assert after is not None
    assert (before[1], after[1]) == ((("101",),), (("Galaxy",),))
    guarded = replace(SCORES, descriptor=replace(SCORES.descriptor, policy=AttachedPolicy("{}", "r")))
    formed = forms(SCOPE, GET, {"Scores": guarded})
    assert formed is not None
    assert formed[0].access.policy == "{}"


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_forms, "MOST_FORMS", 3)
    forms = accesses.forms_of("GetItem")
    for _ in range(2):
        for number in range(10):
            request = GET | {"ProjectionExpression": f"a{number}"}
            formed = forms(SCOPE, request, KNOWN)
            assert formed is not None
            assert f"a{number}" in access_of(formed).context["dynamodb:Attributes"]
            assert forms(SCOPE, GET, {"Scores": table(("UserId", "S"), ("GameTitle", "S"))}) is not None


VALUES = st.sampled_from(
    [
        {"S": "a"},
        {"S": ""},
        {"N": "1e0"},
        {"N": "x"},
        {"B": "YQ=="},
        {"S": "a", "N": "1"},
        {"NULL": True},
        {},
        "a",
        None,
    ]
)
NAMES = st.sampled_from(["UserId", "GameTitle", "Top", "Wins", "#u"])
ITEMS = st.dictionaries(NAMES, VALUES, max_size=4) | st.just(KEY)
EXPRESSIONS = st.sampled_from(
    ["UserId = :u", "#u = :u", "#u = :u AND Top > :t", "Wins", "SET Wins = :u", "(", "", None, 5]
)
REQUESTS = st.fixed_dictionaries(
    {"TableName": st.sampled_from(["Scores", "Scores", "Scores", "Bare", "Missing", "strange", None])},
    optional={
        "Key": ITEMS,
        "Item": ITEMS,
        "ConsistentRead": st.sampled_from([True, None]),
        "IndexName": st.sampled_from(["local", "titles", "places", "missing", None]),
        "KeyConditionExpression": EXPRESSIONS,
        "ConditionExpression": EXPRESSIONS,
        "ProjectionExpression": EXPRESSIONS,
        "UpdateExpression": EXPRESSIONS,
        "ExpressionAttributeNames": st.dictionaries(st.just("#u"), st.sampled_from(["UserId", "Top", 5]), max_size=1),
        "ExpressionAttributeValues": st.dictionaries(st.sampled_from([":u", ":t"]), VALUES, max_size=2),
        "Select": st.sampled_from(["COUNT", "ALL_ATTRIBUTES"]),
        "ReturnValues": st.sampled_from(["ALL_OLD", "NONE"]),
        "ReturnValuesOnConditionCheckFailure": st.just("ALL_OLD"),
        "ExclusiveStartKey": ITEMS,
        "AttributesToGet": st.just(["Wins"]),
    },
)


@pytest.mark.parametrize("operation", access_forms.FORMED)
def test_forms_know_no_member_that_an_operation_ignores(operation: str) -> None:
    model = service_model.read("dynamodb")
    shape = model["operations"][operation]["input"]["shape"]
    assert access_forms._MEMBERS_OF[operation].keys() <= model["shapes"][shape]["members"].keys()


@given(st.sampled_from(access_forms.FORMED), st.lists(REQUESTS, min_size=1, max_size=4))
def test_forms_have_the_accesses_that_are_computed(operation: str, requests: list[dict[str, Any]]) -> None:
    is_formed(operation, *requests)
