"""Objects that are made to hurt: what expands without end, has no lines, or is cut off, in imports and bulk puts."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from jedlik.background import job_records
from jedlik.dynamodb.backups import import_sources, importing, ion_records, open_sources
from jedlik.dynamodb.backups.import_sources import LONGEST_REASON, PIECE_BYTES, Line, Malformed
from jedlik.dynamodb.model.limits import KIB, MIB
from jedlik.regions.object_places import ObjectPlaces
from jedlik.storage.object_store import ObjectStoreError
from testing import jobs
from testing.dynamodb import handlers
from testing.dynamodb.definitions import attributes, key_schema
from testing.dynamodb.handlers import Handlers
from testing.storage.objects import MemoryObjects

RECORDS = b"".join(orjson.dumps({"Item": {"p": {"S": f"{number}"}}}) + b"\n" for number in range(5000))
TABLE = {"KeySchema": key_schema("p"), "AttributeDefinitions": attributes(p="S"), "BillingMode": "PAY_PER_REQUEST"}


class Parts:
    """An object that comes in parts, until one of them is an error."""

    def __init__(self, parts: Iterable[bytes | Exception]) -> None:
        self._parts = parts

    async def chunks(self, name: str) -> AsyncIterator[bytes]:
        for part in self._parts:
            if isinstance(part, Exception):
                raise part
            yield part


def read(lines: AsyncIterator[Line]) -> list[Line]:
    async def all_of_them() -> list[Line]:
        return [line async for line in lines]

    return asyncio.run(all_of_them())


def lines(parts: Iterable[bytes], compression: str = "NONE") -> list[Line]:
    return read(import_sources.lines(Parts(parts), "object", compression))


def ion(*parts: bytes | Exception) -> list[Line]:
    return read(ion_records.records(Parts(parts), "object", "NONE"))


def parts_of(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "NONE": bytes,
    "GZIP": gzip.compress,
    "ZSTD": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("size", [7, 1000, MIB])
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_what_is_honest_is_read_whole(compression: str, size: int) -> None:
    pack = COMPRESSIONS[compression]
    # Several parts, one of which expands to more than is looked at at once, and one to nothing.
    content = pack(RECORDS) + pack(b"") + pack(b'{"Item":"' + bytes(3 * PIECE_BYTES) + b'"}\n') + pack(RECORDS)
    found = [line.content for line in lines(parts_of(content, size), compression)]
    records = RECORDS.splitlines()
    assert found[:5000] == found[5001:] == records
    assert len(found[5000]) == 3 * PIECE_BYTES + 11


def zeros_in_gzip() -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=31)
    for _ in range(100_000):
        yield packer.compress(bytes(MIB))


def zeros_in_zstandard() -> Iterator[bytes]:
    yield bytes.fromhex("28b52ffd0058")  # A frame with a window of 2 MB, without the size of its content.
    block = (128 * KIB << 3 | 1 << 1).to_bytes(3, "little") + b"\0"  # One byte, 131,072 times.
    for _ in range(100):
        yield block * (MIB // len(block))


@pytest.mark.parametrize(("make", "compression"), [(zeros_in_gzip, "GZIP"), (zeros_in_zstandard, "ZSTD")])
def test_what_expands_without_end_is_read_in_pieces(make: Callable[[], Iterator[bytes]], compression: str) -> None:
    pieces = []

    async def some() -> None:
        async for piece in import_sources.decompressed(Parts(make()), "object", compression):
            pieces.append(len(piece))
            if len(pieces) == 100:
                return

    asyncio.run(some())
    assert max(pieces) <= PIECE_BYTES
    [line] = lines(make(), compression)
    assert (line.number, line.problem) == (1, "a line is longer than 8388608 bytes")


@pytest.mark.parametrize("compression", ["GZIP", "ZSTD"])
def test_what_ends_too_early_is_no_whole_object(compression: str) -> None:
    content = COMPRESSIONS[compression](RECORDS)
    *_, last = lines([content[:-20]], compression)
    assert last.problem == f"it is not {compression}: it ends too early"


def test_empty_lines_let_others_have_their_turn_and_a_reader_know_its_place() -> None:
    found = lines([b"\n" * (5 * MIB // 2), b"first\n", b" \n" * MIB, b"last"])
    shown = [(line.number, line.is_blank, line.content) for line in found]
    first = 5 * MIB // 2 + 1
    assert shown == [
        (MIB, True, b""),
        (2 * MIB, True, b""),
        (first, False, b"first"),
        (first + MIB // 2, True, b""),
        (first + MIB, True, b""),
        (first + MIB + 1, False, b"last"),
    ]
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def both() -> None:
        task = asyncio.create_task(others())
        async for _ in import_sources.lines(Parts([b"\n" * (8 * MIB)]), "object", "NONE"):
            pass
        task.cancel()

    asyncio.run(both())
    assert turns >= 8 * MIB // PIECE_BYTES


def test_lines_of_csv_have_limited_columns() -> None:
    for line in (b"," * 1_000_000, b'"a",' * 1_000_000):
        with pytest.raises(Malformed, match="it has more than 100000 values"):
            import_sources.csv_values(line, ",")
    assert len(import_sources.csv_values(b",".join(b"%d" % n for n in range(10_000)), ",")) == 10_000
    with pytest.raises(Malformed) as caught:
        import_sources.csv_header(b"n" * MIB + b"," + b"n" * MIB, ",")
    assert len(import_sources.problem_of(caught.value)) == LONGEST_REASON + 3


def test_ion_has_values_of_any_size_that_an_item_may_have() -> None:
    text, binary = b"t" * 400_000, b"YWFh" * 130_000
    found = ion(b'{Item:{p:"a",text:"%s"}}\n{Item:{p:"b",binary:{{%s}}}}\n{Item:{p:"c"}}' % (text, binary))
    [first, second, third] = [ion_records.record(line)["Item"] for line in found]
    assert first["text"] == {"S": text.decode()}
    assert second["binary"] == {"B": binary.decode()}
    assert third == {"p": {"S": "c"}}


def test_ion_that_would_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    good = b'{Item:{p:"a"}}\n'
    for endless in (b"//" + b"c" * MIB + b"\n", b'{Item:{p:"' + b"t" * (4 * MIB) + b'"}}'):
        found = ion(good * 1000, *[endless] * 10)
        assert [line.problem for line in found[:1000]] == [None] * 1000
        assert len(found) == 1001
        assert found[-1].problem is not None
    deep = b"[" * 700 + b"]" * 700
    [line] = ion(b"{Item:{p:" + deep + b"}}")
    with pytest.raises(Malformed, match="nested deeper than 32 levels"):
        ion_records.record(line)
    monkeypatch.setattr(ion_records, "MOST_GROWTH", 100 * MIB)
    symbols = b",".join(b'"s%d"' % number for number in range(100_000))
    table = b"$ion_symbol_table::{imports:$ion_symbol_table,symbols:[" + symbols + b"]} "
    found = ion(*[table + good] * 50)
    assert len(found) < 50
    assert found[-1].problem == "the parser of Amazon Ion would need too much memory for it"


def test_a_store_that_fails_in_the_middle_of_ion_is_no_fault_of_the_object() -> None:
    for number in (0, 10, 5000):
        with pytest.raises(ObjectStoreError, match="away"):
            ion(b'{Item:{p:"a"}}\n' * number, ObjectStoreError("away"))


@pytest.mark.parametrize("form", ["CSV", "DYNAMODB_JSON"])
def test_an_import_goes_over_empty_lines_step_by_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    async def test(own: Handlers) -> None:
        objects = MemoryObjects()
        own.region.places = ObjectPlaces(objects, {})
        monkeypatch.setattr(own.region.places, "bucket_with", lambda name, options: objects)
        monkeypatch.setattr(import_sources, "BLANK_BYTES", 100)
        monkeypatch.setattr(importing, "READ", open_sources.Amount(10, 200))
        rows = [b"a", b"b"] if form == "CSV" else [orjson.dumps({"Item": {"p": {"S": "a"}}}), b"{}"]
        header = b"p\n" if form == "CSV" else b""
        objects.kept["object"] = header + rows[0] + b"\n" * 1000 + rows[1] + b"\n" * 1000
        answer = await own.call(
            "ImportTable",
            S3BucketSource={"S3Bucket": "any-bucket"},
            InputFormat=form,
            TableCreationParameters={"TableName": "target", **TABLE},
        )
        places = []
        while rows_of_jobs := await own.region.engine.range(*job_records.job_range(), 1, MIB):
            job = job_records.parse(rows_of_jobs[0])
            if job.kind == "IMPORT":
                places.append(job.state["Line"])
            if len(places) % 3 == 0:
                open_sources.forget()  # Another worker, which has nothing open.
            await jobs.step(own.region, job)
        assert places == sorted(places)
        assert len(set(places)) >= 10
        arn = answer["ImportTableDescription"]["ImportArn"]
        done: dict[str, Any] = (await own.call("DescribeImport", ImportArn=arn))["ImportTableDescription"]
        counts = done["ImportStatus"], done["ProcessedItemCount"], done["ImportedItemCount"], done["ErrorCount"]
        assert counts == (("COMPLETED", 2, 2, 0) if form == "CSV" else ("FAILED", 2, 1, 1))

    handlers.run(tmp_path / "store", test)
