"""A disk that is full, read-only or broken for a while, under a server with load.

Meanwhile every write is refused with an InternalServerError, which SDKs retry, and the log names the request and the
reason; reads are answered; no worker dies. Afterwards writes go on, and so does background work. Nothing is lost, and
no refused write has taken effect in part, before and after a kill -9. If only checkpoints fail, nothing is refused: the
journal has every write.
"""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from botocore.exceptions import ClientError

from jedlik.storage.lmdb.lmdb_pages import DATA
from testing.data_folders import store_in
from testing.jedlik_process import Server
from torture.disk import CHECKPOINTS, Disk, Failing, Fault, File
from torture.expected import (
    Expected,
    check_indexes,
    check_partitions,
    check_store,
    demand,
    identity,
    make_table,
    scanned,
)
from torture.kills import OPTIONS, workers
from torture.streams import Follower
from torture.writers import BY_GROUP, COUNTER, FENCE, FLEETING, TABLE, WRITERS, Writer, key, some

EVERYTHING = Failing.WRITES | Failing.DURABLE_WRITES | Failing.SYNCS
FOR_A_WHILE = (
    Fault("the disk is full", Failing.WRITES | Failing.DURABLE_WRITES, errno.ENOSPC, partly=True),
    Fault("the disk was full before", Failing.WRITES | Failing.DURABLE_WRITES, errno.ENOSPC),
    Fault("the disk is full but for the journal", Failing.WRITES, errno.ENOSPC, partly=True),
    Fault("the disk is full for the journal", Failing.DURABLE_WRITES, errno.ENOSPC, partly=True),
    Fault("the disk is read-only", EVERYTHING, errno.EROFS),
    Fault("nothing can be written", EVERYTHING),
    Fault("nothing can be synced", Failing.DURABLE_WRITES | Failing.SYNCS),
    Fault("the journal cannot be synced", Failing.DURABLE_WRITES),
)
CHECKPOINTS_FAIL = (
    Fault("pages cannot be synced", Failing.SYNCS, file=File.DATA),
    Fault("pages cannot be synced once", Failing.SYNCS, calls=1, file=File.DATA),
    Fault("checkpoints cannot be written", Failing.DURABLE_WRITES, errno.ENOSPC, file=File.JOURNAL, below=CHECKPOINTS),
)
ONCE = (
    # Every process that has the journal open gets the error that it was not synced: others may take it for their own
    # records.
    Fault("a checkpoint cannot be synced", Failing.DURABLE_WRITES, calls=1, file=File.JOURNAL, below=CHECKPOINTS),
    Fault("a record cannot be synced once", Failing.DURABLE_WRITES, calls=1),
    Fault("a record cannot be written once", Failing.DURABLE_WRITES, errno.ENOSPC, calls=1, partly=True),
    Fault("the disk is full for one write", Failing.WRITES, errno.ENOSPC, calls=1, partly=True),
)
ALL = (*FOR_A_WHILE, *CHECKPOINTS_FAIL, *ONCE)
LOAD_SECONDS = 0.5
"""Seconds of load before a fault, during it and after it."""
CALLS = 3
"""The fewest calls that fail in a fault that refuses nothing."""
ANSWERS = 20
"""The fewest answers of the load before a fault and after it: on a busy machine, that takes longer."""
ANSWER_SECONDS = 60.0
"""They must arrive within this number of seconds."""
FAILURE_SECONDS = 60.0
"""They must be made within this number of seconds."""
RECOVERY_SECONDS = 60.0
"""Writes must be possible within this number of seconds after a fault."""
EXPIRY_SECONDS = 120.0
"""If background work goes on, expired items must be gone within this number of seconds. It rests 5 s after a
failure."""
TMPFS_BYTES = 128 << 20
"""A journal starts again from its beginning at 16 MB, and pages are free only two checkpoints after they were
released."""
NEW_REGION = "eu-west-1"
FAULT_MESSAGE = "Internal server error"


