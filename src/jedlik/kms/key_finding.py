"""A key of a request: found where it is, and permitted to the caller.

A key is read from the store for each request, so a key that is disabled is refused by every worker from the next
request on. A key of another account is looked for in that account's store, in the same region.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from jedlik.aws.access import Access
from jedlik.aws.authorizer import denied
from jedlik.aws.context import Caller, Context
from jedlik.aws.key_authority import KeyAuthorizer, Via
from jedlik.aws.service import Handler
from jedlik.kms import aws_managed_keys, grant_records, key_names, key_permissions, key_rows
from jedlik.kms.alias_records import unpacked_alias
from jedlik.kms.errors import NotFoundException
from jedlik.kms.key_names import Named
from jedlik.kms.key_permissions import Values
from jedlik.kms.key_records import KmsKey, arn, put, unpacked
from jedlik.kms.replica_keys import KeyStores, refreshed
from jedlik.regions.region import NoAccount, Region
from jedlik.storage.engine import Writes

T = TypeVar("T")
Request = dict[str, Any]
RESOURCE_BASED = "resource-based"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for something to be done with keys, and where."""

    caller: Caller
    region: Region
    via: Via | None = None
    """The service that asks in the caller's name, if one does."""


@dataclass(frozen=True, slots=True)
class KeyAt:
    """A key that was found and permitted, and where it is."""

    asker: Asker
    region: Region
    key: KmsKey

    @property
    def arn(self) -> str:
        """The key's ARN."""
        return arn(self.region.name, self.region.account, self.key.id)

    @property
    def now(self) -> float:
        """The time, in seconds since the epoch."""
        return self.region.clock()


Does = Callable[[KeyAt, Request], Awaitable[Request | None]]
"""Does an operation on a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How an operation's requests name the key that it is on."""

    by_alias: bool = False
    """Whether an alias will do."""
    across_accounts: bool = False
    """Whether it may be a key of another account."""


class KeyFinder:
    """Finds keys, and asks for permissions."""

    def __init__(self, stores: KeyStores, authorizer: KeyAuthorizer) -> None:
        self.stores = stores
        self.authorizer = authorizer

    def on_key(self, name: str, does: Does, way: Way) -> Handler:
        """The handler of an operation on the key that KeyId names."""

        async def handle(context: Context, request: Request) -> Request | None:
            asker = Asker(context.caller, context.region)
            given = key_permissions.OF_REQUEST.get(name, _nothing)(request)

            async def work(at: KeyAt) -> Request | None:
                return await does(at, request)

            context.accesses = (Access(f"kms:{name}", request["KeyId"], given),)
            return await self.with_key(asker, request["KeyId"], name, given, work, way, request.get("GrantTokens", ()))

        return handle

    async def with_key(
        self,
        asker: Asker,
        key_id: str,
        operation: str,
        given: Values,
        work: Callable[[KeyAt], Awaitable[T]],
        way: Way,
        tokens: Sequence[str] = (),
    ) -> T:
        """The result of work with a key that a request names. Raises what refuses it."""
        region = asker.region
        named = key_names.parsed(key_id, region.account, region.name, may_be_alias=way.by_alias)
        return await self.with_named(asker, named, operation, given, work, way, tokens)

    async def with_named(
        self,
        asker: Asker,
        named: Named,
        operation: str,
        given: Values,
        work: Callable[[KeyAt], Awaitable[T]],
        way: Way,
        tokens: Sequence[str] = (),
    ) -> T:
        """The same."""

        async def on(region: Region) -> T:
            key = await self.permitted(asker, region, named, operation, given, tokens)
            return await work(KeyAt(asker, region, key))

        if named.account == asker.region.account:
            return await on(asker.region)
        if not way.across_accounts:
            raise denied(asker.caller, Access(f"kms:{operation}", named.arn, given), RESOURCE_BASED)
        return await self.elsewhere(asker, named, operation, on)

    async def elsewhere(self, asker: Asker, named: Named, operation: str, work: Callable[[Region], Awaitable[T]]) -> T:
        """The result of work in the region of another account."""
        try:
            return await self.stores.use(self.stores.named(named.account, named.region), work)
        except NoAccount:
            raise denied(asker.caller, Access(f"kms:{operation}", named.arn, {}), RESOURCE_BASED) from None

    async def arn_of(self, asker: Asker, named: Named) -> str | None:
        """The ARN of the key that is named; None without such a key. Nobody needs a permission for that, so no
        caller may see it."""

        async def look(region: Region) -> str | None:
            key = await found(region, named)
            return None if key is None else arn(region.name, region.account, key.id)

        if named.account == asker.region.account:
            return await look(asker.region)
        try:
            return await self.stores.use(self.stores.named(named.account, named.region), look)
        except NoAccount:
            return None

    async def permitted(
        self, asker: Asker, region: Region, named: Named, operation: str, given: Values, tokens: Sequence[str] = ()
    ) -> KmsKey:
        """The key that is named, if the caller may do this to it. A key of AWS's is made when it is first named by
        somebody of its account. Raises NotFoundException, AccessDeniedException."""
        key = await found(region, named)
        if key is not None and key.regions is not None:
            key = await refreshed(self.stores, region, key, operation)
        if tokens:
            grant_records.check_tokens(region, tokens)
        place = Named(named.account, named.region, named.name if key is None else key.id)
        values = key_permissions.values(key, named, asker.caller.account, asker.via, given)
        access = Access(f"kms:{operation}", place.arn, values, None if key is None else key.decisive)
        if key is None and named.name in aws_managed_keys.ALIASES and region.account == asker.region.account:
            policy = aws_managed_keys.policy_of(region.account, named.name)
            await self.authorizer.check_key(asker.caller, access._replace(policy=policy), _nobody)
            return await aws_managed_keys.made(region, named.name)
        if key is None:
            await self.authorizer.check_key(asker.caller, access, _nobody)
            kind = f"Alias {named.arn} is not found." if named.is_alias else f"Key '{named.arn}' does not exist"
            raise NotFoundException(kind)
        if not key_permissions.is_for_customers(key, operation):
            raise denied(asker.caller, access, RESOURCE_BASED)
        is_granted = partial(grant_records.is_granted, region, key.id, operation, values)
        await self.authorizer.check_key(asker.caller, access, is_granted)
        return key


def _nothing(request: Request) -> Values:
    return {}


async def _nobody(names: frozenset[str]) -> bool:
    return False


async def found(region: Region, named: Named) -> KmsKey | None:
    """The key that is named in a region, if it exists."""
    key_id = named.name
    if named.is_alias:
        [value] = await region.engine.get([key_rows.alias_row(named.name)])
        if value is None:
            return None
        key_id = unpacked_alias(value).key_id
    [stored] = await region.engine.get([key_rows.key_row(key_id)])
    return there(stored)


def there(stored: bytes | None) -> KmsKey | None:
    """The key in a row, unless it has been deleted."""
    key = None if stored is None else unpacked(stored)
    return None if key is None or (key.deletion is not None and key.deletion.has_begun) else key


async def change(at: KeyAt, changed: Callable[[KmsKey], KmsKey]) -> KmsKey:
    """Change a key, in one step, and return what it is then. `changed` is pure, may run more than once, and raises what
    refuses the change."""
    row = key_rows.key_row(at.key.id)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, KmsKey]:
        before = there(values[0])
        if before is None:
            raise NotFoundException(f"Key '{at.arn}' does not exist")
        writes = Writes()
        after = changed(before)
        if after != before:
            put(before, after, writes)
        return writes, after

    return await at.region.engine.mutate([row], decide)
