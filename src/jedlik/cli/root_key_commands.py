"""`jedlik init` and `jedlik root-key`: the root key of a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jedlik.cli.program import Command, Refusal, say
from jedlik.cli.setting_options import config_file, option, root_key_in_environment, root_key_options
from jedlik.cli.store_commands import take_data_dir
from jedlik.config import Settings, SettingsError

if TYPE_CHECKING:
    from jedlik.regions.root_key_record import Found

KEEP = "Keep a copy of the root key in another place than the data. Without it, what it has sealed is lost."


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
