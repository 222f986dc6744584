"""The runner: jobs and duties are done by one worker at a time, and a failure does not stop the others."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest

from jedlik.background import job_records, leases, runner
from jedlik.background.job_records import Job
from jedlik.background.work import Duty, JobKind, Work, by_name
from jedlik.config import Settings
from jedlik.regions import keyspaces
from jedlik.regions.region import Region
from jedlik.regions.stores import Stores
from jedlik.storage.engine import StorageError, Writes
from testing.jedlik_process import PATIENCE
from testing.regions import SetClock, everything, run, write

COUNTING = "COUNTING"
FAILING = "FAILING"
COUNTER = b"\x70counter"


async def count_down(region: Region, job: Job) -> None:
    """A step of a job that counts its steps in the store."""

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        writes.add(COUNTER, 1)
        if job.state["Left"] > 1:
            job.advance({"Left": job.state["Left"] - 1}, writes)
        else:
            job.finish(writes)
        return writes, None

    await region.engine.mutate([job.key], decide)


async def fail(region: Region, job: Job) -> None:
    raise RuntimeError("this job fails")


WORK = Work((JobKind(COUNTING, count_down), JobKind(FAILING, fail)), duties=())


async def submit(region: Region, name: str, kind: str, steps: int) -> None:
    await write(region, lambda writes: job_records.submit(name, kind, {"Left": steps}, writes))
    region.jobs_wanted.set()


async def counted(region: Region) -> int:
    [counter] = await region.engine.get([COUNTER])
    return int.from_bytes(counter or b"", "little")


async def until(region: Region, steps: int) -> None:
    for _ in range(int(PATIENCE * 100)):
        if await counted(region) >= steps:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the jobs were not done in time")


def test_a_job_is_done_step_by_step(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(runner.run(region, stop, WORK))
        await submit(region, "job", COUNTING, 20)
        await until(region, 20)
        stop.set()
        await running
        # Both the job and its lease are gone.
        assert [key for key, _ in await everything(region)] == [keyspaces.clock_key(), COUNTER]
        assert await counted(region) == 20

    run(tmp_path, scenario)


def test_a_job_found_at_the_start_is_done(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        await submit(region, "job", COUNTING, 3)
        region.jobs_wanted.clear()
        stop = asyncio.Event()
        running = asyncio.create_task(runner.run(region, stop, WORK))
        await until(region, 3)
        stop.set()
        await running

    run(tmp_path, scenario)


def test_two_workers_do_each_step_once(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        stop = asyncio.Event()
        running = [asyncio.create_task(runner.run(region, stop, WORK)) for _ in range(2)]
        for number in range(10):
            await submit(region, f"job{number}", COUNTING, 10)
        await until(region, 100)
        stop.set()
        await asyncio.gather(*running)
        assert await counted(region) == 100
        assert await region.engine.range(*job_records.job_range(), 10, 1 << 20) == []

    run(tmp_path, scenario)


def test_a_job_that_fails_does_not_stop_the_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        await submit(region, "a", FAILING, 1)
        await submit(region, "b", COUNTING, 5)
        stop = asyncio.Event()
        running = asyncio.create_task(runner.run(region, stop, WORK))
        await until(region, 5)
        stop.set()
        await running
        jobs = await region.engine.range(*job_records.job_range(), 10, 1 << 20)
        assert [job_records.name_of_job_key(key) for key, _ in jobs] == ["a"]

    run(tmp_path, scenario)
    assert [record.message for record in caplog.records] == ["background work failed"]


def test_a_job_of_an_unknown_kind_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A later version may have written it. It is logged once, however often it is found."""

    async def scenario(region: Region, clock: SetClock) -> None:
        await submit(region, "a", "LATER", 1)
        before = await region.engine.range(*job_records.job_range(), 10, 1 << 20)
        await submit(region, "b", COUNTING, 5)
        stop = asyncio.Event()
        running = asyncio.create_task(runner.run(region, stop, WORK))
        await until(region, 5)
        await submit(region, "b", COUNTING, 5)
        await until(region, 10)
        stop.set()
        await running
        assert await region.engine.range(*job_records.job_range(), 10, 1 << 20) == before
        [later] = await region.engine.get([leases.lease_key("a")])
        assert later is None

    monkeypatch.setattr(runner, "UNKNOWN_SECONDS", 0.0)
    run(tmp_path, scenario)
    [record] = caplog.records
    assert record.message == "a job is of a kind that this version does not know, and stays as it is"
    assert (record.__dict__["job"], record.__dict__["kind"]) == ("a", "LATER")


def test_two_kinds_of_job_have_different_names() -> None:
    with pytest.raises(ValueError, match="there are two kinds of job called COUNTING"):
        by_name((JobKind(COUNTING, count_down), JobKind(COUNTING, fail)))


@pytest.mark.parametrize("failing", ["mutate", "range"])
def test_jobs_go_on_after_the_storage_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        def refuse(*arguments: object) -> asyncio.Future[None]:
            refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            refused.set_exception(StorageError("the disk is full"))
            return refused

        await submit(region, "first", COUNTING, 1)
        stop = asyncio.Event()
        running = asyncio.create_task(runner.run(region, stop, WORK))
        await until(region, 1)  # Its lease must now be released.
        with monkeypatch.context() as patch:
            patch.setattr(region.engine, failing, refuse)
            await asyncio.sleep(0.1)
        await submit(region, "second", COUNTING, 1)
        await until(region, 2)
        stop.set()
        await running

    monkeypatch.setattr(runner, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(runner, "RETRY_SECONDS", 0.01)
    run(tmp_path, scenario)


def test_a_duty_comes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        interval = 0.5
        times: list[float] = []
        enough = asyncio.Event()

        async def duty(region: Region) -> bool:
            times.append(asyncio.get_running_loop().time())
            if len(times) == 6:
                enough.set()
            # After every second time there is more to do at once.
            return len(times) % 2 == 1

        async def wanted(region: Region) -> bool:
            return True

        monkeypatch.setattr(runner, "POLL_SECONDS", 0.01)
        stop = asyncio.Event()
        running = asyncio.create_task(runner.run(region, stop, Work((), (Duty("duty", interval, duty, wanted),))))
        await asyncio.wait_for(enough.wait(), PATIENCE)
        stop.set()
        await running
        rests = [after - before for before, after in itertools.pairwise(times)]
        assert all(rest >= interval for rest in rests[1::2])
        assert min(rests[::2]) < interval

    run(tmp_path, scenario)


@pytest.mark.parametrize(
    ("requests", "rest"),
    [
        (0, 0.0),
        (1, 0.0),  # A client that asks for the state of a backup every second does not make it slower.
        (4, 0.0),
        (5, 0.2),
        (2000, 0.2),
    ],
)
def test_steps_are_followed_by_rests_only_while_requests_come(requests: int, rest: float) -> None:
    assert runner.rest_after(0.2, requests) == rest


def test_requests_to_any_region_of_the_process_make_background_work_rest(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        stores = Stores(Settings(data_dir=tmp_path / "stores", in_memory=True))
        one, two = await stores.region("eu-west-1"), await stores.region("us-east-1")
        before = one.asked
        await stores.use("us-east-1", look)
        assert two.begun == 1
        assert one.asked > before
        for name in ("eu-west-1", "us-east-1"):
            found = stores.opened(name)
            assert found is not None
            await found.engine.close()

    async def look(region: Region) -> None:
        pass

    run(tmp_path, scenario)
