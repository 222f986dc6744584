"""The seam through which a long command lets its progress be watched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Watch = Callable[[str, int | None, Callable[[], int]], AbstractContextManager[None]]
"""Entered while something long goes on: a name for it, the amount to do, if that is known, and a function that returns
the amount done, which another thread may call."""


@contextmanager
def unwatched(what: str, total: int | None, done: Callable[[], int]) -> Iterator[None]:
    """Nobody looks."""
    yield
