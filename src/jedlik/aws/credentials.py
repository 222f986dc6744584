"""The access keys: a JSON file that only its owner can read. It maps access key ids to keys.

A running server notices a change of the file within a second; an unknown key makes it check at once.
"""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from jedlik import owner_files
from jedlik.aws.principals import Principal

PERMANENT = "AKIA"
TEMPORARY = "ASIA"
KEY_ID_DIGITS = string.ascii_uppercase + "234567"
KEY_ID_LENGTH = 16
SECRET_LENGTH = 40
SECRET_DIGITS = string.ascii_letters + string.digits + "+/"
TOKEN_BYTES = 96

LOCK_SUFFIX = ".lock"
"""The end of the name of the lock file, beside the file of keys."""

KEPT_EXPIRED = 24 * 60 * 60.0
"""Seconds for which an expired key is kept: its user gets the error that it has expired, and not that there is no such
key."""


class CredentialsError(Exception):
    """The file cannot be used; the message is for the person who runs the server."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One access key. Temporary ones have a session token and the time, in epoch seconds, when they end."""

    access_key: str
    secret: str
    session_token: str | None = None
    expires: float | None = None
    account: str | None = None
    """The account of the key; None for the server's own, whichever it is (`--account`)."""
    root: bool = False
    """Whether the key is the account's own. One in the file that is not was made before there were users."""
    principal: Principal | None = None
    """Who the key belongs to; None for the account itself. It is not in the file."""


class KeySource(Protocol):
    """Where access keys are found."""

    def get(self, access_key: str, token: str | None = None) -> Credential | None:
        """A key that may be used, or None. A session token may have to be given with it."""
        ...

    def refresh(self) -> bool:
        """Look for changes. Returns whether there are any. Raises CredentialsError."""
        ...


class Credentials:
    """The keys in a file, read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._known: dict[str, Credential] = {}
        self.refresh()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, access_key: str, token: str | None = None) -> Credential | None:
        """The key, or None if it is unknown."""
        return self._known.get(access_key)

    def all(self) -> Iterable[Credential]:
        """Every key."""
        return self._known.values()

    def refresh(self) -> bool:
        """Read the file again if it has changed. Returns whether it has. Raises CredentialsError if it cannot be
        read."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            seen = None
        else:
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen == self._seen:
            return False
        self._known = {credential.access_key: credential for credential in load(self.path)}
        self._seen = seen
        return True


def load(path: Path) -> list[Credential]:
    """The keys in a file; empty if it does not exist. Raises CredentialsError."""
    try:
        with path.open() as file:
            if owner_files.is_open_to_others(file.fileno()):
                raise CredentialsError(f"{path} must be readable by its owner only: chmod 600 {path}")
            return [Credential(access_key, **rest) for access_key, rest in json.load(file).items()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CredentialsError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CredentialsError(f"{path} does not hold access keys: {error}") from error


def create(path: Path, lifetime: float | None = None, account: str | None = None) -> Credential:
    """Add a new key of an account to the file, which is created if need be. A lifetime, in seconds, makes it
    temporary."""
    temporary = lifetime is not None
    credential = Credential(
        (TEMPORARY if temporary else PERMANENT) + _random(KEY_ID_DIGITS, KEY_ID_LENGTH),
        _random(SECRET_DIGITS, SECRET_LENGTH),
        secrets.token_urlsafe(TOKEN_BYTES) if temporary else None,
        datetime.now(UTC).timestamp() + lifetime if lifetime is not None else None,
        account,
        root=True,
    )
    with _changing(path) as credentials:
        credentials.append(credential)
    return credential


def delete(path: Path, access_key: str) -> bool:
    """Remove a key from the file. Returns False if it is unknown."""
    with _changing(path) as credentials:
        rest = [credential for credential in credentials if credential.access_key != access_key]
        found = len(rest) < len(credentials)
        credentials[:] = rest
    return found


@contextmanager
def _changing(path: Path) -> Iterator[list[Credential]]:
    """The keys in a file, which are written back afterwards, all or nothing, while nobody else changes them.

    Those that expired long ago are left out. A file that root makes belongs to the owner of the folder, who runs the
    server.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with owner_files.locked(path.with_name(path.name + LOCK_SUFFIX), CredentialsError):
        kept_from = datetime.now(UTC).timestamp() - KEPT_EXPIRED
        credentials = [one for one in load(path) if one.expires is None or one.expires > kept_from]
        yield credentials
        written = {
            credential.access_key: {
                "secret": credential.secret,
                "session_token": credential.session_token,
                "expires": credential.expires,
                **({} if credential.account is None else {"account": credential.account}),
                **({"root": True} if credential.root else {}),
            }
            for credential in credentials
        }
        owner_files.write_whole(path, json.dumps(written, indent=2).encode())


def _random(digits: str, length: int) -> str:
    return "".join(secrets.choice(digits) for _ in range(length))
