"""The keys of tables for what reads a store without its server: a check, a repair. They are opened under the conditions
that hold for the server, by keys of KMS in the same store; one in another store stays shut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jedlik import root_key
from jedlik.clock import system_clock
from jedlik.kms import key_material, key_names, key_rows
from jedlik.kms.errors import InvalidCiphertextException
from jedlik.kms.key_finding import there
from jedlik.kms.key_names import Named
from jedlik.kms.key_records import ENABLED
from jedlik.regions.table_keyring import TableKey
from jedlik.root_key import RootKey, Unsealable

Read = Callable[[bytes], bytes | None]


def pairs(table: str, account: str) -> Mapping[str, str]:
    """The encryption context in which the key of a table is used."""
    return {"aws:dynamodb:tableName": table, "aws:dynamodb:subscriberId": account}


def opened(read: Read, at: tuple[str, str], root: RootKey, key: TableKey, pairs: Mapping[str, str]) -> bytes | None:
    """A table's key, in a store at an account and a region; None if KMS would not open it, or is elsewhere."""
    if key.key_arn is None or key.elsewhere:
        return None
    account, region = at
    _, _, _, in_region, of_account, name = key.key_arn.split(":", 5)
    named = Named(of_account, in_region, name.removeprefix("key/"))
    if (named.account, named.region) != at or not key_names.is_key_id(named.name):
        return None
    found = there(read(key_rows.key_row(named.name)))
    if found is None or found.state(system_clock()) != ENABLED:
        return None
    if read(key_rows.grant_row(named.name, key.grant)) is None:
        return None
    try:
        blob = key_material.parts(key.sealed)
        row = key_rows.material_row(named.name, bytes.fromhex(blob.material))
        sealed = read(row)
        if sealed is None:
            return None
        return key_material.decrypted(root.unseal(sealed, root_key.place(account, region, row)), blob, pairs)
    except (InvalidCiphertextException, Unsealable):
        return None
