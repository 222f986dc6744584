"""Requests for resources of another account, which they name by ARN: whether they are permitted, and where they are
served.

A handler looks for a table only in its own store, and raises OtherAccount for the ARN of another account before it has
done anything. The front comes here then, and begins the request again in that account's store, in the same region. So
a request for resources of its own account pays nothing.

A request is about one account. AWS states that for transactions, and not for batches; its words for the refusal are not
known.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from jedlik.aws.access import Access, Known, Scope, account_of
from jedlik.aws.authorizer import Authorizer, denied
from jedlik.aws.context import Context
from jedlik.aws.errors import OtherAccount, ValidationException
from jedlik.aws.service import Operation
from jedlik.regions.layout import is_account
from jedlik.regions.region import NoAccount

if TYPE_CHECKING:
    from jedlik.regions.stores import Stores

RESOURCE_BASED = "resource-based"

Compute: TypeAlias = Callable[[Scope, Known], tuple[Access, ...]]
"""Computes the accesses of a request, for where it is served and what is known of tables there."""


async def store_of(
    stores: Stores,
    authorizer: Authorizer,
    operation: Operation,
    context: Context,
    compute: Compute,
    found: OtherAccount,
) -> str:
    """The name of the store that has the resources of a request, whose handler has found one of another account.

    Raises AccessDeniedException, and ValidationException for resources of several accounts.
    """
    own, accesses = context.region.account, compute(context.scope, {})
    accounts = [account for account in dict.fromkeys(account_of(access.resource) for access in accesses) if account]
    for account in accounts:
        if account == own:
            continue
        if not is_account(account):
            raise found
        asked = tuple(access for access in accesses if account_of(access.resource) == account)
        if not operation.across_accounts:
            raise denied(context.caller, asked[0], RESOURCE_BASED)
        name = stores.named(account, context.region.name)
        owner = partial(_accesses, stores, name, operation, context, asked, compute)
        await authorizer.check_across(context.caller, asked, owner)
    if found.account not in accounts or not operation.across_accounts:
        raise found
    if len(accounts) > 1:
        text = f"The tables of a request must be in one account, not in {' and '.join(accounts)}"
        raise ValidationException(text, bare=True)
    return stores.named(found.account, context.region.name)


async def _accesses(
    stores: Stores,
    name: str,
    operation: Operation,
    context: Context,
    asked: tuple[Access, ...],
    compute: Compute,
) -> tuple[Access, ...]:
    """The accesses to resources of another account, as its region knows them. The caller cannot find out whether the
    account exists."""
    try:
        region = await stores.find(name)
    except NoAccount:
        raise denied(context.caller, asked[0], RESOURCE_BASED) from None
    await operation.learn(region, asked)
    computed = compute(context.scope._replace(account=region.account), region.known)
    return tuple(access for access in computed if account_of(access.resource) == region.account)
