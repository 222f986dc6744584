"""Import sources: the records in the objects of an import, decompressed and parsed as they come.

An object is never in memory as a whole. A record that cannot be read is an error of its own; where an object cannot be
decompressed, or has a line without an end, the rest of it is one.

Source: "DynamoDB import formats" in the developer guide: a line of DYNAMODB_JSON is {"Item": {...}}; the values of CSV
are strings, but for those of keys, which have the types of the keys. An empty value is an empty string, and so an error
where it is a key.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

import orjson
import zstandard

from jedlik.aws.errors import ServiceError
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.model.tables import Table

LONGEST_LINE = 8 * MIB
"""Bytes. An item has 400 KB, and its JSON a few times as much."""
_GZIP = 31
"""What zlib calls a gzip header."""


class Malformed(Exception):
    """A record, or the rest of an object, cannot be read. The message has the reason."""


class Line(NamedTuple):
    """A record of an object."""

    number: int
    """The number of the line, from 1 on."""
    content: bytes
    problem: str | None = None
    """Why it cannot be read, nor what stands behind it."""
    parsed: Any = None
    """The record of an object in Ion (`ion_records`)."""
    length: int | None = None
    """Bytes of such a record, as far as they are known."""

    @property
    def size(self) -> int:
        """Bytes of the object that the record takes."""
        return len(self.content) + 1 if self.length is None else self.length


class _Decompressor(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


def _decompressor(compression: str) -> _Decompressor | None:
    if compression == "GZIP":
        return _Members(lambda: zlib.decompressobj(_GZIP))
    if compression == "ZSTD":
        return _Members(lambda: zstandard.ZstdDecompressor().decompressobj())
    return None


class _Members:
    """Decompresses what consists of several parts, each compressed by itself."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._current = make()

    def decompress(self, data: bytes, /) -> bytes:
        found = b""
        while data:
            if self._current.eof:
                self._current = self._make()
            found += self._current.decompress(data)
            data = self._current.unused_data if self._current.eof else b""
        return found


class Chunked(Protocol):
    """Where objects come from, in parts."""

    def chunks(self, name: str) -> AsyncIterator[bytes]:
        """An object, in parts. Raises ObjectStoreError."""
        ...


class _Undecompressed(Exception):
    """An object is not compressed as the request states. The message has the reason."""


async def decompressed(store: Chunked, name: str, compression: str) -> AsyncIterator[bytes]:
    """The content of an object, in parts. Raises ObjectStoreError, and an exception if it is compressed otherwise."""
    decompressor = _decompressor(compression)
    async for chunk in store.chunks(name):
        try:
            yield chunk if decompressor is None else decompressor.decompress(chunk)
        except (zlib.error, zstandard.ZstdError) as error:
            raise _Undecompressed(f"it is not {compression}: {error}") from error


async def lines(store: Chunked, name: str, compression: str) -> AsyncIterator[Line]:
    """The lines of an object that are not empty. Raises ObjectStoreError."""
    rest, number = b"", 0
    try:
        async for chunk in decompressed(store, name, compression):
            rest += chunk
            *whole, rest = rest.split(b"\n")
            for line in whole:
                number += 1
                if line.strip():
                    yield Line(number, line)
            if len(rest) > LONGEST_LINE:
                yield Line(number + 1, b"", f"a line is longer than {LONGEST_LINE} bytes")
                return
    except _Undecompressed as error:
        yield Line(number + 1, b"", str(error))
        return
    if rest.strip():
        yield Line(number + 1, rest)


Parse = Callable[[Line], dict[str, Any]]
"""Makes a record of a line: its Item, in the form of a request, and what stands beside it. Raises Malformed."""


def json_record(line: Line) -> dict[str, Any]:
    """The record in a line of DYNAMODB_JSON. Raises Malformed."""
    try:
        record = orjson.loads(line.content)
        item = record["Item"]
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed('it is not JSON of the form {"Item": {...}}') from error
    if not isinstance(item, dict):
        raise Malformed("its Item is not an object")
    found: dict[str, Any] = record
    return found


def csv_values(line: bytes, delimiter: str) -> list[str]:
    """The values in a line of CSV. Raises Malformed.

    A value in quotes has each quote twice. One without has each quote three times, as if it were in quotes of its own:
    so the developer guide has it, and any other quote is an error there.
    """
    try:
        text = line.decode("utf-8-sig").rstrip("\r")
    except UnicodeDecodeError as error:
        raise Malformed(f"it is not a line of CSV: {error}") from error
    if '"' not in text:
        return text.split(delimiter)
    next_value = _csv_value(delimiter)
    values: list[str] = []
    end = -1
    while end < len(text):
        found = next_value.match(text, end + 1)
        if found is None:
            raise Malformed(f"it is not a line of CSV: value {len(values) + 1} has a quote that is not escaped")
        quoted, plain = found.groups()
        values.append(plain.replace('"""', '"') if quoted is None else quoted.replace('""', '"'))
        end = found.end()
    return values


@cache
def _csv_value(delimiter: str) -> re.Pattern[str]:
    """Matches a value up to the delimiter behind it, or the end of the line."""
    of = re.escape(delimiter)
    return re.compile(rf'(?:"([^"]*(?:""[^"]*)*)"|(?!")([^"{of}]*(?:"""[^"{of}]*)*))(?={of}|\Z)')


def csv_header(line: bytes, delimiter: str) -> list[str]:
    """The attributes that the first line of CSV names. Raises Malformed."""
    names = csv_values(line, delimiter)
    check_header(names)
    return names


def check_header(names: Sequence[str]) -> None:
    """Whether the columns of CSV have names of their own. Raises Malformed."""
    if "" in names:
        raise Malformed("the header has a column without a name")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise Malformed(f"the header has the column {name} more than once")
        seen.add(name)


def key_types(table: Table) -> dict[str, str]:
    """The types of the keys of a table and its indexes, by attribute."""
    keys = [*table.key, *(attribute for index in table.indexes for attribute in index.key)]
    return {attribute.name: attribute.type for attribute in keys}


def csv_record(header: Sequence[str], delimiter: str, types: Mapping[str, str]) -> Parse:
    """Makes records of lines of CSV. `types` are those of keys."""

    def parse(line: Line) -> dict[str, Any]:
        values = csv_values(line.content, delimiter)
        if len(values) != len(header):
            raise Malformed(f"it has {len(values)} values, and the header {len(header)}")
        return {"Item": {name: {types.get(name, "S"): value} for name, value in zip(header, values, strict=True)}}

    return parse


def problem_of(error: ServiceError | Malformed) -> str:
    """Why a record is not an item that the table can have."""
    return error.message if isinstance(error, ServiceError) else str(error)
