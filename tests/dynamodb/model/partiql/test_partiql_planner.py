"""Plans: a SELECT reads what it must and no more, and finds the items that meet its condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.model import keys
from jedlik.dynamodb.model.partiql import planner
from jedlik.dynamodb.model.partiql.planner import Plan
from jedlik.dynamodb.model.partiql.statement_writes import predicate
from jedlik.dynamodb.model.partiql.statements import SelectStatement, statement
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.values import AttributeValue, Item
from testing.dynamodb.schemas import n, s, table

SECRET = b"secret of the store"
MUSIC = table(("p", "S"), ("n", "N"), local={"local": ("v", "S")}, global_={"global": ([("g", "S")], [])})
ITEMS: list[Item] = [
    {"p": s(p), "n": n(str(number)), "v": s(f"{p}{number}")} for p in ("a", "b", "c") for number in range(6)
]


def planned(where: str, *parameters: AttributeValue, of: Table = MUSIC, index: str = "") -> Plan:
    """The plan of a SELECT with this condition."""
    select = statement(f'SELECT * FROM "Music"{index} WHERE {where}')
    assert isinstance(select, SelectStatement)
    return planner.plan(select, of, select.bound(parameters), False, SECRET)


def read(plan: Plan, items: Sequence[Item]) -> list[Item]:
    """The items that a plan reads, in the order in which it reads them."""
    rows = sorted((keys.item_key(MUSIC, item, SECRET), number) for number, item in enumerate(items))
    if plan.item is not None:
        return [items[number] for key, number in rows if key == keys.item_key(MUSIC, plan.item, SECRET)]
    if plan.partitions is None:
        return [items[number] for _, number in rows]
    found = []
    for stretches in plan.partitions:
        for stretch in stretches:
            within = [items[number] for key, number in rows if stretch.start <= key < stretch.end]
            found += within[::-1] if stretch.reverse else within
    return found


@pytest.mark.parametrize(
    ("where", "rows", "filtered"),
    [
        ("p = 'a' AND n = 1", ["a1"], False),
        ("p = 'a' AND n = 1 AND v = 'x'", ["a1"], True),
        ("p = 'a'", ["a0", "a1", "a2", "a3", "a4", "a5"], False),
        ("p = 'a' AND n < 2", ["a0", "a1"], False),
        ("p = 'a' AND n <= 1", ["a0", "a1"], False),
        ("p = 'a' AND n > 4", ["a5"], False),
        ("p = 'a' AND n >= 4 AND n <= 4", ["a4"], False),
        ("p = 'a' AND n BETWEEN 2 AND 3", ["a2", "a3"], False),
        ("p = 'a' AND n > 3 AND n < 2", [], False),
        ("p = 'a' AND v = 'a1'", ["a0", "a1", "a2", "a3", "a4", "a5"], True),
        ("p IN ['b', 'a'] AND n = 1", ["b1", "a1"], True),
        ("(p = 'a' OR p = 'b') AND n = 1", ["a1", "b1"], True),
        ("p = 'a' AND n = 1 OR p = 'b' AND n > 4", ["a1", "b5"], True),
        ("p = 'a' AND (n = 1 OR n = 4)", ["a1", "a4"], True),
        ("p = 'a' AND (n = 1 OR v = 'a2')", ["a0", "a1", "a2", "a3", "a4", "a5"], True),
        ("p = 'a' AND p = 'b'", [], False),
        ("p = 'a' AND n = 1 AND n = 2", ["a1"], True),
    ],
)
def test_what_is_read(where: str, rows: list[str], filtered: bool) -> None:
    plan = planned(where)
    assert [item["v"]["S"] for item in read(plan, ITEMS)] == rows
    assert bool(plan.filter) == filtered


@pytest.mark.parametrize("where", ["n = 1", "p > 'a'", "p = 'a' OR n = 1", "NOT p = 'a'", "p = v", "size(p) = 1"])
def test_a_condition_without_a_partition_key_is_a_scan(where: str) -> None:
    plan = planned(where)
    assert plan.item is None
    assert plan.partitions is None
    assert len(plan.filter) == 1


def test_a_whole_key_is_a_get() -> None:
    assert planned("n = ? AND p = ?", n("1"), s("a")).item == {"p": s("a"), "n": n("1")}
    assert planned("p = 'a' AND n > 1").item is None
    assert planned("p IN ['a'] AND n = 1").item is None


def test_keys_of_an_index_are_its_own() -> None:
    plan = planned("g = 'x' AND p = 'a' AND n = 1", index='."global"')
    assert plan.item is None
    assert plan.partitions is not None
    assert len(plan.partitions) == 1
    assert len(plan.filter) == 2
    local = planned("p = 'a' AND v > 'x'", index='."local"')
    assert local.filter == ()
    assert planned("p = 'a' AND n = 1", index='."global"').partitions is None


def test_a_thousand_alternatives_are_read_apart_and_more_as_one() -> None:
    few = planned(f"p IN {['a', 'b']} AND n IN {list(range(100))}")
    assert [item["v"]["S"] for item in read(few, ITEMS)] == [i["v"]["S"] for i in ITEMS if i["p"] != s("c")]
    assert few.partitions is not None
    assert [len(stretches) for stretches in few.partitions] == [100, 100]
    names = [f"p{number}" for number in range(100)]
    many = planned(f"n IN {list(range(100))} AND p IN {names}")
    assert many.partitions is not None
    assert [len(stretches) for stretches in many.partitions] == [1] * 100


def test_a_clause_that_multiplies_alternatives_takes_no_time() -> None:
    either = "(n BETWEEN 0 AND 1 OR n BETWEEN 4 AND 5)"
    plan = planned("p = 'a' AND " + " AND ".join([either.replace("0", str(-number)) for number in range(60)]))
    assert [item["v"]["S"] for item in read(plan, ITEMS)] == ["a0", "a1", "a2", "a3", "a4", "a5"]


# Any condition


partition_values = st.sampled_from(["'a'", "'b'", "'c'", "'d'"])
sort_values = st.integers(-1, 6).map(str)
operators = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
comparisons = st.one_of(
    st.builds("p {} {}".format, operators, partition_values),
    st.builds("p = {}".format, partition_values),
    st.builds("n {} {}".format, operators, sort_values),
    st.builds("{} {} n".format, sort_values, operators),
    st.builds("v {} {}".format, operators, st.sampled_from(["'a1'", "'b3'"])),
    st.builds("n BETWEEN {} AND {}".format, st.sampled_from(["-1", "0", "2"]), st.sampled_from(["2", "3", "6"])),
    st.lists(partition_values, min_size=1, max_size=3).map(lambda found: f"p IN [{', '.join(found)}]"),
    st.lists(sort_values, min_size=1, max_size=3).map(lambda found: f"n IN [{', '.join(found)}]"),
    st.sampled_from(["v IS MISSING", "begins_with(p, 'a')", "attribute_exists(n)"]),
)
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("(NOT {})".format, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(conditions)
def test_a_plan_finds_the_items_that_meet_the_condition(where: str) -> None:
    select = statement(f"SELECT * FROM Music WHERE {where}")
    assert isinstance(select, SelectStatement)
    assert select.where is not None
    given_values: Any = select.bound(())
    whole = predicate((select.where,), given_values)
    assert whole is not None
    plan, said = None, ""
    try:
        plan = planner.plan(select, MUSIC, given_values, False, SECRET)
    except ValidationException as refusal:
        said = refusal.message
    if plan is None:
        assert said == "Overlapping conditions with range keys are not supported in where clause"
        return
    keep = predicate(plan.filter, given_values)
    found = [item["v"]["S"] for item in read(plan, ITEMS) if keep is None or keep(item)]
    assert sorted(found) == sorted(item["v"]["S"] for item in ITEMS if whole(item))
