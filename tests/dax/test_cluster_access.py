"""DAX where signatures are verified: who is known, what a caller may do, and as whom tables are read and written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from amazondax import AmazonDaxClient
from botocore.exceptions import ClientError

from fuzz.dax_requests import SHORT, NodeOfOne, Socket
from jedlik.dax.client_connection import ClientConnection
from jedlik.dax.listener import Listener
from testing.dax import raw_client
from testing.dax.raw_client import RawClient, authorization, preamble, request
from testing.jedlik_process import Server, eventually, run_jedlik
from tests.dax.test_clusters import available, deleted, refused

ROLE = "arn:aws:iam::000000000000:role/dax"
ARN = "arn:aws:dax:us-east-1:000000000000:cache/default"
BY_DAX = {"Effect": "Allow", "Principal": {"Service": "dax.amazonaws.com"}, "Action": "sts:AssumeRole"}
TRUST = {"Version": "2012-10-17", "Statement": [BY_DAX]}
KEY = {"p": {"S": "k"}}


def policy(*actions: str, resource: str = "*", **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = tmp_path_factory.mktemp("access")
    running = start_shared_server(
        in_memory=True, auth="on", dax=True, dax_port=0, dax_role=ROLE, credentials=folder / "keys"
    )
    iam = running.client("iam")
    iam.create_role(RoleName="dax", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName="dax", PolicyName="tables", PolicyDocument=policy("dynamodb:*"))
    running.client().create_table(
        TableName="table",
        KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "p", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return running


@pytest.fixture(scope="module")
def iam(server: Server) -> Any:
    return server.client("iam")


User = Callable[..., Any]


@pytest.fixture(scope="module")
def user(server: Server, iam: Any) -> Iterator[User]:
    """Makes a user with a policy, and returns a client of DAX as that user."""
    clients = []

    def made(name: str, document: str | None, url: str | None = None) -> Any:
        iam.create_user(UserName=name)
        if document is not None:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        client = AmazonDaxClient(
            endpoint_url=url or server.dax_url,
            region_name="us-east-1",
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )
        clients.append(client)
        return client

    yield made
    for client in clients:
        client.close()


def code_of(call: Callable[..., Any], **asked: Any) -> tuple[str, str]:
    """Code and text of a refusal."""
    with pytest.raises(Exception) as error:
        call(**asked)
    found = vars(error.value)["response"]["Error"]
    return found["Code"], found["Message"]


def test_a_caller_needs_dax_actions_on_the_cluster_and_none_on_tables(user: User) -> None:
    reader = user("reader", policy("dax:GetItem", "dax:BatchGetItem", resource=ARN))
    assert "Item" not in reader.get_item(TableName="table", Key=KEY)
    assert "Item" not in reader.get_item(TableName="table", Key=KEY)  # A hit.
    assert reader.batch_get_item(RequestItems={"table": {"Keys": [KEY]}})["Responses"] == {"table": []}
    code, text = code_of(reader.put_item, TableName="table", Item=KEY)
    assert code == "AccessDeniedException"
    assert text == (
        f"User: arn:aws:iam::000000000000:user/reader is not authorized to perform: dax:PutItem on resource: {ARN} "
        "because no identity-based policy allows the dax:PutItem action"
    )
    for operation, asked in (
        (reader.query, {"KeyConditionExpression": "p = :p", "ExpressionAttributeValues": {":p": {"S": "k"}}}),
        (reader.scan, {}),
        (reader.delete_item, {"Key": KEY}),
        (reader.update_item, {"Key": KEY}),
    ):
        assert code_of(operation, TableName="table", **asked)[0] == "AccessDeniedException"
    writes = [{"Delete": {"TableName": "table", "Key": KEY}}]
    code, text = code_of(reader.transact_write_items, TransactItems=writes)
    assert (code, "dax:DeleteItem" in text) == ("AccessDeniedException", True)
    tables = user("of-tables", policy("dynamodb:*"))
    assert code_of(tables.get_item, TableName="table", Key=KEY)[0] == "AccessDeniedException"


def test_a_hit_is_refused_to_a_caller_who_may_not_read(user: User, iam: Any) -> None:
    reader = user("former", policy("dax:GetItem"))
    for _ in range(2):
        assert "Item" not in reader.get_item(TableName="table", Key=KEY)
    iam.delete_user_policy(UserName="former", PolicyName="own")

    def is_refused() -> bool:
        try:
            reader.get_item(TableName="table", Key=KEY)
        except Exception as error:
            return "AccessDenied" in str(error) or "not authorized" in str(error)
        return False

    eventually(is_refused)


def test_transactions_may_be_allowed_by_what_encloses_an_action(user: User) -> None:
    within = {"StringLike": {"dax:EnclosingOperation": "Transact*Items"}}
    client = user("transacting", policy("dax:PutItem", "dax:GetItem", Condition=within))
    client.transact_write_items(TransactItems=[{"Put": {"TableName": "table", "Item": {"p": {"S": "enclosed"}}}}])
    get = {"Get": {"TableName": "table", "Key": {"p": {"S": "enclosed"}}}}
    assert "Item" in client.transact_get_items(TransactItems=[get])["Responses"][0]
    assert code_of(client.put_item, TableName="table", Item=KEY)[0] == "AccessDeniedException"


def test_sessions(server: Server, iam: Any) -> None:
    account = iam.get_user()["User"]["Arn"].split(":")[4]
    trust = {"Version": "2012-10-17", "Statement": [BY_DAX | {"Principal": {"AWS": account}}]}
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName="app", PolicyName="own", PolicyDocument=policy("dax:*"))
    iam.create_user(UserName="assuming")
    iam.put_user_policy(UserName="assuming", PolicyName="own", PolicyDocument=policy("sts:AssumeRole"))
    key = iam.create_access_key(UserName="assuming")["AccessKey"]
    sts = server.client("sts", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    session = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/app", RoleSessionName="app")["Credentials"]
    given = {
        "endpoint_url": server.dax_url,
        "region_name": "us-east-1",
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
    }
    with AmazonDaxClient(aws_session_token=session["SessionToken"], **given) as dax:
        dax.put_item(TableName="table", Item={"p": {"S": "by a session"}})
    with pytest.raises(Exception, match=r"(?i)authenti|token|no endpoints|discover"):
        AmazonDaxClient(aws_session_token="wrong", **given).get_item(TableName="table", Key=KEY)


def refusal(server: Server, *sent: bytes) -> tuple[list[int], str, str]:
    """Codes, text and name of the answer to the last of what is sent."""
    with RawClient(server.dax_url) as client:
        client.send(preamble(), *sent)
        codes, text, about = client.answer(1)
        return codes, text, about[1]


def test_who_is_not_known_is_refused_as_dax_does(server: Server) -> None:
    ask = request(raw_client.ENDPOINTS)
    assert refusal(server, ask) == (
        [4, 23, 31, 33],
        "Authentication required",
        "MissingAuthenticationTokenException",
    )
    codes, text, name = refusal(server, authorization(), ask)
    assert codes == [4, 23, 31, 33]
    assert name in ("UnrecognizedClientException", "InvalidSignatureException")
    assert text


def test_an_authorization_ends() -> None:
    """That takes five minutes, so the connection is one without a server."""
    node = NodeOfOne()
    listener = Listener(node.node, SHORT, node.memory)
    connection, network = ClientConnection(listener), Socket()
    connection.connection_made(cast(asyncio.Transport, network))

    async def asked() -> list[Any]:
        network.written.clear()
        connection.data_received(request(raw_client.ENDPOINTS))
        reader = raw_client.AnswerReader(b"".join(network.written))
        return [reader.value(), reader.value()]

    async def use() -> None:
        connection.data_received(preamble() + authorization())
        assert (await asked())[0] == []
        connection.authorized_until = listener.now - 1
        listener.start([], None)
        assert await asked() == [[4, 23, 31, 33], "The authorization has expired"]
        connection.data_received(authorization())
        assert (await asked())[0] == []
        connection.abort()
        connection.connection_lost(None)
        await listener.stop(0)

    node.loop.run_until_complete(use())
    node.loop.close()


def test_the_cluster_may_do_on_tables_what_its_role_may(server: Server, iam: Any, user: User) -> None:
    iam.create_role(RoleName="narrow", AssumeRolePolicyDocument=json.dumps(TRUST))
    reads = policy("dynamodb:GetItem", "dynamodb:DescribeTable")
    iam.put_role_policy(RoleName="narrow", PolicyName="own", PolicyDocument=reads)
    control = server.client("dax")
    narrow = "arn:aws:iam::000000000000:role/narrow"
    control.create_cluster(ClusterName="narrow", NodeType="local", ReplicationFactor=1, IamRoleArn=narrow)
    url = available(control, "narrow")["ClusterDiscoveryEndpoint"]["URL"]
    client = user("anything", policy("dax:*"), url)
    assert "Item" not in client.get_item(TableName="table", Key={"p": {"S": "narrow"}})
    code, text = code_of(client.put_item, TableName="table", Item={"p": {"S": "narrow"}})
    assert code == "AccessDeniedException"
    assert "assumed-role/narrow/narrow is not authorized to perform: dynamodb:PutItem" in text
    deleted(control, "narrow")


def test_a_role_must_be_there_and_let_dax_assume_it(server: Server, iam: Any) -> None:
    control = server.client("dax")
    made = {"ClusterName": "none", "NodeType": "local", "ReplicationFactor": 1}
    absent = "arn:aws:iam::000000000000:role/absent"
    refused(control.create_cluster, "InvalidParameterValueException", IamRoleArn=absent, **made)
    other = json.dumps(TRUST).replace("dax.", "ec2.")
    iam.create_role(RoleName="of-ec2", AssumeRolePolicyDocument=other)
    foreign = "arn:aws:iam::000000000000:role/of-ec2"
    refused(control.create_cluster, "InvalidParameterValueException", IamRoleArn=foreign, **made)
    iam.create_user(UserName="making")
    iam.put_user_policy(UserName="making", PolicyName="own", PolicyDocument=policy("dax:*"))
    key = iam.create_access_key(UserName="making")["AccessKey"]
    maker = server.client("dax", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])
    with pytest.raises(ClientError, match="iam:PassRole"):
        maker.create_cluster(IamRoleArn=ROLE, **made)
    [cluster] = control.describe_clusters()["Clusters"]
    assert cluster["IamRoleArn"] == ROLE


def test_operations_on_a_cluster_are_on_its_arn(server: Server, iam: Any) -> None:
    iam.create_user(UserName="operator")
    key = iam.create_access_key(UserName="operator")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    control = server.client("dax", **keys)
    tags = [{"Key": "team", "Value": "red"}]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("describe_clusters", {"ClusterNames": ["Default"]}),
        ("update_cluster", {"ClusterName": "Default", "Description": "mine"}),
        ("delete_cluster", {"ClusterName": "DEFAULT"}),
        ("reboot_node", {"ClusterName": "default", "NodeId": "default-a"}),
        ("increase_replication_factor", {"ClusterName": "default", "NewReplicationFactor": 2}),
        ("decrease_replication_factor", {"ClusterName": "default", "NewReplicationFactor": 1}),
        ("list_tags", {"ResourceName": ARN}),
        ("tag_resource", {"ResourceName": ARN, "Tags": tags}),
        ("untag_resource", {"ResourceName": ARN, "TagKeys": ["team"]}),
        ("create_cluster", {"ClusterName": "x", "NodeType": "local", "ReplicationFactor": 1, "IamRoleArn": ROLE}),
    ]

    def allow(*statements: dict[str, Any]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_user_policy(UserName="operator", PolicyName="own", PolicyDocument=document)

    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    allow(everything, {"Effect": "Deny", "Action": "dax:*", "Resource": [ARN, ARN.replace("default", "x")]})
    for name, given in asked:
        with pytest.raises(ClientError, match="explicit deny") as refusal:
            getattr(control, name)(**given)
        assert f" on resource: {given.get('ResourceName', ARN.rpartition('/')[0])}" in str(refusal.value)
    assert [one["ClusterName"] for one in control.describe_clusters()["Clusters"]] == ["default"]
    allow({"Effect": "Allow", "Action": "dax:*", "Resource": ARN})
    for name, given in asked:
        try:
            getattr(control, name)(**given)
        except ClientError as error:  # Perhaps it cannot be done to this cluster.
            is_refused = error.response["Error"]["Code"] == "AccessDeniedException"
            assert is_refused is (name == "create_cluster")
    available(server.client("dax"), "default")  # After its node was rebooted.
    allow({**everything, "Action": "dax:CreateCluster"}, {**everything, "Action": "iam:PassRole"})
    with pytest.raises(ClientError, match="not authorized to perform: dax:TagResource"):
        control.create_cluster(ClusterName="x", NodeType="local", ReplicationFactor=1, IamRoleArn=ROLE, Tags=tags)


def test_a_role_is_needed_where_signatures_are_verified(tmp_path: Path) -> None:
    missing = run_jedlik("serve", "--dax", "--auth", "on", "--data-dir", str(tmp_path))
    assert missing.returncode == 2
    assert missing.stderr.startswith("jedlik: dax_role is needed for --dax with --auth on")
    wrong = run_jedlik("serve", "--dax", "--dax-role", "x", "--data-dir", str(tmp_path))
    assert wrong.stderr.startswith("jedlik: dax_role must be the ARN of a role, not 'x'")
