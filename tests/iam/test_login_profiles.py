"""Passwords of users, the rules for them, and the account's alias."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from jedlik.iam.failed_sign_ins import FORGOTTEN_AFTER, FREE_FAILURES, LONGEST_DELAY, FailedSignIns
from testing.identities import policy, refusal
from testing.jedlik_process import Server, eventually, run_jedlik

PASSWORD, ANOTHER = "Dynamo-1861", "Soda-water-1826"
ACCOUNT = "000000000000"
CHANGE_PASSWORD = "arn:aws:iam::aws:policy/IAMUserChangePassword"


@pytest.fixture(scope="module")
def verifying(start_shared_server: Callable[..., Server]) -> Server:
    """A server that verifies signatures, so that a user can ask in its own name."""
    return start_shared_server(auth="on")


_names = (f"user{number}" for number in itertools.count())


def a_user(server: Server, *policies: str) -> tuple[str, Any]:
    """A user with a password, and its client of IAM."""
    root, name = server.client("iam"), next(_names)
    root.create_user(UserName=name)
    for arn in policies:
        root.attach_user_policy(UserName=name, PolicyArn=arn)
    root.create_login_profile(UserName=name, Password=PASSWORD)
    key = root.create_access_key(UserName=name)["AccessKey"]
    own = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    return name, server.client("iam", **own)


def test_a_login_profile_from_first_to_last(iam: Any) -> None:
    iam.create_user(UserName="Bob")
    missing = (404, "NoSuchEntity", "Login Profile for User Bob cannot be found.")
    assert refusal(iam.get_login_profile, UserName="bob") == missing
    assert refusal(iam.update_login_profile, UserName="bob", Password=PASSWORD) == missing
    assert refusal(iam.delete_login_profile, UserName="bob") == missing
    made = iam.create_login_profile(UserName="bob", Password=PASSWORD, PasswordResetRequired=True)["LoginProfile"]
    assert (made["UserName"], made["PasswordResetRequired"]) == ("Bob", True)
    assert "Password" not in made
    assert iam.get_login_profile(UserName="bob")["LoginProfile"] == made
    there = (409, "EntityAlreadyExists", "Login Profile for user Bob already exists.")
    assert refusal(iam.create_login_profile, UserName="bob", Password=PASSWORD) == there
    iam.update_login_profile(UserName="bob", PasswordResetRequired=False, MaxSigninSessionDuration=3600)
    profile = iam.get_login_profile(UserName="bob")["LoginProfile"]
    assert (profile["PasswordResetRequired"], profile["MaxSigninSessionDuration"]) == (False, 3600)
    both = {"MaxSigninSessionDuration": 3600, "ResetMaxSigninSessionDuration": True}
    assert refusal(iam.update_login_profile, UserName="bob", **both)[:2] == (400, "InvalidInput")
    iam.update_login_profile(UserName="bob", ResetMaxSigninSessionDuration=True)
    assert "MaxSigninSessionDuration" not in iam.get_login_profile(UserName="bob")["LoginProfile"]
    conflict = (409, "DeleteConflict", "Cannot delete entity, must delete login profile first.")
    assert refusal(iam.delete_user, UserName="bob") == conflict
    iam.delete_login_profile(UserName="bob")
    assert refusal(iam.get_login_profile, UserName="bob") == missing
    iam.delete_user(UserName="bob")
    gone = (404, "NoSuchEntity", "The user with name bob cannot be found.")
    assert refusal(iam.create_login_profile, UserName="bob", Password=PASSWORD) == gone


def test_a_renamed_user_keeps_its_password(verifying: Server) -> None:
    name, own = a_user(verifying, CHANGE_PASSWORD)
    verifying.client("iam").update_user(UserName=name, NewUserName=f"{name}-now")
    own.change_password(OldPassword=PASSWORD, NewPassword=ANOTHER)


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("Abc1", "Password should have a minimum length of 8"),
        (
            "lower-case-only",
            "Password should meet 1 more of the following requirements: "
            "Password should have at least one uppercase letter, Password should have at least one number",
        ),
        (
            "12345678",
            "Password should meet 2 more of the following requirements: Password should have at least one uppercase "
            "letter, Password should have at least one lowercase letter, Password should have at least one symbol",
        ),
    ],
)
def test_the_usual_rules(iam: Any, password: str, message: str) -> None:
    iam.create_user(UserName="bob")
    violation = (400, "PasswordPolicyViolation", message)
    assert refusal(iam.create_login_profile, UserName="bob", Password=password) == violation


def test_the_rules_of_an_account(iam: Any, account: str) -> None:
    missing = (404, "NoSuchEntity", f"The Password Policy with domain name {account} cannot be found.")
    assert refusal(iam.get_account_password_policy) == missing
    assert refusal(iam.delete_account_password_policy) == missing
    iam.create_user(UserName="bob")
    iam.create_login_profile(UserName="bob", Password=PASSWORD)
    iam.update_account_password_policy(MinimumPasswordLength=12, RequireNumbers=True, RequireSymbols=True)
    assert iam.get_account_password_policy()["PasswordPolicy"] == {
        "MinimumPasswordLength": 12,
        "RequireUppercaseCharacters": False,
        "RequireLowercaseCharacters": False,
        "RequireNumbers": True,
        "RequireSymbols": True,
        "AllowUsersToChangePassword": False,
        "ExpirePasswords": False,
    }
    for password, message in (
        ("short", "Password should have a minimum length of 12"),
        (
            "only-letters-here".replace("-", "x"),
            "Password should have at least one number, Password should have at least one symbol",
        ),
    ):
        violation = (400, "PasswordPolicyViolation", message)
        assert refusal(iam.update_login_profile, UserName="bob", Password=password) == violation
    iam.update_login_profile(UserName="bob", Password="1-lower-case-only")
    iam.update_account_password_policy(MaxPasswordAge=90, PasswordReusePrevention=2, HardExpiry=True)
    rules = iam.get_account_password_policy()["PasswordPolicy"]
    assert (rules["MinimumPasswordLength"], rules["RequireNumbers"]) == (6, False)
    assert (rules["ExpirePasswords"], rules["MaxPasswordAge"], rules["HardExpiry"]) == (True, 90, True)
    for used in ("1-lower-case-only", PASSWORD):
        assert refusal(iam.update_login_profile, UserName="bob", Password=used)[1] == "PasswordPolicyViolation"
    iam.update_login_profile(UserName="bob", Password="third-one")
    iam.update_login_profile(UserName="bob", Password=PASSWORD)
    iam.delete_account_password_policy()
    assert refusal(iam.get_account_password_policy) == missing


def test_users_change_their_own_passwords(verifying: Server) -> None:
    name, own = a_user(verifying)
    arn = f"arn:aws:iam::{ACCOUNT}:user/{name}"
    change = {"OldPassword": PASSWORD, "NewPassword": ANOTHER}
    assert refusal(own.change_password, **change) == (
        *(403, "AccessDenied"),
        f"User: {arn} is not authorized to perform: iam:ChangePassword on resource: {arn} "
        "because no identity-based policy allows the iam:ChangePassword action",
    )
    root = verifying.client("iam")
    not_a_user = (400, "InvalidUserType", "Only IAM Users can change their own password.")
    assert refusal(root.change_password, **change) == not_a_user
    own_only = policy({"Effect": "Allow", "Action": ["iam:ChangePassword", "iam:GetUser"], "Resource": arn})
    root.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=own_only)
    eventually(lambda: allows(own.get_user))
    wrong = (403, "AccessDenied", "The old password was incorrect.")
    assert refusal(own.change_password, OldPassword=ANOTHER, NewPassword=ANOTHER) == wrong
    assert refusal(own.change_password, OldPassword=PASSWORD, NewPassword="x")[1] == "PasswordPolicyViolation"
    root.update_login_profile(UserName=name, PasswordResetRequired=True)
    own.change_password(**change)
    assert refusal(own.change_password, **change) == wrong
    assert root.get_login_profile(UserName=name)["LoginProfile"]["PasswordResetRequired"] is False


def test_an_account_can_let_all_users_change_their_passwords(verifying: Server) -> None:
    _, own = a_user(verifying)
    root = verifying.client("iam")
    assert refusal(own.get_account_password_policy)[1] == "AccessDenied"
    root.update_account_password_policy(AllowUsersToChangePassword=True)
    try:
        eventually(lambda: allows(own.get_account_password_policy))
        own.change_password(OldPassword=PASSWORD, NewPassword=ANOTHER)
    finally:
        root.delete_account_password_policy()


def allows(call: Any) -> bool:
    """Whether a call is allowed by now."""
    try:
        call()
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return False
    return True


def test_a_hash_survives_a_kill_no_password_is_readable_and_wrong_ones_make_a_user_wait(start_server: Any) -> None:
    server = start_server(auth="on")
    _, own = a_user(server, CHANGE_PASSWORD)
    server.kill()
    server.restart()
    own.change_password(OldPassword=PASSWORD, NewPassword=ANOTHER)
    files = [file.read_bytes() for file in Path(str(server.options["data_dir"])).rglob("*") if file.is_file()]
    files.append(server.log.read_bytes())
    hidden = (PASSWORD.encode(), ANOTHER.encode(), b"argon2id")  # Not even the hash lies open.
    assert not [one for one in files for secret in hidden if secret in one]
    codes: list[str] = []
    while "Throttling" not in codes:  # It need not be the sixth: a second may have passed.
        codes.append(refusal(own.change_password, OldPassword=PASSWORD, NewPassword=PASSWORD)[1])
        assert len(codes) < 20
    assert codes[:-1] == ["AccessDenied"] * (len(codes) - 1)
    assert len(codes) > FREE_FAILURES


# Delays


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_delays_begin_after_five_failures_and_grow() -> None:
    clock = Clock()
    failed = FailedSignIns(clock)
    assert [failed.begin("1 bob", "192.0.2.1") for _ in range(FREE_FAILURES)] == [0] * FREE_FAILURES
    assert failed.begin("1 bob", "192.0.2.1") == 1
    assert failed.begin("1 bob", "192.0.2.2") == 1, "a user waits, wherever the attempt comes from"
    assert failed.begin("1 eve", "192.0.2.1") == 1, "an address waits, whoever it tries"
    assert failed.begin("1 eve", "192.0.2.2") == 0
    delays = []
    for _ in range(8):
        clock.now += LONGEST_DELAY
        assert failed.begin("1 BOB", "192.0.2.3") == 0
        delays.append(failed.begin("1 bob", "192.0.2.4"))
    assert delays == [2, 4, 8, 16, 32, 60, 60, 60]
    clock.now += FORGOTTEN_AFTER + 1
    assert [failed.begin("1 bob", "192.0.2.1") for _ in range(FREE_FAILURES)] == [0] * FREE_FAILURES


def test_a_success_is_no_failure() -> None:
    failed = FailedSignIns(Clock())
    for _ in range(20):
        assert failed.begin("1 bob", "192.0.2.1") == 0
        failed.succeeded("1 bob", "192.0.2.1")
    for number in range(FREE_FAILURES):
        assert failed.begin(f"1 user{number}", "192.0.2.1") == 0
    assert failed.begin("1 bob", "192.0.2.1") == 1, "one's own password does not help to try others"


def test_an_attempt_that_a_busy_server_did_not_look_at_is_no_failure() -> None:
    failed = FailedSignIns(Clock())
    for _ in range(FREE_FAILURES - 1):
        assert failed.begin("1 bob", "192.0.2.1") == 0
    for _ in range(20):
        assert failed.begin("1 bob", "192.0.2.1") == 0
        failed.not_made("1 bob", "192.0.2.1")
    assert [failed.begin("1 bob", "192.0.2.1") for _ in range(2)] == [0, 1], "earlier failures still count"


def test_an_address_of_ipv6_counts_with_its_network() -> None:
    failed = FailedSignIns(Clock())
    for number in range(FREE_FAILURES):
        assert failed.begin(f"1 user{number}", f"2001:db8::{number}") == 0
    assert failed.begin("1 bob", "2001:db8::ffff") == 1
    assert failed.begin("1 bob", "2001:db8:0:1::1") == 0


def test_strangers_cannot_make_the_counts_grow() -> None:
    failed = FailedSignIns(Clock())
    for number in range(20_000):
        assert failed.begin(f"1 user{number}", f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}") == 0


# The alias


def test_an_alias_from_first_to_last(iam: Any, open_server: Server, account: str) -> None:
    alias = f"music-{account}"
    assert iam.list_account_aliases()["AccountAliases"] == []
    iam.create_account_alias(AccountAlias=alias)
    assert iam.list_account_aliases()["AccountAliases"] == [alias]
    other = open_server.client("iam", aws_access_key_id=str(int(account) + 10**6))
    there = (409, "EntityAlreadyExists", f"The account alias {alias} already exists.")
    assert refusal(other.create_account_alias, AccountAlias=alias) == there
    iam.create_account_alias(AccountAlias=f"{alias}-2")
    assert iam.list_account_aliases()["AccountAliases"] == [f"{alias}-2"]
    other.create_account_alias(AccountAlias=alias)
    missing = (404, "NoSuchEntity", f"The account alias with name {alias} cannot be found.")
    assert refusal(iam.delete_account_alias, AccountAlias=alias) == missing
    iam.delete_account_alias(AccountAlias=f"{alias}-2")
    assert iam.list_account_aliases()["AccountAliases"] == []
    assert refusal(iam.create_account_alias, AccountAlias="123456789012")[:2] == (400, "InvalidInput")
    assert refusal(iam.create_account_alias, AccountAlias="a--b")[:2] == (400, "ValidationError")


def test_the_command_line_and_the_api_have_the_same_alias(verifying: Server) -> None:
    data = str(verifying.options["data_dir"])
    verifying.client("iam").create_account_alias(AccountAlias="made-here")
    listed = run_jedlik("account", "list", "--data-dir", data)
    assert f"{ACCOUNT} made-here - (the server's own)" in listed.stdout
    taken = run_jedlik("account", "create", "--data-dir", data, "--alias", "made-here")
    assert taken.returncode == 2
    assert "there is an account with the alias made-here already" in taken.stderr
