"""A VPC endpoint as a process knows it: its settings, and the policy that is looked up for each request.

Reading the row takes about a microsecond. So a policy that is changed by one worker holds in all of them from the next
request on, and there is nothing to invalidate.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from jedlik.aws.context import PARTITION
from jedlik.aws.damage import DAMAGE, described
from jedlik.aws.private_ways import FULL_ACCESS
from jedlik.ec2 import endpoint_records
from jedlik.ec2.endpoint_records import EndpointRecord
from jedlik.regions.region import Region
from jedlik.storage.engine import StorageError
from jedlik.vpc_endpoints import VpcEndpoint

T = TypeVar("T")


class OpenStores(Protocol):
    """The stores of a process, as `regions.stores` has them."""

    def named(self, account: str, region: str) -> str:
        """The name of the store of a region of an account."""
        ...

    def opened(self, name: str) -> Region | None:
        """The region called `name`, if its store is open."""
        ...

    async def use(self, name: str, work: Callable[[Region], Awaitable[T]]) -> T:
        """The result of `work` with the region called `name`."""
        ...


class EndpointWay:
    """`aws.private_ways.PrivateWay` of one endpoint."""

    def __init__(self, settings: VpcEndpoint, authority: str, account: str, region: str, stores: OpenStores) -> None:
        """`authority` is the address and port on which it listens."""
        self.id, self.vpc, self.account, self.region = settings.id, settings.vpc, account, region
        self.authority = authority
        self.is_secure = settings.tls_cert is not None
        self.at_first = FULL_ACCESS if settings.policy is None else settings.policy
        """The document of its policy until another is set."""
        self.arn = arn_of(region, account, f"vpc-endpoint/{settings.id}")
        self.vpc_arn = arn_of(region, account, f"vpc/{settings.vpc}")
        self._stores = stores
        self._store = stores.named(account, region)
        self._keys = (endpoint_records.endpoint_row(settings.id),)
        self._raw: bytes | None = None
        self._document = self.at_first
        """The policy in the row as it was last read."""

    def document(self) -> str | None:
        """The document of its policy as it is now; None if its store is not open. Raises StorageError."""
        region = self._stores.opened(self._store)
        found = None if region is None else region.engine.get_now(self._keys)
        return None if found is None else self._of(found[0])

    async def learn(self) -> str:
        """The same, for which it waits."""
        return await self._stores.use(self._store, self._read)

    async def record(self, region: Region) -> EndpointRecord:
        """What was changed of it, as its region has it."""
        [raw] = await region.engine.get(self._keys)
        return endpoint_records.read(raw)

    async def _read(self, region: Region) -> str:
        [raw] = await region.engine.get(self._keys)
        return self._of(raw)

    def _of(self, raw: bytes | None) -> str:
        if raw != self._raw:
            try:
                policy = endpoint_records.read(raw).policy
            except DAMAGE as error:  # Nothing comes by it until that is repaired: the policy may have refused it.
                raise StorageError(f"the record of {self.id}: {described(error)}") from error
            self._raw, self._document = raw, self.at_first if policy is None else policy
        return self._document


def arn_of(region: str, account: str, resource: str) -> str:
    """The ARN of a resource of EC2."""
    return f"arn:{PARTITION}:ec2:{region}:{account}:{resource}"
