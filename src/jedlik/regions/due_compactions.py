"""Due compactions: stores whose free pages still have what their rows have no more in that form. A file for each, in
the data folder:

    to-compact/ACCOUNT-NAME     empty; NAME is that of the store's folder (`layout`)

The next start compacts them (`process.due_compacting`), and so does `jedlik compact`.
"""

from __future__ import annotations

import os
from pathlib import Path

from jedlik import owner_files
from jedlik.regions import layout
from jedlik.regions.layout import Stored

FOLDER = "to-compact"


def note(data: Path, account: str, region: str) -> None:
    """Note that the store of a region is to be compacted. Raises OSError."""
    folder = data / FOLDER
    if not folder.is_dir():
        folder.mkdir(exist_ok=True)
        owner_files.sync_place(data)
    owner_files.write_whole(folder / _name(account, layout.store_folder(data, account, region)), b"")


def noted(data: Path, own: str) -> list[Stored]:
    """The stores that are to be compacted; `own` is the server's account."""
    try:
        names = set(os.listdir(data / FOLDER))
    except FileNotFoundError:
        return []
    return [stored for stored in layout.stores(data, own) if names and _name(stored.account, stored.path) in names]


def forget(data: Path, stored: Stored) -> None:
    """A store has been compacted, after what made that due. Raises OSError."""
    (data / FOLDER / _name(stored.account, stored.path)).unlink(missing_ok=True)


def _name(account: str, store: Path) -> str:
    return f"{account}-{store.name}"
