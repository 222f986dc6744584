"""Three regions in three server processes, under load; one is killed and one is cut off.

Each server verifies signatures and reaches the others through relays, so that a region can be cut off without its
knowledge. Writers in every region write items of their own, whose outcome they know, and items that all write. Probes
measure over the public API how long a write takes to appear elsewhere. One region is killed with -9 and started again;
another is cut off while its clients go on, and connected again. In the end the three tables are scanned and compared
item by item, each writer's items with what was acknowledged, and each store is checked.

    python -m testing.global_tables.three_regions --seconds 10 --rate 50
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from testing.global_tables.relay import Relay
from testing.jedlik_process import Server

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
KILLED, CUT_OFF = REGIONS[1], REGIONS[2]
TABLE = "global"
SECRET = "the-secret-that-three-regions-share-0123456789"
NEW_SECRET = "the-secret-that-three-regions-will-share-0123456"
OWN_ITEMS = 40
"""Items of one writer: few, so that they are written, deleted and written again."""
SHARED_ITEMS = 20
PROBES_A_SECOND = 5
LOOK_SECONDS = 0.004
"""Seconds between two readings of a probe: its measurement is too long by as much."""
CONVERGE_SECONDS = 120.0
ANSWER_SECONDS = 60.0

Item = dict[str, dict[str, str]]


class Client:
    """One connection to a region, which signs as an SDK does and never retries."""

    def __init__(self, server: Server, region: str) -> None:
        self._server = server
        self._signer = SigV4Auth(Credentials(server.access_key, server.secret_key), "dynamodb", region)
        self._connection: http.client.HTTPConnection | None = None

    def call(self, operation: str, **body: Any) -> Any:
        """The answer. Raises OSError if none comes, so that the outcome is unknown, or ValueError."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=ANSWER_SECONDS)
        headers = {"X-Amz-Target": f"DynamoDB_20120810.{operation}", "Content-Type": "application/x-amz-json-1.0"}
        request = AWSRequest("POST", self._server.url, headers, json.dumps(body).encode())
        self._signer.add_auth(request)
        try:
            self._connection.request("POST", "/", request.data, dict(request.headers))
            response = self._connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._connection = None
            raise OSError(str(error)) from error
        if response.status != http.client.OK:
            raise ValueError(f"{operation}: {response.status} {answer}")
        return answer


@dataclass
class World:
    """The servers, and the ways between them."""

    servers: dict[str, Server]
    relays: dict[tuple[str, str], Relay]
    """By the region that asks and the one that answers."""

    def ways_of(self, region: str) -> list[Relay]:
        """All to and from a region."""
        return [relay for way, relay in self.relays.items() if region in way]


@contextmanager
def started(folder: Path, workers: int) -> Iterator[World]:
    """Three servers, each with `workers` workers and the other two as its peers."""
    relays = {(own, other): Relay() for own in REGIONS for other in REGIONS if own != other}
    with ExitStack() as stack:
        servers: dict[str, Server] = {}
        for region in REGIONS:
            settings = folder / f"{region}.toml"
            peers = [_peer(name, relays[region, name].port) for name in REGIONS if name != region]
            settings.write_text("\n".join([f"[regions.{region}]", *peers]))
            log, data, secret = folder / f"{region}.log", folder / region, secret_file(folder, region)
            write_secrets(secret, SECRET)
            server = Server(log, config=settings, data_dir=data, auth="on", workers=workers, peer_secret_file=secret)
            stack.callback(server.kill)
            servers[region] = server
        for (_, other), relay in relays.items():
            relay.target = servers[other].port
        yield World(servers, relays)


def _peer(name: str, port: int) -> str:
    return f'[regions.{name}]\nendpoint = "http://127.0.0.1:{port}"'


def secret_file(folder: Path, region: str) -> Path:
    """The file from which a region's server reads the peer secret."""
    return folder / f"{region}.secret"


def write_secrets(file: Path, *secrets: str) -> None:
    """Set the peer secrets of a server from its next start, or SIGHUP, on."""
    file.touch(mode=0o600)
    file.write_text("\n".join(secrets))


def give_secrets(world: World, folder: Path, region: str, *secrets: str) -> None:
    """Set the peer secrets of a running server from now on."""
    server = world.servers[region]
    write_secrets(secret_file(folder, region), *secrets)
    before = _restarts(server)
    server.send_signal(signal.SIGHUP)
    _until(lambda: _restarts(server) > before, f"{region} has new workers")


def _restarts(server: Server) -> int:
    return sum(line["message"] == "restarted" for line in server.log_lines())


