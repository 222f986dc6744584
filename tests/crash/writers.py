"""Clients that write until the server dies, and then know what must be there.

Each writer has items of its own, so it knows what every acknowledged request left, and what a request that was cut off
would have left: those are the only two things that an item may be found to be. All of an item follows from its key and
its version, so an item that is not whole cannot go unnoticed. One more item, a counter, is everybody's.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import urlsplit

TABLE = "crash"
BY_GROUP = "by-group"
BY_RANK = "by-rank"
ATTRIBUTES = [
    {"AttributeName": "owner", "AttributeType": "S"},
    {"AttributeName": "number", "AttributeType": "N"},
    {"AttributeName": "group", "AttributeType": "S"},
    {"AttributeName": "version", "AttributeType": "N"},
    {"AttributeName": "rank", "AttributeType": "N"},
]
GLOBAL_INDEXES = [
    {
        "IndexName": BY_GROUP,
        "KeySchema": [
            {"AttributeName": "group", "KeyType": "HASH"},
            {"AttributeName": "version", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "ALL"},
    }
]
LOCAL_INDEXES = [
    {
        "IndexName": BY_RANK,
        "KeySchema": [
            {"AttributeName": "owner", "KeyType": "HASH"},
            {"AttributeName": "rank", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }
]
DEFINITION = {
    "TableName": TABLE,
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": ATTRIBUTES,
    "KeySchema": [
        {"AttributeName": "owner", "KeyType": "HASH"},
        {"AttributeName": "number", "KeyType": "RANGE"},
    ],
    "GlobalSecondaryIndexes": GLOBAL_INDEXES,
    "LocalSecondaryIndexes": LOCAL_INDEXES,
}
COUNTER = {"owner": {"S": "everybody"}, "number": {"N": "0"}}

WRITERS = 6
ITEMS = 20
"""Items of one writer: few, so that they are written, deleted and written again."""
GROUPS = 7
BATCH = 5
NEVER = -1
"""The version of what is only ever written by requests that must be refused."""
ANSWER_SECONDS = 20.0

Item = dict[str, dict[str, str]]
Version = int | None
"""Of an item; None when there is none."""


def key(owner: str, number: int) -> Item:
    """The key of a writer's item."""
    return {"owner": {"S": owner}, "number": {"N": str(number)}}


def item(owner: str, number: int, version: int) -> Item:
    """The item that a version is. Some are in one index, some in the other, some in both or neither."""
    whole = {**key(owner, number), "version": {"N": str(version)}, "payload": {"S": "x" * (version % 300)}}
    if version % 4:
        whole["group"] = {"S": f"group {version % GROUPS}"}
    if version % 3:
        whole["rank"] = {"N": str(version % 50)}
    return whole


class Client:
    """One connection. Nothing is retried."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_SECONDS)

    def call(self, operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer. Raises OSError or HTTPException when there is none."""
        headers = {
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Date": "20261123T000000Z",
            "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261123/us-east-1/dynamodb/aws4_request, "
            f"SignedHeaders=host;x-amz-date;x-amz-target, Signature={'0' * 64}",
        }
        self._connection.request("POST", "/", json.dumps(request), headers)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())


class Writer:
    """Writes at random to its own items and the counter, one request at a time, across the server's lives."""

    def __init__(self, owner: str, random: Random) -> None:
        self.owner = owner
        self._random = random
        self._version = 0
        self._kinds: list[Callable[[], None]] = [
            *[self._put] * 4,
            *[self._update] * 3,
            *[self._delete] * 2,
            *[self._batch] * 2,
            *[self._count] * 2,
            self._refused,
        ]
        self.acknowledged: dict[int, Version] = dict.fromkeys(range(ITEMS))
        """What every item is, by its number, if only what was acknowledged was done."""
        self.in_flight: dict[int, Version] = {}
        """What those items are that the request that was cut off would have written, if it was done."""
        self.counted = 0
        """Acknowledged additions to the counter."""
        self.counting = False
        """Whether the request that was cut off was one."""
        self.answers = 0
        self.surprise: str | None = None
        """An answer that should not have been given."""

    def start(self, url: str) -> threading.Thread:
        """Write until there is no answer."""
        thread = threading.Thread(target=self._write, args=(url,), name=self.owner, daemon=True)
        thread.start()
        return thread

    def _write(self, url: str) -> None:
        self._client = Client(url)
        try:
            while self.surprise is None:
                self._random.choice(self._kinds)()
                self.answers += 1
        except (OSError, http.client.HTTPException):
            return

    def _put(self) -> None:
        number, version = self._new()
        self._send("PutItem", {"TableName": TABLE, "Item": item(self.owner, number, version)}, {number: version})

    def _update(self) -> None:
        number, version = self._new()
        new = item(self.owner, number, version)
        wanted = [name for name in ("version", "payload", "group", "rank") if name in new]
        unwanted = [name for name in ("group", "rank") if name not in new]
        known = self.acknowledged[number]
        values = {f":{name}": new[name] for name in wanted}
        if known is not None:
            values[":known"] = {"N": str(known)}
        update = "SET " + ", ".join(f"#{name} = :{name}" for name in wanted)
        if unwanted:
            update += " REMOVE " + ", ".join(f"#{name}" for name in unwanted)
        request = {
            "TableName": TABLE,
            "Key": key(self.owner, number),
            "UpdateExpression": update,
            "ConditionExpression": "attribute_not_exists(#version)" if known is None else "#version = :known",
            "ExpressionAttributeNames": {f"#{name}": name for name in wanted + unwanted},
            "ExpressionAttributeValues": values,
        }
        self._send("UpdateItem", request, {number: version})

    def _delete(self) -> None:
        number = self._random.randrange(ITEMS)
        self._send("DeleteItem", {"TableName": TABLE, "Key": key(self.owner, number)}, {number: None})

    def _batch(self) -> None:
        requests: list[dict[str, Any]] = []
        effects: dict[int, Version] = {}
        for number in self._random.sample(range(ITEMS), BATCH):
            if self._random.random() < 0.3:
                effects[number] = None
                requests.append({"DeleteRequest": {"Key": key(self.owner, number)}})
            else:
                effects[number] = self._next_version()
                requests.append({"PutRequest": {"Item": item(self.owner, number, self._version)}})
        self._send("BatchWriteItem", {"RequestItems": {TABLE: requests}}, effects)

    def _count(self) -> None:
        request = {
            "TableName": TABLE,
            "Key": COUNTER,
            "UpdateExpression": "ADD hits :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
        self.counting = True
        self._send("UpdateItem", request, {})
        self.counting = False
        self.counted += 1

    def _refused(self) -> None:
        number = self._random.randrange(ITEMS)
        request = {
            "TableName": TABLE,
            "Item": key(self.owner, number) | {"version": {"N": str(NEVER)}, "group": {"S": "group 1"}},
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": {":version": {"N": str(NEVER)}},
        }
        status, answer = self._client.call("PutItem", request)
        if (status, answer.get("message")) != (400, "The conditional request failed"):
            self.surprise = f"a PutItem that had to be refused answered {status} {answer}"

    def _send(self, operation: str, request: dict[str, Any], effects: dict[int, Version]) -> None:
        self.in_flight = effects
        status, answer = self._client.call(operation, request)
        self.in_flight = {}
        if status != 200 or answer.get("UnprocessedItems"):
            self.surprise = f"{operation} answered {status} {answer}"
        else:
            self.acknowledged.update(effects)

    def _new(self) -> tuple[int, int]:
        return self._random.randrange(ITEMS), self._next_version()

    def _next_version(self) -> int:
        self._version += 1
        return self._version
