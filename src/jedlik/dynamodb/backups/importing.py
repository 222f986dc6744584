"""Importing: how a table is filled from the objects of a bucket. It is CREATING, and closed to everybody, until then.

The job goes over the objects in the order of their names, and commits some hundred records at a time together with its
place and its counts: so each is counted once, whatever workers die. Records with the same key replace each other. A
record that is no item is counted and logged (`import_logs`), with where it stands and why. With such a record an import
ends as FAILED, and its table opens with the other items all the same.

Source: "Import format quotas and validation" in the developer guide.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import Job, JobMoved, JobWaits
from jedlik.background.work import JobKind, Unfinished
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.backups import import_logs, import_records, import_sources, old_transfers, open_sources, transfers
from jedlik.dynamodb.backups.import_logs import EVERY_LOGGED, LOGGED, Problem
from jedlik.dynamodb.backups.import_records import Import
from jedlik.dynamodb.backups.import_sources import Line, Malformed, Parse
from jedlik.dynamodb.backups.open_sources import Amount, Description, Source
from jedlik.dynamodb.backups.transfers import CANCELLED, COMPLETED, FAILED
from jedlik.dynamodb.errors import DescriptorChanged, without_values
from jedlik.dynamodb.model import items, key_values, values
from jedlik.dynamodb.model import writes as item_writes
from jedlik.dynamodb.model.definitions import Descriptor
from jedlik.dynamodb.model.limits import MIB
from jedlik.dynamodb.model.mutations import Mutation, New, Old
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.tables import purge
from jedlik.regions.object_places import BucketOfOther, NoBucket
from jedlik.storage.engine import Writes
from jedlik.storage.object_store import ObjectStoreError

if TYPE_CHECKING:
    from jedlik.regions.region import Region

KIND = "IMPORT"

LINES_AT_ONCE = 200
"""Records that are written in one commit."""
BYTES_AT_ONCE = MIB // 2
READ = Amount(800, 2 * MIB)
"""What is read at once, for several commits."""
WAIT_SECONDS = 5.0
PATIENCE_SECONDS = 60 * 60.0
"""An import fails that has not come on for so long."""

_log = logging.getLogger(__name__)


def submit(found: Import, now: float, made: Writes) -> None:
    """Begin an import, in the commit that makes its table."""
    state = {
        "TableName": found.table,
        "TableId": found.table_id,
        "Import": found.key.hex(),
        "Object": "",
        "Line": 0,
        "Processed": 0,
        "Imported": 0,
        "Errors": 0,
        "Size": 0,
        "Moved": now,
    }
    job_records.submit(found.job, KIND, state, made)


async def step(region: Region, job: Job) -> None:
    """Write the next records, or open the table. Raises JobMoved and JobWaits."""
    [raw, descriptor] = await region.engine.get(
        [bytes.fromhex(job.state["Import"]), catalog.key(job.state["TableName"])]
    )
    table = catalog.stored(descriptor)
    if raw is None or table is None or table.descriptor.id != job.state["TableId"]:
        await _end(region, job, ("ImportCancelled", "The table was deleted"), CANCELLED)
        return
    found = import_records.parse(raw)
    try:
        source = await open_sources.of(region, job, _description(found))
        if job.state["Object"] == "" and not source.names:
            await _end(region, job, ("S3NoSuchKey", "There is no object with the prefix in the bucket"))
            return
        lines = await source.read(READ)
        commits = [] if lines is None else await _commits(region, job, table, (found, source), lines)
    except (NoBucket, BucketOfOther) as error:
        await _end(region, job, transfers.failure_of(error))
        return
    except Malformed as error:
        await _end(region, job, ("ItemValidationError", str(error)))
        return
    except ObjectStoreError as error:
        refused = transfers.refusal(region, _description(found).configuration, error)
        if refused is not None:
            await _end(region, job, refused)
            return
        if region.clock() - job.state["Moved"] > PATIENCE_SECONDS:
            await _end(region, job, transfers.UNUSABLE)
            return
        _log.warning("an import waits: %s", error, extra={"region": region.store, "table": found.table})
        raise JobWaits(WAIT_SECONDS) from error
    if lines is None:
        await _end(region, job, import_logs.failure(region, found) if job.state["Errors"] else None, keeps_table=True)
        return
    await _write(region, table, commits)
    source.keep(region, job)
    await source.pace.rest()


async def _commits(
    region: Region, job: Job, table: Table, of: tuple[Import, Source], lines: list[Line]
) -> list[_Commit]:
    """What writes lines, and the job's place behind them. Those that are no items have been logged then.

    Raises ObjectStoreError.
    """
    found, source = of
    parse = source.parser(table)
    made: list[_Commit] = []
    rest = list(lines)
    while rest or not made:
        part, size = 0, 0
        while part < len(rest) and part < LINES_AT_ONCE and size < BYTES_AT_ONCE:
            size += rest[part].size
            part += 1
        name, last = source.place
        commit = _Commit(
            region, job, table, parse, (name, rest[part - 1].number if part < len(rest) else last), rest[:part]
        )
        rest = rest[part:]
        if commit.problems:
            await import_logs.write(region, found, commit.problems)
        made.append(commit)
        job = commit.next_job
    return made


async def _write(region: Region, table: Table, commits: Sequence[_Commit]) -> None:
    """Make commits, each of which follows from the one before it."""
    under_way = [
        mini_transaction.mutate(region, (table,), commit.items, commit.decide, (commit.key,)) for commit in commits
    ]
    for done in await asyncio.gather(*under_way, return_exceptions=True):
        if isinstance(done, DescriptorChanged):
            raise JobMoved from done  # The table has been deleted: the next step finds that.
        if isinstance(done, BaseException):
            raise done


def _description(found: Import) -> Description:
    request = found.request
    return Description(
        request["S3BucketSource"],
        request["InputFormat"],
        request.get("InputCompressionType", "NONE"),
        request.get("InputFormatOptions", {}).get("Csv", {}),
    )


class _Commit:
    """Some records, and the job's place and counts behind them."""

    def __init__(
        self, region: Region, job: Job, table: Table, parse: Parse, behind: tuple[str, int], lines: Sequence[Line]
    ) -> None:
        name, last = behind
        self._job = job
        self.key = job.key
        self.problems: list[Problem] = []
        """What is logged of the records that are no items."""
        self._table = table
        puts: dict[bytes, item_writes.Put] = {}
        errors = 0
        for line in lines:
            try:
                put = put_of(table, item_of(parse, line), region.secret)
                puts[put.key] = put
            except (ServiceError, Malformed) as error:
                errors += 1
                problem = without_values(import_sources.problem_of(error))
                if job.state["Errors"] + errors <= LOGGED:
                    self.problems.append(Problem(name, line.number, problem))
                if job.state["Errors"] + errors <= EVERY_LOGGED:
                    _log.warning(
                        "a record was not imported: %s",
                        problem,
                        extra={"region": region.store, "table": table.name, "object": name, "line": line.number},
                    )
        self._puts = list(puts.values())
        state = job.state
        after = state | {
            "Object": name,
            "Line": last,
            "Processed": state["Processed"] + len(lines),
            "Imported": state["Imported"] + len(lines) - errors,
            "Errors": state["Errors"] + errors,
            "Size": state["Size"] + sum(line.size for line in lines),
            "Moved": region.clock(),
        }
        made = Writes()
        job.advance(after, made)
        self.next_job = job_records.parse((job.key, made.puts[job.key] or b""))
        """The job as this commit leaves it."""
        self.items = [(table, put.key) for put in self._puts]

    def decide(self, mutation: Mutation) -> None:
        """Write the records."""
        self._job.check(mutation.found[self._job.key])
        for put in self._puts:
            before = mutation.stored(put.key)
            if before != put.stored:
                old = Old(before, None if before is None else items.decode(before))
                item_writes.record(self._table, put.key, old, New(put.stored, put.item), mutation)
        mutation.writes.put(self._job.key, self.next_job.raw)


