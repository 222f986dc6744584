"""AssumeRole, GetSessionToken and GetFederationToken: temporary keys with a session token.

Source: the API reference.
"""

from __future__ import annotations

import logging
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ServiceError
from jedlik.aws.sessions import Issued, Sessions
from jedlik.sts.errors import ValidationError

log = logging.getLogger(__name__)

_NEEDS_DEVICE = ("SerialNumber", "TokenCode")
_NEEDS_CONTEXT = ("ProvidedContexts",)
_NEEDS_ACCESS_TOKEN = ("ProviderId",)
"""It names an issuer of OAuth 2.0 access tokens, which only that issuer can check."""


class TemporaryKeys:
    """The operations that issue sessions."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def assume_role(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """A key with the permissions of a role."""
        _refuse(request, *_NEEDS_DEVICE, *_NEEDS_CONTEXT)
        issued = await self._sessions.assume_role(context.caller, request)
        _note("sts:AssumeRole", context, issued)
        principal = issued.principal
        return {
            "Credentials": _key(issued),
            "AssumedRoleUser": {"AssumedRoleId": principal.unique_id, "Arn": principal.arn},
            "PackedPolicySize": issued.packed,
            **_token(issued),
            "SourceIdentity": principal.source_identity or None,
        }

    async def assume_role_with_web_identity(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """A key with the permissions of a role, for whom an issuer vouches."""
        _refuse(request, *_NEEDS_ACCESS_TOKEN)
        try:
            found = await self._sessions.web_identity(context.caller, request)
        except ServiceError as error:
            fields = {"request_id": context.request_id, "role": request["RoleArn"], "error": error.name}
            log.warning("web identity refused", extra=fields | {"client": context.caller.source_address})
            raise
        issued = found.issued
        principal = issued.principal
        _note("sts:AssumeRoleWithWebIdentity", context, issued, f"{found.issuer}:{found.subject}")
        return {
            "Credentials": _key(issued),
            "SubjectFromWebIdentityToken": found.subject,
            "AssumedRoleUser": {"AssumedRoleId": principal.unique_id, "Arn": principal.arn},
            "PackedPolicySize": issued.packed,
            **_token(issued),
            "Provider": found.issuer,
            "Audience": found.audience,
            "SourceIdentity": principal.source_identity or None,
        }

    async def get_session_token(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """A temporary key of the caller."""
        _refuse(request, *_NEEDS_DEVICE)
        issued = await self._sessions.session_token(context.caller, request)
        _note("sts:GetSessionToken", context, issued)
        return {"Credentials": _key(issued), **_token(issued)}

    async def get_federation_token(self, context: Context, request: dict[str, Any]) -> dict[str, Any]:
        """A temporary key of somebody whom the caller vouches for."""
        issued = await self._sessions.federation_token(context.caller, request)
        _note("sts:GetFederationToken", context, issued)
        principal = issued.principal
        return {
            "Credentials": _key(issued),
            "FederatedUser": {"FederatedUserId": principal.unique_id, "Arn": principal.arn},
            "PackedPolicySize": issued.packed,
            **_token(issued),
        }


def _key(issued: Issued) -> dict[str, Any]:
    return {
        "AccessKeyId": issued.access_key,
        "SecretAccessKey": issued.secret,
        "SessionToken": issued.token,
        "Expiration": issued.expires,
    }


def _token(issued: Issued) -> dict[str, int]:
    """The size of the session token. PackedPolicySize is the older name of its share of the longest."""
    return {"SessionTokenUtilization": issued.packed, "SessionTokenSize": len(issued.token)}


def _refuse(request: dict[str, Any], *members: str) -> None:
    """Refuse what is not done here: nobody has a device, and nobody vouches for a context."""
    for member in members:
        if member in request:
            raise ValidationError(f"Jedlik does not support {member}")


def _note(action: str, context: Context, issued: Issued, caller: str | None = None) -> None:
    """Log a sign-in."""
    fields = {
        "request_id": context.request_id,
        "caller": caller or context.caller.principal,
        "access_key": context.caller.access_key,
        "action": action,
        "resource": issued.principal.arn,
        "issued": issued.access_key,
        "client": context.caller.source_address,
    }
    log.info("session issued", extra={name: value for name, value in fields.items() if value})
