"""EC2's API for VPC endpoints, with boto3, the AWS CLI and raw forms."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from jedlik.aws.private_ways import FULL_ACCESS
from testing.identities import answer, policy, refusal
from testing.jedlik_process import Server
from testing.private_ways import ACCOUNT, ENDPOINT, OTHER, USER, VPC

CLI = Path(sys.executable).with_name("aws")
ARN = f"arn:aws:ec2:us-east-1:{ACCOUNT}:vpc-endpoint/{ENDPOINT}"
ALLOWING = policy({"Effect": "Allow", "Principal": "*", "Action": "dynamodb:GetItem", "Resource": "*"})
NOT_FOUND = (400, "InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id 'vpce-00000000' does not exist")


def ids(found: dict[str, Any]) -> list[str]:
    return [one["VpcEndpointId"] for one in found["VpcEndpoints"]]


def test_what_is_known_of_an_endpoint(server: Server, ec2: Any) -> None:
    [found] = ec2.describe_vpc_endpoints(VpcEndpointIds=[ENDPOINT])["VpcEndpoints"]
    assert found == {
        "VpcEndpointId": ENDPOINT,
        "VpcEndpointType": "Interface",
        "VpcId": VPC,
        "ServiceName": "com.amazonaws.us-east-1.dynamodb",
        "ServiceRegion": "us-east-1",
        "State": "available",
        "PolicyDocument": FULL_ACCESS,
        "RouteTableIds": [],
        "SubnetIds": [],
        "Groups": [],
        "NetworkInterfaceIds": [],
        "IpAddressType": "ipv4",
        "PrivateDnsEnabled": False,
        "RequesterManaged": False,
        "DnsEntries": [{"DnsName": server.vpc_endpoint(ENDPOINT).removeprefix("http://")}],
        "Tags": [],
        "OwnerId": ACCOUNT,
    }
    assert server.client("ec2", region="eu-west-1").describe_vpc_endpoints()["VpcEndpoints"] == []


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("vpc-id", [VPC], [ENDPOINT]),
        ("vpc-id", ["vpc-*", "x"], [ENDPOINT, OTHER]),
        ("vpc-id", ["vpc-89abcd??"], [OTHER]),
        ("vpc-id", [r"vpc-\*"], []),
        ("vpc-endpoint-id", [OTHER], [OTHER]),
        ("vpc-endpoint-state", ["available"], [ENDPOINT, OTHER]),
        ("vpc-endpoint-state", ["deleted"], []),
        ("vpc-endpoint-type", ["Interface"], [ENDPOINT, OTHER]),
        ("service-name", ["com.amazonaws.us-east-1.dynamodb"], [ENDPOINT, OTHER]),
        ("service-region", ["eu-west-1"], []),
        ("ip-address-type", ["ipv4"], [ENDPOINT, OTHER]),
        ("tag:Site", ["north", "south"], [ENDPOINT]),
        ("tag:site", ["north"], []),
        ("tag-key", ["S*"], [ENDPOINT]),
        ("vpc-id", [], []),
    ],
)
def test_filters(ec2: Any, name: str, values: list[str], expected: list[str]) -> None:
    ec2.create_tags(Resources=[ENDPOINT], Tags=[{"Key": "Site", "Value": "north"}])
    found = ec2.describe_vpc_endpoints(Filters=[{"Name": name, "Values": values}])
    assert ids(found) == expected
    both = [{"Name": name, "Values": values}, {"Name": "vpc-id", "Values": ["vpc-8*"]}]
    assert ids(ec2.describe_vpc_endpoints(Filters=both)) == [one for one in expected if one == OTHER]


def test_pages(ec2: Any) -> None:
    first = ec2.describe_vpc_endpoints(MaxResults=1)
    second = ec2.describe_vpc_endpoints(MaxResults=1, NextToken=first["NextToken"])
    assert (ids(first), ids(second), "NextToken" in second) == ([ENDPOINT], [OTHER], False)
    pages = ec2.get_paginator("describe_vpc_endpoints").paginate(PaginationConfig={"PageSize": 1})
    assert [ids(page) for page in pages] == [[ENDPOINT], [OTHER]]
    asked = ec2.describe_vpc_endpoints
    assert refusal(asked, NextToken="AAAA") == (400, "InvalidNextToken", "The token is invalid.")
    assert refusal(ec2.describe_tags, NextToken=first["NextToken"])[1] == "InvalidNextToken"
    assert refusal(asked, MaxResults=0)[:2] == (400, "InvalidParameterValue")
    assert refusal(asked, MaxResults=1, VpcEndpointIds=[OTHER])[:2] == (400, "InvalidParameterCombination")


def test_endpoints_that_are_not_there(ec2: Any) -> None:
    assert ids(ec2.describe_vpc_endpoints(VpcEndpointIds=[OTHER, ENDPOINT, OTHER])) == [ENDPOINT, OTHER]
    assert refusal(ec2.describe_vpc_endpoints, VpcEndpointIds=[ENDPOINT, "vpce-00000000"]) == NOT_FOUND
    assert refusal(ec2.modify_vpc_endpoint, VpcEndpointId="vpce-00000000", ResetPolicy=True) == NOT_FOUND
    for call in (ec2.create_tags, ec2.delete_tags):
        assert refusal(call, Resources=[ENDPOINT, "vpce-00000000"], Tags=[{"Key": "a", "Value": "b"}]) == NOT_FOUND
    assert ec2.describe_tags()["Tags"] == []
    malformed = (400, "InvalidVpcEndpointId.Malformed", 'Invalid Id: "vpc-1" (expecting "vpce-...")')
    assert refusal(ec2.describe_vpc_endpoints, VpcEndpointIds=["vpc-1"]) == malformed
    text = "The ID 'i-0123456789abcdef0' is not valid: Jedlik has VPC endpoints, and no other resources of EC2"
    instance = {"Resources": ["i-0123456789abcdef0"], "Tags": [{"Key": "a", "Value": "b"}]}
    assert refusal(ec2.create_tags, **instance) == (400, "InvalidID", text)


def test_another_policy(ec2: Any) -> None:
    def current() -> str:
        [found] = ec2.describe_vpc_endpoints(VpcEndpointIds=[ENDPOINT])["VpcEndpoints"]
        document: str = found["PolicyDocument"]
        return document

    assert ec2.modify_vpc_endpoint(VpcEndpointId=ENDPOINT, PolicyDocument=ALLOWING)["Return"] is True
    assert current() == ALLOWING
    identity = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
    refused: tuple[tuple[dict[str, Any], str, str], ...] = (
        (
            {"PolicyDocument": "{"},
            "InvalidPolicyDocument",
            "The policy document is malformed: Syntax errors in policy.",
        ),
        ({"PolicyDocument": identity}, "InvalidPolicyDocument", "Missing required field Principal"),
        ({"PolicyDocument": ALLOWING + 20_480 * " "}, "InvalidPolicyDocument", "more than 20480 characters"),
        ({"PolicyDocument": ALLOWING, "ResetPolicy": True}, "InvalidParameterCombination", "cannot be used together"),
        ({}, "MissingParameter", "PolicyDocument or ResetPolicy"),
        ({"AddSubnetIds": ["subnet-1"]}, "UnsupportedOperation", "AddSubnetIds cannot be modified"),
        ({"PrivateDnsEnabled": True}, "UnsupportedOperation", "in the server's configuration file"),
        ({"ResetPolicy": True, "IpAddressType": "ipv6"}, "UnsupportedOperation", "IpAddressType"),
    )
    for given, code, text in refused:
        found = refusal(ec2.modify_vpc_endpoint, VpcEndpointId=ENDPOINT, **given)
        assert found[:2] == (400, code)
        assert text in found[2]
    assert current() == ALLOWING
    assert ec2.modify_vpc_endpoint(VpcEndpointId=ENDPOINT, ResetPolicy=True)["Return"] is True
    assert current() == FULL_ACCESS


def test_tags(ec2: Any) -> None:
    red = [{"Key": "Team", "Value": "red"}, {"Key": "Empty", "Value": ""}]
    ec2.create_tags(Resources=[ENDPOINT, OTHER], Tags=red)
    ec2.create_tags(Resources=[OTHER], Tags=[{"Key": "Team", "Value": "blue"}])
    every = [
        (ENDPOINT, "Empty", ""),
        (ENDPOINT, "Team", "red"),
        (OTHER, "Empty", ""),
        (OTHER, "Team", "blue"),
    ]

    def listed(**asked: Any) -> list[tuple[str, str, str]]:
        found = ec2.describe_tags(**asked)["Tags"]
        assert {one["ResourceType"] for one in found} <= {"vpc-endpoint"}
        return [(one["ResourceId"], one["Key"], one["Value"]) for one in found]

    assert listed() == every
    for name, values, expected in (
        ("key", ["Team"], [every[1], every[3]]),
        ("value", ["r*"], [every[1]]),
        ("resource-id", [OTHER], every[2:]),
        ("resource-type", ["vpc-endpoint"], every),
        ("resource-type", ["instance"], []),
        ("tag:Team", ["blue"], [every[3]]),
    ):
        assert listed(Filters=[{"Name": name, "Values": values}]) == expected
    pages = ec2.get_paginator("describe_tags").paginate(PaginationConfig={"PageSize": 3})
    assert [len(page["Tags"]) for page in pages] == [3, 1]
    [described] = ec2.describe_vpc_endpoints(VpcEndpointIds=[ENDPOINT])["VpcEndpoints"]
    assert described["Tags"] == [{"Key": "Empty", "Value": ""}, {"Key": "Team", "Value": "red"}]
    ec2.delete_tags(Resources=[ENDPOINT, OTHER], Tags=[{"Key": "Team", "Value": "red"}, {"Key": "Nobody"}])
    assert listed() == [every[0], every[2], every[3]]
    ec2.delete_tags(Resources=[OTHER], Tags=[{"Key": "Team"}])
    assert listed() == [every[0], every[2]]
    ec2.delete_tags(Resources=[OTHER])
    assert listed() == [every[0]]


@pytest.mark.parametrize(
    ("tags", "code", "text"),
    [
        ([{"Key": "aws:x", "Value": ""}], "InvalidParameterValue", "Tag keys starting with 'aws:' are reserved"),
        ([{"Key": "", "Value": ""}], "InvalidParameterValue", "Tag key cannot be null or empty"),
        ([{"Key": "k" * 128, "Value": ""}], "InvalidParameterValue", "maximum length of 127 characters"),
        ([{"Key": "k", "Value": "v" * 257}], "InvalidParameterValue", "maximum length of 256 characters"),
        ([{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}], "InvalidParameterValue", "Duplicate tag key"),
        ([{"Key": f"k{n}", "Value": ""} for n in range(51)], "TagLimitExceeded", "more than 50 tags"),
    ],
)
def test_tags_that_are_refused(ec2: Any, tags: list[dict[str, str]], code: str, text: str) -> None:
    status, found, message = refusal(ec2.create_tags, Resources=[OTHER, ENDPOINT], Tags=tags)
    assert (status, found) == (400, code)
    assert text in message
    assert ec2.describe_tags()["Tags"] == []


def test_the_tagging_service_knows_endpoints(server: Server, ec2: Any) -> None:
    tagging = server.client("resourcegroupstaggingapi")
    assert tagging.tag_resources(ResourceARNList=[ARN], Tags={"Team": "red"})["FailedResourcesMap"] == {}
    found = tagging.get_resources(ResourceTypeFilters=["ec2:vpc-endpoint"])["ResourceTagMappingList"]
    assert found == [{"ResourceARN": ARN, "Tags": [{"Key": "Team", "Value": "red"}]}]
    assert [one["Key"] for one in ec2.describe_tags()["Tags"]] == ["Team"]
    tagging.untag_resources(ResourceARNList=[ARN], TagKeys=["Team"])
    assert ec2.describe_tags()["Tags"] == []


def test_who_tags_by_the_tagging_service_needs_the_permissions_of_the_other_service(
    server: Server, ec2: Any, keys: dict[str, str], table: str
) -> None:
    own, iam = server.client("resourcegroupstaggingapi", **keys), server.client("iam")
    tables = server.client()

    def allow(*statements: dict[str, Any]) -> None:
        iam.put_user_policy(UserName=USER, PolicyName="p", PolicyDocument=policy(*statements))

    def failures(call: Any, **given: Any) -> dict[str, str]:
        failed = call(ResourceARNList=[table, ARN], **given)["FailedResourcesMap"]
        return {arn: f"{one['ErrorCode']}: {one['ErrorMessage']}" for arn, one in failed.items()}

    by_tag = {"Effect": "Allow", "Action": "tag:*", "Resource": "*"}
    for action, call, given, of_table, of_endpoint in (
        ("tag:TagResources", own.tag_resources, {"Tags": {"Team": "red"}}, "dynamodb:TagResource", "ec2:CreateTags"),
        ("tag:UntagResources", own.untag_resources, {"TagKeys": ["Team"]}, "dynamodb:UntagResource", "ec2:DeleteTags"),
    ):
        allow(by_tag)
        before = tables.list_tags_of_resource(ResourceArn=table)["Tags"], ec2.describe_tags()["Tags"]
        failed = failures(call, **given)
        assert sorted(failed) == [table, ARN], action
        assert f"not authorized to perform: {of_table} on resource: {table}" in failed[table]
        assert f"not authorized to perform: {of_endpoint} on resource: {ARN}" in failed[ARN]
        assert before == (tables.list_tags_of_resource(ResourceArn=table)["Tags"], ec2.describe_tags()["Tags"])
        blue = {"ForAnyValue:StringEquals": {"aws:TagKeys": "Team"}}
        deny = {"Effect": "Deny", "Action": [of_table, of_endpoint], "Resource": "*", "Condition": blue}
        allow(by_tag, {"Effect": "Allow", "Action": [of_table, of_endpoint], "Resource": "*"}, deny)
        assert list(failures(call, **given)) == [table, ARN]
        allow(by_tag, {"Effect": "Allow", "Action": [of_table, of_endpoint], "Resource": "*"})
        assert failures(call, **given) == {}
        assert before != (tables.list_tags_of_resource(ResourceArn=table)["Tags"], ec2.describe_tags()["Tags"])


def test_endpoints_are_made_in_the_settings(server: Server, ec2: Any) -> None:
    for call, given in (
        (ec2.create_vpc_endpoint, {"VpcId": VPC, "ServiceName": "com.amazonaws.us-east-1.dynamodb"}),
        (ec2.delete_vpc_endpoints, {"VpcEndpointIds": [ENDPOINT]}),
    ):
        status, code, text = refusal(call, **given)
        assert (status, code) == (400, "UnsupportedOperation")
        assert "[vpc_endpoints.vpce-...] with listen and vpc_id" in text
    assert refusal(ec2.run_instances, MinCount=1, MaxCount=1) == (
        400,
        "InvalidAction",
        "Jedlik does not support RunInstances yet",
    )


def test_who_may_do_what(server: Server, ec2: Any, keys: dict[str, str]) -> None:
    own, iam, table = server.client("ec2", **keys), server.client("iam"), server.client(**keys)

    def allow(*statements: dict[str, Any]) -> None:
        iam.put_user_policy(UserName=USER, PolicyName="p", PolicyDocument=policy(*statements))

    who = f"You are not authorized to perform this operation. User: arn:aws:iam::{ACCOUNT}:user/{USER}"
    allow({"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"})
    assert refusal(own.describe_vpc_endpoints) == (
        403,
        "UnauthorizedOperation",
        f"{who} is not authorized to perform: ec2:DescribeVpcEndpoints on resource: * because no identity-based "
        "policy allows the ec2:DescribeVpcEndpoints action",
    )
    reset = {"VpcEndpointId": ENDPOINT, "ResetPolicy": True}
    asked: tuple[tuple[Any, dict[str, Any]], ...] = (
        (own.modify_vpc_endpoint, reset),
        (own.create_tags, {"Resources": [ENDPOINT], "Tags": [{"Key": "a", "Value": "b"}]}),
        (own.delete_tags, {"Resources": [ENDPOINT]}),
        (own.describe_tags, {}),
        (own.create_vpc_endpoint, {"VpcId": VPC}),
        (own.delete_vpc_endpoints, {"VpcEndpointIds": [ENDPOINT]}),
    )
    for call, given in asked:
        assert answer(call, **given) == "UnauthorizedOperation"
    tagged = {"StringEquals": {"aws:ResourceTag/Team": "red", "ec2:ResourceTag/Team": "red", "ec2:Region": "us-east-1"}}
    asking = {"StringEquals": {"aws:RequestTag/Team": "red"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["Team"]}}
    allow(
        {"Effect": "Allow", "Action": "ec2:ModifyVpcEndpoint", "Resource": ARN, "Condition": tagged},
        {"Effect": "Allow", "Action": "ec2:CreateTags", "Resource": ARN, "Condition": asking},
        {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"},
    )
    assert answer(own.modify_vpc_endpoint, **reset) == "UnauthorizedOperation"
    assert answer(own.modify_vpc_endpoint, **reset, DryRun=True) == "UnauthorizedOperation"
    for tags in ([{"Key": "Team", "Value": "blue"}], [{"Key": "Team", "Value": "red"}, {"Key": "x", "Value": ""}]):
        assert answer(own.create_tags, Resources=[ENDPOINT], Tags=tags) == "UnauthorizedOperation"
    red = {"Tags": [{"Key": "Team", "Value": "red"}]}
    assert answer(own.create_tags, Resources=[ENDPOINT, OTHER], **red) == "UnauthorizedOperation"
    assert answer(own.create_tags, Resources=[ENDPOINT], **red) == "allowed"
    would = (412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
    assert refusal(own.modify_vpc_endpoint, **reset, DryRun=True) == would
    assert answer(own.modify_vpc_endpoint, **reset) == "allowed"
    assert ids(own.describe_vpc_endpoints()) == [ENDPOINT, OTHER]
    assert answer(table.list_tables) == "AccessDeniedException"


def test_callers_that_are_nobody(server: Server) -> None:
    asked = server.client("ec2", aws_access_key_id="AKIDNOBODY").describe_vpc_endpoints
    assert refusal(asked) == (
        401,
        "AuthFailure",
        "AWS was not able to validate the provided access credentials",
    )
    wrong = server.client("ec2", aws_secret_access_key="wrong").describe_vpc_endpoints
    assert refusal(wrong)[:2] == (403, "SignatureDoesNotMatch")


def ask(server: Server, *fields: tuple[str, str]) -> requests.Response:
    """The answer to a form."""
    made = AWSRequest(
        "POST", server.url + "/", headers={"Content-Type": "application/x-www-form-urlencoded"}, data=urlencode(fields)
    )
    SigV4Auth(Credentials(server.access_key, server.secret_key), "ec2", "us-east-1").add_auth(made)
    return requests.post(server.url + "/", data=made.body, headers=dict(made.headers), timeout=60)


ACTION, VERSION = ("Action", "DescribeVpcEndpoints"), ("Version", "2016-11-15")


@pytest.mark.parametrize(
    ("fields", "code", "text"),
    [
        ([VERSION], "MissingParameter", "The request must contain the parameter Action"),
        (
            [ACTION, ("Version", "2016-11-16")],
            "NoSuchVersion",
            "The requested version (2016-11-16) of service AmazonEC2 does not exist",
        ),
        ([("Action", "Dance"), VERSION], "InvalidAction", "The action Dance is not valid for this web service."),
        ([ACTION, VERSION, ("Fiter.1.Name", "x")], "UnknownParameter", "The parameter Fiter.1.Name is not recognized"),
        ([ACTION, VERSION, ("MaxResults", "x")], "InvalidParameterValue", "The value of MaxResults is no integer."),
        ([ACTION, VERSION, ("Filter.x.Name", "y")], "MalformedQueryString", "An element of Filter has no number."),
        ([ACTION, VERSION, ("Filter.1.Name", "y")], "InvalidParameterValue", "The filter &apos;y&apos; is invalid"),
        (
            [("Action", "ModifyVpcEndpoint"), VERSION],
            "MissingParameter",
            "The request must contain the parameter VpcEndpointId",
        ),
        (
            [("Action", "CreateTags"), VERSION, ("ResourceId.1", ENDPOINT)],
            "MissingParameter",
            "The request must contain the parameter Tag",
        ),
    ],
)
def test_forms_that_are_refused(server: Server, fields: list[tuple[str, str]], code: str, text: str) -> None:
    found = ask(server, *fields)
    assert found.status_code == 400
    request_id = found.headers["x-amzn-RequestId"]
    error = f"<Error><Code>{code}</Code><Message>{text.replace('&apos;', chr(39))}</Message></Error>"
    assert found.text == f"<Response><Errors>{error}</Errors><RequestID>{request_id}</RequestID></Response>\n"


def test_the_form_of_an_answer(server: Server) -> None:
    found = ask(server, ("Action", "DeleteTags"), VERSION, ("ResourceId.1", ENDPOINT))
    space = "http://ec2.amazonaws.com/doc/2016-11-15"
    request_id = found.headers["x-amzn-RequestId"]
    assert found.text == (
        f'<DeleteTagsResponse xmlns="{space}"><requestId>{request_id}</requestId><return>true</return>'
        "</DeleteTagsResponse>\n"
    )


@pytest.mark.skipif(not CLI.exists(), reason="the AWS CLI is not installed")
def test_the_cli(server: Server, ec2: Any, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "HOME": str(tmp_path),
    }

    def run(*arguments: str) -> str:
        ran = subprocess.run(
            [CLI, "ec2", *arguments], env=environment, capture_output=True, text=True, timeout=120, check=True
        )
        return ran.stdout

    (tmp_path / "policy.json").write_text(ALLOWING)
    policy_file = f"file://{tmp_path}/policy.json"
    assert json.loads(run("modify-vpc-endpoint", "--vpc-endpoint-id", OTHER, "--policy-document", policy_file))[
        "Return"
    ]
    wanted = ("--filters", "Name=vpc-id,Values=vpc-8*", "--query", "VpcEndpoints[0].PolicyDocument", "--output", "text")
    assert json.loads(run("describe-vpc-endpoints", *wanted)) == json.loads(ALLOWING)
