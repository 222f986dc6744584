"""Object places: where backups are kept, and the buckets that requests may name, as the settings have them.

A region knows them as it knows its peers. Nothing is opened here before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jedlik.buckets import Bucket
from jedlik.config import Settings
from jedlik.storage.object_store import ObjectStore

ANY = "*"
"""The bucket that stands for all that have no name in the settings."""
BUCKET_SCHEME = "bucket://"
"""What the place of backups begins with, where it is in a bucket of the settings."""


class NoBucket(Exception):
    """The settings have no bucket of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no bucket {name!r} in the settings: [buckets.{name}]")


class ObjectPlaces:
    """The object stores of a server."""

    def __init__(self, backups: ObjectStore, buckets: Mapping[str, Bucket]) -> None:
        self.backups = backups
        """Where backups are kept, and what is archived for recovery to a point in time."""
        self._buckets = buckets
        self._open: dict[str, ObjectStore] = {}

    def bucket(self, name: str) -> ObjectStore:
        """The bucket that requests call `name`. Raises NoBucket."""
        found = self._open.get(name)
        if found is None:
            found = self._open[name] = bucket_store(name, "", self._buckets)
        return found


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
    return ObjectStore(settings.backups_folder.absolute().as_uri(), {})


def bucket_store(name: str, folder: str, buckets: Mapping[str, Bucket]) -> ObjectStore:
    """A folder of a bucket; "" is all of it. Raises ObjectStoreError and NoBucket."""
    bucket = buckets.get(name)
    if bucket is None:
        bucket = buckets.get(ANY)
        if bucket is None:
            raise NoBucket(name)
        folder = f"{name}/{folder}" if folder else name
    url = bucket.url if not folder else f"{bucket.url.rstrip('/')}/{folder.strip('/')}"
    options: Mapping[str, Any] = bucket.options
    return ObjectStore(url, options)