def exchange_secret(folder: Path, seconds: float, rate: float, say: Callable[[str], None]) -> list[float]:
    """Change the secret of three servers under load, step by step. Returns the latencies by probes, in milliseconds.

    Raises AssertionError if anything is lost, or a request is refused.
    """
    with started(folder, 1) as world:
        make_table(world)
        stop = threading.Event()
        loads = [Load(region, server, rate, stop) for region, server in world.servers.items()]
        probes = [Probes(world, start, end) for start, end in world.relays]
        threads = [threading.Thread(target=load.run) for load in loads]
        threads += [threading.Thread(target=probe.run, args=(stop,)) for probe in probes]
        for thread in threads:
            thread.start()
        try:
            time.sleep(seconds)
            for step in ((SECRET, NEW_SECRET), (NEW_SECRET, SECRET), (NEW_SECRET,)):
                for region in REGIONS:
                    give_secrets(world, folder, region, *step)
                time.sleep(seconds)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        values = [value for probe in probes for value in probe.milliseconds]
        say(f"{len(values)} probes: p50 {_percentile(values, 0.5):.0f} ms, worst {max(values):.0f} ms")
        say(f"{sum(load.acknowledged for load in loads)} writes acknowledged")
        _compare(world, loads, say)
        for server in world.servers.values():
            refused = [line for line in server.log_lines() if "refuses this region" in line["message"]]
            assert not refused, refused
            assert server.stop() == 0
    _check(folder, say)
    return values


