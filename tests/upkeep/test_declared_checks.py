"""The check of a store follows the declarations of the services: it knows nothing of what is left out there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from jedlik.background import job_records
from jedlik.dynamodb.backups import recovery_records
from jedlik.dynamodb.model import keys
from jedlik.ec2.endpoint_records import endpoint_row
from jedlik.kms import key_rows
from jedlik.process.services import SERVICES
from jedlik.storage.engine import Writes
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.upkeep.check import StoreCheck
from testing.dynamodb.handlers import Handlers
from testing.full_store import TABLE, change, full, run

CHECKS = [check.name for service in SERVICES for check in service.checks]
KINDS = [kind.name for service in SERVICES for kind in service.job_kinds]

DAMAGES: dict[str, tuple[Callable[[Writes], None], str]] = {
    "small records": (
        lambda writes: writes.put(keys.token_key(1, "token"), b"?"),
        "client token under ",
    ),
    "kms keys": (lambda writes: writes.put(key_rows.key_row("other"), b"?"), "KMS key under "),
    "VPC endpoints": (lambda writes: writes.put(endpoint_row("vpce-01234567"), b"?"), "VPC endpoint under "),
    "recoveries": (lambda writes: writes.put(recovery_records.recovery_key(b"8 bytes."), b"?"), "recovery under "),
    "tables": (lambda writes: writes.put(keys.descriptor_key("other"), b"?"), "descriptor under "),
    "strays": (lambda writes: writes.put(keys.tags_key(b"8 bytes."), b"{}"), "there are tags of "),
    "streams": (lambda writes: writes.put(keys.stream_key("other", "label"), b"?"), "stream under "),
}
"""The damages, by the check that finds each, and the beginning of its line."""


def problems(store: Handlers, checks: list[str], kinds: list[str]) -> list[str]:
    """The findings when only some checks and kinds of job are declared."""
    services = [
        replace(
            service,
            checks=tuple(check for check in service.checks if check.name in checks),
            job_kinds=tuple(kind for kind in service.job_kinds if kind.name in kinds),
        )
        for service in SERVICES
    ]
    engine = store.region.engine
    assert isinstance(engine, LmdbEngine)
    with engine.view() as view:
        return list(StoreCheck(view, services).problems())


def test_every_check_is_among_these() -> None:
    assert set(DAMAGES) == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_without_a_check_its_findings_are_missing(tmp_path: Path, name: str) -> None:
    damage, beginning = DAMAGES[name]

    async def test(store: Handlers) -> None:
        await full(store)
        await change(store, damage)
        [found] = problems(store, CHECKS, KINDS)
        assert found.startswith(beginning)
        assert problems(store, [other for other in CHECKS if other != name], KINDS) == []

    run(tmp_path, test)


def test_without_its_kind_a_job_is_unknown_and_its_rows_are_stray(tmp_path: Path) -> None:
    async def test(store: Handlers) -> None:
        await full(store)
        await store.call("DeleteTable", TableName=TABLE)
        [row] = await store.region.engine.range(*job_records.job_range(), 10, 1 << 20)
        assert problems(store, CHECKS, KINDS) == []
        kind = job_records.parse(row).kind
        unknown, *strays = problems(store, CHECKS, [other for other in KINDS if other != kind])
        assert unknown == f"job under {row[0].hex()}: it is of the kind {kind}, which this version does not know"
        assert {line.split(" of ")[0] for line in strays} == {
            "there are tags",
            "there are rows",
            "there are counters",
            "there are expiry notes",
        }

    run(tmp_path, test)


def test_without_its_key_spaces_the_rows_of_a_service_are_in_no_space(tmp_path: Path) -> None:
    async def test(store: Handlers) -> None:
        await full(store)
        engine = store.region.engine
        assert isinstance(engine, LmdbEngine)
        with engine.view() as view:
            assert list(StoreCheck(view, ()).problems()) == [
                "there are keys before the space of jobs that are of no space",
                "there are keys after the last space",
            ]

    run(tmp_path, test)
