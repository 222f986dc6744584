"""Operations of KMS on a region in the test's own process, without a server around them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from jedlik.aws.context import Context, own
from jedlik.kms import service
from jedlik.regions.region import Region

T = TypeVar("T")


class OneRegion:
    """The stores of a process that has one region: there is no other account."""

    def named(self, account: str, region: str) -> str:
        return f"{account}/{region}"

    async def use(self, name: str, work: Callable[[Region], Awaitable[T]]) -> T:
        raise NotImplementedError(name)


SERVICE = service.declared(OneRegion())


async def call(region: Region, operation: str, **request: Any) -> Any:
    """The result of an operation, as its handler returns it."""
    return await SERVICE.operations[operation].handler(Context(region, "test", own(region)), request)
