"""Requests of many elements, by turns: a slow one lets other requests run between its elements."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
M = TypeVar("M")

TURN_SECONDS = 0.01
"""How long the elements of a request may keep the event loop busy. Hardly any request takes as long in all."""


async def by_turns(elements: Iterable[T], make: Callable[[T], M]) -> list[M]:
    """The results of `make` for the elements. Raises its errors."""
    made = []
    begun = time.perf_counter()
    for element in elements:
        made.append(make(element))
        if time.perf_counter() - begun > TURN_SECONDS:
            await asyncio.sleep(0)
            begun = time.perf_counter()
    return made
