"""The access keys: a JSON file that only its owner can read, from access key id to what belongs to it.

A running server sees the file change within a second; a key that it does not know makes it look at once.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

PERMANENT = "AKIA"
TEMPORARY = "ASIA"
KEY_ID_DIGITS = string.ascii_uppercase + "234567"
KEY_ID_LENGTH = 16
SECRET_LENGTH = 40
SECRET_DIGITS = string.ascii_letters + string.digits + "+/"
TOKEN_BYTES = 96

LOCK_SUFFIX = ".lock"
"""What the name of the file that is locked ends with, beside the file of keys."""

KEPT_EXPIRED = 24 * 60 * 60.0
"""Seconds for which a key is kept that has expired: who still uses it hears that, and not that there is no such key."""

OTHERS = 0o077
"""The permission bits of everybody but the owner."""


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
    """That it belongs to; None for that of the server, whichever it is (`--account`)."""


class Credentials:
    """The keys in a file, read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._known: dict[str, Credential] = {}
        self.refresh()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, access_key: str) -> Credential | None:
        """The key, or None when there is none such."""
        return self._known.get(access_key)

    def refresh(self) -> bool:
        """Read the file again if it has changed, and tell whether. Raises CredentialsError when it cannot."""
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
    """The keys in a file, none if it is not there. Raises CredentialsError."""
    try:
        with path.open() as file:
            if os.fstat(file.fileno()).st_mode & OTHERS:
                raise CredentialsError(f"{path} must be readable by its owner only: chmod 600 {path}")
            return [Credential(access_key, **rest) for access_key, rest in json.load(file).items()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CredentialsError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CredentialsError(f"{path} does not hold access keys: {error}") from error


def create(path: Path, lifetime: float | None = None, account: str | None = None) -> Credential:
    """Add a new key of an account to the file, which is made if need be; a temporary one if it has a lifetime, in
    seconds."""
    temporary = lifetime is not None
    credential = Credential(
        (TEMPORARY if temporary else PERMANENT) + _random(KEY_ID_DIGITS, KEY_ID_LENGTH),
        _random(SECRET_DIGITS, SECRET_LENGTH),
        secrets.token_urlsafe(TOKEN_BYTES) if temporary else None,
        datetime.now(UTC).timestamp() + lifetime if lifetime is not None else None,
        account,
    )
    with _changing(path) as credentials:
        credentials.append(credential)
    return credential


def delete(path: Path, access_key: str) -> bool:
    """Remove a key from the file; False when it has none such."""
    with _changing(path) as credentials:
        rest = [credential for credential in credentials if credential.access_key != access_key]
        found = len(rest) < len(credentials)
        credentials[:] = rest
    return found


@contextmanager
def _changing(path: Path) -> Iterator[list[Credential]]:
    """The keys in a file, which are written back afterwards, all or nothing, with nobody else changing them.

    Those that expired long ago are left out. What root makes belongs to the owner of the folder, who runs the server.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(path.with_name(path.name + LOCK_SUFFIX)):
        kept_from = datetime.now(UTC).timestamp() - KEPT_EXPIRED
        credentials = [one for one in load(path) if one.expires is None or one.expires > kept_from]
        yield credentials
        written = {
            credential.access_key: {
                "secret": credential.secret,
                "session_token": credential.session_token,
                "expires": credential.expires,
                **({} if credential.account is None else {"account": credential.account}),
            }
            for credential in credentials
        }
        beside = path.with_name(path.name + ".new")
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(written, file, indent=2)
            file.flush()
            _give_to_owner(file.fileno(), path.parent)
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file that nobody but its owner can open: anybody who can may hold up the others for ever.

    Raises CredentialsError if it is somebody else's, or open to others.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        status = os.fstat(file)
        owners = (os.geteuid(), path.parent.stat().st_uid)
        if status.st_uid not in owners or status.st_mode & OTHERS or not stat.S_ISREG(status.st_mode):
            raise CredentialsError(f"{path} must be a file that nobody but its owner can open: remove it")
        _give_to_owner(file, path.parent)
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _give_to_owner(file: int, folder: Path) -> None:
    """Give a file to the owner of its folder, if we are root: a server that runs as that user must read it."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)


def _random(digits: str, length: int) -> str:
    return "".join(secrets.choice(digits) for _ in range(length))
