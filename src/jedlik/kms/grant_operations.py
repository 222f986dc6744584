"""CreateGrant, ListGrants, ListRetirableGrants, RetireGrant and RevokeGrant.

Who may retire a grant is decided by the grant: its retiring principal, its grantee if the grant has RetireGrant, and
the account that has the key, whose policies may pass that on.

Sources: the API reference; "Grants in AWS KMS" and "Quotas" in the developer guide.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.kms import grant_records, key_names, key_rows
from jedlik.kms.errors import (
    DryRunOperationException,
    InvalidArnException,
    InvalidGrantIdException,
    LimitExceededException,
    NotFoundException,
)
from jedlik.kms.grant_records import (
    EQUALS,
    SUBSET,
    Grant,
    delete_grant,
    grant_token,
    put_grant,
    unpacked_grant,
)
from jedlik.kms.key_finding import Asker, KeyAt, KeyFinder, Way, there
from jedlik.kms.key_records import check_enabled, put
from jedlik.kms.listing_markers import page_marker, page_start
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes

Request = dict[str, Any]
MOST_GRANTS = 50_000
"""The grants of one key."""
MOST_PAIRS, LONGEST_CONTEXT = 8, 384
"""Pairs, and characters, of the encryption context of a constraint."""
POSSIBLE = frozenset(
    {
        *("Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo"),
        *("CreateGrant", "RetireGrant", "DescribeKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"),
    }
)
"""What a grant can allow to be done with a symmetric key."""
_PAGE, _MOST_PAGE, _PAGE_BYTES = 50, 100, 1 << 20
_is_principal = re.compile(
    r"arn:aws:(iam::[0-9]{12}:(root|(user|role)/.+)|sts::[0-9]{12}:(assumed-role/[^/]+/.+|federated-user/.+))", re.ASCII
).fullmatch
_is_service = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com", re.ASCII).fullmatch
_is_grant_id = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch
_DRY = "Dry run: the request would have succeeded, but the DryRun flag is set."
_BY_ID = Way(across_accounts=True)


class GrantOperations:
    """The operations."""

    def __init__(self, finder: KeyFinder) -> None:
        self._finder = finder

    async def create_grant(self, at: KeyAt, request: Request) -> Request:
        """Allow a principal to use a key. The same request with the same name makes one grant."""
        wanted = self._wanted(at, request)
        check_enabled(at.key, at.arn, at.now)
        if request.get("DryRun", False):
            raise DryRunOperationException(_DRY)
        if wanted.name is not None:
            for grant in await _every(at.region, at.key.id):
                if replace(grant, id=wanted.id, created=wanted.created) == wanted:
                    return {"GrantId": grant.id, "GrantToken": grant_token(at.region, at.key.id, grant.id)}
        row = key_rows.key_row(at.key.id)

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
            key = there(found[0])
            if key is None:
                raise NotFoundException(f"Key '{at.arn}' does not exist")
            check_enabled(key, at.arn, at.now)
            if key.grants >= MOST_GRANTS:
                raise LimitExceededException(f"A KMS key may have {MOST_GRANTS} grants")
            writes = Writes()
            put(key, replace(key, grants=key.grants + 1), writes)
            put_grant(key.id, wanted, writes)
            return writes, None

        await at.region.engine.mutate([row], decide)
        return {"GrantId": wanted.id, "GrantToken": grant_token(at.region, at.key.id, wanted.id)}

    async def list_grants(self, at: KeyAt, request: Request) -> Request:
        """The grants of a key."""
        region, key_id = at.region, at.key.id
        limit = min(request.get("Limit", _PAGE), _MOST_PAGE)
        wanted = request.get("GranteePrincipal"), request.get("GranteeServicePrincipal")
        only = request.get("GrantId")
        if only is not None and not _is_grant_id(only):
            raise InvalidGrantIdException("")
        listing = f"ListGrants {key_id}"
        after = page_start(region, listing, request)
        found: list[Grant] = []
        start, end = key_rows.grant_range(key_id, after)
        while len(found) <= limit and (rows := await region.engine.range(start, end, limit + 1, _PAGE_BYTES)):
            grants = (unpacked_grant(stored) for _, stored in rows)
            found += [one for one in grants if only in (None, one.id) and _is_for(one, *wanted)]
            start = rows[-1][0] + b"\0"
            await asyncio.sleep(0)  # Others wait.
        page = found[:limit]
        more = page_marker(region, listing, page[-1].id) if len(found) > limit else {"Truncated": False}
        return {"Grants": [grant.shown(region, key_id) for grant in page], **more}

    async def list_retirable_grants(self, context: Context, request: Request) -> Request:
        """The grants of a region and account that a principal may retire."""
        region = context.region
        given = [request[name] for name in ("RetiringPrincipal", "RetiringServicePrincipal") if name in request]
        if len(given) != 1:
            raise ValidationException("Please specify either RetiringPrincipal or RetiringServicePrincipal.")
        [principal] = given
        limit = min(request.get("Limit", _PAGE), _MOST_PAGE)
        listing = f"ListRetirableGrants {principal}"
        last = page_start(region, listing, request)
        after = None if last is None else (last.partition("/")[0], last.partition("/")[2])
        start, end = key_rows.retiring_range(principal, after)
        prefix = len(key_rows.retiring_range(principal)[0])
        rows = await region.engine.range(start, end, limit + 1, _PAGE_BYTES)
        names = [row[prefix:].decode().partition("\0") for row, _ in rows[:limit]]
        stored = await region.engine.get([key_rows.grant_row(key_id, grant_id) for key_id, _, grant_id in names])
        shown = [
            unpacked_grant(value).shown(region, key_id)
            for (key_id, _, _), value in zip(names, stored, strict=True)
            if value is not None
        ]
        has_more = len(rows) > limit
        more = page_marker(region, listing, f"{names[-1][0]}/{names[-1][2]}") if has_more else {"Truncated": False}
        return {"Grants": shown, **more}

    async def revoke_grant(self, at: KeyAt, request: Request) -> None:
        """Take a grant away, as somebody who manages the key."""
        await _delete(at.region, at.key.id, request)

    async def remove(self, region: Region, key_id: str, grant_id: str) -> None:
        """Take away a grant of a key in a region, as somebody who may. Raises NotFoundException."""
        await _delete(region, key_id, {"GrantId": grant_id})

    async def retire_grant(self, context: Context, request: Request) -> None:
        """Give a grant up, as somebody whom it concerns."""
        asker, region = Asker(context.caller, context.region), context.region
        given = request.keys() & {"GrantToken", "KeyId", "GrantId"}
        if given == {"GrantToken"}:
            account, key_id, grant_id = grant_records.of_token(request["GrantToken"])
        elif given == {"KeyId", "GrantId"}:
            account, key_id, grant_id = region.account, request["KeyId"], request["GrantId"]
        else:
            raise ValidationException("Please specify either a grant token, or a key and a grant ID.")
        named = key_names.parsed(key_id, account, region.name, may_be_alias=False)
        wanted = {**request, "GrantId": grant_id}

        async def retire(home: Region) -> None:
            grant_records.check_tokens(home, [request["GrantToken"]] if "GrantToken" in request else ())
            grant = await _one(home, named.name, wanted)
            if not self._may_retire(asker, grant):
                await self._finder.permitted(asker, home, named, "RetireGrant", {})
            await _delete(home, named.name, wanted)

        if named.account == region.account:
            await retire(region)
        else:
            await self._finder.elsewhere(asker, named, "RetireGrant", retire)

    def _may_retire(self, asker: Asker, grant: Grant) -> bool:
        """Whether the grant itself lets the caller retire it."""
        return grant.may_retire(self._finder.authorizer.names(asker.caller))

    def _wanted(self, at: KeyAt, request: Request) -> Grant:
        """The grant that a request describes. Raises what refuses it."""
        if ("GranteePrincipal" in request) == ("GranteeServicePrincipal" in request):
            raise ValidationException("Please specify either GranteePrincipal or GranteeServicePrincipal.")
        if "RetiringPrincipal" in request and "RetiringServicePrincipal" in request:
            raise ValidationException("Please specify either RetiringPrincipal or RetiringServicePrincipal.")
        for member in ("GranteePrincipal", "RetiringPrincipal"):
            name = request.get(member)
            if name is not None and not self._is_principal(at, name):
                raise InvalidArnException(f"ARN does not refer to a valid principal: {name}")
        impossible = [name for name in request["Operations"] if name not in POSSIBLE]
        if impossible:
            raise ValidationException(f"Grant operations {impossible} are not supported by a symmetric key.")
        constraints = dict(request.get("Constraints", {}))
        source_arn = constraints.pop("SourceArn", None)
        if len(constraints) > 1:
            raise ValidationException(f"A grant may have one of {EQUALS} and {SUBSET}.")
        kind, pairs = next(iter(constraints.items()), (None, {}))
        size = sum(len(name) + len(value) for name, value in pairs.items())
        if len(pairs) > MOST_PAIRS or size > LONGEST_CONTEXT:
            raise ValidationException(
                f"The encryption context of a constraint may have {MOST_PAIRS} pairs and {LONGEST_CONTEXT} characters."
            )
        if "GranteeServicePrincipal" in request and (
            source_arn is None or not request.keys() & {"RetiringPrincipal", "RetiringServicePrincipal"}
        ):
            raise ValidationException("A GranteeServicePrincipal needs a SourceArn constraint and a retiring one.")
        return Grant(
            id=grant_records.new_grant_id(),
            created=at.now,
            operations=tuple(dict.fromkeys(request["Operations"])),
            issuer=at.asker.caller.account,
            name=request.get("Name"),
            grantee=request.get("GranteePrincipal"),
            grantee_service=request.get("GranteeServicePrincipal"),
            retiring=request.get("RetiringPrincipal"),
            retiring_service=request.get("RetiringServicePrincipal"),
            constraint=kind,
            pairs=tuple(sorted(pairs.items())),
            source_arn=source_arn,
            grantee_id=self._unique_id(request.get("GranteePrincipal")),
            retiring_id=self._unique_id(request.get("RetiringPrincipal")),
        )

    def _unique_id(self, name: str | None) -> str | None:
        return None if name is None else self._finder.authorizer.unique_id(name)

    def _is_principal(self, at: KeyAt, name: str) -> bool:
        """Whether a grant can name a principal so. A service grants itself what it needs, in a caller's name."""
        if _is_service(name):
            return at.asker.via is not None
        return _is_principal(name) is not None and self._finder.authorizer.is_principal(name)