@dataclass(slots=True)
class Faults:
    """What a run has done."""

    faults: int = 0
    failed: int = 0
    """Calls that have failed."""
    refused: int = 0
    answers: int = 0

    def __str__(self) -> str:
        return (
            f"{self.faults} faults in which {self.failed} calls failed: {self.refused} requests refused, "
            f"{self.answers} answered"
        )


def run(
    disk: Disk, random: Random, seconds: float, say: Callable[[str], None], faults: Sequence[Fault] = ALL
) -> Faults:
    """Every fault, again and again for `seconds`. Raises Broken."""
    done = Faults()
    with _service(disk.data_dir, random, disk.environment) as service:
        deadline = time.monotonic() + seconds
        while True:
            for fault in random.sample(faults, len(faults)):
                say(fault.name)
                if fault in FOR_A_WHILE:
                    service.suffer(disk.failing(fault), fault.error)
                else:
                    service.endure(disk, fault)
                done.failed += disk.failed
                done.faults += 1
            done.refused, done.answers = service.refused, service.answers
            if time.monotonic() > deadline:
                return done


def fill(folder: Path, random: Random, say: Callable[[str], None]) -> Faults:
    """The same with a small file system that is really full. Raises Broken."""
    with _small_file_system(folder / "disk") as disk:
        if disk is None:
            say("Left out: a file system can be mounted by root only")
            return Faults()
        with _service(disk / "data", random, log=folder / "log") as service:
            say("a small file system is full")
            service.suffer(_filled(disk), errno.ENOSPC, FAILURE_SECONDS)  # There may still be free pages.
            return Faults(1, 0, service.refused, service.answers)


@contextmanager
def _service(
    data_dir: Path, random: Random, environment: dict[str, str] | None = None, log: Path | None = None
) -> Iterator[_Service]:
    log = log or data_dir.parent / "log"
    server = Server(log, environment, data_dir=data_dir, workers=2, **OPTIONS)
    try:
        yield _Service(server, random)
    finally:
        server.kill()


