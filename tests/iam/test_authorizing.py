"""Permissions that refuse: real clients with the keys of users, on a server that verifies signatures."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from testing.identities import answer, policy, refusal
from testing.jedlik_process import Server, eventually, run_jedlik

ACCOUNT = "000000000000"
REGION = "us-east-1"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/GameScores"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server]) -> Server:
    running = start_shared_server(auth="on", workers=2)
    root = running.client()
    for name in ("GameScores", "Other"):
        root.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "UserId", "AttributeType": "S"},
                {"AttributeName": "GameTitle", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "UserId", "KeyType": "HASH"},
                {"AttributeName": "GameTitle", "KeyType": "RANGE"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "TopScoreDateTimeIndex",
                    "KeySchema": [{"AttributeName": "GameTitle", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )
    for who in ("amzn1.bob", "eve"):
        item = {"UserId": {"S": who}, "GameTitle": {"S": "Chess"}, "TopScore": {"N": "7"}, "Wins": {"N": "1"}}
        root.put_item(TableName="GameScores", Item=item)
    return running


_names = iter(f"user{number}" for number in range(1000))


class User:
    """A user with an inline policy, and its clients."""

    def __init__(self, server: Server, *statements: dict[str, Any], **tags: str) -> None:
        self.name = next(_names)
        self._server = server
        self.iam = server.client("iam")
        tagged = [{"Key": key, "Value": value} for key, value in tags.items()]
        self.iam.create_user(UserName=self.name, Tags=tagged)
        if statements:
            self.may(*statements)
        key = self.iam.create_access_key(UserName=self.name)["AccessKey"]
        self.keys = {
            "aws_access_key_id": key["AccessKeyId"],
            "aws_secret_access_key": key["SecretAccessKey"],
        }
        self.arn = f"arn:aws:iam::{ACCOUNT}:user/{self.name}"
        self.dynamodb = self.client()

    def may(self, *statements: dict[str, Any]) -> None:
        self.iam.put_user_policy(UserName=self.name, PolicyName="p", PolicyDocument=policy(*statements))

    def client(self, service: str = "dynamodb", **options: Any) -> Any:
        return self._server.client(service, **(self.keys | options))


def allow(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def key(who: str = "amzn1.bob") -> dict[str, Any]:
    return {"UserId": {"S": who}, "GameTitle": {"S": "Chess"}}


def is_refused(call: Callable[..., Any], **request: Any) -> bool:
    """Whether a call is refused for want of permission, rather than done."""
    found = answer(call, **request)
    assert found in ("allowed", "AccessDeniedException", "AccessDenied"), found
    return found != "allowed"


def denied(user: User, action: str, resource: str, reason: str) -> tuple[int, str, str]:
    text = f"User: {user.arn} is not authorized to perform: {action} on resource: {resource} {reason}"
    return 400, "AccessDeniedException", text


# What AWS says


def test_a_user_may_do_nothing_by_itself(server: Server) -> None:
    user = User(server)
    nothing = "because no identity-based policy allows the dynamodb:GetItem action"
    refused = refusal(user.dynamodb.get_item, TableName="GameScores", Key=key())
    assert refused == denied(user, "dynamodb:GetItem", TABLE, nothing)
    status, code, text = refusal(user.client("iam").list_users)
    assert (status, code) == (403, "AccessDenied")
    assert text == (
        f"User: {user.arn} is not authorized to perform: iam:ListUsers on resource: * "
        "because no identity-based policy allows the iam:ListUsers action"
    )
    found = user.client("sts").get_caller_identity()
    assert (found["Arn"], found["Account"]) == (user.arn, ACCOUNT)
    assert found["UserId"].startswith("AIDA")


def test_refusals_name_the_kind_of_policy(server: Server) -> None:
    user = User(server, allow("dynamodb:*"), {"Effect": "Deny", "Action": "dynamodb:PutItem", "Resource": "*"})
    item = key() | {"TopScore": {"N": "8"}}
    explicit = "with an explicit deny in an identity-based policy"
    refused = refusal(user.dynamodb.put_item, TableName="GameScores", Item=item)
    assert refused == denied(user, "dynamodb:PutItem", TABLE, explicit)
    server.client("iam").put_user_permissions_boundary(
        UserName=user.name, PermissionsBoundary="arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess"
    )
    delete, nobody = user.dynamodb.delete_item, {"TableName": "GameScores", "Key": key("nobody")}
    eventually(lambda: is_refused(delete, **nobody))
    limited = "because no permissions boundary allows the dynamodb:DeleteItem action"
    assert refusal(delete, **nobody) == denied(user, "dynamodb:DeleteItem", TABLE, limited)
    user.dynamodb.get_item(TableName="GameScores", Key=key())


def test_a_refusal_is_the_same_for_what_is_not_there(server: Server) -> None:
    user = User(server, allow("dynamodb:GetItem", TABLE))
    nothing = "because no identity-based policy allows the dynamodb:GetItem action"
    missing = TABLE.replace("GameScores", "Missing")
    refused = refusal(user.dynamodb.get_item, TableName="Missing", Key=key())
    assert refused == denied(user, "dynamodb:GetItem", missing, nothing)


def test_refusals_and_changes_are_logged(server: Server) -> None:
    user = User(server)
    refusal(user.dynamodb.get_item, TableName="GameScores", Key=key())

    def logged(message: str, **fields: str) -> bool:
        return any(
            line["message"] == message and all(line.get(name) == value for name, value in fields.items())
            for line in server.log_lines()
        )

    eventually(
        lambda: logged("access denied", caller=user.arn, action="dynamodb:GetItem", resource=TABLE, client="127.0.0.1")
    )
    assert logged("identity changed", action="iam:CreateUser", resource=user.name)


# The developer guide's examples of fine-grained access


def test_1_a_set_of_items(server: Server) -> None:
    """Grant permissions that limit access to items with a specific partition key value."""
    actions = ["GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"]
    user = User(
        server,
        allow(
            [f"dynamodb:{action}" for action in actions],
            TABLE,
            Condition={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["amzn1.${aws:username}"]}},
        ),
    )
    own, others = f"amzn1.{user.name}", "eve"
    dynamodb = user.dynamodb
    for who, is_own in ((own, True), (others, False)):
        item = key(who)
        assert is_refused(dynamodb.get_item, TableName="GameScores", Key=item) is not is_own
        assert is_refused(dynamodb.put_item, TableName="GameScores", Item=item) is not is_own
        asked = {"TableName": "GameScores", "KeyConditionExpression": "UserId = :u"}
        assert is_refused(dynamodb.query, **asked, ExpressionAttributeValues={":u": {"S": who}}) is not is_own
        keys = [key(own)] + ([] if is_own else [item])
        assert is_refused(dynamodb.batch_get_item, RequestItems={"GameScores": {"Keys": keys}}) is not is_own
        writes = [{"PutRequest": {"Item": key(own)}}] + ([] if is_own else [{"DeleteRequest": {"Key": item}}])
        assert is_refused(dynamodb.batch_write_item, RequestItems={"GameScores": writes}) is not is_own
        update = {"UpdateExpression": "ADD Wins :one", "ExpressionAttributeValues": {":one": {"N": "1"}}}
        assert is_refused(dynamodb.update_item, TableName="GameScores", Key=item, **update) is not is_own
        assert is_refused(dynamodb.delete_item, TableName="GameScores", Key=item) is not is_own
    assert is_refused(dynamodb.scan, TableName="GameScores")


def test_2_specific_attributes_of_a_table(server: Server) -> None:
    """Grant permissions on specific attributes in a table."""
    user = User(
        server,
        allow(
            ["dynamodb:UpdateItem", "dynamodb:GetItem"],
            TABLE,
            Condition={
                "ForAllValues:StringEquals": {"dynamodb:Attributes": ["UserId", "TopScore", "GameTitle"]},
                "StringEqualsIfExists": {
                    "dynamodb:Select": "SPECIFIC_ATTRIBUTES",
                    "dynamodb:ReturnValues": ["NONE", "UPDATED_OLD", "UPDATED_NEW"],
                },
            },
        ),
    )
    get, update = user.dynamodb.get_item, user.dynamodb.update_item
    asked = {"TableName": "GameScores", "Key": key("eve")}
    assert get(**asked, ProjectionExpression="TopScore")["Item"] == {"TopScore": {"N": "7"}}
    assert is_refused(get, **asked)
    assert is_refused(get, **asked, ProjectionExpression="TopScore, Wins")
    one = {"ExpressionAttributeValues": {":one": {"N": "0"}}}
    assert not is_refused(update, **asked, UpdateExpression="ADD TopScore :one", **one, ReturnValues="UPDATED_NEW")
    assert is_refused(update, **asked, UpdateExpression="ADD TopScore :one", **one, ReturnValues="ALL_NEW")
    assert is_refused(update, **asked, UpdateExpression="ADD Wins :one", **one)


def test_3_specific_attributes_of_an_index(server: Server) -> None:
    """Grant permissions to query only specific attributes in an index."""
    user = User(
        server,
        allow(
            "dynamodb:Query",
            f"{TABLE}/index/TopScoreDateTimeIndex",
            Condition={
                "ForAllValues:StringEquals": {"dynamodb:Attributes": ["TopScore", "GameTitle"]},
                "StringEquals": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
            },
        ),
    )
    asked = {
        "TableName": "GameScores",
        "KeyConditionExpression": "GameTitle = :t",
        "ExpressionAttributeValues": {":t": {"S": "Chess"}},
    }
    index = {"IndexName": "TopScoreDateTimeIndex"}
    assert not is_refused(user.dynamodb.query, **asked, **index, ProjectionExpression="TopScore")
    assert is_refused(user.dynamodb.query, **asked, **index)
    assert is_refused(user.dynamodb.query, **asked, **index, ProjectionExpression="UserId")
    assert is_refused(user.dynamodb.query, **asked, ProjectionExpression="TopScore")


def test_4_own_items_and_some_attributes_of_them(server: Server) -> None:
    """Limit access to certain attributes and partition key values."""
    user = User(
        server,
        allow(
            ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"],
            TABLE,
            Condition={
                "ForAllValues:StringEquals": {
                    "dynamodb:LeadingKeys": ["${aws:PrincipalTag/player}"],
                    "dynamodb:Attributes": ["UserId", "GameTitle", "Wins"],
                },
                "StringEqualsIfExists": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
            },
        ),
        player="amzn1.bob",
    )
    get = user.dynamodb.get_item
    assert not is_refused(get, TableName="GameScores", Key=key(), ProjectionExpression="Wins")
    assert is_refused(get, TableName="GameScores", Key=key("eve"), ProjectionExpression="Wins")
    assert is_refused(get, TableName="GameScores", Key=key(), ProjectionExpression="TopScore")
    assert is_refused(get, TableName="GameScores", Key=key())


def test_5_all_actions_but_a_full_scan(server: Server) -> None:
    """Deny a table scan, and PartiQL that would scan (the guide's policies for PartiQL)."""
    full = {"Bool": {"dynamodb:FullTableScan": ["true"]}}
    user = User(
        server,
        allow(["dynamodb:PartiQLSelect", "dynamodb:PartiQLInsert"], [TABLE, f"{TABLE}/index/*"]),
        {"Effect": "Deny", "Action": "dynamodb:PartiQLSelect", "Resource": "*", "Condition": full},
    )
    run = user.dynamodb.execute_statement
    assert not is_refused(run, Statement="SELECT * FROM GameScores WHERE UserId = 'eve'")
    assert is_refused(run, Statement="SELECT * FROM GameScores WHERE TopScore = 7")
    assert is_refused(run, Statement="DELETE FROM GameScores WHERE UserId = 'eve' AND GameTitle = 'Chess'")
    statements = [{"Statement": "SELECT * FROM GameScores WHERE UserId = 'eve' AND GameTitle = 'x'"}]
    assert not is_refused(user.dynamodb.batch_execute_statement, Statements=statements)


def test_6_transactions_only(server: Server) -> None:
    """The guide's policies for transactions: allowed in a transaction, denied outside of one."""
    within = {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems", "TransactGetItems"]}}
    actions = ["ConditionCheckItem", "DeleteItem", "GetItem", "PutItem", "UpdateItem"]
    user = User(server, allow([f"dynamodb:{action}" for action in actions], TABLE, Condition=within))
    item = key(user.name)
    put = {"Put": {"TableName": "GameScores", "Item": item}}
    assert not is_refused(user.dynamodb.transact_write_items, TransactItems=[put])
    check = {"TableName": "GameScores", "Key": key("x"), "ConditionExpression": "attribute_not_exists(UserId)"}
    assert not is_refused(user.dynamodb.transact_write_items, TransactItems=[put, {"ConditionCheck": check}])
    gets = [{"Get": {"TableName": "GameScores", "Key": item}}]
    assert not is_refused(user.dynamodb.transact_get_items, TransactItems=gets)
    assert is_refused(user.dynamodb.put_item, TableName="GameScores", Item=item)
    elsewhere = {"Put": {"TableName": "Other", "Item": item}}
    assert is_refused(user.dynamodb.transact_write_items, TransactItems=[put, elsewhere])


def test_7_read_only_but_not_some_operations(server: Server) -> None:
    """The guide's identity-based examples: all but reserved actions, and read-only on one table and its indexes."""
    actions = ["BatchGetItem", "DescribeTable", "GetItem", "Query", "Scan"]
    user = User(server, allow([f"dynamodb:{action}" for action in actions], [TABLE, f"{TABLE}/index/*"]))
    assert not is_refused(user.dynamodb.describe_table, TableName="GameScores")
    assert not is_refused(user.dynamodb.scan, TableName="GameScores", IndexName="TopScoreDateTimeIndex")
    assert is_refused(user.dynamodb.describe_table, TableName="Other")
    assert is_refused(user.dynamodb.update_table, TableName="GameScores", BillingMode="PAY_PER_REQUEST")
    assert is_refused(user.dynamodb.list_tables)


def test_where_a_request_comes_from_and_when(server: Server) -> None:
    for condition, is_allowed in (
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ({"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False),
        ({"Bool": {"aws:SecureTransport": "false"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": REGION}}, True),
        ({"StringNotEquals": {"aws:RequestedRegion": REGION}}, False),
        ({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, False),
        ({"NumericGreaterThan": {"aws:EpochTime": "1700000000"}}, True),
        ({"StringEquals": {"aws:PrincipalAccount": ACCOUNT, "aws:ResourceAccount": ACCOUNT}}, True),
        ({"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/user*"}}, True),
    ):
        user = User(server, allow("dynamodb:GetItem", TABLE, Condition=condition))
        assert is_refused(user.dynamodb.get_item, TableName="GameScores", Key=key()) is not is_allowed, condition


def test_groups_managed_policies_and_paths(server: Server) -> None:
    iam = server.client("iam")
    user = User(server)
    iam.create_group(GroupName="readers")
    arn = iam.create_policy(PolicyName="reads", PolicyDocument=policy(allow("dynamodb:GetItem", TABLE)))["Policy"][
        "Arn"
    ]
    iam.attach_group_policy(GroupName="readers", PolicyArn=arn)
    iam.add_user_to_group(GroupName="readers", UserName=user.name)
    asked = {"TableName": "GameScores", "Key": key()}
    eventually(lambda: not is_refused(user.dynamodb.get_item, **asked))
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy(allow("dynamodb:PutItem", TABLE)), SetAsDefault=True)
    eventually(lambda: is_refused(user.dynamodb.get_item, **asked))
    manager = User(server, allow("iam:*", f"arn:aws:iam::{ACCOUNT}:user/dev/*"))
    iam.create_user(UserName="dev", Path="/dev/")
    iam.create_user(UserName="ops", Path="/ops/")
    theirs = manager.client("iam")
    assert not is_refused(theirs.get_user, UserName="dev")
    assert is_refused(theirs.get_user, UserName="ops")
    assert not is_refused(theirs.create_user, UserName="dev2", Path="/dev/")
    assert is_refused(theirs.create_user, UserName="ops2", Path="/ops/")


# Keys


def test_what_is_on_a_user_is_on_its_arn_however_the_request_names_it(server: Server) -> None:
    root = server.client("iam")
    root.create_user(UserName="Boss", Path="/admins/")
    root.create_group(GroupName="Chiefs", Path="/admins/")
    for name in ("Worker", "Renamed"):
        root.create_user(UserName=name, Path="/plain/")
    document = {"PolicyName": "p", "PolicyDocument": policy(allow("*"))}
    admins = [f"arn:aws:iam::{ACCOUNT}:{kind}/admins/*" for kind in ("user", "group")]
    iam = User(server, allow("iam:*"), {**allow("*", admins), "Effect": "Deny"}).client("iam")
    for call, given in (
        (iam.create_access_key, {}),
        (iam.create_login_profile, {"Password": "Abcdef123456!"}),
        (iam.put_user_policy, document),
        (iam.get_user, {}),
        (iam.list_access_keys, {}),
    ):
        for name in ("Boss", "boss", "BOSS"):
            assert is_refused(call, UserName=name, **given), (call, name)
    assert is_refused(iam.put_group_policy, GroupName="chiefs", **document)
    assert is_refused(iam.create_user, UserName="another", Path="/admins/")
    # A new name or path needs the permission on what it makes, too.
    for given in ({"NewPath": "/admins/"}, {"NewPath": "/admins/", "NewUserName": "other"}):
        assert is_refused(iam.update_user, UserName="Renamed", **given)
    assert is_refused(iam.update_group, GroupName="Chiefs", NewPath="/")
    assert not is_refused(iam.update_user, UserName="renamed", NewUserName="other", NewPath="/plain/more/")
    only = User(server, allow("iam:*", f"arn:aws:iam::{ACCOUNT}:user/plain/*")).client("iam")
    assert not is_refused(only.create_access_key, UserName="worker")
    assert not is_refused(only.create_login_profile, UserName="WORKER", Password="Abcdef123456!")
    assert is_refused(only.update_user, UserName="Worker", NewPath="/")
    assert not is_refused(only.update_user, UserName="Worker", NewUserName="Worker2")
    assert is_refused(only.create_access_key, UserName="Boss")


def test_changes_come_to_hold_in_every_worker(server: Server) -> None:
    user = User(server, allow("dynamodb:GetItem", TABLE))
    clients = [user.client() for _ in range(8)]
    asked = {"TableName": "GameScores", "Key": key()}

    def answers() -> set[str]:
        return {answer(client.get_item, **asked) for client in clients}

    eventually(lambda: answers() == {"allowed"})
    user.may(allow("dynamodb:PutItem", TABLE))
    eventually(lambda: answers() == {"AccessDeniedException"})
    user.may(allow("dynamodb:GetItem", TABLE))
    eventually(lambda: answers() == {"allowed"})
    iam = server.client("iam")
    access_key = user.keys["aws_access_key_id"]
    iam.update_access_key(UserName=user.name, AccessKeyId=access_key, Status="Inactive")
    eventually(lambda: answers() == {"UnrecognizedClientException"})
    unknown = (400, "UnrecognizedClientException", "The security token included in the request is invalid.")
    assert {refusal(client.get_item, **asked) for client in clients} == {unknown}
    iam.update_access_key(UserName=user.name, AccessKeyId=access_key, Status="Active")
    eventually(lambda: answers() == {"allowed"})
    iam.delete_access_key(UserName=user.name, AccessKeyId=access_key)
    eventually(lambda: answers() == {"UnrecognizedClientException"})
    assert {refusal(client.get_item, **asked) for client in clients} == {unknown}


def test_the_last_use_of_a_key(server: Server) -> None:
    user = User(server, allow("dynamodb:GetItem", TABLE))
    user.dynamodb.get_item(TableName="GameScores", Key=key())
    iam = server.client("iam")

    def used() -> Any:
        return iam.get_access_key_last_used(AccessKeyId=user.keys["aws_access_key_id"])["AccessKeyLastUsed"]

    eventually(lambda: "LastUsedDate" in used())
    assert (used()["ServiceName"], used()["Region"]) == ("dynamodb", REGION)


def test_a_key_from_the_machine_itself(server: Server) -> None:
    user = User(server, allow("dynamodb:GetItem", TABLE))
    where = ("--data-dir", str(server.options["data_dir"]))
    made = run_jedlik("credentials", "create", *where, "--user", user.name)
    lines = dict(line.split(" = ") for line in made.stdout.splitlines() if " = " in line)
    keys = {name: lines[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
    assert server.client("sts", **keys).get_caller_identity()["Arn"] == user.arn
    refused = run_jedlik("credentials", "create", *where, "--user", "nobody")
    assert (refused.returncode, refused.stderr) == (2, "jedlik: The user with name nobody cannot be found.\n")


def test_keys_that_were_made_before_there_were_users(start_server: Callable[..., Server]) -> None:
    server = start_server(auth="on")
    file = server.options["data_dir"] / "credentials.json"  # type: ignore[operator]
    former = {name: {k: v for k, v in one.items() if k != "root"} for name, one in json.loads(file.read_text()).items()}
    file.write_text(json.dumps(former))
    imported = f"arn:aws:iam::{ACCOUNT}:user/imported"
    sts, iam = server.client("sts"), server.client("iam")
    eventually(lambda: sts.get_caller_identity()["Arn"] == imported)
    iam.create_user(UserName="bob")
    assert [one["UserName"] for one in iam.list_users()["Users"]] == ["bob", "imported"]
    attached = iam.list_attached_user_policies(UserName="imported")["AttachedPolicies"]
    assert [one["PolicyArn"] for one in attached] == [ADMINISTRATOR]
    assert sts.get_caller_identity()["Arn"] == imported
    iam.detach_user_policy(UserName="imported", PolicyArn=ADMINISTRATOR)
    assert is_refused(iam.list_users)  # The only worker knows of its own change at once.
