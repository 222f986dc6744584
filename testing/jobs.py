"""Doing the jobs of a region step by step, as the runner does, with the kinds that the services declare."""

from __future__ import annotations

from jedlik.aws.service import background_work
from jedlik.background.job_records import Job
from jedlik.background.work import by_name
from jedlik.config import Settings
from jedlik.process.services import SERVICES
from jedlik.regions.region import Region

WORK = background_work(SERVICES, Settings())
"""All background work of a server with the settings that it has by default."""
KINDS = by_name(WORK.job_kinds)


async def step(region: Region, job: Job) -> None:
    """Do a step of a job. Raises JobMoved and JobWaits."""
    await KINDS[job.kind].step(region, job)