class _Service:
    """A server, and writers that expect its disk to fail."""

    def __init__(self, server: Server, random: Random) -> None:
        self._server = server
        self._random = random
        self._writers = [Writer(f"writer {n}", Random(random.random()), faults=True) for n in range(WRITERS)]
        self._expected = Expected(self._writers)
        self._stream = Follower()
        make_table(server.client())

    @property
    def refused(self) -> int:
        """Requests that were answered with a fault."""
        return sum(writer.refused for writer in self._writers)

    @property
    def answers(self) -> int:
        """Requests after which writers knew the outcome."""
        return sum(writer.answers for writer in self._writers)

    def suffer(self, fault: AbstractContextManager[None], error: int, within: float = 0.0) -> None:
        """Make the disk fail for a while under load. A write must be refused `within` this number of seconds."""
        pids = workers(self._server.pid)
        with self._load():
            with fault:
                time.sleep(LOAD_SECONDS)
                self._demand_reads()
                self._demand_refusal(error, within)
                self._demand_new_stores_are_refused()
                self._demand_reads()
            self._demand_recovery()
        demand(workers(self._server.pid) == pids, "a worker has died")
        self._check()

    def endure(self, disk: Disk, fault: Fault) -> None:
        """Under load, fail operations that need not refuse writes, or not for long."""
        pids = workers(self._server.pid)
        with self._load():
            refused = self.refused
            with disk.failing(fault):
                deadline = time.monotonic() + FAILURE_SECONDS
                while disk.failed < (fault.calls or CALLS):
                    demand(time.monotonic() < deadline, f"only {disk.failed} calls have failed")
                    time.sleep(0.01)
                self._demand_reads()
            demand(fault in ONCE or self.refused == refused, "a write was refused because of a checkpoint")
            self._demand_recovery()
        demand(workers(self._server.pid) == pids, "a worker has died")
        self._check()

    @contextmanager
    def _load(self) -> Iterator[None]:
        threads = [writer.start(self._server.url) for writer in some(self._writers, self._random)]
        try:
            self._await_answers()
            yield
            self._await_answers()
        finally:
            for writer in self._writers:
                writer.stop()
            for thread in threads:
                thread.join()

    def _await_answers(self) -> None:
        """Wait while there is load."""
        enough, begun = self.answers + ANSWERS, time.monotonic()
        time.sleep(LOAD_SECONDS)
        while self.answers < enough and all(writer.surprise is None for writer in self._writers):
            demand(time.monotonic() - begun < ANSWER_SECONDS, f"no {ANSWERS} answers in {ANSWER_SECONDS} s")
            time.sleep(0.01)

    def _demand_reads(self) -> None:
        client = self._server.client()
        client.get_item(TableName=TABLE, Key=COUNTER, ConsistentRead=True)
        scanned(client)
        scanned(client, IndexName=BY_GROUP)
        client.describe_table(TableName=TABLE)

    def _demand_refusal(self, error: int, within: float) -> None:
        """A write is refused in DynamoDB's form, and the log gives the reason, with the request's id."""
        client, deadline, version = self._server.client(), time.monotonic() + within, 0
        while True:
            fence = key(self._writers[0].owner, FENCE) | {"version": {"N": str(version := version + 1)}}
            try:
                client.put_item(TableName=TABLE, Item=fence)
            except ClientError as refusal:
                answer = refusal.response
                break
            demand(time.monotonic() < deadline, "a write was not refused")
        told = (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"])
        demand(told == (500, "InternalServerError", FAULT_MESSAGE), f"a write was refused with {told}")
        request_id = answer["ResponseMetadata"]["RequestId"]
        lines = [line for line in self._server.log_lines() if line.get("request_id") == request_id]
        demand(len(lines) == 1, f"the log tells of request {request_id} {len(lines)} times")
        causes = (os.strerror(error), "MDB_SHORT_WRITE")
        demand(any(cause in lines[0]["message"] for cause in causes), f"the log says {lines[0]['message']}")

    def _demand_new_stores_are_refused(self) -> None:
        """A region cannot be created now, and no half of one is left."""
        store = store_in(str(self._server.options["data_dir"]), NEW_REGION)
        was_there = (store / DATA).exists()  # After a restart the region is created from what is there.
        try:
            make_table(self._server.client(region=NEW_REGION))  # To read makes no store.
        except ClientError as refusal:
            allowed = {"InternalServerError"} | ({"ResourceInUseException"} if was_there else set())
            demand(refusal.response["Error"]["Code"] in allowed, str(refusal))
            demand((store / DATA).exists() == was_there, "there is a store that could not be made")
        else:
            demand(was_there, "a store was made on a disk that fails")

    def _demand_recovery(self) -> None:
        client = self._server.client()
        deadline = time.monotonic() + RECOVERY_SECONDS
        while True:
            try:
                client.put_item(TableName=TABLE, Item=key(self._writers[0].owner, FENCE) | {"version": {"N": "0"}})
                return
            except ClientError as refusal:
                demand(time.monotonic() < deadline, f"writes are not possible again: {refusal}")
                time.sleep(0.05)

    def _check(self) -> None:
        """Compare everything, wait until expired items are gone, and compare again after a kill."""
        self._compare()
        self._server.kill()
        self._server.restart()
        self._compare()

    def _compare(self) -> None:
        client = self._server.client()
        deadline = time.monotonic() + EXPIRY_SECONDS
        while any(identity(one)[1] in FLEETING for one in scanned(client)):
            demand(time.monotonic() < deadline, f"what has expired is not gone after {EXPIRY_SECONDS} s")
            time.sleep(0.2)
        items = self._expected.check(client)
        check_indexes(client, items)
        check_partitions(client, items)
        self._stream.follow(self._server.client("dynamodbstreams"))
        self._stream.check(items)
        check_store(self._server)


@contextmanager
def _small_file_system(folder: Path) -> Iterator[Path | None]:
    """A file system of TMPFS_BYTES; None if this machine does not permit one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # The last worker may still be ending.


@contextmanager
def _filled(disk: Path) -> Iterator[None]:
    """Fill the file system to the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            demand(error.errno == errno.ENOSPC, str(error))
    try:
        yield
    finally:
        filler.unlink()
