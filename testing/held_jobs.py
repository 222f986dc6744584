"""A Jedlik whose background jobs a test can hold: `python -m testing.held_jobs` is `python -m jedlik` with that hook.

What a request begins and a job completes, such as an index that is being created, lasts as long as the test holds
the jobs of that kind: no test needs a job that is slow enough. `Server.holding` is the way in.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

from jedlik.__main__ import main
from jedlik.background import runner
from jedlik.background.job_records import Job, JobWaits
from jedlik.background.work import JobKind, Work
from jedlik.regions.region import Region

FOLDER_VARIABLE = "TEST_HELD_JOBS"
"""The environment variable with the folder that has a file for each kind of job that is held."""
LOOK_SECONDS = 0.02
"""How often a held job looks whether it may go on."""


def holdable(kind: JobKind, folder: Path) -> JobKind:
    """The same kind of job, whose steps wait while it is held. Other jobs go on meanwhile.

    The file of a kind has the number of steps that each process may do, of each job. A process that waits makes a file
    of its own.
    """
    held = folder / kind.name
    done: Counter[str] = Counter()

    async def step(region: Region, job: Job) -> None:
        if held.exists() and done[job.name] >= int(held.read_text()):
            (folder / f"{kind.name}.{os.getpid()}").touch()
            asyncio.get_running_loop().call_later(LOOK_SECONDS, region.jobs_wanted.set)
            raise JobWaits(LOOK_SECONDS / 2)
        done[job.name] += 1
        await kind.step(region, job)

    return replace(kind, step=step)


def install(folder: Path) -> None:
    """Let the jobs of this process be held."""
    run_background_work = runner.run

    async def run(region: Region, stop: asyncio.Event, work: Work) -> None:
        kinds = tuple(holdable(kind, folder) for kind in work.job_kinds)
        await run_background_work(region, stop, replace(work, job_kinds=kinds))

    runner.run = run


if __name__ == "__main__":
    install(Path(os.environ[FOLDER_VARIABLE]))
    main()
