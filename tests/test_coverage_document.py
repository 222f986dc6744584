"""docs/reference/coverage.md agrees with the declarations, the record of the tests and the known differences."""

from __future__ import annotations

import json

import pytest

from reference import document, members
from testing.recorded_calls import unmet


@pytest.mark.skipif(not document.is_for_this_model(), reason="it was made with another version of botocore")
def test_the_page_is_up_to_date() -> None:
    assert document.DOCUMENT.read_text() == document.document(), "run make reference"


def test_the_record_names_members_of_the_model() -> None:
    for name, noted in json.loads(document.RECORD.read_text())["calls"].items():
        model = members.operations()[name]
        assert {*noted["accepted"], *noted["refused"]} <= set(members.all_of(model.input_shape)), name
        assert set(noted["returned"]) <= set(members.all_of(model.output_shape)), name
        assert not set(noted["accepted"]) & set(noted["refused"]), name


def test_paths_of_members() -> None:
    get = members.operations()["BatchGetItem"]
    asked = {"RequestItems": {"Music": {"Keys": [{"p": {"S": "x"}}], "ConsistentRead": True, "Mistake": 1}}}
    paths = {"RequestItems", "RequestItems{}.Keys", "RequestItems{}.ConsistentRead"}
    assert members.given(get.input_shape, asked) == paths
    assert paths < set(members.all_of(get.input_shape))
    write = members.operations()["TransactWriteItems"]
    element = {"Put": {"Item": {"p": {"S": "x"}}}}
    assert members.given(write.input_shape, {"TransactItems": [element, {}], "ClientRequestToken": None}) == {
        "TransactItems",
        "TransactItems[].Put",
        "TransactItems[].Put.Item",
        "ClientRequestToken",
    }
    assert members.given(write.input_shape, "no request") == set()
    assert [members.top(path) for path in ("RequestItems{}.Keys", "Tags[].Key", "Item")] == [
        "RequestItems",
        "Tags",
        "Item",
    ]


def test_the_claims_of_a_record_must_happen_again() -> None:
    claimed = {"GetItem": {"accepted": ["Key", "TableName"], "refused": ["AttributesToGet"], "returned": ["Item"]}}
    noted = {"GetItem": {"accepted": ["Key"], "refused": [], "returned": ["Item", "ConsumedCapacity"]}}
    assert list(unmet(claimed, noted)) == ["GetItem: TableName is not accepted by any test"]
    assert list(unmet(claimed, {})) == [
        "GetItem: Key is not accepted by any test",
        "GetItem: TableName is not accepted by any test",
        "GetItem: Item is not returned by any test",
    ]
