"""Accounts: each has a folder, with its regions and with the data that belongs to no region (`layout`).

An account exists if its folder does. The server's own exists without one. Any other is created by `jedlik account
create` or, if signatures are not verified, by the first request that writes in its name.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from jedlik import owner_files
from jedlik.regions import layout
from jedlik.regions.layout import IDENTITY, is_account

_RECORD = "account.json"
_LOCK = "lock"
_has_form_of_alias = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]").fullmatch


class AccountError(Exception):
    """An account cannot be created; the message is for the person who creates it."""


class AliasTaken(AccountError):
    """Another account has the alias."""


def is_alias(text: str) -> bool:
    """Whether a text has the form of an alias: that of an account's id is not for aliases.

    Source: "Creating, deleting, and listing an AWS account alias" in the IAM user guide.
    """
    return _has_form_of_alias(text) is not None and not is_account(text)


@dataclass(frozen=True, slots=True)
class Account:
    """One that is there."""

    id: str
    alias: str | None = None
    """A name for people, which no other account has."""
    created: float | None = None
    """Seconds since the epoch; None if a request has created it."""


def create(data: Path, account: str | None, alias: str | None, own: str) -> Account:
    """Create an account, of a random id if none is given. Also makes the record of one that a request has created, or
    of the server's `own`, which have none yet. Raises AccountError, and OSError."""
    if alias is not None and not is_alias(alias):
        raise AccountError(
            f"the alias {alias!r} must have 3 to 63 small letters, digits and single hyphens between them, "
            "and not be twelve digits"
        )
    folder = data / layout.ACCOUNTS
    _make(folder)
    with owner_files.locked(folder / _LOCK, AccountError):
        found = {one.id: one for one in all_of(data, own)}
        if account is None:
            account = next(one for one in _random_ids() if one not in found)
        known = found.get(account)
        if known is not None and known.created is not None:
            raise AccountError(f"there is an account {account} already")
        _check_alias(found.values(), account, alias)
        made = Account(account, alias, time.time())
        _write(layout.account_folder(data, account) / IDENTITY, made)
    return made


def _check_alias(found: Iterable[Account], account: str, alias: str | None) -> None:
    if alias is not None and any(one.alias == alias and one.id != account for one in found):
        raise AliasTaken(f"there is an account with the alias {alias} already")


def set_alias(data: Path, account: str, alias: str | None, own: str, *, before: str | None = None) -> bool:
    """Give an account an alias, or none, if the one that it has is `before`, should that be given. Returns whether it
    was. Raises AliasTaken, AccountError, and OSError."""
    _make(data / layout.ACCOUNTS)
    with owner_files.locked(data / layout.ACCOUNTS / _LOCK, AccountError):
        known = _read(data, account)
        if before is not None and known.alias != before:
            return False
        _check_alias(all_of(data, own), account, alias)
        _write(layout.account_folder(data, account) / IDENTITY, replace(known, alias=alias))
    return True


def alias_of(data: Path, account: str) -> str | None:
    """The alias of an account; None if it has none. Raises AccountError, and OSError."""
    return _read(data, account).alias


def with_alias(data: Path, alias: str, own: str) -> str | None:
    """The id of the account that has an alias; None if no account has it. Raises AccountError, and OSError."""
    return next((one.id for one in all_of(data, own) if one.alias == alias), None)


def all_of(data: Path, own: str) -> list[Account]:
    """The existing accounts, in order, including the server's `own`. Raises AccountError, and OSError."""
    return [_read(data, account) for account in sorted({own, *layout.accounts(data)})]


def is_there(data: Path, account: str, own: str) -> bool:
    """Whether there is such an account."""
    return account == own or layout.account_folder(data, account).is_dir()


def _read(data: Path, account: str) -> Account:
    path = layout.account_folder(data, account) / IDENTITY / _RECORD
    try:
        record = orjson.loads(path.read_bytes())
        created = record["Created"]
        return Account(account, record["Alias"], None if created is None else float(created))
    except FileNotFoundError:
        return Account(account)
    except (ValueError, TypeError, LookupError) as error:
        raise AccountError(f"{path} is no record of an account: {error!r}") from error


def _write(folder: Path, account: Account) -> None:
    """Write the record of an account, all or nothing."""
    _make(folder)
    owner_files.write_whole(folder / _RECORD, orjson.dumps({"Alias": account.alias, "Created": account.created}))


def _make(folder: Path) -> None:
    """Make a folder, and the folders that it is in, durably. A folder that root makes belongs to the owner of the
    folder above."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
        owner_files.give_to_owner(one, one.parent)
        owner_files.sync_place(one.parent)


def _random_ids() -> Iterator[str]:
    """Ids that look like those of AWS's accounts. They are no secret, but cannot be predicted."""
    while True:
        yield f"{secrets.randbelow(9 * 10**11) + 10**11}"
