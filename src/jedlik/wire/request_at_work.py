"""A request at work: its handler's coroutine, driven by hand until it has an answer or its client has gone."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Coroutine
from typing import Any, Protocol

from jedlik.memory import Turn
from jedlik.wire.messages import Request, Response


class Asker(Protocol):
    """The connection from which a request has come."""

    def end(self, request: Request, response: Response) -> None:
        """Here is the answer."""
        ...

    def dropped(self, request: Request) -> None:
        """There will be none."""
        ...

    def gone(self) -> bool:
        """Whether nobody waits for it any more."""
        ...


class Exchange:
    """A request whose handler waits, and its answer to come: what a Task would be, and no more."""

    __slots__ = ("_connection", "_coroutine", "_idle", "_request")

    def __init__(self, connection: Asker, request: Request, coroutine: Coroutine[Any, Any, Response]) -> None:
        self._connection = connection
        self._request = request
        self._coroutine: Coroutine[Any, Any, Response] | None = coroutine
        self._idle = False
        """No work is under way for it: it waits for memory, or yields to other requests."""

    def wait(self, waited: Any) -> None:
        """Go on when what the coroutine has yielded is done: a future, or None for the loop's next round."""
        if waited is None:
            self._idle = True
            asyncio.get_running_loop().call_soon(self.resume)
        else:
            if type(waited) is Turn:
                self._idle = True
            waited._asyncio_future_blocking = False  # as Task does: it was awaited
            waited.add_done_callback(self.resume)

    def resume(self, _: object = None) -> None:
        """Take the next step. The coroutine itself takes what the future holds, exceptions included."""
        coroutine = self._coroutine
        if coroutine is None:
            return
        if self._idle:
            if self._connection.gone():
                self.drop()
                return
            self._idle = False
        try:
            waited = coroutine.send(None)
        except StopIteration as end:
            self._connection.end(self._request, end.value)
        else:
            self.wait(waited)

    def drop(self) -> bool:
        """End it without an answer, if nothing is under way for it. Returns whether that is so."""
        coroutine = self._coroutine
        if coroutine is None or not self._idle:
            return False
        self._coroutine = None
        coroutine.close()
        self._connection.dropped(self._request)
        return True


def hung_up(descriptor: int) -> bool:
    """Whether the other side of a socket has closed it."""
    poll = select.poll()
    poll.register(descriptor, select.POLLRDHUP)
    return bool(poll.poll(0))
