"""Timekeeping: which clock is trusted when the wall clock jumps, and when nothing may be deleted because of its age.

The wall clock can be set; the steady clock, which counts from the boot of the machine and goes on while it sleeps,
cannot. Both are slewed alike, so their difference changes by jumps only. A store keeps the difference that it trusts,
and the latest time that it knows of, in one record that its workers share:

    agreeing --(the difference has changed by more than a minute)--> paused, PARTED
    paused   --(the difference has stayed the same for five minutes; ten if LATER)--> agreeing, with what it is now

A start compares the clocks with the record. After a boot the differences cannot be compared, but the latest time can: a
wall clock that is behind it has lost its time (EARLIER), and one that is a day ahead of it may have (LATER). While the
clocks disagree, or the wall clock has lost its time, the time goes on from what was trusted; a day that seems to have
passed is believed. While it is paused, nothing is deleted because of its age.

Small jumps are forgiven and followed slowly, so that a clock which is set by a second every hour is trusted for ever.
Formerly trusted differences are remembered for a day, because entries in the log may have been dated by them.

Source: clock_gettime(2), CLOCK_REALTIME and CLOCK_BOOTTIME.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

AGREEMENT_SECONDS = 60.0
"""How far the wall clock may be from the steady one before it is doubted."""
LATER_SECONDS = 24 * 60 * 60.0
"""A start this much later than everything that the store knows of is doubted."""
ABSENT_SECONDS = 60.0
"""If the record is older than this, no process has used the store: it is a start, and not only one of another
worker."""
FOLLOWED = 1 / 60
"""After a jump within AGREEMENT_SECONDS, the clock follows by this much each second: a minute in an hour."""
REMEMBERED_SECONDS = 25 * 60 * 60.0
"""How long a former difference is remembered: the longest that an entry of a change log is kept."""
MOST_FORMER = 100
"""The most former differences that are remembered; of older ones, the lowest stays."""
NOTE_SECONDS = 10.0
"""How old the record may be, so how accurate the latest time is."""

PARTED = "PARTED"
EARLIER = "EARLIER"
LATER = "LATER"
WAITS = {PARTED: 5 * 60.0, EARLIER: 5 * 60.0, LATER: 10 * 60.0}
"""Why it is paused, and for how many seconds the difference must then stay the same."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Both clocks at one moment, in seconds: since the epoch, and since the boot that `boot` names."""

    wall: float
    steady: float
    boot: str

    @property
    def offset(self) -> float:
        """By how much the wall clock is ahead of the steady one."""
        return self.wall - self.steady


@dataclass(frozen=True, slots=True)
class Pause:
    """The state in which nothing is deleted because of its age."""

    reason: str
    since: float
    """In seconds since the epoch, by the trusted clock."""
    offset: float
    """The difference as it is now."""
    unchanged_since: float
    """On the steady clock."""


@dataclass(frozen=True, slots=True)
class Former:
    """A difference that was trusted once, and until when, on the steady clock."""

    offset: float
    until: float


@dataclass(frozen=True, slots=True)
class Timekeeping:
    """What a store knows of time."""

    boot: str
    offset: float
    """The difference between the clocks that is trusted."""
    latest: float
    """The latest known time, in seconds since the epoch."""
    noted: float
    """When this was, on the steady clock."""
    pause: Pause | None = None
    former: tuple[Former, ...] = ()

    def parted(self, reading: Reading) -> bool:
        """Whether the difference between the clocks is not the trusted one."""
        return abs(reading.offset - self.offset) > AGREEMENT_SECONDS

    def slowest(self, steady: float) -> float:
        """The earliest possible time, in seconds since the epoch, by any remembered difference."""
        return steady + min((self.offset, *(former.offset for former in self.former)))

    def offsets(self, steady: float, seconds: float) -> tuple[float, ...]:
        """The differences that were trusted within the last `seconds`, first the one that is."""
        return (self.offset, *(former.offset for former in self.former if steady - former.until < seconds))


def started(known: Timekeeping | None, reading: Reading) -> Timekeeping:
    """The knowledge of a process that starts, from the store's record, if there is one."""
    if known is None:
        return Timekeeping(reading.boot, reading.offset, reading.wall, reading.steady)
    if known.boot != reading.boot:
        return _booted(known, reading)
    absent = reading.steady - known.noted >= ABSENT_SECONDS
    if absent and reading.wall - known.latest >= LATER_SECONDS:
        return _late(known, reading, known.offset if known.parted(reading) else reading.offset)
    return advanced(known, reading)


