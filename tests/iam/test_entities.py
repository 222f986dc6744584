"""Users, groups, roles, policies and their kin, over IAM's query API."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from testing.identities import ALLOW_READS, policy, refusal
from testing.jedlik_process import Server

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess"
TRUST = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}})


def without_metadata(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


# Users


def test_a_user_from_first_to_last(iam: Any, account: str) -> None:
    made = iam.create_user(UserName="Bob", Path="/dev/", Tags=[{"Key": "Team", "Value": "x"}])["User"]
    assert re.fullmatch(r"AIDA[A-Z2-7]{17}", made["UserId"])
    assert (made["Arn"], made["Path"]) == (f"arn:aws:iam::{account}:user/dev/Bob", "/dev/")
    assert iam.get_user(UserName="BOB")["User"] == made
    [listed] = iam.list_users(PathPrefix="/dev/")["Users"]
    assert listed == {name: value for name, value in made.items() if name != "Tags"}
    assert iam.list_users(PathPrefix="/ops/")["Users"] == []
    iam.update_user(UserName="bob", NewUserName="Rob", NewPath="/")
    assert iam.get_user(UserName="rob")["User"]["Arn"] == f"arn:aws:iam::{account}:user/Rob"
    assert iam.get_user(UserName="rob")["User"]["UserId"] == made["UserId"]
    missing = (404, "NoSuchEntity", "The user with name Bob cannot be found.")
    assert refusal(iam.get_user, UserName="Bob") == missing
    iam.delete_user(UserName="Rob")
    assert iam.list_users()["Users"] == []
    assert refusal(iam.delete_user, UserName="Bob") == missing
    assert iam.create_user(UserName="Rob")["User"]["UserId"] != made["UserId"]


def test_names_are_unique_in_any_case(iam: Any) -> None:
    iam.create_user(UserName="Bob")
    iam.create_user(UserName="eve")
    there = (409, "EntityAlreadyExists", "User with name bOB already exists.")
    assert refusal(iam.create_user, UserName="bOB") == there
    assert refusal(iam.update_user, UserName="eve", NewUserName="bOB") == there
    iam.update_user(UserName="Bob", NewUserName="BOB")
    assert iam.get_user(UserName="bob")["User"]["UserName"] == "BOB"


def test_what_is_no_name(iam: Any) -> None:
    status, code, message = refusal(iam.create_user, UserName="B b")
    assert (status, code) == (400, "ValidationError")
    assert message.startswith("1 validation error detected: Value 'B b' at 'userName' failed to satisfy constraint")
    assert refusal(iam.create_user, UserName="x" * 65)[1] == "ValidationError"
    assert refusal(iam.create_user, UserName="bob", Path="dev")[1] == "ValidationError"


def test_listings_come_in_pages(iam: Any) -> None:
    for number in range(5):
        iam.create_user(UserName=f"user{number}")
    first = iam.list_users(MaxItems=2)
    assert first["IsTruncated"]
    pages = iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2})
    assert [[user["UserName"] for user in one["Users"]] for one in pages] == [
        ["user0", "user1"],
        ["user2", "user3"],
        ["user4"],
    ]
    assert refusal(iam.list_users, Marker="%%%")[:2] == (400, "ValidationError")


def test_a_user_that_has_something_is_not_deleted(iam: Any) -> None:
    iam.create_user(UserName="bob")
    iam.create_group(GroupName="devs")
    key = iam.create_access_key(UserName="bob")["AccessKey"]["AccessKeyId"]
    iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=ALLOW_READS)
    iam.attach_user_policy(UserName="bob", PolicyArn=ADMINISTRATOR)
    iam.add_user_to_group(UserName="bob", GroupName="devs")
    mending: list[tuple[str, Callable[[], Any]]] = [
        ("must remove users from group first", lambda: iam.remove_user_from_group(UserName="bob", GroupName="devs")),
        ("must detach all policies first", lambda: iam.detach_user_policy(UserName="bob", PolicyArn=ADMINISTRATOR)),
        ("must delete policies first", lambda: iam.delete_user_policy(UserName="bob", PolicyName="p")),
        ("must delete access keys first", lambda: iam.delete_access_key(UserName="bob", AccessKeyId=key)),
    ]
    for reason, mend in mending:
        conflict = (409, "DeleteConflict", f"Cannot delete entity, {reason}.")
        assert refusal(iam.delete_user, UserName="bob") == conflict
        mend()
    iam.delete_user(UserName="bob")


# Access keys


def test_access_keys(iam: Any, open_server: Server, account: str) -> None:
    iam.create_user(UserName="bob")
    made = [iam.create_access_key(UserName="bob")["AccessKey"] for _ in range(2)]
    assert all(re.fullmatch(r"AKIA[A-Z2-7]{16}", one["AccessKeyId"]) for one in made)
    assert all(re.fullmatch(r"[A-Za-z0-9+/]{40}", one["SecretAccessKey"]) for one in made)
    assert refusal(iam.create_access_key, UserName="bob") == (
        *(409, "LimitExceeded"),
        "Cannot exceed quota for AccessKeysPerUser: 2",
    )
    first, second = (one["AccessKeyId"] for one in made)
    iam.update_access_key(UserName="bob", AccessKeyId=first, Status="Inactive")
    listed = iam.list_access_keys(UserName="bob")["AccessKeyMetadata"]
    assert {one["AccessKeyId"]: one["Status"] for one in listed} == {first: "Inactive", second: "Active"}
    assert "SecretAccessKey" not in listed[0]
    never = iam.get_access_key_last_used(AccessKeyId=first)
    assert never["UserName"] == "bob"
    assert never["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
    iam.delete_access_key(UserName="bob", AccessKeyId=first)
    missing = (404, "NoSuchEntity", f"The Access Key with id {first} cannot be found.")
    assert refusal(iam.delete_access_key, UserName="bob", AccessKeyId=first) == missing
    assert refusal(iam.update_access_key, UserName="bob", AccessKeyId=first, Status="Active") == missing
    assert refusal(iam.get_access_key_last_used, AccessKeyId=first) == missing
    assert refusal(iam.create_access_key) == (
        *(400, "ValidationError"),
        "Must specify userName when calling with non-User credentials",
    )


# Groups


def test_groups(iam: Any, account: str) -> None:
    group = iam.create_group(GroupName="devs", Path="/x/")["Group"]
    assert group["Arn"] == f"arn:aws:iam::{account}:group/x/devs"
    assert re.fullmatch(r"AGPA[A-Z2-7]{17}", group["GroupId"])
    for name in ("bob", "eve"):
        iam.create_user(UserName=name)
        iam.add_user_to_group(GroupName="devs", UserName=name)
        iam.add_user_to_group(GroupName="devs", UserName=name)
    found = iam.get_group(GroupName="devs")
    assert found["Group"] == group
    assert [user["UserName"] for user in found["Users"]] == ["bob", "eve"]
    assert iam.list_groups_for_user(UserName="bob")["Groups"] == [group]
    conflict = (409, "DeleteConflict", "Cannot delete entity, must remove users from group first.")
    assert refusal(iam.delete_group, GroupName="devs") == conflict
    iam.update_group(GroupName="devs", NewGroupName="ops")
    assert iam.list_groups_for_user(UserName="bob")["Groups"][0]["GroupName"] == "ops"
    for name in ("bob", "eve"):
        iam.remove_user_from_group(GroupName="ops", UserName=name)
    assert refusal(iam.remove_user_from_group, GroupName="ops", UserName="bob")[:2] == (404, "NoSuchEntity")
    iam.delete_group(GroupName="ops")
    assert iam.list_groups()["Groups"] == []
    iam.create_group(GroupName="last")
    for number in range(10):
        iam.create_group(GroupName=f"g{number}")
        iam.add_user_to_group(GroupName=f"g{number}", UserName="bob")
    quota = (409, "LimitExceeded", "Cannot exceed quota for GroupsPerUser: 10")
    assert refusal(iam.add_user_to_group, GroupName="last", UserName="bob") == quota


# Policies


def test_inline_policies(iam: Any) -> None:
    iam.create_user(UserName="bob")
    iam.create_group(GroupName="devs")
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)
    for kind, who, most in (
        ("user", {"UserName": "bob"}, 2048),
        ("group", {"GroupName": "devs"}, 5120),
        ("role", {"RoleName": "app"}, 10240),
    ):
        put, get, delete, list_ = (
            getattr(iam, name.format(kind))
            for name in ("put_{}_policy", "get_{}_policy", "delete_{}_policy", "list_{}_policies")
        )
        put(**who, PolicyName="p", PolicyDocument=ALLOW_READS)
        assert get(**who, PolicyName="p")["PolicyDocument"] == json.loads(ALLOW_READS)
        assert list_(**who)["PolicyNames"] == ["p"]
        malformed = (400, "MalformedPolicyDocument", "Syntax errors in policy.")
        assert refusal(put, **who, PolicyName="p", PolicyDocument="{") == malformed
        large = policy({"Effect": "Allow", "Action": "s3:" + "x" * most, "Resource": "*"})
        [name] = who.values()
        too_large = (409, "LimitExceeded", f"Maximum policy size of {most} bytes exceeded for {kind} {name}")
        assert refusal(put, **who, PolicyName="q", PolicyDocument=large) == too_large
        put(**who, PolicyName="q", PolicyDocument=ALLOW_READS.replace(" ", " " * 2000))
        delete(**who, PolicyName="q")
        delete(**who, PolicyName="p")
        missing = (404, "NoSuchEntity", f"The {kind} policy with name p cannot be found.")
        assert refusal(get, **who, PolicyName="p") == missing
        assert refusal(delete, **who, PolicyName="p") == missing


def test_a_managed_policy_and_its_versions(iam: Any, account: str) -> None:
    made = iam.create_policy(PolicyName="Reads", Path="/x/", PolicyDocument=ALLOW_READS, Description="d")["Policy"]
    arn = made["Arn"]
    assert arn == f"arn:aws:iam::{account}:policy/x/Reads"
    assert re.fullmatch(r"ANPA[A-Z2-7]{17}", made["PolicyId"])
    assert iam.get_policy(PolicyArn=arn)["Policy"]["Description"] == "d"
    for _ in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=ALLOW_READS.replace("Get", "Put"))
    assert refusal(iam.create_policy_version, PolicyArn=arn, PolicyDocument=ALLOW_READS) == (
        *(409, "LimitExceeded"),
        "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing "
        "version.",
    )
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v3")
    version = iam.get_policy_version(PolicyArn=arn, VersionId="v3")["PolicyVersion"]
    assert version["IsDefaultVersion"]
    assert "dynamodb:PutItem" in json.dumps(version["Document"])
    conflict = (409, "DeleteConflict", "Cannot delete the default version of a policy.")
    assert refusal(iam.delete_policy_version, PolicyArn=arn, VersionId="v3") == conflict
    assert refusal(iam.delete_policy, PolicyArn=arn)[1] == "DeleteConflict"
    for number in (1, 2, 4, 5):
        iam.delete_policy_version(PolicyArn=arn, VersionId=f"v{number}")
    made_later = iam.create_policy_version(PolicyArn=arn, PolicyDocument=ALLOW_READS, SetAsDefault=True)
    assert made_later["PolicyVersion"]["VersionId"] == "v6"
    assert [one["VersionId"] for one in iam.list_policy_versions(PolicyArn=arn)["Versions"]] == ["v6", "v3"]
    iam.delete_policy_version(PolicyArn=arn, VersionId="v3")
    iam.delete_policy(PolicyArn=arn)
    assert refusal(iam.get_policy, PolicyArn=arn) == (404, "NoSuchEntity", f"Policy {arn} was not found.")


def test_a_policy_that_is_too_large(iam: Any) -> None:
    large = policy({"Effect": "Allow", "Action": "s3:" + "x" * 6144, "Resource": "*"})
    quota = (409, "LimitExceeded", "Cannot exceed quota for PolicySize: 6144")
    assert refusal(iam.create_policy, PolicyName="p", PolicyDocument=large) == quota


def test_attachments(iam: Any) -> None:
    arn = iam.create_policy(PolicyName="Reads", PolicyDocument=ALLOW_READS)["Policy"]["Arn"]
    iam.create_user(UserName="bob")
    iam.create_group(GroupName="devs")
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=arn)
    iam.attach_user_policy(UserName="bob", PolicyArn=arn)
    iam.attach_user_policy(UserName="bob", PolicyArn=arn)
    iam.attach_user_policy(UserName="bob", PolicyArn=READ_ONLY)
    iam.attach_group_policy(GroupName="devs", PolicyArn=arn)
    iam.attach_role_policy(RoleName="app", PolicyArn=arn)
    attached = iam.list_attached_user_policies(UserName="bob")["AttachedPolicies"]
    assert [one["PolicyName"] for one in attached] == ["Reads", "AmazonDynamoDBReadOnlyAccess"]
    found = iam.get_policy(PolicyArn=arn)["Policy"]
    assert (found["AttachmentCount"], found["PermissionsBoundaryUsageCount"]) == (3, 1)
    entities = iam.list_entities_for_policy(PolicyArn=arn)
    assert [one["UserName"] for one in entities["PolicyUsers"]] == ["bob"]
    assert [one["GroupName"] for one in entities["PolicyGroups"]] == ["devs"]
    assert [one["RoleName"] for one in entities["PolicyRoles"]] == ["app"]
    assert [one["Arn"] for one in iam.list_policies(OnlyAttached=True)["Policies"]] == sorted([arn, READ_ONLY])
    assert [one["Arn"] for one in iam.list_policies(Scope="Local")["Policies"]] == [arn]
    in_use = (409, "DeleteConflict", "Cannot delete a policy attached to entities.")
    iam.detach_user_policy(UserName="bob", PolicyArn=arn)
    iam.detach_group_policy(GroupName="devs", PolicyArn=arn)
    iam.detach_role_policy(RoleName="app", PolicyArn=arn)
    assert refusal(iam.delete_policy, PolicyArn=arn) == in_use
    iam.delete_role_permissions_boundary(RoleName="app")
    iam.delete_policy(PolicyArn=arn)
    gone = (404, "NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")
    assert refusal(iam.attach_user_policy, UserName="bob", PolicyArn=arn) == gone
    not_attached = (404, "NoSuchEntity", f"Policy {arn} was not found.")
    assert refusal(iam.detach_user_policy, UserName="bob", PolicyArn=arn) == not_attached


def test_ten_policies_at_the_most(iam: Any) -> None:
    iam.create_user(UserName="bob")
    for number in range(11):
        arn = iam.create_policy(PolicyName=f"p{number}", PolicyDocument=ALLOW_READS)["Policy"]["Arn"]
        if number < 10:
            iam.attach_user_policy(UserName="bob", PolicyArn=arn)
    quota = (409, "LimitExceeded", "Cannot exceed quota for PoliciesPerUser: 10")
    assert refusal(iam.attach_user_policy, UserName="bob", PolicyArn=arn) == quota


def test_policies_of_aws(iam: Any) -> None:
    assert iam.get_policy(PolicyArn=ADMINISTRATOR)["Policy"]["PolicyId"] == "ANPAIWMBCKSKIEE64ZLYK"
    [statement] = iam.get_policy_version(PolicyArn=ADMINISTRATOR, VersionId="v1")["PolicyVersion"]["Document"][
        "Statement"
    ]
    assert statement == {"Effect": "Allow", "Action": "*", "Resource": "*"}
    assert refusal(iam.delete_policy, PolicyArn=ADMINISTRATOR) == (
        *(403, "AccessDenied"),
        "Policy is outside your own account.",
    )
    for one in iam.list_policies(Scope="AWS")["Policies"]:
        iam.get_policy_version(PolicyArn=one["Arn"], VersionId="v1")


def test_boundaries(iam: Any) -> None:
    iam.create_user(UserName="bob", PermissionsBoundary=READ_ONLY)
    boundary = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": READ_ONLY}
    assert iam.get_user(UserName="bob")["User"]["PermissionsBoundary"] == boundary
    iam.put_user_permissions_boundary(UserName="bob", PermissionsBoundary=ADMINISTRATOR)
    iam.delete_user_permissions_boundary(UserName="bob")
    assert "PermissionsBoundary" not in iam.get_user(UserName="bob")["User"]
    assert refusal(iam.delete_user_permissions_boundary, UserName="bob")[:2] == (404, "NoSuchEntity")
    assert iam.get_policy(PolicyArn=ADMINISTRATOR)["Policy"]["PermissionsBoundaryUsageCount"] == 0


# Roles


def test_a_role_from_first_to_last(iam: Any, account: str) -> None:
    made = iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST, Description="d", MaxSessionDuration=7200)
    role = made["Role"]
    assert role["AssumeRolePolicyDocument"] == json.loads(TRUST)
    assert re.fullmatch(r"AROA[A-Z2-7]{17}", role["RoleId"])
    assert role["Arn"] == f"arn:aws:iam::{account}:role/app"
    found = iam.get_role(RoleName="app")["Role"]
    assert found == role | {"RoleLastUsed": {}}
    iam.update_role(RoleName="app", MaxSessionDuration=3600)
    assert iam.update_role_description(RoleName="app", Description="e")["Role"]["MaxSessionDuration"] == 3600
    other = TRUST.replace("lambda", "ec2")
    iam.update_assume_role_policy(RoleName="app", PolicyDocument=other)
    assert iam.get_role(RoleName="app")["Role"]["AssumeRolePolicyDocument"] == json.loads(other)
    iam.create_instance_profile(InstanceProfileName="web")
    iam.add_role_to_instance_profile(InstanceProfileName="web", RoleName="app")
    assert [
        one["RoleName"] for one in iam.get_instance_profile(InstanceProfileName="web")["InstanceProfile"]["Roles"]
    ] == ["app"]
    assert len(iam.list_instance_profiles_for_role(RoleName="app")["InstanceProfiles"]) == 1
    conflict = (409, "DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.")
    assert refusal(iam.delete_role, RoleName="app") == conflict
    assert refusal(iam.delete_instance_profile, InstanceProfileName="web") == conflict
    iam.remove_role_from_instance_profile(InstanceProfileName="web", RoleName="app")
    iam.delete_instance_profile(InstanceProfileName="web")
    iam.delete_role(RoleName="app")
    missing = (404, "NoSuchEntity", "The role with name app cannot be found.")
    assert refusal(iam.get_role, RoleName="app") == missing
    for change in ({"PolicyDocument": TRUST}, {"PolicyDocument": "{"}):
        assert refusal(iam.update_assume_role_policy, RoleName="app", **change) == missing


def test_a_trust_policy_names_whom_there_is(iam: Any, account: str) -> None:
    bob = f"arn:aws:iam::{account}:user/bob"
    trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": bob}})
    stranger = (400, "MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{bob}"')
    assert refusal(iam.create_role, RoleName="app", AssumeRolePolicyDocument=trust) == stranger
    iam.create_user(UserName="bob")
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=trust)


# Tags and the account as a whole


def test_tags(iam: Any) -> None:
    iam.create_user(UserName="bob")
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName="web")
    arn = iam.create_policy(PolicyName="p", PolicyDocument=ALLOW_READS)["Policy"]["Arn"]
    for kind, who in (
        ("user", {"UserName": "bob"}),
        ("role", {"RoleName": "app"}),
        ("policy", {"PolicyArn": arn}),
        ("instance_profile", {"InstanceProfileName": "web"}),
    ):
        tag, untag, list_ = (getattr(iam, name.format(kind)) for name in ("tag_{}", "untag_{}", "list_{}_tags"))
        tag(**who, Tags=[{"Key": "Team", "Value": "x"}, {"Key": "Cost", "Value": "1"}])
        tag(**who, Tags=[{"Key": "team", "Value": "y"}])
        assert list_(**who)["Tags"] == [{"Key": "Cost", "Value": "1"}, {"Key": "team", "Value": "y"}]
        untag(**who, TagKeys=["TEAM"])
        assert list_(**who)["Tags"] == [{"Key": "Cost", "Value": "1"}]
        twice = refusal(tag, **who, Tags=[{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}])
        assert twice[:2] == (400, "InvalidInput")
        many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
        assert refusal(tag, **who, Tags=many)[1] == "LimitExceeded"


def test_the_account_as_a_whole(iam: Any) -> None:
    iam.create_user(UserName="bob")
    iam.create_group(GroupName="devs")
    iam.add_user_to_group(UserName="bob", GroupName="devs")
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(RoleName="app", PolicyName="p", PolicyDocument=ALLOW_READS)
    iam.create_policy(PolicyName="own", PolicyDocument=ALLOW_READS)
    iam.attach_group_policy(GroupName="devs", PolicyArn=READ_ONLY)
    summary = iam.get_account_summary()["SummaryMap"]
    assert [summary[name] for name in ("Users", "Groups", "Roles", "Policies", "UsersQuota")] == [1, 1, 1, 1, 5000]
    details = without_metadata(iam.get_account_authorization_details())
    assert [one["GroupList"] for one in details["UserDetailList"]] == [["devs"]]
    assert [one["AttachedManagedPolicies"][0]["PolicyArn"] for one in details["GroupDetailList"]] == [READ_ONLY]
    assert details["RoleDetailList"][0]["RolePolicyList"] == [
        {"PolicyName": "p", "PolicyDocument": json.loads(ALLOW_READS)}
    ]
    assert [one["PolicyName"] for one in details["Policies"]] == ["own", "AmazonDynamoDBReadOnlyAccess"]
    pages = [
        without_metadata(one)
        for one in iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 2})
    ]
    assert sum(len(one["Policies"]) for one in pages) == 2
    assert len(pages) == 3
    only = iam.get_account_authorization_details(Filter=["Role"])
    assert (len(only["RoleDetailList"]), only["UserDetailList"], only["Policies"]) == (1, [], [])


def test_what_is_not_done_yet_is_refused_by_name(iam: Any) -> None:
    assert refusal(iam.create_virtual_mfa_device, VirtualMFADeviceName="x") == (
        *(400, "InvalidAction"),
        "Jedlik does not support CreateVirtualMFADevice yet",
    )


# What lasts


def test_it_survives_a_kill_and_is_in_all_regions(start_server: Callable[..., Server]) -> None:
    server = start_server(auth="on", regions="eu-west-1")
    iam = server.client("iam")
    made = iam.create_user(UserName="bob")["User"]
    key = iam.create_access_key(UserName="bob")["AccessKey"]["AccessKeyId"]
    server.kill()
    server.restart()
    again = server.client("iam", region="eu-central-1")
    assert again.get_user(UserName="bob")["User"] == made
    assert [one["AccessKeyId"] for one in again.list_access_keys(UserName="bob")["AccessKeyMetadata"]] == [key]


def test_accounts_know_nothing_of_each_other(open_server: Server, iam: Any) -> None:
    iam.create_user(UserName="bob")
    other = open_server.client("iam", aws_access_key_id="999999999999")
    assert other.list_users()["Users"] == []
    assert refusal(other.get_user, UserName="bob")[1] == "NoSuchEntity"
