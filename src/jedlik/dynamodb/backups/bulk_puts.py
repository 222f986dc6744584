"""Bulk puts: how the records of a bucket's objects are put into a table that is in use.

The job goes over the objects as an import does. Each record is a put of its own, with its own condition, and is written
as a PutItem would be: into indexes, the stream, the log. Some records are one commit, with the job's place and counts
and with rows about what was not written (`bulk_reports`). So each record counts once, whatever workers die.

A rate is kept by resting: the state has the time until which what has been written is paid for. PerformanceTier decides
how much is written at once.

Sources: the API reference; "Amazon S3 input formats for bulk put items" in the developer guide, of which only the head
could be read. So a condition's place in a record is a guess: beside the Item, with the names of PutItem's members.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from jedlik.aws.errors import ServiceError
from jedlik.background import job_records
from jedlik.background.job_records import Job, JobMoved, JobWaits
from jedlik.background.work import JobKind
from jedlik.dynamodb import catalog, mini_transaction
from jedlik.dynamodb.backups import (
    bulk_records,
    bulk_reports,
    import_sources,
    importing,
    old_transfers,
    open_sources,
    transfers,
)
from jedlik.dynamodb.backups.bulk_records import CANCELLING, COMPLETED_WITH_ERRORS, BulkOperation
from jedlik.dynamodb.backups.bulk_reports import Kind
from jedlik.dynamodb.backups.import_sources import Line, Malformed, Parse
from jedlik.dynamodb.backups.open_sources import Amount, Description, Source
from jedlik.dynamodb.backups.transfers import CANCELLED, COMPLETED, FAILED
from jedlik.dynamodb.errors import (
    ConditionalCheckFailedException,
    DescriptorChanged,
    ItemCollectionSizeLimitExceededException,
)
from jedlik.dynamodb.items import item_collections, parameters
from jedlik.dynamodb.model import capacity, items
from jedlik.dynamodb.model.limits import KIB, MIB
from jedlik.dynamodb.model.mutations import Mutation
from jedlik.dynamodb.model.tables import Table
from jedlik.dynamodb.model.writes import ItemChange, Put, perform
from jedlik.regions.object_places import BucketOfOther, NoBucket
from jedlik.storage.engine import Writes
from jedlik.storage.object_store import ObjectStoreError

if TYPE_CHECKING:
    from jedlik.regions.region import Region

KIND = "BULK_PUT"

AMOUNTS = {"STANDARD": Amount(100, 256 * KIB), "ACCELERATED": Amount(500, MIB)}
"""What is written in one commit, by the performance tier."""
PENDING_BYTES = bulk_reports.FILE_BYTES
"""Bytes of rows of the report that are in the store before a file is written."""
LONGEST_RECORD = MIB
"""Characters of a record in the report. No item has a longer one, unless most of it is escaped."""
WAIT_SECONDS = 5.0
PATIENCE_SECONDS = 60 * 60.0
"""A bulk put fails that has not come on for so long."""
TIDIED_AT_ONCE = 500

PUTS, REPORT, TIDY = "PUTS", "REPORT", "TIDY"
"""The phases of a job."""

COUNTS = ("Processed", "Failed", "Unmet", "Size", "Total", "Usage")

_log = logging.getLogger(__name__)


def submit(found: BulkOperation, now: float, made: Writes) -> None:
    """Begin a bulk put, in the commit that makes its record."""
    state = {
        "TableName": found.table,
        "TableId": found.table_id,
        "Bulk": found.key.hex(),
        "Phase": PUTS,
        "Outcome": None,
        "Object": "",
        "Line": 0,
        "Paid": 0.0,
        "Rows": 0,
        "Pending": 0,
        "Files": 0,
        "Processed": 0,
        "Failed": 0,
        "Unmet": 0,
        "Size": 0,
        "Total": None,
        "Usage": {"Table": 0, "LocalSecondaryIndexes": {}, "GlobalSecondaryIndexes": {}},
        "Moved": now,
    }
    job_records.submit(found.job, KIND, state, made)


def counted(state: dict[str, Any]) -> dict[str, Any]:
    """What a job has counted."""
    return {name: state[name] for name in COUNTS}


async def step(region: Region, job: Job) -> None:
    """Write the next records, or the report. Raises JobMoved and JobWaits."""
    [raw] = await region.engine.get([bytes.fromhex(job.state["Bulk"])])
    if raw is None:
        raise JobMoved
    found = bulk_records.parse(raw)
    try:
        if job.state["Phase"] == TIDY:
            await _tidy(region, job, found)
        elif job.state["Phase"] == REPORT:
            await _report(region, job, found)
        else:
            await _puts(region, job, found)
    except (NoBucket, BucketOfOther) as error:
        await _end(region, job, (FAILED, *transfers.failure_of(error)))
    except ObjectStoreError as error:
        for configuration in ("InputS3Configuration", "OutputS3Configuration"):
            refused = transfers.refusal(region, found.request[configuration], error)
            if refused is not None:
                await _end(region, job, (FAILED, *refused))
                return
        if region.clock() - job.state["Moved"] > PATIENCE_SECONDS:
            await _end(region, job, (FAILED, *transfers.UNUSABLE))
            return
        _log.warning("a bulk put waits: %s", error, extra={"region": region.store, "table": found.table})
        raise JobWaits(WAIT_SECONDS) from error


async def _puts(region: Region, job: Job, found: BulkOperation) -> None:
    state = job.state
    table = await catalog.find(region, found.table)
    if found.status == CANCELLING:
        await _move(region, job, {"Phase": REPORT, "Outcome": [CANCELLED, "Cancelled", "Cancelled by a request"]})
        return
    if table is None or table.descriptor.id != found.table_id or not table.usable:
        gone = [FAILED, "ResourceNotFoundException", "The table has been deleted"]
        await _move(region, job, {"Phase": REPORT, "Outcome": gone})
        return
    rest = state["Paid"] - region.clock()
    if rest > 0:
        raise JobWaits(rest)
    if state["Pending"] > PENDING_BYTES and await bulk_reports.write_next(region, job, found):
        return
    try:
        if state["Object"] == "":
            bulk_reports.bucket(region, found)  # A report that cannot be written is found at the beginning.
        source = await open_sources.of(region, job, _description(found))
        lines = await source.read(AMOUNTS[found.request.get("PerformanceTier", "STANDARD")])
    except Malformed as error:
        await _move(region, job, {"Phase": REPORT, "Outcome": [FAILED, "ValidationException", str(error)]})
        return
    if state["Object"] == "" and lines is None:
        missing = [FAILED, "S3NoSuchKey", "There is no object with the prefix in the bucket"]
        await _move(region, job, {"Phase": REPORT, "Outcome": missing})
    elif lines is None:
        outcome = COMPLETED_WITH_ERRORS if state["Failed"] else COMPLETED
        await _move(region, job, {"Phase": REPORT, "Outcome": [outcome]})
    else:
        await _write(region, job, found, table, (source, lines))
        source.keep(region, job)
        await source.pace.rest()


def _description(found: BulkOperation) -> Description:
    configuration = found.request["InputS3Configuration"]
    return Description(configuration, configuration["InputFormat"], configuration.get("InputCompressionType", "NONE"))


async def _write(region: Region, job: Job, found: BulkOperation, table: Table, read: tuple[Source, list[Line]]) -> None:
    source, lines = read
    commit = _Commit(region, job, found, table, source, lines)
    puts = [put.operation for put in commit.puts]
    full = await item_collections.full(region, puts)
    also = (job.key,)
    pairs = [(table, put.key) for put in puts]
    try:
        await mini_transaction.mutate(region, (table,), pairs, commit.decide, also, full)
    except DescriptorChanged as error:
        raise JobMoved from error  # The next step takes the table as it is then.


class _Put(NamedTuple):
    line: Line
    operation: Put


class _Problem(NamedTuple):
    line: Line
    reason: str


class _Commit:
    """Some records, and the job's place, counts and report behind them."""

    def __init__(
        self, region: Region, job: Job, found: BulkOperation, table: Table, source: Source, lines: Sequence[Line]
    ) -> None:
        self._job = job
        self._found = found
        self._object = source.place[0]
        self._kinds = bulk_reports.kinds(found)
        self._now = region.clock()
        self._behind = {
            "Object": self._object,
            "Line": source.place[1],
            "Total": source.total if job.state["Total"] is None else job.state["Total"],
            "Processed": job.state["Processed"] + len(lines),
            "Size": source.read_bytes(job.state["Size"], lines),
        }
        parse = source.parser(table)
        self.puts: list[_Put] = []
        self._problems: list[_Problem] = []
        for line in lines:
            try:
                self.puts.append(_Put(line, _put(table, parse, line, region.secret)))
            except (ServiceError, Malformed) as error:
                self._problems.append(_Problem(line, import_sources.problem_of(error)))

    def decide(self, mutation: Mutation) -> None:
        """Write the records whose conditions are true."""
        self._job.check(mutation.found[self._job.key])
        state = self._job.state
        problems = list(self._problems)
        unmet: list[tuple[_Put, bytes | None]] = []
        usage = {name: dict(of) if isinstance(of, dict) else of for name, of in state["Usage"].items()}
        units = 0.0
        for put in self.puts:
            try:
                change = perform(put.operation, mutation)
            except ConditionalCheckFailedException:
                unmet.append((put, mutation.stored(put.operation.key)))
            except ItemCollectionSizeLimitExceededException as error:
                problems.append(_Problem(put.line, error.message))
            else:
                units += _units(change)
                _count(usage, change)
        rows = [(Kind.ERROR, self._error(problem)) for problem in problems]
        rows += [(Kind.CONDITION_CHECK_FAILURE, self._unmet(*one)) for one in unmet]
        rows = [row for row in rows if row[0] in self._kinds]
        for number, (kind, row) in enumerate(rows, state["Rows"]):
            mutation.writes.put(bulk_records.report_key(self._found.id, kind, number), row)
        after = state | self._behind
        after |= {
            "Failed": state["Failed"] + len(problems),
            "Unmet": state["Unmet"] + len(unmet),
            "Rows": state["Rows"] + len(rows),
            "Pending": state["Pending"] + sum(len(row) for _, row in rows),
            "Usage": usage,
            "Moved": self._now,
        }
        rate = self._found.request.get("MaxWriteRequestUnits")
        if rate is not None:
            after["Paid"] = max(state["Paid"], self._now) + units / rate
        self._job.advance(after, mutation.writes)

    def _error(self, problem: _Problem) -> bytes:
        line = problem.line
        record = line.content.decode("utf-8", "replace") if line.parsed is None else str(line.parsed)
        if len(record) > LONGEST_RECORD:
            record = f"{record[:LONGEST_RECORD]}..."
        return self._row(line, {"ErrorCode": "ValidationException", "ErrorMessage": problem.reason, "Record": record})

    def _unmet(self, put: _Put, existing: bytes | None) -> bytes:
        shown = {"Item": put.operation.item}
        if existing is not None:
            shown["ExistingItem"] = items.decode(existing)
        return self._row(put.line, shown)

    def _row(self, line: Line, shown: dict[str, Any]) -> bytes:
        return orjson.dumps({"S3Key": self._object, "RecordNumber": line.number, **shown})


