"""Loading puts items into a table over the wire, as fast as one client process can send them.

It sends BatchWriteItem requests of 25 neighbouring items, on a few dozen connections at once, so that the server always
has enough to commit together. The requests are not signed, because signing costs the client more time than writing
costs the server; so the server must not verify signatures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import orjson
import uvloop

from bench.measuring import make, say
from bench.process import Running
from bench.signing import Body, Refused, Signer
from bench.tables import BATCH_ITEMS, Table

CONNECTIONS = 48
"""Each connection has one request under way. More of them make no difference: these fill the server's commits."""
_OPERATION = "BatchWriteItem"
_ALL_TAKEN = b'{"UnprocessedItems":{}}'
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


def fill(server: Running, table: Table, at_most: int | None = None) -> None:
    """Create the table if it is missing, and put items into it until it has all of them, but not more than `at_most`.

    Raises Refused if the server refuses them.
    """
    client = server.client()
    if table.name not in client.call("ListTables", {})["TableNames"]:
        make(client, table)
    there: int = client.call("DescribeTable", {"TableName": table.name})["Table"]["ItemCount"]
    client.close()
    if there >= table.items:
        return
    # Items arrive in order, except those under way: an interrupted load may have lost this many of the last ones.
    first = max(0, there - CONNECTIONS * BATCH_ITEMS) // BATCH_ITEMS * BATCH_ITEMS
    last = table.items if at_most is None else min(table.items, first + at_most)
    begun = time.perf_counter()
    uvloop.run(_send(server.signer, (table.batch(number) for number in range(first, last, BATCH_ITEMS))))
    seconds = time.perf_counter() - begun
    say(
        f"{first:,} to {last:,} of {table.items:,} items into {table.name}: {seconds:.1f} s, "
        f"{(last - first) / seconds:,.0f} items/s"
    )


async def _send(signer: Signer, bodies: Iterator[Body]) -> None:
    """Send all requests, on many connections."""
    head = _head(signer)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(CONNECTIONS):
            tasks.create_task(_send_on_one(signer, head, bodies))


def _head(signer: Signer) -> bytes:
    """The head of a request up to its length. The scope of its signature names the region."""
    headers = signer.sign(_OPERATION, {}).headers
    lines = [f"{name}: {value}\r\n" for name, value in headers.items() if name != "Content-Length"]
    return f"POST / HTTP/1.1\r\n{''.join(lines)}Content-Length: ".encode()


async def _send_on_one(signer: Signer, head: bytes, bodies: Iterator[Body]) -> None:
    host, port = signer.host.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for body in bodies:
            encoded = orjson.dumps(body)
            writer.write(b"%s%d%s%s" % (head, len(encoded), _HEAD_END, encoded))
            answer_head = (await reader.readuntil(_HEAD_END)).lower()
            answer = await reader.readexactly(int(answer_head.split(_LENGTH)[1].split(b"\r\n")[0]))
            if not answer_head.startswith(b"http/1.1 200") or answer != _ALL_TAKEN:
                raise Refused(f"{_OPERATION}: {answer[:500].decode(errors='replace')}")
    finally:
        writer.close()
