"""An object store: named byte strings in a folder or in a bucket, reached through obstore.

Backups, exports and imports are kept here. The names of objects are relative paths, and none leads out of the store's
folder. An object is whole or it is not there, and it is durable when `put` returns.

Nothing is taken from the environment, because a server must not reach another account because of a variable that was
meant for another program. So the environment is hidden while a store is made, and a bucket without credentials in the
settings is refused: the client would look for some in the network.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from jedlik.owner_files import sync_place

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Remote

FILE = "file"
SCHEMES = ("s3", "gs", "az", FILE)
CREDENTIALS = {
    "s3": {"access_key_id", "skip_signature"},
    "gs": {"service_account", "service_account_key", "skip_signature"},
    "az": {"account_key", "sas_key", "skip_signature"},
    FILE: set[str](),
}
"""The options of which a bucket must have one, by scheme."""
PARTS = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "aws_", "azure_", "google_", "identity_", "msi_")
"""The beginnings of the names of environment variables that are hidden, in small letters."""
TIMEOUT = "60s"
"""For one request."""
CONNECT_TIMEOUT = "10s"
RETRIES = 3
DELETED_AT_ONCE = 500
NO_BUCKET = "NoSuchBucket"
"""The code of S3's error."""
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
"""Characters that no name has."""
_S3_CODE = re.compile("<Code>([A-Za-z0-9]+)</Code>")
_S3_MESSAGE = re.compile("<Message>([^<]+)</Message>")
CHUNK_BYTES = 1 << 20
"""Bytes of an object that are read at once."""


