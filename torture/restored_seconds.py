"""Kill -9 while backups are made, changes archived and tables restored; and each restored second against what had been
acknowledged.

Writers write their own items, one write after the other, and note when each began and ended. Its commit is between the
two. So of each writer a restore to a second has the state after some number of writes: at least those that had ended by
then, and no more than had begun. Transactions are single writes, so a half one shows. A backup has the state of a
moment between its request and its answer.

A writer that gets no answer writes to another item first and then reads, like `writers`; after that it knows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from testing.jedlik_process import Server, run_jedlik
from torture.expected import Broken, check_store, demand
from torture.kills import kill_one
from torture.writers import Recording

TABLE = "remembered"
WRITERS = 3
ITEMS = 8
"""Items of a writer: few, so that they are written and deleted again and again."""
AT_ONCE = 3
"""Restores at a time."""
PATIENCE_SECONDS = 240.0
"""How long a table may take to be restored while processes are killed."""
FIRST_SECONDS = 2.5
"""How long is written before the first restore."""
MARGIN = 0.05
"""Seconds by which the clocks of processes on this machine may differ."""
WHOLE_SERVER = 0.3
"""The part of kills that are of the whole server."""

State = dict[str, int]
"""The numbers in a writer's items, by key."""


class Write(NamedTuple):
    """A write that has taken effect, or perhaps for a while."""

    begun: float
    ended: float
    """Seconds since the epoch."""
    changes: dict[str, int | None]
    """The new number of each item that it changed; None for one that it deleted."""
    sent: int = 0
    settled: int = 0
    """The lengths of the recording before it was sent and when its outcome was known, if there is a recording."""
    done: bool = True
    """Whether it has taken effect."""


@dataclass(slots=True)
class Done:
    """What a run has done."""

    points: int = 0
    backups: int = 0
    writes: int = 0
    processes: int = 0
    servers: int = 0

    def __str__(self) -> str:
        return (
            f"{self.points} seconds and {self.backups} backups restored exactly, {self.writes} writes, "
            f"{self.processes} workers and committers and {self.servers} servers killed"
        )


