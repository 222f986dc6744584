"""The tagging service over a real server's tables, with boto3 and the AWS CLI."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from testing.dynamodb.definitions import create, describe
from testing.jedlik_process import Server

CLI = Path(sys.executable).with_name("aws")
HERE = "arn:aws:dynamodb:us-east-1:000000000000:table"


@pytest.fixture(scope="module", params=["off", "on"], ids="auth-{}".format)
def server(request: pytest.FixtureRequest, start_shared_server: Callable[..., Server]) -> Server:
    """A server that verifies signatures, and one that does not."""
    return start_shared_server(auth=request.param)


@pytest.fixture
def tables(server: Server) -> Any:
    return server.client()


@pytest.fixture
def tagging(server: Server) -> Any:
    return client(server)


def client(server: Server, region: str = "us-east-1") -> Any:
    return boto3.client(
        "resourcegroupstaggingapi",
        endpoint_url=server.url,
        region_name=region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
    )


def table(tables: Any, **tags: str) -> str:
    """The ARN of a new table."""
    given = {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]} if tags else {}
    arn: str = describe(tables, create(tables, **given))["TableArn"]
    return arn


def tags_of(tagging: Any, arn: str) -> dict[str, str] | None:
    """The tags of a resource as the service lists them; None if it does not list it."""
    found = tagging.get_resources(ResourceARNList=[arn])["ResourceTagMappingList"]
    return {tag["Key"]: tag["Value"] for tag in found[0]["Tags"]} if found else None


def error(call: Callable[..., Any], **request: Any) -> tuple[int, str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def test_tags_of_tables_set_through_either_service(tables: Any, tagging: Any) -> None:
    arn, bare = table(tables, made="with"), table(tables)
    assert tags_of(tagging, arn) == {"made": "with"}
    assert tags_of(tagging, bare) is None  # It never had a tag.
    tables.tag_resource(ResourceArn=bare, Tags=[{"Key": "by", "Value": "DynamoDB"}])
    assert tags_of(tagging, bare) == {"by": "DynamoDB"}
    assert tagging.tag_resources(ResourceARNList=[arn, bare], Tags={"by": "both", "ü": ""})["FailedResourcesMap"] == {}
    assert tags_of(tagging, arn) == {"made": "with", "by": "both", "ü": ""}
    assert tags_of(tagging, bare) == {"by": "both", "ü": ""}
    shown = tables.list_tags_of_resource(ResourceArn=bare)["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in shown} == {"by": "both", "ü": ""}
    removed = tagging.untag_resources(ResourceARNList=[bare, arn], TagKeys=["by", "ü", "never"])
    assert removed["FailedResourcesMap"] == {}
    assert tags_of(tagging, bare) == {}  # It has had tags.
    tables.delete_table(TableName=bare.rpartition("/")[2])
    assert tags_of(tagging, bare) is None


def test_resources_by_filters_and_pages(tables: Any, tagging: Any) -> None:
    arns = sorted(table(tables, paged="yes", n=str(n)) for n in range(5))
    filters = [{"Key": "paged", "Values": ["yes"]}]
    pages = tagging.get_paginator("get_resources").paginate(TagFilters=filters, ResourcesPerPage=2)
    found = [[mapping["ResourceARN"] for mapping in page["ResourceTagMappingList"]] for page in pages]
    assert [len(page) for page in found] == [2, 2, 1]
    assert [arn for page in found for arn in page] == arns
    two = [*filters, {"Key": "n", "Values": ["3", "4"]}]
    only = tagging.get_resources(TagFilters=two, ResourceTypeFilters=["dynamodb"])
    assert len(only["ResourceTagMappingList"]) == 2
    none = tagging.get_resources(TagFilters=filters, ResourceTypeFilters=["s3"])
    assert (none["PaginationToken"], none["ResourceTagMappingList"]) == ("", [])


def test_keys_and_values_in_use(tables: Any, tagging: Any) -> None:
    arn, other = table(tables, colour="red", size="1"), table(tables, colour="green")
    assert {"colour", "size"} <= set(tagging.get_tag_keys()["TagKeys"])
    assert tagging.get_tag_values(Key="colour")["TagValues"] == ["green", "red"]
    tagging.untag_resources(ResourceARNList=[arn, other], TagKeys=["colour", "size"])
    assert tagging.get_tag_values(Key="colour")["TagValues"] == []
    assert "size" not in tagging.get_tag_keys()["TagKeys"]


def test_each_resource_fails_for_itself(tables: Any, tagging: Any) -> None:
    arn = table(tables)
    elsewhere = arn.replace("us-east-1", "eu-west-1")
    full = table(tables, **{f"key{n}": "" for n in range(50)})
    wanted = [arn, f"{HERE}/nowhere", elsewhere, "arn:aws:s3:::bucket", full]
    failed = tagging.tag_resources(ResourceARNList=wanted, Tags={"a": "b"})["FailedResourcesMap"]
    unknown = "'{}' is not a resource of this account and Region that can be tagged here."
    assert failed == {
        f"{HERE}/nowhere": {
            "StatusCode": 400,
            "ErrorCode": "ResourceNotFoundException",
            "ErrorMessage": f"Requested resource not found: ResourceArn: {HERE}/nowhere not found",
        },
        elsewhere: {
            "StatusCode": 400,
            "ErrorCode": "InvalidParameterException",
            "ErrorMessage": unknown.format(elsewhere),
        },
        "arn:aws:s3:::bucket": {
            "StatusCode": 400,
            "ErrorCode": "InvalidParameterException",
            "ErrorMessage": unknown.format("arn:aws:s3:::bucket"),
        },
        full: {
            "StatusCode": 400,
            "ErrorCode": "ValidationException",
            "ErrorMessage": "Number of Tags exceed the current limit for the provided ResourceArn",
        },
    }
    assert tags_of(tagging, arn) == {"a": "b"}


def test_a_fault_of_the_request_refuses_all_of_it(tables: Any, tagging: Any) -> None:
    arn = table(tables)
    assert error(tagging.tag_resources, ResourceARNList=[arn, "no-arn"], Tags={"a": "b"}) == (
        400,
        "InvalidParameterException",
        "The ARN 'no-arn' is malformed.",
    )
    assert tags_of(tagging, arn) is None
    assert error(tagging.get_resources, ResourcesPerPage=101) == (
        400,
        "InvalidParameterException",
        "ResourcesPerPage must be between 1 and 100.",
    )
    many = {f"key{n}": "" for n in range(51)}
    status, code, message = error(tagging.tag_resources, ResourceARNList=[arn], Tags=many)
    assert (status, code) == (400, "InvalidParameterException")
    assert message.endswith("at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50")
    assert error(tagging.get_resources, PaginationToken="made up")[1] == "InvalidParameterException"


def test_a_region_has_tags_of_its_own(server: Server, tables: Any, tagging: Any) -> None:
    arn = table(tables, only="here")
    assert client(server, "eu-west-1").get_tag_values(Key="only")["TagValues"] == []
    there = client(server, "eu-west-1").tag_resources(ResourceARNList=[arn], Tags={"a": "b"})
    assert there["FailedResourcesMap"][arn]["ErrorCode"] == "InvalidParameterException"
    assert tags_of(tagging, arn) == {"only": "here"}


@pytest.mark.parametrize("operation", ["describe_report_creation", "get_compliance_summary"])
def test_operations_that_need_an_organization(tagging: Any, operation: str) -> None:
    assert error(getattr(tagging, operation)) == (
        400,
        "ConstraintViolationException",
        "The account is not the management account of an organization.",
    )
    assert error(tagging.start_report_creation, S3Bucket="bucket")[1] == "ConstraintViolationException"
    assert tagging.list_required_tags()["RequiredTags"] == []


def test_the_signature_is_verified(start_server: Callable[..., Server]) -> None:
    server = start_server(auth="on", in_memory=True)
    server.secret_key = "x" * 40
    assert error(client(server).get_tag_keys)[:2] == (400, "InvalidSignatureException")


def test_in_cbor(server: Server, tables: Any) -> None:
    """The SDK for Go sends this, signed; botocore knows the protocol, and prefers JSON."""
    arn = table(tables, cbor="yes")
    model = botocore.session.get_session().get_service_model("resourcegroupstaggingapi").operation_model("GetResources")
    filters = [{"Key": "cbor", "Values": ["yes"]}]
    asked = create_serializer("smithy-rpc-v2-cbor").serialize_to_request({"TagFilters": filters}, model)
    headers = {**asked["headers"], "Accept": "application/cbor"}
    request = AWSRequest("POST", server.url + asked["url_path"], headers, asked["body"])
    SigV4Auth(Credentials(server.access_key, server.secret_key), "tagging", "us-east-1").add_auth(request)
    answer = requests.post(request.url, data=asked["body"], headers=dict(request.headers), timeout=60)
    assert (answer.status_code, answer.headers["smithy-protocol"]) == (200, "rpc-v2-cbor")
    assert answer.headers["Content-Type"] == "application/cbor"
    parser = create_parser("smithy-rpc-v2-cbor")
    found = parser.parse({"body": answer.content, "headers": answer.headers, "status_code": 200}, model.output_shape)
    assert found["ResourceTagMappingList"] == [{"ResourceARN": arn, "Tags": [{"Key": "cbor", "Value": "yes"}]}]


@pytest.mark.skipif(not CLI.exists(), reason="the AWS CLI is not installed")
def test_with_the_cli(server: Server, tables: Any) -> None:
    arn = table(tables)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_PAGER": "",
    }

    def aws(*arguments: str) -> Any:
        command = [str(CLI), "resourcegroupstaggingapi", *arguments, "--output", "json"]
        printed = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120).stdout
        return json.loads(printed)

    assert aws("tag-resources", "--resource-arn-list", arn, "--tags", "cli=yes") == {"FailedResourcesMap": {}}
    found = aws("get-resources", "--tag-filters", "Key=cli,Values=yes")
    assert found["ResourceTagMappingList"] == [{"ResourceARN": arn, "Tags": [{"Key": "cli", "Value": "yes"}]}]
