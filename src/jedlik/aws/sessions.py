"""Sessions, as STS issues them: the seam to the service that has roles and policies (`iam.issuing`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from jedlik.aws.context import Caller
from jedlik.aws.principals import Principal


class Issued(NamedTuple):
    """A session, with the temporary key that is given out for it."""

    principal: Principal
    access_key: str
    secret: str
    token: str
    expires: float
    """In seconds since the epoch."""
    packed: int
    """Per cent of the longest session token that this one takes."""


class WebIssued(NamedTuple):
    """A session for a web identity token."""

    issued: Issued
    subject: str
    audience: str
    issuer: str
    """The issuer's URL."""


class Sessions(Protocol):
    """Who issues sessions. Requests are those of STS's operations, whose shapes have been checked."""

    async def assume_role(self, caller: Caller, request: Mapping[str, Any]) -> Issued:
        """A session of a role. Raises what refuses it."""
        ...

    async def web_identity(self, caller: Caller, request: Mapping[str, Any]) -> WebIssued:
        """A session of a role, for whom a web identity token is of. Raises what refuses it."""
        ...

    async def session_token(self, caller: Caller, request: Mapping[str, Any]) -> Issued:
        """A session of the caller itself. Raises what refuses it."""
        ...

    async def federation_token(self, caller: Caller, request: Mapping[str, Any]) -> Issued:
        """A session of somebody whom the caller vouches for. Raises what refuses it."""
        ...
