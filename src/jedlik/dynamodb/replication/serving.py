"""Serving: a region's answers to its peers. They are operations like any other, with a target prefix of Jedlik's own.

    Pull        the changes made here in each of several tables since a position, waiting a while for one to come
    BeginCopy   the positions, here and in other regions, to pull from after a copy made from now on
    CopyPage    a page of a table's items and tombstones, with their versions
    Missing     which of some items this region does not know

Positions are the store's own, given to log entries in commit order over all shards. A pull reads several shards, one
after the other, and must not miss an entry that is committed meanwhile. So it first looks up the last position, and
then reads up to there. Code that has seen a position never sees an earlier one appear (`storage.engine`).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from jedlik.aws.errors import ValidationException
from jedlik.dynamodb import catalog
from jedlik.dynamodb.changes import log_entries
from jedlik.dynamodb.errors import ResourceInUseException, ResourceNotFoundException
from jedlik.dynamodb.model import key_values, keys, remote_changes, replicas, streams, values, versions
from jedlik.dynamodb.model.changelog import Change, Kind
from jedlik.dynamodb.model.limits import MIB, STREAM_RETENTION_SECONDS
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.replication import peer_messages, pull_positions, replicated
from jedlik.dynamodb.replication.forms import Misshapen
from jedlik.dynamodb.replication.replicated import Replicated
from jedlik.regions import keyspaces

if TYPE_CHECKING:
    from jedlik.aws.context import Context
    from jedlik.regions.region import Region

Request = dict[str, Any]
Response = dict[str, Any]

TARGET = "JedlikPeers_1"
"""The prefix of these operations in a request's X-Amz-Target."""

LONGEST_WAIT = 1.0
"""The most seconds that a pull waits for a change."""
LOOK_SECONDS = 0.02
"""How often a waiting pull checks for changes: the delay of replication when there is nothing else to do."""
REST_FACTOR = 4
"""It pauses at least this many times as long as a check takes: however many tables there are, it takes a fifth of a
worker."""
PULL_BYTES = MIB
"""Bytes of log entries after which a pull's answer ends."""
_ENTRY_BYTES = 160
"""The bytes of an entry in an answer besides its item and its keys."""
PAGE_ITEMS = 500
PAGE_BYTES = MIB // 2


async def pull(context: Context, request: Request) -> Response:
    """The changes made here since a position, for each of several tables.

    Request: Wait (seconds) and Tables, each with TableName, GroupId, Position, SourceId (TableId of the table here to
    which the position belongs) and GroupVersion (the digest of the group document that the peer last had from here).

    Answer: Now (seconds since the epoch, before the last check), Full (whether it ended before the last table) and
    Tables, those with news. Each has TableName and either Gone, or SourceId and perhaps Group (the document, if it is
    another), and either CopyAgain, if the position is no longer in the log, or Entries (each a remote change with its
    Position), Position (where to go on) and More (whether there are more at once).
    """
    region = context.region
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(request["Wait"], LONGEST_WAIT)
    asked = [_Asked(**{_MEMBERS[name]: value for name, value in table.items()}) for table in request["Tables"]]
    first = True
    while True:
        now, begun = region.clock(), loop.time()
        news: list[Response] = []
        room = PULL_BYTES
        turn = time.perf_counter()
        for table in asked:
            if room <= 0:
                break
            answer, size = await _look(region, table, room, first)
            room -= size
            if answer is not None:
                news.append(answer)
            turn = await _let_others(turn)
        if news or loop.time() >= deadline:
            return {"Now": now, "Full": room <= 0, "Tables": news or [table.passed() for table in asked]}
        first = False
        await asyncio.sleep(max(LOOK_SECONDS, REST_FACTOR * (loop.time() - begun)))


async def begin_copy(context: Context, request: Request) -> Response:
    """The positions to pull from after copying a table's items from now on.

    Answer: Now (seconds since the epoch), SourceId and Position, here, and Checkpoints, by region, each with SourceId,
    Position and Covered (as in `pull_positions`): how many of the other regions' changes the copy will contain, and how
    much this region has seen of each. Raises ResourceInUseException while this replica is itself incomplete.
    """
    region = context.region
    now = region.clock()
    source = await _replica(region, request)
    known = await pull_positions.of_table(region, source.table.id)
    if source.replica.status == replicas.CREATING or any(pull.copying for pull in known):
        raise ResourceInUseException(f"The replica of table {source.table.name} in {region.name} is incomplete itself")
    _refuse_disassociating(region, source.table)
    return {
        "Now": now,
        "SourceId": source.table_id,
        "Position": max(await _last_position(region, source.table) + 1, await _first_kept(region, source.table)),
        "Checkpoints": {c.region: {"SourceId": c.source, "Position": c.position, "Covered": c.covered} for c in known},
    }


