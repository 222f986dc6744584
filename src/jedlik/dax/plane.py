"""The data plane: what every method of DAX's protocol has at hand, whichever it is.

A method reads its arguments, looks into the cache, calls the same operation of DynamoDB that an HTTP request would, in
the same process, and writes the result as clients want it. What is malformed inside of an argument is a
ValidationException: where the next request begins is known.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jedlik.aws.calls import Calls
from jedlik.aws.context import Caller
from jedlik.aws.errors import ServiceError, ValidationException
from jedlik.aws.protocols.cbor_values import NotCbor
from jedlik.dax import cluster_records, results_on_the_wire
from jedlik.dax.attribute_lists import AttributeLists, ListTooLong, Names
from jedlik.dax.cache import Cache, Key, Lease
from jedlik.dax.cluster_access import ClusterAccess, Permissions
from jedlik.dax.counting import NodeCounts
from jedlik.dax.expression_texts import Expressions, Steps
from jedlik.dax.following import Following
from jedlik.dax.wire_keys import KeySchema, item_entry
from jedlik.dax.wire_values import Item, WireReader
from jedlik.memory import LARGE
from jedlik.regions.stores import Stores
from jedlik.storage.engine import StorageError

log = logging.getLogger(__name__)

SCHEMA_SECONDS = 60.0
"""How long a table's key schema is believed, as by clients."""
MOST_SCHEMAS = 10_000
"""Key schemas that are remembered, and regions' parameters."""
LIVES_SECONDS = 1.0
"""How long the parameters of a cluster are believed."""
QUERIES = "queries"
"""In the keys of the query cache's entries."""

CheckProjection = Callable[[str, Mapping[str, str]], None]
"""Refuses the text of a projection, with its names, that DynamoDB would refuse. Raises ValidationException."""


@dataclass(frozen=True, slots=True)
class Lives:
    """How long entries of the caches live, in seconds. What lives for none is not kept."""

    items: float
    queries: float


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks on a connection, and about which region."""

    store: str
    """What the region's store is called."""
    caller: Caller
    selects_all: bool
    """Whether the client sends Select=ALL_ATTRIBUTES where none was given, as that for Go does."""
    counts: NodeCounts
    items: tuple[str, str]
    """What the keys of the store's entries in the item cache begin with."""
    permissions: Permissions | None = None
    """What it may do with the cluster; None where signatures are not verified, and all may do everything."""
    access: ClusterAccess | None = None

    @property
    def on_tables(self) -> Caller:
        """As whom tables are read and written. Raises AccessDeniedException."""
        return self.caller if self.access is None else self.access.session(self.caller.region)


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    asker: Asker
    arguments: Sequence[Any]
    request_id: str


