"""The command line: `jedlik serve`, `jedlik credentials`, `jedlik account`, and the commands that look after stores.

A command is loaded when it is run, or asked for its help: loading all of them takes as long as a sixth of a server's
start.
"""

from __future__ import annotations

from importlib import import_module

import click

from jedlik import __version__
from jedlik.cli.program import Group
from jedlik.loading import loading

COMMANDS = {
    "serve": "serve_command.serve",
    "init": "root_key_commands.init",
    "root-key": "root_key_commands.root_key",
    "credentials": "access_keys.credentials",
    "account": "account_commands.account",
    "backups": "backup_commands.backups",
    "export": "transfer_commands.export",
    "import": "transfer_commands.import_",
    "check": "store_commands.check",
    "stats": "store_commands.stats",
    "compact": "store_commands.compact",
    "copy": "store_commands.copy",
    "upgrade": "store_commands.upgrade",
}
"""Where each command is, in the order of the help."""


class Program(Group):
    """The commands that are listed here."""

    def list_commands(self, context: click.Context) -> list[str]:
        """The names of the commands."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, cmd_name: str) -> click.Command | None:
        """The command with a name, loaded now; None if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, function = COMMANDS[cmd_name].partition(".")
        with loading():
            command = getattr(import_module(f"{__name__}.{module}"), function)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="jedlik %(version)s")
def main() -> None:
    """Jedlik: an open, self-hosted DynamoDB."""
