"""Sequences of calls as the AWS provider of Terraform makes them, for each resource of IAM: made, read, changed, read
again and destroyed. After each, nothing is left."""

from __future__ import annotations

from typing import Any

import pytest

from testing.identities import ALLOW_READS, policy, refusal

TRUST = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}})
OTHER_TRUST = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ecs.amazonaws.com"}})
WRITES = policy({"Effect": "Allow", "Action": "dynamodb:PutItem", "Resource": "*"})
READ_ONLY = "arn:aws:iam::aws:policy/AmazonDynamoDBReadOnlyAccess"
TAG, OTHER_TAG = {"Key": "team", "Value": "red"}, {"Key": "cost", "Value": "1"}


@pytest.fixture(autouse=True)
def leaves_nothing(iam: Any) -> Any:
    """The account is as it was: empty."""
    yield
    summary = iam.get_account_summary()["SummaryMap"]
    counted = ("Users", "Groups", "Roles", "Policies", "InstanceProfiles", "Providers")
    assert {name: summary[name] for name in counted if summary[name]} == {}
    assert iam.list_account_aliases()["AccountAliases"] == []


def is_gone(call: Any, **request: Any) -> None:
    assert refusal(call, **request)[:2] == (404, "NoSuchEntity")


def test_aws_iam_user_with_key_policies_and_login(iam: Any) -> None:
    """aws_iam_user (force_destroy), aws_iam_access_key, aws_iam_user_policy, aws_iam_user_policy_attachment,
    aws_iam_user_login_profile."""
    user = {"UserName": "bob"}
    iam.create_user(**user, Path="/", Tags=[TAG])
    assert iam.get_user(**user)["User"]["Tags"] == [TAG]
    key = iam.create_access_key(**user)["AccessKey"]["AccessKeyId"]
    assert [one["AccessKeyId"] for one in iam.list_access_keys(**user)["AccessKeyMetadata"]] == [key]
    iam.put_user_policy(**user, PolicyName="p", PolicyDocument=ALLOW_READS)
    assert iam.get_user_policy(**user, PolicyName="p")["PolicyDocument"]
    iam.attach_user_policy(**user, PolicyArn=READ_ONLY)
    assert len(iam.list_attached_user_policies(**user)["AttachedPolicies"]) == 1
    iam.create_login_profile(**user, Password="A-long-Passw0rd!", PasswordResetRequired=True)
    iam.get_login_profile(**user)
    # A change of tags, of the name and of the key's status.
    iam.untag_user(**user, TagKeys=["team"])
    iam.tag_user(**user, Tags=[OTHER_TAG])
    iam.update_access_key(**user, AccessKeyId=key, Status="Inactive")
    iam.update_user(**user, NewUserName="robert", NewPath="/staff/")
    user = {"UserName": "robert"}
    assert iam.get_user(**user)["User"]["Path"] == "/staff/"
    iam.put_user_permissions_boundary(**user, PermissionsBoundary=READ_ONLY)
    iam.delete_user_permissions_boundary(**user)
    # Destroyed, with all that a user might have.
    iam.detach_user_policy(**user, PolicyArn=READ_ONLY)
    iam.delete_user_policy(**user, PolicyName="p")
    for one in iam.list_groups_for_user(**user)["Groups"]:
        iam.remove_user_from_group(**user, GroupName=one["GroupName"])
    for one in iam.list_access_keys(**user)["AccessKeyMetadata"]:
        iam.delete_access_key(**user, AccessKeyId=one["AccessKeyId"])
    assert iam.list_ssh_public_keys(**user)["SSHPublicKeys"] == []
    assert iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"] == []
    assert iam.list_mfa_devices(**user)["MFADevices"] == []
    iam.delete_login_profile(**user)
    assert iam.list_signing_certificates(**user)["Certificates"] == []
    assert iam.list_service_specific_credentials(**user)["ServiceSpecificCredentials"] == []
    iam.delete_user(**user)
    is_gone(iam.get_user, **user)
    is_gone(iam.list_mfa_devices, **user)


