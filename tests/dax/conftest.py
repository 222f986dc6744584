"""One server with DAX for each module, and the official client. Most tests ask DAX and the table the same things."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from amazondax import AmazonDaxClient

from testing.dax.twins import TABLES, Twins
from testing.jedlik_process import Server


@pytest.fixture(scope="module")
def dax_server(start_shared_server: Callable[..., Server]) -> Server:
    return start_shared_server(in_memory=True, dax=True, dax_port=0, dax_stale=True)


@pytest.fixture(scope="module")
def dynamodb(dax_server: Server) -> Any:
    """A client of the tables themselves."""
    client = dax_server.client()
    for table in TABLES:
        for name in (table["TableName"], f"{table['TableName']}-twin"):
            client.create_table(**(table | {"TableName": name}), BillingMode="PAY_PER_REQUEST")
    return client


@pytest.fixture(scope="module")
def dax(dax_server: Server, dynamodb: Any) -> Iterator[Any]:
    """The official client of DAX."""
    client = AmazonDaxClient(
        endpoint_url=dax_server.dax_url, region_name="us-east-1", aws_access_key_id="AK", aws_secret_access_key="SK"
    )
    yield client
    client.close()


@pytest.fixture
def twins(dax: Any, dynamodb: Any) -> Twins:
    return Twins(dax, dynamodb)
