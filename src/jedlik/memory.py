"""How much memory the work of one process may take: one budget, counted here and nowhere else.

It has a share for each kind of work, so that none takes what another needs: strangers who send bodies slowly do not
hold up answers, and clients who do not read theirs do not hold up bodies. Only what is large counts. A small request
pays a comparison at most, and what many small ones may take is bounded by the limits on connections and requests.

Whoever takes part holds bytes of a share and gives them back: at once or not at all (`try_hold`, or `grow` of a
`holding`), in turn (`take`), or come what may, for what is there already (`hold`).
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
    """There is no room, and there has not been for as long as one waits. It may be tried again later."""


class Share:
    """So many bytes for one kind of work. Nobody may ask for more than all of it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.free = size
        """Below zero when more had to be held than there was."""
        self._turn: asyncio.Handle | None = None
        self._waiting: deque[tuple[int, Turn]] = deque()

    @property
    def short(self) -> bool:
        """Whether somebody waits, or more is held than there should be."""
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
        """What one piece of work holds, to be grown as it goes, and given back at the end of a `with`."""
        return Holding(self)

    async def take(self, size: int) -> None:
        """Wait for room and hold it, first come, first served. Raises Exhausted after WAIT_SECONDS.

        Only one is let in in a round of the event loop: small requests come between. Whoever gives up waiting closes
        the coroutine.
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
        """Let the first one in, if it is still there and so is the room."""
        self._turn = None
        if self._waiting and self._waiting[0][0] <= self.free:
            size, turn = self._waiting.popleft()
            self.free -= size
            turn.set_result(None)
            self._come_to_turn()


class Turn(asyncio.Future[None]):
    """What waits for room. Nothing has been done yet, so whoever asked for it may be dropped."""


class Holding:
    """What one piece of work holds of a share."""

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
    """The budget of a process. The shares add up to what its work may take: 768 MiB."""

    bodies: Share = field(default_factory=lambda: Share(128 * MIB))
    """Large bodies, as they come. There is no waiting: what does not fit is refused."""
    parsed: Share = field(default_factory=lambda: Share(320 * MIB))
    """What large bodies become: the largest takes all of it."""
    answers: Share = field(default_factory=lambda: Share(256 * MIB))
    """Large answers, while they are made and until their clients have taken them."""
    peers: Share = field(default_factory=lambda: Share(64 * MIB))
    """What other regions answer."""
