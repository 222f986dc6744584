"""Backups and restores step by step, with writes in between: exact whatever happens, and in whatever order."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from jedlik.aws.errors import ServiceError, ValidationException
from jedlik.background import job_records, pacing
from jedlik.background.job_records import Job, JobMoved, JobWaits
from jedlik.dynamodb import mini_transaction
from jedlik.dynamodb.backups import backup_removal, pieces, restores, table_copies
from jedlik.dynamodb.backups.backup_operations import BACKUP_IN_USE
from jedlik.dynamodb.backups.pieces import Rows
from jedlik.dynamodb.model import spaces
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.tables import purge
from jedlik.regions.object_places import ObjectPlaces
from jedlik.storage.object_store import ObjectStore, ObjectStoreError
from testing import jobs
from testing.dynamodb import handlers
from testing.dynamodb.definitions import attributes, definition, index, key_schema
from testing.dynamodb.handlers import Handlers
from testing.dynamodb.histories import History
from testing.jedlik_process import Server, eventually

OURS = {table_copies.KIND, restores.KIND, backup_removal.KIND, purge.KIND}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a few rows, so that a small table has many."""
    monkeypatch.setattr(table_copies, "PIECE_BYTES", 600)
    monkeypatch.setattr(table_copies, "READ_ROWS", 2)
    monkeypatch.setattr(restores, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(restores, "COMMITS", 2)


async def with_table(own: Handlers, folder: Path, **more: Any) -> None:
    own.region.places = ObjectPlaces(ObjectStore((folder / "kept").as_uri(), {}), {})
    settings = definition(
        TableName="source",
        KeySchema=key_schema("p"),
        AttributeDefinitions=attributes(p="S", x="N"),
        GlobalSecondaryIndexes=[index("by-x", "x")],
    )
    await own.call("CreateTable", **(settings | more))


async def current_jobs(own: Handlers) -> list[Job]:
    rows = await own.region.engine.range(*job_records.job_range(), 100, MIB)
    return [job for row in rows if (job := job_records.parse(row)).kind in OURS]


async def step(own: Handlers, job: Job) -> None:
    with suppress(JobMoved, JobWaits):
        await jobs.step(own.region, job)


async def all_jobs(own: Handlers) -> None:
    for _ in range(1000):
        found = await current_jobs(own)
        if not found:
            return
        await step(own, found[0])
    raise AssertionError("jobs are still in progress")


@pytest.mark.parametrize("others_ask", [True, False])
def test_jobs_rest_and_do_less_at_once_only_while_others_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others_ask: bool
) -> None:
    rests: list[float] = []
    rows: list[int] = []
    sleep = asyncio.sleep

    async def test(own: Handlers) -> None:
        await with_table(own, tmp_path)
        for number in range(120):
            await own.call("PutItem", TableName="source", Item={"p": {"S": str(number)}, "x": {"N": "1"}})
        monkeypatch.setattr(table_copies, "PIECE_BYTES", 100_000)
        monkeypatch.setattr(restores, "ROWS_AT_ONCE", 40)

        def others() -> None:
            own.region.begun += others_ask
            own.region.ended += others_ask

        async def resting(seconds: float) -> None:
            rests.append(seconds)
            others()
            await sleep(0)

        def mutate(*arguments: Any) -> asyncio.Future[Any]:
            others()
            return mutated(*arguments)

        mutated = mini_transaction.mutate
        monkeypatch.setattr(mini_transaction, "mutate", mutate)
        monkeypatch.setattr("jedlik.background.pacing.asyncio.sleep", resting)
        made = (await own.call("CreateBackup", TableName="source", BackupName="one"))["BackupDetails"]
        await all_jobs(own)
        of_backup = max(rests)
        rests.clear()
        await own.call("RestoreTableFromBackup", BackupArn=made["BackupArn"], TargetTableName="restored")
        for _ in range(20):
            [job] = [found for found in await current_jobs(own) if found.kind == restores.KIND]
            if job.state["Piece"] > 0:
                break
            rows.append(job.state["Row"])
            await step(own, job)
        assert (of_backup, max(rests)) == ((pacing.REST_SECONDS,) * 2 if others_ask else (0, 0))
        await all_jobs(own)

    handlers.run(tmp_path / "store", test)
    at_once = [after - before for before, after in pairwise(rows)]
    # Each row is one of the index, too. The first part is small in any case.
    assert at_once == [restores.BUSY_ROWS // 2, *([restores.BUSY_ROWS // 2] * 3 if others_ask else [2 * 40])]


@pytest.mark.parametrize("seed", range(4))
def test_a_backup_is_of_one_moment_while_writes_go_on(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    stream = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}} if seed % 2 else {}

    async def test(own: Handlers) -> None:
        await with_table(own, tmp_path, **stream)
        history = History(own, "source", random)
        for _ in range(60):
            await history.write()
        before = len(history.states) - 1
        beside = [asyncio.ensure_future(history.write()) for _ in range(random.randrange(4))]
        backup = (await own.call("CreateBackup", TableName="source", BackupName="one"))["BackupDetails"]
        await asyncio.gather(*beside)
        late: list[Job] = []
        while found := await current_jobs(own):
            writing = [asyncio.ensure_future(history.write()) for _ in range(random.randrange(8))]
            late += found
            # Another worker, that has not heard yet how far the job is.
            at_work = [found[0], random.choice(late)] if random.random() < 0.5 else [found[0]]
            await asyncio.gather(*(step(own, job) for job in at_work))
            await asyncio.gather(*writing)
        assert await own.region.engine.range(*spaces.PIECES.range, 1, 1) == []
        assert await own.region.engine.range(*spaces.MARKS.range, 1, 1) == []

        await own.call("RestoreTableFromBackup", TargetTableName="target", BackupArn=backup["BackupArn"])
        late = []
        while found := await current_jobs(own):
            late += found
            await asyncio.gather(*(step(own, job) for job in (found[0], random.choice(late))))
            await history.write()
        state = await history.held("target")
        assert state in history.states[before : before + len(beside) + 1]
        [shown] = (await own.call("ListBackups"))["BackupSummaries"]
        table = (await own.call("DescribeTable", TableName="target"))["Table"]
        assert table["ItemCount"] == len(state)
        assert table["TableSizeBytes"] == shown["BackupSizeBytes"]

    handlers.run(tmp_path / "store", test)