@dataclass(slots=True)
class Remembering:
    """A client that writes, and remembers."""

    server: Server
    name: str
    random: Random
    recording: Recording | None = None
    """The disk's, if there is one."""
    writes: list[Write] = field(default_factory=list)
    state: State = field(default_factory=dict)
    number: int = 0

    def run(self, over: threading.Event) -> None:
        client = self.server.client()
        while not over.is_set():
            self.number += 1
            changes = self._choice()
            sent, begun, done = self._position, time.time(), True
            try:
                self._write(client, changes)
            except (BotoCoreError, ClientError):
                done = self._has_taken_effect(changes)
            self.writes.append(Write(begun, time.time(), changes, sent, self._position, done))
            if not done:
                continue
            for key, number in changes.items():
                if number is None:
                    self.state.pop(key, None)
                else:
                    self.state[key] = number

    @property
    def _position(self) -> int:
        return 0 if self.recording is None else self.recording.position

    def _choice(self) -> dict[str, int | None]:
        """The next changes: a put, a deletion, or a transaction of several."""
        kind = self.random.random()
        count = 1 if kind < 0.85 else self.random.randint(2, 4)
        keys = self.random.sample(range(ITEMS), count)
        return {f"{key}": None if kind < 0.2 else self.number for key in keys}

    def _write(self, client: Any, changes: dict[str, int | None]) -> None:
        if len(changes) == 1:
            [(key, number)] = changes.items()
            if number is None:
                client.delete_item(TableName=TABLE, Key=self._key(key))
            else:
                client.put_item(TableName=TABLE, Item=self.item(key, number))
            return
        puts = [{"TableName": TABLE, "Item": self.item(key, number or 0)} for key, number in changes.items()]
        elements = [{"Put": put} for put in puts]
        client.transact_write_items(TransactItems=elements)

    def _has_taken_effect(self, changes: dict[str, int | None]) -> bool:
        client = self.server.client()
        deadline = time.monotonic() + PATIENCE_SECONDS
        key, number = next(iter(changes.items()))
        while True:
            try:
                client.put_item(TableName=TABLE, Item={"owner": {"S": "fence"}, "item": {"S": self.name}})
                found = client.get_item(TableName=TABLE, Key=self._key(key), ConsistentRead=True).get("Item")
            except (BotoCoreError, ClientError):
                demand(time.monotonic() < deadline, f"no request was answered for {PATIENCE_SECONDS} s")
                time.sleep(0.02)
                continue
            return (None if found is None else int(found["number"]["N"])) == number

    def _key(self, key: str) -> dict[str, Any]:
        return {"owner": {"S": self.name}, "item": {"S": key}}

    def item(self, key: str, number: int) -> dict[str, Any]:
        """The whole of an item."""
        return {**self._key(key), "number": {"N": str(number)}, "text": {"S": "t" * (number % 300)}}

    def own(self, items: Sequence[dict[str, Any]], what: str) -> State:
        """The numbers in this writer's items among those of a table, each of which must be whole."""
        own = [item for item in items if item["owner"]["S"] == self.name]
        found = {item["item"]["S"]: int(item["number"]["N"]) for item in own}
        for item in own:
            whole = self.item(item["item"]["S"], found[item["item"]["S"]])
            demand(item == whole, f"{what}: {item} is not whole")
        return found

    def check(self, found: State, begin: float, end: float, what: str, writes: Sequence[Write] | None = None) -> None:
        """Compare what a table has of this writer with its states at some time from `begin` to `end`.

        `writes` are those that there were, by default all that have taken effect.
        """
        state: State = {}
        writes = [write for write in self.writes if write.done] if writes is None else writes
        possible: list[State] = []
        for write in (None, *writes):
            if write is not None:
                if write.begun > end + MARGIN:
                    break
                for key, number in write.changes.items():
                    if number is None:
                        state.pop(key, None)
                    else:
                        state[key] = number
                if write.ended < begin - MARGIN:
                    possible = []
            possible.append(dict(state))
        demand(found in possible, lambda: f"{what}: {self.name} has {found}, and not one of {possible}")


def run(folder: Path, random: Random, points: int, say: Callable[[str], None], keyed: bool = False) -> Done:
    """Restore `points` seconds, and some backups, while processes are killed; with `keyed`, of a table under a key of
    KMS. Raises Broken."""
    server = Server(folder / "log", data_dir=folder / "data", workers=2, seal_tables=keyed)
    try:
        return _Run(server, random).run(points, say, keyed)
    finally:
        server.kill()


