"""A simulator: regions write and pull over a hostile network, in a schedule that follows from a seed.

A schedule is seventy steps, each drawn from the seed: a client writes, a region begins to pull, a message arrives, is
lost, comes twice or is a lie, the way between two regions is cut or repaired, a region dies and comes back, a clock
goes wrong, a stream is rolled over. Then everything is repaired and all pull until nothing changes. The contents of the
regions are compared with each other and with the acknowledged writes. In some schedules a region joins in the middle,
in some one disassociates, and in some a region is cut off for days, so that the others' logs do not reach back to its
position. With even seeds, tables are copied one item at a time, so that more happens in between.

The code that runs is the real one: the handlers, the write path, the exchanges, the answers to peers, the upkeep of
streams. Only the engine, the network and the clocks are simulated, and the event loop runs tasks in the order in which
they become ready, so a seed always makes the same schedule. To repeat one:

    python -m testing.global_tables.simulator SEED
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Any
from unittest import mock

import uvloop

from jedlik.aws import stored_items
from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import JobMoved, JobWaits
from jedlik.dynamodb.errors import ConditionalCheckFailedException, DescriptorChanged
from jedlik.dynamodb.model import changelog, keys, remote_changes, replicas, versions
from jedlik.dynamodb.model.changelog import Kind
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.replication import copying, serving
from jedlik.dynamodb.replication.exchange import Exchange
from jedlik.dynamodb.replication.pull_positions import PositionMoved
from jedlik.dynamodb.streams.shard_upkeep import StreamPolicy
from jedlik.process.services import SERVICES
from jedlik.regions import keyspaces
from jedlik.regions.peers import Body, LocalPeers, PeerUnreachable
from jedlik.upkeep.check import StoreCheck
from testing import jobs
from testing.global_tables.world import DAY, TABLE, A, B, C, Place, World, item, key
from testing.storage.memory import MemoryEngine, MemoryView

STEPS = 70
NAMES = "abcd"
JUMPING = 0x6A756D70
PULLS = 2
"""Pulls of one region from one peer at once: more than one worker may believe that it has the lease."""


LIES: tuple[Body, ...] = (
    {"Version": "7" * 32},
    {"Version": "none"},
    {"Keys": {"p": {"S": "none"}}},
    {"Item": {"p": {"N": "none"}}},
    {"At": "now"},
    {"Position": -1},
)
"""What some members of a change become in a lie."""


@dataclass(eq=False, slots=True)
class Message:
    """On its way from a region to another."""

    way: frozenset[str]
    arrival: asyncio.Future[None]


class Network:
    """Keeps messages until the schedule decides their fate."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.cut: set[frozenset[str]] = set()

    async def travel(self, start: str, end: str) -> None:
        """Return on arrival. Raises PeerUnreachable if the message is lost."""
        way = frozenset((start, end))
        if way in self.cut:
            raise PeerUnreachable(end)
        message = Message(way, asyncio.get_running_loop().create_future())
        self.messages.append(message)
        await message.arrival

    def deliver(self, message: Message) -> None:
        self.messages.remove(message)
        if not message.arrival.done():
            message.arrival.set_result(None)

    def lose(self, message: Message) -> None:
        self.messages.remove(message)
        if not message.arrival.done():
            message.arrival.set_exception(PeerUnreachable("lost"))

    def sever(self, way: frozenset[str]) -> None:
        """Cut a way; what is on it is lost."""
        self.cut.add(way)
        for message in [m for m in self.messages if m.way == way]:
            self.lose(message)