class Plane:
    """What methods share, over the stores of a process."""

    def __init__(
        self,
        calls: Calls,
        lists: AttributeLists,
        cache: Cache,
        check_projection: CheckProjection,
        stores: Stores,
        following: Following,
        cluster: str,
    ) -> None:
        self._calls = calls
        self.lists = lists
        self.cache = cache
        self._stores = stores
        self._cluster = cluster
        """The name of the cluster."""
        self._lives: dict[str, tuple[float, Lives]] = {}
        self.following = following
        self._check_projection = check_projection
        self._schemas: dict[tuple[str, str], tuple[float, KeySchema]] = {}
        self._background: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("items of a transaction were not read again: %s", task.exception())

    async def ask(self, call: Call, operation: str, request: dict[str, Any]) -> Mapping[str, Any]:
        """The result of an operation of DynamoDB. Raises ServiceError."""
        try:
            return await self._calls.call(call.asker.store, call.asker.on_tables, operation, request, call.request_id)
        except ServiceError:
            if "TableName" in request:  # Perhaps the table is another by now.
                self._schemas.pop((call.asker.store, request["TableName"]), None)
            raise

    async def schema(self, call: Call, table: str) -> KeySchema:
        """The key schema of a table. Raises ServiceError."""
        now = time.monotonic()
        known = self._schemas.get((call.asker.store, table))
        if known is not None and known[0] > now:
            return known[1]
        described = (await self.ask(call, "DescribeTable", {"TableName": table}))["Table"]
        types = {one["AttributeName"]: one["AttributeType"] for one in described["AttributeDefinitions"]}
        names = tuple(one["AttributeName"] for one in described["KeySchema"])
        schema = KeySchema(names, tuple(types[name] for name in names))
        if len(self._schemas) >= MOST_SCHEMAS:
            self._schemas.clear()
        self._schemas[call.asker.store, table] = now + SCHEMA_SECONDS, schema
        return schema

    async def lives(self, call: Call) -> Lives:
        """How long entries live that are made now: as the parameter group of the region's cluster has it."""
        now = time.monotonic()
        store = call.asker.store
        known = self._lives.get(store)
        if known is not None and known[0] > now:
            return known[1]
        region = self._stores.opened(store) or await self._stores.find(store)
        cluster = await cluster_records.cluster_of(region, self._cluster)
        group = await cluster_records.group_of(region, cluster.group) or cluster_records.BUILT_IN
        lives = Lives(
            group.milliseconds(cluster_records.ITEM_LIFE) / 1000, group.milliseconds(cluster_records.QUERY_LIFE) / 1000
        )
        if len(self._lives) >= MOST_SCHEMAS:
            self._lives.clear()
        self._lives[store] = now + LIVES_SECONDS, lives
        return lives

    # Items

    async def item(self, call: Call, schema: KeySchema, key: Item, raw: bytes) -> Item:
        """The item with a key and these values bytes. Raises NotCbor and ServiceError."""
        if len(raw) > LARGE:
            await asyncio.sleep(0)  # Others come between the items of a batch, each of which may take long.
        reader = WireReader(raw)
        number = reader.value()
        names = await self.lists.names(call.asker.store, number) if type(number) is int else None
        if names is None:
            raise ValidationException(f"There is no attribute list with the id {number}")
        item = dict(key)
        for name in names:
            if name in item:
                raise NotCbor("an attribute of the key is among the values")
            item[name] = reader.attribute()
        reader.check_end()
        return item

    async def values(self, call: Call, schema: KeySchema, item: Item) -> bytes:
        """An item without its key, as CBOR. Raises ServiceError."""
        names = results_on_the_wire.attribute_names(item, schema)
        encoded = results_on_the_wire.values(await self.list_number(call, names), names, item)
        if len(encoded) > LARGE:
            await asyncio.sleep(0)
        return encoded

    async def list_number(self, call: Call, names: Names) -> int:
        """The number of an attribute list. Raises ValidationException."""
        try:
            return await self.lists.number(call.asker.store, names)
        except ListTooLong:
            raise ValidationException("The names of the attributes have more bytes than an item may have") from None

    def item_key(self, call: Call, table: str, schema: KeySchema, key: Item) -> Key:
        """Where an item's entry is."""
        return item_entry(call.asker.store, table, schema.encoded(key))

    # The cache

    async def leases(self, call: Call, table: str, schema: KeySchema, places: Sequence[Key]) -> list[Lease] | None:
        """Leases on the entries of items of one table, to be taken before these are read; None if what is read of the
        table may not be kept."""
        life = (await self.lives(call)).items
        position = await self.following.position(call.asker.store, table, schema, life) if life > 0 else None
        return None if position is None else [self.cache.lease(place, position) for place in places]

    async def read_again(self, call: Call, table: str, schema: KeySchema, keys: Sequence[Item]) -> None:
        """Read items that have just been written, into the cache. If that fails, they are read when somebody asks."""
        places = [self.item_key(call, table, schema, key) for key in keys]
        for place in places:
            self.cache.drop(place)
        leases: list[Lease] = []
        try:
            leases = await self.leases(call, table, schema, places) or []
            for place, lease, key in zip(places, leases, keys, strict=False):
                request = {"TableName": table, "Key": dict(key), "ConsistentRead": True}
                result = await self._calls.call(
                    call.asker.store, call.asker.on_tables, "GetItem", request, call.request_id, counted=False
                )
                item = None
                if "Item" in result:
                    item = await self.values(call, schema, results_on_the_wire.plain_item(result["Item"]))
                self.cache.fill(place, lease, b"", results_on_the_wire.found(item), (await self.lives(call)).items)
        except (ServiceError, StorageError) as error:
            log.warning("what was written is not in the cache: %s", error)
        finally:
            for place, lease in zip(places, leases, strict=False):
                self.cache.release(place, lease)

    # Projections

    def projection(self, expressions: Expressions, paths: tuple[Steps, ...]) -> str:
        """The ProjectionExpression to be sent for these paths.

        What is chosen from a list moves together, and cannot be told apart by its place. So a path ends there at the
        list, and `results_on_the_wire.chosen` goes on from it. Raises ValidationException.
        """
        cut = tuple(dict.fromkeys(_to_list(path) for path in paths))
        if cut != paths:
            whole = Expressions()
            text = whole.projection(paths)
            self._check_projection(text, whole.parameters["ExpressionAttributeNames"])
        return expressions.projection(cut)


def _to_list(path: Steps) -> Steps:
    for number, step in enumerate(path):
        if type(step) is int:
            return path[:number]
    return path


def table_name(raw: Any) -> str:
    """The name of a table in an argument, which is bytes, or a text in batches. Raises NotCbor."""
    if type(raw) is str:
        return raw
    if type(raw) is not bytes:
        raise NotCbor("the name of a table is neither bytes nor a text")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise NotCbor("the name of a table is not UTF-8") from None


def raw_bytes(argument: Any, what: str) -> bytes:
    """An argument that is bytes. Raises NotCbor."""
    if type(argument) is not bytes:
        raise NotCbor(f"{what} is not bytes")
    return argument
