"""AWS Security Token Service: the caller, and the account of a key. Roles and sessions come with IAM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jedlik.aws.access import Access, Known, Scope, needs_nothing
from jedlik.aws.protocols.codecs import QueryCodec
from jedlik.aws.service import Operation, Service
from jedlik.sts.identity import Identity, KeyOwners

NAME, VERSION = "sts", "2011-06-15"


def declared(account_of: KeyOwners) -> Service:
    """The service over the access keys of a server."""
    identity = Identity(account_of)
    operations = (
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
