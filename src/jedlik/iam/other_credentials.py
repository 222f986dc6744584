"""Listings of what nobody has here: devices, SSH keys, certificates, credentials of other services, SAML providers.

They are made by operations that are refused by name, so these listings are empty. Tools look there
before they delete a user, as Terraform does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from jedlik.aws.context import Context
from jedlik.iam import entities
from jedlik.iam.entities import Request
from jedlik.iam.identity_rows import USER
from jedlik.iam.identity_stores import AccountIdentity
from jedlik.iam.listings import after

Does = Callable[[AccountIdentity, Context, Request], Awaitable[dict[str, Any]]]

_MEMBERS = {
    "ListMFADevices": "MFADevices",
    "ListSSHPublicKeys": "SSHPublicKeys",
    "ListServerCertificates": "ServerCertificateMetadataList",
    "ListServiceSpecificCredentials": "ServiceSpecificCredentials",
    "ListSigningCertificates": "Certificates",
    "ListVirtualMFADevices": "VirtualMFADevices",
}
"""The member of each listing that holds its elements; all have pages."""


def _nothing(member: str) -> Does:
    async def list_nothing(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
        if "UserName" in request:
            entities.loaded(identity, USER, request["UserName"])
        after(request)
        return {member: [], "IsTruncated": False}

    return list_nothing


async def _list_saml_providers(identity: AccountIdentity, context: Context, request: Request) -> dict[str, Any]:
    return {"SAMLProviderList": []}


OPERATIONS: dict[str, Does] = {name: _nothing(member) for name, member in _MEMBERS.items()} | {
    "ListSAMLProviders": _list_saml_providers
}
