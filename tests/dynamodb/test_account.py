"""DescribeLimits and DescribeEndpoints, and the operations that are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from testing.dynamodb.refusals import refusal
from testing.jedlik_process import Server


@pytest.fixture
def client(server: Server) -> Any:
    return server.client()


def test_limits(client: Any) -> None:
    limits = client.describe_limits()
    del limits["ResponseMetadata"]
    assert limits == {
        "AccountMaxReadCapacityUnits": 80_000,
        "AccountMaxWriteCapacityUnits": 80_000,
        "TableMaxReadCapacityUnits": 40_000,
        "TableMaxWriteCapacityUnits": 40_000,
    }


def test_the_endpoint_is_the_one_that_the_client_used(server: Server, client: Any) -> None:
    assert client.describe_endpoints()["Endpoints"] == [
        {"Address": f"127.0.0.1:{server.port}", "CachePeriodInMinutes": 1440}
    ]


@pytest.mark.parametrize(
    "operation",
    ["list_contributor_insights", "describe_kinesis_streaming_destination", "update_table_replica_auto_scaling"],
)
def test_unsupported_operations_are_refused_by_name(client: Any, operation: str) -> None:
    name = client.meta.method_to_api_mapping[operation]
    assert refusal(getattr(client, operation)) == (
        "UnknownOperationException",
        f"Jedlik does not support {name} yet",
    )
