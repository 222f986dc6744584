"""The shape of requests: DynamoDB's errors for a wrong type and for a broken constraint."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws import service
from jedlik.aws.errors import SerializationException, ValidationException
from jedlik.aws.shapes import service_model, shapes
from jedlik.dynamodb import operations
from jedlik.dynamodb.request_shapes import DYNAMODB
from jedlik.dynamodb.service import SERVICE

NAME = "[a-zA-Z0-9_.-]+"
NO_TABLE_NAME = "The parameter 'TableName' is required but was not present in the request"
NO_STRUCTURE = "Start of structure or map found where not expected"
NO_CAST = (
    "class sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl cannot be cast to class java.lang.Class "
    "(sun.reflect.generics.reflectiveObjects.ParameterizedTypeImpl and java.lang.Class are in module java.base of "
    "loader 'bootstrap')"
)
ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/Music"
ARN_FORMAT = (
    "Valid ARN format is 'arn:<awsPartition>:<vendor>:<region>:<subscriber>:resourceType/resourceName', where "
    "Resource name must have length less than or equal to 255, Resource name must have length greater than or equal "
    f"to 3, Resource name must satisfy regular expression pattern: {NAME}"
)


def check(operation: str, request: Any) -> dict[str, Any]:
    return shapes.validator(operation, DYNAMODB)(request)


def refused(operation: str, request: Any) -> str:
    with pytest.raises(ValidationException) as raised:
        check(operation, request)
    return raised.value.message


def broken(*errors: str) -> str:
    plural = "" if len(errors) == 1 else "s"
    return f"{len(errors)} validation error{plural} detected: {'; '.join(errors)}"


def value(shown: str | None, path: str, text: str) -> str:
    quoted = "null" if shown is None else f"'{shown}'"
    return f"Value {quoted} at '{path}' failed to satisfy constraint: Member must {text}"


def get(**members: Any) -> dict[str, Any]:
    return {"TableName": "Music", "Key": {"p": {"S": "a"}}, **members}


def create(**members: Any) -> dict[str, Any]:
    return {
        "TableName": "Music",
        "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
        **members,
    }


def test_every_operation_of_the_model_is_known() -> None:
    unsupported = service.unsupported(SERVICE)
    assert "SearchVectors" in unsupported
    assert operations.OPERATIONS.keys() | unsupported.keys() == service_model.operation_names("dynamodb")
    assert not operations.OPERATIONS.keys() & unsupported.keys()


@pytest.mark.parametrize("name", sorted(operations._HANDLERS))
def test_every_supported_operation_has_a_shape(name: str) -> None:
    with pytest.raises(SerializationException):
        check(name, [])


def test_a_sound_request_comes_back_as_it_is() -> None:
    request = get(ConsistentRead=True, AttributesToGet=["a", "b"])
    assert check("GetItem", request) == get(ConsistentRead=True, AttributesToGet=["a", "b"])


def test_null_and_unknown_members_are_dropped() -> None:
    assert check("GetItem", get(ProjectionExpression=None, Zork=1)) == get()


def test_attribute_values_are_left_to_their_own_check() -> None:
    key: dict[str, Any] = {"p": 5, "q": None, "": {"Zork": []}}
    assert check("GetItem", get(Key=key))["Key"] is key


WRONG_TYPES = [
    ("GetItem", {"TableName": True}, "TRUE_VALUE cannot be converted to String"),
    ("GetItem", {"TableName": False}, "FALSE_VALUE cannot be converted to String"),
    ("GetItem", {"TableName": 23}, "NUMBER_VALUE cannot be converted to String"),
    ("GetItem", {"TableName": 23.5}, "DECIMAL_VALUE cannot be converted to String"),
    ("GetItem", {"TableName": []}, "Unrecognized collection type class java.lang.String"),
    ("GetItem", {"TableName": {}}, NO_STRUCTURE),
    ("GetItem", {"ConsistentRead": "maybe"}, "Unexpected token received from parser"),
    ("GetItem", {"ConsistentRead": 1}, "NUMBER_VALUE cannot be converted to Boolean"),
    ("GetItem", {"ConsistentRead": 1.5}, "DECIMAL_VALUE cannot be converted to Boolean"),
    ("GetItem", {"ConsistentRead": []}, "Unrecognized collection type class java.lang.Boolean"),
    ("GetItem", {"ConsistentRead": {}}, NO_STRUCTURE),
    ("Scan", {"Limit": "5"}, "STRING_VALUE cannot be converted to Integer"),
    ("Scan", {"Limit": True}, "TRUE_VALUE cannot be converted to Integer"),
    ("Scan", {"Limit": []}, "Unrecognized collection type class java.lang.Integer"),
    ("Scan", {"Limit": {}}, NO_STRUCTURE),
    (
        "CreateTable",
        {"ProvisionedThroughput": {"ReadCapacityUnits": "5"}},
        "STRING_VALUE cannot be converted to Long",
    ),
    ("Scan", {"Limit": 1 << 31}, "NUMBER_VALUE cannot be converted to Integer"),
    (
        "CreateTable",
        {"ProvisionedThroughput": {"ReadCapacityUnits": 1 << 63}},
        "NUMBER_VALUE cannot be converted to Long",
    ),
    (
        "CreateTable",
        {"ProvisionedThroughput": {"ReadCapacityUnits": -1e30}},
        "NUMBER_VALUE cannot be converted to Long",
    ),
    ("GetItem", {"AttributesToGet": "a"}, "Unexpected field type"),
    ("GetItem", {"AttributesToGet": {}}, NO_STRUCTURE),
    ("GetItem", {"AttributesToGet": [1]}, "NUMBER_VALUE cannot be converted to String"),
    ("GetItem", {"Key": "a"}, "Unexpected field type"),
    (
        "GetItem",
        {"Key": []},
        "Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>",
    ),
    ("GetItem", {"ExpressionAttributeNames": {"#a": 1}}, "NUMBER_VALUE cannot be converted to String"),
    ("CreateTable", {"ProvisionedThroughput": "a"}, "Unexpected field type"),
    (
        "CreateTable",
        {"ProvisionedThroughput": []},
        "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.ProvisionedThroughput",
    ),
    ("CreateTable", {"KeySchema": ["a"]}, "Unexpected value type in payload"),
    (
        "CreateTable",
        {"KeySchema": [[]]},
        "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.KeySchemaElement",
    ),
    ("BatchGetItem", {"RequestItems": {"Music": "a"}}, "Unexpected value type in payload"),
    ("BatchGetItem", {"RequestItems": {"Music": {"Keys": ["a"]}}}, NO_CAST),
    (
        "BatchWriteItem",
        {"RequestItems": []},
        "Unrecognized collection type java.util.Map<java.lang.String, "
        "java.util.List<com.amazonaws.dynamodb.v20120810.WriteRequest>>",
    ),
    ("BatchWriteItem", {"RequestItems": {"Music": "a"}}, NO_CAST),
]


@pytest.mark.parametrize(("operation", "request_", "message"), WRONG_TYPES)
def test_a_wrong_type_is_a_serialization_error(operation: str, request_: dict[str, Any], message: str) -> None:
    with pytest.raises(SerializationException) as raised:
        check(operation, request_)
    assert raised.value.message == message


def test_types_come_before_constraints() -> None:
    with pytest.raises(SerializationException):
        check("GetItem", {"TableName": "a;", "ReturnConsumedCapacity": "hi", "ConsistentRead": 1})


@pytest.mark.parametrize(
    ("given", "taken"),
    [("true", True), ("TRUE", True), ("1", True), ("yes", True), ("false", False), ("0", False), ("NO", False)],
)
def test_some_strings_are_booleans(given: str, taken: bool) -> None:
    assert check("GetItem", get(ConsistentRead=given))["ConsistentRead"] is taken


def test_a_fraction_is_cut_off_where_a_whole_number_is_wanted() -> None:
    assert check("Scan", {"TableName": "Music", "Limit": 1.9})["Limit"] == 1


def test_members_that_are_missing() -> None:
    assert refused("PutItem", {}) == broken(value(None, "tableName", "not be null"), value(None, "item", "not be null"))


def test_broken_constraints_are_reported_together() -> None:
    request = get(TableName="a;", ReturnConsumedCapacity="hi", AttributesToGet=[])
    assert refused("GetItem", request) == broken(
        value("a;", "tableName", f"satisfy regular expression pattern: {NAME}"),
        value("[]", "attributesToGet", "have length greater than or equal to 1"),
        value("hi", "returnConsumedCapacity", "satisfy enum value set: [INDEXES, TOTAL, NONE]"),
    )


def test_some_members_come_before_their_place_in_the_model() -> None:
    short = "have length greater than or equal to 3"
    index = {"KeySchema": create()["KeySchema"], "Projection": {"ProjectionType": "ALL"}}
    indexes = {
        "LocalSecondaryIndexes": [index | {"IndexName": "aa"}],
        "GlobalSecondaryIndexes": [index | {"IndexName": "zz"}],
    }
    assert refused("CreateTable", create(**indexes)) == broken(
        value("zz", "globalSecondaryIndexes.1.member.indexName", short),
        value("aa", "localSecondaryIndexes.1.member.indexName", short),
    )
    transaction = {"TransactItems": [{}], "ReturnConsumedCapacity": "hi", "ClientRequestToken": "x" * 37}
    assert refused("TransactWriteItems", transaction) == broken(
        value("x" * 37, "clientRequestToken", "have length less than or equal to 36"),
        value("hi", "returnConsumedCapacity", "satisfy enum value set: [INDEXES, TOTAL, NONE]"),
    )


def test_no_more_than_ten_are_reported() -> None:
    request = create(KeySchema=[{"AttributeName": "", "KeyType": "x"}] * 9)
    message = refused("CreateTable", request)
    assert message.startswith("10 validation errors detected: ")
    assert message.count("failed to satisfy constraint") == 10


@pytest.mark.parametrize("depth", [10, 300])
def test_structures_are_shown_with_any_content(depth: int) -> None:
    value: dict[str, Any] = {"N": "1"}
    for _ in range(depth):
        value = {"L": [value]}
    element = {"Put": {"TableName": "Music", "Item": {"p": value}}}
    told = refused("TransactWriteItems", {"TransactItems": [element] * 101})
    assert told.startswith(
        "1 validation error detected: Value '[TransactWriteItem(conditionCheck=null, put=Put(item={p="
    )
    assert len(told) < 100_000
    assert told.endswith(
        "at 'transactItems' failed to satisfy constraint: Member must have length less than or equal to 100"
    )


def test_of_a_long_collection_a_part_is_shown() -> None:
    told = refused("TransactWriteItems", {"TransactItems": [{}] * 100_000})
    assert told.count("TransactWriteItem(") + told.count("...") == 1000


def test_enumerations_are_listed_in_the_service_s_order() -> None:
    assert refused("Query", {"TableName": "Music", "Select": "hi"}) == broken(
        value(
            "hi",
            "select",
            "satisfy enum value set: [SPECIFIC_ATTRIBUTES, COUNT, ALL_ATTRIBUTES, ALL_PROJECTED_ATTRIBUTES]",
        )
    )


LIMITS = [
    ("Scan", {"TableName": "Music", "Limit": 0}, value("0", "limit", "have value greater than or equal to 1")),
    (
        "Scan",
        {"TableName": "Music", "Segment": 1_000_000, "TotalSegments": 1_000_000},
        value("1000000", "segment", "have value less than or equal to 999999"),
    ),
    ("ListTables", {"Limit": 101}, value("101", "limit", "have value less than or equal to 100")),
    # The error about a Query's limit has its own form.
    (
        "Query",
        {"TableName": "Music", "Limit": 0},
        "Value at 'Limit' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ),
    (
        "BatchGetItem",
        {"RequestItems": {"Music": {}}},
        value(None, "requestItems.Music.member.keys", "not be null"),
    ),
    (
        "BatchGetItem",
        {"RequestItems": {"Music": {"Keys": []}}},
        "Value at 'RequestItems.Music.member.Keys' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1",
    ),
    (
        "BatchWriteItem",
        {"RequestItems": {"Music": []}},
        value(
            "{Music=[]}",
            "requestItems",
            "have length less than or equal to 25, Member must have length greater than or equal to 1]",
        ).replace("Member must", "Map value must satisfy constraint: [Member must", 1),
    ),
    (
        "BatchWriteItem",
        {"RequestItems": {"Music": [{"PutRequest": {}}]}},
        value(None, "requestItems.Music.member.1.member.putRequest.item", "not be null"),
    ),
    (
        "TransactWriteItems",
        {"TransactItems": []},
        value("[]", "transactItems", "have length greater than or equal to 1"),
    ),
    (
        "GetItem",
        get(AttributesToGet=["a" * 65_536]),
        value(
            f"[{'a' * 65_536}]",
            "attributesToGet",
            "satisfy constraint: [Member must have length less than or equal to 65535]",
        ),
    ),
    (
        "CreateTable",
        create(KeySchema=[{"AttributeName": "p"}]),
        value(None, "keySchema.1.member.keyType", "not be null"),
    ),
    (
        "CreateTable",
        create(ProvisionedThroughput={"ReadCapacityUnits": 0, "WriteCapacityUnits": -1}),
        value("-1", "provisionedThroughput.writeCapacityUnits", "have value greater than or equal to 1")
        + "; "
        + value("0", "provisionedThroughput.readCapacityUnits", "have value greater than or equal to 1"),
    ),
]


@pytest.mark.parametrize(("operation", "request_", "error"), LIMITS)
def test_constraints(operation: str, request_: dict[str, Any], error: str) -> None:
    assert refused(operation, request_) == broken(*error.split("; "))


# Names of tables


@pytest.mark.parametrize("operation", ["CreateTable", "DescribeTable", "UpdateTable", "DeleteTable"])
def test_an_operation_on_a_table_misses_its_name_first(operation: str) -> None:
    assert refused(operation, {}) == NO_TABLE_NAME


NAMES_REFUSED = [
    ("", ["have length greater than or equal to 1"]),
    ("a;", [f"satisfy regular expression pattern: {NAME}"]),
    ("a" * 256, ["have length less than or equal to 255"]),
]


@pytest.mark.parametrize(("name", "texts"), NAMES_REFUSED)
def test_a_name_in_an_operation_on_items(name: str, texts: list[str]) -> None:
    assert refused("GetItem", get(TableName=name)) == broken(*(value(name, "tableName", text) for text in texts))


TABLE_NAMES_REFUSED = [
    ("", [f"satisfy regular expression pattern: {NAME}", "have length greater than or equal to 3"]),
    ("a;", [f"satisfy regular expression pattern: {NAME}", "have length greater than or equal to 3"]),
    ("ab", ["have length greater than or equal to 3"]),
    ("a" * 256, ["have length less than or equal to 255"]),
]


@pytest.mark.parametrize(("name", "texts"), TABLE_NAMES_REFUSED)
def test_a_name_in_an_operation_on_tables(name: str, texts: list[str]) -> None:
    errors = (value(name, "tableName", text) for text in texts)
    assert refused("DescribeTable", {"TableName": name}) == broken(*errors)


@pytest.mark.parametrize("operation", ["GetItem", "DescribeTable"])
def test_an_arn_may_stand_for_a_name(operation: str) -> None:
    request = get(TableName=ARN) if operation == "GetItem" else {"TableName": ARN}
    assert check(operation, request)["TableName"] == ARN


ARNS_REFUSED = [
    ("arn:", ARN_FORMAT),
    ("arn:aws:dynamodb:us-east-1:000000000000", ARN_FORMAT),
    ("arn:aws:dynamodb:us-east-1:000000000000:table/ab", ARN_FORMAT),
    ("arn:aws:dynamodb:us-east-1:000000000000:table/Music/index/x", ARN_FORMAT),
    ("arn:aws:dynamodb:us-east-1:000000000000:global-table/Music", "Invalid resource type"),
]


@pytest.mark.parametrize(("arn", "text"), ARNS_REFUSED)
def test_an_arn_must_be_a_table_s(arn: str, text: str) -> None:
    error = f"Value '{arn}' at 'tableName' failed to satisfy constraint: {text}"
    assert refused("GetItem", get(TableName=arn)) == broken(error)


def test_names_that_are_keys_are_shown_with_the_map() -> None:
    message = refused("BatchWriteItem", {"RequestItems": {"a;": [{"DeleteRequest": {"Key": {}}}]}})
    assert message.startswith(
        "1 validation error detected: Value '{a;=[WriteRequest(putRequest=null, deleteRequest=DeleteRequest(key={}))"
    )
    assert message.endswith(
        "]}' at 'requestItems' failed to satisfy constraint: Map keys must satisfy constraint: "
        "[Member must have length less than or equal to 255, Member must have length greater than or equal to 3, "
        f"Member must satisfy regular expression pattern: {NAME}]"
    )


# Collections that are too long are not read to their end: faults there are not reported.


LONGEST = 20_000


@pytest.mark.parametrize(
    ("operation", "request_", "most", "error"),
    [
        ("TransactWriteItems", {"TransactItems": [{}] * 5_000 + [5]}, 100, "transactItems"),
        ("UntagResource", {"ResourceArn": ARN, "TagKeys": ["a"] * (LONGEST + 1) + [5]}, LONGEST, "tagKeys"),
        (
            "PutItem",
            {"TableName": "Music", "Item": {}, "Expected": {str(n): {} for n in range(LONGEST + 1)} | {"z": 5}},
            LONGEST,
            "expected",
        ),
        (
            "PutItem",
            {
                "TableName": "Music",
                "Item": {},
                "ExpressionAttributeNames": {f"#{n}": "a" for n in range(4097)} | {"#z": 5},
            },
            4096,
            "expressionAttributeNames",
        ),
        (
            "ExecuteStatement",
            {"Statement": "x", "Parameters": [{"S": "x"}] * (LONGEST + 1)},
            LONGEST,
            "parameters",
        ),
    ],
)
def test_a_collection_that_is_too_long_is_not_read_to_its_end(
    operation: str, request_: dict[str, Any], most: int, error: str
) -> None:
    said = refused(operation, request_)
    assert said.startswith("1 validation error detected: Value '")
    assert said.endswith(
        f"' at '{error}' failed to satisfy constraint: Member must have length less than or equal to {most}"
    )


def test_a_collection_of_the_greatest_length_is_accepted() -> None:
    conditions: dict[str, Any] = {str(number): {"Exists": False} for number in range(LONGEST)}
    request = {"TableName": "Music", "Item": {}, "Expected": conditions}
    assert check("PutItem", request)["Expected"] == conditions
    attributes: dict[str, Any] = {str(number): {"S": ""} for number in range(LONGEST + 1)}
    assert check("PutItem", {"TableName": "Music", "Item": attributes})["Item"] == attributes


def test_a_hundred_thousand_unknown_members_are_as_if_they_were_not_there() -> None:
    unknown = dict.fromkeys(map(str, range(100_000)), 1)
    nested = {"TransactItems": [{**unknown, "Delete": {"TableName": "Music", "Key": {}, **unknown}}], **unknown}
    assert check("TransactWriteItems", nested) == {"TransactItems": [{"Delete": {"TableName": "Music", "Key": {}}}]}
    with pytest.raises(SerializationException, match="NUMBER_VALUE cannot be converted to String"):
        check("GetItem", {**unknown, **get(TableName=5)})


EXAMPLES: list[Any] = [
    None,
    True,
    "true",
    0,
    1,
    100,
    1 << 31,
    0.5,
    "",
    "Music",
    ARN,
    "TOTAL",
    "S",
    "HASH",
    "ALL",
    [],
    {},
]
SCALARS = st.one_of(st.sampled_from(EXAMPLES), st.text(max_size=4))


def values_of(shape: str) -> st.SearchStrategy[Any]:
    """Values that mostly have a shape of the model, and are sometimes arbitrary."""
    definition = service_model.model(DYNAMODB).shapes[shape]
    if shape == "AttributeValue":
        return st.sampled_from([None, 1, {"S": "a"}, {"N": "1", "S": "a"}])
    match definition["type"]:
        case "structure":
            members = {member: st.deferred(lambda of=of: values_of(of)) for member, of in definition["members"].items()}  # type: ignore[misc]
            required = {member: members.pop(member) for member in definition.get("required", ())}
            right = st.fixed_dictionaries(required, optional=members)
            return st.one_of(right, right, right, SCALARS, right.map(lambda value: {**value, "Unknown": 1}))
        case "list":
            return st.one_of(st.lists(values_of(definition["member"]["shape"]), max_size=3), SCALARS)
        case "map":
            return st.one_of(st.dictionaries(st.just("Music"), values_of(definition["value"]["shape"])), SCALARS)
        case "boolean":
            return st.one_of(st.booleans(), SCALARS)
        case "string" if "enum" in definition:
            return st.one_of(st.sampled_from(definition["enum"]), SCALARS)
    return SCALARS


@given(st.data())
def test_requests_accepted_at_once_are_those_that_neither_pass_changes_or_refuses(data: st.DataObject) -> None:
    operation = data.draw(st.sampled_from(["GetItem", "Query", "BatchGetItem", "TransactWriteItems", "CreateTable"]))
    request = data.draw(values_of(service_model.model(DYNAMODB).operations[operation]))
    shape = shapes.input_shape(DYNAMODB, operation)
    errors: list[str] = []
    converted = None
    try:
        if type(request) is dict:
            converted = shape.convert(deepcopy(request))
            assert shape.inside is not None
            shape.inside(converted, "", errors)
    except (SerializationException, ValidationException):
        errors.append("refused")
    # Not every valid request is accepted: an ARN is valid in place of a table's name.
    assert not shape.accept(request) or (converted == request and not errors)


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("GetItem", get(ConsistentRead=True, ReturnConsumedCapacity="TOTAL", ExpressionAttributeNames={"#a": "a"})),
        ("Query", {"TableName": "Music", "Limit": 1, "KeyConditions": {"p": {"ComparisonOperator": "EQ"}}}),
        ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "Music", "Item": {"p": {"S": "a"}}}}]}),
        ("BatchGetItem", {"RequestItems": {"Music": {"Keys": [{"p": {"S": "a"}}]}}}),
        ("CreateTable", create(ProvisionedThroughput={"ReadCapacityUnits": 1, "WriteCapacityUnits": 1})),
    ],
)
def test_requests_of_clients_are_accepted_at_once(operation: str, request_: Any) -> None:
    assert shapes.input_shape(DYNAMODB, operation).accept(request_)


def test_a_table_has_two_key_attributes_at_most() -> None:
    key = [{"AttributeName": name, "KeyType": "HASH"} for name in "pqr"]
    error = "at 'keySchema' failed to satisfy constraint: Member must have length less than or equal to 2"
    assert refused("CreateTable", create(KeySchema=key)).endswith(error)
