"""Who may choose a key of KMS for a table, on a server that verifies signatures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from testing.dynamodb.definitions import create, definition
from testing.dynamodb.refusals import refusal
from testing.identities import policy
from testing.jedlik_process import Server

DENIED = "KMS key access denied error: com.amazonaws.services.kms.model.AWSKMSException: User: "
USED = ["kms:DescribeKey", "kms:CreateGrant", "kms:GenerateDataKey", "kms:Decrypt"]


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server]) -> Server:
    return start_shared_server(auth="on", seal_tables=True)


def user(server: Server, name: str, *statements: dict[str, Any]) -> Any:
    """A client of DynamoDB for a user who may do everything there, and this besides."""
    iam = server.client("iam")
    iam.create_user(UserName=name)
    everything = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(everything, *statements))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return server.client(aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"])


def by(key: str) -> dict[str, Any]:
    return {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}


def test_who_may_choose_a_key_of_a_customer(server: Server) -> None:
    key = server.client("kms").create_key()["KeyMetadata"]["Arn"]
    through = {"StringEquals": {"kms:ViaService": "dynamodb.us-east-1.amazonaws.com"}}
    stranger = user(server, "stranger")
    code, text = refusal(stranger.create_table, **definition(SSESpecification=by(key)))
    assert (code, text.startswith(DENIED)) == ("AccessDeniedException", True), text
    for number, action in enumerate(USED):
        others = [one for one in USED if one != action]
        some = {"Effect": "Allow", "Action": others, "Resource": key, "Condition": through}
        lacking = user(server, f"lacking{number}", some)
        code, text = refusal(lacking.create_table, **definition(SSESpecification=by(key)))
        assert (code, action in text) == ("AccessDeniedException", True), text
    assert server.client("kms").list_grants(KeyId=key)["Grants"] == []
    all_of_them = {"Effect": "Allow", "Action": USED, "Resource": key, "Condition": through}
    mine = user(server, "owner", all_of_them)
    name = create(mine, SSESpecification=by(key))
    stranger.put_item(TableName=name, Item={"p": {"S": "a"}})
    assert stranger.scan(TableName=name)["Count"] == 1, "items need nothing of KMS"
    code, text = refusal(stranger.update_table, TableName=name, SSESpecification=by(key))
    assert (code, text.startswith(DENIED)) == ("AccessDeniedException", True), text


def test_everybody_may_choose_the_key_of_dynamodb(server: Server) -> None:
    client = user(server, "anybody")
    create(client, SSESpecification={"Enabled": True})
