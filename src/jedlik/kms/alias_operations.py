"""CreateAlias, UpdateAlias, DeleteAlias and ListAliases.

An alias is a row, and its key has its name, too: so a key is described, and its condition keys are known, by one read.

Sources: the API reference; "Aliases in AWS KMS" and "Quotas" in the developer guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from jedlik.aws.context import Context
from jedlik.kms import key_names, key_rows
from jedlik.kms.alias_records import AliasRecord, unpacked_alias
from jedlik.kms.errors import (
    AlreadyExistsException,
    InvalidAliasNameException,
    LimitExceededException,
    NotAuthorizedException,
    NotFoundException,
)
from jedlik.kms.key_finding import Asker, KeyAt, KeyFinder, Way, there
from jedlik.kms.key_names import RESERVED, Named
from jedlik.kms.key_records import PENDING_DELETION, PENDING_REPLICA_DELETION, KmsKey, check_not, put
from jedlik.kms.listing_markers import page_marker, page_of, page_start
from jedlik.storage.engine import Writes

Request = dict[str, Any]
MOST_ALIASES = 50
"""The aliases of one key."""
_PAGE, _MOST_PAGE, _PAGE_BYTES = 50, 100, 1 << 20
_BY_ID = Way()


class AliasOperations:
    """The operations, which find the key that an alias names."""

    def __init__(self, finder: KeyFinder) -> None:
        self._finder = finder

    async def create_alias(self, context: Context, request: Request) -> None:
        """Give a key one more name."""
        name = _checked(request)
        asker = Asker(context.caller, context.region)
        work = partial(_create, name=name)
        await self._finder.with_key(asker, request["TargetKeyId"], "CreateAlias", {}, work, _BY_ID)

    async def update_alias(self, context: Context, request: Request) -> None:
        """Let an alias name another key. Both keys must permit it."""
        name = _checked(request)
        asker = Asker(context.caller, context.region)
        former = await self._former(asker, name, "UpdateAlias")
        work = partial(_move, name=name, former=former)
        await self._finder.with_key(asker, request["TargetKeyId"], "UpdateAlias", {}, work, _BY_ID)

    async def delete_alias(self, context: Context, request: Request) -> None:
        """Delete an alias. Its key stays."""
        name = _checked(request)
        asker = Asker(context.caller, context.region)
        former = await self._former(asker, name, "DeleteAlias")
        rows = [key_rows.alias_row(name), key_rows.key_row(former.id)]

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
            writes = Writes()
            _alias(found[0], former, asker, name)
            _take(there(found[1]), name, writes)
            writes.delete(rows[0])
            return writes, None

        await context.region.engine.mutate(rows, decide)

    async def list_aliases(self, context: Context, request: Request) -> Request:
        """The aliases of a region and account by name, or those of one key."""
        region = context.region
        if "KeyId" in request:
            named = key_names.parsed(request["KeyId"], region.account, region.name, may_be_alias=False)
            [stored] = await region.engine.get([key_rows.key_row(named.name)])
            key = there(stored)
            if key is None or named.account != region.account:
                raise NotFoundException(f"Key '{named.arn}' does not exist")
            names, more = page_of(region, "ListAliases", request, sorted(key.aliases), str, _MOST_PAGE)
            found = await region.engine.get([key_rows.alias_row(name) for name in names])
            listed = [(name, value) for name, value in zip(names, found, strict=True) if value is not None]
        else:
            limit = min(request.get("Limit", _PAGE), _MOST_PAGE)
            start, end = key_rows.alias_range(page_start(region, "ListAliases", request))
            rows = await region.engine.range(start, end, limit + 1, _PAGE_BYTES)
            listed = [(key_rows.alias_of(row), value) for row, value in rows[:limit]]
            has_more = len(rows) > limit
            more = page_marker(region, "ListAliases", listed[-1][0]) if has_more else {"Truncated": False}
        return {"Aliases": [_shown(context, name, unpacked_alias(value)) for name, value in listed], **more}

    async def _former(self, asker: Asker, name: str, operation: str) -> KmsKey:
        """The key that an alias names, which the caller may change so."""
        region = asker.region
        [stored] = await region.engine.get([key_rows.alias_row(name)])
        named = Named(region.account, region.name, name)
        if stored is None:
            raise NotFoundException(f"Alias {named.arn} is not found.")
        return await self._finder.permitted(asker, region, named, operation, {})


def _checked(request: Request) -> str:
    name: str = request["AliasName"]
    if name.startswith(RESERVED):
        raise NotAuthorizedException(f"Aliases that begin with {RESERVED} are AWS's own")
    if not key_names.is_alias(name):
        raise InvalidAliasNameException(
            "An alias must begin with alias/, followed by letters, digits, slashes, underscores and hyphens"
        )
    return name


async def _create(at: KeyAt, name: str) -> None:
    rows = [key_rows.alias_row(name), key_rows.key_row(at.key.id)]
    now = at.now

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        if found[0] is not None:
            arn = Named(at.region.account, at.region.name, name).arn
            raise AlreadyExistsException(f"An alias with the name {arn} already exists")
        writes = Writes()
        _give(at, there(found[1]), name, writes)
        writes.put(rows[0], AliasRecord(at.key.id, now, now).packed())
        return writes, None

    await at.region.engine.mutate(rows, decide)


async def _move(at: KeyAt, name: str, former: KmsKey) -> None:
    rows = [key_rows.alias_row(name), key_rows.key_row(former.id), key_rows.key_row(at.key.id)]
    now = at.now

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        record = _alias(found[0], former, at.asker, name)
        writes = Writes()
        if former.id != at.key.id:
            _take(there(found[1]), name, writes)
            _give(at, there(found[2]), name, writes)
        writes.put(rows[0], record._replace(key_id=at.key.id, updated=now).packed())
        return writes, None

    await at.region.engine.mutate(rows, decide)


def _alias(stored: bytes | None, former: KmsKey, asker: Asker, name: str) -> AliasRecord:
    """The alias, if it still names the key for which the caller was permitted to change it."""
    record = None if stored is None else unpacked_alias(stored)
    if record is None or record.key_id != former.id:
        arn = Named(asker.region.account, asker.region.name, name).arn
        raise NotFoundException(f"Alias {arn} is not found.")
    return record


def _take(key: KmsKey | None, name: str, writes: Writes) -> None:
    if key is not None:
        put(key, replace(key, aliases=tuple(one for one in key.aliases if one != name)), writes)


def _give(at: KeyAt, key: KmsKey | None, name: str, writes: Writes) -> None:
    if key is None:
        raise NotFoundException(f"Key '{at.arn}' does not exist")
    check_not(key, at.arn, at.now, PENDING_DELETION, PENDING_REPLICA_DELETION)
    if len(key.aliases) >= MOST_ALIASES:
        raise LimitExceededException(f"A KMS key may have {MOST_ALIASES} aliases")
    put(key, replace(key, aliases=(*key.aliases, name)), writes)


def _shown(context: Context, name: str, record: AliasRecord) -> Request:
    return {
        "AliasName": name,
        "AliasArn": Named(context.region.account, context.region.name, name).arn,
        "TargetKeyId": record.key_id,
        "CreationDate": record.created,
        "LastUpdatedDate": record.updated,
    }
