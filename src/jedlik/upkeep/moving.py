"""Moves a store from its place before there were accounts to its present place (`regions.layout`).

A store is moved by one rename, after the other steps of an upgrade. An upgrade that is killed before it leaves the
store in its old place, and one that is killed afterwards leaves nothing to do.
"""

from __future__ import annotations

from pathlib import Path

from jedlik.dynamodb.model import descriptors, keys
from jedlik.regions import layout
from jedlik.regions.layout import Stored
from jedlik.storage.engine import StorageError
from jedlik.storage.lmdb.environment import sync_directories
from jedlik.upkeep import opening


def to_its_place(stored: Stored, data_dir: Path) -> Path | None:
    """Move a store to its place in a data folder. Returns the place, or None if the store is already there.

    Raises StorageError if another store is there, or if its tables belong to another account.
    """
    place = layout.store_folder(data_dir, stored.account, stored.region)
    if place == stored.path:
        return None
    others = _accounts(stored.path) - {stored.account}
    if others:
        raise StorageError(
            f"the tables in {stored.path} are of account {min(others)}, and not of {stored.account}: "
            f"name it with --account {min(others)}"
        )
    if place.exists():
        raise StorageError(f"there is a store in {stored.path} and one in {place}: move one of them away")
    made = [folder for folder in place.parents if not folder.exists()]
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    sync_directories([folder.parent for folder in made])
    stored.path.rename(place)
    sync_directories([place.parent, data_dir])
    return place


def _accounts(path: Path) -> set[str]:
    """The accounts in the ARNs of the tables of a store."""
    with opening.view(path) as view:
        tables = [descriptors.parse(raw) for _, raw in view.rows(*keys.descriptor_range(None))]
    return {table.descriptor.account for table in tables}
