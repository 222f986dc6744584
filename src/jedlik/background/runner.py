"""The runner: does a region's background work in one of the workers that share its store.

There are two sorts of work. A *job* is begun by a request (`records.submit`), done in steps by the function
of its kind in `STEPS`, and over at some time. A *duty* is done again and again for ever, like looking for
what has expired: `duties`. Both run under leases, in slices by turns, and rest as long as they have worked,
so that background work never takes more than half of a worker.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from jedlik.background import clock_watch, job_records
from jedlik.background.job_records import Job, JobMoved, JobWaits
from jedlik.background.leases import Leases
from jedlik.config import Settings
from jedlik.dynamodb.items import expiring, old_tokens
from jedlik.dynamodb.model import keys
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.replication import membership, replicated
from jedlik.dynamodb.streams import shard_upkeep
from jedlik.dynamodb.tables import backfill, purge
from jedlik.storage.engine import StorageError

if TYPE_CHECKING:
    from jedlik.regions.region import Region

Step = Callable[["Region", Job], Awaitable[None]]
"""Does one bounded piece of a job: a mutation that checks the job, does some work, and advances or finishes
it. Raises JobMoved, and JobWaits when it cannot go on yet."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Work that comes again."""

    name: str
    period: float
    """Seconds from the end of one run to the beginning of the next."""
    run: Callable[[Region], Awaitable[bool]]
    """Does one bounded piece; says whether there is more to do at once."""
    wanted: Callable[[Region], Awaitable[bool]]
    """Whether the store holds anything that the work is about. Where it does not, no lease is taken: a store that is
    only read needs no committer."""


STEPS: dict[str, Step] = {
    backfill.KIND: backfill.step,
    expiring.KIND: expiring.step,
    membership.DEPARTURE: membership.departure_step,
    membership.REPLICA: membership.step,
    purge.KIND: purge.step,
}

STREAMS_PERIOD = 60.0
"""Seconds between two looks at what is to be trimmed from streams."""


def duties(settings: Settings) -> tuple[Duty, ...]:
    """What a server with these settings does for ever."""
    policy = shard_upkeep.StreamPolicy(rotation=settings.stream_rotation)
    return (
        Duty("expiry", settings.expiry_interval, expiring.sweep, _has_expiry),
        Duty(
            "streams",
            min(STREAMS_PERIOD, settings.stream_rotation / 4),
            partial(shard_upkeep.maintain, policy=policy),
            _has_streams,
        ),
        Duty("tokens", old_tokens.PERIOD, old_tokens.remove_old, _has_tokens),
    )


async def has_work(region: Region) -> bool:
    """Whether anything is to be done in the background, now or later. Raises StorageError."""
    if await _has(region, keys.job_range()) or await _has_expiry(region) or await _has_streams(region):
        return True
    return await _has_tokens(region) or bool(await replicated.all_of(region))


async def _has_expiry(region: Region) -> bool:
    return await _has(region, keys.expiring_tables_range(None))


async def _has_streams(region: Region) -> bool:
    return await _has(region, keys.stream_range(None))


async def _has_tokens(region: Region) -> bool:
    return await _has(region, keys.space_range("tokens"))


async def _has(region: Region, stretch: tuple[bytes, bytes]) -> bool:
    return bool(await region.engine.range(*stretch, 1, 1))


POLL_SECONDS = 1.0
"""How soon a worker notices a job that another has submitted, or a lease that has run out."""
SLICE_SECONDS = 0.2
"""How long one job or duty goes on before the next has its turn."""
RETRY_SECONDS = 5.0
"""How long a job or duty rests after it has failed."""
JOBS_AT_ONCE = 100
"""Jobs that take turns; further ones wait until some are over."""

_log = logging.getLogger(__name__)


async def run(region: Region, stop: asyncio.Event, settings: Settings) -> None:
    """Do the region's background work until `stop` is set."""
    await _Runner(region, stop, duties(settings)).run()


class _Runner:
    def __init__(self, region: Region, stop: asyncio.Event, duties: Sequence[Duty]) -> None:
        self._region = region
        self._stop = stop
        self._duties = duties
        self._leases = Leases(region, secrets.token_hex(8))
        self._due: dict[str, float] = {}
        """When a duty, or anything that failed, may run again, by the event loop's clock."""

    async def run(self) -> None:
        while not self._stop.is_set():
            self._region.jobs_wanted.clear()
            try:
                more = await self._round()
            except StorageError:  # It may go on later.
                _log.exception("no background work is possible")
                more = False
            if not more:
                await self._wait()
        await self._leases.release_all()

    async def _round(self) -> bool:
        """Give everything that is to be done a slice of time; whether there is more to do at once."""
        start, end = keys.job_range()
        rows = await self._region.engine.range(start, end, JOBS_AT_ONCE, MIB)
        due = [duty for duty in self._duties if await duty.wanted(self._region)]
        await clock_watch.look(self._region, bool(rows or due or self._region.replicated))
        more = False
        for key, _ in rows:
            more |= await self._turn(keys.name_of_job_key(key), partial(self._step, key), period=0.0)
        for duty in due:
            more |= await self._turn(duty.name, partial(duty.run, self._region), duty.period)
        return more

    async def _turn(self, name: str, piece: Callable[[], Awaitable[bool]], period: float) -> bool:
        """Do pieces of some work for a slice of time; whether there is more to do at once."""
        clock = asyncio.get_running_loop().time
        begun = now = clock()
        if now < self._due.get(name, now):
            return False
        try:
            while not self._stop.is_set() and await self._leases.hold(name):
                if now - begun > SLICE_SECONDS:
                    return True
                if not await piece():
                    break
                await asyncio.sleep(clock() - now)
                now = clock()
            if not period:
                await self._leases.release(name)
        except JobWaits as waiting:
            self._due[name] = clock() + waiting.seconds
            await self._leases.release(name)
            return False
        except Exception:
            _log.exception("background work failed", extra={"work": name})
            self._due[name] = clock() + RETRY_SECONDS
            return False
        if period:
            self._due[name] = clock() + period
        return False

    async def _step(self, key: bytes) -> bool:
        """Do a step of the job under `key`; whether there is, or may be, another."""
        [raw] = await self._region.engine.get([key])
        if raw is None:
            return False
        job = job_records.parse((key, raw))
        # A job that moved under us is read again: the lease says whether it is still ours.
        with suppress(JobMoved):
            await STEPS[job.kind](self._region, job)
        return True

    async def _wait(self) -> None:
        """Until a job is submitted here, the next poll is due, or the worker stops."""
        waiters = [asyncio.ensure_future(event.wait()) for event in (self._stop, self._region.jobs_wanted)]
        await asyncio.wait(waiters, timeout=POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()