def test_aws_iam_group_and_memberships(iam: Any) -> None:
    """aws_iam_group, aws_iam_group_policy, aws_iam_group_policy_attachment, aws_iam_group_membership,
    aws_iam_user_group_membership."""
    group = {"GroupName": "readers"}
    iam.create_group(**group, Path="/")
    assert iam.get_group(**group)["Group"]["Path"] == "/"
    iam.put_group_policy(**group, PolicyName="p", PolicyDocument=ALLOW_READS)
    iam.get_group_policy(**group, PolicyName="p")
    iam.attach_group_policy(**group, PolicyArn=READ_ONLY)
    assert len(iam.list_attached_group_policies(**group)["AttachedPolicies"]) == 1
    iam.create_user(UserName="bob")
    iam.add_user_to_group(**group, UserName="bob")
    assert [one["UserName"] for one in iam.get_group(**group)["Users"]] == ["bob"]
    assert [one["GroupName"] for one in iam.list_groups_for_user(UserName="bob")["Groups"]] == ["readers"]
    iam.update_group(**group, NewGroupName="others")
    group = {"GroupName": "others"}
    iam.remove_user_from_group(**group, UserName="bob")
    iam.detach_group_policy(**group, PolicyArn=READ_ONLY)
    iam.delete_group_policy(**group, PolicyName="p")
    iam.delete_group(**group)
    is_gone(iam.get_group, **group)
    iam.delete_user(UserName="bob")


def test_aws_iam_role_and_its_policies(iam: Any) -> None:
    """aws_iam_role (force_detach_policies), aws_iam_role_policy, aws_iam_role_policy_attachment."""
    role = {"RoleName": "app"}
    made = iam.create_role(**role, Path="/", AssumeRolePolicyDocument=TRUST, MaxSessionDuration=3600, Tags=[TAG])
    assert made["Role"]["Tags"] == [TAG]
    assert iam.get_role(**role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert iam.list_role_policies(**role)["PolicyNames"] == []
    assert iam.list_attached_role_policies(**role)["AttachedPolicies"] == []
    iam.put_role_policy(**role, PolicyName="p", PolicyDocument=ALLOW_READS)
    iam.get_role_policy(**role, PolicyName="p")
    iam.attach_role_policy(**role, PolicyArn=READ_ONLY)
    iam.update_assume_role_policy(**role, PolicyDocument=OTHER_TRUST)
    iam.update_role_description(**role, Description="an application")
    iam.update_role(**role, MaxSessionDuration=7200)
    iam.put_role_permissions_boundary(**role, PermissionsBoundary=READ_ONLY)
    found = iam.get_role(**role)["Role"]
    assert (found["Description"], found["MaxSessionDuration"]) == ("an application", 7200)
    assert found["PermissionsBoundary"]["PermissionsBoundaryArn"] == READ_ONLY
    iam.tag_role(**role, Tags=[OTHER_TAG])
    iam.untag_role(**role, TagKeys=["team"])
    assert iam.list_role_tags(**role)["Tags"] == [OTHER_TAG]
    iam.delete_role_permissions_boundary(**role)
    assert iam.list_instance_profiles_for_role(**role)["InstanceProfiles"] == []
    for one in iam.list_attached_role_policies(**role)["AttachedPolicies"]:
        iam.detach_role_policy(**role, PolicyArn=one["PolicyArn"])
    for name in iam.list_role_policies(**role)["PolicyNames"]:
        iam.delete_role_policy(**role, PolicyName=name)
    iam.delete_role(**role)
    is_gone(iam.get_role, **role)


def test_aws_iam_policy_and_attachments(iam: Any) -> None:
    """aws_iam_policy, aws_iam_policy_attachment."""
    arn = iam.create_policy(PolicyName="p", Path="/", PolicyDocument=ALLOW_READS, Tags=[TAG])["Policy"]["Arn"]
    which = {"PolicyArn": arn}
    version = iam.get_policy(**which)["Policy"]["DefaultVersionId"]
    assert iam.get_policy_version(**which, VersionId=version)["PolicyVersion"]["Document"]
    iam.create_user(UserName="bob")
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)
    iam.attach_user_policy(**which, UserName="bob")
    iam.attach_role_policy(**which, RoleName="app")
    found = iam.list_entities_for_policy(**which)
    assert [one["UserName"] for one in found["PolicyUsers"]] == ["bob"]
    assert [one["RoleName"] for one in found["PolicyRoles"]] == ["app"]
    for document in (WRITES, ALLOW_READS, WRITES, ALLOW_READS, WRITES):
        versions = iam.list_policy_versions(**which)["Versions"]
        if len(versions) >= 5:  # The provider makes room by the oldest.
            oldest = min(
                (one for one in versions if not one["IsDefaultVersion"]), key=lambda one: int(one["VersionId"][1:])
            )
            iam.delete_policy_version(**which, VersionId=oldest["VersionId"])
        iam.create_policy_version(**which, PolicyDocument=document, SetAsDefault=True)
    iam.tag_policy(**which, Tags=[OTHER_TAG])
    iam.untag_policy(**which, TagKeys=["team"])
    iam.detach_user_policy(**which, UserName="bob")
    iam.detach_role_policy(**which, RoleName="app")
    for one in iam.list_policy_versions(**which)["Versions"]:
        if not one["IsDefaultVersion"]:
            iam.delete_policy_version(**which, VersionId=one["VersionId"])
    iam.delete_policy(**which)
    is_gone(iam.get_policy, **which)
    iam.delete_user(UserName="bob")
    iam.delete_role(RoleName="app")


