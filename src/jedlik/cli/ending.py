"""How the program ends when a command cannot do what it is for."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

CANNOT_START = 2
"""Exit code when the settings, the port, the data folder or the access keys cannot be used."""


def end(reason: str) -> NoReturn:
    """End the program, because a command cannot do what it is for."""
    click.echo(f"jedlik: {reason}", err=True)
    sys.exit(CANNOT_START)
