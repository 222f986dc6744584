"""What every command has in common: one form of errors, whole summaries, and an end without noise."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

NAME = "jedlik"
CANNOT_START = 2
"""Exit code when the settings, the port, the data folder or the access keys cannot be used."""
NOBODY_READS = 128 + 13
"""Exit code when the reader of our output has gone: a shell's number for SIGPIPE."""


INTERRUPTED = 128 + 2
"""Exit code after Ctrl-C: a shell's number for SIGINT."""


class Refusal(click.ClickException):
    """A command cannot do what it is for."""

    exit_code = CANNOT_START


class Command(click.Command):
    """A command whose summary is the first sentence of its help, however long."""

    def get_short_help_str(self, limit: int = 0) -> str:
        """The summary."""
        return summary(self)


class Group(click.Group):
    """A command with commands of its own, which prints errors as `jedlik: what is wrong`."""

    command_class = Command
    group_class = type

    def get_short_help_str(self, limit: int = 0) -> str:
        """The summary."""
        return summary(self)

    def list_commands(self, context: click.Context) -> list[str]:
        """The names of its commands, in the order in which they were added."""
        return list(self.commands)

    def main(self, args: Sequence[str] | None = None, *_: Any, **options: Any) -> NoReturn:
        """Run the program and end it."""
        try:
            code = super().main(args, **(options | {"prog_name": NAME, "standalone_mode": False}))
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            code = error.exit_code
        except click.ClickException as error:
            complain(error.format_message())
            if isinstance(error, click.UsageError) and error.ctx is not None:
                click.echo(f"Try `{error.ctx.command_path} --help`.", err=True)
            code = error.exit_code
        except click.Abort:
            code = INTERRUPTED
        except SystemExit as ended:
            code = ended.code
        end(code if isinstance(code, int) else 0)


def end(code: int) -> NoReturn:
    """End the program.

    The interpreter's own end would abort it now and then where obstore has been at work: its threads may come back to
    the interpreter at any time, and one that does so at its end is ended by an exception, in a language that permits
    none.
    """
    if "obstore" not in sys.modules:
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def summary(command: click.Command) -> str:
    """The first sentence of a command's help."""
    paragraph = inspect.cleandoc(command.help or "").partition("\n\n")[0]
    return " ".join(paragraph.split()).partition(". ")[0].removesuffix(".") + "."


def complain(reason: str) -> None:
    """Print an error."""
    click.echo(f"{NAME}: {reason}", err=True)


def say(line: str) -> None:
    """Print a line of a report. Ends the command silently when nobody reads the output any more.

    click's own `Exit` passes through what turns an OSError of a store into an error of its own.
    """
    try:
        click.echo(line)
    except BrokenPipeError:
        # The interpreter would write what is left once more at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(NOBODY_READS) from None
