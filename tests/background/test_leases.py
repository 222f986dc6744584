"""Leases: one holder at a time, and another when the first is gone."""

from __future__ import annotations

from pathlib import Path

from jedlik.background.leases import LEASE_SECONDS, RENEWAL_SECONDS, Leases
from jedlik.regions.region import Region
from testing.regions import SetClock, everything, run


def test_one_worker_holds_a_lease(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        first, second = Leases(region, "first"), Leases(region, "second")
        assert await first.hold("job")
        assert not await second.hold("job")
        assert await second.hold("another job")
        assert not await first.hold("another job")

    run(tmp_path, scenario)


def test_a_holder_keeps_its_lease_as_long_as_it_renews_it(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        first, second = Leases(region, "first"), Leases(region, "second")
        for _ in range(100):
            assert await first.hold("job")
            assert not await second.hold("job")
            clock.now += RENEWAL_SECONDS / 2

    run(tmp_path, scenario)


def test_a_lease_runs_out_when_its_holder_is_gone(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        first, second = Leases(region, "first"), Leases(region, "second")
        assert await first.hold("job")
        clock.now += LEASE_SECONDS - 0.01
        assert not await second.hold("job")
        clock.now += 0.01
        assert await second.hold("job")
        # The first holder comes back to life: it has lost the lease, and knows that.
        assert not await first.hold("job")

    run(tmp_path, scenario)


def test_a_released_lease_is_free_at_once(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        first, second = Leases(region, "first"), Leases(region, "second")
        assert await first.hold("job")
        assert await first.hold("another job")
        await first.release_all()
        assert await everything(region) == []
        assert await second.hold("job")

    run(tmp_path, scenario)


def test_releasing_a_lost_lease_does_not_affect_its_new_holder(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        first, second, third = (Leases(region, name) for name in ("first", "second", "third"))
        assert await first.hold("job")
        clock.now += LEASE_SECONDS
        assert await second.hold("job")
        await first.release("job")
        assert not await third.hold("job")

    run(tmp_path, scenario)


def test_a_clock_that_is_ahead_does_not_prolong_a_lease(tmp_path: Path) -> None:
    async def scenario(region: Region, clock: SetClock) -> None:
        first, second = Leases(region, "first"), Leases(region, "second")
        clock.now += 1_000_000
        assert await first.hold("job")
        clock.now -= 1_000_000
        assert await second.hold("job")

    run(tmp_path, scenario)
