"""The expected state after the writers have written, and its comparison with what a server returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jedlik.config import VARIABLE
from testing.jedlik_process import Server, run_jedlik
from torture.writers import (
    BY_GROUP,
    BY_RANK,
    COUNTER,
    DEFINITION,
    EXPIRY,
    FENCE,
    FLEETING,
    GROUPS,
    TABLE,
    Item,
    Version,
    Writer,
    item,
)


class Broken(AssertionError):
    """Something is wrong that must be right whatever was done to the server."""


def demand(holds: bool, otherwise: Callable[[], str] | str) -> None:
    """Raise Broken with this text unless the condition is true."""
    if not holds:
        raise Broken(otherwise if isinstance(otherwise, str) else otherwise())


def make_table(client: Any) -> None:
    """Create the writers' table: with indexes, a stream and time to live."""
    client.create_table(**DEFINITION)
    client.get_waiter("table_exists").wait(TableName=TABLE, WaiterConfig={"Delay": 1})
    client.update_time_to_live(**EXPIRY)


def scanned(client: Any, **request: Any) -> list[Item]:
    """All that a Scan shows."""
    items: list[Item] = []
    for page in client.get_paginator("scan").paginate(TableName=TABLE, **request):
        items += page["Items"]
    return items


def queried(client: Any, index: str, attribute: str, value: str) -> list[Item]:
    """All items that a Query of one partition of an index returns."""
    items: list[Item] = []
    for page in client.get_paginator("query").paginate(
        TableName=TABLE,
        IndexName=index,
        KeyConditionExpression="#attribute = :value",
        ExpressionAttributeNames={"#attribute": attribute},
        ExpressionAttributeValues={":value": {"S": value}},
    ):
        items += page["Items"]
    return items


def identity(found: Item) -> tuple[str, int]:
    """The writer of an item, and the item's number."""
    return found["owner"]["S"], int(found["number"]["N"])


def in_order(items: Iterable[Item]) -> list[Item]:
    """Items in the order of their identities."""
    return sorted(items, key=identity)


def ranked(found: Item) -> Item:
    """The part of an item that is in the local index, which projects only keys."""
    return {name: found[name] for name in ("owner", "number", "rank")}


class Expected:
    """The writers' knowledge, updated by what is found."""

    def __init__(self, writers: list[Writer]) -> None:
        self.writers = writers
        self.count = 0

    def check(self, client: Any) -> list[Item]:
        """Compare the table with what the writers know. No writer may be running. Returns the items without the
        counter."""
        found = {identity(one): one for one in scanned(client, ConsistentRead=True)}
        counter = found.pop(identity(COUNTER), None)
        known: set[tuple[str, int]] = set()
        for writer in self.writers:
            demand(writer.surprise is None, str(writer.surprise))
            versions: dict[int, Version] = {}
            for number in writer.acknowledged:
                one = found.get((writer.owner, number))
                versions[number] = version = int(one["version"]["N"]) if one else None
                whole = version is None or one == item(writer.owner, number, version)
                demand(whole, f"{writer.owner} {number} is not whole: {one}")
            writer.settle(versions)
            demand(writer.surprise is None, str(writer.surprise))
            known.update((writer.owner, number) for number in (*writer.acknowledged, FENCE))
        demand(found.keys() <= known, lambda: f"nobody has written {found.keys() - known}")
        self._check_counter(counter)
        return list(found.values())

    def _check_counter(self, found: Item | None) -> None:
        value = int(found["hits"]["N"]) if found else 0
        least = self.count + sum(writer.counted for writer in self.writers)
        most = least + sum(writer.doubtful for writer in self.writers)
        demand(least <= value <= most, f"the counter is {value}, and was to be {least} to {most}")
        self.count = value
        for writer in self.writers:
            writer.counted = writer.doubtful = 0


def check_indexes(client: Any, items: list[Item]) -> None:
    """Compare Scans of the indexes with the entries that the items should have there."""
    by_group = [one for one in items if "group" in one]
    by_rank = [ranked(one) for one in items if "rank" in one]
    demand(in_order(scanned(client, IndexName=BY_GROUP)) == in_order(by_group), f"index {BY_GROUP} has other entries")
    demand(in_order(scanned(client, IndexName=BY_RANK)) == in_order(by_rank), f"index {BY_RANK} has other entries")


def check_partitions(client: Any, items: list[Item]) -> None:
    """Compare Queries of every partition, and the counts, with the items."""
    for group in (f"group {number}" for number in range(GROUPS)):
        found = queried(client, BY_GROUP, "group", group)
        expected = [one for one in items if one.get("group") == {"S": group}]
        demand(in_order(found) == in_order(expected), f"{group} has other items")
        versions = [int(one["version"]["N"]) for one in found]
        demand(versions == sorted(versions), f"{group} is not in order")
    for owner in {one["owner"]["S"] for one in items}:
        found = queried(client, BY_RANK, "owner", owner)
        expected = [ranked(one) for one in items if "rank" in one and one["owner"]["S"] == owner]
        demand(in_order(found) == in_order(expected), f"the ranks of {owner} are others")
        ranks = [int(one["rank"]["N"]) for one in found]
        demand(ranks == sorted(ranks), f"the ranks of {owner} are not in order")
    table = client.describe_table(TableName=TABLE)["Table"]
    fleeting = sum(identity(one)[1] in FLEETING for one in items)
    most = len(items) + ("Item" in client.get_item(TableName=TABLE, Key=COUNTER))
    demand(most - fleeting <= table["ItemCount"] <= most, f"{table['ItemCount']} items are counted instead of {most}")
    counts = [index["ItemCount"] for kind in ("Global", "Local") for index in table[f"{kind}SecondaryIndexes"]]
    entries = [sum(name in one for one in items) for name in ("group", "rank")]
    demand(counts == entries, f"{counts} index entries are counted instead of {entries}")


def check_store(server: Server) -> None:
    """Check that everything in the store agrees."""
    settings = {name: value for name, value in server.given.items() if name.startswith(VARIABLE)}
    ended = run_jedlik("check", "--data-dir", str(server.options["data_dir"]), **settings)
    demand(ended.returncode == 0, ended.stdout + ended.stderr)
