"""Open sources: the objects that an import or a bulk put reads, as a worker has them open from one step to the next.

A job's place is an object and a record in it. A worker that goes on where it has stopped keeps the object open; any
other opens it again and passes over the records before the place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from jedlik.background.job_records import Job
from jedlik.background.pacing import Pace
from jedlik.dynamodb.backups import import_sources, ion_records, transfers
from jedlik.dynamodb.backups.import_sources import Line, Malformed, Parse
from jedlik.dynamodb.model.limits import IMPORT_OBJECTS, IMPORT_SIZE, KIB
from jedlik.dynamodb.model.tables import Table
from jedlik.storage.object_store import ObjectStore

if TYPE_CHECKING:
    from jedlik.regions.region import Region

OPEN_SOURCES = 4


class Description(NamedTuple):
    """The source in a request."""

    configuration: Mapping[str, Any]
    """The part of the request that names the bucket and the prefix."""
    format: str
    """DYNAMODB_JSON, ION or CSV."""
    compression: str
    csv: Mapping[str, Any] = {}

    @property
    def delimiter(self) -> str:
        """What stands between the values of CSV."""
        delimiter: str = self.csv.get("Delimiter", ",")
        return delimiter


class Amount(NamedTuple):
    """How much of an object is read at once."""

    records: int
    size: int
    """Bytes after which no further record is read."""


BUSY = Amount(60, 48 * KIB)
"""The most that is read at once while requests come: about two milliseconds' work, so 6,000 small records a second."""


@dataclass(slots=True)
class _Counted:
    """Counts what is read of an object."""

    store: ObjectStore
    count: int
    """Bytes, as they are stored, with those of the objects before it."""

    async def chunks(self, name: str) -> AsyncIterator[bytes]:
        """The object, in parts. Raises ObjectStoreError."""
        async for chunk in self.store.chunks(name):
            self.count += len(chunk)
            yield chunk


@dataclass(slots=True)
class Source:
    """The objects of a source, as a worker reads them for a job."""

    store: ObjectStore
    description: Description
    names: list[str]
    """Those that are left, the next one last."""
    spans: dict[str, tuple[int, int]]
    """Where each object begins and ends among the bytes of all, as they are stored."""
    pace: Pace
    place: tuple[str, int] = ("", 0)
    """The object and the record up to which it has been read."""
    lines: AsyncIterator[Line] | None = None
    header: list[str] = field(default_factory=list)
    header_problem: str | None = None
    """Why the columns of the object cannot be known. Its lines are no items then."""
    header_size: int = 0
    """Bytes of the line that names the columns, until they are counted with the first record."""
    counted: _Counted | None = None
    """What has been read of the object."""

    @property
    def total(self) -> int:
        """Bytes of all objects, as they are stored."""
        return max((end for _, end in self.spans.values()), default=0)

    def read_bytes(self, before: int, lines: Sequence[Line]) -> int:
        """Bytes of the objects, as they are stored, behind lines that have just been read; `before` were read before
        these. At the end of an object it is exact."""
        _, end = self.spans.get(self.place[0], (0, before))
        if self.lines is None:
            return end
        if self.description.compression == "NONE":
            return min(before + sum(line.size for line in lines), end)
        assert self.counted is not None, "an object is open"
        return min(max(before, self.counted.count), end)

    async def read(self, amount: Amount) -> list[Line] | None:
        """The next records of an object, fewer while requests come; none at its end, or behind many empty lines. None
        behind the last object."""
        if self.lines is None:
            if not self.names:
                return None
            self.place = self.names.pop(), 0
            await self._open(0)
        assert self.lines is not None
        found: list[Line] = []
        size = 0
        records, most = map(min, amount, BUSY) if self.pace.is_busy else amount
        while len(found) < records and size < most:
            line = await anext(self.lines, None)
            if line is None:
                self.lines = None
                break
            if not line.is_blank:
                found.append(line._replace(length=line.size + self.header_size) if self.header_size else line)
                self.header_size = 0
            size += line.size
            self.place = self.place[0], line.number
        return found

    def parser(self, table: Table) -> Parse:
        """What makes an item for a table of each record."""
        if self.description.format == "CSV":
            if self.header_problem is not None:
                return partial(_unread, self.header_problem)
            types = import_sources.key_types(table)
            return import_sources.csv_record(self.header, self.description.delimiter, types)
        return ion_records.record if self.description.format == "ION" else import_sources.json_record

    async def _open(self, line: int) -> None:
        """Read the current object, and go on behind a record."""
        compression = self.description.compression
        begin, _ = self.spans.get(self.place[0], (0, 0))
        self.counted = _Counted(self.store, begin)
        if self.description.format == "ION":
            self.lines = ion_records.records(self.counted, self.place[0], compression)
        else:
            self.lines = import_sources.lines(self.counted, self.place[0], compression)
        passed = await self._read_header(self.lines) if self.description.format == "CSV" else 0
        if line:
            self.header_size = 0
        while passed < line:
            skipped = await anext(self.lines, None)
            if skipped is None:
                break
            passed = skipped.number

    async def _read_header(self, lines: AsyncIterator[Line]) -> int:
        """Learn the columns of CSV; the number of the line that names them, or 0 if the request does."""
        self.header, self.header_problem = self.description.csv.get("HeaderList", []), None
        first = None if self.header else await anext(lines, None)
        self.header_size = 0 if first is None else first.size
        try:
            if self.header:
                import_sources.check_header(self.header)
            elif first is not None and first.is_blank:
                self.header_problem = "there is no header at its beginning"
            elif first is not None and first.problem is None:
                self.header = import_sources.csv_header(first.content, self.description.delimiter)
        except Malformed as error:
            self.header_problem = str(error)
        return 0 if first is None or first.problem is not None else first.number

    def keep(self, region: Region, job: Job) -> None:
        """Remember it for the next step."""
        _open[f"{region.store}/{job.name}"] = self
        while len(_open) > OPEN_SOURCES:
            _open.popitem(last=False)


