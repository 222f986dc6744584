"""Requests for resources of another account, which they name by ARN: whether they are permitted, and where they are
served.

A handler looks for a table only in its own store, and raises OtherAccount for the ARN of another account before it has
done anything. The front comes here then, and begins the request again in that account's store, in the same region. So
a request for resources of its own account pays nothing.

A request is about one account. AWS states that for transactions, and not for batches; its words for the refusal are not
known.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from jedlik.aws.access import Access, account_of
from jedlik.aws.authorizer import Authorizer, denied
from jedlik.aws.context import Context
from jedlik.aws.errors import OtherAccount, ValidationException
from jedlik.aws.service import Operation
from jedlik.regions.layout import is_account
from jedlik.regions.region import NoAccount, Region

if TYPE_CHECKING:
    from jedlik.regions.stores import Stores

RESOURCE_BASED = "resource-based"


async def store_of(
    stores: Stores,
    authorizer: Authorizer,
    operation: Operation,
    context: Context,
    accesses: tuple[Access, ...],
    found: OtherAccount,
) -> str:
    """The name of the store that has the resources of a request, whose handler has found one of another account.

    Raises AccessDeniedException, and ValidationException for resources of several accounts.
    """
    own = context.region.account
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
        await authorizer.check_across(context.caller, asked, partial(_owner, stores, name, context, asked[0]))
    if found.account not in accounts or not operation.across_accounts:
        raise found
    if len(accounts) > 1:
        text = f"The tables of a request must be in one account, not in {' and '.join(accounts)}"
        raise ValidationException(text, bare=True)
    return stores.named(found.account, context.region.name)


async def _owner(stores: Stores, name: str, context: Context, access: Access) -> Region:
    """The region of another account. The caller cannot find out whether the account exists."""
    try:
        return await stores.find(name)
    except NoAccount:
        raise denied(context.caller, access, RESOURCE_BASED) from None
