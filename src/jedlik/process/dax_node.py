"""A node of DAX: a process beside the workers, with an event loop that serves DAX's clients, and caches of its own.

It opens the same stores as the workers, which several processes may share, and calls the operations of DynamoDB as they
do. Background work is the workers'.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping

from jedlik.aws import metrics
from jedlik.aws.authorizer import Everybody
from jedlik.aws.calls import Calls
from jedlik.aws.unsigned import Trusting
from jedlik.clock import system_clock
from jedlik.dax import node_board
from jedlik.dax.attribute_lists import AttributeLists
from jedlik.dax.cache import Cache
from jedlik.dax.following import Following
from jedlik.dax.listener import Listener
from jedlik.dax.node import Node, Place
from jedlik.dax.plane import Plane
from jedlik.dynamodb.changes import followers
from jedlik.dynamodb.model.expressions import projections
from jedlik.dynamodb.model.expressions.placeholders import Placeholders
from jedlik.dynamodb.service import SERVICE as DYNAMODB
from jedlik.memory import MIB, Memory
from jedlik.process.node_seats import Seat
from jedlik.process.worker import (
    BEAT_SECONDS,
    IDLE_CHECK_SECONDS,
    RETIRE,
    Site,
    limits_of,
    log_failure,
    run,
    stop_when_asked,
)
from jedlik.regions.stores import Stores

log = logging.getLogger(__name__)


def work(site: Site, seat: Seat, ready: Callable[[], None], parent: int, beat: memoryview[int]) -> int:
    """Be this node until a signal to stop or to retire, or until the pipe `parent` closes because the
    parent is gone.

    Calls `ready` once it serves, and from then on counts `beat` up once a second. Returns the exit code.
    """
    return run(site, _serve(site, seat, ready, parent, beat))


async def _serve(site: Site, seat: Seat, ready: Callable[[], None], parent: int, beat: memoryview[int]) -> None:
    settings = site.settings
    loop = asyncio.get_running_loop()
    stop = stop_when_asked(parent)
    cache = Cache(settings.dax_memory * MIB)
    name = seat.name
    follow = None if settings.dax_stale else followers.follow
    following = Following(cache, follow, f"dax/{name.node}")
    stores = following.stores = Stores(settings, busy=following.wanted, root_key=site.root_key)
    watch = loop.create_task(_keep_watch(stores, math.ceil(settings.hang_timeout), beat), name="watch of a node of DAX")
    watch.add_done_callback(log_failure)
    looking = loop.create_task(following.follow_all(), name="following of tables")
    looking.add_done_callback(log_failure)
    memory = Memory()
    try:
        plane = Plane(
            Calls(stores, DYNAMODB.operations, Everybody(), memory.answers),
            AttributeLists(stores),
            cache,
            check_projection,
            stores,
            following,
            name.cluster,
        )
        board = node_board.current()
        assert board is not None
        node = Node(
            plane,
            Trusting(settings.served, system_clock, settings.account),
            Place(name, board),
            settings.account,
        )
        listener = Listener(node, limits_of(settings), memory.bodies)
        await listener.start(seat.listening, site.tls if seat.is_encrypted else None)
        loop.add_signal_handler(RETIRE, lambda: listener.retire(stop.set))
        ready()
        await stop.wait()
        cut_off = await listener.stop(settings.stop_timeout)
        if cut_off:
            log.warning("connections of DAX cut off", extra={"connections": cut_off})
    finally:
        watch.cancel()
        looking.cancel()
        await following.end()
        await stores.close()


def check_projection(text: str, names: Mapping[str, str]) -> None:
    """Refuse the text of a projection, with its names, that DynamoDB would refuse. Raises ValidationException."""
    projections.projection(text, Placeholders(dict(names), None))


async def _keep_watch(stores: Stores, most: int, beat: memoryview[int]) -> None:
    """Show the parent that the event loop turns, fail commits that hang, close stores that nobody asks for, and make
    room for counts, as long as the node runs."""
    beats = 0
    while True:
        beat[0] += 1
        beats += 1
        stores.look(most)
        metrics.current().look()
        if beats * BEAT_SECONDS % IDLE_CHECK_SECONDS == 0:
            await stores.close_idle()
        await asyncio.sleep(BEAT_SECONDS)
