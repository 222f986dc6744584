"""The duty that scrubs: it reads all values of a store now and then, whether or not a request does.

A pass reads a megabyte a second, so a small store is done at once, and the next pass is due a day later. It takes some
milliseconds of each second, writes nothing to the store, and needs no lease: the engine makes sure that only one
process scrubs, and records its progress.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from jedlik.aws import metrics
from jedlik.aws.metrics import Metric
from jedlik.background import work
from jedlik.background.work import Duty
from jedlik.config import Settings
from jedlik.dynamodb.model import spaces
from jedlik.memory import MIB
from jedlik.regions import keyspaces
from jedlik.regions.keyspaces import Keyspace

if TYPE_CHECKING:
    from jedlik.regions.region import Region

PERIOD = 1.0
BYTES = MIB
"""The most that is read in each period, and the value that reaches this."""

SCRUBBED = Metric("ScrubbedValues", "counter", "Count", (), "Values that were read to see whether they are damaged.")
DAMAGED = Metric("DamagedValues", "counter", "Count", (), "Damaged values that were found so.")
METRICS = (SCRUBBED, DAMAGED)
"""All of them."""

_SPACES: tuple[Keyspace, ...] = keyspaces.arranged((keyspaces.STORE, *work.KEYSPACES, *spaces.KEYSPACES))

_log = logging.getLogger(__name__)


async def scrub(region: Region, read: dict[tuple[str, str], int]) -> bool:
    """Read a piece. Returns whether there is more to read in this period. `read` has the amounts so far, by account and
    region."""
    found = region.engine.scrub(region.clock())
    if found.values:
        metrics.current().series(SCRUBBED, region.account, region.name).add(found.values)
    if found.damaged:
        metrics.current().series(DAMAGED, region.account, region.name).add(len(found.damaged))
    for key in found.damaged:
        _log.error(
            "a value is damaged: its checksum is wrong",
            extra={"account": region.account, "region": region.name, **_named(key)},
        )
    store = region.account, region.name
    read[store] = read.get(store, 0) + found.size
    if found.more and read[store] < BYTES:
        return True
    del read[store]
    return False


def _named(key: bytes) -> dict[str, str]:
    """What a key is a key of."""
    space = keyspaces.space_of(key, _SPACES)
    if space is None:
        return {"key": key.hex(), "among": "records of the engine"}
    owner = space.owner_of(key)
    return {"key": key.hex(), "among": space.rows} | ({"of": f"{space.owner.value[0]} {owner.hex()}"} if owner else {})


async def _is_due(region: Region) -> bool:
    return region.engine.scrub_is_due(region.clock())


def duty(settings: Settings) -> Duty:
    """The scrub, which no setting changes."""
    return Duty("scrub", PERIOD, partial(scrub, read={}), _is_due, leased=False)
