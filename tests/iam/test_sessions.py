"""Roles and sessions: STS with real clients, on a server that verifies signatures."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from testing.identities import policy, refusal
from testing.jedlik_process import Server, run_jedlik

OWN, OTHER = "000000000000", "222222222222"
TABLE = f"arn:aws:dynamodb:us-east-1:{OWN}:table/Table"
CLI = Path(sys.executable).with_name("aws")
KEY = {"k": {"S": "x"}}
GET = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": TABLE}
ASSUME = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
INVALID = (400, "UnrecognizedClientException", "The security token included in the request is invalid.")

_names = iter(f"name{number}" for number in range(1000))


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server]) -> Server:
    running = start_shared_server(auth="on")
    running.client().create_table(
        TableName="Table",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
    )
    running.client().put_item(TableName="Table", Item=KEY)
    return running


def user(server: Server, *statements: dict[str, Any], name: str | None = None) -> dict[str, Any]:
    """A new user: its name, its ARN and its key, as options of a client."""
    iam, name = server.client("iam"), name or next(_names)
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(*statements))
    made = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    return {"name": name, "arn": arn, "keys": keys}


def role(server: Server, principal: Any, *statements: dict[str, Any], **more: Any) -> str:
    """A new role that principals may assume: its ARN."""
    iam, name = server.client("iam"), next(_names)
    condition = {"Condition": more.pop("condition")} if "condition" in more else {}
    actions = more.pop("actions", ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"])
    trust = policy({"Effect": "Allow", "Action": actions, "Principal": principal, **condition})
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **more)["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(*statements))
    return str(arn)


def session(answer: dict[str, Any]) -> dict[str, Any]:
    """The key that STS has answered, as options of a client."""
    found = answer["Credentials"]
    return {
        "aws_access_key_id": found["AccessKeyId"],
        "aws_secret_access_key": found["SecretAccessKey"],
        "aws_session_token": found["SessionToken"],
    }


def assume(server: Server, keys: dict[str, Any], arn: str, **more: Any) -> dict[str, Any]:
    sts = server.client("sts", **keys)
    answer: dict[str, Any] = sts.assume_role(RoleArn=arn, RoleSessionName="me", **more)
    return answer


def may_get(server: Server, keys: dict[str, Any]) -> bool:
    try:
        server.client(**keys).get_item(TableName="Table", Key=KEY)
    except Exception as error:
        code = getattr(error, "response", {})["Error"]["Code"]
        assert code == "AccessDeniedException", code
        return False
    return True


def not_authorized(who: str, action: str, arn: str) -> tuple[int, str, str]:
    return 403, "AccessDenied", f"User: {who} is not authorized to perform: {action} on resource: {arn}"


def test_a_session_of_a_role_may_do_what_the_role_may(server: Server) -> None:
    bob = user(server)
    arn = role(server, {"AWS": bob["arn"]}, GET)
    answer = assume(server, bob["keys"], arn)
    name = arn.rpartition("/")[2]
    who = f"arn:aws:sts::{OWN}:assumed-role/{name}/me"
    assert answer["AssumedRoleUser"]["Arn"] == who
    assert answer["AssumedRoleUser"]["AssumedRoleId"].startswith("AROA")
    assert answer["Credentials"]["AccessKeyId"].startswith("ASIA")
    assert len(answer["Credentials"]["SessionToken"]) <= 4096
    keys = session(answer)
    assert may_get(server, keys)
    assert not may_get(server, bob["keys"])
    found = server.client("sts", **keys).get_caller_identity()
    assert (found["Arn"], found["Account"]) == (who, OWN)
    assert found["UserId"] == answer["AssumedRoleUser"]["AssumedRoleId"]
    refused = refusal(server.client(**keys).put_item, TableName="Table", Item=KEY)
    assert refused == (
        *(400, "AccessDeniedException"),
        f"User: {who} is not authorized to perform: dynamodb:PutItem on resource: {TABLE} "
        "because no identity-based policy allows the dynamodb:PutItem action",
    )


def test_who_may_assume_a_role(server: Server) -> None:
    bob, may, eve = user(server), user(server, ASSUME), user(server)
    by_name, by_account = role(server, {"AWS": bob["arn"]}), role(server, {"AWS": OWN})
    for who, arn, is_allowed in (
        (bob, by_name, True),
        (may, by_name, False),
        (bob, by_account, False),
        (may, by_account, True),
        (eve, by_account, False),
        (may, f"arn:aws:iam::{OWN}:role/nobody", False),
        (may, "arn:aws:iam::999999999999:role/nobody", False),
    ):
        sts = server.client("sts", **who["keys"])
        if is_allowed:
            sts.assume_role(RoleArn=arn, RoleSessionName="me")
        else:
            refused = refusal(sts.assume_role, RoleArn=arn, RoleSessionName="me")
            assert refused == not_authorized(who["arn"], "sts:AssumeRole", arn)
    root = refusal(server.client("sts").assume_role, RoleArn=by_account, RoleSessionName="me")
    assert root == (403, "AccessDenied", "Roles may not be assumed by root accounts.")


def test_an_external_id(server: Server) -> None:
    bob = user(server)
    arn = role(server, {"AWS": bob["arn"]}, condition={"StringEquals": {"sts:ExternalId": "secret-1"}})
    sts = server.client("sts", **bob["keys"])
    for more in ({}, {"ExternalId": "secret-2"}):
        refused = refusal(sts.assume_role, RoleArn=arn, RoleSessionName="me", **more)
        assert refused == not_authorized(bob["arn"], "sts:AssumeRole", arn)
    sts.assume_role(RoleArn=arn, RoleSessionName="me", ExternalId="secret-1")


def test_across_accounts_both_sides_must_allow(server: Server) -> None:
    made = run_jedlik("account", "create", OTHER, "--data-dir", str(server.options["data_dir"]))
    lines = dict(line.split(" = ") for line in made.stdout.splitlines() if " = " in line)
    theirs = {name: lines[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
    iam = server.client("iam", **theirs)
    arn = iam.create_user(UserName="eve")["User"]["Arn"]
    made_key = iam.create_access_key(UserName="eve")["AccessKey"]
    eve = {"aws_access_key_id": made_key["AccessKeyId"], "aws_secret_access_key": made_key["SecretAccessKey"]}
    trusting = role(server, {"AWS": OTHER}, GET)
    refused = refusal(server.client("sts", **eve).assume_role, RoleArn=trusting, RoleSessionName="me")
    assert refused == not_authorized(arn, "sts:AssumeRole", trusting)
    iam.put_user_policy(UserName="eve", PolicyName="p", PolicyDocument=policy(ASSUME))
    keys = session(assume(server, eve, trusting))
    assert may_get(server, keys)
    assert server.client("sts", **keys).get_caller_identity()["Account"] == OWN
    by_user = role(server, {"AWS": arn}, GET)
    assert may_get(server, session(assume(server, eve, by_user)))
    not_trusting = role(server, {"AWS": OWN}, GET)
    refused = refusal(server.client("sts", **eve).assume_role, RoleArn=not_trusting, RoleSessionName="me")
    assert refused == not_authorized(arn, "sts:AssumeRole", not_trusting)


def test_a_session_policy_limits(server: Server) -> None:
    bob = user(server)
    arn = role(server, {"AWS": bob["arn"]}, GET)
    narrow = policy({"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "*"})
    assert not may_get(server, session(assume(server, bob["keys"], arn, Policy=narrow)))
    wide = policy({"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"})
    keys = session(assume(server, bob["keys"], arn, Policy=wide))
    assert may_get(server, keys)
    code, text = refusal(server.client(**keys).put_item, TableName="Table", Item=KEY)[1:]
    assert (code, "because no identity-based policy allows" in text) == ("AccessDeniedException", True)
    reads = [{"arn": "arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess"}]
    assert may_get(server, session(assume(server, bob["keys"], arn, PolicyArns=reads)))
    sts = server.client("sts", **bob["keys"])
    asked = {"RoleArn": arn, "RoleSessionName": "me"}
    assert refusal(sts.assume_role, **asked, Policy="{")[1:] == ("MalformedPolicyDocument", "Syntax errors in policy.")
    noise = base64.b64encode(os.urandom(3000)).decode()
    large = policy({"Effect": "Allow", "Action": f"s3:{noise.replace('+', '').replace('/', '')}", "Resource": "*"})
    assert refusal(sts.assume_role, **asked, Policy=large)[1] == "PackedPolicyTooLarge"


def test_the_size_of_a_token(server: Server) -> None:
    """It grows with the session's policies and tags, and is never longer than 4,096 characters."""
    bob = user(server)
    arn = role(server, {"AWS": bob["arn"]}, GET)
    sts = server.client("sts", **bob["keys"])
    asked = {"RoleArn": arn, "RoleSessionName": "me"}
    small = sts.assume_role(**asked)
    token = small["Credentials"]["SessionToken"]
    assert small["SessionTokenSize"] == len(token)
    assert small["SessionTokenUtilization"] == small["PackedPolicySize"] == -(-100 * len(token) // 4096)
    for least in (0, 100, 2001, 4096):
        answer = sts.assume_role(**asked, MinimumSessionTokenSize=least)
        size = len(answer["Credentials"]["SessionToken"])
        assert max(least, len(token) - 20) <= size <= 4096
        assert size <= max(least + 3, len(token) + 20)
        assert may_get(server, session(answer))
    assert refusal(sts.assume_role, **asked, MinimumSessionTokenSize=4097)[1] == "ValidationError"

    def tags(size: int) -> list[dict[str, str]]:
        return [{"Key": f"key{number}", "Value": os.urandom(size // 2).hex()} for number in range(25)]

    more = sts.assume_role(**asked, Tags=tags(60))
    assert small["PackedPolicySize"] < more["PackedPolicySize"] <= 100
    status, code, text = refusal(sts.assume_role, **asked, Tags=tags(250))
    assert (status, code) == (400, "PackedPolicyTooLarge")
    assert text.startswith("Packed size of session tags consumes ")


def test_there_are_no_devices(server: Server) -> None:
    bob = user(server)
    arn = role(server, {"AWS": bob["arn"]})
    sts = server.client("sts", **bob["keys"])
    device = {"SerialNumber": f"arn:aws:iam::{OWN}:mfa/bob", "TokenCode": "123456"}
    refused = (400, "ValidationError", "Jedlik does not support SerialNumber")
    assert refusal(sts.assume_role, RoleArn=arn, RoleSessionName="me", **device) == refused
    assert refusal(sts.get_session_token, **device) == refused
    # A trust policy that asks for one lets nobody in.
    guarded = role(server, {"AWS": bob["arn"]}, condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}})
    refused = refusal(sts.assume_role, RoleArn=guarded, RoleSessionName="me")
    assert refused == not_authorized(bob["arn"], "sts:AssumeRole", guarded)


def test_durations(server: Server) -> None:
    bob = user(server)
    arn = role(server, {"AWS": bob["arn"]}, MaxSessionDuration=7200)
    answer = assume(server, bob["keys"], arn, DurationSeconds=7200)
    left = answer["Credentials"]["Expiration"].timestamp() - time.time()
    assert 7000 < left <= 7200
    sts = server.client("sts", **bob["keys"])
    too_long = refusal(sts.assume_role, RoleArn=arn, RoleSessionName="me", DurationSeconds=7201)
    assert too_long == (
        *(400, "ValidationError"),
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    )
    assert refusal(sts.assume_role, RoleArn=arn, RoleSessionName="me", DurationSeconds=899)[1] == "ValidationError"
    assert refusal(sts.assume_role, RoleArn=arn, RoleSessionName="not a name")[1] == "ValidationError"


def test_roles_from_roles_and_tags_that_go_on(server: Server) -> None:
    bob = user(server)
    by_tag = GET | {"Condition": {"StringEquals": {"aws:PrincipalTag/team": "red", "aws:PrincipalTag/cost": "1"}}}
    iam = server.client("iam")
    first = role(server, {"AWS": bob["arn"]}, ASSUME | {"Action": ["sts:AssumeRole", "sts:TagSession"]})
    second = role(server, {"AWS": first}, by_tag, MaxSessionDuration=7200)
    tags = [{"Key": "team", "Value": "red"}, {"Key": "own", "Value": "2"}]
    keys = session(
        assume(server, bob["keys"], first, Tags=tags, TransitiveTagKeys=["team"], SourceIdentity="bob-himself")
    )
    chained = assume(server, keys, second, Tags=[{"Key": "cost", "Value": "1"}])
    assert chained["SourceIdentity"] == "bob-himself"
    assert may_get(server, session(chained))
    assert not may_get(server, session(assume(server, keys, second)))
    sts = server.client("sts", **keys)
    asked = {"RoleArn": second, "RoleSessionName": "me"}
    blue = [{"Key": "Team", "Value": "blue"}]
    assert refusal(sts.assume_role, **asked, Tags=blue)[1] == "ValidationError"
    too_long = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
    assert refusal(sts.assume_role, **asked, DurationSeconds=3601) == (400, "ValidationError", too_long)
    untagged = role(server, {"AWS": bob["arn"]}, actions=["sts:AssumeRole"])
    refused = refusal(
        server.client("sts", **bob["keys"]).assume_role, RoleArn=untagged, RoleSessionName="me", Tags=tags
    )
    assert refused == not_authorized(bob["arn"], "sts:TagSession", untagged)
    assert iam.get_role(RoleName=first.rpartition("/")[2])["Role"]["RoleName"]


def test_a_role_that_is_deleted_ends_its_sessions_and_one_of_its_name_is_another(server: Server) -> None:
    iam, bob = server.client("iam"), user(server)
    arn = role(server, {"AWS": bob["arn"]}, GET)
    name = arn.rpartition("/")[2]
    keys = session(assume(server, bob["keys"], arn))
    assert may_get(server, keys)
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    iam.delete_role_policy(RoleName=name, PolicyName="p")
    iam.delete_role(RoleName=name)
    assert refusal(server.client(**keys).get_item, TableName="Table", Key=KEY) == INVALID
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(GET))
    assert refusal(server.client(**keys).get_item, TableName="Table", Key=KEY) == INVALID
    # The same holds for those whom a trust policy names.
    iam.delete_access_key(UserName=bob["name"], AccessKeyId=bob["keys"]["aws_access_key_id"])
    iam.delete_user(UserName=bob["name"])
    again = user(server, name=bob["name"])
    refused = refusal(server.client("sts", **again["keys"]).assume_role, RoleArn=arn, RoleSessionName="me")
    assert refused == not_authorized(bob["arn"], "sts:AssumeRole", arn)


def test_a_session_of_a_user(server: Server) -> None:
    bob = user(server, GET)
    sts = server.client("sts", **bob["keys"])
    keys = session(sts.get_session_token())
    assert may_get(server, keys)
    assert server.client("sts", **keys).get_caller_identity()["Arn"] == bob["arn"]
    again = refusal(server.client("sts", **keys).get_session_token)
    assert again == (403, "AccessDenied", "Cannot call GetSessionToken with session credentials")
    root = session(server.client("sts").get_session_token())
    assert may_get(server, root)
    assert server.client("sts", **root).get_caller_identity()["Arn"] == f"arn:aws:iam::{OWN}:root"


def test_a_federated_user(server: Server) -> None:
    bob = user(server, GET, {"Effect": "Allow", "Action": "sts:GetFederationToken", "Resource": "*"})
    sts = server.client("sts", **bob["keys"])
    answer = sts.get_federation_token(Name="guest", Policy=policy(GET))
    assert answer["FederatedUser"] == {
        "FederatedUserId": f"{OWN}:guest",
        "Arn": f"arn:aws:sts::{OWN}:federated-user/guest",
    }
    assert may_get(server, session(answer))
    assert not may_get(server, session(sts.get_federation_token(Name="guest")))
    more = policy({"Effect": "Allow", "Action": "*", "Resource": "*"})
    keys = session(sts.get_federation_token(Name="guest", Policy=more))
    assert refusal(server.client(**keys).put_item, TableName="Table", Item=KEY)[1] == "AccessDeniedException"
    eve = user(server)
    refused = refusal(server.client("sts", **eve["keys"]).get_federation_token, Name="guest")
    assert refused[1] == "AccessDenied"


def test_a_federated_user_can_neither_change_identities_nor_become_a_role(server: Server) -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    bob = user(server, everything)
    keys = session(server.client("sts", **bob["keys"]).get_federation_token(Name="guest", Policy=policy(everything)))
    assert may_get(server, keys)
    invalid = (403, "InvalidClientTokenId", "The security token included in the request is invalid.")
    iam = server.client("iam", **keys)
    assert refusal(iam.list_users) == invalid
    assert refusal(iam.create_access_key, UserName=bob["name"]) == invalid
    root = server.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{OWN}:root"}, "Action": "sts:AssumeRole"}
    role = root.create_role(RoleName="for-nobody-federated", AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    assumed = {"RoleArn": role, "RoleSessionName": "guest"}
    assert server.client("sts", **bob["keys"]).assume_role(**assumed)["AssumedRoleUser"]
    assert refusal(server.client("sts", **keys).assume_role, **assumed)[1] == "AccessDenied"
    assert server.client("sts", **keys).get_caller_identity()["Arn"] == f"arn:aws:sts::{OWN}:federated-user/guest"


def test_a_token_is_good_for_its_own_key_alone(server: Server) -> None:
    bob = user(server, GET)
    sts = server.client("sts", **bob["keys"])
    one, other = session(sts.get_session_token()), session(sts.get_session_token())
    token = one["aws_session_token"]
    changed = token[:100] + ("A" if token[100] != "A" else "B") + token[101:]
    for wrong in (other["aws_session_token"], changed, "x", token * 2):
        keys = one | {"aws_session_token": wrong}
        assert refusal(server.client(**keys).get_item, TableName="Table", Key=KEY) == INVALID
    without = {name: value for name, value in one.items() if name != "aws_session_token"}
    assert refusal(server.client(**without).get_item, TableName="Table", Key=KEY) == INVALID
    assert may_get(server, one)


def test_sessions_survive_a_kill(start_server: Callable[..., Server]) -> None:
    server = start_server(auth="on")
    bob = user(server)
    arn = role(server, {"AWS": bob["arn"]}, {"Effect": "Allow", "Action": "dynamodb:ListTables", "Resource": "*"})
    keys = session(assume(server, bob["keys"], arn))
    server.kill()
    server.restart()
    assert server.client(**keys).list_tables()["TableNames"] == []


@pytest.mark.skipif(not CLI.exists(), reason="the AWS CLI is not installed")
def test_with_a_profile_of_the_cli(server: Server, tmp_path: Path) -> None:
    bob = user(server)
    arn = role(server, {"AWS": bob["arn"]}, GET)
    (tmp_path / "config").write_text(
        f"[profile app]\nrole_arn = {arn}\nsource_profile = bob\nrole_session_name = cli\n"
        f"[profile bob]\naws_access_key_id = {bob['keys']['aws_access_key_id']}\n"
        f"aws_secret_access_key = {bob['keys']['aws_secret_access_key']}\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_PROFILE": "app",
        "HOME": str(tmp_path),
    }
    asked = [str(CLI), "dynamodb", "get-item", "--table-name", "Table", "--key", json.dumps(KEY), "--output", "json"]
    printed = subprocess.run(asked, env=environment, check=True, capture_output=True, timeout=120).stdout
    assert json.loads(printed) == {"Item": KEY}
