"""PartiQL over the wire: ExecuteStatement, BatchExecuteStatement and ExecuteTransaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from testing.dynamodb.definitions import attributes, create, index, key_schema, unused_name
from testing.dynamodb.refusals import INVALID, invalid, refusal
from testing.jedlik_process import Server

Item = dict[str, dict[str, Any]]
Run = Callable[..., list[Item]]

NO_KEY = "Where clause does not contain a mandatory equality on all key attributes"
UNMET = ("ConditionalCheckFailedException", "The conditional request failed")


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client()


@pytest.fixture
def plain(client: Any) -> str:
    """A table whose key is the string p."""
    return create(client)


@pytest.fixture
def composite(client: Any) -> str:
    """A table whose key is the string p and the number n, with items of two partitions."""
    table = create(client, KeySchema=key_schema("p", "n"), AttributeDefinitions=attributes(p="S", n="N"))
    for p in ("a", "b"):
        for n in ("1", "2", "3"):
            client.put_item(TableName=table, Item={"p": {"S": p}, "n": {"N": n}, "v": {"S": p + n}})
    return table


@pytest.fixture
def indexed(client: Any) -> str:
    """A table with the key p, s and indexes of every kind, holding three items that are in all of them."""
    table = create(
        client,
        KeySchema=key_schema("p", "s"),
        AttributeDefinitions=attributes(p="S", s="S", g="S", h="S", l="S"),
        LocalSecondaryIndexes=[index("local", "p", "l", include=["shown"])],
        GlobalSecondaryIndexes=[
            index("global", "g", "s"),
            index("narrow", "g", include=["shown"]),
            index("several", ["g", "h"], "s"),
        ],
    )
    for s in ("1", "2", "3"):
        item = {name: {"S": name} for name in ("p", "g", "h", "shown", "hidden")}
        client.put_item(TableName=table, Item=item | {"s": {"S": s}, "l": {"S": f"l{4 - int(s)}"}})
    client.put_item(TableName=table, Item={"p": {"S": "p"}, "s": {"S": "in no index"}})
    return table


@pytest.fixture
def run(client: Any) -> Run:
    """The items that a statement returns."""

    def execute(text: str, *parameters: Any, **request: Any) -> list[Item]:
        if parameters:
            request["Parameters"] = list(parameters)
        items: list[Item] = client.execute_statement(Statement=text, **request)["Items"]
        return items

    return execute


def get(client: Any, table: str, **key: Any) -> Any:
    return client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")


def said(client: Any, text: str, *parameters: Any, **request: Any) -> str:
    """The text of the ValidationException with which a statement is refused."""
    if parameters:
        request["Parameters"] = list(parameters)
    return invalid(client.execute_statement, Statement=text, **request)


# INSERT


def test_an_insert_makes_an_item_of_literals_of_every_type(client: Any, plain: str, run: Run) -> None:
    returned = run(
        f"""INSERT INTO "{plain}" VALUE {{
            'p': 'it''s here', 'n': -1.50e1, 't': TRUE, 'f': false, 'z': Null, 'l': [1, 'two', [], {{}}],
            'm': {{'key': {{'x': 1E3}}}}, 'ss': <<'b', 'a'>>, 'ns': <<1, 2.0>>, 'e': ''
        }}"""
    )
    assert returned == []
    item = get(client, plain, p={"S": "it's here"})
    assert sorted(item.pop("ss")["SS"]) == ["a", "b"]
    assert sorted(item.pop("ns")["NS"]) == ["1", "2"]
    assert item == {
        "p": {"S": "it's here"},
        "n": {"N": "-15"},
        "t": {"BOOL": True},
        "f": {"BOOL": False},
        "z": {"NULL": True},
        "l": {"L": [{"N": "1"}, {"S": "two"}, {"L": []}, {"M": {}}]},
        "m": {"M": {"key": {"M": {"x": {"N": "1000"}}}}},
        "e": {"S": ""},
    }


def test_an_insert_takes_parameters_of_every_type(client: Any, plain: str, run: Run) -> None:
    values = [{"S": "params"}, {"B": b"\x00"}, {"BS": [b"x"]}, {"M": {"a": {"L": [{"N": "1.0"}]}}}, {"NULL": True}]
    run(f"INSERT INTO \"{plain}\" VALUE {{'p': ?, 'b': ?, 'bs': ?, 'm': ?, 'z': ?}}", *values)
    assert get(client, plain, p={"S": "params"}) == {
        "p": {"S": "params"},
        "b": {"B": b"\x00"},
        "bs": {"BS": [b"x"]},
        "m": {"M": {"a": {"L": [{"N": "1"}]}}},
        "z": {"NULL": True},
    }


def test_an_insert_of_an_existing_item_changes_nothing(client: Any, plain: str, run: Run) -> None:
    run(f"INSERT INTO \"{plain}\" VALUE {{'p': 'a', 'v': 1}}")
    assert refusal(client.execute_statement, Statement=f"INSERT INTO \"{plain}\" VALUE {{'p': 'a', 'v': 2}}") == (
        "DuplicateItemException",
        "Duplicate primary key exists in table",
    )
    assert get(client, plain, p={"S": "a"})["v"] == {"N": "1"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{'v': 1}", "Key attribute should be present in the item: Key p"),
        ("{'p': 1}", "Key attribute's data type should match its data type in table's schema: Key p"),
        (
            "{'p': ''}",
            "One or more parameter values are not valid. "
            "The AttributeValue for a key attribute cannot contain an empty string value. Key: p",
        ),
        ("{'p': 'a', 's': <<'a', 'a'>>}", f"{INVALID}Input collection [a, a] contains duplicates."),
        ("{'p': 'a', 's': <<1, 1.0>>}", "Input collection contains duplicates"),
    ],
)
def test_items_that_cannot_be_inserted(client: Any, plain: str, value: str, message: str) -> None:
    assert said(client, f'INSERT INTO "{plain}" VALUE {value}') == message


def test_an_item_may_have_400_kb(client: Any, plain: str, run: Run) -> None:
    text = f"INSERT INTO \"{plain}\" VALUE {{'p': 'a', 'v': ?}}"
    run(text, {"S": "x" * (400 * 1024 - 3)})
    assert said(client, text, {"S": "x" * (400 * 1024 - 2)}) == "Item size has exceeded the maximum allowed size"
    grow = f"UPDATE \"{plain}\" SET v = ? WHERE p = 'a'"
    assert said(client, grow, {"S": "x" * (400 * 1024 - 2)}) == (
        "Item size to update has exceeded the maximum allowed size"
    )


# SELECT: what it reads


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("p = 'a' AND n = 2", ["a2"]),
        ("2 = n AND 'a' = p", ["a2"]),
        ("p = 'a' AND n = 9", []),
        ("p = 'a' AND n = 2 AND v = 'a2'", ["a2"]),
        ("p = 'a' AND n = 2 AND v = 'other'", []),
        ("p = 'a' AND n = 1 AND n = 2", []),
        ("p = 'a' AND p = 'b'", []),
        ("p = 'a'", ["a1", "a2", "a3"]),
        ("p = 'a' AND n > 1", ["a2", "a3"]),
        ("p = 'a' AND 1 < n", ["a2", "a3"]),
        ("p = 'a' AND n >= 2 AND n < 3", ["a2"]),
        ("p = 'a' AND n BETWEEN 2 AND 7", ["a2", "a3"]),
        ("p = 'a' AND n IN [3, 1]", ["a1", "a3"]),
        ("p = 'a' AND (n = 1 OR n = 3)", ["a1", "a3"]),
        ("p = 'a' AND n <> 2", ["a1", "a3"]),
        ("p = 'a' AND NOT n = 2", ["a1", "a3"]),
        ("p = 'a' AND n NOT IN (1, 2)", ["a3"]),
        ("p = 'a' AND n NOT BETWEEN 1 AND 2", ["a3"]),
        ("p = 'a' AND v > 'a1'", ["a2", "a3"]),
        ("p IN ['b', 'a'] AND n = 1", ["b1", "a1"]),
        ("p IN ('b', 'b', 'nobody')", ["b1", "b2", "b3"]),
        ("p = 'b' OR p = 'a' AND n = 3", ["b1", "b2", "b3", "a3"]),
        ("p = 'a' AND n = 1 OR p = 'a' AND n = 3", ["a1", "a3"]),
        ("p = 'a' AND n <> 1 OR p = 'a' AND n = 1", ["a1", "a2", "a3"]),
        ("p = 'a' OR p = 'a' AND NOT n = 1", ["a1", "a2", "a3"]),
    ],
)
def test_keys_select_in_the_order_of_keys(composite: str, run: Run, where: str, found: list[str]) -> None:
    assert [item["v"]["S"] for item in run(f'SELECT v FROM "{composite}" WHERE {where}')] == found


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("n = 1", ["a1", "b1"]),
        ("p > 'a'", ["b1", "b2", "b3"]),
        ("p <> 'a' AND n < 3", ["b1", "b2"]),
        ("begins_with(p, 'a')", ["a1", "a2", "a3"]),
        ("p = 'a' AND n = 1 OR v = 'b2'", ["a1", "b2"]),
        ("v IN ['a1', 'b3', 'c']", ["a1", "b3"]),
        ("'x' = 'x'", ["a1", "a2", "a3", "b1", "b2", "b3"]),
    ],
)
def test_other_conditions_scan(composite: str, run: Run, where: str, found: list[str]) -> None:
    assert sorted(item["v"]["S"] for item in run(f'SELECT * FROM "{composite}" WHERE {where}')) == found


def test_without_a_condition_everything_is_selected(composite: str, run: Run) -> None:
    assert len(run(f'SELECT * FROM "{composite}"')) == 6


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("p = 1", "Key attribute's data type should match its data type in table's schema: Key p"),
        ("p = NULL", "Key attribute's data type should match its data type in table's schema: Key p"),
        ("p = 'a' AND n = 'x'", "Key attribute's data type should match its data type in table's schema: Key n"),
        ("p = 'a' AND n > 'x'", "Key attribute's data type should match its data type in table's schema: Key n"),
        ("p = 'a' AND n IN ['x']", f"{INVALID}Condition parameter type does not match schema type"),
        ("p IN ['a', <<'a'>>]", f"{INVALID}Condition parameter type does not match schema type"),
        ("p IN [{'a': 1}, []]", f"{INVALID}Condition parameter type does not match schema type"),
        ("p = 'a' AND n <> 'x'", f"{INVALID}Condition parameter type does not match schema type"),
        ("p = 'a' AND NOT n = 'x'", f"{INVALID}Condition parameter type does not match schema type"),
        ("p = 'a' OR p = 1", f"{INVALID}Condition parameter type does not match schema type"),
        ("p > 1", f"{INVALID}Condition parameter type does not match schema type"),
        ("v = 'x' AND n = 'x'", f"{INVALID}Condition parameter type does not match schema type"),
        (
            "p = ''",
            "One or more parameter values are not valid. "
            "The AttributeValue for a key attribute cannot contain an empty string value. Key: p",
        ),
        (
            "p = 'a' AND v = 'x' OR p = 'a' AND n = 2",
            "Overlapping conditions with range keys are not supported in where clause",
        ),
        (
            "p = 'a' AND n > 1 OR p = 'a' AND n < 3",
            "Overlapping conditions with range keys are not supported in where clause",
        ),
    ],
)
def test_keys_that_cannot_be_selected(client: Any, composite: str, where: str, message: str) -> None:
    assert said(client, f'SELECT * FROM "{composite}" WHERE {where}') == message


def test_keys_that_are_too_long_are_refused(client: Any, indexed: str, plain: str) -> None:
    assert said(client, f'SELECT * FROM "{plain}" WHERE p = ?', {"S": "x" * 2049}) == (
        f"{INVALID}Size of hashkey has exceeded the maximum size limit of2048 bytes"
    )
    assert said(client, f"SELECT * FROM \"{indexed}\" WHERE p = 'p' AND s > ?", {"S": "x" * 1025}) == (
        f"{INVALID}Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
    )


def units(client: Any, text: str, **request: Any) -> Any:
    """What a statement consumes."""
    answer = client.execute_statement(Statement=text, ReturnConsumedCapacity="INDEXES", **request)
    return answer["ConsumedCapacity"]


def test_a_get_a_query_and_a_scan_cost_as_much_as_they_read(client: Any, composite: str) -> None:
    for n in ("4", "5", "6"):
        client.put_item(TableName=composite, Item={"p": {"S": "a"}, "n": {"N": n}, "v": {"S": "x" * 5000}})

    def cost(where: str, **request: Any) -> float:
        consumed: float = units(client, f'SELECT n FROM "{composite}" {where}', **request)["CapacityUnits"]
        return consumed

    assert cost("WHERE p = 'a' AND n = 1") == 0.5
    assert cost("WHERE p = 'a' AND n = 1", ConsistentRead=True) == 1
    assert cost("WHERE p = 'a' AND n = 4") == 1
    assert cost("WHERE p = 'nobody' AND n = 4") == 0.5
    assert cost("WHERE p = 'a' AND n = 4 AND v = 'not this'") == 1
    assert cost("WHERE p = 'a'") == 2
    assert cost("WHERE p = 'a'", ConsistentRead=True) == 4
    assert cost("WHERE p = 'a' AND n > 4") == 1.5
    assert cost("WHERE p = 'a' AND v = 'a1'") == 2
    assert cost("WHERE p IN ['a', 'b', 'nobody']") == 3
    assert cost("WHERE p IN ['a', 'b'] AND n = 4") == 1.5
    assert cost("WHERE v = 'a1'") == cost("")


# SELECT: conditions


@pytest.fixture
def documents(client: Any, plain: str) -> str:
    """A table with an item `full` that has a bit of everything, and an item `bare` that has only its key."""
    client.put_item(
        TableName=plain,
        Item={
            "p": {"S": "full"},
            "s": {"S": "text"},
            "n": {"N": "5"},
            "b": {"B": b"\x01\x02"},
            "t": {"BOOL": True},
            "z": {"NULL": True},
            "l": {"L": [{"N": "1"}, {"S": "two"}]},
            "m": {"M": {"x": {"S": "deep"}, "k.y": {"N": "7"}}},
            "ss": {"SS": ["a", "b"]},
            "ns": {"NS": ["1", "2"]},
        },
    )
    client.put_item(TableName=plain, Item={"p": {"S": "bare"}})
    return plain


@pytest.mark.parametrize(
    ("condition", "full", "bare"),
    [
        ("s IS MISSING", False, True),
        ("s IS NOT MISSING", True, False),
        ("z IS NULL", True, False),
        ("s IS NULL", False, False),
        ("z IS NOT NULL", False, True),
        ("t IS BOOL", True, False),
        ("s IS STRING", True, False),
        ("n IS NUMERIC", True, False),
        ("b IS BLOB", True, False),
        ("l IS LIST", True, False),
        ("m IS STRUCT", True, False),
        ("m IS TUPLE", True, False),
        ("attribute_exists(s)", True, False),
        ("ATTRIBUTE_EXISTS(m.x)", True, False),
        ("attribute_exists(m.nope)", False, False),
        ("attribute_not_exists(s)", False, True),
        ("attribute_exists(s) = true", True, False),
        ("attribute_exists(s) <> true", False, True),
        ("false = attribute_exists(s)", False, True),
        ("(s IS MISSING) = (n IS MISSING)", True, True),
        ("(n = 5) = t", True, False),
        ("attribute_type(ss, 'SS')", True, False),
        ("attribute_type(ss, 'S')", False, False),
        ("begins_with(s, 'te')", True, False),
        ("NOT begins_with(s, 'te')", False, True),
        ("contains(s, 'ex')", True, False),
        ("contains(ss, 'a')", True, False),
        ("contains(l, 'two')", True, False),
        ("size(s) = 4", True, False),
        ("SIZE(l) >= 2", True, False),
        ("s = 'text'", True, False),
        ("s != 'text'", False, True),
        ("n BETWEEN 1 AND 5", True, False),
        ("n IN [1, 5]", True, False),
        ("n < 'a'", False, False),
        ("m.x = 'deep'", True, False),
        ("m['x'] = 'deep'", True, False),
        ('"m"."k.y" = 7', True, False),
        ("l[1] = 'two'", True, False),
        ("l = [1, 'two']", True, False),
        ("l = ['two', 1]", False, False),
        ("ss = <<'b', 'a'>>", True, False),
        ("ns = <<2, 1>>", True, False),
        ("m = {'k.y': 7.0, 'x': 'deep'}", True, False),
        ("z = NULL", True, False),
        ("t = TRUE AND NOT (n > 7 OR s = 'other')", True, False),
        ("l[0] = n", False, False),
    ],
)
def test_conditions(documents: str, run: Run, condition: str, full: bool, bare: bool) -> None:
    for name, expected in (("full", full), ("bare", bare)):
        found = run(f"SELECT p FROM \"{documents}\" WHERE p = '{name}' AND {condition}")
        assert found == ([{"p": {"S": name}}] if expected else []), name


def test_parameters_stand_for_values_in_conditions(documents: str, run: Run) -> None:
    text = f'SELECT p FROM "{documents}" WHERE p = ? AND l = ? AND b = ? AND n IN [?, ?]'
    values = [{"S": "full"}, {"L": [{"N": "1"}, {"S": "two"}]}, {"B": b"\x01\x02"}, {"N": "4"}, {"N": "5.0"}]
    assert run(text, *values) == [{"p": {"S": "full"}}]


def test_lists_of_a_select_name_what_they_return(documents: str, run: Run) -> None:
    assert run(f"SELECT s, m.x, l[1], nope FROM \"{documents}\" WHERE p = 'full'") == [
        {"s": {"S": "text"}, "x": {"S": "deep"}, "l[1]": {"S": "two"}}
    ]
    assert run(f"SELECT s FROM \"{documents}\" WHERE p = 'bare'") == [{}]


# ORDER BY and pages


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("p = 'a' ORDER BY n", ["a1", "a2", "a3"]),
        ("p = 'a' ORDER BY n DESC", ["a3", "a2", "a1"]),
        ("p = 'a' AND n > 1 ORDER BY n DESC", ["a3", "a2"]),
        # In descending order of the sort key, when only the partition key is named.
        ("p = 'a' ORDER BY p ASC", ["a3", "a2", "a1"]),
        ("p IN ['b', 'a'] ORDER BY p ASC, n ASC", ["a1", "a2", "a3", "b1", "b2", "b3"]),
        ("p IN ['a', 'b'] ORDER BY p DESC, n ASC", ["b1", "b2", "b3", "a1", "a2", "a3"]),
        ("p = 'a' OR p = 'b' ORDER BY p DESC", ["b3", "b2", "b1", "a3", "a2", "a1"]),
    ],
)
def test_order_by_follows_the_key(composite: str, run: Run, where: str, found: list[str]) -> None:
    assert [item["v"]["S"] for item in run(f'SELECT v FROM "{composite}" WHERE {where}')] == found


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        ("ORDER BY n", "Must have WHERE clause in the statement when using ORDER BY clause."),
        ("WHERE p = 'a' ORDER BY v", "Attribute v in ORDER BY clause must be part of the primary key"),
        (
            "WHERE p > 'a' ORDER BY n",
            "Must have at least one non-optional hash key condition in WHERE clause when using ORDER BY clause.",
        ),
        (
            "WHERE p IN ['a', 'b'] ORDER BY n",
            "Must have hash key in ORDER BY clause when more than one hash key condition specified in WHERE clause.",
        ),
    ],
)
def test_orders_that_keys_do_not_give(client: Any, composite: str, rest: str, message: str) -> None:
    assert said(client, f'SELECT * FROM "{composite}" {rest}') == message


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6])
@pytest.mark.parametrize(
    "rest",
    [
        "",
        "WHERE p = 'a'",
        "WHERE p = 'a' ORDER BY n DESC",
        "WHERE p IN ['b', 'a']",
        "WHERE p IN ['b', 'a'] ORDER BY p DESC",
        "WHERE p = 'a' AND n IN [1, 3] OR p = 'b'",
        "WHERE v <> 'a2'",
    ],
)
def test_pages_put_together_are_the_whole(client: Any, composite: str, run: Run, rest: str, limit: int) -> None:
    request = {"Statement": f'SELECT v FROM "{composite}" {rest}', "Limit": limit}
    found: list[Item] = []
    answer = client.execute_statement(**request)
    while "NextToken" in answer:
        assert len(answer["Items"]) <= limit
        found += answer["Items"]
        answer = client.execute_statement(**request, NextToken=answer["NextToken"])
    assert found + answer["Items"] == run(request["Statement"])


def test_a_page_that_ends_early_returns_its_last_key(client: Any, composite: str) -> None:
    answer = client.execute_statement(Statement=f"SELECT v FROM \"{composite}\" WHERE p = 'a'", Limit=2)
    assert answer["LastEvaluatedKey"] == {"p": {"S": "a"}, "n": {"N": "2"}}
    whole = client.execute_statement(Statement=f"SELECT v FROM \"{composite}\" WHERE p = 'a'")
    assert "NextToken" not in whole
    assert "LastEvaluatedKey" not in whole


def test_ten_values_of_the_partition_key_make_a_page(client: Any, plain: str, run: Run) -> None:
    names = [f"k{number:02}" for number in range(25)]
    for name in names:
        client.put_item(TableName=plain, Item={"p": {"S": name}})
    request = {"Statement": f'SELECT p FROM "{plain}" WHERE p IN {names}'}
    sizes, found = [], []
    answer: dict[str, Any] = {"NextToken": None}
    while "NextToken" in answer:
        answer = client.execute_statement(**request, **({"NextToken": t} if (t := answer["NextToken"]) else {}))
        sizes.append(len(answer["Items"]))
        found += [item["p"]["S"] for item in answer["Items"]]
    assert sizes == [10, 10, 5]
    assert found == names


def test_a_page_ends_after_1_mb(client: Any, composite: str, run: Run) -> None:
    for n in range(10, 14):
        client.put_item(TableName=composite, Item={"p": {"S": "a"}, "n": {"N": str(n)}, "v": {"S": "x" * 390_000}})
    answer = client.execute_statement(Statement=f"SELECT n FROM \"{composite}\" WHERE p IN ['a', 'b']")
    assert [item["n"]["N"] for item in answer["Items"]] == ["1", "2", "3", "10", "11", "12"]
    assert answer["LastEvaluatedKey"] == {"p": {"S": "a"}, "n": {"N": "12"}}


def test_a_token_is_for_its_own_statement(client: Any, composite: str) -> None:
    text = f'SELECT * FROM "{composite}" WHERE p = ?'
    first = client.execute_statement(Statement=text, Parameters=[{"S": "a"}], Limit=1)
    token = first["NextToken"]
    other = {"Statement": text, "Parameters": [{"S": "b"}], "NextToken": token}
    assert invalid(client.execute_statement, **other) == "NextToken does not match request"
    assert said(client, f'SELECT p FROM "{composite}"', NextToken=token) == "NextToken does not match request"
    for broken in ("abc", "x" * 500, token[:-4], token.swapcase()):
        assert said(client, text, {"S": "a"}, NextToken=broken) == "Invalid NextToken"


# Indexes


def test_a_select_from_an_index_finds_its_entries(indexed: str, run: Run) -> None:
    assert len(run(f"SELECT * FROM \"{indexed}\" WHERE p = 'p'")) == 4
    for name in ("global", "narrow", "local"):
        assert len(run(f'SELECT * FROM "{indexed}"."{name}"')) == 3
    assert [item["s"]["S"] for item in run(f'SELECT s FROM "{indexed}"."global" WHERE g = \'g\'')] == ["1", "2", "3"]
    assert [item["s"]["S"] for item in run(f"SELECT s FROM \"{indexed}\".\"local\" WHERE p = 'p' AND l > 'l1'")] == [
        "2",
        "1",
    ]


def test_a_star_selects_the_projected_attributes(indexed: str, run: Run) -> None:
    narrow = run(f'SELECT * FROM "{indexed}"."narrow" WHERE g = \'g\'')
    assert {frozenset(item) for item in narrow} == {frozenset(("p", "s", "g", "shown"))}
    local = run(f'SELECT * FROM "{indexed}"."local" WHERE p = \'p\'')
    assert {frozenset(item) for item in local} == {frozenset(("p", "s", "l", "shown"))}


def test_a_local_index_fetches_unprojected_attributes(client: Any, indexed: str, run: Run) -> None:
    text = f'SELECT hidden FROM "{indexed}"."local" WHERE p = \'p\''
    assert run(text) == [{"hidden": {"S": "hidden"}}] * 3
    consumed = units(client, text)
    assert consumed["CapacityUnits"] == 2
    assert consumed["Table"] == {"CapacityUnits": 1.5}
    assert consumed["LocalSecondaryIndexes"] == {"local": {"CapacityUnits": 0.5}}
    assert units(client, text, ConsistentRead=True)["CapacityUnits"] == 4
    assert units(client, text, Limit=1)["Table"] == {"CapacityUnits": 0.5}


def test_reads_that_an_index_accepts(client: Any, indexed: str) -> None:
    consumed = units(client, f'SELECT * FROM "{indexed}"."global" WHERE g = \'g\'')
    assert consumed["CapacityUnits"] == 0.5
    assert consumed["Table"] == {"CapacityUnits": 0}
    assert consumed["GlobalSecondaryIndexes"] == {"global": {"CapacityUnits": 0.5}}


def test_pages_of_an_index(client: Any, indexed: str) -> None:
    request = {"Statement": f'SELECT s FROM "{indexed}"."narrow" WHERE g = \'g\'', "Limit": 2}
    first = client.execute_statement(**request)
    assert set(first["LastEvaluatedKey"]) == {"p", "s", "g"}
    second = client.execute_statement(**request, NextToken=first["NextToken"])
    assert sorted(item["s"]["S"] for item in first["Items"] + second["Items"]) == ["1", "2", "3"]


SEVERAL = (
    "PartiQL statements cannot be executed on tables with multi-attribute HASH keys or multi-attribute RANGE keys."
)


@pytest.mark.parametrize(
    ("text", "request_", "message"),
    [
        ('SELECT * FROM "{}"."nowhere"', {}, "The table does not have the specified index"),
        # Faults of the projection come after faults of the index (us-east-1, October 2026).
        ('SELECT * FROM "{}"."several" WHERE g = 5', {}, SEVERAL),
        ('SELECT COUNT(*) FROM "{}"."several"', {}, SEVERAL),
        ('SELECT COUNT(*) FROM "{}"."global"', {}, "Unexpected path component at 1:8:5"),
        (
            'SELECT * FROM "{}"."global" WHERE g = \'g\'',
            {"ConsistentRead": True},
            "Strongly consistent read is not supported on Global Secondary Indexes",
        ),
        (
            'SELECT other, shown, hidden FROM "{}"."narrow"',
            {},
            f"{INVALID}Global secondary index narrow does not project [other, hidden]",
        ),
        (
            "SELECT p FROM \"{}\".\"narrow\" WHERE g = 'g' AND hidden = 'x'",
            {},
            f"{INVALID}Secondary index narrow does not project one or more filter attributes: [hidden]",
        ),
        (
            "SELECT p FROM \"{}\".\"narrow\" WHERE g IN ['g', 'h'] AND hidden IS MISSING",
            {},
            f"{INVALID}Secondary index narrow does not project one or more filter attributes: [hidden]",
        ),
        (
            "SELECT p FROM \"{}\".\"local\" WHERE p = 'p' AND NOT hidden = 'x'",
            {},
            f"{INVALID}Secondary index local does not project one or more filter attributes: [hidden]",
        ),
        (
            "UPDATE \"{}\".\"global\" SET a = 1 WHERE p = 'p' AND s = '1'",
            {},
            "This operation is not supported on an index",
        ),
    ],
)
def test_reads_that_an_index_refuses(
    client: Any, indexed: str, text: str, request_: dict[str, Any], message: str
) -> None:
    assert said(client, text.format(indexed), **request_) == message


def test_a_scan_of_an_index_finds_no_attribute_that_it_does_not_project(indexed: str, run: Run) -> None:
    assert run(f'SELECT p FROM "{indexed}"."narrow" WHERE hidden = \'hidden\'') == []
    assert len(run(f'SELECT p FROM "{indexed}"."narrow" WHERE NOT hidden = \'hidden\'')) == 3


# UPDATE and DELETE


def test_an_update_changes_an_existing_item(client: Any, documents: str, run: Run) -> None:
    text = f"""UPDATE "{documents}" SET n = n + 1, "key" = (n - 2) + 10 SET m.y = [1] SET l = list_append(l, ['three'])
        SET ss = set_add(ss, <<'c', 'a'>>) SET ns = SET_DELETE(ns, ?) SET d = if_not_exists(d, s)
        REMOVE b REMOVE m.x REMOVE t WHERE p = 'full' AND s = 'text'"""
    assert run(text, {"NS": ["2", "9"]}) == []
    item = get(client, documents, p={"S": "full"})
    assert sorted(item.pop("ss")["SS"]) == ["a", "b", "c"]
    assert item == {
        "p": {"S": "full"},
        "s": {"S": "text"},
        "n": {"N": "6"},
        "key": {"N": "13"},
        "z": {"NULL": True},
        "l": {"L": [{"N": "1"}, {"S": "two"}, {"S": "three"}]},
        "m": {"M": {"k.y": {"N": "7"}, "y": {"L": [{"N": "1"}]}}},
        "ns": {"NS": ["1"]},
        "d": {"S": "text"},
    }


def test_sets_come_and_go_with_their_members(client: Any, documents: str, run: Run) -> None:
    run(f"UPDATE \"{documents}\" SET fresh = set_add(fresh, <<'x'>>) WHERE p = 'full'")
    run(f"UPDATE \"{documents}\" SET ss = set_delete(ss, <<'a', 'b'>>) WHERE p = 'full'")
    run(f"UPDATE \"{documents}\" SET nope = set_delete(nope, <<'a'>>) WHERE p = 'full'")
    item = get(client, documents, p={"S": "full"})
    assert item["fresh"] == {"SS": ["x"]}
    assert "ss" not in item
    assert "nope" not in item


@pytest.mark.parametrize(
    ("returning", "returned"),
    [
        ("", []),
        ("RETURNING ALL OLD *", [{"p": {"S": "x"}, "a": {"N": "1"}, "b": {"N": "2"}}]),
        ("RETURNING ALL NEW *", [{"p": {"S": "x"}, "a": {"N": "7"}, "c": {"N": "3"}}]),
        ("RETURNING MODIFIED OLD *", [{"a": {"N": "1"}, "b": {"N": "2"}}]),
        ("RETURNING MODIFIED NEW *", [{"a": {"N": "7"}, "c": {"N": "3"}}]),
    ],
)
@pytest.mark.parametrize(
    "form", ["UPDATE {t} SET a = 7 REMOVE b SET c = 3 {w}", "FROM {t} {w} SET a = 7 REMOVE b SET c = 3"]
)
def test_returning(plain: str, run: Run, form: str, returning: str, returned: list[Item]) -> None:
    run(f"INSERT INTO \"{plain}\" VALUE {{'p': 'x', 'a': 1, 'b': 2}}")
    text = form.format(t=f'"{plain}"', w="WHERE p = 'x'")
    assert run(f"{text} {returning}") == returned


def test_nothing_modified_is_nothing_returned(plain: str, run: Run) -> None:
    run(f"INSERT INTO \"{plain}\" VALUE {{'p': 'x', 'a': 1}}")
    assert run(f"UPDATE \"{plain}\" REMOVE a WHERE p = 'x' RETURNING MODIFIED NEW *") == []


def test_a_delete_removes_the_item_and_returns_it_when_asked(client: Any, plain: str, run: Run) -> None:
    for name in ("x", "y"):
        run(f"INSERT INTO \"{plain}\" VALUE {{'p': '{name}', 'a': 1}}")
    assert run(f"DELETE FROM \"{plain}\" WHERE p = 'x'") == []
    assert run(f"DELETE FROM \"{plain}\" WHERE p = 'y' AND a = 1 RETURNING ALL OLD *") == [
        {"p": {"S": "y"}, "a": {"N": "1"}}
    ]
    assert run(f"DELETE FROM \"{plain}\" WHERE p = 'y' RETURNING ALL OLD *") == []
    assert client.scan(TableName=plain)["Count"] == 0


@pytest.mark.parametrize(
    "text",
    [
        "UPDATE \"{}\" SET a = 1 WHERE p = 'nobody'",
        "UPDATE \"{}\" SET a = 1 WHERE p = 'nobody' AND attribute_not_exists(p)",
        "UPDATE \"{}\" SET a = set_add(a, <<'x'>>) WHERE p = 'nobody'",
        "FROM \"{}\" WHERE p = 'nobody' SET a = 1",
        "UPDATE \"{}\" SET a = 1 WHERE p = 'full' AND s = 'other'",
        "DELETE FROM \"{}\" WHERE p = 'full' AND attribute_exists(nope)",
    ],
)
def test_a_write_whose_condition_is_not_met_does_nothing(client: Any, documents: str, text: str) -> None:
    before = client.scan(TableName=documents)["Items"]
    assert refusal(client.execute_statement, Statement=text.format(documents)) == UNMET
    assert client.scan(TableName=documents)["Items"] == before


def test_a_delete_of_nothing_meets_every_condition(plain: str, run: Run) -> None:
    assert run(f"DELETE FROM \"{plain}\" WHERE p = 'nobody' AND a = 1") == []


def test_a_failed_condition_returns_the_item_on_request(client: Any, documents: str) -> None:
    request = {"Statement": f"UPDATE \"{documents}\" SET a = 1 WHERE p = 'bare' AND a = 2"}
    with pytest.raises(ClientError) as silent:
        client.execute_statement(**request)
    assert "Item" not in silent.value.response
    with pytest.raises(ClientError) as telling:
        client.execute_statement(**request, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert telling.value.response["Item"] == {"p": {"S": "bare"}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("UPDATE \"{}\" SET v = '1'", NO_KEY),
        ("UPDATE \"{}\" SET v = '1' WHERE v = 'a1'", NO_KEY),
        ("UPDATE \"{}\" SET v = '1' WHERE p = 'a'", NO_KEY),
        ("UPDATE \"{}\" SET v = '1' WHERE p = 'a' AND n > 1", NO_KEY),
        ("UPDATE \"{}\" SET v = '1' WHERE p = 'a' AND n IN [1]", NO_KEY),
        ("UPDATE \"{}\" SET v = '1' WHERE p = 'a' AND n = 1 OR v = 'x'", NO_KEY),
        ("UPDATE \"{}\" SET v = '1' WHERE NOT (p = 'a' AND n = 1)", NO_KEY),
        ('DELETE FROM "{}"', NO_KEY),
        ("DELETE FROM \"{}\" WHERE p = 'a'", NO_KEY),
        (
            "UPDATE \"{}\" SET v = '1' WHERE p = 'a' AND n = 1 AND p = 'b'",
            "Multiple conditions on same key p. Only single item Update/Insert/Delete are supported",
        ),
        (
            "UPDATE \"{}\" SET v = '1' WHERE p = 'a' AND n = 'x'",
            "Key attribute's data type should match its data type in table's schema: Key n",
        ),
        (
            "UPDATE \"{}\" SET p = 'b' WHERE p = 'a' AND n = 1",
            f"{INVALID}Cannot update attribute p. This attribute is part of the key",
        ),
        (
            "UPDATE \"{}\" REMOVE n WHERE p = 'a' AND n = 1",
            f"{INVALID}Cannot update attribute n. This attribute is part of the key",
        ),
        (
            "UPDATE \"{}\" SET v = set_add(v, <<1>>) WHERE p = 'a' AND n = 1",
            "An operand in the update expression has an incorrect data type",
        ),
        (
            "UPDATE \"{}\" SET v = nope + 1 WHERE p = 'a' AND n = 1",
            "The provided expression refers to an attribute that does not exist in the item",
        ),
        (
            "UPDATE \"{}\" SET x.y = 1 WHERE p = 'a' AND n = 1",
            "The document path provided in the update expression is invalid for update",
        ),
    ],
)
def test_writes_that_are_refused(client: Any, composite: str, text: str, message: str) -> None:
    assert said(client, text.format(composite)) == message


def test_a_write_may_name_its_key_twice(composite: str, run: Run) -> None:
    text = f"UPDATE \"{composite}\" SET v = 'z' WHERE n = 1 AND p = 'a' AND n = 1.0 RETURNING MODIFIED NEW *"
    assert run(text) == [{"v": {"S": "z"}}]


def test_writes_consume_capacity_by_their_size(client: Any, indexed: str) -> None:
    made = units(client, f"INSERT INTO \"{indexed}\" VALUE {{'p': 'q', 's': '1', 'g': 'x', 'l': 'y'}}")
    assert made["CapacityUnits"] == 4
    assert made["Table"] == {"CapacityUnits": 1}
    assert made["GlobalSecondaryIndexes"] == {name: {"CapacityUnits": 1} for name in ("global", "narrow")}
    assert made["LocalSecondaryIndexes"] == {"local": {"CapacityUnits": 1}}
    assert units(client, f"DELETE FROM \"{indexed}\" WHERE p = 'no' AND s = '1'")["CapacityUnits"] == 1


# Requests


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM \"{}\" WHERE p = 'x'",
        "INSERT INTO \"{}\" VALUE {{'p': 'x'}}",
        "UPDATE \"{}\" SET a = 1 WHERE p = 'x'",
        "DELETE FROM \"{}\" WHERE p = 'x'",
        "FROM \"{}\" WHERE p = 'x' SET a = 1",
    ],
)
def test_a_table_must_be_there(client: Any, text: str) -> None:
    assert refusal(client.execute_statement, Statement=text.format(unused_name())) == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )


@pytest.mark.parametrize(
    ("text", "parameters", "message"),
    [
        ('SELECT * FROM "{}" WHERE', [], "Statement wasn't well formed, can't be processed: Unexpected term"),
        ('SELECT * FROM "{}" WHERE p = ?', [], "Number of parameters in request and statement don't match."),
        (
            'SELECT * FROM "{}" WHERE p < ?',
            [{"BOOL": True}],
            "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL",
        ),
        ('SELECT * FROM "{}" WHERE p = ?', [{"N": "x"}], "The parameter cannot be converted to a numeric value: x"),
        (
            "EXISTS(SELECT * FROM \"{}\" WHERE p = 'x' AND a = 1)",
            [],
            "EXISTS can only be used in ExecuteTransaction write requests.",
        ),
    ],
)
def test_a_fault_of_a_statement_comes_before_a_missing_table(
    client: Any, text: str, parameters: list[Any], message: str
) -> None:
    assert said(client, text.format(unused_name()), *parameters) == message


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"Limit": 0},
            "1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1",
        ),
        (
            {"Parameters": []},
            "1 validation error detected: Value '[]' at 'parameters' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        ),
    ],
)
def test_requests_of_the_wrong_shape(client: Any, plain: str, request_: dict[str, Any], message: str) -> None:
    assert said(client, f'SELECT * FROM "{plain}"', **request_) == message


def test_statements_see_writes_of_the_other_operations(client: Any, plain: str, run: Run) -> None:
    client.put_item(TableName=plain, Item={"p": {"S": "x"}, "a": {"N": "1"}})
    run(f"UPDATE \"{plain}\" SET a = a + 1 WHERE p = 'x'")
    client.update_item(
        TableName=plain,
        Key={"p": {"S": "x"}},
        UpdateExpression="SET a = a + :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    assert run(f"SELECT a FROM \"{plain}\" WHERE p = 'x'", ConsistentRead=True) == [{"a": {"N": "3"}}]


def test_a_table_may_be_named_by_its_arn(client: Any, plain: str, run: Run) -> None:
    arn = client.describe_table(TableName=plain)["Table"]["TableArn"]
    run(f"INSERT INTO \"{arn}\" VALUE {{'p': 'x'}}")
    assert run(f"SELECT * FROM \"{arn}\" WHERE p = 'x'") == [{"p": {"S": "x"}}]
