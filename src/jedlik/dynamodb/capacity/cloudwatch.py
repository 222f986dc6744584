"""DynamoDB's metrics: what is counted, named as CloudWatch names it.

Source: "DynamoDB Metrics and dimensions" in the developer guide.
"""

from __future__ import annotations

from jedlik.aws import metrics
from jedlik.aws.metrics import Metric
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

METRICS = (TIME_TO_LIVE_DELETED, REPLICATION_LATENCY)
"""All of them."""


def count_expired(region: Region, table_name: str, items: int) -> None:
    """Items of a table were deleted because their time to live had passed."""
    if items:
        metrics.current().series(TIME_TO_LIVE_DELETED, region.account, region.name, table_name).add(items)


def count_replicated(region: Region, source: str, table_name: str, seconds: list[float]) -> None:
    """Changes that were made in the region `source` were applied here, so long after that. It is a metric of theirs."""
    if seconds:
        series = metrics.current().series(REPLICATION_LATENCY, region.account, source, table_name, region.name)
        for one in seconds:
            series.observe(max(0.0, one * 1000))
