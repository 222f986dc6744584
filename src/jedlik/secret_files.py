"""Secrets that settings name: the files that hold them, and the secret of peers, wherever it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO

from jedlik import owner_files
from jedlik.config import PEER_SECRET_VARIABLE, SettingsError


def peer_secret(file: Path | None, given: tuple[str, ...], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The secrets of peers: from the file of their own, the environment, or what the configuration file has `given`.

    In a text they stand one after the other, with white space between. Raises SettingsError.
    """
    in_environment = tuple(environment.get(PEER_SECRET_VARIABLE, "").split())
    if file is None:
        return in_environment or given
    if in_environment or given:
        raise SettingsError("peer_secret and peer_secret_file: the secret is to be in one place only")
    try:
        with file.open() as secret:
            check_private(secret, file)
            found = tuple(secret.read().split())
    except OSError as error:
        raise SettingsError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is no text: {error}") from error
    if not found:
        raise SettingsError(f"{file} is empty: it is to hold a secret, like what `openssl rand -hex 32` prints")
    return found


def check_private(file: IO[str], path: Path) -> None:
    """Raise SettingsError if others can read a file with a secret."""
    if owner_files.is_open_to_others(file.fileno()):
        raise SettingsError(f"{path} holds a secret and must be readable by its owner only: chmod 600 {path}")
