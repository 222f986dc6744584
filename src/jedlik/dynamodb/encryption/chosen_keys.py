"""The key that a request chooses for a table, by its SSESpecification: adopted from KMS in the caller's name before the
table is changed, and given back if it is not changed after all.

Sources: "DynamoDB encryption at rest" in the developer guide; the API reference of SSESpecification.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from jedlik.aws import table_keys
from jedlik.aws.context import Context
from jedlik.aws.errors import InternalServerError, LimitExceededException, ServiceError, ValidationException
from jedlik.aws.table_keys import Adopted, KeyAway
from jedlik.dynamodb.capacity.throughput import INVALID
from jedlik.dynamodb.encryption import kms_refusals, open_keys
from jedlik.dynamodb.model import keys, shared_settings
from jedlik.dynamodb.model.definitions import Descriptor, Encryption
from jedlik.regions import table_keyring
from jedlik.regions.region import Region
from jedlik.regions.table_keyring import LAST_NUMBER, TableKey, TableKeys
from jedlik.storage.empty import EmptyEngine
from jedlik.storage.engine import Writes

Request = Mapping[str, Any]

NOT_SEALED = (
    f"{INVALID}SSESpecification chooses the key that seals a table, and this server does not seal its tables: "
    "it has no root key, or --no-seal-tables is set"
)

_log = logging.getLogger(__name__)


class Wanted(NamedTuple):
    """What a specification asks for."""

    by_kms: bool
    """Whether a key of KMS is to seal the table, or the one that every account has."""
    key: str | None = None
    """The key as a customer names it; None for DynamoDB's own in the account."""


BY_DEFAULT = Wanted(False)


def wanted(specification: Request) -> Wanted:
    """What an SSESpecification asks for, whose combination of members is right."""
    if not specification.get("Enabled", "SSEType" in specification):
        return BY_DEFAULT
    return named(specification.get("KMSMasterKeyId"))


def named(key: str | None) -> Wanted:
    """The wish for a key of KMS."""
    return Wanted(True, None if key is None or key.endswith(shared_settings.AWS_KEY) else key)


def as_of(encryption: Encryption | None) -> Wanted:
    """The wish for what another table has."""
    if encryption is None:
        return BY_DEFAULT
    return named(None if shared_settings.is_of_aws(encryption) else encryption.key_arn)


@dataclass(slots=True)
class Chosen:
    """A key for a table."""

    encryption: Encryption | None = None
    """None for the key that follows from the store's."""
    adopted: Adopted | None = None
    opened: bytes = b""
    """The key itself."""
    used: bool = False
    """Whether a table has it now."""

    def numbered(self, number: int) -> TableKey:
        """It as one of a table's keys."""
        if self.adopted is None:
            return TableKey(number)
        found = self.adopted
        return TableKey(number, found.key_arn, found.grant, found.sealed, elsewhere=found.elsewhere)

    def of_new(self, table: Descriptor, writes: Writes) -> Descriptor:
        """A new table, with this key."""
        if self.encryption is None:
            return table
        writes.put(table_keyring.row(keys.table_id(table.id)), TableKeys(table.name, (self.numbered(1),)).record)
        return replace(table, encryption=self.encryption, key_number=1)

    def of_changed(self, table: Descriptor, record: bytes | None, writes: Writes) -> Descriptor:
        """A table that has this key from now on. What was written before is still sealed with others."""
        number = table.key_number + 1
        if number > LAST_NUMBER:
            raise LimitExceededException(f"Subscriber limit exceeded: the key of {table.name} was changed too often")
        before = TableKeys(table.name, ()) if record is None else table_keyring.parse(record)
        after = replace(before.with_current(self.numbered(number)), closed=False)
        writes.put(table_keyring.row(keys.table_id(table.id)), after.record)
        encryption = None if self.encryption is None else replace(self.encryption, status="UPDATING")
        return replace(table, encryption=encryption, key_number=number)

    def learn(self, region: Region, table: Descriptor) -> None:
        """Keep the key open that a table has now."""
        self.used = True
        ring = open_keys.keyring(region)
        if ring is not None and self.adopted is not None:
            ring.learn(keys.table_id(table.id), table.key_number, self.opened)


async def adopt(context: Context, table: str, wish: Wanted) -> Chosen:
    """The key that is wanted for a table. Raises what DynamoDB answers if KMS refuses it."""
    region = context.region
    if not wish.by_kms:
        return Chosen()
    if region.sealed is None and not isinstance(region.engine, EmptyEngine):
        raise ValidationException(NOT_SEALED)
    try:
        adopted, opened = await table_keys.current().adopt(context, wish.key, open_keys.pairs(region, table))
    except KeyAway as error:
        _log.warning("a key cannot be adopted: %s", error, extra={"region": region.store, "table": table})
        raise InternalServerError(kms_refusals.AWAY) from error
    except ServiceError as error:
        raise kms_refusals.refusal(error.name, error.message) from error
    return Chosen(Encryption(adopted.key_arn, is_of_aws=wish.key is None), adopted, opened)


@asynccontextmanager
async def chosen(context: Context, table: str, wish: Wanted) -> AsyncIterator[Chosen]:
    """The key that is wanted for a table. It is given back unless the table has it in the end."""
    found = await adopt(context, table, wish)
    try:
        yield found
    finally:
        if found.adopted is not None and not found.used:
            await _give_back(context.region, found.adopted)


async def _give_back(region: Region, adopted: Adopted) -> None:
    try:
        await table_keys.current().drop(region, adopted)
    except KeyAway as error:
        _log.warning("a grant stays that nobody needs: %s", error, extra={"key": adopted.key_arn})
