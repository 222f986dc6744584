"""Which process serves a port of DAX, for tests that kill it."""

from __future__ import annotations

import os
from pathlib import Path

from testing.dax import raw_client
from testing.dax.raw_client import RawClient, authorization, preamble, request


def process_of(port: int) -> int:
    """The process that has the connections of a port, among those that merely listen at it. Raises LookupError."""
    with RawClient(f"dax://127.0.0.1:{port}") as client:
        client.send(preamble(), authorization(), request(raw_client.ENDPOINTS))
        client.answer(1)
        inode = _inode(port, client.socket.getsockname()[1])
        for process in Path("/proc").iterdir():
            if process.name.isdecimal() and _has(process, inode):
                return int(process.name)
    raise LookupError(f"nobody has the connections of port {port}")


def _inode(port: int, peer: int) -> str:
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[2].endswith(f":{peer:04X}"):
            return fields[9]
    raise LookupError("there is no such connection")


def _has(process: Path, inode: str) -> bool:
    try:
        return any(os.readlink(one) == f"socket:[{inode}]" for one in (process / "fd").iterdir())
    except OSError:
        return False
