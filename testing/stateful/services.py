"""The services under test, in two shapes: the handlers over a store in this process, and a server on the wire."""

from __future__ import annotations

import asyncio
import base64
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import cycle
from pathlib import Path
from typing import Any, Protocol, TypeVar

import orjson
from botocore import xform_name
from botocore.exceptions import ClientError

from jedlik.aws import stored_items
from jedlik.aws.context import Context, own
from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.dynamodb.items import expiring
from jedlik.dynamodb.operations import OPERATIONS, STREAMS_OPERATIONS
from jedlik.dynamodb.streams import shard_upkeep
from jedlik.dynamodb.streams.shard_upkeep import StreamPolicy
from jedlik.regions.region import Region
from jedlik.storage.lmdb.lmdb_engine import LmdbEngine
from testing import jobs
from testing.jedlik_process import Server
from testing.stateful.dynamodb_model import Reason, Refusal
from testing.stateful.plain_values import Wire, canonical

T = TypeVar("T")

PATIENCE = 60.0
"""The most seconds that a server may take for its background work."""


class Service(Protocol):
    def call(self, operation: str, **request: Any) -> Any:
        """The answer to a request, canonical. Raises Refusal."""
        ...

    def restart(self) -> None: ...

    def finish_jobs(self, table: str) -> None:
        """Do all background work on a table's indexes."""
        ...


class InProcess:
    """The handlers of two workers, which take turns, over one store on disk; the clock and the jobs are the test's."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._folder = Path(tempfile.mkdtemp(prefix="jedlik-stateful-"))
        self._runner = asyncio.Runner()
        self._open()

    def call(self, operation: str, **request: Any) -> Any:
        known = OPERATIONS if operation in OPERATIONS else STREAMS_OPERATIONS
        served = known[operation]
        raw = orjson.loads(orjson.dumps(request, default=lambda value: base64.b64encode(value).decode()))

        async def answer() -> Any:
            region = next(self._workers)
            context = Context(region, "request", own(region), b"localhost")
            return await served.handler(context, served.validate(raw))

        try:
            return canonical(stored_items.plain(self._run(answer())))
        except ServiceError as error:
            body = canonical(stored_items.plain(error.fields))
            raise _refusal(error.name, error.message, body) from None

    def restart(self) -> None:
        self._run(self._engine.close())
        self._open()

    def close(self) -> None:
        self._run(self._engine.close())
        self._runner.close()
        shutil.rmtree(self._folder)

    def finish_jobs(self, table: str) -> None:
        while self.step_jobs():
            pass

    def step_jobs(self) -> bool:
        """Do a step of every job. Returns whether there was one."""

        async def step() -> bool:
            region = next(self._workers)
            rows = await region.engine.range(*job_records.job_range(), 100, 1 << 20)
            for row in rows:
                job = job_records.parse(row)
                await jobs.step(region, job)
            return bool(rows)

        return self._run(step())

    def sweep(self) -> None:
        """Delete what has expired."""

        async def sweep() -> None:
            while await expiring.sweep(next(self._workers)):
                pass

        self._run(sweep())

    def maintain_streams(self, policy: StreamPolicy) -> None:
        self._run(shard_upkeep.maintain(next(self._workers), policy))

    def _run(self, work: Awaitable[T]) -> T:
        async def done() -> T:
            return await work

        return self._runner.run(done())

    def _open(self) -> None:
        async def opened() -> LmdbEngine:
            return LmdbEngine.open(self._folder / "store", durable=False)

        self._engine = self._run(opened())
        regions = [Region("us-east-1", "000000000000", self._engine, lambda: self.now, b"s" * 32) for _ in range(2)]
        self._workers = cycle(regions)


class OnTheWire:
    """A server of its own, called with boto3."""

    def __init__(self, start: Callable[..., Server]) -> None:
        self._server = start(workers=1)
        self._kills = False
        self._clients = {name: self._server.client(name) for name in ("dynamodb", "dynamodbstreams")}

    def call(self, operation: str, **request: Any) -> Any:
        client = self._clients["dynamodbstreams" if operation in STREAMS_OPERATIONS else "dynamodb"]
        try:
            answer = getattr(client, xform_name(operation))(**request)
        except ClientError as error:
            told = error.response["Error"]
            raise _refusal(told["Code"], told["Message"], canonical(error.response)) from None
        del answer["ResponseMetadata"]
        return canonical(answer)

    def restart(self) -> None:
        """Stop and start again; every second time by kill -9."""
        if self._kills:
            self._server.kill()
        self._kills = not self._kills
        self._server.restart()

    def finish_jobs(self, table: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while any(
            index["IndexStatus"] != "ACTIVE"
            for index in self.call("DescribeTable", TableName=table)["Table"].get("GlobalSecondaryIndexes", ())
        ):
            assert time.monotonic() < deadline, "an index was not filled in time"
            time.sleep(0.02)


def _refusal(code: str, text: str, body: Wire) -> Refusal:
    reasons = [Reason(reason["Code"], reason.get("Item")) for reason in body.get("CancellationReasons", ())]
    return Refusal(code, body.get("Item"), reasons, text)
