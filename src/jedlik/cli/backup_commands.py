"""`jedlik backups`: looks after backups in the place that a server's settings name."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jedlik.cli.program import Group, Refusal, complain, say
from jedlik.cli.setting_options import (
    NO_OPTIONS,
    config_file,
    option,
    root_key_in_environment,
    root_key_options,
)
from jedlik.cli.store_commands import secrets_of
from jedlik.config import BUCKETS, Settings

if TYPE_CHECKING:
    from jedlik.dynamodb.backups.piece_keys import PieceKeys
    from jedlik.storage.object_store import ObjectStore

F = TypeVar("F", bound=Callable[..., Any])


@click.group(cls=Group)
def backups() -> None:
    """Backups of tables, where they are kept.

    They are found by the settings of the server: give the --config, --backups or --data-dir, or the environment, that
    the server has. It may run meanwhile.
    """


def _place(command: F) -> F:
    with_context: F = click.pass_context(command)  # type: ignore[assignment]  # It takes the context off the front.
    return config_file(option("data_dir")(option("backups")(with_context)))


@backups.command("list")
@_place
def list_(context: click.Context, /, data_dir: Path, backups: str | None) -> None:
    """Print the backups that are whole: ARN, name, when they were made, items and bytes."""
    sys.exit(_run(_list(_store(context, data_dir, backups))))


@backups.command()
@_place
@root_key_options
@click.argument("arns", metavar="[ARN]...", nargs=-1)
def verify(
    context: click.Context, /, data_dir: Path, backups: str | None, arns: tuple[str, ...], **root_key: Any
) -> None:
    """Read backups whole, and check that all of it is what was written: all backups, or those that are named.

    Prints a line for each problem, and one for each backup. The exit code is 1 if there is a problem.

    Sealed backups are opened, if the root key is there. Else their checksums are checked; and so it is with those of
    tables whose key is a customer's, which only a server opens.
    """
    from jedlik.dynamodb.backups.piece_keys import PieceKeys

    store = _store(context, data_dir, backups)
    root = secrets_of(Settings(data_dir=data_dir, root_key=root_key_in_environment(), **root_key))
    sys.exit(_run(_verify(store, arns, None if root is None else PieceKeys(root))))


def _store(context: click.Context, data_dir: Path, backups: str | None) -> ObjectStore:
    from jedlik.regions import object_places
    from jedlik.storage.object_store import ObjectStoreError

    if backups is None and not data_dir.is_dir():
        raise Refusal(f"there is no data folder {data_dir}: --data-dir or --backups name another place of backups")
    buckets = context.meta[NO_OPTIONS].get(BUCKETS, {})
    try:
        return object_places.backups_of(Settings(data_dir=data_dir, backups=backups, buckets=buckets))
    except (ObjectStoreError, object_places.NoBucket) as error:
        raise Refusal(str(error)) from error


def _run(work: Any) -> int:
    from jedlik.storage.object_store import ObjectStoreError

    try:
        problems: int = asyncio.run(work)
    except ObjectStoreError as error:
        raise Refusal(str(error)) from error
    return 1 if problems else 0


async def _list(store: ObjectStore) -> int:
    from jedlik.dynamodb.backups import verifying

    problems = 0
    async for found in verifying.kept(store):
        if found.manifest is None:
            say(f"{found.folder}: {found.problem}")
            problems += 1
            continue
        backup = found.manifest.backup
        made = datetime.fromtimestamp(backup.created, UTC).isoformat(timespec="seconds")
        say(f"{backup.arn} {backup.name} {made} {backup.items} items {backup.size} bytes")
    return problems


async def _verify(store: ObjectStore, arns: tuple[str, ...], keys: PieceKeys | None) -> int:
    from jedlik.dynamodb.backups import verifying

    problems, count = 0, 0
    left = set(arns)
    async for found in verifying.kept(store):
        count += 1
        if found.manifest is None:
            say(f"{found.folder}: {found.problem}")
            problems += 1
            continue
        arn = found.manifest.backup.arn
        if arns and arn not in arns:
            continue
        left.discard(arn)
        wrong = 0
        verified = verifying.Verified()
        async for problem in verifying.problems(store, found.folder, found.manifest, keys, verified):
            say(f"{arn}: {problem}")
            wrong += 1
        problems += wrong
        if not wrong:
            sealed = f"; {verified.unopened} are sealed, and were not opened" if verified.unopened else ""
            sealed += f"; {verified.of_kms} are sealed by a key of KMS, and were not opened" if verified.of_kms else ""
            say(f"{arn}: {len(found.manifest.pieces)} pieces are what was written{sealed}")
    for arn in sorted(left):
        say(f"{arn}: there is no such backup in {store.url}")
    if not count and not arns:
        complain(f"there are no backups in {store.url}")  # That differs from all being right.
    return problems + len(left)
