"""What comes by a VPC endpoint: its condition keys, its policy, and what is served there."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from testing.dynamodb.definitions import attributes, create, key_schema
from testing.identities import answer, policy, refusal
from testing.jedlik_process import Server, eventually, run_jedlik
from testing.private_ways import ACCOUNT, ENDPOINT, KEY, OTHER, USER, VPC, by
from testing.raw_http import Wire, request

GET, ITEM = {"TableName": "Table", "Key": KEY}, {"TableName": "Table", "Item": KEY}
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ANYBODY = {"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}
BOB = f"arn:aws:iam::{ACCOUNT}:user/{USER}"


def allow(server: Server, *statements: dict[str, Any]) -> None:
    """Give the user a policy, which holds at once, since there is one worker."""
    server.client("iam").put_user_policy(UserName=USER, PolicyName="p", PolicyDocument=policy(*statements))


def may_get(client: Any) -> bool:
    """Whether a client may read the item, as it finds on the long way and on the short one."""
    found = {answer(client.get_item, **GET) for _ in range(3)}
    assert len(found) == 1
    return found == {"allowed"}


KEYS: dict[str, tuple[str, str, str]] = {
    "aws:SourceVpce": ("StringEquals", ENDPOINT, OTHER),
    "aws:SourceVpc": ("StringEquals", VPC, "vpc-89abcdef"),
    "aws:SourceVpcArn": ("ArnEquals", f"arn:aws:ec2:us-east-1:{ACCOUNT}:vpc/{VPC}", f"arn:aws:ec2:*:{ACCOUNT}:vpc/x"),
    "aws:VpceAccount": ("StringEquals", ACCOUNT, "111111111111"),
    "aws:VpcSourceIp": ("IpAddress", "127.0.0.0/8", "10.0.0.0/8"),
    "aws:SourceIp": ("Null", "true", "false"),
    "aws:SecureTransport": ("Bool", "false", "true"),
}


@pytest.mark.parametrize("key", KEYS)
def test_what_is_known_of_a_request_by_an_endpoint(server: Server, keys: dict[str, str], key: str) -> None:
    operator, right, wrong = KEYS[key]
    private, ordinary = by(server, ENDPOINT, **keys), by(server, None, **keys)
    for value, expected in ((right, True), (wrong, False)):
        allow(server, EVERYTHING | {"Condition": {operator: {key: value}}})
        assert may_get(private) is expected
        assert (answer(private.describe_table, TableName="Table") == "allowed") is expected
    if key != "aws:SecureTransport":
        allow(server, EVERYTHING | {"Condition": {operator: {key: right}}})
        assert not may_get(ordinary)
        assert may_get(private)


@pytest.mark.parametrize(
    "header",
    ["aws-sourcevpce", "x-amz-source-vpce", "x-amzn-vpce-id", "x-amz-vpce-id", "x-forwarded-for", "forwarded"],
)
def test_no_header_makes_a_request_one_of_an_endpoint(server: Server, keys: dict[str, str], header: str) -> None:
    ordinary = by(server, None, **keys)
    ordinary.meta.events.register("before-sign.*", lambda request, **_: request.headers.add_header(header, ENDPOINT))
    allow(server, EVERYTHING | {"Condition": {"StringEquals": {"aws:SourceVpce": ENDPOINT}}})
    assert may_get(by(server, ENDPOINT, **keys))
    assert not may_get(ordinary)


def test_the_policy_of_a_table_refuses_what_comes_another_way(server: Server, keys: dict[str, str], table: str) -> None:
    allow(server, EVERYTHING)
    ways = {endpoint: by(server, endpoint, **keys) for endpoint in (ENDPOINT, OTHER, None)}
    for client in ways.values():
        assert may_get(client)
    elsewhere = {"StringNotEquals": {"aws:SourceVpce": ENDPOINT}}
    denying = {"Effect": "Deny", "Principal": "*", "Action": "dynamodb:*Item", "Resource": table}
    server.client().put_resource_policy(ResourceArn=table, Policy=policy(denying | {"Condition": elsewhere}))
    for endpoint, client in ways.items():
        assert may_get(client) is (endpoint == ENDPOINT)
    assert refusal(ways[None].put_item, **ITEM) == (
        400,
        "AccessDeniedException",
        f"User: {BOB} is not authorized to perform: dynamodb:PutItem on resource: {table} "
        "with an explicit deny in a resource-based policy",
    )
    for _ in range(3):  # The short way, too.
        ways[ENDPOINT].put_item(**ITEM)
    everything = policy(denying | {"Action": "dynamodb:*", "Condition": elsewhere})
    refused = refusal(server.client().put_resource_policy, ResourceArn=table, Policy=everything)
    assert "it would not allow you to change the policy again" in refused[2]
    ways[ENDPOINT].put_resource_policy(ResourceArn=table, Policy=everything)
    assert answer(ways[None].describe_table, TableName="Table") == "AccessDeniedException"
    server.client().delete_resource_policy(ResourceArn=table)
    for client in ways.values():
        assert may_get(client)


def test_the_policy_of_an_endpoint_is_a_filter(server: Server, ec2: Any, keys: dict[str, str], table: str) -> None:
    allow(server, EVERYTHING)
    user, account = by(server, ENDPOINT, **keys), by(server, ENDPOINT)
    assert may_get(user)
    only_gets = ANYBODY | {"Action": ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PartiQLSelect"]}
    no_deletes = ANYBODY | {"Effect": "Deny", "Action": "dynamodb:DeleteItem"}
    ec2.modify_vpc_endpoint(VpcEndpointId=ENDPOINT, PolicyDocument=policy(only_gets, no_deletes))
    for client, who in ((user, BOB), (account, f"arn:aws:iam::{ACCOUNT}:root")):
        text = f"User: {who} is not authorized to perform: dynamodb:{{0}} on resource: {table} {{1}}"
        nothing = "because no VPC endpoint policy allows the dynamodb:{} action"
        asked: tuple[tuple[Any, dict[str, Any], str], ...] = (
            (client.put_item, ITEM, "PutItem"),
            (client.query, {"TableName": "Table", "KeyConditionExpression": "p = :p", **VALUES}, "Query"),
            (client.batch_write_item, {"RequestItems": {"Table": [PUT]}}, "BatchWriteItem"),
            (client.transact_write_items, {"TransactItems": [{"Put": ITEM}]}, "PutItem"),
            (client.execute_statement, {"Statement": "DELETE FROM \"Table\" WHERE p = 'x'"}, "PartiQLDelete"),
            (client.describe_table, {"TableName": "Table"}, "DescribeTable"),
        )
        for call, given, action in asked:
            expected = (400, "AccessDeniedException", text.format(action, nothing.format(action)))
            assert refusal(call, **given) == expected
        denied = text.format("DeleteItem", "with an explicit deny in a VPC endpoint policy")
        assert refusal(client.delete_item, **GET) == (400, "AccessDeniedException", denied)
        for _ in range(3):
            client.get_item(**GET)
        client.batch_get_item(RequestItems={"Table": {"Keys": [KEY]}})
        client.execute_statement(Statement="SELECT * FROM \"Table\" WHERE p = 'x'")
    by(server, OTHER, **keys).put_item(**ITEM)
    by(server, None, **keys).put_item(**ITEM)
    allow(server, {"Effect": "Deny", "Action": "dynamodb:GetItem", "Resource": "*"})
    assert not may_get(user)
    assert "with an explicit deny in an identity-based policy" in refusal(user.get_item, **GET)[2]


VALUES = {"ExpressionAttributeValues": {":p": KEY["p"]}}
PUT = {"PutRequest": {"Item": KEY}}


def test_the_policy_of_an_endpoint_may_depend_on_who_asks_and_on_the_item(
    server: Server, ec2: Any, keys: dict[str, str]
) -> None:
    allow(server, EVERYTHING)
    user, account = by(server, ENDPOINT, **keys), by(server, ENDPOINT)
    assert may_get(user)
    of_bob = ANYBODY | {"Condition": {"ArnEquals": {"aws:PrincipalArn": BOB}}}
    own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${aws:username}"]}}
    for statement, others in ((of_bob, False), (ANYBODY | {"Principal": {"AWS": BOB}}, False), (ANYBODY, True)):
        ec2.modify_vpc_endpoint(VpcEndpointId=ENDPOINT, PolicyDocument=policy(statement))
        assert answer(user.get_item, **GET) == "allowed"
        assert (answer(account.get_item, **GET) == "allowed") is others
    ec2.modify_vpc_endpoint(
        VpcEndpointId=ENDPOINT, PolicyDocument=policy(ANYBODY | {"Condition": own, "Action": "dynamodb:GetItem"})
    )
    for _ in range(2):
        assert answer(user.get_item, TableName="Table", Key={"p": {"S": USER}}) == "allowed"
        assert answer(user.get_item, **GET) == "AccessDeniedException"


def test_another_account_comes_by_an_endpoint_as_well(server: Server, ec2: Any, table: str) -> None:
    folder, theirs = str(server.options["data_dir"]), "222222222222"
    made = run_jedlik("account", "create", theirs, "--data-dir", folder)
    lines = dict(line.split(" = ") for line in made.stdout.splitlines() if " = " in line)
    root = {name: lines[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
    allowing = {"Effect": "Allow", "Principal": {"AWS": theirs}, "Action": "dynamodb:GetItem", "Resource": table}
    way = {"StringEquals": {"aws:SourceVpce": ENDPOINT}}
    server.client().put_resource_policy(ResourceArn=table, Policy=policy(allowing | {"Condition": way}))
    private, ordinary = by(server, ENDPOINT, **root), by(server, None, **root)
    across = {"TableName": table, "Key": KEY}
    assert answer(private.get_item, **across) == "allowed"
    assert answer(ordinary.get_item, **across) == "AccessDeniedException"
    # The policy of the endpoint is about the keys of the other account's table, not about those of a table of its name.
    create(private, TableName="Table", KeySchema=key_schema("q"), AttributeDefinitions=attributes(q="S"))
    private.put_item(TableName="Table", Item={"q": {"S": "mine"}})
    server.client().put_resource_policy(ResourceArn=table, Policy=policy(allowing | {"Action": "dynamodb:PutItem"}))
    mine = ANYBODY | {"Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["mine"]}}}
    ec2.modify_vpc_endpoint(VpcEndpointId=ENDPOINT, PolicyDocument=policy(mine))
    for item, expected in (({"q": "mine", "p": "x"}, "AccessDeniedException"), ({"q": "mine", "p": "mine"}, "allowed")):
        given = {name: {"S": value} for name, value in item.items()}
        assert answer(private.put_item, TableName=table, Item=given) == expected
    own = ANYBODY | {"Condition": {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}}
    ec2.modify_vpc_endpoint(VpcEndpointId=ENDPOINT, PolicyDocument=policy(own))
    assert "because no VPC endpoint policy allows" in refusal(private.get_item, **across)[2]
    assert answer(private.list_tables) == "AccessDeniedException"
    assert server.client("ec2", **root).describe_vpc_endpoints()["VpcEndpoints"] == []
    server.client().delete_resource_policy(ResourceArn=table)


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("kms", "list_keys", "UnknownOperationException"),
        ("sts", "get_caller_identity", "InvalidAction"),
        ("iam", "list_users", "InvalidAction"),
        ("ec2", "describe_vpc_endpoints", "InvalidAction"),
        ("resourcegroupstaggingapi", "get_resources", "UnknownOperationException"),
        ("dax", "describe_clusters", "UnknownOperationException"),
    ],
)
def test_an_endpoint_leads_to_tables_and_streams_alone(server: Server, service: str, operation: str, code: str) -> None:
    client = by(server, ENDPOINT, service)
    status, found, text = refusal(getattr(client, operation))
    signing_name = client.meta.service_model.signing_name
    assert (status, found) == (400, code)
    assert text == f"Jedlik does not serve {signing_name} at this endpoint. It serves dynamodb."
    assert by(server, ENDPOINT, "dynamodbstreams").list_streams()["Streams"] == []


def test_an_endpoint_leads_to_one_region(server: Server) -> None:
    client = by(server, ENDPOINT, region_name="eu-west-1")
    expected = "Credential should be scoped to a valid region, not 'eu-west-1'. "
    for _ in range(2):
        assert refusal(client.list_tables) == (400, "InvalidSignatureException", expected)
    server.client(region="eu-west-1").list_tables()


def test_a_load_balancer_sees_whether_it_is_healthy_and_nobody_sees_the_console(server: Server) -> None:
    port = urlsplit(server.vpc_endpoint(ENDPOINT)).port
    assert port is not None
    for target, status in (
        (b"/healthz", 200),
        (b"/readyz", 200),
        (b"/console/", 404),
        (b"/console/settings.json", 404),
    ):
        with Wire(port) as wire:
            wire.send(request(b"", method=b"GET", target=target))
            assert wire.receive().status == status
    with Wire(port) as wire:
        wire.send(request(b"{}", b"Content-Type: application/json", target=b"/console/sign-in"))
        assert wire.receive().status == 404


def test_the_log_names_the_endpoint(server: Server, keys: dict[str, str]) -> None:
    allow(server, {"Effect": "Deny", "Action": "dynamodb:GetItem", "Resource": "*"})
    before = len(server.log_lines())
    for endpoint in (OTHER, None):
        assert answer(by(server, endpoint, **keys).get_item, **GET) == "AccessDeniedException"
        assert answer(by(server, endpoint).get_item, **GET) == "allowed"

    def named(message: str) -> list[str | None]:
        lines = [line for line in server.log_lines()[before:] if line["message"] == message]
        return [line.get("endpoint") for line in lines if "dynamodb:GetItem" in line.get("action", "dynamodb:GetItem")]

    eventually(lambda: named("request") == [OTHER, OTHER, None, None])
    assert named("access denied") == [OTHER, None]


def test_tables_are_made_by_an_endpoint_and_others_see_them(server: Server) -> None:
    create(by(server, ENDPOINT), TableName="Made")
    assert "Made" in server.client().list_tables()["TableNames"]
    with pytest.raises(ClientError, match="ResourceInUseException"):
        create(by(server, OTHER), TableName="Made")