class Link:
    """The other regions, as one region reaches them."""

    def __init__(self, simulation: Simulation, own: str) -> None:
        self._simulation = simulation
        self._own = own

    async def call(self, region: str, operation: str, body: Body) -> Body:
        network = self._simulation.network
        await network.travel(self._own, region)
        answer = await self._answer(region, operation, body)
        if self._simulation.random.random() < 0.1:
            # The request comes twice, and the caller gets the answer to the second.
            answer = await self._answer(region, operation, body)
        await network.travel(region, self._own)
        return self._perhaps_a_lie(answer)

    def _perhaps_a_lie(self, answer: Body) -> Body:
        """Now and then a region gives an impossible answer. It is refused from the first impossible change on."""
        lies = self._simulation.lies
        told = [entry for table in answer.get("Tables", ()) for entry in table.get("Entries", ())]
        told += answer.get("Changes", ())
        if lies.random() < 0.1 and told:
            lies.choice(told).update(lies.choice(LIES))
        return answer

    async def _answer(self, region: str, operation: str, body: Body) -> Body:
        answer: Body = _plain(await self._simulation.world.serve(region, operation, _plain(body)))
        return answer

    async def close(self) -> None:
        """It holds no connections."""


@dataclass(frozen=True, slots=True)
class Written:
    """A write, as the change log of its region has it."""

    version: bytes
    name: str
    number: int | None
    """What it wrote; None if it deleted the item."""


