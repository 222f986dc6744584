"""Projections: the refusals, and the parts of an item that are left."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from jedlik.dynamodb.model.expressions.projections import Projection, projection
from testing.dynamodb.schemas import n, s, table

Item = dict[str, dict[str, Any]]


def bound(text: str, names: dict[str, str] | None = None) -> Projection:
    return projection(text, Placeholders(names, None))


CLASH = "with each other; must remove or rewrite one of these paths; path one: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The expression can not be empty;"),
        ("!!! INVALID !!!", 'Syntax error; token: "!", near: "!!"'),
        ("a,,b", 'Syntax error; token: ",", near: ",,b"'),
        ("a, name", "Attribute name is a reserved keyword; reserved keyword: name"),
        ("a.#b", "An expression attribute name used in the document path is not defined; attribute name: #b"),
        ("a" + ".b" * 32, "The document path has too many nesting levels; nesting levels: 33"),
        ("a[99999999999999]", "List index is not within the allowable range; index: [99999999999999]"),
        ("a, a", f"Two document paths overlap {CLASH}[a], path two: [a]"),
        ("a, a.b", f"Two document paths overlap {CLASH}[a], path two: [a, b]"),
        ("a.b[0], c, a.b[0]", f"Two document paths overlap {CLASH}[a, b, [0]], path two: [a, b, [0]]"),
        ("a.b.c.d, a.b", f"Two document paths overlap {CLASH}[a, b, c, d], path two: [a, b]"),
        ("a.b, a[1]", f"Two document paths conflict {CLASH}[a, b], path two: [a, [1]]"),
        ("a.b[1], a.b.c", f"Two document paths conflict {CLASH}[a, b, [1]], path two: [a, b, c]"),
    ],
)
def test_a_malformed_projection_is_refused_in_dynamodbs_words(text: str, message: str) -> None:
    with pytest.raises(ValidationException) as refused:
        bound(text)
    assert refused.value.message == f"Invalid ProjectionExpression: {message}"


@pytest.mark.parametrize("text", ["a, b", "a.b, a.c", "a.b.d, a.b.e", "a[1], a[2]", "a.b, a.c[2]", "a" + ".b" * 31])
def test_paths_that_part_are_fine(text: str) -> None:
    assert bound(text).top_level_names <= {"a", "b"}


ITEM: Item = {
    "a": {"M": {"b": {"L": [n("2"), n("4"), {"M": {"x": s("hi"), "y": s("yo")}}]}, "c": n("5"), "e": {"M": {}}}},
    "b": s("hello"),
    "l": {"L": [{"M": {"a": n("1"), "b": n("2")}}, {"M": {"a": n("3")}}]},
    "a.b": s("dotted"),
}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("b", {"b": s("hello")}),
        ("a.b[0]", {"a": {"M": {"b": {"L": [n("2")]}}}}),
        ("a.b[2].y", {"a": {"M": {"b": {"L": [{"M": {"y": s("yo")}}]}}}}),
        ("a.c,b", {"a": {"M": {"c": n("5")}}, "b": s("hello")}),
        ("a.e", {"a": {"M": {"e": {"M": {}}}}}),
        # Elements are together, in their order.
        ("a.b[1], a.b[0]", {"a": {"M": {"b": {"L": [n("2"), n("4")]}}}}),
        ("l[1].a, l[0].b, l[0].a", {"l": {"L": [{"M": {"b": n("2"), "a": n("1")}}, {"M": {"a": n("3")}}]}}),
        # A missing attribute leaves nothing.
        ("x", {}),
        ("a.b[3]", {}),
        ("a.x.y, a.b[3].x, a.b.x, a[0], a.b[0].x, a.b[0][0], b.x, b[0]", None),
        ("a.x, a.b[0], x, a.b[9].x", {"a": {"M": {"b": {"L": [n("2")]}}}}),
    ],
)
def test_the_parts_of_an_item(text: str, left: Item | None) -> None:
    if left is None:
        assert [bound(path).apply(ITEM) for path in text.split(", ")] == [{}] * 8
    else:
        assert bound(text).apply(ITEM) == left


def test_a_name_behind_a_placeholder_is_one_step() -> None:
    assert bound("#n", {"#n": "a.b"}).apply(ITEM) == {"a.b": s("dotted")}
    assert bound("#x.#y", {"#x": "a", "#y": "c"}).apply(ITEM) == {"a": {"M": {"c": n("5")}}}


def test_a_path_may_not_go_into_a_key() -> None:
    music = table(global_={"g": ([("e", "S")], [])})
    with pytest.raises(ValidationException) as refused:
        bound("a.b, p, e.x").refuse_nested_keys(music)
    assert refused.value.message == (
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: e"
    )
    bound("a.b, p, e").refuse_nested_keys(music)


# Any disjoint paths: the result is what each path leads to, and nothing else.

names = st.sampled_from("abc")
documents = st.recursive(
    st.integers(0, 9).map(lambda i: n(str(i))),
    lambda inner: (
        st.dictionaries(names, inner, min_size=1, max_size=3).map(lambda m: {"M": m})
        | st.lists(inner, min_size=1, max_size=3).map(lambda e: {"L": e})
    ),
    max_leaves=12,
)


def leaves(value: dict[str, Any], path: str) -> list[tuple[str, Any]]:
    if "M" in value:
        return [leaf for name, inner in value["M"].items() for leaf in leaves(inner, f"{path}.{name}")]
    if "L" in value:
        return [leaf for i, inner in enumerate(value["L"]) for leaf in leaves(inner, f"{path}[{i}]")]
    return [(path, value["N"])]


@settings(deadline=None)
@given(st.dictionaries(names, documents, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_a_projection_of_leaves_keeps_those_leaves(item: Item, random: Any) -> None:
    every = [leaf for name, value in item.items() for leaf in leaves(value, name)]
    chosen = random.sample(every, random.randint(1, len(every)))
    left = bound(", ".join(path for path, _ in chosen)).apply(item)
    kept = [number for name, value in left.items() for _, number in leaves(value, name)]
    assert sorted(kept) == sorted(number for _, number in chosen)
    everything = bound(", ".join(path for path, _ in every)).apply(item)
    assert everything == item
