"""A line of the log for each request of DAX, or for each slow one, like those over HTTP (`aws/request_log.py`)."""

from __future__ import annotations

import logging

from jedlik.aws.request_log import LONGEST
from jedlik.dax.node_board import NodeName
from jedlik.dax.plane import Asker

log = logging.getLogger(__name__)


class AccessLog:
    """Logs the requests of a node: every one, or those that take `slow` seconds or more, which are warnings."""

    def __init__(self, name: NodeName, *, every: bool, slow: float | None) -> None:
        self._name = name
        self._every = every
        self._slow = slow

    def note(
        self, asker: Asker, operation: str, seconds: float, sizes: tuple[int, int], **outcome: str | bool | None
    ) -> None:
        """Log a request with its bytes, in and out, if the settings ask for it."""
        is_slow = self._slow is not None and seconds >= self._slow
        if not (is_slow or self._every):
            return
        caller = asker.caller
        fields: dict[str, object] = {
            "operation": operation,
            "cluster": self._name.cluster,
            "node": self._name.node,
            "region": caller.region,
            "account": caller.account,
            "caller": caller.principal,
            "access_key": caller.access_key and caller.access_key[:LONGEST],
            "client": caller.source_address,
            "milliseconds": round(seconds * 1000, 3),
            "bytes_in": sizes[0],
            "bytes_out": sizes[1],
            **outcome,
        }
        known = {name: value for name, value in fields.items() if value not in (None, "")}
        if is_slow:
            log.warning("slow request", extra=known)
        else:
            log.info("request", extra=known)