async def copy_page(context: Context, request: Request) -> Response:
    """A page of a table's items and, after these, of its tombstones, as remote changes.

    Request: TableName, GroupId, SourceId and Cursor (from the last answer; None at first). Answer: Changes and Cursor
    (None after the last page).
    """
    region = context.region
    table = (await _replica(region, request)).table
    _refuse_disassociating(region, table)
    page = await _page(region, table, request)
    if not await _is_as_read(region, table):
        raise ResourceInUseException(f"Table {table.name} in {region.name} is being changed; ask again")
    return page


async def _page(region: Region, table: Table, request: Request) -> Response:
    items_end = keyspaces.prefix_end(table.prefix)
    versions_start, versions_end = keys.version_range(table.id)
    start = table.prefix if request["Cursor"] is None else _cursor(request["Cursor"])
    if table.prefix <= start < items_end:
        rows = await region.engine.range(start, items_end, PAGE_ITEMS, PAGE_BYTES)
        # Items and versions must belong to one state, so both are read again.
        page = [key for key, _ in rows]
        found = await replicated.items_with_versions(region, table, page)
        changes = [remote_changes.of_item(table, stored, record) for stored, record in found if stored is not None]
        return {"Changes": changes, "Cursor": (page[-1] + b"\0" if page else versions_start).hex()}
    if not versions_start <= start < versions_end:
        raise ValidationException("Invalid Cursor")
    rows = await region.engine.range(start, versions_end, PAGE_ITEMS, PAGE_BYTES)
    changes = [remote_changes.of_tombstone(record) for _, record in rows if versions.is_tombstone(record)]
    return {"Changes": changes, "Cursor": (rows[-1][0] + b"\0").hex() if rows else None}


async def missing(context: Context, request: Request) -> Response:
    """The items of which this region has neither the item nor a tombstone.

    Request: TableName, GroupId, SourceId and Keys (key attributes). Answer: Missing, a boolean for each.
    """
    region = context.region
    table = (await _replica(region, request)).table
    begun = time.perf_counter()
    for key in request["Keys"]:
        values.normalise_item(key)
        key_values.check_key(table, key)
        begun = await _let_others(begun)
    items = [keys.item_key(table, key, region.secret) for key in request["Keys"]]
    found = await replicated.items_with_versions(region, table, items)
    return {"Missing": [stored is None and record is None for stored, record in found]}


async def has_changes_after(region: Region, table: Table, position: int) -> bool:
    """Whether changes that were made in this region are in a replicated table's log from `position` on."""
    own = versions.region_id(region.name)
    last = await _last_position(region, table)
    while position <= last:
        logs = await _shard_logs(region, table)
        entries, position = await log_entries.between(region, logs, position, last, PULL_BYTES, _size)
        if any(_is_own(change, own) for _, change in entries):
            return True
    return False


def validate(operation: str, request: Request) -> Request:
    """The request, if it has the form of `operation`'s. Raises ValidationException."""
    try:
        peer_messages.REQUESTS[operation](request, "")
    except Misshapen as error:
        raise ValidationException(str(error)) from error
    names = [table["TableName"] for table in request.get("Tables", ())]
    if len(set(names)) < len(names):
        raise ValidationException("Tables names a table twice")
    return request


_STREAMS = 1024
"""Streams for which it is remembered how far they have been trimmed."""
TURN_SECONDS = 0.01
"""How long a request of many elements keeps the event loop busy."""


async def _let_others(begun: float) -> float:
    """Let other requests run if this turn, begun at a time of `time.perf_counter`, has been long. Returns when the turn
    has begun."""
    if time.perf_counter() - begun < TURN_SECONDS:
        return begun
    await asyncio.sleep(0)
    return time.perf_counter()


