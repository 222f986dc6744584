"""Connections of DAX's clients in the test's own process, without a network."""

from __future__ import annotations

from jedlik.dax.client_connection import ClientConnection


async def at_rest(connection: ClientConnection) -> None:
    """Wait for the answers to all that a connection has received."""
    while connection._at_work is not None:
        await connection._at_work
