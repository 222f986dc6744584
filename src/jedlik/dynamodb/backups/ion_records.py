"""Ion records: the structs of an object in Amazon Ion, binary or text, as imports read them.

The parser is Amazon's, of the package `amazon.ion`. It reads from a file and knows no event loop, so it runs in a
thread, and what it reads there the event loop gets for it from the object store: an object is never in memory as a
whole. Behind an error nothing more of an object can be read.

Source: "DynamoDB import formats" and "DynamoDB table export output format" in the developer guide. The package is an
extra (`pip install jedlik[ion]`), because it needs NumPy.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from jedlik.dynamodb.backups import import_sources
from jedlik.dynamodb.backups.import_sources import Chunked, Line, Malformed
from jedlik.storage.object_store import ObjectStoreError

PATIENCE_SECONDS = 300.0
"""How long a thread waits for a part of an object."""
AT_ONCE = 100
"""Records that are parsed in one turn of a thread."""
MISSING = "Amazon Ion can only be read where the package amazon.ion is installed: pip install 'jedlik[ion]'"
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

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size`; none at the end. Called in a thread."""
        while not self._rest:
            chunk = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result(PATIENCE_SECONDS)
            if chunk is None:
                return b""
            self._rest = chunk
        size = len(self._rest) if size < 0 else size
        found, self._rest = self._rest[:size], self._rest[size:]
        self.given += len(found)
        return found

    async def _next(self) -> bytes | None:
        return await anext(self._chunks, None)


async def records(store: Chunked, name: str, compression: str) -> AsyncIterator[Line]:
    """The records of an object, numbered from 1 on. Raises ObjectStoreError."""
    fed = _Fed(import_sources.decompressed(store, name, compression), asyncio.get_running_loop())
    # The parser reads as soon as it is made.
    values, problem = await asyncio.to_thread(_parser, fed)
    number, counted = 0, 0
    while True:
        found: list[Any] = []
        if problem is None:
            found, problem = await asyncio.to_thread(_next, values)
        for value in found:
            number += 1
            yield Line(number, b"", parsed=value, length=fed.given - counted)
            counted = fed.given
        if problem is not None:
            yield Line(number + 1, b"", problem)
        if problem is not None or len(found) < AT_ONCE:
            return


def _parser(fed: _Fed) -> tuple[Iterator[Any], str | None]:
    """The values of a file, and why it cannot be read."""
    from amazon.ion import simpleion

    try:
        return iter(simpleion.load(fed, single_value=False, parse_eagerly=False)), None
    except ObjectStoreError:
        raise
    except Exception as error:  # The parser raises many kinds.
        return iter(()), f"it is not Amazon Ion: {error}"


def _next(values: Iterator[Any]) -> tuple[list[Any], str | None]:
    """The next values, and why there are no more."""
    found: list[Any] = []
    try:
        for value in values:
            found.append(value)
            if len(found) == AT_ONCE:
                break
    except ObjectStoreError:
        raise
    except Exception as error:  # The parser raises many kinds.
        return found, f"it is not Amazon Ion: {error}"
    return found, None


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


def _value(value: Any) -> dict[str, Any]:
    """The attribute value of an Ion value. Raises Malformed."""
    kind = value.ion_type.name
    annotations = [annotation.text for annotation in value.ion_annotations]
    if kind == "LIST" and annotations and annotations[0] in _SETS:
        type_ = _SETS[annotations[0]]
        return {type_: [_value(element).get(type_[0]) for element in value]}
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
            return {"L": [_value(element) for element in value]}
        case "STRUCT":
            return {"M": {str(name): _value(member) for name, member in value.items()}}
    raise Malformed(f"DynamoDB has no type for a value of Ion's type {kind.lower()}")
