"""The runner: does a region's background work in one of the workers that share its store.

There are two sorts of work (`work`). A *job* is begun by a request (`job_records.submit`), done in steps by the
function of its kind, and ends some time. A *duty*, like deleting expired items, is repeated for ever. Both run under
leases and take turns in slices of time. While requests come, they rest after each step for as long as it took, so
background work takes no more than half of a worker then; some jobs rest by themselves instead (`pacing`). Nothing rests
in a server that hardly anybody asks.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from jedlik.background import job_records
from jedlik.background.job_records import Job, JobMoved, JobWaits
from jedlik.background.leases import Leases
from jedlik.background.work import Duty, Work, by_name
from jedlik.memory import MIB
from jedlik.regions import clock_watch
from jedlik.storage.engine import NoKey, StorageError

if TYPE_CHECKING:
    from jedlik.regions.region import Region

POLL_SECONDS = 1.0
"""How soon a worker notices a job that another has submitted, or a lease that has run out."""
SLICE_SECONDS = 0.2
"""How long one job or duty goes on before the next has its turn."""
FEW_REQUESTS = 20
"""In a second: no more than that make nothing rest. A client may be waiting for the end of a job."""
RETRY_SECONDS = 5.0
"""How long a job or duty rests after it has failed."""
KEY_SECONDS = 2.0
"""How long a job or duty rests that needs a key which cannot be had now."""
UNKNOWN_SECONDS = 60.0
"""How long a job of an unknown kind rests."""
JOBS_AT_ONCE = 100
"""The most jobs that take turns; further ones wait until some have ended."""

_log = logging.getLogger(__name__)

T = TypeVar("T")


async def run(region: Region, stop: asyncio.Event, work: Work) -> None:
    """Do the region's background work until `stop` is set."""
    await _Runner(region, stop, work).run()


def rest_after(seconds: float, requests: int) -> float:
    """How long background work rests after a step that took `seconds`, in which `requests` came."""
    return seconds if requests > max(1, FEW_REQUESTS * seconds) else 0.0


async def has_work(region: Region, work: Work) -> bool:
    """Whether there is any background work, now or later. Raises StorageError."""
    if await region.engine.range(*job_records.job_range(), 1, 1):
        return True
    for wanted in (*(duty.wanted for duty in work.duties), *work.standing):
        if await wanted(region):
            return True
    return False


class _Runner:
    def __init__(self, region: Region, stop: asyncio.Event, work: Work) -> None:
        self._region = region
        self._stop = stop
        self._work = work
        self._kinds = by_name(work.job_kinds)
        self._unknown: set[str] = set()
        """Names of the jobs of unknown kinds that have been logged."""
        self._leases = Leases(region, secrets.token_hex(8))
        self._due: dict[str, float] = {}
        """When a duty, or anything that failed, may run again, by the event loop's clock."""
        self._failure = ""
        """Why nothing was possible in the last round, which has been logged."""

    async def run(self) -> None:
        while not self._stop.is_set():
            self._region.jobs_wanted.clear()
            try:
                more = await self._round()
                self._failure = ""
            except StorageError as error:  # It may go on later.
                if str(error) != self._failure:
                    _log.exception("no background work is possible")
                self._failure = str(error)
                more = False
            if not more:
                await self._wait()
        await self._leases.release_all()

    async def _round(self) -> bool:
        """Give each job and duty a slice of time. Returns whether more can be done at once."""
        start, end = job_records.job_range()
        rows = await self._region.engine.range(start, end, JOBS_AT_ONCE, MIB)
        due = [duty for duty in self._work.duties if await duty.wanted(self._region)]
        await clock_watch.look(self._region, bool(rows or self._region.replicated or any(duty.leased for duty in due)))
        more = False
        for key, _ in rows:
            more |= await self._turn(job_records.name_of_job_key(key), partial(self._step, key), period=0.0)
        for duty in due:
            more |= await self._turn(duty.name, partial(self._duty, duty), duty.period, duty.leased)
        return more

    async def _turn(self, name: str, piece: Callable[[], Awaitable[bool]], period: float, leased: bool = True) -> bool:
        """Do pieces of one job or duty for a slice of time. Returns whether more can be done at once."""
        clock = asyncio.get_running_loop().time
        begun = now = clock()
        if now < self._due.get(name, now):
            return False
        try:
            while not self._stop.is_set() and (not leased or await self._leases.hold(name)):
                if now - begun > SLICE_SECONDS:
                    return True
                if not await piece():
                    break
                await asyncio.sleep(0)
                now = clock()
            if not period:
                await self._leases.release(name)
        except JobWaits as waiting:
            self._due[name] = clock() + waiting.seconds
            await self._leases.release(name)
            return False
        except NoKey:
            # The key of a table is being opened, or the table is closed: its own service has logged that.
            self._due[name] = clock() + KEY_SECONDS
            return False
        except Exception:
            _log.exception("background work failed", extra={"work": name})
            self._due[name] = clock() + RETRY_SECONDS
            return False
        if period:
            self._due[name] = clock() + period
        return False

    async def _step(self, key: bytes) -> bool:
        """Do a step of the job under `key`. Returns whether there is, or may be, another."""
        [raw] = await self._region.engine.get([key])
        if raw is None:
            return False
        job = job_records.parse((key, raw))
        kind = self._kinds.get(job.kind)
        if kind is None:
            self._say_unknown(job)
            raise JobWaits(UNKNOWN_SECONDS)
        # The job has moved: read it again. The lease decides whether it is still ours.
        with suppress(JobMoved):
            work = kind.step(self._region, job)
            await (work if kind.rests else self._and_rest(work))
        return True

    async def _duty(self, duty: Duty) -> bool:
        """Do a piece of a duty. Returns whether more can be done at once."""
        return await self._and_rest(duty.run(self._region))

    async def _and_rest(self, work: Awaitable[T]) -> T:
        """Do some work, and rest after it if requests have come meanwhile."""
        clock = asyncio.get_running_loop().time
        begun, asked = clock(), self._region.asked
        done = await work
        await asyncio.sleep(rest_after(clock() - begun, self._region.asked - asked))
        return done

    def _say_unknown(self, job: Job) -> None:
        """Log, once, that a job of an unknown kind is left alone. A later version may have written it, and will find it
        again."""
        if job.name not in self._unknown:
            self._unknown.add(job.name)
            _log.error(
                "a job is of a kind that this version does not know, and stays as it is",
                extra={"region": self._region.store, "job": job.name, "kind": job.kind},
            )

    async def _wait(self) -> None:
        """Wait until a job is submitted here, the next poll is due, or the worker stops."""
        waiters = [asyncio.ensure_future(event.wait()) for event in (self._stop, self._region.jobs_wanted)]
        await asyncio.wait(waiters, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()
