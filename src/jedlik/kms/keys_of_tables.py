"""Keys as DynamoDB uses them: `aws.table_keys.TableKeys`.

DynamoDB is a principal of grants, `dynamodb.REGION.amazonaws.com`, and has no policy of its own: it may do what a grant
allows, and nothing else. A grant that was revoked can be replaced by one that the key's owner makes for the service
(GranteeServicePrincipal), whose SourceArn is the table.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from jedlik.aws.context import Context, own
from jedlik.aws.errors import ServiceError
from jedlik.aws.key_authority import Via
from jedlik.aws.table_keys import Adopted, KeyAway, KeyUnusable
from jedlik.kms import cipher_operations, grant_records, key_names, key_permissions, key_rows
from jedlik.kms.cipher_operations import ANY
from jedlik.kms.errors import KMSInternalException, NotFoundException
from jedlik.kms.grant_operations import GrantOperations
from jedlik.kms.grant_records import SUBSET
from jedlik.kms.key_finding import Asker, KeyAt, KeyFinder, Request, found
from jedlik.kms.key_names import Named
from jedlik.kms.key_records import check_enabled
from jedlik.kms.replica_keys import refreshed
from jedlik.regions.region import NoAccount, NotServed, Region, TooManyOpen
from jedlik.storage.counters import counter
from jedlik.storage.engine import StorageError

T = TypeVar("T")
AWS_KEY = "alias/aws/dynamodb"
DATA_KEY_BYTES = 32
_OPERATIONS = (
    *("Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"),
    *("DescribeKey", "RetireGrant"),
)
_GONE = "The grant by which DynamoDB used the key is gone."


class KeysOfTables:
    """The keys of a process's tables."""

    def __init__(self, finder: KeyFinder) -> None:
        self._finder = finder
        self._grants = GrantOperations(finder)

    async def adopt(self, context: Context, key: str | None, pairs: Mapping[str, str]) -> tuple[Adopted, bytes]:
        """Begin to use a key, in the name of a caller."""
        service = _service(context.region)
        asker = Asker(context.caller, context.region, Via(service))
        name = AWS_KEY if key is None else key
        wanted: Request = {
            "KeyId": name,
            "GranteePrincipal": service,
            "RetiringPrincipal": service,
            "Operations": list(_OPERATIONS),
            "Constraints": {SUBSET: dict(pairs)},
        }

        async def describe(at: KeyAt) -> None:
            check_enabled(at.key, at.arn, at.now)

        async def seal(at: KeyAt) -> tuple[bytes, bytes]:
            plaintext = secrets.token_bytes(DATA_KEY_BYTES)
            sealed, _ = await cipher_operations.sealed(at, plaintext, pairs)
            return plaintext, sealed

        async def grant(at: KeyAt) -> tuple[str, str]:
            made = await self._grants.create_grant(at, wanted)
            return at.arn, made["GrantId"]

        for_use = key_permissions.of_encryption(pairs)
        for_grant = key_permissions.OF_REQUEST["CreateGrant"](wanted)
        await self._finder.with_key(asker, name, "DescribeKey", {}, describe, ANY)
        await self._finder.with_key(asker, name, "Decrypt", for_use, describe, ANY)
        plaintext, sealed = await self._finder.with_key(asker, name, "GenerateDataKey", for_use, seal, ANY)
        arn, grant_id = await self._finder.with_key(asker, name, "CreateGrant", for_grant, grant, ANY)
        return Adopted(arn, grant_id, sealed), plaintext

    async def open(self, region: Region, adopted: Adopted, pairs: Mapping[str, str]) -> bytes:
        """The data key of something in a region."""

        async def work(at: KeyAt) -> bytes:
            return (await cipher_operations.opened(at, adopted.sealed, pairs)).plaintext

        return await self._as_service(region, adopted, pairs, work)

    async def check(self, region: Region, adopted: Adopted, pairs: Mapping[str, str]) -> None:
        """Whether it can be opened."""

        async def work(at: KeyAt) -> None:
            check_enabled(at.key, at.arn, at.now)

        await self._as_service(region, adopted, pairs, work)

    async def drop(self, region: Region, adopted: Adopted) -> None:
        """Retire the grant."""
        if adopted.elsewhere:
            return
        named = _named(region, adopted)

        async def work(home: Region) -> None:
            await self._grants.remove(home, named.name, adopted.grant)

        try:
            await self._at(region, named, work)
        except (NotFoundException, KeyUnusable):
            return  # It is gone already.

    async def changes(self, region: Region, adopted: Adopted) -> int:
        """The counter of changes where the key is."""
        _check_here(adopted)

        async def work(home: Region) -> int:
            [value] = await home.engine.get([key_rows.CHANGES])
            return counter(value)

        return await self._at(region, _named(region, adopted), work)

    async def close(self) -> None:
        """It has no connections."""

    async def _as_service(
        self, region: Region, adopted: Adopted, pairs: Mapping[str, str], work: Callable[[KeyAt], Awaitable[T]]
    ) -> T:
        """The result of work that DynamoDB does with a key, by the grant that it has."""
        _check_here(adopted)
        named = _named(region, adopted)

        async def on(home: Region) -> T:
            key = await found(home, named)
            if key is None:
                raise NotFoundException(f"Key '{named.arn}' does not exist")
            key = await refreshed(self._finder.stores, home, key)
            values = key_permissions.of_encryption(pairs) | {"aws:SourceArn": (_table_arn(region, pairs),)}
            names = (_service(region),)
            if not await grant_records.is_granted(home, key.id, "Decrypt", values, names):
                raise KeyUnusable("AccessDeniedException", _GONE)
            return await work(KeyAt(Asker(own(region), region), home, key))

        try:
            return await self._at(region, named, on)
        except KMSInternalException as error:
            raise KeyAway(error.message) from error
        except ServiceError as error:
            raise KeyUnusable(error.name, error.message) from error

    async def _at(self, region: Region, named: Named, work: Callable[[Region], Awaitable[T]]) -> T:
        """The result of work where a key is."""
        try:
            if named.account == region.account:
                return await work(region)
            return await self._finder.stores.use(self._finder.stores.named(named.account, named.region), work)
        except NoAccount:
            raise KeyUnusable("NotFoundException", f"Key '{named.arn}' does not exist") from None
        except (StorageError, TooManyOpen, NotServed) as error:
            raise KeyAway(str(error)) from error


def _service(region: Region) -> str:
    return f"dynamodb.{region.name}.amazonaws.com"


def _table_arn(region: Region, pairs: Mapping[str, str]) -> str:
    """The table in whose name the service asks."""
    return f"arn:aws:dynamodb:{region.name}:{region.account}:table/{pairs['aws:dynamodb:tableName']}"


def _check_here(adopted: Adopted) -> None:
    """Raise KeyAway for a key in another KMS."""
    if adopted.elsewhere:
        raise KeyAway(f"{adopted.key_arn} is in another KMS, and the settings name none")


def _named(region: Region, adopted: Adopted) -> Named:
    return key_names.parsed(adopted.key_arn, region.account, region.name, may_be_alias=False)
