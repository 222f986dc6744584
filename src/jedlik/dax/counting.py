"""What a node counts, named as CloudWatch names it in AWS/DAX.

Source: "DAX metrics and dimensions" in the developer guide.
"""

from __future__ import annotations

from jedlik.aws import metrics
from jedlik.aws.metrics import Metric, Series

DIMENSIONS = ("ClusterId", "NodeId")


def _counter(name: str, meaning: str) -> Metric:
    return Metric(name, "counter", "Count", DIMENSIONS, meaning)


REQUESTS = {
    operation: _counter(name, f"{operation} requests that a node has handled.")
    for operation, name in (
        ("GetItem", "GetItemRequestCount"),
        ("BatchGetItem", "BatchGetItemRequestCount"),
        ("PutItem", "PutItemRequestCount"),
        ("UpdateItem", "UpdateItemRequestCount"),
        ("DeleteItem", "DeleteItemRequestCount"),
        ("BatchWriteItem", "BatchWriteItemRequestCount"),
        ("Query", "QueryRequestCount"),
        ("Scan", "ScanRequestCount"),
        ("TransactGetItems", "TransactGetItemsCount"),
        ("TransactWriteItems", "TransactWriteItemsCount"),
    )
}
ITEM_HITS = _counter("ItemCacheHits", "Items that the item cache had.")
ITEM_MISSES = _counter("ItemCacheMisses", "Items that the item cache did not have.")
PAGE_HITS = {
    "Query": _counter("QueryCacheHits", "Pages of queries that the query cache had."),
    "Scan": _counter("ScanCacheHits", "Pages of scans that the query cache had."),
}
PAGE_MISSES = {
    "Query": _counter("QueryCacheMisses", "Pages of queries that the query cache did not have."),
    "Scan": _counter("ScanCacheMisses", "Pages of scans that the query cache did not have."),
}
TOTAL = _counter("TotalRequestCount", "Requests that a node has handled.")
ERRORS = _counter("ErrorRequestCount", "Requests that were refused, through the client's own doing.")
THROTTLED = _counter("ThrottledRequestCount", "Requests that were refused because there was too much to do.")
FAULTS = _counter("FaultRequestCount", "Requests that failed through a fault of ours.")

METRICS = (
    *REQUESTS.values(),
    ITEM_HITS,
    ITEM_MISSES,
    *PAGE_HITS.values(),
    *PAGE_MISSES.values(),
    TOTAL,
    ERRORS,
    THROTTLED,
    FAULTS,
)


class NodeCounts:
    """The series of one node in one region.

    Hits that need nothing but the cache are counted here first: three additions would take as long as the rest of one.
    """

    def __init__(self, account: str, region: str, cluster: str, node: str) -> None:
        self._place = (account, region, cluster, node)
        self.hits = 0
        """GetItems that the cache had, which the series do not show yet."""
        self.look_up()

    def look_up(self) -> None:
        """Find the series. To be called when they have moved."""
        self.requests = {operation: self._series(metric) for operation, metric in REQUESTS.items()}
        self.item_hits = self._series(ITEM_HITS)
        self.item_misses = self._series(ITEM_MISSES)
        self.page_hits = {operation: self._series(metric) for operation, metric in PAGE_HITS.items()}
        self.page_misses = {operation: self._series(metric) for operation, metric in PAGE_MISSES.items()}
        self.total = self._series(TOTAL)
        self.errors = self._series(ERRORS)
        self.throttled = self._series(THROTTLED)
        self.faults = self._series(FAULTS)

    def show_hits(self) -> None:
        """Add the hits to the series. To be called once a second."""
        if self.hits:
            hits, self.hits = self.hits, 0
            for series in (self.item_hits, self.requests["GetItem"], self.total):
                series.add(hits)

    def _series(self, metric: Metric) -> Series:
        account, region, cluster, node = self._place
        return metrics.current().series(metric, account, region, cluster, node)
