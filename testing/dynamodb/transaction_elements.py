"""Short ways to write the elements of a transaction, and to read the reasons when it is canceled or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from testing.dynamodb.definitions import attributes, create, index, key_schema
from testing.dynamodb.refusals import invalid

Element = dict[str, Any]
Reason = dict[str, Any]

NONE = {"Code": "None"}
FAILED = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
ONE_ITEM_TWICE = "Transaction request cannot include multiple operations on one item"


def create_indexed(client: Any) -> str:
    """Make a table with the keys `p` and `s`, a local index on `l`, and a global one on `g` that projects its keys."""
    return create(
        client,
        KeySchema=key_schema("p", "s"),
        AttributeDefinitions=attributes(p="S", s="S", l="S", g="S"),
        LocalSecondaryIndexes=[index("local", "p", "l")],
        GlobalSecondaryIndexes=[index("global", "g", include=[])],
    )


def key(p: str) -> dict[str, Any]:
    return {"p": {"S": p}}


def item(p: str, **numbers: int) -> dict[str, Any]:
    return key(p) | {name: {"N": str(number)} for name, number in numbers.items()}


def put(table: str, item: dict[str, Any], condition: str | None = None, **members: Any) -> Element:
    return {"Put": {"TableName": table, "Item": item, **conditional(condition), **members}}


def delete(table: str, p: str, condition: str | None = None, **members: Any) -> Element:
    return {"Delete": {"TableName": table, "Key": key(p), **conditional(condition), **members}}


def check(table: str, p: str, condition: str, **members: Any) -> Element:
    return {"ConditionCheck": {"TableName": table, "Key": key(p), "ConditionExpression": condition, **members}}


def update(table: str, p: str, expression: str, condition: str | None = None, **numbers: int) -> Element:
    """An update. `numbers` are the values of the expressions."""
    members: Element = {"TableName": table, "Key": key(p), "UpdateExpression": expression, **conditional(condition)}
    if numbers:
        members["ExpressionAttributeValues"] = {f":{name}": {"N": str(number)} for name, number in numbers.items()}
    return {"Update": members}


def get(table: str, p: str, **members: Any) -> Element:
    return {"Get": {"TableName": table, "Key": key(p), **members}}


def conditional(condition: str | None) -> dict[str, str]:
    return {} if condition is None else {"ConditionExpression": condition}


def put_items(client: Any, table: str, *items: dict[str, Any]) -> None:
    for each in items:
        client.put_item(TableName=table, Item=each)


def stored(client: Any, table: str, *ps: str) -> list[dict[str, Any] | None]:
    """The items with these keys; None for a missing one."""
    return [client.get_item(TableName=table, Key=key(p), ConsistentRead=True).get("Item") for p in ps]


def reasons(client: Any, *elements: Element) -> list[Reason]:
    """The reasons for which a write transaction is canceled."""
    return cancellation(client.transact_write_items, elements)


def cancellation(call: Any, elements: Sequence[Element]) -> list[Reason]:
    with pytest.raises(ClientError) as raised:
        call(TransactItems=list(elements))
    response = raised.value.response
    told: list[Reason] = response["CancellationReasons"]
    codes = ", ".join(reason["Code"] for reason in told)
    assert response["Error"] == {
        "Code": "TransactionCanceledException",
        "Message": f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
    }
    return told


def invalid_write(client: Any, *elements: Element) -> str:
    """The text with which a write transaction is refused as a whole."""
    return invalid(client.transact_write_items, TransactItems=list(elements))


def fault(message: str) -> Reason:
    return {"Code": "ValidationError", "Message": message}
