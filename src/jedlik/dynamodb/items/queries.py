"""Query and Scan: pages of a table or an index.

Both first make the checks that need only the request. Then they find their stretch of rows with the table as last seen,
read it in bounded pieces, and check afterwards whether the table is still the same. Source: the API reference; errors
as DynamoDB words them.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from jedlik.aws.context import Context
from jedlik.aws.errors import ValidationException
from jedlik.aws.meter import Meter
from jedlik.dynamodb import catalog
from jedlik.dynamodb.capacity import charging
from jedlik.dynamodb.items import pages, parameters
from jedlik.dynamodb.items.pages import Page
from jedlik.dynamodb.items.parameters import Request, Response
from jedlik.dynamodb.model import capacity, items, key_values, keys, limits, reads, values
from jedlik.dynamodb.model.expressions import key_conditions, legacy
from jedlik.dynamodb.model.expressions.conditions import Predicate
from jedlik.dynamodb.model.expressions.projections import Projection
from jedlik.dynamodb.model.reads import Stretch
from jedlik.dynamodb.model.tables import Index, Table
from jedlik.dynamodb.model.values import Item

_INVALID = "One or more parameter values were invalid: "
_START_KEY = "The provided starting key is invalid: "
_TOLD_BARE = ("duplicates", "number set", "numeric value", "significant digits", "number with magnitude")
"""DynamoDB's errors about an ExclusiveStartKey's values that do not contain their place."""


class _Reading(NamedTuple):
    """The parameters of a Query or a Scan, except where it begins and ends."""

    request: Request
    consistent: bool
    filter: Predicate | None
    projection: Projection | None

    @property
    def limit(self) -> int:
        """Rows to be examined at most."""
        limit: int = self.request.get("Limit", sys.maxsize)
        return limit

    @property
    def select(self) -> str | None:
        select: str | None = self.request.get("Select")
        return select


async def query(context: Context, request: Request) -> Response:
    """The items of one partition key, in the order of the sort key."""
    if "Select" in request:
        _check_select(request, "1 validation error detected: ")
    parameters.refuse_mixed(parameters.QUERY, request)
    shows_all = parameters.SHOWING.isdisjoint(request)
    replaced_filter = None if shows_all else parameters.replaced_filter(request, "QueryFilter")
    replaced_projection = None if shows_all else parameters.replaced_projection(request)
    start_key = _start_key(request)
    if "KeyConditions" not in request and "KeyConditionExpression" not in request:
        raise ValidationException(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
        )
    known = parameters.placeholders(request)
    conditions = {}
    longest = sys.maxsize
    if "KeyConditionExpression" in request:
        longest = known.size
        conditions = key_conditions.parse_key_condition(request["KeyConditionExpression"], known)
    reading = _Reading(
        request=request,
        consistent=request.get("ConsistentRead", False),
        filter=None if shows_all else replaced_filter or parameters.item_filter(request, known),
        projection=None if shows_all else replaced_projection or parameters.projection(request, known),
    )
    known.check_all_used()
    if "KeyConditions" in request:
        conditions = legacy.parse_key_conditions(request["KeyConditions"])
    region = context.region

    async def attempt(table: Table) -> Response:
        index = _index(table, reading)
        if start_key is not None:
            key_values.check_start_key(table, index, start_key)
        condition = key_conditions.against_key(conditions, table, index, longest)
        reverse = not request.get("ScanIndexForward", True)
        stretch = reads.queried(table, index, condition, start_key, reverse, region.secret)
        if reading.projection is not None:
            reading.projection.refuse_nested_keys(table)
        if reading.filter is not None:
            reading.filter.refuse_key_attributes(table, index)
            _refuse_unprojected(index, reading.filter)
        fetches = _fetches(index, reading)
        if reading.filter is not None:
            reading.filter.refuse_nested_keys(table)
        # A query of one item is never cut off by its limit: with a LastEvaluatedKey it could not go on.
        limit = sys.maxsize if reads.selects_one_item(table, index, condition) else reading.limit
        page = await pages.read(region, table, index, stretch, limit, limits.PAGE_SIZE, reading.consistent, fetches)
        return _response(context.meter, table, index, page, reading, stretch, partitions=1)

    return await catalog.with_table(region, request["TableName"], attempt)


async def scan(context: Context, request: Request) -> Response:
    """The items of a table or an index, or of one of its segments, in an order without meaning."""
    _check_select(request, "")
    parameters.refuse_mixed(parameters.SCAN, request)
    replaced_projection = parameters.replaced_projection(request)
    replaced_filter = parameters.replaced_filter(request, "ScanFilter")
    start_key = _start_key(request)
    segment, segments = _segment(request)
    known = parameters.placeholders(request)
    reading = _Reading(
        request=request,
        consistent=request.get("ConsistentRead", False),
        filter=replaced_filter or parameters.item_filter(request, known),
        projection=replaced_projection or parameters.projection(request, known),
    )
    known.check_all_used()
    region = context.region

    async def attempt(table: Table) -> Response:
        index = _index(table, reading)
        fetches = _fetches(index, reading)
        if start_key is not None:
            key_values.check_start_key(table, index, start_key, scan=True)
        stretch = reads.scanned(table, index, segment, segments, start_key, region.secret)
        for expression in (reading.projection, reading.filter):
            if expression is not None:
                expression.refuse_nested_keys(table)
        page = await pages.read(
            region, table, index, stretch, reading.limit, limits.PAGE_SIZE, reading.consistent, fetches
        )
        return _response(context.meter, table, index, page, reading, stretch, capacity.partitions(table))

    return await catalog.with_table(region, request["TableName"], attempt)


# Checks


def _check_select(request: Request, prefix: str) -> None:
    """Refuses a Select that contradicts the other parameters. Query and Scan word that alike except for a prefix."""
    select = request.get("Select")
    if select is None:
        return
    given = [name for name in ("AttributesToGet", "ProjectionExpression") if name in request]
    if select == "SPECIFIC_ATTRIBUTES":
        if not given:
            raise ValidationException(
                f"{prefix}Must specify the AttributesToGet or ProjectionExpression "
                "when choosing to get SPECIFIC_ATTRIBUTES"
            )
    elif given:
        what = "only the Count" if select == "COUNT" else select
        raise ValidationException(f"{prefix}Cannot specify the {given[0]} when choosing to get {what}")
    elif select == "ALL_PROJECTED_ATTRIBUTES" and "IndexName" not in request:
        raise ValidationException(f"{prefix}ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")


def _start_key(request: Request) -> Item | None:
    if "ExclusiveStartKey" not in request:
        return None
    try:
        start_key, _ = values.normalise_item(request["ExclusiveStartKey"])
    except ValidationException as refusal:
        if any(text in refusal.message for text in _TOLD_BARE):
            raise
        raise ValidationException(_START_KEY + refusal.message, _START_KEY + refusal.newer) from None
    return start_key


def _segment(request: Request) -> tuple[int, int]:
    """The segment that a Scan reads, and the number of segments."""
    if "TotalSegments" not in request:
        if "Segment" in request:
            raise ValidationException(
                "The TotalSegments parameter is required but was not present in the request "
                "when Segment parameter is present"
            )
        return 0, 1
    segments = request["TotalSegments"]
    if "Segment" not in request:
        raise ValidationException(
            "The Segment parameter is required but was not present in the request "
            "when parameter TotalSegments is present"
        )
    segment = request["Segment"]
    if segment >= segments:
        raise ValidationException(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {segments}"
        )
    return segment, segments


def _index(table: Table, reading: _Reading) -> Index | None:
    """The index to read; None for the table itself."""
    name = reading.request.get("IndexName")
    if name is None:
        return None
    index = table.index(name)
    if index is None:
        raise ValidationException(f"The table does not have the specified index: {name}")
    if index.is_global and reading.consistent:
        raise ValidationException("Consistent reads are not supported on global secondary indexes")
    if index.status == "CREATING":
        raise ValidationException(f"Cannot read from backfilling global secondary index: {name}")
    return index


def _refuse_unprojected(index: Index | None, condition: Predicate) -> None:
    """Refuses a Query's filter that reads attributes which the index does not have."""
    if index is None or index.projected is None:
        return
    missing = condition.attribute_names - index.projected
    if missing:
        raise ValidationException(
            f"{_INVALID}Secondary index {index.name} does not project one or more filter attributes: "
            f"[{', '.join(sorted(missing))}]"
        )


