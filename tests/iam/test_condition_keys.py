"""The condition keys of requests, one by one, on a server that verifies signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config

from testing.identities import policy
from testing.jedlik_process import Server

ACCOUNT = "000000000000"
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/Table"
KEY = {"k": {"S": "x"}}
BOB, ROLE = f"arn:aws:iam::{ACCOUNT}:user/bob", f"arn:aws:iam::{ACCOUNT}:role/app"
NO_BOUNDARY = "arn:aws:iam::aws:policy/ReadOnlyAccess"

TRUSTED = {
    "Effect": "Allow",
    "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
    "Principal": {"AWS": BOB},
}


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server]) -> Server:
    """One worker: a change holds at once."""
    running = start_shared_server(auth="on", in_memory=True)
    running.client().create_table(
        TableName="Table",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "Index",
                "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        Tags=[{"Key": "Team", "Value": "red"}],
    )
    iam = running.client("iam")
    iam.create_user(UserName="bob", Tags=[{"Key": "Team", "Value": "red"}])
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=policy(TRUSTED), Tags=[{"Key": "Cost", "Value": "1"}])
    return running


@pytest.fixture(scope="module")
def bob(server: Server) -> dict[str, str]:
    """Bob's key, as options of a client."""
    made = server.client("iam").create_access_key(UserName="bob")["AccessKey"]
    return {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}


@pytest.fixture(scope="module")
def in_role(server: Server, bob: dict[str, str]) -> dict[str, str]:
    """The key of a session of the role."""
    trusted = policy(TRUSTED)  # again: a test before this one may have set another
    server.client("iam").update_assume_role_policy(RoleName="app", PolicyDocument=trusted)
    found = server.client("sts", **bob).assume_role(
        RoleArn=ROLE,
        RoleSessionName="me",
        SourceIdentity="robert",
        Tags=[{"Key": "Own", "Value": "2"}],
    )["Credentials"]
    return {
        "aws_access_key_id": found["AccessKeyId"],
        "aws_secret_access_key": found["SecretAccessKey"],
        "aws_session_token": found["SessionToken"],
    }


def is_allowed(call: Callable[..., Any], **request: Any) -> bool:
    try:
        call(**request)
    except Exception as error:
        found = getattr(error, "response", {})["Error"]
        assert found["Code"] in ("AccessDenied", "AccessDeniedException"), found
        return False
    return True


OF_A_USER: dict[str, tuple[str, Any, Any]] = {
    "aws:CurrentTime": ("DateGreaterThan", "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"),
    "aws:EpochTime": ("NumericGreaterThan", "1577836800", "32472144000"),
    "aws:PrincipalAccount": ("StringEquals", ACCOUNT, "111111111111"),
    "aws:PrincipalArn": ("ArnLike", BOB, BOB + "by"),
    "aws:PrincipalIsAWSService": ("Bool", "false", "true"),
    "aws:PrincipalTag/team": ("StringEquals", "red", "blue"),
    "aws:PrincipalType": ("StringEquals", "User", "AssumedRole"),
    "aws:RequestedRegion": ("StringEquals", "us-east-1", "eu-west-1"),
    "aws:ResourceAccount": ("StringEquals", ACCOUNT, "111111111111"),
    "aws:ResourceTag/team": ("StringEquals", "red", "blue"),
    "aws:SecureTransport": ("Bool", "false", "true"),
    "aws:SourceIp": ("IpAddress", "127.0.0.0/8", "10.0.0.0/8"),
    "aws:UserAgent": ("StringLike", "*Jedlik-tests/1*", "*Jedlik-tests/2*"),
    "aws:Referer": ("StringEquals", "https://example.com/", "https://example.org/"),
    "aws:ViaAWSService": ("Bool", "false", "true"),
    "aws:userid": ("StringLike", "AIDA*", "AROA*"),
    "aws:username": ("StringEquals", "bob", "eve"),
    # What a user's own key has not.
    "aws:CalledVia": ("Null", "true", "false"),
    "aws:MultiFactorAuthAge": ("Null", "true", "false"),
    "aws:MultiFactorAuthPresent": ("Null", "true", "false"),
    "aws:SourceIdentity": ("Null", "true", "false"),
    "aws:TokenIssueTime": ("Null", "true", "false"),
    "aws:PrincipalOrgID": ("Null", "true", "false"),
    "aws:SourceVpce": ("Null", "true", "false"),
}
OF_A_ROLE: dict[str, tuple[str, Any, Any]] = {
    "aws:MultiFactorAuthPresent": ("Bool", "false", "true"),
    "aws:PrincipalArn": ("ArnEquals", ROLE, f"arn:aws:sts::{ACCOUNT}:assumed-role/app/me"),
    "aws:PrincipalTag/Cost": ("StringEquals", "1", "2"),
    "aws:PrincipalTag/Own": ("StringEquals", "2", "1"),
    "aws:PrincipalType": ("StringEquals", "AssumedRole", "User"),
    "aws:SourceIdentity": ("StringEquals", "robert", "eve"),
    "aws:TokenIssueTime": ("DateGreaterThan", "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"),
    "aws:userid": ("StringLike", "AROA*:me", "AROA*:you"),
    "aws:username": ("Null", "true", "false"),
}


