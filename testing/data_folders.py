"""Where a server of one account keeps the stores of its regions."""

from __future__ import annotations

from pathlib import Path

from jedlik.config import DEFAULT_ACCOUNT
from jedlik.regions import layout
from jedlik.regions.layout import Stored


def store_in(data: Path | str, region: str = "us-east-1", account: str = DEFAULT_ACCOUNT) -> Path:
    """The folder of the store of a region in a data folder."""
    return layout.store_folder(Path(data), account, region)


def data_of(store: Path) -> Path:
    """The data folder that contains a store."""
    return store.parents[3]


def stored(path: Path) -> Stored:
    """A folder with a store, in the form that the commands take; it need not be in a data folder."""
    return Stored(path, DEFAULT_ACCOUNT, "us-east-1")
