"""Any expression in any place: a statement that reads or writes, or a refusal, and never anything else."""

from __future__ import annotations

from hypothesis import event, given, settings
from hypothesis import strategies as st

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb.errors import DuplicateItemException
from jedlik.dynamodb.model.partiql import planner, statement_writes
from jedlik.dynamodb.model.partiql.statements import (
    DeleteStatement,
    ExistsStatement,
    InsertStatement,
    SelectStatement,
    UpdateStatement,
    statement,
)
from jedlik.dynamodb.model.values import AttributeValue, Item
from testing.dynamodb.schemas import n, s, table

SECRET = b"secret of the store"
MUSIC = table(("p", "S"), ("n", "N"), global_={"global": ([("g", "S")], [])}, projections={"global": ["a"]})
ITEM: Item = {
    "p": s("x"),
    "n": n("1"),
    "a": {"L": [n("1"), s("x"), {"M": {"b": {"BOOL": True}}}]},
    "b": {"SS": ["x"]},
}

names = st.sampled_from(["p", "n", "a", "b", "g", "a.b", "a[0]", "a[2].b", '"a"', "p.x"])
literals = st.sampled_from(
    [
        "'x'",
        "''",
        "1",
        "-2.5e3",
        "1e200",
        "TRUE",
        "NULL",
        "MISSING",
        "?",
        "[1, 'x']",
        "<<1>>",
        "<<'x', 'x'>>",
        "{'b': 1}",
        "`i`",
    ]
)
functions = st.sampled_from(
    [
        "size",
        "begins_with",
        "contains",
        "attribute_type",
        "attribute_exists",
        "set_add",
        "list_append",
        "if_not_exists",
        "f",
    ]
)
infixes = st.sampled_from(["=", "<>", "<", ">=", "AND", "OR", "+", "-", "*", "||", "LIKE", "IN", "UNION"])
types = st.sampled_from(["MISSING", "NULL", "STRING", "LIST", "INT", "BAG"])


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, infixes, inner),
        st.builds("{} {} {}".format, names, infixes, inner),
        st.builds("NOT {}".format, inner),
        st.builds("-{}".format, inner),
        st.builds("{}({}, {})".format, functions, inner, inner),
        st.builds("{}({})".format, functions, inner),
        st.builds("{} IN [{}, {}]".format, inner, inner, inner),
        st.builds("{} BETWEEN {} AND {}".format, inner, inner, inner),
        st.builds("{} IS NOT {}".format, inner, types),
        st.builds("[{}]".format, inner),
        st.builds("a[{}]".format, inner),
        st.builds("EXISTS(SELECT * FROM Music WHERE {})".format, inner),
    )


expressions = st.recursive(names | literals, combined, max_leaves=10)
templates = st.sampled_from(
    [
        "{0}",
        "SELECT * FROM Music WHERE {0}",
        "SELECT * FROM Music WHERE p = 'x' AND {0}",
        "SELECT * FROM Music WHERE p = 'x' AND n = 1 AND {0}",
        "SELECT * FROM Music.\"global\" WHERE g = 'x' AND {0}",
        "SELECT a, {0} FROM Music",
        "SELECT * FROM {0}",
        "SELECT * FROM Music WHERE {0} ORDER BY {1}",
        "INSERT INTO Music VALUE {{'p': 'y', 'n': 1, 'a': {0}}}",
        "INSERT INTO Music VALUE {0}",
        "UPDATE Music SET a = {0} WHERE p = 'x' AND n = 1",
        "UPDATE Music SET a = {0} SET b = {1} WHERE p = 'x' AND n = 1 AND {1}",
        "UPDATE Music SET a = set_add(a, {0}) REMOVE b WHERE n = 1 AND p = {1}",
        "DELETE FROM Music WHERE p = 'x' AND {0} AND n = 1",
        "EXISTS(SELECT * FROM Music WHERE p = 'x' AND n = 1 AND {0})",
    ]
)


def execute(text: str, parameter: AttributeValue) -> None:
    """Do with a statement everything short of a store."""
    found = statement(text)
    parameters = [parameter] * found.constants.parameters
    values = found.bound(parameters)
    match found:
        case SelectStatement():
            plan = planner.plan(found, MUSIC, values, False, SECRET)
            keep = statement_writes.predicate(plan.filter, values)
            assert keep is None or keep(ITEM) in (True, False)
            if found.projection is not None:
                found.projection.apply(ITEM)
        case InsertStatement():
            put = statement_writes.put(MUSIC, *statement_writes.item_of(found, parameters), SECRET)
            assert put.condition is not None
            assert put.condition({})
        case UpdateStatement():
            update = statement_writes.update(found, MUSIC, values, SECRET, False)
            assert update.condition is not None
            if update.condition(ITEM) and update.action is not None:
                update.action.apply(ITEM)
            assert not update.condition({})
        case DeleteStatement():
            delete = statement_writes.delete(found, MUSIC, values, SECRET, False)
            assert delete.condition is None or delete.condition({})
        case ExistsStatement():
            check = statement_writes.condition_check(found, MUSIC, values, SECRET, False)
            assert not check.condition({})


@settings(max_examples=600, deadline=None)
@given(templates, expressions, expressions, st.sampled_from([s("x"), n("1"), {"SS": ["x"]}, {"L": []}]))
def test_any_expression_is_executed_or_refused(template: str, one: str, other: str, parameter: AttributeValue) -> None:
    try:
        execute(template.format(one, other), parameter)
        event("executed")
    except (ValidationException, DuplicateItemException) as caught:
        event(caught.message.partition(":")[0][:60])
