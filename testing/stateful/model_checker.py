"""The model checker: rules that send the same requests to the model and to a service, and compare the answers.

`Checker` has the rules that hold for any service. `InProcessChecker` moves the clock and the background work as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import orjson
from hypothesis import assume, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from jedlik.dynamodb.streams.shard_upkeep import StreamPolicy
from testing.stateful.dynamodb_model import (
    TYPES,
    Command,
    Delete,
    Found,
    Index,
    Model,
    Put,
    Reading,
    Refusal,
    Table,
    Update,
    projected,
    returned,
)
from testing.stateful.generated import (
    DOCUMENTS,
    FIRST_INDEXES,
    GLOBAL,
    KEY_VALUES,
    ORDERS,
    PLAIN,
    START,
    TABLE_KEYS,
    Chance,
    chances,
    drawn,
)
from testing.stateful.plain_values import Item, Wire, canonical, item_on_wire, item_size
from testing.stateful.rendering import (
    batch_element,
    has_statement,
    members_of,
    projection,
    reading_members,
    select_statement,
    statement,
    transaction_element,
)
from testing.stateful.services import InProcess, Service

T = TypeVar("T")

RETURN_VALUES = ("NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")
_OPERATIONS: dict[type, str] = {Put: "PutItem", Update: "UpdateItem", Delete: "DeleteItem"}


def outcome(attempt: Callable[[], Any]) -> Any:
    """The result of an attempt, or its refusal, in a form in which equal ones are equal."""
    try:
        return canonical(attempt())
    except Refusal as refusal:
        reasons = [(reason.code, canonical(reason.item)) for reason in refusal.reasons]
        return refusal.code, canonical(refusal.item), reasons


def raised(refusal: Refusal) -> Any:
    """Never returns: raises a refusal."""
    raise refusal


def counted(items: Sequence[Wire]) -> Counter[bytes]:
    """Items of an answer, to be compared whatever their order."""
    return Counter(orjson.dumps(item, default=bytes.hex, option=orjson.OPT_SORT_KEYS) for item in items)


def on_wire(item: Item | None) -> Wire | None:
    return None if item is None else canonical(item_on_wire(item))


class Checker(RuleBasedStateMachine):
    """The rules for any service. A subclass provides it in `service`."""

    service: Service

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(now=START)
        self.arns: dict[str, str] = {}
        """The tables' streams."""

    @initialize(batch=drawn(lambda chance: chance.several(chance.unconditional, 25)))
    def create_tables(self, batch: list[Command]) -> None:
        for name, key in TABLE_KEYS.items():
            table = Table(name, key, {index.name: index for index in FIRST_INDEXES[name]})
            self.model.tables[name] = table
            answer = self.service.call("CreateTable", **_definition(table))
            self.arns[name] = answer["TableDescription"]["LatestStreamArn"]
        # Not through `batch_write`, which may be refused as a whole because of one item.
        for command in batch:
            self.write(command, "NONE", as_statement=False)

    def teardown(self) -> None:
        if self.model.tables:
            self.everything_agrees()

    def agree(self, expected: Callable[[], T], actual: Callable[[], T]) -> None:
        """The answers of the model and the service must be equal."""
        wanted = outcome(expected)
        got = outcome(actual)
        assert got == wanted

    # Writes

    @rule(chance=chances(), number=st.integers(1, 8))
    def write_some(self, chance: Chance, number: int) -> None:
        for _ in range(number):
            command, asked, as_statement = chance.command(), chance.one(RETURN_VALUES), chance.random() < 0.4
            note(f"{command}, {asked}, {as_statement}")
            self.write(command, asked, as_statement)

    def write(self, command: Command, asked: str, as_statement: bool) -> None:
        if not isinstance(command, Update) and asked != "NONE":
            asked = "ALL_OLD"
        as_statement = as_statement and has_statement(command)
        if as_statement and isinstance(command, Put):
            asked = "NONE"

        def expected() -> Wire | None:
            old, new = self.model.write(command, as_statement)
            return on_wire(returned(command, old, new, asked)) or None

        def actual() -> Wire | None:
            if as_statement:
                items = self.service.call("ExecuteStatement", **statement(command, asked))["Items"]
                assert len(items) <= 1
                return items[0] if items else None
            request = members_of(command) | {"ReturnValues": asked}
            found: Wire | None = self.service.call(_OPERATIONS[type(command)], **request).get("Attributes")
            return found

        self.agree(expected, actual)

    @rule(batch=drawn(lambda chance: chance.several(chance.unconditional, 12)))
    def batch_write(self, batch: list[Command]) -> None:
        requests: dict[str, list[Wire]] = defaultdict(list)
        for command in batch:
            requests[command.table].append(batch_element(command))

        def actual() -> None:
            answer = self.service.call("BatchWriteItem", RequestItems=dict(requests))
            assert answer["UnprocessedItems"] == {}

        self.agree(lambda: self.model.batch(batch), actual)

    @rule(
        transaction=drawn(lambda chance: chance.several(lambda: chance.command(in_transaction=True))),
        as_statements=st.booleans(),
        token=st.none() | st.uuids().map(str),
    )
    def transact(self, transaction: list[Command], as_statements: bool, token: str | None) -> None:
        as_statements = as_statements and all(map(has_statement, transaction))
        request: Wire = {} if token is None else {"ClientRequestToken": token}
        if as_statements:
            request["TransactStatements"] = [statement(command) for command in transaction]
        else:
            request["TransactItems"] = [transaction_element(command) for command in transaction]

        def actual() -> None:
            operation = "ExecuteTransaction" if as_statements else "TransactWriteItems"
            self.service.call(operation, **request)
            if token is not None:
                # Once more, which changes nothing.
                self.service.call(operation, **request)

        self.agree(lambda: self.model.transact(transaction, as_statements), actual)

    @rule(batch=drawn(lambda chance: chance.several(chance.command)))
    def batch_of_statements(self, batch: list[Command]) -> None:
        batch = list(filter(has_statement, batch))
        assume(batch)

        def expected(command: Command) -> str | None:
            try:
                self.model.write(command, statement=True)
            except Refusal as refusal:
                name = refusal.code.removesuffix("Exception")
                return "ValidationError" if name == "Validation" else name
            return None

        answer = self.service.call("BatchExecuteStatement", Statements=[statement(command) for command in batch])
        codes = [response.get("Error", {}).get("Code") for response in answer["Responses"]]
        assert codes == [expected(command) for command in batch]

    # Reads of single items

    @rule(chance=chances(), table=st.sampled_from([ORDERS, PLAIN]), as_statement=st.booleans())
    def get(self, chance: Chance, table: str, as_statement: bool) -> None:
        key = chance.key(table)
        paths = chance.top_level_projection(table) if as_statement else chance.projection(table)
        found = self.model.tables[table].get(key)
        wanted = None if found is None else on_wire(projected(found, paths))
        if as_statement:
            reading = Reading(table, projection=paths)
            request = select_statement(reading, self.model.tables[table], None)
            key_statement = statement(Delete(table, key))
            where = key_statement["Statement"].partition(" WHERE ")[2]
            request = key_statement | {"Statement": f"{request['Statement']} WHERE {where}"}
            items = self.service.call("ExecuteStatement", **request)["Items"]
            assert items == ([] if wanted is None else [wanted])
            return
        request = {"TableName": table, "Key": item_on_wire(key), **projection(paths)}
        assert self.service.call("GetItem", **request).get("Item") == wanted

    @rule(chance=chances(), in_transaction=st.booleans())
    def get_several(self, chance: Chance, in_transaction: bool) -> None:
        wanted: list[Wire | None] = []
        gets: list[tuple[str, Wire, Wire]] = []
        for table in self.model.tables.values():
            paths = chance.projection(table.name)
            keys = [chance.key(table.name) for _ in range(chance.randint(0, 3))]
            for number, key in enumerate(keys):
                if key in keys[:number]:
                    continue
                item = table.get(key)
                wanted.append(None if item is None else on_wire(projected(item, paths)))
                gets.append((table.name, item_on_wire(key), projection(paths)))
        assume(gets)
        if in_transaction:
            elements = [{"Get": {"TableName": name, "Key": key, **shown}} for name, key, shown in gets]
            responses = self.service.call("TransactGetItems", TransactItems=elements)["Responses"]
            assert [response.get("Item") for response in responses] == wanted
            return
        requests: dict[str, Wire] = {}
        for name, key, shown in gets:
            requests.setdefault(name, {"Keys": [], **shown})["Keys"].append(key)
        answer = self.service.call("BatchGetItem", RequestItems=requests)
        assert answer["UnprocessedKeys"] == {}
        items = [item for of_table in answer["Responses"].values() for item in of_table]
        assert counted(items) == counted([item for item in wanted if item is not None])

    # Query and Scan

    def reading(self, chance: Chance, filter_names: Sequence[str]) -> Reading:
        """A reading of everything in a table or in one of its indexes, or in a partition of it."""
        table = self.model.tables[chance.table()]
        index = chance.one([None, *table.indexes.values()])
        key, sort = (table.key[:1], table.key[1:]) if index is None else (index.partition, index.sort)
        reading = Reading(
            table=table.name,
            index=None if index is None else index.name,
            filter=None if chance.random() < 0.6 else chance.condition(filter_names),
            consistent=chance.seldom(),
        )
        if chance.often():
            partition = tuple(chance.one(KEY_VALUES[name]) for name in key)
            reading = replace(reading, partition=partition, sort=chance.sort_conditions(sort))
        return reading

    @rule(chance=chances(), number=st.integers(1, 8))
    def query_and_scan(self, chance: Chance, number: int) -> None:
        for _ in range(number):
            self.query_or_scan(chance, chance.one([None, 1, 2, 4]), reverse=chance.random() < 0.5)

    def query_or_scan(self, chance: Chance, limit: int | None, reverse: bool) -> None:
        reading = self.reading(chance, (*DOCUMENTS, "n", "g"))
        reading = replace(reading, projection=chance.projection(reading.table))
        if not reading.projection:
            reading = replace(reading, select=chance.one([None, None, "ALL_ATTRIBUTES", "COUNT"]))
        note(f"{reading}")
        table = self.model.tables[reading.table]
        request = reading_members(reading, table)
        is_query = reading.partition is not None
        if is_query:
            request["ScanIndexForward"] = not reverse
        operation = "Query" if is_query else "Scan"
        found = self.found(reading, reverse)
        if isinstance(found, Refusal):
            self.agree(lambda: raised(found), lambda: self.service.call(operation, **request))
        else:
            self.check_pages(operation, request, reading, found, limit)

    def found(self, reading: Reading, reverse: bool) -> Found | Refusal:
        """The items that the model finds, or its refusal."""
        try:
            return self.model.find(reading, reverse)
        except Refusal as refusal:
            return refusal

    def check_pages(self, operation: str, request: Wire, reading: Reading, found: Found, limit: int | None) -> None:
        """All pages of a reading must return the expected items, in order, and end at the right places."""
        table = self.model.tables[reading.table]
        index = None if reading.index is None else table.indexes[reading.index]
        fixed = [condition.operator for condition in reading.sort] == ["="] * len(table.key[1:])
        is_of_one_item = reading.partition is not None and index is None and fixed
        left = len(found.sort_keys)
        count = 0
        items: list[Wire] = []
        more: Wire = {} if limit is None else {"Limit": limit}
        while True:
            answer = self.service.call(operation, **request, **more)
            examined = left if limit is None else min(left, limit)
            assert answer["ScannedCount"] == examined
            left -= examined
            count += answer["Count"]
            items += answer.get("Items", [])
            assert ("LastEvaluatedKey" in answer) == (examined == limit and not is_of_one_item)
            if "LastEvaluatedKey" not in answer:
                break
            last_key = answer["LastEvaluatedKey"]
            assert set(last_key) == {*table.key, *(() if index is None else index.key)}
            more["ExclusiveStartKey"] = last_key
        assert left == 0
        assert count == found.count
        wanted = [] if reading.select == "COUNT" else [canonical(item_on_wire(item)) for item in found.shown]
        self.check_items(items, wanted, reading)

    def check_items(self, items: list[Wire], wanted: list[Wire], reading: Reading) -> None:
        assert counted(items) == counted(wanted)
        if reading.partition is not None:
            table = self.model.tables[reading.table]
            sort = table.key[1:] if reading.index is None else table.indexes[reading.index].sort
            # Items with equal sort keys may come in any order.
            assert [[item.get(name) for name in sort] for item in items] == [
                [item.get(name) for name in sort] for item in wanted
            ]

    @rule(chance=chances(), number=st.integers(1, 8))
    def select_some(self, chance: Chance, number: int) -> None:
        for _ in range(number):
            self.select(chance, chance.one([None, 1, 2, 4]), reverse=chance.one([None, False, True]))

    def select(self, chance: Chance, limit: int | None, reverse: bool | None) -> None:
        reading = self.reading(chance, DOCUMENTS)
        reading = replace(reading, projection=chance.top_level_projection(reading.table))
        note(f"{reading}")
        table = self.model.tables[reading.table]
        index = None if reading.index is None else table.indexes[reading.index]
        if index is not None and len(index.partition) + len(index.sort) > 2:
            return  # PartiQL knows no keys of several attributes.
        has_sort_key = len(table.key if index is None else index.key) > 1
        if reading.partition is None or not has_sort_key:
            reverse = None

        def pages() -> list[Wire]:
            items: list[Wire] = []
            request = select_statement(reading, table, reverse) | ({} if limit is None else {"Limit": limit})
            while True:
                answer = self.service.call("ExecuteStatement", **request)
                items += answer["Items"]
                if "NextToken" not in answer:
                    return items
                request["NextToken"] = answer["NextToken"]

        found = self.found(reading, bool(reverse))
        if isinstance(found, Refusal):
            self.agree(lambda: raised(found), pages)
        else:
            self.check_items(pages(), [canonical(item_on_wire(item)) for item in found.shown], reading)

    @rule(chance=chances(), reverse=st.booleans())
    def query_from_any_place(self, chance: Chance, reverse: bool) -> None:
        """The ExclusiveStartKey may belong to no item."""
        start = chance.key(ORDERS)
        reading = Reading(ORDERS, partition=(start["p"],))
        items = self.model.find(reading, reverse).shown
        wanted = [item for item in items if (item["s"] < start["s"] if reverse else item["s"] > start["s"])]
        answer = self.service.call(
            "Query",
            **reading_members(reading, self.model.tables[ORDERS]),
            ScanIndexForward=not reverse,
            ExclusiveStartKey=item_on_wire(start),
        )
        assert answer["Items"] == [canonical(item_on_wire(item)) for item in wanted]

    @rule(table=st.sampled_from([ORDERS, PLAIN]), segments=st.integers(2, 5))
    def scan_segments(self, table: str, segments: int) -> None:
        items: list[Wire] = []
        for segment in range(segments):
            items += self.service.call("Scan", TableName=table, TotalSegments=segments, Segment=segment)["Items"]
        assert counted(items) == counted([item_on_wire(item) for item in self.model.tables[table].entries(None)])

    # Tables

    @rule(chance=chances(), name=st.sampled_from([ORDERS, PLAIN]))
    def add_index(self, chance: Chance, name: str) -> None:
        table = self.model.tables[name]
        assume(not table.building and len(table.indexes) < len(FIRST_INDEXES[name]) + 2)
        index = GLOBAL[chance.one(sorted(GLOBAL.keys() - table.indexes.keys()))]
        table.indexes[index.name] = index
        table.building.add(index.name)
        self.service.call(
            "UpdateTable",
            TableName=name,
            AttributeDefinitions=_attribute_definitions(index.key),
            GlobalSecondaryIndexUpdates=[{"Create": _index_definition(index)}],
        )
        self.index_added(name)

    def index_added(self, name: str) -> None:
        self.service.finish_jobs(name)
        self.model.tables[name].building.clear()

    @rule(chance=chances(), name=st.sampled_from([ORDERS, PLAIN]))
    def remove_index(self, chance: Chance, name: str) -> None:
        table = self.model.tables[name]
        there = table.building or {index.name for index in table.indexes.values() if index.is_global}
        assume(there)
        removed = chance.one(sorted(there))
        del table.indexes[removed]
        table.building.discard(removed)
        self.service.call(
            "UpdateTable", TableName=name, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": removed}}]
        )

    @rule()
    def restart(self) -> None:
        self.service.restart()

    # The whole

    @rule()
    def everything_agrees(self) -> None:
        """The contents of every table, index and stream, and their reported sizes."""
        for table in self.model.tables.values():
            self.check_description(table)
            for name in [None, *(name for name in table.indexes if name not in table.building)]:
                reading = Reading(table.name, name)
                request = reading_members(reading, table)
                self.check_pages("Scan", request, reading, self.model.find(reading), None)
            self.check_stream(table)

    def check_description(self, table: Table) -> None:
        description = self.service.call("DescribeTable", TableName=table.name)["Table"]
        described = {
            index["IndexName"]: index
            for kind in ("LocalSecondaryIndexes", "GlobalSecondaryIndexes")
            for index in description.get(kind, ())
        }
        assert described.keys() == table.indexes.keys()
        assert (description["ItemCount"], description["TableSizeBytes"]) == _extent(table.entries(None))
        for name, index in table.indexes.items():
            if name not in table.building:
                told = described[name]
                assert (told["ItemCount"], told["IndexSizeBytes"]) == _extent(table.entries(index)), name

    def check_stream(self, table: Table) -> None:
        """Each item's changes, in order and once each."""
        told: dict[str, list[Wire]] = defaultdict(list)
        for record in self.records(self.arns[table.name]):
            change = record["dynamodb"]
            shown = {name: change.get(name) for name in ("Keys", "OldImage", "NewImage")}
            by_service = record.get("userIdentity", {}).get("Type") == "Service"
            told[repr(change["Keys"])].append({**shown, "event": record["eventName"], "by service": by_service})
        wanted: dict[str, list[Wire]] = defaultdict(list)
        for expected in table.changes:
            key = on_wire(expected.key)
            wanted[repr(key)].append(
                {
                    "Keys": key,
                    "OldImage": on_wire(expected.old),
                    "NewImage": on_wire(expected.new),
                    "event": expected.event,
                    "by service": expected.by_service,
                }
            )
        assert told == wanted

    def records(self, arn: str) -> list[Wire]:
        """All records of a stream, those of a shard after those of its parent."""
        shards = self.service.call("DescribeStream", StreamArn=arn)["StreamDescription"]["Shards"]
        records: list[Wire] = []
        for shard in shards:
            of = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = self.service.call("GetShardIterator", **of)["ShardIterator"]
            while iterator is not None:
                page = self.service.call("GetRecords", ShardIterator=iterator)
                records += page["Records"]
                iterator = page.get("NextShardIterator") if page["Records"] else None
        return records


