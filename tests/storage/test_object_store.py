"""Object stores: whole objects in a folder or a bucket, and nothing outside."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from jedlik.buckets import Bucket
from jedlik.config import Settings
from jedlik.regions import object_places
from jedlik.storage import object_store
from jedlik.storage.object_store import ObjectMissing, ObjectStore, ObjectStoreError
from testing.jedlik_process import run_jedlik


def run(folder: Path, scenario: Callable[[ObjectStore], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(ObjectStore(folder.as_uri(), {}))

    asyncio.run(main())


def test_objects_are_stored_listed_and_removed(tmp_path: Path) -> None:
    async def scenario(store: ObjectStore) -> None:
        await store.put("a/b/one", b"1")
        await store.put("a/two", b"")
        await store.put("a/two", b"22")
        assert await store.get("a/two") == b"22"
        assert b"".join([chunk async for chunk in store.chunks("a/two")]) == b"22"
        assert sorted([found async for found in store.list("a")]) == [("a/b/one", 1), ("a/two", 2)]
        assert [found.name async for found in store.list("a/b")] == ["a/b/one"]
        assert [found async for found in store.list("missing")] == []
        await store.delete(["a/two", "missing"])
        with pytest.raises(ObjectMissing):
            await store.get("a/two")
        with pytest.raises(ObjectMissing):
            [chunk async for chunk in store.chunks("a/two")]
        assert [found.name async for found in store.list("")] == ["a/b/one"]

    run(tmp_path / "objects", scenario)


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/out", "a//b", ".", "", "a\nb", "\0"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    async def scenario(store: ObjectStore) -> None:
        for use in (store.put(name, b"1"), store.get(name), store.delete([name])):
            with pytest.raises(ObjectStoreError):
                await use

    run(tmp_path / "objects", scenario)
    assert not (tmp_path / "out").exists()


def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / "link").symlink_to(tmp_path / "outside")

    async def scenario(store: ObjectStore) -> None:
        for use in (store.put("link/new", b"1"), store.get("link/secret")):
            with pytest.raises(ObjectStoreError, match="leads out of the folder"):
                await use

    run(tmp_path / "objects", scenario)


@pytest.mark.parametrize(
    ("url", "options", "reason"),
    [
        ("ftp://host/folder", {}, "is not a URL that begins with"),
        ("file://host/folder", {}, "must be like file:///folder"),
        ("s3://", {"access_key_id": "a"}, "must be like s3://bucket/folder"),
        ("s3://bucket", {"region": "eu-west-1"}, "credentials are needed"),
        ("gs://bucket", {}, "credentials are needed"),
    ],
)
def test_what_cannot_be_a_store_is_refused(url: str, options: dict[str, str], reason: str) -> None:
    with pytest.raises(ObjectStoreError, match=reason):
        ObjectStore(url, options)


def test_nothing_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "theirs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1/")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1/")
    with object_store._hidden_environment():
        assert not [name for name in os.environ if name.lower().startswith(object_store.PARTS)]
    assert os.environ["AWS_ACCESS_KEY_ID"] == "theirs"


def test_buckets_are_found_by_their_names(tmp_path: Path) -> None:
    buckets = {"mine": Bucket(f"{tmp_path.as_uri()}/a"), "*": Bucket(f"{tmp_path.as_uri()}/others")}
    places = object_places.of_settings(Settings(backups="bucket://mine/kept", buckets=buckets))
    assert places.backups.url == f"{tmp_path.as_uri()}/a/kept"
    assert places.bucket("mine").url == f"{tmp_path.as_uri()}/a"
    assert places.bucket("other").url == f"{tmp_path.as_uri()}/others/other"
    del buckets["*"]
    with pytest.raises(object_places.NoBucket):
        object_places.of_settings(Settings(buckets=buckets)).bucket("other")


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ('backups = "bucket://mine"', "there is no bucket 'mine' in the settings"),
        ("buckets = 5", "buckets must be tables"),
        ("[buckets.mine]\nfolder = 5", "buckets.mine must have the string url"),
        ('[buckets.mine]\nurl = "s3://bucket"', "credentials are needed"),
        (
            '[buckets.mine]\nurl = "s3://bucket"\naccess_key_id = "a"',
            "holds a secret and must be readable by its owner",
        ),
    ],
)
def test_settings_that_cannot_be_used_are_refused(tmp_path: Path, written: str, reason: str) -> None:
    settings = tmp_path / "jedlik.toml"
    settings.write_text(written)
    settings.chmod(0o644)
    done = run_jedlik("serve", "--config", str(settings), "--port", "0", "--data-dir", str(tmp_path / "data"))
    assert done.returncode == 2
    assert reason in done.stderr
