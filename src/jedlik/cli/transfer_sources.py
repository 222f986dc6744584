"""Transfer sources: how `jedlik import` reads what is in a place (`transfer_places`).

What has a name that ends with .csv or .ion is read as such, and with .gz or .zst behind it as compressed; anything else
is DynamoDB JSON. The first line of CSV names the attributes; values are strings, but for those of keys.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from jedlik.cli.program import Refusal
from jedlik.cli.transfer_places import WEB

if TYPE_CHECKING:
    from jedlik.dynamodb.backups.import_sources import Chunked, Line

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
        """Whether a line is the first of CSV, which is no record. Raises Refusal if it is no header."""
        if self._parse is not None or line.problem is not None:
            return False
        try:
            header = self._sources.csv_header(line.content, ",")
        except self._sources.Malformed as error:
            raise Refusal(f"line {line.number}: {error}") from error
        self._parse = self._sources.csv_record(header, ",", self._types)
        return True

    def item(self, line: Line) -> dict[str, Any]:
        """The item in a record. Raises Malformed."""
        if line.problem is not None or self._parse is None:
            raise self._sources.Malformed(line.problem or "there is no header")
        found: dict[str, Any] = self._parse(line)["Item"]
        return found
