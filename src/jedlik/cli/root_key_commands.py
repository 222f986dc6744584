"""`jedlik init` and `jedlik root-key`: the root key of a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jedlik.cli.program import Command, Group, Refusal, say
from jedlik.cli.setting_options import NO_OPTIONS, config_file, option, root_key_in_environment, root_key_options
from jedlik.cli.store_commands import take_data_dir
from jedlik.config import BUCKETS, Settings, SettingsError

if TYPE_CHECKING:
    from jedlik.regions.root_key_record import Found

KEEP = "Keep a copy of the root key in another place than the data. Without it, the data is lost."


def ensure_root_key(settings: Settings) -> Found | None:
    """The root key of a data folder, made if the folder is empty; None for a folder of an earlier version. Ends the
    program if it cannot be used."""
    from jedlik.regions import root_key_record, root_key_sources
    from jedlik.regions.root_key_sources import RootKeyError

    try:
        found = root_key_record.found(settings, may_make=settings.root_key_make and not root_key_sources.is_service())
    except RootKeyError as error:
        raise Refusal(str(error)) from error
    if found is not None and found.is_new:
        click.echo(f"A root key was made in {found.source.name}. {KEEP}", err=True)
    return found


@click.command(cls=Command)
@config_file
@option("data_dir")
@root_key_options
def init(data_dir: Path, **given: Any) -> None:
    """Make the data folder and its root key, under which secrets are sealed. No server may run.

    If a root key is given, the folder has that one from now on. Else a new one is written to the file that is named, or
    beside the folder. A folder with data may get its root key, too: the next start of the server seals its secrets.
    """
    from jedlik.regions import root_key_record, root_key_sources
    from jedlik.regions.root_key_sources import RootKeyError

    take_data_dir(data_dir)
    try:
        settings = Settings(data_dir=data_dir, root_key=root_key_in_environment(), **given)
        found = root_key_record.found(settings, may_make=True)
        if found is None:
            with root_key_record.changing(data_dir):
                found = root_key_record.made(data_dir, root_key_sources.source_of(settings))
    except (RootKeyError, SettingsError) as error:
        raise Refusal(str(error)) from error
    say(f"data folder: {data_dir.absolute()}")
    say(f"root key: {found.source.name}{', just made' if found.is_new else ''}, with the id {found.record.key}")
    say(KEEP)


@click.group("root-key", cls=Group)
def root_key() -> None:
    """The root key, under which secrets in the data folder are sealed."""


@root_key.command()
@config_file
@option("data_dir")
@option("credentials")
@option("account")
@option("backups")
@root_key_options
@click.pass_context
def rotate(context: click.Context, /, **given: Any) -> None:
    """Put a new root key in the place of the present one, and seal everything again. A server may run meanwhile.

    If the key is in a file, the new one is written there. Else put it there yourself, before the present one and a
    space, and restart the server before you run this; remove the former one afterwards.

    A rotation that is interrupted is finished by the next: until then the folder needs both keys or the new one. Copies
    of the folder from before still need the former key: keep it apart from them, or make new copies.
    """
    from jedlik.process import root_key_rotation
    from jedlik.process.services import SERVICES
    from jedlik.regions.root_key_sources import RootKeyError

    try:
        buckets = context.meta[NO_OPTIONS].get(BUCKETS, {})
        settings = Settings(root_key=root_key_in_environment(), buckets=buckets, **given)
        done = root_key_rotation.rotate(settings, SERVICES)
    except (RootKeyError, SettingsError) as error:
        raise Refusal(str(error)) from error
    finished = "finished a rotation that was interrupted" if done.is_finished else "rotated"
    say(f"{finished}: the root key in {done.source} has the id {done.key}; {done.sealed} secrets were sealed again")
    if done.leftover:
        say("Remove the former key there: the data folder does not need it any more.")
    say("Copies of the data folder that were made before need the former key.")
    say(KEEP)