def _fetches(index: Index | None, reading: _Reading) -> bool:
    """Whether items must be fetched for entries, because a local index lacks requested attributes.

    A global index that lacks them refuses.
    """
    if index is None or index.projected is None:
        return False
    if reading.select == "ALL_ATTRIBUTES":
        if index.is_global:
            raise ValidationException(
                f"{_INVALID}Select type ALL_ATTRIBUTES is not supported for global secondary index "
                f"{index.name} because its projection type is not ALL"
            )
        return True
    if reading.projection is None:
        return False
    missing = reading.projection.top_level_names - index.projected
    if missing and index.is_global:
        raise ValidationException(
            f"{_INVALID}Global secondary index {index.name} does not project [{', '.join(sorted(missing))}]"
        )
    return bool(missing)


# Answers


def _response(
    meter: Meter,
    table: Table,
    index: Index | None,
    page: Page,
    reading: _Reading,
    stretch: Stretch,
    partitions: int,
) -> Response:
    """The answer of a Query or Scan with a page of `stretch`, for which it charges each of the `partitions` apart."""
    stored = page.stored if page.fetched is None else page.fetched
    response: Response = {}
    if reading.select == "COUNT":
        response["Count"] = reads.passing(stored, reading.filter)
    else:
        response["Count"], response["Items"] = reads.shown(stored, reading.filter, reading.projection)
    response["ScannedCount"] = len(page.rows)
    if page.full:
        response["LastEvaluatedKey"] = keys.key_of(table, index, items.decode(page.rows[-1][1]))
    meter.begin(table, reading.request["TableName"], False, 0.0)
    charging.add_page(meter, table, index, page, stretch, partitions, reading.consistent)
    meter.items = response["Count"]
    detail = reading.request.get("ReturnConsumedCapacity", "NONE")
    if detail != "NONE":
        response["ConsumedCapacity"] = charging.consumed(meter, detail)
    return response
