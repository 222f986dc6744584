"""Access to a cluster, where signatures are verified: what a caller may do with it, and as whom it does that.

A caller needs `dax:GetItem` and the like on the cluster. The tables are read and written by the cluster, as a session
of its role: the caller's own permissions on tables play no part.

Source: "DAX access control" in the developer guide.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jedlik.aws.access import Access, account_of
from jedlik.aws.authorizer import Authorizer, denied
from jedlik.aws.context import PARTITION, Caller
from jedlik.aws.errors import AccessDeniedException
from jedlik.dax.cluster_roles import ClusterRoles

SESSION_SECONDS = 60.0
"""How long the cluster is the same session of its role. Then it is looked again whether there is one."""
PUT, DELETE, UPDATE, CHECK = 2, 7, 9, 12
"""The writes of a transaction, as the protocol numbers them."""
OF_WRITES = {PUT: "PutItem", DELETE: "DeleteItem", UPDATE: "UpdateItem", CHECK: "ConditionCheckItem"}
_NONE: Mapping[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True)
class Permissions:
    """What one caller may do with the cluster in one region."""

    authorizer: Authorizer
    caller: Caller
    arn: str
    """The cluster's."""
    get_item: tuple[Access, ...]

    def allow_get_item(self) -> bool:
        """Whether it may read an item. Asked for each hit."""
        if self.authorizer.allows_everything(self.caller):
            return self.caller.account == account_of(self.arn)
        return self.caller.account == account_of(self.arn) and self.authorizer.allows(self.caller, self.get_item)

    async def check(self, operation: str | None, arguments: Sequence[Any]) -> None:
        """Raise AccessDeniedException unless it may do this, by the name of DynamoDB's operation; None for what every
        caller of the account may do."""
        accesses = () if operation is None else needed(operation, arguments, self.arn)
        if not self.authorizer.allows_everything(self.caller):
            await self.authorizer.check(self.caller, accesses)
        if self.caller.account != account_of(self.arn):  # A cluster has no policy that could let it in.
            raise denied(self.caller, (accesses or self.get_item)[0], "resource-based")


def needed(operation: str, arguments: Sequence[Any], arn: str) -> tuple[Access, ...]:
    """What an operation needs. That of a transaction depends on its writes."""
    if operation == "TransactGetItems":
        return (Access("dax:GetItem", arn, {"dax:EnclosingOperation": (operation,)}),)
    if operation != "TransactWriteItems":
        return (Access(f"dax:{operation}", arn, _NONE),)
    writes = arguments[0] if type(arguments[0]) is list else ()
    names = dict.fromkeys(OF_WRITES[one] for one in writes if type(one) is int and one in OF_WRITES)
    return tuple(Access(f"dax:{name}", arn, {"dax:EnclosingOperation": (operation,)}) for name in names)


class ClusterAccess:
    """What a node knows of its cluster's role, and of what policies allow."""

    def __init__(
        self,
        authorizer: Authorizer,
        roles: ClusterRoles,
        cluster: str,
        role: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._authorizer = authorizer
        self._roles = roles
        self._cluster = cluster
        self._role = role
        self._clock = clock
        self.account = account_of(role)
        """The cluster's account: the role's."""
        self._sessions: dict[str, tuple[float, Caller | None]] = {}

    def arn(self, region: str) -> str:
        """The ARN of the cluster, as it stands in a region."""
        return f"arn:{PARTITION}:dax:{region}:{self.account}:cache/{self._cluster}"

    def permissions(self, caller: Caller) -> Permissions:
        """What a caller may do, in the region that it asks."""
        arn = self.arn(caller.region)
        return Permissions(self._authorizer, caller, arn, needed("GetItem", (), arn))

    def session(self, region: str) -> Caller:
        """The cluster itself, as it reads and writes tables. Raises AccessDeniedException if it has no role."""
        now = self._clock()
        until, session = self._sessions.get(region, (0.0, None))
        if session is None or until <= now:
            session = self._roles.caller(self._role, self.arn(region), region)
            self._sessions[region] = now + SESSION_SECONDS, session
        if session is None:
            raise AccessDeniedException(f"Cluster {self._cluster} cannot assume its role: {self._role}")
        return session
