"""What a data folder knows of its root key: the id of the key under which its secrets are sealed, in `root-key.json`.

    Key       the id of the current key
    Former    keys of before, each sealed under the current one: what a rotation did not reach can still be opened
    Unsealed  true while secrets of an earlier version, which lie open, have not all been sealed

A folder without the record has no root key. A key with another id is refused before anything is read or written. The
key is made only for a folder that is empty, and never for a service: a key that nobody has seen made is a key that
nobody keeps.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jedlik import owner_files, root_key
from jedlik.config import Settings
from jedlik.regions import root_key_sources
from jedlik.regions.root_key_sources import RootKeyError, Source
from jedlik.root_key import RootKey, Unsealable

RECORD = "root-key.json"
LOCK = RECORD + ".lock"
NO_DATA = {"lock", "lost+found", LOCK}
"""What an empty data folder may have."""
_CONTEXT = b"former root key"
_WITHOUT = "what is sealed in the data folder cannot be read without it"


@dataclass(frozen=True, slots=True)
class Record:
    """The record of a data folder."""

    key: str
    """The id of the current key, in hexadecimal."""
    former: tuple[bytes, ...] = ()
    """Former keys, sealed under the current one."""
    unsealed: bool = False
    """Whether there may be secrets that lie open."""


@dataclass(frozen=True, slots=True)
class Found:
    """The root key of a data folder, and where it came from."""

    source: Source
    current: bytes
    former: tuple[bytes, ...]
    record: Record
    is_new: bool = False
    """Whether it has just been made."""

    def hand_to(self, root: RootKey) -> None:
        """Let a root key hold these keys."""
        root.use(self.current, self.former)


def found(settings: Settings, *, may_make: bool) -> Found | None:
    """The root key of a data folder; None if the folder has no root key and none is given. Raises RootKeyError.

    If a key is given for a folder that has none, the folder has it from now on. If none is given for an empty one, it
    is made, if that may be.
    """
    folder = settings.data_dir
    record = read(folder)
    if record is not None:
        return opened(root_key_sources.source_of(settings), record, folder)
    if root_key_sources.source_of(settings).keys or (is_empty(folder) and may_make):
        with changing(folder):
            return _found_alone(settings, may_make=may_make)
    return _found_alone(settings, may_make=may_make)


def _found_alone(settings: Settings, *, may_make: bool) -> Found | None:
    folder = settings.data_dir
    source = root_key_sources.source_of(settings)
    record = read(folder)
    if record is not None:  # Another program has just made it.
        return opened(source, record, folder)
    if source.keys:
        return _begun(folder, source, is_new=False)
    if not is_empty(folder):
        return None
    if not may_make or source.file is None:
        raise RootKeyError(
            f"there is no root key in {source.name}, and none is made for a service or with root_key_make = false: "
            "make one with `jedlik init`, or name where it is (--root-key-file)"
        )
    return made(folder, source)


def made(folder: Path, source: Source) -> Found:
    """Make a root key for a data folder that has none, in a file that is not there. Raises RootKeyError."""
    assert source.file is not None, "only a file can be without a key"
    keys = (root_key.new_key(),)
    _make(folder)
    root_key_sources.write(source.file, keys, folder)
    return _begun(folder, Source(source.name, keys, source.file), is_new=True)


def opened(source: Source, record: Record, folder: Path) -> Found:
    """The keys of a folder with this record. Raises RootKeyError if the source does not have the current one."""
    if not source.keys:
        raise RootKeyError(
            f"there is no root key in {source.name}, and {folder} has secrets sealed under the key {record.key}: put "
            f"it back, or name where it is (--root-key-file); {_WITHOUT}"
        )
    current = source.has(record.key)
    if current is None:
        others = ", ".join(root_key.id_of(key).hex() for key in source.keys)
        raise RootKeyError(
            f"the root key in {source.name} is {others}, and not {record.key}, which {folder} is sealed under; "
            f"nothing has been changed, and {_WITHOUT}"
        )
    opener = RootKey(current)
    try:
        former = tuple(opener.unseal(sealed, _CONTEXT) for sealed in record.former)
    except Unsealable as error:
        raise RootKeyError(f"{folder / RECORD} has a former key that cannot be read: {error}") from None
    return Found(source, current, former, record)


def _begun(folder: Path, source: Source, *, is_new: bool) -> Found:
    current = source.keys[0]
    record = Record(root_key.id_of(current).hex(), unsealed=not is_empty(folder))
    write(folder, record)
    return Found(source, current, (), record, is_new)


def sealed_former(current: bytes, former: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Former keys as a record keeps them."""
    sealer = RootKey(current)
    return tuple(sealer.seal(key, _CONTEXT) for key in former)


def is_empty(folder: Path) -> bool:
    """Whether a data folder has no data, or is not there."""
    try:
        return not set(os.listdir(folder)) - NO_DATA
    except (FileNotFoundError, NotADirectoryError):
        return True


def read(folder: Path) -> Record | None:
    """The record of a folder; None if it has no root key. Raises RootKeyError."""
    path = folder / RECORD
    try:
        held = json.loads(path.read_bytes())
        former = tuple(b64decode(sealed, validate=True) for sealed in held.get("Former", ()))
        return Record(str(held["Key"]), former, bool(held.get("Unsealed", False)))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RootKeyError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise RootKeyError(f"{path} is no record of a root key: {error!r}") from error


def write(folder: Path, record: Record) -> None:
    """Write the record of a folder, which is made if need be, all or nothing. Raises RootKeyError."""
    held = {
        "Key": record.key,
        **({"Former": [b64encode(sealed).decode() for sealed in record.former]} if record.former else {}),
        **({"Unsealed": True} if record.unsealed else {}),
    }
    _make(folder)
    try:
        owner_files.write_whole(folder / RECORD, json.dumps(held, indent=2).encode())
    except OSError as error:
        raise RootKeyError(f"cannot write {folder / RECORD}: {error.strerror}") from error


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Keep other programs from making or changing the root key of a data folder. Raises RootKeyError."""
    _make(folder)
    with owner_files.locked(folder / LOCK, RootKeyError):
        yield


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RootKeyError(f"cannot use {folder}: {error.strerror}") from error
