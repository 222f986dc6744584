"""A server whose clock jumps: nothing is deleted that should stay, and nothing is done twice.

The clocks are those of `torture.clocks`: a library between the server and the C library.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jedlik import timekeeping
from jedlik.regions import keyspaces
from jedlik.storage.engine import Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from testing.data_folders import store_in
from testing.jedlik_process import Server, run_jedlik
from torture.clocks import Clocks
from torture.disk import NoCompiler

HOUR, DAY, YEAR = 3600, 86_400, 365 * 86_400
TABLE = "jumps"
ITEMS = 3
DOUBTED = "the clock is doubted: nothing is expired or trimmed"
TRUSTED = "the clock is trusted again: expiry and trimming go on"
WRONG_SECONDS = 2.0
"""How long a clock is wrong, in seconds: long enough for several sweeps and trimmings."""
SECONDS = 60.0


class Jumping:
    """A server with a table whose items have an hour to live, and the clocks of its machine."""

    def __init__(self, folder: Path) -> None:
        self.clocks = Clocks(folder / "clocks")
        self.server = Server(
            folder / "log",
            self.clocks.environment,
            data_dir=folder / "data",
            workers=2,
            expiry_interval=0.1,
            stream_rotation=1.0,
        )
        self.client = self.server.client()
        self.client.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"},
        )
        self.client.get_waiter("table_exists").wait(TableName=TABLE, WaiterConfig={"Delay": 1})
        self.client.update_time_to_live(
            TableName=TABLE, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
        )
        for number in range(ITEMS):
            until = {"N": str(int(self.clocks.now()) + HOUR)}
            self.client.put_item(TableName=TABLE, Item={"p": {"S": str(number)}, "until": until})

    def items(self) -> int:
        return int(self.client.scan(TableName=TABLE, Select="COUNT", ConsistentRead=True)["Count"])

    def records(self) -> int:
        """The number of records of puts in the table's stream."""
        client = self.server.client("dynamodbstreams")
        [stream] = client.list_streams(TableName=TABLE)["Streams"]
        arn, found = stream["StreamArn"], 0
        for shard in client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            start = {"ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = client.get_shard_iterator(StreamArn=arn, **start)["ShardIterator"]
            answer = client.get_records(ShardIterator=iterator)
            found += sum(record["eventName"] == "INSERT" for record in answer["Records"])
        return found

    def add(self, token: str) -> int:
        """Add one in a transaction with a client token. Returns the resulting number."""
        key = {"p": {"S": "counter"}}
        update = {
            "TableName": TABLE,
            "Key": key,
            "UpdateExpression": "ADD hits :one",
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }
        self.client.transact_write_items(TransactItems=[{"Update": update}], ClientRequestToken=token)
        return int(self.client.get_item(TableName=TABLE, Key=key)["Item"]["hits"]["N"])

    def logged(self, message: str, times: int = 1) -> dict[str, Any]:
        """The line of the log, when it has appeared this many times."""
        until(lambda: len(self._lines(message)) >= times, f"the log does not say {message!r} {times} times")
        lines = self._lines(message)
        assert len(lines) == times, lines
        return lines[-1]

    def clock_line(self) -> str:
        """What `jedlik stats` reports about the clock."""
        printed = run_jedlik("stats", "--data-dir", str(self.server.options["data_dir"])).stdout
        [line] = [line for line in printed.splitlines() if line.startswith("us-east-1: clock: ")]
        return line

    def start_anew(self, booted: bool = False) -> None:
        """Start the server that was stopped, perhaps after another boot of the machine, as far as its store knows."""
        if booted:
            asyncio.run(forget_boot(store_in(str(self.server.options["data_dir"]))))
        self.server.restart()
        self.client = self.server.client()

    def _lines(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.server.log_lines() if line["message"] == message]


async def forget_boot(store: Path) -> None:
    engine = LmdbEngine.open(store, durable=True)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        assert values[0] is not None
        writes.put(keyspaces.clock_key(), timekeeping.encode(replace(timekeeping.parse(values[0]), boot="another")))
        return writes, None

    await engine.mutate([keyspaces.clock_key()], decide)
    await engine.close()


def until(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


@pytest.fixture
def jumping(tmp_path: Path) -> Iterator[Jumping]:
    try:
        made = Jumping(tmp_path)
    except NoCompiler as error:
        pytest.skip(str(error))
    yield made
    made.server.kill()


def test_a_clock_a_year_ahead_for_some_seconds_trims_no_stream(jumping: Jumping) -> None:
    with jumping.clocks.wrong(YEAR):
        line = jumping.logged(DOUBTED)
        assert (line["region"], line["reason"]) == ("us-east-1", "PARTED")
        assert line["ahead_seconds"] == pytest.approx(YEAR, abs=60)
        time.sleep(WRONG_SECONDS)
        assert jumping.records() == ITEMS
        assert "doubted since" in jumping.clock_line()
    time.sleep(WRONG_SECONDS)
    assert jumping.records() == ITEMS


def test_a_clock_two_hours_ahead_for_some_seconds_expires_nothing(jumping: Jumping) -> None:
    with jumping.clocks.wrong(2 * HOUR):
        jumping.logged(DOUBTED)
        time.sleep(WRONG_SECONDS)
        assert jumping.items() == ITEMS
    time.sleep(WRONG_SECONDS)
    jumping.clocks.sleep(301)
    jumping.logged(TRUSTED)
    assert jumping.items() == ITEMS
    assert jumping.clock_line().startswith("us-east-1: clock: trusted; ")
    # A machine's sleep is not a jump, and items that have expired meanwhile are deleted.
    jumping.clocks.sleep(HOUR)
    until(lambda: jumping.items() == 0, "nothing expires")
    jumping.logged(DOUBTED, times=1)


@pytest.mark.parametrize("seconds", [-DAY, 2 * HOUR, YEAR])
def test_a_client_token_is_remembered_across_a_jump(jumping: Jumping, seconds: int) -> None:
    assert jumping.add("before") == 1
    jumping.clocks.jump(seconds)
    assert jumping.add("before") == 1
    assert jumping.add("within") == 2
    jumping.clocks.jump(-seconds)
    assert jumping.add("before") == 2
    assert jumping.add("within") == 2
    jumping.clocks.jump(seconds)
    jumping.logged(DOUBTED)
    time.sleep(WRONG_SECONDS)
    jumping.clocks.sleep(301)
    jumping.logged(TRUSTED)
    assert jumping.add("before") == 2
    assert jumping.add("within") == 2
    jumping.clocks.sleep(601)
    assert jumping.add("before") == 3


@pytest.mark.parametrize("booted", [False, True])
def test_a_start_with_an_earlier_clock_is_doubted(jumping: Jumping, booted: bool) -> None:
    assert jumping.add("token") == 1
    jumping.server.stop()
    jumping.clocks.jump(-DAY)
    jumping.start_anew(booted)
    assert jumping.logged(DOUBTED)["reason"] == ("EARLIER" if booted else "PARTED")
    assert jumping.add("token") == 1
    time.sleep(WRONG_SECONDS)
    assert (jumping.items(), jumping.records()) == (ITEMS + 1, ITEMS + 1)
    jumping.clocks.sleep(301)
    jumping.logged(TRUSTED)


@pytest.mark.parametrize("booted", [False, True])
def test_a_start_a_day_later_deletes_nothing_for_ten_minutes(jumping: Jumping, booted: bool) -> None:
    jumping.server.stop()
    jumping.clocks.sleep(DAY + HOUR)
    jumping.start_anew(booted)
    assert jumping.logged(DOUBTED)["reason"] == "LATER"
    jumping.clocks.sleep(540)  # Some of the ten minutes has passed since the start, more on a busy machine.
    time.sleep(WRONG_SECONDS)
    assert (jumping.items(), jumping.records()) == (ITEMS, ITEMS)
    jumping.clocks.sleep(70)
    jumping.logged(TRUSTED)
    until(lambda: (jumping.items(), jumping.records()) == (0, 0), "nothing is deleted")


def test_a_worker_that_starts_while_the_clock_is_wrong_doubts_it_too(jumping: Jumping) -> None:
    with jumping.clocks.wrong(2 * HOUR):
        jumping.server.kill()
        jumping.start_anew()
        jumping.logged(DOUBTED)
        time.sleep(WRONG_SECONDS)
        assert jumping.items() == ITEMS
