"""The content of the fixtures: each scenario starts a server, fills it, and leaves its data folder behind."""

from __future__ import annotations

import json
import tarfile
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from testing.dynamodb.definitions import attributes, create, describe, describe_index, index, key_schema
from testing.dynamodb.replicated_tables import HERE, THERE, add, becomes, replica_updates
from testing.jedlik_process import Server

ITEMS = 60
MANY = 2500
"""The number of items: their index or replica takes long enough to be killed in the middle."""

Start = Callable[..., Server]
Scenario = Callable[[Start], dict[str, list[str]]]
"""Fills a server and ends it. Returns the names of the tables to be compared, by region."""


def keep(folder: Path, name: str, scenario: Scenario) -> None:
    """Run a scenario, and keep its data folder and its tables' content at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data"

        def start(**options: Any) -> Server:
            return Server(Path(scratch) / "log", data_dir=data, **options)

        tables = scenario(start)
        with tarfile.open(folder / f"{name}.tar.xz", "w:xz") as archive:
            archive.add(data, "data", filter=_anonymous)
        server = start()  # This recovers the store, and so finds what was acknowledged.
        try:
            contents = {
                region: {table: contents_of(server.client(region=region), table) for table in of_region}
                for region, of_region in tables.items()
            }
        finally:
            server.kill()
    (folder / f"{name}.json").write_text(json.dumps(contents, indent=1, sort_keys=True) + "\n")


def contents_of(client: Any, table: str) -> dict[str, Any]:
    """The compared parts of a table: the number of its items, some of them, and its settings."""
    pages = client.get_paginator("scan").paginate(TableName=table)
    items = sorted((plain(item) for page in pages for item in page["Items"]), key=json.dumps)
    description = describe(client, table)
    kept = ("KeySchema", "AttributeDefinitions", "TableArn", "TableId", "LatestStreamLabel", "StreamSpecification")
    return {
        "Items": len(items),
        "Some": items[:: max(1, len(items) // 20)],
        "Settings": {name: description[name] for name in kept if name in description},
        "Indexes": sorted(index["IndexName"] for index in description.get("GlobalSecondaryIndexes", [])),
    }


def plain(value: Any) -> Any:
    """A value of boto3 as JSON: bytes become hexadecimal digits."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    return [plain(member) for member in value] if isinstance(value, list) else value


def tables(start: Start) -> dict[str, list[str]]:
    """Indexes, a stream, expiry, tags, transactions with tokens; killed with records in the journal."""
    server = start()
    client = server.client()
    create(
        client,
        TableName="music",
        KeySchema=key_schema("p", "s"),
        AttributeDefinitions=attributes(p="S", s="N", g="S", l="B"),
        GlobalSecondaryIndexes=[index("global", "g"), index("keys", "g", "s", include=[])],
        LocalSecondaryIndexes=[index("local", "p", "l")],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        Tags=[{"Key": "team", "Value": "b"}],
    )
    create(client, TableName="plain")
    create(client, TableName="deleted")
    client.update_time_to_live(TableName="music", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires"})
    for number in range(ITEMS):
        client.put_item(TableName="music", Item=item(number))
        client.put_item(TableName="deleted", Item={"p": {"S": str(number)}})
    for number in range(0, ITEMS, 7):
        key = {"p": {"S": f"p{number % 5}"}, "s": {"N": str(number)}}
        client.delete_item(TableName="music", Key=key)
    client.transact_write_items(
        TransactItems=[{"Put": {"TableName": "plain", "Item": {"p": {"S": "transaction"}}}}],
        ClientRequestToken="token",
    )
    client.delete_table(TableName="deleted")
    client.put_item(TableName="plain", Item={"p": {"S": "last"}, "x": {"S": "x" * 3000}})
    server.kill()
    return {HERE: ["music", "plain"]}


def item(number: int) -> dict[str, Any]:
    """An item with attributes of every type."""
    return {
        "p": {"S": f"p{number % 5}"},
        "s": {"N": str(number)},
        "g": {"S": f"g{number % 3}"},
        "l": {"B": bytes([number])},
        "n": {"N": "12345678901234567890.123456789012345678"},
        "m": {"M": {"list": {"L": [{"BOOL": True}, {"NULL": True}, {"SS": ["a", "b"]}]}}},
        "ns": {"NS": ["1", "2.5", "-3"]},
        "bs": {"BS": [b"\x00", b"\xff"]},
        "expires": {"N": "4102444800"},
    }


def stopped(start: Start) -> dict[str, list[str]]:
    """A small table, and a server that was stopped: nothing is left to recover."""
    server = start()
    create(server.client(), TableName="plain")
    server.client().put_item(TableName="plain", Item={"p": {"S": "kept"}})
    server.stop()
    return {HERE: ["plain"]}


def two_regions(start: Start) -> dict[str, list[str]]:
    """A global table in two regions, with versions and deleted items in both."""
    server = start(regions=f"{HERE},{THERE}")
    here, there = server.client(), server.client(region=THERE)
    create(here, TableName="replicated")
    add(here, "replicated", THERE)
    for number in range(ITEMS):
        client = here if number % 2 else there
        client.put_item(TableName="replicated", Item={"p": {"S": str(number)}, "x": {"N": str(number)}})
    here.delete_item(TableName="replicated", Key={"p": {"S": "1"}})
    for client in (here, there):
        becomes(partial(_count, client), ITEMS - 1)
    server.kill()
    return {HERE: ["replicated"], THERE: ["replicated"]}


def backfill(start: Start) -> dict[str, list[str]]:
    """An index that was being filled when the server was killed."""
    server = start()
    client = server.client()
    create(client, TableName="filled")
    _fill(client, "filled")
    client.update_table(
        TableName="filled",
        AttributeDefinitions=attributes(p="S", g="S"),
        GlobalSecondaryIndexUpdates=[{"Create": index("late", "g")}],
    )
    found = describe_index(client, "filled", "late")
    server.kill()
    assert found is not None
    assert found["IndexStatus"] == "CREATING", "the index was filled before the server could be killed"
    return {HERE: ["filled"]}


def new_replica(start: Start) -> dict[str, list[str]]:
    """A replica that was being created when the server was killed."""
    server = start(regions=f"{HERE},{THERE}")
    client = server.client()
    create(client, TableName="copied")
    _fill(client, "copied")
    client.update_table(TableName="copied", **replica_updates("Create", THERE))
    statuses = [replica["ReplicaStatus"] for replica in describe(client, "copied").get("Replicas", [])]
    server.kill()
    assert statuses == ["CREATING"], "the replica was made before the server could be killed"
    return {HERE: ["copied"]}


def _count(client: Any) -> int:
    count: int = client.scan(TableName="replicated", Select="COUNT")["Count"]
    return count


def _fill(client: Any, table: str) -> None:
    for first in range(0, MANY, 25):
        writes = [
            {"PutRequest": {"Item": {"p": {"S": str(number)}, "g": {"S": f"g{number % 7}"}}}}
            for number in range(first, first + 25)
        ]
        client.batch_write_item(RequestItems={table: writes})


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return None if member.name.endswith((".lock", "lock.mdb")) else member


SCENARIOS: dict[str, Scenario] = {
    "tables": tables,
    "stopped": stopped,
    "two-regions": two_regions,
    "backfill": backfill,
    "new-replica": new_replica,
}
