"""Ion records: the structs of an object in Amazon Ion, binary or text, as imports read them.

The parser is Amazon's, of the package `amazon.ion`. It reads from a file and knows no event loop, so it runs in a
thread, and what it reads there the event loop gets for it from the object store: an object is never in memory as a
whole. A record has a limit, and so has the memory that the parser may come to need, for it keeps all symbol tables of
an object. Behind an error nothing more of an object can be read.

Source: "DynamoDB import formats" and "DynamoDB table export output format" in the developer guide. The package is an
extra (`pip install jedlik[ion]`), because it needs NumPy.
"""

from __future__ import annotations

import asyncio
import resource
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

from jedlik.dynamodb.backups import import_sources
from jedlik.dynamodb.backups.import_sources import Chunked, Line, Malformed
from jedlik.dynamodb.model.limits import KIB, MIB, NESTING_DEPTH
from jedlik.storage.object_store import ObjectStoreError

T = TypeVar("T")

MOST_THREADS = 32
"""Objects that are parsed at a time. Others wait for a thread."""
PATIENCE_SECONDS = 300.0
"""How long a thread waits for a part of an object."""
AT_ONCE = 100
"""Records that are parsed in one turn of a thread."""
BYTES_AT_ONCE = 256 * KIB
"""Bytes of an object after which a turn ends."""
LONGEST_RECORD = 3 * MIB
"""Bytes. An item has 400 KB, and at most six times as much where each character is escaped."""
LONGEST_TEXT = MIB
"""Bytes of a string or of a binary value in base64, for which the parser otherwise has room for 4 KB."""
MOST_GROWTH = 512 * MIB
"""Bytes by which the process may grow while an object is parsed. Parsed records are of no more use a moment later."""
MISSING = "Amazon Ion can only be read where the package amazon.ion is installed: pip install 'jedlik[ion]'"
_END = object()
_SETS = {"$dynamodb_SS": "SS", "$dynamodb_NS": "NS", "$dynamodb_BS": "BS"}


def is_installed() -> bool:
    """Whether Ion can be read here."""
    try:
        import amazon.ion.simpleion  # noqa: F401 - only whether it is there
    except ImportError:
        return False
    return True


