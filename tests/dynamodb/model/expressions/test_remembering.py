"""The result for a text is computed once, unless too many others have been computed since."""

from __future__ import annotations

import pytest

from jedlik.dynamodb.model.expressions.remembering import CHARACTERS, remembering


def test_results_are_remembered_until_there_is_no_room() -> None:
    made: list[tuple[str, tuple[str, ...]]] = []

    @remembering
    def make(text: str, names: tuple[str, ...]) -> str:
        made.append((text, names))
        return text.upper()

    long = CHARACTERS // 3
    a, b, c = (letter * long for letter in "abc")
    assert [make(text, ()) for text in (a, b, a, b)] == [a.upper(), b.upper()] * 2
    assert made == [(a, ()), (b, ())]
    make(b, ("name",))
    assert len(made) == 3
    # There is room for two and a bit: the least recently used one is dropped.
    make(a, ())
    make(b, ("name",))
    assert len(made) == 4
    make(c, ("x" * long,))
    make(a, ())
    assert len(made) == 6


def test_a_refusal_is_not_remembered() -> None:
    refused = 0

    @remembering
    def make(text: str) -> None:
        nonlocal refused
        refused += 1
        raise ValueError(text)

    for _ in range(2):
        with pytest.raises(ValueError, match="x"):
            make("x")
    assert refused == 2