def _is_for(grant: Grant, principal: str | None, service: str | None) -> bool:
    """Whether a grant is for the principal and the service that a listing names."""
    return principal in (None, grant.grantee, grant.grantee_service) and service in (None, grant.grantee_service)


async def _every(region: Region, key_id: str) -> list[Grant]:
    """All grants of a key."""
    found: list[Grant] = []
    start, end = key_rows.grant_range(key_id)
    while rows := await region.engine.range(start, end, _MOST_PAGE, _PAGE_BYTES):
        found += [unpacked_grant(stored) for _, stored in rows]
        start = rows[-1][0] + b"\0"
        await asyncio.sleep(0)  # Others wait.
    return found


async def _one(region: Region, key_id: str, request: Request) -> Grant:
    """The grant that a request names."""
    grant_id = request["GrantId"]
    if not _is_grant_id(grant_id):
        raise InvalidGrantIdException("")
    [stored] = await region.engine.get([key_rows.grant_row(key_id, grant_id)])
    if stored is None:
        raise NotFoundException(f"Grant ID {grant_id} not found")
    return unpacked_grant(stored)


async def _delete(region: Region, key_id: str, request: Request) -> None:
    grant = await _one(region, key_id, request)
    if request.get("DryRun", False):
        raise DryRunOperationException(_DRY)
    rows = [key_rows.grant_row(key_id, grant.id), key_rows.key_row(key_id)]

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        key = there(found[1])
        if found[0] is None or key is None:
            raise NotFoundException(f"Grant ID {grant.id} not found")
        writes = Writes()
        put(key, replace(key, grants=key.grants - 1), writes)
        delete_grant(key_id, grant, writes)
        return writes, None

    await region.engine.mutate(rows, decide)
