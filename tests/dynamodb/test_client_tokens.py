"""How long a transaction's client token is remembered: handlers over a store in memory, and a clock that the test
sets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from jedlik.clock import TrustedClock
from jedlik.dynamodb.errors import IdempotentParameterMismatchException
from jedlik.dynamodb.items import old_tokens
from jedlik.dynamodb.items.client_tokens import ClientToken
from jedlik.dynamodb.model import keys
from testing import jobs
from testing.dynamodb.definitions import definition
from testing.dynamodb.handlers import START, Handlers, run

TEN_MINUTES = 600


def at(now: float) -> TrustedClock:
    """A clock that stands still."""
    return TrustedClock(lambda: now)


class Counter:
    """An item that counts, in transactions with client tokens. The clock starts on the border of two intervals."""

    def __init__(self, handlers: Handlers) -> None:
        assert START % TEN_MINUTES == 0
        self.handlers = handlers
        self.key = {"p": {"S": "counter"}}

    def wait_until(self, seconds: float) -> None:
        """Set the clock to this number of seconds after the start."""
        self.handlers.now = START + seconds

    async def add(self, token: str, amount: int = 1) -> None:
        update = {
            "TableName": "counters",
            "Key": self.key,
            "UpdateExpression": "ADD x :amount",
            "ExpressionAttributeValues": {":amount": {"N": str(amount)}},
        }
        await self.handlers.call("TransactWriteItems", TransactItems=[{"Update": update}], ClientRequestToken=token)

    async def count(self) -> int:
        answer = await self.handlers.call("GetItem", TableName="counters", Key=self.key, ProjectionExpression="x")
        return int(answer["Item"]["x"]["N"])

    async def remove_old(self) -> bool:
        return await old_tokens.remove_old(self.handlers.region)

    async def records(self) -> int:
        """The number of remembered tokens."""
        return len(await self.handlers.region.engine.range(*keys.token_range(1 << 31), 10_000, 1 << 30))


Run = Callable[[Callable[[Counter], Awaitable[None]]], None]


@pytest.fixture
def with_counter(tmp_path: Path) -> Run:
    """Runs a test over a new counter."""

    def run_test(test: Callable[[Counter], Awaitable[None]]) -> None:
        async def with_table(handlers: Handlers) -> None:
            await handlers.call("CreateTable", **definition(TableName="counters"))
            await test(Counter(handlers))

        run(tmp_path, with_table)

    return run_test


@pytest.mark.parametrize("begin", [0.0, 0.5, 599.5])
def test_a_token_is_remembered_for_ten_minutes(with_counter: Run, begin: float) -> None:
    async def test(counter: Counter) -> None:
        counter.wait_until(begin)
        await counter.add("token")
        counter.wait_until(begin + TEN_MINUTES - 0.25)
        await counter.add("token")
        assert await counter.count() == 1
        with pytest.raises(IdempotentParameterMismatchException):
            await counter.add("token", amount=2)
        counter.wait_until(begin + TEN_MINUTES)
        await counter.add("token", amount=2)
        assert await counter.count() == 3
        counter.wait_until(begin + 2 * TEN_MINUTES - 0.25)
        await counter.add("token", amount=2)
        assert await counter.count() == 3

    with_counter(test)


def test_a_replay_does_not_prolong_it(with_counter: Run) -> None:
    async def test(counter: Counter) -> None:
        for minute in range(11):
            counter.wait_until(60 * minute)
            await counter.add("token")
        assert await counter.count() == 2

    with_counter(test)


def test_a_replay_that_overtakes_the_request_is_the_one_that_counts(with_counter: Run) -> None:
    async def test(counter: Counter) -> None:
        counter.wait_until(TEN_MINUTES + 1)
        await counter.add("token")
        counter.wait_until(TEN_MINUTES - 1)
        await counter.add("token")
        assert await counter.count() == 1

    with_counter(test)


def test_requests_at_once_are_done_once(with_counter: Run) -> None:
    async def test(counter: Counter) -> None:
        await asyncio.gather(*(counter.add("token") for _ in range(20)))
        assert await counter.count() == 1

    with_counter(test)


def test_a_table_that_is_created_again_has_not_seen_the_token(with_counter: Run) -> None:
    async def test(counter: Counter) -> None:
        await counter.add("token")
        await counter.add("another")
        await counter.handlers.call("DeleteTable", TableName="counters")
        await counter.handlers.call("CreateTable", **definition(TableName="counters"))
        await counter.add("token")
        assert await counter.count() == 1
        await counter.add("token")
        assert await counter.count() == 1
        await counter.add("another", amount=2)
        assert await counter.count() == 3

    with_counter(test)


def test_a_token_outlives_a_change_of_its_table(with_counter: Run) -> None:
    async def test(counter: Counter) -> None:
        await counter.add("token")
        await counter.handlers.call("UpdateTable", TableName="counters", DeletionProtectionEnabled=True)
        await counter.add("token")
        assert await counter.count() == 1
        with pytest.raises(IdempotentParameterMismatchException):
            await counter.add("token", amount=2)

    with_counter(test)


def test_only_the_transaction_must_be_the_same() -> None:
    key = {"TableName": "t", "Key": {"p": {"S": "a"}}}
    again = {"Key": {"p": {"S": "a"}}, "TableName": "t"}
    fingerprint = ClientToken.of("TransactWriteItems", "token", [{"Delete": key}], at(START)).fingerprint
    assert ClientToken.of("TransactWriteItems", "token", [{"Delete": again}], at(START + 1)).fingerprint == fingerprint
    assert ClientToken.of("TransactWriteItems", "token", [{"Get": key}], at(START)).fingerprint != fingerprint


def test_each_operation_has_tokens_of_its_own() -> None:
    one = ClientToken.of("TransactWriteItems", "token", [], at(START))
    other = ClientToken.of("ExecuteTransaction", "token", [], at(START))
    assert set(one.keys).isdisjoint(other.keys)


def test_old_records_are_removed(with_counter: Run) -> None:
    async def test(counter: Counter) -> None:
        for minutes in (0, 9, 11, 21):
            counter.wait_until(60 * minutes)
            await counter.add(f"token {minutes}")
        assert await counter.records() == 4
        assert not await counter.remove_old()
        assert await counter.records() == 2
        counter.wait_until(60 * 20.5)
        await counter.add("token 11")
        assert await counter.count() == 4

    with_counter(test)


def test_many_old_records_are_removed_by_steps(with_counter: Run) -> None:
    async def test(counter: Counter) -> None:
        await asyncio.gather(*(counter.add(f"token {n}") for n in range(old_tokens.STEP_RECORDS + 10)))
        counter.wait_until(3 * TEN_MINUTES)
        assert await counter.remove_old()
        assert await counter.records() == 10
        assert not await counter.remove_old()
        assert await counter.records() == 0
        assert not await counter.remove_old()

    with_counter(test)


def test_a_server_removes_them_again_and_again() -> None:
    assert old_tokens.remove_old in [duty.run for duty in jobs.WORK.duties]
