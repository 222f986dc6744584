"""The command line: `jedlik serve`, `jedlik credentials`, and what looks after stores.

Options come from the table of settings, so that each setting is an option, an environment variable and a key of the
configuration file without being written three times.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin, get_type_hints

import click

from jedlik import __version__, region_names
from jedlik.config import Settings, SettingsError, from_file, options

F = TypeVar("F", bound=Callable[..., Any])

PEERS = f"{__name__}.peers"
"""Where a context keeps what the file says of other regions, which is no option."""

CANNOT_START = 2
"""Exit code when the settings, the port, the data folder or the access keys cannot be used."""


def option(name: str) -> Callable[[F], F]:
    """The option, with its environment variable, for a setting."""
    kind, meaning = get_args(get_type_hints(Settings, include_extras=True)[name])
    default = next(setting.default for setting in options() if setting.name == name)
    switch = "--" + name.replace("_", "-")
    if kind is bool:
        switch += "/--no-" + name.replace("_", "-")
    return click.option(
        switch,
        name,
        type=parameter_type(kind),
        default=default,
        show_default=default is not None,
        envvar="JEDLIK_" + name.upper(),
        help=meaning,
    )


def parameter_type(kind: Any) -> Any:
    """How the values of a setting's type are read."""
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    of = next(part for part in get_args(kind) or (kind,) if part is not NoneType)
    return click.Path(path_type=Path) if of is Path else of


def all_settings(command: F) -> F:
    """Give a command an option for each setting, in the table's order."""
    for setting in reversed(options()):
        command = option(setting.name)(command)
    return command


def read_file(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Take defaults from the configuration file. Called before the options that they are the defaults of."""
    try:
        given = dict(from_file(path))
        context.meta[PEERS] = given.pop("peers", {})
        context.default_map = given
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


config_file = click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="JEDLIK_CONFIG",
    callback=read_file,
    is_eager=True,
    expose_value=False,
    help="Configuration file in TOML.  [default: jedlik.toml, if it is there]",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="jedlik %(version)s")
def main() -> None:
    """Jedlik: an open, self-hosted DynamoDB."""


class Rereadable(click.Command):
    """A command that remembers the words it was given, so that its settings can be read once more."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Keep a copy in the context: click takes the words off the list."""
        context.obj = tuple(args)
        return super().parse_args(context, args)


def settings_of(words: Sequence[str]) -> Settings:
    """The settings of a server with these words on its command line, as environment and file are now.

    Raises SettingsError.
    """
    try:
        context = serve.make_context("serve", list(words))
        return Settings(**context.params, peers=context.meta[PEERS])
    except click.ClickException as error:
        raise SettingsError(error.format_message()) from error


@main.command(cls=Rereadable)
@config_file
@all_settings
@click.pass_obj
def serve(words: Sequence[str], /, **_: Any) -> None:
    """Serve DynamoDB until stopped by SIGTERM or Ctrl-C.

    Each option can also be set by an environment variable, like JEDLIK_DATA_DIR, or in the configuration file, like
    data_dir = "/var/lib/jedlik". SIGHUP has all of this read anew and replaces the workers, one after the other.
    """
    from jedlik.process import logs, workers  # The other commands need not wait for a server to be loaded.
    from jedlik.process.listeners import StartError

    try:
        logs.start()
        code = workers.run(lambda: settings_of(words))
    except (SettingsError, StartError) as error:
        click.echo(f"jedlik: {error}", err=True)
        code = CANNOT_START
    sys.exit(code)


@main.group()
def credentials() -> None:
    """Access keys, for servers that verify signatures."""


@credentials.command()
@config_file
@option("data_dir")
@option("credentials")
@click.option("--lifetime", type=click.FloatRange(min=1), help="Make a temporary key, good for so many seconds.")
def create(lifetime: float | None, **given: Any) -> None:
    """Make an access key and print it, in the form of an AWS credentials file."""
    from jedlik.aws import credentials as access_keys

    made = with_credentials_file(given, lambda path: access_keys.create(path, lifetime))
    click.echo(f"aws_access_key_id = {made.access_key}")
    click.echo(f"aws_secret_access_key = {made.secret}")
    if made.session_token is not None:
        click.echo(f"aws_session_token = {made.session_token}")


@credentials.command("list")
@config_file
@option("data_dir")
@option("credentials")
def list_(**given: Any) -> None:
    """Print the access keys, without their secrets."""
    from jedlik.aws import credentials as access_keys

    for credential in with_credentials_file(given, access_keys.load):
        until = datetime.fromtimestamp(credential.expires, UTC).isoformat() if credential.expires else ""
        click.echo(f"{credential.access_key} {until}".strip())


@credentials.command()
@config_file
@option("data_dir")
@option("credentials")
@click.argument("access_key")
def delete(access_key: str, **given: Any) -> None:
    """Delete an access key; a running server refuses it within a second."""
    from jedlik.aws import credentials as access_keys

    if not with_credentials_file(given, lambda path: access_keys.delete(path, access_key)):
        raise click.ClickException(f"there is no access key {access_key}")


T = TypeVar("T")


def with_credentials_file(given: dict[str, Any], do: Callable[[Path], T]) -> T:
    """Do something with the file of access keys that the settings name."""
    from jedlik.aws.credentials import CredentialsError

    try:
        return do(Settings(**given).credentials_file)
    except (CredentialsError, OSError) as error:
        raise click.ClickException(str(error)) from error


# Looking after stores


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


def end(reason: str) -> NoReturn:
    """End the program, because a command cannot do what it is for."""
    click.echo(f"jedlik: {reason}", err=True)
    sys.exit(CANNOT_START)


@main.command()
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


@main.command()
@stores
def stats(data_dir: Path, region: str | None) -> None:
    """Print how large stores and tables are, and what of. A server may go on beside it."""
    from jedlik.upkeep import reports

    each_store(data_dir, region, reports.stats)


@main.command()
@stores
def compact(data_dir: Path, region: str | None) -> None:
    """Give the free pages of stores back to the disk. No server may run, and the disk must have room for a copy."""
    from jedlik.upkeep import reports

    take_stores(data_dir)
    each_store(data_dir, region, reports.compact)


@main.command()
@stores
def upgrade(data_dir: Path, region: str | None) -> None:
    """Bring stores that an earlier version made to the format of this one. No server may run.

    There is no way back but a copy of the folder, made before.
    """
    from jedlik.upkeep import reports

    take_stores(data_dir)
    each_store(data_dir, region, reports.upgrade)
