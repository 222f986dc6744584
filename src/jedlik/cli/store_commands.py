"""The commands that look after stores: `jedlik check`, `stats`, `compact` and `upgrade`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from jedlik import region_names
from jedlik.cli import progress
from jedlik.cli.program import Command, Refusal, say
from jedlik.cli.setting_options import config_file, option
from jedlik.upkeep.watching import Watch

F = TypeVar("F", bound=Callable[..., Any])


def stores(command: F) -> F:
    """Give a command the options that select its stores."""
    region = click.option("--region", help="The store of this region only.")
    return config_file(option("data_dir")(region(command)))


Report = Callable[[Path, Callable[[str], None], Watch], int]
"""Prints lines about the store in a folder, and lets its progress be watched. Raises StorageError."""


def each_store(data_dir: Path, region: str | None, report: Report) -> int:
    """Print a report of the store of each region, by its folder; returns the sum of what the reports return.

    Ends the program if there is no store, or one that cannot be used.
    """
    from jedlik.storage.engine import StorageError

    folders = store_folders(data_dir, region)
    try:
        return sum(report(folder, say, progress.shown) for folder in folders)
    except StorageError as error:
        raise Refusal(str(error)) from error


def store_folders(data_dir: Path, region: str | None) -> list[Path]:
    """The folders of stores, of one region or of all. Raises Refusal if there are none."""
    name = region_names.folder(region) if region and region_names.is_name(region) else region
    folders = [path.parent for path in sorted(data_dir.glob(f"{name or '*'}/data.mdb"))]
    if not folders:
        raise Refusal(f"there is no store in {data_dir / (name or '')}")
    return folders


def take_stores(data_dir: Path) -> None:
    """Keep servers out until the end of the program. Ends the program if a server runs, or if there is no data
    folder."""
    from jedlik.process.listeners import StartError, take_data_folder

    if not data_dir.is_dir():
        raise Refusal(f"there is no store in {data_dir}")
    try:
        take_data_folder(data_dir)
    except StartError as error:
        raise Refusal(str(error)) from error


@click.command(cls=Command)
@stores
@click.option("--recover-damaged", is_flag=True, help="Keep what can be kept of stores that are refused as damaged.")
@click.option("--pages", is_flag=True, help="Check the pages of the file first, which the storage engine believes.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line: the problems, then the summary.")
def check(data_dir: Path, region: str | None, recover_damaged: bool, pages: bool, as_json: bool) -> None:
    """Check that all that is stored agrees, and is what was written: items, index entries, counters, streams, expiry.

    Prints a line for each problem, and a summary. The exit code is 1 if there is a problem, and 2 if a store cannot be
    read. A server may go on beside it; what it writes meanwhile is not looked at.

    With --recover-damaged no server may run. Of a store that is refused because a file is damaged or missing, or is not
    the one that belongs there, it keeps what can be kept, prints what is lost, and leaves the damaged files in a folder
    beside it.
    """
    from jedlik.process.services import SERVICES
    from jedlik.upkeep import reports

    if recover_damaged + pages + as_json > 1:
        raise click.UsageError("--recover-damaged, --pages and --json cannot be given together")
    if recover_damaged:
        take_stores(data_dir)
    report = reports.check_as_json if as_json else reports.check_pages if pages else reports.check
    if recover_damaged:
        report = reports.recover_damaged
    sys.exit(1 if each_store(data_dir, region, partial(report, services=SERVICES)) else 0)


@click.command(cls=Command)
@stores
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def stats(data_dir: Path, region: str | None, as_json: bool) -> None:
    """Print how large stores and tables are, and what of. A server may go on beside it.

    If one does, also what its workers have counted together since it was started: the metrics of CloudWatch, by table
    and operation.
    """
    from jedlik.aws.slabs import Unreadable
    from jedlik.storage.engine import StorageError
    from jedlik.upkeep import reports

    try:
        if as_json:
            say(reports.stats_document(store_folders(data_dir, region), data_dir, region).decode())
        else:
            each_store(data_dir, region, reports.stats)
            reports.metrics(data_dir, region, say)
    except (StorageError, Unreadable, OSError) as error:
        raise Refusal(str(error)) from error


@click.command(cls=Command)
@stores
def compact(data_dir: Path, region: str | None) -> None:
    """Give the free pages of stores back to the disk. No server may run, and the disk must have room for a copy."""
    from jedlik.upkeep import reports

    take_stores(data_dir)
    each_store(data_dir, region, reports.compact)


@click.command(cls=Command)
@stores
def upgrade(data_dir: Path, region: str | None) -> None:
    """Bring stores that an earlier version made to the format of this one. No server may run.

    There is no way back but a copy of the folder, made before.
    """
    from jedlik.upkeep import reports

    take_stores(data_dir)
    each_store(data_dir, region, reports.upgrade)
