"""Sign-ins with a password, as the console takes them: the seam to the service that knows users (`iam.signing_in`)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from jedlik.aws.sessions import Issued


class Attempt(NamedTuple):
    """Somebody wants to sign in."""

    account: str
    """An id or an alias, as it was typed; empty for the server's own account."""
    user: str
    password: str
    new_password: str | None
    """The password that is to replace it, where it must be changed."""
    address: str
    request_id: str
    tls_subject: str | None
    """Whom the certificate of the browser names; None if it has shown none."""


class SignedIn(NamedTuple):
    """Who has signed in, and the temporary key for it."""

    account: str
    user: str
    issued: Issued


class SignInRefused(Exception):
    """Somebody may not sign in, or not yet."""

    def __init__(self, status: int, code: str, message: str, *, seconds: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.seconds = seconds
        """After which it may be tried again, where that is the reason."""


class SignIns(Protocol):
    """Who lets users in."""

    async def sign_in(self, attempt: Attempt) -> SignedIn:
        """Let a user in. Raises SignInRefused, ServiceError and StorageError."""
        ...
