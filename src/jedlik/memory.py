"""The memory that the work of one process may take: one budget, counted here and nowhere else.

It has a share for each kind of work, so that none takes the memory of another: strangers who send bodies slowly do not
block answers, and clients who do not read theirs do not block bodies. Only large amounts count. A small request pays a
comparison at most, and the limits on connections and requests bound the memory of many small ones.

Work holds bytes of a share and releases them. It takes them at once or not at all (`try_hold`, or `grow` of a
`holding`), in turn (`take`), or unconditionally, for memory already in use (`hold`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType

KIB = 1024
MIB = 1024 * KIB

LARGE = 64 * KIB
"""Bytes of a body or an answer that need not be counted. As many as may be in flight take less than 100 MB."""
WAIT_SECONDS = 30.0
"""How long to wait for a turn."""


class Exhausted(Exception):
    """There is no room, not even after the longest wait. The client may retry later."""


class Share:
    """This number of bytes for one kind of work. Nobody may ask for more than all of it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.free = size
        """Below zero if more had to be held than the share has."""
        self._turn: asyncio.Handle | None = None
        self._waiting: deque[tuple[int, Turn]] = deque()

    @property
    def short(self) -> bool:
        """Whether somebody waits, or more is held than the share has."""
        return self.free < 0 or bool(self._waiting)

    def has_room(self, size: int) -> bool:
        """Whether this much could be held at once."""
        return size <= self.free and not self._waiting

    def try_hold(self, size: int) -> bool:
        """Hold this much if there is room and nobody waits. Returns whether it is held."""
        if size > self.free or self._waiting:
            return False
        self.free -= size
        return True

    def hold(self, size: int) -> None:
        """Count what is there already."""
        self.free -= size

    def holding(self) -> Holding:
        """The memory that one piece of work holds, which grows as it goes, and is released at the end of a `with`."""
        return Holding(self)

    async def take(self, size: int) -> None:
        """Wait for room and hold it, first come, first served. Raises Exhausted after WAIT_SECONDS.

        Only one is admitted in a turn of the event loop: small requests come between. To give up waiting, close the
        coroutine.
        """
        loop = asyncio.get_running_loop()
        turn = Turn(loop=loop)
        entry = (size, turn)
        self._waiting.append(entry)
        self._come_to_turn()
        patience = loop.call_later(WAIT_SECONDS, self._give_up, entry)
        try:
            await turn
        except BaseException:
            if entry in self._waiting:
                self._waiting.remove(entry)
                self._come_to_turn()
            elif turn.done() and not turn.cancelled() and turn.exception() is None:  # It had just been let in.
                self.give_back(size)
            raise
        finally:
            patience.cancel()

    def give_back(self, size: int) -> None:
        """Make room for those that wait."""
        self.free += size
        if self._waiting:
            self._come_to_turn()

    def _give_up(self, entry: tuple[int, Turn]) -> None:
        if entry in self._waiting:
            self._waiting.remove(entry)
            entry[1].set_exception(Exhausted())
            self._come_to_turn()

    def _come_to_turn(self) -> None:
        if self._turn is None and self._waiting and self._waiting[0][0] <= self.free:
            self._turn = asyncio.get_running_loop().call_soon(self._let_in)

    def _let_in(self) -> None:
        """Admit the first one, if it still waits and there is room."""
        self._turn = None
        if self._waiting and self._waiting[0][0] <= self.free:
            size, turn = self._waiting.popleft()
            self.free -= size
            turn.set_result(None)
            self._come_to_turn()


class Turn(asyncio.Future[None]):
    """A wait for room. Nothing has been done yet, so the request may be dropped."""


class Holding:
    """The part of a share that one piece of work holds."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._size = 0

    def __enter__(self) -> Holding:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._share.give_back(self._size)

    def grow(self, size: int) -> None:
        """Hold this much more. Raises Exhausted if there is no room."""
        if not self._share.try_hold(size):
            raise Exhausted
        self._size += size


@dataclass(frozen=True, slots=True)
class Memory:
    """The budget of a process. The shares add up to the limit of its work: 768 MiB."""

    bodies: Share = field(default_factory=lambda: Share(128 * MIB))
    """Large bodies, as they come. There is no waiting: a body without room is refused."""
    parsed: Share = field(default_factory=lambda: Share(320 * MIB))
    """Large bodies once they are parsed: the largest takes the whole share."""
    answers: Share = field(default_factory=lambda: Share(256 * MIB))
    """Large answers, while they are made and until their clients have read them."""
    peers: Share = field(default_factory=lambda: Share(64 * MIB))
    """What other regions answer."""