def item_of(parse: Parse, line: Line) -> dict[str, Any]:
    """The item in a record, in the form of a request. Raises Malformed."""
    if line.problem is not None:
        raise Malformed(line.problem)
    item: dict[str, Any] = parse(line)["Item"]
    return item


def put_of(
    table: Table, given: dict[str, Any], secret: bytes, condition: item_writes.Condition | None = None
) -> item_writes.Put:
    """The write of a record. Raises ServiceError."""
    item, size = values.normalise_item(given)
    item_writes.check_item_size(size)
    key_values.check_item_keys(table, item)
    return item_writes.put(table, item, size, secret, condition, return_old_on_failure=condition is not None)


async def _end(
    region: Region, job: Job, failure: tuple[str, str] | None, failed: str = FAILED, *, keeps_table: bool = False
) -> None:
    """Open the table; or remove it, where the import has failed or was cancelled (`failed`) before its end."""
    state = job.state
    key = bytes.fromhex(state["Import"])

    def decide(found: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(found[0])
        made = Writes()
        table = catalog.stored(found[1])
        if table is not None and table.descriptor.id == state["TableId"]:
            if failure is None or keeps_table:
                catalog.put(replace(table.descriptor, importing=None), made)
            else:
                purge.delete_table(table.descriptor, None, region.clock(), made)
        if found[2] is not None:
            import_records.parse(found[2]).put(
                made,
                status=COMPLETED if failure is None else failed,
                ended=region.clock(),
                processed=state["Processed"],
                imported=state["Imported"],
                errors=state["Errors"],
                size=state["Size"],
                failure=failure,
            )
        job.finish(made)
        return made, None

    await region.engine.mutate([job.key, catalog.key(state["TableName"]), key], decide)
    region.jobs_wanted.set()
    await old_transfers.remove(region)


def _unfinished(table: Descriptor) -> Iterator[Unfinished]:
    """A table that is being imported."""
    if table.importing is not None:
        yield Unfinished("it is being imported", {"TableId": table.id})


JOB = JobKind(
    KIND,
    step,
    state={"TableName": str, "TableId": str, "Import": str, "Object": str, "Line": int},
    finishes=_unfinished,
    rests=True,
)