def make_table(server: Server, keyed: bool) -> None:
    """Create the writers' table, with recovery; with `keyed`, under a key of KMS."""
    client = server.client()
    key = {}
    if keyed:
        arn = server.client("kms").create_key()["KeyMetadata"]["Arn"]
        key = {"SSESpecification": {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": arn}}
    names = ("owner", "item")
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": a, "KeyType": k} for a, k in zip(names, ("HASH", "RANGE"), strict=True)],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        BillingMode="PAY_PER_REQUEST",
        **key,
    )
    on = {"PointInTimeRecoveryEnabled": True}
    client.update_continuous_backups(TableName=TABLE, PointInTimeRecoverySpecification=on)


class _Run:
    def __init__(self, server: Server, random: Random) -> None:
        self._server = server
        self._random = random
        self._writers = [Remembering(server, f"writer {n}", Random(random.random())) for n in range(WRITERS)]
        self._done = Done()
        self._over = threading.Event()

    def run(self, points: int, say: Callable[[str], None], keyed: bool) -> Done:
        make_table(self._server, keyed)
        jobs: list[Callable[[Any], None]] = [writer.run for writer in self._writers]
        with ThreadPoolExecutor(WRITERS + AT_ONCE + 1) as pool:
            running = [pool.submit(job, self._over) for job in jobs]
            time.sleep(FIRST_SECONDS)
            running.append(pool.submit(self._kill))
            try:
                for first in range(0, points, AT_ONCE):
                    some = range(first, min(first + AT_ONCE, points))
                    restores = [pool.submit(self._restore, number, Random(self._random.random())) for number in some]
                    for restore in restores:
                        restore.result()
                    say(str(self._counted()))
            finally:
                self._over.set()
                for one in running:
                    one.result()
        self._server.restart()
        check_store(self._server)
        verified = run_jedlik("backups", "verify", "--data-dir", str(self._server.options["data_dir"]))
        demand(verified.returncode == 0, f"jedlik backups verify: {verified.stdout}{verified.stderr}")
        return self._counted()

    def _counted(self) -> Done:
        self._done.writes = sum(len(writer.writes) for writer in self._writers)
        return self._done

    def _kill(self) -> None:
        while not self._over.is_set():
            time.sleep(self._random.uniform(0.2, 1.5))
            if self._random.random() < WHOLE_SERVER:
                self._server.kill()
                self._done.servers += 1
                self._server.restart()
            else:
                kill_one(self._server.pid, self._random)
                self._done.processes += 1

    def _restore(self, number: int, random: Random) -> None:
        """Restore a second, or a backup that is made now, and compare it."""
        name = f"restored-{number}"
        if random.random() < 0.2:
            begin = time.time()
            made = self._again(lambda client: client.create_backup(TableName=TABLE, BackupName=name))
            end, arn = time.time(), made["BackupDetails"]["BackupArn"]
            self._when(lambda client: backup_status(client, arn) == "AVAILABLE", f"backup {arn} is made")
            request = {"BackupArn": arn}
            restore, what = "restore_table_from_backup", f"a backup of {begin} to {end}"
            self._done.backups += 1
        else:
            shown = self._again(lambda client: client.describe_continuous_backups(TableName=TABLE))
            recovery = shown["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
            earliest = recovery["EarliestRestorableDateTime"].timestamp()
            second = random.randint(int(earliest) + 1, int(time.time() - 1.2))
            begin = end = float(second)
            request = {"SourceTableName": TABLE, "RestoreDateTime": datetime.fromtimestamp(second, UTC)}
            restore, what = "restore_table_to_point_in_time", f"second {second}"
            self._done.points += 1
        self._again(lambda client: getattr(client, restore)(TargetTableName=name, **request), name)
        self._when(lambda client: table_status(client, name) == "ACTIVE", f"{name} is restored to {what}")
        items = self._again(lambda client: scanned(client, name))
        for writer in self._writers:
            writer.check(writer.own(items, what), begin, end, what)
        self._again(lambda client: client.delete_table(TableName=name), absent=name)

    def _again(self, call: Callable[[Any], Any], made: str | None = None, absent: str | None = None) -> Any:
        """Make a request until it is answered. One that makes or deletes a table may have done so without an answer."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return call(self._server.client())
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if (made and code in ("TableAlreadyExistsException", "TableInUseException")) or (
                    absent and code == "ResourceNotFoundException"
                ):
                    return None
                if code not in ("InternalServerError", "BackupInUseException", "ServiceUnavailable"):
                    raise Broken(f"a request was refused: {error}") from error
            except BotoCoreError:
                pass
            demand(time.monotonic() < deadline, f"no request was answered for {PATIENCE_SECONDS} s")
            time.sleep(0.05)

    def _when(self, holds: Callable[[Any], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._again(holds):
            demand(time.monotonic() < deadline, f"it took more than {PATIENCE_SECONDS} s until {what}")
            time.sleep(0.1)


def backup_status(client: Any, arn: str) -> str:
    """The status of a backup."""
    status: str = client.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"]
    return status


def table_status(client: Any, name: str) -> str:
    """The status of a table."""
    status: str = client.describe_table(TableName=name)["Table"]["TableStatus"]
    return status


def scanned(client: Any, name: str) -> Sequence[dict[str, Any]]:
    """All items of a table."""
    return [item for page in client.get_paginator("scan").paginate(TableName=name) for item in page["Items"]]
