"""What policies decide of an access to a KMS key: pure functions.

The key policy is the root of authority. Without a Deny anywhere, an access is allowed

    in one account    if the key policy names the principal, its role or anybody; or if it names the account, and the
                      identity's policies allow it; or if a grant does
    across accounts   if the key policy names any of these, or a grant does; and the identity's policies allow it, too

An identity's policies alone allow nothing. Its boundary and its session's policy limit as they do everywhere
(`evaluation`).

Source: "Determining access to AWS KMS keys" in the developer guide.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from jedlik.aws.policies.evaluation import ALLOWED, Asking, Decision, Identity, Source, decide, finish, prepare
from jedlik.aws.policies.policy_documents import Policy
from jedlik.aws.policies.policy_parser import parsed
from jedlik.aws.policies.wildcards import Values

_EVERYTHING = parsed('{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}')
"""Stands for a grant: a boundary and a session's policy limit what it allows."""


class KeyDecision(NamedTuple):
    """The decision of the policies, and what a grant would make of it."""

    decision: Decision
    with_grant: Decision
    """If a grant allows the access."""


def decide_on_key(identity: Identity, action: str, key_arn: str, values: Values, policy: Policy | None) -> KeyDecision:
    """Whether an identity may do something to a key. Without a policy there is no such key: then the identity's own
    decide, so that who may do it learns that the key is not there."""
    own = identity.account
    is_across = key_arn.split(":", 5)[4] != own
    whole = decide(identity, action, key_arn, values, policy)
    if whole.denied:
        return KeyDecision(whole, whole)
    by_itself = _in_one_account(identity, action, key_arn, values, None)
    if policy is None:
        decision = Decision(False, False, Source.RESOURCE) if is_across else by_itself
        return KeyDecision(decision, decision)
    names_account = _in_one_account(_account_of(identity), action, key_arn, values, policy).allowed
    names_it = _in_one_account(replace(identity, policies=()), action, key_arn, values, policy).allowed
    decision = by_itself if names_account or names_it else Decision(False, False, Source.RESOURCE)
    if is_across:
        return KeyDecision(decision, by_itself)
    granted = _in_one_account(replace(identity, policies=(_EVERYTHING,)), action, key_arn, values, None)
    return KeyDecision(ALLOWED if names_it else decision, granted)


def _in_one_account(identity: Identity, action: str, key_arn: str, values: Values, policy: Policy | None) -> Decision:
    """The decision of some of the policies, as if the key were in the identity's account."""
    return finish(prepare(identity, action, key_arn, policy, owner=identity.account), values)


def _account_of(identity: Identity) -> Identity:
    """The account of an identity, as somebody whom a key policy can name by ARN or by number."""
    own = identity.account
    return Identity(own, f"arn:aws:iam::{own}:root", Asking.USER, own, values=identity.values)
