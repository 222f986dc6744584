"""Simulated decisions: by the documentation's examples, and against what requests get."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jedlik.aws.policies.document_texts import Position, spans
from testing.identities import policy, refusal
from testing.jedlik_process import Server

ACCOUNT, OTHER = "000000000000", "222222222222"
TABLE = f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/Table"
TABLES = "arn:${Partition}:dynamodb:${Region}:${Account}:table/${TableName}"
BY_DATE = (
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*",'
    '"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}'
)
SPREAD = """{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "codecommit:ListRepositories",
            "Resource": "*"
        },
        {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    ]
}"""


def entry(name: str, *values: str, kind: str = "string") -> dict[str, Any]:
    return {"ContextKeyName": name, "ContextKeyValues": list(values), "ContextKeyType": kind}


def says(effect: str, action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def results(call: Any, **request: Any) -> list[dict[str, Any]]:
    answer = call(**request)
    assert answer["IsTruncated"] is False
    found: list[dict[str, Any]] = answer["EvaluationResults"]
    return found


def at(line: int, column: int) -> dict[str, int]:
    return {"Line": line, "Column": column}


# One policy after the other


@pytest.mark.parametrize(("now", "decision"), [("2019-04-25T11:00:00Z", "allowed"), ("2014-04-25T11:00:00Z", "")])
def test_the_example_of_the_cli(iam: Any, now: str, decision: str) -> None:
    [found] = results(
        iam.simulate_custom_policy,
        PolicyInputList=[BY_DATE],
        ActionNames=["dynamodb:CreateBackup"],
        ContextEntries=[entry("aws:CurrentTime", now, kind="date")],
    )
    matched = {
        "SourcePolicyId": "PolicyInputList.1",
        "SourcePolicyType": "IAM Policy",
        "StartPosition": at(1, 38),
        "EndPosition": at(1, 167),
    }
    assert found == {
        "EvalActionName": "dynamodb:CreateBackup",
        "EvalResourceName": "*",
        "EvalDecision": decision or "implicitDeny",
        "MatchedStatements": [matched] if decision else [],
        "MissingContextValues": [],
    }


def test_statements_are_found_by_line_and_column(iam: Any) -> None:
    first, second = results(
        iam.simulate_custom_policy,
        PolicyInputList=[SPREAD],
        ActionNames=["codecommit:ListRepositories", "s3:ListBucket"],
    )
    [allowing], [denying] = first["MatchedStatements"], second["MatchedStatements"]
    assert (first["EvalDecision"], second["EvalDecision"]) == ("allowed", "explicitDeny")
    assert (allowing["StartPosition"], allowing["EndPosition"]) == (at(3, 19), at(8, 10))
    assert (denying["StartPosition"], denying["EndPosition"]) == (at(8, 10), at(9, 62))


def test_the_keys_that_policies_use(iam: Any) -> None:
    document = policy(
        says(
            "Allow",
            "dynamodb:*",
            "arn:aws:dynamodb:us-west-2:123456789012:table/${aws:username}",
            Condition={"DateGreaterThan": {"aws:CurrentTime": "2015-08-16T12:00:00Z"}},
        ),
        says("Deny", "*", Condition={"StringLike": {"AWS:UserName": ["${aws:PrincipalTag/team, 'none'}${*}"]}}),
    )
    answer = iam.get_context_keys_for_custom_policy(PolicyInputList=[document])
    assert answer["ContextKeyNames"] == ["aws:username", "aws:CurrentTime", "aws:PrincipalTag/team"]
    [found] = results(
        iam.simulate_custom_policy,
        PolicyInputList=[document],
        ActionNames=["dynamodb:GetItem"],
        ContextEntries=[entry("aws:username", "bob")],
    )
    assert found["MissingContextValues"] == ["aws:CurrentTime", "aws:PrincipalTag/team"]
    assert found["EvalDecision"] == "implicitDeny"


@pytest.mark.parametrize(
    ("operator", "wanted", "kind", "right", "wrong"),
    [
        ("StringEquals", "x", "string", "x", "y"),
        ("NumericLessThan", "5", "numeric", "4.5", "5"),
        ("Bool", "true", "boolean", "true", "false"),
        ("IpAddress", "10.0.0.0/8", "ip", "10.1.2.3", "11.0.0.1"),
        ("BinaryEquals", "aGk=", "binary", "aGk=", "aGo="),
        ("DateLessThan", "2020-01-01T00:00:00Z", "date", "2019-12-31", "2020-01-02"),
    ],
)
def test_context_entries_of_every_type(iam: Any, operator: str, wanted: str, kind: str, right: str, wrong: str) -> None:
    condition = {operator: {"aws:RequestTag/a": wanted}, f"ForAllValues:{operator}": {"aws:TagKeys": [wanted]}}
    document = policy(says("Allow", "dynamodb:TagResource", Condition=condition))
    for values, listed, decision in (
        (right, [right, right], "allowed"),
        (wrong, [right], ""),
        (right, [right, wrong], ""),
    ):
        entries = [entry("aws:RequestTag/a", values, kind=kind), entry("aws:TagKeys", *listed, kind=f"{kind}List")]
        [found] = results(
            iam.simulate_custom_policy,
            PolicyInputList=[document],
            ActionNames=["dynamodb:TagResource"],
            ContextEntries=entries,
        )
        assert found["EvalDecision"] == (decision or "implicitDeny")
    if kind != "string":
        entries = [entry("aws:RequestTag/a", "no such value!", kind=kind)]
        refused = refusal(
            iam.simulate_custom_policy,
            PolicyInputList=[document],
            ActionNames=["dynamodb:TagResource"],
            ContextEntries=entries,
        )
        assert refused[:2] == (400, "InvalidInput")


def test_results_of_each_resource(iam: Any, account: str) -> None:
    tables = [f"arn:aws:dynamodb:us-east-1:{account}:table/{name}" for name in ("A", "B")]
    index = f"{tables[0]}/index/I"
    document = policy(says("Allow", "dynamodb:Query"), says("Deny", "dynamodb:*", tables[1]))
    query, get = results(
        iam.simulate_custom_policy,
        PolicyInputList=[document],
        ActionNames=["dynamodb:Query"],
        ResourceArns=[*tables, index],
    )
    assert (query["EvalResourceName"], query["EvalDecision"]) == (TABLES, "explicitDeny")
    assert (get["EvalResourceName"], get["EvalDecision"]) == (TABLES + "/index/${IndexName}", "allowed")
    each = [(one["EvalResourceName"], one["EvalResourceDecision"]) for one in query["ResourceSpecificResults"]]
    assert each == [(tables[0], "allowed"), (tables[1], "explicitDeny")]
    of_each = [one["MatchedStatements"] for one in query["ResourceSpecificResults"]]
    assert query["MatchedStatements"] == of_each[1] != of_each[0]
    assert query["EvalDecisionDetails"] == {}
    assert "EvalDecisionDetails" not in query["ResourceSpecificResults"][0]


def test_a_boundary_limits(iam: Any) -> None:
    everything, reads = policy(says("Allow", "*")), policy(says("Allow", "dynamodb:GetItem"))
    get, put = results(
        iam.simulate_custom_policy,
        PolicyInputList=[everything],
        PermissionsBoundaryPolicyInputList=[reads],
        ActionNames=["dynamodb:GetItem", "dynamodb:PutItem"],
    )
    for found, allowed in ((get, True), (put, False)):
        assert found["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": allowed}
        assert found["EvalDecision"] == ("allowed" if allowed else "implicitDeny")


def test_policies_of_an_organization_limit(iam: Any, account: str) -> None:
    everything, reads = policy(says("Allow", "*")), policy(says("Allow", "dynamodb:Get*"))
    no_items = policy(says("Allow", "*"), says("Deny", "dynamodb:GetItem"))
    arn = f"arn:aws:dynamodb:us-east-1:{account}:table/A"

    def decided(*levels: list[str]) -> tuple[str, bool]:
        [found] = results(
            iam.simulate_custom_policy,
            PolicyInputList=[everything],
            OrderedOrganizationPolicyInputList=[{"ServiceControlPolicyInputList": level} for level in levels],
            ActionNames=["dynamodb:GetItem"],
            ResourceArns=[arn],
        )
        detail: bool = found["OrganizationsDecisionDetail"]["AllowedByOrganizations"]
        assert ("EvalDecisionDetails" in found) is detail
        return found["EvalDecision"], detail

    assert decided([everything], [reads]) == ("allowed", True)
    assert decided([everything], [policy(says("Allow", "s3:*"))]) == ("implicitDeny", False)
    assert decided([everything], [no_items, everything]) == ("explicitDeny", False)


def test_a_policy_of_a_resource_of_another_account(iam: Any, account: str) -> None:
    theirs = f"arn:aws:dynamodb:us-east-1:{OTHER}:table/A"
    bob = f"arn:aws:iam::{account}:user/bob"
    own = policy(says("Allow", "dynamodb:*"))

    def decided(principal: str, effect: str = "Allow") -> dict[str, Any]:
        on_table = policy(says(effect, "dynamodb:GetItem", theirs, Principal={"AWS": principal}))
        [found] = results(
            iam.simulate_custom_policy,
            PolicyInputList=[own],
            ResourcePolicy=on_table,
            CallerArn=bob,
            ActionNames=["dynamodb:GetItem"],
            ResourceArns=[theirs],
        )
        [one] = found["ResourceSpecificResults"]
        assert one["EvalDecisionDetails"] == found["EvalDecisionDetails"]
        return found

    for principal in (bob, account):
        found = decided(principal)
        assert found["EvalDecision"] == "allowed"
        assert found["EvalDecisionDetails"] == {"IAM Policy": "allowed", "Resource Policy": "allowed"}
        kinds = [(one["SourcePolicyId"], one["SourcePolicyType"]) for one in found["MatchedStatements"]]
        assert kinds == [("PolicyInputList.1", "IAM Policy"), ("ResourcePolicy", "Resource Policy")]
    found = decided(f"arn:aws:iam::{account}:user/eve")
    assert found["EvalDecision"] == "implicitDeny"
    assert found["EvalDecisionDetails"] == {"IAM Policy": "allowed", "Resource Policy": "implicitDeny"}
    found = decided(bob, "Deny")
    assert found["EvalDecision"] == "explicitDeny"
    assert [one["SourcePolicyId"] for one in found["MatchedStatements"]] == ["ResourcePolicy"]


def test_the_owner_of_resources_whose_names_do_not_show_it(iam: Any, account: str) -> None:
    request = {
        "PolicyInputList": [policy(says("Allow", "s3:*"))],
        "ResourcePolicy": policy(says("Allow", "s3:*", "arn:aws:s3:::bucket/*", Principal={"AWS": account})),
        "CallerArn": f"arn:aws:iam::{account}:user/bob",
        "ActionNames": ["s3:GetObject"],
        "ResourceArns": ["arn:aws:s3:::bucket/x"],
    }
    for owner, details in ((account, {}), (OTHER, {"IAM Policy": "allowed", "Resource Policy": "allowed"})):
        [found] = results(iam.simulate_custom_policy, **request, ResourceOwner=f"arn:aws:iam::{owner}:root")
        assert (found["EvalDecision"], found["EvalDecisionDetails"]) == ("allowed", details)


def test_pages(iam: Any) -> None:
    request = {"PolicyInputList": [policy(says("Allow", "dynamodb:Get*"))]}
    names = [f"dynamodb:{name}" for name in ("GetItem", "PutItem", "GetRecords", "Query", "Scan")]
    pages = iam.get_paginator("simulate_custom_policy").paginate(
        **request, ActionNames=names, PaginationConfig={"PageSize": 2}
    )
    sizes, found = [], []
    for one in pages:
        sizes.append(len(one["EvaluationResults"]))
        found += [result["EvalActionName"] for result in one["EvaluationResults"]]
    assert (sizes, found) == ([2, 2, 1], names)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"PolicyInputList": ["{"]}, "Syntax errors in policy."),
        ({"ActionNames": ["dynamodb:*"]}, "ActionNames are not valid: dynamodb:*."),
        ({"ActionNames": ["dynamodb:GetItems"]}, "ActionNames are not valid: dynamodb:GetItems."),
        ({"ActionNames": ["GetItem"]}, "ActionNames are not valid: GetItem."),
        ({"ResourceArns": ["Table"]}, "ResourceNames are not in a valid ARN format: Table."),
        ({"ResourceOwner": "123456789012"}, "'123456789012' is not a valid as a Resource Owner."),
        (
            {"CallerArn": "arn:aws:sts::123456789012:assumed-role/a/b"},
            "Invalid Entity Arn: arn:aws:sts::123456789012:assumed-role/a/b does not clearly define entity type "
            "and name.",
        ),
        (
            {"ResourcePolicy": policy(says("Allow", "*", "*", Principal="*"))},
            "Invalid caller - Caller cannot be null or empty.",
        ),
        (
            {
                "ResourcePolicy": policy(says("Allow", "*", TABLE, Principal="*")),
                "CallerArn": "arn:aws:iam::123456789012:user/b",
                "ResourceArns": [TABLE + "x"],
            },
            f"The resource policy does not apply to the resource {TABLE}x.",
        ),
        ({"ResourceHandlingOption": "EC2"}, "EC2 is not a valid ResourceHandlingOption."),
        ({"ResourceHandlingOption": "EC2-VPC-EBS"}, "EC2-VPC-EBS needs a resource of the type instance."),
        (
            {"PermissionsBoundaryPolicyInputList": [policy(says("Allow", "*"))] * 2},
            "Only one permissions boundary policy can be simulated.",
        ),
        (
            {"ContextEntries": [entry("aws:a", "1", "2")]},
            "The context key aws:a of type string cannot have more than one value.",
        ),
    ],
)
def test_what_cannot_be_simulated(iam: Any, more: dict[str, Any], message: str) -> None:
    request = {"PolicyInputList": [policy(says("Allow", "*"))], "ActionNames": ["dynamodb:GetItem"]} | more
    assert refusal(iam.simulate_custom_policy, **request) == (400, "InvalidInput", message)


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\ud800"), max_size=20), min_size=1, max_size=4),
    st.sampled_from([None, 1, 4]),
    st.booleans(),
    st.booleans(),
)
def test_a_span_holds_its_statement_and_no_other(
    ids: list[str], indent: int | None, is_alone: bool, is_last: bool
) -> None:
    """Whatever the texts in it, which may have quotes, braces and line feeds."""
    statements = [
        says("Allow", "dynamodb:*", f"arn:aws:dynamodb:*:*:table/{name}", Sid=str(at_)) for at_, name in enumerate(ids)
    ]
    listed: Any = statements[0] if is_alone else statements
    members = {"Id": '{}[],"Statement"', "Statement": listed, "Version": "2012-10-17"}
    if not is_last:
        members = dict(reversed(members.items()))
    text = json.dumps(members, indent=indent)
    lines = text.split("\n")

    def offset(position: Position) -> int:
        return sum(len(line) + 1 for line in lines[: position.line - 1]) + position.column - 1

    found = [text[offset(span.start) : offset(span.end)].lstrip(", \n") for span in spans(text)]
    whole = [one if one.startswith("{") else "{" + one for one in found]
    assert [json.loads(one) for one in whole] == ([statements[0]] if is_alone else statements)


# The policies of an entity


def test_the_policies_of_a_user_its_groups_and_its_boundary(iam: Any, account: str) -> None:
    iam.create_user(UserName="bob", Tags=[{"Key": "team", "Value": "red"}])
    iam.create_group(GroupName="readers")
    iam.add_user_to_group(UserName="bob", GroupName="readers")
    arn, table = f"arn:aws:iam::{account}:user/bob", f"arn:aws:dynamodb:us-east-1:{account}:table/bob"
    own = says("Allow", "dynamodb:PutItem", table.replace("bob", "${aws:username}"))
    by_tag = says("Allow", "dynamodb:Scan", Condition={"StringEquals": {"aws:PrincipalTag/team": "red"}})
    iam.put_user_policy(UserName="bob", PolicyName="own", PolicyDocument=policy(own, by_tag))
    iam.attach_group_policy(GroupName="readers", PolicyArn="arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess")
    iam.put_group_policy(GroupName="readers", PolicyName="no", PolicyDocument=policy(says("Deny", "dynamodb:Query")))

    def decided(action: str, **more: Any) -> tuple[str, list[str]]:
        [found] = results(
            iam.simulate_principal_policy,
            **{"PolicySourceArn": arn, "ActionNames": [f"dynamodb:{action}"], "ResourceArns": [table]} | more,
        )
        return found["EvalDecision"], [one["SourcePolicyId"] for one in found["MatchedStatements"]]

    assert decided("PutItem") == ("allowed", ["user_bob_own"])
    assert decided("Scan")[1] == ["user_bob_own", "AmazonDynamoDBReadOnlyAccess"]
    assert decided("GetItem") == ("allowed", ["AmazonDynamoDBReadOnlyAccess"])
    assert decided("Query") == ("explicitDeny", ["group_readers_no"])
    assert decided("DeleteItem") == ("implicitDeny", [])
    more = policy(says("Allow", "dynamodb:DeleteItem"))
    assert decided("DeleteItem", PolicyInputList=[more]) == ("allowed", ["PolicyInputList.1"])
    readers = f"arn:aws:iam::{account}:group/readers"
    assert decided("PutItem", PolicySourceArn=readers) == ("implicitDeny", [])
    assert decided("GetItem", PolicySourceArn=readers)[0] == "allowed"
    as_eve = f"arn:aws:iam::{account}:user/eve"
    assert decided("PutItem", CallerArn=as_eve) == ("implicitDeny", [])
    assert decided("PutItem", CallerArn=as_eve, ResourceArns=[table.replace("bob", "eve")])[0] == "allowed"

    excluded = [
        {"InlinePolicyIdentifier": {"PolicyName": "no", "AttachmentType": "group", "AttachmentName": "readers"}}
    ]
    assert decided("Query", PolicyExclusionList=excluded)[0] == "allowed"
    assert decided("GetItem", PolicyExclusionList=[{"PolicyType": "aws-managed"}]) == ("implicitDeny", [])
    assert decided("GetItem", PolicyExclusionList=[{"PolicyArn": "arn:aws:iam::aws:policy/Amazon*"}])[0] != "allowed"
    assert decided("Query", PolicyExclusionList=[{"PolicyType": "inline"}])[0] == "allowed"
    wrong = [{"PolicyArn": "arn:aws:iam::*:policy/readers"}]
    request = {"PolicySourceArn": arn, "ActionNames": ["dynamodb:Query"], "PolicyExclusionList": wrong}
    assert refusal(iam.simulate_principal_policy, **request)[:2] == (400, "InvalidInput")

    iam.put_user_permissions_boundary(UserName="bob", PermissionsBoundary="arn:aws:iam::aws:policy/IAMReadOnlyAccess")
    assert decided("GetItem") == ("implicitDeny", [])
    assert decided("GetItem", PolicyExclusionList=[{"PolicyType": "permission-boundary"}])[0] == "allowed"
    assert decided("GetItem", PermissionsBoundaryPolicyInputList=[policy(says("Allow", "*"))])[0] == "allowed"
    keys = iam.get_context_keys_for_principal_policy(PolicySourceArn=arn, PolicyInputList=[BY_DATE])
    assert keys["ContextKeyNames"] == ["aws:username", "aws:PrincipalTag/team", "aws:CurrentTime"]


def test_an_entity_that_is_not_there(iam: Any, account: str) -> None:
    for call in (iam.simulate_principal_policy, iam.get_context_keys_for_principal_policy):
        more = {"ActionNames": ["iam:GetUser"]} if call == iam.simulate_principal_policy else {}
        for kind in ("user", "group", "role"):
            refused = refusal(call, PolicySourceArn=f"arn:aws:iam::{account}:{kind}/nobody", **more)
            assert refused == (404, "NoSuchEntity", f"The {kind} with name nobody cannot be found.")
        session = f"arn:aws:sts::{account}:assumed-role/u-admin/session"
        refused = refusal(call, PolicySourceArn=session, **more)
        text = f"Invalid Entity Arn: {session} does not clearly define entity type and name."
        assert refused == (400, "InvalidInput", text)


# Against requests


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server]) -> Server:
    """One worker: a change holds at once."""
    running = start_shared_server(auth="on", workers=1, in_memory=True)
    running.client().create_table(
        TableName="Table",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
    )
    iam = running.client("iam")
    iam.create_user(UserName="bob", Tags=[{"Key": "team", "Value": "a"}])
    iam.create_role(
        RoleName="app",
        AssumeRolePolicyDocument=policy(
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/bob"}}
        ),
        Tags=[{"Key": "team", "Value": "a"}],
    )
    iam.create_policy(PolicyName="limit", PolicyDocument=policy(says("Allow", "*")))
    return running


CONDITIONS = st.builds(
    lambda operator, key, values: {operator: {key: values}},
    st.sampled_from(
        ["StringEquals", "StringNotEquals", "StringLikeIfExists", "ForAllValues:StringEquals", "ForAnyValue:StringLike"]
    ),
    st.sampled_from(["dynamodb:LeadingKeys", "dynamodb:Select", "aws:PrincipalTag/team", "aws:username", "aws:none"]),
    st.lists(st.sampled_from(["a", "b", "*", "ALL_ATTRIBUTES", "${aws:PrincipalTag/team}"]), min_size=1, max_size=2),
)
STATEMENTS = st.lists(
    st.builds(
        lambda effect, action, resource, condition: says(effect, action, resource, Condition=condition),
        st.sampled_from(["Allow", "Allow", "Allow", "Deny"]),
        st.sampled_from(["*", "dynamodb:Get*", "dynamodb:PutItem", ["dynamodb:Query", "dynamodb:GetItem"]]),
        st.sampled_from([TABLE, TABLE, "arn:aws:dynamodb:*:*:table/T*", TABLE + "x"]),
        st.just({}) | CONDITIONS,
    ),
    min_size=1,
    max_size=3,
)
PRINCIPALS = st.sampled_from([f"arn:aws:iam::{ACCOUNT}:user/bob", f"arn:aws:iam::{ACCOUNT}:role/app", ACCOUNT])
REQUESTS: tuple[tuple[str, dict[str, Any], dict[str, tuple[str, ...]]], ...] = (
    ("GetItem", {"Key": {"k": {"S": "a"}}}, {"LeadingKeys": ("a",), "Select": ("ALL_ATTRIBUTES",)}),
    (
        "GetItem",
        {"Key": {"k": {"S": "b"}}, "ProjectionExpression": "k"},
        {"LeadingKeys": ("b",), "Select": ("SPECIFIC_ATTRIBUTES",)},
    ),
    ("PutItem", {"Item": {"k": {"S": "a"}}}, {"LeadingKeys": ("a",)}),
    (
        "Query",
        {"KeyConditionExpression": "k = :k", "ExpressionAttributeValues": {":k": {"S": "b"}}},
        {"LeadingKeys": ("b",), "Select": ("ALL_ATTRIBUTES",)},
    ),
)


def answered(client: Any, name: str, request: dict[str, Any]) -> str:
    """What a request gets, as the simulator calls it."""
    method = {"GetItem": client.get_item, "PutItem": client.put_item, "Query": client.query}[name]
    try:
        method(TableName="Table", **request)
    except client.exceptions.ClientError as error:
        found = error.response["Error"]
        assert found["Code"] == "AccessDeniedException", found
        return "explicitDeny" if "explicit deny" in found["Message"] else "implicitDeny"
    return "allowed"


def test_the_simulator_agrees_with_what_requests_get(server: Server) -> None:
    root, iam = server.client(), server.client("iam")
    made = iam.create_access_key(UserName="bob")["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    arn = f"arn:aws:iam::{ACCOUNT}:role/app"
    session = server.client("sts", **keys).assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
    in_role = {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
        "aws_session_token": session["SessionToken"],
    }
    askers = {"user/bob": server.client(**keys), "role/app": server.client(**in_role)}
    seen = set()

    @settings(max_examples=25, deadline=None)
    @given(STATEMENTS, st.none() | STATEMENTS, st.none() | st.tuples(STATEMENTS, PRINCIPALS))
    def agrees(own: list[Any], boundary: list[Any] | None, on_table: tuple[list[Any], str] | None) -> None:
        iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=policy(*own))
        iam.put_role_policy(RoleName="app", PolicyName="p", PolicyDocument=policy(*own))
        more: dict[str, Any] = {}
        if boundary:
            more["PermissionsBoundaryPolicyInputList"] = [policy(*boundary)]
            limit = f"arn:aws:iam::{ACCOUNT}:policy/limit"
            iam.create_policy_version(PolicyArn=limit, PolicyDocument=policy(*boundary), SetAsDefault=True)
            for one in iam.list_policy_versions(PolicyArn=limit)["Versions"]:
                if not one["IsDefaultVersion"]:
                    iam.delete_policy_version(PolicyArn=limit, VersionId=one["VersionId"])
            iam.put_user_permissions_boundary(UserName="bob", PermissionsBoundary=limit)
            iam.put_role_permissions_boundary(RoleName="app", PermissionsBoundary=limit)
        if on_table:
            principal = {"AWS": on_table[1]}
            here = [one | {"Resource": TABLE, "Principal": principal} for one in on_table[0]]
            more["ResourcePolicy"] = policy(
                *({**one, "Action": "dynamodb:*"} if one["Action"] == "*" else one for one in here)
            )
            root.put_resource_policy(
                ResourceArn=TABLE, Policy=more["ResourcePolicy"], ConfirmRemoveSelfResourceAccess=True
            )
        try:
            for asker, client in askers.items():
                for name, request, values in REQUESTS:
                    [found] = iam.simulate_principal_policy(
                        PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:{asker}",
                        ActionNames=[f"dynamodb:{name}"],
                        ResourceArns=[TABLE],
                        ContextEntries=[
                            entry(f"dynamodb:{key}", *given_, kind="stringList") for key, given_ in values.items()
                        ],
                        **more,
                    )["EvaluationResults"]
                    shown = json.dumps([own, boundary, on_table, asker, name])
                    assert found["EvalDecision"] == answered(client, name, request), shown
                    seen.add(found["EvalDecision"])
        finally:
            if boundary:
                iam.delete_user_permissions_boundary(UserName="bob")
                iam.delete_role_permissions_boundary(RoleName="app")
            if on_table:
                root.delete_resource_policy(ResourceArn=TABLE)

    agrees()
    assert seen == {"allowed", "implicitDeny", "explicitDeny"}
