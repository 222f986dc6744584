"""Which clock is trusted when the wall clock jumps, and when nothing may be deleted because of its age."""

from __future__ import annotations

import pytest

from jedlik import timekeeping
from jedlik.timekeeping import EARLIER, LATER, PARTED, Reading, Timekeeping

START = 1_800_000_000.0
MINUTE, HOUR, DAY, YEAR = 60.0, 3600.0, 86_400.0, 365 * 86_400.0


class Machine:
    """A machine: its clocks, and the knowledge in its store, which is checked every second or, over long times, every
    ten."""

    def __init__(self) -> None:
        self.wall, self.steady, self.boot = START, 1000.0, "first"
        self.known = timekeeping.started(None, self.reading())

    def reading(self) -> Reading:
        return Reading(self.wall, self.steady, self.boot)

    def jump(self, seconds: float) -> None:
        self.wall += seconds
        self.look()

    def go(self, seconds: float, by: float = 1.0) -> None:
        for _ in range(int(seconds / by)):
            self.pass_by(by)
            self.look()

    def pass_by(self, seconds: float) -> None:
        """Time passes without a check: the machine sleeps, or no server runs."""
        self.wall += seconds
        self.steady += seconds

    def look(self) -> None:
        self.known = kept(timekeeping.advanced(self.known, self.reading()))

    def start(self) -> None:
        self.known = kept(timekeeping.started(self.known, self.reading()))

    def reboot(self) -> None:
        self.boot, self.steady = self.boot + " again", 10.0
        self.start()

    @property
    def reason(self) -> str | None:
        return None if self.known.pause is None else self.known.pause.reason

    @property
    def trusted(self) -> float:
        return self.steady + self.known.offset


def kept(known: Timekeeping) -> Timekeeping:
    """The knowledge, as it passes through the store."""
    again = timekeeping.parse(timekeeping.encode(known))
    assert again == known
    return again


def test_clocks_that_agree_are_trusted() -> None:
    machine = Machine()
    machine.go(HOUR)
    assert machine.reason is None
    assert machine.known.latest == machine.wall


def test_a_machine_that_sleeps_for_days_is_trusted() -> None:
    machine = Machine()
    machine.pass_by(10 * DAY)
    machine.look()
    assert machine.reason is None
    assert machine.trusted == pytest.approx(machine.wall)


@pytest.mark.parametrize("step", [1.0, -1.0])
def test_a_clock_that_is_set_by_a_second_every_two_minutes_is_trusted_for_months(step: float) -> None:
    machine = Machine()
    for _ in range(30 * 60 * 24):
        machine.wall += step
        machine.go(2 * MINUTE, by=30.0)
        assert machine.reason is None
    assert machine.trusted == pytest.approx(machine.wall, abs=1.0)


@pytest.mark.parametrize("by", [60.5, -60.5, 2 * HOUR, -DAY, YEAR, -YEAR])
def test_a_jump_pauses_until_the_clocks_have_agreed_for_five_minutes(by: float) -> None:
    machine = Machine()
    machine.go(MINUTE)
    machine.jump(by)
    assert machine.reason == PARTED
    assert machine.trusted == pytest.approx(machine.wall - by)
    machine.go(15)
    machine.jump(-by)
    machine.go(299)
    assert machine.reason == PARTED
    machine.go(1)
    assert machine.reason is None
    assert machine.trusted == pytest.approx(machine.wall)
    assert machine.known.former == ()


@pytest.mark.parametrize("by", [59.0, -59.0])
def test_a_small_jump_does_not_pause(by: float) -> None:
    machine = Machine()
    machine.jump(by)
    machine.go(2 * HOUR)
    assert machine.reason is None
    assert machine.trusted == pytest.approx(machine.wall)


@pytest.mark.parametrize("by", [2 * HOUR, -DAY])
def test_a_corrected_clock_is_trusted_after_five_minutes(by: float) -> None:
    machine = Machine()
    machine.jump(by)
    machine.go(299)
    assert machine.reason == PARTED
    assert machine.trusted == pytest.approx(machine.wall - by)
    machine.go(1)
    assert machine.reason is None
    assert machine.trusted == pytest.approx(machine.wall)
    assert machine.known.latest == machine.wall


def test_a_clock_that_keeps_jumping_is_never_trusted() -> None:
    machine = Machine()
    for number in range(10):
        machine.jump(2 * HOUR if number % 2 else -2 * HOUR)
        machine.go(4 * MINUTE)
        assert machine.reason == PARTED
    assert machine.trusted == pytest.approx(START + 40 * MINUTE)


