"""Tables with replicas, in several regions of one server, and waiting for replication."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from testing.dynamodb.definitions import Definition, create, describe

HERE, THERE, ELSEWHERE = "us-east-1", "eu-west-1", "ap-south-1"
WAIT_SECONDS = 60.0
LOOK_SECONDS = 0.02


def becomes(look: Callable[[], object], expected: object) -> None:
    """Read until the result is as expected."""
    deadline = time.monotonic() + WAIT_SECONDS
    seen = look()
    while seen != expected and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
        seen = look()
    assert seen == expected


def replica_updates(kind: str, region: str, **settings: Any) -> dict[str, Any]:
    """The parameter of UpdateTable that creates, updates or deletes a replica."""
    return {"ReplicaUpdates": [{kind: {"RegionName": region, **settings}}]}


def add(client: Any, table: str, region: str, **settings: Any) -> None:
    """Give a table a replica and wait until it is there."""
    client.update_table(TableName=table, **replica_updates("Create", region, **settings))
    becomes(lambda: statuses(client, table).get(region), "ACTIVE")


def global_table(here: Any, *regions: str, **definition: Any) -> str:
    """Create a table with replicas in `regions`, and wait until all are there. Returns its name."""
    name = create(here, **definition)
    for region in regions:
        add(here, name, region)
    return name


def statuses(client: Any, table: str) -> dict[str, str]:
    """The states of a table's other replicas, as one region shows them."""
    return {r["RegionName"]: r["ReplicaStatus"] for r in describe(client, table).get("Replicas", [])}


def replica(client: Any, table: str, region: str) -> Definition:
    """One region's description of the replica in another."""
    [shown] = [r for r in describe(client, table)["Replicas"] if r["RegionName"] == region]
    description: Definition = shown
    return description


def table_status(client: Any, table: str) -> str | None:
    """The TableStatus; None if there is no such table."""
    try:
        status: str = describe(client, table)["TableStatus"]
    except client.exceptions.ResourceNotFoundException:
        return None
    return status


def item(key: str, **attributes: str) -> dict[str, dict[str, str]]:
    """An item of strings."""
    return {"p": {"S": key}} | {name: {"S": value} for name, value in attributes.items()}


def put(client: Any, table: str, *keys: str, **attributes: str) -> None:
    """Put items."""
    for key in keys:
        client.put_item(TableName=table, Item=item(key, **attributes))


def keys_in(client: Any, table: str) -> set[str]:
    """The keys of all items."""
    pages = client.get_paginator("scan").paginate(TableName=table, ProjectionExpression="p")
    return {found["p"]["S"] for page in pages for found in page["Items"]}
