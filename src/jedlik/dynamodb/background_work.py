"""DynamoDB's background work: every kind of job, and every duty."""

from __future__ import annotations

from functools import partial

from jedlik.background.work import Duty, Work
from jedlik.config import Settings
from jedlik.dynamodb.items import expiring, old_tokens
from jedlik.dynamodb.model import keys
from jedlik.dynamodb.replication import membership, replicated
from jedlik.dynamodb.streams import shard_upkeep
from jedlik.dynamodb.tables import backfill, purge
from jedlik.regions import keyspaces
from jedlik.regions.region import Region

JOB_KINDS = (backfill.JOB, expiring.JOB, membership.DEPARTURE_JOB, membership.REPLICA_JOB, purge.JOB)

STEPS = {kind.name: kind.step for kind in JOB_KINDS}

STREAMS_PERIOD = 60.0
"""Seconds between two looks at what is to be trimmed from streams."""


def work(settings: Settings) -> Work:
    """All of it, for a server with these settings."""
    return Work(JOB_KINDS, duties(settings), standing=(_has_replicas,))


def duties(settings: Settings) -> tuple[Duty, ...]:
    """What a server with these settings does for ever."""
    policy = shard_upkeep.StreamPolicy(rotation=settings.stream_rotation)
    return (
        Duty("expiry", settings.expiry_interval, expiring.sweep, _has_expiry),
        Duty(
            "streams",
            min(STREAMS_PERIOD, settings.stream_rotation / 4),
            partial(shard_upkeep.maintain, policy=policy),
            _has_streams,
        ),
        Duty("tokens", old_tokens.PERIOD, old_tokens.remove_old, _has_tokens),
    )


async def _has_expiry(region: Region) -> bool:
    return await _has(region, keys.expiring_tables_range(None))


async def _has_streams(region: Region) -> bool:
    return await _has(region, keys.stream_range(None))


async def _has_tokens(region: Region) -> bool:
    return await _has(region, keyspaces.space_range("tokens"))


async def _has_replicas(region: Region) -> bool:
    return bool(await replicated.all_of(region))


async def _has(region: Region, stretch: tuple[bytes, bytes]) -> bool:
    return bool(await region.engine.range(*stretch, 1, 1))
