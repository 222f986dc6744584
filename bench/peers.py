"""The servers that are compared, each a declaration of how it is installed and started.

All listen on a loopback port of their own and keep their data in a folder of their own.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.load import Unusable
from bench.rows import STREAMS, TRANSACTIONS

HERE = Path(__file__).parent
DYNALITE = HERE / "node_modules" / "dynalite"
INSTALL_SECONDS = 300

Keys = tuple[str, str]
"""An access key and its secret."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A server."""

    name: str
    about: str
    """What it does with signatures and writes, so that the figures can be read."""
    command: Callable[[int, Path], list[str]]
    """The command that starts it, from a port and an empty folder for its data."""
    version: Callable[[], str]
    install: Callable[[], None] = lambda: None
    """Makes sure that it is there. Raises Unusable when it cannot be."""
    credentials: Callable[[Path], Keys] = lambda _: ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    """The keys that it accepts, from the folder of its data; most servers accept any."""
    offers: frozenset[str] = frozenset()
    """What it can do beyond items and queries: see `Row.needs`."""
    is_floor: bool = False
    """It holds no items and answers everything with a constant."""


def environment() -> dict[str, str]:
    """What the servers run in: no settings of Jedlik's from outside, and this package in reach."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JEDLIK_")}
    return kept | {"PYTHONPATH": str(HERE.parent)}


def _jedlik_command(port: int, data: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "jedlik", "serve", "--port", str(port)),
        *("--data-dir", str(data), "--workers", "1", "--auth", "on"),
    ]


def _jedlik_credentials(data: Path) -> Keys:
    made = subprocess.run(
        [sys.executable, "-m", "jedlik", "credentials", "create", "--data-dir", str(data)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=30,
        check=True,
    )
    shown = dict(line.split(" = ", 1) for line in made.stdout.splitlines() if " = " in line)
    return shown["aws_access_key_id"], shown["aws_secret_access_key"]


def _install_dynalite() -> None:
    if DYNALITE.exists():
        return
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        subprocess.run(command, cwd=HERE, timeout=INSTALL_SECONDS, check=True, stdout=sys.stderr)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unusable(f"dynalite could not be installed ({error}): it needs Node.js, npm and the registry") from error


def _dynalite_command(port: int, data: Path) -> list[str]:
    return ["node", str(DYNALITE / "cli.js"), "--port", str(port), "--path", str(data), "--createTableMs", "0"]


def _dynalite_version() -> str:
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=10, check=True)
    program = "require(process.argv[1]).version"
    package = subprocess.run(
        ["node", "-p", program, str(DYNALITE / "package.json")],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return f"{package.stdout.strip()}, Node.js {node.stdout.strip().removeprefix('v')}"


def _jedlik_version() -> str:
    parts = [f"{name} {importlib.metadata.version(name)}" for name in ("lmdb", "httptools", "uvloop", "orjson")]
    return f"{importlib.metadata.version('jedlik')}, Python {sys.version.split()[0]}, {', '.join(parts)}"


JEDLIK = Peer(
    name="Jedlik",
    about="one worker; every signature verified; a write is answered when it is synced to disk",
    command=_jedlik_command,
    version=_jedlik_version,
    credentials=_jedlik_credentials,
    offers=frozenset({TRANSACTIONS, STREAMS}),
)
DYNALITE_ON_DISK = Peer(
    name="dynalite",
    about="no signature verified; LevelDB on disk, written but not synced",
    command=_dynalite_command,
    version=_dynalite_version,
    install=_install_dynalite,
)
FLOOR = Peer(
    name="floor",
    about="Jedlik's HTTP server answering a constant: nothing verified, read or written",
    command=lambda port, _: [sys.executable, "-m", "bench.floor", str(port)],
    version=lambda: "same as Jedlik",
    is_floor=True,
)

PEERS = (JEDLIK, DYNALITE_ON_DISK, FLOOR)
