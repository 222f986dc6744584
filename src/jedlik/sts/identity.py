"""GetCallerIdentity and GetAccessKeyInfo: who asks, and whose a key is.

Until there are users and roles, every access key is one of the account itself. So its caller is whom AWS calls the
account's root user, whose user id is the account's number.

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
    """The operations that tell identities, over the access keys of a server."""

    def __init__(self, account_of: KeyOwners) -> None:
        self._account_of = account_of

    async def get_caller_identity(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Who has signed the request."""
        caller = context.caller
        return {"UserId": caller.account, "Account": caller.account, "Arn": caller.principal}

    async def get_access_key_info(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """The account that an access key belongs to, whether it may still be used or not."""
        account = self._account_of(request["AccessKeyId"])
        if account is None:
            raise InvalidClientTokenId("The security token included in the request is invalid.")
        return {"Account": account}
