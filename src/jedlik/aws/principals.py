"""Principals: who an access key belongs to, if not to the account itself."""

from __future__ import annotations

from typing import NamedTuple

USER, ROLE_SESSION, FEDERATED_USER = "User", "AssumedRole", "FederatedUser"
"""The kinds of principals, as `aws:PrincipalType` calls them."""


class Principal(NamedTuple):
    """A user, or a session of a role or of a user. Equal principals may do the same."""

    kind: str
    arn: str
    unique_id: str
    """As `aws:userid` has it: of a session, that of the role with the session's name."""
    subject: str
    """The unique id of the user or role whose policies hold. If it is deleted, the principal may do nothing; one of the
    same name that is made later is another. Empty for the account itself, which may do everything."""
    policies: tuple[str, ...] | None = None
    """Documents of session policies; None if the session is not limited by any."""
    policy_arns: tuple[str, ...] = ()
    """Managed policies that limit the session, too."""
    tags: tuple[tuple[str, str], ...] = ()
    """The session's own."""
    transitive: tuple[str, ...] = ()
    """Keys of tags, in small letters, that go on to the sessions of further roles."""
    issued: float | None = None
    """When the session began, in seconds since the epoch; None for a user's own key."""
    source_identity: str = ""
    provider: str = ""
    """The ARN of the OpenID Connect provider whose token began the session; empty if none did."""


ANYBODY = Principal("Anonymous", "anonymous", "anonymous", "anonymous")
"""Who has signed nothing: it may do nothing."""
