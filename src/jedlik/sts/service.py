"""AWS Security Token Service: the caller, the account of a key, and sessions of roles and users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jedlik.aws.access import Access, Known, Scope, needs_nothing
from jedlik.aws.protocols.codecs import QueryCodec
from jedlik.aws.service import Operation, Service
from jedlik.aws.sessions import Sessions
from jedlik.sts.identity import Identity, KeyOwners
from jedlik.sts.temporary_keys import TemporaryKeys

NAME, VERSION = "sts", "2011-06-15"


def declared(account_of: KeyOwners, sessions: Sessions) -> Service:
    """The service over the access keys of a server, and who issues sessions."""
    identity, keys = Identity(account_of), TemporaryKeys(sessions)
    operations = (
        # Who may assume a role is for its trust policy to decide, and who may have a session token for nobody.
        Operation(name="AssumeRole", handler=keys.assume_role, accesses=needs_nothing),
        Operation(
            name="AssumeRoleWithWebIdentity",
            handler=keys.assume_role_with_web_identity,
            accesses=needs_nothing,
            unsigned=True,
        ),
        Operation(name="GetFederationToken", handler=keys.get_federation_token, accesses=_federation),
        Operation(name="GetSessionToken", handler=keys.get_session_token, accesses=needs_nothing),
        Operation(name="GetAccessKeyInfo", handler=identity.get_access_key_info, accesses=_key_info),
        Operation(name="GetCallerIdentity", handler=identity.get_caller_identity, accesses=needs_nothing),
    )
    return Service(
        name=NAME,
        signing_name="sts",
        api_version=VERSION,
        codec=QueryCodec(NAME, VERSION),
        target_prefix=None,
        operations={operation.name: operation for operation in operations},
        is_global=True,
    )


def _key_info(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
    """The accesses that GetAccessKeyInfo needs. GetCallerIdentity cannot be denied to any caller."""
    return (Access("sts:GetAccessKeyInfo", "*", {}),)


def _federation(scope: Scope, request: Mapping[str, Any], known: Known) -> tuple[Access, ...]:
    """What GetFederationToken needs."""
    arn = f"arn:{scope.partition}:sts::{scope.account}:federated-user/{request['Name']}"
    return (Access("sts:GetFederationToken", arn, {}),)
