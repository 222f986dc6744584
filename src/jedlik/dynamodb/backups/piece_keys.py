"""Piece keys: what the pieces of a sealed store's backups and archives are sealed with.

A store's piece key follows from the store's key (`regions.store_keys`), so backups outlive their tables, and a rotation
of the root key changes nothing in them. A copy of it, sealed under the root key, lies beside the backups:

    keys/ACCOUNT/REGION/NUMBER      JSON: the format, and the key in base64

With that and the root key, backups open without their store: in another one, and for `jedlik backups verify`. Each
process writes the copy before its first piece, and again when the root key is another one; a rotation seals those that
are there again (`seal_again`).
"""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from hashlib import blake2b
from typing import TYPE_CHECKING

import orjson

from jedlik import root_key
from jedlik.dynamodb.backups import pieces
from jedlik.dynamodb.backups.pieces import DamagedPiece, PieceKey, Rows
from jedlik.root_key import RootKey, Unsealable
from jedlik.storage.engine import Row
from jedlik.storage.object_store import ObjectMissing, ObjectStore

if TYPE_CHECKING:
    from jedlik.regions.region import Region

FOLDER = "keys"
FORMAT = 1
_NUMBER_BYTES = 4

_kept: dict[tuple[str, str], str | None] = {}
"""By place and name, the id of the root key under which this process has written a key's copy."""


class SealedPiece(DamagedPiece):
    """A piece is sealed with a key that is not here. The message has what is missing."""


def of_region(region: Region) -> PieceKey | None:
    """The key that seals the pieces of a region's store; None if the store is not sealed."""
    key = region.piece_key
    return None if key is None else numbered(key)


def numbered(key: bytes) -> PieceKey:
    """A key with its number, a hash of it."""
    digest = blake2b(key, digest_size=_NUMBER_BYTES, person=b"jedlik pieces").digest()
    return PieceKey(int.from_bytes(digest, "big") or 1, key)


async def kept(region: Region, store: ObjectStore) -> PieceKey | None:
    """The key that seals a region's pieces, once its copy lies in the place of backups. Raises ObjectStoreError."""
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


def _sealed(content: bytes) -> bytes:
    """The sealed key in a copy. Raises ValueError, LookupError or TypeError for one that is damaged."""
    document = orjson.loads(content)
    if document["Format"] != FORMAT:
        raise ValueError(f"its format is {document['Format']}, which this version does not know")
    return b64decode(document["Key"], validate=True)


class PieceKeys:
    """Finds the keys of pieces."""

    def __init__(self, root: RootKey, own: PieceKey | None = None) -> None:
        self._root = root
        self._found: dict[tuple[str, int], bytes] = {}
        """Those of other stores, by the folder of their copies and their number."""
        self._own = own

    async def rows(self, store: ObjectStore, name: str) -> tuple[bytes, Rows, list[Row]]:
        """The content of a piece, the kind of its rows, and the rows.

        Raises ObjectStoreError, DamagedPiece, and SealedPiece if its key is not here.
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
            self._found[copy, number] = await self._unsealed(store, copy, _place(account, region, number))
        return self._found[copy, number]

    async def _unsealed(self, store: ObjectStore, copy: str, place: bytes) -> bytes:
        if not self._root.is_there:
            raise SealedPiece("it is sealed, and there is no root key")
        try:
            return self._root.unseal(_sealed(await store.get(copy)), place)
        except ObjectMissing:
            raise SealedPiece(f"it is sealed with a key of another store, whose copy {copy} is gone") from None
        except (Unsealable, ValueError, LookupError, TypeError) as error:
            raise SealedPiece(f"it is sealed, and its key in {copy} cannot be opened: {error}") from error


def of(region: Region) -> PieceKeys:
    """What opens pieces in a region: its own, and those of other stores with the same root key."""
    return PieceKeys(region.root_key, of_region(region))


async def seal_again(store: ObjectStore, root: RootKey) -> int:
    """Seal the copies of all keys in a place of backups under the present root key. Returns how many were not.

    Raises ObjectStoreError, and Unsealable with the name of a copy that does not open.
    """
    done = 0
    for name in [found.name async for found in store.list(FOLDER)]:
        _, account, region, number = name.split("/")
        try:
            sealed = _sealed(await store.get(name))
            if root.is_current(sealed):
                continue
            sealed = root.resealed(sealed, _place(account, region, int(number, 16)))
        except (Unsealable, ValueError, LookupError, TypeError) as error:
            raise Unsealable(f"{name}: {error}") from error
        await store.put(name, _content(sealed))
        done += 1
    return done
