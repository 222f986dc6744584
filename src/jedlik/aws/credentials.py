"""The access keys: a JSON file that only its owner can read. It maps access key ids to keys,
whose secrets are sealed under the root key.

A running server notices a change of the file within a second; an unknown key makes it check at once.
"""

from __future__ import annotations

import json
import secrets
import string
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from jedlik import owner_files
from jedlik.aws.principals import Principal
from jedlik.root_key import ABSENT, RootKey, Unsealable

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


@dataclass(frozen=True, slots=True)
class KeptKey:
    """An access key as the file has it: its secret and its session token are sealed, or lie open without a root key."""

    access_key: str
    secret: str | None = None
    session_token: str | None = None
    expires: float | None = None
    account: str | None = None
    root: bool = False
    sealed: str | None = None
    """The secret and the session token, in base64."""

    def opened(self, root_key: RootKey) -> Credential:
        """The key. Raises CredentialsError."""
        secret, token = self.secret, self.session_token
        if self.sealed is not None:
            try:
                secret, token = json.loads(root_key.unseal(b64decode(self.sealed), _place(self.access_key)))
            except (Unsealable, ValueError) as error:
                raise CredentialsError(
                    f"the secret of the access key {self.access_key} cannot be read: {error}"
                ) from None
        if secret is None:
            raise CredentialsError(f"the access key {self.access_key} has no secret")
        return Credential(self.access_key, secret, token, self.expires, self.account, self.root)

    def sealed_under(self, root_key: RootKey) -> KeptKey:
        """The same key, sealed under the current root key if there is one. Raises CredentialsError."""
        if not root_key.is_there or (self.sealed is not None and root_key.is_current(b64decode(self.sealed))):
            return self
        key = self.opened(root_key)
        sealed = root_key.seal(json.dumps([key.secret, key.session_token]).encode(), _place(self.access_key))
        return replace(self, secret=None, session_token=None, sealed=b64encode(sealed).decode())

    def members(self) -> dict[str, object]:
        """What the file has under the key's id."""
        is_open = {"secret": self.secret, "session_token": self.session_token}
        return {
            **(is_open if self.sealed is None else {"sealed": self.sealed}),
            "expires": self.expires,
            **({} if self.account is None else {"account": self.account}),
            **({"root": True} if self.root else {}),
        }


def _place(access_key: str) -> bytes:
    return b"access keys/" + access_key.encode()


class Credentials:
    """The keys in a file, read again when it has changed. A secret is opened when its key is first used."""

    def __init__(self, path: Path, root_key: RootKey = ABSENT) -> None:
        self.path = path
        self._root_key = root_key
        self._seen: tuple[int, int, int] | None = None
        self._known: dict[str, KeptKey] = {}
        self._opened: dict[str, Credential] = {}
        self.refresh()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, access_key: str, token: str | None = None) -> Credential | None:
        """The key, or None if it is unknown. Raises CredentialsError if its secret cannot be read."""
        opened = self._opened.get(access_key)
        if opened is None and (kept := self._known.get(access_key)) is not None:
            opened = self._opened[access_key] = kept.opened(self._root_key)
        return opened

    def all(self) -> Iterable[KeptKey]:
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
        self._known = {key.access_key: key for key in kept(self.path)}
        self._opened = {}
        self._seen = seen
        return True


def kept(path: Path) -> list[KeptKey]:
    """The keys in a file as it has them; empty if it does not exist. Raises CredentialsError."""
    try:
        with path.open() as file:
            if owner_files.is_open_to_others(file.fileno()):
                raise CredentialsError(f"{path} must be readable by its owner only: chmod 600 {path}")
            return [KeptKey(access_key, **rest) for access_key, rest in json.load(file).items()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CredentialsError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CredentialsError(f"{path} does not hold access keys: {error}") from error


def load(path: Path, root_key: RootKey = ABSENT) -> list[Credential]:
    """The keys in a file, opened; empty if it does not exist. Raises CredentialsError."""
    return [key.opened(root_key) for key in kept(path)]


def create(
    path: Path, lifetime: float | None = None, account: str | None = None, root_key: RootKey = ABSENT
) -> Credential:
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
    key = KeptKey(
        credential.access_key,
        credential.secret,
        credential.session_token,
        credential.expires,
        credential.account,
        credential.root,
    )
    with _changing(path) as keys:
        keys.append(key.sealed_under(root_key))
    return credential


def delete(path: Path, access_key: str) -> bool:
    """Remove a key from the file. Returns False if it is unknown."""
    with _changing(path) as keys:
        rest = [key for key in keys if key.access_key != access_key]
        found = len(rest) < len(keys)
        keys[:] = rest
    return found


def seal(path: Path, root_key: RootKey) -> int:
    """Seal every key of a file under the current root key. Returns how many were not. Raises CredentialsError."""
    if all(key.sealed is not None and root_key.is_current(b64decode(key.sealed)) for key in kept(path)):
        return 0
    with _changing(path) as keys:
        sealed = [key.sealed_under(root_key) for key in keys]
        changed = sum(one is not other for one, other in zip(keys, sealed, strict=True))
        keys[:] = sealed
    return changed


@contextmanager
def _changing(path: Path) -> Iterator[list[KeptKey]]:
    """The keys in a file, which are written back afterwards, all or nothing, while nobody else changes them.

    Those that expired long ago are left out. A file that root makes belongs to the owner of the folder, who runs the
    server.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with owner_files.locked(path.with_name(path.name + LOCK_SUFFIX), CredentialsError):
        kept_from = datetime.now(UTC).timestamp() - KEPT_EXPIRED
        before = kept(path)
        keys = [one for one in before if one.expires is None or one.expires > kept_from]
        yield keys
        if keys != before or not path.exists():
            written = {key.access_key: key.members() for key in keys}
            owner_files.write_whole(path, json.dumps(written, indent=2).encode())


def _random(digits: str, length: int) -> str:
    return "".join(secrets.choice(digits) for _ in range(length))
