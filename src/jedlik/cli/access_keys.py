"""`jedlik credentials`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from jedlik.cli.setting_options import config_file, option
from jedlik.config import Settings


@click.group()
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
