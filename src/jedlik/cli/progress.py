"""How far a long command is, as a bar on the terminal.

A thread draws it on standard error, and only when a command has taken a while. So a command on a small store shows no
bar, nor does one whose standard error is not a terminal.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 1.0
"""Seconds after which the bar appears."""
REDRAWN_EVERY = 0.1
"""Seconds."""


@contextmanager
def shown(what: str, total: int | None, done: Callable[[], int]) -> Iterator[None]:
    """Show how much of `total` is done while the block runs; without a total, that it goes on."""
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    drawer = threading.Thread(target=_draw, args=(what, total, done, over), name="progress")
    drawer.start()
    try:
        yield
    finally:
        over.set()
        drawer.join()


def _draw(what: str, total: int | None, done: Callable[[], int], over: threading.Event) -> None:
    if over.wait(PATIENCE):
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("gone,"),
        TimeRemainingColumn(),
        TextColumn("to go"),
    )
    # Lines of a report appear above the bar, but only if they go to the terminal, too.
    redirect = sys.stdout.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=redirect) as progress:
        task = progress.add_task(what, total=total)
        while not over.wait(REDRAWN_EVERY):
            progress.update(task, completed=done() if total is None else min(done(), total))
