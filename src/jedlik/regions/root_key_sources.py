"""Where a server's root key comes from: a file, a systemd credential, a command, or the environment.

Only one of them is given. Without any, it is a credential called `jedlik.root-key`, if systemd has passed one, and else
the file beside the data folder. A source may hold more than one key while the key is changed: the new one is first.
The default file is never in the data folder, so that a copy of the folder does not have it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from jedlik import owner_files, root_key
from jedlik.config import ROOT_KEY_VARIABLE, Settings

SUFFIX = ".root-key"
"""The end of the name of the file beside the data folder."""
CREDENTIAL = "jedlik.root-key"
"""The systemd credential that is used if it is there."""
CREDENTIALS_FOLDER = "CREDENTIALS_DIRECTORY"
"""The variable in which systemd names the folder of a service's credentials."""
COMMAND_SECONDS = 30.0
"""How long a command may take to print the key: it may ask a vault."""
LONGEST = 4096
"""Bytes of what holds a key."""
_NONE: tuple[bytes, ...] = ()


class RootKeyError(Exception):
    """The root key cannot be used; the message is for the person who runs the server."""


@dataclass(frozen=True, slots=True)
class Source:
    """One that a server has."""

    name: str
    """As the greeting and refusals call it."""
    keys: tuple[bytes, ...]
    """What it holds; nothing if it is a file that is not there."""
    file: Path | None = None
    """The file, if it is one that keys can be written to."""

    def has(self, id_: str) -> bytes | None:
        """The key with an id, in hexadecimal."""
        return next((key for key in self.keys if root_key.id_of(key).hex() == id_), None)


def is_service() -> bool:
    """Whether no person starts the server: it is a container's first process, or one that systemd has started."""
    return os.getpid() == 1 or os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())


def default_file(data_dir: Path) -> Path:
    """The file beside a data folder."""
    whole = data_dir.absolute()
    return whole.parent / (whole.name + SUFFIX)


def source_of(settings: Settings) -> Source:
    """The source that these settings name, read. Raises RootKeyError."""
    given = {
        "root_key_file": settings.root_key_file,
        "root_key_credential": settings.root_key_credential,
        "root_key_command": settings.root_key_command,
        ROOT_KEY_VARIABLE: settings.root_key,
    }
    named = [name for name, value in given.items() if value]
    if len(named) > 1:
        raise RootKeyError(f"{' and '.join(named)}: the root key is to be in one place only")
    if settings.root_key:
        return Source(f"the variable {ROOT_KEY_VARIABLE}", _parsed(settings.root_key, ROOT_KEY_VARIABLE))
    if settings.root_key_command:
        return _of_command(settings.root_key_command)
    if settings.root_key_credential:
        return _of_credential(settings.root_key_credential)
    if settings.root_key_file is None and _credential_file(CREDENTIAL) is not None:
        return _of_credential(CREDENTIAL)
    file = (settings.root_key_file or default_file(settings.data_dir)).absolute()
    if _is_within(file, settings.data_dir):
        raise RootKeyError(f"the root key must not be in the data folder, as {file} is: a copy would have both")
    return Source(str(file), _of_file(file), file)


def write(file: Path, keys: tuple[bytes, ...], data_dir: Path) -> None:
    """Write keys to a file that only the owner of the data folder may use, all or nothing. Raises RootKeyError."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner_files.write_whole(file, "".join(f"{key.hex()}\n" for key in keys).encode(), like=data_dir)
    except OSError as error:
        raise RootKeyError(
            f"cannot write the root key to {file}: {error.strerror}; name another file with --root-key-file"
        ) from error


def _is_within(file: Path, folder: Path) -> bool:
    return file.resolve().is_relative_to(folder.resolve())


def _of_file(file: Path) -> tuple[bytes, ...]:
    try:
        with file.open("rb") as opened:
            if owner_files.is_open_to_others(opened.fileno()):
                raise RootKeyError(
                    f"{file} holds the root key and must be readable by its owner only: chmod 600 {file}"
                )
            return _parsed(_text(opened.read(LONGEST + 1), str(file)), str(file))
    except FileNotFoundError:
        return _NONE
    except OSError as error:
        raise RootKeyError(f"cannot read the root key in {file}: {error.strerror}") from error


def _credential_file(name: str) -> Path | None:
    folder = os.environ.get(CREDENTIALS_FOLDER)
    file = Path(folder) / name if folder else None
    return file if file is not None and file.exists() else None


def _of_credential(name: str) -> Source:
    """systemd makes the file readable for the service alone, in a way that its mode does not always show."""
    file = _credential_file(name)
    if "/" in name or file is None:
        raise RootKeyError(f"there is no systemd credential {name}: pass one with LoadCredentialEncrypted={name}:...")
    what = f"the systemd credential {name}"
    try:
        with file.open("rb") as opened:
            return Source(what, _parsed(_text(opened.read(LONGEST + 1), what), what))
    except OSError as error:
        raise RootKeyError(f"cannot read {what}: {error.strerror}") from error


def _of_command(command: str) -> Source:
    what = "the output of root_key_command"
    try:
        words = shlex.split(command)
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=COMMAND_SECONDS)
    except (ValueError, IndexError) as error:
        raise RootKeyError(f"root_key_command is no command: {error}") from error
    except subprocess.TimeoutExpired:
        raise RootKeyError(f"root_key_command has not ended after {COMMAND_SECONDS:g} seconds") from None
    except OSError as error:
        raise RootKeyError(f"root_key_command cannot be run: {error.strerror}") from error
    if done.returncode:
        raise RootKeyError(f"root_key_command ended with {done.returncode}")
    return Source(what, _parsed(_text(done.stdout, what), what))


def _text(content: bytes, what: str) -> str:
    if len(content) > LONGEST:
        raise RootKeyError(f"{what} is too long for a root key")
    return content.decode("ascii", "replace")


def _parsed(text: str, what: str) -> tuple[bytes, ...]:
    try:
        keys = tuple(dict.fromkeys(root_key.parsed(text)))
    except ValueError as error:
        raise RootKeyError(f"{what} does not hold a root key: {error}") from None
    if not keys:
        raise RootKeyError(f"{what} is empty: it is to hold the root key")
    if len(keys) > root_key.MOST_KEYS:
        raise RootKeyError(f"{what} holds more than {root_key.MOST_KEYS} keys")
    return keys