class Simulation:
    """One schedule."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.lies = Random(seed)
        """A generator of its own, so that schedules are the same with and without lies."""
        self.network = Network()
        self.joins = self.random.random() < 0.3
        """Whether C is missing at first."""
        self.long = self.random.random() < 0.3
        """Whether a region is cut off for days."""
        self.regions = [A, B, C] if self.joins or self.long or self.random.random() < 0.3 else [A, B]
        # Drawn from numbers of their own, so that a seed means the same schedule with and without.
        self.leaving = Random(~seed)
        self.jumping = Random(seed ^ JUMPING)
        self.leaver: str | None = None
        """The region that disassociates, if one does, when the schedule comes to that."""
        self.own: Counter[tuple[str, int | None]] = Counter()
        """The writes to it since then, by name and number."""
        self.before: dict[str, Written] = {}
        """The last writes of all regions before that, by name."""
        self.world = World(*self.regions, peers=lambda name: Link(self, name))
        self.pulls: dict[tuple[str, str], list[asyncio.Task[None]]] = {}
        self.acknowledged: Counter[tuple[str, str, int | None]] = Counter()
        """By region, name and number."""
        self.logged: dict[tuple[str, bytes, str], Written] = {}
        """By region, version and name: a region may log its own write twice, when it receives it again."""
        self._number = 0
        self.working: list[tuple[str, asyncio.Task[None]]] = []
        """Jobs under way, with their regions."""

    async def run(self) -> None:
        """Run the schedule to its end. Raises AssertionError."""
        await self.world.make_tables(*self.regions)
        if self.joins:
            for name in (A, B):
                await self.world[name].put("a", x=0)
            await self.world.replicate(A, B)
        else:
            await self.world.replicate(*self.regions)
        actions = [self._write] * 8 + [self._pull] * 8 + [self._arrive] * 16
        actions += [self._lose, self._drift, self._sever, self._mend, self._crash, self._roll]
        long_at = self.random.randrange(STEPS) if self.long else None
        join_at = self.random.randrange(STEPS // 2) if self.joins else None
        leaves = not self.joins and not self.long and self.leaving.random() < 0.3
        leave_at = self.leaving.randrange(STEPS) if leaves else None
        for step in range(STEPS):
            if step == join_at:
                await self._join()
            if step == long_at:
                await self._be_apart()
            if step == leave_at:
                await self._disassociate()
            if self.leaver is not None and self.leaving.random() < 0.3:
                await self._work()
            if self.jumping.random() < 0.1:
                self._jump()
            await self.random.choice(actions)()
        await self._heal()
        await self._check()

    def _place(self) -> Place:
        return self.world[self.random.choice(self._members())]

    def _members(self) -> list[str]:
        return [A, B] if self.joins else self.regions

    # What happens

    async def _write(self) -> None:
        place = self._place()
        table = await place.table()
        if not table.usable or (table.replica is None and place.name != self.leaver):
            return  # The last replica's writes while it is alone are in no log.
        self._number += 1
        one, other = self.random.sample(NAMES, 2)
        number = self._number
        done: list[tuple[str, int | None]]
        match self.random.randrange(6):
            case 0 | 1:
                await place.put(one, x=number)
                done = [(one, number)]
            case 2:
                expression = {"UpdateExpression": "SET x = :x", "ExpressionAttributeValues": {":x": {"N": str(number)}}}
                await place.call("UpdateItem", Key=key(one), **expression)
                done = [(one, number)]
            case 3:
                await place.delete(one)
                done = [(one, None)]
            case 4:
                await self._transact(place, one, other, number)
                done = [(one, number), (other, None)]
            case _:
                done = [(one, number)] if await self._put_new(place, one, number) else []
        if place.name == self.leaver:
            self.own.update(done)
        else:
            self.acknowledged.update((place.name, name, written) for name, written in done)

    async def _transact(self, place: Place, put: str, deleted: str, number: int) -> None:
        actions: list[dict[str, Any]] = [
            {"Put": {"TableName": TABLE, "Item": item(put, x=number)}},
            {"Delete": {"TableName": TABLE, "Key": key(deleted)}},
        ]
        await place.do("TransactWriteItems", TransactItems=actions)

    async def _put_new(self, place: Place, name: str, number: int) -> bool:
        """Whether the item was missing. A refused write must leave nothing."""
        try:
            await place.call("PutItem", Item=item(name, x=number), ConditionExpression="attribute_not_exists(p)")
        except ConditionalCheckFailedException:
            return False
        return True

    async def _pull(self) -> None:
        place = self._place()
        peer = self.random.choice([name for name in self._members() if name != place.name])
        running = [task for task in self.pulls.get((place.name, peer), []) if not task.done()]
        if len(running) < PULLS:
            exchange = place.exchange(peer, self.random.randrange(PULLS))
            running.append(asyncio.create_task(self._exchange(place, peer, exchange)))
        self.pulls[place.name, peer] = running
        await _others()

    async def _exchange(self, place: Place, peer: str, exchange: Exchange) -> None:
        """One turn of a puller (`replication.pulling`)."""
        try:
            await place.pull(peer, exchange=exchange)
        except (PositionMoved, DescriptorChanged):
            exchange.forget()
        except (PeerUnreachable, ServiceError):
            place.elapsed += 1

    async def _arrive(self) -> None:
        if self.network.messages:
            self.network.deliver(self.random.choice(self.network.messages))
            await _others()

    async def _lose(self) -> None:
        if self.network.messages:
            self.network.lose(self.random.choice(self.network.messages))
            await _others()

    async def _sever(self) -> None:
        self.network.sever(frozenset(self.random.sample(self._members(), 2)))
        await _others()

    async def _mend(self) -> None:
        self.network.cut.clear()

    async def _drift(self) -> None:
        """A clock goes on, or is wrong by up to a few seconds."""
        place = self._place()
        place.now += self.random.choice([0.001, 0.5, 5.0, -0.5, -5.0])
        place.elapsed += 1

    def _jump(self) -> None:
        """A wall clock jumps, or jumps back."""
        place = self.world[self.jumping.choice(self.regions)]
        place.wrong = self.jumping.choice([0.0, 0.0, 7200.0, -DAY, DAY, 365 * DAY, -365 * DAY])

    async def _crash(self) -> None:
        """Everything outside the store is lost."""
        place = self._place()
        for (name, _), tasks in self.pulls.items():
            for task in tasks if name == place.name else ():
                task.cancel()
        for name, task in self.working:
            if name == place.name:
                task.cancel()
        await _others()
        place.exchanges.clear()
        place.region.engine = MemoryEngine(place.kept, place.region.clock)
        place.region.known.clear()

    async def _roll(self) -> None:
        """Shards are closed, and perhaps split."""
        place = self._place()
        await self._harvest()
        place.now += 1
        size = 0 if self.random.random() < 0.3 else 1 << 40
        await place.maintain(StreamPolicy(rotation=0.5, partition_size=size))

    async def _join(self) -> None:
        """C becomes a replica, to be copied from A."""
        self.joins = False
        group = (await self.world[A].table()).descriptor.shared_group
        group = replicas.created(group, C, A, A, self.world[A].now)
        await self.world.become(A, group)
        await self.world.become(C, group)

    async def _disassociate(self) -> None:
        """A region asks to become a table of its own. Its writes until then belong to the others, too."""
        await self._harvest()
        self.before = self._latest()
        self.leaver = self.leaving.choice(self.regions)
        place = self.world[self.leaver]
        action = {"RegionName": self.leaver, "DisassociationMode": "WAIT_FOR_REPLICATION"}
        await place.call("UpdateTable", DisassociationProtectionEnabled=False)
        await place.call("UpdateTable", ReplicaUpdates=[{"Disassociate": action}])

    async def _work(self) -> None:
        """A step of each job, in a region. Its questions to others are answered at their own time, or never."""
        place = self.world[self.leaving.choice(self.regions)]
        self.working = [(name, task) for name, task in self.working if not task.done()]
        if place.name not in [name for name, _ in self.working]:
            self.working.append((place.name, asyncio.create_task(_do_jobs(place))))
            await _others()

    async def _be_apart(self) -> None:
        """A region is cut off for days, in which all go on writing, and logs and tombstones are trimmed."""
        if self.random.random() < 0.7:
            # Some time after the last writes, so that it is certain which region has seen which.
            await self._pass(3600)
            await self._pull_all()
        lonely = self.random.choice(self._members())
        for other in self._members():
            if other != lonely:
                self.network.sever(frozenset((lonely, other)))
        for _ in range(3):
            for _ in range(self.random.randrange(4)):
                await self._write()
            await self._pass(DAY)
            await self._harvest()
            for place in self.world.places.values():
                await place.maintain()
            # The others are still in touch.
            await self._pull_all()

    async def _pass(self, seconds: float) -> None:
        for place in self.world.places.values():
            place.now += seconds
            place.elapsed += seconds

    async def _pull_all(self) -> None:
        for name in self._members():
            for peer in self._members():
                if name != peer:
                    await self._pull_at_once(self.world[name], peer)

    async def _pull_at_once(self, place: Place, peer: str) -> None:
        pulling = asyncio.create_task(self._exchange(place, peer, place.exchange(peer)))
        while not pulling.done():
            for message in list(self.network.messages):
                self.network.deliver(message)
            await _others()

    # The end

    async def _heal(self) -> None:
        self.network.cut.clear()
        for tasks in self.pulls.values():
            for task in tasks:
                task.cancel()
        for _, task in self.working:
            task.cancel()
        await _others()
        self.network.messages.clear()
        for place in self.world.places.values():
            place.exchanges.clear()
            place.wrong = 0.0
        if self.joins:
            await self._join()
        local = LocalPeers(self.world.serve)
        for place in self.world.places.values():
            place.region.peers = local
        if self.leaver is not None:
            await self._leave()
        await self.world.settle(100)

    async def _leave(self) -> None:
        """Let all do their jobs and pull until the disassociating replica is gone."""
        for _ in range(100):
            if self.leaver not in [name for place in self.world.places.values() for name in await _members_of(place)]:
                return
            for place in self.world.places.values():
                place.elapsed += 1
                await self._harvest()
                await _do_jobs(place)
                for peer in self.regions:
                    if peer != place.name:
                        await self._exchange(place, peer, place.exchange(peer))
        raise AssertionError(f"{self.leaver} is still disassociating")

    async def _harvest(self) -> None:
        """Note the regions' log entries of their own writes, before these may be trimmed."""
        for place in self.world.places.values():
            if place.name == self.leaver:
                continue
            prefix = keys.log_prefix((await place.table()).id)
            for _, entry in await place.region.engine.range(prefix, keyspaces.prefix_end(prefix), 100_000, 1 << 30):
                change = changelog.decode(entry)
                if change.kind is Kind.SENT_AGAIN or not change.version:
                    continue
                if versions.origin(change.version) == versions.region_id(place.name):
                    told = remote_changes.parse(_plain(remote_changes.of_entry(change)))
                    number = None if told.item is None else int(told.item["x"]["N"])
                    written = Written(change.version, told.keys["p"]["S"], number)
                    self.logged[place.name, written.version, written.name] = written

    async def _check(self) -> None:
        place = self._place()
        problems = list(StoreCheck(MemoryView(place.kept), SERVICES).problems())
        assert not problems, f"the store of {place.name}: {problems}"
        await self._harvest()
        if self.leaver is not None:
            await self._check_left()
        found = {name: await place.items() for name, place in self.world.places.items() if name != self.leaver}
        one = next(iter(found))
        assert all(items == found[one] for items in found.values()), f"the regions differ: {found}"
        records = {name: await self.world[name].records() for name in found}
        if not self.long:
            assert all(of == records[one] for of in records.values()), f"the versions differ: {records}"
        logged = Counter((region, w.name, w.number) for (region, _, _), w in self.logged.items())
        assert logged == self.acknowledged, f"logged, not acknowledged or the reverse: {logged - self.acknowledged}"
        for name, winner in self._latest().items():
            expected = None if winner.number is None else item(name, x=winner.number)
            # After days apart, an item may reappear whose deletion no region remembers: better than to lose one.
            if expected is not None or not self.long:
                assert found[one].get(name) == expected, f"{name} is {found[one].get(name)} after {winner}"

    async def _check_left(self) -> None:
        """The separate table has everything that all had written before, or later writes over that."""
        assert self.leaver is not None
        left = self.world[self.leaver]
        problems = list(StoreCheck(MemoryView(left.kept), SERVICES).problems())
        assert not problems, f"the store of {left.name}: {problems}"
        assert (await left.table()).replica is None
        for name in NAMES:
            there = (await left.items()).get(name)
            number = None if there is None else int(there["x"]["N"])
            own = {written for of, written in self.own if of == name}
            told = [w for w in self.logged.values() if w.name == name]
            assert not {w.number for w in told} & own - {None}, f"{left.name} has told of its own: {told}"
            oldest = self.before.get(name)
            later = {w.number for w in told if oldest is None or w.version >= oldest.version}
            known = own | later | ({None} if oldest is None else set())
            assert number in known, f"{name} is {number} in {left.name}, which had taken {oldest}"

    def _latest(self) -> dict[str, Written]:
        """The last of the noted writes, by name."""
        latest: dict[str, Written] = {}
        for written in self.logged.values():
            if written.name not in latest or latest[written.name].version < written.version:
                latest[written.name] = written
        return latest


async def _do_jobs(place: Place) -> None:
    for row in await place.region.engine.range(*job_records.job_range(), 100, MIB):
        job = job_records.parse(row)
        with suppress(JobMoved, JobWaits, PeerUnreachable, ServiceError):
            await jobs.step(place.region, job)


async def _members_of(place: Place) -> list[str]:
    """The regions that a region believes to have a replica; none if it is alone."""
    group = (await place.table()).descriptor.group
    return [] if group is None else replicas.regions(group)


def _plain(told: Any) -> Any:
    return stored_items.plain(told)


async def _others() -> None:
    """Let all others go on until they wait for a message."""
    for _ in range(6):
        await asyncio.sleep(0)


def simulate(seed: int) -> None:
    """Run the schedule of a seed. Raises AssertionError, which names the seed."""
    page = serving.PAGE_ITEMS if seed % 2 else 1
    try:
        with (
            mock.patch.object(serving, "PAGE_ITEMS", page),
            mock.patch.object(copying, "KEYS_AT_ONCE", page),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop,
        ):
            loop.run(Simulation(seed).run())
    except Exception as error:
        raise AssertionError(f"the schedule of seed {seed}: {error}") from error


if __name__ == "__main__":
    simulate(int(sys.argv[1]))
