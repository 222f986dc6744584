"""Import sources: the records in the objects of an import, decompressed and parsed as they come.

An object is never in memory as a whole, whatever it expands to: it comes in small pieces, between which the event loop
has its turn. A record that cannot be read is an error of its own; where an object cannot be decompressed, ends too
early or has a line without an end, the rest of it is one.

Source: "DynamoDB import formats" in the developer guide: a line of DYNAMODB_JSON is {"Item": {...}}; the values of CSV
are strings, but for those of keys, which have the types of the keys. An empty value is an empty string, and so an error
where it is a key.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

import orjson
import zstandard

from jedlik.aws.errors import ServiceError
from jedlik.dynamodb.model.limits import KIB, MIB
from jedlik.dynamodb.model.tables import Table

LONGEST_LINE = 8 * MIB
"""Bytes. An item has 400 KB, and its JSON a few times as much."""
BLANK_BYTES = MIB
"""Bytes of empty lines after which a reader learns where it is: an object may consist of nothing else."""
COLUMNS = 100_000
"""Values in a line of CSV. An item has no room for many more names."""
LONGEST_REASON = 1000
"""Characters of a reason why a record is no item. It may have a name of the record in it."""
PIECE_BYTES = 256 * KIB
"""What is looked at in one turn of the event loop."""
_FED_BYTES = 16 * KIB
"""Compressed bytes that are taken in one turn."""
_FED_TO_ZSTD = 512
"""The same that zstandard gets at once. It has no limit on what it returns, and 4 bytes may stand for 128 KB."""
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
    """Bytes of such a record, as far as they are known; of empty lines; and of a last line without an end."""

    @property
    def size(self) -> int:
        """Bytes of the object that the record takes."""
        if self.length is not None:
            return self.length
        return len(self.content) + 1 if self.problem is None else 0

    @property
    def is_blank(self) -> bool:
        """Whether it stands for empty lines, the last of which has its number, and is no record."""
        return not self.content and self.problem is None and self.parsed is None


class _Plain:
    """Cuts what is not compressed."""

    is_whole = True

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), PIECE_BYTES):
            yield data[start : start + PIECE_BYTES]


class _Gzip:
    """Decompresses what consists of several parts, each compressed by itself."""

    def __init__(self) -> None:
        self._current = zlib.decompressobj(_GZIP)
        self.is_whole = True

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _FED_BYTES):
            rest, more = data[start : start + _FED_BYTES], True
            while rest or more:
                if self._current.eof:
                    if not rest:
                        break
                    self._current = zlib.decompressobj(_GZIP)
                found = self._current.decompress(rest, PIECE_BYTES)
                yield found
                more = len(found) == PIECE_BYTES
                rest = self._current.unused_data if self._current.eof else self._current.unconsumed_tail
            self.is_whole = self._current.eof


class _Zstandard:
    """The same for zstandard."""

    def __init__(self) -> None:
        self._current = zstandard.ZstdDecompressor().decompressobj()
        self.is_whole = True

    def pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _FED_BYTES):
            found, size = [], 0
            for at in range(start, min(start + _FED_BYTES, len(data)), _FED_TO_ZSTD):
                for one in self._decompressed(data[at : min(at + _FED_TO_ZSTD, start + _FED_BYTES)]):
                    found.append(one)
                    size += len(one)
                if size >= PIECE_BYTES:
                    yield from _PLAIN.pieces(b"".join(found))
                    found, size = [], 0
            yield b"".join(found)
            self.is_whole = self._current.eof

    def _decompressed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._current.eof:
                self._current = zstandard.ZstdDecompressor().decompressobj()
            yield self._current.decompress(data)
            data = self._current.unused_data if self._current.eof else b""


_PLAIN = _Plain()
_DECOMPRESSORS: dict[str, Callable[[], _Plain | _Gzip | _Zstandard]] = {"GZIP": _Gzip, "ZSTD": _Zstandard}


class Chunked(Protocol):
    """Where objects come from, in parts."""

    def chunks(self, name: str) -> AsyncIterator[bytes]:
        """An object, in parts. Raises ObjectStoreError."""
        ...


class _Undecompressed(Exception):
    """An object is not compressed as the request states. The message has the reason."""


async def decompressed(store: Chunked, name: str, compression: str) -> AsyncIterator[bytes]:
    """The content of an object, in parts. Raises ObjectStoreError, and an exception if it is compressed otherwise."""
    decompressor = _DECOMPRESSORS.get(compression, _Plain)()
    async for chunk in store.chunks(name):
        try:
            for piece in decompressor.pieces(chunk):
                if piece:
                    yield piece
                await asyncio.sleep(0)
        except (zlib.error, zstandard.ZstdError) as error:
            raise _Undecompressed(f"it is not {compression}: {error}") from error
    if not decompressor.is_whole:
        raise _Undecompressed(f"it is not {compression}: it ends too early")


async def lines(store: Chunked, name: str, compression: str) -> AsyncIterator[Line]:
    """The lines of an object that are not empty. Where there are many empty ones, there is a line that stands for them.

    Raises ObjectStoreError.
    """
    number, blank = 0, 0
    rest, length = [b""], 0  # What has come of a line.
    try:
        async for chunk in decompressed(store, name, compression):
            *whole, last = chunk.split(b"\n")
            if whole:
                whole[0] = b"".join((*rest, whole[0]))
                rest, length = [], 0
            rest.append(last)
            length += len(last)
            for line in whole:
                number += 1
                if line.strip():
                    yield Line(number, line)
                    blank = 0
                    continue
                blank += len(line) + 1
                # Where this is depends on the content alone: a job finds its place by the number.
                if blank >= BLANK_BYTES:
                    yield Line(number, b"", length=blank)
                    blank = 0
            if length > LONGEST_LINE:
                yield Line(number + 1, b"", f"a line is longer than {LONGEST_LINE} bytes")
                return
    except _Undecompressed as error:
        yield Line(number + 1, b"", str(error))
        return
    line = b"".join(rest)
    if line.strip():
        yield Line(number + 1, line, length=len(line))


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
        _check_columns(text.count(delimiter) + 1)
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
        _check_columns(len(values))
    return values


def _check_columns(count: int) -> None:
    if count > COLUMNS:
        raise Malformed(f"it has more than {COLUMNS} values")


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
    reason = error.message if isinstance(error, ServiceError) else str(error)
    return reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}..."
