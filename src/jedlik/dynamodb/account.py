"""DescribeLimits and DescribeEndpoints: the facts about the whole account."""

from __future__ import annotations

from typing import Any

from jedlik.aws.context import Context
from jedlik.dynamodb.model.limits import ACCOUNT_UNITS, TABLE_UNITS

ENDPOINT_CACHE_MINUTES = 1440
"""How long a client may go on using an endpoint from the answer."""


async def describe_limits(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """The quotas of provisioned throughput."""
    return {
        "AccountMaxReadCapacityUnits": ACCOUNT_UNITS,
        "AccountMaxWriteCapacityUnits": ACCOUNT_UNITS,
        "TableMaxReadCapacityUnits": TABLE_UNITS,
        "TableMaxWriteCapacityUnits": TABLE_UNITS,
    }


async def describe_endpoints(context: Context, request: dict[str, Any]) -> dict[str, Any]:
    """The address that the client has used: it can be reached from where the client is."""
    return {"Endpoints": [{"Address": context.host.decode("latin-1"), "CachePeriodInMinutes": ENDPOINT_CACHE_MINUTES}]}
