"""`jedlik account`: accounts, in the data folder that a server's settings name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from jedlik.cli import access_keys
from jedlik.cli.program import Group, Refusal, say
from jedlik.cli.setting_options import account_id, config_file, option, own_account, root_key_options_of_maker

T = TypeVar("T")


@click.group(cls=Group)
def account() -> None:
    """Accounts, each with regions, tables and access keys of its own.

    They are kept in the data folder of the server, which is found by its settings: give the --config or --data-dir, or
    the environment, that the server has. It may run meanwhile.
    """


@account.command()
@config_file
@option("data_dir")
@option("credentials")
@click.argument("account", metavar="[ID]", required=False, callback=account_id)
@click.option("--alias", help="A name for people, like an AWS account's; no other account may have it.")
@root_key_options_of_maker
def create(data_dir: Path, account: str | None, alias: str | None, credentials: Path | None, **where: Any) -> None:
    """Create an account. Print its id, twelve digits, random ones if none are given, and its first access key.

    The key is the account's own (AWS: its root user's) and may do everything in it. It is printed as a profile of an
    AWS credentials file.
    """
    from jedlik.aws import credentials as keys
    from jedlik.regions import accounts

    own = own_account()
    given = {"data_dir": data_dir, "credentials": credentials}
    root_key = access_keys.opened(access_keys.find_root_key(given | where))
    made = _doing(lambda: accounts.create(data_dir, account, alias, own))
    key = access_keys.with_credentials_file(given, lambda path: keys.create(path, None, made.id, root_key))
    say(made.id)
    access_keys.say_profile(made.alias or made.id, key.access_key, key.secret)


@account.command("list")
@config_file
@option("data_dir")
def list_(data_dir: Path) -> None:
    """Print the accounts: id, alias or -, and the time of creation, or - for one that nobody has created."""
    from jedlik.regions import accounts

    own = own_account()
    for one in _doing(lambda: accounts.all_of(data_dir, own)):
        created = "-" if one.created is None else datetime.fromtimestamp(one.created, UTC).isoformat(timespec="seconds")
        own_one = " (the server's own)" if one.id == own else ""
        say(f"{one.id} {one.alias or '-'} {created}{own_one}")


def _doing(do: Callable[[], T]) -> T:
    from jedlik.regions.accounts import AccountError

    try:
        return do()
    except AccountError as error:
        raise Refusal(str(error)) from error
    except OSError as error:
        raise Refusal(f"cannot use {error.filename}: {error.strerror}") from error
