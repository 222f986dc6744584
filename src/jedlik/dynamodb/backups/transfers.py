"""What exports and imports have in common: a record each, which is found by ARN, by client token, and in a list."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from jedlik.aws.errors import AccessDeniedException, ServiceError, ValidationException
from jedlik.memory import MIB

if TYPE_CHECKING:
    from jedlik.regions.region import Region

IN_PROGRESS = "IN_PROGRESS"
COMPLETED = "COMPLETED"
FAILED = "FAILED"

TOKEN_SECONDS = 8 * 60 * 60.0
"""How long a client token is remembered."""
LISTED_SECONDS = 90 * 24 * 60 * 60.0
"""How long one is listed after its start."""
PAGE = 25
"""Records that a list has and that are read at a time, at the most."""

_ARN = re.compile(r"arn:[^:]*:dynamodb:([^:]*):([^:]*):table/([^/]+)/([^/]+)/([^/]+)")


class Transfer(Protocol):
    """An export or an import."""

    @property
    def started(self) -> float:
        """Seconds since the epoch."""
        ...

    @property
    def request(self) -> dict[str, Any]:
        """The request that began it."""
        ...


T = TypeVar("T", bound=Transfer)
Parse = Callable[[bytes], T]


async def find(
    region: Region, arn: str, what: str, key: Callable[[str, str], bytes], missing: type[ServiceError]
) -> bytes:
    """The record of the one that has an ARN. `what` is "export" or "import", and `key` gives a record's key by table
    and id.

    Raises ValidationException, AccessDeniedException and `missing`.
    """
    match = _ARN.fullmatch(arn)
    if match is None or match[4] != what:
        raise ValidationException(f"Invalid {what} ARN: {arn}", bare=True)
    if match[2] != region.account:
        raise AccessDeniedException("Access is denied")
    [raw] = await region.engine.get([key(match[3], match[5])])
    if match[1] != region.name or raw is None:
        raise missing(f"{what.capitalize()} not found: {arn}")
    return raw


async def listed(region: Region, parse: Parse[T], start: bytes, end: bytes, limit: int) -> list[T]:
    """Those of the last 90 days between two keys. If there are more than `limit`, the one behind the limit begins the
    next page."""
    oldest = region.clock() - LISTED_SECONDS
    found: list[T] = []
    while len(found) <= limit:
        rows = await region.engine.range(start, end, PAGE, MIB)
        if not rows:
            break
        found += [one for _, raw in rows if (one := parse(raw)).started >= oldest]
        start = rows[-1][0] + b"\0"
    return found


async def same_token(
    region: Region,
    parse: Parse[T],
    between: tuple[bytes, bytes],
    request: dict[str, Any],
    now: float,
    conflict: ServiceError,
) -> T | None:
    """The one that was begun with the same client token. Raises `conflict` if its request was another one."""
    token = request.get("ClientToken")
    if token is None:
        return None
    start, end = between
    while rows := await region.engine.range(start, end, PAGE, MIB):
        start = rows[-1][0] + b"\0"
        for _, raw in rows:
            found = parse(raw)
            if found.request.get("ClientToken") == token and found.started > now - TOKEN_SECONDS:
                if found.request != request:
                    raise conflict
                return found
    return None
