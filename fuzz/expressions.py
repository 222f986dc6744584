"""Expressions of every kind, written from their vocabulary or from any text, and applied to items.

What must hold: see `fuzz.service`.
"""

from __future__ import annotations

from typing import Any

from fuzz.choices import Choices
from fuzz.definitions import ITEM, KEY, MUSIC, stocked

SERVICE = stocked()
VALUES: list[Any] = [
    {"S": "x"},
    {"S": ""},
    {"S": "L"},
    {"N": "1"},
    {"N": "-99999999999999999999999999999999999999e87"},
    {"N": "1e-130"},
    {"B": "AAE="},
    {"BOOL": True},
    {"NULL": True},
    {"L": [{"N": "1"}, {"S": "x"}]},
    {"M": {"f": {"N": "1"}}},
    {"SS": ["x", "z"]},
    {"NS": ["1", "3"]},
    {"BS": ["AA=="]},
    {},
    {"N": "x"},
    {"N": "1e" + "0" * 5000 + "1"},
]
NAMES = ["p", "n", "a", "b", "e", "f", "x.y", "t", "", "é"]
WORDS = (
    *(f":{letter}" for letter in "abcd"),
    *(f"#{letter}" for letter in "abcd"),
    *("p", "n", "g", "h", "i", "l", "a", "b", "c", "d", "e", "f", "t", "z"),
    *("0", "1", "99999999999", "0" * 4000, "9" * 4000),
    *("(", ")", ",", ".", "[", "]", "+", "-", "=", "<>", "<", "<=", ">", ">="),
    *("AND", "OR", "NOT", "IN", "BETWEEN", "SET", "REMOVE", "ADD", "DELETE", "and", "Set"),
    *("attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"),
    *("if_not_exists", "list_append", "name", "a[0]", "a[2].b", "e.f", "e.f.g", "#a.#b[1]", ":a + :b", ":", "#", " "),
)
PHRASES = (
    "attribute_exists(a)",
    "size(b) > :a",
    "p = :a AND n BETWEEN :b AND :c",
    "p = :a AND begins_with(n, :b)",
    "NOT (a[0] = :a OR contains(b, :b))",
    "e.f IN (:a, :b, :c)",
    "SET e.f = if_not_exists(e.f, :a) + :b",
    "SET a = list_append(a, :a), a[1] = :b",
    "REMOVE a[0], e.f",
    "ADD t :a",
    "DELETE b :a",
    "a[2].b, e.f, p",
    "((",
    "))",
    "NOT NOT NOT",
)
KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("PutItem", "ConditionExpression", {"Item": ITEM, "ReturnValues": "ALL_OLD"}),
    ("UpdateItem", "UpdateExpression", {"Key": KEY, "ReturnValues": "UPDATED_NEW"}),
    ("UpdateItem", "UpdateExpression", {"Key": KEY, "ReturnValues": "UPDATED_OLD", "ConditionExpression": "p = :a"}),
    ("UpdateItem", "UpdateExpression", {"Key": {**KEY, "n": {"N": "5"}}, "ReturnValues": "ALL_NEW"}),
    ("GetItem", "ProjectionExpression", {"Key": KEY}),
    ("Scan", "FilterExpression", {}),
    ("Scan", "FilterExpression", {"ProjectionExpression": "a[1], e.g", "IndexName": "local"}),
    ("Query", "KeyConditionExpression", {}),
    ("Query", "KeyConditionExpression", {"IndexName": "global"}),
    ("Query", "KeyConditionExpression", {"FilterExpression": "a = :b", "ScanIndexForward": False}),
)


def written(choices: Choices, words: tuple[str, ...], phrases: tuple[str, ...]) -> str:
    """A text of words and phrases, or of any characters."""
    parts: list[str] = []
    for _ in range(choices.below(64)):
        match choices.below(8):
            case 0:
                parts.append(choices.one_of(phrases))
            case 1:
                parts.append(choices.text())
            case 2:
                parts.append(" ".join([choices.one_of(words)] * choices.below(256)))
            case _:
                parts.append(choices.one_of(words))
    return choices.one_of((" ", "", "\n")).join(parts)


def attempt(data: bytes) -> None:
    """An expression in an operation, with placeholders."""
    SERVICE.reset()
    choices = Choices(data)
    operation, parameter, request = choices.one_of(KINDS)
    request = {**request, "TableName": MUSIC}
    values = {f":{letter}": choices.one_of(VALUES).copy() for letter in "abcd"[: choices.below(5)]}
    names = {f"#{letter}": choices.one_of(NAMES) for letter in "abcd"[: choices.below(5)]}
    if values:
        request["ExpressionAttributeValues"] = values
    if names:
        request["ExpressionAttributeNames"] = names
    request[parameter] = written(choices, WORDS, PHRASES)
    SERVICE.ask(operation, **request)


SEEDS = [
    bytes((kind, 4, 0, 3, 9, 11, names, *(0,) * names, 1, 0, phrase))
    for kind in range(len(KINDS))
    for names in (0, 2)
    for phrase in range(len(PHRASES))
] + [
    bytes((kind, 3, 3, 0, 4, 0, 1, 1, len(text))) + text
    for kind in range(len(KINDS))
    for text in (b"a = :a", b"p = :b")
]
