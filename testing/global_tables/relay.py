"""A TCP relay, which can cut the connection between two servers without their knowledge."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

CONNECT_SECONDS = 5.0


class Relay:
    """Passes bytes between its own port and another, until it is stopped."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.target = 0
        """The port to which connections are passed on."""
        self._is_cut = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Drop all connections, and pass on no more."""
        with self._lock:
            self._is_cut = True
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        """Pass connections on again."""
        with self._lock:
            self._is_cut = False

    def _accept(self) -> None:
        while True:
            incoming, _ = self._listening.accept()
            with self._lock:
                is_cut = self._is_cut
            outgoing = None
            if not is_cut:
                with suppress(OSError):
                    outgoing = socket.create_connection(("127.0.0.1", self.target), CONNECT_SECONDS)
                    outgoing.settimeout(None)
            if outgoing is None:
                incoming.close()
                continue
            with self._lock:
                self._open |= {incoming, outgoing}
            for source, sink in ((incoming, outgoing), (outgoing, incoming)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(source)
        source.close()
