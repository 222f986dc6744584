"""What policies decide of an access to a KMS key."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from jedlik.aws.policies.evaluation import Asking, Identity, Source
from jedlik.aws.policies.key_decisions import decide_on_key
from jedlik.aws.policies.policy_documents import Kind, Policy
from jedlik.aws.policies.policy_parser import parsed

OWN, OTHER = "111111111111", "222222222222"
KEY = f"arn:aws:kms:eu-west-1:{OWN}:key/11111111-2222-3333-4444-555555555555"
USER = f"arn:aws:iam::{OWN}:user/bob"
ROLE = f"arn:aws:iam::{OWN}:role/r"
NOTHING, ALLOW_ALL = (), ({"Effect": "Allow", "Action": "*", "Resource": "*"},)
DENY_ALL = ({"Effect": "Deny", "Action": "*", "Resource": "*"},)


def of(*statements: dict[str, Any], kind: Kind = Kind.IDENTITY) -> Policy:
    return parsed(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}), kind)


def key_policy(*principals: Any, effect: str = "Allow") -> Policy:
    found = [{"Effect": effect, "Principal": one, "Action": "kms:*", "Resource": "*"} for one in principals]
    return of(*found, kind=Kind.KEY)


def bob(*statements: dict[str, Any], account: str = OWN, **more: Any) -> Identity:
    arn = USER.replace(OWN, account)
    policies = (of(*statements),) if statements else ()
    return Identity(account, arn, policies=policies, **more)


ROOT_OF_OWN = {"AWS": f"arn:aws:iam::{OWN}:root"}
THIRD = {"AWS": f"arn:aws:iam::{OWN}:user/third"}
CASES: dict[str, tuple[Identity, Policy | None, bool, bool]] = {
    "the account is named, and the user's policy allows": (bob(*ALLOW_ALL), key_policy(ROOT_OF_OWN), True, True),
    "the account is named by its number": (bob(*ALLOW_ALL), key_policy({"AWS": OWN}), True, True),
    "the account is named, and the user has no policy": (bob(), key_policy(ROOT_OF_OWN), False, True),
    "the account is not named": (bob(*ALLOW_ALL), key_policy(THIRD), False, True),
    "the user is named": (bob(), key_policy({"AWS": USER}), True, True),
    "anybody is named": (bob(), key_policy("*"), True, True),
    "the user's policy denies": (bob(*DENY_ALL), key_policy({"AWS": USER}), False, False),
    "a boundary leaves it out": (
        bob(*ALLOW_ALL, boundary=of({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})),
        key_policy(ROOT_OF_OWN),
        False,
        False,
    ),
    "there is no such key": (bob(*ALLOW_ALL), None, True, True),
    "there is no such key, nor a permission": (bob(), None, False, False),
    "another account is named, and its policy allows": (
        bob(*ALLOW_ALL, account=OTHER),
        key_policy({"AWS": OTHER}),
        True,
        True,
    ),
    "another account is named, and its user has no policy": (
        bob(account=OTHER),
        key_policy({"AWS": OTHER}),
        False,
        False,
    ),
    "a user of another account is named, without a policy": (
        bob(account=OTHER),
        key_policy({"AWS": USER.replace(OWN, OTHER)}),
        False,
        False,
    ),
    "nobody of another account is named": (bob(*ALLOW_ALL, account=OTHER), key_policy(ROOT_OF_OWN), False, True),
    "the account itself, which is named": (
        replace(bob(*ALLOW_ALL), arn=ROOT_OF_OWN["AWS"], kind=Asking.ROOT),
        key_policy(ROOT_OF_OWN),
        True,
        True,
    ),
    "the account itself, which is not named": (
        replace(bob(*ALLOW_ALL), arn=ROOT_OF_OWN["AWS"], kind=Asking.ROOT),
        key_policy(THIRD),
        False,
        True,
    ),
}
"""Who asks, the key's policy, whether it is allowed, and whether it is with a grant."""


@pytest.mark.parametrize("case", CASES)
def test_the_key_policy_is_the_root_of_authority(case: str) -> None:
    identity, policy, allowed, with_grant = CASES[case]
    found = decide_on_key(identity, "kms:Decrypt", KEY, {}, policy)
    assert (found.decision.allowed, found.with_grant.allowed) == (allowed, with_grant)


def test_a_deny_in_the_key_policy_refuses_even_with_a_grant() -> None:
    policy = of(
        {"Effect": "Allow", "Principal": ROOT_OF_OWN, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": {"AWS": USER}, "Action": "kms:Decrypt", "Resource": "*"},
        kind=Kind.KEY,
    )
    for action, denied in (("kms:Decrypt", True), ("kms:Encrypt", False)):
        found = decide_on_key(bob(*ALLOW_ALL), action, KEY, {}, policy)
        assert (found.decision.denied, found.with_grant.allowed) == (denied, not denied)


def test_a_session_policy_limits_a_grant_to_the_role() -> None:
    session = Identity(
        OWN,
        f"arn:aws:sts::{OWN}:assumed-role/r/s",
        Asking.ROLE_SESSION,
        role_arn=ROLE,
        session=(of({"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"}),),
    )
    for action, granted in (("kms:Encrypt", True), ("kms:Decrypt", False)):
        found = decide_on_key(session, action, KEY, {}, key_policy(ROOT_OF_OWN))
        assert (found.decision.allowed, found.with_grant.allowed) == (False, granted)


def test_a_refusal_names_the_policy_that_should_have_allowed() -> None:
    for policy, source in ((key_policy(ROOT_OF_OWN), Source.IDENTITY), (key_policy(THIRD), Source.RESOURCE)):
        assert decide_on_key(bob(), "kms:Decrypt", KEY, {}, policy).decision.source is source
