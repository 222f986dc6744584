"""Clients read and write the same items at once, over two workers, one of which is killed. Their observations must be
possible for clients that come one after the other."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from testing.jedlik_process import Server, eventually
from testing.serializability import NotSerializable, Seen, Transaction, replay, serial_order

CLIENTS = 6
TRANSACTIONS = 1000
"""The least that are recorded, half of them before a worker is killed."""
GROUP = 60
"""Consecutive transactions about the same items. Lists stay short that way."""
ITEMS = 4
"""Items of a group: few, so that transactions meet."""
NOT_DONE = {"TransactionCanceledException", "ConditionalCheckFailedException"}
"""Errors of requests that have surely written nothing."""
APPEND = "SET writers = list_append(if_not_exists(writers, :none), :me)"


class Recorder:
    """One client. It makes random transactions and records those that may have taken effect."""

    def __init__(self, client: Any, table: str, numbers: Iterable[int], seed: int) -> None:
        self.history: list[Transaction] = []
        self.processes: set[str] = set()
        """Distinguishes the workers that have answered: the constant part of their request ids."""
        self._client = client
        self._table = table
        self._numbers = iter(numbers)
        self._chance = random.Random(seed)

    def run(self, over: threading.Event) -> None:
        kinds = (self._get, self._batch_get, self._append, self._append_to_one, self._append_to_what_was_read)
        while not over.is_set():
            number = next(self._numbers)
            items = [f"{number // GROUP}.{n}" for n in self._chance.sample(range(ITEMS), self._chance.randint(1, 3))]
            self._chance.choice(kinds)(number, items)

    def read_all(self, groups: int) -> None:
        """Read every item of the first groups."""
        for group in range(groups):
            self._get(next(self._numbers), [f"{group}.{n}" for n in range(ITEMS)])

    def _get(self, number: int, items: Iterable[str]) -> Mapping[str, Seen]:
        gets = [{"Get": {"TableName": self._table, "Key": {"p": {"S": item}}}} for item in items]

        def reads(answer: Any) -> dict[str, Seen]:
            return {item: _seen(each.get("Item")) for item, each in zip(items, answer["Responses"], strict=True)}

        return self._do(number, self._client.transact_get_items, {"TransactItems": gets}, reads)

    def _batch_get(self, number: int, items: Iterable[str]) -> None:
        """DynamoDB does not promise that a BatchGetItem is a transaction, but we do."""
        asked = {"Keys": [{"p": {"S": item}} for item in items], "ConsistentRead": True}

        def reads(answer: Any) -> dict[str, Seen]:
            found = {each["p"]["S"]: each for each in answer["Responses"][self._table]}
            return {item: _seen(found.get(item)) for item in items}

        self._do(number, self._client.batch_get_item, {"RequestItems": {self._table: asked}}, reads)

    def _append(self, number: int, items: Iterable[str]) -> None:
        updates = [self._update(number, item) for item in items]
        self._do(number, self._client.transact_write_items, {"TransactItems": updates}, lambda _: {}, items)

    def _append_to_one(self, number: int, items: Iterable[str]) -> None:
        """A write that is no transaction, and returns the item before it."""
        [item, *_] = items

        def reads(answer: Any) -> dict[str, Seen]:
            return {item: _seen(answer["Attributes"])[:-1]}

        update = self._update(number, item)["Update"] | {"ReturnValues": "ALL_NEW"}
        self._do(number, self._client.update_item, update, reads, [item])

    def _append_to_what_was_read(self, number: int, items: Iterable[str]) -> None:
        """Read, and write some of it on the condition that nothing has changed."""
        seen = self._get(number, items)
        number = next(self._numbers)
        appended = [item for item in seen if self._chance.random() < 0.6]
        elements = []
        for item, content in seen.items():
            element = self._update(number, item) if item in appended else self._check(item)
            [members] = element.values()
            members["ConditionExpression"] = "size(writers) = :version" if content else "attribute_not_exists(writers)"
            if content:
                values = members.setdefault("ExpressionAttributeValues", {})
                values[":version"] = {"N": str(len(content))}
            elements.append(element)
        if elements:
            request = {"TransactItems": elements}
            self._do(number, self._client.transact_write_items, request, lambda _: seen, appended, seen)

    def _update(self, number: int, item: str) -> dict[str, Any]:
        values = {":none": {"L": []}, ":me": {"L": [{"N": str(number)}]}}
        members = {"TableName": self._table, "Key": {"p": {"S": item}}, "UpdateExpression": APPEND}
        return {"Update": members | {"ExpressionAttributeValues": values}}

    def _check(self, item: str) -> dict[str, Any]:
        return {"ConditionCheck": {"TableName": self._table, "Key": {"p": {"S": item}}}}

    def _do(
        self,
        number: int,
        call: Callable[..., Any],
        request: dict[str, Any],
        reads: Callable[[Any], Mapping[str, Seen]],
        appends: Iterable[str] = (),
        known: Mapping[str, Seen] | None = None,
    ) -> Mapping[str, Seen]:
        """Send a transaction and record it. Returns what it has read, or nothing if it had no effect.

        `known` is what it reads if it takes effect, where that is certain beforehand.
        """
        start = time.monotonic()
        try:
            answer = call(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] not in NOT_DONE:
                raise
            return {}
        except BotoCoreError:
            if appends:
                self.history.append(Transaction(number, start, reads=known or {}, appends=frozenset(appends)))
            return {}
        end = time.monotonic()
        seen = reads(answer)
        self.history.append(Transaction(number, start, end, seen, frozenset(appends)))
        self.processes.add(answer["ResponseMetadata"]["RequestId"][:-16])
        return seen


def _seen(item: dict[str, Any] | None) -> Seen:
    return () if item is None else tuple(int(each["N"]) for each in item["writers"]["L"])


def create_table(client: Any) -> str:
    client.create_table(
        TableName="lists",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return "lists"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in /proc")
def test_a_serial_order_explains_what_clients_see(start_server: Callable[..., Server]) -> None:
    server = start_server(workers=2)
    table = create_table(server.client())
    numbers = itertools.count(1)
    recorders = [Recorder(server.client(), table, numbers, seed) for seed in range(CLIENTS)]
    over = threading.Event()

    def recorded() -> int:
        return sum(len(recorder.history) for recorder in recorders)

    with ThreadPoolExecutor(CLIENTS) as threads:
        running = [threads.submit(recorder.run, over) for recorder in recorders]
        try:
            eventually(lambda: recorded() > TRANSACTIONS / 2)
            os.kill(min(server.workers()), signal.SIGKILL)
            eventually(lambda: recorded() > TRANSACTIONS)
        finally:
            over.set()
        for each in running:
            each.result()
    recorders[0].read_all(next(numbers) // GROUP + 1)

    history = [transaction for recorder in recorders for transaction in recorder.history]
    replay(serial_order(history), history)
    assert len(set().union(*(recorder.processes for recorder in recorders))) >= 2
    assert sum(len(transaction.appends) > 1 for transaction in history) > TRANSACTIONS / 50

    with pytest.raises(NotSerializable):
        serial_order(with_a_stale_read(history))


def with_a_stale_read(history: Sequence[Transaction]) -> list[Transaction]:
    """The history with a read that misses a write which had ended before it began."""
    ends = {transaction.number: transaction.end for transaction in history}
    for position, transaction in enumerate(history):
        for item, content in transaction.reads.items():
            if content and ends[content[-1]] < transaction.start:
                wrong = replace(transaction, reads={**transaction.reads, item: content[:-1]})
                return [*history[:position], wrong, *history[position + 1 :]]
    raise AssertionError("nobody has read what was written before")
