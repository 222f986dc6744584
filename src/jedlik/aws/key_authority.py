"""Whether a caller may use or manage a KMS key. `process` provides the one that decides: here is the seam.

A key policy is the root of authority over its key: what an identity's own policies allow counts only where the key
policy lets the account decide. So these accesses are not decided as those of other resources are (`aws.authorizer`),
and the account itself is refused, too, where the key policy does not name it. Grants allow besides.

Source: "Key policies in AWS KMS" and "Grants in AWS KMS" in the developer guide.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from jedlik.aws.access import Access
from jedlik.aws.context import Caller

IsGranted = Callable[[frozenset[str]], Awaitable[bool]]
"""Whether a grant allows an access, to a principal that has these names: ARNs of a user, of a session, of its role."""


class KeyAuthorizer(Protocol):
    """Who decides."""

    async def check_key(self, caller: Caller, access: Access, is_granted: IsGranted) -> None:
        """Raise AccessDeniedException unless a key policy, which is the access's, the policies of the caller or a grant
        allow an access to a key. `is_granted` is asked only if nothing else allows it, and nothing denies it."""
        ...

    def names(self, caller: Caller) -> frozenset[str]:
        """The names of a caller in grants: ARNs and unique ids."""
        ...

    def is_principal(self, name: str) -> bool:
        """Whether a key policy or a grant may name a principal like this: its account is another server's, or it is
        there."""
        ...

    def unique_id(self, name: str) -> str | None:
        """The unique id of the user or role that an ARN names, or of the role of a session; None for other principals,
        whose names are never given again."""
        ...

    def locks_out(self, caller: Caller, access: Access) -> bool:
        """Whether a key policy, which is the access's, keeps a caller of its account from an access."""
        ...


class Via(NamedTuple):
    """That a service of this server asks for something in the name of its caller."""

    service: str
    """As kms:ViaService has it: `dynamodb.us-east-1.amazonaws.com`."""


class EveryoneWithKeys:
    """The authorizer if signatures are not verified: everything is allowed."""

    async def check_key(self, caller: Caller, access: Access, is_granted: IsGranted) -> None:
        """It is."""

    def names(self, caller: Caller) -> frozenset[str]:
        """The caller's ARN."""
        return frozenset((caller.principal,))

    def is_principal(self, name: str) -> bool:
        """True: nobody is looked for."""
        return True

    def unique_id(self, name: str) -> str | None:
        """None: nobody is looked for."""
        return None

    def locks_out(self, caller: Caller, access: Access) -> bool:
        """False."""
        return False
