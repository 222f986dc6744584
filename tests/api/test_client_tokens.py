"""How long a transaction's client token is remembered: the handlers over a store in memory, with a clock that is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.api.definitions import definition

from jedlik.api.client_tokens import ClientToken
from jedlik.api.context import Context, Region
from jedlik.api.operations import OPERATIONS
from jedlik.jobs import tokens
from jedlik.model import keys
from jedlik.model.errors import IdempotentParameterMismatchException
from jedlik.storage.lmdb import LmdbEngine

TEN_MINUTES = 600
START = 1_800_000_000.0
"""Seconds since the epoch, on the border of two intervals of ten minutes."""


class Store:
    """A region with one table, and its clock. Its requests run in the test's own loop."""

    def __init__(self, engine: LmdbEngine) -> None:
        self.now = START
        self.region = Region("us-east-1", "000000000000", engine, lambda: self.now, b"s" * 32)
        self.table = definition(TableName="counters")

    async def call(self, operation: str, **request: Any) -> Any:
        served = OPERATIONS[operation]
        return await served.handler(Context(self.region, "request"), served.validate(request))

    async def add(self, token: str, amount: int = 1) -> None:
        """Add to the counter, in a transaction with a client token."""
        update = {
            "TableName": "counters",
            "Key": {"p": {"S": "counter"}},
            "UpdateExpression": "ADD x :amount",
            "ExpressionAttributeValues": {":amount": {"N": str(amount)}},
        }
        await self.call("TransactWriteItems", TransactItems=[{"Update": update}], ClientRequestToken=token)

    async def count(self) -> int:
        answer = await self.call("GetItem", TableName="counters", Key={"p": {"S": "counter"}}, ProjectionExpression="x")
        return int(answer["Item"]["x"]["N"]) if "Item" in answer else 0

    async def records(self) -> int:
        """How many tokens are remembered."""
        return len(await self.region.engine.range(*keys.token_range(1 << 31), 10_000, 1 << 30))


Run = Callable[[Callable[[Store], Awaitable[None]]], None]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a test over a new store."""

    async def over_store(test: Callable[[Store], Awaitable[None]]) -> None:
        engine = LmdbEngine.open(tmp_path, durable=False)
        try:
            store = Store(engine)
            await store.call("CreateTable", **store.table)
            await test(store)
        finally:
            await engine.close()

    return lambda test: asyncio.run(over_store(test))


@pytest.mark.parametrize("begin", [0.0, 0.5, 599.5])
def test_a_token_is_remembered_for_ten_minutes(run: Run, begin: float) -> None:
    async def test(store: Store) -> None:
        store.now = START + begin
        await store.add("token")
        store.now = START + begin + TEN_MINUTES - 0.25
        await store.add("token")
        assert await store.count() == 1
        with pytest.raises(IdempotentParameterMismatchException):
            await store.add("token", amount=2)
        store.now = START + begin + TEN_MINUTES
        await store.add("token", amount=2)
        assert await store.count() == 3
        store.now = START + begin + 2 * TEN_MINUTES - 0.25
        await store.add("token", amount=2)
        assert await store.count() == 3

    run(test)


def test_a_replay_does_not_prolong_it(run: Run) -> None:
    async def test(store: Store) -> None:
        for minute in range(11):
            store.now = START + 60 * minute
            await store.add("token")
        assert await store.count() == 2

    run(test)


def test_a_replay_that_overtakes_the_request_is_the_one_that_counts(run: Run) -> None:
    async def test(store: Store) -> None:
        store.now = START + TEN_MINUTES + 1
        await store.add("token")
        store.now = START + TEN_MINUTES - 1
        await store.add("token")
        assert await store.count() == 1

    run(test)


def test_requests_at_once_are_done_once(run: Run) -> None:
    async def test(store: Store) -> None:
        await asyncio.gather(*(store.add("token") for _ in range(20)))
        assert await store.count() == 1

    run(test)


def test_only_the_transaction_must_be_the_same() -> None:
    key = {"TableName": "t", "Key": {"p": {"S": "a"}}}
    again = {"Key": {"p": {"S": "a"}}, "TableName": "t"}
    fingerprint = ClientToken.of("TransactWriteItems", "token", [{"Delete": key}], START).fingerprint
    assert ClientToken.of("TransactWriteItems", "token", [{"Delete": again}], START + 1).fingerprint == fingerprint
    assert ClientToken.of("TransactWriteItems", "token", [{"Get": key}], START).fingerprint != fingerprint


def test_each_operation_has_tokens_of_its_own() -> None:
    one = ClientToken.of("TransactWriteItems", "token", [], START)
    other = ClientToken.of("ExecuteTransaction", "token", [], START)
    assert set(one.keys).isdisjoint(other.keys)


def test_old_records_are_removed(run: Run) -> None:
    async def test(store: Store) -> None:
        for minutes in (0, 9, 11, 21):
            store.now = START + 60 * minutes
            await store.add(f"token {minutes}")
        assert await store.records() == 4
        assert not await tokens.remove_old(store.region)
        assert await store.records() == 2
        store.now = START + 60 * 20.5
        await store.add("token 11")
        assert await store.count() == 4

    run(test)


def test_many_old_records_are_removed_by_steps(run: Run) -> None:
    async def test(store: Store) -> None:
        await asyncio.gather(*(store.add(f"token {n}") for n in range(tokens.STEP_RECORDS + 10)))
        store.now = START + 3 * TEN_MINUTES
        assert await tokens.remove_old(store.region)
        assert await store.records() == 10
        assert not await tokens.remove_old(store.region)
        assert await store.records() == 0
        assert not await tokens.remove_old(store.region)

    run(test)
