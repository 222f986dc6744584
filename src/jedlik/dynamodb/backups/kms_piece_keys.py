"""Piece keys of KMS: what the pieces of tables are sealed with whose key is a customer's.

Such a piece key follows from a key of the table (`table_keyring`): the one that the table had when its backup began, or
when a segment was archived. What lies beside the backups (`piece_keys`) has the table's key as KMS has sealed it. So
KMS opens each piece, and where it refuses nothing is restored. The key's grant stays as long as a piece needs it
(`encryption.held_keys`).

The key that DynamoDB has of its own in each account is not used: nobody can disable it, and backups would not open
without their store.

Source: "DynamoDB encryption at rest usage notes" in the developer guide: a backup stays encrypted with the customer's
key that its table had, and that key is needed to restore it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from jedlik.aws.errors import InternalServerError
from jedlik.aws.table_keys import Adopted
from jedlik.dynamodb.encryption import open_keys
from jedlik.dynamodb.model import keys, shared_settings
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.regions.region import NotServed, TooManyOpen
from jedlik.regions.table_keyring import TableKeys
from jedlik.storage.engine import NoKey

if TYPE_CHECKING:
    from jedlik.regions.region import Region


class KeyCopy(NamedTuple):
    """A table's key as it lies beside backups. Nothing of it is secret."""

    table: str
    """The table's name, which is part of the encryption context."""
    adopted: Adopted

    @property
    def document(self) -> dict[str, Any]:
        """It as JSON has it."""
        found = self.adopted
        return {
            "TableName": self.table,
            "KeyArn": found.key_arn,
            "Sealed": b64encode(found.sealed).decode(),
            "Elsewhere": found.elsewhere,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> KeyCopy:
        """The copy in a JSON object. Raises ValueError, LookupError or TypeError for one that is damaged."""
        sealed = b64decode(document["Sealed"], validate=True)
        return cls(document["TableName"], Adopted(document["KeyArn"], "", sealed, bool(document["Elsewhere"])))


def follows_key(table: Descriptor) -> bool:
    """Whether what is backed up of a table is sealed with its key, because that is a customer's."""
    encryption = table.encryption
    return table.key_number > 0 and encryption is not None and not shared_settings.is_of_aws(encryption)


async def sealing(region: Region, table: Descriptor) -> tuple[KeyCopy, bytes] | None:
    """What seals the pieces of a table with this descriptor, and what is to lie beside them; None if KMS has nothing to
    do with its key. Raises NoKey, and what refuses a request if the key cannot be used."""
    record = _record(region, table)
    key = None if record is None else record.key(table.key_number)
    if record is None or key is None:
        raise NoKey(f"the key {table.key_number} of the table {table.name} is unknown")
    if key.key_arn is None:
        return None
    copy = KeyCopy(record.table, open_keys.adopted(key))
    return copy, await opened(region, region.name, copy)


async def opened(region: Region, of_region: str, copy: KeyCopy) -> bytes:
    """The piece key that follows from a table's key, in a region of the same account. Raises what refuses a request if
    KMS does."""
    from jedlik.storage.sealed import derived  # It takes long to import.

    return derived(await _opened(region, of_region, copy), b"jedlik piece key of a table")


async def _opened(region: Region, of_region: str, copy: KeyCopy) -> bytes:
    async def work(there: Region) -> bytes:
        return await open_keys.opened(there, copy.table, copy.adopted)

    if of_region == region.name:
        return await work(region)
    try:
        return await region.elsewhere.use(of_region, work)
    except NotServed:
        return await work(region)  # The key may be in another KMS.
    except TooManyOpen as error:
        raise InternalServerError(str(error)) from error


async def check(region: Region, table: Descriptor) -> None:
    """Raise what refuses a request for a backup that is sealed with the key of its table, if that cannot be used."""
    await sealing(region, table)


async def check_later(region: Region, table: Descriptor, since: Descriptor) -> None:
    """Raise what refuses a request for what was archived of a table since it was as described, if it is closed or
    one of the keys cannot be used that it has had since."""
    open_keys.check_open(table)
    record = _record(region, table)
    if record is None:
        return
    for key in record.keys:
        if key.key_arn is not None and key.number >= since.key_number:
            await open_keys.opened(region, record.table, open_keys.adopted(key))


def _record(region: Region, table: Descriptor) -> TableKeys | None:
    ring = open_keys.keyring(region)
    return None if ring is None else ring.record(keys.table_id(table.id))
