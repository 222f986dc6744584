"""Multi-region keys: one material in several regions of a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from jedlik.aws.context import Context, own
from jedlik.kms import due_keys, service
from jedlik.kms.errors import NotFoundException
from jedlik.regions.region import NotServed, Region
from jedlik.root_key import RootKey, new_key
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from testing import regions
from testing.identities import refusal
from testing.jedlik_process import Server
from testing.regions import SetClock

T = TypeVar("T")
HERE, THERE = "us-east-1", "eu-central-1"
DAY = 24 * 60 * 60.0


def arn(key: str, region: str) -> str:
    return f"arn:aws:kms:{region}:000000000000:key/{key}"


@pytest.fixture
def there(server: Server) -> Any:
    """A client of another region."""
    return server.client("kms", region=THERE)


@pytest.fixture
def pair(kms: Any) -> str:
    """The id of a new key with a replica in the other region."""
    key: str = kms.create_key(MultiRegion=True, Description="first")["KeyMetadata"]["KeyId"]
    kms.replicate_key(KeyId=key, ReplicaRegion=THERE)
    return key


def test_a_replica_is_made_and_described(kms: Any, there: Any) -> None:
    made = kms.create_key(MultiRegion=True, Description="first")["KeyMetadata"]
    key = made["KeyId"]
    assert key.startswith("mrk-")
    place = {"Arn": arn(key, HERE), "Region": HERE}
    assert made["MultiRegionConfiguration"] == {"MultiRegionKeyType": "PRIMARY", "PrimaryKey": place, "ReplicaKeys": []}
    done = kms.replicate_key(
        KeyId=key, ReplicaRegion=THERE, Description="second", Tags=[{"TagKey": "a", "TagValue": "b"}]
    )
    metadata = done["ReplicaKeyMetadata"]
    replica = {"Arn": arn(key, THERE), "Region": THERE}
    configuration = {"MultiRegionKeyType": "REPLICA", "PrimaryKey": place, "ReplicaKeys": [replica]}
    assert (metadata["Arn"], metadata["Description"]) == (arn(key, THERE), "second")
    assert metadata["MultiRegionConfiguration"] == configuration
    assert (done["ReplicaTags"], "Statement" in done["ReplicaPolicy"]) == ([{"TagKey": "a", "TagValue": "b"}], True)
    assert there.describe_key(KeyId=key)["KeyMetadata"] == metadata
    found = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert found["MultiRegionConfiguration"] == {**configuration, "MultiRegionKeyType": "PRIMARY"}
    again = (400, "AlreadyExistsException", f"Key {arn(key, THERE)} already exists")
    assert refusal(kms.replicate_key, KeyId=key, ReplicaRegion=THERE) == again


def test_what_one_region_encrypts_the_other_decrypts(kms: Any, there: Any, pair: str) -> None:
    for one, other, region in ((kms, there, THERE), (there, kms, HERE)):
        blob = one.encrypt(KeyId=pair, Plaintext=b"x", EncryptionContext={"a": "1"})["CiphertextBlob"]
        found = other.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "1"})
        assert (found["Plaintext"], found["KeyId"]) == (b"x", arn(pair, region))


def test_a_rotation_reaches_the_replica(kms: Any, there: Any, pair: str) -> None:
    kms.rotate_key_on_demand(KeyId=pair)
    kms.enable_key_rotation(KeyId=pair, RotationPeriodInDays=100)
    blob = kms.encrypt(KeyId=pair, Plaintext=b"new")["CiphertextBlob"]
    assert there.decrypt(CiphertextBlob=blob)["Plaintext"] == b"new"
    current = [one.describe_key(KeyId=pair)["KeyMetadata"]["CurrentKeyMaterialId"] for one in (kms, there)]
    assert current[0] == current[1]
    assert there.get_key_rotation_status(KeyId=pair)["RotationPeriodInDays"] == 100
    text = f"{arn(pair, THERE)} is a replica key: this is done to the primary key, in {HERE}."
    for call in (there.rotate_key_on_demand, there.enable_key_rotation, there.disable_key_rotation):
        assert refusal(call, KeyId=pair) == (400, "UnsupportedOperationException", text)
    assert refusal(there.replicate_key, KeyId=pair, ReplicaRegion="eu-west-1")[1] == "UnsupportedOperationException"


def test_a_key_is_disabled_in_one_region_alone(kms: Any, there: Any, pair: str) -> None:
    there.disable_key(KeyId=pair)
    assert refusal(there.encrypt, KeyId=pair, Plaintext=b"x")[1] == "DisabledException"
    kms.encrypt(KeyId=pair, Plaintext=b"x")


def test_another_region_becomes_the_primary_one(kms: Any, there: Any, pair: str) -> None:
    kms.enable_key_rotation(KeyId=pair)
    wrong = refusal(kms.update_primary_region, KeyId=pair, PrimaryRegion="eu-west-1")
    assert wrong[1:] == (
        "UnsupportedOperationException",
        f"{arn(pair, 'eu-west-1')} is not a replica of {arn(pair, HERE)}.",
    )
    kms.update_primary_region(KeyId=pair, PrimaryRegion=THERE)
    for client, kind in ((kms, "REPLICA"), (there, "PRIMARY")):
        found = client.describe_key(KeyId=pair)["KeyMetadata"]["MultiRegionConfiguration"]
        assert (found["MultiRegionKeyType"], found["PrimaryKey"]["Region"]) == (kind, THERE)
        assert [one["Region"] for one in found["ReplicaKeys"]] == [HERE]
    there.rotate_key_on_demand(KeyId=pair)
    blob = there.encrypt(KeyId=pair, Plaintext=b"new")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"new"
    assert refusal(kms.rotate_key_on_demand, KeyId=pair)[1] == "UnsupportedOperationException"


def test_keys_of_one_region_have_no_replicas(kms: Any, key: str) -> None:
    expected = (400, "UnsupportedOperationException", f"{arn(key, HERE)} is not a multi-region key.")
    assert refusal(kms.replicate_key, KeyId=key, ReplicaRegion=THERE) == expected
    assert refusal(kms.update_primary_region, KeyId=key, PrimaryRegion=THERE) == expected


class TwoRegions:
    """The stores of a process with two regions of one account."""

    def __init__(self) -> None:
        self.regions: dict[str, Region] = {}

    def named(self, account: str, region: str) -> str:
        return region

    async def use(self, name: str, work: Callable[[Region], Awaitable[T]]) -> T:
        if name not in self.regions:
            raise NotServed(name)
        return await work(self.regions[name])


Scenario = Callable[[Callable[..., Awaitable[Any]], TwoRegions, SetClock], Awaitable[None]]


def run(folder: Path, scenario: Scenario) -> None:
    """Run a scenario in two regions, with a clock that it sets."""

    async def main(region: Region, clock: SetClock) -> None:
        other = LmdbEngine.open(folder / "other", durable=False)
        stores = TwoRegions()
        stores.regions = {HERE: region, THERE: Region(THERE, region.account, other, clock, b"t" * 32)}
        root = RootKey(new_key())
        for one in stores.regions.values():
            one.root_key = root
        operations = service.declared(stores).operations

        async def call(where: str, operation: str, **request: Any) -> Any:
            at = stores.regions[where]
            return await operations[operation].handler(Context(at, "test", own(at)), request)

        try:
            await scenario(call, stores, clock)
        finally:
            await other.close()

    regions.run(folder / "one", main)


async def do_all(stores: TwoRegions) -> None:
    for region in stores.regions.values():
        while await due_keys.run(region):
            pass


def test_a_primary_key_is_deleted_after_its_replicas(tmp_path: Path) -> None:
    async def scenario(call: Callable[..., Awaitable[Any]], stores: TwoRegions, clock: SetClock) -> None:
        key = (await call(HERE, "CreateKey", MultiRegion=True))["KeyMetadata"]["KeyId"]
        await call(HERE, "ReplicateKey", KeyId=key, ReplicaRegion=THERE)
        start = clock.now

        async def seen() -> tuple[str, float | None, int | None]:
            found = (await call(HERE, "DescribeKey", KeyId=key))["KeyMetadata"]
            return found["KeyState"], found.get("DeletionDate"), found.get("PendingDeletionWindowInDays")

        done = await call(HERE, "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=7)
        assert (done["KeyState"], "DeletionDate" in done) == ("PendingReplicaDeletion", False)
        assert await seen() == ("PendingReplicaDeletion", None, 7)
        await call(THERE, "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=10)
        assert await seen() == ("PendingReplicaDeletion", None, 7)
        await call(THERE, "CancelKeyDeletion", KeyId=key)
        clock.now += 100 * DAY
        await do_all(stores)
        assert await seen() == ("PendingReplicaDeletion", None, 7)
        await call(THERE, "ScheduleKeyDeletion", KeyId=key, PendingWindowInDays=10)
        clock.now = start + 110 * DAY + 1
        await do_all(stores)
        with pytest.raises(NotFoundException):
            await call(THERE, "DescribeKey", KeyId=key)
        assert await seen() == ("PendingDeletion", start + 117 * DAY, None)
        clock.now = start + 117 * DAY + 1
        await do_all(stores)
        with pytest.raises(NotFoundException):
            await call(HERE, "DescribeKey", KeyId=key)

    run(tmp_path, scenario)


def test_an_automatic_rotation_is_made_once_in_the_primary_region(tmp_path: Path) -> None:
    async def scenario(call: Callable[..., Awaitable[Any]], stores: TwoRegions, clock: SetClock) -> None:
        key = (await call(HERE, "CreateKey", MultiRegion=True))["KeyMetadata"]["KeyId"]
        await call(HERE, "EnableKeyRotation", KeyId=key)
        await call(HERE, "ReplicateKey", KeyId=key, ReplicaRegion=THERE)
        for number, primary in ((1, HERE), (2, THERE)):
            clock.now += 366 * DAY
            await do_all(stores)
            blob = (await call(primary, "Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
            for where in (HERE, THERE):
                assert (await call(where, "Decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"
                assert len((await call(where, "ListKeyRotations", KeyId=key))["Rotations"]) == number
            if primary == HERE:
                await call(HERE, "UpdatePrimaryRegion", KeyId=key, PrimaryRegion=THERE)

    run(tmp_path, scenario)


def test_a_region_of_another_server_gets_no_replica(tmp_path: Path) -> None:
    async def scenario(call: Callable[..., Awaitable[Any]], stores: TwoRegions, clock: SetClock) -> None:
        key = (await call(HERE, "CreateKey", MultiRegion=True))["KeyMetadata"]["KeyId"]
        with pytest.raises(Exception, match="does not serve the region eu-west-1"):
            await call(HERE, "ReplicateKey", KeyId=key, ReplicaRegion="eu-west-1")
        found = (await call(HERE, "DescribeKey", KeyId=key))["KeyMetadata"]
        assert found["MultiRegionConfiguration"]["ReplicaKeys"] == []

    run(tmp_path, scenario)


def test_a_replica_goes_on_without_its_primary_region(tmp_path: Path) -> None:
    async def scenario(call: Callable[..., Awaitable[Any]], stores: TwoRegions, clock: SetClock) -> None:
        key = (await call(HERE, "CreateKey", MultiRegion=True))["KeyMetadata"]["KeyId"]
        await call(HERE, "ReplicateKey", KeyId=key, ReplicaRegion=THERE)
        del stores.regions[HERE]
        blob = (await call(THERE, "Encrypt", KeyId=key, Plaintext=b"x"))["CiphertextBlob"]
        assert (await call(THERE, "Decrypt", CiphertextBlob=blob))["Plaintext"] == b"x"

    run(tmp_path, scenario)