def test_aws_iam_instance_profile(iam: Any) -> None:
    profile = {"InstanceProfileName": "machines"}
    iam.create_role(RoleName="app", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(**profile, Path="/", Tags=[TAG])
    assert iam.get_instance_profile(**profile)["InstanceProfile"]["Roles"] == []
    iam.add_role_to_instance_profile(**profile, RoleName="app")
    [role] = iam.get_instance_profile(**profile)["InstanceProfile"]["Roles"]
    assert role["RoleName"] == "app"
    iam.tag_instance_profile(**profile, Tags=[OTHER_TAG])
    iam.untag_instance_profile(**profile, TagKeys=["team"])
    for one in iam.list_instance_profiles_for_role(RoleName="app")["InstanceProfiles"]:
        iam.remove_role_from_instance_profile(InstanceProfileName=one["InstanceProfileName"], RoleName="app")
    iam.delete_role(RoleName="app")
    iam.delete_instance_profile(**profile)
    is_gone(iam.get_instance_profile, **profile)


def test_aws_iam_account_alias_and_password_policy(iam: Any, account: str) -> None:
    alias = f"alias-{account}"
    iam.create_account_alias(AccountAlias=alias)
    assert iam.list_account_aliases()["AccountAliases"] == [alias]
    iam.delete_account_alias(AccountAlias=alias)
    iam.update_account_password_policy(MinimumPasswordLength=12, RequireNumbers=True)
    assert iam.get_account_password_policy()["PasswordPolicy"]["MinimumPasswordLength"] == 12
    iam.delete_account_password_policy()
    is_gone(iam.get_account_password_policy)


def test_data_sources(iam: Any, account: str) -> None:
    """aws_iam_principal_policy_simulation, aws_iam_users, aws_iam_roles, aws_iam_policy, aws_iam_saml_provider..."""
    iam.create_user(UserName="bob")
    arn = f"arn:aws:iam::{account}:user/bob"
    iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=ALLOW_READS)
    [found] = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["dynamodb:GetItem"])["EvaluationResults"]
    assert (found["EvalDecision"], found["MatchedStatements"][0]["SourcePolicyId"]) == ("allowed", "user_bob_p")
    assert [one["UserName"] for one in iam.list_users(PathPrefix="/")["Users"]] == ["bob"]
    assert iam.list_roles()["Roles"] == []
    assert iam.list_policies(Scope="Local")["Policies"] == []
    assert iam.list_saml_providers()["SAMLProviderList"] == []
    assert iam.list_server_certificates()["ServerCertificateMetadataList"] == []
    iam.delete_user_policy(UserName="bob", PolicyName="p")
    iam.delete_user(UserName="bob")
