"""Policies of tables and streams: real clients in two accounts, on a server that verifies signatures."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from testing.identities import answer, policy, refusal
from testing.jedlik_process import Server, eventually, run_jedlik

OWN, OTHER = "000000000000", "222222222222"
TABLE = f"arn:aws:dynamodb:us-east-1:{OWN}:table/Shared"
KEY = {"k": {"S": "x"}}
_names = iter(f"name{number}" for number in range(1000))


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server]) -> Server:
    running = start_shared_server(auth="on", workers=2)
    create(running, "Shared", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    running.client().put_item(TableName="Shared", Item=KEY)
    return running


@pytest.fixture(scope="module")
def theirs(server: Server) -> dict[str, str]:
    """The key of another account itself."""
    made = run_jedlik("account", "create", OTHER, "--data-dir", str(server.options["data_dir"]))
    lines = dict(line.split(" = ") for line in made.stdout.splitlines() if " = " in line)
    return {name: lines[name] for name in ("aws_access_key_id", "aws_secret_access_key")}


def create(server: Server, name: str, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = server.client().create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        **more,
    )["TableDescription"]
    return made


def user(server: Server, owner: dict[str, str], *statements: dict[str, Any]) -> dict[str, Any]:
    """A new user of an account: its ARN and a client of DynamoDB."""
    iam, name = server.client("iam", **owner), next(_names)
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(*statements))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    return {"arn": arn, "dynamodb": server.client(**keys)}


def statement(principal: Any, action: Any = "dynamodb:GetItem", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": action, "Resource": more.pop("Resource", TABLE), **more}


def put(server: Server, *statements: dict[str, Any], arn: str = TABLE) -> None:
    """Give a table a policy. Other workers notice it within a second: `eventually`, for each client."""
    server.client().put_resource_policy(ResourceArn=arn, Policy=policy(*statements))


def may_get(client: Any, table: str = TABLE) -> bool:
    try:
        client.get_item(TableName=table, Key=KEY)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return False
    return True


def test_a_policy_from_first_to_last(server: Server) -> None:
    dynamodb = server.client()
    create(server, "Mine")
    arn = TABLE.replace("Shared", "Mine")
    document = policy(statement({"AWS": OTHER}, Resource=arn))
    missing = (400, "PolicyNotFoundException", f"Resource-based policy not found for the provided ResourceArn: {arn}")
    assert refusal(dynamodb.get_resource_policy, ResourceArn=arn) == missing
    wrong = (400, "PolicyNotFoundException", "Resource-based policy not found for the provided RevisionId")
    assert refusal(dynamodb.put_resource_policy, ResourceArn=arn, Policy=document, ExpectedRevisionId="1") == wrong
    first = dynamodb.put_resource_policy(ResourceArn=arn, Policy=document, ExpectedRevisionId="NO_POLICY")["RevisionId"]
    assert dynamodb.put_resource_policy(ResourceArn=arn, Policy=document)["RevisionId"] == first
    found = dynamodb.get_resource_policy(ResourceArn=arn)
    assert (json.loads(found["Policy"]), found["RevisionId"]) == (json.loads(document), first)
    other = policy(statement({"AWS": OTHER}, "dynamodb:Query", Resource=arn))
    again = dynamodb.put_resource_policy(ResourceArn=arn, Policy=other, ExpectedRevisionId=first)["RevisionId"]
    assert again != first
    assert refusal(dynamodb.delete_resource_policy, ResourceArn=arn, ExpectedRevisionId=first) == wrong
    assert dynamodb.delete_resource_policy(ResourceArn=arn)["RevisionId"] == again
    assert "RevisionId" not in dynamodb.delete_resource_policy(ResourceArn=arn)
    nowhere = TABLE.replace("Shared", "Nowhere")
    for call in (dynamodb.get_resource_policy, dynamodb.delete_resource_policy):
        assert refusal(call, ResourceArn=nowhere)[1] == "ResourceNotFoundException"
    with_policy = create(server, "Born", ResourcePolicy=policy(statement({"AWS": OTHER})))["TableArn"]
    assert "Policy" in dynamodb.get_resource_policy(ResourceArn=with_policy)


def test_what_is_no_policy_of_a_table(server: Server) -> None:
    asked = server.client().put_resource_policy
    for document, text in (
        ("{", "Invalid policy document: Syntax errors in policy."),
        (policy({"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}), "Missing required field Principal"),
        (policy(statement("*")), "public access"),
        (policy(statement({"AWS": "*"}, Condition={"StringLike": {"aws:PrincipalArn": "*"}})), "public access"),
        (policy(statement({"AWS": [OTHER]}, Sid="x" * 21000)), "maximum size"),
        (policy(statement({"AWS": OWN}, "dynamodb:*", "Deny")), "ConfirmRemoveSelfResourceAccess"),
    ):
        status, code, message = refusal(asked, ResourceArn=TABLE, Policy=document)
        assert (status, code) == (400, "ValidationException")
        assert text in message
    narrow = policy(statement("*", Condition={"StringEquals": {"aws:PrincipalAccount": OTHER}}))
    asked(ResourceArn=TABLE, Policy=narrow)


def test_in_one_account_it_allows_and_denies(server: Server) -> None:
    allowing = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    bob, full = user(server, {}), user(server, {}, allowing)
    put(server, statement({"AWS": bob["arn"]}), statement({"AWS": full["arn"]}, "dynamodb:GetItem", "Deny"))
    eventually(lambda: may_get(bob["dynamodb"], "Shared"))
    eventually(lambda: not may_get(full["dynamodb"], "Shared"))
    refused = refusal(bob["dynamodb"].put_item, TableName="Shared", Item=KEY)
    assert refused[1] == "AccessDeniedException"
    refused = refusal(full["dynamodb"].get_item, TableName="Shared", Key=KEY)
    assert refused[2] == (
        f"User: {full['arn']} is not authorized to perform: dynamodb:GetItem on resource: {TABLE} "
        "with an explicit deny in a resource-based policy"
    )
    full["dynamodb"].put_item(TableName="Shared", Item=KEY)
    server.client().delete_resource_policy(ResourceArn=TABLE)
    eventually(lambda: not may_get(bob["dynamodb"], "Shared"))
    eventually(lambda: may_get(full["dynamodb"], "Shared"))


def test_across_accounts_both_sides_must_allow(server: Server, theirs: dict[str, str]) -> None:
    allowing = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    eve, without = user(server, theirs, allowing), user(server, theirs)
    root = server.client(**theirs)
    server.client().delete_resource_policy(ResourceArn=TABLE)  # that of a test before this one
    eventually(lambda: not may_get(eve["dynamodb"]))
    put(server, statement({"AWS": OTHER}))
    eventually(lambda: may_get(eve["dynamodb"]))
    eventually(lambda: may_get(root))
    assert not may_get(without["dynamodb"])
    assert refusal(eve["dynamodb"].put_item, TableName=TABLE, Item=KEY)[2] == (
        f"User: {eve['arn']} is not authorized to perform: dynamodb:PutItem on resource: {TABLE} "
        "because no resource-based policy allows the dynamodb:PutItem action"
    )
    assert refusal(eve["dynamodb"].get_item, TableName="Shared", Key=KEY)[1] == "ResourceNotFoundException"
    put(server, statement({"AWS": eve["arn"]}, Condition={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": "y"}}))
    eventually(lambda: not may_get(eve["dynamodb"]))
    eventually(lambda: not may_get(root))
    put(server, statement({"AWS": eve["arn"]}, Condition={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": "x"}}))
    eventually(lambda: may_get(eve["dynamodb"]))


def test_a_role_of_another_account_reads_a_table_through_its_policy(server: Server, theirs: dict[str, str]) -> None:
    iam, sts_action = server.client("iam", **theirs), {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    iam.create_user(UserName="app")
    iam.put_user_policy(UserName="app", PolicyName="p", PolicyDocument=policy(sts_action))
    key = iam.create_access_key(UserName="app")["AccessKey"]
    trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": OTHER}})
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    reads = policy({"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": TABLE})
    iam.put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=reads)
    put(server, statement({"AWS": role}))
    sts = server.client("sts", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    found = sts.assume_role(RoleArn=role, RoleSessionName="me")["Credentials"]
    session = server.client(
        aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"],
        aws_session_token=found["SessionToken"],
    )
    eventually(lambda: may_get(session))
    put(server, statement({"AWS": role.replace("reader", "other")}))
    eventually(lambda: not may_get(session))


def test_a_stream_has_a_policy_of_its_own(server: Server, theirs: dict[str, str]) -> None:
    stream = server.client().describe_table(TableName="Shared")["Table"]["LatestStreamArn"]
    streams = server.client("dynamodbstreams", **theirs)
    assert refusal(streams.describe_stream, StreamArn=stream)[1] == "AccessDeniedException"
    put(server, statement({"AWS": OTHER}, "dynamodb:DescribeStream", Resource=stream), arn=stream)
    eventually(lambda: answer(streams.describe_stream, StreamArn=stream) == "allowed")
    assert streams.describe_stream(StreamArn=stream)["StreamDescription"]["StreamArn"] == stream
    wrong = stream[:-1] + ("0" if stream[-1] != "0" else "1")
    assert refusal(server.client().get_resource_policy, ResourceArn=wrong)[1] == "ResourceNotFoundException"


def test_nobody_gets_what_was_anothers_by_the_same_name(server: Server) -> None:
    iam, name = server.client("iam"), next(_names)

    def made() -> Any:
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return server.client(aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])

    first = made()
    lets = policy(statement({"AWS": f"arn:aws:iam::{OWN}:user/{name}"}))
    table = create(server, "Bound", ResourcePolicy=lets.replace(TABLE, TABLE.replace("Shared", "Bound")))["TableArn"]
    server.client().put_item(TableName="Bound", Item=KEY)
    server.client().put_resource_policy(ResourceArn=TABLE, Policy=lets)
    eventually(lambda: may_get(first, "Shared"))
    eventually(lambda: may_get(first, "Bound"))
    for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=name)
    second = made()
    eventually(lambda: refusal(second.list_tables)[1] == "AccessDeniedException")  # It is known to its worker.
    assert not may_get(second, "Shared")
    assert not may_get(second, "Bound")
    assert server.client().get_resource_policy(ResourceArn=TABLE)["Policy"] == lets
    server.client().put_resource_policy(ResourceArn=TABLE, Policy=lets)
    eventually(lambda: may_get(second, "Shared"))
    assert not may_get(second, "Bound")
    server.client().delete_resource_policy(ResourceArn=TABLE)
    server.client().delete_table(TableName=table)
