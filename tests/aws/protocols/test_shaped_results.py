"""Results checked against their shapes: which members are left out, which pass, and which are our own faults."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from jedlik.aws.protocols import shaped_results
from jedlik.aws.protocols.cbor_values import decoded, encoded
from jedlik.aws.protocols.shaped_results import NotOfItsShape, shaped
from jedlik.aws.protocols.wire_models import WireModel
from jedlik.aws.stored_items import StoredItem, json_of

MODEL = WireModel(
    {},
    {},
    {
        "Out": {
            "type": "structure",
            "members": {
                "Name": {"shape": "String"},
                "Count": {"shape": "Integer"},
                "Ratio": {"shape": "Double"},
                "At": {"shape": "Timestamp"},
                "Day": {"shape": "Iso"},
                "Raw": {"shape": "Blob"},
                "Names": {"shape": "Names"},
                "By": {"shape": "By"},
                "Inner": {"shape": "Out"},
            },
        },
        "String": {"type": "string"},
        "Integer": {"type": "integer"},
        "Double": {"type": "double"},
        "Timestamp": {"type": "timestamp"},
        "Iso": {"type": "timestamp", "timestampFormat": "iso8601"},
        "Blob": {"type": "blob"},
        "Names": {"type": "list", "member": {"shape": "String"}},
        "By": {"type": "map", "key": {"shape": "String"}, "value": {"shape": "Integer"}},
    },
)


def test_members_without_a_value_are_left_out() -> None:
    assert shaped(MODEL, "Out", {"Name": None, "Inner": {"Count": None}}, shaped_results.JSON) == {"Inner": {}}


@pytest.mark.parametrize(
    ("forms", "expected"),
    [
        (shaped_results.JSON, {"At": 1795824000.5, "Day": "2026-11-28T00:00:00Z", "Raw": "/w==", "Ratio": "NaN"}),
        (
            shaped_results.XML,
            {"At": "2026-11-28T00:00:00.500Z", "Day": "2026-11-28T00:00:00Z", "Raw": "/w==", "Ratio": "NaN"},
        ),
    ],
)
def test_scalars_have_the_form_of_the_protocol(forms: shaped_results.Forms, expected: dict[str, Any]) -> None:
    given = {"At": 1795824000.5, "Day": 1795824000, "Raw": b"\xff", "Ratio": float("nan")}
    assert shaped(MODEL, "Out", given, forms) == expected


def test_a_moment_in_cbor_has_its_tag() -> None:
    body = encoded(shaped(MODEL, "Out", {"At": 1795824000.5}, shaped_results.CBOR))
    assert body == b"\xa1\x62At\xc1\xfb" + struct.pack(">d", 1795824000.5)
    assert decoded(body) == {"At": 1795824000.5}


def test_stored_values_are_copied_into_json_and_parsed_for_others() -> None:
    stored = StoredItem(b'..{"Name":"a"}', 2)
    result = shaped(MODEL, "Out", {"Inner": stored}, shaped_results.JSON)
    assert result["Inner"] is stored
    assert json_of(result) == b'{"Inner":{"Name":"a"}}'
    assert shaped(MODEL, "Out", {"Inner": stored}, shaped_results.CBOR) == {"Inner": {"Name": "a"}}


@pytest.mark.parametrize(
    "result",
    [
        {"Secret": "x"},
        {"Inner": {"Secret": 1}},
        {"Name": 1},
        {"Count": True},
        {"Count": 1.5},
        {"At": "2026"},
        {"Raw": "/w=="},
        {"Names": "a"},
        {"Names": ["a", 1]},
        {"By": {1: 1}},
        {"By": [1]},
        {"Inner": []},
    ],
)
@pytest.mark.parametrize("forms", [shaped_results.JSON, shaped_results.CBOR, shaped_results.XML])
def test_members_that_the_model_does_not_have_are_faults(forms: shaped_results.Forms, result: dict[str, Any]) -> None:
    with pytest.raises(NotOfItsShape):
        shaped(MODEL, "Out", result, forms)
