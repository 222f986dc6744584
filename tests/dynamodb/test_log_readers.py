"""Readers of a table's change log: what entries hold for them, how long entries stay, and that none is missed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jedlik.dynamodb import catalog
from jedlik.dynamodb.changes import log_entries, readers
from jedlik.dynamodb.changes.readers import Place, ReaderGone, TooManyReaders
from jedlik.dynamodb.errors import ResourceNotFoundException
from jedlik.dynamodb.model import items, keys, log_readers, spaces
from jedlik.dynamodb.model.changelog import Change, Kind
from jedlik.dynamodb.model.definitions import LogReader, LogSetting
from jedlik.dynamodb.streams import shard_upkeep
from jedlik.dynamodb.streams.shard_upkeep import StreamPolicy
from jedlik.process.services import SERVICES
from jedlik.regions import keyspaces
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from jedlik.upkeep.check import StoreCheck
from testing.dynamodb.definitions import definition
from testing.dynamodb.handlers import Handlers, run
from testing.regions import write

TABLE = "Music"
HOUR = 60 * 60.0
DAY = 24 * HOUR
NEW = LogReader("test/new", old_images=False, new_images=True, seconds=DAY)
OLD = LogReader("test/old", old_images=True, new_images=False, seconds=DAY)
BARE = LogReader("test/keys", old_images=False, new_images=False, seconds=DAY)

Scenario = Callable[["Store"], Awaitable[None]]


class Store:
    """A store with one table, and its readers."""

    def __init__(self, handlers: Handlers) -> None:
        self.handlers = handlers
        self.region = handlers.region

    async def put(self, name: str, **more: int) -> None:
        item = {"p": {"S": name}, **{key: {"N": str(value)} for key, value in more.items()}}
        await self.handlers.call("PutItem", TableName=TABLE, Item=item)

    async def stream(self, view_type: str | None) -> None:
        setting: dict[str, Any] = {"StreamEnabled": view_type is not None}
        if view_type is not None:
            setting["StreamViewType"] = view_type
        self.handlers.now += 1  # The next stream has another label.
        await self.handlers.call("UpdateTable", TableName=TABLE, StreamSpecification=setting)

    async def changes(self, place: Place, room: int = 1 << 20) -> list[tuple[Kind, str, str]]:
        """What a reader reads to the end, in pages: kind, and the values of x before and after."""
        found = []
        while True:
            page = await readers.read(self.region, place, room)
            found += [
                (change.kind, x_of(change.old), x_of(change.new)) for _, change in page.changes if is_data(change)
            ]
            place = replace(place, position=page.position)
            if not page.more:
                return found

    async def log(self) -> LogSetting | None:
        table = await catalog.find(self.region, TABLE)
        assert table is not None
        return table.descriptor.log

    async def rows(self) -> int:
        """Entries in all logs."""
        return len(await self.region.engine.range(*spaces.LOGS.range, 10_000, 1 << 30))

    async def maintain(self) -> None:
        await shard_upkeep.maintain(self.region, StreamPolicy(rotation=30 * DAY))

    def problems(self) -> list[str]:
        assert isinstance(self.region.engine, LmdbEngine)
        with self.region.engine.view() as view:
            return list(StoreCheck(view, SERVICES).problems())


def is_data(change: Change) -> bool:
    return change.kind in (Kind.INSERT, Kind.MODIFY, Kind.REMOVE, Kind.EXPIRE)


def x_of(image: bytes) -> str:
    return items.decode(image)["x"]["N"] if image else ""


def over_store(scenario: Scenario) -> Callable[[Path], None]:
    """A test over a store of its own, in which every check passes afterwards."""

    def test(tmp_path: Path) -> None:
        async def with_table(handlers: Handlers) -> None:
            await write(handlers.region, lambda writes: writes.put(keyspaces.secret_key(), handlers.region.secret))
            await handlers.call("CreateTable", **definition(TableName=TABLE))
            store = Store(handlers)
            await scenario(store)
            assert store.problems() == []

        run(tmp_path, with_table)

    test.__doc__ = scenario.__doc__
    return test


@over_store
async def test_a_reader_reads_what_is_written_after_it_was_added(store: Store) -> None:
    await store.put("one", x=1)
    place = await readers.add(store.region, TABLE, NEW)
    assert await store.changes(place) == []
    await store.put("one", x=2)
    await store.put("two", x=3)
    await store.handlers.call("DeleteItem", TableName=TABLE, Key={"p": {"S": "one"}})
    assert await store.changes(place) == [(Kind.MODIFY, "", "2"), (Kind.INSERT, "", "3"), (Kind.REMOVE, "", "")]
    shown = (await store.handlers.call("DescribeTable", TableName=TABLE))["Table"]
    assert not {"StreamSpecification", "LatestStreamArn"} & set(shown)
    assert await store.region.engine.range(*keys.stream_range(None), 10, 1 << 20) == []


@over_store
async def test_an_entry_holds_the_most_that_a_reader_wants(store: Store) -> None:
    wanted = []
    for change in (
        readers.add(store.region, TABLE, BARE),
        readers.add(store.region, TABLE, NEW),
        readers.add(store.region, TABLE, OLD),
        readers.drop(store.region, TABLE, NEW.name),
        store.stream("NEW_IMAGE"),
        store.stream(None),
        readers.drop(store.region, TABLE, OLD.name),
        readers.drop(store.region, TABLE, BARE.name, "test/of another name"),
    ):
        await change
        log = await store.log()
        wanted.append(log and (log.old_images, log.new_images))
    assert wanted == [
        (False, False),
        (False, True),
        (True, True),
        (True, False),
        (True, True),
        (True, False),
        (False, False),
        None,
    ]


@over_store
async def test_no_entry_is_missed_or_shown_when_a_stream_comes_and_goes(store: Store) -> None:
    place = await readers.add(store.region, TABLE, NEW)
    await store.put("one", x=1)
    await store.stream("KEYS_ONLY")
    await store.put("one", x=2)
    await store.stream(None)
    await store.put("one", x=3)
    await store.stream("NEW_IMAGE")
    await store.put("one", x=4)
    assert [new for _, _, new in await store.changes(place)] == ["1", "2", "3", "4"]
    assert [new for _, _, new in await store.changes(place, room=1)] == ["1", "2", "3", "4"]
    streams = await store.region.engine.range(*keys.stream_range(TABLE), 10, 1 << 20)
    assert len(streams) == 2, "the log's own shards are in no stream"


def test_pages_of_several_shards_pass_over_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_entries, "MOST_ENTRIES", 1)

    @over_store
    async def scenario(store: Store) -> None:
        place = await readers.add(store.region, TABLE, NEW)
        for turn in range(3):
            await store.stream("NEW_IMAGE" if turn % 2 == 0 else None)
            for x in range(3):
                await store.put(f"{turn}", x=3 * turn + x)
        assert [new for _, _, new in await store.changes(place)] == [str(x) for x in range(9)]

    scenario(tmp_path)


@over_store
async def test_entries_stay_until_the_slowest_reader_has_passed_them(store: Store) -> None:
    fast = await readers.add(store.region, TABLE, NEW)
    slow = await readers.add(store.region, TABLE, OLD)
    for x in range(3):
        await store.put("one", x=x)
    rows = await store.rows()
    page = await readers.read(store.region, fast)
    await readers.advance(store.region, replace(fast, position=page.position))
    await store.maintain()
    assert await store.rows() == rows
    await readers.advance(store.region, replace(slow, position=page.changes[-1][0]))
    await store.maintain()
    assert await store.rows() == 2, "the shard's opening, and the entry that the slower one still needs"
    slow = await readers.place_of(store.region, slow.table_id, OLD.name)
    assert [old for _, old, _ in await store.changes(slow)] == ["1"]
    await readers.drop(store.region, TABLE, NEW.name, OLD.name)
    await store.maintain()
    assert await store.rows() == 0
    assert await store.region.engine.range(*spaces.READERS.range, 10, 1 << 20) == []


@over_store
async def test_a_stream_keeps_its_day_beside_a_reader_that_has_passed(store: Store) -> None:
    await store.stream("NEW_IMAGE")
    place = await readers.add(store.region, TABLE, NEW)
    await store.put("one", x=1)
    page = await readers.read(store.region, place)
    await readers.advance(store.region, replace(place, position=page.position))
    store.handlers.now += DAY - 1
    await store.maintain()
    assert await store.rows() == 2
    store.handlers.now += 2
    await store.maintain()
    assert await store.rows() == 1


@over_store
async def test_a_reader_that_wants_entries_for_longer_keeps_those_of_a_stream(store: Store) -> None:
    await store.stream("KEYS_ONLY")
    place = await readers.add(store.region, TABLE, replace(NEW, seconds=3 * DAY, temporary=False))
    await store.put("one", x=1)
    for _ in range(5):
        store.handlers.now += DAY / 2
        await store.maintain()
    assert await store.changes(place) == [(Kind.INSERT, "", "1")]
    store.handlers.now += DAY
    await store.maintain()
    with pytest.raises(ReaderGone):
        await readers.read(store.region, place)
    begun = await readers.restart(store.region, TABLE, NEW.name)
    await store.put("one", x=2)
    assert await store.changes(begun) == [(Kind.MODIFY, "", "2")]


@over_store
async def test_a_forgotten_reader_goes_and_so_does_the_log(store: Store) -> None:
    forgotten = await readers.add(store.region, TABLE, NEW)
    kept = await readers.add(store.region, TABLE, BARE)
    await store.put("one", x=1)
    store.handlers.now += readers.LEASE - 1
    await readers.advance(store.region, kept)
    await store.maintain()
    assert len(await store.changes(forgotten)) == 1
    store.handlers.now += 2
    await store.maintain()
    with pytest.raises(ReaderGone):
        await readers.read(store.region, forgotten)
    with pytest.raises(ReaderGone):
        await readers.advance(store.region, forgotten)
    assert len(await store.changes(kept)) == 1
    store.handlers.now += readers.LEASE + 1
    await store.maintain()
    await store.maintain()
    assert await store.log() is None
    assert await store.rows() == 0


@over_store
async def test_a_reader_that_lags_by_more_than_its_seconds_finds_out(store: Store) -> None:
    place = await readers.add(store.region, TABLE, replace(NEW, seconds=HOUR / 2))
    await store.put("one", x=1)
    store.handlers.now += HOUR / 2 - 1
    await readers.advance(store.region, place)
    await store.maintain()
    assert len(await store.changes(place)) == 1
    store.handlers.now += 2
    await store.maintain()
    with pytest.raises(ReaderGone):
        await readers.read(store.region, place)
    assert await store.log() is None, "it was temporary, so it is not there any more"


@over_store
async def test_readers_go_with_their_table(store: Store) -> None:
    place = await readers.add(store.region, TABLE, NEW)
    await store.put("one", x=1)
    await store.handlers.call("DeleteTable", TableName=TABLE)
    with pytest.raises(ReaderGone):
        await readers.read(store.region, place)
    await store.handlers.call("CreateTable", **definition(TableName=TABLE))
    await readers.drop(store.region, TABLE, NEW.name)
    await store.maintain()
    assert await store.rows() == 0
    await readers.drop(store.region, "of no such table", NEW.name)


@over_store
async def test_nothing_is_trimmed_while_the_clock_is_doubted(store: Store) -> None:
    place = await readers.add(store.region, TABLE, NEW)
    await store.put("one", x=1)
    page = await readers.read(store.region, place)
    await readers.advance(store.region, replace(place, position=page.position))
    rows = await store.rows()
    store.region.clock.read()
    store.handlers.now += 30 * DAY
    store.region.clock._steady = lambda: 0.0
    await store.maintain()
    assert await store.rows() == rows


@over_store
async def test_a_reader_must_have_a_table_a_name_of_its_own_and_room(
    store: Store,
) -> None:
    with pytest.raises(ResourceNotFoundException):
        await readers.add(store.region, "of no such table", NEW)
    await readers.add(store.region, TABLE, NEW)
    with pytest.raises(ValueError, match="table Music has a reader test/new already"):
        await readers.add(store.region, TABLE, NEW)
    for number in range(readers.MOST - 1):
        await readers.add(store.region, TABLE, replace(BARE, name=f"test/{number}"))
    with pytest.raises(TooManyReaders, match="table Music has 50 readers"):
        await readers.add(store.region, TABLE, OLD)


@over_store
async def test_advancing_leaves_the_descriptor_as_it_is_and_never_goes_back(store: Store) -> None:
    place = await readers.add(store.region, TABLE, NEW)
    raw = await catalog.raw_descriptor(store.region, TABLE)
    await store.put("one", x=1)
    page = await readers.read(store.region, place)
    await readers.advance(store.region, replace(place, position=page.position))
    await readers.advance(store.region, place)
    assert (await readers.place_of(store.region, place.table_id, NEW.name)).position == page.position
    assert await catalog.raw_descriptor(store.region, TABLE) == raw


@over_store
async def test_asking_for_news_is_one_look_up_where_there_is_nothing_new(store: Store) -> None:
    place = await readers.add(store.region, TABLE, NEW)
    await store.put("one", x=1)
    page = await log_entries.since(store.region, place.table_id, place.position)
    assert len(page.changes) == 1
    engine = store.region.engine

    class OnlyPosition:
        last_position = staticmethod(engine.last_position)

    store.region.engine = OnlyPosition()  # type: ignore[assignment]
    assert (await log_entries.since(store.region, place.table_id, page.position)).changes == []
    store.region.engine = engine


def test_of_view_wants_what_a_stream_shows() -> None:
    shown = {
        "KEYS_ONLY": (False, False),
        "OLD_IMAGE": (True, False),
        "NEW_IMAGE": (False, True),
        "NEW_AND_OLD_IMAGES": (True, True),
    }
    assert {
        view: (log_readers.of_view(view).old_images, log_readers.of_view(view).new_images) for view in shown
    } == shown
