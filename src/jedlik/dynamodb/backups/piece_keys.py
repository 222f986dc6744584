"""Piece keys: what the pieces of a sealed store's backups and archives are sealed with.

A store's piece key follows from the store's key (`regions.store_keys`), so backups outlive their tables, and a rotation
of the root key changes nothing in them. The pieces of a table whose key is a customer's have piece keys of their own,
which KMS opens (`kms_piece_keys`). A copy of each lies beside the backups:

    keys/ACCOUNT/REGION/NUMBER      JSON: format 1, and the key in base64, sealed under the root key;
                                    or format 2, and the table's key from which it follows, sealed by a key of KMS

With the copies and the root key, backups open without their store: in another one, and for `jedlik backups verify`;
those of format 2 do where KMS opens them. Each process writes a copy before its first piece, and again when the root
key is another one; a rotation seals those that are there again (`seal_again`).
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import orjson

from jedlik import root_key
from jedlik.dynamodb.backups import kms_piece_keys, pieces
from jedlik.dynamodb.backups.kms_piece_keys import KeyCopy
from jedlik.dynamodb.backups.pieces import DamagedPiece, PieceKey, PieceRows, Rows
from jedlik.dynamodb.encryption.kms_refusals import KeyGone
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.root_key import RootKey, Unsealable
from jedlik.storage.object_store import ObjectMissing, ObjectStore

if TYPE_CHECKING:
    from jedlik.regions.region import Region

FOLDER = "keys"
FORMAT = 1
KMS_FORMAT = 2
_NUMBER_BYTES = 4

_kept: dict[tuple[str, str], str | None] = {}
"""By place and name, the id of the root key under which this process has written a key's copy."""


class SealedPiece(DamagedPiece):
    """A piece is sealed with a key that is not here. The message has what is missing."""


class PieceOfKms(SealedPiece):
    """A piece is sealed with a key that KMS opens, and there is no KMS where it is read."""


def of_region(region: Region) -> PieceKey | None:
    """The key that seals the pieces of a region's store; None if the store is not sealed."""
    key = region.piece_key
    return None if key is None else numbered(key)


def numbered(key: bytes) -> PieceKey:
    """A key with its number, a hash of it."""
    digest = blake2b(key, digest_size=_NUMBER_BYTES, person=b"jedlik pieces").digest()
    return PieceKey(int.from_bytes(digest, "big") or 1, key)


async def kept(region: Region, store: ObjectStore, table: Descriptor | None = None) -> PieceKey | None:
    """The key that seals a region's pieces, or those of a table whose key they follow, once its copy lies in the place
    of backups.

    Raises ObjectStoreError and NoKey, and what refuses a request if the table's key cannot be used.
    """
    of_kms = None if table is None else await kms_piece_keys.sealing(region, table)
    if of_kms is not None:
        copy, secret = of_kms
        made = numbered(secret)
        name = _name(region.account, region.name, made.number)
        if (store.url, name) not in _kept:
            await store.put(name, orjson.dumps({"Format": KMS_FORMAT} | copy.document))
            _kept[store.url, name] = None
        return made
    key = of_region(region)
    if key is None:
        return None
    name = _name(region.account, region.name, key.number)
    sealed_under = region.root_key.id
    if _kept.get((store.url, name)) != sealed_under:
        sealed = region.root_key.seal(key.key, _place(region.account, region.name, key.number))
        await store.put(name, _content(sealed))
        _kept[store.url, name] = sealed_under
    return key


def _name(account: str, region: str, number: int) -> str:
    return f"{FOLDER}/{account}/{region}/{number:08x}"


def _place(account: str, region: str, number: int) -> bytes:
    return root_key.place(account, region, number.to_bytes(_NUMBER_BYTES, "big"), "piece key")


def _content(sealed: bytes) -> bytes:
    return orjson.dumps({"Format": FORMAT, "Key": b64encode(sealed).decode()})