def make_table(world: World) -> None:
    """The table in the first region, with a few items, and replicas of it in the others."""
    first = Client(world.servers[REGIONS[0]], REGIONS[0])
    first.call(
        "CreateTable",
        TableName=TABLE,
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "p", "AttributeType": "S"},
            {"AttributeName": "x", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-x",
                "KeySchema": [{"AttributeName": "x", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    for number in range(100):
        first.call("PutItem", TableName=TABLE, Item=_item(f"from before {number}", number))
    for region in REGIONS[1:]:
        first.call("UpdateTable", TableName=TABLE, ReplicaUpdates=[{"Create": {"RegionName": region}}])
        _until(lambda: set(_statuses(world).values()) == {"ACTIVE"}, f"the replica in {region} is active")
    for region, server in world.servers.items():
        client = Client(server, region)
        _until(lambda client=client: len(scan(client)) == 100, f"{region} has what was there before")  # type: ignore[misc]


def _statuses(world: World) -> dict[str, str]:
    described = Client(world.servers[REGIONS[0]], REGIONS[0]).call("DescribeTable", TableName=TABLE)["Table"]
    statuses = {replica["RegionName"]: replica["ReplicaStatus"] for replica in described.get("Replicas", ())}
    return statuses | {"table": described["TableStatus"]}


def _until(is_so: Callable[[], bool], what: str, seconds: float = CONVERGE_SECONDS) -> float:
    """Wait until a condition is true. Returns the seconds that took."""
    begun = time.monotonic()
    while not is_so():
        assert time.monotonic() - begun < seconds, f"not after {seconds} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - begun


@dataclass
class Load:
    """What writers do in one region."""

    region: str
    server: Server
    rate: float
    stop: threading.Event
    acknowledged: int = 0
    failed: int = 0
    maybe: dict[str, list[int | None]] = field(default_factory=dict)
    """For each item of this writer, the values that it may have: one, unless an outcome is unknown."""

    def run(self) -> None:
        """Write at the given rate until stopped."""
        client, chance, number = Client(self.server, self.region), random.Random(self.region), 0
        due = time.monotonic()
        while not self.stop.is_set():
            number += 1
            own = chance.random() < 0.7
            name = f"{self.region} {chance.randrange(OWN_ITEMS)}" if own else f"shared {chance.randrange(SHARED_ITEMS)}"
            value = None if chance.random() < 0.2 else number
            try:
                self._write(client, name, value, chance.random() < 0.5)
            except OSError:
                self.failed += 1
                if own:
                    self.maybe.setdefault(name, [None]).append(value)
                time.sleep(0.05)
            else:
                self.acknowledged += 1
                if own:
                    self.maybe[name] = [value]
            due = max(due + 1 / self.rate, time.monotonic() - 1)
            self.stop.wait(max(0.0, due - time.monotonic()))

    def _write(self, client: Client, name: str, value: int | None, update: bool) -> None:
        if value is None:
            client.call("DeleteItem", TableName=TABLE, Key={"p": {"S": name}})
        elif update:
            client.call(
                "UpdateItem",
                TableName=TABLE,
                Key={"p": {"S": name}},
                UpdateExpression="SET x = :x",
                ExpressionAttributeValues={":x": {"N": str(value)}},
            )
        else:
            client.call("PutItem", TableName=TABLE, Item=_item(name, value))


def _item(name: str, value: int) -> Item:
    return {"p": {"S": name}, "x": {"N": str(value)}}


class Probes:
    """Measure how long a write takes from its acknowledgement until another region shows it."""

    def __init__(self, world: World, start: str, end: str) -> None:
        self._writer = Client(world.servers[start], start)
        self._reader = Client(world.servers[end], end)
        self._name = f"probe from {start} to {end}"
        self.milliseconds: list[float] = []

    def run(self, stop: threading.Event) -> None:
        """Probe until stopped."""
        number = 0
        while not stop.wait(1 / PROBES_A_SECOND):
            number += 1
            self._writer.call("PutItem", TableName=TABLE, Item=_item(self._name, number))
            begun = time.monotonic()
            while self._seen() < number:
                time.sleep(LOOK_SECONDS)
            self.milliseconds.append((time.monotonic() - begun) * 1000)

    def _seen(self) -> int:
        found = self._reader.call("GetItem", TableName=TABLE, Key={"p": {"S": self._name}}, ConsistentRead=True)
        return int(found["Item"]["x"]["N"]) if "Item" in found else 0


def scan(client: Client) -> dict[str, Item]:
    """All items of a region, by name."""
    found: dict[str, Item] = {}
    request: dict[str, Any] = {"TableName": TABLE, "ConsistentRead": True}
    while True:
        page = client.call("Scan", **request)
        found |= {item["p"]["S"]: item for item in page["Items"]}
        if "LastEvaluatedKey" not in page:
            return found
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def measure(world: World, seconds: float, say: Callable[[str], None]) -> float:
    """Probe between all pairs for a while. Returns the 99th percentile in milliseconds."""
    stop = threading.Event()
    probes = [Probes(world, start, end) for start, end in world.relays]
    threads = [threading.Thread(target=probe.run, args=(stop,)) for probe in probes]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    values = [value for probe in probes for value in probe.milliseconds]
    p50, p99 = _percentile(values, 0.5), _percentile(values, 0.99)
    say(f"latency by {len(values)} probes: p50 {p50:.0f} ms, p99 {p99:.0f} ms, worst {max(values):.0f} ms")
    return p99


def demonstrate(folder: Path, seconds: float, rate: float, say: Callable[[str], None], workers: int = 1) -> float:
    """Run all parts, each for `seconds`. Returns the 99th percentile of latency in milliseconds, under load.

    Raises AssertionError if anything is wrong.
    """
    with started(folder, workers) as world:
        make_table(world)
        say("three replicas are active")
        stop = threading.Event()
        loads = [Load(region, server, rate, stop) for region, server in world.servers.items()]
        threads = [threading.Thread(target=load.run) for load in loads]
        for thread in threads:
            thread.start()
        try:
            p99 = measure(world, seconds, say)
            _kill_and_restart(world, seconds, say)
            _cut_off_and_heal(world, seconds, say)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        written, failed = sum(load.acknowledged for load in loads), sum(load.failed for load in loads)
        say(f"{written} writes acknowledged, {failed} failed")
        _compare(world, loads, say)
        for server in world.servers.values():
            assert server.stop() == 0
    _check(folder, say)
    return p99


def _kill_and_restart(world: World, seconds: float, say: Callable[[str], None]) -> None:
    server = world.servers[KILLED]
    server.kill()
    time.sleep(seconds / 3)
    server.restart()
    say(f"{KILLED} was killed with -9 and started again after {seconds / 3:.0f} s")
    time.sleep(seconds / 3)


def _cut_off_and_heal(world: World, seconds: float, say: Callable[[str], None]) -> None:
    for relay in world.ways_of(CUT_OFF):
        relay.cut()
    time.sleep(seconds)
    for relay in world.ways_of(CUT_OFF):
        relay.heal()
    say(f"{CUT_OFF} was cut off for {seconds:.0f} s, and its clients went on writing")
    time.sleep(seconds / 3)


def _compare(world: World, loads: list[Load], say: Callable[[str], None]) -> None:
    clients = [Client(server, region) for region, server in world.servers.items()]
    tables: list[dict[str, Item]] = []

    def agree() -> bool:
        tables[:] = [scan(client) for client in clients]
        return tables[0] == tables[1] == tables[2]

    took = _until(agree, "the regions agree")
    say(f"all three have the same {len(tables[0])} items, {took:.1f} s after the last write")
    for load in loads:
        for name, values in load.maybe.items():
            found = tables[0].get(name)
            value = None if found is None else int(found["x"]["N"])
            assert value in values, f"{name} is {value}, and may be {values}"
    for number in range(100):
        assert f"from before {number}" in tables[0]
    say("everything acknowledged is there")


def _check(folder: Path, say: Callable[[str], None]) -> None:
    for region in REGIONS:
        for command in ("check", "stats"):
            done = subprocess.run(
                [sys.executable, "-m", "jedlik", command, "--data-dir", str(folder / region)],
                capture_output=True,
                text=True,
                check=False,
            )
            for line in done.stdout.splitlines():
                if command == "check" or "latency" in line:
                    say(line)
            assert done.returncode == 0, done.stdout + done.stderr


def main() -> None:
    parser = argparse.ArgumentParser(description="Three regions under load, with one killed and one cut off.")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each part (%(default)s)")
    parser.add_argument("--rate", type=float, default=50.0, help="writes a second in each region (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="of each server (%(default)s)")
    options = parser.parse_args()
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:6.1f} s  {text}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        demonstrate(Path(folder), options.seconds, options.rate, say, options.workers)


if __name__ == "__main__":
    main()
