"""The layout of a data folder: the place and the name of each store.

    accounts/ID/regions/NAME    the store of a region of an account (`region_names.folder`)
    accounts/ID/identity        what an account has that is of no region (`accounts`)
    NAME                        where stores were before there were accounts: `jedlik upgrade` moves them

The server, its log and the output of commands name a store of the server's own account (`--account`) by its region
alone, and one of another account by ACCOUNT/REGION. So names are unchanged if there is only one account.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jedlik import region_names
from jedlik.config import DEFAULT_ACCOUNT
from jedlik.storage.lmdb.lmdb_pages import DATA

ACCOUNTS = "accounts"
REGIONS = "regions"
IDENTITY = "identity"

_is_account = re.compile(r"[0-9]{12}", re.ASCII).fullmatch


def is_account(text: str) -> bool:
    """Whether a text is the id of an account."""
    return _is_account(text) is not None


def store_name(region: str, account: str | None) -> str:
    """The name of a store. No account means the server's own."""
    return region if account is None else f"{account}/{region}"


def account_folder(data: Path, account: str) -> Path:
    """The folder of an account."""
    return data / ACCOUNTS / account


def store_folder(data: Path, account: str, region: str) -> Path:
    """The folder of the store of a region of an account."""
    return account_folder(data, account) / REGIONS / region_names.folder(region)


@dataclass(frozen=True, slots=True)
class Stored:
    """A folder with a store in it, or at least one for a store."""

    path: Path
    account: str
    region: str
    """The region's name."""
    is_own: bool = True
    """Whether the account is the server's own."""
    is_identity: bool = False
    """Whether it is the account's identity store, which is of no region."""

    @property
    def label(self) -> str:
        """Its name in commands: the folder's name, with the account if it is not the server's own. No region can be
        called as identity stores are here."""
        return store_name(
            "identity store" if self.is_identity else self.path.name, None if self.is_own else self.account
        )

    @property
    def name(self) -> str:
        """What a server calls it."""
        return store_name(self.region, None if self.is_own else self.account)


@dataclass(frozen=True, slots=True)
class Which:
    """The stores that a command concerns."""

    account: str | None = None
    """One account's, if it is named."""
    region: str | None = None
    """One region's, if it is named, by its name or its folder's."""
    own: str = DEFAULT_ACCOUNT
    """The server's own account."""

    def means(self, stored: Stored) -> bool:
        """Whether a store is one of them."""
        return self.means_region(stored.account, stored.region)

    def means_region(self, account: str | None, region: str) -> bool:
        """Whether the store of a region of an account is one of them."""
        if region == "" and self.region is not None:
            return False
        is_named = self.region in (None, region) or region_names.of_folder(self.region or "") == region
        return is_named and self.account in (None, account)


def accounts(data: Path) -> list[str]:
    """The ids of the existing accounts, in order."""
    try:
        found = os.listdir(data / ACCOUNTS)
    except FileNotFoundError:
        return []
    return sorted(name for name in found if is_account(name))


def stores(data: Path, own: str) -> Iterator[Stored]:
    """The folders of existing regions, by account and region; `own` is the server's account, which comes first."""
    found = accounts(data)
    for account in sorted(found, key=lambda account: (account != own, account)):
        yield from stores_of(data, account, is_own=account == own)


def stores_of(data: Path, account: str, *, is_own: bool) -> Iterator[Stored]:
    """The folders of the existing regions of an account, by region."""
    folder = account_folder(data, account) / REGIONS
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        region = region_names.of_folder(path.name)
        if region is not None and path.is_dir():
            yield Stored(path, account, region, is_own)


def identity_stores(data: Path, own: str) -> Iterator[Stored]:
    """The existing identity stores, by account; `own` is the server's account, which comes first."""
    for account in sorted(accounts(data), key=lambda account: (account != own, account)):
        path = account_folder(data, account) / IDENTITY
        if (path / DATA).exists():
            yield Stored(path, account, "", account == own, is_identity=True)


def former(data: Path, own: str) -> list[Stored]:
    """The stores that are still in the place from before there were accounts. They will belong to the account `own`."""
    if not data.is_dir():
        return []
    paths = sorted(path.parent for path in data.glob(f"*/{DATA}"))
    named = ((path, region_names.of_folder(path.name)) for path in paths)
    return [Stored(path, own, region) for path, region in named if region is not None]


def former_refusal(data: Path) -> str:
    """The reason why a data folder with such stores is refused, and the remedy."""
    return (
        f"the stores in {data} are where they were before there were accounts: "
        "stop all servers, copy the folder, and run `jedlik upgrade`"
    )
