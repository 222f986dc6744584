"""The compared servers, each a declaration of how it is installed and started.

Each listens on its own loopback port and keeps its data in its own folder. Those that Jedlik is compared with come from
their package registries when they are first used, in a fixed version. Each is optional: one that cannot be installed is
named in the report as absent.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.load import Unusable
from jedlik.process import interpreter

HERE = Path(__file__).parent
PROGRAMS = HERE.parent / ".cache" / "peers"
"""The folder of servers that come from PyPI and the crates registry."""

DYNALITE = HERE / "node_modules" / "dynalite"
DYNOXIDE_VERSION = "3.2.0"
DYNOXIDE = PROGRAMS / f"dynoxide-{DYNOXIDE_VERSION}"
MOTO_VERSION = "5.2.5"
MOTO = PROGRAMS / f"moto-{MOTO_VERSION}"

INSTALL_SECONDS = 300
BUILD_SECONDS = 1_800
"""A program in Rust is built here: three minutes on two idle cores."""

Keys = tuple[str, str]
"""An access key and its secret."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A server."""

    name: str
    about: str
    """What it does about signatures and durability, so that the figures can be judged."""
    command: Callable[[int, Path], list[str]]
    """The command that starts it, from a port and an empty folder for its data."""
    version: Callable[[], str]
    install: Callable[[], None] = lambda: None
    """Installs it if it is missing. Raises Unusable if that fails."""
    credentials: Callable[[Path], Keys] = lambda _: ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    """The keys that it accepts, from its data folder; most servers accept any."""
    is_rival: bool = True
    """Jedlik is compared with it and is to be faster."""
    is_floor: bool = False
    """It holds no items and answers everything with a constant."""


def environment() -> dict[str, str]:
    """The servers' environment: no settings of Jedlik's from outside, and this package on the path.

    What Python compiles is kept, as an installation has it: otherwise each start compiles every module, which takes
    longer than all the rest of it.
    """
    left_out = ("JEDLIK_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return kept | {"PYTHONPATH": os.pathsep.join((str(HERE.parent / "src"), str(HERE.parent)))}


def jedlik(workers: int, *, is_sealed: bool = True) -> Peer:
    """Jedlik with this many workers. The others are compared with one worker and sealed tables; more workers, and
    tables that are not sealed, are compared with that."""
    options = () if is_sealed else ("--no-seal-tables",)
    written = f"tables {'sealed' if is_sealed else 'not sealed'}; a write is answered when it is synced to disk"
    name = "Jedlik" if workers == 1 else f"Jedlik, {workers} workers"

    def command(port: int, data: Path) -> list[str]:
        return [
            *(sys.executable, "-m", "jedlik", "serve", "--port", str(port)),
            *("--data-dir", str(data), "--workers", str(workers), "--auth", "on"),
            *options,
        ]

    return Peer(
        name=name if is_sealed else f"{name}, not sealed",
        about=f"workers: {workers}; every signature verified; {written}",
        command=command,
        version=_jedlik_version,
        credentials=_jedlik_credentials,
        is_rival=False,
    )


def _jedlik_version() -> str:
    parts = [f"{name} {importlib.metadata.version(name)}" for name in ("lmdb", "httptools", "uvloop", "orjson")]
    return f"{importlib.metadata.version('jedlik')}, {interpreter.described()}; {', '.join(parts)}"


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


def _install(made: Path, commands: Sequence[Sequence[str]], needs: str, seconds: int = INSTALL_SECONDS) -> None:
    """Run the commands unless `made` exists already. Raises Unusable if one fails."""
    if made.exists():
        return
    for command in commands:
        try:
            subprocess.run(command, cwd=HERE, timeout=seconds, check=True, stdout=sys.stderr)
        except (OSError, subprocess.SubprocessError) as error:
            raise Unusable(f"`{' '.join(command)}` failed ({type(error).__name__}); it needs {needs}") from error


def _install_dynalite() -> None:
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    _install(DYNALITE, [command], "Node.js, npm and its registry")


def _dynalite_command(port: int, data: Path) -> list[str]:
    return ["node", str(DYNALITE / "cli.js"), "--port", str(port), "--path", str(data), "--createTableMs", "0"]


def _dynalite_version() -> str:
    version = "require(process.argv[1]).version"
    return f"{_said('node', '-p', version, str(DYNALITE / 'package.json'))}, Node.js {_said('node', '--version')}"


def _install_dynoxide() -> None:
    features = "native-sqlite,http-server,cli"
    _install(
        DYNOXIDE / "bin" / "dynoxide",
        [
            [
                *("cargo", "install", "dynoxide-rs", "--version", DYNOXIDE_VERSION, "--locked", "--quiet"),
                *("--no-default-features", "--features", features, "--root", str(DYNOXIDE)),
            ]
        ],
        "Rust 1.88 or later with cargo, a C compiler and the crates registry",
        BUILD_SECONDS,
    )


def _dynoxide(port: int, *options: str) -> list[str]:
    return [str(DYNOXIDE / "bin" / "dynoxide"), "serve", "--port", str(port), *options]


def _install_moto() -> None:
    _install(
        MOTO / "bin" / "moto_server",
        [
            [sys.executable, "-m", "venv", str(MOTO)],
            [
                *(str(MOTO / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--quiet"),
                *("install", f"moto[server]=={MOTO_VERSION}"),
            ],
        ],
        "PyPI",
    )


def _said(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()


AS_IT_COMES = Peer(
    name="Jedlik as it comes",
    about="no option: a worker for each core, no signature verified, tables sealed; "
    "a write is answered when it is synced to disk",
    command=lambda port, data: [
        *(sys.executable, "-m", "jedlik", "serve", "--port", str(port), "--data-dir", str(data)),
    ],
    version=_jedlik_version,
    is_rival=False,
)
JEDLIK = jedlik(1)
NOT_SEALED = jedlik(1, is_sealed=False)
OURS = (AS_IT_COMES, JEDLIK)
"""What the others are compared with, each in a table of its own."""
FLOOR = Peer(
    name="floor",
    about="Jedlik's HTTP server answering with the item of a GetItem, whatever is asked: nothing verified or stored",
    command=lambda port, _: [sys.executable, "-m", "bench.floor", str(port)],
    version=lambda: "same as Jedlik",
    is_rival=False,
    is_floor=True,
)
RIVALS = (
    Peer(
        name="dynalite",
        about="no signature verified; LevelDB on disk, written but not synced",
        command=_dynalite_command,
        version=_dynalite_version,
        install=_install_dynalite,
    ),
    Peer(
        name="Dynoxide",
        about="no signature verified; SQLite on disk, its log synced at every commit",
        command=lambda port, data: _dynoxide(port, "--db-path", str(data / "data.db")),
        version=lambda: DYNOXIDE_VERSION,
        install=_install_dynoxide,
    ),
    Peer(
        name="Dynoxide in memory",
        about="no signature verified; SQLite in memory, nothing kept",
        command=lambda port, _: _dynoxide(port),
        version=lambda: DYNOXIDE_VERSION,
        install=_install_dynoxide,
    ),
    Peer(
        name="moto",
        about="no signature verified; Python objects in memory, nothing kept",
        command=lambda port, _: [str(MOTO / "bin" / "moto_server"), "--port", str(port)],
        version=lambda: MOTO_VERSION,
        install=_install_moto,
    ),
)
