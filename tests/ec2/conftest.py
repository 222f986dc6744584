"""A server with two VPC endpoints, on which a user reads and writes a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from testing.dynamodb.definitions import create
from testing.jedlik_process import Server
from testing.private_ways import ACCOUNT, ENDPOINT, OTHER, USER, settings


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    """One that verifies signatures. It has one worker: a change of a policy holds at once."""
    folder = tmp_path_factory.mktemp("server")
    file = folder / "jedlik.toml"
    file.write_text(settings(ENDPOINT) + settings(OTHER, vpc_id="vpc-89abcdef"))
    running = start_shared_server(config=file, auth="on", access_log=True)
    create(running.client(), TableName="Table")
    running.client("iam").create_user(UserName=USER)
    return running


@pytest.fixture(scope="module")
def keys(server: Server) -> dict[str, str]:
    """The user's key, as options of a client."""
    made = server.client("iam").create_access_key(UserName=USER)["AccessKey"]
    return {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}


@pytest.fixture
def ec2(server: Server) -> Iterator[Any]:
    """A client of EC2, after which the endpoints are as they were."""
    client = server.client("ec2")
    yield client
    for endpoint in (ENDPOINT, OTHER):
        client.modify_vpc_endpoint(VpcEndpointId=endpoint, ResetPolicy=True)
        client.delete_tags(Resources=[endpoint])


@pytest.fixture
def table() -> str:
    """The ARN of the table."""
    return f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/Table"
