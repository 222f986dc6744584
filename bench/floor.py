"""The floor: Jedlik's own HTTP server, which answers everything with a constant. No server built on it can be faster.

`python -m bench.floor PORT`; the constant is as long as the answer to a GetItem of the benchmark's items.
"""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop

from bench.tables import MAIN
from jedlik.memory import Memory
from jedlik.process.listeners import take_port
from jedlik.wire.http import HttpServer
from jedlik.wire.loads import Loads
from jedlik.wire.messages import Limits, Request, Response

HEADERS = (
    b"Content-Type: application/x-amz-json-1.0\r\n"
    b"x-amzn-RequestId: 4KBNVRGD25RG1KEO9UT4V3FQDJVV4KQNSO5AEMVJF66Q9ASUAAJG\r\n"
    b"x-amz-crc32: 1234567890\r\n"
)


class Constant:
    """An application with a single answer."""

    def __init__(self, body: bytes) -> None:
        self._response = Response(200, HEADERS, body)

    def at_once(self, request: Request) -> None:
        """Each is handled."""

    async def handle(self, request: Request) -> Response:
        """The constant."""
        return self._response

    def refuse(self, status: int, text: str = "") -> Response:
        """Does nothing: the benchmark sends no request that is refused."""
        return Response(status, b"", b"")


async def serve(port: int) -> None:
    """Answer until the process ends."""
    body = json.dumps({"Item": MAIN.item(0)}).encode()
    HttpServer(Constant(body), Limits(), Loads(1), 0, Memory()).start(take_port("127.0.0.1", port))
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
