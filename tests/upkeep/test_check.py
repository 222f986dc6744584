"""The findings of a check: none after what the operations write, and each thing that is damaged."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from jedlik.regions import keyspaces
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.view import View
from testing.dynamodb.definitions import attributes, index
from testing.dynamodb.handlers import Handlers
from testing.full_store import TABLE, change, check, expire, finish_jobs, full, load, problems, roll, run, step_jobs

# What the operations write agrees, at every moment.


def test_a_full_store(tmp_path: Path) -> None:
    async def test(store: Handlers) -> None:
        await full(store)
        checked = check(store)
        assert checked.counts["tables"] == 1
        assert checked.counts["items"] > 30
        assert checked.counts["index_entries"] > checked.counts["items"]
        assert checked.counts["log_entries"] > 100

    run(tmp_path, test)


def test_after_each_step_of_every_operation_and_job(tmp_path: Path) -> None:
    async def test(store: Handlers) -> None:
        random = Random(2)
        await full(store)

        await expire(store)
        check(store)

        # More items than are filled in a step.
        await load(store, random, 20)
        many = [{"p": {"S": "many"}, "s": {"N": str(number)}, "d": {"S": "d"}} for number in range(150)]
        for item in many:
            await store.call("PutItem", TableName=TABLE, Item=item)
        await store.call(
            "UpdateTable",
            TableName=TABLE,
            AttributeDefinitions=attributes(d="S"),
            GlobalSecondaryIndexUpdates=[{"Create": index("late", "d")}],
        )
        check(store)
        while await step_jobs(store):
            await load(store, random, 10)
            check(store)

        for split in (False, True):
            await roll(store, split)
            await load(store, random, 10)
            check(store)

        await store.call(
            "UpdateTable", TableName=TABLE, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "late"}}]
        )
        check(store)
        while await step_jobs(store):
            check(store)

        store.now += 2 * 60 * 60
        setting = {"Enabled": False, "AttributeName": "expires"}
        await store.call("UpdateTimeToLive", TableName=TABLE, TimeToLiveSpecification=setting)
        check(store)
        while await step_jobs(store):
            await load(store, random, 10)
            check(store)

        await store.call("UpdateTable", TableName=TABLE, StreamSpecification={"StreamEnabled": False})
        await load(store, random, 10)
        check(store)

        store.now += 25 * 60 * 60
        await roll(store, split=False)
        check(store)

        await store.call("DeleteTable", TableName=TABLE)
        check(store)
        while await step_jobs(store):
            check(store)
        await finish_jobs(store)
        assert check(store).counts["tables"] == 0

    run(tmp_path, test)


# What cannot be read at all.


def test_a_store_whose_storage_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(store: Handlers) -> None:
        await full(store)

        def fail(view: View, start: bytes, end: bytes) -> int:
            raise StorageError("mdb_cursor_get: MDB_CORRUPTED")

        monkeypatch.setattr(View, "count", fail)
        _, found = problems(store)
        assert found == ["the store cannot be read further: mdb_cursor_get: MDB_CORRUPTED"]

    run(tmp_path, test)


def test_a_new_store_has_no_faults(tmp_path: Path) -> None:
    async def test(store: Handlers) -> None:
        check(store)
        await change(store, lambda writes: writes.delete(keyspaces.secret_key()))
        check(store)

    run(tmp_path, test)
