"""Loading: items into a table over the wire, as fast as one client process can send them.

BatchWriteItem of 25 items that are next to each other, on a few dozen connections at once, so that the server always
has enough to commit together. The requests are not signed, because signing takes the client longer than writing takes
the server: what is loaded into must not verify.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import orjson
import uvloop

from bench.signing import Body, Refused, Signer

CONNECTIONS = 48
"""Each has one request on its way. More make no difference: so many batches fill the server's commits."""
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


@dataclass(frozen=True, slots=True)
class Loader:
    """Sends requests of one operation to a server that does not verify signatures."""

    signer: Signer
    operation: str = "BatchWriteItem"

    def send(self, bodies: Iterator[Body], right: Callable[[bytes], bool]) -> None:
        """Send all, on many connections. Raises Refused for an answer that is an error or not `right`."""
        uvloop.run(self._send(bodies, right))

    async def _send(self, bodies: Iterator[Body], right: Callable[[bytes], bool]) -> None:
        head = self._head()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(CONNECTIONS):
                tasks.create_task(self._send_on_one(head, bodies, right))

    def _head(self) -> bytes:
        """The head of a request up to its length: what is in the signature tells the server the region."""
        headers = self.signer.sign(self.operation, {}).headers
        lines = [f"{name}: {value}\r\n" for name, value in headers.items() if name != "Content-Length"]
        return f"POST / HTTP/1.1\r\n{''.join(lines)}Content-Length: ".encode()

    async def _send_on_one(self, head: bytes, bodies: Iterator[Body], right: Callable[[bytes], bool]) -> None:
        host, port = self.signer.host.split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            for body in bodies:
                encoded = orjson.dumps(body)
                writer.write(b"%s%d%s%s" % (head, len(encoded), _HEAD_END, encoded))
                answer_head = (await reader.readuntil(_HEAD_END)).lower()
                answer = await reader.readexactly(int(answer_head.split(_LENGTH)[1].split(b"\r\n")[0]))
                if not answer_head.startswith(b"http/1.1 200") or not right(answer):
                    raise Refused(f"{self.operation}: {answer[:500].decode(errors='replace')}")
        finally:
            writer.close()
