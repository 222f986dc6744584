"""GetCallerIdentity and GetAccessKeyInfo: the caller, and the account of a key.

A caller that is no user and no session is the account itself: by a key of the account's own, or where no signature is
verified. AWS calls that the root user of the account, whose user id is the account's number.

Sources: the API reference; "Where you can use policy variables" in the IAM User Guide, for user ids.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jedlik.aws.context import Context
from jedlik.sts.errors import InvalidClientTokenId

KeyOwners = Callable[[str], str | None]
"""The account that has an access key; None if there is no such key."""


class Identity:
    """The operations about identities, over the access keys of a server."""

    def __init__(self, account_of: KeyOwners) -> None:
        self._account_of = account_of

    async def get_caller_identity(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Who has signed the request."""
        caller = context.caller
        user_id = caller.account if caller.who is None else caller.who.unique_id
        return {"UserId": user_id, "Account": caller.account, "Arn": caller.principal}

    async def get_access_key_info(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """The account of an access key, whether or not the key may still be used."""
        account = self._account_of(request["AccessKeyId"])
        if account is None:
            raise InvalidClientTokenId("The security token included in the request is invalid.")
        return {"Account": account}
