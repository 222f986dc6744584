"""The recorder: a relay in front of a server that keeps every exchange of AWS JSON that goes through it."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from testing.corpus.exchanges import Exchange

KEPT = ("x-amz-target", "content-type", "authorization", "x-amz-date", "host")
"""Headers that an answer may depend on. Accept-Encoding is left out, so that bodies are kept as text."""
WAIT_SECONDS = 120.0


class Recorder:
    """Relays from its own port to a server's, until it is closed."""

    def __init__(self, port: int, listen: int = 0) -> None:
        self.exchanges: list[Exchange] = []
        lock = threading.Lock()
        exchanges = self.exchanges

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = WAIT_SECONDS

            def relay(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                passed = {name: value for name, value in self.headers.items() if name.lower() != "accept-encoding"}
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT_SECONDS)
                kept = {name: self.headers[name] for name in KEPT if name in self.headers}
                exchange = Exchange(kept, body, 0, "", b"")
                if self.command == "POST":
                    with lock:
                        exchanges.append(exchange)
                try:
                    upstream.request(self.command, self.path, body, passed)
                    response = upstream.getresponse()
                    answer = response.read()
                finally:
                    upstream.close()
                exchange.status, exchange.answer = response.status, answer
                exchange.content_type = response.headers.get("content-type", "")
                self.send_response_only(response.status)
                for name, value in response.headers.items():
                    if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer)

            do_POST = do_GET = do_HEAD = do_OPTIONS = relay  # noqa: N815 (http.server's names)

            def log_message(self, format: str, *args: Any) -> None:
                """Does nothing: a line for each request would bury the tests' output."""

        self._server = ThreadingHTTPServer(("127.0.0.1", listen), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> list[Exchange]:
        """Stop. Returns the exchanges that were answered."""
        self._server.shutdown()
        self._server.server_close()
        return [one for one in self.exchanges if one.status]