def _copied(content: bytes) -> bytes | KeyCopy:
    """The key in a copy, sealed under the root key, or what KMS opens it by.

    Raises ValueError, LookupError or TypeError for one that is damaged.
    """
    document: dict[str, Any] = orjson.loads(content)
    if document["Format"] == KMS_FORMAT:
        return KeyCopy.of(document)
    if document["Format"] != FORMAT:
        raise ValueError(f"its format is {document['Format']}, which this version does not know")
    return b64decode(document["Key"], validate=True)


class PieceKeys:
    """Finds the keys of pieces."""

    def __init__(self, root: RootKey, own: PieceKey | None = None, region: Region | None = None) -> None:
        self._root = root
        self._region = region
        """Whose KMS is asked. Without one, a piece whose key KMS opens is not opened."""
        self._found: dict[tuple[str, int], bytes] = {}
        """Those of other stores, by the folder of their copies and their number."""
        self._own = own

    async def rows(self, store: ObjectStore, name: str) -> tuple[bytes, Rows, PieceRows]:
        """The content of a piece, the kind of its rows, and the rows.

        Raises ObjectStoreError, DamagedPiece, SealedPiece if its key is not here, and what refuses a request if KMS may
        not open it.
        """
        content = await store.get(name)
        key = await self._key(store, name, pieces.key_number(content))
        kind, rows = await asyncio.to_thread(pieces.unpacked, content, key, pieces.place_of(name))
        return content, kind, rows

    async def _key(self, store: ObjectStore, name: str, number: int) -> bytes | None:
        if number == pieces.PLAIN:
            return None
        if self._own is not None and number == self._own.number:
            return self._own.key
        account, region, *_ = name.split("/")
        copy = _name(account, region, number)
        if (copy, number) not in self._found:
            try:
                found = _copied(await store.get(copy))
                if isinstance(found, KeyCopy):
                    self._found[copy, number] = await self._of_kms(region, found)
                else:
                    self._found[copy, number] = self._unsealed(found, _place(account, region, number))
            except ObjectMissing:
                raise SealedPiece(f"it is sealed with a key whose copy {copy} is gone") from None
            except (Unsealable, ValueError, LookupError, TypeError) as error:
                raise SealedPiece(f"it is sealed, and its key in {copy} cannot be opened: {error}") from error
        return self._found[copy, number]

    def _unsealed(self, sealed: bytes, place: bytes) -> bytes:
        if not self._root.is_there:
            raise SealedPiece("it is sealed, and there is no root key")
        return self._root.unseal(sealed, place)

    async def _of_kms(self, of_region: str, copy: KeyCopy) -> bytes:
        if self._region is None:
            raise PieceOfKms(f"it is sealed with a key that {copy.adopted.key_arn} opens, which only a server may use")
        try:
            return await kms_piece_keys.opened(self._region, of_region, copy)
        except KeyGone as error:
            raise SealedPiece(f"it is sealed with a key that {copy.adopted.key_arn} opens, and that is gone") from error


def of(region: Region) -> PieceKeys:
    """What opens pieces in a region: its own, and those of other stores with the same root key."""
    return PieceKeys(region.root_key, of_region(region), region)


async def seal_again(store: ObjectStore, root: RootKey) -> int:
    """Seal the copies of all keys in a place of backups under the present root key. Returns how many were not.

    Raises ObjectStoreError, and Unsealable with the name of a copy that does not open.
    """
    done = 0
    for name in [found.name async for found in store.list(FOLDER)]:
        _, account, region, number = name.split("/")
        try:
            sealed = _copied(await store.get(name))
            if isinstance(sealed, KeyCopy) or root.is_current(sealed):
                continue
            sealed = root.resealed(sealed, _place(account, region, int(number, 16)))
        except (Unsealable, ValueError, LookupError, TypeError) as error:
            raise Unsealable(f"{name}: {error}") from error
        await store.put(name, _content(sealed))
        done += 1
    return done
