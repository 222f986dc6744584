"""Removal of transactions' client tokens that no replay can use any more (`items.client_tokens`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jedlik.background import stretches
from jedlik.background.work import Duty
from jedlik.config import Settings
from jedlik.dynamodb.model import keys, spaces
from jedlik.dynamodb.model.limits import IDEMPOTENCY_SECONDS, MIB
from jedlik.storage.engine import Writes

if TYPE_CHECKING:
    from jedlik.regions.region import Region

PERIOD = 60.0
"""Seconds between two rounds of removal."""
STEP_RECORDS = 500
"""Records removed in one mutation."""


async def remove_old(region: Region) -> bool:
    """Remove a batch of old records. Returns whether there are more. Those of this interval of time and of the last
    stay."""
    if region.clock.doubtful:
        return False
    interval = int(region.clock.slowest() // IDEMPOTENCY_SECONDS)
    rows = await region.engine.range(*keys.token_range(interval - 1), STEP_RECORDS, MIB)
    if not rows:
        return False
    old = [key for key, _ in rows]

    def decide(_: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        for key in old:
            writes.delete(key)
        return writes, None

    await region.engine.mutate([], decide)
    return len(old) == STEP_RECORDS


def duty(settings: Settings) -> Duty:
    """The removal, which no setting changes."""
    return Duty("tokens", PERIOD, remove_old, _has_tokens)


async def _has_tokens(region: Region) -> bool:
    return await stretches.holds(region, spaces.TOKENS.range)
