"""The commands that look after a store: each function does what one asks and prints it. All raise StorageError."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import orjson

from jedlik.aws.service import Service
from jedlik.dynamodb.replication.aside import Aside
from jedlik.dynamodb.replication.pull_positions import PullPosition
from jedlik.regions import due_compactions, layout
from jedlik.regions.layout import Stored, Which
from jedlik.regions.store_format import FORMAT, SEALED_FORMAT
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb import lmdb_file
from jedlik.storage.lmdb.coherence import DamagedPages, DamagedStore
from jedlik.storage.lmdb.environment import FORMAT as STORAGE_FORMAT
from jedlik.storage.lmdb.lmdb_pages import DATA
from jedlik.storage.lmdb.salvage import salvaging
from jedlik.storage.lmdb.scrub_progress import Progress
from jedlik.storage.lmdb.view import View
from jedlik.timekeeping import EARLIER, LATER, PARTED, WAITS, Timekeeping
from jedlik.upkeep import losses, moving, opening, server_metrics
from jedlik.upkeep.check import StoreCheck
from jedlik.upkeep.opening import Reader
from jedlik.upkeep.repair import repair
from jedlik.upkeep.server_metrics import Counted
from jedlik.upkeep.stats import RecoveryStats, of_store
from jedlik.upkeep.upgrade import upgrade as upgrade_store
from jedlik.upkeep.watching import Watch, unwatched

Say = Callable[[str], None]
"""Prints a line."""


def check_pages(stored: Stored, say: Say, watch: Watch = unwatched, *, reader: Reader) -> int:
    """Check the pages of a store's file first, without LMDB, and then the rest. Returns how much is wrong.

    Where a page is damaged the rest is not looked at: LMDB believes its pages, and may end the process.
    """
    found = 0
    for problem in lmdb_file.page_problems(stored.path):
        say(f"{stored.label}: {problem}")
        found += 1
    if found:
        say(f"{stored.label}: {found} problem{'' if found == 1 else 's'} in the pages: nothing else was checked")
        return found
    return check(stored, say, watch, reader=reader)


def check(stored: Stored, say: Say, watch: Watch = unwatched, *, reader: Reader) -> int:
    """Print what is wrong in a store, a line each, and a summary. Returns how much is wrong."""
    found, checked, seconds = _check(stored, watch, reader, lambda problem: say(f"{stored.label}: {problem}"))
    say(
        f"{stored.label}: {checked.summary}, "
        f"checked in {seconds:.1f} s ({checked.counts['items'] / seconds:.0f} items/s): "
        f"{found or 'no'} problem{'' if found == 1 else 's'}"
    )
    return found


def check_as_json(stored: Stored, say: Say, watch: Watch = unwatched, *, reader: Reader) -> int:
    """As `check`, for programs: an object a line."""

    def say_object(fields: dict[str, object]) -> None:
        say(
            orjson.dumps(
                {"region": None if stored.is_identity else stored.path.name, "account": stored.account} | fields
            ).decode()
        )

    found, checked, seconds = _check(stored, watch, reader, lambda problem: say_object({"problem": problem}))
    say_object({**checked.counts, "seconds": round(seconds, 3), "problems": found})
    return found


def _check(stored: Stored, watch: Watch, reader: Reader, tell: Callable[[str], None]) -> tuple[int, StoreCheck, float]:
    """Check a store, and pass each problem on. Returns how many there are, the check, and how long it took."""
    found = 0
    begun = time.monotonic()
    with opening.view(stored.path) as view, watch(f"checking {stored.label}", view.pages.rows, lambda: view.rows_read):
        checked = StoreCheck(reader.opened(view, stored), reader.services, stored, reader.secrets)
        for problem in checked.problems():
            tell(problem)
            found += 1
    return found, checked, time.monotonic() - begun


def recover_damaged(stored: Stored, say: Say, watch: Watch = unwatched, *, reader: Reader) -> int:
    """Keep what can be kept of a store that is refused or has damaged values, print what cannot, and check it.

    Returns how much is lost and wrong.
    """
    try:
        with opening.view(stored.path):
            say(f"{stored.label}: the store is not damaged in a way that keeps it from being opened")
            lost = 0
    except DamagedPages as damage:
        say(f"{stored.label}: {damage.reason}")
        lost = 0
    except DamagedStore as damage:
        say(f"{stored.label}: {damage.reason}")
        lost = _salvage(stored, say, watch, reader)
    _refuse_damaged_pages(stored.path)
    lost += asyncio.run(repair(stored, reader, lambda line: say(f"{stored.label}: {line}")))
    return lost + check(stored, say, watch, reader=reader)


def _refuse_damaged_pages(folder: Path) -> None:
    """Raises StorageError for a store in which LMDB would lose its way: to write there could destroy more."""
    for problem in lmdb_file.page_problems(folder):
        if problem.is_of_a_key:
            continue
        raise StorageError(f"the pages of the store in {folder} are damaged ({problem}): put back a copy of the store")


def _salvage(stored: Stored, say: Say, watch: Watch, reader: Reader) -> int:
    with salvaging(stored.path) as salvage:
        lost: list[str] | None = None
        with closing(salvage.attempts()) as attempts:
            for attempt in attempts:
                view = attempt.view
                with watch(f"trying {attempt.what}", view.pages.rows, partial(_rows_read, view)):
                    plain = reader.opened(view, stored)
                    problems = sum(1 for _ in StoreCheck(plain, reader.services, stored).problems())
                    lost = list(losses.of(attempt, plain))
                say(f"{stored.label}: tried {attempt.what}: {problems or 'no'} problem{'' if problems == 1 else 's'}")
                if not problems:
                    break
        if lost is None:
            raise StorageError(
                f"nothing can be kept of the store in {stored.path}: neither file leads to what was stored"
            )
        aside = salvage.take()
    for line in lost:
        say(f"{stored.label}: lost: {line}")
    say(f"{stored.label}: kept: {attempt.what}; the damaged files are in {aside}")
    return len(lost)


def _rows_read(view: View) -> int:
    return view.rows_read


def stats(stored: Stored, say: Say, watch: Watch = unwatched, *, services: Sequence[Service] = ()) -> int:
    """Print how large a store and each of its tables is. Returns 0."""
    store = of_store(stored, services)
    for table in store.tables:
        say(
            f"{stored.label}: table {table.name}: {table.items} items of {table.size} bytes, "
            f"{table.entries} index entries of {table.entries_size} bytes, {table.log_entries} log entries"
        )
        for peer in table.peers:
            say(f"{stored.label}: table {table.name}: {_progress(peer)}")
        for aside in table.asides:
            say(f"{stored.label}: table {table.name}: {_put_aside(aside)}")
        if table.recovery is not None:
            say(f"{stored.label}: table {table.name}: {_recovery(table.recovery)}")
    for one in store.imports:
        say(
            f"{stored.label}: import {one.id} of table {one.table}: {one.errors} records were no items; the log is in "
            f"{one.log} in the place of backups"
        )
    for held in store.held:
        missed = "" if held.hold.missed is None else ", which is not in the settings: see docs/operating/running.md"
        say(f"{stored.label}: {held.table}: held for a restore in the region {held.hold.region}{missed}")
    if stored.is_identity:
        say(f"{stored.label}: {', '.join(f'{number} {name}' for name, number in store.identities.items())}")
    if store.clock is not None:
        say(f"{stored.label}: clock: {_clock(store.clock)}")
    say(f"{stored.label}: scrub: {_scrub(store.scrub)}")
    if store.kms_keys:
        say(f"{stored.label}: {store.kms_keys} KMS keys")
    items = sum(table.items for table in store.tables)
    each = f", {store.size / items:.0f} bytes an item" if items else ""
    pages = store.pages
    say(
        f"{stored.label}: a file of {store.size} bytes{each}; "
        f"{pages.used} pages of {pages.page_size} bytes with {pages.rows} rows, {store.free_pages} pages free"
    )
    return 0


def _recovery(found: RecoveryStats) -> str:
    record = found.record
    text = (
        f"recovery of {record.days} days, since {_time(record.since)}: {found.segments} segments of "
        f"{found.stored} bytes, {found.waiting} log entries not archived yet"
    )
    if record.begun_again is not None:
        text += "; it began again, because too much could not be archived, and what was before is lost"
    if record.held_up is not None:
        text += f"; nothing can be archived since {_time(record.held_up.since)}: {record.held_up.reason}"
        if record.suspended:
            text += f"; suspended, and the archive ends {_time(record.until or record.held_up.since)}"
        else:
            text += f"; {record.waiting} bytes wait"
    return text


def metrics(data_dir: Path, which: Which, say: Say) -> None:
    """Print what the server of a data folder has counted, a line for each series; nothing if none is running."""
    server = server_metrics.of_server(data_dir, which)
    if server is None:
        return
    say(f"metrics, counted by all workers since {_time(server.started)}:")
    for one in server.series:
        figures = ", ".join(f"{name} {value}" for name, value in one.figures.items() if name != "value" and value)
        amount = figures or str(one.figures.get("value", "nothing"))
        say(f"{_place(one, which.own)}: {one.label}: {amount} {one.unit}")
    if server.refused:
        say(f"a series found no room {server.refused} times; {server.dropped} have made room for others")


def _place(one: Counted, own: str) -> str:
    """Where a series was counted."""
    if one.region is None:
        return "any region"
    return layout.store_name(one.region, None if one.account == own else one.account)


def stats_document(
    found: Sequence[Stored],
    data_dir: Path,
    which: Which,
    identity: dict[str, object] | None = None,
    services: Sequence[Service] = (),
) -> bytes:
    """The statistics of some stores, and what the server of their data folder has counted, as JSON. `identity` is the
    home of its users and roles, if that is another server."""
    server = server_metrics.of_server(data_dir, which)
    document = {
        "stores": [of_store(stored, services).document() for stored in found if not stored.is_identity],
        "identity_stores": [of_store(stored, services).identity_document() for stored in found if stored.is_identity],
        "metrics": None if server is None else server.document(),
        **({} if identity is None else {"identity": identity}),
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def _scrub(scrub: Progress) -> str:
    """When all values were read last, and what was found."""
    said = "never yet to its end"
    if scrub.finished is not None:
        said = f"{_read_values(scrub.last_values, scrub.last_damaged_values)} until {_time(scrub.finished)}"
    if scrub.given_up is not None:
        said += f", and then given up: {scrub.given_up}"
    if scrub.position is not None:
        said += f"; now under way: {_read_values(scrub.values, scrub.damaged_values)}"
    return said


def _read_values(values: int, damaged: int) -> str:
    return f"{values} values read, {damaged or 'none'} of them damaged"


_DOUBTS = {
    PARTED: "it has jumped",
    EARLIER: "the server was started with an earlier one than the store's latest",
    LATER: "the server was started with one that is a day later than the store's latest",
}


def _clock(clock: Timekeeping) -> str:
    """Whether the clock is trusted, and the latest time that the store knows of."""
    latest = f"the store was last used at {_time(clock.latest)}"
    if clock.pause is None:
        return f"trusted; {latest}"
    minutes = WAITS[clock.pause.reason] / 60
    return (
        f"doubted since {_time(clock.pause.since)}, because {_DOUBTS[clock.pause.reason]}: nothing is "
        f"expired or trimmed until it has been steady for {minutes:.0f} minutes; {latest}"
    )


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s since the epoch"  # A clock can be set to what no calendar has.


def _progress(peer: PullPosition) -> str:
    """How far a replica is with the changes of another."""
    if peer.copying is not None:
        return f"being copied from {peer.region}"
    latency = ", ".join(f"{name} {value:.0f} ms" for name, value in peer.latency.items())
    return f"changes of {peer.region} applied up to position {peer.position}; latency: {latency or 'not known'}"


def _put_aside(aside: Aside) -> str:
    """Why a replica does not take over what another answers."""
    since = datetime.fromtimestamp(aside.since, UTC).isoformat(timespec="seconds")
    return f"put aside for {aside.region} since {since}: {aside.reason}"


def compact(stored: Stored, say: Say, watch: Watch = unwatched, *, data_dir: Path) -> int:
    """Make the file of a store smaller and print by how much. Returns 0."""
    with opening.view(stored.path) as view:  # It may be looked into, and so it may be copied and looked into again.
        pages = view.pages
    with watch(f"copying {stored.label}", pages.used * pages.page_size, lambda: lmdb_file.copied(stored.path)):
        before, after = lmdb_file.compact(stored.path)
    due_compactions.forget(data_dir, stored)
    say(f"{stored.label}: {before} bytes before, {after} bytes after: {before - after} won")
    return 0


def upgrade(stored: Stored, say: Say, watch: Watch = unwatched, *, data_dir: Path) -> int:
    """Bring a store to this version's formats, and to its place, and print from which. Returns 0."""
    with watch(f"upgrading {stored.label}", (stored.path / DATA).stat().st_size, lambda: lmdb_file.copied(stored.path)):
        storage_before, before = asyncio.run(upgrade_store(stored.path))
    storage_after = STORAGE_FORMAT.decode()
    if storage_before == storage_after and before in (FORMAT, SEALED_FORMAT):
        say(f"{stored.label}: format {before} and storage format {storage_after}, as this version has: nothing to do")
    else:
        say(
            f"{stored.label}: format {before} and storage format {storage_before} before, "
            f"format {FORMAT} and storage format {storage_after} after"
        )
    moved = None if stored.is_identity else moving.to_its_place(stored, data_dir)
    if moved is not None:
        say(f"{stored.label}: moved to {moved}")
    return 0
