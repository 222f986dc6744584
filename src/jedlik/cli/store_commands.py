"""The commands that look after stores: `jedlik check`, `stats`, `compact` and `upgrade`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from jedlik.cli import progress
from jedlik.cli.program import Command, Refusal, say
from jedlik.cli.setting_options import (
    account_id,
    config_file,
    option,
    own_account,
    root_key_in_environment,
    root_key_options,
)
from jedlik.config import Settings
from jedlik.regions import layout
from jedlik.regions.layout import Stored, Which
from jedlik.root_key import RootKey
from jedlik.storage.lmdb.lmdb_pages import DATA
from jedlik.upkeep.watching import Watch

F = TypeVar("F", bound=Callable[..., Any])


def stores(command: F) -> F:
    """Give a command the options that select its stores."""
    region = click.option("--region", help="The stores of this region only.")
    account = click.option("--account", "of_account", callback=account_id, help="The stores of this account only.")
    return config_file(option("data_dir")(account(region(command))))


Report = Callable[[Stored, Callable[[str], None], Watch], int]
"""Prints lines about a store, and lets its progress be watched. Raises StorageError."""


def each_store(found: Sequence[Stored], report: Report) -> int:
    """Print a report of each store; returns the sum of what the reports return.

    Ends the program if there is one that cannot be used.
    """
    from jedlik.storage.engine import StorageError

    try:
        return sum(report(stored, say, progress.shown) for stored in found)
    except StorageError as error:
        raise Refusal(str(error)) from error


def stored_in(data_dir: Path, which: Which) -> list[Stored]:
    """The stores of some accounts and regions.

    Raises Refusal if no such store exists, or if stores are still in the place from before there were accounts.
    """
    if layout.former(data_dir, which.own):
        raise Refusal(layout.former_refusal(data_dir))
    return _some(_in_their_places(data_dir, which), data_dir, which)


def _in_their_places(data_dir: Path, which: Which) -> list[Stored]:
    found = (*layout.stores(data_dir, which.own), *layout.identity_stores(data_dir, which.own))
    return [stored for stored in found if which.means(stored) and (stored.path / DATA).exists()]


def _some(found: list[Stored], data_dir: Path, which: Which) -> list[Stored]:
    """The stores that were found, at least one. Raises Refusal."""
    if found:
        return found
    named = [f"account {which.account}"] if which.account else []
    named += [f"region {which.region}"] if which.region else []
    if not named:
        raise Refusal(no_store(data_dir))
    raise Refusal(f"there is no store of {' and '.join(named)} in {data_dir}")


def no_store(data_dir: Path) -> str:
    """The message where a data folder has no store at all."""
    return (
        f"there is no store in {data_dir}: the first write makes one. If the server has another folder, give its "
        "--config or --data-dir"
    )


def take_stores(data_dir: Path) -> None:
    """Keep servers out until the end of the program. Ends the program if a server runs, or if there is no data
    folder."""
    if not data_dir.is_dir():
        raise Refusal(no_store(data_dir))
    take_data_dir(data_dir)


def take_data_dir(data_dir: Path) -> None:
    """Keep servers out of a data folder, which is made if need be, until the end of the program. Ends the program if a
    server runs."""
    from jedlik.process.listeners import StartError, take_data_folder

    try:
        take_data_folder(data_dir)
    except StartError as error:
        raise Refusal(str(error)) from error


@click.command(cls=Command)
@stores
@root_key_options
@click.option("--recover-damaged", is_flag=True, help="Keep what can be kept of damaged stores.")
@click.option("--pages", is_flag=True, help="Check the pages of the file first, which the storage engine believes.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line: the problems, then the summary.")
def check(
    data_dir: Path,
    of_account: str | None,
    region: str | None,
    recover_damaged: bool,
    pages: bool,
    as_json: bool,
    **root_key: Any,
) -> None:
    """Check that all stored data agrees, and is as it was written: items, index entries, counters, streams, expiry.

    Prints a line for each problem, and a summary. The exit code is 1 if there is a problem, and 2 if a store cannot be
    read. A server may run meanwhile; its new writes are not checked.

    Secrets that are sealed under the root key are opened, if the key is there.

    With --recover-damaged no server may run. If a store is refused because a file is damaged or missing, or is not the
    one that belongs there, this keeps what can be kept, prints what is lost, and leaves the damaged files in a folder
    beside it. Damaged values are removed, and index entries, expiry notes and counters restored.
    """
    from jedlik.process.services import SERVICES
    from jedlik.regions import root_key_record
    from jedlik.upkeep import reports
    from jedlik.upkeep.opening import Reader

    if recover_damaged + pages + as_json > 1:
        raise click.UsageError("--recover-damaged, --pages and --json cannot be given together")
    if recover_damaged:
        take_stores(data_dir)
    report = reports.check_as_json if as_json else reports.check_pages if pages else reports.check
    if recover_damaged:
        report = reports.recover_damaged
    found = stored_in(data_dir, Which(of_account, region, own_account()))
    settings = Settings(data_dir=data_dir, root_key=root_key_in_environment(), **root_key)
    root = secrets_of(settings)

    def needed() -> RootKey:
        if root is None and root_key_record.read(settings.data_dir) is not None:
            raise Refusal("this store is sealed as a whole, so without the root key it cannot be checked")
        return root or RootKey()

    reader = Reader(SERVICES, needed, root)
    sys.exit(1 if each_store(found, partial(report, reader=reader)) else 0)


def secrets_of(settings: Settings) -> RootKey | None:
    """The root key of a data folder, if it can be read: without it, the check does not open secrets."""
    from jedlik.regions.root_key_sources import RootKeyError

    try:
        return root_key_of(settings)
    except RootKeyError as error:
        click.echo(f"What is sealed is not opened: {error}", err=True)
        return None


def needed_root_key(settings: Settings) -> RootKey:
    """The root key of a data folder, for stores that cannot be read without it. Ends the program if it cannot be
    used."""
    from jedlik.regions.root_key_sources import RootKeyError

    try:
        return root_key_of(settings) or RootKey()
    except RootKeyError as error:
        raise Refusal(str(error)) from error


def root_key_of(settings: Settings) -> RootKey | None:
    """The root key of a data folder; None if the folder has none. Writes nothing. Raises RootKeyError."""
    from jedlik.regions import root_key_record

    if root_key_record.read(settings.data_dir) is None:
        return None
    found = root_key_record.found(settings, may_make=False)
    return None if found is None else RootKey(found.current, found.former)


@click.command(cls=Command)
@stores
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def stats(data_dir: Path, of_account: str | None, region: str | None, as_json: bool) -> None:
    """Print the sizes of stores and tables, and of their parts. A server may run meanwhile.

    If one does, this also prints the counts of all its workers since its start: the metrics of CloudWatch, by table and
    operation.
    """
    from jedlik.aws.slabs import Unreadable
    from jedlik.iam import identity_home
    from jedlik.process.services import SERVICES
    from jedlik.storage.engine import StorageError
    from jedlik.upkeep import reports

    which = Which(of_account, region, own_account())
    found = stored_in(data_dir, which)
    identity = identity_home.followed(data_dir, time.time())
    try:
        if as_json:
            say(reports.stats_document(found, data_dir, which, identity, SERVICES).decode())
        else:
            each_store(found, partial(reports.stats, services=SERVICES))
            if identity is not None:
                say(f"users and roles: as at {identity['home']} {identity['age']:.0f} s ago")
            reports.metrics(data_dir, which, say)
    except (StorageError, Unreadable, OSError) as error:
        raise Refusal(str(error)) from error


@click.command(cls=Command)
@stores
def compact(data_dir: Path, of_account: str | None, region: str | None) -> None:
    """Give the free pages of stores back to the disk. No server may run, and the disk must have room for a copy."""
    from jedlik.upkeep import reports

    take_stores(data_dir)
    each_store(
        stored_in(data_dir, Which(of_account, region, own_account())), partial(reports.compact, data_dir=data_dir)
    )


@click.command(cls=Command)
@stores
def upgrade(data_dir: Path, of_account: str | None, region: str | None) -> None:
    """Bring the stores of an earlier version to the format of this one. No server may run.

    Stores from before there were accounts are moved to the folder of the server's own account, or of the one that
    --account names. The only way back is a copy of the folder, made before.
    """
    from jedlik.upkeep import reports

    take_stores(data_dir)
    which = Which(of_account, region, own_account())
    former = [
        Stored(stored.path, of_account or which.own, stored.region, of_account in (None, which.own))
        for stored in layout.former(data_dir, which.own)
    ]
    found = [*(stored for stored in former if which.means(stored)), *_in_their_places(data_dir, which)]
    each_store(_some(found, data_dir, which), partial(reports.upgrade, data_dir=data_dir))


@click.command(cls=Command)
@config_file
@option("data_dir")
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
def copy(data_dir: Path, target: Path) -> None:
    """Copy the data folder to DIR: all stores, identities and keys included. A server may run meanwhile.

    Each store is copied in one state. Backups are not in the copy, and neither is the root key: keep that elsewhere,
    for what it has sealed cannot be read without it.
    """
    from jedlik.storage.engine import StorageError
    from jedlik.upkeep import folder_copies

    if not data_dir.is_dir():
        raise Refusal(no_store(data_dir))

    def done(store: folder_copies.CopiedStore) -> None:
        say(f"{store.name}: {store.size} bytes, up to position {store.position} of its logs")

    try:
        folder_copies.copy(data_dir.absolute(), target.absolute(), done)
    except StorageError as error:
        raise Refusal(str(error)) from error
    say(f"copied to {target}, without the root key and without backups")
