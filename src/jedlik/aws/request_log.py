"""What the log has of requests: a line for each, or for each slow one; and refused accesses, and faults of ours."""

from __future__ import annotations

import logging
from typing import NamedTuple

from jedlik.aws.context import Context
from jedlik.aws.errors import AccessDeniedException
from jedlik.storage.engine import StorageError
from jedlik.wire.messages import Request

log = logging.getLogger(__name__)

MOST_TABLES = 10
"""The most tables that a line names: a transaction may concern a hundred."""
LONGEST = 256
"""The most characters of client input that a line shows: without signatures anything can be an access key."""


class Answered(NamedTuple):
    """A request that has been answered."""

    request: Request
    request_id: str
    operation: str | None
    """None if it is not known."""
    context: Context | None
    """None if the request was refused before there was one."""
    status: int
    error: str | None
    """The name of the error with which it was refused."""
    size: int
    """Bytes of the answer's body."""
    seconds: float


def note_refused(error: AccessDeniedException, context: Context) -> None:
    """Log that a caller was not allowed something."""
    caller = context.caller
    fields = {
        "request_id": context.request_id,
        "caller": caller.principal,
        "access_key": caller.access_key and caller.access_key[:LONGEST],
        "action": error.action,
        "resource": error.resource[:LONGEST],
        "client": caller.source_address,
        "endpoint": None if caller.way is None else caller.way.id,
    }
    log.warning("access denied", extra={name: value for name, value in fields.items() if value})


def log_fault(request: Request, request_id: str, error: BaseException) -> None:
    """Log what a client gets `answers.FAULT` for."""
    shown = {"request_id": request_id, "target": request.headers.get(b"x-amz-target", b"").decode("latin-1")}
    # What the disk refuses it refuses to everybody: the engine has logged where, and here a line will do.
    trace = None if isinstance(error, StorageError) else error
    log.error("fault: %s", error, exc_info=trace, extra=shown)


class RequestLog:
    """Logs requests: every one, or those that take `slow` seconds or more, which are warnings."""

    def __init__(self, *, every: bool, slow: float | None) -> None:
        self._every = every
        self._slow = slow

    def wants(self, seconds: float) -> bool:
        """Whether a request that has taken this long is logged."""
        return self._every or (self._slow is not None and seconds >= self._slow)

    def note(self, answered: Answered) -> None:
        """Log a request, if the settings ask for it."""
        is_slow = self._slow is not None and answered.seconds >= self._slow
        if is_slow:
            log.warning("slow request", extra=fields(answered))
        elif self._every:
            log.info("request", extra=fields(answered))


def fields(answered: Answered) -> dict[str, object]:
    """The fields of a line; unknown ones are left out."""
    request, context = answered.request, answered.context
    known: dict[str, object] = {"request_id": answered.request_id, "operation": answered.operation}
    if answered.operation is None:
        known["target"] = request.headers.get(b"x-amz-target", b"")[:LONGEST].decode("latin-1")
    if context is not None:
        caller = context.caller
        known |= {
            "table": ",".join(tables(context)),
            "region": context.region.name,
            "account": caller.account,
            "caller": caller.principal,
            "access_key": caller.access_key and caller.access_key[:LONGEST],
            "endpoint": None if caller.way is None else caller.way.id,
            **units(context),
        }
    known |= {
        "client": request.source.address,
        "status": answered.status,
        "error": answered.error,
        "milliseconds": round(answered.seconds * 1000, 3),
        "bytes_in": len(request.body),
        "bytes_out": answered.size,
    }
    return {name: value for name, value in known.items() if value not in (None, "")}


def units(context: Context) -> dict[str, float]:
    """The capacity units that a request has used, of all its tables and their indexes, read and written."""
    used: dict[str, float] = {}
    for charge in context.meter.charges():
        name = "write_units" if charge.writes else "read_units"
        used[name] = used.get(name, 0.0) + charge.total
    return used


def tables(context: Context) -> list[str]:
    """The names of the tables of a request: from the accesses that it needs, or, where nobody looked at them, those
    that it was charged for."""
    if context.accesses is None:
        charged = (charge.table for charge in context.meter.charges())
        names = dict.fromkeys(table.name for table in charged if table is not None)
    else:
        resources = [access.resource.split(":", 5)[-1].split("/") for access in context.accesses]
        names = dict.fromkeys(parts[1] for parts in resources if parts[0] == "table" and len(parts) > 1)
    return list(names)[:MOST_TABLES]
