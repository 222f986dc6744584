"""Transfer sources: what `jedlik import` reads, by its name.

A file, an object of a bucket (bucket://NAME/KEY), or what a web server has (http:// or https://). A name that ends with
.csv or .ion is read as such, and with .gz or .zst behind it as compressed; anything else is DynamoDB JSON. The first
line of CSV names the attributes; values are strings, but for those of keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from jedlik.storage.object_store import ObjectStoreError

if TYPE_CHECKING:
    from jedlik.dynamodb.backups.import_sources import Chunked, Line

WEB = ("http://", "https://")
CHUNK_BYTES = 1 << 20
TIMEOUT_SECONDS = 60.0
_COMPRESSIONS = {"gz": "GZIP", "zst": "ZSTD"}


class Form(NamedTuple):
    """How a source is read."""

    format: str
    compression: str


def form_of(name: str) -> Form:
    """How a source of a name is read."""
    path = urlsplit(name).path if name.startswith(WEB) else name
    *_, last = path.rpartition("/")
    endings = last.lower().split(".")[1:]
    compression = _COMPRESSIONS.get(endings[-1], "NONE") if endings else "NONE"
    kind = "".join(endings[-1:] if compression == "NONE" else endings[-2:-1])
    return Form({"csv": "CSV", "ion": "ION"}.get(kind, "DYNAMODB_JSON"), compression)


class WebObject:
    """What a web server has at a URL, as it comes."""

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


def lines(store: Chunked, name: str, form: Form) -> AsyncIterator[Line]:
    """The records of a source. Raises ObjectStoreError."""
    from jedlik.dynamodb.backups import import_sources, ion_records

    if form.format == "ION":
        return ion_records.records(store, name, form.compression)
    return import_sources.lines(store, name, form.compression)


class Parser:
    """Makes items of records. `types` are those of the keys of the table and its indexes, by attribute."""

    def __init__(self, form: Form, types: Mapping[str, str]) -> None:
        from jedlik.dynamodb.backups import import_sources, ion_records

        self._parse: Callable[[Line], dict[str, Any]] | None = None
        self._types = types
        self._sources = import_sources
        if form.format != "CSV":
            self._parse = ion_records.record if form.format == "ION" else import_sources.json_record

    def takes(self, line: Line) -> bool:
        """Whether a line is the first of CSV, which is no record."""
        if self._parse is not None or line.problem is not None:
            return False
        try:
            header = self._sources.csv_values(line.content, ",")
        except self._sources.Malformed:
            return False
        self._parse = self._sources.csv_record(header, ",", self._types)
        return True

    def item(self, line: Line) -> dict[str, Any]:
        """The item in a record. Raises Malformed."""
        if line.problem is not None or self._parse is None:
            raise self._sources.Malformed(line.problem or "there is no header")
        found: dict[str, Any] = self._parse(line)["Item"]
        return found
