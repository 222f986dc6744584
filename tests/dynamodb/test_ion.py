"""Amazon Ion: what exports write is what imports read, and AWS's samples are read."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.dynamodb.backups import ion_records, ion_text
from jedlik.dynamodb.backups.import_sources import Line, Malformed
from jedlik.dynamodb.model import values
from testing.storage.objects import MemoryObjects

simpleion = pytest.importorskip("amazon.ion.simpleion")

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**20), max_value=10**20).map(str)
BINARY = st.binary(max_size=9)
ENCODED = BINARY.map(lambda raw: values.normalise_item({"b": {"B": _base64(raw)}})[0]["b"]["B"])
VALUES: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.one_of(
        TEXTS.map(lambda text: {"S": text}),
        NUMBERS.map(lambda number: {"N": number}),
        ENCODED.map(lambda text: {"B": text}),
        st.booleans().map(lambda truth: {"BOOL": truth}),
        st.just({"NULL": True}),
        st.lists(TEXTS, min_size=1, max_size=3, unique=True).map(lambda texts: {"SS": texts}),
        st.lists(st.integers(-(10**9), 10**9).map(str), min_size=1, max_size=3, unique=True).map(lambda ns: {"NS": ns}),
        st.lists(ENCODED, min_size=1, max_size=3, unique=True).map(lambda texts: {"BS": texts}),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda elements: {"L": elements}),
        st.dictionaries(TEXTS.filter(bool), inner, max_size=3).map(lambda members: {"M": members}),
    ),
    max_leaves=8,
)


def _base64(raw: bytes) -> str:
    from base64 import b64encode

    return b64encode(raw).decode()


def records(content: bytes, compression: str = "NONE") -> list[Line]:
    store = MemoryObjects()
    store.kept["object"] = content

    async def read() -> list[Line]:
        return [line async for line in ion_records.records(store, "object", compression)]

    return asyncio.run(read())


@given(st.lists(st.dictionaries(TEXTS.filter(bool), VALUES, min_size=1, max_size=4), max_size=3))
@settings(max_examples=60, deadline=None)
def test_what_is_exported_can_be_imported(items: list[dict[str, Any]]) -> None:
    normal = [values.normalise_item(item)[0] for item in items]
    text = "".join(f"{ion_text.VERSION}{{Item:{ion_text.item(item)}}}\n" for item in normal)
    found = [ion_records.record(line)["Item"] for line in records(text.encode())]
    assert [values.normalise_item(item)[0] for item in found] == normal


SAMPLE = (
    b'$ion_1_0{Item:{Authors:$dynamodb_SS::["Author1","Author2"],Dimensions:"8.5 x 11.0 x 1.5",ISBN:"333-3333333333",'
    b'Id:103.,InPublication:false,PageCount:6d2,Price:2d3,ProductCategory:"Book",Title:"Book 103 Title"}}\n'
)
"""As in "DynamoDB table export output format"."""
READ = {
    "Authors": {"SS": ["Author1", "Author2"]},
    "Dimensions": {"S": "8.5 x 11.0 x 1.5"},
    "ISBN": {"S": "333-3333333333"},
    "Id": {"N": "103"},
    "InPublication": {"BOOL": False},
    "PageCount": {"N": "600"},
    "Price": {"N": "2000"},
    "ProductCategory": {"S": "Book"},
    "Title": {"S": "Book 103 Title"},
}


@pytest.mark.parametrize(
    ("pack", "compression"),
    [
        (lambda text: text, "NONE"),
        (gzip.compress, "GZIP"),
        (lambda text: simpleion.dumps(simpleion.loads(text, single_value=False), sequence_as_stream=True), "NONE"),
    ],
)
def test_a_sample_of_aws_is_read(pack: Callable[[bytes], bytes], compression: str) -> None:
    lines = records(pack(SAMPLE * 250), compression)
    assert [line.number for line in lines] == list(range(1, 251))
    assert sum(line.size for line in lines) >= 250
    for line in lines:
        assert values.normalise_item(ion_records.record(line)["Item"])[0] == READ


def test_what_is_no_record_is_named() -> None:
    [good, bad] = records(b'{Item:{a:"x"}} {b: ] {c:1}')
    assert (good.number, bad.number) == (1, 2)
    assert ion_records.record(good)["Item"] == {"a": {"S": "x"}}
    assert str(bad.problem).startswith("it is not Amazon Ion: ")
    for text, message in ((b"5", "it is not a struct"), (b"{Item:{a:2020T}}", "has no type for a value of Ion's type")):
        [line] = records(text)
        with pytest.raises(Malformed, match=message):
            ion_records.record(line)
    [line] = records(gzip.compress(SAMPLE)[:-20] + b"damaged damaged!", "GZIP")[-1:]
    assert line.problem is not None


class Threaded(MemoryObjects):
    """An object store that needs a thread for each part, as that of folders does."""

    async def chunks(self, name: str) -> AsyncIterator[bytes]:
        async for chunk in super().chunks(name):
            yield await asyncio.to_thread(bytes, chunk)


def test_parsing_does_not_take_the_threads_that_its_object_store_needs() -> None:
    store = Threaded()
    store.kept["object"] = SAMPLE * 10

    async def read() -> list[int]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))

        async def one() -> int:
            return len([line async for line in ion_records.records(store, "object", "NONE")])

        return await asyncio.wait_for(asyncio.gather(*(one() for _ in range(4))), 60)

    assert asyncio.run(read()) == [10] * 4
