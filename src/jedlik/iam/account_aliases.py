"""The account's alias: a name for people, with which they can sign in.

It is in the account's record (`regions.accounts`), where `jedlik account create --alias` puts it, too: no two accounts
of a data folder have the same. Records are files, so they are read and written in a thread.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from jedlik.aws.context import Context
from jedlik.iam.entities import Request
from jedlik.iam.errors import EntityAlreadyExistsException, InvalidInputException, NoSuchEntityException
from jedlik.iam.identity_stores import AccountIdentity
from jedlik.iam.listings import page
from jedlik.regions import accounts


async def create_account_alias(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Give the account an alias, in place of the one that it has."""
    alias = request["AccountAlias"]
    if not accounts.is_alias(alias):
        raise InvalidInputException(f"The account alias {alias} must not be twelve digits.")
    try:
        await asyncio.to_thread(_setting(identity, alias))
    except accounts.AliasTaken:
        raise EntityAlreadyExistsException(f"The account alias {alias} already exists.") from None


async def delete_account_alias(identity: AccountIdentity, context: Context, request: Request) -> None:
    """Take the account's alias away."""
    alias = request["AccountAlias"]
    if not await asyncio.to_thread(_setting(identity, None, before=alias)):
        raise NoSuchEntityException(f"The account alias with name {alias} cannot be found.")


def _setting(identity: AccountIdentity, alias: str | None, before: str | None = None) -> partial[bool]:
    return partial(accounts.set_alias, identity.data_dir, identity.account, alias, identity.own_account, before=before)


async def list_account_aliases(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    """The account's alias, if it has one."""
    alias = await asyncio.to_thread(accounts.alias_of, identity.data_dir, identity.account)
    return page(request, "AccountAliases", [] if alias is None else [(alias, alias)])
