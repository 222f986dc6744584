"""The commands that look after stores: `jedlik check`, `stats`, `compact` and `upgrade`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from jedlik import region_names
from jedlik.cli.ending import end
from jedlik.cli.setting_options import config_file, option

F = TypeVar("F", bound=Callable[..., Any])


def stores(command: F) -> F:
    """Give a command the options that say which stores it is about."""
    region = click.option("--region", help="The store of this region only.")
    return config_file(option("data_dir")(region(command)))


def each_store(data_dir: Path, region: str | None, report: Callable[[Path, Callable[[str], None]], int]) -> int:
    """Print a report of the store of each region, by its folder; returns the sum of what the reports return.

    Ends the program if there is no store, or one that cannot be used.
    """
    from jedlik.storage.engine import StorageError

    name = region_names.folder(region) if region and region_names.is_name(region) else region
    folders = [path.parent for path in sorted(data_dir.glob(f"{name or '*'}/data.mdb"))]
    if not folders:
        end(f"there is no store in {data_dir / (name or '')}")
    try:
        return sum(report(folder, click.echo) for folder in folders)
    except StorageError as error:
        end(str(error))


def take_stores(data_dir: Path) -> None:
    """Keep servers out until the end of the program. Ends it if there is one, or nothing to keep it out of."""
    from jedlik.process.listeners import StartError, take_data_folder

    if not data_dir.is_dir():
        end(f"there is no store in {data_dir}")
    try:
        take_data_folder(data_dir)
    except StartError as error:
        end(str(error))


@click.command()
@stores
@click.option("--recover-damaged", is_flag=True, help="Keep what can be kept of stores that are refused as damaged.")
def check(data_dir: Path, region: str | None, recover_damaged: bool) -> None:
    """Check that all that is stored agrees: items, index entries, counters, streams, expiry.

    Prints a line for each problem, and a summary. The exit code is 1 if there is a problem, and 2 if a store cannot be
    read. A server may go on beside it; what it writes meanwhile is not looked at.

    With --recover-damaged no server may run. Of a store that is refused because a file is damaged or missing, or is not
    the one that belongs there, it keeps what can be kept, prints what is lost, and leaves the damaged files in a folder
    beside it.
    """
    from jedlik.upkeep import reports

    if recover_damaged:
        take_stores(data_dir)
    report = reports.recover_damaged if recover_damaged else reports.check
    sys.exit(1 if each_store(data_dir, region, report) else 0)


@click.command()
@stores
def stats(data_dir: Path, region: str | None) -> None:
    """Print how large stores and tables are, and what of. A server may go on beside it."""
    from jedlik.upkeep import reports

    each_store(data_dir, region, reports.stats)


@click.command()
@stores
def compact(data_dir: Path, region: str | None) -> None:
    """Give the free pages of stores back to the disk. No server may run, and the disk must have room for a copy."""
    from jedlik.upkeep import reports

    take_stores(data_dir)
    each_store(data_dir, region, reports.compact)


@click.command()
@stores
def upgrade(data_dir: Path, region: str | None) -> None:
    """Bring stores that an earlier version made to the format of this one. No server may run.

    There is no way back but a copy of the folder, made before.
    """
    from jedlik.upkeep import reports

    take_stores(data_dir)
    each_store(data_dir, region, reports.upgrade)
