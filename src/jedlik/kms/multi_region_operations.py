"""ReplicateKey and UpdatePrimaryRegion, and what else concerns the other regions of a key.

Sources: the API reference; "Multi-Region keys in AWS KMS" in the developer guide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jedlik.kms import key_operations, key_policies, key_records, key_rows, key_tags, sealed_material
from jedlik.kms.errors import AlreadyExistsException, UnsupportedOperationException
from jedlik.kms.key_finding import KeyAt, KeyFinder, change
from jedlik.kms.key_names import Named
from jedlik.kms.key_policies import KeyPolicies
from jedlik.kms.key_records import (
    EXTERNAL,
    PENDING_DELETION,
    PENDING_REPLICA_DELETION,
    KmsKey,
    check_enabled,
    check_not,
    put,
    shown,
    unpacked,
)
from jedlik.kms.replica_keys import elsewhere, record, refreshed
from jedlik.kms.rotation_operations import check_primary
from jedlik.regions.region import NotServed, Region
from jedlik.storage.engine import Writes

Request = dict[str, Any]


class MultiRegionOperations:
    """The operations, over the stores of other regions."""

    def __init__(self, finder: KeyFinder, policies: KeyPolicies) -> None:
        self._stores = finder.stores
        self._policies = policies

    async def replicate_key(self, at: KeyAt, request: Request) -> Request:
        """Make a key of another region that has the same material. It has a policy, tags and a description of its
        own."""
        name = request["ReplicaRegion"]
        _check_primary(at, at.key)
        if at.key.origin == EXTERNAL:
            check_not(at.key, at.arn, at.now, PENDING_DELETION, PENDING_REPLICA_DELETION)
        else:
            check_enabled(at.key, at.arn, at.now)
        assert at.key.regions is not None
        there = Named(at.region.account, name, at.key.id)
        if name == at.region.name or name in at.key.regions.replicas:
            raise AlreadyExistsException(f"Key {there.arn} already exists")
        policy, bound = request.get("Policy"), None
        if policy is None:
            policy = key_policies.default(at.region.account)
        else:
            self._policies.check(policy, at.asker, there, at.key, request)
            bound = self._policies.bound(policy)
        tags = key_tags.changed({}, request.get("Tags", ()))
        is_external = at.key.origin == EXTERNAL
        opened = {one.id: await sealed_material.opened(at.region, at.key.id, one.id) for one in at.key.materials}
        materials = {one: material for one, material in opened.items() if material is not None and not is_external}
        new = replace(
            at.key,
            created=at.now,
            policy=policy,
            bound=bound,
            description=request.get("Description", ""),
            is_enabled=True,
            tags=tags,
            aliases=(),
            grants=0,
            materials=tuple(replace(one, is_here=one.is_here and not is_external) for one in at.key.materials),
            regions=replace(at.key.regions, here=name, replicas=(*at.key.regions.replicas, name)),
        )

        store = self._stores.named(at.region.account, name)
        try:
            await self._stores.use(store, lambda home: _put_replica(home, new, materials))
        except NotServed:
            raise UnsupportedOperationException(
                f"This server does not serve the region {name}, and replicas are kept by the same server"
            ) from None

        def changed(key: KmsKey) -> KmsKey:
            _check_primary(at, key)
            assert key.regions is not None
            others = tuple(one for one in key.regions.replicas if one != name)
            return replace(key, regions=replace(key.regions, replicas=(*others, name)))

        await change(at, changed)
        return {
            "ReplicaKeyMetadata": shown(new, name, at.region.account, at.now),
            "ReplicaPolicy": policy,
            "ReplicaTags": [{"TagKey": tag, "TagValue": value} for tag, value in sorted(tags.items())],
        }

    async def update_primary_region(self, at: KeyAt, request: Request) -> None:
        """Let a replica be the primary key."""
        name = request["PrimaryRegion"]

        def changed(key: KmsKey) -> KmsKey:
            _check_primary(at, key)
            check_enabled(key, at.arn, at.now)
            assert key.regions is not None
            if name not in key.regions.replicas:
                there = key_records.arn(name, at.region.account, key.id)
                raise UnsupportedOperationException(f"{there} is not a replica of {at.arn}.")
            others = tuple(one for one in key.regions.replicas if one != name)
            return replace(key, regions=replace(key.regions, primary=name, replicas=(*others, at.region.name)))

        await change(at, changed)

        async def follow(home: Region) -> None:
            key = await record(home, at.key.id)
            if key is not None:
                await refreshed(self._stores, home, key)

        await elsewhere(self._stores, at.region, name, follow, None)

    async def schedule_key_deletion(self, at: KeyAt, request: Request) -> Request:
        """As for any key; a primary key waits until its replicas are gone."""
        done = await key_operations.schedule_key_deletion(at, request)
        await self._let_primary_look(at)
        return done

    async def cancel_key_deletion(self, at: KeyAt, request: Request) -> Request:
        """As for any key."""
        done = await key_operations.cancel_key_deletion(at, request)
        await self._let_primary_look(at)
        return done

    async def _let_primary_look(self, at: KeyAt) -> None:
        """Let the primary key of a replica see when it will be gone."""
        regions = at.key.regions
        if regions is None:
            return

        async def look(home: Region) -> None:
            key = await record(home, at.key.id)
            if key is not None:
                await refreshed(self._stores, home, key, "DescribeKey")

        await elsewhere(self._stores, at.region, regions.primary, look, None)


async def _put_replica(home: Region, new: KmsKey, materials: Mapping[str, bytes]) -> None:
    """Keep a new replica, with its material by id, in the store of its region."""
    rows = [sealed_material.sealed(home, new.id, one, material) for one, material in materials.items()]

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        # A replica that the primary key does not know was left behind by a server that died: it is replaced.
        before = None if found[0] is None else unpacked(found[0])
        writes = Writes()
        put(before, new, writes)
        if before is None:
            writes.add(key_rows.COUNT, 1)
        for row in rows:
            writes.put(row.row, row.value)
        return writes, None

    await home.engine.mutate([key_rows.key_row(new.id)], decide)


def _check_primary(at: KeyAt, key: KmsKey) -> None:
    if key.regions is None:
        raise UnsupportedOperationException(f"{at.arn} is not a multi-region key.")
    check_primary(at, key)