def test_the_copies_that_changes_have_overtaken_are_taken_back(tmp_path: Path) -> None:
    """Without the changes, this backup would hold what was written after it was made."""

    async def test(own: Handlers) -> None:
        await with_table(own, tmp_path)
        for number in range(20):
            await own.call("PutItem", TableName="source", Item={"p": {"S": f"{number}"}, "x": {"N": "1"}})
        backup = (await own.call("CreateBackup", TableName="source", BackupName="one"))["BackupDetails"]
        for number in range(10):
            await own.call("PutItem", TableName="source", Item={"p": {"S": f"{number}"}, "x": {"N": "2"}})
            await own.call("DeleteItem", TableName="source", Key={"p": {"S": f"{number + 10}"}})
            await own.call("PutItem", TableName="source", Item={"p": {"S": f"new {number}"}, "x": {"N": "3"}})
        await all_jobs(own)
        names = [found.name async for found in place(own).list("")]
        assert any("/changes-" in name for name in names)
        await own.call("RestoreTableFromBackup", TargetTableName="target", BackupArn=backup["BackupArn"])
        await all_jobs(own)
        found = (await own.call("Scan", TableName="target"))["Items"]
        assert sorted(int(item["p"]["S"]) for item in found) == list(range(20))
        assert {item["x"]["N"] for item in found} == {"1"}

    handlers.run(tmp_path / "store", test)


def test_a_table_gets_its_items_from_a_store_with_another_secret(tmp_path: Path) -> None:
    """Where the same items have other keys."""

    async def test(own: Handlers) -> None:
        await with_table(own, tmp_path)
        history = History(own, "source", Random(1))
        for _ in range(40):
            await history.write()
        backup = (await own.call("CreateBackup", TableName="source", BackupName="one"))["BackupDetails"]
        state = history.states[-1]
        for _ in range(40):
            await history.write()
        await all_jobs(own)
        own.region.secret = b"t" * 32
        await own.call("RestoreTableFromBackup", TargetTableName="target", BackupArn=backup["BackupArn"])
        await all_jobs(own)
        assert await history.held("target") == state
        for key, item in state.items():
            found = await own.call("GetItem", TableName="target", Key={"p": {"S": key}})
            assert found["Item"] == item

    handlers.run(tmp_path / "store", test)