def test_writes_dated_by_a_former_clock_are_not_too_old_for_a_day() -> None:
    machine = Machine()
    machine.go(MINUTE)
    machine.jump(-DAY)
    machine.go(10 * MINUTE)  # It is trusted, and new writes are dated a day back.
    machine.jump(DAY)
    machine.go(10 * MINUTE)
    assert machine.reason is None
    assert machine.known.slowest(machine.steady) == pytest.approx(machine.wall - DAY)
    machine.go(24 * HOUR, by=10.0)
    assert machine.known.slowest(machine.steady) == pytest.approx(machine.wall - DAY)
    machine.go(2 * HOUR, by=10.0)
    assert machine.known.slowest(machine.steady) == pytest.approx(machine.wall)


def test_a_worker_that_starts_during_a_jump_does_not_trust_it() -> None:
    machine = Machine()
    machine.go(MINUTE)
    machine.wall += 2 * HOUR
    machine.start()
    assert machine.reason == PARTED
    assert machine.trusted == pytest.approx(machine.wall - 2 * HOUR)


def test_a_worker_that_starts_does_not_prolong_a_pause() -> None:
    machine = Machine()
    machine.jump(2 * HOUR)
    for _ in range(10):
        machine.go(30)
        machine.start()
    assert machine.reason is None


def test_a_start_within_a_day_is_trusted() -> None:
    machine = Machine()
    machine.pass_by(23 * HOUR)
    machine.start()
    assert machine.reason is None
    machine.wall += 23 * HOUR
    machine.reboot()
    assert machine.reason is None
    assert machine.trusted == machine.wall


@pytest.mark.parametrize("booted", [False, True])
def test_a_start_a_day_later_waits_for_ten_minutes(booted: bool) -> None:
    machine = Machine()
    machine.pass_by(DAY)
    if booted:
        machine.reboot()
    else:
        machine.start()
    assert machine.reason == LATER
    assert machine.trusted == pytest.approx(machine.wall)
    before = machine.known.offsets(machine.steady, 600.0)[1:]
    assert [machine.steady + offset for offset in before] == pytest.approx([START])
    machine.go(599)
    assert machine.reason == LATER
    assert machine.known.latest == START
    machine.go(1)
    assert machine.reason is None
    assert machine.known.former == ()
    assert machine.known.latest == machine.wall


def test_another_start_a_day_later_waits_again() -> None:
    machine = Machine()
    machine.pass_by(2 * DAY)
    machine.start()
    machine.go(5 * MINUTE)
    machine.pass_by(DAY)
    machine.start()
    machine.go(599)
    assert machine.reason == LATER


def test_a_start_that_is_a_day_later_by_one_clock_only_goes_on_with_the_other() -> None:
    machine = Machine()
    machine.pass_by(2 * MINUTE)
    machine.wall += YEAR
    machine.start()
    assert machine.reason == LATER
    assert machine.trusted == pytest.approx(START + 2 * MINUTE)
    machine.go(599)
    assert machine.reason == LATER
    machine.go(1)
    assert machine.trusted == pytest.approx(machine.wall)
    assert machine.known.slowest(machine.steady) == pytest.approx(machine.wall - YEAR)


def test_a_start_with_an_earlier_clock_goes_on_from_the_latest_time() -> None:
    machine = Machine()
    machine.go(MINUTE)
    machine.wall -= DAY
    machine.reboot()
    assert machine.reason == EARLIER
    assert machine.trusted == pytest.approx(START + MINUTE)
    machine.go(299)
    assert machine.reason == EARLIER
    machine.go(1)
    assert machine.reason is None
    assert machine.trusted == machine.known.latest == machine.wall


def test_a_boot_does_not_end_a_pause() -> None:
    machine = Machine()
    machine.jump(2 * HOUR)
    machine.reboot()
    assert machine.reason == PARTED
    machine.go(299)
    assert machine.reason == PARTED


def test_a_boot_keeps_what_was_trusted_before() -> None:
    machine = Machine()
    machine.jump(2 * HOUR)
    machine.go(10 * MINUTE)
    machine.reboot()
    assert machine.known.slowest(machine.steady) == pytest.approx(machine.wall - 2 * HOUR)


def test_former_differences_are_bounded_and_the_lowest_stays() -> None:
    machine = Machine()
    machine.jump(DAY)
    machine.go(300)
    for number in range(120):
        machine.jump(100.0 if number % 2 else -90.0)
        machine.go(300, by=50.0)
    assert len(machine.known.former) == timekeeping.MOST_FORMER
    assert machine.known.slowest(machine.steady) == pytest.approx(machine.steady + START - 1000.0)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b'{"boot": "b", "offset": 1.0, "pause": {"reason": "TIRED"}, "former": []}']
)
def test_a_malformed_record_is_refused(raw: bytes) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        timekeeping.parse(raw)
