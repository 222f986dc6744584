"""The command line: `jedlik serve`, `jedlik credentials`, `jedlik account`, and the commands that look after stores."""

from __future__ import annotations

import click

from jedlik import __version__
from jedlik.cli import (
    access_keys,
    account_commands,
    backup_commands,
    root_key_commands,
    serve_command,
    store_commands,
    transfer_commands,
)
from jedlik.cli.program import Group


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="jedlik %(version)s")
def main() -> None:
    """Jedlik: an open, self-hosted DynamoDB."""


for command in (
    serve_command.serve,
    root_key_commands.init,
    root_key_commands.root_key,
    access_keys.credentials,
    account_commands.account,
    backup_commands.backups,
    transfer_commands.export,
    transfer_commands.import_,
    store_commands.check,
    store_commands.stats,
    store_commands.compact,
    store_commands.copy,
    store_commands.upgrade,
):
    main.add_command(command)