class ObjectStoreError(Exception):
    """An object store could not do its work. The message names the store and the reason."""

    def __init__(self, message: str, url: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.url = url
        """The store's."""
        self.code = code
        """The code of S3's error, like NoSuchBucket, if it has answered with one."""


class ObjectMissing(ObjectStoreError):
    """There is no object of this name."""


class Found(NamedTuple):
    """An object that is there."""

    name: str
    size: int
    """Bytes."""


class ObjectStore:
    """The objects under a URL: `file:///folder`, `s3://bucket/folder`, `gs://bucket/folder` or `az://container/folder`.

    `options` are those of obstore for the scheme: endpoint, region, credentials. Raises ObjectStoreError for a URL or
    options that cannot be used; no other method is called then.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self.url = url
        self._root: Path | None = None
        """The folder, where it is one."""
        parts = urlsplit(url)
        check(url, options)
        if parts.scheme == FILE:
            self._root = Path(unquote(parts.path))
        self._options = dict(options)
        self._made: Remote | None = None

    def __repr__(self) -> str:
        return f"ObjectStore({self.url!r})"

    async def put(self, name: str, content: bytes) -> None:
        """Store an object in place of what has its name. It is durable when this returns."""
        import obstore

        _check_name(name)
        store = self._store()
        if self._root is not None:
            await asyncio.to_thread(self._check_inside, name)
        try:
            await obstore.put_async(store, name, content)
            if self._root is not None:
                await asyncio.to_thread(_sync, self._root, name)
        except (obstore.exceptions.BaseError, OSError) as error:
            raise self._failed(f"cannot write {name}", error) from error

    async def put_file(self, name: str, file: Path) -> None:
        """Store the content of a file, in several parts where it is large."""
        import obstore

        _check_name(name)
        store = self._store()
        if self._root is not None:
            await asyncio.to_thread(self._check_inside, name)
        try:
            await obstore.put_async(store, name, file)
            if self._root is not None:
                await asyncio.to_thread(_sync, self._root, name)
        except (obstore.exceptions.BaseError, OSError) as error:
            raise self._failed(f"cannot write {name}", error) from error

    async def get(self, name: str) -> bytes:
        """An object, whole. Raises ObjectMissing."""
        import obstore

        _check_name(name)
        store = self._store()
        if self._root is not None:
            await asyncio.to_thread(self._check_inside, name)
        try:
            answer = await obstore.get_async(store, name)
            return bytes(await answer.bytes_async())
        except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
            raise self._missing(name, error) from error
        except (obstore.exceptions.BaseError, OSError) as error:
            raise self._failed(f"cannot read {name}", error) from error

    async def chunks(self, name: str) -> AsyncIterator[bytes]:
        """An object, in parts of some megabytes. Raises ObjectMissing."""
        import obstore

        _check_name(name)
        store = self._store()
        if self._root is not None:
            await asyncio.to_thread(self._check_inside, name)
        try:
            answer = await obstore.get_async(store, name)
            async for chunk in answer.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(chunk)
        except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
            raise self._missing(name, error) from error
        except (obstore.exceptions.BaseError, OSError) as error:
            raise self._failed(f"cannot read {name}", error) from error

    async def list(self, folder: str) -> AsyncIterator[Found]:
        """The objects in a folder and in the folders under it, in no order; "" is everything."""
        import obstore

        if folder:
            _check_name(folder)
        if self._root is not None and not (self._root / folder).exists():
            return  # Without a client, which would make the folder and begin threads.
        store = self._store()
        try:
            async for page in obstore.list(store, folder or None):
                for found in page:
                    yield Found(found["path"], found["size"])
        except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
            if _code(error) == NO_BUCKET:
                raise self._missing(folder, error) from error
        except (obstore.exceptions.BaseError, OSError) as error:
            raise self._failed(f"cannot list {folder or 'all'}", error) from error

    async def delete(self, names: Sequence[str]) -> None:
        """Remove objects. One that is not there is fine. They do not come back after a power cut."""
        import obstore

        store = self._store()
        for name in names:
            _check_name(name)
        for first in range(0, len(names), DELETED_AT_ONCE):
            part = list(names[first : first + DELETED_AT_ONCE])
            try:
                await obstore.delete_async(store, part)
            except (FileNotFoundError, obstore.exceptions.NotFoundError):
                if len(part) > 1:
                    for name in part:
                        await self.delete([name])
            except (obstore.exceptions.BaseError, OSError) as error:
                raise self._failed("cannot delete", error) from error
            if self._root is not None:
                try:
                    await asyncio.to_thread(_sync_removal, self._root, part)
                except OSError as error:
                    raise self._failed("cannot delete", error) from error

    def _store(self) -> Remote:
        """The client, made when it is first needed: its threads must not be started before a worker is forked."""
        if self._made is None:
            from obstore.store import LocalStore, from_url

            try:
                if self._root is not None:
                    self._made = LocalStore(self._root, mkdir=True, automatic_cleanup=True)
                else:
                    with _hidden_environment():
                        self._made = from_url(
                            self.url,
                            config=self._options,  # type: ignore[call-overload]  # Which keys, the scheme decides.
                            client_options={
                                "timeout": TIMEOUT,
                                "connect_timeout": CONNECT_TIMEOUT,
                                "allow_http": str(self._options.get("endpoint", "")).startswith("http://"),
                            },
                            retry_config={"max_retries": RETRIES},
                        )
            except Exception as error:  # obstore raises its own errors, OSError and ValueError here.
                raise self._failed("cannot be used", error) from error
        return self._made

    def _check_inside(self, name: str) -> None:
        """Refuse a name that a link leads out of the folder."""
        assert self._root is not None
        root = os.path.realpath(self._root)
        if not os.path.realpath(os.path.join(root, name)).startswith(root.rstrip("/") + "/"):
            raise ObjectStoreError(f"{self.url}: {name} leads out of the folder")

    def _missing(self, name: str, error: Exception) -> ObjectStoreError:
        if _code(error) == NO_BUCKET:
            return ObjectStoreError(f"{self.url}: there is no such bucket", self.url, NO_BUCKET)
        return ObjectMissing(f"{self.url}: there is no {name}", self.url)

    def _failed(self, what: str, error: Exception) -> ObjectStoreError:
        code = _code(error)
        if code == NO_BUCKET:
            return self._missing("", error)
        reason = str(error).partition("\n")[0].partition(": <")[0]
        if code is not None:
            message = _S3_MESSAGE.search(str(error))
            reason = f"{code}: {message[1]}" if message is not None else code
        return ObjectStoreError(f"{self.url}: {what}: {reason}", self.url, code)


def _code(error: Exception) -> str | None:
    """The code of S3's error."""
    found = _S3_CODE.search(str(error))
    return None if found is None else found[1]


def check(url: str, options: Mapping[str, Any]) -> None:
    """Whether a URL and its options can be those of an object store. Raises ObjectStoreError."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ObjectStoreError(f"{url!r} is not a URL that begins with {', '.join(SCHEMES[:-1])} or {SCHEMES[-1]}://")
    if parts.scheme == FILE:
        if parts.netloc or not parts.path.startswith("/") or options:
            raise ObjectStoreError(f"{url!r} must be like file:///folder, without options")
        return
    if not parts.netloc or parts.query or parts.fragment or parts.username:
        raise ObjectStoreError(f"{url!r} must be like {parts.scheme}://bucket/folder")
    wanted = CREDENTIALS[parts.scheme]
    if not wanted & options.keys():
        raise ObjectStoreError(f"{url}: credentials are needed: one of {', '.join(sorted(wanted))}")


def _check_name(name: str) -> None:
    if any(part in ("", ".", "..") for part in name.split("/")) or CONTROL.search(name):
        raise ObjectStoreError(f"{name!r} cannot be the name of an object")


def _sync(root: Path, name: str) -> None:
    """Make a file and all folders that lead to it durable: a power cut must leave it whole or not at all."""
    path = root / name
    for place in (path, *_folders(root, path)):
        sync_place(place)


def _sync_removal(root: Path, names: Sequence[str]) -> None:
    """Make the removal of files durable. A folder that is empty has been removed, too."""
    removed_from = {next((place for place in _folders(root, root / name) if place.is_dir()), root) for name in names}
    for place in removed_from:
        with suppress(FileNotFoundError):  # Another worker has removed it, and syncs the folder above it.
            sync_place(place)


def _folders(root: Path, path: Path) -> Iterator[Path]:
    """The folders that lead to a file, the nearest first."""
    return (folder for folder in path.parents if folder == root or root in folder.parents)


@contextmanager
def _hidden_environment() -> Iterator[None]:
    """Hide the variables that obstore would read."""
    hidden = {name: value for name, value in os.environ.items() if name.lower().startswith(PARTS)}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)