def test_nobody_disturbs_a_backup_or_a_restore_in_progress(tmp_path: Path) -> None:
    async def refusal(own: Handlers, operation: str, **request: Any) -> tuple[str, str]:
        with pytest.raises(ServiceError) as caught:
            await own.call(operation, **request)
        return caught.value.name, caught.value.message

    async def test(own: Handlers) -> None:
        await with_table(own, tmp_path)
        item = {"p": {"S": "a"}, "x": {"N": "1"}}
        await own.call("PutItem", TableName="source", Item=item)
        arn = (await own.call("CreateBackup", TableName="source", BackupName="one"))["BackupDetails"]["BackupArn"]
        in_use = "BackupInUseException", BACKUP_IN_USE
        assert await refusal(own, "CreateBackup", TableName="source", BackupName="two") == in_use
        assert await refusal(own, "DeleteBackup", BackupArn=arn) == in_use
        assert await refusal(own, "RestoreTableFromBackup", TargetTableName="target", BackupArn=arn) == in_use
        assert await refusal(own, "DeleteTable", TableName="source") == (
            "ResourceInUseException",
            "Attempt to change a resource which is still in use: Table is being backed up: source",
        )
        await all_jobs(own)
        await own.call("RestoreTableFromBackup", TargetTableName="target", BackupArn=arn)
        assert await refusal(own, "DeleteBackup", BackupArn=arn) == in_use
        being_made = (
            "ResourceInUseException",
            ("Attempt to change a resource which is still in use: Table is being created: target"),
        )
        assert await refusal(own, "DeleteTable", TableName="target") == being_made
        protected = {"TableName": "target", "DeletionProtectionEnabled": True}
        assert await refusal(own, "UpdateTable", **protected) == being_made
        closed = "ResourceNotFoundException", "Requested resource not found"
        assert await refusal(own, "PutItem", TableName="target", Item=item) == closed
        assert await refusal(own, "Scan", TableName="target") == closed
        assert (await refusal(own, "CreateBackup", TableName="target", BackupName="two"))[0] == "TableInUseException"
        again = {"TargetTableName": "target", "BackupArn": arn}
        assert (await refusal(own, "RestoreTableFromBackup", **again))[0] == "TableInUseException"
        await all_jobs(own)
        assert (await own.call("Scan", TableName="target"))["Items"] == [item]
        await own.call("DeleteBackup", BackupArn=arn)
        await own.call("DeleteTable", TableName="source")

    handlers.run(tmp_path / "store", test)


def place(own: Handlers) -> ObjectStore:
    assert own.region.places is not None
    return own.region.places.backups


def test_a_worker_that_tidies_up_late_removes_nothing_of_a_backup(tmp_path: Path) -> None:
    async def test(own: Handlers) -> None:
        await with_table(own, tmp_path)
        await own.call("PutItem", TableName="source", Item={"p": {"S": "a"}, "x": {"N": "1"}})
        await own.call("CreateBackup", TableName="source", BackupName="one")
        while (found := await current_jobs(own))[0].state["Phase"] != table_copies.TIDY:
            await step(own, found[0])
        await all_jobs(own)
        kept = {found.name async for found in place(own).list("")}
        await step(own, found[0])
        assert {found.name async for found in place(own).list("")} == kept
        assert len(kept) == 2

    handlers.run(tmp_path / "store", test)


def test_a_damaged_backup_is_not_restored_and_leaves_no_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test(own: Handlers) -> None:
        await with_table(own, tmp_path)
        await own.call("PutItem", TableName="source", Item={"p": {"S": "a"}, "x": {"N": "1"}})
        backup = (await own.call("CreateBackup", TableName="source", BackupName="one"))["BackupDetails"]
        await all_jobs(own)
        [piece] = [found.name async for found in place(own).list("") if "/items-" in found.name]
        content = bytearray(await place(own).get(piece))
        content[-20] ^= 1
        restore = {"TargetTableName": "target", "BackupArn": backup["BackupArn"]}
        await own.call("RestoreTableFromBackup", **restore)
        await place(own).put(piece, bytes(content))
        await all_jobs(own)
        # What is known when the request comes is refused then.
        with pytest.raises(ValidationException, match="The backup cannot be restored here: its checksum is wrong"):
            await own.call("RestoreTableFromBackup", **restore)
        await place(own).delete([piece])
        with pytest.raises(ValidationException, match="there is no"):
            await own.call("RestoreTableFromBackup", **restore)
        assert (await own.call("ListTables"))["TableNames"] == ["source"]
        # It is in nobody's way any more.
        await own.call("DeleteBackup", BackupArn=backup["BackupArn"])
        await all_jobs(own)
        assert [found async for found in place(own).list("")] == []

    handlers.run(tmp_path / "store", test)
    assert "its checksum is wrong" in caplog.text