def advanced(known: Timekeeping, reading: Reading) -> Timekeeping:
    """The present knowledge. If the machine has been booted since, that is a start."""
    if known.boot != reading.boot:
        return _booted(known, reading)
    kept = [former for former in known.former if reading.steady - former.until < REMEMBERED_SECONDS]
    known = replace(known, former=tuple(kept))
    pause = known.pause
    if pause is None and not known.parted(reading):
        return _noted(_following(known, reading), reading)
    if pause is None:
        return _noted(_paused(known, PARTED, reading), reading)
    if abs(reading.offset - pause.offset) > AGREEMENT_SECONDS:
        known = replace(known, pause=replace(pause, offset=reading.offset, unchanged_since=reading.steady))
    elif reading.steady - pause.unchanged_since >= WAITS[pause.reason]:
        return _resumed(known, reading)
    return _noted(known, reading)


def _following(known: Timekeeping, reading: Reading) -> Timekeeping:
    most = max(0.0, reading.steady - known.noted) * FOLLOWED
    return replace(known, offset=known.offset + min(max(reading.offset - known.offset, -most), most))


def _paused(known: Timekeeping, reason: str, reading: Reading) -> Timekeeping:
    since = reading.steady + known.offset
    return replace(known, pause=Pause(reason, since, reading.offset, reading.steady))


def _noted(known: Timekeeping, reading: Reading) -> Timekeeping:
    """With the latest time that both clocks have reached. A late start is one until it has been waited for."""
    both = min(reading.wall, reading.steady + known.offset)
    late = known.pause is not None and known.pause.reason == LATER
    return replace(known, latest=known.latest if late else max(known.latest, both), noted=reading.steady)


def _resumed(known: Timekeeping, reading: Reading) -> Timekeeping:
    former = known.former
    if known.pause is not None and known.pause.reason == LATER:
        former = ()  # The day has passed, so nothing that was written before it is young.
    if known.parted(reading):
        former = _bounded((*former, Former(known.offset, reading.steady)))
    return Timekeeping(reading.boot, reading.offset, reading.wall, reading.steady, None, former)


def _booted(known: Timekeeping, reading: Reading) -> Timekeeping:
    """The steady clock has started again, so everything is compared with the latest time, as if no time had passed
    since."""
    resumed = known.latest - reading.steady
    shift = resumed - known.offset
    former = tuple(Former(former.offset + shift, reading.steady) for former in known.former)
    known = replace(known, boot=reading.boot, offset=resumed, noted=reading.steady, former=former)
    ahead = reading.wall - known.latest
    if ahead >= LATER_SECONDS:
        return _late(known, reading, reading.offset)
    if ahead < -AGREEMENT_SECONDS:
        return _paused(replace(known, pause=None), EARLIER, reading)
    if known.pause is not None:
        return _paused(replace(known, offset=reading.offset), PARTED, reading)
    return _noted(replace(known, offset=reading.offset), reading)


def _late(known: Timekeeping, reading: Reading, offset: float) -> Timekeeping:
    """A day seems to have passed, and for a while it may not have."""
    former = _bounded((*known.former, Former(known.latest - reading.steady, reading.steady)))
    return _paused(replace(known, offset=offset, noted=reading.steady, former=former), LATER, reading)


def _bounded(former: tuple[Former, ...]) -> tuple[Former, ...]:
    if len(former) <= MOST_FORMER:
        return former
    lowest = min(former, key=lambda one: one.offset)
    return (lowest, *[one for one in former if one is not lowest][1 - MOST_FORMER :])


def encode(known: Timekeeping) -> bytes:
    """As it is stored."""
    return orjson.dumps(asdict(known))


def parse(raw: bytes) -> Timekeeping:
    """The stored record. Raises ValueError, TypeError or KeyError if it is malformed."""
    members: dict[str, Any] = orjson.loads(raw)
    pause, former = members.pop("pause"), members.pop("former")
    if pause is not None and pause["reason"] not in WAITS:
        raise ValueError(f"it is paused for {pause['reason']}")
    return Timekeeping(
        **members,
        pause=None if pause is None else Pause(**pause),
        former=tuple(Former(**one) for one in former),
    )
