"""Transfer places: where `jedlik import` reads and `jedlik export` writes, by name.

A file, also as file:///FOLDER/FILE; an object of a bucket of the settings (bucket://NAME/KEY); an object by its URL
(s3://BUCKET/KEY, gs:// or az://); or what a web server has or takes (http:// or https://). A bucket of the settings
whose URL such an object's begins with gives endpoint and credentials; the nearest one wins. Nothing is taken from the
environment, as in the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from jedlik.buckets import Bucket
from jedlik.cli.program import Refusal
from jedlik.storage.object_store import FILE, SCHEMES, ObjectStore, ObjectStoreError

if TYPE_CHECKING:
    pass

BUCKET = "bucket://"
WEB = ("http://", "https://")
REMOTE = tuple(f"{scheme}://" for scheme in SCHEMES if scheme != FILE)
CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = 60.0


class _Store(Protocol):
    async def put_file(self, name: str, file: Path) -> None:
        """Store the content of a file. Raises ObjectStoreError."""
        ...

    def chunks(self, name: str) -> AsyncIterator[bytes]:
        """An object, in parts. Raises ObjectStoreError."""
        ...


class Settings(NamedTuple):
    """What leads to object stores."""

    buckets: Mapping[str, Bucket]
    options: Mapping[str, Any]
    """Further options of the client: --store-option."""


def local_path(name: str) -> Path | None:
    """The path of what is a file; None for what is elsewhere. Raises Refusal."""
    if name.startswith((BUCKET, *WEB, *REMOTE)):
        return None
    if not name.startswith(f"{FILE}://"):
        return Path(name)
    parts = urlsplit(name)
    if parts.netloc or not parts.path.startswith("/"):
        raise Refusal(f"{name!r} must be like file:///folder/file")
    return Path(unquote(parts.path))


@contextmanager
def files() -> Iterator[None]:
    """Raise Refusal where a file cannot be read or written."""
    try:
        yield
    except OSError as error:
        raise Refusal(str(error)) from error


def of(name: str, settings: Settings) -> tuple[_Store, str]:
    """The store of a place, and the object's name in it. Raises Refusal."""
    from jedlik.regions import object_places

    if settings.options and not name.startswith((BUCKET, *REMOTE)):
        raise Refusal(f"--store-option is for buckets, and {name} is in none")
    try:
        if name.startswith(WEB):
            return WebObject(name), ""
        path = local_path(name)
        if path is not None:
            path = path.absolute()
            return ObjectStore(path.parent.as_uri(), {}), path.name
        if name.startswith(BUCKET):
            bucket, _, key = name.removeprefix(BUCKET).partition("/")
            return object_places.bucket_store(bucket, "", settings.buckets, settings.options), key
        return _by_url(name, settings)
    except (ObjectStoreError, object_places.NoBucket) as error:
        raise Refusal(str(error)) from error


def _by_url(url: str, settings: Settings) -> tuple[_Store, str]:
    """The same of an object's URL. Raises Refusal and ObjectStoreError."""
    inside = [one for one in settings.buckets.values() if url.startswith(one.url.rstrip("/") + "/")]
    if inside:
        bucket = max(inside, key=lambda one: len(one.url))
        root, options = bucket.url.rstrip("/"), {**bucket.options, **settings.options}
    else:
        parts = urlsplit(url)
        root, options = f"{parts.scheme}://{parts.netloc}", dict(settings.options)
    key = url.removeprefix(root).lstrip("/")
    if not key or key.endswith("/"):
        raise Refusal(f"{url!r} names no object: {root}/KEY")
    try:
        return ObjectStore(root, options), key
    except ObjectStoreError as error:
        raise Refusal(
            f"{error}, in [buckets.NAME] of the settings with url = {root!r}, or as --store-option"
        ) from error


class WebObject:
    """What a web server has at a URL, as it comes; or what it takes there with PUT."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def chunks(self, name: str) -> AsyncIterator[bytes]:
        """The content, in parts. Raises ObjectStoreError."""
        try:
            answer = await asyncio.to_thread(urlopen, Request(self._url), timeout=TIMEOUT_SECONDS)
            with answer:
                length, got = answer.headers.get("Content-Length"), 0
                while chunk := await asyncio.to_thread(answer.read, CHUNK_BYTES):
                    got += len(chunk)
                    yield chunk
        except (OSError, ValueError) as error:
            raise ObjectStoreError(f"{self._url}: {error}") from error
        if length is not None and got < int(length):
            raise ObjectStoreError(f"{self._url}: the answer ended after {got} of {length} bytes: start it again")

    async def put_file(self, name: str, file: Path) -> None:
        """Send the content of a file with PUT, as a presigned URL wants it. Raises ObjectStoreError."""
        await asyncio.to_thread(self._put, file)

    def _put(self, file: Path) -> None:
        headers = {"Content-Length": str(file.stat().st_size), "Content-Type": "application/octet-stream"}
        try:
            with (
                file.open("rb") as content,
                urlopen(Request(self._url, content, headers, method="PUT"), timeout=TIMEOUT_SECONDS) as answer,
            ):
                answer.read(CHUNK_BYTES)
        except HTTPError as error:
            with error:
                raise ObjectStoreError(f"{self._url}: {error}") from error
        except (OSError, ValueError) as error:
            raise ObjectStoreError(f"{self._url}: {error}") from error
