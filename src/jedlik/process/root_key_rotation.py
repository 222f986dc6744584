"""The rotation of the root key: another key takes its place, and all that is sealed is sealed again under it.

    1  the file of the key gets the new one, before the present one   (another source has it so already)
    2  the record of the data folder names the new key, and has the former one sealed under it
    3  a running server takes up the new key                          (`root_key_holder`; else 1 and 2 are undone)
    4  access keys, the rows of all stores, and the keys of backups are sealed again
    5  the record forgets keys that are older than the former one; the file of the key has the new one alone

Until step 2, the folder opens with the former key. From then on it opens with the new one, which also opens the former
one, and with it what step 4 has not reached. So a rotation may be killed anywhere, and the next one finishes it: while
the source has more than one key, it makes no other. The former key stays in the record until the next rotation, for
what a request sealed while step 4 went over the rows.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jedlik import root_key
from jedlik.aws import credentials
from jedlik.aws.credentials import CredentialsError
from jedlik.aws.damage import DAMAGE
from jedlik.aws.service import Service, identity_key_spaces, key_spaces
from jedlik.config import Settings
from jedlik.dynamodb.backups import piece_keys
from jedlik.iam import token_keys
from jedlik.regions import layout, object_places, root_key_record, root_key_sources
from jedlik.regions.keyspaces import Keyspace
from jedlik.regions.layout import Stored
from jedlik.regions.object_places import NoBucket
from jedlik.regions.root_key_record import RECORD, Found, Record
from jedlik.regions.root_key_sources import RootKeyError, Source
from jedlik.root_key import RootKey, Unsealable
from jedlik.storage.engine import StorageError
from jedlik.storage.object_store import ObjectStoreError
from jedlik.upkeep.resealing import reseal

SERVER_SECONDS = 30.0
"""How long a running server has to take up a new key; it looks once a second."""
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation has done."""

    key: str
    """The id of the present key."""
    source: str
    is_finished: bool
    """Whether it has only finished an earlier one."""
    sealed: int
    """Rows and access keys that were sealed again."""
    leftover: bool
    """Whether the source still has former keys, and a person must remove them."""


def rotate(settings: Settings, services: Sequence[Service]) -> Rotated:
    """Rotate the root key of a data folder, or finish a rotation that was interrupted. A server may run meanwhile.

    Raises RootKeyError.
    """
    folder = settings.data_dir
    with root_key_record.changing(folder):
        record = root_key_record.read(folder)
        if record is None:
            raise RootKeyError(f"{folder} has no root key: make one with `jedlik init`")
        if record.unsealed:
            raise RootKeyError(f"{folder} has secrets that lie open: start the server once, which seals them")
        source = root_key_sources.source_of(settings)
        found = root_key_record.opened(source, record, folder)
        is_finished = len(source.keys) > 1 and source.keys[0] == found.current
        if not is_finished:
            source, found = _begun(folder, source, found)
        present = RootKey(found.current, found.former)
        sealed = _seal_all(settings, services, present) + _seal_piece_keys(settings, present)
        kept = found.former[:1]
        former = root_key_record.sealed_former(found.current, kept)
        root_key_record.write(folder, Record(found.record.key, former))
        if source.file is not None:
            root_key_sources.write(source.file, (found.current,), folder)
        leftover = source.file is None and len(source.keys) > 1
        return Rotated(found.record.key, source.name, is_finished, sealed, leftover)


def _begun(folder: Path, source: Source, found: Found) -> tuple[Source, Found]:
    """Put a new key in the place of the present one. Returns the source, and the keys, as they are then."""
    before = source.keys
    if source.keys[0] == found.current:
        if source.file is None:
            raise RootKeyError(
                f"{source.name} cannot be written to: put a new key there, before the present one and a space, restart "
                "the server, and run this again"
            )
        source = Source(source.name, (root_key.new_key(), *before), source.file)
        root_key_sources.write(source.file or Path(), source.keys, folder)
    current = source.keys[0]
    former = (found.current, *(key for key in found.former if key != current))
    record = Record(root_key.id_of(current).hex(), root_key_record.sealed_former(current, former))
    with (folder / RECORD).open("rb") as held:
        root_key_record.write(folder, record)
        if _is_let_go(held.fileno()):
            return source, Found(source, current, former, record)
    root_key_record.write(folder, found.record)
    if source.file is not None:
        root_key_sources.write(source.file, before, folder)
    raise RootKeyError(
        f"the server of {folder} has not taken up the new root key within {SERVER_SECONDS:g} seconds, and its log has "
        "the reason; nothing has been changed"
    )


def _is_let_go(file: int) -> bool:
    """Wait until no server holds the former record."""
    deadline = time.monotonic() + SERVER_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_SECONDS)


def _seal_all(settings: Settings, services: Sequence[Service], present: RootKey) -> int:
    """Seal everything under the present key. Returns how many rows and access keys were not."""
    try:
        sealed = credentials.seal(settings.credentials_file, present)
        for stored in layout.identity_stores(settings.data_dir, settings.account):
            sealed += _seal_store(stored, identity_key_spaces(services), present)
        for stored in layout.stores(settings.data_dir, settings.account):
            sealed += _seal_store(stored, key_spaces(services), present)
    except CredentialsError as error:
        raise RootKeyError(f"{settings.credentials_file} was not sealed again: {error}") from error
    except OSError as error:
        raise RootKeyError(f"cannot use {error.filename}: {os.strerror(error.errno or 0)}") from error
    return sealed


def _seal_piece_keys(settings: Settings, present: RootKey) -> int:
    """Seal the keys that lie beside backups. Returns how many were not."""
    try:
        return asyncio.run(piece_keys.seal_again(object_places.backups_of(settings), present))
    except (ObjectStoreError, NoBucket, Unsealable) as error:
        raise RootKeyError(
            f"the keys of backups were not sealed again: {error}. Both root keys are kept; run this again when the "
            "place of backups can be used"
        ) from error


def _seal_store(stored: Stored, spaces: Sequence[Keyspace], present: RootKey) -> int:
    try:
        renewed = asyncio.run(token_keys.renew(stored.path, stored.account, present)) if stored.is_identity else 0
        return renewed + asyncio.run(reseal(stored.path, stored.account, stored.region, spaces, present))
    except (StorageError, Unsealable, *DAMAGE) as error:
        raise RootKeyError(
            f"{stored.label} was not sealed again: {error}. Both keys are kept; run this again when it is repaired"
        ) from error
