"""Clients that write until the server dies, and know which items must be there afterwards.

Each writer has its own items, so it knows the effect of every acknowledged request, and what an unanswered request
would have done. Its items must be in one of these two states, and a request has taken effect entirely or not at all.
The whole of an item follows from its key and its version, so damage to an item is always noticed. One more item, a
counter, is shared by all. Some items are born expired: they may disappear at any time.

A writer whose worker died, or that got an error, is in doubt until it has read the item. It writes first: if a process
was killed at the very end of a commit, LMDB shows that commit only when the next one takes the lock.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol
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
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}
EXPIRY = {"TableName": TABLE, "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True}}
COUNTER = {"owner": {"S": "everybody"}, "number": {"N": "0"}}

WRITERS = 6
AT_A_TIME = (1, 2, WRITERS)
"""The number that write at a time: a worker with a single client makes its commits itself."""
ITEMS = 20
"""Items of one writer: few, so that they are written, deleted and written again."""
FLEETING = range(1000, 1005)
"""Numbers of a writer's items that are born expired."""
FENCE = 2000
"""The number of the item that a writer in doubt writes before it reads."""
GROUPS = 7
BATCH = 5
TOGETHER = 3
"""Items of a transaction."""
NEVER = -1
"""The version that only requests write which must be refused."""
LONG_AGO = 1_700_000_000
"""The time at which items born expired have expired, in seconds since the epoch. Time to live looks back five years."""
ANSWER_SECONDS = 20.0
DOUBT_SECONDS = 60.0
"""How long a writer in doubt keeps asking."""
ASK_AGAIN_SECONDS = 0.05

Item = dict[str, dict[str, str]]
Version = int | None
"""The version of an item; None for a missing one."""


def key(owner: str, number: int) -> Item:
    """The key of a writer's item."""
    return {"owner": {"S": owner}, "number": {"N": str(number)}}


def item(owner: str, number: int, version: int) -> Item:
    """The item of a version. Some are in one index, some in the other, some in both or neither."""
    whole = {**key(owner, number), "version": {"N": str(version)}, "payload": {"S": "x" * (version % 300)}}
    if number in FLEETING:
        return whole | {"expires": {"N": str(LONG_AGO + version)}}
    if version % 4:
        whole["group"] = {"S": f"group {version % GROUPS}"}
    if version % 3:
        whole["rank"] = {"N": str(version % 50)}
    if version % 40 == 0:
        whole["payload"] = {"S": "x" * 20_000}  # More than one page holds.
    return whole


def some(writers: list[Writer], random: Random) -> list[Writer]:
    """Those that write at a time."""
    return random.sample(writers, random.choice(AT_A_TIME))


class Client:
    """One connection. Nothing is retried."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=ANSWER_SECONDS)

    def call(self, operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The answer's status and body. Raises OSError or HTTPException if no answer comes."""
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

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        self._connection.close()


class Recording(Protocol):
    """A recording of a server's writes."""

    @property
    def position(self) -> int:
        """How long it is now."""
        ...


@dataclass(slots=True, eq=False)
class Change:
    """A request that writes."""

    sent: int
    """The length of the recording before the request was sent."""
    effects: dict[int, Version]
    """The resulting items, by their numbers."""
    adds: int = 0
    """What it adds to the counter."""
    settled: int | None = None
    """The length of the recording when the outcome was known; None as long as it is in doubt."""
    done: bool = False
    """The outcome."""
    refused: bool = False
    """Whether it was answered with a fault, after which it must not take effect."""


