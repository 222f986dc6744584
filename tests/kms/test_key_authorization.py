"""Who may use and manage a key: key policies, identities' policies and grants, on a server that verifies signatures."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from testing.identities import policy, refusal
from testing.jedlik_process import Server, eventually, run_jedlik

OWN, OTHER = "000000000000", "222222222222"
ROOT = {"AWS": f"arn:aws:iam::{OWN}:root"}
_names = (f"name{number}" for number in itertools.count())
CONTEXT = {"table": "music"}


@pytest.fixture(scope="module")
def server(start_shared_server: Callable[..., Server]) -> Server:
    return start_shared_server(auth="on")


@pytest.fixture(scope="module")
def theirs(server: Server) -> dict[str, str]:
    """The key of another account itself."""
    made = run_jedlik("account", "create", OTHER, "--data-dir", str(server.options["data_dir"]))
    lines = dict(line.split(" = ") for line in made.stdout.splitlines() if " = " in line)
    keys = {name: lines[name] for name in ("aws_access_key_id", "aws_secret_access_key")}
    eventually(lambda: is_known(server.client("sts", **keys)))
    return keys


def is_known(sts: Any) -> bool:
    """Whether the server has read a key that a command has made."""
    try:
        return bool(sts.get_caller_identity())
    except ClientError:
        return False


@pytest.fixture(scope="module")
def kms(server: Server) -> Any:
    """A client of the account itself."""
    return server.client("kms")


class User:
    """A user of an account, with these statements in a policy of its own."""

    def __init__(self, server: Server, *statements: dict[str, Any], name: str | None = None, **owner: str) -> None:
        self.server, self.name, self.owner = server, name or next(_names), owner
        iam = server.client("iam", **owner)
        self.arn = iam.create_user(UserName=self.name)["User"]["Arn"]
        if statements:
            iam.put_user_policy(UserName=self.name, PolicyName="p", PolicyDocument=policy(*statements))
        key = iam.create_access_key(UserName=self.name)["AccessKey"]
        self.keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}

    @property
    def kms(self) -> Any:
        return self.server.client("kms", **self.keys)


@pytest.fixture(scope="module")
def nobody(server: Server) -> User:
    """A user without any policy."""
    return User(server)


@pytest.fixture(scope="module")
def anything(server: Server) -> User:
    """A user who may do everything with KMS, as far as its own policy decides."""
    return User(server, allow("kms:*"))


@pytest.fixture(scope="module")
def stranger(server: Server, theirs: dict[str, str]) -> User:
    """A user of another account, who may do everything with KMS as far as that account decides."""
    return User(server, allow("kms:*"), **theirs)


def allow(action: Any, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def lets(principal: Any, action: Any, **more: Any) -> dict[str, Any]:
    """A statement of a key policy."""
    return {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*", **more}


MANAGES = lets(ROOT, "kms:*")


def made(kms: Any, *statements: dict[str, Any], **more: Any) -> tuple[str, bytes]:
    """The ARN of a new key with these statements in its policy, and a ciphertext of it."""
    arn: str = kms.create_key(**more)["KeyMetadata"]["Arn"]
    blob: bytes = kms.encrypt(KeyId=arn, Plaintext=b"x", EncryptionContext=CONTEXT)["CiphertextBlob"]
    if statements:
        kms.put_key_policy(KeyId=arn, Policy=policy(*statements), BypassPolicyLockoutSafetyCheck=True)
    return arn, blob


def may_decrypt(user: User, blob: bytes, **more: Any) -> bool:
    try:
        user.kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT, **more)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return False
    return True


def test_the_default_policy_leaves_everything_to_the_accounts_policies(kms: Any, nobody: User, anything: User) -> None:
    arn, blob = made(kms)
    assert may_decrypt(anything, blob)
    _, code, text = refusal(nobody.kms.decrypt, CiphertextBlob=blob, EncryptionContext=CONTEXT)
    assert (code, text) == (
        "AccessDeniedException",
        f"User: {nobody.arn} is not authorized to perform: kms:Decrypt on resource: {arn} "
        "because no identity-based policy allows the kms:Decrypt action",
    )


def test_identities_policies_count_only_where_the_key_policy_lets_the_account(
    kms: Any, nobody: User, anything: User
) -> None:
    arn, blob = made(kms, lets({"AWS": nobody.arn}, "kms:Decrypt"))
    assert may_decrypt(nobody, blob)
    _, code, text = refusal(anything.kms.decrypt, CiphertextBlob=blob, EncryptionContext=CONTEXT)
    assert (code, text) == (
        "AccessDeniedException",
        f"User: {anything.arn} is not authorized to perform: kms:Decrypt on resource: {arn} "
        "because no resource-based policy allows the kms:Decrypt action",
    )
    # The account itself is refused, too.
    assert refusal(kms.describe_key, KeyId=arn)[1] == "AccessDeniedException"


def test_a_deny_in_a_key_policy_wins(kms: Any, anything: User, nobody: User) -> None:
    deny = {**lets({"AWS": anything.arn}, "kms:Decrypt"), "Effect": "Deny"}
    arn, blob = made(kms, MANAGES, deny)
    _, _, text = refusal(anything.kms.decrypt, CiphertextBlob=blob, EncryptionContext=CONTEXT)
    assert text.endswith("with an explicit deny in a resource-based policy")
    kms.create_grant(KeyId=arn, GranteePrincipal=anything.arn, Operations=["Decrypt"])
    assert not may_decrypt(anything, blob)
    kms.create_grant(KeyId=arn, GranteePrincipal=nobody.arn, Operations=["Decrypt"])
    assert may_decrypt(nobody, blob)


CONDITIONS: list[tuple[dict[str, Any], bool]] = [
    ({"StringEquals": {"kms:EncryptionContext:table": "music"}}, True),
    ({"StringEquals": {"kms:EncryptionContext:table": "films"}}, False),
    ({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["table", "more"]}}, True),
    ({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "more"}}, False),
    ({"StringEquals": {"kms:CallerAccount": OWN}}, True),
    ({"StringEquals": {"kms:CallerAccount": OTHER}}, False),
    ({"Null": {"kms:ViaService": "true"}}, True),
    ({"StringEquals": {"kms:ViaService": "dynamodb.us-east-1.amazonaws.com"}}, False),
    ({"StringEquals": {"kms:KeyOrigin": "AWS_KMS"}, "Bool": {"kms:MultiRegion": "false"}}, True),
    ({"StringEquals": {"aws:ResourceTag/team": "blue"}}, True),
    ({"StringEquals": {"aws:ResourceTag/team": "red"}}, False),
    ({"StringEquals": {"kms:EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}}, True),
    ({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/conditions"}}, True),
]


@pytest.fixture(scope="module")
def tagged(kms: Any) -> tuple[str, bytes]:
    """A key with a tag and an alias."""
    arn, blob = made(kms, Tags=[{"TagKey": "team", "TagValue": "blue"}])
    kms.create_alias(AliasName="alias/conditions", TargetKeyId=arn)
    return arn, blob


@pytest.mark.parametrize(("condition", "holds"), CONDITIONS)
def test_conditions_of_key_policies(
    kms: Any, nobody: User, tagged: tuple[str, bytes], condition: dict[str, Any], holds: bool
) -> None:
    arn, blob = tagged
    document = policy(MANAGES, lets({"AWS": nobody.arn}, "kms:Decrypt", Condition=condition))
    kms.put_key_policy(KeyId=arn, Policy=document)
    assert may_decrypt(nobody, blob) is holds


def test_an_alias_is_known_to_conditions(server: Server, kms: Any) -> None:
    arn, _ = made(kms)
    kms.create_alias(AliasName="alias/named", TargetKeyId=arn)
    condition = {"StringEquals": {"kms:RequestAlias": "alias/named"}}
    user = User(server, allow("kms:Encrypt", Condition=condition))
    user.kms.encrypt(KeyId="alias/named", Plaintext=b"x")
    assert refusal(user.kms.encrypt, KeyId=arn, Plaintext=b"x")[1] == "AccessDeniedException"


def test_re_encryption_on_the_same_key_is_known_to_conditions(server: Server, kms: Any) -> None:
    (arn, blob), (other, _) = made(kms), made(kms)
    kms.create_alias(AliasName="alias/same-key", TargetKeyId=arn)
    for name, same, refused in (
        ("denied elsewhere", "false", other),
        ("denied on itself", "true", arn),
    ):
        deny = {**allow("kms:ReEncrypt*", Condition={"Bool": {"kms:ReEncryptOnSameKey": same}}), "Effect": "Deny"}
        user = User(server, allow("kms:*"), deny)
        for destination in (arn, other, "alias/same-key"):
            is_refused = (destination == other) is (refused == other)
            asked = {"CiphertextBlob": blob, "SourceEncryptionContext": CONTEXT, "DestinationKeyId": destination}
            if is_refused:
                assert refusal(user.kms.re_encrypt, **asked)[1] == "AccessDeniedException", (name, destination)
            else:
                assert user.kms.re_encrypt(**asked)["SourceKeyId"] == arn, (name, destination)


def test_a_grant_allows_until_it_is_taken_away(kms: Any, nobody: User) -> None:
    arn, blob = made(kms)
    assert not may_decrypt(nobody, blob)
    made_grant = kms.create_grant(KeyId=arn, GranteePrincipal=nobody.arn, Operations=["Decrypt", "RetireGrant"])
    assert may_decrypt(nobody, blob, GrantTokens=[made_grant["GrantToken"]])
    assert may_decrypt(nobody, blob)
    assert refusal(nobody.kms.encrypt, KeyId=arn, Plaintext=b"x")[1] == "AccessDeniedException"
    nobody.kms.retire_grant(KeyId=arn, GrantId=made_grant["GrantId"])
    assert not may_decrypt(nobody, blob)
    again = kms.create_grant(KeyId=arn, GranteePrincipal=nobody.arn, Operations=["Decrypt"])["GrantId"]
    assert may_decrypt(nobody, blob)
    assert refusal(nobody.kms.retire_grant, KeyId=arn, GrantId=again)[1] == "AccessDeniedException"
    kms.revoke_grant(KeyId=arn, GrantId=again)
    assert not may_decrypt(nobody, blob)


@pytest.mark.parametrize(
    ("constraints", "holds"),
    [
        ({"EncryptionContextEquals": CONTEXT}, True),
        ({"EncryptionContextEquals": {}}, False),
        ({"EncryptionContextEquals": {**CONTEXT, "more": "1"}}, False),
        ({"EncryptionContextSubset": CONTEXT}, True),
        ({"EncryptionContextSubset": {}}, True),
        ({"EncryptionContextSubset": {"table": "films"}}, False),
        ({"EncryptionContextSubset": CONTEXT, "SourceArn": f"arn:aws:dynamodb:us-east-1:{OWN}:table/music"}, False),
    ],
)
def test_constraints_of_grants(kms: Any, nobody: User, constraints: dict[str, Any], holds: bool) -> None:
    arn, blob = made(kms)
    kms.create_grant(
        KeyId=arn, GranteePrincipal=nobody.arn, Operations=["Decrypt", "DescribeKey"], Constraints=constraints
    )
    assert may_decrypt(nobody, blob) is holds
    if "SourceArn" not in constraints:
        assert nobody.kms.describe_key(KeyId=arn)["KeyMetadata"]["Arn"] == arn


def test_a_grantee_passes_on_no_more_than_it_has(server: Server, kms: Any, nobody: User) -> None:
    arn, blob = made(kms)
    further = User(server)
    parent = {"Operations": ["CreateGrant", "Decrypt"], "Constraints": {"EncryptionContextSubset": CONTEXT}}
    kms.create_grant(KeyId=arn, GranteePrincipal=nobody.arn, **parent)
    asked = {"KeyId": arn, "GranteePrincipal": further.arn}
    for wanted in (
        {"Operations": ["Decrypt"]},
        {"Operations": ["Encrypt"], "Constraints": {"EncryptionContextSubset": CONTEXT}},
        {"Operations": ["Decrypt"], "Constraints": {"EncryptionContextSubset": {"other": "1"}}},
    ):
        assert refusal(nobody.kms.create_grant, **asked, **wanted)[1] == "AccessDeniedException", wanted
    nobody.kms.create_grant(**asked, Operations=["Decrypt"], Constraints={"EncryptionContextEquals": CONTEXT})
    assert may_decrypt(further, blob)


def test_a_key_of_another_account_is_used_by_its_arn(
    kms: Any, server: Server, stranger: User, theirs: dict[str, str]
) -> None:
    arn, blob = made(kms)
    assert not may_decrypt(stranger, blob)
    assert refusal(stranger.kms.describe_key, KeyId=arn)[1] == "AccessDeniedException"
    kms.put_key_policy(KeyId=arn, Policy=policy(MANAGES, lets({"AWS": OTHER}, ["kms:Encrypt", "kms:Decrypt"])))
    assert may_decrypt(stranger, blob)
    assert may_decrypt(stranger, blob, KeyId=arn)
    made_there = stranger.kms.encrypt(KeyId=arn, Plaintext=b"theirs", EncryptionContext=CONTEXT)
    assert made_there["KeyId"] == arn
    assert kms.decrypt(CiphertextBlob=made_there["CiphertextBlob"], EncryptionContext=CONTEXT)["Plaintext"] == b"theirs"
    # Both accounts must allow it.
    assert not may_decrypt(User(server, **theirs), blob)
    # Management is for the key's own account alone.
    assert refusal(stranger.kms.disable_key, KeyId=arn)[1] == "AccessDeniedException"
    kms.put_key_policy(KeyId=arn, Policy=policy(MANAGES))
    assert not may_decrypt(stranger, blob)
    grant = kms.create_grant(KeyId=arn, GranteePrincipal=stranger.arn, Operations=["Decrypt"])
    assert may_decrypt(stranger, blob)
    own = stranger.kms.create_key()["KeyMetadata"]["Arn"]
    assert refusal(stranger.kms.re_encrypt, CiphertextBlob=blob, DestinationKeyId=own)[1] == "AccessDeniedException"
    kms.create_grant(KeyId=arn, GranteePrincipal=stranger.arn, Operations=["ReEncryptFrom"])
    moved = stranger.kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=CONTEXT, DestinationKeyId=own)
    assert (moved["SourceKeyId"], moved["KeyId"]) == (arn, own)
    kms.revoke_grant(KeyId=arn, GrantId=grant["GrantId"])
    assert not may_decrypt(stranger, blob)


def test_an_account_that_is_not_there(anything: User) -> None:
    arn = "arn:aws:kms:us-east-1:999999999999:key/11111111-2222-3333-4444-555555555555"
    assert refusal(anything.kms.describe_key, KeyId=arn)[1] == "AccessDeniedException"


def test_a_policy_that_locks_out_its_author_is_refused(kms: Any, nobody: User) -> None:
    arn, _ = made(kms)
    only = policy(lets({"AWS": nobody.arn}, "kms:*"))
    text = "The new key policy will not allow you to update the key policy in the future."
    expected = (400, "MalformedPolicyDocumentException", text)
    assert refusal(kms.put_key_policy, KeyId=arn, Policy=only) == expected
    assert refusal(kms.create_key, Policy=only) == expected
    kms.put_key_policy(KeyId=arn, Policy=only, BypassPolicyLockoutSafetyCheck=True)
    assert json.loads(nobody.kms.get_key_policy(KeyId=arn)["Policy"]) == json.loads(only)


@pytest.mark.parametrize("principal", ["user/missing", "role/missing"])
def test_principals_must_exist(kms: Any, principal: str) -> None:
    arn, _ = made(kms)
    missing = f"arn:aws:iam::{OWN}:{principal}"
    document = policy(MANAGES, lets({"AWS": missing}, "kms:Decrypt"))
    assert refusal(kms.put_key_policy, KeyId=arn, Policy=document) == (
        400,
        "MalformedPolicyDocumentException",
        "Policy contains a statement with one or more invalid principals.",
    )
    refused = refusal(kms.create_grant, KeyId=arn, GranteePrincipal=missing, Operations=["Decrypt"])
    assert refused == (400, "InvalidArnException", f"ARN does not refer to a valid principal: {missing}")


def test_who_may_not_see_a_key_does_not_learn_whether_it_is_there(nobody: User, anything: User) -> None:
    missing = "11111111-2222-3333-4444-555555555555"
    for name in (missing, "alias/missing"):
        assert refusal(nobody.kms.describe_key, KeyId=name)[1] == "AccessDeniedException"
        assert refusal(anything.kms.describe_key, KeyId=name)[1] == "NotFoundException"


def test_operations_on_no_key_are_for_identities_policies(server: Server, nobody: User) -> None:
    for call, request in (
        (nobody.kms.create_key, {}),
        (nobody.kms.list_keys, {}),
        (nobody.kms.list_aliases, {}),
        (nobody.kms.generate_random, {"NumberOfBytes": 8}),
    ):
        assert refusal(call, **request)[1] == "AccessDeniedException", call
    maker = User(server, allow("kms:CreateKey", Condition={"StringEquals": {"kms:KeyOrigin": "EXTERNAL"}}))
    assert refusal(maker.kms.create_key)[1] == "AccessDeniedException"
    maker.kms.create_key(Origin="EXTERNAL")
    assert refusal(maker.kms.create_key, Origin="EXTERNAL", Tags=[{"TagKey": "a", "TagValue": "b"}])[1] == (
        "AccessDeniedException"
    )


def test_an_alias_needs_both_policies(server: Server, kms: Any) -> None:
    arn, _ = made(kms)
    alias = f"arn:aws:kms:us-east-1:{OWN}:alias/both"
    half = User(server, allow("kms:CreateAlias", alias))
    assert refusal(half.kms.create_alias, AliasName="alias/both", TargetKeyId=arn)[1] == "AccessDeniedException"
    other = User(server, allow("kms:CreateAlias", arn))
    assert refusal(other.kms.create_alias, AliasName="alias/both", TargetKeyId=arn)[1] == "AccessDeniedException"
    both = User(server, {**allow("kms:CreateAlias"), "Resource": [alias, arn]})
    both.kms.create_alias(AliasName="alias/both", TargetKeyId=arn)


def test_the_key_of_dynamodb_is_used_through_dynamodb_alone(anything: User) -> None:
    described = anything.kms.describe_key(KeyId="alias/aws/dynamodb")["KeyMetadata"]
    assert described["KeyManager"] == "AWS"
    assert refusal(anything.kms.encrypt, KeyId="alias/aws/dynamodb", Plaintext=b"x")[1] == "AccessDeniedException"


def renewed(server: Server, user: User) -> User:
    """Another user with the name of one that is deleted."""
    iam = server.client("iam")
    for key in iam.list_access_keys(UserName=user.name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=user.name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=user.name)
    return User(server, name=user.name)


def test_nobody_gets_what_was_anothers_by_the_same_name(server: Server, kms: Any) -> None:
    granted, named, manager = User(server), User(server), User(server)
    arn, blob = made(
        kms, MANAGES, lets({"AWS": named.arn}, "kms:Decrypt"), lets({"AWS": [ROOT["AWS"], named.arn]}, "kms:Tag*")
    )
    wanted = {
        "KeyId": arn,
        "GranteePrincipal": granted.arn,
        "RetiringPrincipal": manager.arn,
        "Operations": ["Decrypt"],
    }
    grant = kms.create_grant(**wanted)["GrantId"]
    assert may_decrypt(granted, blob)
    assert may_decrypt(named, blob)
    again = {user: renewed(server, user) for user in (granted, named, manager)}
    assert not may_decrypt(again[granted], blob)
    assert not may_decrypt(again[named], blob)
    assert refusal(again[manager].kms.retire_grant, KeyId=arn, GrantId=grant)[1] == "AccessDeniedException"
    shown = kms.get_key_policy(KeyId=arn)["Policy"]
    assert named.arn in shown
    kms.put_key_policy(KeyId=arn, Policy=shown)
    assert may_decrypt(again[named], blob)
    assert kms.create_grant(**wanted, Name="again")["GrantId"] != grant
    assert may_decrypt(again[granted], blob)


def test_a_deny_of_a_key_policy_is_for_the_user_that_it_named(server: Server, kms: Any) -> None:
    user = User(server, allow("kms:*"))
    others = {"NotPrincipal": {"AWS": [ROOT["AWS"], user.arn]}}
    deny = {"Effect": "Deny", **others, "Action": "kms:Encrypt", "Resource": "*"}
    arn: str = kms.create_key(Policy=policy(MANAGES, deny))["KeyMetadata"]["Arn"]
    assert user.kms.encrypt(KeyId=arn, Plaintext=b"x")["KeyId"] == arn
