"""CreateKey, DescribeKey, ListKeys, UpdateKeyDescription, EnableKey, DisableKey, ScheduleKeyDeletion and
CancelKeyDeletion.

Keys are symmetric, for encryption: other kinds are refused by name. A key that is due is deleted in the background
(`due_keys`).

Sources: the API reference; "Deleting AWS KMS keys" and "Quotas" in the developer guide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.kms import key_policies, key_records, key_rows, key_tags, sealed_material
from jedlik.kms.errors import KMSInvalidStateException, LimitExceededException, UnsupportedOperationException
from jedlik.kms.key_finding import Asker, KeyAt, change, there
from jedlik.kms.key_names import Named
from jedlik.kms.key_policies import KeyPolicies
from jedlik.kms.key_records import (
    DAY,
    EXTERNAL,
    KMS,
    PENDING_DELETION,
    PENDING_IMPORT,
    PENDING_REPLICA_DELETION,
    Deletion,
    KmsKey,
    MultiRegion,
    check_not,
    shown,
)
from jedlik.kms.listing_markers import page_marker, page_start
from jedlik.storage.counters import counter
from jedlik.storage.engine import Writes

Request = dict[str, Any]
MOST_KEYS = 100_000
"""In a region."""
LEAST_DAYS, MOST_DAYS, USUAL_DAYS = 7, 30, 30
"""Days of the waiting period before a deletion."""
_PAGE, _PAGE_BYTES = 100, 4 << 20
_SYMMETRIC = "SYMMETRIC_DEFAULT"
_DELETING = (PENDING_DELETION, PENDING_REPLICA_DELETION)


class KeyOperations:
    """The operations that need to check a policy."""

    def __init__(self, policies: KeyPolicies) -> None:
        self._policies = policies

    async def create_key(self, context: Context, request: Request) -> Request:
        """Make a key."""
        _check_kind(request)
        region, now = context.region, context.region.clock()
        is_multi_region = request.get("MultiRegion", False)
        origin = request.get("Origin", KMS)
        key_id = key_records.new_id(is_multi_region)
        policy, bound = request.get("Policy"), None
        if policy is None:
            policy = key_policies.default(region.account)
        else:
            named = Named(region.account, region.name, key_id)
            self._policies.check(policy, Asker(context.caller, region), named, None, request)
            bound = self._policies.bound(policy)
        key = KmsKey(
            id=key_id,
            created=now,
            policy=policy,
            bound=bound,
            description=request.get("Description", ""),
            origin=origin,
            tags=key_tags.changed({}, request.get("Tags", ())),
            regions=MultiRegion(region.name, region.name) if is_multi_region else None,
        )
        sealed = None
        if origin == KMS:
            material, sealed = sealed_material.made(region, key_id, now)
            key = key_records.with_material(key, material)

        def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
            if counter(found[0]) >= MOST_KEYS:
                raise LimitExceededException(f"A region may have {MOST_KEYS} KMS keys")
            writes = Writes()
            key_records.put(None, key, writes)
            writes.add(key_rows.COUNT, 1)
            if sealed is not None:
                writes.put(sealed.row, sealed.value)
            return writes, None

        await region.engine.mutate([key_rows.COUNT], decide)
        return {"KeyMetadata": shown(key, region.name, region.account, now)}


async def list_keys(context: Context, request: Request) -> Request:
    """The keys of a region and account, by their ids. Nobody shares keys through RAM here."""
    region, limit = context.region, request.get("Limit", _PAGE)
    if request.get("ResourceOwners") == ["OTHER_ACCOUNTS_VIA_RAM"]:
        return {"Keys": [], "Truncated": False}
    start, end = key_rows.key_range(page_start(region, "ListKeys", request))
    keys: list[Request] = []
    while len(keys) <= limit:
        rows = await region.engine.range(start, end, limit + 1 - len(keys), _PAGE_BYTES)
        found = (there(stored) for _, stored in rows)
        keys += [_listed(context, key.id) for key in found if key is not None]
        if not rows:
            break
        start = rows[-1][0] + b"\0"
    page = keys[:limit]
    more = page_marker(region, "ListKeys", page[-1]["KeyId"]) if len(keys) > limit else {"Truncated": False}
    return {"Keys": page, **more}


def _listed(context: Context, key_id: str) -> Request:
    return {"KeyId": key_id, "KeyArn": key_records.arn(context.region.name, context.region.account, key_id)}


async def describe_key(at: KeyAt, request: Request) -> Request:
    """What is known of a key."""
    return {"KeyMetadata": shown(at.key, at.region.name, at.region.account, at.now)}


async def update_key_description(at: KeyAt, request: Request) -> None:
    """Describe a key."""

    def changed(key: KmsKey) -> KmsKey:
        check_not(key, at.arn, at.now, *_DELETING)
        return replace(key, description=request["Description"])

    await change(at, changed)


async def enable_key(at: KeyAt, request: Request) -> None:
    """Let a key be used again."""
    await _set_enabled(at, True)


async def disable_key(at: KeyAt, request: Request) -> None:
    """Keep a key from being used."""
    await _set_enabled(at, False)


async def _set_enabled(at: KeyAt, is_enabled: bool) -> None:
    def changed(key: KmsKey) -> KmsKey:
        check_not(key, at.arn, at.now, *_DELETING, PENDING_IMPORT)
        return replace(key, is_enabled=is_enabled)

    await change(at, changed)


async def schedule_key_deletion(at: KeyAt, request: Request) -> Request:
    """Delete a key after a waiting period. A primary key waits until its replicas are gone."""
    days = request.get("PendingWindowInDays", USUAL_DAYS)
    date = at.now + days * DAY

    def changed(key: KmsKey) -> KmsKey:
        check_not(key, at.arn, at.now, *_DELETING)
        has_replicas = key.regions is not None and bool(key.regions.replicas) and key.is_primary
        return replace(key, deletion=Deletion(None if has_replicas else date, days))

    key = await change(at, changed)
    assert key.deletion is not None
    dated = {} if key.deletion.date is None else {"DeletionDate": key.deletion.date}
    return {"KeyId": at.arn, "KeyState": key.state(at.now), "PendingWindowInDays": days, **dated}


async def cancel_key_deletion(at: KeyAt, request: Request) -> Request:
    """Keep a key that was going to be deleted. It is disabled then."""

    def changed(key: KmsKey) -> KmsKey:
        if key.deletion is None:
            raise KMSInvalidStateException(f"{at.arn} is not pending deletion.")
        return replace(key, deletion=None, is_enabled=False)

    await change(at, changed)
    return {"KeyId": at.arn}


def _check_kind(request: Request) -> None:
    """Raise ValidationException or UnsupportedOperationException for keys that are not made here."""
    if "KeySpec" in request and "CustomerMasterKeySpec" in request:
        raise ValidationException(
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. "
            "CustomerMasterKeySpec is deprecated."
        )
    spec: str = request.get("KeySpec") or request.get("CustomerMasterKeySpec") or _SYMMETRIC
    usage = request.get("KeyUsage")
    if spec != _SYMMETRIC:
        kind = "HMAC" if spec.startswith("HMAC_") else "asymmetric"
        raise UnsupportedOperationException(
            f"Jedlik does not support {kind} keys ({spec}): its keys are symmetric ({_SYMMETRIC}), for encryption"
        )
    if usage not in (None, "ENCRYPT_DECRYPT"):
        raise ValidationException(f"KeyUsage {usage} is not compatible with KeySpec {_SYMMETRIC}")
    origin = request.get("Origin", KMS)
    if origin not in (KMS, EXTERNAL) or "CustomKeyStoreId" in request or "XksKeyId" in request:
        raise UnsupportedOperationException("Jedlik does not support custom key stores: Origin is AWS_KMS or EXTERNAL")
