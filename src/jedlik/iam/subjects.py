"""Whose policies hold for a principal: the user's, those of its groups, or the role's; the boundary; the session's."""

from __future__ import annotations

from collections.abc import Iterator

from jedlik.aws.context import root
from jedlik.aws.policies.evaluation import Asking, Identity
from jedlik.aws.policies.policy_documents import Policy
from jedlik.aws.principals import FEDERATED_USER, ROLE_SESSION, Principal
from jedlik.iam import entities
from jedlik.iam.attachments import document_of, policy_row
from jedlik.iam.identity_rows import ROLE, USER, Row
from jedlik.iam.identity_stores import ADMINISTRATOR, AccountIdentity
from jedlik.iam.password_rules import rules_of
from jedlik.iam.policy_checks import stored_policy

CHANGE_PASSWORD = "arn:aws:iam::aws:policy/IAMUserChangePassword"
"""What all users are allowed whose account lets them change their passwords."""
_ASKING = {ROLE_SESSION: Asking.ROLE_SESSION, FEDERATED_USER: Asking.FEDERATED_USER}


def identity_of(account: AccountIdentity, principal: Principal) -> Identity | None:
    """A principal with its policies; None if its user or role is no longer there."""
    if not principal.subject:
        return _of_nobody(account, principal)
    row = entities.by_id(account, principal.subject)
    if row is None:
        return None
    kind = ROLE if "RoleId" in row else USER
    policies = [*_own(account, row)]
    for group_id in row.get("Groups", ()):
        group = entities.by_id(account, group_id)
        if group is not None:
            policies += _own(account, group)
    if kind is USER and rules_of(account).may_be_changed:
        changing = managed(account, CHANGE_PASSWORD)
        policies += () if changing is None else (changing,)
    boundary = row.get("Boundary")
    is_role = kind is ROLE
    return Identity(
        account=account.account,
        arn=principal.arn,
        kind=_ASKING.get(principal.kind, Asking.USER),
        unique_id=principal.unique_id,
        role_arn=kind.arn(account.account, row) if is_role else None,
        role_id=principal.subject if is_role else None,
        policies=tuple(policies),
        boundary=None if boundary is None else managed(account, boundary),
        session=_session(account, principal),
        values=values_of(account.account, principal, row),
    )


def _of_nobody(account: AccountIdentity, principal: Principal) -> Identity:
    """A session of the account itself, or the user of keys that were made before there were users."""
    return Identity(
        account=account.account,
        arn=principal.arn,
        kind=_ASKING.get(principal.kind, Asking.USER),
        unique_id=principal.unique_id,
        policies=(_administrator(account),),
        session=_session(account, principal),
        values=values_of(account.account, principal, {}),
    )


def _administrator(account: AccountIdentity) -> Policy:
    found = managed(account, ADMINISTRATOR)
    assert found is not None
    return found


def _own(account: AccountIdentity, row: Row) -> Iterator[Policy]:
    """The policies of a user, group or role, inline and attached."""
    for document in row.get("Inline", {}).values():
        yield stored_policy(document)
    for arn in row.get("Attached", ()):
        policy = managed(account, arn)
        if policy is not None:
            yield policy


def managed(account: AccountIdentity, arn: str) -> Policy | None:
    """A managed policy, parsed."""
    row = policy_row(account, arn)
    return None if row is None else stored_policy(document_of(row))


def _session(account: AccountIdentity, principal: Principal) -> tuple[Policy, ...] | None:
    if principal.policies is None and not principal.policy_arns:
        return () if principal.kind == FEDERATED_USER else None
    attached = (managed(account, arn) for arn in principal.policy_arns)
    inline = tuple(stored_policy(document) for document in principal.policies or ())
    return (*inline, *(policy for policy in attached if policy is not None))


def values_of_root(account: str) -> dict[str, tuple[str, ...]]:
    """The condition keys that are known of an account itself."""
    return {
        "aws:principalarn": (root(account),),
        "aws:principalaccount": (account,),
        "aws:principaltype": ("Account",),
        "aws:principalisawsservice": ("false",),
        "aws:viaawsservice": ("false",),
        "aws:userid": (account,),
    }


def values_of(account: str, principal: Principal, row: Row) -> dict[str, tuple[str, ...]]:
    """The condition keys that are known of a principal ("AWS global condition context keys" in the user guide)."""
    role_arn = ROLE.arn(account, row) if "RoleId" in row else None
    found = {
        "aws:principalarn": (role_arn or principal.arn,),
        "aws:principalaccount": (account,),
        "aws:principaltype": (principal.kind,),
        "aws:principalisawsservice": ("false",),
        "aws:viaawsservice": ("false",),
        "aws:userid": (principal.unique_id,),
    }
    if "UserName" in row and principal.kind == "User":
        found["aws:username"] = (row["UserName"],)
    if principal.issued is not None:
        found["aws:tokenissuetime"] = (entities.iso(principal.issued),)
        found["aws:multifactorauthpresent"] = ("false",)
    if principal.provider:
        found["aws:federatedprovider"] = (principal.provider,)
    if principal.source_identity:
        found["aws:sourceidentity"] = (principal.source_identity,)
    tags = {tag["Key"]: tag["Value"] for tag in row.get("Tags", ())} | dict(principal.tags)
    return found | {f"aws:principaltag/{key.lower()}": (value,) for key, value in tags.items()}
