"""BatchGetItem and BatchWriteItem, over the wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jedlik.aws.context import Caller, Context
from jedlik.dynamodb import catalog
from jedlik.dynamodb.items import batches
from jedlik.dynamodb.model import items
from jedlik.regions.region import Region
from testing.dynamodb import schemas
from testing.dynamodb.definitions import attributes, create, index, key_schema, unused_name
from testing.dynamodb.refusals import INVALID, invalid, refusal
from testing.jedlik_process import Server
from testing.regions import run, write

DUPLICATES = "Provided list of item keys contains duplicates"
MISMATCH = "The provided key element does not match the schema"


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client()


@pytest.fixture(scope="module")
def plain(client: Any) -> str:
    return create(client, AttributeDefinitions=attributes(p="S", x="S"), GlobalSecondaryIndexes=[index("by-x", "x")])


@pytest.fixture(scope="module")
def composite(client: Any) -> str:
    return create(client, KeySchema=key_schema("p", "c"), AttributeDefinitions=attributes(p="S", c="N"))


def key(name: str, number: int | None = None) -> dict[str, dict[str, str]]:
    return {"p": {"S": name}} | ({} if number is None else {"c": {"N": str(number)}})


def put(item: dict[str, Any]) -> dict[str, Any]:
    return {"PutRequest": {"Item": item}}


def delete(key: dict[str, Any]) -> dict[str, Any]:
    return {"DeleteRequest": {"Key": key}}


# BatchWriteItem


def test_a_batch_puts_and_deletes_in_several_tables(client: Any, plain: str, composite: str) -> None:
    client.put_item(TableName=plain, Item=key("goes"))
    client.put_item(TableName=composite, Item=key("goes", 1))
    answer = client.batch_write_item(
        RequestItems={
            plain: [put(key("comes") | {"v": {"S": "v"}}), delete(key("goes")), delete(key("never was"))],
            composite: [put(key("comes", 1)), put(key("comes", 2)), delete(key("goes", 1))],
        }
    )
    assert answer["UnprocessedItems"] == {}
    assert client.get_item(TableName=plain, Key=key("comes"))["Item"] == key("comes") | {"v": {"S": "v"}}
    assert "Item" not in client.get_item(TableName=plain, Key=key("goes"))
    assert "Item" not in client.get_item(TableName=composite, Key=key("goes", 1))
    assert client.get_item(TableName=composite, Key=key("comes", 2))["Item"] == key("comes", 2)


def test_25_items_of_400_kb_are_written_at_once(client: Any, composite: str) -> None:
    large = {"v": {"S": "x" * (400 * 1024 - 100)}}
    answer = client.batch_write_item(RequestItems={composite: [put(key("large", n) | large) for n in range(25)]})
    assert answer["UnprocessedItems"] == {}
    for number in range(25):
        client.delete_item(TableName=composite, Key=key("large", number))


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        (
            [{}],
            "Supplied AttributeValue has more than one datatypes set, "
            "must contain exactly one of the supported datatypes",
        ),
        (
            [put(key("x")) | delete(key("y"))],
            "Supplied AttributeValue has more than one datatypes set, "
            "must contain exactly one of the supported datatypes",
        ),
        ([put({"p": {"S": "x"}, "v": {"NS": []}})], f"{INVALID}An number set  may not be empty"),
        (
            [put({"p": {"S": "x"}, "v": {"S": "x" * 400 * 1024}})],
            "Item size has exceeded the maximum allowed size",
        ),
        ([put({})], MISMATCH),
        ([put({"p": {"N": "1"}})], MISMATCH),
        ([delete({"q": {"S": "x"}})], MISMATCH),
        ([delete({"p": {"S": "x"}, "q": {"S": "x"}})], MISMATCH),
        (
            [put({"p": {"S": ""}})],
            "One or more parameter values are not valid. "
            "The AttributeValue for a key attribute cannot contain an empty string value. Key: p",
        ),
        (
            [put({"p": {"S": "x"}, "x": {"N": "1"}})],
            f"{INVALID}Type mismatch for Index Key x Expected: S Actual: N IndexName: by-x",
        ),
        ([put(key("x")), put(key("x"))], DUPLICATES),
        ([put(key("x")), delete(key("x"))], DUPLICATES),
    ],
)
def test_one_bad_element_refuses_the_batch(client: Any, plain: str, elements: list[Any], message: str) -> None:
    good = put(key("in a refused batch"))
    assert invalid(client.batch_write_item, RequestItems={plain: [good, *elements]}) == message
    assert "Item" not in client.get_item(TableName=plain, Key=key("in a refused batch"))


def test_equal_numbers_are_duplicates(client: Any, composite: str) -> None:
    twice = [put(key("x") | {"c": {"N": "1"}}), put(key("x") | {"c": {"N": "1.0"}})]
    assert invalid(client.batch_write_item, RequestItems={composite: twice}) == DUPLICATES


def test_a_batch_of_nothing_is_refused(client: Any) -> None:
    assert invalid(client.batch_write_item, RequestItems={}) == (
        "The requestItems parameter is required for BatchWriteItem"
    )
    assert invalid(client.batch_get_item, RequestItems={}) == (
        "1 validation error detected: Value at 'RequestItems' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1"
    )


def test_more_than_25_elements_in_all_are_too_many(client: Any, plain: str, composite: str) -> None:
    request = {
        plain: [put(key(str(number))) for number in range(13)],
        composite: [put(key("x", number)) for number in range(13)],
    }
    assert invalid(client.batch_write_item, RequestItems=request) == (
        "Too many items requested for the BatchWriteItem call"
    )


def test_the_table_is_looked_for_before_duplicates(client: Any, plain: str) -> None:
    expected = ("ResourceNotFoundException", "Requested resource not found")
    absent = unused_name()
    assert refusal(client.batch_write_item, RequestItems={absent: [put(key("x")), put(key("x"))]}) == expected
    request = {plain: [put(key("beside a missing table"))], absent: [put(key("x"))]}
    assert refusal(client.batch_write_item, RequestItems=request) == expected
    assert "Item" not in client.get_item(TableName=plain, Key=key("beside a missing table"))


def test_a_batch_that_was_prepared_for_a_table_without_indexes_is_written_to_one_with_an_index(tmp_path: Path) -> None:
    """Once prepared, an element has let go of its item; the table may turn out to have changed at the commit."""
    plain, indexed = schemas.table(), schemas.table(global_={"by-x": ([("x", "S")], [])})
    element = put(key("a") | {"x": {"S": "b"}, "n": {"N": "1.50"}})

    async def scenario(region: Region, _: Any) -> None:
        await write(region, lambda into: into.put(plain.descriptor_key, plain.raw))
        assert (await catalog.current(region, plain.name)).raw == plain.raw
        await write(region, lambda into: into.put(indexed.descriptor_key, indexed.raw))
        assert catalog.last_seen(region, plain.name) is not None  # This process has not noticed yet.
        context = Context(region, "request", Caller(region.account, "root"))
        answer = await batches.batch_write_item(context, {"RequestItems": {plain.name: [element]}})
        assert answer == {"UnprocessedItems": {}}
        [index] = indexed.indexes
        entries = await region.engine.range(index.prefix, index.prefix + b"\xff" * 40, 10, 1 << 20)
        assert [items.decode(value) for _, value in entries] == [{"p": {"S": "a"}, "x": {"S": "b"}, "n": {"N": "1.5"}}]

    run(tmp_path, scenario)


# BatchGetItem


@pytest.fixture(scope="module")
def filled(client: Any, plain: str, composite: str) -> None:
    for number in range(3):
        client.put_item(TableName=plain, Item=key(f"get {number}") | {"v": {"N": str(number)}, "w": {"S": "w"}})
        client.put_item(TableName=composite, Item=key("get", number))


@pytest.mark.usefixtures("filled")
def test_a_batch_gets_existing_items_from_several_tables(client: Any, plain: str, composite: str) -> None:
    answer = client.batch_get_item(
        RequestItems={
            plain: {"Keys": [key("get 0"), key("get 9"), key("get 2")], "ConsistentRead": True},
            composite: {"Keys": [key("get", 2)]},
        }
    )
    assert answer["Responses"] == {
        plain: [key(f"get {number}") | {"v": {"N": str(number)}, "w": {"S": "w"}} for number in (0, 2)],
        composite: [key("get", 2)],
    }
    assert answer["UnprocessedKeys"] == {}


@pytest.mark.usefixtures("filled")
def test_nothing_found_is_an_empty_list(client: Any, plain: str) -> None:
    answer = client.batch_get_item(RequestItems={plain: {"Keys": [key("get 9")]}})
    assert answer["Responses"] == {plain: []}


@pytest.mark.usefixtures("filled")
def test_each_table_has_its_projection(client: Any, plain: str, composite: str) -> None:
    answer = client.batch_get_item(
        RequestItems={
            plain: {
                "Keys": [key("get 1")],
                "ProjectionExpression": "#v",
                "ExpressionAttributeNames": {"#v": "v"},
            },
            composite: {"Keys": [key("get", 1)], "ProjectionExpression": "c"},
        }
    )
    assert answer["Responses"] == {plain: [{"v": {"N": "1"}}], composite: [{"c": {"N": "1"}}]}


def test_beyond_16_mb_keys_are_left_unprocessed(client: Any, composite: str) -> None:
    large = {"v": {"S": "x" * (400 * 1024 - 100)}}
    for start in (0, 25):
        puts = [put(key("16 MB", number) | large) for number in range(start, start + 25)]
        client.batch_write_item(RequestItems={composite: puts})
    asked = {
        "Keys": [key("16 MB", number) for number in range(50)],
        "ConsistentRead": True,
        "ProjectionExpression": "c",
    }
    answer = client.batch_get_item(RequestItems={composite: asked})
    got = [int(item["c"]["N"]) for item in answer["Responses"][composite]]
    assert got == list(range(40))
    left = answer["UnprocessedKeys"][composite]
    assert left == asked | {"Keys": [key("16 MB", number) for number in range(40, 50)]}
    answer = client.batch_get_item(RequestItems=answer["UnprocessedKeys"])
    assert [int(item["c"]["N"]) for item in answer["Responses"][composite]] == list(range(40, 50))
    assert answer["UnprocessedKeys"] == {}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"Keys": [{}]}, MISMATCH),
        ({"Keys": [{"p": {"N": "1"}}]}, MISMATCH),
        ({"Keys": [key("x", 1)]}, MISMATCH),
        ({"Keys": [{"p": {"N": "x"}}]}, "The parameter cannot be converted to a numeric value: x"),
        ({"Keys": [key("x"), key("y"), key("x")]}, DUPLICATES),
        (
            {"Keys": [key("x"), key("x")], "AttributesToGet": ["a", "a"]},
            f"{INVALID}Duplicate value in attribute name: a",
        ),
        (
            {"Keys": [key("x"), key("x")], "ProjectionExpression": ""},
            "Invalid ProjectionExpression: The expression can not be empty;",
        ),
        (
            {"Keys": [key("x")], "ProjectionExpression": "a", "AttributesToGet": ["a"]},
            "Can not use both expression and non-expression parameters in the same request: "
            "Non-expression parameters: {AttributesToGet} Expression parameters: {ProjectionExpression}",
        ),
        (
            {"Keys": [key("x")], "ProjectionExpression": "p.a"},
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: p",
        ),
    ],
)
def test_refusals(client: Any, plain: str, asked: dict[str, Any], message: str) -> None:
    assert invalid(client.batch_get_item, RequestItems={plain: asked}) == message


MIXED = (
    "Can not use both expression and non-expression parameters in the same request: "
    "Non-expression parameters: {AttributesToGet} Expression parameters: {ProjectionExpression}"
)
NAMES_ALONE = "ExpressionAttributeNames can only be specified when using expressions"


@pytest.mark.parametrize(
    ("one", "message"),
    [
        ({"ProjectionExpression": "v"}, MIXED),
        ({"ProjectionExpression": "#v", "ExpressionAttributeNames": {"#v": "v"}}, MIXED),
        ({"ProjectionExpression": ""}, MIXED),
        ({"ExpressionAttributeNames": {"#v": "v"}}, NAMES_ALONE),
    ],
)
def test_old_parameters_of_one_table_are_not_mixed_with_expressions_of_another(
    client: Any, plain: str, composite: str, one: dict[str, Any], message: str
) -> None:
    """AWS checks the request as a whole (eu-west-2, 2026-10; the text is that of a mixture for one table)."""
    for order in (1, -1):
        asked = [
            (plain, {"Keys": [key("x")]} | one),
            (composite, {"Keys": [key("x", 1)], "AttributesToGet": ["c"]}),
        ][::order]
        assert invalid(client.batch_get_item, RequestItems=dict(asked)) == message


def test_more_than_100_keys_in_all_are_too_many(client: Any, plain: str, composite: str) -> None:
    request = {
        plain: {"Keys": [key(str(number)) for number in range(100)]},
        composite: {"Keys": [key("x", 1)]},
    }
    assert invalid(client.batch_get_item, RequestItems=request) == "Too many items requested for the BatchGetItem call"


def test_a_missing_table_is_not_found(client: Any, plain: str) -> None:
    request = {plain: {"Keys": [key("x")]}, unused_name(): {"Keys": [key("x")]}}
    assert refusal(client.batch_get_item, RequestItems=request) == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )
