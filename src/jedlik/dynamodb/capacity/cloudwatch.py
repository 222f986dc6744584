"""DynamoDB's metrics, under CloudWatch's names.

When a request has been answered, its meter adds to the metrics. Units of local indexes count for the table, those of
global indexes separately. Where CloudWatch gives averages and percentiles of values, these are histograms.

Source: "DynamoDB Metrics and dimensions" in the developer guide.
"""

from __future__ import annotations

from jedlik.aws import metrics
from jedlik.aws.context import Context
from jedlik.aws.errors import ServiceError, ThrottlingException
from jedlik.aws.histograms import CELLS_OF_COUNTS, CELLS_OF_MICROSECONDS, cell_of
from jedlik.aws.meter import Charge, Meter, Metered
from jedlik.aws.metrics import Metric, Series
from jedlik.dynamodb.errors import (
    ConditionalCheckFailedException,
    DuplicateItemException,
    ProvisionedThroughputExceededException,
    RequestLimitExceeded,
    TransactionConflictException,
)
from jedlik.regions.region import Region

TIME_TO_LIVE_DELETED = Metric(
    "TimeToLiveDeletedItemCount",
    "counter",
    "Count",
    ("TableName",),
    "Items that were deleted because their time to live had passed.",
)
REPLICATION_LATENCY = Metric(
    "ReplicationLatency",
    "histogram",
    "Milliseconds",
    ("TableName", "ReceivingRegion"),
    "From the moment at which a change is made in a region to that at which another has applied it.",
)

CONSUMED_READS = Metric(
    "ConsumedReadCapacityUnits",
    "counter",
    "Count",
    ("TableName", "GlobalSecondaryIndexName"),
    "Read capacity units consumed.",
)
CONSUMED_WRITES = Metric(
    "ConsumedWriteCapacityUnits",
    "counter",
    "Count",
    ("TableName", "GlobalSecondaryIndexName"),
    "Write capacity units consumed, also by writes that a condition has stopped.",
)
LATENCY = Metric(
    "SuccessfulRequestLatency",
    "histogram",
    "Milliseconds",
    ("TableName", "Operation", "StreamLabel"),
    "From a request's last byte to its answer, where it is no error. A batch counts for each of its tables.",
)
RETURNED_ITEMS = Metric(
    "ReturnedItemCount",
    "histogram",
    "Count",
    ("TableName", "Operation"),
    "Items that a Query, a Scan or a SELECT has returned.",
)
RETURNED_BYTES = Metric(
    "ReturnedBytes",
    "histogram",
    "Bytes",
    ("TableName", "Operation", "StreamLabel"),
    "Bytes of records that GetRecords has returned.",
)
RETURNED_RECORDS = Metric(
    "ReturnedRecordsCount",
    "histogram",
    "Count",
    ("TableName", "Operation", "StreamLabel"),
    "Records that GetRecords has returned.",
)
CONDITIONS_FAILED = Metric(
    "ConditionalCheckFailedRequests",
    "counter",
    "Count",
    ("TableName",),
    "Writes of single items that a condition has stopped.",
)
CONFLICTS = Metric(
    "TransactionConflict",
    "counter",
    "Count",
    ("TableName",),
    "Requests refused because of a transaction on the same item.",
)
THROTTLED = Metric(
    "ThrottledRequests",
    "counter",
    "Count",
    ("TableName", "Operation"),
    "Requests refused because they would exceed a limit of throughput.",
)
USER_ERRORS = Metric(
    "UserErrors",
    "counter",
    "Count",
    (),
    "Requests answered with status 400, other than throttled ones and failed conditions, of a known operation and a "
    "caller whose signature is right.",
)
SYSTEM_ERRORS = Metric(
    "SystemErrors",
    "counter",
    "Count",
    ("TableName", "Operation"),
    "Requests answered with status 500 or 503. The table is named if the request had got that far.",
)

METRICS = (
    TIME_TO_LIVE_DELETED,
    REPLICATION_LATENCY,
    CONSUMED_READS,
    CONSUMED_WRITES,
    LATENCY,
    RETURNED_ITEMS,
    RETURNED_BYTES,
    RETURNED_RECORDS,
    CONDITIONS_FAILED,
    CONFLICTS,
    THROTTLED,
    USER_ERRORS,
    SYSTEM_ERRORS,
)
"""All of them."""

_RETURNING = {"Query", "Scan", "ExecuteStatement"}
"""The operations that ReturnedItemCount covers."""
_THROTTLING = (ProvisionedThroughputExceededException, RequestLimitExceeded, ThrottlingException)
_CELLS, _FAST = CELLS_OF_MICROSECONDS, len(CELLS_OF_MICROSECONDS)
_COUNT_CELLS, _FEW = CELLS_OF_COUNTS, len(CELLS_OF_COUNTS)
_REMEMBERED = 10_000
"""The most tables whose series an operation remembers; then it starts again. As many as regions may have, and more."""


class _Tally:
    """The cells of this process that count the requests of one operation on one table."""

    __slots__ = ("cells", "latency", "reads", "returned", "writes")

    def __init__(self, operation: str, account: str, region: str, table: str) -> None:
        counts = metrics.current()
        latency = counts.series(LATENCY, account, region, table, operation, None)
        self.cells = latency.cells
        self.latency = latency.at
        self.reads = counts.series(CONSUMED_READS, account, region, table, None).at
        self.writes = counts.series(CONSUMED_WRITES, account, region, table, None).at
        self.returned = 0
        if operation in _RETURNING:
            self.returned = counts.series(RETURNED_ITEMS, account, region, table, operation).at


class RequestCounts:
    """The metrics of the requests of one operation."""

    def __init__(self, operation: str) -> None:
        self._operation = operation
        self._tallies: dict[bytes, _Tally] = {}
        """By the table's id."""
        self._counts: metrics.Counts | None = None
        """Those whose series are remembered."""

    def count(self, context: Context, error: ServiceError | None, seconds: float) -> None:
        """Count a request that has an answer. Nearly every one is a success on one table and no index."""
        meter = context.meter
        table = meter.table
        if table is None or error is not None or meter.besides is not None or meter.more is not None:
            self._count_any(context, error, seconds)
            return
        tally = self._tallies.get(table.id) or self._tally(context.region, table)
        cells = tally.cells
        cells[tally.writes if meter.writes else tally.reads] += meter.units
        latency = tally.latency
        microseconds = int(seconds * 1e6)
        cells[latency] += seconds * 1e3
        cells[latency + (_CELLS[microseconds] if microseconds < _FAST else cell_of(microseconds / 1000))] += 1.0
        returned = tally.returned
        if returned and not meter.writes:
            items = meter.items
            cells[returned] += items
            cells[returned + (_COUNT_CELLS[items] if items < _FEW else cell_of(items))] += 1.0

    def _tally(self, region: Region, table: Metered) -> _Tally:
        counts = metrics.current()
        if counts is not self._counts:
            self._counts = counts
            counts.when_moved(self._tallies.clear)
        if len(self._tallies) >= _REMEMBERED:
            self._tallies.clear()
        tally = self._tallies[table.id] = _Tally(self._operation, region.account, region.name, table.name)
        return tally

    def _count_any(self, context: Context, error: ServiceError | None, seconds: float) -> None:
        """Count any request."""
        region, meter = context.region, context.meter
        for charge in meter.charges():
            self._count_units(region, charge)
            self._count_refusals(region, charge)
        if error is None:
            self._count_success(region, meter, seconds * 1000)
        else:
            self._count_error(region, meter, error)

    def _count_units(self, region: Region, charge: Charge) -> None:
        assert charge.table is not None, "it is only begun with a table"
        metric = CONSUMED_WRITES if charge.writes else CONSUMED_READS
        units: dict[str | None, float] = {None: charge.units + charge.attempted}
        for (is_global, name), amount in charge.parts.items():
            index = name if is_global else None
            units[index] = units.get(index, 0.0) + amount
        for index, amount in units.items():
            if amount:
                self._series(metric, region, charge.table.name, index).add(amount)

    def _count_refusals(self, region: Region, charge: Charge) -> None:
        if charge.refusals and charge.table is not None:
            self._series(CONDITIONS_FAILED, region, charge.table.name).add(charge.refusals)

    def _count_success(self, region: Region, meter: Meter, milliseconds: float) -> None:
        operation = self._operation
        if meter.stream is not None:
            table, label = meter.stream
            self._series(LATENCY, region, table, operation, label).observe(milliseconds)
            self._series(RETURNED_BYTES, region, table, operation, label).observe(meter.size)
            self._series(RETURNED_RECORDS, region, table, operation, label).observe(meter.items)
        for table in {charge.table.name for charge in meter.charges() if charge.table is not None}:
            self._series(LATENCY, region, table, operation, None).observe(milliseconds)
            if operation in _RETURNING and not meter.writes:
                self._series(RETURNED_ITEMS, region, table, operation).observe(meter.items)

    def _count_error(self, region: Region, meter: Meter, error: ServiceError) -> None:
        table = None if meter.table is None else meter.table.name
        if error.status >= 500:
            self._series(SYSTEM_ERRORS, region, table, self._operation).add(1)
        elif isinstance(error, _THROTTLING):
            self._series(THROTTLED, region, table, self._operation).add(1)
        elif not isinstance(error, ConditionalCheckFailedException | DuplicateItemException):
            self._series(USER_ERRORS, region).add(1)
        if isinstance(error, TransactionConflictException):
            self._series(CONFLICTS, region, table).add(1)

    def _series(self, metric: Metric, region: Region, *values: str | None) -> Series:
        return metrics.current().series(metric, region.account, region.name, *values)


def count_expired(region: Region, table_name: str, items: int) -> None:
    """Items of a table were deleted because their time to live had passed."""
    if items:
        metrics.current().series(TIME_TO_LIVE_DELETED, region.account, region.name, table_name).add(items)


def count_replicated(region: Region, source: str, table_name: str, seconds: list[float]) -> None:
    """Changes from the region `source` were applied here, this long after they were made. The metric belongs to that
    region."""
    if seconds:
        series = metrics.current().series(REPLICATION_LATENCY, region.account, source, table_name, region.name)
        for one in seconds:
            series.observe(max(0.0, one * 1000))