def client_of(server: Server, keys: dict[str, str]) -> Any:
    """A client with a name of its own, which comes from a page."""
    client = server.client(config=Config(user_agent_extra="Jedlik-tests/1", retries={"total_max_attempts": 1}), **keys)
    client.meta.events.register(
        "before-sign.*", lambda request, **_: request.headers.add_header("Referer", "https://example.com/")
    )
    return client


@pytest.mark.parametrize("key", sorted(OF_A_USER))
def test_what_is_known_of_a_users_request(server: Server, bob: dict[str, str], key: str) -> None:
    operator, right, wrong = OF_A_USER[key]
    iam, dynamodb = server.client("iam"), client_of(server, bob)
    for value, expected in ((right, True), (wrong, False)):
        statement = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": TABLE}
        document = policy(statement | {"Condition": {operator: {key: value}}})
        iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=document)
        assert is_allowed(dynamodb.get_item, TableName="Table", Key=KEY) is expected


@pytest.mark.parametrize("key", sorted(OF_A_ROLE))
def test_what_is_known_of_a_sessions_request(server: Server, in_role: dict[str, str], key: str) -> None:
    operator, right, wrong = OF_A_ROLE[key]
    iam, dynamodb = server.client("iam"), client_of(server, in_role)
    for value, expected in ((right, True), (wrong, False)):
        statement = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": TABLE}
        document = policy(statement | {"Condition": {operator: {key: value}}})
        iam.put_role_policy(RoleName="app", PolicyName="p", PolicyDocument=document)
        assert is_allowed(dynamodb.get_item, TableName="Table", Key=KEY) is expected


def test_tags_of_resources(server: Server, bob: dict[str, str]) -> None:
    """An index has its table's, and a change of tags holds for the next request."""
    root, iam, dynamodb = server.client(), server.client("iam"), server.client(**bob)
    condition = {"StringEquals": {"aws:ResourceTag/Team": "${aws:PrincipalTag/Team}"}}
    iam.put_user_policy(
        UserName="bob",
        PolicyName="p",
        PolicyDocument=policy({"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*", "Condition": condition}),
    )
    query = {
        "TableName": "Table",
        "IndexName": "Index",
        "KeyConditionExpression": "k = :k",
        "ExpressionAttributeValues": {":k": {"S": "x"}},
    }
    for team, expected in (("red", True), ("blue", False), ("red", True)):
        root.tag_resource(ResourceArn=TABLE, Tags=[{"Key": "Team", "Value": team}])
        assert is_allowed(dynamodb.query, **query) is expected
        assert is_allowed(dynamodb.describe_table, TableName="Table") is expected
    assert not is_allowed(dynamodb.describe_table, TableName="Missing")


