"""PartiQL over the wire, several statements at once: BatchExecuteStatement and ExecuteTransaction."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from testing.dynamodb.definitions import attributes, create, index, key_schema, unused_name
from testing.dynamodb.refusals import invalid, refusal
from testing.jedlik_process import Server


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return server.client()


@pytest.fixture
def plain(client: Any) -> str:
    """A table whose key is the string p, with items a and b of which each has a number v."""
    table = create(client)
    for name, v in (("a", "1"), ("b", "2")):
        client.put_item(TableName=table, Item={"p": {"S": name}, "v": {"N": v}})
    return table


@pytest.fixture
def composite(client: Any) -> str:
    """A table whose key is the string p and the number n, with one item and an index."""
    table = create(
        client,
        KeySchema=key_schema("p", "n"),
        AttributeDefinitions=attributes(p="S", n="N", g="S"),
        GlobalSecondaryIndexes=[index("global", "g")],
    )
    client.put_item(TableName=table, Item={"p": {"S": "a"}, "n": {"N": "1"}, "g": {"S": "g"}})
    return table


def everything(client: Any, table: str) -> list[Any]:
    items: list[Any] = client.scan(TableName=table, ConsistentRead=True)["Items"]
    return sorted(items, key=str)


# BatchExecuteStatement


def batch(client: Any, *statements: str | dict[str, Any], **request: Any) -> Any:
    """The answer to a batch. A statement may be its text alone."""
    elements = [{"Statement": s} if isinstance(s, str) else s for s in statements]
    answer = client.batch_execute_statement(Statements=elements, **request)
    del answer["ResponseMetadata"]
    return answer


def test_reads_answer_one_by_one(client: Any, plain: str, composite: str) -> None:
    answer = batch(
        client,
        f"SELECT * FROM \"{plain}\" WHERE p = 'b'",
        {"Statement": f'SELECT v FROM "{plain}" WHERE p = ?', "Parameters": [{"S": "a"}]},
        f"SELECT * FROM \"{plain}\" WHERE p = 'nobody'",
        f"SELECT g FROM \"{composite}\" WHERE p = 'a' AND n = 1",
    )
    assert answer == {
        "Responses": [
            {"TableName": plain, "Item": {"p": {"S": "b"}, "v": {"N": "2"}}},
            {"TableName": plain, "Item": {"v": {"N": "1"}}},
            {"TableName": plain},
            {"TableName": composite, "Item": {"g": {"S": "g"}}},
        ]
    }


def test_writes_answer_one_by_one(client: Any, plain: str) -> None:
    answer = batch(
        client,
        f"INSERT INTO \"{plain}\" VALUE {{'p': 'c'}}",
        f"UPDATE \"{plain}\" SET v = 7 WHERE p = 'a' RETURNING MODIFIED NEW *",
        f"DELETE FROM \"{plain}\" WHERE p = 'b' RETURNING ALL OLD *",
        f"DELETE FROM \"{plain}\" WHERE p = 'nobody' RETURNING ALL OLD *",
    )
    assert answer == {
        "Responses": [
            {"TableName": plain},
            {"TableName": plain, "Item": {"v": {"N": "7"}}},
            {"TableName": plain, "Item": {"p": {"S": "b"}, "v": {"N": "2"}}},
            {"TableName": plain},
        ]
    }
    assert everything(client, plain) == [{"p": {"S": "a"}, "v": {"N": "7"}}, {"p": {"S": "c"}}]


def test_a_write_that_fails_stops_no_other(client: Any, plain: str) -> None:
    missing = unused_name()
    unmet = f"UPDATE \"{plain}\" SET v = 1 WHERE p = 'b' AND v = 9"
    answer = batch(
        client,
        f"INSERT INTO \"{plain}\" VALUE {{'p': 'a'}}",
        {"Statement": unmet, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"},
        f"UPDATE \"{plain}\" SET v = 1 WHERE p = 'nobody'",
        f"INSERT INTO \"{missing}\" VALUE {{'p': 'a'}}",
        f'UPDATE "{plain}" SET v = 1',
        f"INSERT INTO \"{plain}\" VALUE {{'p': 'c'}}",
    )
    condition = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
    assert answer["Responses"] == [
        {
            "TableName": plain,
            "Error": {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"},
        },
        {"TableName": plain, "Error": condition | {"Item": {"p": {"S": "b"}, "v": {"N": "2"}}}},
        {"TableName": plain, "Error": condition},
        {
            "TableName": missing,
            "Error": {"Code": "ResourceNotFound", "Message": "Requested resource not found"},
        },
        {
            "Error": {
                "Code": "ValidationError",
                "Message": "Where clause does not contain a mandatory equality on all key attributes",
            }
        },
        {"TableName": plain},
    ]
    assert len(everything(client, plain)) == 3


PRIMARY_KEY = "Select statements within BatchExecuteStatement must specify the primary key in the where clause."


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "SLECT * FROM \"{}\" WHERE p = 'a'",
            "Statement wasn't well formed, can't be processed: Expected data manipulation",
        ),
        ('SELECT * FROM "{}" WHERE', "Statement wasn't well formed, can't be processed: Unexpected term"),
        ('SELECT * FROM "{}" WHERE p = ?', "Number of parameters in request and statement don't match."),
        ('SELECT * FROM "{}"', PRIMARY_KEY),
        ("SELECT * FROM \"{}\" WHERE p = 'a'", PRIMARY_KEY),
        ("SELECT * FROM \"{}\" WHERE p = 'a' AND n = 1 AND g = 'g'", PRIMARY_KEY),
        ("SELECT * FROM \"{}\" WHERE p = 'a' AND attribute_exists(n)", PRIMARY_KEY),
        ("SELECT * FROM \"{}\" WHERE p IN ['a'] AND n = 1", PRIMARY_KEY),
        ('SELECT * FROM "{}"."global" WHERE p = \'a\' AND n = 1', PRIMARY_KEY),
        (
            "SELECT * FROM \"{}\" WHERE p = 'a' AND n = 'x'",
            "Key attribute's data type should match its data type in table's schema: Key n",
        ),
        (
            "EXISTS(SELECT * FROM \"{}\" WHERE p = 'a' AND n = 1 AND g = 'g')",
            "EXISTS can only be used in ExecuteTransaction write requests.",
        ),
        (
            "DELETE FROM \"{}\" WHERE p = 'x' RETURNING MODIFIED OLD *",
            "Invalid returning clause: RETURNING MODIFIED OLD *. "
            "Only RETURNING ALL OLD * is allowed in DELETE statements.",
        ),
    ],
)
def test_a_statement_is_refused_in_its_place(client: Any, composite: str, statement: str, message: str) -> None:
    read = f"SELECT p FROM \"{composite}\" WHERE p = 'a' AND n = 1"
    answer = batch(client, read, statement.format(composite))
    assert answer["Responses"] == [
        {"TableName": composite, "Item": {"p": {"S": "a"}}},
        {"Error": {"Code": "ValidationError", "Message": message}},
    ]


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (
            ["SELECT * FROM \"{}\" WHERE p = 'a'", "DELETE FROM \"{}\" WHERE p = 'b'"],
            "Read and write requests together in the same batch is not supported.",
        ),
        (["SELECT * FROM \"{}\" WHERE p = 'a'"] * 2, "Provided list of item keys contains duplicates"),
        (
            ["INSERT INTO \"{}\" VALUE {{'p': 'x'}}", "UPDATE \"{}\" SET v = 1 WHERE 'x' = p"],
            "Provided list of item keys contains duplicates",
        ),
        (
            [],
            "1 validation error detected: Value '[]' at 'statements' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        ),
    ],
)
def test_batches_that_are_refused_as_a_whole(client: Any, plain: str, statements: list[str], message: str) -> None:
    elements = [{"Statement": text.format(plain)} for text in statements]
    assert invalid(client.batch_execute_statement, Statements=elements) == message
    assert len(everything(client, plain)) == 2


def test_a_batch_has_at_most_25_statements(client: Any, plain: str) -> None:
    elements = [{"Statement": f"INSERT INTO \"{plain}\" VALUE {{'p': '{n}'}}"} for n in range(26)]
    assert "Member must have length less than or equal to 25" in invalid(
        client.batch_execute_statement, Statements=elements
    )
    assert len(batch(client, *elements[:25])["Responses"]) == 25
    assert len(everything(client, plain)) == 27


def test_a_batch_of_reads_consumes_what_each_would(client: Any, plain: str, composite: str) -> None:
    answer = batch(
        client,
        f"SELECT * FROM \"{plain}\" WHERE p = 'a'",
        {"Statement": f"SELECT * FROM \"{plain}\" WHERE p = 'b'", "ConsistentRead": True},
        f"SELECT * FROM \"{composite}\" WHERE p = 'a' AND n = 1",
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer["ConsumedCapacity"] == [
        {"TableName": plain, "CapacityUnits": 1.5},
        {"TableName": composite, "CapacityUnits": 0.5},
    ]


def test_a_write_that_a_condition_stops_counts_in_the_total_alone(client: Any, plain: str) -> None:
    large = {"Statement": f"INSERT INTO \"{plain}\" VALUE {{'p': 'a', 'v': ?}}", "Parameters": [{"S": "x" * 3000}]}
    answer = batch(client, large, f"INSERT INTO \"{plain}\" VALUE {{'p': 'c'}}", ReturnConsumedCapacity="INDEXES")
    assert answer["ConsumedCapacity"] == [
        {"TableName": plain, "CapacityUnits": 4, "Table": {"CapacityUnits": 1}},
    ]
    assert "ConsumedCapacity" not in batch(client, large, ReturnConsumedCapacity="INDEXES")


# ExecuteTransaction


def transact(client: Any, *statements: str | dict[str, Any], **request: Any) -> Any:
    """The answer to a transaction. A statement may be its text alone."""
    elements = [{"Statement": s} if isinstance(s, str) else s for s in statements]
    answer = client.execute_transaction(TransactStatements=elements, **request)
    del answer["ResponseMetadata"]
    return answer


def reasons(client: Any, *statements: str | dict[str, Any]) -> Any:
    """The reasons for which a transaction is canceled."""
    with pytest.raises(ClientError) as raised:
        transact(client, *statements)
    answer = raised.value.response
    assert answer["Error"]["Code"] == "TransactionCanceledException"
    codes = ", ".join(reason["Code"] for reason in answer["CancellationReasons"])
    assert answer["Error"]["Message"] == (
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    )
    return answer["CancellationReasons"]


NONE = {"Code": "None"}
UNMET = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}


def test_writes_are_done_together(client: Any, plain: str, composite: str) -> None:
    answer = transact(
        client,
        f"INSERT INTO \"{composite}\" VALUE {{'p': 'new', 'n': 1}}",
        {"Statement": f'UPDATE "{plain}" SET v = v + ? WHERE p = ?', "Parameters": [{"N": "5"}, {"S": "a"}]},
        f"DELETE FROM \"{plain}\" WHERE p = 'b' AND v = 2",
        f"EXISTS(SELECT * FROM \"{composite}\" WHERE p = 'a' AND n = 1 AND g = 'g')",
        f"DELETE FROM \"{plain}\" WHERE p = 'nobody' AND v = 1",
    )
    assert answer == {"Responses": []}
    assert everything(client, plain) == [{"p": {"S": "a"}, "v": {"N": "6"}}]
    assert len(everything(client, composite)) == 2


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE \"{}\" SET v = 1 WHERE p = 'nobody'", UNMET),
        ("UPDATE \"{}\" SET v = 1 WHERE p = 'b' AND v = 3", UNMET),
        ("DELETE FROM \"{}\" WHERE p = 'b' AND v = 3", UNMET),
        ("EXISTS(SELECT * FROM \"{}\" WHERE p = 'b' AND v IS MISSING)", UNMET),
        ("EXISTS(SELECT * FROM \"{}\" WHERE p = 'nobody' AND v IS MISSING)", UNMET),
        (
            "INSERT INTO \"{}\" VALUE {{'p': 'b'}}",
            {"Code": "DuplicateItem", "Message": "Duplicate primary key exists in table"},
        ),
        (
            "INSERT INTO \"{}\" VALUE {{'p': 1}}",
            {
                "Code": "ValidationError",
                "Message": "Key attribute's data type should match its data type in table's schema: Key p",
            },
        ),
        (
            "UPDATE \"{}\" SET v = nope + 1 WHERE p = 'b'",
            {
                "Code": "ValidationError",
                "Message": "The provided expression refers to an attribute that does not exist in the item",
            },
        ),
        (
            'UPDATE "{}" SET v = 1 WHERE v = 1',
            {
                "Code": "ValidationError",
                "Message": "Where clause does not contain a mandatory equality on all key attributes",
            },
        ),
    ],
)
def test_one_that_fails_cancels_all(client: Any, plain: str, statement: str, reason: dict[str, str]) -> None:
    before = everything(client, plain)
    given = reasons(client, f"UPDATE \"{plain}\" SET v = 100 WHERE p = 'a'", statement.format(plain))
    assert given == [NONE, reason]
    assert everything(client, plain) == before


def test_a_reason_shows_the_item_on_request(client: Any, plain: str) -> None:
    unmet = f"UPDATE \"{plain}\" SET v = 1 WHERE p = 'b' AND v = 3"
    [reason] = reasons(client, {"Statement": unmet, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"})
    assert reason == UNMET | {"Item": {"p": {"S": "b"}, "v": {"N": "2"}}}


def test_reads_are_of_one_moment(client: Any, plain: str, composite: str) -> None:
    answer = transact(
        client,
        f"SELECT * FROM \"{plain}\" WHERE p = 'b'",
        f"SELECT g, nope FROM \"{composite}\" WHERE p = 'a' AND n = 1",
        f"SELECT * FROM \"{plain}\" WHERE p = 'nobody'",
        ReturnConsumedCapacity="TOTAL",
    )
    assert answer["Responses"] == [
        {"Item": {"p": {"S": "b"}, "v": {"N": "2"}}},
        {"Item": {"g": {"S": "g"}}},
        {},
    ]
    assert answer["ConsumedCapacity"] == [
        {"TableName": plain, "CapacityUnits": 4, "ReadCapacityUnits": 4},
        {"TableName": composite, "CapacityUnits": 2, "ReadCapacityUnits": 2},
    ]


def test_a_token_makes_a_transaction_happen_once(client: Any, plain: str) -> None:
    token = str(uuid.uuid4())
    request = {"ClientRequestToken": token, "ReturnConsumedCapacity": "TOTAL"}
    text = f"UPDATE \"{plain}\" SET v = v + 1 WHERE p = 'a'"
    first = transact(client, text, **request)
    assert first["ConsumedCapacity"] == [{"TableName": plain, "CapacityUnits": 2, "WriteCapacityUnits": 2}]
    again = transact(client, text, **request)
    assert again["ConsumedCapacity"] == [{"TableName": plain, "CapacityUnits": 2, "ReadCapacityUnits": 2}]
    assert everything(client, plain)[0]["v"] == {"N": "2"}
    other = [{"Statement": f"UPDATE \"{plain}\" SET v = v + 2 WHERE p = 'a'"}]
    name, _ = refusal(client.execute_transaction, TransactStatements=other, ClientRequestToken=token)
    assert name == "IdempotentParameterMismatchException"


FAILED = "Validation failed in TransactStatements[1]: "
WHOLE_KEY = "Select statements within ExecuteTransaction must specify the primary key in the where clause."
EXISTS = "EXISTS() must contain a single item read with additional condition"


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            'UPDATE "{}" SET v = 1 WHERE',
            f"{FAILED}Statement wasn't well formed, can't be processed: Unexpected term",
        ),
        ('DELETE FROM "{}" WHERE p = ?', f"{FAILED}Number of parameters in request and statement don't match."),
        (
            "UPDATE \"{}\" SET v = 1 WHERE p = 'a' RETURNING ALL NEW *",
            f"{FAILED}RETURNING clause is not supported in ExecuteTransaction.",
        ),
        ("EXISTS(SELECT * FROM \"{}\" WHERE p = 'a')", f"{FAILED}{EXISTS}"),
        ('EXISTS(SELECT * FROM "{}" WHERE v = 1)', f"{FAILED}{EXISTS}"),
        ('EXISTS(SELECT * FROM "{}")', f"{FAILED}{EXISTS}"),
        (
            'EXISTS(SELECT * FROM "{}"."idx" WHERE p = \'a\' AND v = 1)',
            f"{FAILED}Operations on indices are not supported in transactions",
        ),
        ("NOT EXISTS(SELECT * FROM \"{}\" WHERE p = 'a' AND v = 1)", "Unsupported operation in transaction."),
        (
            "SELECT * FROM \"{}\" WHERE p = 'a'",
            "ExecuteTransaction API does not support both read and write operations in the same request.",
        ),
        (
            "DELETE FROM \"{}\" WHERE p = 'b'",
            "Transaction request cannot include multiple operations on one item",
        ),
    ],
)
def test_write_transactions_that_are_refused(client: Any, plain: str, statement: str, message: str) -> None:
    statements = [{"Statement": text.format(plain)} for text in ("UPDATE \"{}\" SET v = 100 WHERE p = 'b'", statement)]
    before = everything(client, plain)
    assert invalid(client.execute_transaction, TransactStatements=statements) == message
    assert everything(client, plain) == before


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ('SELECT * FROM "{}"', f"{FAILED}{WHOLE_KEY}"),
        ("SELECT * FROM \"{}\" WHERE p = 'a'", f"{FAILED}{WHOLE_KEY}"),
        ("SELECT * FROM \"{}\" WHERE p = 'a' AND n = 2 AND g = 'g'", f"{FAILED}{WHOLE_KEY}"),
        (
            'SELECT * FROM "{}"."global" WHERE g = \'g\'',
            f"{FAILED}Reads on indices are not supported within transactions.",
        ),
        (
            "SELECT * FROM \"{}\" WHERE p = 'a' AND n = 1",
            "Transaction request cannot include multiple operations on one item",
        ),
    ],
)
def test_read_transactions_that_are_refused(client: Any, composite: str, statement: str, message: str) -> None:
    texts = ("SELECT * FROM \"{}\" WHERE p = 'a' AND n = 1", statement)
    statements = [{"Statement": text.format(composite)} for text in texts]
    assert invalid(client.execute_transaction, TransactStatements=statements) == message


def test_a_malformed_number_is_refused_without_its_place(client: Any, plain: str) -> None:
    statements = [{"Statement": f"UPDATE \"{plain}\" SET v = ? WHERE p = 'a'", "Parameters": [{"N": "1e99999999999"}]}]
    assert invalid(client.execute_transaction, TransactStatements=statements) == (
        "The parameter cannot be converted to a numeric value: 1e99999999999"
    )


def test_the_table_of_a_transaction_must_be_there(client: Any) -> None:
    for text in ("UPDATE \"{}\" SET v = 1 WHERE p = 'a'", "SELECT * FROM \"{}\" WHERE p = 'a'"):
        statements = [{"Statement": text.format(unused_name())}]
        assert refusal(client.execute_transaction, TransactStatements=statements) == (
            "ResourceNotFoundException",
            "Requested resource not found",
        )


def test_a_transaction_has_1_to_100_statements(client: Any, plain: str) -> None:
    assert invalid(client.execute_transaction, TransactStatements=[]) == (
        "1 validation error detected: Value '[]' at 'transactStatements' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1"
    )
    inserts = [{"Statement": f"INSERT INTO \"{plain}\" VALUE {{'p': '{n}'}}"} for n in range(101)]
    assert "Member must have length less than or equal to 100" in invalid(
        client.execute_transaction, TransactStatements=inserts
    )
    transact(client, *inserts[:100])
    assert len(everything(client, plain)) == 102