class _Fed:
    """A file for the parser, whose content comes from the event loop."""

    def __init__(self, chunks: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._chunks = chunks
        self._loop = loop
        self._rest = b""
        self.given = 0
        """Bytes that have been read."""
        self.least = 0
        """Those that had been read when the last record was found."""
        self.grown = 0
        """Bytes by which the process has grown in the thread."""
        self.failure: Exception | None = None
        """What `read` has raised. The parser raises an error of its own for it."""

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size`; none at the end. Called in a thread. Raises what `failure` has then."""
        try:
            found = self._read(size)
        except Exception as error:
            self.failure = error
            raise
        self.given += len(found)
        return found

    def _read(self, size: int) -> bytes:
        if self.given - self.least > LONGEST_RECORD:
            raise Malformed(f"a record is longer than {LONGEST_RECORD} bytes")
        while not self._rest:
            try:
                chunk = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result(PATIENCE_SECONDS)
            except TimeoutError as error:
                raise ObjectStoreError(f"nothing has come for {PATIENCE_SECONDS:.0f} s") from error
            if chunk is None:
                return b""
            self._rest = chunk
        size = len(self._rest) if size < 0 else size
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    async def _next(self) -> bytes | None:
        return await anext(self._chunks, None)


async def records(store: Chunked, name: str, compression: str) -> AsyncIterator[Line]:
    """The records of an object, numbered from 1 on. Raises ObjectStoreError."""
    fed = _Fed(import_sources.decompressed(store, name, compression), asyncio.get_running_loop())
    # The parser reads as soon as it is made.
    values, problem = await _in_thread(_parser, fed)
    number, counted, is_over = 0, 0, False
    while not is_over:
        found: list[Any] = []
        if problem is None:
            found, problem, is_over = await _in_thread(_next, fed, values)
        for value in found:
            number += 1
            yield Line(number, b"", parsed=value, length=fed.given - counted)
            counted = fed.given
        if problem is not None:
            yield Line(number + 1, b"", problem)
            return


@cache
def _threads() -> ThreadPoolExecutor:
    """Threads of their own: one waits for the object store, which needs those that all others share. Made when first
    needed: a thread must not be there before the workers are forked."""
    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="ion")


async def _in_thread(parse: Callable[..., T], *given: Any) -> T:
    return await asyncio.get_running_loop().run_in_executor(_threads(), parse, *given)


def _parser(fed: _Fed) -> tuple[Iterator[Any], str | None]:
    """The values of a file, and why it cannot be read."""
    from amazon.ion import simpleion

    try:
        values = simpleion.load(fed, single_value=False, parse_eagerly=False, text_buffer_size_limit=LONGEST_TEXT)
        return iter(values), None
    except Exception as error:  # The parser raises many kinds.
        return iter(()), _problem(fed, error)


def _next(fed: _Fed, values: Iterator[Any]) -> tuple[list[Any], str | None, bool]:
    """The next values, why there are no more, and whether it ends there."""
    found: list[Any] = []
    begun, resident = fed.given, _resident()
    try:
        while len(found) < AT_ONCE and fed.given - begun < BYTES_AT_ONCE:
            value = next(values, _END)
            if value is _END:
                return found, None, True
            found.append(value)
            fed.least = fed.given
    except Exception as error:  # The parser raises many kinds.
        return found, _problem(fed, error), True
    fed.grown += _resident() - resident
    if fed.grown > MOST_GROWTH:
        return found, "the parser of Amazon Ion would need too much memory for it", True
    return found, None, False


def _problem(fed: _Fed, error: Exception) -> str:
    """Why a file cannot be read on. Raises ObjectStoreError if that is its store's fault."""
    if isinstance(fed.failure, ObjectStoreError):
        raise fed.failure
    return str(fed.failure) if isinstance(fed.failure, Malformed) else f"it is not Amazon Ion: {fed.failure or error}"


def _resident() -> int:
    """Bytes of the process that are in memory."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def record(line: Line) -> dict[str, Any]:
    """The members of a record: Item, in the form of a request, and others as they are. Raises Malformed."""
    members = line.parsed
    if not isinstance(members, Mapping) or not isinstance(members.get("Item"), Mapping):
        raise Malformed("it is not a struct of the form {Item:{...}}")
    found: dict[str, Any] = {str(name): member for name, member in members.items()}
    for name in ("Item", "ExpressionAttributeValues"):
        if isinstance(members.get(name), Mapping):
            found[name] = {str(one): _value(member) for one, member in members[name].items()}
    if isinstance(members.get("ExpressionAttributeNames"), Mapping):
        found["ExpressionAttributeNames"] = {str(a): str(b) for a, b in members["ExpressionAttributeNames"].items()}
    if "ConditionExpression" in found:
        found["ConditionExpression"] = str(found["ConditionExpression"])
    return found


def _value(value: Any, depth: int = 1) -> dict[str, Any]:
    """The attribute value of an Ion value. Raises Malformed."""
    if depth > NESTING_DEPTH + 1:  # The item's own check has DynamoDB's words for one level too many.
        raise Malformed(f"its values are nested deeper than {NESTING_DEPTH} levels")
    kind = value.ion_type.name
    annotations = [annotation.text for annotation in value.ion_annotations]
    if kind == "LIST" and annotations and annotations[0] in _SETS:
        type_ = _SETS[annotations[0]]
        return {type_: [_value(element, depth + 1).get(type_[0]) for element in value]}
    if kind == "NULL" or type(value).__name__ == "IonPyNull":
        return {"NULL": True}
    match kind:
        case "STRING":
            return {"S": str(value)}
        case "DECIMAL" | "INT" | "FLOAT":
            return {"N": str(value)}
        case "BLOB":
            return {"B": b64encode(value).decode()}
        case "BOOL":
            return {"BOOL": bool(value)}
        case "LIST":
            return {"L": [_value(element, depth + 1) for element in value]}
        case "STRUCT":
            return {"M": {str(name): _value(member, depth + 1) for name, member in value.items()}}
    raise Malformed(f"DynamoDB has no type for a value of Ion's type {kind.lower()}")
