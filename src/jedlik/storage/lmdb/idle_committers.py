"""Committers that have nothing to do: a process keeps a few of them, and ends the others.

A committer takes 13 MB, and a process has one for each store that it has written to. Starting one takes a tenth of a
second, for which the first commit of a store waits. So a process that writes to few stores keeps them all; a process
that writes to many keeps those of the stores that were written to last.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

KEPT = 4
"""Committers that a process keeps although they are idle. With two workers, these are a hundred megabytes."""
QUIET_LOOKS = 3
"""Looks, one a second, at which a store's first committer was idle before it may be ended. Twice as many for each
further one, so a store that is written to regularly soon keeps its committer: background work writes every ten
seconds."""
MOST_DOUBLINGS = 5


class Committing(Protocol):
    """An engine, as far as its committer is concerned."""

    @property
    def quiet_looks(self) -> int | None:
        """For how many looks in a row its committer has had nothing to do; None if it has none."""
        ...

    @property
    def committers_started(self) -> int:
        """How many committers it has started so far."""
        ...

    def end_committer(self) -> None:
        """Begin to end the committer, which has nothing to do. The next commit that needs one starts another."""
        ...


def end_most(engines: Iterable[Committing], kept: int = KEPT) -> None:
    """End the committers that have been idle for longest, except `kept` of them. Call it once a second, after the
    looks."""
    idle = [(engine.quiet_looks or 0, engine) for engine in engines if engine.quiet_looks is not None]
    idle.sort(key=lambda one: one[0])
    for looks, engine in idle[kept:]:
        if looks >= QUIET_LOOKS << min(engine.committers_started - 1, MOST_DOUBLINGS):
            engine.end_committer()
