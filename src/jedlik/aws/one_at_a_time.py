"""Long computations of one kind, one at a time in a thread: the event loop goes on, and those who ask for many cannot
take more of the machine than that, nor the threads that background work uses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from jedlik.aws.errors import ServiceUnavailable

T = TypeVar("T")


class OneAtATime:
    """Does them in a process."""

    def __init__(self, name: str, most: int) -> None:
        """`most` may wait for their turn. Beyond that, the server is too busy."""
        self._name = name
        self._most = most
        self._asked = 0
        self._thread: ThreadPoolExecutor | None = None
        """Made when first needed: a thread must not be there before the workers are forked."""

    async def do(self, compute: Callable[[], T]) -> T:
        """The result of a computation. Raises ServiceUnavailable where too many wait."""
        if self._asked > self._most:
            raise ServiceUnavailable("The server is too busy; try again")
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        self._asked += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, compute)
        finally:
            self._asked -= 1
