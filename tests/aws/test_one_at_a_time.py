"""Long computations, one at a time."""

from __future__ import annotations

import asyncio
import threading

import pytest

from jedlik.aws.errors import ServiceUnavailable
from jedlik.aws.one_at_a_time import OneAtATime


def test_one_is_done_at_a_time_and_few_wait() -> None:
    async def scenario() -> None:
        work, may_end, at_once, most = OneAtATime("test", 2), threading.Event(), 0, 0

        def compute() -> str:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            may_end.wait(60)
            at_once -= 1
            return "done"

        asked = [asyncio.ensure_future(work.do(compute)) for _ in range(5)]
        done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 2:
            done, waiting = await asyncio.wait(asked, timeout=0.01)
        assert [type(one.exception()) for one in done] == [ServiceUnavailable] * 2
        assert await asyncio.to_thread(lambda: "free") == "free"
        may_end.set()
        assert await asyncio.gather(*waiting) == ["done"] * 3
        assert most == 1
        with pytest.raises(ZeroDivisionError):
            await work.do(lambda: 1 // 0)
        assert [await work.do(lambda: "again") for _ in range(4)] == ["again"] * 4

    asyncio.run(scenario())
