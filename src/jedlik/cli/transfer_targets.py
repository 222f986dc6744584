"""Transfer targets: what `jedlik export` writes, in the form that the name of its file means.

DynamoDB JSON, or what .csv and .ion mean; compressed, if .gz or .zst follow. Items come and are noted in JSON or Ion,
line by line, so an export can go on. The first line of CSV names all attributes, and these are known at the end only:
so a file of CSV is made then, of lines of JSON.

CSV has strings only, in lines. A number comes back as a string unless it is in a key, and what an item has no value for
comes back as an empty string. Other values, and strings with line breaks, cannot be written.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from jedlik.cli.program import Refusal
from jedlik.cli.transfer_sources import Form

if TYPE_CHECKING:
    from jedlik.dynamodb.model.values import Item

Compress = Callable[[bytes], bytes]
Line = Callable[[Mapping[str, Any]], bytes]
"""Makes a line of an item, whose binary values are in base64."""

ROWS_AT_ONCE = 1000
"""Lines of CSV that are compressed together."""
BREAKS = ("\n", "\r")
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:+-/@")
"""Characters of values that need no quotes in CSV."""


def compressor(form: Form) -> Compress:
    """What compresses a page: pages that are compressed one by one can be put together."""
    if form.compression == "GZIP":
        return gzip.compress
    if form.compression == "ZSTD":
        import zstandard

        return zstandard.ZstdCompressor().compress
    return bytes


def line_of(form: Form, keys: Mapping[str, str]) -> Line:
    """What makes lines of items. `keys` are the types of keys."""
    if form.format == "ION":
        return _ion_line
    return partial(_checked_line, keys) if form.format == "CSV" else json_line


def json_line(item: Mapping[str, Any]) -> bytes:
    """An item in DynamoDB JSON."""
    return json.dumps({"Item": item}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _ion_line(item: Mapping[str, Any]) -> bytes:
    from jedlik.dynamodb.backups import ion_text

    content: Item = dict(item)
    return f"{ion_text.VERSION}{{Item:{ion_text.item(content)}}}\n".encode()


def _checked_line(keys: Mapping[str, str], item: Mapping[str, Any]) -> bytes:
    """An item that CSV can have, in JSON. Raises Refusal for another."""
    for name, value in item.items():
        [(type_, content)] = value.items()
        if type_ not in ("S", "N", keys.get(name)):
            raise Refusal(f"CSV cannot have the attribute {name}, which is of type {type_}: export JSON or Ion")
        if any(one in text for one in BREAKS for text in (name, content)):
            raise Refusal(f"CSV cannot have the attribute {name}, because of a line break in it: export JSON or Ion")
    return json_line(item)


class Losses(NamedTuple):
    """What CSV has not, of a file that has been made."""

    numbers: list[str]
    """Attributes with numbers, which come back as strings."""
    gaps: list[str]
    """Attributes that not every item has, without keys."""
    keys: list[str]
    """Keys of indexes that not every item has."""

    def lines(self) -> Iterator[str]:
        """The same, for people."""
        if self.numbers:
            yield f"numbers come back from CSV as strings: {', '.join(self.numbers)}"
        if self.gaps:
            yield f"not every item has these, and they come back from CSV as empty strings: {', '.join(self.gaps)}"
        if self.keys:
            yield f"items without these keys of indexes cannot be imported from CSV: {', '.join(self.keys)}"


def make_csv(lines: Path, out: IO[bytes], form: Form, keys: Mapping[str, str]) -> Losses:
    """Write CSV of a file of JSON lines. `keys` are the types of keys, whose attributes come first."""
    counts: dict[str, int] = dict.fromkeys(keys, 0)
    numbers: dict[str, None] = {}
    total = 0
    for item in _items(lines):
        total += 1
        for name, value in item.items():
            counts[name] = counts.get(name, 0) + 1
            if "N" in value and keys.get(name) != "N":
                numbers[name] = None
    names = [name for name, count in counts.items() if count or not total]
    compress = compressor(form)
    out.write(compress(_csv_line(names)))
    some: list[bytes] = []
    for item in _items(lines):
        some.append(_csv_line([next(iter(item[name].values())) if name in item else "" for name in names]))
        if len(some) == ROWS_AT_ONCE:
            out.write(compress(b"".join(some)))
            some = []
    if some:
        out.write(compress(b"".join(some)))
    gaps = [name for name in names if counts[name] < total]
    return Losses(list(numbers), [name for name in gaps if name not in keys], [name for name in gaps if name in keys])


def _items(lines: Path) -> Iterator[dict[str, Any]]:
    with lines.open("rb") as file:
        for line in file:
            yield json.loads(line)["Item"]


def _csv_line(values: list[str]) -> bytes:
    quoted = [value if _PLAIN.issuperset(value) else '"' + value.replace('"', '""') + '"' for value in values]
    return ",".join(quoted).encode() + b"\n"


def to_text(raw: Any) -> Any:
    """Bytes as base64."""
    return b64encode(raw).decode()


def from_text(text: Any) -> Any:
    """Base64 as bytes."""
    return b64decode(text)


def wire(item: Mapping[str, Any], binary: Callable[[Any], Any]) -> dict[str, Any]:
    """An item with its binary values in the other form: bytes for a client, base64 in JSON."""
    return {name: _wire_value(value, binary) for name, value in item.items()}


def _wire_value(value: dict[str, Any], binary: Callable[[Any], Any]) -> dict[str, Any]:
    [(type_, content)] = value.items()
    match type_:
        case "B":
            return {type_: binary(content)}
        case "BS":
            return {type_: [binary(element) for element in content]}
        case "L":
            return {type_: [_wire_value(element, binary) for element in content]}
        case "M":
            return {type_: wire(content, binary)}
    return value