class WireChecker(Checker):
    """The same rules for a server that lives from one sequence to the next. A subclass provides it."""

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            for name in self.model.tables:
                self.service.call("DeleteTable", TableName=name)


class InProcessChecker(Checker):
    """Besides, time passes, items expire, streams roll over, and background work is done step by step."""

    service: InProcess

    def __init__(self) -> None:
        super().__init__()
        self.service = InProcess(START)

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self.service.close()

    def index_added(self, name: str) -> None:
        """The rules below fill it."""

    @rule(steps=st.integers(1, 3))
    def work_in_the_background(self, steps: int) -> None:
        for _ in range(steps):
            self.service.step_jobs()
        for table in self.model.tables.values():
            description = self.service.call("DescribeTable", TableName=table.name)["Table"]
            for index in description.get("GlobalSecondaryIndexes", ()):
                if index["IndexStatus"] == "ACTIVE":
                    table.building.discard(index["IndexName"])

    @rule()
    def finish_the_background_work(self) -> None:
        self.service.finish_jobs(ORDERS)
        for table in self.model.tables.values():
            table.building.clear()

    @rule(seconds=st.sampled_from([1, 20, 700, 4000]))
    def pass_time(self, seconds: int) -> None:
        self.service.now += seconds
        self.model.now += seconds

    @rule(table=st.sampled_from([ORDERS, PLAIN]), on=st.sampled_from([True, True, False]))
    def switch_time_to_live(self, table: str, on: bool) -> None:
        setting = {"AttributeName": "expires", "Enabled": on}

        def switch() -> None:
            self.service.call("UpdateTimeToLive", TableName=table, TimeToLiveSpecification=setting)

        self.agree(lambda: self.model.switch_ttl(table, on), switch)

    @precondition(lambda self: any(table.ttl.is_on for table in self.model.tables.values()))
    @rule()
    def expire(self) -> None:
        self.finish_the_background_work()
        self.service.sweep()
        self.model.expire()

    @rule(
        rotation=st.sampled_from([600.0, 1e9]),
        retention=st.sampled_from([3000.0, 1e9, 1e9]),
        partition_size=st.sampled_from([100, 1 << 30]),
    )
    def maintain_streams(self, rotation: float, retention: float, partition_size: int) -> None:
        self.service.maintain_streams(StreamPolicy(rotation, retention, partition_size))
        for table in self.model.tables.values():
            table.changes = [change for change in table.changes if change.at >= self.model.now - retention]