def _put(table: Table, parse: Parse, line: Line, secret: bytes) -> Put:
    """The write of a record. Raises ServiceError and Malformed."""
    if line.problem is not None:
        raise Malformed(line.problem)
    record = parse(line)
    condition = None
    if not parameters.PUT.names.isdisjoint(record):
        try:
            known = parameters.placeholders(record)
            condition = parameters.condition(record, known)
            known.check_all_used()
        except (TypeError, AttributeError, KeyError) as error:
            raise Malformed(f"its condition is malformed: {error}") from error
        if condition is not None:
            condition.refuse_nested_keys(table)
    return importing.put_of(table, record["Item"], secret, condition)


def _units(change: ItemChange) -> float:
    """The write request units of a put."""
    units = capacity.write_units(max(items.size(stored) for stored in (change.old, change.new) if stored is not None))
    for entry in change.entries:
        units += sum(capacity.write_units(size) for size in (entry.deleted, entry.written) if size is not None)
    return units


def _count(usage: dict[str, Any], change: ItemChange) -> None:
    """Add the bytes that a put has written to those of the table and its indexes."""
    if change.new is not None:
        usage["Table"] += items.size(change.new)
    for entry in change.entries:
        if entry.written is not None:
            of = usage["GlobalSecondaryIndexes" if entry.of.is_global else "LocalSecondaryIndexes"]
            of[entry.of.name] = of.get(entry.of.name, 0) + entry.written