def _unread(problem: str, line: Line) -> dict[str, Any]:
    """A line of an object whose columns cannot be known. Raises Malformed."""
    raise Malformed(problem)


_open: OrderedDict[str, Source] = OrderedDict()
"""By store and job, what this worker reads."""


def forget() -> None:
    """Forget what this worker reads: the next step opens it again."""
    _open.clear()


async def of(region: Region, job: Job, description: Description) -> Source:
    """What a job reads next. Its state has the Object and the Line of its place.

    Raises ObjectStoreError, NoBucket, BucketOfOther and Malformed.
    """
    place = job.state["Object"], job.state["Line"]
    known = _open.pop(f"{region.store}/{job.name}", None)
    if known is None or known.place != place:
        store = transfers.bucket(region, description.configuration)
        objects = await _objects(store, description.configuration.get("S3KeyPrefix", ""))
        ordered = sorted(objects)
        bounds = accumulate((objects[name] for name in ordered), initial=0)
        spans = dict(zip(ordered, pairwise(bounds), strict=True))
        names = [name for name in reversed(ordered) if name > place[0]]
        known = Source(store, description, names, spans, Pace(region), place)
        if place[0]:
            await known._open(place[1])
    return known


async def _objects(store: ObjectStore, prefix: str) -> dict[str, int]:
    """The names of the objects with a prefix, and their sizes."""
    folder = prefix.rpartition("/")[0].strip("/")
    sizes: dict[str, int] = {}
    async for found in store.list(folder):
        if found.name.startswith(prefix.lstrip("/")) and found.size:
            sizes[found.name] = found.size
        if len(sizes) > IMPORT_OBJECTS:
            raise Malformed(f"there are more than {IMPORT_OBJECTS} objects with the prefix {prefix!r}")
    if sum(sizes.values()) > IMPORT_SIZE:
        raise Malformed(f"the objects with the prefix {prefix!r} have more than {IMPORT_SIZE} bytes")
    return sizes
