"""Twins: two tables with the same items, one asked through DAX and one over HTTP. Their answers must be the same."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

Request = dict[str, Any]
SETS = ("SS", "NS", "BS")


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
    """Both clients.

    Some clients of other languages leave out members that are empty, and others add them. Where `empty_is_absent`, that
    is no difference.
    """

    def __init__(self, dax: Any, dynamodb: Any, empty_is_absent: bool = False) -> None:
        self.dax = dax
        self.dynamodb = dynamodb
        self._empty_is_absent = empty_is_absent

    def ask(self, operation: str, **request: Any) -> Request:
        """The answer to a request, which both must give; a refusal as its code and message."""
        ours = _outcome(self.dax, operation, request)
        theirs = _renamed(_outcome(self.dynamodb, operation, _to_twins(request)))
        if "Error" in ours and "Error" in theirs and theirs["Error"]["Message"] in ours["Error"]["Message"]:
            ours["Error"]["Message"] = theirs["Error"]["Message"]  # Some clients write more around it.
        for mine, other in zip(ours.get("CancellationReasons", ()), theirs.get("CancellationReasons", ()), strict=True):
            if isinstance(mine.get("Item"), bytes) and "Item" in other:
                mine["Item"] = other["Item"]
        if self._empty_is_absent:
            ours, theirs = ({k: v for k, v in answer.items() if v not in ([], {})} for answer in (ours, theirs))
        assert _unordered(ours) == _unordered(theirs)
        return ours


def _outcome(client: Any, operation: str, request: Request) -> Request:
    try:
        answer: Request = getattr(client, operation)(**copy.deepcopy(request))  # DAX's client changes it.
    except ClientError as error:
        response: Request = {**error.response}
        refusal: Request = {"Error": {name: response["Error"][name] for name in ("Code", "Message")}}
        reasons = response.get("CancellationReasons") or _reasons(getattr(error, "cancellation_reasons", None) or ())
        if reasons:
            refusal["CancellationReasons"] = [
                {name: value for name, value in reason.items() if value is not None} for reason in reasons
            ]
        return refusal
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def _reasons(flat: Sequence[Any]) -> list[Request]:
    """The reasons as DAX's client for Python has them, flat; it leaves items encoded."""
    threes = zip(flat[::3], flat[1::3], flat[2::3], strict=True)
    return [{"Code": code, "Message": message, "Item": item} for code, message, item in threes]


def _unordered(value: Any) -> Any:
    """A value with its sets and capacities in order, and with numbers in one form: DAX's client writes small ones in
    its own."""
    if isinstance(value, dict):
        if isinstance(number := value.get("N"), str) and len(value) == 1:
            return {"N": Decimal(number)}
        return {name: _set(name, member) if name in SETS else _unordered(member) for name, member in value.items()}
    if isinstance(value, list):
        if value and all(isinstance(one, dict) and "TableName" in one for one in value):
            value = sorted(value, key=lambda one: one["TableName"])
        return [_unordered(one) for one in value]
    return value


def _set(type_: str, members: list[Any]) -> list[Any]:
    return sorted(map(Decimal, members) if type_ == "NS" else members)


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