async def _report(region: Region, job: Job, found: BulkOperation) -> None:
    if await bulk_reports.write_next(region, job, found):
        return
    status, *failure = job.state["Outcome"]
    summary = {
        "bulkOperationArn": bulk_records.arn(region, found),
        "bulkOperationStatus": status,
        "tableId": found.table_id,
        "processedItemCount": job.state["Processed"],
        "failedItemCount": job.state["Failed"],
        "conditionCheckFailureCount": job.state["Unmet"],
        "processedInputBytes": job.state["Size"],
    }
    await bulk_reports.write_manifests(region, found, summary)
    await _end(region, job, (status, *failure))


async def _move(region: Region, job: Job, changed: dict[str, Any]) -> None:
    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        job.advance(job.state | changed, writes)
        return writes, None

    await region.engine.mutate([job.key], decide)


async def _end(region: Region, job: Job, outcome: tuple[str, ...]) -> None:
    """Record what has become of a bulk put; then tidy up."""
    status, *failure = outcome
    key = bytes.fromhex(job.state["Bulk"])

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        if values[1] is not None:
            found = bulk_records.parse(values[1])
            code_and_message = (failure[0], failure[1]) if failure else None
            counts = counted(job.state)
            found.put(writes, status=status, ended=region.clock(), counts=counts, failure=code_and_message)
        job.advance(job.state | {"Phase": TIDY}, writes)
        return writes, None

    await region.engine.mutate([job.key, key], decide)


async def _tidy(region: Region, job: Job, found: BulkOperation) -> None:
    """Remove the rows of the report, and end the job."""
    doomed = await region.engine.range(*bulk_records.report_range(found.id), TIDIED_AT_ONCE, MIB)

    def decide(values: Sequence[bytes | None]) -> tuple[Writes, None]:
        job.check(values[0])
        writes = Writes()
        for key, _ in doomed:
            writes.delete(key)
        if not doomed:
            job.finish(writes)
        return writes, None

    await region.engine.mutate([job.key], decide)
    if not doomed:
        await old_transfers.remove(region)


JOB = JobKind(
    KIND,
    step,
    state={"TableName": str, "TableId": str, "Bulk": str, "Object": str, "Line": int},
    rests=True,
)
