"""STS over its query protocol: GetCallerIdentity and GetAccessKeyInfo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from testing.jedlik_process import Server

ACCOUNT = "210987654321"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
CLI = Path(sys.executable).with_name("aws")


@pytest.fixture(scope="module", params=["off", "on"], ids="auth-{}".format)
def server(request: pytest.FixtureRequest, start_shared_server: Callable[..., Server]) -> Server:
    """A server that verifies signatures, and one that does not."""
    return start_shared_server(auth=request.param, account=ACCOUNT)


def sts(server: Server, region: str = "us-east-1", access_key: str | None = None) -> Any:
    return boto3.client(
        "sts",
        endpoint_url=server.url,
        region_name=region,
        aws_access_key_id=access_key or server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


def error(call: Callable[..., Any], **request: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def test_every_key_belongs_to_the_account_itself(server: Server) -> None:
    found = sts(server).get_caller_identity()
    assert {name: found[name] for name in ("UserId", "Account", "Arn")} == {
        "UserId": ACCOUNT,
        "Account": ACCOUNT,
        "Arn": ROOT,
    }


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "aws-global"])
def test_it_is_in_every_region(start_server: Callable[..., Server], region: str) -> None:
    server = start_server(in_memory=True, regions="eu-west-1", account=ACCOUNT)
    assert sts(server, region).get_caller_identity()["Arn"] == ROOT


def test_the_account_of_a_key(server: Server) -> None:
    key = server.access_key if len(server.access_key) >= 16 else "AKIAIOSFODNN7EXAMPLE"
    assert sts(server).get_access_key_info(AccessKeyId=key)["Account"] == ACCOUNT


def test_a_key_that_is_not_there(start_server: Callable[..., Server]) -> None:
    server = start_server(auth="on", in_memory=True)
    refused = error(sts(server).get_access_key_info, AccessKeyId="AKIAIOSFODNN7EXAMPLE")
    assert refused == (403, "InvalidClientTokenId", "The security token included in the request is invalid.")


def test_what_is_no_key(server: Server) -> None:
    status, code, message = error(sts(server).get_access_key_info, AccessKeyId="AKIA-!")
    assert (status, code) == (400, "ValidationError")
    assert "at 'accessKeyId' failed to satisfy constraint" in message


def test_unsupported_operations_are_refused_by_name(server: Server) -> None:
    refused = error(sts(server).decode_authorization_message, EncodedMessage="x")
    assert refused == (400, "InvalidAction", "Jedlik does not support DecodeAuthorizationMessage yet")


def test_the_signature_is_verified(start_server: Callable[..., Server]) -> None:
    server = start_server(auth="on", in_memory=True)
    server.secret_key = "x" * 40
    status, code, _ = error(sts(server).get_caller_identity)
    assert (status, code) == (403, "SignatureDoesNotMatch")
    status, code, _ = error(sts(server, access_key="AKIAIOSFODNN7EXAMPLE").get_caller_identity)
    assert (status, code) == (403, "InvalidClientTokenId")


@pytest.mark.skipif(not CLI.exists(), reason="the AWS CLI is not installed")
def test_with_the_cli(server: Server) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    printed = subprocess.run(
        [CLI, "sts", "get-caller-identity", "--output", "json"],
        env=environment,
        check=True,
        capture_output=True,
        timeout=120,
    ).stdout
    assert json.loads(printed) == {"UserId": ACCOUNT, "Account": ACCOUNT, "Arn": ROOT}
