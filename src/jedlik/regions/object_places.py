"""Object places: where backups are kept, and the buckets that requests may name, as the settings have them.

A region knows them as it knows its peers. Nothing is opened here before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from jedlik.buckets import Bucket
from jedlik.config import Settings
from jedlik.storage.object_store import ObjectStore, ObjectStoreError

OPEN_BUCKETS = 100
"""Clients of buckets that a process keeps."""
ANY = "*"
"""The bucket that stands for all that have no name in the settings."""
BUCKET_SCHEME = "bucket://"
"""What the place of backups begins with, where it is in a bucket of the settings."""


class NoBucket(Exception):
    """The settings have no bucket of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no bucket {name!r} in the settings: [buckets.{name}]")


class BucketOfOther(Exception):
    """The bucket belongs to another account than the one that a request expects."""


class ObjectPlaces:
    """The object stores of a server."""

    def __init__(self, backups: ObjectStore, buckets: Mapping[str, Bucket]) -> None:
        self.backups = backups
        """Where backups are kept, and what is archived for recovery to a point in time."""
        self._buckets = buckets
        self._open: dict[tuple[str, ...], ObjectStore] = {}

    def bucket(self, name: str) -> ObjectStore:
        """The bucket that requests call `name`. Raises NoBucket."""
        return self.bucket_with(name, {})

    def bucket_with(self, name: str, options: Mapping[str, Any]) -> ObjectStore:
        """The same with further options of its client. Raises NoBucket and ObjectStoreError."""
        key = (name, *(text for option in sorted(options.items()) for text in option))
        found = self._open.get(key)
        if found is None:
            found = bucket_store(name, "", self._buckets, options)
            while len(self._open) >= OPEN_BUCKETS:
                self._open.pop(next(iter(self._open)))
            self._open[key] = found
        return found

    def encrypts(self, name: str) -> bool:
        """Whether the objects of a bucket can be encrypted as a request wants it; True if there is no such bucket."""
        bucket = self._configured(name)
        return bucket is None or bucket.url.startswith("s3://")

    def check_owner(self, name: str, account: str, expected: str) -> None:
        """Whether a bucket belongs to the account that a request expects. One without an owner in the settings belongs
        to every account that asks. Raises BucketOfOther."""
        bucket = self._configured(name)
        owner = account if bucket is None or bucket.owner is None else bucket.owner
        if owner != expected:
            raise BucketOfOther(f"the bucket {name!r} does not belong to the account {expected}")

    def _configured(self, name: str) -> Bucket | None:
        return self._buckets.get(name, self._buckets.get(ANY))


def of_settings(settings: Settings) -> ObjectPlaces:
    """The places that settings name. Raises ObjectStoreError and NoBucket."""
    return ObjectPlaces(backups_of(settings), settings.buckets)


def check(settings: Settings) -> None:
    """Whether backups and buckets can be where the settings have them. Raises ObjectStoreError and NoBucket."""
    backups_of(settings)
    for bucket in settings.buckets.values():
        ObjectStore(bucket.url, bucket.options)


def backups_of(settings: Settings) -> ObjectStore:
    """Where the settings keep backups. Raises ObjectStoreError and NoBucket."""
    place = settings.backups
    if place is None:
        return ObjectStore((settings.data_dir / "backups").absolute().as_uri(), {})
    if place.startswith(BUCKET_SCHEME):
        name, _, folder = place.removeprefix(BUCKET_SCHEME).partition("/")
        return bucket_store(name, folder, settings.buckets)
    if "://" in place:
        raise ObjectStoreError(
            f"backups must be a folder, or bucket://NAME/FOLDER with a table [buckets.NAME] in the configuration file, "
            f"not {place!r}"
        )
    path = settings.backups_folder.absolute()
    if path.exists() and not path.is_dir():
        raise ObjectStoreError(f"backups: {path} is not a folder")
    return ObjectStore(path.as_uri(), {})


def bucket_store(
    name: str, folder: str, buckets: Mapping[str, Bucket], more: Mapping[str, Any] = MappingProxyType({})
) -> ObjectStore:
    """A folder of a bucket; "" is all of it. `more` are further options. Raises ObjectStoreError and NoBucket."""
    bucket = buckets.get(name)
    if bucket is None:
        bucket = buckets.get(ANY)
        if bucket is None:
            raise NoBucket(name)
        folder = f"{name}/{folder}" if folder else name
    url = bucket.url if not folder else f"{bucket.url.rstrip('/')}/{folder.strip('/')}"
    return ObjectStore(url, {**bucket.options, **more})