def _extent(items: Sequence[Item]) -> tuple[int, int]:
    """The number of items, and their size in bytes."""
    return len(items), sum(map(item_size, items))


def _definition(table: Table) -> Wire:
    """What CreateTable takes."""
    names = {*table.key, *(name for index in table.indexes.values() for name in index.key)}
    members: Wire = {
        "TableName": table.name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": _attribute_definitions(sorted(names)),
        "KeySchema": _key_schema(table.key[:1], table.key[1:]),
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    }
    for member, is_global in (("LocalSecondaryIndexes", False), ("GlobalSecondaryIndexes", True)):
        indexes = [_index_definition(index) for index in table.indexes.values() if index.is_global == is_global]
        if indexes:
            members[member] = indexes
    return members


def _index_definition(index: Index) -> Wire:
    shown: Wire = {"ProjectionType": "ALL" if index.include is None else "INCLUDE" if index.include else "KEYS_ONLY"}
    if index.include:
        shown["NonKeyAttributes"] = sorted(index.include)
    return {"IndexName": index.name, "KeySchema": _key_schema(index.partition, index.sort), "Projection": shown}


def _key_schema(partition: Sequence[str], sort: Sequence[str]) -> list[Wire]:
    return [{"AttributeName": name, "KeyType": "HASH"} for name in partition] + [
        {"AttributeName": name, "KeyType": "RANGE"} for name in sort
    ]


def _attribute_definitions(names: Sequence[str]) -> list[Wire]:
    return [{"AttributeName": name, "AttributeType": TYPES[name]} for name in names]