def _cursor(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ValidationException("Invalid Cursor") from None


# Pulls


@dataclass(slots=True)
class _Asked:
    """A pull's request for one table, and the progress of the checks so far."""

    name: str
    group: str
    position: int
    source: str | None
    digest: str | None

    def passed(self) -> Response:
        """The answer if there was no news: other regions' changes have been skipped."""
        return {"TableName": self.name, "SourceId": self.source, **_news([], self.position, False)}


_MEMBERS = {
    "TableName": "name",
    "GroupId": "group",
    "Position": "position",
    "SourceId": "source",
    "GroupVersion": "digest",
}


async def _look(region: Region, asked: _Asked, room: int, first: bool) -> tuple[Response | None, int]:
    """The news of a table, if there is any, and the bytes that it takes.

    The `first` check makes sure that the requested position is not behind the end of the log.
    """
    found = await replicated.find(region, asked.name)
    if found is None or found.replica.group_id != asked.group:
        return {"TableName": asked.name, "Gone": True}, 0
    table = found.table
    if asked.source != found.table_id:
        asked.source, asked.position = found.table_id, 0
    start = asked.position
    answer: Response = {"TableName": asked.name, "SourceId": found.table_id}
    if asked.digest != found.digest:
        answer["Group"] = found.group
    if table.descriptor.is_closed:
        # Its changes cannot be read. That it is closed is in its group document.
        return (answer | _news([], asked.position, False), len(table.raw)) if "Group" in answer else (None, 0)
    kept = await _first_kept(region, table)
    # The end of a disassociating table is no longer sent, so no peer can be found to be behind it.
    looks_at_end = first and not _disassociates(table)
    if asked.position < kept or (looks_at_end and asked.position > max(await _last_position(region, table) + 1, kept)):
        # It is no longer in the log, or has never been: the peer has it from elsewhere, or this store is an older one.
        return answer | {"CopyAgain": True}, 0
    entries, size, more = await _own_entries(region, table, asked, room)
    if entries and not await _is_as_read(region, table):
        asked.position = start
        return await _look(region, asked, room, first)
    if entries and entries[0][1].at < region.clock.slowest() - STREAM_RETENTION_SECONDS:
        return answer | {"CopyAgain": True}, 0
    if "Group" in answer:
        size += len(table.raw)  # It is in the descriptor.
    if not entries and "Group" not in answer and not more:
        return None, size
    news = [remote_changes.of_entry(change) | {"Position": position} for position, change in entries]
    return answer | _news(news, asked.position, more), size


def _news(entries: list[Response], position: int, more: bool) -> Response:
    return {"Entries": entries, "Position": position, "More": more}


async def _own_entries(
    region: Region, table: Table, asked: _Asked, room: int
) -> tuple[list[tuple[int, Change]], int, bool]:
    """Entries of changes made here, from the requested position on, which is moved; bytes; whether there are more."""
    if not await _has_news(region, table, asked.position):
        return [], 0, False
    last = await _last_position(region, table)
    logs = await _shard_logs(region, table)
    entries, asked.position = await log_entries.between(region, logs, asked.position, last, room, _size)
    own = versions.region_id(region.name)
    size = sum(_size(change) for _, change in entries)
    return [entry for entry in entries if _is_own(entry[1], own)], size, asked.position <= last


def _is_own(change: Change, own: bytes) -> bool:
    """Whether this region must send a change: it was made here, or is sent again."""
    return bool(change.version) and (change.kind is Kind.SENT_AGAIN or versions.origin(change.version) == own)


async def _first_kept(region: Region, table: Table) -> int:
    """The position before which something has been trimmed from a table's log."""
    [raw] = await region.engine.get(streams.current_key(table.descriptor)) or [None]
    return 0 if raw is None else _trimmed_to(raw)


@lru_cache(_STREAMS)
def _trimmed_to(stream: bytes) -> int:
    position: int = orjson.loads(stream).get("TrimmedTo", 0)
    return position


async def _has_news(region: Region, table: Table, position: int) -> bool:
    """Whether there is an entry from `position` on. A shard that closes opens another, so the open ones decide."""
    assert table.log is not None, "a replicated table has a change log"
    logs = await _shard_logs(region, table) if _disassociates(table) else table.log.prefixes
    for log in logs:
        if await region.engine.range(*keys.log_range(log, position), 1, 1):
            return True
    return False


def _size(change: Change) -> int:
    """Bytes of an entry in an answer, about."""
    return len(change.new) + len(change.keys) + _ENTRY_BYTES


async def _shard_logs(region: Region, table: Table) -> list[bytes]:
    """The log prefixes of a table's shards, in the order in which they were opened.

    Without those that were opened when the table began to disassociate: their entries are its own.
    """
    before = table.descriptor.told_shards if _disassociates(table) else None
    return await log_entries.shard_logs(region, table.id, before)


async def _last_position(region: Region, table: Table) -> int:
    """The position of the last entry in any of a table's logs."""
    return await log_entries.last_of(region, await _shard_logs(region, table))


def _disassociates(table: Table) -> bool:
    return table.replica is not None and table.replica.disassociates


def _refuse_disassociating(region: Region, table: Table) -> None:
    """Nothing is copied of a disassociating table: later writes to it are for no other region."""
    if _disassociates(table):
        raise ResourceInUseException(f"The replica of table {table.name} in {region.name} is being disassociated")


async def _is_as_read(region: Region, table: Table) -> bool:
    """Whether a table is still as in its descriptor, and so was when its log or its items were read after that.

    If it has begun to disassociate meanwhile, the data read may be newer than that, and must not be sent.
    """
    return await catalog.is_as_read(region, table)


async def _replica(region: Region, request: Request) -> Replicated:
    """The replica of a request. Raises ResourceNotFoundException."""
    found = await replicated.find(region, request["TableName"])
    same = found is not None and found.replica.group_id == request["GroupId"]
    if found is None or not same or request.get("SourceId", found.table_id) != found.table_id:
        raise ResourceNotFoundException(
            f"Requested resource not found: Table: {request['TableName']} has no such replica"
        )
    if found.table.descriptor.is_closed:
        raise ResourceInUseException(f"The key of table {request['TableName']} in {region.name} cannot be used")
    return found
