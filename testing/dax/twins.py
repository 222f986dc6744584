"""Twins: two tables with the same items, one asked through DAX and one over HTTP. Their answers must be the same."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

Request = dict[str, Any]


def _table(name: str, *key: str, **more: Any) -> Request:
    """A table; `key` has names with types, like "p:S"."""
    pairs = [one.split(":") for one in key]
    return {
        "TableName": name,
        "KeySchema": [
            {"AttributeName": attribute, "KeyType": kind}
            for (attribute, _), kind in zip(pairs, ("HASH", "RANGE"), strict=False)
        ],
        "AttributeDefinitions": [{"AttributeName": attribute, "AttributeType": type_} for attribute, type_ in pairs],
        **more,
    }


_INDEXED = _table(
    "p-s-n",
    "p:S",
    "n:N",
    LocalSecondaryIndexes=[
        {
            "IndexName": "by-g",
            "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "g", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        }
    ],
    GlobalSecondaryIndexes=[
        {
            "IndexName": "of-g",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}, {"AttributeName": "n", "KeyType": "RANGE"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
)
_INDEXED["AttributeDefinitions"].append({"AttributeName": "g", "AttributeType": "S"})

TABLES = (
    _table("p-s", "p:S"),
    _table("p-n", "p:N"),
    _table("p-b", "p:B"),
    _table("p-s-s", "p:S", "s:S"),
    _table("p-n-b", "p:N", "s:B"),
    _INDEXED,
)


class Twins:
    """Both clients."""

    def __init__(self, dax: Any, dynamodb: Any) -> None:
        self.dax = dax
        self.dynamodb = dynamodb

    def ask(self, operation: str, **request: Any) -> Request:
        """The answer to a request, which both must give; a refusal as its code and message."""
        ours = _outcome(self.dax, operation, request)
        theirs = _renamed(_outcome(self.dynamodb, operation, _to_twins(request)))
        assert _unordered(ours) == _unordered(theirs)
        return ours


def _outcome(client: Any, operation: str, request: Request) -> Request:
    try:
        answer: Request = getattr(client, operation)(**copy.deepcopy(request))  # DAX's client changes it.
    except ClientError as error:
        return {"Error": error.response["Error"]}
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def _unordered(value: Any) -> Any:
    """A value with its sets and capacities in order, and with numbers in one form: DAX's client writes small ones in
    its own."""
    if isinstance(value, dict):
        if isinstance(number := value.get("N"), str) and len(value) == 1:
            return {"N": Decimal(number)}
        return {
            name: sorted(member) if name in ("SS", "NS", "BS") else _unordered(member) for name, member in value.items()
        }
    if isinstance(value, list):
        if value and all(isinstance(one, dict) and "TableName" in one for one in value):
            value = sorted(value, key=lambda one: one["TableName"])
        return [_unordered(one) for one in value]
    return value


def _to_twins(value: Any, name: str = "") -> Any:
    """A request for the other table, wherever its name stands."""
    if isinstance(value, dict):
        if name == "RequestItems":
            return {f"{table}-twin": _to_twins(asked) for table, asked in value.items()}
        return {member: _to_twins(one, member) for member, one in value.items()}
    if isinstance(value, list):
        return [_to_twins(one) for one in value]
    return f"{value}-twin" if name == "TableName" else value


def _renamed(value: Any) -> Any:
    """An answer of the other table as if it were the first's."""
    if isinstance(value, dict):
        return {_renamed(name): _renamed(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_renamed(one) for one in value]
    return value.replace("-twin", "") if isinstance(value, str) else value
