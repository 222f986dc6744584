"""KMS keys as a service of this server uses them for what it keeps: the seam between DynamoDB and KMS.

A customer names a key once, when something is to be sealed with it (`adopt`): the customer must be allowed to use it,
and a grant for the service is made in the customer's name. From then on the service uses the key by that grant, in
workers and in the background, with no caller: so a key that is disabled, deleted, or whose grant is revoked can no
longer be used. `process` provides the implementation, for the whole process.

Source: "DynamoDB encryption at rest usage notes" and "How DynamoDB uses AWS KMS" in the developer guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from jedlik.aws.context import Context
from jedlik.regions.region import Region


class Adopted(NamedTuple):
    """What is to be stored of a key that a service uses. Nothing of it is secret."""

    key_arn: str
    grant: str
    """The id of the grant by which the service uses it."""
    sealed: bytes
    """A data key, sealed by the key: only KMS opens it."""
    elsewhere: bool = False
    """Whether the key is in another KMS than this server's."""


class KeyUnusable(Exception):
    """A key cannot be used: it is disabled, pending deletion, pending import, deleted, or its grant is gone. The text
    is KMS's; it stays so until somebody changes the key or the grant."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        """The name of KMS's exception: `DisabledException`..."""
        self.message = message


class KeyAway(Exception):
    """KMS could not be asked, or had a fault: the key may be all right. Try again."""


class TableKeys(Protocol):
    """Keys for the tables of a server. `pairs` are the encryption context, which is the same each time; the grant is
    for this context alone."""

    async def adopt(self, context: Context, key: str | None, pairs: Mapping[str, str]) -> tuple[Adopted, bytes]:
        """Begin to use a key, which the caller names by id, ARN or alias, or AWS's own for the service if None: what is
        to be stored, and the new data key (32 bytes) itself.

        Raises KMS's refusal, which is a ServiceError: the key is not there, not enabled, or not the caller's to use.
        """
        ...

    async def open(self, region: Region, adopted: Adopted, pairs: Mapping[str, str]) -> bytes:
        """The data key of something in a region. Raises KeyUnusable, KeyAway."""
        ...

    async def check(self, region: Region, adopted: Adopted, pairs: Mapping[str, str]) -> None:
        """Whether `open` would do, at the cost of a few reads. Raises KeyUnusable, KeyAway."""
        ...

    async def drop(self, region: Region, adopted: Adopted) -> None:
        """Use a key no more: its grant is retired, if it is still there. Raises KeyAway."""
        ...

    async def changes(self, region: Region, adopted: Adopted) -> int:
        """A number that moves with every change of keys and grants where the key is: as long as it stands still,
        another `check` would find the same, but for dates that pass. Cheap. Raises KeyAway."""
        ...

    async def close(self) -> None:
        """Close its connections, if it has any."""
        ...


_provided: TableKeys | None = None


def provide(keys: TableKeys) -> None:
    """Use these in this process. Called once, when it begins."""
    global _provided
    _provided = keys


def current() -> TableKeys:
    """The keys of this process's tables. Raises KeyAway in a process that has no KMS."""
    if _provided is None:
        raise KeyAway("this process has no KMS")
    return _provided


async def close() -> None:
    """Close the connections of what was provided."""
    if _provided is not None:
        await _provided.close()
