"""The upkeep of clusters: the nodes that they are to have are ordered from the parent, and what the board shows is
recorded.

A request only changes a cluster's record: its nodes and their states. From there a cluster goes on by itself, also
after the server was killed: its nodes are ordered again and again, and a state ends when the board shows that it has
come about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import orjson

from jedlik.background.work import Duty
from jedlik.config import Settings
from jedlik.dax import cluster_events, cluster_records, node_board
from jedlik.dax.cluster_records import EVENTS_KEY, NAMES_KEY, Cluster, NodeRecord, Status, cluster_key
from jedlik.dax.node_board import NodeBoard, Order, OrderedNode, SeenNode
from jedlik.regions.region import Region
from jedlik.storage.engine import Writes

PERIOD = 1.0
"""Seconds between two looks."""
LOOK_SECONDS = 0.05
"""The same while a state is about to end."""


def ordering(settings: Settings) -> Duty:
    """The orders, which no setting changes. Every worker sends them: a lease of a worker that was killed would keep the
    nodes from beginning until it is over."""
    return Duty("orders of nodes", PERIOD, order_all, _has_clusters, leased=False)


def duty(settings: Settings) -> Duty:
    """The recording, which no setting changes."""
    return Duty("clusters", PERIOD, record_all, _has_clusters)


async def _has_clusters(region: Region) -> bool:
    [stored] = await region.engine.get([NAMES_KEY])
    return bool(cluster_records.names_in(stored))


async def order_all(region: Region) -> bool:
    """Order the nodes of all clusters of a region. There is no more to do at once."""
    board = node_board.current()
    if board is not None:
        for name, cluster in (await cluster_records.made_clusters(region)).items():
            order(board, region, name, cluster)
    return False


async def record_all(region: Region) -> bool:
    """Record what has come about of all clusters of a region. Returns whether anything is about to come about."""
    board = node_board.current()
    if board is None:
        return False
    waits = False
    for name, cluster in (await cluster_records.made_clusters(region)).items():
        seen = board.of(region.store, name)
        if advanced(cluster, seen)[0] != cluster:
            await _advance(board, region, name)
        assert cluster.made is not None
        waits |= cluster.made.status is not Status.AVAILABLE and not any(one.trouble for one in seen)
    if waits:
        await asyncio.sleep(LOOK_SECONDS)
    return waits


def order(board: NodeBoard, region: Region, name: str, cluster: Cluster) -> None:
    """Order the nodes that a cluster is to have."""
    made = cluster.made
    assert made is not None
    nodes = [
        OrderedNode(one.id, one.zone, one.port, one.generation)
        for one in made.nodes
        if one.status is not Status.DELETING
    ]
    board.send(Order(region.store, name, made.version, made.is_encrypted, tuple(nodes)))


def order_now(region: Region, name: str, cluster: Cluster) -> None:
    """Order the nodes of a cluster whose record has just been changed."""
    board = node_board.current()
    if board is not None:
        order(board, region, name, cluster)
    region.jobs_wanted.set()


async def _advance(board: NodeBoard, region: Region, name: str) -> None:
    """Record what has come about of a cluster."""

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        writes = Writes()
        record, names, events = found
        if record is None:
            return writes, None
        before = Cluster.unpacked(record)
        after, messages = advanced(before, board.of(region.store, name))
        if after is None:
            writes.delete(cluster_key(name))
            writes.put(NAMES_KEY, orjson.dumps([one for one in cluster_records.names_in(names) if one != name]))
        elif after != before:
            writes.put(cluster_key(name), after.packed())
        if messages:
            cluster_events.add(events, writes, region.clock(), cluster_events.CLUSTER, name, messages)
        return writes, None

    await region.engine.mutate([cluster_key(name), NAMES_KEY, EVENTS_KEY], decide)


def advanced(cluster: Cluster, board: Sequence[SeenNode]) -> tuple[Cluster | None, list[str]]:
    """A cluster as it is when its nodes are on the board like this, None if it is gone; and the events."""
    made = cluster.made
    if made is None:
        return cluster, []
    seen = {one.name.node: one for one in board}
    messages: list[str] = []
    nodes = []
    for node in made.nodes:
        kept, message = _advanced(node, seen.get(node.id))
        if message:
            messages.append(message)
        if kept is not None:
            nodes.append(kept)
    if made.status is Status.DELETING and not nodes:
        return None, [*messages, "Cluster deleted."]
    status = made.status
    if status in (Status.CREATING, Status.MODIFYING) and all(one.status is Status.AVAILABLE for one in nodes):
        if status is Status.CREATING:
            messages.append("Cluster created.")
        status = Status.AVAILABLE
    if tuple(nodes) == made.nodes and status is made.status:
        return cluster, messages
    return replace(cluster, made=replace(made, status=status, nodes=tuple(nodes))), messages


def _advanced(node: NodeRecord, seen: SeenNode | None) -> tuple[NodeRecord | None, str]:
    """A node when it is on the board like this, None if it is gone; and the event, if it is one."""
    if node.status is Status.DELETING:
        return (None, f"Removed node {node.id}.") if seen is None else (node, "")
    if seen is None or not seen.is_serving or seen.generation != node.generation:
        return node, ""
    message = ""
    if node.status is Status.CREATING:
        message = f"Added node {node.id}."
    elif node.status is Status.REBOOTING:
        message = f"Rebooted node {node.id}."
    return replace(node, status=Status.AVAILABLE, port=seen.port), message
