"""UpdateItem's charge for a statement: figures measured on AWS."""

from __future__ import annotations

from typing import Any

import pytest

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from jedlik.dynamodb.model.expressions.updates import update
from testing.dynamodb.schemas import b, n, s

LIMIT = 409_600
SET = 19
"""Beside the target, "c" or another attribute with a name of one byte."""


def list_of(*elements: Any) -> dict[str, Any]:
    return {"L": list(elements)}


@pytest.mark.parametrize(
    ("clause", "values", "charge"),
    [
        ("SET c = :c", {":c": s("y")}, SET + 1 + 1),
        ("SET c = :c", {":c": s("y" * 500)}, SET + 1 + 500),
        ("SET #alias = :c", {":c": s("y")}, SET + 7 + 1),
        ("SET d.leaf = :c", {":c": s("y")}, SET + 1 + (4 + 4) + 1),
        ("SET d[0] = :c", {":c": s("y")}, SET + 1 + (4 + 1) + 1),
        ("SET d.leaf[10] = :c", {":c": s("y")}, SET + 1 + (4 + 4) + (4 + 2) + 1),
        ("SET c = big", {}, SET + 1 + 1 + (14 + 3)),
        ("SET c = m.z", {}, SET + 1 + 1 + (14 + 1) + (14 + 1)),
        ("SET c = l[10]", {}, SET + 1 + 1 + (14 + 1) + (14 + 2)),
        ("SET l = list_append(l, :new)", {":new": list_of(s("y" * 10))}, SET + 1 + 37 + 15 + 1 + (3 + 1 + 10)),
        ("SET l = list_append(:a, :c)", {":a": list_of(s("e")), ":c": list_of(n("1"))}, SET + 1 + 37 + 5 + 6),
        ("SET n = n + :one", {":one": n("1")}, SET + 1 + 34 + (1 + 15) + 2),
        ("SET n = n - :one", {":one": n("1")}, SET + 1 + 37 + (1 + 15) + 2),
        ("SET c = if_not_exists(c, :v)", {":v": s("v")}, SET + 1 + 39 + (1 + 15) + 1),
        (
            "SET c = if_not_exists(c, :s), d = if_not_exists(d, :s)",
            {":s": {"M": {"a": s("y" * 96)}}},
            2 * (SET + 1 + 39 + (1 + 15) + (3 + 1 + 1 + 96)),
        ),
        ("SET n = if_not_exists(n, :z) + :z", {":z": n("0")}, SET + 1 + 34 + 39 + (1 + 15) + 1 + 1),
        ("ADD counted :one", {":one": n("1")}, SET + 7 + 2),
        ("ADD ss :new", {":new": {"SS": ["s" * 500]}}, SET + 2 + 500),
        ("ADD m.ss :new", {":new": {"SS": ["s"]}}, SET + 1 + (4 + 2) + 1),
        ("DELETE ss :gone", {":gone": {"SS": ["s" * 500]}}, 1 + 2),
        ("REMOVE r", {}, 1 + 1),
        ("REMOVE abc, m.yy", {}, (1 + 3) + (1 + 1 + 4 + 2)),
        ("REMOVE l[10]", {}, 1 + 1 + (4 + 2)),
        ("SET c = :c", {":c": b(b"12345")}, SET + 1 + 5),
    ],
)
def test_each_kind_of_clause_has_its_charge(clause: str, values: dict[str, Any], charge: int) -> None:
    """Measured to the byte beside a SET that pads the statement to the limit (eu-west-2, 2026-08-19 and 2026-10-09)."""
    verb, rest = clause.split(" ", 1)
    text = f"SET #pad = :pad, {rest}" if verb == "SET" else f"SET #pad = :pad {clause}"
    names = {"#pad": "pad"} | ({"#alias": "aliased"} if "#alias" in clause else {})
    base = 3 + SET + len("pad")

    def check(padding: int) -> None:
        known = Placeholders(names, {**values, ":pad": s("x" * padding)})
        update(text, known).check_charge(known.size)

    check(LIMIT - base - charge)
    with pytest.raises(ValidationException) as refused:
        check(LIMIT - base - charge + 1)
    assert refused.value.message == "Item size to update has exceeded the maximum allowed size"