@dataclass(slots=True, eq=False)
class Writer:
    """Writes random requests to its own items and the counter, one at a time, across the server's lives."""

    owner: str
    random: Random
    recording: Recording | None = None
    """Gives the place of the recording of the disk (`disk.Disk`), if there is one."""
    faults: bool = False
    """Whether an InternalServerError is expected: then it leaves a writer in doubt, and is no surprise."""
    sure: bool = True
    """Whether a request answered with one surely has no effect; if the committing process died, it may have one."""
    acknowledged: dict[int, Version] = field(default_factory=lambda: dict.fromkeys([*range(ITEMS), *FLEETING]))
    """Every item, by its number, as it is if the requests in doubt had no effect."""
    doubt: Change | None = None
    """The last request, if it was not answered."""
    counted: int = 0
    """Acknowledged additions to the counter since its last reading."""
    doubtful: int = 0
    """Additions to the counter that are in doubt, since then."""
    history: list[Change] = field(default_factory=list)
    """The requests in order, while there is a recording."""
    answers: int = 0
    refused: int = 0
    """Requests that were answered with a fault."""
    surprise: str | None = None
    """An answer that should not have been given."""
    _version: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def start(self, url: str) -> threading.Thread:
        """Write until the server is gone, or until `stop`."""
        self._stop.clear()
        thread = threading.Thread(target=self._write, args=(Client(url),), name=self.owner, daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        """Finish the write under way, and make no more."""
        self._stop.set()

    def settle(self, found: dict[int, Version]) -> None:
        """Record the items, by number, as they were found. Notes a surprise if they are impossible."""
        doubt, self.doubt = self.doubt, None
        acknowledged = self.acknowledged
        possible = acknowledged | (doubt.effects if doubt else {})
        done = [number for number in found if possible[number] == found[number] != acknowledged[number]]
        left = [number for number in found if possible[number] != found[number] == acknowledged[number]]
        for number, version in found.items():
            expired = number in FLEETING and version is None
            if version not in (acknowledged[number], possible[number]) and not expired:
                self.surprise = f"{self.owner} {number} is {version}: {acknowledged[number]} was acknowledged, " + (
                    f"{possible[number]} in doubt" if doubt else "nothing in doubt"
                )
        if [number for number in done if number not in FLEETING] and left:
            self.surprise = f"{self.owner}: of one request, {done} were done and {left} were not"
        acknowledged.update(found)
        if doubt is not None and (done or left):
            doubt.settled, doubt.done = self._position(), bool(done)
            if not doubt.refused:
                self.doubtful -= doubt.adds
                self.counted += doubt.adds * doubt.done
            elif done:
                self.surprise = f"{self.owner}: {done} were written by a request that was refused"

    def _position(self) -> int:
        return self.recording.position if self.recording is not None else 0

    def _write(self, client: Client) -> None:
        kinds = [
            *[self._put] * 4,
            *[self._update] * 3,
            *[self._delete] * 2,
            *[self._batch] * 2,
            *[self._transact] * 2,
            *[self._count] * 2,
            self._put_expired,
            self._refused,
            self._refused_transaction,
        ]
        while self.surprise is None and not self._stop.is_set():
            try:
                if self.doubt is not None:
                    self._look(client)
                self.random.choice(kinds)(client)
                self.answers += 1
            except ConnectionRefusedError:
                return
            except (OSError, http.client.HTTPException):
                client.close()

    # What it writes

    def _put(self, client: Client) -> None:
        number, version = self._new()
        self._send(
            client, "PutItem", {"TableName": TABLE, "Item": item(self.owner, number, version)}, {number: version}
        )

    def _put_expired(self, client: Client) -> None:
        number, version = self.random.choice(FLEETING), self._next_version()
        self._send(
            client, "PutItem", {"TableName": TABLE, "Item": item(self.owner, number, version)}, {number: version}
        )

    def _update(self, client: Client) -> None:
        number, version = self._new()
        self._send(client, "UpdateItem", self._conditional_update(number, version), {number: version})

    def _delete(self, client: Client) -> None:
        number = self.random.randrange(ITEMS)
        self._send(client, "DeleteItem", {"TableName": TABLE, "Key": key(self.owner, number)}, {number: None})

    def _batch(self, client: Client) -> None:
        requests: list[dict[str, Any]] = []
        effects: dict[int, Version] = {}
        for number in self.random.sample(range(ITEMS), BATCH):
            if self.random.random() < 0.3:
                effects[number] = None
                requests.append({"DeleteRequest": {"Key": key(self.owner, number)}})
            else:
                effects[number] = self._next_version()
                requests.append({"PutRequest": {"Item": item(self.owner, number, self._version)}})
        self._send(client, "BatchWriteItem", {"RequestItems": {TABLE: requests}}, effects)

    def _transact(self, client: Client) -> None:
        updated, deleted, *put = self.random.sample(range(ITEMS), TOGETHER)
        effects: dict[int, Version] = {updated: self._next_version(), deleted: None}
        elements: list[dict[str, Any]] = [
            {"Update": self._conditional_update(updated, self._version)},
            {"Delete": {"TableName": TABLE, "Key": key(self.owner, deleted)}},
            {"Update": self._addition()},
        ]
        for number in put:
            effects[number] = self._next_version()
            elements.append({"Put": {"TableName": TABLE, "Item": item(self.owner, number, self._version)}})
        self._send(client, "TransactWriteItems", {"TransactItems": elements}, effects, adds=1)

    def _count(self, client: Client) -> None:
        self._send(client, "UpdateItem", self._addition(), {}, adds=1)

    def _refused(self, client: Client) -> None:
        request = self._impossible(self.random.randrange(ITEMS))
        self._expect_refusal(client, "PutItem", request, "The conditional request failed")

    def _refused_transaction(self, client: Client) -> None:
        impossible, put = self.random.sample(range(ITEMS), 2)
        elements = [
            {"Put": {"TableName": TABLE, "Item": item(self.owner, put, self._next_version())}},
            {"Update": self._addition()},
            {"Put": self._impossible(impossible)},
        ]
        text = (
            "Transaction cancelled, please refer cancellation reasons for specific reasons "
            "[None, None, ConditionalCheckFailed]"
        )
        self._expect_refusal(client, "TransactWriteItems", {"TransactItems": elements}, text)

    # What requests are made of

    def _conditional_update(self, number: int, version: int) -> dict[str, Any]:
        """Put a version of an item, on the condition that the item is as known."""
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
        return {
            "TableName": TABLE,
            "Key": key(self.owner, number),
            "UpdateExpression": update,
            "ConditionExpression": "attribute_not_exists(#version)" if known is None else "#version = :known",
            "ExpressionAttributeNames": {f"#{name}": name for name in wanted + unwanted},
            "ExpressionAttributeValues": values,
        }

    def _addition(self) -> dict[str, Any]:
        return {
            "TableName": TABLE,
            "Key": COUNTER,
            "UpdateExpression": "ADD hits :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }

    def _impossible(self, number: int) -> dict[str, Any]:
        """A put whose condition is never met."""
        return {
            "TableName": TABLE,
            "Item": key(self.owner, number) | {"version": {"N": str(NEVER)}, "group": {"S": "group 1"}},
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": {":version": {"N": str(NEVER)}},
        }

    def _new(self) -> tuple[int, int]:
        return self.random.randrange(ITEMS), self._next_version()

    def _next_version(self) -> int:
        self._version += 1
        return self._version

    # How a request is sent, and its outcome

    def _send(
        self, client: Client, operation: str, request: dict[str, Any], effects: dict[int, Version], adds: int = 0
    ) -> None:
        self.doubt = change = Change(self._position(), effects, adds)
        if self.recording is not None:
            self.history.append(change)
        self.doubtful += adds
        status, answer = client.call(operation, request)
        if status == 500 and self.faults:
            self.refused += 1
            change.refused = self.sure
            self.doubtful -= adds * self.sure
            return
        self.doubt = None
        change.settled, change.done = self._position(), True
        if status != 200 or answer.get("UnprocessedItems"):
            self.surprise = f"{self.owner}: {operation} of {effects} answered {status} {answer}"
        self.acknowledged.update(effects)
        self.doubtful -= adds
        self.counted += adds

    def _expect_refusal(self, client: Client, operation: str, request: dict[str, Any], text: str) -> None:
        status, answer = client.call(operation, request)
        told = answer.get("message", answer.get("Message"))
        if (status, told) != (400, text) and not (status == 500 and self.faults):
            self.surprise = f"a {operation} that had to be refused answered {status} {answer}"

    def _look(self, client: Client) -> None:
        """Find out whether the request in doubt took effect. Raises OSError or HTTPException if that fails."""
        assert self.doubt is not None
        deadline = time.monotonic() + DOUBT_SECONDS
        while not self._fence(client):
            if time.monotonic() > deadline:
                self.surprise = f"no write was possible for {DOUBT_SECONDS} s"
                return
            time.sleep(ASK_AGAIN_SECONDS)
        found: dict[int, Version] = {}
        for number in self.doubt.effects:
            request = {"TableName": TABLE, "Key": key(self.owner, number), "ConsistentRead": True}
            status, answer = client.call("GetItem", request)
            if status != 200:
                self.surprise = f"GetItem answered {status} {answer}"
                return
            found[number] = int(answer["Item"]["version"]["N"]) if "Item" in answer else None
        self.settle(found)

    def _fence(self, client: Client) -> bool:
        """Write something new, because writing a present value takes no lock. Returns whether that was possible."""
        fence = {"TableName": TABLE, "Item": key(self.owner, FENCE) | {"version": {"N": str(self._next_version())}}}
        status, answer = client.call("PutItem", fence)
        if status == 500 and self.faults:
            self.refused += 1
        elif status != 200:
            self.surprise = f"PutItem answered {status} {answer}"
        return status == 200 or self.surprise is not None