def test_a_backup_waits_for_its_place_and_is_given_up_after_an_hour(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: ObjectStore, name: str, content: bytes) -> None:
        raise ObjectStoreError("the disk is full")

    async def test(own: Handlers) -> None:
        await with_table(own, tmp_path)
        await own.call("PutItem", TableName="source", Item={"p": {"S": "a"}, "x": {"N": "1"}})
        await own.call("CreateBackup", TableName="source", BackupName="one")
        with monkeypatch.context() as full:
            full.setattr(ObjectStore, "put", fail)
            [job] = await current_jobs(own)
            with pytest.raises(JobWaits):
                await jobs.step(own.region, job)
            [shown] = (await own.call("ListBackups"))["BackupSummaries"]
            assert shown["BackupStatus"] == "CREATING"
            own.now += table_copies.PATIENCE_SECONDS + 1
            await all_jobs(own)
        assert (await own.call("ListBackups"))["BackupSummaries"] == []
        assert [found async for found in place(own).list("")] == []
        await own.call("CreateBackup", TableName="source", BackupName="two")

    handlers.run(tmp_path / "store", test)
    assert "the disk is full" in caplog.text


def test_pieces_are_what_was_packed_or_are_refused() -> None:
    rows = [(b"k%d" % number, b"\1" * number) for number in range(3 * pieces.BLOCK_ROWS + 50)]
    content = pieces.packed(Rows.CHANGES, rows).content
    kind, found = pieces.unpacked(content)
    assert (kind, list(found), found[::-1]) == (Rows.CHANGES, rows, rows[::-1])
    for number in (620, 0, 199, 200, 649, 201):
        assert found[number] == rows[number]
    with pytest.raises(IndexError):
        found[650]
    for place in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[place] ^= 4
        with pytest.raises(pieces.DamagedPiece):
            pieces.unpacked(bytes(damaged))
        with pytest.raises(pieces.DamagedPiece):
            pieces.unpacked(content[:place])


def test_a_server_that_is_killed_goes_on_with_backup_and_restore(start_server: Any) -> None:
    server: Server = start_server()
    client = server.client()
    client.create_table(
        TableName="source",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=key_schema("p"),
        AttributeDefinitions=attributes(p="S"),
    )
    text = "t" * 20_000
    for first in range(0, 1000, 25):
        puts = [{"PutRequest": {"Item": {"p": {"S": f"{n}"}, "text": {"S": text}}}} for n in range(first, first + 25)]
        client.batch_write_item(RequestItems={"source": puts})
    arn = client.create_backup(TableName="source", BackupName="one")["BackupDetails"]["BackupArn"]
    server.kill()
    server.restart()
    client = server.client()
    # What comes after the backup is not in it, whenever it is copied.
    for number in range(0, 1000, 50):
        client.delete_item(TableName="source", Key={"p": {"S": f"{number}"}})
    eventually(lambda: status_of(client, arn) == "AVAILABLE")
    client.restore_table_from_backup(TargetTableName="target", BackupArn=arn)
    server.kill()
    server.restart()
    client = server.client()
    eventually(lambda: client.describe_table(TableName="target")["Table"]["TableStatus"] == "ACTIVE")
    pages = client.get_paginator("scan").paginate(TableName="target", ProjectionExpression="p")
    assert sorted(int(item["p"]["S"]) for page in pages for item in page["Items"]) == list(range(1000))


def status_of(client: Any, arn: str) -> str:
    status: str = client.describe_backup(BackupArn=arn)["BackupDescription"]["BackupDetails"]["BackupStatus"]
    return status
