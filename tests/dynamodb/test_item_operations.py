"""PutItem, GetItem, UpdateItem and DeleteItem, over the wire."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from testing.dynamodb.definitions import attributes, create, index, key_schema, unused_name
from testing.dynamodb.refusals import INVALID, invalid, refusal
from testing.jedlik_process import Server

NOT_VALID = "One or more parameter values are not valid. "
MISMATCH = "The provided key element does not match the schema"
TOO_LARGE_HASH = f"{INVALID}Size of hashkey has exceeded the maximum size limit of2048 bytes"
TOO_LARGE_RANGE = f"{INVALID}Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
TOO_LARGE_INDEX_KEY = f"{INVALID}Size limit exceeded for Index Key "
ONE = "1 validation error detected: "


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client()


@pytest.fixture(scope="module")
def plain(client: Any) -> str:
    """A table whose key is the string p."""
    return create(client)


@pytest.fixture(scope="module")
def composite(client: Any) -> str:
    """A table with the key p, c and an index on each of x (a string), n (a number) and b (a binary)."""
    return create(
        client,
        KeySchema=key_schema("p", "c"),
        AttributeDefinitions=attributes(p="S", c="S", x="S", n="N", b="B"),
        LocalSecondaryIndexes=[index("by-x", "p", "x")],
        GlobalSecondaryIndexes=[index("by-n", "n", "c"), index("by-b", "b")],
    )


def key(name: str) -> dict[str, dict[str, str]]:
    return {"p": {"S": name}}


def get(client: Any, table: str, name: str) -> Any:
    return client.get_item(TableName=table, Key=key(name), ConsistentRead=True).get("Item")


# Reading and writing whole items


def test_what_was_put_is_there(client: Any, plain: str) -> None:
    item = {
        "p": {"S": "all types"},
        "s": {"S": "Jedlik Ányos ⚡"},
        "n": {"N": "-12.5"},
        "b": {"B": b"\x00\xff"},
        "t": {"BOOL": False},
        "z": {"NULL": True},
        "l": {"L": [{"S": "x"}, {"N": "1"}, {"L": []}]},
        "m": {"M": {"a": {"M": {}}}},
        "ss": {"SS": ["x"]},
        "ns": {"NS": ["1"]},
        "bs": {"BS": [b"x"]},
        "e": {"S": ""},
    }
    assert "Attributes" not in client.put_item(TableName=plain, Item=item)
    assert get(client, plain, "all types") == item
    assert client.get_item(TableName=plain, Key=key("all types"))["Item"] == item


@pytest.mark.parametrize(
    ("type_", "first", "added", "put", "both"),
    [
        ("SS", ["b", "", "é", "B"], ["a", "\U0001f600"], ["", "B", "b", "é"], ["", "B", "a", "b", "é", "\U0001f600"]),
        ("NS", ["10", "9", "-1.5"], ["0", "1e2"], ["-1.5", "9", "10"], ["-1.5", "0", "9", "10", "100"]),
        ("BS", [b"\xff", b"", b"ab"], [b"a"], [b"", b"ab", b"\xff"], [b"", b"a", b"ab", b"\xff"]),
    ],
)  # fmt: skip
def test_a_set_is_kept_in_order(
    client: Any, plain: str, type_: str, first: list[Any], added: list[Any], put: list[Any], both: list[Any]
) -> None:
    """Strings and binaries by their bytes, numbers by their values. Recorded in eu-west-2 on 2026-10-09."""
    given = {type_: first}
    client.put_item(TableName=plain, Item=key("sets") | {"a": given, "l": {"L": [{"M": {"m": given}}]}})
    item = get(client, plain, "sets")
    assert item["a"] == item["l"]["L"][0]["M"]["m"] == {type_: put}
    more = {":v": {type_: added}}
    client.update_item(
        TableName=plain, Key=key("sets"), UpdateExpression="ADD a :v, b :v", ExpressionAttributeValues=more
    )
    assert get(client, plain, "sets")["a"] == {type_: both}
    client.put_item(TableName=plain, Item=key("sets") | {"a": given, "b": given})
    legacy = {"Action": "ADD", "Value": {type_: added}}
    client.update_item(TableName=plain, Key=key("sets"), AttributeUpdates={"a": legacy})
    text = f"UPDATE \"{plain}\" SET b = set_add(b, ?) WHERE p = 'sets'"
    client.execute_statement(Statement=text, Parameters=[{type_: added}])
    item = get(client, plain, "sets")
    assert item["a"] == item["b"] == {type_: both}


def test_a_put_replaces_the_whole_item(client: Any, plain: str) -> None:
    client.put_item(TableName=plain, Item=key("replaced") | {"x": {"N": "1"}})
    client.put_item(TableName=plain, Item=key("replaced") | {"y": {"N": "2"}})
    assert get(client, plain, "replaced") == key("replaced") | {"y": {"N": "2"}}


def test_a_missing_item_is_no_item(client: Any, plain: str) -> None:
    assert "Item" not in client.get_item(TableName=plain, Key=key("missing"))


def test_a_deleted_item_is_gone_and_may_be_deleted_again(client: Any, plain: str) -> None:
    client.put_item(TableName=plain, Item=key("deleted"))
    client.delete_item(TableName=plain, Key=key("deleted"))
    assert get(client, plain, "deleted") is None
    client.delete_item(TableName=plain, Key=key("deleted"))


def test_a_table_may_be_named_by_its_arn(client: Any, plain: str) -> None:
    arn = client.describe_table(TableName=plain)["Table"]["TableArn"]
    client.put_item(TableName=arn, Item=key("by arn"))
    assert client.get_item(TableName=arn, Key=key("by arn"))["Item"] == key("by arn")


def test_regions_share_nothing(server: Server, client: Any, plain: str) -> None:
    elsewhere = server.client(region="eu-west-1")
    assert refusal(elsewhere.get_item, TableName=plain, Key=key("x"))[0] == "ResourceNotFoundException"


def test_a_table_made_again_is_empty(client: Any) -> None:
    table = create(client)
    client.put_item(TableName=table, Item=key("old"))
    client.delete_table(TableName=table)
    create(client, TableName=table)
    assert get(client, table, "old") is None
    client.put_item(TableName=table, Item=key("new"))
    assert client.scan(TableName=table)["Items"] == [key("new")]


def test_a_table_made_again_with_another_key_takes_that_key(client: Any) -> None:
    table = create(client)
    client.put_item(TableName=table, Item=key("old"))
    client.delete_table(TableName=table)
    create(client, TableName=table, KeySchema=key_schema("q"), AttributeDefinitions=attributes(q="N"))
    client.put_item(TableName=table, Item={"q": {"N": "1"}})
    assert client.get_item(TableName=table, Key={"q": {"N": "1.0"}})["Item"] == {"q": {"N": "1"}}


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("get_item", {"Key": key("x")}),
        ("put_item", {"Item": key("x")}),
        ("delete_item", {"Key": key("x")}),
        ("update_item", {"Key": key("x")}),
    ],
)
def test_a_missing_table_is_not_found(client: Any, operation: str, request_: dict[str, Any]) -> None:
    call = getattr(client, operation)
    assert refusal(call, TableName=unused_name(), **request_) == (
        "ResourceNotFoundException",
        "Requested resource not found",
    )


def test_a_projection_selects_parts(client: Any, plain: str) -> None:
    client.put_item(
        TableName=plain,
        Item=key("parts") | {"a": {"N": "1"}, "m": {"M": {"x": {"S": "X"}, "y": {"S": "Y"}}}, "z": {"N": "2"}},
    )
    wanted = {"TableName": plain, "Key": key("parts")}
    by_expression = client.get_item(ProjectionExpression="a, #m.x", ExpressionAttributeNames={"#m": "m"}, **wanted)
    assert by_expression["Item"] == {"a": {"N": "1"}, "m": {"M": {"x": {"S": "X"}}}}
    assert client.get_item(AttributesToGet=["z", "q"], **wanted)["Item"] == {"z": {"N": "2"}}
    assert client.get_item(ProjectionExpression="q", **wanted)["Item"] == {}


# Keys


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, MISMATCH),
        ({"q": {"S": "x"}}, MISMATCH),
        ({"p": {"N": "1"}}, MISMATCH),
        ({"p": {"S": "x"}, "c": {"S": "y"}}, MISMATCH),
        (
            {"p": {"S": ""}},
            f"{NOT_VALID}The AttributeValue for a key attribute cannot contain an empty string value. Key: p",
        ),
        ({"p": {"S": "x" * 2049}}, TOO_LARGE_HASH),
    ],
)
@pytest.mark.parametrize("operation", ["get_item", "delete_item", "update_item"])
def test_a_key_must_be_the_tables(client: Any, plain: str, operation: str, given: dict[str, Any], message: str) -> None:
    assert invalid(getattr(client, operation), TableName=plain, Key=given) == message


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({}, f"{INVALID}Missing the key p in the item"),
        ({"p": {"S": "x"}}, f"{INVALID}Missing the key c in the item"),
        ({"p": {"N": "1"}, "c": {"S": "x"}}, f"{INVALID}Type mismatch for key p expected: S actual: N"),
        ({"p": {"S": "x"}, "c": {"BOOL": True}}, f"{INVALID}Type mismatch for key c expected: S actual: BOOL"),
        (
            {"p": {"S": "x"}, "c": {"S": ""}},
            f"{NOT_VALID}The AttributeValue for a key attribute cannot contain an empty string value. Key: c",
        ),
        ({"p": {"S": "x" * 2049}, "c": {"S": "y"}}, TOO_LARGE_HASH),
        ({"p": {"S": "x"}, "c": {"S": "y" * 1025}}, TOO_LARGE_RANGE),
        (
            {"p": {"S": "x"}, "c": {"S": "y"}, "n": {"S": "1"}},
            f"{INVALID}Type mismatch for Index Key n Expected: N Actual: S IndexName: by-n",
        ),
        (
            {"p": {"S": "x"}, "c": {"S": "y"}, "x": {"S": ""}},
            f"{NOT_VALID}A value specified for a secondary index key is not supported. The AttributeValue for a key "
            "attribute cannot contain an empty string value. IndexName: by-x, IndexKey: x",
        ),
        (
            {"p": {"S": "x"}, "c": {"S": "y"}, "b": {"B": b""}},
            f"{NOT_VALID}A value specified for a secondary index key is not supported. The AttributeValue for a key "
            "attribute cannot contain an empty binary value. IndexName: by-b, IndexKey: b",
        ),
        (
            {"p": {"S": "x"}, "c": {"S": "y"}, "b": {"B": b"x" * 2049}},
            f"{TOO_LARGE_INDEX_KEY}b Actual Size: 2049 bytes Max Size: 2048 bytes IndexName: by-b",
        ),
        (
            {"p": {"S": "x"}, "c": {"S": "y"}, "x": {"S": "x" * 1025}},
            f"{TOO_LARGE_INDEX_KEY}x Actual Size: 1025 bytes Max Size: 1024 bytes IndexName: by-x",
        ),
    ],
)
def test_an_item_must_have_its_keys(client: Any, composite: str, item: dict[str, Any], message: str) -> None:
    assert invalid(client.put_item, TableName=composite, Item=item) == message


def test_keys_may_be_as_long_as_their_limits(client: Any, composite: str) -> None:
    longest = {"p": {"S": "x" * 2048}, "c": {"S": "\0" * 1024}, "x": {"S": "\0" * 1024}}
    client.put_item(TableName=composite, Item=longest)
    found = client.get_item(TableName=composite, Key={"p": longest["p"], "c": longest["c"]})
    assert found["Item"] == longest


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"UpdateExpression": "SET c = :v", "ExpressionAttributeValues": {":v": {"S": "v"}}},
            f"{INVALID}Cannot update attribute c. This attribute is part of the key",
        ),
        (
            {"AttributeUpdates": {"p": {"Action": "PUT", "Value": {"S": "v"}}}},
            f"{INVALID}Cannot update attribute p. This attribute is part of the key",
        ),
        (
            {"UpdateExpression": "SET n = :v", "ExpressionAttributeValues": {":v": {"S": "v"}}},
            f"{INVALID}Type mismatch for Index Key n Expected: N Actual: S IndexName: by-n",
        ),
        (
            {"UpdateExpression": "SET x = c + :v", "ExpressionAttributeValues": {":v": {"N": "1"}}},
            f"{INVALID}Type mismatch for Index Key x Expected: S Actual: N IndexName: by-x",
        ),
        (
            {"UpdateExpression": "SET n = c"},
            "The update expression attempted to update the secondary index key to unsupported type",
        ),
        (
            {"UpdateExpression": "SET x = :v", "ExpressionAttributeValues": {":v": {"S": ""}}},
            f"{NOT_VALID}The update expression attempted to update a secondary index key to a value that is not "
            "supported. The AttributeValue for a key attribute cannot contain an empty string value.",
        ),
        (
            {"UpdateExpression": "SET n.y = :v", "ExpressionAttributeValues": {":v": {"S": "v"}}},
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: n",
        ),
    ],
)
def test_an_update_leaves_keys_fit(client: Any, composite: str, request_: dict[str, Any], message: str) -> None:
    where = {"TableName": composite, "Key": {"p": {"S": "update"}, "c": {"S": "keys"}}}
    client.put_item(TableName=composite, Item=where["Key"])
    assert invalid(client.update_item, **where, **request_) == message


# Sizes


def test_an_item_has_at_most_400_kb(client: Any, plain: str) -> None:
    item = key("size") | {"v": {"S": "x" * (400 * 1024 - len("p") - len("size") - len("v"))}}
    client.put_item(TableName=plain, Item=item)
    assert get(client, plain, "size") == item
    assert (
        invalid(client.put_item, TableName=plain, Item=item | {"w": {"S": ""}})
        == "Item size has exceeded the maximum allowed size"
    )
    assert (
        invalid(
            client.update_item,
            TableName=plain,
            Key=key("size"),
            UpdateExpression="SET w = :w",
            ExpressionAttributeValues={":w": {"S": ""}},
        )
        == "Item size to update has exceeded the maximum allowed size"
    )


TO_UPDATE = "Item size to update has exceeded the maximum allowed size"


def test_an_update_by_expression_is_charged_for_its_statement(client: Any, plain: str) -> None:
    """The key and unchanged attributes cost nothing (us-east-1, 2026-09-28; other writes measure the item alone)."""

    def set_v(p: str, size: int, call: Any = client.update_item) -> Any:
        values = {":v": {"S": "x" * size}}
        return call(TableName=plain, Key=key(p), UpdateExpression="SET v = :v", ExpressionAttributeValues=values)

    room = 409_600 - len("v")
    charged = room - 3 - 19
    set_v("K", charged)
    assert invalid(set_v, p="L", size=charged + 1) == TO_UPDATE
    client.put_item(TableName=plain, Item=key("N") | {"u": {"S": "y" * 10}})
    set_v("N", charged)
    assert invalid(set_v, p="N", size=charged + 1) == TO_UPDATE
    # An item with a long key is refused for its own size first.
    long = "k" * 100
    set_v(long, room - len("p") - 100)
    assert invalid(set_v, p=long, size=room - len("p") - 99) == TO_UPDATE


def test_other_writes_measure_the_item_alone(client: Any, plain: str) -> None:
    """The other operations accept an item that is too large for UpdateItem (us-east-1, 2026-09-28)."""
    most = {"S": "x" * (409_600 - len("v") - len("pK"))}
    put = {"Action": "PUT", "Value": most}
    client.update_item(TableName=plain, Key=key("A"), AttributeUpdates={"v": put})
    over = {"S": most["S"] + "x"}
    assert (
        invalid(client.update_item, TableName=plain, Key=key("B"), AttributeUpdates={"v": put | {"Value": over}})
        == TO_UPDATE
    )
    update = {"TableName": plain, "Key": key("C"), "UpdateExpression": "SET v = :v"}
    client.transact_write_items(TransactItems=[{"Update": update | {"ExpressionAttributeValues": {":v": most}}}])
    client.put_item(TableName=plain, Item=key("D"))
    client.execute_statement(Statement=f"UPDATE \"{plain}\" SET v = ? WHERE p = 'D'", Parameters=[most])


def test_an_update_is_charged_before_its_condition_is_looked_at(client: Any, plain: str) -> None:
    """In eu-west-2 on 2026-10-09. A value that is not stored, as c is already there, is charged all the same."""
    client.put_item(TableName=plain, Item=key("charged") | {"c": {"S": "x"}})
    huge = {
        "TableName": plain,
        "Key": key("charged"),
        "UpdateExpression": "SET c = if_not_exists(c, :huge)",
        "ExpressionAttributeValues": {":huge": {"S": "h" * 409_600}},
    }
    assert invalid(client.update_item, **huge) == TO_UPDATE
    assert invalid(client.update_item, **huge, ConditionExpression="attribute_exists(nope)") == TO_UPDATE


# ReturnValues


@pytest.mark.parametrize("given", ["ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])
@pytest.mark.parametrize("operation", ["put_item", "delete_item"])
def test_put_and_delete_return_the_old_item_or_nothing(client: Any, plain: str, operation: str, given: str) -> None:
    member = {"put_item": "Item", "delete_item": "Key"}[operation]
    request = {"TableName": plain, member: key("values"), "ReturnValues": given}
    assert invalid(getattr(client, operation), **request) == f"{ONE}ReturnValues can only be ALL_OLD or NONE"


def test_put_and_delete_return_the_old_item(client: Any, plain: str) -> None:
    old, new = key("old") | {"x": {"N": "1"}}, key("old") | {"x": {"N": "2"}}
    assert "Attributes" not in client.put_item(TableName=plain, Item=old, ReturnValues="ALL_OLD")
    assert client.put_item(TableName=plain, Item=new, ReturnValues="ALL_OLD")["Attributes"] == old
    assert client.delete_item(TableName=plain, Key=key("old"), ReturnValues="ALL_OLD")["Attributes"] == new
    assert "Attributes" not in client.delete_item(TableName=plain, Key=key("old"), ReturnValues="ALL_OLD")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("NONE", None),
        ("ALL_OLD", {"p": {"S": "u"}, "a": {"N": "1"}, "b": {"N": "2"}, "m": {"M": {"x": {"N": "3"}}}}),
        ("ALL_NEW", {"p": {"S": "u"}, "a": {"N": "11"}, "m": {"M": {"x": {"N": "4"}}}, "n": {"S": "new"}}),
        ("UPDATED_OLD", {"a": {"N": "1"}, "b": {"N": "2"}, "m": {"M": {"x": {"N": "3"}}}}),
        ("UPDATED_NEW", {"a": {"N": "11"}, "m": {"M": {"x": {"N": "4"}}}, "n": {"S": "new"}}),
    ],
)
def test_an_update_returns_the_requested_values(client: Any, plain: str, wanted: str, expected: Any) -> None:
    client.put_item(TableName=plain, Item=key("u") | {"a": {"N": "1"}, "b": {"N": "2"}, "m": {"M": {"x": {"N": "3"}}}})
    answer = client.update_item(
        TableName=plain,
        Key=key("u"),
        UpdateExpression="SET a = a + :ten, m.x = :four, n = :new REMOVE b",
        ExpressionAttributeValues={":ten": {"N": "10"}, ":four": {"N": "4"}, ":new": {"S": "new"}},
        ReturnValues=wanted,
    )
    assert answer.get("Attributes") == expected


def test_an_update_of_nothing_returns_the_key(client: Any, plain: str) -> None:
    made = client.update_item(TableName=plain, Key=key("bare"), ReturnValues="ALL_NEW")
    assert made["Attributes"] == key("bare")
    assert "Attributes" not in client.update_item(TableName=plain, Key=key("bare"), ReturnValues="UPDATED_NEW")


def test_an_update_that_only_removes_creates_no_item(client: Any, plain: str) -> None:
    answer = client.update_item(TableName=plain, Key=key("absent"), UpdateExpression="REMOVE x", ReturnValues="ALL_NEW")
    assert "Attributes" not in answer
    assert get(client, plain, "absent") is None


# Conditions


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("put_item", {"Item": key("condition")}),
        ("delete_item", {"Key": key("condition")}),
        ("update_item", {"Key": key("condition"), "UpdateExpression": "REMOVE x"}),
    ],
)
def test_a_failed_condition_changes_nothing(client: Any, plain: str, operation: str, request_: dict[str, Any]) -> None:
    old = key("condition") | {"x": {"N": "1"}}
    client.put_item(TableName=plain, Item=old)
    call = getattr(client, operation)
    request = {
        "TableName": plain,
        **request_,
        "ConditionExpression": "x > :x",
        "ExpressionAttributeValues": {":x": {"N": "1"}},
    }
    expected = ("ConditionalCheckFailedException", "The conditional request failed")
    assert refusal(call, **request) == expected
    with pytest.raises(ClientError) as raised:
        call(**request, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    assert raised.value.response["Item"] == old
    assert get(client, plain, "condition") == old


def test_a_failed_condition_without_an_item_returns_nothing(client: Any, plain: str) -> None:
    with pytest.raises(ClientError) as raised:
        client.put_item(
            TableName=plain,
            Item=key("nothing"),
            ConditionExpression="attribute_exists(p)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
    assert raised.value.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert "Item" not in raised.value.response


def test_the_older_parameters_do_the_same(client: Any, plain: str) -> None:
    client.put_item(TableName=plain, Item=key("older"), Expected={"p": {"Exists": False}})
    assert (
        refusal(client.put_item, TableName=plain, Item=key("older"), Expected={"p": {"Exists": False}})[0]
        == "ConditionalCheckFailedException"
    )
    answer = client.update_item(
        TableName=plain,
        Key=key("older"),
        AttributeUpdates={"x": {"Action": "ADD", "Value": {"N": "2"}}},
        ReturnValues="UPDATED_NEW",
    )
    assert answer["Attributes"] == {"x": {"N": "2"}}


# The order of the checks


def test_the_request_is_checked_before_the_table(client: Any) -> None:
    absent = {"TableName": unused_name()}
    too_large = {"p": {"S": "x"}, "v": {"S": "x" * 400 * 1024}}
    assert invalid(client.put_item, **absent, Item=too_large) == "Item size has exceeded the maximum allowed size"
    assert invalid(client.put_item, **absent, Item=key("x"), ConditionExpression="") == (
        f"{ONE}Invalid ConditionExpression: The expression can not be empty;"
    )
    assert invalid(client.get_item, **absent, Key={"p": {"N": "x"}}) == (
        "The parameter cannot be converted to a numeric value: x"
    )


def test_an_update_with_too_long_expressions_gets_no_size(client: Any, plain: str) -> None:
    update = "SET " + ", ".join(f"a{number} = p" for number in range(500))
    text = "Expression size has exceeded the maximum allowed size;"
    where = {"TableName": plain, "Key": key("x")}
    assert invalid(client.update_item, **where, UpdateExpression=update) == f"{ONE}Invalid UpdateExpression: {text}"
    condition = "p = p" + " AND p = p" * 410
    assert invalid(client.delete_item, **where, ConditionExpression=condition) == (
        f"{ONE}Invalid ConditionExpression: {text} expression size: {len(condition)}"
    )


def test_values_are_checked_before_expressions(client: Any, plain: str) -> None:
    request = {"TableName": plain, "Item": {"p": {"SS": []}}, "ConditionExpression": "", "ReturnValues": "ALL_NEW"}
    assert invalid(client.put_item, **request) == f"{ONE}{INVALID}An string set  may not be empty"
    request["Item"] = key("x")
    assert invalid(client.put_item, **request) == f"{ONE}ReturnValues can only be ALL_OLD or NONE"


def test_mixing_expressions_with_older_parameters_comes_first(client: Any, plain: str) -> None:
    assert invalid(
        client.put_item,
        TableName=plain,
        Item={"p": {"SS": []}},
        ConditionExpression="attribute_exists(p)",
        Expected={"p": {"Exists": False}},
    ) == (
        f"{ONE}Can not use both expression and non-expression parameters in the same request: "
        "Non-expression parameters: {Expected} Expression parameters: {ConditionExpression}"
    )


def test_a_projection_may_not_look_into_a_key(client: Any, composite: str) -> None:
    where = {"TableName": composite, "Key": {"p": {"S": "x"}, "c": {"S": "y"}}}
    for path, kind in (("p.a", "Key: p"), ("x[0]", "IndexKey: x")):
        assert invalid(client.get_item, ProjectionExpression=path, **where) == (
            f"Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: {kind}"
        )


@pytest.mark.parametrize(
    ("value", "size"),
    [({"S": "é𝄞"}, "3"), ({"S": "äbc"}, "3"), ({"S": ""}, "0"), ({"B": "é𝄞".encode()}, "6"), ({"SS": ["é", "𝄞"]}, "2")],
)
def test_size_counts_code_units_of_a_string_and_bytes_of_a_binary(
    client: Any, value: dict[str, Any], size: str
) -> None:
    """On AWS size() of a string is its length in UTF-16 code units, as Java counts (Parity Suite, 2026-10)."""
    plain = create(client)
    client.put_item(TableName=plain, Item=key("code units") | {"v": value})
    values = {":n": {"N": size}}
    item = {"TableName": plain, "Key": key("code units"), "ExpressionAttributeValues": values}
    client.update_item(**item, UpdateExpression="SET n = :n", ConditionExpression="size(v) = :n")
    check = {"ConditionCheck": {**item, "ConditionExpression": "size(v) = :n"}}
    client.transact_write_items(TransactItems=[check])
    of_item = {"ExpressionAttributeValues": values | {":p": key("code units")["p"]}, "FilterExpression": "size(v) = :n"}
    assert client.query(TableName=plain, KeyConditionExpression="p = :p", **of_item)["Count"] == 1
    assert (
        client.scan(
            TableName=plain,
            ExpressionAttributeValues=of_item["ExpressionAttributeValues"],
            FilterExpression="p = :p AND size(v) = :n",
        )["Count"]
        == 1
    )
    statement = f"SELECT * FROM \"{plain}\" WHERE p = 'code units' AND size(v) = {size}"
    assert len(client.execute_statement(Statement=statement)["Items"]) == 1
