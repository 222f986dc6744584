"""Roles that a service of this server assumes in its own name, as AWS's services do: DAX to read and write tables.

A role's trust policy must name the service. The role must be of the account that the service works for.

Source: "IAM JSON policy elements: Principal" and "The confused deputy problem" in the IAM user guide.
"""

from __future__ import annotations

from jedlik.aws.access import Scope, account_of
from jedlik.aws.context import PARTITION, Caller
from jedlik.aws.policies.evaluation import Asking, Identity, finish, prepare
from jedlik.aws.principals import ROLE_SESSION, Principal
from jedlik.iam.identity_rows import ROLE, Row
from jedlik.iam.identity_stores import AccountIdentity, IdentityStores
from jedlik.iam.issuing import trust_policy


class ServiceRoles:
    """The roles that one service may assume."""

    def __init__(self, stores: IdentityStores, service: str) -> None:
        """`service` is its principal: `dax.amazonaws.com`."""
        self._stores = stores
        self._service = service

    def is_trusting(self, role: str, source: str) -> bool:
        """Whether there is a role with this ARN that the service may assume for a resource of the role's account."""
        return self._found(role, source) is not None

    def caller(self, role: str, source: str, region: str) -> Caller | None:
        """A session of a role, for a resource after which it is named; None if there is no role that trusts the
        service."""
        found = self._found(role, source)
        if found is None:
            return None
        row, identity = found
        name = source.rpartition("/")[2]
        principal = Principal(
            ROLE_SESSION,
            f"arn:{PARTITION}:sts::{identity.account}:assumed-role/{row['RoleName']}/{name}",
            f"{row['RoleId']}:{name}",
            row["RoleId"],
            issued=identity.now,
        )
        scope = Scope(PARTITION, identity.account, region)
        return Caller(identity.account, principal.arn, who=principal, region=region, scope=scope)

    def _found(self, role: str, source: str) -> tuple[Row, AccountIdentity] | None:
        account = account_of(source)
        kind, _, path = role.split(":", 5)[-1].partition("/")
        if account_of(role) != account or kind != "role":
            return None
        identity = self._stores.of(account)
        row = identity.row(ROLE.key(path.rpartition("/")[2]))
        if row is None or ROLE.arn(account, row) != role:
            return None
        trust = trust_policy(row["AssumeRolePolicyDocument"], tuple(sorted(row["Trusted"].items())))
        asking = Identity("", self._service, Asking.SERVICE, service=self._service)
        values = {
            "aws:sourceaccount": (account,),
            "aws:sourcearn": (source,),
            "aws:principalisawsservice": ("true",),
            "aws:principalservicename": (self._service,),
        }
        decision = finish(prepare(asking, "sts:AssumeRole", role, trust, owner=""), values)
        return (row, identity) if decision.allowed else None
