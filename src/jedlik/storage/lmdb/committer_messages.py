"""What a worker and its committer send each other: each message is a length and a value in the form of MessagePack.

worker                                       committer
(snapshot, reads, overlaid, changes)
                                             lock; if nothing that was read has changed, journal, commit, unlock
                                             (DONE, checkpoint on the disk, why others fail)
                                             otherwise, under the lock
                                             (STALE, what is there under reads and overlaid)
changes, as decided over that
                                             journal, commit, unlock
                                             (DONE, checkpoint on the disk, why others fail)
                                             or, if that cannot be done, having changed nothing
                                             (FAILED, why, whether the committer ends, the damaged key)
"""

from __future__ import annotations

import socket
from typing import Any, TypeAlias

import msgpack

Message: TypeAlias = Any
"""A tuple, or bytes."""

DONE, STALE, FAILED = 0, 1, 2
"""The first member of an answer."""
LENGTH = 8
"""Bytes of the length before a message."""


def framed(message: Message) -> bytes:
    """A message as it is sent."""
    encoded: bytes = msgpack.packb(message)
    return len(encoded).to_bytes(LENGTH, "little") + encoded


def unpacked(encoded: bytes | bytearray) -> Message:
    """A message that was received."""
    message: Message = msgpack.unpackb(encoded, use_list=False)
    return message


def send(to: socket.socket, message: Message) -> None:
    """Send a message. Raises OSError if nobody is there."""
    to.sendall(framed(message))


def receive(source: socket.socket) -> Message | None:
    """The next message; None if there will be none."""
    length = _received(source, LENGTH)
    encoded = None if length is None else _received(source, int.from_bytes(length, "little"))
    return None if encoded is None else unpacked(encoded)


def _received(source: socket.socket, size: int) -> bytes | None:
    data = source.recv(size, socket.MSG_WAITALL)
    return data if len(data) == size else None
