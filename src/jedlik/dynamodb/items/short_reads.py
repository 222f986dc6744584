"""GetItem and Query in their commonest forms, done without waiting (`aws.short_way`).

A GetItem here has a table, a key of short strings and numbers, and perhaps ConsistentRead. A Query has a key condition
on such values and no parameter that selects parts of the items. The table is as this process has last seen it; a single
read from the store also confirms that. All other requests are for `single_items` and `queries`, which this module must
agree with.
"""

from __future__ import annotations

from typing import Any

from jedlik.aws.context import Context
from jedlik.aws.stored_items import StoredItem
from jedlik.dynamodb import catalog
from jedlik.dynamodb.capacity import charging
from jedlik.dynamodb.items.pages import ROWS_AT_ONCE
from jedlik.dynamodb.items.parameters import Request, Response
from jedlik.dynamodb.model import items, keys, limits, plain_keys
from jedlik.dynamodb.model.expressions import key_plans
from jedlik.dynamodb.model.reads import Stretch
from jedlik.dynamodb.model.tables import Table

GET_ITEM = frozenset({"TableName", "Key", "ConsistentRead"})
QUERY = frozenset(
    {
        "TableName",
        "IndexName",
        "KeyConditionExpression",
        "ExpressionAttributeNames",
        "ExpressionAttributeValues",
        "ExclusiveStartKey",
        "Limit",
        "ScanIndexForward",
        "ConsistentRead",
    }
)
"""The members that requests may have here."""


def get_item(context: Context, request: Request) -> Response | None:
    """A whole item by its key."""
    key, name = request.get("Key"), request.get("TableName")
    consistent = request.get("ConsistentRead", False)
    if type(key) is not dict or type(name) is not str or type(consistent) is not bool:
        return None
    if len(request) != 2 + ("ConsistentRead" in request):  # There is something else.
        return None
    region = context.region
    table = catalog.last_seen(region, name)
    if table is None:
        return None
    item_key = plain_keys.item_key(table, key, region.secret)
    if item_key is None:
        return None
    return got(context, table, name, item_key, consistent)


def got(context: Context, table: Table, name: str, item_key: bytes, consistent: bool) -> Response | None:
    """A whole item by its storage key, of a table as this process has last seen it."""
    found = context.region.engine.get_now((table.descriptor_key, item_key))
    if found is None or found[0] != table.raw:
        return None
    stored = found[1]
    charging.got(context.meter, table, name, stored, consistent)
    return {} if stored is None else {"Item": StoredItem(stored, items.HEADER)}


def query(context: Context, request: Request) -> Response | None:
    """A page of whole items, or entries, of one partition key."""
    get = request.get
    name, text, limit = get("TableName"), get("KeyConditionExpression"), get("Limit", ROWS_AT_ONCE)
    consistent, forward = get("ConsistentRead", False), get("ScanIndexForward", True)
    if (
        not request.keys() <= QUERY
        or type(name) is not str
        or type(text) is not str
        or type(limit) is not int
        or not 0 < limit <= ROWS_AT_ONCE
        or type(consistent) is not bool
        or type(forward) is not bool
    ):
        return None
    region = context.region
    table = catalog.last_seen(region, name)
    if table is None:
        return None
    index = None
    if "IndexName" in request:
        index = table.index(request["IndexName"])
        if index is None or index.status == "CREATING" or (consistent and index.is_global):
            return None
    values: Any = get("ExpressionAttributeValues")
    plan = key_plans.plan(table, index, text, get("ExpressionAttributeNames"), values)
    if plan is None or (plan.is_long and "Limit" not in request):
        return None
    bounds = plan.bounds(values, region.secret)
    if bounds is None:
        return None
    start, end = bounds
    if "ExclusiveStartKey" in request:
        start_key = request["ExclusiveStartKey"]
        if index is not None or type(start_key) is not dict:
            return None
        place = plain_keys.item_key(table, start_key, region.secret)
        if place is None or not start <= place < end:
            return None
        start, end, _ = Stretch(start, end, not forward).after(place)
    found = region.engine.get_and_range_now(table.descriptor_key, start, end, limit, limits.PAGE_SIZE, not forward)
    if found is None or found[0] != table.raw:
        return None
    rows = found[1]
    count = len(rows)
    stored = [value for _, value in rows]
    size = items.total_size(stored)
    full = count == limit
    # The store ends a read by the bytes that it keeps, and DynamoDB a page by those that it counts, which are fewer.
    is_cut_off = sum(map(len, stored)) >= limits.PAGE_SIZE or size >= limits.PAGE_SIZE
    if is_cut_off or (full and "Limit" not in request):
        plan.is_long = True
        return None
    charging.queried(context.meter, table, name, index, count, size, consistent)
    response: Response = {"Count": count, "Items": items.array(stored), "ScannedCount": count}
    if full:
        response["LastEvaluatedKey"] = keys.key_of(table, index, items.decode(stored[-1]))
    return response
