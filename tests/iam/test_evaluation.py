"""What policies decide: by examples, and against a plain reading of the rules."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jedlik.aws.access import Beginning
from jedlik.aws.policies.evaluation import Asking, Decision, Identity, Source, decide, finish, prepare
from jedlik.aws.policies.policy_documents import Kind, Policy
from jedlik.aws.policies.policy_parser import parsed

ACCOUNT, OTHER = "111111111111", "222222222222"
BOB = f"arn:aws:iam::{ACCOUNT}:user/bob"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/app"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/app/me"
TABLE = f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/Music"
THEIRS = f"arn:aws:dynamodb:eu-west-1:{OTHER}:table/Music"
GET = "dynamodb:GetItem"

Statement = dict[str, Any]


def policy(*statements: Statement, kind: Kind = Kind.IDENTITY) -> Policy:
    return parsed(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}), kind)


def says(effect: str = "Allow", action: str = "dynamodb:*", resource: str = "*", **more: Any) -> Statement:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def of_resource(principal: Any, effect: str = "Allow", **more: Any) -> Policy:
    return policy(says(effect, Principal=principal, **more), kind=Kind.RESOURCE)


USER = Identity(ACCOUNT, BOB, Asking.USER, "AIDABOB0000000000000")
IN_ROLE = Identity(ACCOUNT, SESSION, Asking.ROLE_SESSION, "AROAAPP0000000000000:me", ROLE, "AROAAPP0000000000000")
ALL, NONE = policy(says(action="*")), policy(says(action="s3:*"))
DENY = policy(says("Deny"))


def outcome(
    identity: Identity, resource: str = TABLE, policy: Policy | None = None, values: dict[str, str] | None = None
) -> str:
    """`allowed`, or which policy denies, or should have allowed."""
    decision = decide(identity, GET, resource, {key: (value,) for key, value in (values or {}).items()}, policy)
    if decision.allowed:
        return "allowed"
    assert decision.source is not None
    return f"{'denied by' if decision.denied else 'not allowed by'} {decision.source.name.lower()}"


def test_nothing_is_allowed_by_itself() -> None:
    assert outcome(USER) == "not allowed by identity"
    assert outcome(replace(USER, policies=(NONE,))) == "not allowed by identity"
    assert outcome(replace(USER, policies=(NONE, ALL))) == "allowed"


def test_a_deny_goes_before_all() -> None:
    full = replace(USER, policies=(ALL,), boundary=ALL, session=(ALL,))
    assert outcome(full) == "allowed"
    assert outcome(replace(full, policies=(ALL, DENY))) == "denied by identity"
    assert outcome(replace(full, boundary=DENY)) == "denied by boundary"
    assert outcome(replace(full, session=(DENY,))) == "denied by session"
    assert outcome(full, policy=of_resource({"AWS": BOB}, "Deny")) == "denied by resource"
    assert outcome(full, policy=of_resource({"AWS": ACCOUNT}, "Deny")) == "denied by resource"
    assert outcome(full, policy=of_resource({"AWS": OTHER}, "Deny")) == "allowed"


def test_boundary_and_session_policy_limit() -> None:
    full = replace(USER, policies=(ALL,))
    assert outcome(replace(full, boundary=NONE)) == "not allowed by boundary"
    assert outcome(replace(full, session=(NONE,))) == "not allowed by session"
    assert outcome(replace(full, session=(NONE, ALL))) == "allowed"
    assert outcome(replace(USER, boundary=ALL, session=(ALL,))) == "not allowed by identity"


@pytest.mark.parametrize(
    ("identity", "principal", "unlimited", "limited"),
    [
        (USER, {"AWS": BOB}, "allowed", "allowed"),
        (USER, {"AWS": USER.unique_id}, "allowed", "allowed"),
        (USER, "*", "allowed", "not allowed by boundary"),
        (USER, {"AWS": ACCOUNT}, "not allowed by identity", "not allowed by identity"),
        (USER, {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "not allowed by identity", "not allowed by identity"),
        (USER, {"AWS": ROLE}, "not allowed by identity", "not allowed by identity"),
        (IN_ROLE, {"AWS": SESSION}, "allowed", "allowed"),
        (IN_ROLE, {"AWS": ROLE}, "allowed", "not allowed by boundary"),
        (IN_ROLE, {"AWS": IN_ROLE.role_id}, "allowed", "not allowed by boundary"),
    ],
)
def test_a_resource_policy_in_one_account(identity: Identity, principal: Any, unlimited: str, limited: str) -> None:
    assert outcome(identity, policy=of_resource(principal)) == unlimited
    assert outcome(replace(identity, boundary=NONE), policy=of_resource(principal)) == limited


def test_across_accounts_both_sides_must_allow() -> None:
    full = replace(USER, policies=(ALL,))
    assert outcome(full, THEIRS) == "not allowed by resource"
    assert outcome(USER, THEIRS, of_resource({"AWS": BOB})) == "not allowed by identity"
    for principal in (BOB, ACCOUNT, "*", f"arn:aws:iam::{ACCOUNT}:root"):
        assert outcome(full, THEIRS, of_resource({"AWS": principal})) == "allowed"
    assert outcome(full, THEIRS, of_resource({"AWS": OTHER})) == "not allowed by resource"
    assert outcome(replace(full, boundary=NONE), THEIRS, of_resource({"AWS": BOB})) == "not allowed by boundary"
    session = replace(IN_ROLE, policies=(ALL,))
    assert outcome(session, THEIRS, of_resource({"AWS": ROLE})) == "allowed"


def test_the_policy_of_an_endpoint_grants_nothing_and_limits_everybody() -> None:
    full = replace(USER, policies=(ALL,))
    open_to_all, of_puts = of_resource("*"), of_resource("*", action="dynamodb:PutItem")

    def by(endpoint: Policy, identity: Identity = full, on_table: Policy | None = None) -> tuple[bool, Source | None]:
        found = finish(prepare(identity, GET, TABLE, on_table, endpoint=endpoint), {})
        return found.denied, found.source

    assert by(open_to_all) == (False, None)
    assert by(open_to_all, USER) == (False, Source.IDENTITY)
    assert by(of_puts) == (False, Source.ENDPOINT)
    assert by(of_resource("*", "Deny")) == (True, Source.ENDPOINT)
    assert by(of_puts, USER, of_resource({"AWS": BOB})) == (False, Source.ENDPOINT)
    assert by(of_resource({"AWS": BOB})) == by(of_resource({"AWS": ACCOUNT})) == (False, None)
    assert by(of_resource({"AWS": OTHER})) == (False, Source.ENDPOINT)
    denied = replace(full, policies=(ALL, DENY))
    assert by(of_resource("*", "Deny"), denied) == (True, Source.IDENTITY)
    assert by(of_resource("*", "Deny"), USER) == (True, Source.ENDPOINT)


def test_not_principal() -> None:
    full = replace(USER, policies=(ALL,))
    others = policy(
        {"Effect": "Deny", "NotPrincipal": {"AWS": [BOB]}, "Action": "*", "Resource": "*"}, kind=Kind.RESOURCE
    )
    assert outcome(full, policy=others) == "allowed"
    assert outcome(replace(full, arn=BOB + "by"), policy=others) == "denied by resource"


def test_what_is_not_listed() -> None:
    but_get = policy({"Effect": "Allow", "NotAction": "dynamodb:GetItem", "Resource": "*"})
    assert outcome(replace(USER, policies=(but_get,))) == "not allowed by identity"
    but_put = policy({"Effect": "Allow", "NotAction": "dynamodb:P*", "Resource": "*"})
    assert outcome(replace(USER, policies=(but_put,))) == "allowed"
    elsewhere = policy({"Effect": "Allow", "Action": "*", "NotResource": TABLE})
    assert outcome(replace(USER, policies=(elsewhere,))) == "not allowed by identity"
    assert outcome(replace(USER, policies=(elsewhere,)), TABLE + "2") == "allowed"


def test_actions_are_the_same_in_any_case_and_resources_are_not() -> None:
    assert outcome(replace(USER, policies=(policy(says(action="DynamoDB:getITEM")),))) == "allowed"
    lower = policy(says(resource=TABLE.replace("Music", "music")))
    assert outcome(replace(USER, policies=(lower,))) == "not allowed by identity"


def test_variables_in_resources() -> None:
    own = policy(says(resource=f"arn:aws:dynamodb:*:{ACCOUNT}:table/${{aws:PrincipalTag/team}}"))
    user = replace(USER, policies=(own,))
    assert outcome(replace(user, values={"aws:principaltag/team": ("Music",)})) == "allowed"
    assert outcome(replace(user, values={"aws:principaltag/team": ("M*",)})) == "not allowed by identity"
    assert outcome(user) == "not allowed by identity"
    by_request = policy(says(resource=f"arn:aws:dynamodb:*:{ACCOUNT}:table/${{aws:RequestTag/name}}"))
    assert outcome(replace(USER, policies=(by_request,)), values={"aws:requesttag/name": "Music"}) == "allowed"


def test_a_variable_without_a_value_does_not_make_not_resource_allow_more() -> None:
    statement = {"Action": "*", "NotResource": f"arn:aws:dynamodb:*:{ACCOUNT}:table/${{aws:nobody}}"}
    allowing, denying = policy({"Effect": "Allow", **statement}), policy({"Effect": "Deny", **statement})
    assert outcome(replace(USER, policies=(allowing,))) == "not allowed by identity"
    assert outcome(replace(USER, policies=(ALL, denying))) == "denied by identity"


def test_what_is_known_of_the_caller_goes_before_what_a_request_brings() -> None:
    named = policy(says(Condition={"StringEquals": {"aws:username": "bob"}}))
    eve = replace(USER, policies=(named,), values={"aws:username": ("eve",)})
    assert outcome(eve, values={"aws:username": "bob"}) == "not allowed by identity"
    variable = policy(says(Condition={"StringEquals": {"aws:x": "${aws:y}"}}))
    eve = replace(USER, policies=(variable,), values={"aws:x": ("1",)})
    assert outcome(eve, values={"aws:x": "2", "aws:y": "2"}) == "not allowed by identity"
    assert outcome(eve, values={"aws:y": "1"}) == "allowed"


def test_what_depends_on_no_request_is_decided_beforehand() -> None:
    assert prepare(replace(USER, policies=(ALL,)), GET, TABLE).decided == Decision(True, False, None)
    assert prepare(USER, GET, TABLE).decided == Decision(False, False, Source.IDENTITY)
    later = policy(says(Condition={"StringEquals": {"aws:x": "1"}}))
    assert prepare(replace(USER, policies=(later,)), GET, TABLE).decided is None
    assert prepare(replace(USER, policies=(later, ALL)), GET, TABLE).decided == Decision(True, False, None)


# Against a plain reading

KEYS = ("aws:username", "dynamodb:leadingkeys")
CONDITION = st.builds(
    lambda operator, key, values: {operator: {key: values}},
    st.sampled_from(["StringEquals", "StringNotEquals", "ForAllValues:StringEquals", "ForAnyValue:StringLike"]),
    st.sampled_from(KEYS),
    st.lists(st.sampled_from(["a", "b", "*", "${aws:username}"]), min_size=1, max_size=2),
)
STATEMENT = st.builds(
    lambda effect, action, resource, condition: says(effect, action, resource, Condition=condition),
    st.sampled_from(["Allow", "Allow", "Deny"]),
    st.sampled_from(["*", "dynamodb:Get*", "dynamodb:PutItem"]),
    st.sampled_from(["*", TABLE, THEIRS, TABLE + "/index/*"]),
    st.just({}) | CONDITION,
)
PRINCIPAL = st.sampled_from(["*", BOB, ROLE, SESSION, ACCOUNT, OTHER])
STATEMENTS = st.lists(STATEMENT, min_size=1, max_size=3)
VALUE = st.lists(st.sampled_from("ab"), max_size=2).map(tuple)


def plainly(statement: Statement, resource: str, values: dict[str, tuple[str, ...]]) -> bool:
    """Whether a statement applies, by its words."""
    if statement["Action"] == "dynamodb:PutItem" or statement["Resource"] not in ("*", resource):
        return False
    name = values.get("aws:username", ())
    for operator, keys in statement["Condition"].items():
        for key, wanted in keys.items():
            given_ = values.get(key, ())
            unknown = "${aws:username}" in wanted and len(name) != 1
            equal = {
                name[0] if one.startswith("$") else one for one in wanted if not one.startswith("$") or not unknown
            }
            match operator:
                case "StringEquals":
                    holds = any(value in equal for value in given_)
                case "StringNotEquals":
                    holds = not any(value in equal for value in given_)
                    if unknown and statement["Effect"] == "Allow" and given_:
                        holds = False
                case "ForAllValues:StringEquals":
                    holds = all(value in equal for value in given_)
                case _:
                    holds = any(value in equal or "*" in equal for value in given_)
            if not holds:
                return False
    return True


@given(
    STATEMENTS,
    st.none() | STATEMENTS,
    st.none() | STATEMENTS,
    st.none() | st.tuples(STATEMENTS, PRINCIPAL),
    st.none() | st.tuples(STATEMENTS, PRINCIPAL),
    st.tuples(st.booleans(), st.booleans()),
    st.none() | st.sampled_from("ab"),
    VALUE,
)
def test_decisions_are_those_of_a_plain_reading(
    identity: list[Statement],
    boundary: list[Statement] | None,
    session: list[Statement] | None,
    resource: tuple[list[Statement], str] | None,
    endpoint: tuple[list[Statement], str] | None,
    session_across: tuple[bool, bool],
    name: str | None,
    keys: tuple[str, ...],
) -> None:
    is_session, is_across = session_across
    arn = THEIRS if is_across else TABLE
    who = replace(
        IN_ROLE if is_session else USER,
        policies=(policy(*identity),),
        boundary=policy(*boundary) if boundary else None,
        session=(policy(*session),) if session else None,
        values={"aws:username": (name,)} if name else {},
    )

    def about_somebody(given_: tuple[list[Statement], str] | None) -> Policy | None:
        if given_ is None:
            return None
        return policy(*(one | {"Principal": {"AWS": given_[1]}} for one in given_[0]), kind=Kind.RESOURCE)

    on_resource, on_endpoint = about_somebody(resource), about_somebody(endpoint)
    values = {"dynamodb:leadingkeys": keys} if keys else {}
    decision = finish(prepare(who, GET, arn, on_resource, endpoint=on_endpoint), values)

    everything = values | ({"aws:username": (name,)} if name else {})
    own = {BOB} if not is_session else {SESSION}
    about = own | {"*", ACCOUNT} | ({ROLE} if is_session else set())
    of_table = resource[0] if resource and resource[1] in about else []
    of_endpoint = endpoint[0] if endpoint and endpoint[1] in about else []

    def applies(statements: list[Statement] | None, effect: str) -> bool:
        return any(one["Effect"] == effect and plainly(one, arn, everything) for one in statements or [])

    denied = any(applies(statements, "Deny") for statements in (identity, boundary, session, of_table, of_endpoint))
    within = all(statements is None or applies(statements, "Allow") for statements in (boundary, session))
    by_table = applies(of_table, "Allow")
    if is_across:
        allowed = applies(identity, "Allow") and within and by_table
    else:
        principal = resource[1] if resource else ""
        allowed = (by_table and principal in own) or (
            within and (applies(identity, "Allow") or (by_table and principal in {"*", ROLE} - own))
        )
    let_in = endpoint is None or applies(of_endpoint, "Allow")
    assert decision.denied is denied
    assert decision.allowed is (allowed and let_in and not denied)
    if endpoint is None:
        assert decide(who, GET, arn, values, on_resource) == decision


@pytest.mark.parametrize(
    ("prefix", "wanted"),
    [
        ("", "denied by identity"),
        ("se", "denied by identity"),
        ("secret/", "denied by identity"),
        ("secret/x", "denied by identity"),
        ("open/", "allowed"),
        ("bob", "denied by identity"),
        ("alice", "allowed"),
    ],
)
def test_a_deny_of_some_objects_refuses_a_request_for_all_that_begin_like_them(prefix: str, wanted: str) -> None:
    denies = says("Deny", "*", "arn:aws:s3:::b/secret/*"), says("Deny", "*", "arn:aws:s3:::b/${aws:username}-own/*")
    bob = replace(USER, policies=(ALL, policy(*denies)))
    assert outcome(bob, Beginning(f"arn:aws:s3:::b/{prefix}*"), values={"aws:username": "bob"}) == wanted
    known = replace(bob, values={"aws:username": ("bob",)})
    assert outcome(known, Beginning(f"arn:aws:s3:::b/{prefix}*")) == wanted
    # What is allowed must be all of them, and so must what NotResource leaves out of a Deny.
    some = replace(USER, policies=(policy(says(action="*", resource="arn:aws:s3:::b/open/*")),))
    is_open = prefix == "open/"
    assert outcome(some, Beginning(f"arn:aws:s3:::b/{prefix}*")) == (
        "allowed" if is_open else "not allowed by identity"
    )
    others = {"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:s3:::b/open/*"}
    but = replace(USER, policies=(ALL, policy(others)))
    assert outcome(but, Beginning(f"arn:aws:s3:::b/{prefix}*")) == ("allowed" if is_open else "denied by identity")
