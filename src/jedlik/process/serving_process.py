"""A process that serves, be it a worker or a node of DAX: its event loop, its signals, and what it looks after.

It ends by a signal, or when its parent is gone.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import uvloop

from jedlik.aws import metrics
from jedlik.config import Settings
from jedlik.dynamodb import catalog
from jedlik.process.site import Site
from jedlik.regions.stores import Stores
from jedlik.storage.engine import StorageError
from jedlik.wire.certificates import CertificateError, Certificates
from jedlik.wire.messages import HANDSHAKE_SECONDS, Limits

log = logging.getLogger(__name__)

COLLECTED = 5000
"""New containers after which the garbage collector looks at them. Python's own number, 700, is reached by the parsed
bodies of a few requests that wait for a commit, and none of them is garbage: that took a tenth of a BatchWriteItem."""
CANNOT_START = 2
"""Exit code when something that a server needs cannot be used."""
BEAT_SECONDS = 1.0
"""How often a worker shows that its event loop turns."""
IDLE_CHECK_SECONDS = 10.0
"""How often unused stores are looked for."""
STOPPING = {signal.SIGTERM, signal.SIGINT}
"""The signals that stop a server."""
RETIRE = signal.SIGUSR1
"""Makes a worker end when its clients have been served: another has taken its place."""


def run(site: Site, serving: Coroutine[Any, Any, None]) -> int:
    """Serve in an event loop of its own, in a process that was forked for it. Returns the exit code."""
    gc.set_threshold(COLLECTED)
    gc.freeze()  # Objects made so far stay, so the garbage collector need not visit them again.
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            loop.run(serving)
    except StorageError as error:
        log.error("cannot use the data directory %s: %s", site.settings.data_dir, error)
        return CANNOT_START
    return 0


def stop_when_asked(parent: int) -> asyncio.Event:
    """What is set by a signal to stop or to retire, and when the pipe `parent` closes because the parent is gone."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for signal_number in STOPPING | {RETIRE}:
        loop.add_signal_handler(signal_number, stop.set)

    def parent_is_gone() -> None:
        loop.remove_reader(parent)  # It stays readable, and would be called in every turn of the loop.
        stop.set()

    loop.add_reader(parent, parent_is_gone)
    return stop


def limits_of(settings: Settings) -> Limits:
    """What clients may use of a process."""
    return Limits(
        connections=settings.max_connections,
        requests=settings.max_requests,
        idle=settings.idle_timeout,
        request=settings.request_timeout,
        handshake=min(HANDSHAKE_SECONDS, settings.request_timeout),
    )


async def keep_watch(stores: Stores, look: Callable[[], None], beat: memoryview[int]) -> None:
    """Show the parent that the event loop turns, look after stores and identities by `look`, look whether policies of
    tables have changed, and make room for counts, as long as the process runs."""
    while True:
        beat[0] += 1
        look()
        for region in stores.regions():
            with suppress(StorageError):  # The engine has logged it.
                await catalog.look(region)
        metrics.current().look()
        await asyncio.sleep(BEAT_SECONDS)


def look_at_certificates(tls: Certificates | None) -> None:
    """Take certificates that have been replaced, in a process that serves."""
    if tls is not None:
        with suppress(CertificateError):  # The parent looks, too, and logs it.
            tls.look()


async def close_idle(stores: Stores) -> None:
    """Close unused stores, as long as the process runs."""
    while True:
        await asyncio.sleep(IDLE_CHECK_SECONDS)
        await stores.close_idle()


def begin(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """A task that is to run on, with what it does as its name: if it ends with an error, that is logged."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(_log_failure)
    return task


def _log_failure(task: asyncio.Task[None]) -> None:
    """Log what a task ended with that was to run on."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("%s ended: %s", task.get_name(), error, exc_info=error)
