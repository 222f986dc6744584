"""Events: what has happened to clusters and their groups, the latest of each region.

An event is written in the commit of what it is about.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from jedlik.aws.context import Context
from jedlik.dax.cluster_records import EVENTS_KEY
from jedlik.dax.errors import InvalidParameterCombinationException, InvalidParameterValueException
from jedlik.dax.listing import page
from jedlik.storage.engine import Writes

Request = dict[str, Any]
CLUSTER, PARAMETER_GROUP, SUBNET_GROUP = "CLUSTER", "PARAMETER_GROUP", "SUBNET_GROUP"
SOURCE_TYPES = (CLUSTER, PARAMETER_GROUP, SUBNET_GROUP)
KEPT_SECONDS = 14 * 86400
USUAL_SECONDS = 86400
MOST_EVENTS = 500
"""The latest ones are kept."""


def add(stored: bytes | None, writes: Writes, now: float, kind: str, name: str, messages: Iterable[str]) -> None:
    """Write events, given what is under EVENTS_KEY."""
    events = [] if stored is None else [one for one in orjson.loads(stored) if one[0] > now - KEPT_SECONDS]
    events += [[now, kind, name, message] for message in messages]
    writes.put(EVENTS_KEY, orjson.dumps(events[-MOST_EVENTS:]))


async def describe_events(context: Context, request: Request) -> Request:
    """The events of some time, by default of the last day; the latest come first."""
    kind, name = request.get("SourceType"), request.get("SourceName")
    if kind not in (None, *SOURCE_TYPES):
        raise InvalidParameterValueException(f"Invalid SourceType: {kind}. Valid values: {', '.join(SOURCE_TYPES)}")
    if name is not None and kind is None:
        raise InvalidParameterCombinationException("SourceType must be given with SourceName")
    now = context.region.clock()
    start, end = _times(request, now)
    [stored] = await context.region.engine.get([EVENTS_KEY])
    events = [
        {"SourceName": about, "SourceType": of, "Message": message, "Date": at, "Number": number}
        for number, (at, of, about, message) in enumerate([] if stored is None else orjson.loads(stored))
        if start <= at <= end and kind in (None, of) and name in (None, about)
    ]
    events.reverse()
    shown, more = page(events, request, lambda one: f"{one['Date']:.6f}-{one['Number']}")
    return {"Events": [{key: one[key] for key in one if key != "Number"} for one in shown], **more}


def _times(request: Request, now: float) -> tuple[float, float]:
    """The first and the last second. Raises what refuses the request."""
    minutes = request.get("Duration")
    if minutes is not None and not 0 < minutes <= KEPT_SECONDS // 60:
        raise InvalidParameterValueException(f"Duration must be between 1 and {KEPT_SECONDS // 60} minutes")
    start, end = request.get("StartTime"), request.get("EndTime")
    if start is not None and end is not None and minutes is not None:
        raise InvalidParameterCombinationException("StartTime, EndTime and Duration cannot be given together")
    seconds = USUAL_SECONDS if minutes is None else minutes * 60
    if start is not None and end is None and minutes is None:
        end = now
    if end is None:
        end = now if start is None else start + seconds
    if start is None:
        start = end - seconds
    if start > end:
        raise InvalidParameterValueException("StartTime must be before EndTime")
    return start, end