def test_tags_of_requests_and_of_iams_entities(server: Server, bob: dict[str, str]) -> None:
    iam, own = server.client("iam"), server.client("iam", **bob)
    by_request = {
        "StringEquals": {"aws:RequestTag/team": "red"},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["Team"]},
    }
    by_resource = {"StringEquals": {"iam:ResourceTag/Team": "red", "aws:ResourceTag/Team": "red"}}
    document = policy(
        {"Effect": "Allow", "Action": "iam:CreateUser", "Resource": "*", "Condition": by_request},
        {"Effect": "Allow", "Action": "iam:GetUser", "Resource": "*", "Condition": by_resource},
    )
    iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=document)
    red, other = {"Key": "Team", "Value": "red"}, {"Key": "x", "Value": "y"}
    assert not is_allowed(own.create_user, UserName="eve")
    assert not is_allowed(own.create_user, UserName="eve", Tags=[red, other])
    assert is_allowed(own.create_user, UserName="eve", Tags=[red])
    assert is_allowed(own.get_user, UserName="eve")
    iam.tag_user(UserName="eve", Tags=[red | {"Value": "blue"}])
    assert not is_allowed(own.get_user, UserName="eve")


def test_who_may_only_make_users_with_a_boundary(server: Server, bob: dict[str, str]) -> None:
    """The boundary of a request that brings one, and otherwise that of the user."""
    iam, own = server.client("iam"), server.client("iam", **bob)
    condition = {"StringEquals": {"iam:PermissionsBoundary": NO_BOUNDARY}}
    actions = ["iam:CreateUser", "iam:PutUserPolicy", "iam:AttachUserPolicy"]
    limited = {"Effect": "Allow", "Action": actions, "Resource": "*", "Condition": condition}
    iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=policy(limited))
    assert not is_allowed(own.create_user, UserName="free")
    assert is_allowed(own.create_user, UserName="bound", PermissionsBoundary=NO_BOUNDARY)
    iam.create_user(UserName="free")
    everything = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
    for name, expected in (("bound", True), ("free", False)):
        assert is_allowed(own.put_user_policy, UserName=name, PolicyName="p", PolicyDocument=everything) is expected
        assert is_allowed(own.attach_user_policy, UserName=name, PolicyArn=NO_BOUNDARY) is expected


TRUST: tuple[tuple[dict[str, Any], dict[str, Any], dict[str, Any]], ...] = (
    (
        {"StringEquals": {"sts:ExternalId": "secret"}},
        {"ExternalId": "secret"},
        {"ExternalId": "wrong"},
    ),
    (
        {"StringEquals": {"sts:RoleSessionName": "${aws:username}"}},
        {"RoleSessionName": "bob"},
        {"RoleSessionName": "eve"},
    ),
    (
        {"StringLike": {"sts:SourceIdentity": "rob*"}},
        {"SourceIdentity": "robert"},
        {"SourceIdentity": "eve"},
    ),
    (
        {"ForAllValues:StringEquals": {"sts:TransitiveTagKeys": ["a"]}},
        {"Tags": [{"Key": "a", "Value": "1"}], "TransitiveTagKeys": ["a"]},
        {"Tags": [{"Key": "b", "Value": "1"}], "TransitiveTagKeys": ["b"]},
    ),
    (
        {"StringEquals": {"aws:RequestTag/a": "1"}},
        {"Tags": [{"Key": "a", "Value": "1"}]},
        {"Tags": [{"Key": "a", "Value": "2"}]},
    ),
    ({"StringEquals": {"iam:ResourceTag/Cost": "1"}}, {}, {"RoleArn": ROLE + "2"}),
    ({"StringEquals": {"aws:ResourceTag/Cost": "1"}}, {}, {"RoleArn": ROLE + "2"}),
)


@pytest.mark.parametrize(("condition", "right", "wrong"), TRUST)
def test_what_is_known_when_a_role_is_assumed(
    server: Server, bob: dict[str, str], condition: dict[str, Any], right: dict[str, Any], wrong: dict[str, Any]
) -> None:
    iam, sts = server.client("iam"), server.client("sts", **bob)
    trust = {
        "Effect": "Allow",
        "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
        "Principal": {"AWS": BOB},
        "Condition": condition,
    }
    if "RoleArn" in wrong:
        try:
            iam.create_role(RoleName="app2", AssumeRolePolicyDocument=policy(trust))
        except iam.exceptions.EntityAlreadyExistsException:
            iam.update_assume_role_policy(RoleName="app2", PolicyDocument=policy(trust))
    iam.update_assume_role_policy(RoleName="app", PolicyDocument=policy(trust))
    asked = {"RoleArn": ROLE, "RoleSessionName": "me"}
    assert is_allowed(sts.assume_role, **(asked | right))
    assert not is_allowed(sts.assume_role, **(asked | wrong))
